"""The first screen in words: absolute risks, what would change them, what is left, and why doubt.

Every number is written from the results; a direction is that of the estimate it stands beside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from longsurv.report.sentences import Answer
from longsurv.words import capital, counted, listed, plural

RARE = 0.02  # below it risks are told per 1,000
NOT_BELOW = "\N{GREATER-THAN OR EQUAL TO}"
_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class Risks:
    """The risks of two groups by the horizon, and their difference.

    Parameters
    ----------
    group, reference : str
    event, when : str
        "death", "by 28 days".
    given : str
        Of whom they are: "observed at 7 days"; empty if of everybody.
    risk, reference_risk : float
        Between 0 and 1.
    difference : Answer
        The group's minus the reference's, in percentage points.
    events : int
        Of both groups together.
    posterior : Answer, optional
        The difference by Bayes, where there is one.
    """

    group: str
    reference: str
    event: str
    when: str
    given: str
    risk: float
    reference_risk: float
    difference: Answer
    events: int
    posterior: Answer | None = None


def count(number: int) -> str:
    """A count in prose: "five", "12"."""
    return _COUNTS[number] if 0 <= number < len(_COUNTS) else f"{number:,}"


def absolute(risks: Risks) -> str:
    """The risks of both groups and their difference, per 100 patients.

    Parameters
    ----------
    risks : Risks
    """
    per = 1000 if max(risks.risk, risks.reference_risk) < RARE else 100
    first, second = (f"{per * p:.0f}" for p in (risks.reference_risk, risks.risk))
    by = per / 100
    d = risks.difference
    given = f" {risks.given}" if risks.given else ""
    return (
        f"{capital(risks.event)} {risks.when}, per {per:,}{given}: {first} in {risks.reference},"
        f" {second} in {risks.group}; {_more(by * d.estimate)} ({_range(by, d)});"
        f" {_events(risks.events, risks.event)}."
    )


def _events(number: int, event: str) -> str:
    return plural(number, counted(event)).replace(f"{number:,}", count(number), 1)


def _way(points: float) -> str:
    """Towards which side, of whole points; empty of none."""
    return "" if round(points) == 0 else "more" if points > 0 else "fewer"


def _more(points: float) -> str:
    way = _way(points)
    return f"{abs(points):.0f} {way}" if way else "no difference"


def _range(by: float, d: Answer) -> str:
    """An interval in words: "11 to 52" where both ends are more, or fewer, as the estimate is."""
    ends = [by * d.low, by * d.high]
    if not all(map(math.isfinite, ends)):
        return "no usable interval"
    ways = {_way(points) for points in (*ends, by * d.estimate)}
    if len(ways) > 1 or "" in ways:
        return " to ".join(map(_more, ends))
    return " to ".join(f"{size:.0f}" for size in sorted(map(abs, ends)))


def reversing(deaths: float, event: str, better: str) -> str:
    """How many unseen events in the group with the lower risk would take away the difference.

    Parameters
    ----------
    deaths : float
        Infinite where no number would.
    event : str
    better : str
        The group with the lower observed risk.
    """
    one = counted(event)
    if math.isinf(deaths):
        return f"No number of {one}s unseen in {better} would reverse that."
    return f"{capital(_events(int(deaths), one))} unseen in {better} would reverse that."


def surviving(
    found: int, total: int, adjusted: bool, beside: Sequence[tuple[str, int]], reason: str = "",
    unanswered: int = 0,
) -> str:  # fmt: skip
    """How many differences in change are left in the analysis that leads, and in those beside it.

    Parameters
    ----------
    found, total : int
        Markers that keep p < 0.05 by the false discovery rate, of those with an answer.
    adjusted : bool
        Whether the analysis that leads is adjusted for the baseline value.
    beside : sequence of (str, int)
        The others' names and how many they leave.
    reason : str
        Why it is not adjusted although the groups were not formed at random.
    unanswered : int
        Markers without an answer.
    """
    if total == 0:
        return "No difference in change could be estimated by maximum likelihood."
    how = "Baseline-adjusted" if adjusted else "Not baseline-adjusted" if reason else ""
    what = f"{count(found) if found else 'none'} of {total:,} changes"
    kept = f"{what} {'differs' if found == 1 else 'differ'} after correction"
    if total == 1:  # nothing to correct for
        only = "only known " if unanswered else ""
        kept = f"the {only}difference in change has p {'<' if found else NOT_BELOW} 0.05"
    text = f"{how}, {kept}" if how else capital(kept)
    others = [f"{name} {number}" for name, number in beside]
    others += [f"{count(unanswered)} not estimable"] if unanswered else []
    return f"{text}{f' ({"; ".join(others)})' if others else ''}."


def conclusion(risks: Risks | None, randomised: bool | None, reason: str = "") -> str:
    """What the data say about the event, plainly: settled is what both engines find.

    Parameters
    ----------
    risks : Risks or None
    randomised : bool or None
    reason : str
        Why there are no risks, where it is known.
    """
    if risks is None:
        why = f": {reason.rstrip('.')}" if reason else ""
        return f"The risks of the event have no usable answer{why}."
    d = risks.difference
    if not d.excludes_null:
        return (
            f"Whether {risks.group} lowers or raises the risk is not settled."
            if randomised
            else "Which risk is lower is not settled."
        )
    way = "lower" if d.estimate < 0 else "higher"
    if risks.posterior is not None and not risks.posterior.excludes_null:
        return (
            f"The {way} risk in {risks.group} is not settled: by maximum likelihood chance hardly"
            " explains it, by Bayes it may."
        )
    return f"Chance hardly explains the {way} risk in {risks.group}."


def begun_late(group: str, reference: str, event: str, since: str) -> str:
    """That treatment began after time zero, and what that does to a comparison as it turned out.

    Parameters
    ----------
    group, reference : str
    event : str
    since : str
        What time zero is.
    """
    return (
        f"Treatment began after {since}: whoever had the event ({event}) before it could begin"
        f" counts in {reference}, which makes {group} look better whatever treatment does."
    )


def emulated(difference: Answer | None, event: str, when: str, grace: str, reason: str = "") -> str:
    """The answer of the emulated trial, in place of that of the groups as they turned out.

    Parameters
    ----------
    difference : Answer or None
        Beginning minus not beginning, in percentage points; None where no trial was emulated.
        Without an interval if its ends are not finite.
    event, when : str
        "death", "by 28 days".
    grace : str
        Within how long treatment begins, as "2 days".
    reason : str
        Why the trial that was asked for has no answer.
    """
    if difference is None:
        trial = (
            f"a trial from time zero has no usable answer: {reason.rstrip('.')}"
            if reason
            else "no trial from time zero was emulated in this run"
        )
        return f"What treatment does is not answered by groups as they turned out, and {trial}."
    return (
        f"An emulated trial of beginning within {grace} against not: {event} {when}, per 100:"
        f" {_more(difference.estimate)} ({_range(1.0, difference)})."
    )


def turns(adjusted_for: str) -> str:
    """That the crude difference points the other way.

    Parameters
    ----------
    adjusted_for : str
        "adjusted for age".
    """
    return f"Not {adjusted_for}, the difference points the other way."


def doubts(reasons: Sequence[str]) -> str:
    """Why to doubt it; empty if there is no reason."""
    return f"Doubts: {listed(list(reasons))}." if reasons else ""


def aims(primary: str, secondary: Sequence[str], prespecified: bool) -> str:
    """What the study was made to find out, and whether it said so beforehand.

    Parameters
    ----------
    primary : str
        Empty where none is named.
    secondary : sequence of str
    prespecified : bool
    """
    if not primary and not secondary:
        return (
            "The study file names no primary outcome: every comparison here is exploratory, and the"
            " corrections over all markers are the ones to read."
        )
    parts = [f"The primary outcome is {primary}" if primary else "No primary outcome is named"]
    if secondary:
        plural_ = "s are" if len(secondary) > 1 else " is"
        parts.append(f"the secondary outcome{plural_} {listed(list(secondary))}")
    when = (
        "chosen before the data were seen" if prespecified
        else "not said to have been chosen before the data were seen"
    )  # fmt: skip
    return f"{'; '.join(parts)} ({when}). All others are exploratory."


def sides(dropped: Sequence[str], gained: Sequence[str], began: Sequence[str]) -> str:
    """Which markers the adjustment moves across, and whether they are those that began apart.

    Parameters
    ----------
    dropped, gained : sequence of str
        Clear of no difference unadjusted only; adjusted only.
    began : sequence of str
        Those that began apart.
    """
    parts = []
    if dropped:
        apart_ = [label for label in dropped if label in set(began)]
        which = (
            " (which began apart)" if len(apart_) == len(dropped)
            else f" ({listed(apart_)} began apart)" if apart_ else ""
        )  # fmt: skip
        parts.append(
            f"{listed(list(dropped))}{which} {'is' if len(dropped) == 1 else 'are'} clear of no"
            " difference only without the adjustment"
        )
    if gained:
        parts.append(
            f"{listed(list(gained))} {'is' if len(gained) == 1 else 'are'} clear of it only with it"
        )
    if not parts:
        return "The adjustment moves no interval across no difference."
    return f"{capital('; '.join(parts))}."


def not_randomised(randomised: bool | None) -> str:
    """How the groups came about, of groups that are not known to be alike: no full stop.

    Parameters
    ----------
    randomised : bool or None
        False, or None where the study does not say.
    """
    if randomised is None:
        return "It is not said whether the groups were formed at random"
    return "The groups were not formed at random"


def leads_because(start: str, randomised: bool | None = False) -> str:
    """Why the adjusted difference leads.

    Parameters
    ----------
    start : str
        The phase whose value is adjusted for.
    randomised : bool or None
        False, or None where the study does not say.
    """
    return (
        f"{not_randomised(randomised)}, so the difference in change adjusted for the value"
        f" at {start} leads: a group that began further off falls back further, whatever is done to"
        " it. That was settled beforehand, and no test of these data chose it."
    )


ERROR_IN_BASELINE = (
    "The baseline is adjusted for as it was measured: where it was measured with error, or varies"
    " from day to day, part of an imbalance is left in the adjusted difference."
)


def marker_answer(label: str, answer: Answer, level: str, unit: str, than: str = "") -> str:
    """One marker's difference in change as one phrase.

    Parameters
    ----------
    label : str
    answer : Answer
        A ratio of fold changes, or a difference.
    level : str
    unit : str
    than : str
        The group it is compared with, where there are several.
    """
    if answer.ratio:
        as_in = f" as in {than}" if than else ""
        return (
            f"{label}: fold change {answer.point} times as high in {level}{as_in}"
            f" ({answer.interval})"
        )
    unit = f" {unit}" if unit else ""
    return (
        f"{label}: change in {level} minus that in {than or 'the other group'}"
        f" {answer.point}{unit} ({answer.interval})"
    )
