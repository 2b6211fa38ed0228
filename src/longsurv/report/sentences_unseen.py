"""What is said of events that nobody saw, and of confounders that nobody measured.

Unseen events are counted by arm, and the direction they would reverse is always named first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from longsurv import numbers
from longsurv.report.sentences_mortality import Compared
from longsurv.words import counted, plural


@dataclass(frozen=True)
class Tipping:
    """The fewest unseen deaths in the better arm that change the answer.

    Parameters
    ----------
    group_better : bool
        Whether the group, rather than the reference, has the lower observed risk.
    reverse : float
        To take away the sign of the difference, with none unseen in the other arm; infinite where
        no number does, as everybody there had the event.
    unconvince : int
        To take the probability of its direction below the threshold.
    threshold : float
    further : tuple of int or None
        So many unseen in the other arm, and how many then reverse the sign.
    """

    group_better: bool
    reverse: float
    unconvince: int
    threshold: float
    further: tuple[int, int] | None = None


def left_early(count: int, label: str, asked: Compared) -> str:
    """How many left by a competing event, and what is not known of them.

    Parameters
    ----------
    count : int
    label : str
        Of the competing event, as "discharge alive".
    asked : Compared
    """
    return (
        f"{plural(count, 'patient')} left by {label} {asked.when.replace('by ', 'before ', 1)}: a"
        f" later {asked.event} of theirs is not counted."
    )


def tipping(asked: Compared, found: Tipping | None) -> str:
    """How many unseen deaths would change the answer."""
    one = counted(asked.event)
    if found is None:
        return (
            f"The observed risks in {asked.group} and {asked.reference} are equal: there is no"
            f" direction that unseen {one}s could reverse."
        )
    better, worse = (
        (asked.group, asked.reference) if found.group_better else (asked.reference, asked.group)
    )
    threshold = numbers.plain(found.threshold)
    lower = f"The observed {asked.risk} is lower in {better}."
    if math.isinf(found.reverse):
        parts = [
            f"{lower} As everybody in {worse} is counted with the event, no number of"
            f" {one}s unseen in {better} would change that"
        ]
    else:
        parts = [
            f"{lower} If {plural(int(found.reverse), one)} in {better} had gone unseen and"
            f" none in {worse}, it would not be lower there"
        ]
    if found.unconvince == 0:
        parts.append(f"; the probability that it is lower there is below {threshold} already.")
    else:
        parts.append(
            f"; {found.unconvince} would take the probability that it is lower there below"
            f" {threshold}."
        )
    if found.further:
        parts.append(
            f" With {plural(found.further[0], f'unseen {one}')} in {worse} it would take"
            f" {found.further[1]} in {better}."
        )
    return "".join(parts)


def e_value(asked: Compared, ratio: float, point: float, limit: float) -> str:
    """How strong an unmeasured confounder would have to be; empty if there is no risk ratio.

    Parameters
    ----------
    asked : Compared
    ratio : float
        Observed risk ratio of the group against the reference.
    point, limit : float
        E-values of the ratio and of the limit of its interval nearer to 1.
    """
    if math.isnan(ratio) or math.isnan(point):
        return ""
    if ratio == 1:
        return "The observed risk ratio is 1: there is no difference for a confounder to explain."
    way = "lower" if ratio < 1 else "higher"
    if math.isinf(point):
        return (
            f"No confounder, however strong, explains all of the {way} risk in {asked.group}, as"
            " one group has no events; with so few that says little."
        )
    interval = (
        "the interval includes 1 even without one"
        if limit <= 1
        else f"to make the interval include 1, {numbers.number(limit)}"
    )
    return (
        f"To explain away the {way} observed {asked.risk} in {asked.group} (risk ratio"
        f" {numbers.number(ratio)}), an unmeasured confounder would need a risk ratio of at least"
        f" {numbers.number(point)} with both treatment and {asked.event} (E-value);"
        f" {interval}."
    )
