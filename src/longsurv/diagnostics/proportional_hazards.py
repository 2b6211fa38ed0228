"""Do the hazard ratios stay the same over time?

The score test of Grambsch & Therneau (1994, Biometrika 81:515-526) in the form of R's ``cox.zph``
since survival 3.0: every coefficient b_j gets a companion b_j + theta_j g(t), and theta = 0 is
tested by its score at the fitted coefficients, with the information of (b, theta) in full, not the
older approximation by a common covariance at all event times. With s_k and I_k the contributions of
event time k to score and information,

    U = sum g_k s_k,    information = [[sum I_k, sum g_k I_k], [sum g_k I_k, sum g_k^2 I_k]].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.design.names import apart
from longsurv.diagnostics.cox_residuals import CoxFit, residuals, risk_sums_at
from longsurv.errors import LongsurvError
from longsurv.figures.checks import residuals_over_time
from longsurv.figures.place import described, place_of
from longsurv.inference import identify
from longsurv.likelihood.cox.data import CoxData
from longsurv.likelihood.cox.kernel import cross_product, expected_events, mirror, subtract_means
from longsurv.tables.notebook import Readable
from longsurv.words import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

type Transform = Literal["km", "identity", "log", "rank"]
ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class ProportionalHazards(Readable):
    """Tests of proportional hazards.

    Attributes
    ----------
    table : DataFrame
        term, statistic (chi-squared), df, p_value: one row a coefficient, then "GLOBAL", of those
        that the data determine. NaN where events at several times are too few to show a change.
    transform : str
        g(t) of the alternative.
    trend : DataFrame
        One row an event, by stratum and time: time, g (g(t) centred), and for each coefficient the
        scaled Schoenfeld residual, whose smooth over g shows the log hazard ratio over time.
    """

    read_as: ClassVar[tuple[str, ...]] = ("words", "table")

    table: pd.DataFrame
    transform: str
    trend: pd.DataFrame

    @property
    def words(self) -> str:
        """The verdict in a sentence."""
        whole = self.table.iloc[-1]
        if np.isnan(whole["p_value"]):
            return (
                "Proportional hazards cannot be tested: the events are too few, or at too few "
                "times, to show a change."
            )
        low = self.table.iloc[:-1].query("p_value < @ALPHA")["term"]
        verdict = (
            f"Proportional hazards: chi-squared {whole['statistic']:.3g} on {whole['df']:.0f} df, "
            f"p = {whole['p_value']:.2g} ({self.transform} time)"
        )
        if len(low):
            return f"{verdict}; the hazard ratio of {', '.join(low)} seems to change over time."
        events = len(self.trend)
        if events < 10 * (len(self.table) - 1):
            return f"{verdict}; with {plural(events, 'event')} the test can hardly see a change."
        return f"{verdict}; no sign that a hazard ratio changes over time."

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the scaled Schoenfeld residuals of each coefficient over time.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Whose place to take; a new figure otherwise.

        Returns
        -------
        Axes
            Its label says in words what it shows.
        """
        terms = list(self.trend.columns[2:])
        drawn = residuals_over_time(
            self.trend["time"].to_numpy(dtype=float),
            {name: self.trend[name].to_numpy(dtype=float) for name in terms},
            xlabel="Time", ax=place_of(ax),
        )  # fmt: skip
        return described(drawn, f"Scaled Schoenfeld residuals over time. {self.words}")

    def __repr__(self) -> str:
        return f"{self.words}\n{self.table.to_string(index=False)}"


@checked
def cox_zph(fit: CoxFit, transform: Transform = "km") -> ProportionalHazards:
    """Test proportional hazards of a fitted Cox model, coefficient by coefficient and together.

    Parameters
    ----------
    fit : SurvivalEstimate
    transform : {"km", "identity", "log", "rank"}
        g(t): one minus the Kaplan-Meier estimate just before t, time, its logarithm, or the rank of
        t among all exits.

    Returns
    -------
    ProportionalHazards

    Raises
    ------
    LongsurvError
        For an unknown transform, a logarithm of time 0, or a model without covariates.
    """
    if not fit.names:
        raise LongsurvError("a model without covariates has no hazard ratios to test")
    from scipy.stats import chi2

    data, design, p = fit.data, fit.design, len(fit.names)
    events = np.flatnonzero(design.event)
    times = np.unique(design.exit[events])
    g = _transformed(transform, times, design)
    at_events = g[np.searchsorted(times, design.exit[events])]
    g = g - at_events.mean()
    # event times of the kernel are the data's up to ties by rounding
    of_time = g[np.clip(np.searchsorted(times, data.times), 0, len(times) - 1)]
    U, blocks = _companion(data, fit.coefficients, of_time)

    kept = fit.optimum.free  # coefficients that the data determine, or stand for those that are
    known = np.flatnonzero(~np.isin(fit.names, fit.undetermined))

    def statistic(chosen: np.ndarray) -> float:
        keep = np.append(kept, p + chosen)
        u = np.append(np.zeros(len(kept)), U[chosen])
        found = identify(blocks[np.ix_(keep, keep)])
        testable = len(chosen) and found.flat.determined[len(kept) :].all()
        return float(u @ found.cov @ u) if testable else np.nan

    statistics = [statistic(np.array([j])) if j in known else np.nan for j in range(p)] + [
        statistic(known)
    ]
    df = np.append(np.ones(p, dtype=int), len(known))
    table = pd.DataFrame(
        {
            "term": [*fit.names, "GLOBAL"],
            "statistic": statistics,
            "df": df,
            "p_value": chi2.sf(statistics, df),
        }
    )
    trend = apart(residuals(fit, "scaled_schoenfeld"), ["g"], "_variable")
    trend.insert(1, "g", g[np.searchsorted(times, trend["time"])])
    return ProportionalHazards(table, transform, trend)


def _transformed(transform: str, times: np.ndarray, design: object) -> np.ndarray:
    """g at the distinct event times, not yet centred."""
    event, exit_, entry = design.event, design.exit, design.entry  # type: ignore[attr-defined]
    if transform == "identity":
        return times
    if transform == "log":
        if times[0] <= 0:
            raise LongsurvError("an event at time 0 has no logarithm; use another transform")
        return np.log(times)
    deaths = np.bincount(np.searchsorted(times, exit_[event == 1]), minlength=len(times))
    if transform == "rank":
        ordered = np.sort(exit_)  # among all exits, tied ones sharing their mean rank
        first, last = (np.searchsorted(ordered, times, side) for side in ("left", "right"))
        return (first + last + 1) / 2.0
    late = len(design.formula.surv) == 3  # type: ignore[attr-defined]
    entered = np.searchsorted(np.sort(entry), times) if late else len(entry)
    at_risk = entered - np.searchsorted(np.sort(exit_), times)
    km = np.cumprod(1.0 - deaths / at_risk)
    return 1.0 - np.append(1.0, km[:-1])


def _companion(data: CoxData, beta: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Score of theta, shape (p,), and information of (b, theta), shape (2p, 2p), at theta = 0."""
    a, at, p = data.arrays, risk_sums_at(data, beta), data.n_columns

    def weighted(power: int) -> np.ndarray:
        moments = at.moments * (g**power)[:, None]
        expected = expected_events(a, at.v, at.e, at.eS, moments)
        product = cross_product(a.X, expected)
        subtract_means(a, at.S, at.E, moments, product)
        mirror(product)
        return product * np.outer(data.scale, data.scale)

    expected = expected_events(a, at.v, at.e, at.eS, at.moments * g[:, None])
    observed = np.where(a.event, a.weight * g[a.last - 1], 0.0)
    U = (a.X.T @ (observed - expected)) * data.scale
    blocks = np.empty((2 * p, 2 * p))
    blocks[:p, :p] = weighted(0)
    blocks[:p, p:] = blocks[p:, :p] = weighted(1)
    blocks[p:, p:] = weighted(2)
    return U, blocks
