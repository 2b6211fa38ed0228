"""Events between two times: the likelihood against quadrature of the density, its derivatives."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.interpolate import BSpline

from longsurv.design import survival_design
from longsurv.design.hazard import hazard_design
from longsurv.likelihood import hazard as hz
from longsurv.likelihood.hazard.between import chances, rates
from longsurv.likelihood.hazard.separation import separation

from .test_loglik import weighted_mean

KINDS = ("exponential", "weibull", "piecewise", "mspline")
KNOTS = {"piecewise": (2.0, 5.0), "mspline": (2.0, 5.0)}
BETWEEN = 'Surv(left, right, type="interval2") ~ x + z + offset(known)'


@pytest.fixture(scope="module")
def rows():
    """26 rows: events at a time, between two, by one, and none yet; weights and an offset."""
    rng = np.random.default_rng(3)
    n = 26
    left = rng.uniform(0.3, 6.0, n).round(2)
    right = left + rng.uniform(0.2, 3.0, n).round(2)
    kind = np.arange(n) % 4
    left = np.where(kind == 0, np.nan, left)
    right = np.where(kind == 1, left, np.where(kind == 2, np.inf, right))
    return pd.DataFrame({
        "x": rng.integers(0, 2, n).astype(float), "z": rng.normal(size=n).round(2), "left": left,
        "right": right, "w": rng.uniform(0.5, 2.0, n).round(1), "known": rng.normal(size=n),
    })  # fmt: skip


def designed(rows, kind):
    survival = survival_design(BETWEEN, rows, weights="w", between=True)
    return hazard_design(survival, kind, knots=KNOTS.get(kind))


def by_quadrature(rows, kind, theta):
    """The log-likelihood as the integral of the density of the event's time over its window."""
    base, b, g = designed(rows, kind).baseline, theta[:2], theta[2:]
    centre, middle = weighted_mean(rows), rows["known"].median()
    last = max(rows["left"].max(), rows["right"].where(np.isfinite(rows["right"])).max())
    full = np.r_[[0.0] * 4, KNOTS["mspline"], [last] * 4]
    elements = [BSpline.basis_element(full[k : k + 5], extrapolate=False) for k in range(6)]
    widths = (full[4:] - full[:-4]) / 4

    def baseline(t):
        if kind == "weibull":
            k = np.exp(g[1])
            return np.exp(g[0]) * k / base.unit * (t / base.unit) ** (k - 1)
        if kind == "mspline":
            return float(np.exp(g) @ (np.nan_to_num([e(t) for e in elements]) / widths))
        return np.exp(g[np.searchsorted(base.knots, t)])

    def integral(f, a, c, **how):
        cuts = [a, *(k for k in (2.0, 5.0) if a < k < c), c]
        return sum(quad(f, u, v, **how)[0] for u, v in pairwise(cuts))

    total = 0.0
    for row in rows.itertuples():
        rise = np.exp(b @ [row.x - centre["x"], row.z - centre["z"]] + row.known - middle)

        def survival(t, rise=rise):
            return np.exp(-rise * integral(baseline, 0.0, t, epsabs=1e-11, epsrel=1e-11))

        def density(t, rise=rise, survival=survival):
            return rise * baseline(min(t, last * (1 - 1e-13))) * survival(t)

        left = 0.0 if np.isnan(row.left) else row.left
        if left == row.right:
            chance = density(left)
        elif np.isinf(row.right):
            chance = survival(left)
        else:
            chance = integral(density, left, row.right, epsabs=1e-10, epsrel=1e-10)
        total += row.w * np.log(chance)
    return total


@pytest.mark.parametrize("kind", KINDS)
def test_value_is_that_of_quadrature(rows, kind):
    some = rows.iloc[:8]
    design = designed(some, kind)
    theta = np.random.default_rng(1).normal(size=2 + design.baseline.size) * 0.4
    value = by_quadrature(some, kind, theta)
    assert hz.kernel(design.data, theta)[0] == pytest.approx(value, rel=1e-7)
    units = hz.logliks(design.data, np.stack([theta, theta]))
    assert units.shape == (2, len(some))
    assert units[0].sum() == pytest.approx(value, rel=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_and_information_at_four_points(rows, kind, numeric_gradient):
    design, rng = designed(rows, kind), np.random.default_rng(2)
    s = 0.8 if kind == "mspline" else 0.0
    for _ in range(4):
        theta = rng.normal(size=2 + design.baseline.size) * 0.5
        slope = numeric_gradient(lambda v: hz.kernel(design.data, v)[0], theta)
        np.testing.assert_allclose(hz.kernel(design.data, theta)[1], slope, rtol=1e-6, atol=1e-6)
        total = hz.scores(design.data, theta).sum(axis=0)
        np.testing.assert_allclose(total, slope, rtol=1e-6, atol=1e-6)
        _, gradient, information = hz.value_gradient_information(design.data, theta, s)

        def at(v, part):
            return hz.value_gradient_information(design.data, v, s)[part]

        expected = numeric_gradient(lambda v: at(v, 0), theta)
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-6)
        for j in range(len(theta)):
            row = numeric_gradient(lambda v, j=j: at(v, 1)[j], theta)
            np.testing.assert_allclose(-information[j], row, rtol=1e-5, atol=1e-5)


def test_gradient_of_a_smoothed_spline(rows, numeric_gradient):
    data, rng = designed(rows, "mspline").data, np.random.default_rng(4)
    for s in (None, 0.0, 0.8):
        theta = rng.normal(size=9 if s is None else 8) * 0.6
        slope = numeric_gradient(lambda v, s=s: hz.value_and_gradient(data, v, s)[0], theta)
        found = hz.value_and_gradient(data, theta, s)[1]
        np.testing.assert_allclose(found, slope, rtol=1e-6, atol=1e-6)


def test_a_chance_is_one_however_long_and_none_at_once():
    D = np.array([0.0, 1e-300, 1e-12, 0.5, 40.0, 1e4])
    with np.errstate(all="raise"):
        found = chances(D)
    assert found[0] == -np.inf and found[-1] == 0.0
    expected = [np.log(1e-300), np.log(1e-12), np.log(-np.expm1(-0.5)), -np.exp(-40.0)]
    np.testing.assert_allclose(found[1:5], expected, rtol=1e-9)
    np.testing.assert_allclose(rates(D)[2:], [1e12, 1 / np.expm1(0.5), np.exp(-40.0), 0.0],
                               rtol=1e-9, atol=1e-300)  # fmt: skip


def test_separated_as_the_likelihood_is(rows):
    """Of a group whose events all happened by one time the log hazard may rise for ever."""
    early = rows["x"] == 1
    by = rows.assign(
        left=rows["left"].mask(early), right=rows["right"].mask(early, 4.0), known=0.0
    )  # fmt: skip
    data = designed(by, "exponential").data
    direction = separation(data)
    np.testing.assert_allclose(direction, [1.0, 0.0])
    along = [hz.kernel(data, np.array([b, 0.0, -1.0 + 0.5 * b]))[0] for b in (1.0, 3.0, 6.0)]
    assert np.isfinite(along).all()
    assert separation(designed(rows, "exponential").data) is None
    late = rows.assign(right=rows["right"].mask(early, np.inf), left=rows["left"].fillna(1.0))
    np.testing.assert_allclose(separation(designed(late, "exponential").data), [-1.0, 0.0])
