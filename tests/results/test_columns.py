"""Limits of mixtures of normal distributions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from longsurv.results.columns import mixture_columns


def test_a_mixture_of_normals_against_its_distribution_function():
    rng = np.random.default_rng(3)
    mean, variance = rng.normal(5.0, 2.0, (40, 3)), rng.gamma(2.0, 1.0, (40, 3))
    variance[:, 1] *= 1e-12  # all but a step function
    got = mixture_columns(mean, variance, 0.93)
    drawn = rng.standard_normal((400_000, 40)) * np.sqrt(variance[:, 0]) + mean[:, 0]
    assert got["estimate"] == pytest.approx(mean.mean(axis=0))
    assert got["std_error"][0] == pytest.approx(drawn.std(), rel=2e-3)
    for k in range(3):
        for name, share in (("conf_low", 0.035), ("conf_high", 0.965)):

            def gap(x, k=k, share=share):
                return norm.cdf(x, mean[:, k], np.sqrt(variance[:, k])).mean() - share

            assert got[name][k] == pytest.approx(brentq(gap, -50.0, 50.0), abs=1e-6)


def test_one_normal_distribution_and_one_value():
    got = mixture_columns(np.array([[2.0, 7.0]]), np.array([[9.0, 0.0]]), 0.95)
    width = norm.ppf(0.975) * 3.0
    assert got["conf_low"] == pytest.approx([2.0 - width, 7.0])
    assert got["conf_high"] == pytest.approx([2.0 + width, 7.0])
