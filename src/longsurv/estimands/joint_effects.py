"""What treatment does to survival or to a cause of death, past the marker and through it.

With S(d, m) the survival to the horizon, averaged over the cohort and over the random effects, if
the hazard had treatment d and the marker's curve were that under treatment m (0 reference, 1
treated):

    overall = S(1, 1) - S(0, 0) = direct + through the marker
    direct = S(1, 0) - S(0, 0)          the marker's curve as it would be without treatment
    through the marker = S(1, 1) - S(1, 0)          what moving the curve adds among the treated

These are the natural direct effect and the total natural indirect effect; the other order, S(0, 1)
- S(0, 0) first, gives other parts of the same whole. Several markers count as one: their curves
move together. A patient's random effects, what the patient is like apart from treatment, are the
same under either, and have the distribution N(0, D) of the cohort at entry; with entry times
survival is that from each patient's entry on.

With competing causes the effects are on the cumulative incidence F(d, m) of one of them by the
horizon, in place of S(d, m): treatment d acts on the hazards of all causes, and the marker's curve
on all that depend on it. So treatment may change the incidence of a cause only because it changes
how many are left to have it, by way of the other causes; its effect on the hazard of the cause
itself is in the hazard ratio. Read the causes together.

What it rests on. The overall effect is causal only if treatment is as good as random given the
covariates of both formulas. The parts need more: nothing unmeasured may cause both the marker and
the event, or be moved by treatment and then move both, apart from the random effects that the model
has; and the event must depend on the marker only through the links of the model. Where that cannot
be defended, and in an observational cohort it rarely can, the parts describe associations.

Zheng & Liu (2022), Biometrics 78:1233-1243, and Pearl (2001), Proc 17th UAI, 411-420, for the
effects; VanderWeele (2011), Epidemiology 22:582-585, for survival as the outcome.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.joint_rows import JointResult, chosen_cause, joint_spec
from longsurv.estimands.joint_worlds import WORLDS, incidences, standardised, worlds
from longsurv.estimands.standardised import marked
from longsurv.estimands.treatments import two_levels, with_treatment
from longsurv.figures import forest
from longsurv.figures.place import described, place_of
from longsurv.numbers import difference, signed
from longsurv.tables.notebook import Readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.design.joint import JointDesign

PARTS = ["direct", "through the marker", "overall"]
"""Terms that are differences, as they are drawn."""


@dataclass(frozen=True, eq=False, repr=False)
class JointEffects(Readable):
    """Effects of treatment on survival, or on the incidence of a cause, by what they go through.

    Attributes
    ----------
    table : DataFrame
        term, estimate, std_error, conf_low, conf_high, prob_positive. Terms: "direct", "through the
        marker" and "overall" (differences of survival; above 0 is benefit), "survival (reference)",
        "survival (treated, marker as under reference)" and "survival (treated)" with the names of
        the levels, and "hazard ratio at the same marker" (its std_error on the log scale; below 1
        is benefit), missing where the hazard has treatment in several coefficients or none.
        prob_positive (that a difference is above 0, the ratio above 1) is a posterior probability;
        for an estimate, the share of parameters drawn from its normal distribution, which is one
        minus a one-sided p value. Of a cause of several the terms are "incidence (reference)" and
        so on, and differences are of its incidence.
    draws : DataFrame
        Survival S(d,m), or incidence F(d,m), in the three worlds, one row a parameter vector.
    horizon : float
    treatment : str
    levels : tuple
        Reference and treated.
    level : float
    posterior : bool
    cause : str or None
        Whose incidence it is, of several causes.
    """

    read_as: ClassVar[tuple[str, ...]] = ("words", "table")

    table: pd.DataFrame
    draws: pd.DataFrame
    horizon: float
    treatment: str
    levels: tuple[Hashable, Hashable]
    level: float
    posterior: bool
    cause: str | None = None

    @property
    def words(self) -> str:
        """The finding in sentences."""
        rows = self.table.set_index("term")

        def said(term: str) -> str:
            at = (100.0 * rows.loc[term, ["estimate", "conf_low", "conf_high"]]).astype(float)
            point, low, high = (signed(value, 1) for value in at)
            return f"{point} % ({low} to {high})"

        what = "Survival to" if self.cause is None else f"Incidence of {self.cause} by"
        return (
            f"{what} {self.horizon:g} differs by {said('overall')} between {self.treatment} "
            f"{self.levels[1]} and {self.levels[0]}: {said('direct')} at the same marker and "
            f"{said('through the marker')} through it. The parts are associations unless nothing "
            "unmeasured moves both the marker and the event."
        )

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the direct effect, that through the marker and both together.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.
        """
        shown = self.table.set_index("term").loc[PARTS, ["estimate", "conf_low", "conf_high"]]
        text = [difference(*row) for row in shown.itertuples(index=False)]
        of = "survival" if self.cause is None else f"incidence of {self.cause}"
        what = f"Difference in {of} by {self.horizon:g}"
        drawn = forest(
            shown.assign(row=PARTS, series="", text=text), xlabel=what,
            text_heading=f"Estimate ({100 * self.level:g} % interval)", ax=place_of(ax),
        )  # fmt: skip
        said = "; ".join(f"{part} {words}" for part, words in zip(PARTS, text, strict=True))
        return described(drawn, f"{what}: {said}.")

    def __repr__(self) -> str:
        return f"{self.words}\n{self.table.to_string(index=False)}"


@checked
def joint_effects(
    result: JointResult,
    treatment: str,
    horizon: float,
    *,
    treated: Hashable | None = None,
    reference: Hashable | None = None,
    draws: int = 400,
    level: float = 0.95,
    seed: int = 1,
    cause: str | None = None,
) -> JointEffects:
    """Direct, mediated and overall effect of treatment on survival to, or incidence by, a horizon.

    Parameters
    ----------
    result : JointEstimate or JointPosterior
    treatment : str
        Column of the event's data, of all causes or some; the marker's formula may have it too.
    horizon : float
        On the clock of the event, after every entry and within follow-up.
    treated, reference : optional
        The levels compared; by default the only two, in the order of the categories.
    draws : int
        Parameter vectors: drawn from the normal distribution of an estimate, evenly spaced among
        those of a posterior. Of an incidence each costs 15 times what it does of survival, or 30
        with a spline: for 300 patients and 400 vectors, half a minute or a minute.
    level : float
        Of the equal-tailed intervals.
    seed : int
        Of the draws for an estimate.
    cause : str, optional
        The cause whose incidence it is; needed if there are several.

    Returns
    -------
    JointEffects

    Raises
    ------
    LongsurvError
        If treatment is in neither formula, the levels are not clear, the horizon cannot be used, or
        no cause is named of several.
    EstimationError
        If the data do not determine what it depends on.

    Notes
    -----
    Where a cause has few events, a spline's coefficients before the first of them are hardly known
    to maximum likelihood, and some vectors of the normal distribution have everyone taken by that
    cause at once: the interval of an incidence is then useless. A posterior, whose prior smooths
    the spline, or a Weibull baseline does not do so.
    """
    joint_spec(result, "joint_effects", markers=True, causes=True, limits=True)
    design = result.design
    names = [one.name for one in design.causes]
    cause = chosen_cause(names, cause, "joint_effects")
    which = 0 if cause is None else names.index(cause)
    _check(design, horizon, draws)
    frames = [one.rows for one in design.causes if treatment in one.rows]
    levels = two_levels((frames or [design.causes[0].rows])[0], treatment, treated, reference)
    if not _uses(design, treatment):
        raise LongsurvError(f"neither formula has {treatment!r}, so the model gives it no effect")
    if result.engine == "ml" and result.undetermined:
        raise EstimationError(
            f"the data do not determine {', '.join(result.undetermined)}, on which the curves of "
            "the cohort under either treatment depend"
        )
    thetas, posterior = parameter_vectors(result, draws, seed)
    if cause is None:
        data = worlds(result.data, design, treatment, levels, horizon)
        values = standardised(data, thetas, len(design.labels))
        table = _table(values, levels, level, posterior)
    else:
        values = incidences(result.data, design, which, treatment, levels, horizon, thetas)
        table = _table(values, levels, level, posterior, what="incidence")
    ratios = log_ratios(design, treatment, levels, which, thetas)
    table.loc[len(table)] = _ratio_row(ratios, level, posterior)
    marked(table, result)
    return JointEffects(
        table=table,
        draws=pd.DataFrame(
            values, columns=[f"{'S' if cause is None else 'F'}({d},{m})" for d, m in WORLDS]
        ),
        horizon=float(horizon),
        treatment=treatment,
        levels=levels,
        level=level,
        posterior=posterior,
        cause=cause,
    )


def _check(design: JointDesign, horizon: float, draws: int) -> None:
    problems = []
    first, last = float(design.entry.max()), float(design.exit.max())
    if not first < horizon <= last:
        after = f"after every entry ({first:g}) and " if first > 0 else ""
        problems.append(f"the horizon is a time {after}up to the last exit, {last:g}; "
                        f"got {horizon!r}")  # fmt: skip
    if draws < 2:
        problems.append(f"draws is at least 2, not {draws!r}")
    if problems:
        raise LongsurvError("; ".join(problems))


def _uses(design: JointDesign, treatment: str) -> bool:
    fixed = [one.event.fixed for one in design.causes] + [m.design.fixed for m in design.markers]
    used = any(treatment in {str(v) for v in f.recipe.required_variables} for f in fixed)
    return used or any(link.by == treatment for one in design.causes for _, link, _ in one.links)


def parameter_vectors(result: JointResult, draws: int, seed: int) -> tuple[np.ndarray, bool]:
    """Parameter vectors (S, d) that carry the uncertainty, and whether they are a posterior's.

    Those of an estimate are itself, then draws from its asymptotic normal distribution.
    """
    if result.engine == "ml":
        values, vectors = np.linalg.eigh(result.cov_theta)
        half = vectors * np.sqrt(np.maximum(values, 0.0))
        z = np.random.default_rng(seed).standard_normal((draws, len(values)))
        return np.vstack([result.theta, result.theta + z @ half.T]), False
    return result.draws.spread(draws), True


def log_ratios(
    design: JointDesign,
    treatment: str,
    levels: tuple[Hashable, Hashable],
    which: int,
    thetas: np.ndarray,
) -> np.ndarray:
    """Log hazard ratio of the levels at any one marker, shape (draws,); NaN if there is not one."""
    cause = design.causes[which]
    fixed = cause.event.fixed
    own = [c for c in fixed.variables.get(treatment, ()) if c in fixed.names]
    crossed = [c for c in fixed.names if ":" in c and set(c.split(":")) & set(own)]
    if not own or crossed or any(link.by == treatment for _, link, _ in cause.links):
        return np.full(len(thetas), np.nan)
    one = cause.rows.iloc[:1]
    low, high = (fixed.rebuild(with_treatment(one, treatment, level))[0] for level in levels)
    places = [design.theta_names.index(name) for name in cause.covariate_names]
    return np.asarray(thetas[:, places] @ (high - low))


def _table(
    values: np.ndarray,
    levels: tuple[Hashable, Hashable],
    level: float,
    posterior: bool,
    what: str = "survival",
) -> pd.DataFrame:
    """Differences of survival, or of incidence, and each alone."""
    s00, s10, s11 = values.T
    parts = {
        "direct": s10 - s00,
        "through the marker": s11 - s10,
        "overall": s11 - s00,
        f"{what} ({levels[0]})": s00,
        f"{what} ({levels[1]}, marker as under {levels[0]})": s10,
        f"{what} ({levels[1]})": s11,
    }
    rows = []
    for term, part in parts.items():
        spread = part if posterior else part[1:]
        low, high = np.quantile(spread, [0.5 - level / 2, 0.5 + level / 2])
        rows.append(
            {
                "term": term,
                "estimate": float(part.mean() if posterior else part[0]),
                "std_error": float(spread.std(ddof=1)),
                "conf_low": float(low),
                "conf_high": float(high),
                "prob_positive": np.nan if term.startswith(what) else float((spread > 0).mean()),
            }
        )
    return pd.DataFrame(rows)


def _ratio_row(log_ratio: np.ndarray, level: float, posterior: bool) -> list[str | float]:
    """The hazard ratio at the same marker, its median for a posterior."""
    spread = log_ratio if posterior else log_ratio[1:]
    low, high = np.exp(np.quantile(spread, [0.5 - level / 2, 0.5 + level / 2]))
    middle = float(np.exp(np.median(log_ratio) if posterior else log_ratio[0]))
    known = not np.isnan(middle)
    return [
        "hazard ratio at the same marker",
        middle,
        float(spread.std(ddof=1)),
        float(low),
        float(high),
        float((spread > 0).mean()) if known else np.nan,
    ]
