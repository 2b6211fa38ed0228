"""The mixed model with correlated residuals and nested groups as functions of parameter vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from longsurv.likelihood.arithmetic.covariance import (
    correlation_cholesky,
    correlation_pullback,
    covariance,
)
from longsurv.likelihood.lmm.blocks import carried, free_elements, interior, packed, straightened
from longsurv.likelihood.lmm.curvature import VarianceCurvature
from longsurv.likelihood.lmm.dense.clusters import largest_cluster
from longsurv.likelihood.lmm.dense.curvature import dense_curvature
from longsurv.likelihood.lmm.dense.loglik import DenseData, forward_state, profile, pull
from longsurv.likelihood.lmm.dense.patients import group_effects, predict_rows
from longsurv.likelihood.lmm.kernel import Effects, Peak, Point
from longsurv.likelihood.lmm.loglik import LOG_2PI


@dataclass(frozen=True, eq=False)
class DenseKernel:
    """Likelihoods of vectors of free parameters, as `longsurv.likelihood.lmm.blocks.BlockKernel`.

    For the profiled criterion they are the free elements of each term's Lam, then psi. For `loglik`
    they are beta; log sigma; log SDs of each term; the scalars of psi; unconstrained correlations
    of each term, and of an unstructured residual.
    """

    data: DenseData

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
        at = profile(self.data, factors, psi, reml)
        parts = [
            -(S @ lam)[where]
            for S, lam, where in zip(
                self._by_term(at.own, at.outer), factors, self.elements, strict=True
            )
        ]
        slope = -0.5 * self.data.structure.pullback(psi, at.by_kind)
        return -0.5 * at.deviance(at.sigma2), np.concatenate([*parts, slope])

    def _by_term(self, own: np.ndarray, outer: np.ndarray) -> list[np.ndarray]:
        out, at = [own], 0
        for blocks in self.data.blocks[1:]:
            end = at + sum(blocks)
            out.append(outer[at:end, at:end])
            at = end
        return out

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
        for blocks in self.data.blocks:
            log_tau.append(theta[at : at + sum(blocks)])
            at += sum(blocks)
        scalars = theta[at : at + self.n_scalars]
        at += self.n_scalars
        z = []
        for (rows, columns), tau in zip(self.elements, log_tau, strict=True):
            below = rows > columns
            full = np.zeros(len(tau) * (len(tau) - 1) // 2)
            full[packed(rows, columns)] = theta[at : at + below.sum()]
            z.append(full)
            at += int(below.sum())
        return theta[:p], log_tau, z, np.concatenate([scalars, theta[at:]])

    def factors(self, theta: np.ndarray) -> list[np.ndarray]:
        """Lam of each term, in the kernel's columns of Z."""
        _, log_tau, z, _ = self.unpack(theta)
        log_sigma = theta[self.data.p]
        return [
            (np.exp(tau - log_sigma) * scale)[:, None] * _cholesky(zt, len(tau))
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
        spread = np.sqrt(np.mean(data.W[:, -1] ** 2))
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
        values, lams = data.structure.values(psi), self.factors(theta)
        state = forward_state(data, values, lams)
        T = state.T
        u = np.append(-data.r @ (beta - data.beta_ols), 1.0)
        precision = np.exp(-2.0 * log_sigma)
        quad = u @ T @ u
        value = -0.5 * (data.nobs * (LOG_2PI + 2.0 * log_sigma) + state.log_det + quad * precision)
        own, outer, by_kind = pull(data, (u * np.exp(-log_sigma))[:, None], len(values), state)
        taus, zs, total = [], [], 0.0
        for S, lam, lt, zt, size, (rows, columns) in zip(
            self._by_term(own, outer), lams, log_tau, z, data.scales, self.elements, strict=True
        ):
            d = -np.tril(S @ lam)
            by_row = (d * lam).sum(axis=1)
            taus.append(by_row)
            total += by_row.sum()
            if len(zt):
                dK = d * (np.exp(lt - log_sigma) * size)[:, None]
                zs.append(correlation_pullback(zt, len(lt), dK)[packed(rows, columns)])
        slope = -0.5 * data.structure.pullback(psi, by_kind)
        gradient = np.concatenate(
            [
                (data.r.T @ (T @ u)[:p]) * precision,
                [-data.nobs + quad * precision - total],
                *taus,
                slope[: self.n_scalars],
                *zs,
                slope[self.n_scalars :],
            ]
        )
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

    @property
    def largest_cluster(self) -> int:
        """Rows of the largest cluster."""
        return largest_cluster(self.data)

    def peak(self, x: np.ndarray, reml: bool) -> Peak:
        """Everything at the x a climb ended at."""
        lams, psi = self.split(x)
        at = profile(self.data, lams, psi, reml)
        sigma = float(np.sqrt(at.sigma2))
        D = tuple(at.sigma2 * lam @ lam.T for lam in lams)
        return Peak(
            point=Point(self.data.coefficients(at.gamma), sigma, tuple(lams), D, psi),
            sigma2=at.sigma2,
            gamma=at.gamma,
            eta=self.data.structure.covariance_parameters(sigma, psi),
            llf=-0.5 * at.deviance(at.sigma2),
            phi=at.spread @ at.spread.T * at.sigma2,
        )

    def curvature(self, peak: Peak, reml: bool) -> VarianceCurvature:
        """In the free elements of every D, then eta."""
        return dense_curvature(self.data, peak.point.D, peak.eta, peak.gamma, reml)

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

    def pointwise(self, thetas: np.ndarray) -> np.ndarray:
        """Marginal log-likelihood of each cluster, shape (S, C)."""
        data, p = self.data, self.data.p
        _, rows, _, _, clusters, _, _ = data.indices
        counts = np.diff(rows[clusters])
        out = np.empty((len(thetas), len(counts)))
        for s, theta in enumerate(thetas):
            beta, _, _, psi = self.unpack(theta)
            u = np.append(-data.r @ (beta - data.beta_ols), 1.0)
            one = replace(data, W=(data.W @ u)[:, None])
            running = forward_state(one, data.structure.values(psi), self.factors(theta)).running
            log_det, quad = np.diff(running, axis=0, prepend=0.0).T
            precision = np.exp(-2.0 * theta[p])
            out[s] = -0.5 * (counts * (LOG_2PI + 2.0 * theta[p]) + log_det + quad * precision)
        return out

    def _given(self, point: Point) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
        """D, residual covariances and gamma."""
        gamma = self.data.r @ (point.beta - self.data.beta_ols)
        return point.D, self.residual_cov(point), gamma

    def effects(self, point: Point) -> list[Effects]:
        """Random effects, those of Z itself, of every term that has some."""
        found = group_effects(self.data, *self._given(point))
        return [effects for effects in found if effects.mean.shape[1]]

    def predict_rows(
        self, point: Point, Z: Sequence[np.ndarray], group: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, variance (m,) and coupling (m, p) of the random part of rows given the data."""
        mean, variance, coupling = predict_rows(self.data, *self._given(point), Z, group)
        return mean, variance, coupling @ self.data.r

    def draw_rows(
        self,
        point: Point,
        Z: Sequence[np.ndarray],
        group: Sequence[np.ndarray],
        rng: np.random.Generator,
    ) -> np.ndarray:
        """The random part of each row drawn on its own, shape (m,)."""
        mean, variance, _ = self.predict_rows(point, Z, group)
        return mean + np.sqrt(variance) * rng.standard_normal(len(mean))


def _cholesky(z: np.ndarray, q: int) -> np.ndarray:
    return correlation_cholesky(np.ascontiguousarray(z), q) if q else np.empty((0, 0))
