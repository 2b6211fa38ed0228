"""The mortality section: its parts, what they say when the groups change names, hard cohorts."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from longsurv import numbers
from longsurv.analyses.mortality.rows import IDS, row_of
from longsurv.cohort import Cohort, Schema
from longsurv.cohort.questions import TrialSettings
from longsurv.cohort.settings import ModelSettings, SamplingSettings
from longsurv.estimands.competing import incidence_difference
from longsurv.estimands.densities import ratio_densities
from longsurv.estimands.survival_by_group import incidence_curves
from longsurv.numbers import MINUS
from longsurv.priors import TREATMENT, Normal, StudentT
from longsurv.report import explorer
from longsurv.report.content import content
from longsurv.report.page import render_page
from longsurv.report.sections import answer, mortality
from longsurv.report.sections.common import Picture
from longsurv.report.sections.mortality_competing import competing_part, difference
from longsurv.report.sections.mortality_methods import (
    KINDS,
    arranged,
    kind,
    methods_part,
    short_name,
    voting,
)
from longsurv.report.sections.mortality_part import Part
from longsurv.report.sections.mortality_priors import (
    priors_part,
    probability_reduction,
)
from longsurv.report.sections.mortality_target import emulated, target_part
from longsurv.report.sections.mortality_tipping import tipping_part
from longsurv.study import STAGES, Study, StudyResults
from longsurv.tables.display import DisplayTable

TIMES = "\N{MULTIPLICATION SIGN}"
INCIDENCE = tuple(stage for stage in STAGES if stage.key == "competing")


def texts(part: Part | None) -> list[str]:
    assert part is not None
    return [item for item in part.items if isinstance(item, str) and item]


def pictures(part: Part | None) -> dict[str, Picture]:
    assert part is not None
    return {item.name: item for item in part.items if isinstance(item, Picture)}


def turned(text: str) -> str:
    """The sentence with every direction exchanged."""
    exchanged = {"lower": "higher", "higher": "lower"}
    return re.sub(r"lower|higher", lambda found: exchanged[found[0]], text)


def directions(text: str) -> list[str]:
    return re.findall(r"lower|higher", text)


@pytest.mark.parametrize("make", [methods_part, priors_part], ids=["methods", "priors"])
def test_every_direction_turns_with_the_groups(make, results, swapped) -> None:
    pairs = zip(texts(make(results)), texts(make(swapped)), strict=True)
    compared = [(a, b) for a, b in pairs if directions(a)]
    assert compared
    for one, other in compared:
        assert directions(other) == directions(turned(one)), (one, other)


def test_the_counts_of_methods_are_the_same_from_both_sides(results, swapped) -> None:
    counts = r"(?:lower|higher) by (\d+)|(\d+|None) of"
    found = [re.findall(counts, " ".join(texts(methods_part(r)))) for r in (results, swapped)]
    assert found[0] == found[1]
    assert len(found[0]) >= 4


def test_the_probability_of_the_direction_is_the_same_from_both_sides(results, swapped) -> None:
    def ends(study: StudyResults) -> list[float]:
        return [float(x) for x in re.findall(r"0\.\d\d", texts(priors_part(study))[0])]

    assert "enthusiastic" in texts(priors_part(swapped))[0]
    assert "pessimistic" in texts(priors_part(results))[0]
    assert ends(results) == pytest.approx(ends(swapped), abs=0.08)


def test_unseen_deaths_and_confounding_turn_with_the_groups(results, swapped) -> None:
    one, other = (texts(tipping_part(r)) for r in (results, swapped))
    assert "is lower in active. If 4 deaths in active had gone unseen and none in control" in one[1]
    assert (
        one[1].replace("active", "x").replace("control", "active").replace("x", "control")
        == (other[1])
    )
    assert "the lower observed risk of death by 28 days in active (risk ratio 0.250)" in one[2]
    assert "the higher observed risk of death by 28 days in active (risk ratio 4.00)" in other[2]


def test_the_short_answer_has_the_difference_of_risks(results, swapped) -> None:
    one, other = answer.short_answer(results), answer.short_answer(swapped)
    said = mortality.text(results, results.cohort.survival_data())
    assert "given still under observation at 3 days" in said[0]
    assert "15.0 percentage points lower in active than in control" in one.mortality[2]
    assert "15.0 percentage points higher in active than in control" in other.mortality[2]
    said = "the probability that it is {} in active is 0.93"
    assert said.format("lower") in one.mortality[2]
    assert said.format("higher") in other.mortality[2]
    rows = {row[0]: row for row in one.table.rows}
    mine = rows["Difference in the risk of death by 28 days, active minus control, percentage"
                " points"]  # fmt: skip
    # Miettinen and Nurminen's interval of 1/20 against 4/20, as in the table of methods.
    assert mine[1] == f"{MINUS}15.0 ({MINUS}38.0 to 7.1)"
    assert mine[4] == "0.93"


def test_the_difference_of_risks_is_the_one_that_suits_the_data(results) -> None:
    part = results.parts["methods"]
    _, way = answer.risk_differences(results)
    assert way == "crude", "everybody is followed to the horizon"
    patients = results.cohort.patients
    first = (patients["status"] == "alive").to_numpy().nonzero()[0][0]
    gone = patients["days"].where(np.arange(len(patients)) != first, 20.0)
    lost = Cohort(patients.assign(days=gone), None, results.cohort.schema)
    given = replace(results, study=replace(results.study, cohort=lost))
    assert answer.risk_differences(given)[1] == "incidence"
    adjusted = replace(results, parts={**results.parts, "methods": {**part, "adjust": "age"}})
    assert answer.risk_differences(adjusted) == ({}, "standardised")


def test_an_adjusted_difference_says_so_and_is_that_of_the_table() -> None:
    results = hard((5, 2), mortality="arm + age")
    (text,) = (t for t in answer.short_answer(results).mortality if "percentage points" in t)
    assert "The risk of death by 28 days, adjusted for age, is estimated" in text
    table = results.tables["mortality_methods"].query("quantity == 'risk difference'")
    row = table.set_index("method").loc["Cox adjusted, Firth, standardised"]
    found, _ = answer.risk_differences(results)
    assert found["ml"].estimate == pytest.approx(100 * row["estimate"])
    assert found["bayes"].prob_positive == pytest.approx(
        1 - table[table["method"].str.startswith("Cox adjusted posterior, weak")][
            "prob_benefit"].iloc[0]
    )  # fmt: skip


def test_randomised_groups_have_no_e_value(results) -> None:
    cohort = results.cohort
    randomised = Cohort(
        cohort.patients, cohort.measurements.drop(columns="phase"), cohort.schema, cohort.markers,
        randomised=True,
    )  # fmt: skip
    given = replace(results, study=replace(results.study, cohort=randomised))
    assert any("E-value" in text for text in texts(tipping_part(results)))
    assert not any("E-value" in text for text in texts(tipping_part(given)))


def test_every_method_of_the_table_is_in_the_figure_and_in_the_fold(results) -> None:
    """Those under other priors than the one told first stand where the priors are told."""
    part, told = methods_part(results), priors_part(results)
    assert part is not None and told is not None
    table = results.parts["methods"]["table"]
    for quantity in ("hazard ratio", "risk difference"):
        every = table[table["quantity"] == quantity]
        rows = voting(every)
        (after,) = (item for item in told.items if isinstance(item, DisplayTable))
        others = set(every["prior_id"]) - set(rows["prior_id"]) - {"uniform"}
        assert others and {name.capitalize() for name in others} <= {row[0] for row in after.rows}
        names = {short_name(row) for row in rows.to_dict("records")}
        picture = pictures(part)[f"methods-{quantity.replace(' ', '-')}"]
        drawn = {text.get_text() for text in picture.draw(900).texts}
        assert names <= drawn
        assert len(names) == len(rows)
    kept = pd.concat([voting(rows) for _, rows in table.groupby("quantity")])
    assert sum(len(folded.rows) for folded in part.more) == len(kept)
    quick = replace(results, parts={k: v for k, v in results.parts.items() if k != "priors"})
    alone = methods_part(quick)
    assert alone is not None and sum(len(folded.rows) for folded in alone.more) == len(table)


@pytest.mark.parametrize(
    ("method", "engine", "ids", "expected", "name"),
    [
        ("2 x 2, Newcombe", "frequentist", {}, "Simple", f"2 {TIMES} 2, Newcombe"),
        ("exact given the risk sets, mid-p", "frequentist", {"approach": "exact"}, "Exact",
         "Exact given the risk sets, mid-p"),
        ("Cox adjusted, Firth, standardised", "frequentist",
         {"approach": "model", "adjusted_for": "age"}, "From a model",
         "Cox adjusted, Firth, standardised"),
        ("Cox posterior, weak Normal(0, 1)", "bayes",
         {"approach": "model", "prior_id": "weak", "prior": "Normal(0, 1)"}, "Bayes",
         "Cox, weak prior"),
        ("Cox adjusted posterior, my own StudentT(3, 0, 1), standardised", "bayes",
         {"approach": "model", "prior_id": "my own", "prior": "StudentT(3, 0, 1)",
          "adjusted_for": "age"}, "Bayes", "Cox adjusted, my own prior"),
        ("2 x 2, beta-binomial, Jeffreys prior Beta(0.5, 0.5)", "bayes",
         {"method_id": "2 x 2, beta-binomial", "prior_id": "Jeffreys"}, "Bayes",
         f"2 {TIMES} 2, beta-binomial, Jeffreys prior"),
    ],
)  # fmt: skip
def test_methods_have_their_kind_and_a_short_name(
    method: str, engine: str, ids: dict[str, str], expected: str, name: str
) -> None:
    row = row_of("risk difference", method, engine, "", **ids)._asdict()
    assert kind(row) == expected
    assert short_name(row) == name


def test_a_program_can_tell_the_rows_apart_and_no_table_shows_how(results) -> None:
    table = results.parts["methods"]["table"]
    assert set(IDS) <= set(table.columns)
    assert not table.duplicated(["quantity", "method_id", "prior_id", "adjusted_for"]).any()
    assert (table["answered"] == ~table["note"].str.startswith("no usable answer: ")).all()
    assert not table["answered"].all() and table["adjusted_for"].eq("").all()
    for row in table.to_dict("records"):
        assert row["prior_id"] in row["method"] and row["prior"] in row["method"]
        assert bool(row["prior_id"]) == (row["engine"] == "bayes" and "posterior of the" not in
                                         row["method"])  # fmt: skip
    shown = results.tables["mortality_methods"]
    assert list(shown.columns) == [name for name in table.columns if name not in IDS]
    assert "answered" not in results.tables["cumulative_incidence"]
    priors = results.parts["priors"]["table"]
    pd.testing.assert_frame_equal(results.tables["prior_grid"], priors)


def test_methods_stand_by_kind_and_a_method_without_an_answer_says_why(results) -> None:
    rows = arranged(results.parts["methods"]["table"], "risk difference")
    order = [KINDS.index(section) for section in rows["section"]]
    assert order == sorted(order)
    part = methods_part(results)
    assert part is not None
    table = part.more[1]
    (row,) = (row for row in table.rows if row[0].startswith("Overlap weights"))
    mark = row[0].removeprefix("Overlap weights")
    assert row[1] == "no usable answer"
    assert f"{mark} The mortality model names no covariates." in table.note
    assert len({name for name, *_ in table.rows}) == len(table.rows)


def test_densities_are_those_of_the_draws_and_the_prior() -> None:
    rng = np.random.default_rng(1)
    draws = {"weak": rng.normal(-0.5, 0.3, 4000)}
    curve = ratio_densities(draws, TREATMENT)
    step = float(curve["log_ratio"].diff().median())
    assert step * curve["posterior_density"].sum() == pytest.approx(1.0, abs=0.01)
    middle = float((curve["log_ratio"] * curve["posterior_density"]).sum() * step)
    assert middle == pytest.approx(-0.5, abs=0.02)
    expected = np.exp(-0.5 * curve["log_ratio"] ** 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(curve["prior_density"], expected)


@pytest.mark.parametrize("prior", [Normal(-0.4, 0.4), StudentT(4, 0.1, 0.7)])
@pytest.mark.parametrize(("risk", "by"), [(0.23, 0.01), (0.23, 0.05), (0.6, 0.2)])
def test_a_priors_probability_of_a_reduction_is_that_of_its_draws(
    prior, risk: float, by: float
) -> None:
    rng = np.random.default_rng(2)
    if isinstance(prior, Normal):
        log_ratio = rng.normal(prior.mean, prior.sd, 200_000)
    else:
        log_ratio = prior.mean + prior.scale * rng.standard_t(prior.df, 200_000)
    treated = 1 - (1 - risk) ** np.exp(log_ratio)
    share = float((risk - treated > by).mean())
    assert probability_reduction(prior, risk, by) == pytest.approx(share, abs=0.005)
    assert probability_reduction(prior, 0.04, 0.05) == 0.0


COMPETING = pd.DataFrame({
    "arm": ["a"] * 4 + ["b"] * 4,
    "entry": [0.0] * 8,
    "exit": [1.0, 2, 3, 4, 1, 2, 3, 4],
    "status": [2, 1, 0, 1, 1, 0, 2, 0],
})  # fmt: skip


def test_incidence_curves_are_those_computed_by_hand() -> None:
    curves = incidence_curves(COMPETING, "arm", ["a", "b"], {"death": 1, "discharge": 2})
    at = curves.set_index(["cause", "group", "time"])["estimate"]
    # a: 1/4 leaves at 1; 1 of 3 dies at 2 (3/4 * 1/3); one is censored; the last dies at 4 (1/2).
    assert [at["death", "a", t] for t in (0, 1, 2, 4)] == pytest.approx([0, 0, 0.25, 0.75])
    assert at["discharge", "a", 4] == pytest.approx(0.25)
    # b: 1/4 dies at 1; at 3 one of two leaves: 3/4 * 1/2.
    assert [at["death", "b", 4], at["discharge", "b", 4]] == pytest.approx([0.25, 0.375])
    assert (curves["conf_low"] <= curves["estimate"] + 1e-12).all()


def hard(
    deaths: tuple[int, ...],
    home: int = 3,
    horizon: float | None = 28.0,
    mortality: str = "arm",
    stages=STAGES,
) -> StudyResults:
    """Twelve patients a group, so many deaths, some sent home."""
    rows = []
    for k, dead in enumerate(deaths):
        for i in range(12):
            status = "dead" if i < dead else "home" if i >= 12 - home else "alive"
            day = {"dead": 9.0 + 2 * i + k, "home": 12.0 + i - k, "alive": 28.0}[status]
            rows.append((f"{'abc'[k]}{i}", "abc"[k], day, status, 50.0 + (7 * i + k) % 11))
    schema = Schema(
        patient="id", treatment="arm", reference="a", levels=tuple("abc"[: len(deaths)]),
        exit="days", status="status", event="dead", censored="alive",
        competing={"discharge": "home"}, horizon=horizon, entry=7,
    )  # fmt: skip
    cohort = Cohort(
        pd.DataFrame(rows, columns=["id", "arm", "days", "status", "age"]), None, schema
    )
    study = Study(cohort, ModelSettings("", mortality), SamplingSettings(60, 2, 1))
    return study.run(progress=False, stages=stages)


@pytest.fixture(scope="module")
def nobody_died() -> StudyResults:
    """Of the treated."""
    return hard((5, 0))


def test_the_difference_in_incidence_turns_with_the_groups() -> None:
    fewer, more = (competing_part(hard(deaths, stages=INCIDENCE)) for deaths in ((5, 2), (2, 5)))
    for part, lower in ((fewer, True), (more, False)):
        (table,) = (item for item in part.items if isinstance(item, DisplayTable))
        heads = [column.header.partition(" (95")[0] for column in table.columns]
        first, second = (dict(zip(heads, row, strict=True)) for row in table.rows[:2])
        for row in (first, second):
            assert row["Difference, percentage points"].startswith("\N{MINUS SIGN}") == lower
        assert (float(second["P(lower)"].lstrip("<>")) > 0.5) == lower
        assert first["p (Gray)"] and not second["p (Gray)"]
    assert list(pictures(fewer)) == ["incidence"]


def test_the_difference_in_incidence_is_that_of_the_two_curves(nobody_died) -> None:
    data, table = nobody_died.cohort.survival_data(), nobody_died.parts["competing"]["table"]
    found = difference(table, "discharge", "frequentist")
    expected = incidence_difference(data, "arm", 28.0, cause=2).set_index("quantity")
    assert found is not None
    assert found.estimate == pytest.approx(100 * expected.loc["risk difference", "estimate"])


def test_a_group_without_deaths_is_still_a_section(nobody_died) -> None:
    page = render_page(nobody_died)
    assert "no event in b" in page
    assert "no usable answer" in page
    built = mortality.build(nobody_died)
    assert [part.title for part in built["parts"]] == [
        "Competing events", "Every method", "How much is the prior's", "What was not seen",
        "A trial emulated",
    ]  # fmt: skip
    assert built["missing"] == []
    assert "No confounder, however strong" in texts(tipping_part(nobody_died))[-1]
    whole = " ".join(item for item in content(nobody_died) if isinstance(item, str))
    assert not re.search(r"\bnan\b", whole)
    cells = [cell for item in content(nobody_died) if isinstance(item, DisplayTable)
             for row in item.rows for cell in row]  # fmt: skip
    assert not any(re.search(r"\bnan\b", cell) for cell in cells)


@pytest.mark.parametrize(
    ("given", "words"),
    [({"deaths": deaths, "horizon": None}, "name a horizon") for deaths in ((3, 2), (3, 2, 2))],
)
def test_what_could_not_be_asked_is_said_once(given: dict, words: str) -> None:
    results = hard(**given)
    built = mortality.build(results)
    # hazard ratios need no horizon, and those of several arms have intervals that hold together
    together = ["All comparisons together"] * (len(given["deaths"]) > 2)
    assert [part.title for part in built["parts"]] == together
    (reason,) = built["missing"]
    assert words in reason
    assert "the answers of every method" in reason
    page = render_page(results)
    assert words in page
    assert "reason" in results.tables["tipping"]
    assert len(answer.short_answer(results).table.rows) == len(given["deaths"]) - 1


def test_without_competing_events_that_part_is_left_out(results) -> None:
    assert competing_part(results) is None
    assert "cumulative_incidence" in results.tables


def without_risks(results: StudyResults, *, baseline: bool) -> StudyResults:
    """The results of a study whose posteriors have no risks, nor, if so, its priors."""
    part = results.parts["priors"]
    table = part["table"].copy()
    table[table.filter(regex="^(risk_difference|prob_benefit)").columns] = np.nan
    risk = part["baseline_risk"] if baseline else np.nan
    given = {**part, "table": table, "no_risks": "nobody was followed to 28", "baseline_risk": risk}
    return replace(results, parts={**results.parts, "priors": given})


@pytest.mark.parametrize("baseline", [True, False])
def test_priors_are_told_without_risks_where_there_are_none(results, baseline) -> None:
    given = without_risks(results, baseline=baseline)
    part = priors_part(given)
    said = texts(part)
    assert ("The priors are not told as risks" in " ".join(said)) != baseline
    reason = "Reason: nobody was followed to 28."
    assert f"Not estimated: the risk of death by 28 days under any prior. {reason}" in said
    (after,) = (item for item in part.items if isinstance(item, DisplayTable))
    (before,) = part.more
    for table, risks in ((after, False), (before, baseline)):
        headers = " ".join(column.header for column in table.columns)
        assert ("isk" in headers) == risks and "Hazard ratio" in headers
        assert not any(cell in ("", "nan", numbers.MISSING) for row in table.rows for cell in row)
        assert table.rows
    assert given.missing["Risks under several priors"] == "nobody was followed to 28"
    assert "Risks under several priors" not in results.missing
    effect = explorer.effects(given)[0]
    assert (effect.risk is None) != baseline


def test_a_trial_without_an_answer_says_why_where_it_would_stand(results) -> None:
    reason = "nobody is left at 19 who did what the arm 'begin' asks for"
    asked = replace(results.study, target_trial=TrialSettings("begun", 2.0))
    parts = {**results.parts, "target": {"no_answer": reason}}
    given = replace(results, study=asked, parts=parts)
    assert texts(target_part(given)) == [f"Not estimated: the emulated trial. Reason: {reason}."]
    assert emulated(given).endswith(f"a trial from time zero has no usable answer: {reason}.")
    assert given.missing["The emulated trial"] == reason


@pytest.mark.parametrize("control", [0.0, 0.18])
def test_a_difference_without_limits_is_told_without_them(results, control) -> None:
    """As of an emulated trial in an arm of which nobody died."""
    nan = float("nan")
    answer = {"estimate": 0.05 - control, "conf_low": nan, "conf_high": nan}
    asked = replace(results.study, target_trial=TrialSettings("begun", 2.0))
    parts = {**results.parts, "target": {"answer": answer, "horizon": 28.0}}
    said = emulated(replace(results, study=asked, parts=parts))
    assert said.endswith(f"{'13 fewer' if control else '5 more'} (no usable interval).")


def test_without_a_horizon_the_conclusion_is_about_the_risks(results) -> None:
    """The hazard ratio has its answer beside it."""
    reason = "name a horizon under [outcome]"
    parts = {name: part for name, part in results.parts.items() if name != "methods"}
    given = replace(results, parts=parts, failures={"methods": reason})
    said = answer.short_answer(given).headline.conclusion
    assert said == f"The risks of the event have no usable answer: {reason}."


def test_where_no_risk_is_told_the_conclusion_says_why(results) -> None:
    """From the row of the method whose answer would have been told."""
    part = results.parts["methods"]
    reason = "group active: follow-up ends at 27 with patients at risk"
    table = part["table"].copy()
    told = table["method_id"] == "2 x 2, Miettinen-Nurminen"
    table.loc[told, ["estimate", "conf_low", "conf_high"]] = np.nan
    table.loc[told, "note"] = f"no usable answer: {reason}"
    given = replace(results, parts={**results.parts, "methods": {**part, "table": table}})
    headline = answer.short_answer(given).headline
    assert headline.risks == ""
    assert headline.conclusion == f"The risks of the event have no usable answer: {reason}."
    assert answer.short_answer(results).headline.risks
