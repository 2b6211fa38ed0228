"""Coordinates of sites' effects: one density in other coordinates, whatever they were made near."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp

from longsurv.likelihood import glmm
from longsurv.likelihood.glmm.site_coordinates import SiteCoordinates

from .test_sites import FAMILIES, data_of, point

SITES = 4


def integrated(coordinates: SiteCoordinates, theta: np.ndarray) -> float:
    """Log integral over the effects, which are independent given theta, by the trapezium rule."""
    w, step = np.linspace(-25.0, 25.0, 1001, retstep=True)
    at_zero = coordinates.log_likelihood(np.concatenate([theta, np.zeros(SITES)]))[0]
    total = at_zero
    for e in np.eye(SITES):
        own = [coordinates.log_likelihood(np.concatenate([theta, v * e]))[0] for v in w]
        total += logsumexp(np.array(own) - at_zero) + np.log(step)
    return float(total)


@pytest.mark.parametrize("family", ["bernoulli", "censored"])
@pytest.mark.parametrize("made_at", [0.05, 0.8, 4.0])
def test_the_effects_integrate_to_the_likelihood(family: str, made_at: float) -> None:
    data = data_of(family)
    coordinates = SiteCoordinates.near(data, point(data, made_at), SITES)
    at = [0.1, 0.7, 2.0]
    found = [integrated(coordinates, point(data, s)) for s in at]
    exact = [glmm.loglik(data, point(data, s))[0] for s in at]
    np.testing.assert_allclose(np.diff(found), np.diff(exact), rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient(family: str, numeric_gradient) -> None:
    data = data_of(family)
    coordinates = SiteCoordinates.near(data, point(data, 0.8), SITES)
    rng = np.random.default_rng(3)
    x = coordinates.begin + rng.normal(0, 0.3, len(coordinates.begin))
    numeric = numeric_gradient(lambda v: coordinates.log_likelihood(v)[0], x)
    np.testing.assert_allclose(coordinates.log_likelihood(x)[1], numeric, rtol=1e-6, atol=1e-6)


def test_they_hardly_depend_on_the_spread() -> None:
    """Where the rows say much, w stays while the spread moves, and the effect over it does not."""
    data = data_of("censored")
    begin = point(data, 0.8)
    coordinates = SiteCoordinates.near(data, begin, SITES)
    at = coordinates.at
    slopes = []
    for shift in (-0.3, 0.3):
        theta = begin.copy()
        theta[at] += shift
        slopes.append(coordinates.log_likelihood(np.concatenate([theta, np.zeros(SITES)]))[1][-4:])
        slopes.append(glmm.loglik_with_effects(data, theta, coordinates.estimate / 0.8)[2])
    moved, moved_standard = np.abs(slopes[2] - slopes[0]), np.abs(slopes[3] - slopes[1])
    assert moved.max() < 0.25 * moved_standard.max()
