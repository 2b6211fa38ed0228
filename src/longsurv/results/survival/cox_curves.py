"""Cumulative hazards and survival curves of Cox models, with their uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from longsurv.errors import EstimationError, LongsurvError
from longsurv.inference import Flat
from longsurv.likelihood import cox
from longsurv.likelihood.cox.loglik import CoxData
from longsurv.results.reference import Reference
from longsurv.results.survival.specification import AnsweredSurvival
from longsurv.times import snapped

type Kind = Literal["log-log", "log", "plain"]

MOVES = 1e-6
"""Share of a cumulative hazard by which it may move along a flat direction, for rounding."""


@dataclass(frozen=True, eq=False)
class People:
    """Rows to predict for.

    Attributes
    ----------
    frame : DataFrame, m rows
    X : ndarray, shape (m, p)
    offset : ndarray, shape (m,)
    stratum : ndarray of int, shape (m,)
    """

    frame: pd.DataFrame
    X: np.ndarray
    offset: np.ndarray
    stratum: np.ndarray

    def of_stratum(self) -> list[tuple[int, np.ndarray]]:
        """Each stratum that occurs, with the positions of its rows."""
        return [(int(s), np.flatnonzero(self.stratum == s)) for s in np.unique(self.stratum)]


def people(result: AnsweredSurvival, newdata: pd.DataFrame | None) -> People:
    """The rows to predict, or those the model was fitted to.

    Raises
    ------
    LongsurvError
        For a table without rows: there is no curve to show.
    """
    design = result.design
    if newdata is None:
        n = len(design.rows)
        return People(
            result.spec.data.iloc[design.rows],
            design.fixed.X,
            np.zeros(n) if design.offset is None else design.offset,
            np.zeros(n, dtype=int) if design.stratum is None else design.stratum,
        )
    if not len(newdata):
        raise LongsurvError("newdata has no rows: give a row for each person to predict")
    return People(
        newdata.copy(),
        design.fixed.rebuild(newdata),
        design.offset_of(newdata),
        design.stratum_of(newdata),
    )


@dataclass(frozen=True, eq=False)
class Hazards:
    """Cumulative hazards of m people at T times, and what they depend on.

    Attributes
    ----------
    value : ndarray, shape (m, T)
    relative : ndarray, shape (m,)
        Hazard relative to the centre's.
    shift : ndarray, shape (m, p)
        Covariates less the centre's.
    centre : ndarray, shape (T,)
        Cumulative hazard of the centre.
    variance : ndarray, shape (T,)
        Its variance for known coefficients.
    tilt : ndarray, shape (T, p)
        Minus its derivative by the coefficients.
    """

    value: np.ndarray
    relative: np.ndarray
    shift: np.ndarray
    centre: np.ndarray
    variance: np.ndarray
    tilt: np.ndarray

    def total_variance(self, cov: np.ndarray) -> np.ndarray:
        """Variance of `value` with coefficients of covariance `cov` (p, p), shape (m, T).

        Parameters
        ----------
        cov : ndarray, shape (p, p)

        Returns
        -------
        ndarray, shape (m, T)
        """
        # the derivative is -relative (tilt - shift H), a quadratic form taken apart
        crossed = (self.shift @ cov) @ self.tilt.T
        own = np.einsum("ij,jk,ik->i", self.shift, cov, self.shift)[:, None]
        tilted = np.einsum("tj,jk,tk->t", self.tilt, cov, self.tilt)
        H = self.centre
        total = self.variance + tilted - 2.0 * H * crossed + H**2 * own
        return self.relative[:, None] ** 2 * np.maximum(total, 0.0)

    def derivative(self, t: int) -> np.ndarray:
        """Derivative of the values at the t-th time by the coefficients, shape (m, p).

        Parameters
        ----------
        t : int
            Position of the time.

        Returns
        -------
        ndarray, shape (m, p)
        """
        return self.relative[:, None] * (self.shift * self.centre[t] - self.tilt[t])


def hazards(
    data: CoxData,
    beta: np.ndarray,
    who: People,
    rows: np.ndarray,
    stratum: int,
    times: np.ndarray,
) -> Hazards:
    """Cumulative hazards, at `times`, of the people at positions `rows`, who are of one stratum."""
    X, offset = who.X[rows], who.offset[rows]
    centre = X.mean(axis=0)
    base = cox.baseline_hazard(data, beta, at=centre)
    mine = base.stratum == np.searchsorted(data.strata, stratum)
    at = np.searchsorted(base.times[mine], snapped(times, base.times[mine]), side="right")

    def until(jumps: np.ndarray) -> np.ndarray:
        total = np.zeros((len(jumps) + 1, *jumps.shape[1:]))
        np.cumsum(jumps, axis=0, out=total[1:])
        return total[at]

    shift = X - centre
    relative = np.exp(shift @ beta + offset)
    H = until(base.hazard[mine])
    return Hazards(
        value=relative[:, None] * H,
        relative=relative,
        shift=shift,
        centre=H,
        variance=until(base.variance[mine]),
        tilt=until(base.tilt[mine]),
    )


def check_known(
    found: Hazards, data: CoxData, flat: Flat | None, undetermined: Sequence[str]
) -> None:
    """Refuse survival that moves along directions which the data do not determine.

    Raises
    ------
    EstimationError
        Naming the coefficients that are undetermined.
    """
    if flat is None or not flat:
        return
    size = np.abs(data.arrays.X @ (flat.directions * data.scale[:, None])).max(axis=0)
    directions = flat.directions / np.where(size > 0.0, size, 1.0)
    for t in range(found.value.shape[1]):
        if (np.abs(found.derivative(t) @ directions) > MOVES * found.value[:, t, None]).any():
            raise EstimationError(
                "survival is not known for some of these rows: it depends on "
                f"{', '.join(undetermined)}, which the data do not determine; fit.flags "
                "says why"
            )


class CoxKnown(NamedTuple):
    """What a Cox model knows of its coefficients.

    Attributes
    ----------
    data : CoxData
    coefficients : ndarray, shape (p,)
    reference : Reference
        Their covariance, and the directions that the data do not determine.
    undetermined : tuple of str
    """

    data: CoxData
    coefficients: np.ndarray
    reference: Reference
    undetermined: tuple[str, ...]


type Survival = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Survival at cumulative hazards H, and minus its derivative by them."""


def alone(H: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Survival exp(-H), and minus its derivative, which is the same."""
    S = np.exp(-H)
    return S, S


def mean_survival(
    known: CoxKnown,
    who: People,
    sizes: Sequence[int],
    at: np.ndarray,
    survival: Survival = alone,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean survival of so many rows each to T times, shape (A, T), and covariance (A, T, A, T).

    Parameters
    ----------
    known : CoxKnown
    who : People
        The rows, those of one mean after those of another.
    sizes : sequence of int, length A
    at : ndarray, shape (T,)
    survival : callable
        From cumulative hazards to survival, where sites are averaged over.
    weights : ndarray, shape (m,), optional
        For how many each row counts, in every mean.
    """
    share = np.zeros((len(sizes), sum(sizes)))
    counted = 1.0 if weights is None else np.tile(weights, len(sizes))
    share[np.repeat(np.arange(len(sizes)), sizes), np.arange(sum(sizes))] = counted
    share /= share.sum(axis=1, keepdims=True)
    A, T = len(sizes), len(at)
    mean, slope = np.zeros((A, T)), np.zeros((A, T, len(known.coefficients)))
    cov, moved = np.zeros((A, T, A, T)), np.zeros((A, T))
    for stratum, rows in who.of_stratum():
        found = hazards(known.data, known.coefficients, who, rows, stratum, at)
        check_known(found, known.data, known.reference.flat, known.undetermined)
        S, falling = survival(found.value)
        mean += share[:, rows] @ S
        moved += share[:, rows] @ (found.value > 0.0)
        for t in range(T):
            slope[:, t] -= share[:, rows] @ (falling[:, t, None] * found.derivative(t))
        baseline = share[:, rows] @ (falling * found.relative[:, None])
        # increments of the baseline are independent: two times share the earlier's variance
        common = np.minimum.outer(found.variance, found.variance)
        cov += np.einsum("at,ts,bs->atbs", baseline, common, baseline)
    cov += np.einsum("atj,jk,bsk->atbs", slope, known.reference.cov, slope)
    unseen = (moved == 0.0).ravel()  # before the first event: nothing to take a variance from
    cov.reshape(A * T, A * T)[np.logical_or.outer(unseen, unseen)] = np.nan
    return mean, cov


def event_times(data: CoxData, stratum: int) -> np.ndarray:
    """Distinct event times of a stratum."""
    return data.times[data.time_stratum == np.searchsorted(data.strata, stratum)]


def area_rule(data: CoxData, first: float, horizon: float) -> tuple[np.ndarray, np.ndarray]:
    """Times and weights whose weighted sum of survival, in steps, is its area from first on."""
    steps = np.unique(data.times)
    times = np.r_[first, steps[(steps > first) & (steps < horizon)]]
    return times, np.diff([*times, horizon])


def survival_limits(
    H: np.ndarray, se: np.ndarray, z: float, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """Limits of exp(-H) from the standard error of H.

    Parameters
    ----------
    H, se : ndarray
    z : float
        Normal quantile.
    kind : {"log-log", "log", "plain"}
        Scale on which the interval is symmetric: log(-log S), log S, or S.
    """
    if kind == "plain":
        S = np.exp(-H)
        return np.maximum(S - z * S * se, 0.0), np.minimum(S + z * S * se, 1.0)
    if kind == "log":
        return np.exp(-H - z * se), np.minimum(np.exp(-H + z * se), 1.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        spread = np.where(H > 0, np.exp(z * se / H), 1.0)
        return np.exp(-H * spread), np.exp(-H / spread)


def check_times(times: Sequence[float]) -> np.ndarray:
    """Times as an array of finite numbers of at least 0."""
    try:
        grid = np.asarray(times, dtype=float)
    except (TypeError, ValueError):
        grid = np.array([np.nan])
    if grid.ndim != 1 or not np.isfinite(grid).all() or (grid < 0).any():
        raise LongsurvError(f"times must be finite numbers of at least 0, got {times!r}")
    return grid


OWN_TIME = "time_newdata"
"""What a column "time" of the rows to predict is called beside the times of the predictions."""


def repeated(frame: pd.DataFrame, row: int, times: np.ndarray) -> pd.DataFrame:
    """One row of a frame for every time, with the column "time"; a "time" of its own is kept.

    Raises
    ------
    LongsurvError
        If the name that column would be given is taken.
    """
    if "time" in frame and OWN_TIME in frame:
        raise LongsurvError(
            f"the rows to predict have the columns 'time' and {OWN_TIME!r}; predictions at given "
            f"times need the first for themselves and call theirs {OWN_TIME!r}: rename one"
        )
    one = frame.iloc[[row] * len(times)].rename(columns={"time": OWN_TIME})
    return one.assign(time=times)
