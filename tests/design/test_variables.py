"""Columns as formulas see them: the same values are the same variable, whatever stores them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from longsurv.design.fixed import fixed_design, response
from longsurv.errors import DataError, FormulaError

N = 24
NUMBERS = np.array([3.0, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8] * 2)
NAMES = np.array(["placebo", "low", "high", "low", "high", "placebo"] * 4, dtype=object)


def stored(values: np.ndarray, how: str) -> pd.Series:
    """A column of the values in one of the ways that tables store them."""
    column = pd.Series(values)
    if how == "object":
        return pd.Series([v.item() if hasattr(v, "item") else v for v in values], dtype=object)
    if how == "dictionary":
        return pd.Series(pd.array(values, dtype=pd.ArrowDtype(pa.dictionary(pa.int8(), pa.utf8()))))
    return column.astype(how)


NUMERIC = ["float64", "float32", "int8", "uint8", "int64", "Int8", "Int64", "Float64", "Float32",
           "int8[pyarrow]", "int64[pyarrow]", "double[pyarrow]", "object"]  # fmt: skip
TEXT = ["object", "string", "string[pyarrow]", "str", "dictionary"]


class TestTheSameValues:
    @pytest.mark.parametrize("how", NUMERIC)
    @pytest.mark.parametrize("right", ["v", "I(v**2) + v", "v:v", "bs(v, df=4)", "I(100 * v)"])
    def test_numbers(self, how, right):
        expected, _ = fixed_design(right, pd.DataFrame({"v": NUMBERS}))
        found, _ = fixed_design(right, pd.DataFrame({"v": stored(NUMBERS, how)}))
        assert found.names == expected.names
        np.testing.assert_allclose(found.X, expected.X, rtol=1e-6)

    @pytest.mark.parametrize("how", ["bool", "boolean", "bool[pyarrow]", "object", "int8"])
    def test_truth_values(self, how):
        flag = NUMBERS > 4
        found, _ = fixed_design("flag", pd.DataFrame({"flag": stored(flag, how)}))
        assert found.names == ("Intercept", "flag")
        np.testing.assert_array_equal(found.X[:, 1], flag)

    @pytest.mark.parametrize("how", TEXT)
    @pytest.mark.parametrize("right", ["arm", "C(arm)", "0 + arm", "arm:v", "I(arm == 'low')"])
    def test_text(self, how, right):
        v = {"v": NUMBERS}
        expected, _ = fixed_design(right, pd.DataFrame({"arm": NAMES} | v))
        data = pd.DataFrame({"arm": stored(NAMES, how)} | v)
        found, _ = fixed_design(right, data)
        assert found.names == expected.names
        np.testing.assert_array_equal(found.X, expected.X)
        np.testing.assert_array_equal(found.rebuild(data[::-1]), expected.X[::-1])
        plain = pd.DataFrame({"arm": NAMES} | v)
        np.testing.assert_array_equal(found.rebuild(plain), expected.X)

    @pytest.mark.parametrize("how", [*NUMERIC, "category"])
    @pytest.mark.parametrize("call", ["C", "factor"])
    def test_numbers_as_levels(self, how, call):
        found, _ = fixed_design(f"{call}(v)", pd.DataFrame({"v": stored(NUMBERS, how)}))
        levels = [2, 3, 4, 5, 6, 8, 9]
        assert found.names[1:] == tuple(f"{call}(v)[T.{k}]" for k in levels) or how == "category"
        np.testing.assert_array_equal(found.X[:, 1:], NUMBERS[:, None] == np.array(levels))

    @pytest.mark.parametrize("how", ["float64", "Float64", "double[pyarrow]", "object", "Int64"])
    def test_a_gap_is_a_missing_row(self, how):
        column = stored(NUMBERS, how)
        column[3] = None
        found, complete = fixed_design("v + C(v)", pd.DataFrame({"v": column}))
        assert list(np.flatnonzero(~complete)) == [3]
        assert "C(v)[T.2]" in found.names

    def test_not_a_number_is_none_in_every_dtype(self):
        """0/0 in a nullable column is no NA, and still nothing to compute with."""
        values = pd.array(NUMBERS, dtype="Float64") - 3.0
        values = values / values
        assert list(np.flatnonzero(~fixed_design("v", pd.DataFrame({"v": values}))[1]))

    @pytest.mark.parametrize("how", NUMERIC)
    def test_responses(self, how):
        data = pd.DataFrame({"v": stored(NUMBERS, how)})
        np.testing.assert_allclose(response("v**2 + 100 * v", data), NUMBERS**2 + 100 * NUMBERS)


class TestLevelsWithoutRows:
    CATEGORIES = ("placebo", "low", "high")

    def drug(self, values: list[str | None]) -> pd.DataFrame:
        drug = pd.Categorical(values, categories=self.CATEGORIES)
        return pd.DataFrame({"drug": drug, "x": np.arange(len(values), dtype=float)})

    @pytest.mark.parametrize("right", ["drug", "C(drug)", "factor(drug)", "drug + x", "drug * x"])
    def test_the_reference_is_the_first_level_that_has_rows(self, right):
        design, _ = fixed_design(right, self.drug(["low", "high"] * 6))
        drug = [n for n in design.names if "drug" in n and ":" not in n]
        assert len(drug) == 1 and "T.high" in drug[0] and design.aliased == ()

    def test_levels_that_missing_covariates_emptied(self):
        data = self.drug(["placebo", "low", "high"] * 4)
        data.loc[data["drug"] == "placebo", "x"] = np.nan
        design, _ = fixed_design("drug + x", data)
        assert design.names == ("Intercept", "drug[T.high]", "x") and design.aliased == ()

    def test_levels_given_in_the_formula(self):
        data = self.drug(["low", "high"] * 6)
        design, _ = fixed_design("C(drug, levels=['placebo', 'high', 'low'])", data)
        assert [n[-7:] for n in design.names[1:]] == ["[T.low]"]
        np.testing.assert_array_equal(design.rebuild(data.iloc[[0]]), [[1.0, 1.0]])

    def test_a_level_without_rows_cannot_be_predicted(self):
        design, _ = fixed_design("drug", self.drug(["low", "high"] * 6))
        with pytest.raises(FormulaError, match="levels the model was not fitted to"):
            design.rebuild(self.drug(["placebo"]))

    @pytest.mark.parametrize("order", [("high", "low", "placebo"), ("low", "placebo", "high")])
    def test_an_order_of_categories_counts(self, order):
        drug = pd.Categorical(NAMES, categories=order, ordered=True)
        names = fixed_design("drug", pd.DataFrame({"drug": drug}))[0].names
        assert names[1:] == tuple(f"drug[T.{level}]" for level in order[1:])


class TestRefused:
    def test_numbers_as_text(self):
        texts = [f"{v:g}" for v in 60.5 + NUMBERS]
        for column in (texts, [t.replace(".", ",") for t in texts], [*texts[:-1], "n/a"]):
            with pytest.raises(DataError, match=r"'age' holds numbers as text.*to_numeric.*C\(age"):
                fixed_design("age", pd.DataFrame({"age": column}))
            assert fixed_design("C(age)", pd.DataFrame({"age": column}))[0].X.shape[1] > 3

    def test_two_codes_as_text_are_two_groups(self):
        arm = np.where(NUMBERS > 4, "1", "0")
        assert fixed_design("arm", pd.DataFrame({"arm": arm}))[0].names[1:] == ("arm[T.1]",)

    def test_categories_that_look_like_numbers_are_categories(self):
        stage = pd.Categorical([f"{v:g}" for v in NUMBERS])
        assert len(fixed_design("stage", pd.DataFrame({"stage": stage}))[0].names) == 8

    def test_decimals(self):
        age = [Decimal(str(v)) for v in NUMBERS]
        for column in (age, pd.array(age, dtype=pd.ArrowDtype(pa.decimal128(5, 2)))):
            with pytest.raises(DataError, match=r"'age' holds decimals.*astype\(float\)"):
                fixed_design("age", pd.DataFrame({"age": column}))

    @pytest.mark.parametrize(
        ("column", "what"),
        [
            (pd.date_range("2020-01-01", periods=N), "dates"),
            (pd.date_range("2020-01-01", periods=N, tz="Asia/Tokyo"), "dates"),
            ([dt.date(2020, 1, 1)] * N, "dates"),
            (pd.date_range("2020-01-01", periods=N).astype("timestamp[ns][pyarrow]"), "dates"),
            (np.arange(N).astype("timedelta64[s]"), "time spans"),
            (pd.period_range("2020-01", periods=N, freq="M"), "periods"),
        ],
    )
    @pytest.mark.parametrize("right", ["when", "log(when)", "C(when)", "I(when - 3)"])
    def test_dates(self, column, what, right):
        data = pd.DataFrame({"when": column})
        with pytest.raises(DataError, match=f"'when' holds {what}.*compute them first"):
            fixed_design(right, data)
        with pytest.raises(DataError, match=f"'when' holds {what}"):
            response("when", data)

    @pytest.mark.parametrize(
        "column", [[[1, 2]] * N, [{"a": 1}] * N, np.full(N, 1 + 2j), [b"a", b"b"] * 12]
    )
    def test_what_is_no_variable(self, column):
        data = pd.DataFrame({"v": list(column) if isinstance(column, list) else column})
        try:
            fixed_design("v", data)
        except DataError as error:
            assert "'v' holds" in str(error)
        else:
            assert isinstance(column[0], bytes)


@pytest.mark.parametrize(
    ("left", "value"),
    [
        ("y", lambda y, b: y),
        ("y - base", lambda y, b: y - b),
        ("(y - base)", lambda y, b: y - b),
        ("log(y) - log(base)", lambda y, b: np.log(y / b)),
        ("y / 2", lambda y, b: y / 2),
        ("y**2", lambda y, b: y**2),
        ("log(y + 10)", lambda y, b: np.log(y + 10)),
        ("100 * (y - `base line`) / `base line`", lambda y, b: 100 * (y - b) / b),
        ("np.sqrt(y)", lambda y, b: np.sqrt(y)),
        ("-y", lambda y, b: -y),
        ("I(y + 1)", lambda y, b: y + 1),
        ("y > 3", lambda y, b: (y > 3).astype(float)),
        ("y * base", lambda y, b: y * b),
    ],
)
def test_the_left_side_is_arithmetic(left, value):
    base = np.linspace(1.0, 2.0, N)
    data = pd.DataFrame({"y": NUMBERS, "base": base, "base line": base})
    np.testing.assert_allclose(response(left, data), value(NUMBERS, base), rtol=1e-13)


@pytest.mark.parametrize("left", ["5", "bs(y, df=4)", "C(y)", "drug", "y + drug", "poly(y, 2)"])
def test_left_sides_that_are_no_response(left):
    data = pd.DataFrame({"y": NUMBERS, "drug": NAMES})
    with pytest.raises((FormulaError, DataError)):
        response(left, data)
