"""Columns without units are the same model, and what its data determine is read off the design."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from longsurv.design.quadrature import normal_grid
from longsurv.likelihood import glmm
from longsurv.likelihood.glmm.coordinates import Coordinates, for_climbing, for_sampling
from longsurv.likelihood.glmm.existence import absorbed, separation, unseen_variances

COUNTED = ["poisson", "negative_binomial", "nbinom1"]
FAMILIES = ["bernoulli", "ordinal", "censored", "student", *COUNTED]


def simulated(family: str, *, visits: int = 4, shift: float = 0.0, **options) -> glmm.GLMMData:
    rng = np.random.default_rng(6)
    group, t = np.repeat(np.arange(12), visits), shift + np.tile(np.arange(visits), 12) * 3.0
    t += group if visits == 1 else 0
    X = np.column_stack([np.ones(len(t)), t, 50.0 + 9.0 * rng.normal(size=len(t))])
    y = 1000.0 + 0.2 * (t - shift) + rng.normal(size=12)[group] + rng.normal(size=len(t))
    extent = None
    if family == "censored":
        extent = np.where(y < 999.0, -np.inf, np.where(y > 1001.0, 0.7, 0.0))
    if family in ("bernoulli", "ordinal"):
        y = np.digitize(y, [1000.0] if family == "bernoulli" else [999.5, 1000.5]).astype(float)
    if family in COUNTED:
        y = np.floor(np.exp(0.5 * (y - 1000.0) + 1.0))
    grid = normal_grid(4, 2)
    return glmm.prepare(
        family, y, X[:, 1:] if family == "ordinal" else X, X[:, :2], group, 12, extent=extent,
        nodes=grid.nodes[grid.index], log_weights=grid.log_weight,
        offset=0.3 * np.sin(np.arange(len(t))), **options,
    )  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("blocks", [(2,), (1, 1)])
def test_the_likelihood_is_the_same(family, blocks):
    data = simulated(family, blocks=blocks)
    rng = np.random.default_rng(1)
    for make, density in ((for_climbing, glmm.loglik_factor), (for_sampling, glmm.loglik)):
        coordinates: Coordinates = make(data)
        x = 0.2 * rng.normal(size=len(coordinates.centre))
        if make is for_climbing:
            x[-len(data.entries[0]) :][data.entries[0] == data.entries[1]] = 0.6
            x[data.p + 1 if family == "student" else data.p] += 0.3
            if family in ("negative_binomial", "nbinom1"):
                x[data.p] = 0.4
        value, gradient = density(coordinates.data, x)
        other, slope = density(data, coordinates.outward(x))
        assert other == pytest.approx(value + coordinates.constant, abs=1e-7)
        np.testing.assert_allclose(
            coordinates.T.T @ slope, gradient, rtol=1e-6, atol=1e-6 * np.abs(gradient).max()
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_columns_have_no_origin_and_no_unit(family):
    here, there = (for_climbing(simulated(family, shift=shift)).data for shift in (0.0, 2015.0))
    np.testing.assert_allclose(there.X, here.X, atol=1e-9)
    np.testing.assert_allclose(there.y, here.y, atol=1e-9)
    # The model's own columns of Z are centred before; here they span the same space.
    np.testing.assert_allclose(there.Z @ there.Z.T, here.Z @ here.Z.T, atol=1e-8)
    n = len(here.y)
    np.testing.assert_allclose(here.X.T @ here.X, n * np.eye(here.p), atol=1e-9 * n)
    np.testing.assert_allclose(here.Z.T @ here.Z, n * np.eye(2), atol=1e-9 * n)


def dense_null(Z: np.ndarray, group: np.ndarray, family: str) -> int:
    """Dimension of what no covariance of two rows of a patient shows, by all pairs at once."""
    residual, alone = family in ("student", "nbinom1"), family != "bernoulli"
    rows = []
    for g in np.unique(group):
        z = Z[group == g]
        for j in range(len(z)):
            for k in range(j + (0 if alone else 1), len(z)):
                D = np.outer(z[j], z[k]) + np.outer(z[k], z[j])
                shown = [D[0, 0] / 2, D[0, 1], D[1, 1] / 2]
                rows.append([*shown, float(j == k)] if residual else shown)
    size = 4 if residual else 3
    return size - (np.linalg.matrix_rank(np.array(rows)) if rows else 0)


@pytest.mark.parametrize("family", ["bernoulli", "student", "poisson", "nbinom1"])
@pytest.mark.parametrize("visits", [1, 2, 3, 4])
@pytest.mark.parametrize("gaps", [False, True])
def test_variances_that_no_pair_of_rows_shows(family, visits, gaps):
    data = simulated(family, visits=visits)
    if gaps:
        own = 1.0 + 0.1 * np.repeat(np.arange(12), visits)
        data = replace(data, Z=np.column_stack([data.Z[:, 0], data.Z[:, 1] * own]))
    found = unseen_variances(data, for_climbing(data))
    group = np.repeat(np.arange(12), visits)
    expected = dense_null(data.Z, group, family)
    assert bool(found) == (expected > 0)
    # With a first visit at 0, each later pair shows D_00 + t D_01, and nothing D_11.
    if family == "bernoulli" and visits == 2:
        assert found.sd.tolist() == [not gaps, True]


def test_one_group_in_each_arm_is_absorbed_and_two_are_not():
    data = simulated("student")
    arms = (np.repeat(np.arange(12), 4)[:, None] == np.arange(12)).astype(float)
    each = replace(data, X=np.column_stack([arms, data.X[:, 1]]))
    found = absorbed(each, for_climbing(each))
    assert found.sd.tolist() == [True, False]
    moved = np.abs(found.coefficients).max(axis=1) > 1e-6
    assert moved.tolist() == [True] * 12 + [False]
    pairs = replace(data, X=np.column_stack([arms[:, :6] + arms[:, 6:], data.X[:, 1]]))
    assert not absorbed(pairs, for_climbing(pairs))


@pytest.mark.parametrize("held", [0.0, 0.5])
@pytest.mark.parametrize("shift", [0.0, 2015.0])
def test_a_recession_direction_of_a_censored_response_is_found(shift, held):
    data = simulated("censored", shift=shift)
    arm = (np.repeat(np.arange(12), 4) % 2).astype(float)
    data = replace(data, X=np.column_stack([data.X, arm, arm * data.X[:, 1]]))
    assert separation(data, for_climbing(data)) is None
    low = replace(data, extent=np.where(arm == 1.0, -np.inf, data.extent))
    direction = separation(low, for_climbing(low))
    assert (direction != 0.0).tolist() == [False, False, False, True, True]
    assert (low.X @ direction <= 1e-9 * np.abs(direction).max()).all()
    # One value measured, or between two limits, leaves the slope of its group free to fall.
    low.extent[np.flatnonzero((arm == 1.0) & (low.X[:, 1] == shift))[0]] = held
    assert (separation(low, for_climbing(low)) != 0.0).tolist()[3:] == [shift != 0.0, True]
