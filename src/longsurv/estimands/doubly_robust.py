"""Risks under each treatment that are right if one of two models is: treatment's or outcome's.

The mean over all patients of the risk that a logistic regression of the outcome predicts under a
treatment, plus the weighted mean of what it left over among those who had that treatment
(augmented inverse probability weighting):

    psi_a = mean of F(a, x) + 1{A = a} / P(A = a | x) * C / G * (Y - F(a, x)).

Y is the event by the horizon, others having left by competing events. C says whether that is
known, and G how likely that was: Kaplan and Meier's curve of the end of follow-up in the patient's
group, just before the event or the horizon. Both regressions and G are estimated, and the variance
accounts for all three.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special, stats

from longsurv.arguments import checked
from longsurv.design.rank import independent_columns
from longsurv.errors import DataError, EstimationError, LongsurvError
from longsurv.estimands.intervals import proportion, within
from longsurv.estimands.propensity import fit_propensity
from longsurv.estimands.propensity_result import PropensityWeights, patients
from longsurv.estimands.several_arms import compared
from longsurv.estimands.targets import ATE
from longsurv.estimands.treatments import Compare
from longsurv.estimands.weighted_influence import score_influence
from longsurv.estimands.weighted_sample import WeightedSample


@checked
def doubly_robust_risk(
    weights: PropensityWeights,
    data: pd.DataFrame,
    horizon: float,
    *,
    cause: int = 1,
    compare: Compare = "reference",
    level: float = 0.95,
) -> pd.DataFrame:
    """Risks by a horizon under each treatment, by augmented inverse probability weighting.

    Parameters
    ----------
    weights : PropensityWeights
        Of all patients (target "ATE"). Their covariates, beside the treatment, are those of the
        outcome's logistic regression too; Firth's where they separate.
    data : DataFrame
        The table that the weights were made from, with "exit" and "status" or "event".
    horizon : float
    cause : int
        Status of the event; every other above 0 competes with it.
    compare : {"reference", "pairwise"}
        Of several arms every other with the reference, or every pair.
    level : float

    Returns
    -------
    DataFrame
        Rows "risk of" each group, "risk difference" (group minus reference), "risk ratio":
        quantity, estimate, std_error (of the ratio: of its logarithm), statistic, df, p_value,
        conf_low, conf_high, note. The standard error is that of the influence of each patient,
        times n / (n - p), with Student's t on n - p degrees of freedom, p the coefficients of the
        outcome's regression. A risk that comes out below 0 or above 1, as it can with few patients,
        is NaN; the risk of a group in which nobody (or everybody) has the event has no standard
        error; the note says so. Of more than two arms there is a difference and a ratio a
        comparison, its name ("active - control") first, as `comparison`, and p_holm after p_value,
        corrected by Holm's method for the number of comparisons.

    Raises
    ------
    LongsurvError
        For weights of another population.
    DataError
        If patients enter at different times, or follow-up of a group ends before the horizon.
    EstimationError
        If there are no more patients than coefficients, or no event by the horizon.

    References
    ----------
    Robins JM, Rotnitzky A, Zhao LP. Estimation of regression coefficients when some regressors are
    not always observed. J Am Stat Assoc 1994;89:846-866. Bang H, Robins JM. Doubly robust
    estimation in missing data and causal inference models. Biometrics 2005;61:962-973. Scheike TH,
    Zhang MJ, Gerds TA. Predicting cumulative incidence probability by direct binomial regression.
    Biometrika 2008;95:205-220.
    """
    if weights.target is not ATE:
        raise LongsurvError(
            f"the doubly robust risk is that of all patients: make the weights with target='ATE',"
            f" not {weights.target.name!r}"
        )
    seen = _Seen.of(weights, data, horizon, cause)
    X, _ = _regressors(weights)
    n, p = X.shape
    if n <= p:
        raise EstimationError(
            f"{patients(n)} are too few for an outcome's regression of {p} coefficients"
        )
    risks, found, notes = _augmented(weights, seen)
    cov, df = found.T @ found * n / (n - p), float(n - p)
    quantile = float(stats.t.ppf((1 + level) / 2, df))
    rows, impossible, same = [], [], []
    for k, (label, mine) in enumerate(weights.sides):
        if not 0 <= risks[k] <= 1:
            impossible.append(
                f"the risk of {label} comes out as {risks[k]:.2g}, which is none: too few patients"
            )
            risks[k] = math.nan
        events = seen.event[mine & seen.known]
        if events.all() or not events.any():
            which = "everybody had the event" if events.all() else "no events"
            same.append(f"{label}: {which}, so the variance of its risk is not known")
            cov[k] = cov[:, k] = math.nan
        error = _root(cov[k, k])
        low, high = proportion(float(risks[k]), error, quantile)
        rows.append(_row(f"risk of {label}", risks[k], error, math.nan, df, low, high))
    for i, j in weights.pairs(compare):
        two = risks[[i, j]], cov[np.ix_([i, j], [i, j])]
        rows += [_difference(*two, quantile, df), _ratio(*two, quantile, df)]
    note = "; ".join(filter(None, (*notes, *impossible, *same, weights.note)))
    table = pd.DataFrame(rows).assign(note=note)
    if len(weights.arms) == 2:
        return table
    return compared(table, weights, compare, ["risk difference", "risk ratio"])


def _difference(
    risks: np.ndarray, cov: np.ndarray, quantile: float, df: float
) -> dict[str, object]:
    value, error = float(risks[0] - risks[1]), _root(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])
    low, high = within(value, error, quantile)
    statistic = value / error if error > 0 else math.nan
    return _row("risk difference", value, error, statistic, df, low, high)


def _root(variance: float) -> float:
    return math.sqrt(max(variance, 0.0)) if math.isfinite(variance) else math.nan


@dataclass(frozen=True, eq=False)
class _Seen:
    """What is known of each patient at the horizon."""

    status: np.ndarray
    exit: np.ndarray
    until: np.ndarray  # when the outcome was known, the event or the horizon
    known: np.ndarray
    event: np.ndarray

    @classmethod
    def of(
        cls, weights: PropensityWeights, data: pd.DataFrame, horizon: float, cause: int
    ) -> _Seen:
        sample = WeightedSample.of(weights, data)
        f = sample.follow_up
        if (f.entry > f.entry.min()).any():
            raise DataError(
                "the doubly robust risk needs one entry time for all patients; with delayed entry"
                " use weighted_comparison, whose curves take it in"
            )
        at = float(f.on_clock(np.array(horizon)))
        if not at > float(f.entry.min()):
            raise LongsurvError(
                f"the horizon ({at:g}) must come after the entry ({f.entry.min():g})"
            )
        for label, mine in sample.groups(weights):
            side = f.of(mine)
            why = side.extent(*side.causes).why(at)
            if why:
                raise DataError(f"group {label}: {why}, so the risk by {at:g} is not known")
        event = (f.status == cause) & (f.exit <= at)
        if not event.any():
            raise EstimationError(f"no event happened by {at:g} in any group")
        known = (f.exit >= at) | (f.status > 0)
        return cls(f.status, f.exit, np.minimum(f.exit, at), known, event)


@dataclass(frozen=True, eq=False)
class _Censoring:
    """The curve of the end of follow-up in one group; events come before censorings at a tie."""

    time: np.ndarray
    at_risk: np.ndarray
    hazard: np.ndarray

    @classmethod
    def of(cls, exit: np.ndarray, status: np.ndarray, horizon: float) -> _Censoring:
        """Estimate it up to a time."""
        ended = np.sort(exit[status == 0])
        time = np.unique(ended[ended < horizon])
        events = np.sort(exit[status > 0])
        there = (len(ended) - np.searchsorted(ended, time, "left")) + (
            len(events) - np.searchsorted(events, time, "right")
        )
        count = np.searchsorted(ended, time, "right") - np.searchsorted(ended, time, "left")
        return cls(time, there, count / there)

    def before(self, times: np.ndarray) -> np.ndarray:
        """Still followed just before each time."""
        curve = np.concatenate([[1.0], np.cumprod(1 - self.hazard)])
        return curve[np.searchsorted(self.time, times, "left")]

    def influence(
        self, exit: np.ndarray, status: np.ndarray, until: np.ndarray, moves: np.ndarray
    ) -> np.ndarray:
        """What estimating the curve adds, given how quantities move with each log of 1 / G."""
        m = len(self.time)
        if m == 0:
            return np.zeros_like(moves)
        place = np.searchsorted(self.time, until, "left")  # so many steps lie before
        later = np.zeros((m + 1, moves.shape[1]))
        np.add.at(later, place, moves)
        total = np.cumsum(later[::-1], axis=0)[::-1][1:]  # of those who passed each step
        left = 1 - self.hazard
        per = total / (np.where(left > 0, left, np.inf) * self.at_risk)[:, None]
        spent = np.concatenate(
            [np.zeros((1, per.shape[1])), np.cumsum(per * self.hazard[:, None], axis=0)]
        )
        # An event at a step comes before it, so who had one was not there to be censored.
        side = np.where(
            status == 0,
            np.searchsorted(self.time, exit, "right"),
            np.searchsorted(self.time, exit, "left"),
        )
        found = -spent[side]
        mine = (status == 0) & (side > 0)
        mine[mine] = self.time[side[mine] - 1] == exit[mine]
        found[mine] += per[side[mine] - 1]
        return found


def _regressors(weights: PropensityWeights) -> tuple[np.ndarray, list[np.ndarray]]:
    """Columns of the outcome's regression: covariates, then arms; and those were all in each arm,
    in the order of `PropensityWeights.sides`."""
    others = np.arange(1, len(weights.arms))
    kept = weights.centred[:, independent_columns(weights.centred)]
    n = len(kept)

    def beside(arm: np.ndarray) -> np.ndarray:
        return np.column_stack([kept, arm[:, None] == others])

    return beside(weights.arm), [beside(np.full(n, j)) for j in (*others, 0)]


def _augmented(weights: PropensityWeights, seen: _Seen) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The risks, the influence of each patient on them, shape (n, k), and notes."""
    n, sides = len(weights.arm), [mine for _, mine in weights.sides]
    horizon = float(seen.until.max())
    curves = [_Censoring.of(seen.exit[mine], seen.status[mine], horizon) for mine in sides]
    G = np.ones(n)
    for mine, curve in zip(sides, curves, strict=True):
        G[mine] = curve.before(seen.until[mine])
    v = np.where(seen.known, 1 / np.where(seen.known, G, 1.0), 0.0)
    X, shifted = _regressors(weights)
    told = seen.known
    fit = fit_propensity(X[told], seen.event[told], v[told])
    beta = fit.coefficients[:, 0]
    own = special.expit(X @ beta)
    information = (X * (v * own * (1 - own))[:, None]).T @ X
    scores = (X * (v * (seen.event - own))[:, None]) @ np.linalg.inv(information)
    chance = weights.propensity.chance[np.arange(n), weights.arm]
    risks, influence, by_score, by_censoring = [], [], [], []
    for mine, under in zip(sides, shifted, strict=True):
        F = special.expit(under @ beta)
        r = mine / chance * v
        rest = r * (seen.event - F)
        risks.append(float(np.mean(F + rest)))
        outcome = ((1 - r) * F * (1 - F)) @ under / n
        influence.append((F + rest - risks[-1]) / n + scores @ outcome)
        by_score.append(rest[:, None] * weights.slope / n)
        by_censoring.append(rest / n + scores @ outcome)
    found = np.column_stack(influence) + score_influence(weights, np.stack(by_score, axis=-1))
    moves = np.column_stack(by_censoring)
    for mine, curve in zip(sides, curves, strict=True):
        found[mine] += curve.influence(
            seen.exit[mine], seen.status[mine], seen.until[mine], moves[mine]
        )
    notes = []
    if fit.method == "firth":
        notes.append(
            "outcome by Firth's penalised likelihood, since treatment and covariates (nearly)"
            " separate those with the event"
        )
    lost = int((~seen.known).sum())
    if lost:
        notes.append(f"{patients(lost)} censored before the horizon, made up for by weights")
    return np.array(risks), found, notes


def _ratio(risks: np.ndarray, cov: np.ndarray, quantile: float, df: float) -> dict[str, object]:
    if not (risks > 0).all():
        nothing = math.nan
        return _row("risk ratio", nothing, nothing, nothing, df, nothing, nothing)
    slope, centre = np.array([1 / risks[0], -1 / risks[1]]), math.log(risks[0] / risks[1])
    error = _root(float(slope @ cov @ slope))
    low, high = (math.exp(centre + side * quantile * error) for side in (-1, 1))
    statistic = centre / error if error > 0 else math.nan
    return _row("risk ratio", math.exp(centre), error, statistic, df, low, high)


def _row(
    quantity: str, value: float, error: float, statistic: float, df: float, low: float, high: float
) -> dict[str, object]:
    return {
        "quantity": quantity, "estimate": float(value), "std_error": error,
        "statistic": statistic, "df": df,
        "p_value": float(2 * stats.t.sf(abs(statistic), df)), "conf_low": low, "conf_high": high,
    }  # fmt: skip
