"""Columns that others determine: the same ones in every unit, from every origin."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.design.fixed import fixed_design
from longsurv.design.rank import independent_columns


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    n = 200
    frame = pd.DataFrame({"age": rng.normal(60, 10, n), "year": rng.uniform(0, 6, n)})
    frame["twin"] = frame["age"] + 1e-7 * rng.normal(size=n)
    frame["arm"] = np.resize([0.0, 1.0, 1.0], n)
    return frame


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("origin", [0.0, 2020.0, -1e6])
@pytest.mark.parametrize("unit", [1.0, 1e-6, 365.25])
def test_two_columns_that_differ_by_noise(data, intercept, origin, unit):
    moved = data.assign(**{v: unit * (data[v] + origin) for v in ("age", "twin")})
    for right in ("age + twin", "twin + age + arm", "arm * age + twin"):
        design, _ = fixed_design(right, moved, intercept=intercept)
        last = "age" if right.startswith("twin") else "twin"
        assert design.aliased == (last,)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("origin", [0.0, 100.0, 1990.0, 2020.0])
@pytest.mark.parametrize("unit", [1.0, 1e-3, 12.0])
@pytest.mark.parametrize(
    "right",
    ["year + I(year**2)", "year + I(year**2) + I(year**3)", "(year + I(year**2)) * arm",
     "poly(year, 3, raw=True)", "arm * year", "year + bs(year, df=5)"],
)  # fmt: skip
def test_powers_of_a_calendar_year_stay(data, intercept, origin, unit, right):
    expected = fixed_design(right, data, intercept=intercept)[0].aliased
    moved = data.assign(year=unit * (data["year"] + origin))
    assert fixed_design(right, moved, intercept=intercept)[0].aliased == expected
    assert expected == () or "bs" in right


def test_an_exact_combination_goes_wherever_its_origin(data):
    for origin in (0.0, 2020.0, 1e9):
        moved = data.assign(a=data["age"] + origin, b=data["year"] - origin)
        moved["c"] = moved["a"] + moved["b"]
        assert fixed_design("a + b + c", moved)[0].aliased == ("c",)
        assert fixed_design("a + b + c", moved, intercept=False)[0].aliased == ("c",)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(-9, 9), min_size=5, max_size=5),
    st.lists(st.sampled_from([0.0, 1.0, -300.0, 2020.0, 1e5]), min_size=5, max_size=5),
    st.booleans(),
)
def test_units_and_origins_change_nothing(seed, exponents, origins, beside):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(30, 3))
    X = np.column_stack([X, X @ rng.normal(size=3), X[:, 0] + 1e-10 * rng.normal(size=30)])
    X = X[:, rng.permutation(5)]
    ones = np.empty((30, 0)) if beside else np.ones((30, 1))
    moved = (X + np.array(origins)) * 10.0 ** np.array(exponents)
    before = independent_columns(np.hstack([ones, X]), beside)
    after = independent_columns(np.hstack([ones, moved]), beside)
    assert before.sum() == 3 + ones.shape[1]
    np.testing.assert_array_equal(after, before)
