"""A response with heavy tails: y = eta + sigma t_nu.

Student's t is not log-concave. The curvature w that spaces the quadrature nodes is the mean of -l2
and of the weight (kappa + 1) / (1 + kappa r^2), which is positive everywhere, small at an outlier,
and has an expectation of (nu + 2) / (nu + 3) where Fisher's information is (nu + 1) / (nu + 3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numba import njit
from scipy.special import stdtr

from longsurv.likelihood.arithmetic.normal_cdf import HALF_LOG_2PI
from longsurv.likelihood.arithmetic.vector_log import log
from longsurv.likelihood.glmm.measured import Measured

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

    from longsurv.priors.prior import Prior

CODE = 3


@njit(cache=True, nogil=True, error_model="numpy")
def student_constant(kappa):
    """log of the t density's constant at scale 1 and kappa = 1 / df >= 0, and its derivative.

    With x = df / 2 it is log Gamma(x + 1/2) / Gamma(x) - log(2 pi x) / 2: the expansion in 1 / x
    for x > 20, and the recurrence in x below.
    """
    shift, slope, k = 0.0, 0.0, kappa
    if kappa > 0.025:
        x = 0.5 / kappa
        shift -= 0.5 * math.log(x)
        slope -= 0.5 / x
        while x < 20.0:
            shift += math.log(x / (x + 0.5))
            slope += 0.5 / (x * (x + 0.5))
            x += 1.0
        shift += 0.5 * math.log(x)
        slope += 0.5 / x
        k = 0.5 / x
    k2 = k * k
    value = k * (-1.0 / 4.0 + k2 * (1.0 / 24.0 + k2 * (-1.0 / 20.0 + k2 * 17.0 / 112.0)))
    change = -1.0 / 4.0 + k2 * (1.0 / 8.0 + k2 * (-1.0 / 4.0 + k2 * 17.0 / 16.0))
    if kappa > 0.025:
        # dk/dx = -2 k^2 where the expansion is, dx/dkappa = -1 / (2 kappa^2) where we are.
        change = (slope - 2.0 * k2 * change) * (-0.5 / (kappa * kappa))
    return value + shift - HALF_LOG_2PI, change


@njit(cache=True, nogil=True, error_model="numpy")
def row(y, eta, par):
    """The eleven numbers of a row, with kappa = 1 / df; kappa = 0 is the Gaussian.

    Parameters of the row: log sigma, kappa.
    """
    scale, kappa = par[1, 0], par[0, 2]
    r = (y - eta) * scale
    r2 = r * r
    x = kappa * r2
    d = 1.0 / (1.0 + x)
    if x > 0.01:
        log_ratio = -math.log(d) / x
        # (log(1 + x) - x / (1 + x)) / x^2
        rest = (log_ratio - d) / x
    else:
        log_ratio = 1.0 - x * (
            1 / 2 - x * (1 / 3 - x * (1 / 4 - x * (1 / 5 - x * (1 / 6 - x / 7))))
        )
        rest = 1 / 2 - x * (
            2 / 3 - x * (3 / 4 - x * (4 / 5 - x * (5 / 6 - x * (6 / 7 - x * 7 / 8))))
        )
    k1, p = 1.0 + kappa, scale * scale
    d2 = d * d
    d3 = d2 * d
    return (
        par[0, 3] - par[0, 1] - 0.5 * k1 * r2 * log_ratio,
        k1 * r * scale * d,
        -k1 * (1.0 - x) * p * d2,
        k1 * p * d2,
        4.0 * k1 * kappa * r * p * scale * d3,
        -1.0 + k1 * r2 * d,
        -2.0 * k1 * r * scale * d2,
        2.0 * k1 * (x - 1.0) * p * d3,
        par[0, 4] + 0.5 * r2 * r2 * rest - 0.5 * r2 * d,
        r * (1.0 - r2) * scale * d2,
        p * (1.0 - 2.0 * r2 - x) * d3,
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def at_nodes(y, at, par, h, l1, la, lb):
    """The row at every node; see `longsurv.likelihood.glmm.family`."""
    scale, kappa = par[1, 0], par[0, 2]
    k1, constant = 1.0 + kappa, par[0, 3] - par[0, 1]
    for k in range(at.shape[0]):
        r = (y - at[k]) * scale
        r2 = r * r
        x = kappa * r2
        u = 1.0 + x
        d = 1.0 / u
        # log(1 + x) / x: what rounding takes from 1 + x it takes from u - 1 too.
        log_ratio = log(u) / (u - 1.0) if u != 1.0 else 1.0
        # (log(1 + x) - x / (1 + x)) / x^2
        near = 1 / 2 - x * (
            2 / 3 - x * (3 / 4 - x * (4 / 5 - x * (5 / 6 - x * (6 / 7 - x * 7 / 8))))
        )
        rest = (log_ratio - d) / x if x > 0.01 else near
        h[k] += constant - 0.5 * k1 * r2 * log_ratio
        l1[k] = k1 * r * scale * d
        la[k] = k1 * r2 * d - 1.0
        lb[k] = par[0, 4] + 0.5 * r2 * r2 * rest - 0.5 * r2 * d


@njit(cache=True, nogil=True, error_model="numpy")
def constants(phi, par):
    """Write kappa, the log constant of the t density and its slope."""
    par[0, 2] = phi[1]
    par[0, 3], par[0, 4] = student_constant(phi[1])


@dataclass(frozen=True)
class Student(Measured):
    """Student's t, with phi = (log sigma, kappa) or, with degrees of freedom given, log sigma."""

    name: ClassVar[str] = "student"
    code: ClassVar[int] = CODE
    takes_df: ClassVar[bool] = True

    def names(self, labels: Sequence[str], df: float | None) -> tuple[str, ...]:
        """sigma and, if it is estimated, nu."""
        return ("sigma",) if df is not None else ("sigma", "nu")

    def climbed_names(self, names: Sequence[str]) -> tuple[str, ...]:
        """Names of phi."""
        return tuple("1/nu" if name == "nu" else name for name in names)

    def size(self, levels: int, kappa: float) -> int:
        """Number of parameters that are estimated."""
        return 2 if math.isnan(kappa) else 1

    def start(
        self, X: np.ndarray, y: np.ndarray, levels: int, size: int, offset: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """No effects on a response whose spread is 1."""
        beta, phi = super().start(X, y, levels, size, offset)
        phi[1:] = 0.1
        return beta, phi

    def lower(self, size: int) -> np.ndarray:
        """Lower bounds of phi, shape (size,)."""
        return np.append(-np.inf, np.zeros(size - 1))

    def unconstrained(self, phi: np.ndarray) -> np.ndarray:
        """log sigma and log nu."""
        return np.append(phi[0], [-math.log(kappa) for kappa in phi[1:]])

    def natural(self, phi: np.ndarray) -> np.ndarray:
        """sigma and nu."""
        return np.append(np.exp(phi[0]), [1.0 / k if k > 0 else np.inf for k in phi[1:]])

    def variance_around(self, mean: float, phi: np.ndarray, kappa: float) -> float:
        """sigma^2 nu / (nu - 2), infinite where nu is 2 or less."""
        slack = float(phi[1]) if len(phi) > 1 else kappa
        return math.exp(2.0 * phi[0]) / (1.0 - 2.0 * slack) if slack < 0.5 else math.inf

    def cumulative(
        self, y: np.ndarray, eta: np.ndarray, phi: np.ndarray, kappa: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """P(Y <= y) and P(Y > y)."""
        slack = float(phi[1]) if len(phi) > 1 else kappa
        if slack <= 0.0:
            return super().cumulative(y, eta, phi, kappa)
        at = (y - eta) / math.exp(phi[0])
        return stdtr(1.0 / slack, at), stdtr(1.0 / slack, -at)

    def replicate(
        self, eta: np.ndarray, phi: np.ndarray, kappa: float, rng: np.random.Generator
    ) -> np.ndarray:
        """Measurements at predictors (n,), with noise of heavy tails."""
        slack = float(phi[1]) if len(phi) > 1 else kappa
        if slack <= 0.0:
            return super().replicate(eta, phi, kappa, rng)
        return eta + math.exp(phi[0]) * rng.standard_t(1.0 / slack, len(eta))

    def boundary(self, name: str, value: float) -> str | None:
        """What to say of degrees of freedom without end."""
        if name != "nu" or np.isfinite(value):
            return None
        return "nu is estimated as infinite; the residuals' tails are no heavier than normal."

    def default_priors(self, names: Sequence[str], spread: float) -> dict[str, Prior]:
        """Of sigma and nu."""
        from longsurv.priors.families import Gamma

        nu: dict[str, Prior] = {"nu": Gamma(2.0, 0.1)} if "nu" in names else {}
        return super().default_priors(names, spread) | nu

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

        nu = own[1] if df is None else df
        pm.StudentT("y", nu=nu, mu=mean, sigma=own[0], observed=y, dims="row")
