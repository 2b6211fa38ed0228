"""Designs of mixed-effects and of survival models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.design import mixed_design, survival_design
from longsurv.errors import DataError, FormulaError


@pytest.fixture
def visits():
    return pd.DataFrame(
        {
            "y": np.arange(8.0),
            "t": [0.0, 1, 2, 0, 1, 2, 0, 1],
            "arm": list("aaabbbaa"),
            "id": ["p2"] * 3 + ["p1"] * 3 + ["p3"] * 2,
        },
        index=range(10, 18),
    )


class TestMixed:
    def test_arrays(self, visits):
        d = mixed_design("y ~ arm + (t | id)", visits)
        np.testing.assert_array_equal(d.y, visits["y"])
        np.testing.assert_array_equal(d.Z, np.column_stack([np.ones(8), visits["t"]]))
        assert list(d.labels) == ["p1", "p2", "p3"] and d.group_name == "id"
        np.testing.assert_array_equal(d.labels[d.group], visits["id"])
        assert d.n_excluded == 0
        assert d.variance_names == ("sigma", "sd(Intercept|id)", "sd(t|id)", "cor(Intercept,t|id)")

    def test_names_of_three_effects(self, visits):
        d = mixed_design("y ~ 1 + (t + I(t**2) | id)", visits)
        assert d.variance_names[4:] == (
            "cor(Intercept,t|id)", "cor(Intercept,I(t ** 2)|id)", "cor(t,I(t ** 2)|id)",
        )  # fmt: skip

    @pytest.mark.parametrize("column", ["y", "t", "arm", "id"])
    def test_missing_rows_are_counted(self, visits, column):
        visits.loc[12, column] = None
        d = mixed_design("y ~ arm + (t | id)", visits)
        assert d.n_excluded == 1
        np.testing.assert_array_equal(d.rows, [0, 1, 3, 4, 5, 6, 7])
        assert len(d.y) == len(d.fixed.X) == len(d.Z) == len(d.group) == 7

    def test_levels_come_from_the_rows_that_are_used(self, visits):
        """The only patients on b have no measurement: no column of zeros, no level b at all."""
        visits.loc[visits["arm"] == "b", "y"] = np.nan
        d = mixed_design("y ~ arm + (1 | id)", visits)
        assert d.fixed.names == ("Intercept",) and list(d.labels) == ["p2", "p3"]
        visits["arm"] = visits["arm"].astype("category")
        again = mixed_design("y ~ arm + (1 | id)", visits)
        assert again.fixed.names == ("Intercept",) and again.fixed.aliased == ()

    @pytest.mark.parametrize(
        ("formula", "message"),
        [
            ("y ~ t", "needs one random term"),
            ("y ~ (1 | id) + (1 | arm)", "has 2"),
            ("Surv(t, y) ~ (1 | id)", "needs one random term"),
            ("y ~ t + (1 | idd)", "no column 'idd' to group rows by"),
            ("y ~ tt + (1 | id)", "'tt', which is not a column"),
            ("y ~ t + (0 | id)", "the random term .* has no columns"),
            ("arm ~ t + (1 | id)", "'arm' must be one numeric column"),
        ],
    )
    def test_formulas(self, visits, formula, message):
        with pytest.raises(FormulaError, match=message):
            mixed_design(formula, visits)

    def test_too_few_rows(self, visits):
        with pytest.raises(DataError, match="has 4 coefficients but only 4 complete rows"):
            mixed_design("y ~ arm * t + (1 | id)", visits.iloc[[0, 1, 4, 5]])
        with pytest.raises(DataError, match="'id' has one value only"):
            mixed_design("y ~ t + (1 | id)", visits.iloc[:3])

    def test_no_row_complete_in_everything(self, visits):
        visits.loc[visits["id"] != "p1", "y"] = np.nan
        visits.loc[visits["id"] == "p1", "t"] = np.nan
        with pytest.raises(DataError, match="no row of the data"):
            mixed_design("y ~ t + (1 | id)", visits)


@pytest.fixture
def lives():
    return pd.DataFrame(
        {
            "entry": [0.0, 0, 1, 2, 0],
            "exit": [2.0, 3, 3, 5, 6],
            "died": [1, 0, 1, 1, 0],
            "arm": list("abaab"),
            "age": [60.0, 70, 65, 50, 40],
        },
        index=list("vwxyz"),
    )


class TestSurvival:
    def test_arrays(self, lives):
        d = survival_design("Surv(entry, exit, died) ~ arm + age", lives)
        np.testing.assert_array_equal(d.entry, lives["entry"])
        np.testing.assert_array_equal(d.exit, lives["exit"])
        np.testing.assert_array_equal(d.event, lives["died"])
        assert d.fixed.names == ("arm[T.b]", "age") and d.n_events == 3 and d.n_excluded == 0

    def test_without_entry_everyone_starts_at_zero(self, lives):
        assert not survival_design("Surv(exit, died) ~ age", lives).entry.any()

    def test_without_covariates(self, lives):
        assert survival_design("Surv(exit, died) ~ 1", lives).fixed.X.shape == (5, 0)

    @pytest.mark.parametrize("dtype", [bool, "boolean", "Int64", float])
    def test_kinds_of_event(self, lives, dtype):
        d = survival_design(
            "Surv(exit, died) ~ age", lives.astype({"died": bool}).astype({"died": dtype})
        )
        np.testing.assert_array_equal(d.event, [1, 0, 1, 1, 0])

    @pytest.mark.parametrize("column", ["entry", "exit", "died", "arm", "age"])
    def test_missing_rows_are_counted(self, lives, column):
        lives = lives.astype({"died": "Int64"})
        lives.loc["x", column] = None
        d = survival_design("Surv(entry, exit, died) ~ arm + age", lives)
        assert d.n_excluded == 1
        np.testing.assert_array_equal(d.rows, [0, 1, 3, 4])

    def test_all_problems_at_once(self, lives):
        lives.loc["v", "exit"] = -1.0
        lives.loc["w", "died"] = 2
        lives.loc["y", "entry"] = 5.0
        with pytest.raises(DataError) as caught:
            survival_design("Surv(entry, exit, died) ~ age", lives)
        message = str(caught.value)
        assert "'exit' is negative in 1 row (index v)" in message
        assert "'exit' is not after 'entry' in 2 rows (index v, y)" in message
        assert "'died' is not 0 or 1 in 1 row (index w)" in message

    def test_infinite_time(self, lives):
        with pytest.raises(DataError, match="'exit' is not finite in 1 row"):
            survival_design("Surv(exit, died) ~ age", lives.replace({"exit": {6.0: np.inf}}))

    def test_no_events(self, lives):
        with pytest.raises(DataError, match="'died' has no events among 5 rows"):
            survival_design("Surv(exit, died) ~ age", lives.assign(died=0))

    def test_text_for_times(self, lives):
        with pytest.raises(DataError, match="column 'arm' must hold numbers"):
            survival_design("Surv(arm, died) ~ age", lives)

    @pytest.mark.parametrize(
        ("formula", "message"),
        [
            ("age ~ arm", "starts with Surv"),
            ("Surv(exit, died) ~ (1 | arm)", "no place in this model"),
            ("Surv(exit, dead) ~ age", r"have no columns \['dead'\]"),
            ("Surv(exit, died) ~ agee", "Did you mean 'age'"),
        ],
    )
    def test_formulas(self, lives, formula, message):
        with pytest.raises(FormulaError, match=message):
            survival_design(formula, lives)
