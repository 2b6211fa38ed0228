"""Structures of the covariance of a patient's residuals.

The covariance of two residuals of one patient depends only on the kind of their pair: which two
visits they belong to, or how much time lies between them. A structure turns a few unconstrained
numbers psi into the value of every kind of pair, relative to sigma^2, and a gradient in those
values back into psi.

Pinheiro & Bates (2000), Mixed-Effects Models in S and S-PLUS, section 5.3; Jennrich & Schluchter
(1986), Biometrics 42:805-820.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from longsurv.likelihood.arithmetic.covariance import (
    correlation_cholesky,
    correlation_pullback,
    count_correlations,
)

COMPLEX_STEP = 1e-30


@dataclass(frozen=True, eq=False)
class Structure:
    """Values of all kinds of pairs as functions of the parameters.

    Attributes
    ----------
    kind : str
    heterogeneous : bool
    lag : ndarray, shape (K,)
        Visits or time between the two rows of each kind of pair.
    first, second : ndarray of int, shape (K,)
        Their visits.
    n_visits : int
    most : int
        Largest number of rows of a patient: compound symmetry allows correlations down to
        -1 / (most - 1).
    """

    kind: str
    heterogeneous: bool
    lag: np.ndarray
    first: np.ndarray
    second: np.ndarray
    n_visits: int
    most: int

    @property
    def n_ratios(self) -> int:
        """Number of free ratios of standard deviations to the first visit's."""
        return self.n_visits - 1 if self.heterogeneous else 0

    @property
    def n_correlations(self) -> int:
        """Number of parameters of the correlation."""
        if self.kind == "independent":
            return 0
        if self.kind == "toeplitz":
            return self.n_visits - 1
        return count_correlations(self.n_visits) if self.kind == "unstructured" else 1

    @property
    def size(self) -> int:
        """Number of unconstrained parameters: log ratios, then those of the correlation."""
        return self.n_ratios + self.n_correlations

    @cached_property
    def shortest(self) -> float:
        """The smallest lag above 0; psi of "exponential" is about the correlation across it."""
        return float(self.lag[self.lag > 0].min(initial=np.inf))

    @cached_property
    def start(self) -> np.ndarray:
        """Parameters of moderate correlation and equal variances."""
        psi = np.zeros(self.size)
        if self.kind in ("toeplitz", "ar1", "cs"):
            psi[self.n_ratios] = 0.5
        elif self.kind == "unstructured":
            psi[self.n_ratios :] = 0.3
        return psi

    @property
    def lower(self) -> np.ndarray:
        """Lower bounds: at that of "exponential" even the closest residuals are uncorrelated."""
        bound = np.full(self.size, -np.inf)
        if self.kind == "exponential":
            bound[self.n_ratios] = -18.0
        return bound

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the unconstrained parameters."""
        ratios = tuple(f"log_ratio[{k}]" for k in range(1, self.n_ratios + 1))
        return (*ratios, *(f"psi[{k}]" for k in range(self.n_correlations)))

    def natural(self, psi: np.ndarray) -> np.ndarray:
        """Correlation parameters on their natural scale, from the correlation's part of psi.

        rho (across the shortest lag for "exponential": per unit of time it may be beyond floating
        point), correlations by lag, or those of all pairs (i, j), j < i, row by row.
        """
        if self.kind == "cs":
            low = -1.0 / (self.most - 1) if self.most > 1 else -1.0
            return low + (1.0 - low) / (1.0 + np.exp(-2.0 * psi))
        if self.kind == "ar1":
            return np.tanh(psi)
        if self.kind == "exponential":
            return 1.0 / (1.0 + np.exp(-psi))
        if self.kind == "toeplitz":
            return autocorrelations(np.tanh(psi))
        if self.kind == "unstructured":
            K = correlation_cholesky(np.ascontiguousarray(psi), self.n_visits)
            return (K @ K.T)[np.tril_indices(self.n_visits, -1)]
        return psi

    def correlation(self, rho: np.ndarray) -> np.ndarray:
        """Correlation of each kind of pair, shape (K,), from the natural parameters."""
        if self.kind == "independent":
            return (self.lag == 0).astype(float)
        if self.kind == "cs":
            return np.where(self.lag == 0, 1.0, rho[0])
        if self.kind == "exponential":
            return rho[0] ** (self.lag / self.shortest)
        if self.kind == "ar1":
            return rho[0] ** self.lag
        if self.kind == "toeplitz":
            return np.concatenate([[1.0], rho])[self.lag.astype(np.int64)]
        C = np.ones((self.n_visits, self.n_visits), dtype=rho.dtype)
        below = np.tril_indices(self.n_visits, -1)
        C[below] = C.T[below] = rho
        return C[self.first, self.second]

    def values(self, psi: np.ndarray) -> np.ndarray:
        """Covariance over sigma^2 of each kind of pair, shape (K,)."""
        return self.correlation(self.natural(psi[self.n_ratios :])) * self._scales(psi)

    def _scales(self, psi: np.ndarray) -> np.ndarray | float:
        if not self.heterogeneous:
            return 1.0
        sd = np.exp(np.concatenate([[0.0], psi[: self.n_ratios]]))
        return sd[self.first] * sd[self.second]

    def pullback(self, psi: np.ndarray, adjoint: np.ndarray) -> np.ndarray:
        """Gradient in psi of a function with gradient `adjoint`, shape (K,), in the values."""
        phi = psi[self.n_ratios :]
        scales = self._scales(psi)
        out = np.empty(self.size)
        if self.n_ratios:
            moved = adjoint * self.correlation(self.natural(phi)) * scales
            by_visit = np.bincount(self.first, moved, self.n_visits)
            by_visit += np.bincount(self.second, moved, self.n_visits)
            out[: self.n_ratios] = by_visit[1:]
        adjoint = adjoint * scales
        if self.kind == "unstructured":
            m = self.n_visits
            K = correlation_cholesky(np.ascontiguousarray(phi), m)
            dC = adjoint.reshape(m, m)
            out[self.n_ratios :] = correlation_pullback(phi, m, np.tril((dC + dC.T) @ K))
        elif self.n_correlations:
            out[self.n_ratios :] = (
                complex_step(lambda x: self.correlation(self.natural(x)), phi) @ adjoint
            )
        return out

    # ---- natural parameters of the covariance, for reports and for Kenward-Roger ----

    def report(self, sigma: float, psi: np.ndarray) -> np.ndarray:
        """Standard deviations of the visits (or one for all), then the correlation parameters,
        that of "exponential" per unit of time."""
        return self.shown(self.covariance_parameters(sigma, psi))

    @property
    def linear(self) -> bool:
        """Whether the covariance is linear in the parameters of `covariance_parameters`."""
        if self.heterogeneous:
            return self.kind in ("independent", "unstructured")
        return self.kind in ("independent", "cs", "toeplitz")

    def covariance_parameters(self, sigma: float, psi: np.ndarray) -> np.ndarray:
        """Parameters eta of the residual covariance as SAS takes them.

        Variances and covariances where the covariance is linear in those; otherwise variances and
        natural correlation parameters, that of "exponential" across the shortest lag, so that no
        unit of time is in it.
        """
        sd = sigma * np.exp(np.concatenate([[0.0], psi[: self.n_ratios]]))
        rho = self.natural(psi[self.n_ratios :])
        if self.linear and self.kind == "unstructured":
            i, j = np.tril_indices(self.n_visits, -1)
            rho = rho * sd[i] * sd[j]
        elif self.linear:
            rho = rho * sigma**2
        return np.concatenate([sd**2, rho])

    def shown(self, eta: np.ndarray) -> np.ndarray:
        """What `report` gives, from `covariance_parameters`; eta may be complex."""
        count = self.n_ratios + 1
        variance, rho = eta[:count], eta[count:]
        if self.linear and self.kind == "unstructured":
            i, j = np.tril_indices(self.n_visits, -1)
            rho = rho / np.sqrt(variance[i] * variance[j])
        elif self.linear:
            rho = rho / variance[0]
        elif self.kind == "exponential":
            rho = rho ** (1.0 / self.shortest)
        return np.concatenate([np.sqrt(variance), rho])

    def covariance(self, eta: np.ndarray) -> np.ndarray:
        """Covariance of each kind of pair, shape (K,), at `covariance_parameters` eta."""
        count = self.n_ratios + 1
        variance, rest = eta[:count], eta[count:]
        if not self.linear:
            return self.correlation(rest) * self._variances(variance)
        if self.kind == "unstructured":
            off = self.first != self.second
            return np.where(off, self.correlation(rest), variance[self.first])
        same = self.lag == 0
        own = variance[self.first] if self.heterogeneous else variance[0]
        return (
            np.where(same, own, self.correlation(rest)) if len(rest) else np.where(same, own, 0.0)
        )

    def _variances(self, variance: np.ndarray) -> np.ndarray:
        if not self.heterogeneous:
            return variance[0]
        return np.sqrt(variance[self.first] * variance[self.second])


def autocorrelations(partial: np.ndarray) -> np.ndarray:
    """Autocorrelations at lags 1, 2, ... from partial ones, by the Durbin-Levinson recursion.

    Any partial autocorrelations between -1 and 1 give a positive definite Toeplitz matrix
    (Barndorff-Nielsen & Schou 1973, J Multivar Anal 3:408-419).
    """
    rho = np.empty_like(partial)
    phi = partial[:0]
    for k, r in enumerate(partial):
        past = rho[:k]
        rho[k] = phi @ past[::-1] + r * (1.0 - phi @ past)
        phi = np.append(phi - r * phi[::-1], r)
    return rho


def complex_step(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """Jacobian (len(x), K) of an analytic function, to machine precision (Squire & Trapp 1998)."""
    out = []
    for j in range(len(x)):
        moved = x.astype(complex)
        moved[j] += 1j * COMPLEX_STEP
        out.append(function(moved).imag / COMPLEX_STEP)
    return np.array(out)
