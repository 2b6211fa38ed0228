"""How much the values of a mixed model vary in each cell of marginal means: patients, sites and the
residual together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd

from longsurv.design.mixed import MixedDesign
from longsurv.errors import LongsurvError
from longsurv.estimands.answered import ByBayes
from longsurv.inference import Optimum, identify
from longsurv.likelihood.lmm.kernel import MixedKernel, Point
from longsurv.results.arithmetic import DrawnLogs, FittedLogs, Patients, Spread
from longsurv.results.averaged import Averaged
from longsurv.results.means import Means
from longsurv.results.mixed.fitted import FittedLMM
from longsurv.results.mixed.variances import VarianceEstimate
from longsurv.results.reference import root_of
from longsurv.results.reference_grid import averaged, with_random

STEP = 1e-3
"""Of differences, in standard errors."""
SMALLEST = 1e-8
"""Scaled eigenvalues of a Hessian below this are the error of its differences."""


class FittedSpread(FittedLMM, Protocol):
    """An estimate of a mixed model."""

    @property
    def kernel(self) -> MixedKernel:
        """The likelihood that was climbed."""

    @property
    def optimum(self) -> Optimum:
        """Where."""

    @property
    def variance(self) -> VarianceEstimate:
        """The variance parameters."""

    @property
    def coefficients(self) -> np.ndarray:
        """Shape (p,)."""


class DrawnSpread(Averaged, ByBayes, Protocol):
    """A posterior of one."""

    @property
    def kernel(self) -> MixedKernel:
        """The likelihood that was sampled."""

    @property
    def design(self) -> MixedDesign:
        """The arrays of the model."""

    @property
    def coefficients(self) -> np.ndarray:
        """Draws, shape (chains, draws, p)."""

    def _points(self) -> Iterator[Point]:
        """The values of the parameters draw by draw."""


class Cells(NamedTuple):
    """What the variance of each row of a grid of means depends on.

    Attributes
    ----------
    Z : list of ndarray, shape (rows, q_t)
        Of each grouping, in the kernel's columns; none for a typical patient.
    cell : ndarray of int, shape (rows,)
        Which of the residual variances.
    weights : ndarray, shape (k, rows of each cell)
    """

    Z: list[np.ndarray]
    cell: np.ndarray
    weights: np.ndarray

    def at(self, point: Point, kernel: MixedKernel) -> np.ndarray:
        """The variance of each cell, shape (k,).

        Parameters
        ----------
        point : Point
        kernel : MixedKernel

        Returns
        -------
        ndarray, shape (k,)
        """
        total = kernel.cell_variances(point)[self.cell]
        for z, D in zip(self.Z, point.D, strict=bool(self.Z)):
            total = total + np.einsum("ij,jk,ik->i", z, D, z)
        found: np.ndarray = averaged(total[:, None], self.weights)[:, 0]
        return found


def _cells(
    design: MixedDesign, kernel: MixedKernel, data: pd.DataFrame, of: Means, patients: Patients
) -> Cells:
    cell = np.zeros(len(of.grid), dtype=np.int64)
    if design.residual is not None:
        _check_residual(design, of)
        cell = design.residual.cell_of(of.grid)
    if patients == "typical":
        return Cells([], cell, of.weights)
    parts = [part for term in design.terms for part in term.random.parts]
    rows = with_random(of.grid, parts, data.iloc[design.rows])
    Z = [
        term.random.rebuild(rows) @ np.linalg.inv(basis) if len(basis) else np.empty((len(rows), 0))
        for term, basis in zip(design.terms, kernel.bases, strict=True)
    ]
    return Cells(Z, cell, of.weights)


def _check_residual(design: MixedDesign, of: Means) -> None:
    """Refuse means that do not say which residual variance is theirs."""
    assert design.residual is not None
    spec = design.residual.spec
    wanted = [spec.by] if spec.by is not None else []
    wanted += [spec.visit] if spec.heterogeneous and spec.visit is not None else []
    lost = [name for name in wanted if name not in of.grid]
    if lost:
        raise LongsurvError(
            f"an arithmetic mean depends on the spread of the values, which is by {lost[0]!r} in "
            "this model; the fixed effects do not have that variable, so its means are at none of "
            "its values"
        )


def fitted_logs(fit: FittedSpread, of: Means, base: float, patients: Patients) -> FittedLogs:
    """Logarithms of the arithmetic means of an estimate.

    Parameters
    ----------
    fit : MixedEstimate
    of : Means
    base : float
        Natural logarithm of the base that the response is a logarithm to.
    patients : {"population", "typical"}
    """
    kernel, reml, x = fit.kernel, fit.method == "REML", fit.optimum.x
    cells = _cells(fit.design, kernel, fit.spec.data, of, patients)

    def at(x: np.ndarray) -> np.ndarray:
        return cells.at(kernel.peak(x, reml).point, kernel)

    variance, half = at(x), _half(fit.optimum)
    if fit.variance.undetermined:
        variance = np.full(len(variance), np.nan)
    if fit.variance.undetermined or half is None:
        slopes = np.full((len(variance), 1), np.nan)
    else:
        # Of relative covariances, with the residual variance at its best; then of that variance.
        dof = kernel.data.nobs - (kernel.data.p if reml else 0)
        moved = [(at(x + STEP * d) - at(x - STEP * d)) / (2.0 * STEP) for d in half.T]
        slopes = np.column_stack([*moved, variance * np.sqrt(2.0 / dof)])
    return FittedLogs(of.L, fit.coefficients, fit.reference, Spread(variance, slopes), base)


def _half(optimum: Optimum) -> np.ndarray | None:
    """A root (d, f) of the covariance of what was climbed; a parameter on its boundary counts as
    known. None where there is no maximum."""
    found = identify(-optimum.hessian, flat=SMALLEST)
    if found.indefinite or found.flat:
        return None
    half = np.zeros((len(optimum.x), len(optimum.free)))
    half[optimum.free] = root_of(found.cov, np.eye(len(found.cov)))
    return half


def drawn_logs(posterior: DrawnSpread, of: Means, base: float, patients: Patients) -> DrawnLogs:
    """Logarithms of the arithmetic means at every draw; arguments as for `fitted_logs`."""
    cells = _cells(posterior.design, posterior.kernel, posterior.spec.data, of, patients)
    variance = np.array([cells.at(point, posterior.kernel) for point in posterior._points()])
    mean = posterior.coefficients @ of.L.T
    return DrawnLogs(base * (mean + 0.5 * base * variance.reshape(mean.shape)))
