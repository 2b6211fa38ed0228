"""Tipping points: how many deaths the study did not see would change its answer.

A study of patients with more than some days in intensive care excludes those who died sooner, in
both arms, and does not say how many they were. Adding them back, so many to each arm, shows what it
would take to reverse the difference or to make it improbable.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pandas as pd

from longsurv.arguments import checked
from longsurv.errors import LongsurvError
from longsurv.estimands.binomial import probability_lower
from longsurv.estimands.counts import Counts

_FARTHEST = 1_000_000_000  # unseen deaths in one arm


@checked
@dataclass(frozen=True)
class Unseen:
    """What is assumed about the patients a study did not see, besides the deaths it tries out.

    Parameters
    ----------
    survivors, reference_survivors : int
        Patients of the group and of the reference who were excluded alive (discharged early).
    prior : tuple of float
        a and b of the Beta prior of both risks.
    """

    survivors: int = 0
    reference_survivors: int = 0
    prior: tuple[float, float] = (0.5, 0.5)

    def __post_init__(self) -> None:
        if min(self.survivors, self.reference_survivors) < 0:
            raise LongsurvError("the number of unseen survivors cannot be negative")

    def added(self, counts: Counts, deaths: int, reference_deaths: int) -> Counts:
        """Return the table with the unseen patients in it.

        Parameters
        ----------
        counts : Counts
        deaths, reference_deaths : int
            Of the unseen patients of the group and of the reference.

        Returns
        -------
        Counts
        """
        return Counts(
            counts.events + deaths,
            counts.n + deaths + self.survivors,
            counts.reference_events + reference_deaths,
            counts.reference_n + reference_deaths + self.reference_survivors,
        )


@checked
def tipping_grid(
    counts: Counts,
    most: int = 8,
    most_reference: int | None = None,
    *,
    threshold: float = 0.8,
    unseen: Unseen | None = None,
) -> pd.DataFrame:
    """Try every number of unseen deaths in either arm.

    Parameters
    ----------
    counts : Counts
        As observed.
    most, most_reference : int
        Unseen deaths to try: 0 to this many in the group and in the reference (nothing: as many).
    threshold : float
        Probability below which the observed direction of the effect no longer convinces.
    unseen : Unseen, optional
        Other patients who were not seen, and the prior.

    Returns
    -------
    DataFrame
        A row a pair: extra, extra_reference (unseen deaths), events, n, reference_events,
        reference_n, risk_difference, prob_benefit (posterior probability that the group's risk is
        the lower), reverses (the difference has not its observed sign), unconvincing (the
        probability of the observed direction is below the threshold).

    Raises
    ------
    LongsurvError
        For negative numbers or a threshold that is not a probability.
    """
    _check_threshold(threshold)
    most_reference = most if most_reference is None else most_reference
    if min(most, most_reference) < 0:
        raise LongsurvError("the number of unseen deaths cannot be negative")
    unseen = unseen or Unseen()
    rows = [
        _cell(counts, unseen, extra, extra_reference, threshold)
        for extra in range(most + 1)
        for extra_reference in range(most_reference + 1)
    ]
    return pd.DataFrame(rows)


@checked
def tipping_points(
    counts: Counts,
    most: int = 8,
    *,
    threshold: float = 0.8,
    unseen: Unseen | None = None,
) -> pd.DataFrame:
    """Find the fewest unseen deaths in the better arm that change the answer.

    Parameters
    ----------
    counts : Counts
        As observed; the arm with the lower risk is the better.
    most : int
        Unseen deaths to assume in the other arm: 0 to this many.
    threshold : float
        As in `tipping_grid`.
    unseen : Unseen, optional

    Returns
    -------
    DataFrame
        A row a number of unseen deaths in the worse arm: better_arm ("group" or "reference"),
        extra_in_worse, to_reverse, to_unconvince: the fewest in the better arm that take away the
        sign of the difference, or take the probability of its direction below the threshold (0 if
        it is below without any). Where everybody in the worse arm died no number reverses the
        difference, and `to_reverse` is infinite.

    Raises
    ------
    LongsurvError
        If the observed risks are equal, so that there is no direction to reverse, or more than a
        thousand million deaths are needed.
    """
    _check_threshold(threshold)
    if counts.risk == counts.reference_risk:
        raise LongsurvError("the observed risks are equal: there is no direction to reverse")
    unseen = unseen or Unseen()
    better = counts.risk < counts.reference_risk

    with_none = unseen.added(counts, 0, 0)
    never = 1.0 in (with_none.risk, with_none.reference_risk)

    def changes(column: str, worse: int, extra: int) -> bool:
        pair = (extra, worse) if better else (worse, extra)
        return bool(_cell(counts, unseen, *pair, threshold)[column])

    rows = []
    reverse = unconvince = 0  # neither can fall as deaths are added to the worse arm
    for worse in range(most + 1):
        if not never:
            reverse = _fewest(partial(changes, "reverses", worse), reverse)
        unconvince = _fewest(partial(changes, "unconvincing", worse), unconvince)
        rows.append(
            {
                "better_arm": "group" if better else "reference", "extra_in_worse": worse,
                "to_reverse": math.inf if never else reverse, "to_unconvince": unconvince,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _fewest(changed: Callable[[int], bool], start: int) -> int:
    """The fewest deaths from `start` on that change the answer; more never restore it."""
    step = 1
    low, high = start - 1, start
    while not changed(high):
        if high > _FARTHEST:
            raise LongsurvError(f"not even {high:,} unseen events in one arm change the answer")
        low, high, step = high, high + step, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if changed(middle) else (middle, high)
    return high


def _cell(
    counts: Counts, unseen: Unseen, extra: int, extra_reference: int, threshold: float
) -> dict[str, float | int | bool]:
    table = unseen.added(counts, extra, extra_reference)
    benefit = probability_lower(table, unseen.prior)
    observed = counts.risk - counts.reference_risk
    difference = table.risk - table.reference_risk
    direction = 1 - benefit if observed > 0 else benefit
    return {
        "extra": extra,
        "extra_reference": extra_reference,
        "events": table.events,
        "n": table.n,
        "reference_events": table.reference_events,
        "reference_n": table.reference_n,
        "risk_difference": difference,
        "prob_benefit": benefit,
        "reverses": _sign(difference) != _sign(observed),
        "unconvincing": direction < threshold,
    }


def _sign(difference: float) -> int:
    # Equal risks such as 5/23 and 5/23 come out exactly equal; 1/3 and 2/6 do too.
    return (difference > 0) - (difference < 0)


def _check_threshold(threshold: float) -> None:
    if not 0 < threshold < 1:
        raise LongsurvError(f"the threshold is a probability, not {threshold}")
