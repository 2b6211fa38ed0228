"""The likelihood of a linear mixed model's design, and the climb to its maximum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from longsurv.design import MixedDesign, check_variation
from longsurv.design.random_columns import RandomColumns
from longsurv.errors import EstimationError
from longsurv.inference import Optimum, hessian, maximise
from longsurv.inference.density import LogDensity
from longsurv.likelihood import lmm
from longsurv.likelihood.lmm import crossed, dense
from longsurv.likelihood.lmm.blocks import BlockKernel, Rows
from longsurv.likelihood.lmm.crossed.kernel import CrossedKernel
from longsurv.likelihood.lmm.dense.kernel import DenseKernel
from longsurv.likelihood.lmm.parted import block_kernel_of
from longsurv.results.mixed.undetermined import degenerate
from longsurv.words import cannot_be_fitted

type LMMKernel = BlockKernel | DenseKernel | CrossedKernel

LARGEST_RATIO = 1e6
"""Of a random effect's SD to the residual one: beyond, rounding is all there is of a residual."""
LEVEL = 1e-3
"""Log-likelihood that a climb to `LARGEST_RATIO` must have gained half of the way, where its digits
are still good: a criterion that gained less is the same everywhere."""


def weighted(d: MixedDesign, *columns: np.ndarray) -> list[np.ndarray]:
    """Columns (n,) or (n, k) of a design in which the residuals have no weights any more."""
    if d.weights is None:
        return list(columns)
    root = d.weights.root
    return [column * (root if column.ndim == 1 else root[:, None]) for column in columns]


def log_weights(d: MixedDesign) -> np.ndarray | None:
    """What each row adds to the log-determinant there, shape (n,)."""
    return None if d.weights is None else np.log(d.weights.values)


def statistics(d: MixedDesign, to: np.ndarray | None = None) -> lmm.LMMData:
    """Sums over the rows of each patient, of a design without structure."""
    X, y, Z = weighted(d, d.fixed.X, d.y, d.Z)
    blocks = d.random.blocks if to is None else None
    return lmm.prepare(X, y, Z, d.group, len(d.labels), blocks, to=to, log_weights=log_weights(d))


def block_kernel(d: MixedDesign, columns: Sequence[RandomColumns]) -> BlockKernel:
    """The likelihood of a design without structure, in centred columns of Z."""
    X, y, Z = weighted(d, d.fixed.X, d.y, d.Z)
    rows = Rows(X, y, Z, d.group, len(d.labels))
    return block_kernel_of(statistics(d, columns[0].to), d.random.blocks, rows)


def term_kernel(
    d: MixedDesign, columns: Sequence[RandomColumns] | None = None
) -> DenseKernel | CrossedKernel:
    """The likelihood of a structured design, in centred columns of Z, or in orthogonal ones."""
    to = {g.name: c.to for g, c in zip(d.groupings, columns or (), strict=bool(columns))}
    own = weighted(d, *(g.random.X for g in d.terms))
    terms = [
        dense.Term(Z, g.group, g.random.blocks, to.get(g.name))
        for Z, g in zip(own, d.terms, strict=True)
    ]
    X, y = weighted(d, d.fixed.X, d.y)
    orthogonal, added = columns is None, log_weights(d)
    if d.row_pairs is None:
        return CrossedKernel(crossed.prepare(X, y, terms, orthogonal=orthogonal, log_weights=added))
    return DenseKernel(
        dense.prepare(
            X, y, d.group, terms, d.row_pairs.structure, d.row_pairs.order, d.row_pairs.kind,
            orthogonal=orthogonal, log_weights=added,
        )
    )  # fmt: skip


def scaled_kernel(d: MixedDesign, columns: Sequence[RandomColumns]) -> LMMKernel:
    """The likelihood of a design in centred columns of Z."""
    return term_kernel(d, columns) if d.structured else block_kernel(d, columns)


def climb(formula: str, design: MixedDesign, kernel: LMMKernel, reml: bool) -> Optimum:
    """The maximum of a kernel's criterion.

    Raises
    ------
    EstimationError
        If there is none.
    """
    check_variation(design, kernel.data.beta_ols)

    def criterion(x: np.ndarray) -> tuple[float, np.ndarray]:
        return kernel.criterion(x, reml)

    start = max(kernel.starts, key=lambda x: criterion(x)[0])
    try:
        optimum = maximise(criterion, start, names=kernel.names, lower=kernel.lower)
    except np.linalg.LinAlgError:
        singular = "the covariance of the measurements becomes singular"
        raise EstimationError(cannot_be_fitted(formula, singular)) from None
    if why := degenerate(design, kernel, optimum, reml):
        raise EstimationError(cannot_be_fitted(formula, why))
    exhausted = np.abs(optimum.x).max(initial=0.0) > LARGEST_RATIO
    half_way = np.clip(optimum.x, -(LARGEST_RATIO**0.5), LARGEST_RATIO**0.5)
    if exhausted and criterion(half_way)[0] - criterion(start)[0] < LEVEL:
        return _stayed(criterion, start, optimum)
    if exhausted or not np.isfinite(optimum.value):
        why = optimum.status
        if exhausted or optimum.converged:
            why = "the random effects reproduce every measurement, leaving no residual variance"
        raise EstimationError(cannot_be_fitted(formula, why))
    return optimum


def _stayed(criterion: LogDensity, start: np.ndarray, led: Optimum) -> Optimum:
    """The start, of a climb that rounding led far along a ridge without a rise.

    So it is where the covariates tell all patients apart, so that nothing is left to estimate the
    patients' variance from. Which variances, and what depends on them, `undetermined` finds.
    """
    value, gradient = criterion(start)
    free = np.arange(len(start))
    curved = hessian(criterion, start, free)
    return replace(
        led, x=start, value=value, gradient=gradient, hessian=curved, free=free, at_boundary=()
    )
