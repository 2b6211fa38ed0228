"""The log-rank test of two groups, and three versions of it that hold in small samples.

Observed events in the group minus those expected if, at each event time, the events fell at random
among those at risk. How that is turned into a p-value:

asymptotic
    Normal approximation. Entry and censoring may differ between groups. Needs many events.
given the risk sets
    The exact distribution of the events given who was at risk at each time (`exact_hazard`).
    Entry and censoring may differ between groups.
permutation
    Every allocation of the patients to groups of these sizes is as likely. Exact if entry and
    censoring are the same in both groups (all followed to one day, say); not valid otherwise.
imputation
    Times to death are permuted while each patient keeps group and time of censoring; those not seen
    are drawn from Kaplan-Meier curves (of death: of all patients; of censoring: of the group).
    Valid, up to the drawing, when censoring differs between groups. Needs a common entry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from longsurv.arguments import checked
from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.allocations import UNIT, allocated, whole
from longsurv.estimands.exact_hazard import NOTHING_VARIES, event_distribution
from longsurv.estimands.follow_up import FollowUp, on_one_clock, two_groups
from longsurv.tables.notebook import Quantities

_MOST_PATIENTS = 1000
_ROUNDING = 1e-10


class _LogRank(NamedTuple):
    observed: float
    expected: float
    variance: float


class LogRank(_LogRank, Quantities):
    """Events in a group, the number expected under equal hazards, and its variance."""

    @property
    def statistic(self) -> float:
        """Standard normal deviate; NaN if nothing could vary, so that nothing is compared."""
        if self.variance <= 0:
            return math.nan
        return (self.observed - self.expected) / math.sqrt(self.variance)


@dataclass(frozen=True)
class PermutationTest(Quantities):
    """A permutation test of two groups.

    Attributes
    ----------
    statistic : float
        Observed minus expected events in the group; standardised for the imputation test.
    p_value : float
        Two-sided: allocations at least as far from 0.
    draws : int
        Random allocations it rests on; 0 if all were counted.
    """

    statistic: float
    p_value: float
    draws: int


@checked
def log_rank(group: FollowUp, reference: FollowUp) -> LogRank:
    """Compute the log-rank statistic, with the hypergeometric variance for ties.

    References
    ----------
    Mantel N. Evaluation of survival data and two new rank order statistics arising in its
    consideration. Cancer Chemother Rep 1966;50:163-170.
    """
    group, reference = on_one_clock(group, reference)
    times = np.union1d(group.times(1), reference.times(1))
    d1 = group.happening(times, 1)
    d = d1 + reference.happening(times, 1)
    y1 = group.at_risk(times)
    y = y1 + reference.at_risk(times)
    share = y1 / y
    more = y > 1
    spread = np.where(more, (y - d) / np.where(more, y - 1, 1), 0.0)
    variance = (d * share * (1 - share) * spread).sum()
    return LogRank(float(d1.sum()), float((d * share).sum()), float(variance))


@checked
def permutation_test(
    group: FollowUp, reference: FollowUp, *, draws: int = 10_000, seed: int = 1
) -> PermutationTest:
    """Permute the group labels; exact where the distribution can be written down.

    Each patient's score is the event (0 or 1) minus the Nelson-Aalen cumulative hazard of all
    patients over the patient's time at risk; the statistic is their sum in the group. The
    distribution of a sum of n1 scores drawn without replacement is built up one distinct score at
    a time, which is quick with few events, when most scores are tied; otherwise it is drawn.

    Parameters
    ----------
    group, reference : FollowUp
    draws, seed : int
        Of the random allocations, if need be.

    References
    ----------
    Heimann G, Neuhaus G. Permutational distribution of the log-rank statistic under random
    censorship with applications to carcinogenicity assays. Biometrics 1998;54:168-184.
    """
    both = _pooled(group, reference)
    scores = whole(_scores(both))
    observed = int(scores[: len(group)].sum())
    fewer = min(len(group), len(reference))  # scores sum to 0, so either group's sum tells both
    slack = len(scores)  # what rounding can have moved a sum by
    exact = allocated(scores[:, None], len(group))
    if exact is not None:
        p = exact.probability[np.abs(exact.total[:, 0]) >= abs(observed) - slack].sum()
        return PermutationTest(observed * UNIT, min(float(p), 1.0), 0)
    rng, scores = np.random.default_rng(seed), np.sort(scores)  # whatever order the rows have
    extreme = sum(
        abs(int(rng.permutation(scores)[:fewer].sum())) >= abs(observed) - slack
        for _ in range(draws)
    )
    return PermutationTest(observed * UNIT, (1 + extreme) / (1 + draws), draws)


@checked
def imputation_test(
    group: FollowUp, reference: FollowUp, *, draws: int = 2000, seed: int = 1
) -> PermutationTest:
    """Permute times to death, each patient keeping group and time of censoring.

    Times of death or censoring that were not seen are drawn anew for every permutation: of death
    from the Kaplan-Meier curve of all patients, of censoring from that of the patient's group, each
    beyond the patient's own time. Where the curve does not reach 0 the time is infinite.

    Parameters
    ----------
    group, reference : FollowUp
    draws, seed : int

    Raises
    ------
    LongsurvError
        If patients enter at different times, or no event could have been in the other group.

    References
    ----------
    Heinze G, Gnant M, Schemper M. Exact log-rank tests for unequal follow-up. Biometrics
    2003;59:1151-1157. Wang R, Lagakos SW, Gray RJ. Testing and interval estimation for two-sample
    survival comparisons with small sample sizes and unequal censoring. Biostatistics
    2010;11:676-692.
    """
    observed = log_rank(group, reference).statistic
    # In an order of their own, so that neither that of the rows nor of the groups moves the draws.
    one, other = sorted(map(_in_order, on_one_clock(group, reference)), key=_as_key)
    both = _pooled(one, other)
    if len(np.unique(both.entry)) > 1:
        raise LongsurvError("the imputation test needs one entry time for all patients")
    if math.isnan(observed):
        raise EstimationError(NOTHING_VARIES)
    exit, died, n = both.exit, both.status == 1, len(one)
    death = _Beyond.of(exit, died, first=np.ones(len(both), dtype=bool))
    censoring = [
        _Beyond.of(side.exit, side.status != 1, first=side.status != 1) for side in (one, other)
    ]
    mine = np.arange(len(both)) < n
    rng = np.random.default_rng(seed)
    extreme = 0
    for _ in range(draws):
        times = np.where(died, exit, death.draw(exit, rng, at_least=False))
        drawn = np.concatenate(
            [
                censoring[0].draw(exit[mine], rng, at_least=True),
                censoring[1].draw(exit[~mine], rng, at_least=True),
            ]
        )
        limits = np.where(died, drawn, exit)
        times = rng.permutation(times)
        statistic = _statistic(np.minimum(times, limits), times <= limits, mine)
        extreme += abs(statistic) >= abs(observed) - 1e-9  # NaN, which is nothing, is not extreme
    return PermutationTest(observed, (1 + extreme) / (1 + draws), draws)


@checked
def log_rank_table(
    data: pd.DataFrame, group: str, *, draws: int = 2000, seed: int = 1
) -> pd.DataFrame:
    """Test equality of two hazards by every version of the log-rank test, a row each.

    With more than a thousand patients only the asymptotic test is there: the others agree with it.

    Parameters
    ----------
    data : DataFrame
        As `Cohort.survival_data()`: "exit", "status" or "event", "entry" if delayed, `group`.
        Competing events are censored.
    group : str
    draws, seed : int
        Of the tests by random permutation.

    Returns
    -------
    DataFrame
        method, observed, expected (events in the group), statistic (standard normal deviate),
        p_value (two-sided), note (when the method is valid, and how it was computed).

    Raises
    ------
    DataError, EstimationError
        For data that cannot be follow-up; without events, or if all happened while only one group
        was at risk.
    """
    _, mine, _, reference = two_groups(data, group)
    test = log_rank(mine, reference)
    if not (len(mine.times(1)) or len(reference.times(1))):
        raise EstimationError("there are no events, so the hazards cannot be compared")
    if math.isnan(test.statistic):
        raise EstimationError(NOTHING_VARIES)
    rows: list[tuple[str, float, str]] = [
        ("asymptotic", 2 * float(special.ndtr(-abs(test.statistic))), "needs many events")
    ]
    if len(mine) + len(reference) > _MOST_PATIENTS:
        return _table(test, rows)
    exact = event_distribution(mine, reference)
    note = "twice the smaller tail; exact but for the depletion of the risk sets"
    rows.append(("given the risk sets", min(1.0, 2 * min(exact.tails())), note))
    rows.append(("given the risk sets, mid-p", 2 * min(exact.tails(mid=True)), "less conservative"))
    labels = permutation_test(mine, reference, draws=draws, seed=seed)
    how = "all allocations" if labels.draws == 0 else f"{labels.draws:,} random allocations"
    rows.append(
        ("permutation", labels.p_value, f"{how}; needs the same entry and censoring in both groups")
    )
    if len(np.unique([*mine.entry, *reference.entry])) > 1:
        rows.append(("imputation", math.nan, "not computed: patients enter at different times"))
    else:
        drawn = imputation_test(mine, reference, draws=draws, seed=seed)
        rows.append(("imputation", drawn.p_value, f"{drawn.draws:,} random permutations"))
    return _table(test, rows)


def _table(test: LogRank, rows: list[tuple[str, float, str]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["method", "p_value", "note"]).assign(
        observed=test.observed, expected=test.expected, statistic=test.statistic
    )
    return table[["method", "observed", "expected", "statistic", "p_value", "note"]]


def _pooled(group: FollowUp, reference: FollowUp) -> FollowUp:
    return FollowUp(
        np.concatenate([group.entry, reference.entry]),
        np.concatenate([group.exit, reference.exit]),
        np.concatenate([group.status, reference.status]),
    )


def _in_order(side: FollowUp) -> FollowUp:
    return side.of(np.lexsort((side.status, side.exit, side.entry)))


def _as_key(side: FollowUp) -> tuple[int, list[float], list[int]]:
    return len(side), side.exit.tolist(), side.status.tolist()


def _scores(both: FollowUp) -> np.ndarray:
    """Event minus cumulative hazard over each patient's time at risk; they sum to 0."""
    times = both.times(1)
    hazard = np.concatenate([[0.0], np.cumsum(both.happening(times, 1) / both.at_risk(times))])
    at_exit = hazard[np.searchsorted(times, both.exit, side="right")]
    at_entry = hazard[np.searchsorted(times, both.entry, side="right")]
    return (both.status == 1) - (at_exit - at_entry)


class _Beyond(NamedTuple):
    """A Kaplan-Meier curve to draw times from, given that they lie beyond some time."""

    time: np.ndarray
    survival: np.ndarray  # just before the first time, then just after each

    @classmethod
    def of(cls, exit: np.ndarray, event: np.ndarray, *, first: np.ndarray) -> _Beyond:
        """Estimate it; at a tie those in `first` are at risk and the others have left already."""
        time = np.unique(exit[event])
        at_risk = (exit[:, None] > time).sum(axis=0)
        at_risk = at_risk + ((exit[:, None] == time) & first[:, None]).sum(axis=0)
        events = ((exit[:, None] == time) & event[:, None]).sum(axis=0)
        return cls(time, np.concatenate([[1.0], np.cumprod(1 - events / at_risk)]))

    def draw(self, after: np.ndarray, rng: np.random.Generator, *, at_least: bool) -> np.ndarray:
        """One time for each, later than `after` (or at least that); infinite past the curve."""
        passed = np.searchsorted(self.time, after, side="left" if at_least else "right")
        target = rng.uniform(size=len(after)) * self.survival[passed]
        # The first step at which survival falls to the target or below.
        step = np.searchsorted(-self.survival[1:], -target, side="left")
        return np.append(self.time, np.inf)[step]


def _statistic(exit: np.ndarray, died: np.ndarray, mine: np.ndarray) -> float:
    """The statistic of `log_rank` for one entry time, in one sort: a row a death, tied or not."""
    order = np.argsort(exit, kind="stable")
    exit, died, mine = exit[order], died[order], mine[order]
    first = np.searchsorted(exit, exit[died], side="left")
    after = np.searchsorted(exit, exit[died], side="right")
    deaths = np.concatenate([[0], np.cumsum(died)])
    ahead = np.concatenate([[0], np.cumsum(mine)])
    y, y1, d = len(exit) - first, ahead[-1] - ahead[first], deaths[after] - deaths[first]
    share = y1 / y
    variance = (share * (1 - share) * (y - d) / np.maximum(y - 1, 1)).sum()
    return LogRank(float(mine[died].sum()), float(share.sum()), float(variance)).statistic
