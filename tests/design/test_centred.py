"""A design in variables centred before their products are formed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.design.centred import centred, unit_weights
from longsurv.design.fixed import fixed_design

CLOSED = [
    "t * g", "t + I(t**2)", "(t + I(t**2)) * a", "t * g * a", "bs(t, 3) * a", "poly(t, 2) * a",
    "C(a) * g", "t + I(t**2) + log(x):g", "t + log(x) * a",
]  # fmt: skip


@pytest.fixture
def data() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "id": np.repeat(np.arange(15), 4),
            "t": rng.normal(size=60),
            "g": np.resize(list("aabbcc"), 60),
            "a": np.resize([0.0, 1.0, 0.0, 1.0, 1.0], 60),
            "x": rng.random(60) + 1.0,
        }
    )


def design_of(right: str, data: pd.DataFrame, intercept: bool):
    design, _ = fixed_design(right, data, intercept=intercept)
    weights = unit_weights(data["id"].to_numpy())
    return design, centred(design, data, weights, intercept=intercept)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("right", [*CLOSED, "t:g", "g:a", "0 + t", "0 + g + t:a", "I(t**2)"])
def test_the_map_is_exact(data, right, intercept):
    for frame in (data, data.assign(t=data["t"] + 2015.0, a=data["a"] + 10.0)):
        design, found = design_of(right, frame, intercept)
        left = design.X - found.X @ found.to
        left -= 0.0 if intercept else left.mean(axis=0)
        assert np.abs(left).max() <= 1e-12 * np.abs(design.X).max()


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("right", CLOSED)
def test_neither_the_origin_nor_the_coding_changes_the_centred_columns(data, right, intercept):
    moved = data.assign(t=data["t"] + 2015.0, a=data["a"] + 10.0)
    _, old = design_of(right, data, intercept)
    _, new = design_of(right, moved, intercept)
    np.testing.assert_allclose(new.X, old.X, atol=1e-9)
    np.testing.assert_allclose(new.unit, old.unit, rtol=1e-9)
    np.testing.assert_allclose(new.sd, old.sd, rtol=1e-9)


def test_other_units_scale_the_columns(data):
    _, old = design_of("(t + I(t**2)) * a", data, True)
    _, new = design_of("(t + I(t**2)) * a", data.assign(t=data["t"] * 12, a=2 * data["a"]), True)
    scale = np.array([1.0, 12.0, 144.0, 2.0, 24.0, 288.0])
    np.testing.assert_allclose(new.X, old.X * scale, atol=1e-10)
    np.testing.assert_allclose(new.unit, old.unit * scale)


def test_a_coefficient_is_the_effect_where_the_others_are_at_their_means(data):
    design, found = design_of("t * a", data, True)
    w = unit_weights(data["id"].to_numpy())
    beta = np.array([1.0, 2.0, 3.0, 4.0])
    mean_t, mean_a = np.average(data[["t", "a"]], axis=0, weights=w)
    gamma = dict(zip(design.names, found.to @ beta, strict=True))
    assert gamma["t"] == pytest.approx(2.0 + 4.0 * mean_a)
    assert gamma["a"] == pytest.approx(3.0 + 4.0 * mean_t)
    assert gamma["t:a"] == pytest.approx(4.0)


def test_the_order_of_the_terms_does_not_matter(data):
    one, first = design_of("t * a + g", data, True)
    two, second = design_of("g + a + t + t:a", data, True)
    order = [two.names.index(name) for name in one.names]
    np.testing.assert_allclose(second.X[:, order], first.X, atol=1e-14)
    np.testing.assert_allclose(second.to[np.ix_(order, order)], first.to, atol=1e-12)


def test_two_values_count_their_distance_as_a_unit(data):
    _, found = design_of("a * t", data.assign(a=7.0 * data["a"]), False)
    sd = np.sqrt(np.average((data["t"] - np.average(data["t"])) ** 2))
    np.testing.assert_allclose(found.unit, [7.0, sd, 7.0 * sd], rtol=1e-12)
