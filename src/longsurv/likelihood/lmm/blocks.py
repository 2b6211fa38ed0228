"""The mixed-model kernel over the free elements of a block-diagonal covariance of random effects.

(1 | id) + (0 + t | id), or (t || id) for short, says that some random effects are independent: D,
its factor Lam and its correlation matrix are block-diagonal, and only the elements within a block
move. In canonical partial correlations that means z = 0 between blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np

from longsurv.likelihood import lmm
from longsurv.likelihood.arithmetic.covariance import covariance, partial_correlations
from longsurv.likelihood.lmm.curvature import VarianceCurvature, variance_curvature
from longsurv.likelihood.lmm.kernel import Effects, MixedData, Peak, Point
from longsurv.likelihood.lmm.patients import own_effects, pointwise, random_effects


def free_elements(blocks: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the lower triangle within blocks, row by row."""
    block = np.repeat(np.arange(len(blocks)), blocks)
    rows, columns = np.tril_indices(len(block))
    within = block[rows] == block[columns]
    return rows[within], columns[within]


def packed(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Places of the free elements below the diagonal among all of those, row by row."""
    below = rows > columns
    return rows[below] * (rows[below] - 1) // 2 + columns[below]


def interior(
    lam: np.ndarray, sigma: float, basis: np.ndarray, elements: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """log SDs and free partial correlations near Lam, away from any boundary.

    They are those of basis^-1 times the random effects that Lam, shape (q, q), is of.
    """
    q = len(lam)
    half = np.linalg.solve(basis, np.hstack([lam, 0.1 * np.eye(q)]))
    D = sigma**2 * half @ half.T
    tau = np.sqrt(np.diag(D))
    z = partial_correlations(D / np.outer(tau, tau)) if q > 1 else np.empty(0)
    return np.log(tau), z[packed(*elements)]


def straightened(
    data: MixedData, spread: float, centre: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Centre (d,) and factor (d, d): coefficients in orthonormal columns per residual SD `spread`,
    scales from `centre`, the rest as it is."""
    p = data.p
    whole, factor = np.zeros(size), np.eye(size)
    whole[:p], whole[p : p + len(centre)] = data.beta_ols, centre
    factor[:p, :p] = spread * np.linalg.inv(data.r)
    return whole, factor


def element_map(back: np.ndarray, elements: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Free elements of back @ D @ back.T from those of the symmetric D, shape (m, m)."""
    rows, columns = elements
    straight = back[np.ix_(rows, rows)] * back[np.ix_(columns, columns)]
    crossed = back[np.ix_(rows, columns)] * back[np.ix_(columns, rows)]
    return straight + np.where(rows == columns, 0.0, crossed)


def carried(tau: np.ndarray, C: np.ndarray, to: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """SDs and correlations of b from those of the effects to @ b.

    Parameters
    ----------
    tau : ndarray, shape (..., q)
    C : ndarray, shape (..., q, q)
    to : ndarray, shape (q, q)
    """
    if np.array_equal(to, np.eye(len(to))):
        return tau, C
    back = np.linalg.inv(to)
    D = back @ (C * tau[..., :, None] * tau[..., None, :]) @ back.T
    sd = np.sqrt(np.diagonal(D, axis1=-2, axis2=-1))
    return sd, np.clip(D / (sd[..., :, None] * sd[..., None, :]), -1.0, 1.0)


class Rows(NamedTuple):
    """The measurements, times the roots of their weights: X (n, p), y (n,), Z (n, q), patient (n,)
    and number of patients."""

    X: np.ndarray
    y: np.ndarray
    Z: np.ndarray
    group: np.ndarray
    n_groups: int


@dataclass(frozen=True, eq=False)
class BlockKernel:
    """Likelihoods of vectors that hold the free elements only (a `MixedKernel`).

    Attributes
    ----------
    data : LMMData
    blocks : tuple of int
        Sizes of the blocks, in the order of the columns of Z.
    rows : Rows, optional
        For `pointwise`.
    """

    data: lmm.LMMData
    blocks: tuple[int, ...]
    rows: Rows | None = None

    @cached_property
    def elements(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the free elements of Lam."""
        return free_elements(self.blocks)

    @cached_property
    def free(self) -> np.ndarray:
        """Positions of the free parameters in the parameter vector of `lmm.loglik`."""
        first = self.data.p + 1 + self.data.q
        return np.concatenate([np.arange(first), first + packed(*self.elements)])

    def turned(self, turn: np.ndarray, r: np.ndarray, beta_ols: np.ndarray) -> BlockKernel:
        """The likelihood of (Q, y - Q Q'y) @ turn in their place."""
        return replace(self, data=self.data.turned(turn, r, beta_ols))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the free elements of Lam."""
        return tuple(f"Lam[{a},{b}]" for a, b in zip(*self.elements, strict=True))

    @property
    def residual_names(self) -> tuple[str, ...]:
        """Names of residual parameters with scalar priors: none."""
        return ()

    @property
    def correlated(self) -> tuple[int, ...]:
        """Sizes of the correlation matrices of theta."""
        return self.blocks

    @property
    def lower(self) -> np.ndarray:
        """Lower bounds of the free elements of Lam."""
        rows, columns = self.elements
        return np.where(rows == columns, 0.0, -np.inf)

    @property
    def starts(self) -> list[np.ndarray]:
        """Points to start a climb from, one of which is near."""
        rows, columns = self.elements
        return [size * (rows == columns) for size in (0.1, 0.3, 1.0, 3.0)]

    def factor(self, x: np.ndarray) -> np.ndarray:
        """Lam (q, q) from its free elements."""
        lam = np.zeros((self.data.q, self.data.q))
        lam[self.elements] = x
        return lam

    def criterion(self, x: np.ndarray, reml: bool) -> tuple[float, np.ndarray]:
        """Profiled (restricted) log-likelihood of the free elements of Lam, and its gradient."""
        deviance, gradient = lmm.profiled_deviance(self.data, x, self.elements, reml)
        return -0.5 * deviance, -0.5 * gradient

    @property
    def to(self) -> tuple[np.ndarray, ...]:
        """The SDs and correlations of `loglik` are of the effects to @ b, b those of Z."""
        return (self.data.z_basis / self.data.z_scale[:, None],)

    @property
    def coordinates(self) -> tuple[np.ndarray, np.ndarray]:
        """Centre and factor of unit-free coordinates u of `loglik`: theta = centre + factor u."""
        data = self.data
        spread = np.sqrt(data.cross[-1, -1] / data.nobs)
        centre = [np.log(spread), *np.log(spread / data.z_scale)]
        return straightened(data, spread, np.array(centre), len(self.free))

    def interior(
        self, beta: np.ndarray, sigma: float, x: np.ndarray, to: Sequence[np.ndarray] | None = None
    ) -> np.ndarray:
        """A vector for the `loglik` of a kernel with `to` near the point x of this criterion, away
        from any boundary; by default of the effects of Z themselves."""
        basis = self.data.z_basis if to is None else self.data.z_basis @ np.linalg.inv(to[0])
        log_tau, z = interior(self.factor(x), sigma, basis, self.elements)
        return np.concatenate([beta, [np.log(sigma)], log_tau, z])

    def expand(self, theta: np.ndarray) -> np.ndarray:
        """Parameter vectors (..., d) of `lmm.loglik` from their free elements."""
        q = self.data.q
        full = np.zeros((*theta.shape[:-1], self.data.p + 1 + q + q * (q - 1) // 2))
        full[..., self.free] = theta
        return full

    def loglik(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Marginal log-likelihood of the free parameters, and its gradient."""
        if len(self.blocks) == 1:
            return lmm.loglik(self.data, theta)
        value, gradient = lmm.loglik(self.data, self.expand(theta))
        return value, gradient[self.free]

    # ---- what a fitted model asks: see `MixedKernel` ----

    largest_cluster: ClassVar[int] = 0
    """Sums by patient are enough."""

    @property
    def bases(self) -> tuple[np.ndarray, ...]:
        """Of the only term."""
        return (self.data.z_basis,)

    @property
    def free_elements(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """Of the only term."""
        return (self.elements,)

    def _point(self, beta: np.ndarray, sigma: float, lam: np.ndarray) -> Point:
        return Point(beta, sigma, (lam,), (sigma**2 * lam @ lam.T,), np.empty(0))

    def peak(self, x: np.ndarray, reml: bool) -> Peak:
        """Everything at the free elements of Lam a climb ended at."""
        lam = self.factor(x)
        return self.peak_at(lam, lmm.profile(self.data, lam, reml))

    def peak_at(self, lam: np.ndarray, at: lmm.ProfiledLikelihood) -> Peak:
        """The same from the profile at Lam."""
        return Peak(
            point=self._point(
                lmm.coefficients(self.data, at.gamma), float(np.sqrt(at.sigma2)), lam
            ),
            sigma2=at.sigma2,
            gamma=at.gamma,
            eta=np.array([at.sigma2]),
            llf=-0.5 * at.deviance(at.sigma2),
            phi=at.spread @ at.spread.T * at.sigma2,
        )

    def curvature(self, peak: Peak, reml: bool) -> VarianceCurvature:
        """In the free elements of D, then sigma^2."""
        (lam,) = peak.point.lams
        return self.freed(variance_curvature(self.data, lam, peak.sigma2, peak.gamma, reml))

    def freed(self, whole: VarianceCurvature) -> VarianceCurvature:
        """The curvature in the free elements of D alone, and sigma^2."""
        rows, columns = self.elements
        free = np.append(rows * (rows + 1) // 2 + columns, len(whole.P) - 1)
        return whole if len(free) == len(whole.P) else whole.of(free)

    def shown(self, eta: np.ndarray) -> np.ndarray:
        """sigma from sigma^2."""
        return np.sqrt(eta)

    def flags(self, point: Point) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def residual_cov(self, point: Point) -> np.ndarray:
        """sigma^2 of a row with itself, the only kind of pair."""
        return np.array([point.sigma**2])

    def cell_variances(self, point: Point) -> np.ndarray:
        """sigma^2 of all rows."""
        return np.array([point.sigma**2])

    def point(self, theta: np.ndarray) -> Point:
        """The values that theta stands for."""
        p, end = self.data.p, self.data.p + 1 + self.data.q
        lam, _ = lmm.relative_factor(theta[p], theta[p + 1 : end], theta[end:], self.data.z_scale)
        return self._point(theta[:p], float(np.exp(theta[p])), lam)

    def natural(self, thetas: np.ndarray) -> np.ndarray:
        """sigma, SDs and free correlations, shape (S, m)."""
        q, phi = self.data.q, thetas[:, self.data.p :]
        sds, (rows, columns) = np.exp(phi[:, : 1 + q]), self.elements
        below = rows > columns
        if not below.any():
            return sds
        C = np.array([covariance(np.ones(q), row[1 + q :]) for row in phi])
        tau, C = carried(sds[:, 1:], C, self.to[0])
        return np.column_stack([sds[:, 0], tau, C[:, rows[below], columns[below]]])

    def pointwise(self, thetas: np.ndarray) -> np.ndarray:
        """Marginal log-likelihood of each patient, shape (S, N)."""
        assert self.rows is not None  # of a kernel to be sampled
        X, y, Z, group, n_groups = self.rows
        Z = Z @ np.linalg.inv(self.to[0])  # the columns whose SDs are in theta
        return pointwise(thetas, X, y, Z, group, n_groups) + 0.5 * self.data.log_weights

    def effects(self, point: Point) -> list[Effects]:
        """Random effects of the patients, those of Z itself."""
        return [random_effects(self.data, point.lams[0], point.sigma, point.beta)]

    def predict_rows(
        self, point: Point, Z: Sequence[np.ndarray], group: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, variance (m,) and coupling (m, p) of the random part of rows given the data."""
        b = own_effects(self.data, point.lams[0], point.sigma, point.beta)
        z, known = Z[0] @ np.linalg.inv(self.data.z_basis), group[0] >= 0
        mean, variance = np.zeros(len(z)), np.zeros(len(z))
        coupling = np.zeros((len(z), self.data.p))
        g, own, new = group[0][known], z[known], z[~known]
        mean[known] = np.einsum("iq,iq->i", own, b.mean[g])
        variance[known] = np.einsum("iq,iqr,ir->i", own, b.cov[g], own)
        variance[~known] = np.einsum("iq,qr,ir->i", new, point.D[0], new)
        coupling[known] = np.einsum("iq,iqp->ip", own, b.coupling[g])
        return mean, variance, coupling

    def draw_rows(
        self,
        point: Point,
        Z: Sequence[np.ndarray],
        group: Sequence[np.ndarray],
        rng: np.random.Generator,
    ) -> np.ndarray:
        """The random part of rows with the effects of their patients drawn, shape (m,)."""
        b = own_effects(self.data, point.lams[0], point.sigma, point.beta)
        z, out = Z[0] @ np.linalg.inv(self.data.z_basis), np.zeros(len(Z[0]))
        known, unseen = np.flatnonzero(group[0] >= 0), np.flatnonzero(group[0] < 0)
        needed, back = np.unique(group[0][known], return_inverse=True)
        half = np.linalg.cholesky(b.cov[needed])
        noise = rng.standard_normal(half.shape[:2])
        own = b.mean[needed] + np.einsum("nqr,nr->nq", half, noise)
        out[known] = np.einsum("iq,iq->i", z[known], own[back])
        if len(unseen):
            person, half = -1 - group[0][unseen], point.sigma * point.lams[0]
            new = rng.standard_normal((int(person.max()) + 1, len(half))) @ half.T
            out[unseen] = np.einsum("iq,iq->i", z[unseen], new[person])
        return out
