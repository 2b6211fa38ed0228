"""The hazard ratio of two groups from the exact distribution of deaths given the risk sets.

At each time with d events among Y at risk, Y1 of them in the group, the number of events in the
group is (under a hazard ratio r) noncentral hypergeometric: proportional to
C(Y1, k) C(Y - Y1, d - k) r^k. Their sum over times has a distribution known exactly by convolution,
and inverting it gives limits that need no normal approximation and exist with no events in a group.

What is exact about it: each term has this distribution given all that happened before, whatever
the entry and censoring, as long as those are unrelated to prognosis. Adding them up as if they were
independent takes the risk sets as fixed, though who dies early changes who is at risk later. So it
is exact when all events happen at one time, and otherwise neglects that deaths deplete the groups,
which matters little when few of those at risk die. With one event a time the estimate is that of
Cox's model; with ties it is an odds ratio of the discrete model.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize, stats

from longsurv.arguments import checked
from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.follow_up import FollowUp, on_one_clock, two_groups

_MOST_EVENTS = 1000
NOTHING_VARIES = (
    "no event happened while patients of both groups were at risk of whom some lived on, so the "
    "hazards cannot be compared"
)


@dataclass(frozen=True, eq=False)
class EventDistribution:
    """Distribution of the number of events in a group when the hazards are equal.

    Attributes
    ----------
    observed : int
        Events in the group.
    count : ndarray of int
        The possible numbers.
    probability : ndarray
        Of each of them under equal hazards.
    """

    observed: int
    count: np.ndarray
    probability: np.ndarray

    def tilted(self, log_ratio: float) -> np.ndarray:
        """Probabilities of the counts under another hazard ratio.

        Parameters
        ----------
        log_ratio : float

        Returns
        -------
        ndarray
        """
        with np.errstate(divide="ignore"):
            logs = np.log(self.probability) + log_ratio * (self.count - self.observed)
        weights = np.exp(logs - logs.max())
        return weights / weights.sum()

    def tails(self, log_ratio: float = 0.0, *, mid: bool = False) -> tuple[float, float]:
        """Probability of as few events or fewer, and of as many or more.

        Parameters
        ----------
        log_ratio : float
        mid : bool
            Count the observed number itself only half.
        """
        p = self.tilted(log_ratio)
        at = float(p[self.count == self.observed].sum())
        below = float(p[self.count < self.observed].sum())
        above = float(p[self.count > self.observed].sum())
        share = 0.5 if mid else 1.0
        return below + share * at, above + share * at


@checked
def event_distribution(group: FollowUp, reference: FollowUp) -> EventDistribution:
    """Convolve the hypergeometric distributions of all event times.

    Raises
    ------
    EstimationError
        Without events; if none of them could have been in the other group; with so many that
        exactness is pointless.
    """
    group, reference = on_one_clock(group, reference)
    times = np.union1d(group.times(1), reference.times(1))
    d1, d0 = group.happening(times, 1), reference.happening(times, 1)
    y1, y0 = group.at_risk(times), reference.at_risk(times)
    total = int((d1 + d0).sum())
    if total == 0:
        raise EstimationError("there are no events, so the hazards cannot be compared")
    if total > _MOST_EVENTS:
        raise EstimationError(
            f"{total:,} events: exact methods are for few, up to {_MOST_EVENTS:,};"
            " use the Cox model"
        )
    probability, lowest = np.ones(1), 0
    for events, mine, others in zip(d1 + d0, y1, y0, strict=True):
        fewest, most = max(0, events - others), min(events, mine)
        possible = np.arange(fewest, most + 1)
        step = stats.hypergeom.pmf(possible, mine + others, mine, events)
        probability = np.convolve(probability, step)
        lowest += int(fewest)
    if len(probability) == 1:
        raise EstimationError(NOTHING_VARIES)
    count = lowest + np.arange(len(probability))
    return EventDistribution(int(d1.sum()), count, probability)


@checked
def exact_hazard_ratio(data: pd.DataFrame, group: str, *, level: float = 0.95) -> pd.DataFrame:
    """Estimate the hazard ratio with exact limits given the risk sets.

    Parameters
    ----------
    data : DataFrame
        As `Cohort.survival_data()`: "exit", "status" or "event", "entry" if delayed, `group`.
        Competing events are censored: the hazard is cause-specific.
    group : str
    level : float

    Returns
    -------
    DataFrame
        Rows "exact" and "mid-p": method, estimate (hazard ratio of the group against the
        reference, conditional maximum likelihood; 0 or infinite with no events on one side),
        conf_low, conf_high, p_value (twice the smaller tail, so that it agrees with the interval),
        note.

    Raises
    ------
    DataError, EstimationError
        For data that cannot be follow-up; without events, or if all happened while only one group
        was at risk.

    References
    ----------
    Thomas DG. Exact and asymptotic methods for the combination of 2 x 2 tables. Comput Biomed Res
    1975;8:423-446. Cox DR. Regression models and life-tables. J R Stat Soc B 1972;34:187-220,
    section 6 for ties.
    """
    if not 0 < level < 1:
        raise LongsurvError(f"level must be between 0 and 1, not {level}")
    _, mine, _, reference = two_groups(data, group)
    found = event_distribution(mine, reference)
    estimate = _estimate(found)
    note = "" if 0 < estimate < math.inf else "all events could only be, or were, on one side"
    rows = []
    for method, mid in (("exact", False), ("mid-p", True)):
        low, high = _limits(found, level, mid)
        p = min(1.0, 2 * min(found.tails(mid=mid)))
        rows.append(
            {
                "method": method, "estimate": estimate, "conf_low": low, "conf_high": high,
                "p_value": p, "note": note,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _estimate(found: EventDistribution) -> float:
    """The ratio under which the observed number is the expected one."""
    possible = found.count[found.probability > 0]
    if found.observed == possible[0]:
        return 0.0
    if found.observed == possible[-1]:
        return math.inf
    return _solve(lambda x: float(found.tilted(x) @ found.count) - found.observed)


def _limits(found: EventDistribution, level: float, mid: bool) -> tuple[float, float]:
    possible = found.count[found.probability > 0]
    tail = (1 - level) / 2
    low, high = 0.0, math.inf
    if found.observed > possible[0]:
        low = _solve(lambda x: found.tails(x, mid=mid)[1] - tail)
    if found.observed < possible[-1]:
        high = _solve(lambda x: tail - found.tails(x, mid=mid)[0])
    return low, high


def _solve(excess: Callable[[float], float]) -> float:
    """The ratio at which an increasing function of its logarithm is zero."""
    low, high = -1.0, 1.0
    while excess(low) > 0:
        low *= 2
    while excess(high) < 0:
        high *= 2
    return math.exp(optimize.brentq(excess, low, high, xtol=1e-12))
