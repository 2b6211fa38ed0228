from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.study.tables.baseline import baseline_table

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
    row = table("age").iloc[0]
    assert row["a"] == "65.0 (12.9)"
    assert row["std_difference"] == pytest.approx(10 / np.std([50, 60, 70, 80], ddof=1))


def test_a_logarithmic_marker_is_compared_on_the_log_scale() -> None:
    row = table("il6", logarithmic=["il6"]).iloc[0]
    assert row["summary"] == "median [quartiles]"
    assert row["a"] == "55 [7.75 to 325]"
    logs = np.log([1, 10, 100, 1000])
    assert row["std_difference"] == pytest.approx(np.log(10) / logs.std(ddof=1))


def test_two_levels_give_one_row_and_a_signed_difference() -> None:
    rows = table("sex")
    assert list(rows["variable"]) == ["sex: m"]
    assert rows.iloc[0]["b"] == "3 (75.0\N{NO-BREAK SPACE}%)"
    assert rows.iloc[0]["std_difference"] == pytest.approx(0.5 / np.sqrt(0.25 * 0.75))


def test_more_levels_give_the_mahalanobis_distance_once_and_count_what_is_missing() -> None:
    rows = table("site")
    assert list(rows["variable"]) == ["site: x", "site: y", "site: z"]
    assert rows["missing"].tolist() == [1, 1, 1]
    a, b = np.array([0.25, 0.25]), np.array([1 / 3, 1 / 3])
    s = sum(np.diag(p) - np.outer(p, p) for p in (a, b)) / 2
    expected = np.sqrt((b - a) @ np.linalg.solve(s, b - a))
    assert rows["std_difference"].iloc[0] == pytest.approx(expected)
    assert rows["std_difference"].iloc[1:].isna().all()


def test_no_variation_has_no_standardised_difference() -> None:
    assert np.isnan(table("same").iloc[0]["std_difference"])


def test_exchanging_the_groups_changes_the_sign() -> None:
    one, other = table("age", "sex"), baseline_table(DATA, "arm", ["b", "a"], ["age", "sex"])
    assert one["std_difference"].to_numpy() == pytest.approx(-other["std_difference"].to_numpy())
