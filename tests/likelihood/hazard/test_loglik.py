"""The hazard kernels against quadrature of the hazard itself, and their derivatives."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.interpolate import BSpline

from longsurv.design import survival_design
from longsurv.design.hazard import hazard_design
from longsurv.likelihood.hazard import loglik as hz
from longsurv.likelihood.hazard.separation import separation

KINDS = ("exponential", "weibull", "piecewise", "mspline")
KNOTS = {"piecewise": (2.0, 5.0), "mspline": (2.0, 5.0)}
SMOOTHING = 0.8


@pytest.fixture(scope="module")
def rows():
    """25 rows with entry times (some 0), weights and an offset."""
    rng = np.random.default_rng(3)
    n = 25
    exit_ = rng.uniform(0.5, 9.0, n).round(2)
    return pd.DataFrame(
        {
            "x": rng.integers(0, 2, n).astype(float),
            "z": rng.normal(size=n).round(2),
            "entry": np.where(np.arange(n) % 3 == 0, 0.0, (0.4 * exit_).round(2)),
            "exit": exit_,
            "event": rng.integers(0, 2, n),
            "w": rng.uniform(0.5, 2.0, n).round(1),
            "known": rng.normal(size=n).round(2),
        }
    )


def designed(rows, kind, varying=()):
    formula = "Surv(entry, exit, event) ~ x + z + offset(known)"
    survival = survival_design(formula, rows, weights="w")
    return hazard_design(survival, kind, knots=KNOTS.get(kind), time_varying=varying)


def weighted_mean(rows):
    """Of the covariates, over the patients that rows count for."""
    return rows[["x", "z"]].mul(rows["w"], axis=0).sum() / rows["w"].sum()


def by_quadrature(rows, kind, varying, theta):
    """The log-likelihood from the model's definition, each cumulative hazard integrated."""
    base = designed(rows, kind, varying).baseline
    centre, middle = weighted_mean(rows), rows["known"].median()
    usual = np.average(rows["x"], weights=rows["w"] * (rows["exit"] - rows["entry"]))
    p = 2 + len(varying)
    b, g = theta[:p], theta[p:]
    full = np.r_[[0.0] * 4, KNOTS["mspline"], [rows["exit"].max()] * 4]
    elements = [BSpline.basis_element(full[k : k + 5], extrapolate=False) for k in range(6)]
    widths = (full[4:] - full[:-4]) / 4

    def baseline(t):
        if kind == "weibull":
            k = np.exp(g[1])
            return np.exp(g[0]) * k / base.unit * (t / base.unit) ** (k - 1)
        if kind == "mspline":
            M = np.nan_to_num([e(t) for e in elements]) / widths
            return float(np.exp(g) @ M)
        return np.exp(g[np.searchsorted(base.knots, t)])

    total = 0.0
    for row in rows.itertuples():
        eta = b[0] * (row.x - centre["x"]) + b[1] * (row.z - centre["z"]) + row.known - middle
        trend = b[2] * (row.x - usual) if varying else 0.0

        def hazard(t, eta=eta, trend=trend):
            return baseline(t) * np.exp(eta) * (t / base.unit) ** trend

        cuts = [row.entry, *(k for k in (2.0, 5.0) if row.entry < k < row.exit), row.exit]
        H = sum(
            quad(hazard, a, c, epsabs=1e-12, epsrel=1e-12, limit=200)[0] for a, c in pairwise(cuts)
        )
        at = row.exit * (1 - 1e-13)  # the last spline ends at the last exit
        total += row.w * (row.event * np.log(hazard(at)) - H)
    return total


def random_theta(design, rng):
    return rng.normal(size=len(design.names) + design.baseline.size) * 0.5


@pytest.mark.parametrize("varying", [(), ("x",)])
@pytest.mark.parametrize("kind", KINDS)
def test_value_is_that_of_quadrature(rows, kind, varying):
    design = designed(rows, kind, varying)
    theta = random_theta(design, np.random.default_rng(1))
    value = by_quadrature(rows, kind, varying, theta)
    assert hz.kernel(design.data, theta)[0] == pytest.approx(value, rel=1e-8)
    assert hz.logliks(design.data, theta[None, :]).sum() == pytest.approx(value, rel=1e-8)
    if kind != "mspline":
        found = hz.value_gradient_information(design.data, theta)[0]
        assert found == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize("varying", [(), ("x",)])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_at_ten_points(rows, kind, varying, numeric_gradient):
    design = designed(rows, kind, varying)
    rng = np.random.default_rng(2)
    for _ in range(10):
        theta = random_theta(design, rng)
        slope = numeric_gradient(lambda v: hz.kernel(design.data, v)[0], theta)
        np.testing.assert_allclose(hz.kernel(design.data, theta)[1], slope, rtol=1e-7, atol=1e-7)
        total = hz.scores(design.data, theta).sum(axis=0)
        np.testing.assert_allclose(total, slope, rtol=1e-7, atol=1e-7)


def test_gradient_of_a_smoothed_spline(rows, numeric_gradient):
    data, rng = designed(rows, "mspline").data, np.random.default_rng(4)
    for _ in range(10):
        theta = rng.normal(size=9) * 0.7
        for s in (None, 0.0, SMOOTHING):
            at = theta if s is None else theta[:-1]
            slope = numeric_gradient(lambda v, s=s: hz.value_and_gradient(data, v, s)[0], at)
            found = hz.value_and_gradient(data, at, s)
            np.testing.assert_allclose(found[1], slope, rtol=1e-7, atol=1e-7)
            natural = hz.natural(data, at[None, :], s)[0]
            assert found[0] == pytest.approx(hz.kernel(data, natural)[0], rel=1e-12)


@pytest.mark.parametrize("firth", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_objective_of_maximum_likelihood(rows, kind, firth, numeric_gradient):
    design = designed(rows, kind)
    rng = np.random.default_rng(5)

    def objective(theta):
        return hz.value_gradient_information(design.data, theta, SMOOTHING, firth)

    for _ in range(10):
        theta = random_theta(design, rng)
        value, gradient, information = objective(theta)
        slope = numeric_gradient(lambda v: objective(v)[0], theta)
        np.testing.assert_allclose(gradient, slope, rtol=1e-6, atol=1e-6)
        for j in range(len(theta)):
            plain = numeric_gradient(
                lambda v, j=j: hz.value_gradient_information(design.data, v, SMOOTHING)[1][j], theta
            )
            np.testing.assert_allclose(-information[j], plain, rtol=1e-6, atol=1e-6)
        if kind == "mspline":
            value += 0.5 * theta[3:] @ theta[3:]
        if firth:
            value -= hz._firth(design.data, hz.natural(design.data, theta[None, :], SMOOTHING)[0])[
                0
            ]
        assert value == pytest.approx(hz.value_and_gradient(design.data, theta, SMOOTHING)[0])


def test_firth_s_penalty_is_that_of_poisson_counts(rows):
    """With a constant hazard: half log det of X' diag(expected events) X."""
    design = designed(rows, "exponential")
    theta = np.array([0.3, -0.2, -1.5])
    X = np.column_stack([rows[["x", "z"]] - weighted_mean(rows), np.ones(len(rows))])
    mu = np.exp(X @ theta + rows["known"] - rows["known"].median())
    mu *= rows["w"] * (rows["exit"] - rows["entry"])
    expected = 0.5 * np.linalg.slogdet(X.T @ (X * mu.to_numpy()[:, None]))[1]
    assert hz._firth(design.data, theta)[0] == pytest.approx(expected, rel=1e-10)


def test_the_walk_keeps_its_variance(rows):
    """Turned to other axes, a random walk is the same random walk."""
    walk = designed(rows, "mspline").data.walk
    steps = np.minimum.outer(np.arange(6), np.arange(6)) / 5
    np.testing.assert_allclose(walk @ walk.T, steps, atol=1e-12)


def test_level_is_the_mean_cumulative_hazard(rows):
    design = designed(rows, "mspline")
    theta = np.random.default_rng(6).normal(size=8)
    c = np.exp(hz.natural(design.data, theta[None, :], SMOOTHING)[0, 2:])
    spent = design.baseline.cumulative(rows["exit"]) - design.baseline.cumulative(rows["entry"])
    assert np.average(spent @ c, weights=rows["w"]) == pytest.approx(np.exp(theta[2]))


class TestSeparation:
    def test_none(self, rows):
        for kind in KINDS:
            assert separation(designed(rows, kind).data) is None

    @pytest.mark.parametrize("varying", [(), ("x",)])
    def test_a_group_without_events(self, rows, varying):
        alive = rows.assign(event=np.where(rows["x"] == 1, 0, rows["event"]))
        direction = separation(designed(alive, "weibull", varying).data)
        assert direction is not None and direction[0] < 0

    def test_a_group_where_all_have_the_event(self, rows):
        """Nobody without an event in one group: that is no separation for a rate."""
        dead = rows.assign(event=np.where(rows["x"] == 1, 1, rows["event"]))
        assert separation(designed(dead, "exponential").data) is None

    def test_a_combination(self):
        """All events on the line x + z = 1, everybody else below it."""
        data = pd.DataFrame(
            {"x": [0, 1, 0.5, 0, 0.2, 0.3], "z": [1, 0, 0.5, 0, 0.1, 0.4], "t": 1.0 + np.arange(6)}
        ).assign(d=[1, 1, 1, 0, 0, 0])
        survival = survival_design("Surv(t, d) ~ x + z", data)
        direction = separation(hazard_design(survival, "exponential").data)
        np.testing.assert_allclose(direction, [1.0, 1.0], atol=1e-6)
