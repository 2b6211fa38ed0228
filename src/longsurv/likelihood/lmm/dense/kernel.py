"""The mixed model with correlated residuals and nested groups as functions of parameter vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from longsurv.likelihood.lmm.curvature import VarianceCurvature
from longsurv.likelihood.lmm.dense.clusters import largest_cluster
from longsurv.likelihood.lmm.dense.curvature import dense_curvature
from longsurv.likelihood.lmm.dense.loglik import DenseData, DenseState, forward_state, pull
from longsurv.likelihood.lmm.dense.patients import group_effects, predict_rows
from longsurv.likelihood.lmm.kernel import Effects, Peak, Point
from longsurv.likelihood.lmm.loglik import LOG_2PI
from longsurv.likelihood.lmm.terms import TermKernel


@dataclass(frozen=True, eq=False)
class DenseKernel(TermKernel[DenseData, DenseState]):
    """V of each cluster of rows is factored as it stands (see `TermKernel`)."""

    def state(self, values: np.ndarray, lams: Sequence[np.ndarray]) -> DenseState:
        """Cluster by cluster."""
        return forward_state(self.data, values, lams)

    def pulled(
        self, spread: np.ndarray, state: DenseState
    ) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """Over the rows of each cluster."""
        own, outer, by_kind = pull(self.data, spread, len(self.data.structure.lag), state)
        slopes, at = [own], 0
        for blocks in self.data.blocks[1:]:
            end = at + sum(blocks)
            slopes.append(outer[at:end, at:end])
            at = end
        return tuple(slopes), by_kind

    # ---- what a fitted model asks: see `MixedKernel` ----

    @property
    def largest_cluster(self) -> int:
        """Rows of the largest cluster."""
        return largest_cluster(self.data)

    def curvature(self, peak: Peak, reml: bool) -> VarianceCurvature:
        """In the free elements of every D, then eta."""
        return dense_curvature(self.data, peak.point.D, peak.eta, peak.gamma, reml)

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
