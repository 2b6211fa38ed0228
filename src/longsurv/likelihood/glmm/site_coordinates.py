"""Coordinates in which the effects of sites are close to independent of how much sites differ.

With a_j the effect of site j that its rows alone say and s_j the standard error of that, the effect
given the sites' standard deviation tau is close to

    b_j = h a_j + s_j sqrt(h) w_j,   h = tau^2 / (tau^2 + s_j^2),   w_j ~ N(0, 1)

In b_j / tau, which `loglik_with_effects` takes, sites of many rows bend the posterior; in b_j those
of few do; in w_j neither. The density is changed consistently: nothing but the speed depends on
the a_j and s_j.

Papaspiliopoulos, Roberts & Skold (2007), Stat Sci 22:59-73, on partial non-centring.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit

from longsurv.likelihood.glmm.data import GLMMData
from longsurv.likelihood.glmm.loglik import loglik_with_effects

STEP = 1e-4
LEAST = 1e-4
"""Least information on an effect, for coordinates: with less its rows say nothing of it."""


@dataclass(frozen=True, eq=False)
class SiteCoordinates:
    """Vectors of `loglik`'s parameters with the effects of sites after them, as (theta, w).

    Attributes
    ----------
    data : GLMMData
        With sites.
    at : int
        Place of the log standard deviation of the sites in theta.
    estimate, error : ndarray, shape (J,)
        a and s above.
    begin : ndarray, shape (d + J,)
        Where they were found, with every w at 0.
    """

    data: GLMMData
    at: int
    estimate: np.ndarray
    error: np.ndarray
    begin: np.ndarray

    @classmethod
    def near(cls, data: GLMMData, theta: np.ndarray, n_sites: int) -> Self:
        """Those fit for the neighbourhood of one vector.

        Parameters
        ----------
        data : GLMMData
        theta : ndarray, shape (d,)
            Near the estimate, the sites' standard deviation above 0.
        n_sites : int
        """
        from scipy.optimize import minimize

        at = data.p + data.n_family + data.q - 1

        def downhill(z: np.ndarray) -> tuple[float, np.ndarray]:
            value, _, by_effects = loglik_with_effects(data, theta, z)
            return -value, -by_effects

        none = np.zeros(n_sites)
        mode = minimize(downhill, none, jac=True, method="L-BFGS-B").x
        mode = mode if np.isfinite(mode).all() else none
        curvature = np.empty(n_sites)
        for j in range(n_sites):
            step = STEP * (np.arange(n_sites) == j)
            rise = downhill(mode + step)[1][j] - downhill(mode - step)[1][j]
            curvature[j] = rise / (2.0 * STEP)
        # Without the effect's own distribution, and where the density has no value, nothing.
        known = np.maximum(np.where(np.isfinite(curvature), curvature - 1.0, 0.0), LEAST)
        tau = math.exp(theta[at])
        estimate = tau * mode * (1.0 + known) / known
        return cls(data, at, estimate, tau / np.sqrt(known), np.concatenate([theta, none]))

    def effects(self, x: np.ndarray) -> np.ndarray:
        """z, in units of the sites' standard deviation, shape (..., J), at vectors (..., d + J)."""
        tau = np.exp(x[..., [self.at]])
        total = np.hypot(tau, self.error)
        w = x[..., x.shape[-1] - len(self.error) :]
        return np.asarray(tau / total**2 * self.estimate + self.error / total * w)

    def log_likelihood(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density of the data and of the effects w given theta, up to a constant, and its
        gradient, at x of shape (d + J,)."""
        d = len(x) - len(self.estimate)
        z, log_jacobian = _outward(x[self.at], x[d:], self.estimate, self.error)
        value, gradient, by_effects = loglik_with_effects(self.data, x[:d], z)
        by_w, by_log_tau = _pulled_back(x[self.at], x[d:], by_effects, self.estimate, self.error)
        gradient[self.at] += by_log_tau
        return value + log_jacobian, np.concatenate([gradient, by_w])


@njit(cache=True, nogil=True, error_model="numpy")
def _outward(log_tau, w, estimate, error):
    """z = b / tau of every site, and log |dz / dw| up to a constant."""
    tau, z, log_jacobian = math.exp(log_tau), np.empty(w.shape[0]), 0.0
    for j in range(w.shape[0]):
        total = math.hypot(tau, error[j])
        z[j] = tau / total**2 * estimate[j] + error[j] / total * w[j]
        log_jacobian -= math.log(total)
    return z, log_jacobian


@njit(cache=True, nogil=True, error_model="numpy")
def _pulled_back(log_tau, w, by_effects, estimate, error):
    """Gradient in w, and what the coordinates add to that in log tau."""
    tau, by_w, by_log_tau = math.exp(log_tau), np.empty(w.shape[0]), 0.0
    for j in range(w.shape[0]):
        total = math.hypot(tau, error[j])
        h = (tau / total) ** 2
        bend = tau / total**2 * (1.0 - 2.0 * h) * estimate[j] - error[j] / total * h * w[j]
        by_w[j] = by_effects[j] * error[j] / total
        by_log_tau += by_effects[j] * bend - h
    return by_w, by_log_tau
