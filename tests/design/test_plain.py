"""Formulas of numeric columns and their products: the same numbers as formulaic's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from formulaic import Formula
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.design.fixed import fixed_design
from longsurv.design.plain import PIECE, plain_terms, products
from longsurv.errors import FormulaError


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(30, 3)), columns=["a", "b", "pre-dose"])
    frame["n"] = rng.integers(0, 9, size=30)
    frame["site"] = np.tile(["x", "y"], 15)
    frame["flag"] = frame["n"] > 3
    frame["whole"] = frame["n"].astype("Int64")
    return frame.rename(index=lambda i: 100 - i)


PLAIN = ["1", "a", "a + n", "0 + a + b", "a * b * n", "a:b", "a + `pre-dose`:n", "1 + a + b - 1"]


@pytest.mark.parametrize("right", PLAIN)
def test_the_numbers_of_formulaic(data, right):
    terms = plain_terms(Formula(right), data)
    expected = Formula(right).get_model_matrix(data)
    np.testing.assert_array_equal(products(terms, data), expected.to_numpy(float))


@pytest.mark.parametrize("right", [*PLAIN, "a * site", "log(n + 1) + a", "flag + whole"])
def test_design_and_recipe_are_those_of_formulaic(data, right):
    expected = Formula(right).get_model_matrix(data)
    design, complete = fixed_design(right, data)
    assert complete.all() and design.names == tuple(expected.columns)
    np.testing.assert_array_equal(design.X, expected.to_numpy(float))
    np.testing.assert_array_equal(design.rebuild(data[::-1]), design.X[::-1])
    assert design.recipe.column_names == expected.model_spec.column_names
    assert design.recipe.required_variables == expected.model_spec.required_variables


@pytest.mark.parametrize("right", ["site", "log(a)", "a * site", "flag", "whole", "2:a", "absent"])
def test_everything_else_is_left_to_formulaic(data, right):
    assert plain_terms(Formula(right), data) is None


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 2 * PIECE + 3), st.integers(0, 2**32 - 1))
def test_tables_of_every_length(n, seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.normal(size=n), "k": rng.integers(-5, 5, size=n)})
    found = products([(), ("a",), ("a", "k", "k")], frame)
    a, k = frame["a"].to_numpy(), frame["k"].to_numpy()
    np.testing.assert_array_equal(found, np.column_stack([np.ones(n), a, a * k * k]))


def test_missing_numbers_are_missing_rows(data):
    data.loc[[97, 90], "b"] = np.nan
    design, complete = fixed_design("a * b", data)
    assert list(data.index[~complete]) == [97, 90]
    np.testing.assert_array_equal(design.X[:, 2], data["b"].dropna())


def test_a_name_that_two_columns_have(data):
    twice = pd.concat([data, data[["a"]]], axis=1)
    with pytest.raises(FormulaError, match="'a', and the data have two columns of it"):
        fixed_design("a + b", twice)
    assert fixed_design("b", twice)[0].names == ("Intercept", "b")
