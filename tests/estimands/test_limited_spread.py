"""The standard deviation of values of which some are known by limits only."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from longsurv.estimands.limited_spread import limited_sd


def drawn(n, low, high):
    y = np.random.default_rng(n).normal(size=n)
    return np.clip(y, low, high), np.where(y < low, "left", np.where(y > high, "right", "none"))


@pytest.mark.parametrize(
    ("n", "low", "high"), [(30, -0.5, 9.0), (200, 0.8, 1.5), (12, 0.3, 9.0), (60, -9.0, -0.2)]
)
def test_it_is_of_largest_likelihood(n, low, high):
    y, censored = drawn(n, low, high)

    def negative(at):
        m, s = at[0], np.exp(at[1])
        total = stats.norm.logpdf(y[censored == "none"], m, s).sum()
        total += stats.norm.logcdf(y[censored == "left"], m, s).sum()
        return -total - stats.norm.logsf(y[censored == "right"], m, s).sum()

    best = optimize.minimize(
        negative, [0.0, 0.0], method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 5000},
    )  # fmt: skip
    sd = np.exp(best.x[1]) * np.sqrt(n / (n - 1))
    assert limited_sd(y, censored) == pytest.approx(sd, rel=1e-6)


def test_units_origin_and_sides_do_not_matter():
    y, censored = drawn(40, -0.3, 1.0)
    sd = limited_sd(y, censored)
    for scale, shift in ((1e-9, 0.0), (1e6, -3e9), (-2.0, 7.0)):
        other = censored
        if scale < 0:
            swap = {"left": "right", "right": "left", "none": "none"}
            other = np.array([swap[c] for c in censored])
        assert limited_sd(scale * y + shift, other) == pytest.approx(abs(scale) * sd, rel=1e-5)


def test_without_limits_it_is_that_of_the_values():
    y = np.array([1.0, 2.0, 4.5, 3.0])
    assert limited_sd(y, np.full(4, "none")) == pytest.approx(y.std(ddof=1), rel=1e-9)


def test_one_value_measured_does_not_determine_it():
    assert np.isnan(limited_sd(np.array([1.0, 1.0, 2.0]), np.array(["left", "left", "none"])))
    assert np.isnan(limited_sd(np.array([1.0, 1.0]), np.array(["left", "left"])))
