"""The mixed model of several groupings as functions of parameter vectors, whatever its arrays are.

A kernel of this family has random effects of several terms and a structure of the residuals. What
differs between its kinds is how V / sigma^2 is factored and what is summed over it: a `State`, and
`pulled`, which goes back from sums to slopes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from scipy.linalg import solve_triangular

from longsurv.likelihood.arithmetic.covariance import count_correlations, covariance
from longsurv.likelihood.lmm.blocks import carried, free_elements, interior, packed, straightened
from longsurv.likelihood.lmm.kernel import Peak, Point
from longsurv.likelihood.lmm.loglik import (
    LOG_2PI,
    SMALLEST_QUAD,
    relative_factor,
    relative_pullback,
)
from longsurv.likelihood.lmm.term_data import Profiled, State, TermData

_NO_EFFECTS = (np.empty((0, 0)), np.empty(0))  # of patients whose rows only residuals correlate


@dataclass(frozen=True, eq=False)
class TermKernel[D: TermData, S: State](ABC):
    """Likelihoods of vectors of free parameters, as `longsurv.likelihood.lmm.blocks.BlockKernel`.

    For the profiled criterion they are the free elements of each term's Lam, then psi. For `loglik`
    they are beta; log sigma; log SDs of each term; the scalars of psi; unconstrained correlations
    of each term, and of an unstructured residual.
    """

    data: D

    @abstractmethod
    def state(self, values: np.ndarray, lams: Sequence[np.ndarray]) -> S:
        """V / sigma^2 at values (K,) of the residual covariance and Lam of each term.

        Raises
        ------
        numpy.linalg.LinAlgError
            If it is not positive definite.
        """

    @abstractmethod
    def pulled(self, spread: np.ndarray, state: S) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """Sums over all groups of Z'V^-1 Z - (Z'V^-1 W spread)(...)' of each term, and the same
        over the pairs of rows of each kind, with V over sigma^2 and spread of shape (p + 1, r)."""

    def profile(self, lams: Sequence[np.ndarray], psi: np.ndarray, reml: bool) -> Profiled:
        """Solve for beta at relative covariance factors of each term and residual parameters psi.

        Raises
        ------
        numpy.linalg.LinAlgError
            If V or X' V^-1 X is not positive definite.
        """
        data = self.data
        p = data.p
        state = self.state(data.structure.values(psi), lams)
        log_det, T = state.log_det, state.T
        try:
            chol = np.linalg.cholesky(T[:p, :p])
        except np.linalg.LinAlgError:
            raise np.linalg.LinAlgError("X' V^-1 X is not positive definite") from None
        spread = solve_triangular(chol, np.eye(p), lower=True).T
        half = spread.T @ T[:p, p]
        gamma = spread @ half
        quad = max(float(T[p, p] - half @ half), SMALLEST_QUAD)
        dof = data.nobs - (p if reml else 0)
        columns = [np.append(-gamma, 1.0)[:, None] / np.sqrt(quad / dof)]
        if reml:
            log_det += 2.0 * float((np.log(np.diag(chol)) + np.log(np.abs(np.diag(data.r)))).sum())
            columns.append(np.vstack([spread, np.zeros((1, p))]))
        slopes, by_kind = self.pulled(np.hstack(columns), state)
        return Profiled(log_det, quad, dof, gamma, spread, slopes, by_kind)

    def turned(self, turn: np.ndarray, r: np.ndarray, beta_ols: np.ndarray) -> Self:
        """The likelihood of W @ turn in place of W."""
        return replace(self, data=self.data.turned(turn, r, beta_ols))

    @cached_property
    def elements(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows and columns of the free elements of each Lam."""
        return [free_elements(blocks) for blocks in self.data.blocks]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters of the criterion."""
        lams = tuple(
            f"Lam{t}[{a},{b}]"
            for t, (rows, columns) in enumerate(self.elements)
            for a, b in zip(rows, columns, strict=True)
        )
        return (*lams, *self.data.structure.names)

    @property
    def lower(self) -> np.ndarray:
        """Their lower bounds."""
        bounds = [np.where(r == c, 0.0, -np.inf) for r, c in self.elements]
        return np.concatenate([*bounds, self.data.structure.lower])

    @property
    def starts(self) -> list[np.ndarray]:
        """Points to start a climb from, one of which is near."""
        psi = self.data.structure.start
        correlated = (psi, np.zeros_like(psi)) if psi.any() else (psi,)
        identity = [(r == c).astype(float) for r, c in self.elements]
        sizes = (0.1, 0.3, 1.0, 3.0) if any(len(part) for part in identity) else (1.0,)
        return [
            np.concatenate([*(size * part for part in identity), start])
            for size in sizes
            for start in correlated
        ]

    def split(self, x: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Lam of each term, and psi."""
        factors, at = [], 0
        for (rows, columns), blocks in zip(self.elements, self.data.blocks, strict=True):
            lam = np.zeros((sum(blocks), sum(blocks)))
            lam[rows, columns] = x[at : at + len(rows)]
            factors.append(lam)
            at += len(rows)
        return factors, x[at:]

    def criterion(self, x: np.ndarray, reml: bool) -> tuple[float, np.ndarray]:
        """Profiled (restricted) log-likelihood and its gradient."""
        factors, psi = self.split(x)
        at = self.profile(factors, psi, reml)
        parts = [
            -(S @ lam)[where]
            for S, lam, where in zip(at.slopes, factors, self.elements, strict=True)
        ]
        slope = -0.5 * self.data.structure.pullback(psi, at.by_kind)
        return -0.5 * at.deviance(at.sigma2), np.concatenate([*parts, slope])

    # ---- unprofiled, for Bayes ----

    @cached_property
    def n_scalars(self) -> int:
        """Number of residual parameters other than those of a whole correlation matrix."""
        return self.data.structure.n_scalars

    def unpack(
        self, theta: np.ndarray
    ) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray], np.ndarray]:
        """beta, log SDs and all partial correlations of each term, and psi."""
        p, at = self.data.p, self.data.p + 1
        log_tau = []
        for q, _ in self._correlations:
            log_tau.append(theta[at : at + q])
            at += q
        scalars = theta[at : at + self.n_scalars]
        at += self.n_scalars
        z = []
        for q, places in self._correlations:
            full = np.zeros(count_correlations(q))
            full[places] = theta[at : at + len(places)]
            z.append(full)
            at += len(places)
        return theta[:p], log_tau, z, np.concatenate([scalars, theta[at:]])

    @cached_property
    def _correlations(self) -> list[tuple[int, np.ndarray]]:
        """Of each term how many effects it has, and which of their correlations are free."""
        pairs = zip(self.data.blocks, self.elements, strict=True)
        return [(sum(blocks), packed(*where)) for blocks, where in pairs]

    def factors(self, theta: np.ndarray) -> list[np.ndarray]:
        """Lam of each term, in the kernel's columns of Z."""
        _, log_tau, z, _ = self.unpack(theta)
        return [lam for lam, _ in self._scaled(theta[self.data.p], log_tau, z)]

    def _scaled(
        self, log_sigma: float, log_tau: Sequence[np.ndarray], z: Sequence[np.ndarray]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Lam of each term and the scales of its rows."""
        return [
            relative_factor(log_sigma, tau, zt, scale) if len(tau) else _NO_EFFECTS
            for tau, zt, scale in zip(log_tau, z, self.data.scales, strict=True)
        ]

    @property
    def residual_names(self) -> tuple[str, ...]:
        """Names of the residual's scalars, all on unconstrained scales."""
        return self.data.structure.names[: self.n_scalars]

    @property
    def correlated(self) -> tuple[int, ...]:
        """Sizes of the correlation matrices of theta."""
        residual = self.data.structure.matrices
        return (*(size for blocks in self.data.blocks for size in blocks), *residual)

    @property
    def to(self) -> tuple[np.ndarray, ...]:
        """The SDs and correlations of each term of `loglik` are of the effects to @ b."""
        pairs = zip(self.data.bases, self.data.scales, strict=True)
        return tuple(basis / scale[:, None] for basis, scale in pairs)

    @property
    def coordinates(self) -> tuple[np.ndarray, np.ndarray]:
        """As those of `BlockKernel`."""
        data = self.data
        spread = data.spread
        centre = np.log(spread / np.concatenate([[1.0], *data.scales]))
        below = sum(int((rows > columns).sum()) for rows, columns in self.elements)
        size = data.p + len(centre) + data.structure.size + below
        return straightened(data, spread, centre, size)

    def interior(
        self, beta: np.ndarray, sigma: float, x: np.ndarray, to: Sequence[np.ndarray] | None = None
    ) -> np.ndarray:
        """As `BlockKernel.interior`, with `to` of each term."""
        lams, psi = self.split(x)
        bases = self.data.bases
        if to is not None:
            bases = tuple(b @ np.linalg.inv(t) for b, t in zip(bases, to, strict=True))
        pairs = [
            interior(lam, sigma, basis, elements)
            for lam, basis, elements in zip(lams, bases, self.elements, strict=True)
        ]
        psi = np.clip(psi, -3.0, 3.0)
        return np.concatenate(
            [
                beta,
                [np.log(sigma)],
                *(tau for tau, _ in pairs),
                psi[: self.n_scalars],
                *(z for _, z in pairs),
                psi[self.n_scalars :],
            ]
        )

    def loglik(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Marginal log-likelihood and its gradient.

        Raises
        ------
        numpy.linalg.LinAlgError
            If V is not positive definite to working precision.
        """
        data, p = self.data, self.data.p
        beta, log_tau, z, psi = self.unpack(theta)
        log_sigma = theta[p]
        scaled = self._scaled(log_sigma, log_tau, z)
        state = self.state(data.structure.values(psi), [lam for lam, _ in scaled])
        T = state.T
        u = np.append(-data.r @ (beta - data.beta_ols), 1.0)
        precision = np.exp(-2.0 * log_sigma)
        quad = u @ T @ u
        value = -0.5 * (data.nobs * (LOG_2PI + 2.0 * log_sigma) + state.log_det + quad * precision)
        slopes, by_kind = self.pulled((u * np.exp(-log_sigma))[:, None], state)
        gradient, at = np.empty_like(theta), p + 1
        gradient[:p] = (data.r.T @ (T @ u)[:p]) * precision
        gradient[p] = -data.nobs + quad * precision
        zs = []
        for S, (lam, scale), zt, (q, places) in zip(
            slopes, scaled, z, self._correlations, strict=True
        ):
            if q:
                by_row, by_z = relative_pullback(S, lam, scale, zt)
                gradient[at : at + q] = by_row
                gradient[p] -= by_row.sum()
                zs.append(by_z[places])
                at += q
        slope = -0.5 * data.structure.pullback(psi, by_kind)
        gradient[at:] = np.concatenate([slope[: self.n_scalars], *zs, slope[self.n_scalars :]])
        return value, gradient

    # ---- what a fitted model asks: see `MixedKernel` ----

    @property
    def bases(self) -> tuple[np.ndarray, ...]:
        """Of each term."""
        return self.data.bases

    @property
    def free_elements(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each term."""
        return self.elements

    def coefficients(self, gamma: np.ndarray) -> np.ndarray:
        """beta (p,) from gamma (p,), its orthonormal coordinates."""
        return self.data.beta_ols + solve_triangular(self.data.r, gamma, lower=False)

    def peak(self, x: np.ndarray, reml: bool) -> Peak:
        """Everything at the x a climb ended at."""
        lams, psi = self.split(x)
        at = self.profile(lams, psi, reml)
        sigma = float(np.sqrt(at.sigma2))
        D = tuple(at.sigma2 * lam @ lam.T for lam in lams)
        return Peak(
            point=Point(self.coefficients(at.gamma), sigma, tuple(lams), D, psi),
            sigma2=at.sigma2,
            gamma=at.gamma,
            eta=self.data.structure.covariance_parameters(sigma, psi),
            llf=-0.5 * at.deviance(at.sigma2),
            phi=at.spread @ at.spread.T * at.sigma2,
        )

    def shown(self, eta: np.ndarray) -> np.ndarray:
        """What is reported of the residual covariance; eta may be complex."""
        return self.data.structure.shown(eta)

    def flags(self, point: Point) -> tuple[str, ...]:
        """What a reader must know of the residual covariance."""
        return self.data.structure.flags(point.psi)

    def residual_cov(self, point: Point) -> np.ndarray:
        """Residual covariance of each kind of pair of rows, shape (K,)."""
        structure = self.data.structure
        return structure.covariance(structure.covariance_parameters(point.sigma, point.psi))

    def cell_variances(self, point: Point) -> np.ndarray:
        """Of each cell of the structure."""
        structure = self.data.structure
        return structure.covariance_parameters(point.sigma, point.psi)[: structure.n_cells]

    def expand(self, theta: np.ndarray) -> np.ndarray:
        """theta itself: zeros are put in by `unpack`."""
        return theta

    def point(self, theta: np.ndarray) -> Point:
        """The values that theta stands for."""
        beta, _, _, psi = self.unpack(theta)
        sigma, lams = float(np.exp(theta[self.data.p])), tuple(self.factors(theta))
        return Point(beta, sigma, lams, tuple(sigma**2 * lam @ lam.T for lam in lams), psi)

    def natural(self, thetas: np.ndarray) -> np.ndarray:
        """Residual parameters, then SDs and free correlations of every term, shape (S, m)."""
        return np.array([self._natural(theta) for theta in thetas])

    def _natural(self, theta: np.ndarray) -> np.ndarray:
        _, log_tau, z, psi = self.unpack(theta)
        parts = [self.data.structure.report(float(np.exp(theta[self.data.p])), psi)]
        for log_sd, zt, (rows, columns), to in zip(log_tau, z, self.elements, self.to, strict=True):
            tau, below = np.exp(log_sd), rows > columns
            if below.any():
                tau, C = carried(tau, covariance(np.ones(len(tau)), zt), to)
                parts += [tau, C[rows[below], columns[below]]]
            else:
                parts.append(tau)
        return np.concatenate(parts)
