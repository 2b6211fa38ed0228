"""The report's sentences, each written from results so that it cannot contradict them.

A direction is always taken from the estimate it stands beside, and a probability is always the
probability of the direction just named.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from longsurv.report import numbers

FEW_EVENTS = 10


@dataclass(frozen=True)
class Answer:
    """One engine's answer about one contrast, on the scale without a logarithm.

    Parameters
    ----------
    estimate, low, high : float
        The estimate and its 95 % interval: a difference, or a ratio when `ratio` is true.
    ratio : bool
        No difference is 1 rather than 0.
    p_value : float
        Two-sided; missing for a posterior.
    prob_positive : float
        Posterior probability that the contrast lies above no difference.
    """

    estimate: float
    low: float
    high: float
    ratio: bool = False
    p_value: float = math.nan
    prob_positive: float = math.nan

    @property
    def null(self) -> float:
        return 1.0 if self.ratio else 0.0

    @property
    def higher(self) -> bool:
        return self.estimate > self.null

    @property
    def excludes_null(self) -> bool:
        return self.low > self.null or self.high < self.null

    @property
    def direction(self) -> str:
        """"higher", "lower" or "the same"."""
        return "the same" if self.estimate == self.null else "higher" if self.higher else "lower"

    @property
    def prob_direction(self) -> float:
        """Posterior probability of the direction the estimate points to."""
        return self.prob_positive if self.higher else 1 - self.prob_positive

    @property
    def text(self) -> str:
        return (numbers.ratio if self.ratio else numbers.difference)(
            self.estimate, self.low, self.high
        )


def listed(items: Sequence[str]) -> str:
    """"A", "A and B", "A, B and C"."""
    items = list(items)
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1] if items else ""


def plural(count: int, one: str, many: str | None = None) -> str:
    """"1 patient", "41 patients"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def counts(rows: Sequence[tuple[str, int, int]], when: str, event: str) -> str:
    """Crude counts: "Death by 28 days: IVIG 1 of 19 (5.3 %), control 4 of 22 (18.2 %)."

    Parameters
    ----------
    rows : sequence of (group, events, patients)
    """
    parts = [f"{group} {k} of {n} ({numbers.percent(k, n)})" for group, k, n in rows]
    return f"{event.capitalize()} {when}: {', '.join(parts)}."


def by_when(horizon: float | None, unit: str) -> str:
    """"by 28 days", or "during follow-up" when there is no horizon."""
    return f"by {numbers.plain(horizon)} {unit}" if horizon else "during follow-up"


def hazard(level: str, reference: str, ml: Answer | None, bayes: Answer | None) -> str:
    """The hazard ratio by both engines, each with the direction it points to."""
    if ml is None and bayes is None:
        return f"The hazard ratio of {level} against {reference} could not be estimated."
    parts = []
    if ml is not None:
        parts.append(
            f"By maximum likelihood the hazard is estimated {ml.direction} in {level} than in {reference}"
            f" (hazard ratio {ml.text}, 95 % confidence interval; p {_equals(numbers.p_value(ml.p_value))})."
        )
    if bayes is not None:
        parts.append(
            f"By Bayes the hazard ratio is {bayes.text} (95 % credible interval), with probability"
            f" {numbers.probability(bayes.prob_direction)} that the hazard is {bayes.direction} in"
            f" {level}."
        )
    intervals = [a for a in (ml, bayes) if a is not None]
    if not any(a.excludes_null for a in intervals):
        which = "Both intervals include" if len(intervals) == 2 else "The interval includes"
        parts.append(f"{which} 1: a lower and a higher hazard are both compatible with these data.")
    elif len(intervals) == 2 and not all(a.excludes_null for a in intervals):
        parts.append("One interval includes 1 and the other does not: read them together.")
    return " ".join(parts)


def change(label: str, level: str, reference: str, ml: Answer | None, bayes: Answer | None) -> str:
    """The difference in change of one marker by both engines."""
    name = "ratio of changes" if (ml or bayes or Answer(0, 0, 0)).ratio else "difference in change"
    if ml is None and bayes is None:
        return f"{label}: the {name} could not be estimated."
    parts = []
    if ml is not None:
        parts.append(f"{name} {ml.text}, {ml.direction} in {level} than in {reference}"
                     f" (p {_equals(numbers.p_value(ml.p_value))})")
    if bayes is not None:
        parts.append(f"Bayes {bayes.text}, {numbers.probability(bayes.prob_direction)} probability"
                     f" of {bayes.direction} in {level}")
    return f"{label}: {'; '.join(parts)}."


def changes_summary(
    labels: Sequence[str],
    ml: Sequence[Answer | None],
    bayes: Sequence[Answer | None],
    holm: Sequence[float],
    fdr: Sequence[float],
    level: str,
) -> list[str]:
    """How many markers changed differently between the groups, by each engine and corrected.

    All sequences run over the same contrasts, in the same order.

    Returns
    -------
    list of str
        One sentence an item.
    """
    estimated = [k for k in range(len(labels)) if ml[k] is not None or bayes[k] is not None]
    total = len(estimated)
    if total == 0:
        return ["The difference in change could not be estimated for any marker."]

    def clear(answers: Sequence[Answer | None]) -> list[str]:
        named = [(labels[k], answers[k]) for k in estimated]
        return [f"{label} ({a.direction} in {level})"
                for label, a in named if a is not None and a.excludes_null]

    of_total = f"of {plural(total, 'difference in change', 'differences in change')}"
    found_ml, found_bayes = clear(ml), clear(bayes)
    sentences = [
        f"By maximum likelihood {len(found_ml)} {of_total} {_has(len(found_ml))} a 95 % confidence"
        f" interval that excludes no difference{': ' + listed(found_ml) if found_ml else ''}.",
        f"By Bayes {len(found_bayes)} of {total} {_has(len(found_bayes))} a 95 % credible interval"
        f" that excludes no difference{': ' + listed(found_bayes) if found_bayes else ''}.",
    ]
    if total > 1:
        sentences.append(
            f"After correction for {total} comparisons {_below(holm)} "
            f"{'keeps' if _below(holm) == 1 else 'keep'} p < 0.05 by Holm's method and"
            f" {_below(fdr)} by the false discovery rate (Benjamini and Hochberg)."
        )
    missing = [labels[k] for k in range(len(labels)) if k not in estimated]
    if missing:
        sentences.append(f"Not estimated: {listed(missing)}; the reason stands in the table.")
    return sentences


def one_sided_significance(
    level: str,
    reference: str,
    only_level: Sequence[str],
    only_reference: Sequence[str],
    differing: Sequence[str],
) -> str:
    """What "significant in one group, not in the other" did and did not show.

    Parameters
    ----------
    only_level, only_reference : sequence of str
        Markers whose change within that group alone has p < 0.05.
    differing : sequence of str
        Markers whose difference in change has a 95 % confidence interval excluding none.
    """
    either = [*only_level, *only_reference]
    if not either:
        return "No marker changed significantly in one group and not in the other."
    parts = [f"only in {group}: {listed(markers)}"
             for group, markers in ((level, only_level), (reference, only_reference)) if markers]
    confirmed = [m for m in either if m in set(differing)]
    held = (f"for {listed(confirmed)} the difference in change itself excludes no difference"
            if confirmed else "for none of them does the difference in change itself exclude none")
    return (
        f"Changed with p < 0.05 {'; '.join(parts)}. That is not a difference between the groups:"
        f" {held} (maximum likelihood, 95 % confidence interval)."
    )


def estimand(event: str, horizon: float | None, entry: float | None, unit: str) -> str:
    """What the mortality figures are about: the event, by when, given what."""
    given = (
        f", given still under observation at {numbers.plain(entry)} {unit}: patients enter the risk"
        " set then, and nothing is said about those who died or left before"
        if entry else ""
    )
    return f"The outcome is {event} {by_when(horizon, unit)}{given}."


def competing(label: str, count: int, event: str) -> str:
    """What a competing event does to the mortality figures; empty when there was none."""
    if count == 0:
        return ""
    return (
        f"{plural(count, 'patient')} had the competing event {label}, which ends time at risk: the"
        f" hazard ratio is that of {event} among those still at risk, and one minus the"
        f" Kaplan-Meier curve overstates the proportion with {event}."
    )


def few_events(events: int, event: str) -> str:
    """The warning that belongs beside a hazard ratio from few events; empty from ten up."""
    if events >= FEW_EVENTS:
        return ""
    return (
        f"Only {plural(events, 'event')} ({event}): a Wald interval from so few is unreliable, and"
        " the posterior owes much of its width and place to the prior. Neither answer settles the"
        " question."
    )


def convergence(failed: Sequence[str], total: int) -> str:
    """Whether every fit and every sampler passed its own checks."""
    if total == 0:
        return "No model was fitted."
    if not failed:
        return f"All {total} fits passed their checks." if total > 1 else "The fit passed its checks."
    return (f"{len(failed)} of {plural(total, 'fit')} did not pass every check: {listed(failed)}."
            " Read those answers with the table below.")


def _equals(p: str) -> str:
    return p if p[0] in "<>" else f"= {p}"


def _has(count: int) -> str:
    return "has" if count == 1 else "have"


def _below(p_values: Sequence[float]) -> int:
    return sum(p < 0.05 for p in p_values if not math.isnan(p))
