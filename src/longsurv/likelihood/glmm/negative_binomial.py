"""A count whose variance exceeds its mean by a square: mu + mu^2 / theta, mu = exp(eta).

glmmTMB's nbinom2, and the theta of MASS's glm.nb and lme4's glmer.nb. Climbed in kappa = 1 / theta,
which is 0 for a Poisson response.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.stirling import (
    FEW,
    excess,
    log_parts,
    saturated,
    stirling,
)
from longsurv.likelihood.glmm.counted import HIGHEST, Counted, counts, tails

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

    from longsurv.priors.families import Prior

CODE = 5


@njit(cache=True, nogil=True, error_model="numpy")
def at_its_mean(y, kappa, T, T1):
    """Log probability of a count y > 0 whose mean it is, and its derivative in kappa.

    T and T1 are `stirling` of kappa and its derivative, for counts that are not few.
    """
    x = kappa * y
    if y >= FEW:
        inner, inner1, _, _ = stirling(kappa / (1.0 + x))
        return (
            saturated(y) + inner - T - 0.5 * math.log1p(x),
            inner1 / ((1.0 + x) * (1.0 + x)) - T1 - 0.5 * y / (1.0 + x),
        )
    # The product over j of 1 + kappa j, as much of it at a time as a double holds.
    total, product, slope = 0.0, 1.0, 0.0
    for j in range(1, int(y)):
        one = 1.0 + kappa * j
        slope += j / one
        product *= one
        if product > 1e200:
            total += math.log(product)
            product = 1.0
    ratio, rest, _ = log_parts(x, 1.0 + x)
    value = total + math.log(product) + saturated(y) + y * (1.0 - (1.0 + x) * ratio)
    return value, slope - y * y * rest


@njit(cache=True, nogil=True, error_model="numpy")
def about_its_mean(y, d, mu, kappa):
    """What log f of a count y > 0 has less at mu = y exp(d) than at y, and the change in kappa."""
    one, A = 1.0 + kappa * y, 1.0 + kappa * mu
    share = kappa * y / one
    E = mu / y - 1.0 if abs(d) > 0.1 else excess(d, 0.0) + d
    ratio, rest, slope = log_parts(share * E, A / one)
    change = slope * (y * E / one) * (y * E / one)
    if share < 0.5 and E < 1.0:
        return -y * (excess(d, mu / y) - share * E * E * rest), change
    # Where the two are nearly equal, or mu is far above y, the same as y log(mu one / (y A))
    # - log(A / one) / kappa.
    gain = math.log1p(E / A) if abs(E) < 0.5 * A else d - math.log(A / one)
    return y * gain - E * y / one * ratio, change


@njit(cache=True, nogil=True, error_model="numpy")
def row(y, eta, par):
    """The eleven numbers of a row.

    Parameter of the row: kappa.
    """
    kappa = par[0, 0]
    eta = min(eta, HIGHEST)
    mu = math.exp(eta)
    A = 1.0 + kappa * mu
    if y == 0.0:
        ratio, _, slope = log_parts(kappa * mu, A)
        value, la = -mu * ratio, mu * mu * slope
    else:
        value, la = at_its_mean(y, kappa, par[0, 1], par[0, 2])
        less, change = about_its_mean(y, eta - math.log(y), mu, kappa)
        value += less
        la += change
    m = mu / A
    w = m * (1.0 + kappa * y) / A
    return (
        value, (y - mu) / A, -w, w, w * (1.0 - kappa * mu) / A,
        la, -m * (y - mu) / A, m * (y - 2.0 * mu - kappa * mu * y) / A / A,
        0.0, 0.0, 0.0,
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def at_nodes(y, at, par, h, l1, la):
    """The row at every node; see `longsurv.likelihood.glmm.family`."""
    kappa = par[0, 0]
    if y == 0.0:
        for k in range(at.shape[0]):
            mu = math.exp(min(at[k], HIGHEST))
            A = 1.0 + kappa * mu
            ratio, _, slope = log_parts(kappa * mu, A)
            h[k] -= mu * ratio
            l1[k] = -mu / A
            la[k] = mu * mu * slope
        return
    constant, slope = at_its_mean(y, kappa, par[0, 1], par[0, 2])
    centre = math.log(y)
    for k in range(at.shape[0]):
        eta = min(at[k], HIGHEST)
        mu = math.exp(eta)
        less, change = about_its_mean(y, eta - centre, mu, kappa)
        h[k] += constant + less
        l1[k] = (y - mu) / (1.0 + kappa * mu)
        la[k] = slope + change


@njit(cache=True, nogil=True, error_model="numpy")
def constants(phi, par):
    """Write kappa; `stirling` of it and its derivative."""
    par[0, 0] = phi[0]
    par[0, 1], par[0, 2], _, _ = stirling(phi[0])


@dataclass(frozen=True)
class NegativeBinomial(Counted):
    """0, 1, 2, ... with the variance mu + mu^2 / theta; phi is 1 / theta."""

    name: ClassVar[str] = "negative_binomial"
    code: ClassVar[int] = CODE
    row_variance: ClassVar[Literal["none", "known", "free"]] = "free"

    def names(self, labels: Sequence[str], df: float | None) -> tuple[str, ...]:
        """theta."""
        return ("theta",)

    def climbed_names(self, names: Sequence[str]) -> tuple[str, ...]:
        """Names of phi."""
        return ("1/theta",)

    def size(self, levels: int, kappa: float) -> int:
        """Number of parameters that are estimated."""
        return 1

    def unconstrained(self, phi: np.ndarray) -> np.ndarray:
        """log theta."""
        return -np.log(phi)

    def natural(self, phi: np.ndarray) -> np.ndarray:
        """theta."""
        return np.array([1.0 / k if k > 0.0 else np.inf for k in phi])

    def boundary(self, name: str, value: float) -> str | None:
        """What to say of a theta without end."""
        if name != "theta" or np.isfinite(value):
            return None
        return (
            "theta is estimated as infinite; the counts vary no more than Poisson's do, and "
            "family='poisson' is the same model."
        )

    def default_priors(self, names: Sequence[str], spread: float) -> dict[str, Prior]:
        """Of theta."""
        from longsurv.priors.families import Gamma

        return {"theta": Gamma(2.0, 0.1)}

    def variance_around(self, mean: float, phi: np.ndarray, kappa: float) -> float:
        """Of the logarithm of a lognormal variable with the count's moments."""
        return math.log1p(1.0 / mean + phi[0])

    def cumulative(
        self, y: np.ndarray, eta: np.ndarray, phi: np.ndarray, kappa: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """P(Y <= y) and P(Y > y)."""
        mu = np.exp(eta)
        return tails(y, mu, 1.0 / phi[0]) if phi[0] > 0.0 else tails(y, mu)

    def replicate(
        self, eta: np.ndarray, phi: np.ndarray, kappa: float, rng: np.random.Generator
    ) -> np.ndarray:
        """Counts at predictors (n,)."""
        mu = np.exp(eta)
        if phi[0] > 0.0:
            size = 1.0 / phi[0]
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
        pm.NegativeBinomial("y", mu=mu, alpha=own[0], observed=y.astype(int), dims="row")
