"""Effects of sites that patients cross, given the data: points around their mode, and weights.

The points m + root'^-1 x are drawn in pairs x and -x along orthogonal directions, with the lengths
of normal vectors, so that their mean is m and their covariance H^-1 before they are weighted. The
weights exp(g(z) + x'x / 2 - g(m)) make them a sample of the distribution itself, and their mean is
what Laplace's approximation leaves out of the likelihood (Skaug & Fournier 2006, Comput Stat Data
Anal 51:699-709; Genz & Monahan 1998, SIAM J Sci Comput 19:426-439 for the directions).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from longsurv.likelihood.glmm.crossed import Patients, Slope, Top, at_factor, top
from longsurv.likelihood.glmm.data import GLMMData
from longsurv.likelihood.glmm.loglik import factor_vector
from longsurv.likelihood.glmm.parameters import triangle_gradient

FEWEST = 128
"""Points; there are two for each site at least."""
CHECKED, MOST = 400_000, 2000
"""Predictors for which a correction is computed, and its points at most."""
CANDIDATES = 60
"""Of which one is drawn."""


@dataclass(frozen=True, eq=False)
class Points:
    """Effects of sites given the data.

    Attributes
    ----------
    b : ndarray, shape (K, J)
    weights : ndarray, shape (K,)
        Their probabilities.
    """

    b: np.ndarray
    weights: np.ndarray

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and variances, shape (J,) both."""
        mean = self.weights @ self.b
        return mean, self.weights @ (self.b - mean) ** 2

    def __iter__(self) -> Iterator[tuple[np.ndarray, float]]:
        yield from zip(self.b, self.weights.tolist(), strict=True)


@dataclass(frozen=True, eq=False)
class Correction:
    """What Laplace's approximation leaves out, by importance sampling.

    Attributes
    ----------
    value : float
        Of the log-likelihood.
    error : float
        Its standard error.
    gradient : ndarray, shape (d,)
        Of the log-likelihood that is not approximated, in theta.
    """

    value: float
    error: float
    gradient: np.ndarray


def directions(count: int, sites: int, rng: np.random.Generator) -> np.ndarray:
    """Points of a standard normal vector, shape (K, J), K at least `count`: the second half are the
    first with their signs turned."""
    blocks = []
    for _ in range(-(-max(count, 2) // (2 * sites))):
        turn, upper = np.linalg.qr(rng.standard_normal((sites, sites)))
        length = np.sqrt(rng.chisquare(sites, sites))
        blocks.append(length[:, None] * (turn * np.sign(np.diag(upper))).T)
    x = np.concatenate(blocks)
    # Exactly the identity as their covariance.
    half = np.linalg.cholesky(x.T @ x / len(x))
    x = solve_triangular(half, x.T, lower=True).T
    return np.concatenate([x, -x])


def _weighed(of: Patients, found: Top, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points z (K, J), and the logarithms of their weights (K,)."""
    z = found.z + solve_triangular(found.root, x.T, lower=True, trans="T").T
    values = np.array([of.values(of.shifts(of.s * one)).sum() for one in z])
    log = values - 0.5 * (z**2).sum(axis=1) - found.value + 0.5 * (x**2).sum(axis=1)
    return z, np.where(np.isfinite(log), log, -math.inf)


def given_data(data: GLMMData, theta: np.ndarray, count: int = FEWEST) -> Points:
    """Effects of the sites given the data at theta (d,) of `loglik_factor`."""
    of = at_factor(data, factor_vector(data, theta))
    found = top(of)
    if found is None:
        nothing = np.full((1, of.count), math.nan)
        return Points(nothing, np.ones(1))
    x = directions(count, of.count, np.random.default_rng(0))
    z, log = _weighed(of, found, x)
    weights = np.exp(log - log.max())
    return Points(of.s * z, weights / weights.sum())


def one_drawn(data: GLMMData, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Effects of the sites drawn given the data at theta (d,) of `loglik_factor`: one of several
    candidates, shape (J,)."""
    of = at_factor(data, factor_vector(data, theta))
    found = top(of)
    if found is None:
        return np.full(of.count, math.nan)
    x = rng.standard_normal((CANDIDATES, of.count))
    z, log = _weighed(of, found, x)
    weights = np.exp(log - log.max())
    upto = np.cumsum(weights)
    return np.asarray(of.s * z[min(int((upto < rng.random() * upto[-1]).sum()), CANDIDATES - 1)])


def correction(data: GLMMData, theta: np.ndarray, count: int = 0) -> Correction | None:
    """What the approximation leaves out at theta (d,) of `loglik_factor`, by so many points or as
    many as take little time; None where it has no value."""
    of = at_factor(data, factor_vector(data, theta))
    found = top(of)
    if found is None:
        return None
    count = count or min(max(2 * FEWEST, CHECKED // len(data.y)), MOST)
    x = directions(count, of.count, np.random.default_rng(0))
    z, log = _weighed(of, found, x)
    highest = log.max()
    weights = np.exp(log - highest)
    half = len(weights) // 2
    pairs = 0.5 * (weights[:half] + weights[half:])
    error = float(pairs.std(ddof=1) / math.sqrt(half) / pairs.mean()) if half > 1 else math.inf
    share = weights / weights.sum()
    total, by_s = Slope(*(np.zeros_like(a) for a in found.slope)), 0.0
    for one, w in zip(z, share, strict=True):
        slope = of.at(of.shifts(of.s * one))[2]
        total, by_s = total.plus(slope, float(w)), by_s + float(w * (one @ slope.b))
    q = len(of.Lam) + 1
    Lam = np.zeros((q, q))
    Lam[:-1, :-1], Lam[-1, -1] = total.Lam, by_s
    gradient = triangle_gradient(data.n_family, total.beta, total.phi, Lam)
    return Correction(highest + math.log(weights.mean()), error, gradient[data.free_factor])
