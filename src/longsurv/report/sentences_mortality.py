"""The sentences about mortality beyond the hazard ratio, under the same rule as the others.

A direction is always taken from the estimate it stands beside, and a probability is always the
probability of the direction just named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from longsurv import numbers
from longsurv.priors import MOSTLY_PRIOR
from longsurv.report.sentences import Answer
from longsurv.words import listed, plural


@dataclass(frozen=True)
class Compared:
    """Who is compared, in the words of the report.

    Parameters
    ----------
    group, reference : str
    event : str
        "death".
    when : str
        "by 28 days".
    """

    group: str
    reference: str
    event: str = "death"
    when: str = ""

    @property
    def risk(self) -> str:
        """ "risk of death by 28 days"."""
        return f"risk of {self.event} {self.when}".strip()


def risk_difference(asked: Compared, ml: Answer | None, bayes: Answer | None, of: str = "") -> str:
    """The difference of two risks by both engines, in percentage points.

    Parameters
    ----------
    asked : Compared
    ml, bayes : Answer or None
        Differences in percentage points.
    of : str
        What differs, if not the risk of the event.
    """
    what = of or asked.risk
    parts = []
    if ml is not None and _known(ml):
        parts.append(
            f"The {what} is estimated {_points(ml)} in {asked.group} than in {asked.reference}"
            f" (95 % confidence interval of the difference {ml.interval}"
            f"{_tested(ml.p_value)})."
        )
    if bayes is not None and _known(bayes):
        opening = "By Bayes the difference is" if parts else f"By Bayes the {what} differs by"
        parts.append(
            f"{opening} {bayes.point} percentage points (95 % credible interval {bayes.interval}),"
            f" and the probability that it is {bayes.direction} in {asked.group} is"
            f" {numbers.probability(bayes.prob_direction)}."
        )
    return " ".join(parts) or (
        f"The difference in the {what} between {asked.group} and {asked.reference} could not be"
        " estimated."
    )


def in_one_model(count: int) -> str:
    """Whose data an answer rests on, where there are several comparisons; empty for one.

    Parameters
    ----------
    count : int
        Of the comparisons.
    """
    if count < 2:
        return ""
    return (
        f"There are {count} comparisons. Hazard ratios, and risks that their models predict, are of"
        " one model of all groups with one baseline hazard; every other method, curves of groups"
        " made alike and subgroups are of the two groups compared."
    )


def together(pairwise: bool) -> str:
    """How intervals that hold for all comparisons of arms together are made.

    Parameters
    ----------
    pairwise : bool
        Whether every pair is compared, or every arm with the reference.
    """
    name = "Tukey's, of all pairs" if pairwise else "Dunnett's, of all groups against the reference"
    return (
        "Maximum partial likelihood in one Cox model of all groups. The chance is 95 % that all"
        f" intervals of the second kind hold their ratio ({name}, by the multivariate normal"
        " distribution of the log hazard ratios), and its p belongs to them. Holm's p corrects the"
        " first, and has no intervals."
    )


def not_together(reason: str) -> str:
    """Why there are no intervals that hold for all comparisons together."""
    return f"There are no intervals that hold for all comparisons together: {reason.rstrip('.')}."


def several(count: int, reference: str, corrected: Mapping[str, float]) -> str:
    """That there are several comparisons, and the p-values corrected for their number.

    Parameters
    ----------
    count : int
        Of the comparisons.
    reference : str
        What each group is compared with; empty if every pair is compared.
    corrected : mapping of str to float
        By group or pair, of its hazard ratio; NaN where there is none.
    """
    known = [
        f"{numbers.p_value(p)} ({group})" for group, p in corrected.items() if not math.isnan(p)
    ]
    text = (
        f"These are {count} comparisons {f'with {reference}' if reference else 'of two groups'};"
        " intervals and probabilities are of each alone."
    )
    if not known:
        return text
    return f"{text} Corrected by Holm's method, p of the hazard ratios is {listed(known)}."


def _points(answer: Answer) -> str:
    """ "12.9 percentage points lower"; "no higher" for no difference at all."""
    if answer.estimate == 0:
        return answer.direction
    size = numbers.fixed(abs(answer.estimate), numbers.decimals_for([answer.low, answer.high]))
    return f"{size} percentage points {answer.direction}"


def _tested(p_value: float) -> str:
    if math.isnan(p_value):
        return ""
    text = numbers.p_value(p_value)
    return f"; p {text if text[0] in '<>' else f'= {text}'}"


def _known(answer: Answer) -> bool:
    return not math.isnan(answer.estimate)


def methods_range(
    quantity: str, answers: Sequence[Answer], unanswered: int, asked: Compared
) -> str:
    """The answers of all methods about one quantity, from the least to the greatest.

    Parameters
    ----------
    quantity : str
        "hazard ratio" or "risk difference" (in percentage points).
    answers : sequence of Answer
        Of the methods that have one.
    unanswered : int
        How many have none.
    asked : Compared
    """
    without = f"{plural(unanswered, 'method')} had no usable answer." if unanswered else ""
    if not answers:
        return f"No method had a usable answer about the {quantity}."
    ratio = answers[0].ratio
    what = "hazard" if ratio else "risk"
    values = [a.estimate for a in answers]
    ends = _ends(values, answers)
    unit = "" if ratio else " percentage points"
    ways = _counted([a.direction for a in answers], "")
    sides = _counted([a.direction for a in answers if a.excludes_null], "with a ")
    excluding = sum(a.excludes_null for a in answers)
    several = len(answers) > 1
    spread = f"{quantity}s from {ends[0]} to {ends[1]}" if several else f"{quantity} of {ends[0]}"
    text = (
        f"{plural(len(answers), 'method')} {'give' if several else 'gives'} {spread}{unit} for"
        f" {asked.group} against {asked.reference}; the {what} in {asked.group} is {ways}."
        f" {excluding or 'None'} of {plural(len(answers), 'interval')}"
        f" {'exclude' if excluding > 1 else 'excludes'} {'1' if ratio else '0'}"
        f"{f' ({sides} {what} in {asked.group})' if sides else ''}."
    )
    return f"{text} {without}".strip()


def _ends(values: Sequence[float], answers: Sequence[Answer]) -> tuple[str, str]:
    low, high = min(values), max(values)
    if answers[0].ratio:
        return numbers.number(low), numbers.number(high)
    limits = [limit for a in answers for limit in (a.low, a.high)]
    places = numbers.decimals_for([*values, *limits])
    return numbers.fixed(low, places), numbers.fixed(high, places)


def _counted(ways: Sequence[str], before: str) -> str:
    """ "lower by 9 methods and higher by 1", or "1 with a lower and 2 with a higher"."""
    order = sorted(set(ways), key=lambda way: (-ways.count(way), way))
    if before:
        return listed([f"{ways.count(way)} {before}{way}" for way in order])
    first, *others = order
    told = [f"{first} by {plural(ways.count(first), 'method')}"]
    return listed([*told, *(f"{way} by {ways.count(way)}" for way in others)])


def prior_range(below: Mapping[str, float], flattest: str, asked: Compared) -> str:
    """How far the probability of a direction depends on the prior.

    Parameters
    ----------
    below : mapping of str to float
        Prior to the posterior probability of a hazard ratio below 1.
    flattest : str
        The prior that says least; the direction is the one it leaves the more probable.
    asked : Compared
    """
    way = "lower" if below[flattest] >= 0.5 else "higher"
    of = {name: p if way == "lower" else 1 - p for name, p in below.items()}
    least, most = min(of, key=lambda n: of[n]), max(of, key=lambda n: of[n])
    text = (
        f"The probability that the hazard of {asked.event} is {way} in {asked.group} than in"
        f" {asked.reference} runs from {numbers.probability(of[least])} ({least} prior) to"
        f" {numbers.probability(of[most])} ({most} prior)."
    )
    if min(of.values()) > 0.5:
        return f"{text} Under every prior here that is the more probable direction."
    against = [name for name, p in of.items() if p <= 0.5]
    return (
        f"{text} Under the {listed(against)} prior{'s' * (len(against) > 1)} it is not the more"
        " probable direction: the answer depends on the prior."
    )


def prior_shares(shares: Mapping[str, float], events: int) -> str:
    """Under which priors the posterior is mostly prior.

    Parameters
    ----------
    shares : mapping of str to float
        Prior to the posterior variance of the log hazard ratio over the prior's.
    events : int
    """
    mostly = {name: share for name, share in shares.items() if share >= MOSTLY_PRIOR}
    seen = f"With {plural(events, 'event')}"
    if not mostly:
        return (
            f"{seen} the data outweigh every prior here: the posterior variance of the log hazard"
            " ratio is less than half of the prior's under each."
        )
    few, many = (f"{100 * f(mostly.values()):.0f}" for f in (min, max))
    span = f"{few} %" if few == many else f"{few} to {many} %"
    return (
        f"{seen} the posterior variance of the log hazard ratio is still {span} of the prior's"
        f" under the {listed(list(mostly))} prior{'s' * (len(mostly) > 1)}. There the answer is"
        " mostly the prior's."
    )


def not_carried(reason: str) -> str:
    """Why the hazard ratio is not adjusted.

    Parameters
    ----------
    reason : str
    """
    return f"The hazard ratio is not adjusted for anything. Reason: {reason.rstrip('.')}."


def carried(
    level: str,
    reference: str,
    event: str,
    covariates: Sequence[str],
    left_out: Sequence[str],
    events: int,
    answers: Mapping[str, Answer],
) -> str:
    """The hazard ratio adjusted for as many covariates as the events carry.

    Parameters
    ----------
    level, reference, event : str
    covariates, left_out : sequence of str
        Adjusted for, and named after them.
    events : int
    answers : mapping of str to Answer
        "ml", "firth" and "bayes" (the median of the posterior).
    """
    kinds = {
        "ml": ("maximum likelihood", "confidence interval"),
        "firth": ("Firth's penalised likelihood", "profile interval"),
        "bayes": ("Bayes (posterior median)", "credible interval"),
    }
    parts = [
        f"{answers[kind].point} by {by} (95 % {interval} {answers[kind].interval}"
        f"{_tested(answers[kind].p_value)})"
        for kind, (by, interval) in kinds.items()
        if kind in answers and _known(answers[kind])
    ]
    others = f" They would not carry {listed(list(left_out))} besides." if left_out else ""
    return (
        f"Adjusted for {listed(list(covariates))}, in the order of the study file and as many as"
        f" {plural(events, 'event')} carry, the hazard ratio of {event}, {level} against"
        f" {reference}, is {listed(parts) or 'not estimated'}.{others} It is another quantity"
        " than the unadjusted one."
    )
