"""The likelihood of a linear mixed model's design, and the climb to its maximum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longsurv.design import MixedDesign, check_variation
from longsurv.design.random_columns import RandomColumns
from longsurv.errors import EstimationError
from longsurv.inference import Optimum, maximise
from longsurv.likelihood import lmm
from longsurv.likelihood.lmm import crossed, dense
from longsurv.likelihood.lmm.blocks import BlockKernel, Rows
from longsurv.likelihood.lmm.crossed.kernel import CrossedKernel
from longsurv.likelihood.lmm.dense.kernel import DenseKernel
from longsurv.likelihood.lmm.dense.residual import Structure
from longsurv.results.mixed.undetermined import degenerate

type LMMKernel = BlockKernel | DenseKernel | CrossedKernel

LARGEST_RATIO = 1e6
"""Of a random effect's SD to the residual one: beyond, rounding is all there is of a residual."""


def block_kernel(d: MixedDesign, columns: Sequence[RandomColumns]) -> BlockKernel:
    """The likelihood of a design without structure, in centred columns of Z."""
    rows = Rows(d.fixed.X, d.y, d.Z, d.group, len(d.labels))
    return BlockKernel(lmm.prepare(*rows, to=columns[0].to), d.random.blocks, rows)


def term_kernel(
    d: MixedDesign, columns: Sequence[RandomColumns] | None = None
) -> DenseKernel | CrossedKernel:
    """The likelihood of a structured design, in centred columns of Z, or in orthogonal ones."""
    to = {g.name: c.to for g, c in zip(d.groupings, columns or (), strict=bool(columns))}
    terms = [dense.Term(g.random.X, g.group, g.random.blocks, to.get(g.name)) for g in d.terms]
    if d.row_pairs is None:
        return CrossedKernel(crossed.prepare(d.fixed.X, d.y, terms, orthogonal=columns is None))
    return DenseKernel(
        dense.prepare(
            d.fixed.X, d.y, d.group, terms, Structure(*d.row_pairs.structure),
            d.row_pairs.order, d.row_pairs.kind, orthogonal=columns is None,
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
    singular = "the covariance of the measurements becomes singular"
    try:
        optimum = maximise(criterion, start, names=kernel.names, lower=kernel.lower)
    except np.linalg.LinAlgError:
        raise EstimationError(f"{formula!r} cannot be fitted: {singular}") from None
    if why := degenerate(design, kernel, optimum.x):
        raise EstimationError(f"{formula!r} cannot be fitted: {why}")
    exhausted = np.abs(optimum.x).max(initial=0.0) > LARGEST_RATIO
    if exhausted or not np.isfinite(optimum.value):
        why = optimum.status
        if exhausted or optimum.converged:
            why = "the random effects reproduce every measurement, leaving no residual variance"
        raise EstimationError(f"{formula!r} cannot be fitted: {why}")
    return optimum
