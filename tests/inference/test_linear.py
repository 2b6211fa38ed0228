"""Exact draws of a linear model against quadrature and Student's t."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from longsurv.inference.linear import sample_linear


def data(n: int = 12, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.normal(size=n)])
    return X, X @ [1.0, 2.0] + 0.7 * rng.normal(size=n)


def test_against_a_grid_over_all_three_parameters() -> None:
    X, y = data()
    mean, sd = np.array([0.5, 1.0]), np.array([1.0, 0.3])
    beta, sigma = sample_linear(X, y, mean, sd, lambda s: -s / 0.5, draws=40_000, seed=1)
    a, b, s = np.meshgrid(
        np.linspace(-1, 3, 121), np.linspace(0.3, 3, 121), np.linspace(0.2, 2.5, 121), indexing="ij"
    )
    log = -s / 0.5 + stats.norm.logpdf(a, 0.5, 1.0) + stats.norm.logpdf(b, 1.0, 0.3)
    for x, value in zip(X, y, strict=True):
        log += stats.norm.logpdf(value, a * x[0] + b * x[1], s)
    w = np.exp(log - log.max())
    w /= w.sum()
    for drawn, grid in ((beta[:, 0], a), (beta[:, 1], b), (sigma, s)):
        centre = float((w * grid).sum())
        spread = float(np.sqrt((w * (grid - centre) ** 2).sum()))
        assert drawn.mean() == pytest.approx(centre, abs=5 * spread / np.sqrt(40_000))
        assert drawn.std() == pytest.approx(spread, rel=0.02)


def test_flat_priors_give_student_s_t() -> None:
    """With 1 / sigma as the prior the slope is least squares plus its standard error times t."""
    X, y = data()
    flat = np.full(2, 1e6)
    beta, _ = sample_linear(X, y, np.zeros(2), flat, lambda s: -np.log(s), draws=20_000, seed=3)
    hat, rss, *_ = np.linalg.lstsq(X, y, rcond=None)
    se = np.sqrt(rss[0] / 10 * np.linalg.inv(X.T @ X)[1, 1])
    assert stats.kstest((beta[:, 1] - hat[1]) / se, stats.t(10).cdf).pvalue > 0.001


def test_a_strong_prior_wins() -> None:
    X, y = data()
    beta, sigma = sample_linear(
        X, y, np.array([5.0, -3.0]), np.full(2, 1e-4), lambda s: -s, draws=500, seed=4
    )
    assert np.abs(beta - [5.0, -3.0]).max() < 1e-3
    assert sigma.mean() > 3  # all that is left is noise
