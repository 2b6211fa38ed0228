"""Fixed-effects columns: coding, missing values, dependence, and the recipe for new data."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import BSpline

from longsurv.design.fixed import fixed_design, independent_columns, response
from longsurv.errors import DataError, FormulaError


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "y": rng.normal(size=12),
            "x": np.arange(12.0),
            "drug": np.tile(["a", "b", "c"], 4),
            "pre-dose": rng.normal(size=12),
        }
    )


def test_treatment_coding(data):
    design, complete = fixed_design("drug * x", data)
    assert complete.all() and design.aliased == ()
    assert design.names == (
        "Intercept",
        "drug[T.b]",
        "drug[T.c]",
        "x",
        "drug[T.b]:x",
        "drug[T.c]:x",
    )
    b, c = (data["drug"] == "b").to_numpy(float), (data["drug"] == "c").to_numpy(float)
    x = data["x"].to_numpy()
    np.testing.assert_array_equal(design.X, np.column_stack([np.ones(12), b, c, x, b * x, c * x]))
    assert design.variables == {"drug": ("drug[T.b]", "drug[T.c]"), "x": ("x",)}


def test_the_reference_is_the_first_level(data):
    drug = pd.Categorical(data["drug"], categories=["c", "a", "b"])
    assert fixed_design("drug", data.assign(drug=drug))[0].names == (
        "Intercept",
        "drug[T.a]",
        "drug[T.b]",
    )


def test_variables_behind_functions(data):
    variables = fixed_design("C(drug) + log(x + 1) + bs(x, df=4)", data)[0].variables
    assert variables == {"drug": ("C(drug)[T.b]", "C(drug)[T.c]"), "x": ("log(x + 1)",)}


@pytest.mark.parametrize("dtype", [object, "string", "category"])
def test_text_of_every_kind(data, dtype):
    design, _ = fixed_design("drug", data.astype({"drug": dtype}))
    assert design.names == ("Intercept", "drug[T.b]", "drug[T.c]")


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean", "int8", bool])
def test_numbers_of_every_kind(data, dtype):
    v = (
        pd.Series(np.arange(12) % 2, index=data.index)
        .astype(bool if dtype == "boolean" else dtype)
        .astype(dtype)
    )
    design, _ = fixed_design("v", data.assign(v=v))
    np.testing.assert_array_equal(design.X[:, 1], np.arange(12) % 2)


def test_a_name_with_a_sign_in_it(data):
    design, _ = fixed_design("`pre-dose`", data)
    np.testing.assert_array_equal(design.X[:, 1], data["pre-dose"])


@pytest.mark.parametrize("dtype", [object, "string", "category"])
def test_a_missing_level_is_a_missing_row(data, dtype):
    """Not the reference level."""
    data = data.astype({"drug": dtype})
    data.loc[3, "drug"] = None
    data.loc[5, "x"] = np.nan
    design, complete = fixed_design("drug + x", data)
    assert list(np.flatnonzero(~complete)) == [3, 5]
    assert design.X.shape == (10, 4)
    np.testing.assert_array_equal(design.X[:, 3], data["x"].to_numpy()[complete])


def test_missing_integers(data):
    n = pd.array([None, *range(11)], dtype="Int64")
    design, complete = fixed_design("n", data.assign(n=n))
    assert list(np.flatnonzero(~complete)) == [0]
    np.testing.assert_array_equal(design.X[:, 1], np.arange(11.0))


def test_missing_values_elsewhere_do_not_matter(data):
    data.loc[0, "y"] = np.nan
    assert fixed_design("x", data)[1].all()


def test_no_complete_row(data):
    with pytest.raises(DataError, match="no row of the data has all of the values that 'x' needs"):
        fixed_design("x", data.assign(x=np.nan))


def _rank(columns: list[np.ndarray]) -> int:
    """Rank of vectors of whole numbers, by elimination in fractions."""
    rows, rank = [[Fraction(int(v)) for v in column] for column in columns], 0
    for j in range(len(rows[0])):
        pivot = next((i for i in range(rank, len(rows)) if rows[i][j]), None)
        if pivot is None:
            continue
        rows[rank], rows[pivot] = rows[pivot], rows[rank]
        for i in range(rank + 1, len(rows)):
            factor = rows[i][j] / rows[rank][j]
            rows[i] = [a - factor * b for a, b in zip(rows[i], rows[rank], strict=True)]
        rank += 1
    return rank


class TestDependence:
    def test_a_multiple(self, data):
        design, _ = fixed_design("x + I(2 * x + 3)", data)
        assert design.names == ("Intercept", "x") and design.aliased == ("I(2 * x + 3)",)

    def test_a_level_nobody_has(self, data):
        drug = pd.Categorical(data["drug"], categories=["a", "b", "c", "d"])
        design, _ = fixed_design("drug", data.assign(drug=drug))
        assert design.names == ("Intercept", "drug[T.b]", "drug[T.c]") and design.aliased == ()

    def test_an_empty_cell(self, data):
        two = data.assign(
            sex=np.where(data["drug"] == "c", "m", np.resize(["m", "m", "m", "f", "f", "f"], 12))
        )
        design, _ = fixed_design("drug * sex", two)
        assert (
            len(design.aliased) == 1 and np.linalg.matrix_rank(design.X) == design.X.shape[1] == 5
        )

    def test_a_date_is_not_the_intercept(self, data):
        """Seconds since 1970 vary by little relative to their size, and still count."""
        design, _ = fixed_design("I(1.7e9 + 100 * x)", data)
        assert design.aliased == ()

    def test_without_an_intercept_constants_go(self, data):
        """The baseline hazard absorbs them, and with them the last level of a full coding."""
        assert fixed_design("one + x", data.assign(one=3.0), intercept=False)[0].names == ("x",)
        full, _ = fixed_design("0 + drug", data, intercept=False)
        assert full.names == ("drug[a]", "drug[b]") and full.aliased == ("drug[c]",)

    @pytest.mark.parametrize("unit", [1.0, 1e-145, 1e120])
    def test_a_multiple_in_any_unit(self, data, unit):
        x = unit * data[["y", "x", "pre-dose"]].to_numpy()
        assert list(independent_columns(np.hstack([x, 3.0 * x[:, [1]]]))) == [True] * 3 + [False]

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e3, 1e6]), st.booleans())
    def test_the_columns_found_are_those_of_exact_arithmetic(self, seed, offset, constant):
        """Whole numbers, some columns combinations of others: rank by fractions, one by one."""
        rng = np.random.default_rng(seed)
        X = rng.integers(-3, 4, size=(9, 3)).astype(float) + offset
        X = np.hstack([X, X @ rng.integers(-1, 2, size=(3, 2)), rng.integers(0, 2, size=(9, 1))])
        X = X[:, rng.permutation(6)] * 10.0 ** rng.integers(0, 6, size=6)
        implied = [np.ones(9)] if constant else []
        expected, kept = [], [*implied]
        for column in X.T:
            expected.append(_rank([*kept, column]) > len(kept))
            kept += [column] if expected[-1] else []
        assert list(independent_columns(X, beside_constant=constant)) == expected

    def test_order_of_rows_does_not_matter(self, data):
        design, _ = fixed_design("drug * x + I(x - 7)", data)
        again, _ = fixed_design("drug * x + I(x - 7)", data.iloc[::-1])
        assert again.names == design.names
        np.testing.assert_array_equal(again.X[::-1], design.X)


class TestNewData:
    def test_same_rows_same_columns(self, data):
        design, _ = fixed_design("drug * bs(x, df=4) + center(y) + scale(x) + poly(x, 2)", data)
        rows = [7, 2, 2]
        np.testing.assert_allclose(design.rebuild(data.iloc[rows]), design.X[rows], atol=1e-12)

    def test_spline_with_the_knots_of_the_first_data(self, data):
        """Cubic B-splines with the inner knot at the median, written out."""
        design, _ = fixed_design("bs(x, df=4)", data)
        new = np.array([0.5, 3.25, 9.0])
        knots = np.array([0, 0, 0, 0, 5.5, 11, 11, 11, 11], dtype=float)
        expected = BSpline.design_matrix(new, knots, 3).toarray()[:, 1:]
        np.testing.assert_allclose(
            design.rebuild(pd.DataFrame({"x": new}))[:, 1:], expected, atol=1e-12
        )

    def test_one_level_only(self, data):
        design, _ = fixed_design("drug", data)
        np.testing.assert_array_equal(design.rebuild(pd.DataFrame({"drug": ["c"]})), [[1, 0, 1]])

    def test_aliased_columns_stay_out(self, data):
        design, _ = fixed_design("x + I(2 * x)", data)
        assert design.rebuild(pd.DataFrame({"x": [1.0]})).shape == (1, 2)

    def test_no_rows(self, data):
        assert fixed_design("drug + x", data)[0].rebuild(data.iloc[:0]).shape == (0, 4)

    @pytest.mark.parametrize("new", ["z", pd.Categorical(["z"]), "A"])
    def test_a_new_level(self, data, new):
        design, _ = fixed_design("drug", data)
        with pytest.raises(FormulaError, match=r"levels the model was not fitted to"):
            design.rebuild(pd.DataFrame({"drug": new}, index=[0]))

    @pytest.mark.parametrize("new", [[1, 2, 3], [True, False, True], [0.0, 1.0, 2.0]])
    def test_numbers_where_there_were_names(self, data, new):
        """They are no codes of the levels, and no values of a number."""
        design, _ = fixed_design("drug * x", data)
        rows = pd.DataFrame({"drug": new, "x": 1.0})
        with pytest.raises(FormulaError, match=r"levels the model was not fitted to: .*; it knows"):
            design.rebuild(rows)

    @pytest.mark.parametrize("term", ["dose", "C(dose)", "dose:x"])
    def test_levels_that_are_numbers_stay_levels(self, term):
        """Whether new rows have them in a Categorical, as the fitted ones, or as they are."""
        dose = pd.Categorical([10, 20, 40] * 4)
        data = pd.DataFrame({"dose": dose, "x": np.arange(12.0)})
        design, _ = fixed_design(term, data)
        for plain in ([10, 20, 40], [10.0, 20.0, 40.0], pd.Categorical([40, 10, 20])):
            new = pd.DataFrame({"dose": plain, "x": [0.0, 1.0, 2.0]})
            order = [[10, 20, 40].index(int(value)) for value in plain]
            rows = data.iloc[order].assign(x=new["x"].to_numpy())
            np.testing.assert_array_equal(design.rebuild(new), design.rebuild(rows))
        for wrong in (["10", "20", "40"], [1, 2, 3]):
            with pytest.raises(FormulaError, match="levels the model was not fitted to"):
                design.rebuild(pd.DataFrame({"dose": wrong, "x": 1.0}))

    def test_names_where_there_were_numbers(self, data):
        design, _ = fixed_design("x", data)
        for new in (["low"], pd.Categorical([1.0])):
            with pytest.raises(FormulaError, match=r"has categories, as '.*', where the model"):
                design.rebuild(pd.DataFrame({"x": new}))

    def test_a_missing_value(self, data):
        design, _ = fixed_design("drug + x", data)
        for new in ({"drug": [None], "x": [1.0]}, {"drug": ["a"], "x": [np.nan]}):
            with pytest.raises(FormulaError, match="the new data have missing values in"):
                design.rebuild(pd.DataFrame(new))

    def test_a_missing_column(self, data):
        design, _ = fixed_design("drug + x", data)
        with pytest.raises(FormulaError, match=r"the new data.*'drug'.*Did you mean 'Drug'"):
            design.rebuild(data.rename(columns={"drug": "Drug"}))

    def test_outside_a_logarithm(self, data):
        design, _ = fixed_design("log(x + 1)", data)
        with pytest.raises(FormulaError, match="outside their domain"):
            design.rebuild(pd.DataFrame({"x": [-1.0]}))

    def test_outside_the_spline(self, data):
        design, _ = fixed_design("bs(x, df=4)", data)
        with pytest.raises(FormulaError, match="beyond upper and/or lower bounds"):
            design.rebuild(pd.DataFrame({"x": [50.0]}))


@settings(max_examples=25, deadline=None)
@given(
    st.permutations(range(12)), st.sampled_from(["drug * x", "bs(x, df=5)", "poly(x, 3) + drug"])
)
def test_order_of_rows(order, right):
    data = pd.DataFrame({"x": np.arange(12.0) ** 1.5, "drug": list("abc") * 4})
    design, _ = fixed_design(right, data)
    again, _ = fixed_design(right, data.iloc[order])
    assert again.names == design.names
    np.testing.assert_allclose(again.X, design.X[order], atol=1e-10)


@pytest.mark.parametrize(
    ("right", "message"),
    [
        ("drgu + x", r"'drgu', which is not a column of the data .*Did you mean 'drug'"),
        ("foo(x)", "name 'foo' is not defined"),
        ("__import__('os').getpid()", "cannot read"),
        ("1/0", "cannot read '1/0'"),
    ],
)
def test_formulas_that_cannot_be_read(data, right, message):
    with pytest.raises(FormulaError, match=message):
        fixed_design(right, data)


@pytest.mark.parametrize("bad", [0.0, -1.0])
def test_outside_a_logarithm(data, bad):
    data.loc[:, "x"] = data["x"] + 1
    data.loc[4, "x"] = bad
    with pytest.raises(DataError, match=r"\['log\(x\)'\].*infinite or undefined"):
        fixed_design("log(x)", data)
    with pytest.raises(
        DataError, match=r"'log\(x\)' is infinite or undefined in 1 row \(index 4\)"
    ):
        response("log(x)", data)


class TestResponse:
    def test_numbers(self, data):
        np.testing.assert_array_equal(response("y", data), data["y"])
        np.testing.assert_allclose(response("log(x + 1)", data), np.log1p(data["x"]))

    def test_missing_values_stay(self, data):
        data.loc[2, "y"] = np.nan
        assert list(np.flatnonzero(np.isnan(response("y", data)))) == [2]

    def test_text(self, data):
        with pytest.raises(
            FormulaError, match=r"'drug' must be one numeric column; it gives .*drug\[a\]"
        ):
            response("drug", data)

    def test_many_labels_are_not_all_listed(self, data):
        with pytest.raises(FormulaError) as caught:
            response("label", data.assign(label=[f"p{i}" for i in range(12)]))
        assert len(str(caught.value)) < 200

    def test_not_a_column(self, data):
        with pytest.raises(FormulaError, match="Did you mean"):
            response("yy", data)

    def test_nothing_there(self, data):
        with pytest.raises(DataError, match="missing in every row"):
            response("y", data.assign(y=np.nan))
