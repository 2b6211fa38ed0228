"""A count whose variance is a multiple of its mean: mu (1 + phi), mu = exp(eta).

glmmTMB's nbinom1. It is the negative binomial distribution with theta = mu / phi: where all means
are alike it is the same model as `negative_binomial`. It is not log-concave in eta where a count is
much larger than its mean; the curvature w that spaces the quadrature nodes is -l2 where that is at
least a quarter of its value at y = mu, mu / (1 + phi), and stays positive below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.stirling import FEW, log_parts, stirling
from longsurv.likelihood.glmm.counted import HIGHEST, Counted, counts, tails
from longsurv.likelihood.glmm.negative_binomial import about_its_mean, at_its_mean

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

    from longsurv.priors.families import Prior

CODE = 6
LEAST = 0.25
"""Share of its value at y = mu below which the curvature is not followed."""


@njit(cache=True, nogil=True, error_model="numpy")
def powers(y, kappa):
    """Sums over j < y of j / (1 + kappa j), of its square and of its cube.

    A few terms one by one, until the rest can be had from Stirling's formula.
    """
    one, two, three, first = 0.0, 0.0, 0.0, 0.0
    while first < y and (y < FEW or 1.0 + kappa * first < FEW * kappa):
        J = first / (1.0 + kappa * first)
        one += J
        two += J * J
        three += J * J * J
        first += 1.0
    m = y - first
    if m <= 0.0:
        return one, two, three
    # The terms from `first` on are first / a + J' / a^2, with J' those of kappa / a from 0 on.
    a = 1.0 + kappa * first
    k = kappa / a
    x, m2 = k * m, m * m
    v = 1.0 / (1.0 + x)
    v2 = v * v
    _, T1, T2, T3 = stirling(k)
    _, U1, U2, U3 = stirling(k * v)
    _, rest, slope = log_parts(x, 1.0 + x)
    if abs(x) < 0.05:
        rest1 = rest2 = 0.0
        for n in range(12, 0, -1):
            rest1 = -n / (n + 2.0) - x * rest1
            rest2 = n * (n + 1.0) / (n + 3.0) - x * rest2
    else:
        rest1 = (slope - rest) / x
        rest2 = ((v2 - 2.0 * slope) / x - 2.0 * rest1) / x
    G1 = U1 * v2 - T1 - 0.5 * m * v + m2 * rest
    G2 = v2 * (U2 * v2 - 2.0 * m * U1 * v + 0.5 * m2) - T2 + m2 * m * rest1
    G3 = (
        v2 * v * (U3 * v2 * v - 6.0 * m * U2 * v2 + 6.0 * m2 * U1 * v - m2 * m)
        - T3
        + m2 * m2 * rest2
    )
    f, b = first / a, 1.0 / (a * a)
    Q1, Q2, Q3 = b * G1, -b * b * G2, 0.5 * b * b * b * G3
    return (
        one + m * f + Q1,
        two + m * f * f + 2.0 * f * Q1 + Q2,
        three + m * f * f * f + 3.0 * f * f * Q1 + 3.0 * f * Q2 + Q3,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def log_density(y, eta, mu, kappa, ratio):
    """log f, with kappa = phi / mu; ratio is log(1 + phi) / phi."""
    if y == 0.0:
        return -mu * ratio
    T = T1 = 0.0
    if y >= FEW:
        T, T1, _, _ = stirling(kappa)
    value, _ = at_its_mean(y, kappa, T, T1)
    less, _ = about_its_mean(y, eta - math.log(y), mu, kappa)
    return value + less


@njit(cache=True, nogil=True, error_model="numpy")
def row(y, eta, par):
    """The eleven numbers of a row.

    Parameter of the row: phi.
    """
    phi, ratio, slope = par[0, 0], par[0, 1], par[0, 2]
    eta = min(max(eta, -HIGHEST), HIGHEST)
    mu = math.exp(eta)
    kappa = phi / mu
    Q1, Q2, Q3 = powers(y, kappa)
    P1, P2, P3 = kappa * Q1, kappa * kappa * Q2, kappa * kappa * kappa * Q3
    l1 = y - P1 - mu * ratio
    l2 = P1 - P2 - mu * ratio
    l3 = -P1 + 3.0 * P2 - 2.0 * P3 - mu * ratio
    la = Q1 / mu - y / (1.0 + phi) + mu * slope
    l1a = -(Q1 - kappa * Q2) / mu + mu * slope
    l2a = (Q1 - 3.0 * kappa * Q2 + 2.0 * kappa * kappa * Q3) / mu + mu * slope
    typical = mu / (1.0 + phi)
    share = -l2 / typical
    g, g1 = share, 1.0
    if share < LEAST:
        g = LEAST * LEAST / (2.0 * LEAST - share)
        g1 = (g / LEAST) * (g / LEAST)
    return (
        log_density(y, eta, mu, kappa, ratio), l1, l2,
        typical * g, typical * g + g1 * (l2 - l3),
        la, l1a, -typical * g / (1.0 + phi) - g1 * (l2a + l2 / (1.0 + phi)),
        0.0, 0.0, 0.0,
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def at_nodes(y, at, par, h, l1, la):
    """The row at every node; see `longsurv.likelihood.glmm.family`."""
    phi, ratio, slope = par[0, 0], par[0, 1], par[0, 2]
    for k in range(at.shape[0]):
        eta = min(max(at[k], -HIGHEST), HIGHEST)
        mu = math.exp(eta)
        kappa = phi / mu
        Q1, _, _ = powers(y, kappa)
        h[k] += log_density(y, eta, mu, kappa, ratio)
        l1[k] = y - kappa * Q1 - mu * ratio
        la[k] = Q1 / mu - y / (1.0 + phi) + mu * slope


@njit(cache=True, nogil=True, error_model="numpy")
def constants(phi, par):
    """Write phi, log(1 + phi) / phi and less its derivative."""
    par[0, 0] = phi[0]
    par[0, 1], _, par[0, 2] = log_parts(phi[0], 1.0 + phi[0])


@dataclass(frozen=True)
class NegativeBinomial1(Counted):
    """0, 1, 2, ... with the variance mu (1 + phi)."""

    name: ClassVar[str] = "nbinom1"
    code: ClassVar[int] = CODE
    row_variance: ClassVar[Literal["none", "known", "free"]] = "free"

    def names(self, labels: Sequence[str], df: float | None) -> tuple[str, ...]:
        """phi."""
        return ("phi",)

    def size(self, levels: int, kappa: float) -> int:
        """Number of parameters that are estimated."""
        return 1

    def unconstrained(self, phi: np.ndarray) -> np.ndarray:
        """log phi."""
        return np.log(phi)

    def natural(self, phi: np.ndarray) -> np.ndarray:
        """phi."""
        return phi

    def boundary(self, name: str, value: float) -> str | None:
        """What to say of a phi of 0."""
        if name != "phi" or value > 0.0:
            return None
        return (
            "phi is estimated as exactly 0; the counts vary no more than Poisson's do, and "
            "family='poisson' is the same model."
        )

    def default_priors(self, names: Sequence[str], spread: float) -> dict[str, Prior]:
        """Of phi."""
        from longsurv.priors.families import Exponential

        return {"phi": Exponential(1.0)}

    def variance_around(self, mean: float, phi: np.ndarray, kappa: float) -> float:
        """Of the logarithm of a lognormal variable with the count's moments."""
        return math.log1p((1.0 + phi[0]) / mean)

    def cumulative(
        self, y: np.ndarray, eta: np.ndarray, phi: np.ndarray, kappa: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """P(Y <= y) and P(Y > y)."""
        mu = np.exp(eta)
        return tails(y, mu, mu / phi[0]) if phi[0] > 0.0 else tails(y, mu)

    def replicate(
        self, eta: np.ndarray, phi: np.ndarray, kappa: float, rng: np.random.Generator
    ) -> np.ndarray:
        """Counts at predictors (n,)."""
        mu = np.exp(eta)
        if phi[0] > 0.0:
            size = mu / phi[0]
            mu = mu * rng.gamma(size, size=mu.shape) / size
        return counts(mu, rng)

    def twin(
        self,
        mean: TensorVariable,
        own: Sequence[TensorVariable],
        y: np.ndarray,
        extent: np.ndarray,
        df: float | None,
    ) -> None:
        """State y in the PyMC model in context."""
        import pymc as pm

        mu = pm.math.exp(mean)
        pm.NegativeBinomial("y", mu=mu, alpha=mu / own[0], observed=y.astype(int), dims="row")
