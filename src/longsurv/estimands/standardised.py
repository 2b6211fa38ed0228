"""Risks standardised over the cohort: what if everyone had been treated, or no one?

g-computation (Robins 1986): predict each patient's risk at the horizon under either treatment, with
the patient's own covariates, and average over the cohort. The answer is a difference of risks, or
of mean times alive, on the scale on which a treatment is decided, and rests on the model's
adjustment: treatment must be as good as random given the covariates of the formula. A model of the
treatment alone gives the unadjusted answer.

What the uncertainty includes. For an estimate: coefficients and baseline hazard, by the delta
method. For a posterior: both, draw by draw, the baseline hazard of a Cox model from its posterior
under a vague gamma-process prior. For either the patients are given: the answer is about patients
like these, not about a population they were drawn from.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Annotated, Protocol

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.design.survival import SurvivalDesign
from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.answered import ByBayes, ByLikelihood, Qualified
from longsurv.estimands.intervals import drawn_limits, proportion, within
from longsurv.estimands.treatments import two_levels, with_treatment
from longsurv.inference.specification import TableSpecification
from longsurv.times import snapped

REDUCTIONS = (0.0, 0.01, 0.05)
"""Risk reductions whose posterior probabilities are given: any, 1 % and 5 %."""

DRAWS_AT_ONCE = 20_000_000

COLUMNS = ("term", "estimate", "std_error", "conf_low", "conf_high")
MEAN_TERMS = ("mean time difference", "mean time ratio")


class AnswersSurvival(Qualified, Protocol):
    """What is used of a fit and of a posterior of a survival model."""

    @property
    def spec(self) -> TableSpecification[FittedSurvival, object]:
        """The model."""

    @property
    def design(self) -> SurvivalDesign:
        """Its arrays."""

    @property
    def names(self) -> tuple[str, ...]:
        """Coefficients."""

    def area_rule(self, horizon: float) -> tuple[np.ndarray, np.ndarray]:
        """Times and weights, shape (T,) each, with which a weighted sum of survival is its area
        from the first entry to the horizon."""


class FittedSurvival(AnswersSurvival, ByLikelihood, Protocol):
    """A fit."""

    @property
    def undetermined(self) -> tuple[str, ...]:
        """Coefficients that the data do not determine."""

    @property
    def df_of_curves(self) -> float:
        """Degrees of freedom of survival and risks: infinite but with few clusters."""

    @property
    def mean_survival(self) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
        """Mean survival of each of A frames at a time, shape (A,), and their covariance (A, A)."""

    @property
    def mean_survival_at(self) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
        """The same at T times: shapes (A, T) and (A, T, A, T)."""


class DrawnSurvival(AnswersSurvival, ByBayes, Protocol):
    """A posterior."""

    @property
    def all_prior(self) -> tuple[str, ...]:
        """Coefficients that the data say as good as nothing about."""

    @property
    def survival_draws(self) -> Callable[..., np.ndarray]:
        """Survival of rows at times, for draws of the posterior."""


type SurvivalResult = FittedSurvival | DrawnSurvival
type SurvivalAnswer = Annotated[SurvivalResult, "a fit or posterior of a CoxPH or a Hazard"]


@checked
def risk_difference(
    result: SurvivalAnswer,
    treatment: str,
    horizon: float,
    *,
    treated: Hashable | None = None,
    reference: Hashable | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Standardised risks of the event by the horizon under two treatments, and their comparison.

    With several rows a patient the covariates are those of the first. Case weights say for how many
    each patient counts. With entry times a risk is that of somebody at risk from the first entry
    on.

    Parameters
    ----------
    result : SurvivalEstimate, SurvivalPosterior, HazardEstimate or HazardPosterior
    treatment : str
        Column of the data.
    horizon : float
        Time, in the unit of the data.
    treated, reference : optional
        The two levels compared; by default the only two, in the order of the categories.
    level : float

    Returns
    -------
    DataFrame
        Rows "risk (reference)", "risk (treated)" with the names of the levels, "risk difference"
        (treated minus reference), "risk ratio", "odds ratio". Columns term, estimate, std_error (of
        the logarithm for ratios), conf_low, conf_high; p_value (Wald) for an estimate; for a
        posterior prob_benefit, prob_benefit_1 and prob_benefit_5: the probability that
        treatment lowers the risk at all, by more than 1 % and by more than 5 %. A posterior's
        estimate is its mean, of ratios its median. Its `attrs` have "converged" and "flags", those
        of the result.

    Raises
    ------
    LongsurvError
        If there is no such column, or its levels leave open which two to compare, or the horizon is
        beyond the last exit.
    EstimationError
        If the data do not determine the effect, or no event happened by the horizon.
    """
    low, high, frames = both_treatments(result, treatment, horizon, treated, reference)
    names = [f"risk ({low})", f"risk ({high})"]
    if result.engine == "bayes":
        at = np.array([horizon])
        alive = [mean_draws(result, f, at, cohort_weights(result))[:, 0] for f in frames]
        check_begun(1.0 - np.stack(alive), horizon)
        return marked(of_draws(1.0 - np.stack(alive), names, level), result)
    survival, cov = result.mean_survival(frames, horizon, cohort_weights(result))
    check_begun(1.0 - survival, horizon)
    return marked(of_moments(1.0 - survival, cov, names, level, result.df_of_curves), result)


@checked
def restricted_mean_difference(
    result: SurvivalAnswer,
    treatment: str,
    horizon: float,
    *,
    treated: Hashable | None = None,
    reference: Hashable | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Standardised mean times alive to the horizon under two treatments, and their comparison.

    The area under the cohort's mean survival curve, from the first entry on. See `risk_difference`
    for the arguments and what is refused.

    Returns
    -------
    DataFrame
        Rows "mean time (reference)", "mean time (treated)" with the names of the levels, "mean time
        difference" (treated minus reference), "mean time ratio". Columns term, estimate, std_error
        (of the logarithm for the ratio), conf_low, conf_high; p_value (Wald) for an estimate; for a
        posterior prob_benefit, the probability that the treated live longer up to the horizon. A
        posterior's estimate is its mean, of the ratio its median.
    """
    low, high, frames = both_treatments(result, treatment, horizon, treated, reference)
    first = float(result.design.entry.min())
    if not horizon > first:
        raise LongsurvError(f"nobody is at risk before {first:g}; the horizon is {horizon:g}")
    times, weights = result.area_rule(horizon)
    names = [f"mean time ({low})", f"mean time ({high})"]
    if result.engine == "bayes":
        alive = [mean_draws(result, f, times, cohort_weights(result)) for f in frames]
        means = np.stack(alive) @ weights
        return marked(_of__mean_draws(means, names, level), result)
    survival, cov = result.mean_survival_at(frames, times, cohort_weights(result))
    check_begun(1.0 - survival, horizon)
    # Survival has no variance of its own before the first event, and adds none to the area.
    cov = np.einsum("atbs,t,s->ab", np.nan_to_num(cov, nan=0.0), weights, weights)
    table = _of_mean_moments(
        survival @ weights, cov, names, level, result.df_of_curves, longest=horizon - first
    )
    return marked(table, result)


def marked(table: pd.DataFrame, result: Qualified) -> pd.DataFrame:
    """A table of an estimand, with what a reader of its numbers must know of the fit: that it did
    not converge, or is nothing but prior."""
    flags = tuple(dict.fromkeys((*result.headings, *result.flags)))
    table.attrs |= {"converged": result.converged, "flags": flags}
    return table


def both_treatments(
    result: SurvivalResult,
    treatment: str,
    horizon: float,
    treated: Hashable | None,
    reference: Hashable | None,
) -> tuple[Hashable, Hashable, list[pd.DataFrame]]:
    """The two levels, and the cohort with either for everybody."""
    check_horizon(result.design, horizon)
    cohort = result.spec.data.iloc[result.design.rows[result.design.first_rows]]
    low, high = two_levels(cohort, treatment, treated, reference)
    frames = [with_treatment(cohort, treatment, chosen) for chosen in (low, high)]
    _check_determined(result, frames)
    return low, high, frames


def _check_determined(result: SurvivalResult, frames: Sequence[pd.DataFrame]) -> None:
    """Refuse predictions that move along directions the data do not determine."""
    try:
        # What the data do not determine of a posterior is its prior: no other answer than a fit's.
        fit = result.spec.fit() if result.engine == "bayes" else result
    except EstimationError as error:
        if result.engine == "ml" or not result.all_prior:
            return
        listed = ", ".join(result.all_prior)
        raise EstimationError(f"the posterior of {listed} is the prior: {error}") from None
    flat = getattr(getattr(fit, "reference", None), "flat", None)
    if not flat or len(flat.scale) != len(result.names):
        return
    one, other = (result.design.fixed.rebuild(frame) for frame in frames)
    within_cohort = one - one.mean(axis=0)
    if not (flat.estimable(other - one).all() and flat.estimable(within_cohort).all()):
        raise EstimationError(
            f"the data do not determine {', '.join(fit.undetermined)}, on which the risks of "
            "the cohort under either treatment depend"
            + (", so the posterior of these is the prior" if fit is not result else "")
        )


def check_begun(risk: np.ndarray, horizon: float) -> None:
    """Refuse a horizon before the first event, up to which a curve in steps says only 0."""
    if not (risk > 0).any():
        raise EstimationError(
            f"no event happened by {horizon:g}, so the model says nothing of the risk until then"
        )


def cohort_weights(result: AnswersSurvival) -> np.ndarray | None:
    """For how many each patient of the fit counts, shape (patients,); None without case weights."""
    weights: np.ndarray | None = result.design.weights
    return None if weights is None else weights[result.design.first_rows]


def mean_draws(
    result: DrawnSurvival, data: pd.DataFrame, times: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Draws of mean survival over the rows, shape (draws, T).

    So many rows at a time as fit memory. A draw's baseline hazard is the same for all rows, and for
    both treatments.

    Parameters
    ----------
    result : SurvivalPosterior or HazardPosterior
    data : DataFrame, m rows
    times : ndarray, shape (T,)
    weights : ndarray, shape (m,), optional
        For how many each row counts.
    """
    share = np.ones(len(data)) if weights is None else weights
    total, start, size = np.zeros(()), 0, max(1, 2000 // len(times))
    while start < len(data):
        some = slice(start, start + size)
        drawn = result.survival_draws(data.iloc[some], list(times))
        total = total + np.einsum("smt,m->st", drawn, share[some])
        start, size = start + size, max(1, DRAWS_AT_ONCE // (len(drawn) * len(times)))
    return np.asarray(total) / share.sum()


def _of__mean_draws(means: np.ndarray, names: Sequence[str], level: float) -> pd.DataFrame:
    """Table from posterior draws of the two mean times, shape (2, draws)."""
    rows = []
    for term, values in zip(
        [*names, *MEAN_TERMS], [*means, means[1] - means[0], means[1] / means[0]], strict=True
    ):
        relative = "ratio" in term
        low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
        middle = float(np.median(values) if relative else values.mean())
        spread = float((np.log(values) if relative else values).std(ddof=1))
        longer = float((values > 0).mean()) if "difference" in term else np.nan
        rows.append((term, middle, spread, float(low), float(high), longer))
    return pd.DataFrame(rows, columns=[*COLUMNS, "prob_benefit"])


def _of_mean_moments(
    mean: np.ndarray,
    cov: np.ndarray,
    names: Sequence[str],
    level: float,
    df: float,
    *,
    longest: float,
) -> pd.DataFrame:
    """Table from two mean times and their covariance; limits stay within 0 and `longest`."""
    from scipy.special import stdtr, stdtrit

    z = float(stdtrit(df, 0.5 + level / 2))
    rows = []
    for term, value, slope in (
        (names[0], mean[0], np.array([1.0, 0.0])),
        (names[1], mean[1], np.array([0.0, 1.0])),
        (MEAN_TERMS[0], mean[1] - mean[0], np.array([-1.0, 1.0])),
        (MEAN_TERMS[1], np.log(mean[1] / mean[0]), np.array([-1.0, 1.0]) / mean),
    ):
        back = np.exp if "ratio" in term else float
        se = float(np.sqrt(max(slope @ cov @ slope, 0.0)))
        test = 2.0 * float(stdtr(df, -abs(value) / se)) if term in MEAN_TERMS and se > 0 else np.nan
        if "ratio" in term:
            low, high = (float(np.exp(value + side * z * se)) for side in (-1, 1))
        else:
            limits = within if term in MEAN_TERMS else proportion
            low, high = limits(float(value), se, z, longest)
        rows.append((term, float(back(value)), se, low, high, test))
    return pd.DataFrame(rows, columns=[*COLUMNS, "p_value"])


def check_horizon(design: SurvivalDesign, horizon: float) -> None:
    """Refuse a horizon at which a survival design has nobody left."""
    last = design.last
    if not horizon > 0.0:
        raise LongsurvError(
            f"the horizon is a time after 0 and up to the last exit, {last:g}; got {horizon!r}"
        )
    if float(snapped(horizon, np.append(design.exit, last))) > last:
        raise LongsurvError(f"nobody was followed to {horizon:g}: the last exit is at {last:g}")
    if design.stratum is None:
        return
    for stratum in np.unique(design.stratum):
        if design.after_follow_up(int(stratum), np.array([horizon])).any():
            named = design.strata.labels[int(stratum)] if design.strata else "a stratum"
            ended = float(design.exit[design.stratum == stratum].max())
            raise LongsurvError(
                f"nobody of {named} was followed to {horizon:g}: its last exit is at {ended:g},"
                " and nothing is known of its risks after that; take an earlier horizon, or have"
                " the variable as a covariate instead of in strata()"
            )


def of_draws(risks: np.ndarray, names: Sequence[str], level: float) -> pd.DataFrame:
    """Table from posterior draws of the two risks, shape (2, draws)."""
    p0, p1 = risks
    difference = p1 - p0
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio, odds = p1 / p0, (p1 / (1 - p1)) / (p0 / (1 - p0))
    rows = []
    for term, values in zip(
        [*names, "risk difference", "risk ratio", "odds ratio"],
        [p0, p1, difference, ratio, odds],
        strict=True,
    ):
        relative = "ratio" in term
        low, high = drawn_limits(values, level)
        with np.errstate(divide="ignore", invalid="ignore"):  # a ratio of 0 has no such error
            spread = float((np.log(values) if relative else values).std(ddof=1))
        rows.append(
            {
                "term": term,
                "estimate": float(np.median(values) if relative else values.mean()),
                "std_error": spread,
                "conf_low": low,
                "conf_high": high,
            }
        )
    table = pd.DataFrame(rows)
    for least in REDUCTIONS:
        name = reduction_column(least)
        probability = float((difference < -least).mean())
        table[name] = np.where(table["term"] == "risk difference", probability, np.nan)
    return table


def reduction_column(least: float) -> str:
    """The column with the probability that treatment lowers the risk by more than `least`.

    Parameters
    ----------
    least : float
        One of `REDUCTIONS`.
    """
    return "prob_benefit" + (f"_{100 * least:.0f}" if least else "")


def of_moments(
    risk: np.ndarray, cov: np.ndarray, names: Sequence[str], level: float, df: float = np.inf
) -> pd.DataFrame:
    """Table from two risks and their covariance, on so many degrees of freedom.

    Limits of ratios are on the log scale, of risks on the logit scale and of the difference on that
    of Fisher's z, so that none leaves the range of its quantity.
    """
    from scipy.special import logit, stdtr, stdtrit

    z = float(stdtrit(df, 0.5 + level / 2))
    p0, p1 = (float(p) for p in risk)
    odds = 1.0 / (risk * (1.0 - risk))
    rows = []

    def add(
        term: str,
        value: float,
        slope: np.ndarray,
        back: Callable[[float], float] | None = None,
        test: bool = True,
    ) -> None:
        se = float(np.sqrt(max(slope @ cov @ slope, 0.0)))
        p = 2.0 * float(stdtr(df, -abs(value) / se)) if test and se > 0 else np.nan
        if back is None:
            low, high = within(value, se, z)
        else:
            value, low, high = (float(back(v)) for v in (value, value - z * se, value + z * se))
        rows.append((term, value, se, low, high, p))

    for name, p, se in zip(names, risk, np.sqrt(np.diag(cov)), strict=True):
        rows.append((name, p, se, *proportion(float(p), float(se), z), np.nan))
    add("risk difference", p1 - p0, np.array([-1.0, 1.0]))
    add("risk ratio", float(np.log(p1 / p0)), np.array([-1.0 / p0, 1.0 / p1]), np.exp)
    add("odds ratio", float(logit(p1) - logit(p0)), np.array([-odds[0], odds[1]]), np.exp)
    return pd.DataFrame(rows, columns=[*COLUMNS, "p_value"])
