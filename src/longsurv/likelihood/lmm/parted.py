"""The mixed-model kernel of many patients, whose sums are taken in parts (`parts`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import solve_triangular

from longsurv.likelihood import lmm
from longsurv.likelihood.lmm.blocks import BlockKernel, Rows
from longsurv.likelihood.lmm.curvature import VarianceCurvature, curvature_of
from longsurv.likelihood.lmm.kernel import Peak
from longsurv.likelihood.lmm.loglik import (
    LOG_2PI,
    SMALLEST_QUAD,
    ProfiledLikelihood,
    relative_factor,
    relative_pullback,
)
from longsurv.likelihood.lmm.parts import PartSums, SummedPart, added, parts_of
from longsurv.likelihood.threads import MANY, Computer, Threads


@dataclass(frozen=True, eq=False)
class PartedKernel(BlockKernel):
    """A `BlockKernel` that asks every part of the patients for its sums, and adds.

    Attributes
    ----------
    parts : sequence of SummedPart
    computer : Computer
        What asks them.
    """

    parts: Sequence[SummedPart] = ()
    computer: Computer = field(default_factory=Threads)

    def turned(self, turn: np.ndarray, r: np.ndarray, beta_ols: np.ndarray) -> BlockKernel:
        """The likelihood of (Q, y - Q Q'y) @ turn in their place."""
        return block_kernel_of(self.data.turned(turn, r, beta_ols), self.blocks, self.rows)

    def sums(self, lam: np.ndarray) -> PartSums:
        """Those of all patients, T with W'W."""
        found: PartSums = added(self.computer.each(lambda part: part.sums(lam), self.parts))
        return PartSums(found.log_det, found.T + self.data.cross, found.G, found.products)

    def profile(self, lam: np.ndarray, reml: bool) -> ProfiledLikelihood:
        """See `longsurv.likelihood.lmm.loglik.profile`."""
        data, sums = self.data, self.sums(lam)
        p, log_det = data.p, sums.log_det - data.log_weight
        chol = np.linalg.cholesky(sums.T[:p, :p])
        spread = solve_triangular(chol, np.eye(p), lower=True).T
        along = spread.T @ sums.T[:p, p]
        gamma = spread @ along
        trace, outer = sums.G, sums.outer(np.append(-gamma, 1.0)[:, None])
        if reml:
            log_det += 2.0 * np.log(np.diag(chol)).sum() + 2.0 * data.log_det_r
            trace = trace - sums.outer(np.vstack([spread, np.zeros((1, p))]))
        quad = max(float(sums.T[p, p] - along @ along), SMALLEST_QUAD)
        dof = data.nobs - (p if reml else 0)
        return ProfiledLikelihood(float(log_det), quad, dof, gamma, spread, trace, outer)

    def criterion(self, x: np.ndarray, reml: bool) -> tuple[float, np.ndarray]:
        """Profiled (restricted) log-likelihood of the free elements of Lam, and its gradient."""
        lam = self.factor(x)
        at = self.profile(lam, reml)
        gradient = -(at.curvature(at.sigma2) @ lam)[self.elements]
        return -0.5 * at.deviance(at.sigma2), gradient

    def peak(self, x: np.ndarray, reml: bool) -> Peak:
        """Everything at the free elements of Lam a climb ended at."""
        lam = self.factor(x)
        return self.peak_at(lam, self.profile(lam, reml))

    def curvature(self, peak: Peak, reml: bool) -> VarianceCurvature:
        """In the free elements of D, then sigma^2."""
        (lam,), data = peak.point.lams, self.data
        of_parts = self.computer.each(
            lambda part: part.curvature(lam, peak.sigma2, peak.gamma), self.parts
        )
        return self.freed(
            curvature_of(added(of_parts), data.cross, data.nobs, peak.sigma2, peak.gamma, reml)
        )

    def loglik(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Marginal log-likelihood of the free parameters, and its gradient."""
        data, full = self.data, self.expand(theta)
        p, q = data.p, data.q
        log_sigma, log_tau, z = full[p], full[p + 1 : p + 1 + q], full[p + 1 + q :]
        lam, scale = relative_factor(log_sigma, log_tau, z, data.z_scale)
        sums = self.sums(lam)
        u = np.append(-data.r @ (full[:p] - data.beta_ols), 1.0)
        Tu, precision = sums.T @ u, np.exp(-2.0 * log_sigma)
        quad = float(u @ Tu) * precision
        value = -0.5 * (data.nobs * (LOG_2PI + 2.0 * log_sigma) + sums.log_det + quad)
        by_row, by_z = relative_pullback(sums.G - precision * sums.outer(u[:, None]), lam, scale, z)
        of_beta = data.r.T @ Tu[:p] * precision
        gradient = np.concatenate([of_beta, [-data.nobs + quad - by_row.sum()], by_row, by_z])
        return float(value) + 0.5 * data.log_weight, gradient[self.free]


def block_kernel_of(
    data: lmm.LMMData, blocks: tuple[int, ...], rows: Rows | None = None
) -> BlockKernel:
    """The likelihood of patients' statistics: of many in parts.

    Parameters
    ----------
    data : LMMData
    blocks : tuple of int
        Sizes of the blocks of correlated effects, in the order of the columns of Z.
    rows : Rows, optional
        For `pointwise`.
    """
    if data.patients < MANY:
        return BlockKernel(data, blocks, rows)
    return PartedKernel(data, blocks, rows, parts_of(data.blocks, data.patients))
