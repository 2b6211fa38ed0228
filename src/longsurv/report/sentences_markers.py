"""Sentences about the markers together: adjustments, shrinkage, scores.

As in `sentences`, a direction is always taken from the estimate it stands beside, and a probability
is that of the direction just named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from longsurv import numbers
from longsurv.report.sentences import Answer
from longsurv.words import listed, plural

Answers = Mapping[str, Answer | None]


def regression_to_the_mean(
    level: str, reference: str, start: str, higher: Sequence[str], lower: Sequence[str]
) -> str:
    """Why the adjustments need not agree, and which markers began apart.

    Parameters
    ----------
    start : str
        The phase at which the groups are compared.
    higher, lower : sequence of str
        Markers that began higher, or lower, in `level`, with p < 0.05.
    """
    began = [
        f"{listed(markers)} began higher in {group}"
        for group, markers in ((level, higher), (reference, lower))
        if markers
    ]
    text = (
        "Adjustments answer different questions (table below) and need not agree: a group that"
        " began higher partly by chance falls back, whatever is done to it (regression to the"
        " mean)."
    )
    if began:
        return f"{text} In these data {'; '.join(began)} (at {start}, rank test p < 0.05)."
    return f"{text} In these data no marker began apart with p < 0.05 (at {start}, rank test)."


def regression_line(label: str, slope: float, start: str) -> str:
    """What the slope of the change on the first value says.

    Parameters
    ----------
    label : str
    slope : float
    start : str
    """
    size = numbers.number(abs(slope))
    if slope < 0:
        return (
            f"{label}, in which the groups began furthest apart: for every unit that a patient was"
            f" higher at {start}, the change was {size} lower, in either group. An unadjusted"
            " difference takes that for an effect."
        )
    return (
        f"{label}, in which the groups began furthest apart: a patient who was higher at {start}"
        f" did not fall back further (slope {size}); there is no regression to the mean to see."
    )


def beyond_not_counted(reason: str) -> str:
    """Why values beyond a limit were counted in one way only.

    Parameters
    ----------
    reason : str
    """
    return f"Values beyond a limit were counted in one way only. {reason.rstrip('.')}."


def beyond(
    label: str, censored: int, values: int, main: Answer | None, other: Answer | None, level: str,
    taken: str,
) -> str:  # fmt: skip
    """What the marker with the most values beyond a limit would say, were these counted otherwise.

    Parameters
    ----------
    label : str
    censored, values : int
        How many lie beyond a limit, of how many.
    main, other : Answer or None
        The main analysis, and the other.
    level : str
        The group compared with the reference.
    taken : str
        Where the other has the values: "at the limit" or "beyond the limit".
    """
    opening = f"{label} has most values beyond a limit of detection ({censored:,} of {values:,})."
    if main is None or other is None:
        return f"{opening} Counting them {taken} could not be compared with the main analysis."
    kept = main.excludes_null == other.excludes_null and main.higher == other.higher
    verdict = "" if kept else " That changes which side of no difference the interval is on."
    what = "ratio" if other.ratio else "difference"
    return (
        f"{opening} The {what} in {level} is {main.point} (95 % confidence interval"
        f" {main.interval}), and with these values taken {taken} {other.text}.{verdict}"
    )


def adjustments_summary(adjusted: Mapping[str, Answers], level: str) -> list[str]:
    """How many intervals are clear under each adjustment, and which under all of them.

    Parameters
    ----------
    adjusted : mapping of str to mapping of str to Answer or None
        Adjustment to marker to its answer.

    Returns
    -------
    list of str
        One sentence an item.
    """
    asked = {kind: answers for kind, answers in adjusted.items() if any(answers.values())}
    if not asked:
        return ["No adjusted difference in change could be estimated."]
    counts = []
    for kind, answers in asked.items():
        known = [answer for answer in answers.values() if answer is not None]
        clear = sum(answer.excludes_null for answer in known)
        counts.append(f"{kind[:1].lower() + kind[1:]} {clear} of {len(known)}")
    sentences = [
        f"95 % confidence intervals clear of no difference in change: {'; '.join(counts)}."
    ]
    if len(asked) < 2:
        return sentences
    always: dict[str, list[str]] = {}
    turned = []
    for name in next(iter(asked.values())):
        each = [answers.get(name) for answers in asked.values()]
        known = [answer for answer in each if answer is not None]
        ways = {answer.direction for answer in known}
        if len(known) == len(each) and len(ways) == 1 and all(a.excludes_null for a in known):
            always.setdefault(known[0].direction, []).append(name)
        if {"lower", "higher"} <= ways:
            turned.append(name)
    every = "every adjustment" + " that has an answer" * (len(asked) < len(adjusted))
    if always:
        which = "; ".join(f"{way} in {level}: {listed(names)}" for way, names in always.items())
        sentences.append(f"Clear under {every}: {which}.")
    else:
        sentences.append(f"No marker is clear under {every}.")
    if turned:
        sentences.append(f"Pointing one way or the other with the adjustment: {listed(turned)}.")
    return sentences


def family_mean(
    family: str, markers: int, mean: Answer, level: str, reference: str, *, again: bool = False
) -> str:
    """The mean of a family's effects, named with the group that went further to the better side.

    Parameters
    ----------
    mean : Answer
        In baseline SDs; above 0 where `level` moved further in the markers' better directions.
    again : bool
        The same was said of another family just before: in what, and what the numbers are.
    """
    further, other = (level, reference) if mean.estimate >= 0 else (reference, level)
    shown = mean if mean.estimate >= 0 else replace(
        mean, estimate=-mean.estimate, low=-mean.high, high=-mean.low,
        prob_positive=1 - mean.prob_positive,
    )  # fmt: skip
    point, interval = numbers.shown_difference(shown.estimate, shown.low, shown.high, places=2)
    if again:
        return (
            f"Over the {plural(markers, 'marker')} of {family}, {further} moved {point} further"
            f" than {other} ({interval}; probability"
            f" {numbers.probability(shown.prob_positive)})."
        )
    return (
        f"On average over the {plural(markers, 'marker')} of {family}, {further} moved {point}"
        f" baseline SDs further than {other} in the direction called better (posterior mean; 95 %"
        f" credible interval {interval}), and the probability that it moved further there is"
        f" {numbers.probability(shown.prob_positive)}."
    )


def shrinkage_summary(alone: Mapping[str, Answer], shrunken: Mapping[str, Answer]) -> str:
    """What shrinking did: intervals clear before and after, and the marker it moved most.

    Parameters
    ----------
    alone, shrunken : mapping of str to Answer
        Marker to its posterior effect in baseline SDs, in the same order.
    """
    before, after = (
        sum(answer.excludes_null for answer in answers.values()) for answers in (alone, shrunken)
    )
    total = len(alone)
    moved = max(alone, key=lambda name: abs(shrunken[name].estimate - alone[name].estimate))
    from_, to = (
        numbers.fixed(answers[moved].estimate, 2) for answers in (alone, shrunken)
    )  # fmt: skip
    return (
        f"Each on its own, {before or 'none'} of {total} credible intervals (95 %)"
        f" {'is' if before == 1 else 'are'} clear of no difference; drawn towards their family,"
        f" {after or 'none'}. {moved} moved most, from {from_} to {to} baseline SDs."
    )


def score_shares(
    label: str, cutoff: float, ends: tuple[str, str], shares: Mapping[str, tuple[float, float]]
) -> str:
    """The share beyond a cut-off in each group, before and after.

    Parameters
    ----------
    ends : (str, str)
        The two phases.
    shares : mapping of str to (float, float)
        Group to the shares, between 0 and 1.
    """
    parts = [
        f"from {100 * first:.0f} % to {100 * last:.0f} % in {group}"
        for group, (first, last) in shares.items()
    ]
    return (
        f"The expected share of patients with {label} of {numbers.plain(cutoff)} or more went from"
        f" {ends[0]} to {ends[1]} {listed(parts)}."
    )
