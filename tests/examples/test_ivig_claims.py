"""The reconstructed cohort says what the study's summary says, by the tests a summary uses.

The committed CSV files are read here with pandas alone, so that neither the generator nor the
cohort's reader is trusted.
"""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact, mannwhitneyu, wilcoxon

from longsurv.cohort import read_cohort
from longsurv.estimands.simple import baseline_differences, mortality_table, within_group_changes

FOLDER = Path(__file__).parents[2] / "examples" / "ivig_sepsis"
MARKERS = {
    "wbc", "crp", "pct", "il6", "plt", "pt_inr", "aptt", "d_dimer", "tat", "pic", "sf", "pai1",
}  # fmt: skip
EXTRAS = {"fdp", "pt_ratio", "sirs", "jaam", "sofa"}


@pytest.fixture(scope="module")
def patients():
    return pd.read_csv(FOLDER / "patients.csv")


@pytest.fixture(scope="module")
def long(patients):
    table = pd.read_csv(FOLDER / "measurements.csv", dtype={"value": "string"})
    table["below"] = table["value"].str.startswith("<").fillna(False)
    table["number"] = pd.to_numeric(table["value"].str.lstrip("<")).astype(float)
    table["visit"] = np.where(table["day"] == 1, "first", "later")
    return table.merge(patients, on="patient", validate="many_to_one")


@pytest.fixture(scope="module")
def wide(long):
    return long.pivot(index=["treatment", "patient"], columns=["marker", "visit"], values="number")


def script(name, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))  # find_seed imports generate
    spec = importlib.util.spec_from_file_location(f"ivig_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def change(wide, group, marker):
    pairs = wide.loc[group, marker].dropna()
    difference = (pairs["later"] - pairs["first"]).round(9)
    return difference.median(), wilcoxon(difference).pvalue


@pytest.mark.parametrize("marker", ["pct", "il6"])
def test_claim_1_the_treated_were_sicker_at_day_1(wide, marker):
    first = wide[marker]["first"].dropna()
    assert first["ivig"].median() > first["control"].median()
    assert mannwhitneyu(first["ivig"], first["control"]).pvalue < 0.01


@pytest.mark.parametrize(
    ("marker", "level"),
    [
        ("crp", 0.01), ("pct", 0.01), ("il6", 0.01), ("jaam", 0.05), ("pt_inr", 0.05),
        ("aptt", 0.05), ("tat", 0.05), ("sf", 0.05), ("pai1", 0.05),
    ],
)  # fmt: skip
def test_claim_2_what_fell_in_the_treated(wide, marker, level):
    median, p = change(wide, "ivig", marker)
    assert median < 0
    assert p < level


@pytest.mark.parametrize("marker", ["il6", "tat"])
def test_claim_3_what_fell_in_the_untreated(wide, marker):
    median, p = change(wide, "control", marker)
    assert median < 0
    assert p < 0.05


@pytest.mark.parametrize("marker", ["crp", "pct", "pt_inr", "aptt", "sf", "pai1", "jaam"])
def test_claim_3_what_did_not_change_significantly_in_the_untreated(wide, marker):
    assert change(wide, "control", marker)[1] >= 0.05


@pytest.mark.parametrize("group", ["ivig", "control"])
@pytest.mark.parametrize("marker", ["wbc", "plt", "d_dimer", "pic"])
def test_claim_4_what_did_not_change_significantly_in_either(wide, group, marker):
    assert change(wide, group, marker)[1] >= 0.05


def test_claim_5_mortality(patients):
    dead = patients["status"] == "dead"
    table = pd.crosstab(patients["treatment"], dead)
    assert table.loc["ivig"].tolist() == [18, 1]
    assert table.loc["control"].tolist() == [18, 4]
    assert fisher_exact(table).pvalue == pytest.approx(0.3499, abs=5e-5)
    assert patients.loc[dead, "followup_day"].between(8, 28).all()


def test_the_design(patients, long):
    assert patients["patient"].is_unique
    assert patients["treatment"].value_counts().to_dict() == {"control": 22, "ivig": 19}
    assert (patients["icu_days"] > 7).all()
    assert patients["age"].min() >= 18
    assert set(patients["status"]) == {"dead", "discharged", "alive"}
    ended = patients.set_index("status")["followup_day"]
    assert (ended["alive"] == 28).all()
    assert (ended["discharged"] < 28).all()
    left = patients[patients["status"] != "alive"]
    assert (left["icu_days"] <= left["followup_day"]).all()

    days = long.groupby("patient")["day"].unique()
    assert len(days) == 41
    assert all(first == 1 and 4 <= later <= 7 for first, later in days)
    assert set(long["marker"]) == MARKERS | EXTRAS
    assert long.groupby(["patient", "day"])["marker"].nunique().eq(17).all()


def test_missing_and_censored_values_are_few_but_there(long):
    missing = long["number"].isna()
    later = missing[(long["visit"] == "later") & (long["marker"] != "jaam")]
    assert 0.01 < later.mean() < 0.05
    assert long.loc[long["below"], "marker"].nunique() >= 4
    assert 0.005 < long["below"].mean() < 0.03


def test_the_jaam_score_is_that_of_the_recorded_components(long):
    rows = long.pivot(index=["patient", "day"], columns="marker", values="number")
    for _, row in rows.iterrows():
        if row[["sirs", "plt", "pt_ratio", "fdp"]].isna().any():
            assert np.isnan(row["jaam"])
            continue
        score = int(row["sirs"] >= 3) + int(row["pt_ratio"] >= 1.2)
        score += 3 if row["plt"] < 80 else 1 if row["plt"] < 120 else 0
        score += 3 if row["fdp"] >= 25 else 1 if row["fdp"] >= 10 else 0
        assert row["jaam"] == score
    assert rows["jaam"].notna().sum() > 70


def test_centres_are_near_those_of_septic_patients(wide):
    """Published medians, and how far in natural logarithms a median of 41 may lie from them."""
    published = {"pct": 13.6, "crp": 16.3, "pai1": 178, "tat": 11, "wbc": 10_900, "d_dimer": 4.2,
                 "plt": 182, "aptt": 42.6, "fdp": 25, "pt_ratio": 1.30, "il6": 600}  # fmt: skip
    spread = {"il6": 2.1, "pct": 1.2, "pai1": 1.2, "fdp": 1.0, "d_dimer": 0.98, "tat": 0.73,
              "plt": 0.56, "crp": 0.55, "wbc": 0.5, "aptt": 0.24, "pt_ratio": 0.18}  # fmt: skip
    for marker, median in published.items():
        logs = np.log(wide[marker]["first"].dropna())
        error = spread[marker] * 1.2533 / np.sqrt(len(logs))
        assert abs(logs.median() - np.log(median)) < 3 * error, marker
        assert 0.6 < logs.std() / spread[marker] < 1.5, marker
    assert 3 <= wide["jaam"]["first"].median() <= 5


def test_generating_again_gives_the_committed_files_byte_for_byte(monkeypatch):
    tables = script("generate", monkeypatch).generate()
    for table, name in zip(tables, ("patients.csv", "measurements.csv"), strict=True):
        text = io.StringIO()
        table.to_csv(text, index=False, lineterminator="\n")
        assert text.getvalue().encode() == (FOLDER / name).read_bytes()


def test_another_seed_gives_another_cohort(monkeypatch):
    generate = script("generate", monkeypatch).generate
    assert not generate(1)[1].equals(generate(2)[1])


def test_the_seed_is_one_the_search_accepts(monkeypatch):
    find_seed = script("find_seed", monkeypatch)
    committed = script("generate", monkeypatch)
    verdicts = dict(find_seed.claims(*committed.generate()))
    assert len(verdicts) == 2 + 9 + 9 + 8 + 2 + 12 + 3
    assert all(verdicts.values())
    assert not all(holds for _, holds in find_seed.claims(*committed.generate(committed.SEED - 1)))


def test_the_cohort_reads_and_says_it_is_reconstructed():
    cohort = read_cohort(FOLDER / "study.toml")
    assert cohort.reconstructed
    assert not cohort.randomised
    assert "econstructed" in cohort.title
    assert "No real patient" in cohort.note
    assert "Nobody in these files is a real patient" in (FOLDER / "README.md").read_text()
    assert cohort.groups == ["control", "ivig"]
    assert cohort.n_by_group == {"control": 22, "ivig": 19}
    families = pd.Series({name: marker.family for name, marker in cohort.markers.items()})
    assert set(families.index[families.isin(["inflammation", "coagulation"])]) == MARKERS
    follow_up = cohort.survival_data()
    assert follow_up["entry"].eq(7).all()
    assert follow_up["event"].sum() == 5
    assert follow_up["exit"].max() == 28
    assert cohort.measurements["phase"].notna().all()


def test_detection_limits_of_the_study_file_are_those_of_the_laboratory(long):
    cohort = read_cohort(FOLDER / "study.toml")
    for marker, rows in long[long["below"]].groupby("marker"):
        assert rows["number"].eq(cohort.markers[marker].lower_limit).all()
    for name, marker in cohort.markers.items():
        measured = long.loc[(long["marker"] == name) & ~long["below"], "number"]
        assert marker.lower_limit is None or measured.min() >= marker.lower_limit


def test_the_packages_simple_comparisons_agree(wide):
    cohort = read_cohort(FOLDER / "study.toml")
    for row in within_group_changes(cohort).itertuples():
        median, p = change(wide, row.group, row.marker)
        assert row.p_value == pytest.approx(p)
        assert row.median_change == pytest.approx(median)
    for row in baseline_differences(cohort).itertuples():
        first = wide[row.marker]["first"].dropna()
        assert row.p_value == pytest.approx(mannwhitneyu(first["ivig"], first["control"]).pvalue)
    assert mortality_table(cohort)["percent"].round(1).tolist() == [18.2, 5.3]
