"""Sentences held against the data of whole studies drawn at random, worked out again from these.

`test_sentences_at_random.py` draws answers; here everything is drawn, so that a sentence that is
given the wrong answer, group or unit is found, too.
"""

from __future__ import annotations

import math
import re

import numpy as np
from support.lengths import lengths
from support.random_studies import UNITS, Drawn, draw_study
from support.said_once import said_twice

from longsurv import numbers
from longsurv.report.content import Heading, content
from longsurv.report.sections.answer import short_answer
from longsurv.report.sections.titles import TITLES
from longsurv.tables.display import DisplayTable

UNFINISHED = re.compile(r"\bnan\b|\bNone\b(?! of)|\bTrue\b|\binf\b|NaN|\{\w*\}| {2}|\.\.$")
"""What no sentence has that was filled in."""
CITING = {TITLES["guidelines"]}
"""Sections that speak of guidelines, in their words."""

WORDS = [
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "none",
]


def incidence(drawn: Drawn, group: str) -> float:
    """The event's cumulative incidence in one group, patient by patient (Aalen and Johansen)."""
    data = drawn.results.cohort.survival_data()
    rows = data[data["arm"] == group]
    alive, risk = 1.0, 0.0
    for t in np.unique(rows.loc[rows["status"] > 0, "exit"]):
        at_risk = ((rows["entry"] < t) & (rows["exit"] >= t)).sum()
        now = rows[rows["exit"] == t]["status"]
        risk += alive * (now == 1).sum() / at_risk
        alive *= 1 - (now > 0).sum() / at_risk
    return risk


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    order = np.argsort(p)
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    found = np.empty(len(p))
    found[order] = np.minimum.accumulate(scaled[::-1])[::-1].clip(max=1.0)
    return found


def check_risks(drawn: Drawn, text: str) -> None:
    reference, group = drawn.groups
    found = re.search(
        r"^(?P<event>\w+) by 28 (?P<unit>\w+), per (?P<per>[\d,]+)"
        r"(?P<given> observed at [^:]+)?: (?P<first>\d+) in (?P<ref>.+), (?P<second>\d+) in"
        r" (?P<grp>.+?);"
        r" (?P<by>.+) \((?P<low>.+) to (?P<high>.+)\); (?P<n>\w+) \w+\.$",
        text.removeprefix("Primary outcome: "),
    )
    if not text:
        check_no_risks(drawn)
        return
    assert found, text
    assert (found["ref"], found["grp"], found["unit"]) == (reference, group, drawn.unit)
    assert found["event"].lower() == drawn.event
    assert bool(found["given"]) == (drawn.entry > 0)
    if drawn.entry:
        assert f"at {drawn.entry:g} {drawn.unit}" in found["given"]
    data = drawn.results.cohort.survival_data()
    events = int(data["event"].sum())
    assert found["n"] == (WORDS[events] if events <= 10 else str(events))
    if drawn.without:
        assert found["first" if drawn.without == reference else "second"] == "0" or drawn.adjusted
    per = float(found["per"].replace(",", ""))
    if drawn.adjusted:
        table = drawn.results.parts["methods"]["standardised"].query("engine == 'ml'")
        of = table.set_index("quantity")["estimate"]
        risks = [of[f"risk of {name}"] for name in (reference, group)]
    else:
        risks = [incidence(drawn, name) for name in (reference, group)]
    for said, risk in zip((found["first"], found["second"]), risks, strict=True):
        assert abs(float(said) - per * risk) <= 0.5 + 1e-6, (text, risks)
    gap = per * (risks[1] - risks[0])
    if abs(gap) >= 0.5:
        assert found["by"].split()[1] == ("more" if gap > 0 else "fewer"), (text, gap)
        assert abs(float(found["by"].split()[0]) - abs(gap)) <= 0.5 + 1e-6


def check_no_risks(drawn: Drawn) -> None:
    """No risk is told where nobody of a group was followed to the horizon; adjusted, nobody."""
    last = drawn.results.cohort.survival_data().groupby("arm", observed=True)["exit"].max()
    assert (last.max() if drawn.adjusted else last.min()) < 28


def check_change(drawn: Drawn, text: str) -> None:
    if not text or "the other way" in text:
        crude = [incidence(drawn, name) for name in drawn.groups]
        if text:
            assert drawn.adjusted and text.startswith("Not adjusted for age,")
            of = drawn.results.parts["methods"]["standardised"].query("engine == 'ml'")
            told = of.set_index("quantity")["estimate"]["risk difference"]
            assert (crude[1] - crude[0]) * told < 0
        return
    assert not drawn.adjusted and not drawn.lost
    if text.startswith("No number of "):
        risks = {name: incidence(drawn, name) for name in drawn.groups}
        better = re.match(r"No number of \w+ unseen in (.+) would reverse that\.", text).group(1)
        assert risks.pop(better) < 1 - 1e-9 and min(risks.values()) > 1 - 1e-9
        return
    count, better = re.match(r"(\w+) \w+ unseen in (.+) would reverse that\.", text).groups()
    risks = {name: incidence(drawn, name) for name in drawn.groups}
    assert better == min(risks, key=lambda name: risks[name])
    data = drawn.results.cohort.survival_data()
    dead, n = data.groupby("arm", observed=True)["event"].agg(["sum", "count"]).loc[better]
    (worse,) = (risks[name] for name in drawn.groups if name != better)
    number = WORDS.index(count.lower()) if count.lower() in WORDS else int(count)
    # So many more patients who died, or so many fewer: the risk no longer is the lower one.
    assert (dead + number) / (n + number) >= worse - 1e-9
    assert (dead + number - 1) / (n + number - 1) < worse + 1e-9


def check_markers(drawn: Drawn, text: str) -> None:
    results, randomised = drawn.results, drawn.results.cohort.randomised
    table = results.tables["adjustments"].query("engine == 'ml'")
    kinds = {kind: part.dropna(subset=["p_value"]) for kind, part in table.groupby("adjustment")}
    lead = "unadjusted" if randomised else "baseline"
    kept = {
        kind: int((benjamini_hochberg(part["p_value"].to_numpy()) < 0.05).sum())
        for kind, part in kinds.items()
    }
    known = table.loc[table["adjustment"] == lead, "estimate"].notna()
    total, markers = int(known.sum()), len(results.cohort.markers)
    if not total:
        assert text == "No difference in change could be estimated by maximum likelihood."
        return
    assert text.startswith("Baseline-adjusted") == (not randomised), text
    if total == 1:
        sign = "<" if kept[lead] else "\N{GREATER-THAN OR EQUAL TO}"
        only = "only known " if markers > 1 else ""
        assert f"he {only}difference in change has p {sign} 0.05" in text, (text, kept)
    else:
        word = re.search(rf"(\w+) of {total} changes", text).group(1).lower()
        assert word == (WORDS[kept[lead]] if kept[lead] else "none"), (text, kept)
    names = {"unadjusted": "unadjusted", "baseline": "adjusted for baseline",
             "overlap": "overlap-weighted", "clda": "common baseline"}  # fmt: skip
    for kind, number in kept.items():
        if kind != lead:
            assert f"{names[kind]} {number}" in text


def check_primary(drawn: Drawn, texts: tuple[str, ...]) -> None:
    """The primary marker's difference: its label, groups, number, unit and interval."""
    aims, results = drawn.results.study.aims, drawn.results
    told = [text for text in texts if text.startswith("Primary outcome")]
    assert len(told) == (aims.primary == "one")
    kind = "unadjusted" if results.cohort.randomised else "baseline"
    label, group = results.cohort.markers["one"].label, drawn.groups[1]
    table = results.tables["adjustments"].query("marker == 'one'").set_index("adjustment")
    known = table.loc[[kind]].dropna(subset=["estimate"]).set_index("engine")
    for text in told:
        if not len(known):
            reason = f"the difference in change of {label} could not be estimated"
            assert text == f"Primary outcome: {reason}."
            continue
        if "ml" not in known.index:  # as many figures as the draws know
            point = re.search(r"fold change ([\d.]+) times", text).group(1)
            unit = 10.0 ** -len(point.partition(".")[2])
            assert abs(float(point) - known.loc["bayes", "estimate"]) <= 0.5001 * unit, text
            assert text.startswith(f"Primary outcome: {label}") and text.endswith("by Bayes only.")
            continue
        row = known.loc["ml"]
        point, low, high = (numbers.number(row[c]) for c in ("estimate", "conf_low", "conf_high"))
        assert text == (
            f"Primary outcome: {label}: fold change {point} times as high in {group} ({low} to"
            f" {high})."
        )


def check_emulated(drawn: Drawn, conclusion: str) -> None:
    part = drawn.results.parts["target"]
    if "no_answer" in part:
        assert conclusion.endswith(f"no usable answer: {part['no_answer']}.")
        return
    answer = part["answer"]
    gap = 100 * answer["estimate"]
    assert "By" not in conclusion and f"within 2 {drawn.unit}" in conclusion
    if abs(gap) >= 0.5:
        assert f"per 100: {abs(gap):.0f} {'more' if gap > 0 else 'fewer'} (" in conclusion
    assert ("no usable interval" in conclusion) == bool(np.isnan(answer["conf_low"]))
    caution = short_answer(drawn.results).caution[0]
    group, reference = drawn.groups[1], drawn.groups[0]
    assert f"counts in {reference}, which makes {group} look better" in caution


def check_conclusion(drawn: Drawn, conclusion: str, doubts: str) -> None:
    cohort = drawn.results.cohort
    events = int(cohort.survival_data()["event"].sum())
    assert ("few events" in doubts) == (events < 10)
    assert ("no randomisation" in doubts) == (cohort.randomised is False)
    assert ("randomisation not stated" in doubts) == (cohort.randomised is None)
    assert ("delayed treatment" in doubts) == drawn.emulated
    table = short_answer(drawn.results).table
    if not short_answer(drawn.results).headline.risks:
        unanswered = "no usable answer: " in conclusion
        assert (unanswered and "follow" in conclusion) or drawn.emulated, conclusion
        return
    (cells,) = (row for row in table.rows if row[0].startswith("Difference in the risk"))
    low, high = re.search(r"\((.+) to (.+)\)", cells[1]).groups()
    low, high = (float(x.replace(numbers.MINUS, "-")) for x in (low, high))
    if drawn.emulated:
        check_emulated(drawn, conclusion)
    elif low * high < -1e-9:
        assert "not settled" in conclusion
    elif low * high > 1e-9:
        assert ("lower" if high < 0 else "higher") in conclusion
        # "Settled" is what both engines find.
        posterior = re.search(r"\((.+) to (.+)\)", cells[2])
        if posterior:
            low, high = (float(x.replace(numbers.MINUS, "-")) for x in posterior.groups())
            assert low * high == 0.0 or ("not settled" in conclusion) == (low * high < 0.0)


def check_everywhere(drawn: Drawn) -> None:
    answer, cohort = short_answer(drawn.results), drawn.results.cohort
    whole = " ".join((*answer.sentences, answer.paragraph))
    assert bool(answer.caution[0]) == (not cohort.randomised)
    assert not re.search(r"benefit|favour|\bnan\b|\bNone\b(?! of)|`", whole), whole
    assert ("adjusted for age" in whole) == drawn.adjusted
    wrong = [u for u in ("days", "weeks", "years") if u != drawn.unit and f"28 {u}" in whole]
    assert not wrong
    assert ("discharge" in whole) <= drawn.competing
    hazards = drawn.results.tables["hazard_ratios"]
    rows = hazards[hazards["term"].str.startswith("arm[")].set_index("engine")
    for engine, words in (("ml", "estimated {} in"), ("bayes", "the hazard is {} in")):
        row = rows.loc[engine]
        if math.isfinite(row["estimate"]) and row["conf_high"] < 1e8 and row["conf_low"] > 1e-8:
            way = "lower" if row["estimate"] < 1 else "higher"
            assert f"{words.format(way)} {drawn.groups[1]}" in whole, (whole, row)
            assert numbers.number(row["estimate"]) in answer.paragraph
    if drawn.without:
        where = "partial likelihood has no maximum"
        assert (where in whole) == (f"no {drawn.event} in {drawn.without}" in whole), whole
        assert drawn.adjusted or where in whole
    roles = drawn.results.study.aims
    assert ("Primary outcome" in whole) == bool(roles.primary)


def check_failures(drawn: Drawn) -> None:
    """No stage fails: one that has no answer says so, and why, where the answer would stand."""
    assert not drawn.results.failures
    check_unanswered(drawn)


def check_unanswered(drawn: Drawn) -> None:
    """Risks are left out, and an emulated trial has no answer, where the data say nothing of them,
    and nowhere else."""
    parts, data = drawn.results.parts, drawn.results.cohort.survival_data()
    followed = bool((data["exit"] >= 28).any())
    priors = parts["priors"]
    assert bool(priors["no_risks"]) == (not followed)
    assert priors["table"]["hr"].notna().all()
    assert priors["table"]["risk_difference"].notna().all() == followed
    if (part := parts.get("target")) and "no_answer" in part:
        began = data["begun"] <= 2.0
        assert "nobody is left" in part["no_answer"]
        assert any(data.loc[side, "exit"].max() < 28 for side in (began, ~began))


def check_whole(drawn: Drawn) -> None:
    """Every sentence of every section: made, finished, of these groups, this event, this unit."""
    said, title, tables = [], "", []
    for item in content(drawn.results):
        if isinstance(item, Heading):
            title = item.text
        elif isinstance(item, DisplayTable):
            tables.append(item)
            said.append((title, f"{item.caption} {item.note}"))
        elif isinstance(item, str):
            said.append((title, item))
    others = {u for u in UNITS if u != drawn.unit}
    for title, text in said:
        where = f"{title}: {text}"
        assert "could not be made" not in text, where
        assert not UNFINISHED.search(text.replace("{x}", "x")), where
        assert not re.search(r"\b1 (patients|deaths|methods|values|markers|fits)\b", text), where
        assert not any(re.search(rf"\b28 {unit}\b", text) for unit in others), where
        plain = text.replace("one patient to benefit (NNTB)", "").replace("nobody benefits", "")
        assert not re.search(r"\b(benefit|favou?rs?)\b", plain), where
        if drawn.event != "death" and title not in CITING:
            assert not re.search(r"\b(died|dead|deaths?)\b", text), where
    for table in tables:
        for row in table.rows:
            assert not any(re.search(r"\bnan\b|\bNone\b|\binf\b", cell) for cell in row), row


def check_censored(drawn: Drawn) -> None:
    """The table of values beyond a limit counts those of the data."""
    cohort, table = drawn.results.cohort, drawn.results.parts["beyond"]
    data = cohort.marker_data("one")
    beyond = int((data["censored"] != "none").sum())
    assert len(table) == (beyond > 0)
    if beyond:
        assert (table.iloc[0]["censored"], table.iloc[0]["values"]) == (beyond, len(data))


def check(seed: int) -> None:
    drawn = draw_study(seed)
    try:
        check_drawn(drawn)
    except Exception as error:  # one study that fails must not hide the others
        raise AssertionError(f"study {seed} ({drawn.said}): {error}") from error


def check_drawn(drawn: Drawn) -> None:
    check_failures(drawn)
    answer = short_answer(drawn.results)
    headline = answer.headline
    check_risks(drawn, headline.risks)
    check_change(drawn, headline.change)
    check_markers(drawn, headline.markers[0])
    check_primary(drawn, headline.markers)
    check_censored(drawn)
    check_conclusion(drawn, headline.conclusion, headline.doubts)
    check_everywhere(drawn)
    check_whole(drawn)
    assert said_twice(content(drawn.results), [answer.paragraph]) == []
    assert len(" ".join(headline.sentences).split()) <= 90


FIRST = 2
"""The seed of a quick study, which is all that there is time for by default."""


@lengths("studies", 1, 500)
def test_every_sentence_of_a_study_drawn_at_random(studies: int) -> None:
    failed = []
    for seed in range(FIRST, FIRST + studies):
        try:
            check(seed)
        except AssertionError as error:
            failed.append(str(error))
    assert not failed, "\n\n".join(failed)
