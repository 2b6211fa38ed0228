"""What a mixed model of several groupings is worked out from, and what it is at one point."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from longsurv.likelihood.lmm.dense.residual import Structure
from longsurv.likelihood.lmm.loglik import LOG_2PI


class TermData(Protocol):
    """What the arrays of these kernels have; see `MixedData` for the first ones."""

    @property
    def nobs(self) -> int:
        """Rows."""

    @property
    def p(self) -> int:
        """Fixed effects."""

    @property
    def r(self) -> np.ndarray:
        """Upper triangle, shape (p, p)."""

    @property
    def beta_ols(self) -> np.ndarray:
        """Least squares, shape (p,)."""

    @property
    def spread(self) -> float:
        """Root mean square of what least squares leaves."""

    @property
    def blocks(self) -> tuple[tuple[int, ...], ...]:
        """Sizes of the blocks of correlated effects of each term, the patients' first."""

    @property
    def bases(self) -> tuple[np.ndarray, ...]:
        """Of each term B with (its columns) = (the kernel's columns) B."""

    @property
    def scales(self) -> tuple[np.ndarray, ...]:
        """As `LMMData.z_scale`, of each term."""

    @property
    def structure(self) -> Structure:
        """Of the residuals."""

    def turned(self, turn: np.ndarray, r: np.ndarray, beta_ols: np.ndarray) -> Self:
        """The same of W @ turn, for turn of shape (k, k - 1)."""


class State(Protocol):
    """V / sigma^2 factored, at one point."""

    @property
    def log_det(self) -> float:
        """log |V / sigma^2|."""

    @property
    def T(self) -> np.ndarray:
        """W' (V / sigma^2)^-1 W, shape (p + 1, p + 1)."""


@dataclass(frozen=True)
class Profiled:
    """The likelihood at one point, with beta (and sigma) at its optimum.

    Attributes
    ----------
    log_det, quad, dof, gamma, spread
        As for `longsurv.likelihood.lmm.loglik.ProfiledLikelihood`.
    slopes : tuple of ndarray, shape (q_t, q_t)
        Derivative of the deviance in D / sigma^2 of each term.
    by_kind : ndarray, shape (K,)
        Derivative of the deviance in the residual covariance over sigma^2 of each kind of pair.
    """

    log_det: float
    quad: float
    dof: int
    gamma: np.ndarray
    spread: np.ndarray
    slopes: tuple[np.ndarray, ...]
    by_kind: np.ndarray

    @property
    def sigma2(self) -> float:
        """Residual variance that maximises the likelihood here."""
        return self.quad / self.dof

    def deviance(self, sigma2: float) -> float:
        """-2 log-likelihood (the REML criterion for REML) at a residual variance."""
        return self.log_det + self.dof * (LOG_2PI + math.log(sigma2)) + self.quad / sigma2
