"""A Gaussian response of which some values are only known to lie beyond a limit or between two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.normal_cdf import HALF_LOG_2PI, log_normal_cdf
from longsurv.likelihood.arithmetic.normal_interval import log_normal_interval
from longsurv.likelihood.glmm.family import EXACT, INTERVAL, LEFT, RIGHT, kinds_of
from longsurv.likelihood.glmm.measured import Measured
from longsurv.likelihood.glmm.spaces import null_space

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

CODE = 2


@njit(cache=True, nogil=True, error_model="numpy")
def row(y, extent, eta, par):
    """The eleven numbers of a row; the value lies between y and y + extent.

    Parameter of the row: log sigma.
    """
    scale = par[1, 0]
    r = (y - eta) * scale
    p = scale * scale
    if extent == 0.0:
        value = -0.5 * r * r - par[0, 1] - HALF_LOG_2PI
        return (
            value, r * scale, -p, p, 0.0,
            r * r - 1.0, -2.0 * r * scale, -2.0 * p,
            0.0, 0.0, 0.0,
        )  # fmt: skip
    if not math.isinf(extent):
        value, d1, d2, d3, e, de, dde = log_normal_interval(r, extent * scale)
        return (
            value, -d1 * scale, d2 * p, -d2 * p, d3 * p * scale,
            e, -de * scale, -dde * p,
            0.0, 0.0, 0.0,
        )  # fmt: skip
    d = 1.0 if extent > 0.0 else -1.0
    r = -d * r
    value, m, m1, m2 = log_normal_cdf(r)
    return (
        value, d * m * scale, m1 * p, -m1 * p, -d * m2 * p * scale,
        -r * m, -d * (m1 * r + m) * scale, (m2 * r + 2.0 * m1) * p,
        0.0, 0.0, 0.0,
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def at_nodes(y, extent, at, par, h, l1, la):
    """The row at every node; see `longsurv.likelihood.glmm.family`."""
    scale = par[1, 0]
    if extent == 0.0:
        for k in range(at.shape[0]):
            r = (y - at[k]) * scale
            h[k] += -0.5 * r * r - par[0, 1] - HALF_LOG_2PI
            l1[k] = r * scale
            la[k] = r * r - 1.0
        return
    if not math.isinf(extent):
        for k in range(at.shape[0]):
            value, d1, _, _, e, _, _ = log_normal_interval((y - at[k]) * scale, extent * scale)
            h[k] += value
            l1[k] = -d1 * scale
            la[k] = e
        return
    d = -1.0 if extent < 0.0 else 1.0
    for k in range(at.shape[0]):
        r = -d * (y - at[k]) * scale
        value, m, _, _ = log_normal_cdf(r)
        h[k] += value
        l1[k] = d * m * scale
        la[k] = -r * m


@dataclass(frozen=True)
class Censored(Measured):
    """y ~ N(eta, sigma^2), or y beyond its limit, or between two."""

    name: ClassVar[str] = "censored"
    code: ClassVar[int] = CODE
    takes_censored: ClassVar[bool] = True
    log_normal: ClassVar[bool] = True
    separated: ClassVar[str] = (
        "nothing was measured that would hold {terms}: for some combination of them every "
        "value is beyond its limit"
    )

    def outcome(self, y: np.ndarray, kind: np.ndarray) -> np.ndarray:
        """On which side of its limit a value lies, or that it is held from both."""
        return kind

    def rising(
        self, X: np.ndarray, outcome: np.ndarray, levels: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """A measured value, or one between two limits, holds its predictor; one beyond a limit lets
        it go that way."""
        beyond = (outcome == LEFT) | (outcome == RIGHT)
        rows = np.where(outcome[beyond] == LEFT, -1.0, 1.0)[:, None] * X[beyond]
        return null_space(X[~beyond]), rows

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

        (sigma,), kind = own, kinds_of(extent)
        exact = kind == EXACT
        pm.Normal("y", mean[exact], sigma, observed=y[exact])
        # P(y > limit) is P(-y < -limit).
        for name, code, sign in (("below", LEFT, 1.0), ("above", RIGHT, -1.0)):
            rows = np.flatnonzero(kind == code)
            if len(rows):
                latent = pm.Normal.dist(sign * mean[rows], sigma)
                pm.Potential(name, pm.logcdf(latent, sign * y[rows]).sum())
        rows = np.flatnonzero(kind == INTERVAL)
        if len(rows):
            # From the nearer tail: log(Phi(b) - Phi(a)) of the bounds a < b, both turned to be low.
            middle = y[rows] + extent[rows] / 2.0
            side = pm.math.switch(pm.math.gt(middle, mean[rows]), -1.0, 1.0)
            far = pm.math.switch(pm.math.gt(side, 0.0), y[rows], y[rows] + extent[rows])
            near = 2.0 * middle - far
            latent = pm.Normal.dist(side * mean[rows], sigma)
            logs = pm.logcdf(latent, side * near), pm.logcdf(latent, side * far)
            pm.Potential("between", pm.math.logdiffexp(*logs).sum())
