"""Gray's test: are the cumulative incidences of one cause the same in all groups?

A log-rank test compares hazards of a cause; with competing events those may be equal while the
proportions who end by it are not. Gray's compares the hazards of the *subdistribution*, by which
somebody who left by another cause stays, weighted for censoring, among those who could still have
the event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.errors import DataError, EstimationError
from longsurv.estimands.aalen_johansen import cumulative_incidence
from longsurv.estimands.follow_up import FollowUp, by_group
from longsurv.tables.notebook import Quantities


@dataclass(frozen=True)
class GrayTest(Quantities):
    """Gray's test of equal cumulative incidence.

    Attributes
    ----------
    statistic : float
        Chi-squared.
    df : int
        Groups less one.
    p_value : float
    scores : tuple of float
        Events of the cause less those expected, of each group in order.
    """

    statistic: float
    df: int
    p_value: float
    scores: tuple[float, ...]


class _Curve(NamedTuple):
    """One group at the times of all groups; each array has shape (m,)."""

    at_risk: np.ndarray
    mine: np.ndarray  # events of the cause
    others: np.ndarray  # events of the others
    before: np.ndarray  # free of every event, just before
    after: np.ndarray
    incidence: np.ndarray  # of the cause, just before


@checked
def gray_test(data: pd.DataFrame, group: str, *, cause: int = 1) -> GrayTest:
    """Test equality of the cumulative incidence of a cause between groups.

    Parameters
    ----------
    data : DataFrame
        As `Cohort.survival_data()`: "exit", "status", "entry" if delayed, `group`.
    group : str
        Its column of two groups or more.
    cause : int
        Status of the event of interest; every other status above 0 competes with it.

    Raises
    ------
    DataError
        For data that cannot be follow-up, of one group only, or with several entry times: the
        test is written for patients who are all followed from the start.
    EstimationError
        Without an event of the cause, or where the groups are never at risk together.

    References
    ----------
    Gray RJ. A class of K-sample tests for comparing the cumulative incidence of a competing risk.
    Ann Stat 1988;16:1141-1154, with rho = 0; its variance with the hypergeometric correction for
    tied events.
    """
    from scipy.special import chdtrc

    groups = list(by_group(data, group).values())
    if len(groups) < 2:
        raise DataError(f"column {group!r} holds one group; a comparison needs two")
    if len(np.unique(np.concatenate([f.entry for f in groups]))) > 1:
        raise DataError(
            "Gray's test needs one entry time for all patients; with delayed entry compare the "
            "cumulative incidences themselves (`incidence_difference`)"
        )
    times = np.unique(np.concatenate([f.times(*f.causes) for f in groups]))
    curves = [_curve(f, cause, times) for f in groups]
    if not sum(int(c.mine.sum()) for c in curves):
        raise EstimationError("there are no events of this cause, so nothing to compare")
    score, variance = _score(curves)
    kept = slice(0, len(groups) - 1)  # the scores add up to 0
    if np.linalg.matrix_rank(variance[kept, kept]) < len(groups) - 1:
        raise EstimationError("no event happened while patients of all groups were at risk")
    statistic = float(score[kept] @ np.linalg.solve(variance[kept, kept], score[kept]))
    df = len(groups) - 1
    return GrayTest(statistic, df, float(chdtrc(df, statistic)), tuple(map(float, score)))


def _curve(follow_up: FollowUp, cause: int, times: np.ndarray) -> _Curve:
    found = cumulative_incidence(follow_up, cause)
    mine = follow_up.happening(times, cause)
    causes = follow_up.causes
    every = follow_up.happening(times, *causes) if causes else np.zeros(len(times), dtype=int)
    at_risk = follow_up.at_risk(times)
    safe = np.where(at_risk > 0, at_risk, 1)
    before = np.cumprod(np.concatenate([[1.0], 1 - every / safe]))
    steps = np.concatenate([[0.0], found.incidence])
    return _Curve(
        at_risk=at_risk,
        mine=mine,
        others=every - mine,
        before=before[:-1],
        after=before[1:],
        incidence=steps[np.searchsorted(found.time, times, side="left")],
    )


def _score(curves: list[_Curve]) -> tuple[np.ndarray, np.ndarray]:
    """The scores of the groups, shape (g,), and their covariance (g, g)."""
    at_risk, mine, others, before, after, incidence = (
        np.stack(arrays) for arrays in zip(*curves, strict=True)
    )  # (g, m) each
    there = at_risk > 0
    # Patients at risk as if none had left by another cause or been censored, in each group.
    uncensored = np.where(there, at_risk / np.where(there, before, 1.0), 0.0)
    still = uncensored * (1 - incidence)
    events = mine.sum(axis=0)
    some = still.sum(axis=0) > 0
    share = np.divide(still, still.sum(axis=0), where=some, out=np.zeros_like(still))
    score = (mine - events * share).sum(axis=1)

    # Under equal incidences that of all groups together is the common one.
    total = uncensored.sum(axis=0)
    pooled = np.cumsum(events / total)
    earlier = np.concatenate([[0.0], pooled[:-1]])
    part = uncensored / total
    g = len(curves)
    weight = np.eye(g)[:, :, None] * uncensored[:, None] - uncensored[:, None] * part[None]
    passed = np.cumsum(weight * events / (total * (1 - earlier)), axis=2)
    ahead = passed[:, :, -1:] - passed  # (group of the score, group of the event, m)

    alive = after > 0
    ratio = np.where(alive, (1 - pooled) / np.where(alive, after, 1.0), 0.0)
    own = weight + (1 - ratio) * ahead
    spare = np.where(events > 1, total * before - 1, 1.0)
    ties = np.clip(1 - np.maximum(events - 1, 0) / np.where(spare > 0, spare, np.inf), 0.0, 1.0)
    safe = np.where(there, at_risk, 1)
    first = np.where(there, ties * before * events / (total * safe), 0.0)
    tied = np.where(others > 1, (others - 1) / np.maximum(at_risk - 1, 1), 0.0)
    second = np.where(there & alive, (1 - tied) * before**2 * others / safe**2, 0.0)
    other = ratio * ahead
    variance = np.einsum("ikm,jkm,km->ij", own, own, first)
    return score, variance + np.einsum("ikm,jkm,km->ij", other, other, second)
