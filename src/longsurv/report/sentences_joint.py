"""The sentences on joint models, each written from results so that it cannot contradict them."""

from __future__ import annotations

from longsurv import numbers
from longsurv.report.sentences import Answer
from longsurv.words import capital

RISKS = {"lowest": " (highest risk)", "middle": "", "highest": " (lowest risk)"}


def association(change: str, event: str, ml: Answer | None, bayes: Answer | None) -> str:
    """What a change of the marker goes with, by each engine that has an answer.

    Parameters
    ----------
    change : str
        As in "a doubling of PCT".
    event : str
    ml, bayes : Answer or None
        Hazard ratios.
    """
    parts = []
    for answer, kind in ((ml, "maximum likelihood"), (bayes, "Bayes")):
        if answer is not None:
            parts.append(
                f"{answer.point} times as high by {kind} (95 % interval {answer.interval})"
            )
    if not parts:
        return f"What {change} goes with could not be estimated."
    text = f"{capital(change)} goes with a hazard of {event} {' and '.join(parts)}."
    answers = [answer for answer in (ml, bayes) if answer is not None]
    if all(not answer.excludes_null for answer in answers):
        return f"{text} The {'interval includes' if len(answers) == 1 else 'intervals include'} 1."
    return text


def ignoring(label: str, alone: Answer, joint: Answer, event: str) -> str:
    """What the mixed model alone said, beside the joint model.

    Parameters
    ----------
    label : str
        The contrast in words.
    alone, joint : Answer
    event : str
    """
    shift = joint.estimate - alone.estimate
    half = (alone.high - alone.low) / (2 * 1.96)
    apart = abs(shift) / half if half > 0 else 0.0
    text = (
        f"{label}: {alone.text} by the mixed model alone, {joint.text} with {event} in the same"
        " likelihood"
    )
    if apart < 0.25:
        return f"{text}: ignoring {event} would have said nearly the same."
    way = "higher" if shift > 0 else "lower"
    return f"{text}, {way} by {numbers.number(apart, 2)} standard errors."


def predicted(
    rank: str, patient: str, group: str, chances: tuple[float, float, float], until: str
) -> str:
    """One patient's predicted survival: the probability and its limits.

    Parameters
    ----------
    rank : {"lowest", "middle", "highest"}
        Of the predicted survival: the lowest has the highest risk.
    patient : str
        The identifier; empty where patients are not shown.
    group : str
    chances : (middle, low, high)
    until : str
        As in "to 28 days".
    """
    who = f"patient {patient} ({group})" if patient else f"a patient of the group {group}"
    middle, low, high = (numbers.probability(chance) for chance in chances)
    return (
        f"{capital(rank)} predicted survival {until}{RISKS[rank]}: {who}, {middle} (95 % credible"
        f" interval {low} to {high})."
    )
