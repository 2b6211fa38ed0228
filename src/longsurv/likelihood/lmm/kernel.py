"""What the two kernels of linear mixed models, block and dense, answer alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from longsurv.likelihood.lmm.curvature import VarianceCurvature


class Point(NamedTuple):
    """Values of a model's parameters.

    Attributes
    ----------
    beta : ndarray, shape (p,)
    sigma : float
        Residual standard deviation; at the first visit if each has its own, the geometric mean of
        all where groups have.
    lams : tuple of ndarray, shape (q_t, q_t)
        Relative covariance factor of each term, in the kernel's columns of Z.
    D : tuple of ndarray, shape (q_t, q_t)
        Their covariances sigma^2 Lam Lam'.
    psi : ndarray
        Residual parameters on their unconstrained scales.
    """

    beta: np.ndarray
    sigma: float
    lams: tuple[np.ndarray, ...]
    D: tuple[np.ndarray, ...]
    psi: np.ndarray


class Peak(NamedTuple):
    """What a kernel knows where its criterion was climbed to.

    Attributes
    ----------
    point : Point
    sigma2 : float
        Residual variance.
    gamma : ndarray, shape (p,)
        Coefficients in the kernel's orthonormal coordinates.
    eta : ndarray
        Parameters of the residual covariance.
    llf : float
    phi : ndarray, shape (p, p)
        Covariance of gamma.
    """

    point: Point
    sigma2: float
    gamma: np.ndarray
    eta: np.ndarray
    llf: float
    phi: np.ndarray


@dataclass(frozen=True)
class Effects:
    """Conditional distribution of the random effects of one grouping, given beta and the variances.

    Attributes
    ----------
    mean : ndarray, shape (G, q)
    cov : ndarray, shape (G, q, q)
    """

    mean: np.ndarray
    cov: np.ndarray


class MixedData(Protocol):
    """What the arrays of every kernel have: those of orthonormal columns Q, X = Q r."""

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
        """Least squares, shape (p,), from which the kernel counts."""


class MixedKernel(Protocol):
    """The likelihood of a linear mixed model's arrays, and what follows from them at a point.

    A term is a grouping: the patients first, then what they are nested in. Vectors x are those of
    the profiled criterion, vectors theta what `expand` makes of those of the full likelihood.
    """

    @property
    def data(self) -> MixedData:
        """The kernel's arrays."""

    @property
    def bases(self) -> Sequence[np.ndarray]:
        """Of each term B with Z = (the kernel's columns) B, shape (q_t, q_t)."""

    @property
    def free_elements(self) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        """Rows and columns of the free elements of each term's Lam."""

    @property
    def largest_cluster(self) -> int:
        """Rows of which `curvature` needs the whole covariance matrix."""

    def criterion(self, x: np.ndarray, reml: bool) -> tuple[float, np.ndarray]:
        """Profiled (restricted) log-likelihood, and its gradient."""

    def peak(self, x: np.ndarray, reml: bool) -> Peak:
        """Everything at the x a climb ended at."""

    def curvature(self, peak: Peak, reml: bool) -> VarianceCurvature:
        """Second-order quantities there, in the free elements of every D, then eta."""

    def shown(self, eta: np.ndarray) -> np.ndarray:
        """What is reported of the residual covariance; eta may be complex."""

    def flags(self, point: Point) -> tuple[str, ...]:
        """What a reader must know of the residual covariance."""

    def residual_cov(self, point: Point) -> np.ndarray:
        """Residual covariance of each kind of pair of rows, shape (K,)."""

    def cell_variances(self, point: Point) -> np.ndarray:
        """Residual variances of what has one of its own: all rows, a visit, a group of rows."""

    def interior(
        self, beta: np.ndarray, sigma: float, x: np.ndarray, to: Sequence[np.ndarray] | None = None
    ) -> np.ndarray:
        """A vector of the full likelihood near x, away from any boundary, of effects in the
        coordinates that `to` leads to; by default of those of Z."""

    def expand(self, theta: np.ndarray) -> np.ndarray:
        """Vectors (..., d) of free parameters with those that are held at 0 among them."""

    def point(self, theta: np.ndarray) -> Point:
        """The values that theta stands for."""

    def natural(self, thetas: np.ndarray) -> np.ndarray:
        """Residual parameters, then SDs and correlations of every term, shape (S, m)."""

    def pointwise(self, thetas: np.ndarray) -> np.ndarray:
        """Marginal log-likelihood of each independent cluster of rows, shape (S, C)."""

    def effects(self, point: Point) -> list[Effects]:
        """Random effects, those of Z itself, of every term that has some."""

    def predict_rows(
        self, point: Point, Z: Sequence[np.ndarray], group: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The random part of rows given the data.

        Parameters
        ----------
        point : Point
        Z : sequence of ndarray, shape (m, q_t)
            Columns of each term, as the user has them.
        group : sequence of ndarray of int, shape (m,)
            Group of each row in each term; -1 - k for the k-th of those not seen.

        Returns
        -------
        mean, variance : ndarray, shape (m,)
            Given beta.
        coupling : ndarray, shape (m, p)
            How much the mean falls as beta rises.
        """

    def draw_rows(
        self,
        point: Point,
        Z: Sequence[np.ndarray],
        group: Sequence[np.ndarray],
        rng: np.random.Generator,
    ) -> np.ndarray:
        """One draw of that random part, shape (m,)."""
