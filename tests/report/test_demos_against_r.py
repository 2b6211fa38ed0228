"""The numbers of both demo reports against R, one by one (tests/reference/demos.R)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control
from support.demos import demo

from longsurv.analyses import BaselineAdjustment
from longsurv.report.sections import headline
from longsurv.study.beyond import BEYOND, counted_beyond

GROUPS = {"sepsis": ("control", "ivig"), "pbc": ("placebo", "D-penicillamine")}
FILES = {"sepsis": "ivig_sepsis", "pbc": "pbc"}
ARMS = ("control", "treated")
KINDS = {"unadjusted": "unadjusted", "adjusted": "baseline"}
STUDIES = pytest.mark.parametrize("study", ["sepsis", "pbc"])


@pytest.fixture
def of_r(r_results):
    """R's numbers of one model and quantity, by term."""
    return lambda *names: r_results("demos", *names)


@STUDIES
def test_every_number_of_the_table_of_patients(study: str, of_r) -> None:
    results = demo(FILES[study])
    table, cohort = results.tables["baseline"], results.cohort
    columns = {column: (column, False) for column in cohort.schema.covariates}
    columns |= {name: (m.label, m.transform == "log") for name, m in cohort.markers.items()}
    seen = 0
    for name in columns:
        label = cohort.label(name) if name not in cohort.markers else cohort.markers[name].label
        rows = table[(table["variable"] == label) & (table["level"] == "")].set_index("group")
        if rows.empty:
            continue
        model = f"{study}, {name}"
        if rows["summary"].iloc[0] == "mean":
            wanted = {column: of_r(model, column) for column in ("mean", "sd")}
        else:
            found = of_r(model, "quartiles")
            wanted = {
                column: {arm: found[f"{arm} {k}"] for arm in ARMS}
                for k, column in enumerate(("q1", "median", "q3"), 1)
            }
        for column, values in wanted.items():
            for group, arm in zip(GROUPS[study], ARMS, strict=True):
                assert rows.loc[group, column] == pytest.approx(values[arm], rel=1e-8)
        (difference,) = of_r(model, "std_difference").values()
        assert rows["std_difference"].tolist() == pytest.approx([difference] * 2, rel=1e-8)
        (missing,) = of_r(model, "missing").values()
        assert rows["missing"].sum() == missing
        seen += 1
    assert seen == {"sepsis": 16, "pbc": 5}[study]


@STUDIES
def test_every_count_of_the_table_of_patients(study: str, of_r) -> None:
    results = demo(FILES[study])
    table = results.tables["baseline"]
    for column in ("sex", "infection") if study == "sepsis" else ("sex", "stage"):
        counts = of_r(f"{study}, {column}", "counts")
        totals = {arm: sum(v for k, v in counts.items() if k.endswith(arm)) for arm in ARMS}
        label = results.cohort.label(column)
        rows = table[(table["variable"] == label) & (table["level"] != "")]
        assert len(rows)
        arms = dict(zip(GROUPS[study], ARMS, strict=True))
        for row in rows.to_dict("records"):
            arm = arms[row["group"]]
            assert row["count"] == counts[f"{row['level']} | {arm}"]
            assert (row["n"], row["proportion"]) == (totals[arm], row["count"] / totals[arm])
        (difference,) = of_r(f"{study}, {column}", "std_difference").values()
        ours = rows["std_difference"].dropna().iloc[0]
        assert abs(ours) == pytest.approx(difference, rel=1e-8)


@STUDIES
def test_every_number_about_mortality(study: str, of_r) -> None:
    results = demo(FILES[study])
    simple = results.tables["simple_mortality"].set_index("group")
    risk = of_r(study, "risk")
    for group, arm in zip(GROUPS[study], ARMS, strict=True):
        row = simple.loc[group]
        assert (row["deaths"], row["n"]) == (risk[f"{arm} x"], risk[f"{arm} n"])
        for ours, theirs in (("risk", "risk"), ("conf_low", "low"), ("conf_high", "high")):
            assert row[ours] == pytest.approx(risk[f"{arm} {theirs}"], rel=1e-8)
    row, newcombe = simple.loc[GROUPS[study][1]], of_r(study, "newcombe")
    assert row["difference"] == pytest.approx(newcombe["estimate"], rel=1e-8)
    assert row["difference_low"] == pytest.approx(newcombe["conf_low"], rel=1e-8)
    assert row["difference_high"] == pytest.approx(newcombe["conf_high"], rel=1e-8)
    (fisher,) = of_r(study, "fisher").values()
    assert row["p_value"] == pytest.approx(fisher, rel=1e-6)

    model = "sepsis" if study == "sepsis" else "pbc, adjusted for age"
    expected, hazards = of_r(model, "cox"), results.tables["hazard_ratios"]
    row = hazards[(hazards["engine"] == "ml") & hazards["term"].str.contains(r"\[T", regex=True)]
    for name in ("estimate", "conf_low", "conf_high", "p_value"):
        assert row[name].iloc[0] == pytest.approx(expected[name], rel=1e-6)

    incidence = results.tables["cumulative_incidence"]
    event = incidence[incidence["cause"] == incidence["cause"].iloc[0]]
    for group, arm in zip(GROUPS[study], ARMS, strict=True):
        chosen = (event["quantity"] == f"risk of {group}") & (event["engine"] == "frequentist")
        expected = of_r(study, "incidence")[arm]
        assert event.loc[chosen, "estimate"].iloc[0] == pytest.approx(expected, rel=1e-8)


@STUDIES
def test_the_risks_told_first(study: str, of_r) -> None:
    told = headline.told(demo(FILES[study]))
    risks = of_r("pbc, standardised", "incidence") if study == "pbc" else of_r(study, "incidence")
    assert told.reference_risk == pytest.approx(risks["control"], rel=2e-3)  # Firth's, for pbc
    assert told.risk == pytest.approx(risks["treated"], rel=2e-3)


def test_every_difference_in_change_of_the_sepsis_study(of_r) -> None:
    """R's models are linear: of markers with values beyond a limit they are the analysis that takes
    these at the limit, which the study has beside its own."""
    results = demo("ivig_sepsis")
    changes, adjusted = results.changes, results.tables["adjustments"]
    unadjusted = changes[changes["engine"] == "ml"].set_index("marker")
    baseline = adjusted[(adjusted["engine"] == "ml") & (adjusted["adjustment"] == "baseline")]
    assert len(unadjusted) == 14
    limited, (change,) = counted_beyond(results), results.study.contrasts
    assert "sf" in limited  # soluble fibrin
    linear = pd.concat([
        BaselineAdjustment(
            results.cohort, name, change, results.study.trajectory, beyond_limit="at the limit",
            adjustments=tuple(KINDS.values()),
        ).fit().tidy()
        for name in limited
    ]).set_index(["marker", "adjustment"])  # fmt: skip
    beside = results.parts[BEYOND].set_index("marker")
    for kind, table in (("unadjusted", unadjusted), ("adjusted", baseline.set_index("marker"))):
        p = {name: of_r(f"sepsis, {name} {kind}", "change")["p_value"] for name in table.index}
        own = p | {name: table.loc[name, "p_value"] for name in limited}
        fdr = dict(zip(own, false_discovery_control(list(own.values())), strict=True))
        theirs = of_r(f"sepsis, {kind}", "p_fdr")
        assert theirs == pytest.approx(
            dict(zip(p, false_discovery_control(list(p.values())), strict=True)), rel=1e-8
        )
        for name, row in table.iterrows():
            expected = of_r(f"sepsis, {name} {kind}", "change")
            back = np.exp if row["scale"] == "ratio" else float
            answers = [(row, back)]
            if name in limited:
                answers = [(linear.loc[(name, KINDS[kind])], float)]
                answers += [(beside.loc[name], back)] if kind == "unadjusted" else []
            for answer, scale in answers:
                for column in ("estimate", "conf_low", "conf_high"):
                    wanted = scale(expected[column])
                    assert answer[column] == pytest.approx(wanted, rel=2e-5), (name, kind)
                assert answer["p_value"] == pytest.approx(expected["p_value"], rel=2e-4)
            assert row["p_fdr"] == pytest.approx(fdr[name], rel=2e-4), (name, kind)


def test_every_difference_in_change_of_the_pbc_study(of_r) -> None:
    changes = demo("pbc").changes
    table = changes[changes["engine"] == "ml"]
    assert len(table) == 4
    for row in table.to_dict("records"):
        (estimate,) = of_r(f"pbc, {row['marker']} unadjusted", "change_estimate").values()
        (se,) = of_r(f"pbc, {row['marker']} unadjusted", "change_se").values()
        ours = math.log(row["estimate"]) if row["scale"] == "ratio" else row["estimate"]
        assert ours == pytest.approx(estimate, abs=2e-3 * se)
