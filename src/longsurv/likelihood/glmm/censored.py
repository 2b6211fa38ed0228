"""A Gaussian response of which some values are known to lie beyond a limit only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.normal_cdf import HALF_LOG_2PI, log_normal_cdf
from longsurv.likelihood.glmm.family import EXACT, LEFT, RIGHT
from longsurv.likelihood.glmm.measured import Measured
from longsurv.likelihood.glmm.spaces import null_space

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

CODE = 2


@njit(cache=True, nogil=True, error_model="numpy")
def row(y, kind, eta, par):
    """The eleven numbers of a row; y is the value, or the limit it lies below (LEFT) or above
    (RIGHT).

    Parameter of the row: log sigma.
    """
    scale = par[1, 0]
    r = (y - eta) * scale
    p = scale * scale
    if kind == EXACT:
        value = -0.5 * r * r - par[0, 1] - HALF_LOG_2PI
        return (
            value, r * scale, -p, p, 0.0,
            r * r - 1.0, -2.0 * r * scale, -2.0 * p,
            0.0, 0.0, 0.0,
        )  # fmt: skip
    d = 1.0 if kind == RIGHT else -1.0
    r = -d * r
    value, m, m1, m2 = log_normal_cdf(r)
    return (
        value, d * m * scale, m1 * p, -m1 * p, -d * m2 * p * scale,
        -r * m, -d * (m1 * r + m) * scale, (m2 * r + 2.0 * m1) * p,
        0.0, 0.0, 0.0,
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def at_nodes(y, kind, at, par, h, l1, la):
    """The row at every node; see `longsurv.likelihood.glmm.family`."""
    scale = par[1, 0]
    if kind == EXACT:
        for k in range(at.shape[0]):
            r = (y - at[k]) * scale
            h[k] += -0.5 * r * r - par[0, 1] - HALF_LOG_2PI
            l1[k] = r * scale
            la[k] = r * r - 1.0
        return
    d = -1.0 if kind == LEFT else 1.0
    for k in range(at.shape[0]):
        r = -d * (y - at[k]) * scale
        value, m, _, _ = log_normal_cdf(r)
        h[k] += value
        l1[k] = d * m * scale
        la[k] = -r * m


@dataclass(frozen=True)
class Censored(Measured):
    """y ~ N(eta, sigma^2), or y beyond its limit."""

    name: ClassVar[str] = "censored"
    code: ClassVar[int] = CODE
    takes_censored: ClassVar[bool] = True
    separated: ClassVar[str] = (
        "nothing was measured that would hold {terms}: for some combination of them every "
        "value is beyond its limit"
    )

    def outcome(self, y: np.ndarray, kind: np.ndarray) -> np.ndarray:
        """On which side of its limit a value lies."""
        return kind

    def rising(
        self, X: np.ndarray, outcome: np.ndarray, levels: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """A measured value holds its predictor; one beyond a limit lets it go that way."""
        beyond = outcome > 0
        rows = np.where(outcome[beyond] == LEFT, -1.0, 1.0)[:, None] * X[beyond]
        return null_space(X[outcome == 0]), rows

    def twin(
        self,
        mean: TensorVariable,
        own: Sequence[TensorVariable],
        y: np.ndarray,
        kind: np.ndarray,
        df: float | None,
    ) -> None:
        """State y in the PyMC model in context."""
        import pymc as pm

        (sigma,), exact = own, kind == EXACT
        pm.Normal("y", mean[exact], sigma, observed=y[exact])
        # P(y > limit) is P(-y < -limit).
        for name, code, sign in (("below", LEFT, 1.0), ("above", RIGHT, -1.0)):
            rows = np.flatnonzero(kind == code)
            if len(rows):
                latent = pm.Normal.dist(sign * mean[rows], sigma)
                pm.Potential(name, pm.logcdf(latent, sign * y[rows]).sum())
