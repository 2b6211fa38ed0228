"""The report's sentences, each written from results so that it cannot contradict them.

A direction is always taken from the estimate it stands beside, and a probability is always the
probability of the direction just named.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from longsurv import numbers
from longsurv.words import listed, plural

FEW_EVENTS = 10
SEPARATED = 1e10  # upper over lower limit of a ratio


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
    mcse : float
        Monte Carlo standard error of a posterior's estimate: no smaller decimal is printed.
    """

    estimate: float
    low: float
    high: float
    ratio: bool = False
    p_value: float = math.nan
    prob_positive: float = math.nan
    mcse: float = math.nan

    @property
    def null(self) -> float:
        """No difference: 0, or 1 for a ratio."""
        return 1.0 if self.ratio else 0.0

    @property
    def higher(self) -> bool:
        """Whether the estimate lies above no difference."""
        return self.estimate > self.null

    @property
    def excludes_null(self) -> bool:
        """Whether the interval is clear of no difference."""
        return self.low > self.null or self.high < self.null

    @property
    def separated(self) -> bool:
        """Whether the likelihood has no maximum, as with a group without events."""
        return self.ratio and (self.low <= 0 or self.high / self.low > SEPARATED)

    @property
    def direction(self) -> str:
        """ "higher", "lower", or "no higher" for an estimate of exactly no difference."""
        return "higher" if self.higher else "no higher" if self.estimate == self.null else "lower"

    @property
    def prob_direction(self) -> float:
        """Posterior probability of the direction the estimate points to."""
        return self.prob_positive if self.higher else 1 - self.prob_positive

    @property
    def point(self) -> str:
        """The estimate alone."""
        return self._shown.point

    @property
    def interval(self) -> str:
        """The interval alone: "0.03 to 2.1"."""
        return self._shown.interval

    @property
    def text(self) -> str:
        """The estimate with its interval, rounded for reading."""
        return self._shown.text

    @property
    def _shown(self) -> numbers.Shown:
        shown = numbers.shown_ratio if self.ratio else numbers.shown_difference
        return shown(self.estimate, self.low, self.high, error=self.mcse)


def counts(rows: Sequence[tuple[str, int, int]], when: str, event: str) -> str:
    """Crude counts: "Observed: death by 28 days in IVIG 1 of 19 (5.3 %), control 4 of 22 (18.2 %)."

    Parameters
    ----------
    rows : sequence of (group, events, patients)
    """
    parts = [f"{group} {k} of {n} ({numbers.percent(k, n)})" for group, k, n in rows]
    return f"Observed: {event} {when} in {', '.join(parts)}."


def by_when(horizon: float | None, unit: str) -> str:
    """ "by 28 days", or "during follow-up" when there is no horizon."""
    return f"by {numbers.plain(horizon)} {unit}" if horizon else "during follow-up"


def adjusted_for(covariates: Sequence[str]) -> str:
    """ "adjusted for age and sex", or nothing."""
    return f"adjusted for {listed(covariates)}" if covariates else ""


def hazard(
    level: str,
    reference: str,
    ml: Answer | None,
    bayes: Answer | None,
    event: str,
    covariates: Sequence[str] = (),
) -> str:
    """The hazard ratio by both engines, each with the direction it points to.

    Parameters
    ----------
    level, reference : str
        The two groups.
    ml, bayes : Answer or None
        The posterior's point estimate is its median.
    event : str
        What the hazard is of.
    covariates : sequence of str
        What else the model holds: the answer is adjusted for it, and says so.
    """
    qualified = f", {adjusted_for(covariates)}," if covariates else ""
    if ml is None and bayes is None:
        return f"The hazard ratio{qualified} of {level} against {reference} could not be estimated."
    parts = []
    if ml is not None and ml.separated:
        parts.append(
            f"Maximum likelihood has no finite hazard ratio{qualified} of {level} against"
            f" {reference}: the"
            " events do not overlap between the groups."
        )
    elif ml is not None:
        parts.append(
            f"By maximum likelihood the hazard of {event}{qualified} is estimated {ml.direction} in"
            f" {level} than in {reference} (hazard ratio {ml.point}, 95 % confidence interval"
            f" {ml.interval}, p {_equals(numbers.p_value(ml.p_value))})."
        )
    if bayes is not None:
        parts.append(
            f"By Bayes the hazard ratio{qualified} is {bayes.point} (posterior median; 95 %"
            f" credible interval {bayes.interval}), and the probability that the hazard is"
            f" {bayes.direction} in {level} is {numbers.probability(bayes.prob_direction)}."
        )
    return " ".join(filter(None, [*parts, compatible(ml, bayes)]))


def compatible(ml: Answer | None, bayes: Answer | None) -> str:
    """Whether the intervals of a hazard ratio leave its direction open; empty if neither does.

    Parameters
    ----------
    ml, bayes : Answer or None
    """
    intervals = [a for a in (ml, bayes) if a is not None and not a.separated]
    if intervals and not any(a.excludes_null for a in intervals):
        which = "Both intervals include" if len(intervals) == 2 else "The interval includes"
        return f"{which} 1: a lower and a higher hazard are both compatible with these data."
    if len(intervals) == 2 and not all(a.excludes_null for a in intervals):
        return "One interval includes 1 and the other does not: read them together."
    return ""


def depends_on(level: str, event: str, modifiers: Sequence[str]) -> str:
    """Why there is no single hazard ratio where the model lets it depend on something."""
    return (
        f"In this model the effect of {level} on the hazard of {event} depends on"
        f" {listed(modifiers)}: there is no single hazard ratio, and the coefficient of the"
        " treatment alone is its effect only where all of these are zero or at their first level."
        " The table of hazard ratios has every coefficient."
    )


def changes_summary(
    labels: Sequence[str],
    ml: Sequence[Answer | None],
    bayes: Sequence[Answer | None],
    holm: Sequence[float],
    fdr: Sequence[float],
    level: str,
    corrected: int = 0,
) -> list[str]:
    """How many markers changed differently between the groups, by each engine and corrected.

    All sequences run over the same contrasts, in the same order.

    Parameters
    ----------
    corrected : int
        Comparisons that p-values are corrected for, those of other groups among them; by default
        those here.

    Returns
    -------
    list of str
        One sentence an item.
    """
    missing = [
        name for name, a, b in zip(labels, ml, bayes, strict=True) if a is None and b is None
    ]
    if len(missing) == len(labels):
        return ["The difference in change could not be estimated for any marker."]

    by_ml, by_bayes = (_clear(labels, answers, level) for answers in (ml, bayes))
    if by_ml == by_bayes:
        sentences = [f"By maximum likelihood, and by Bayes alike, {' '.join(by_ml)}"]
    else:
        sentences = [
            f"By maximum likelihood {' confidence '.join(by_ml)}",
            f"By Bayes {' credible '.join(by_bayes)}",
        ]
    comparisons = sum(not math.isnan(p) for p in holm)
    of_these = " of these" * (corrected > comparisons)
    if max(comparisons, corrected) > 1 and comparisons:
        sentences.append(
            f"After correction for {max(comparisons, corrected)} comparisons"
            f" {_below(holm) or 'none'}{of_these}"
            f" {'keeps' if _below(holm) < 2 else 'keep'} p < 0.05 by Holm's method and"
            f" {_below(fdr) or 'none'} by the false discovery rate (Benjamini and Hochberg)."
        )
    if missing:
        sentences.append(f"Not estimated: {listed(missing)}; the reason stands in the table.")
    return sentences


def _clear(labels: Sequence[str], answers: Sequence[Answer | None], level: str) -> tuple[str, str]:
    """How many intervals of one engine are clear of no difference, and which, by direction.

    The kind of interval goes between the two.
    """
    found: dict[str, list[str]] = {}
    for label, answer in zip(labels, answers, strict=True):
        if answer is not None and answer.excludes_null:
            found.setdefault(answer.direction, []).append(label)
    count, total = sum(map(len, found.values())), sum(answer is not None for answer in answers)
    which = "; ".join(f"{way} in {level}: {listed(names)}" for way, names in found.items())
    if total == 1:
        where = f"clear of no difference ({which})" if which else "that includes no difference"
        return "the difference in change has a 95 %", f"interval {where}."
    return (
        f"{count or 'none'} of {plural(total, 'difference in change', 'differences in change')}"
        f" {_has(count)} a 95 %",
        f"interval clear of no difference{f' ({which})' if which else ''}.",
    )


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
        Markers whose difference in change has a 95 % confidence interval clear of none.
    """
    either = [*only_level, *only_reference]
    if not either:
        return "No marker changed significantly in one group and not in the other."
    parts = [
        f"only in {group}: {listed(markers)}"
        for group, markers in ((level, only_level), (reference, only_reference))
        if markers
    ]
    lost = [m for m in either if m not in set(differing)]
    if len(lost) == len(either):
        judged = "it is clear of no difference for none of them"
    elif lost:
        judged = f"it is clear of no difference for all of them but {listed(lost)}"
    else:
        judged = "it is clear of no difference for all of them"
    if len(either) == 1:
        judged = f"it is {'not ' * bool(lost)}clear of no difference"
    return (
        f"Changed with p < 0.05 {'; '.join(parts)}. That is not yet a difference between the"
        " groups, which the 95 % confidence interval of the difference in change (below) answers:"
        f" {judged}."
    )


def gone(event: str) -> str:
    """What became of patients before they could be at risk: "died or left", "had it or left".

    Parameters
    ----------
    event : str
    """
    return "died or left" if event == "death" else f"had the event ({event}) or left"


def estimand(event: str, horizon: float | None, entry: float | None, unit: str) -> str:
    """What the mortality figures are about: the event, by when, given what."""
    given = (
        f", given still under observation at {numbers.plain(entry)} {unit}: patients enter the"
        f" risk set then, and nothing is said about those who {gone(event)} before"
        if entry
        else ""
    )
    return f"The outcome is {event} {by_when(horizon, unit)}{given}."


def observed_at(entry: float, unit: str) -> str:
    """ "observed at 7 days": what everything is conditional on; empty if on nothing."""
    return f"observed at {numbers.plain(entry)} {unit}" if entry else ""


def markers_of(entry: float, unit: str) -> str:
    """Of whom the markers are said; empty if of everybody.

    Parameters
    ----------
    entry : float
        When patients enter the risk set.
    unit : str
    """
    if not entry:
        return ""
    return f"As the risks are, this is of patients still observed at {numbers.plain(entry)} {unit}."


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
        f"Only {plural(events, 'event')} ({event}): a confidence interval from so few is"
        " unreliable, and the posterior owes much of its width and place to the prior. Neither"
        " answer settles the question."
    )


def penalised(without: Sequence[str], event: str) -> str:
    """Why the answer called maximum likelihood is that of Firth's penalty.

    Parameters
    ----------
    without : sequence of str
        Groups in which nobody had the event.
    event : str
    """
    why = f" (no {event} in {listed(without)})" if without else ""
    return (
        f"The partial likelihood has no maximum{why}: what is given as maximum likelihood is the"
        " maximum of Firth's penalised likelihood, which is finite, with its profile interval."
    )


def convergence(failed: Sequence[str], total: int) -> str:
    """Whether every fit and every sampler passed its own checks."""
    if total == 0:
        return "No model was fitted."
    if not failed:
        return (
            f"All {total} fits passed their checks." if total > 1 else "The fit passed its checks."
        )
    return (
        f"{len(failed)} of {plural(total, 'fit')} did not pass every check: {listed(failed)}. Read"
        " those answers with the table below."
    )


def _equals(p: str) -> str:
    return p if p[0] in "<>" else f"= {p}"


def _has(count: int) -> str:
    return "has" if count < 2 else "have"  # "none has", "1 has"


def _below(p_values: Sequence[float]) -> int:
    return sum(p < 0.05 for p in p_values if not math.isnan(p))
