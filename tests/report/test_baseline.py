from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import LongsurvError
from longsurv.report.sections.cohort import baseline, side_by_side
from longsurv.study import StudyResults
from longsurv.study.tables.baseline import baseline_table
from longsurv.tables.styles import style_of

DATA = pd.DataFrame({
    "arm": ["a"] * 4 + ["b"] * 4,
    "age": [50.0, 60, 70, 80, 60, 70, 80, 90],
    "sex": ["f", "f", "f", "m", "f", "m", "m", "m"],
    "site": ["x", "y", "z", "x", "x", "y", "z", None],
    "il6": [1.0, 10, 100, 1000, 10, 100, 1000, 10000],
    "same": 5.0,
})  # fmt: skip


def table(*columns: str, **options) -> pd.DataFrame:
    return baseline_table(DATA, "arm", ["a", "b"], columns, **options)


def test_means_and_the_standardised_difference_by_hand() -> None:
    a, b = table("age").to_dict("records")
    assert (a["group"], a["n"], a["mean"], a["summary"]) == ("a", 4, 65.0, "mean")
    assert a["sd"] == pytest.approx(np.std([50, 60, 70, 80], ddof=1))
    assert a["std_difference"] == b["std_difference"] == pytest.approx(10 / a["sd"])


def test_a_logarithmic_marker_is_compared_on_the_log_scale() -> None:
    row = table("il6", logarithmic=["il6"]).iloc[0]
    assert row["summary"] == "median"
    assert row[["median", "q1", "q3"]].tolist() == [55.0, 7.75, 325.0]
    logs = np.log([1, 10, 100, 1000])
    assert row["std_difference"] == pytest.approx(np.log(10) / logs.std(ddof=1))


def test_two_levels_give_one_row_a_group_and_a_signed_difference() -> None:
    rows = table("sex")
    assert rows[["variable", "level"]].drop_duplicates().to_numpy().tolist() == [["sex", "m"]]
    assert rows.set_index("group").loc["b", ["count", "n", "proportion"]].tolist() == [3, 4, 0.75]
    assert rows.iloc[0]["std_difference"] == pytest.approx(0.5 / np.sqrt(0.25 * 0.75))


def test_more_levels_give_the_mahalanobis_distance_once_and_count_what_is_missing() -> None:
    rows = table("site").drop_duplicates("level")
    assert list(rows["level"]) == ["x", "y", "z"]
    assert table("site").groupby("level")["missing"].sum().tolist() == [1, 1, 1]
    a, b = np.array([0.25, 0.25]), np.array([1 / 3, 1 / 3])
    s = sum(np.diag(p) - np.outer(p, p) for p in (a, b)) / 2
    expected = np.sqrt((b - a) @ np.linalg.solve(s, b - a))
    assert rows["std_difference"].iloc[0] == pytest.approx(expected)
    assert rows["std_difference"].iloc[1:].isna().all()


def test_no_variation_has_no_standardised_difference() -> None:
    assert np.isnan(table("same").iloc[0]["std_difference"])


def test_exchanging_the_groups_changes_the_sign() -> None:
    one, other = table("age", "sex"), baseline_table(DATA, "arm", ["b", "a"], ["age", "sex"])
    of = [rows.drop_duplicates("variable")["std_difference"].to_numpy() for rows in (one, other)]
    assert of[0] == pytest.approx(-of[1])


@pytest.mark.parametrize(
    ("style", "how", "cells"),
    [
        ("plain", ["mean (SD)", "median [quartiles]", "n (%)"],
         ["65.0 (12.9)", "55 [7.75 to 325]", "1 (25.0\N{NO-BREAK SPACE}%)"]),
        ("nejm", ["mean \N{PLUS-MINUS SIGN} SD", "median (IQR)", "no. (%)"],
         ["65.0\N{PLUS-MINUS SIGN}12.9", "55 (7.75\N{EN DASH}325)", "1 (25)"]),
        ("jama", ["mean (SD)", "median (IQR)", "No. (%)"],
         ["65.0 (12.9)", "55 (7.75-325)", "1 (25)"]),
    ],
)  # fmt: skip
def test_each_journal_writes_it_its_way(style: str, how: list[str], cells: list[str]) -> None:
    shown = side_by_side(table("age", "il6", "sex", logarithmic=["il6"]), style_of(style))
    assert shown["how"].tolist() == how
    assert shown["of a"].tolist() == cells
    assert shown["what"].tolist() == ["age", "il6", "sex: m"]


@pytest.mark.parametrize("name", ["nejm", "jama"])
def test_dashes_are_no_minus_signs_and_percentages_as_precise_as_their_denominator(
    name: str,
) -> None:
    style = style_of(name)
    assert style.of_median(0.5, -1.5, 2.0).endswith(" (\N{MINUS SIGN}1.5 to 2)")
    assert (style.of_count(1, 3), style.of_count(100, 300)) == ("1 (33)", "100 (33.3)")
    assert style.of_count(0, 0) == "0 (\N{EN DASH})"
    assert style.of_mean(1.5, float("nan")) == "1.50"
    with pytest.raises(LongsurvError, match="style is one of plain, nejm, jama, not"):
        style_of("lancet")


def test_a_study_is_reported_in_its_style(results: StudyResults) -> None:
    plain, nejm = (baseline(r).rows for r in (results, results.in_style("nejm")))
    assert [row[0] for row in plain] == [row[0] for row in nejm]
    assert any("\N{PLUS-MINUS SIGN}" in row[2] for row in nejm)
    assert not any("\N{PLUS-MINUS SIGN}" in row[2] for row in plain)
