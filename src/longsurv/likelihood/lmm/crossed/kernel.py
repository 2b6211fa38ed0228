"""The mixed model with several groupings as functions of parameter vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from longsurv.likelihood.lmm.crossed.curvature import crossed_curvature
from longsurv.likelihood.lmm.crossed.data import CrossedData, CrossedState, factored
from longsurv.likelihood.lmm.crossed.effects import draw_rows, given, left_out, predict_rows
from longsurv.likelihood.lmm.crossed.sums import of_patients
from longsurv.likelihood.lmm.curvature import VarianceCurvature
from longsurv.likelihood.lmm.kernel import Effects, Peak, Point
from longsurv.likelihood.lmm.loglik import LOG_2PI
from longsurv.likelihood.lmm.terms import TermKernel


@dataclass(frozen=True, eq=False)
class CrossedKernel(TermKernel[CrossedData, CrossedState]):
    """Patients are eliminated one by one, other groupings together (see `TermKernel`)."""

    def state(self, values: np.ndarray, lams: Sequence[np.ndarray]) -> CrossedState:
        """Of all rows at once; the residual covariance over sigma^2 is 1."""
        return factored(self.data, lams)

    def pulled(
        self, spread: np.ndarray, state: CrossedState
    ) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """Group by group."""
        data = self.data
        _, own, shared, H = of_patients(state.G, state.B, state.B @ state.SW, *data.sums)
        moved = (H @ spread).transpose(1, 0, 2).reshape(H.shape[1], -1)
        slopes = [(own - shared).sum(axis=0) - moved @ moved.T]
        of_rest = state.left @ np.column_stack([state.S, state.SW @ spread])
        for t in range(1, len(data.blocks)):
            at = data.of_term(t)
            inside = of_rest[at[:, :, None], at[:, None, :]].sum(axis=0)
            moved = of_rest[at, len(of_rest) :].transpose(1, 0, 2).reshape(at.shape[1], -1)
            slopes.append(inside - moved @ moved.T)
        # Residuals are independent: nothing follows from the one kind of pair.
        return tuple(slopes), np.zeros(1)

    # ---- what a fitted model asks: see `MixedKernel` ----

    largest_cluster: ClassVar[int] = 0
    """Sums by patient are enough."""

    def curvature(self, peak: Peak, reml: bool) -> VarianceCurvature:
        """In the free elements of every D, then sigma^2."""
        state = factored(self.data, peak.point.lams)
        return crossed_curvature(
            self.data, state, self.elements, peak.point.D, peak.sigma2, peak.gamma, reml
        )

    def pointwise(self, thetas: np.ndarray) -> np.ndarray:
        """Marginal log-likelihood of each group of the coarsest grouping, where all are nested in
        it, or of all rows together, shape (S, C)."""
        data = self.data
        if data.tops is None:
            return np.array([[self.loglik(theta)[0]] for theta in thetas])
        of_patient, of_column = data.tops
        count = int(of_patient.max()) + 1
        rows = np.bincount(of_patient[data.patient], minlength=count)
        out = np.empty((len(thetas), count))
        for s, theta in enumerate(thetas):
            state, u = factored(data, self.factors(theta)), self._residual(theta[: data.p])
            e = data.W @ u
            score = data.ztw @ u
            quads = np.bincount(data.patient, e**2, len(score))
            quads -= np.einsum("na,nab,nb->n", score, state.G, score)
            # K is block-diagonal in the coarsest groups, and so is its root.
            explained = (state.half @ state.SW @ u) ** 2
            log_det = np.bincount(of_patient, state.log_dets, count)
            log_det += np.bincount(of_column, 2.0 * np.log(np.diag(state.root)), count)
            quad = np.bincount(of_patient, quads, count) - np.bincount(of_column, explained, count)
            log_sigma = theta[data.p]
            out[s] = -0.5 * (
                rows * (LOG_2PI + 2.0 * log_sigma) + log_det + quad * np.exp(-2.0 * log_sigma)
            )
        return out

    def left_out(self, thetas: np.ndarray) -> np.ndarray:
        """Log density of the rows of each patient given all other rows, shape (S, N)."""
        out = np.empty((len(thetas), len(self.data.ztz)))
        for s, theta in enumerate(thetas):
            state, u = (
                factored(self.data, self.factors(theta)),
                self._residual(theta[: self.data.p]),
            )
            out[s] = left_out(self.data, state, u, float(theta[self.data.p]))
        return out

    def _residual(self, beta: np.ndarray) -> np.ndarray:
        """u with y - X beta = W u."""
        return np.append(-self.data.r @ (beta - self.data.beta_ols), 1.0)

    def effects(self, point: Point) -> list[Effects]:
        """Random effects, those of Z itself, of every term."""
        found, data = given(self.data, point.lams, self._residual(point.beta)), self.data
        own = [(found.mean, found.cov)]
        for t in range(1, len(data.blocks)):
            at = data.of_term(t)
            own.append((found.rest[at], found.state.B[at[:, :, None], at[:, None, :]]))
        out = []
        for (mean, cov), basis in zip(own, data.bases, strict=True):
            back = np.linalg.inv(basis)
            out.append(Effects(mean @ back.T, point.sigma**2 * (back @ cov @ back.T)))
        return out

    def predict_rows(
        self, point: Point, Z: Sequence[np.ndarray], group: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, variance (m,) and coupling (m, p) of the random part of rows given the data."""
        mean, variance, coupling = predict_rows(
            self.data, point, self._residual(point.beta), Z, group
        )
        return mean, variance, coupling @ self.data.r

    def draw_rows(
        self,
        point: Point,
        Z: Sequence[np.ndarray],
        group: Sequence[np.ndarray],
        rng: np.random.Generator,
    ) -> np.ndarray:
        """The random part of rows with the effects of all their groups drawn, shape (m,)."""
        return draw_rows(self.data, point, self._residual(point.beta), Z, group, rng)
