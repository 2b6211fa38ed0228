"""How well a joint model predicts: discrimination, accuracy and calibration at landmark days.

At a landmark s, with pi_i the predicted risk of patient i, still at risk, to have the event within
the window (s, s + w] given the measurements until s; D_i whether it came; T_i the end of follow-up:

    W_i = 1 / G(min(T_i, s + w)-), or 0 if censored before s + w without the event
    AUC = sum_ij W_i D_i (1 - D_j) W_j [1(pi_i > pi_j) + 1(pi_i = pi_j) / 2] / sum_ij W_i D_i (1 -
    D_j) W_j
    Brier = sum_i W_i (D_i - pi_i)^2 / n

G(t-) is the probability not to be censored before t, by Kaplan-Meier among those at risk at s
(events come before censorings of the same time): patients whose outcome is known stand in for those
censored, which is right if censoring does not depend on the marker or the outcome. All these
patients are under observation from s on, so that delayed entry needs nothing else; those who enter
after s do not count.

With competing causes one of them is judged: pi_i is the predicted cumulative incidence of that
cause in the window, D_i whether it came, and a competing event by s + w is a known outcome D_i = 0,
with W_i = 1 / G(T_i-). So the controls of the AUC are those free of any event at the horizon and
those with a competing event before it, the definition of Blanche et al. (2015) and the second,
AUC_2, of R's timeROC. Only patients without an event of any cause count as censored in G. The
observed risk is Aalen and Johansen's, which is Kaplan and Meier's where nothing competes.

A model predicts its own data too well. The apparent value minus that of cross-validation, in which
every patient is predicted by a model fitted without the patient's fold, is the optimism.

Gerds & Schumacher (2006), Biom J 48:1029-1040; Blanche et al. (2015), Biometrics 71:102-113; Cox
(1958), Biometrika 45:562-565, for the slope and intercept of calibration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.errors import LongsurvError
from longsurv.estimands.joint_rows import JointSpecification, chosen_cause, joint_spec
from longsurv.estimands.prediction_folds import (
    Refit,
    as_predicting,
    out_of_fold_risks,
    predicted_risk,
)
from longsurv.estimands.prediction_measures import (
    MEASURES,
    Outcomes,
    calibration_groups,
    measures,
    outcomes,
)
from longsurv.figures.checks import calibration
from longsurv.figures.place import described, place_of
from longsurv.tables.notebook import Readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.design.joint import JointDesign

FEWEST = 10


@dataclass(frozen=True, eq=False, repr=False)
class PredictionQuality(Readable):
    """Quality of a model's predictions.

    Attributes
    ----------
    table : DataFrame
        landmark, measure, apparent, optimism, corrected, conf_low, conf_high. Measures are "AUC",
        "Brier score", "scaled Brier score" (1 - Brier / Brier of the observed risk of all),
        "calibration intercept" (log odds of observed against expected, 0 when right) and
        "calibration slope" (1 when right; below 1, predictions are too extreme). `corrected` is
        that of the cross-validated predictions; the interval, of these, is from resampling
        patients. Without folds optimism and corrected are missing and the interval is that of
        `apparent`.
    risk_sets : DataFrame
        landmark, horizon, at_risk, events, competing (with another cause by the horizon), censored
        (before the horizon), excluded (entered later), observed_risk (Kaplan-Meier; with competing
        causes Aalen-Johansen).
    calibration : DataFrame
        landmark, group (by quantiles of predicted risk), n, events, predicted (mean), observed
        (as observed_risk), conf_low, conf_high.
    predictions : DataFrame
        The patient, landmark, exit, event (by the horizon), weight, apparent, cross_validated.
    window : float
    folds : int
    level : float
        Of the intervals.
    cause : str or None
        The cause judged, of several; then every table begins with a column "outcome" that says
        "incidence of" and its name.
    """

    read_as: ClassVar[tuple[str, ...]] = ("words", "table")

    table: pd.DataFrame
    risk_sets: pd.DataFrame
    calibration: pd.DataFrame
    predictions: pd.DataFrame
    window: float
    folds: int
    level: float
    cause: str | None = None

    @property
    def words(self) -> str:
        """The finding, a sentence a landmark."""
        column = "corrected" if self.folds else "apparent"
        how = f"{self.folds}-fold cross-validation" if self.folds else "its own data, optimistic"
        wide = self.table.pivot(index="landmark", columns="measure", values=column)
        limits = self.table[self.table["measure"] == "AUC"].set_index("landmark")
        lines = []
        start = "From" if self.cause is None else f"Incidence of {self.cause}: from"
        for s, row in wide.iterrows():
            low, high = limits.loc[s, ["conf_low", "conf_high"]]
            better = 100 * row["scaled Brier score"]
            lines.append(
                f"{start} {s:g}, over {self.window:g}: AUC {row['AUC']:.2f} ({low:.2f} to "
                f"{high:.2f}), Brier score {row['Brier score']:.3f} ({better:.0f} % better "
                f"than one risk for all), calibration slope {row['calibration slope']:.2f}."
            )
        return " ".join([*lines, f"By {how}."])

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw observed against predicted risk from each landmark.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Whose place to take; a new figure otherwise.

        Returns
        -------
        Axes
            Its label says in words what it shows.
        """
        drawn = calibration(self.calibration, ax=place_of(ax))
        return described(drawn, f"Observed against predicted risk. {self.words}")

    def __repr__(self) -> str:
        return f"{self.words}\n{self.table.to_string(index=False)}"


def fitted(spec: JointSpecification) -> object:
    """The maximum-likelihood fit, by which `prediction_quality` predicts unless told otherwise."""
    return spec.fit()


@checked
def prediction_quality(
    model: object,
    landmarks: Sequence[float],
    window: float,
    *,
    folds: int = 5,
    seed: int = 1,
    refit: Refit = fitted,
    groups: int = 4,
    resamples: int = 200,
    level: float = 0.95,
    cause: str | None = None,
) -> PredictionQuality:
    """AUC, Brier score and calibration of dynamic predictions, corrected for optimism.

    Parameters
    ----------
    model : JointModel, JointEstimate or JointPosterior
        A result is used as it is for the apparent values; its specification is refitted in the
        folds.
    landmarks : sequence of float
        Times at which predictions start, on the clock of the event.
    window : float
        How far they reach.
    folds : int
        Of the cross-validation over patients, each with its share of the events, of the cause
        judged first; 0 for none.
    seed : int
        Of folds and resampling.
    refit : callable
        From a specification to a result that predicts, as in ``lambda spec:
        spec.sample(draws=500)`` for a posterior. `spec.fit()` by default.
    groups : int
        Of predicted risk in the calibration table.
    resamples : int
        Of patients, for the intervals.
    level : float
    cause : str, optional
        Name of the cause whose cumulative incidence is judged; needed if there are several.

    Returns
    -------
    PredictionQuality

    Raises
    ------
    LongsurvError
        If the model has competing causes and none is named, a horizon is beyond the follow-up, or
        fewer than ten patients are at risk at a landmark or none of them has the event, or all.
    """
    spec = joint_spec(model, "prediction_quality", markers=True, causes=True, limits=True)
    cause = chosen_cause(list(spec.causes), cause, "prediction_quality")
    design = spec.design
    starts = _check(design, landmarks, window, folds, groups)
    apparent = as_predicting(refit(spec) if model is spec else model)
    sets = {s: outcomes(design, s, window, cause) for s in starts}
    _check_sets(sets, window)
    risks = {s: predicted_risk(apparent, spec, sets[s].labels, s, window, cause) for s in starts}
    out_of_fold = (
        dict.fromkeys(starts)
        if folds == 0
        else out_of_fold_risks(spec, sets, window, folds, seed, refit, cause)
    )
    rng = np.random.default_rng(seed)
    rows, calibration, predictions = [], [], []
    for s in starts:
        honest = out_of_fold[s]
        shown = risks[s] if honest is None else honest
        rows.append(_rows(sets[s], risks[s], honest, resamples, level, rng))
        calibration.append(calibration_groups(sets[s], shown, groups, level))
        predictions.append(_predictions(design, sets[s], risks[s], honest))
    counts = [pd.DataFrame([sets[s].row()]) for s in starts]
    return PredictionQuality(
        table=_together(rows, cause),
        risk_sets=_together(counts, cause),
        calibration=_together(calibration, cause),
        predictions=_together(predictions, cause),
        window=float(window),
        folds=folds,
        level=level,
        cause=cause,
    )


def _together(tables: Sequence[pd.DataFrame], cause: str | None) -> pd.DataFrame:
    whole = pd.concat(tables, ignore_index=True)
    if cause is not None:
        whole.insert(0, "outcome", f"incidence of {cause}")
    return whole


def _check(
    design: JointDesign,
    landmarks: Sequence[float],
    window: float,
    folds: int,
    groups: int,
) -> list[float]:
    starts = [float(s) for s in landmarks]
    problems = []
    if not starts or not all(np.isfinite(s) and s >= 0 for s in starts):
        problems.append(f"landmarks are one or more times from 0 on, not {landmarks!r}")
    if len(set(starts)) < len(starts):
        problems.append(f"a landmark is given twice: {landmarks!r}")
    if not (np.isfinite(window) and window > 0):
        problems.append(f"window is a length of time above 0, not {window!r}")
    elif starts and max(starts) + window > design.exit.max():
        problems.append(
            f"follow-up ended at {design.exit.max():g}, before the end of the window from "
            f"{max(starts):g} to {max(starts) + window:g}"
        )
    if folds != 0 and not 2 <= folds <= len(design.labels):
        problems.append(f"folds is 0 or from 2 to the number of patients, not {folds!r}")
    if groups < 2:
        problems.append(f"groups is at least 2, not {groups!r}")
    if problems:
        raise LongsurvError("; ".join(problems))
    return starts


def _check_sets(sets: dict[float, Outcomes], window: float) -> None:
    problems = []
    for s, one in sets.items():
        n, events = len(one.labels), int(one.event.sum())
        known = int((one.weight > 0).sum())
        if n < FEWEST or events == 0 or events == known:
            problems.append(
                f"at {s:g} there are {n} patients at risk, {events} with the event by "
                f"{s + window:g} and {known - events} known to be without: predictions can be "
                f"judged on at least {FEWEST} patients, some with the event and some without"
            )
    if problems:
        raise LongsurvError("; ".join(problems))


def _rows(
    one: Outcomes,
    apparent: np.ndarray,
    honest: np.ndarray | None,
    resamples: int,
    level: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    shown = apparent if honest is None else honest
    n, drawn = len(shown), []
    for _ in range(resamples):
        some = rng.integers(0, n, n)
        again = one.of(some)
        if 0 < again.event.sum() < (again.weight > 0).sum():
            drawn.append(measures(again, shown[some]))
    limits = np.full((2, len(MEASURES)), np.nan)
    if len(drawn) > 1:
        limits = np.nanquantile(drawn, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    first = measures(one, apparent)
    corrected = np.full(len(MEASURES), np.nan) if honest is None else measures(one, honest)
    return pd.DataFrame(
        {
            "landmark": one.start,
            "measure": MEASURES,
            "apparent": first,
            "optimism": first - corrected,
            "corrected": corrected,
            "conf_low": limits[0],
            "conf_high": limits[1],
        }
    )


def _predictions(
    design: JointDesign, one: Outcomes, apparent: np.ndarray, honest: np.ndarray | None
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            design.group_name: one.labels,
            "landmark": one.start,
            "exit": one.exit,
            "event": one.event.astype(int),
            "weight": one.weight,
            "apparent": apparent,
            "cross_validated": np.nan if honest is None else honest,
        }
    )
