"""The sentences about markers that deaths cut short."""

from __future__ import annotations

from collections.abc import Mapping

from longsurv import numbers
from longsurv.numbers import Shown
from longsurv.words import capital, listed, plural


def not_compared(reason: str) -> str:
    """Why there is no comparison with death as the worst outcome.

    Parameters
    ----------
    reason : str
    """
    return (
        f"Death as the worst outcome of a marker was not compared. {capital(reason.rstrip('.'))}."
    )


def died(counts: Mapping[tuple[str, str], tuple[int, int]]) -> str:
    """How many have no value because they died.

    Parameters
    ----------
    counts : mapping of (str, str) to (int, int)
        By group and phase, who had died by its end, of how many.
    """
    phases: dict[str, list[str]] = {}
    for (group, phase), (dead, n) in counts.items():
        phases.setdefault(phase, []).append(f"{dead:,} of {n:,} in {group}")
    said = [f"by the end of {phase} {listed(parts)}" for phase, parts in phases.items()]
    return (
        f"Patients who had died: {'; '.join(said)}. A marker after death does not exist, and which"
        " question is asked of it decides the answer."
    )


def fares_better(
    label: str, level: str, reference: str, index: Shown, p: float, clear: tuple[int, int], why: str
) -> str:
    """Who fares better by one marker, and by how many the answer is clear.

    Parameters
    ----------
    label, level, reference : str
    index : Shown
        The probability index and its interval.
    p : float
    clear : (int, int)
        Markers whose interval is clear of 0.5, of how many.
    why : str
        Which marker this is of several.
    """
    said, (count, of) = numbers.p_value(p), clear
    known = f"p {said}" if said[0] in "<>" else f"p = {said}"
    told = (
        f" patient of {level} fares better than one of {reference} with probability {index.point}"
        f" (95 % confidence interval {index.interval}; {known}); 0.5 is no difference."
    )
    if of == 1:
        return f"With death as the worst outcome, a{told}"
    return (
        "With death as the worst outcome, the 95 % confidence interval is clear of no difference"
        f" for {count} of {plural(of, 'marker')}. {label}, {why}: a{told}"
    )


def in_brief(label: str, level: str, reference: str, index: Shown, clear: tuple[int, int]) -> str:
    """The same in a few words.

    Parameters
    ----------
    label, level, reference : str
    index : Shown
    clear : (int, int)
        As for `fares_better`.
    """
    count, of = clear
    told = (
        f"a patient of {level} fares better than one of {reference} with probability {index.point}"
        f" ({index.interval})"
    )
    if of == 1:
        return f"With death as the worst outcome, {told}."
    return (
        f"With death as the worst outcome {count} of {plural(of, 'marker')} differ by the 95 %"
        f" interval; {label}: {told}."
    )
