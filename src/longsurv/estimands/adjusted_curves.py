"""Survival, incidence and mean times of groups weighted to be like one population.

Kaplan and Meier's or Aalen and Johansen's curve of each group, its patients counted with their
propensity weights, and what follows from the curves at a horizon. The variance is a sandwich of
weights and score together (`weighted_influence`), so it accounts for the score being estimated;
the bootstrap estimates the score anew in every resample.

Censoring must not depend on the outcome within a group. Nothing is assumed of the hazards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from longsurv.arguments import checked
from longsurv.errors import DataError, LongsurvError
from longsurv.estimands.follow_up import FollowUp
from longsurv.estimands.intervals import drawn_limits, proportion, within
from longsurv.estimands.propensity_result import PropensityWeights
from longsurv.estimands.several_arms import compared
from longsurv.estimands.treatments import Compare
from longsurv.estimands.weighted_influence import check_spare, covariance
from longsurv.estimands.weighted_risks import WeightedRisks
from longsurv.estimands.weighted_sample import Moved, WeightedSample, estimates, resampled

LIMITS = ("estimate", "std_error", "conf_low", "conf_high")
_ROUNDING = 1e-12


@checked
def weighted_survival(
    weights: PropensityWeights,
    data: pd.DataFrame,
    times: Sequence[float],
    *,
    level: float = 0.95,
    bootstrap: int = 0,
    seed: int = 1,
) -> pd.DataFrame:
    """Weighted Kaplan-Meier survival of every group at some times.

    Competing events are censored, as in `survival_table`; see `weighted_incidence`.

    Parameters
    ----------
    weights : PropensityWeights
    data : DataFrame
        The table that the weights were made from, with "exit", "status" or "event", and "entry" if
        delayed, as `Cohort.survival_data()` has them.
    times : sequence of float
    level : float
    bootstrap : int
        Resamples for percentile limits, the groups resampled apart and the score estimated anew in
        each. 0: limits from the sandwich variance, times n / (n - p), with Student's t on n - p
        degrees of freedom, on the logit scale.
    seed : int

    Returns
    -------
    DataFrame
        A row a group and time: group, time, n_risk (patients just
        before), estimate, std_error, conf_low, conf_high, note.

    Raises
    ------
    DataError
        For data that cannot be follow-up or are not those of the weights.
    EstimationError
        If there are no more patients than coefficients of the score.
    """
    sample = WeightedSample.of(weights, data)
    curve = _curve(weights, sample.alone(1), times, 1, level, bootstrap, seed)
    flipped = {"estimate": 1 - curve["estimate"], "conf_low": 1 - curve["conf_high"],
               "conf_high": 1 - curve["conf_low"]}  # fmt: skip
    return curve.assign(**flipped)


@checked
def weighted_incidence(
    weights: PropensityWeights,
    data: pd.DataFrame,
    times: Sequence[float],
    *,
    cause: int = 1,
    level: float = 0.95,
    bootstrap: int = 0,
    seed: int = 1,
) -> pd.DataFrame:
    """Weighted cumulative incidence (Aalen-Johansen) of every group at some times.

    Parameters
    ----------
    weights : PropensityWeights
    data : DataFrame
        As `weighted_survival` takes it.
    times : sequence of float
    cause : int
        Status of the event; every other above 0 competes with it.
    level : float
    bootstrap, seed : int
        As for `weighted_survival`.

    Returns
    -------
    DataFrame
        As `weighted_survival` returns it.
    """
    return _curve(weights, WeightedSample.of(weights, data), times, cause, level, bootstrap, seed)


@checked
def weighted_comparison(
    weights: PropensityWeights,
    data: pd.DataFrame,
    horizon: float,
    *,
    cause: int = 1,
    compare: Compare = "reference",
    level: float = 0.95,
    bootstrap: int = 0,
    seed: int = 1,
) -> pd.DataFrame:
    """Compare the weighted risks and mean times of the groups by a horizon.

    Parameters
    ----------
    weights : PropensityWeights
    data : DataFrame
        As `weighted_survival` takes it.
    horizon : float
    cause : int
        Of the risks (cumulative incidences); other statuses above 0 compete with it. Mean times
        are those free of this cause, competing events censored, as in `restricted_mean_table`.
    compare : {"reference", "pairwise"}
        Of several arms every other with the reference, or every pair.
    level : float
    bootstrap, seed : int
        As for `weighted_survival`.

    Returns
    -------
    DataFrame
        Rows "risk of" and "mean time of" each group, "risk difference" (group minus reference),
        "risk ratio", "mean time difference": quantity, estimate, std_error (of the ratio: of its
        logarithm), statistic, df, p_value, conf_low, conf_high, note. Limits of risks are on the
        logit scale, of differences on that of Fisher's z, of the ratio on the logarithmic one. Of
        more than two arms there are differences and a ratio a comparison, its name ("active -
        control") first, as `comparison`, and p_holm after p_value, corrected by Holm's method for
        the number of comparisons.

    Raises
    ------
    DataError
        Also if a risk is not known: follow-up of a group ends before the horizon with patients at
        risk, or nobody is at risk at first.
    EstimationError
        If there are no more patients than coefficients of the score.
    """
    sample = WeightedSample.of(weights, data)
    at, start = float(sample.follow_up.on_clock(np.array(horizon))), sample.start
    if not start < at:
        raise LongsurvError(f"the horizon ({at:g}) must come after the first entry ({start:g})")
    for label, mine in sample.groups(weights):
        side = sample.follow_up.of(mine)
        why = side.extent(*side.causes).why(at)
        if why:
            raise DataError(f"group {label}: {why}, so the risk by {at:g} is not known")

    def ask(side: FollowUp, w: np.ndarray) -> list[Moved]:
        alone = FollowUp(side.entry, side.exit, (side.status == cause) * 1)
        return [
            WeightedRisks(side, w, cause).risk(at),
            WeightedRisks(alone, w).mean_time(start, at),
        ]

    values, moves = estimates(sample, weights.weights, ask)
    cov, df = covariance(weights, moves.reshape(len(moves), -1)), _df(weights)
    drawn = resampled(sample, weights, ask, bootstrap, seed) if bootstrap else None
    risks, means = values.T
    labels, pairs = [label for label, _ in weights.sides], weights.pairs(compare)
    # Quantities of the arms alternate: risk, mean time; a slope is a derivative in all of them.
    of_risk, of_mean = np.eye(2 * len(labels))[::2], np.eye(2 * len(labels))[1::2]
    rows: list[tuple[str, tuple[int, ...], float, np.ndarray, Scale]] = []
    for k, label in enumerate(labels):
        rows.append((f"risk of {label}", (k,), risks[k], of_risk[k], Scale(proportion)))
    for i, j in pairs:
        rows += [
            ("risk difference", (i, j), risks[i] - risks[j], of_risk[i] - of_risk[j],
             Scale(within, test=True)),
            ("risk ratio", (i, j), _ratio(risks[i], risks[j]),
             _ratio_slope(risks[i], risks[j], of_risk[i], of_risk[j]), Scale(None, test=True)),
        ]  # fmt: skip
    for k, label in enumerate(labels):
        scale = Scale(proportion, at - start)
        rows.append((f"mean time of {label}", (k,), means[k], of_mean[k], scale))
    for i, j in pairs:
        rows.append(("mean time difference", (i, j), means[i] - means[j], of_mean[i] - of_mean[j],
                     Scale(within, at - start, True)))  # fmt: skip
    same = _unvarying(sample, weights, cause, at)
    table = []
    for quantity, whose, value, slope, scale in rows:
        error = float(np.sqrt(max(slope @ cov @ slope, 0.0)))
        sides = [labels[k] for k in whose if labels[k] in same]
        row = _row(quantity, float(value), math.nan if sides else error, df, level, scale)
        if drawn is not None and not sides:
            ratio = [2 * k for k in whose] if quantity == "risk ratio" else None
            row |= _percentiles(drawn, slope, level, ratio)
        reasons = [same[label] for label in sides]
        how = f"{bootstrap:,} bootstrap resamples" if bootstrap else "sandwich"
        table.append(row | {"note": "; ".join(filter(None, (how, *reasons, weights.note)))})
    found = pd.DataFrame(table)
    if len(labels) == 2:
        return found
    asked = ["risk difference", "risk ratio", "mean time difference"]
    return compared(found, weights, compare, asked)


class Scale(NamedTuple):
    """On which scale limits are found (None: the logarithm), and whether 0 is a question."""

    limits: Callable[[float, float, float, float], tuple[float, float]] | None
    bound: float = 1.0
    test: bool = False


def _curve(
    weights: PropensityWeights, sample: WeightedSample, times: Sequence[float], cause: int,
    level: float, bootstrap: int, seed: int,
) -> pd.DataFrame:  # fmt: skip
    at = sample.follow_up.on_clock(np.asarray(times, dtype=float))
    if (at < sample.start).any():
        raise DataError(f"nobody is under observation in every group before {sample.start:g}")

    def ask(side: FollowUp, w: np.ndarray) -> list[Moved]:
        curve = WeightedRisks(side, w, cause)
        return [curve.risk(float(t)) for t in at]

    values, moves = estimates(sample, weights.weights, ask)
    cov, df = covariance(weights, moves.reshape(len(moves), -1)), _df(weights)
    errors = np.sqrt(np.diag(cov)).reshape(values.shape)
    drawn = resampled(sample, weights, ask, bootstrap, seed) if bootstrap else None
    tables = []
    for k, (label, mine) in enumerate(sample.groups(weights)):
        side = sample.side(mine)
        extent = side.extent(*side.causes)
        for j, t in enumerate(map(float, at)):
            why = extent.why(t)
            known = not why
            same = "" if why else _same(values[k, j], moves[:, k, j])
            error = math.nan if why or same else float(errors[k, j])
            value = float(values[k, j]) if known else math.nan
            row = _row("", value, error, df, level, Scale(proportion))
            if drawn is not None and known and not same:
                place = np.zeros(drawn.shape[1])
                place[k * len(at) + j] = 1.0
                row |= _percentiles(drawn, place, level)
            tables.append(
                {
                    "group": label, "time": t, "n_risk": int(side.at_risk(np.array([t]))[0]),
                    **{name: row[name] for name in LIMITS},
                    "note": "; ".join(filter(None, (why or same, weights.note))),
                }
            )  # fmt: skip
    return pd.DataFrame(tables)


def _row(
    quantity: str, value: float, error: float, df: float, level: float, scale: Scale
) -> dict[str, object]:
    quantile = float(stats.t.ppf((1 + level) / 2, df))
    if scale.limits is None:
        centre = math.log(value) if value > 0 else math.nan
        low, high = (math.exp(centre + side * quantile * error) for side in (-1, 1))
    else:
        centre = value
        low, high = scale.limits(value, error, quantile, scale.bound)
    statistic = centre / error if scale.test and error > 0 else math.nan
    return {
        "quantity": quantity, "estimate": value, "std_error": error, "statistic": statistic,
        "df": df, "p_value": float(2 * stats.t.sf(abs(statistic), df)), "conf_low": low,
        "conf_high": high,
    }  # fmt: skip


def _percentiles(
    drawn: np.ndarray, slope: np.ndarray, level: float, ratio: list[int] | None = None
) -> dict[str, object]:
    """Limits of a sum of quantities, or of the ratio of two of them."""
    if ratio is not None:
        one, other = drawn[:, ratio].T
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.log(one / other)
        values = values[~np.isnan(values)]  # of two risks of 0
    else:
        values = drawn @ slope
    low, high = drawn_limits(values, level) if len(values) else (math.nan, math.nan)
    if ratio is not None:
        low, high = np.exp([low, high])
    nothing = {"statistic": math.nan, "df": math.inf, "p_value": math.nan}
    with np.errstate(invalid="ignore"):  # where resamples have no events, a ratio has no such error
        spread = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    return {
        "std_error": spread, "conf_low": float(low), "conf_high": float(high),
        **nothing,
    }  # fmt: skip


def _same(value: float, moves: np.ndarray) -> str:
    """Why a risk has no variance; "" if it has one."""
    if value < _ROUNDING:
        return "no events, so its variance is not known"
    if np.abs(moves).max() < _ROUNDING:
        return "everybody had the event, so its variance is not known"
    return ""


def _unvarying(
    sample: WeightedSample, weights: PropensityWeights, cause: int, horizon: float
) -> dict[Hashable, str]:
    """The groups whose risk has no variance, and why."""
    found = {}
    for label, mine in sample.groups(weights):
        curve = WeightedRisks(sample.side(mine), weights.weights[mine], cause)
        why = _same(*curve.risk(horizon))
        if why:
            found[label] = f"{label}: {why}"
    return found


def _ratio(one: float, other: float) -> float:
    return float(one / other) if other > 0 else math.nan


def _ratio_slope(one: float, other: float, of_one: np.ndarray, of_other: np.ndarray) -> np.ndarray:
    if not (one > 0 and other > 0):
        return np.full(len(of_one), math.nan)
    slope: np.ndarray = of_one / one - of_other / other
    return slope


def _df(weights: PropensityWeights) -> float:
    n, p = check_spare(weights)
    return float(n - p)
