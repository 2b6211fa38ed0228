"""Sentences about what is missing of a marker, and what it would take to change the answer."""

from __future__ import annotations

import math
from collections.abc import Mapping

from longsurv import numbers
from longsurv.report.sentences import Answer
from longsurv.words import plural, verb


def not_imputed(reason: str, label: str = "") -> str:
    """Why missing values were not imputed.

    Parameters
    ----------
    reason : str
    label : str
        Of the marker; empty for all.
    """
    of = f" of {label}" if label else ""
    return f"Missing values{of} were not imputed: {reason.rstrip('.')}."


def lacking(label: str, count: int, wanted: int, where: str, most: bool) -> str:
    """How much is missing of a marker.

    Parameters
    ----------
    label : str
    count, wanted : int
        Values missing, of how many.
    where : str
        In which groups and phases.
    most : bool
        Whether it is told since no other marker lacks more.
    """
    why = ", the most of any marker" if most else ""
    return f"{label} lacks {count:,} of {plural(wanted, 'value')}{why}: {where}."


def within_limits(count: int) -> str:
    """That values beyond a limit are drawn too.

    Parameters
    ----------
    count : int
    """
    return (
        f"With them {plural(count, 'value')} known by a limit only {verb(count, 'is', 'are')} drawn"
        " within it, from the same model."
    )


def moved(level: str, start: str, end: str, answers: Mapping[float, Answer], tip: float) -> str:
    """The answer with missing values as the model predicts them, and moved away from that.

    Parameters
    ----------
    level : str
        The group whose missing values are moved.
    start, end : str
        Phases of the change.
    answers : mapping of float to Answer
        By how many standard deviations at baseline they are moved; 0 is among them.
    tip : float
        Where the interval changes between clear of no difference and not; NaN if it does not.
    """
    at_random, steps = answers[0.0], sorted(answers)
    what = "ratio" if at_random.ratio else "difference"
    low, high = (answers[step] for step in (steps[0], steps[-1]))
    far = numbers.plain(max(abs(steps[0]), steps[-1]))
    text = (
        f"Imputed as the mixed model predicts them (missing at random), the {what} in change in"
        f" {level} from {start} to {end} is {at_random.text}; with the missing values of {level}"
        f" {far} standard deviations lower than that it is {low.text}, and {far} higher"
        f" {high.text}."
    )
    if math.isfinite(tip):
        size, way = numbers.number(abs(tip), 2), "higher" if tip > 0 else "lower"
        side = "no longer clear" if at_random.excludes_null else "clear"
        return (
            f"{text} From {size} standard deviations {way} on the interval is {side} of no"
            " difference."
        )
    side = "stays clear of" if at_random.excludes_null else "holds"
    return f"{text} The interval {side} no difference at every shift between."


def as_reference(words: str, answer: Answer) -> str:
    """The answer where values after a patient's last one are as in the reference group.

    Parameters
    ----------
    words : str
        The method, as "jump to reference".
    answer : Answer
    """
    return f"By {words}: {answer.text}."
