"""Coordinates in which the hierarchy of a panel is close to a normal distribution.

With an estimate a_k of the effect and its standard error s_k, the effect given its family's mean
and spread is close to

    d_k = mu + h (a_k - mu) + s_k sqrt(h) u_k,   h = spread^2 / (spread^2 + s_k^2),   u_k ~ N(0, 1)

and the marker's other coefficients follow d_k along their regression on it. In u_k and in what
those regressions leave over, neither a spread near zero nor a large one bends the posterior.
Density and draws are changed consistently: nothing but the speed depends on the a_k, s_k and the
regressions.

Papaspiliopoulos, Roberts & Skold (2007), Stat Sci 22:59-73, on partial non-centring.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit

from longsurv.likelihood.panel.loglik import Layout, ValueAndGradient


@dataclass(frozen=True, eq=False)
class Recentred:
    """Coordinates x of a joint vector theta, of the same length.

    Means and log spreads of the families, which theta begins with, are the same in both; u_k stands
    in the place of the coefficient that is solved for from the effect, the pivot.

    Attributes
    ----------
    arrays : tuple of ndarray
        What the compiled maps take: the coefficients' places, where those of each effect begin,
        which is its pivot, their weights in it and regressions on it; then `Layout.families`, and
        estimate and standard error of each effect.
    theta : ndarray, shape (d,)
        Where to begin.
    """

    arrays: tuple[np.ndarray, ...]
    theta: np.ndarray

    @classmethod
    def of(cls, layout: Layout) -> Self:
        """Those of a panel.

        Parameters
        ----------
        layout : Layout
        """
        members = layout.members
        starts = np.cumsum([0, *(len(m.weights) for m in members)])
        variance = [m.weights @ m.cov @ m.weights for m in members]
        return cls(
            (
                layout.coefficients,
                starts,
                starts[:-1] + [m.pivot for m in members],
                np.concatenate([m.weights for m in members]),
                np.concatenate([
                    m.cov @ m.weights / v for m, v in zip(members, variance, strict=True)
                ]),
                *layout.families,
                np.array([m.effect for m in members]),
                np.sqrt(variance),
            ),
            layout.start(),
        )  # fmt: skip

    @classmethod
    def of_effects(
        cls, places: np.ndarray, error: np.ndarray, theta: np.ndarray,
        families: tuple[np.ndarray, ...],
    ) -> Self:  # fmt: skip
        """Those of effects that are coefficients.

        Parameters
        ----------
        places : ndarray of int, shape (K,)
            Of the effects in theta.
        error : ndarray, shape (K,)
            Their standard errors.
        theta : ndarray, shape (d,)
            Means, log spreads and coefficients, the effects near their estimates.
        families : tuple of ndarray
            As of `Layout.families`.
        """
        K, one = np.arange(len(places) + 1), np.ones(len(places))
        return cls((places, K, K[:-1], one, one, *families, theta[places], error), theta)

    def start(self) -> np.ndarray:
        """The coordinates of theta's start, but for the effects, which are at u = 0."""
        x = self.theta.copy()
        coefficients, _, pivots, *_ = self.arrays
        x[coefficients[pivots]] = 0.0
        return x

    def outward(self, x: np.ndarray) -> np.ndarray:
        """theta at each of the vectors x, shape (..., d)."""
        rows = [_outward(row, *self.arrays)[0] for row in x.reshape(-1, x.shape[-1])]
        return np.array(rows).reshape(x.shape)

    def log_jacobian(self, x: np.ndarray) -> np.ndarray:
        """Log of |d theta / d x| up to a constant, shape (...), at vectors x of shape (..., d)."""
        values = [_outward(row, *self.arrays)[1] for row in x.reshape(-1, x.shape[-1])]
        return np.array(values).reshape(x.shape[:-1])

    def density(self, density: ValueAndGradient) -> ValueAndGradient:
        """The log density of x, the Jacobian included, from that of theta."""
        arrays = self.arrays

        def recentred(x: np.ndarray) -> tuple[float, np.ndarray]:
            theta, log_jacobian = _outward(x, *arrays)
            value, gradient = density(theta)
            return value + log_jacobian, _pulled_back(x, gradient, *arrays)

        return recentred


@njit(cache=True, nogil=True, error_model="numpy")
def _outward(
    x, coefficients, starts, pivots, weights, regression, shares, means, spreads, estimate, error
):
    """theta at x, and log |d theta / d x| up to a constant."""
    theta = x.copy()
    log_jacobian = 0.0
    for k in range(shares.shape[0]):
        mu, log_spread = 0.0, x[spreads[k]]
        for f in range(means.shape[0]):
            mu += shares[k, f] * x[means[f]]
        spread = math.exp(log_spread)
        total = math.hypot(spread, error[k])
        h = (spread / total) ** 2
        scale = error[k] * spread / total
        pivot = coefficients[pivots[k]]
        effect = mu + h * (estimate[k] - mu) + scale * x[pivot]
        rest = effect
        for i in range(starts[k], starts[k + 1]):
            if i != pivots[k]:
                theta[coefficients[i]] += regression[i] * (effect - estimate[k])
                rest -= weights[i] * theta[coefficients[i]]
        theta[pivot] = rest / weights[pivots[k]]
        log_jacobian += log_spread - math.log(total)
    return theta, log_jacobian


@njit(cache=True, nogil=True, error_model="numpy")
def _pulled_back(
    x, slope, coefficients, starts, pivots, weights, regression, shares, means, spreads, estimate,
    error,
):  # fmt: skip
    """Gradient of the log density of x, given that of theta."""
    gradient = slope.copy()
    for k in range(shares.shape[0]):
        log_spread, mu = spreads[k], 0.0
        for f in range(means.shape[0]):
            mu += shares[k, f] * x[means[f]]
        spread = math.exp(x[log_spread])
        total = math.hypot(spread, error[k])
        h = (spread / total) ** 2
        scale = error[k] * spread / total
        pivot = coefficients[pivots[k]]
        by_effect = slope[pivot] / weights[pivots[k]]
        through_pivot = by_effect
        for i in range(starts[k], starts[k + 1]):
            if i != pivots[k]:
                j = coefficients[i]
                gradient[j] = slope[j] - through_pivot * weights[i]
                by_effect += regression[i] * gradient[j]
        gradient[pivot] = by_effect * scale
        for f in range(means.shape[0]):
            gradient[means[f]] += shares[k, f] * (by_effect * (1.0 - h))
        bend = 2.0 * h * (estimate[k] - mu) + scale * x[pivot]
        gradient[log_spread] += (1.0 - h) * (by_effect * bend + 1.0)
    return gradient
