"""A linear mixed model of rows that are read in pieces."""

from __future__ import annotations

from longsurv.design import MixedDesign
from longsurv.design.expression import Functions
from longsurv.design.mixed import REPRODUCED, REPRODUCES
from longsurv.design.scanned.mixed import mixed_plan, mixed_question, scanned_mixed
from longsurv.design.scanned.scan import Scan
from longsurv.design.scanned.survey import survey
from longsurv.errors import EstimationError
from longsurv.likelihood.lmm.blocks import BlockKernel
from longsurv.likelihood.lmm.parted import block_kernel_of
from longsurv.likelihood.lmm.streamed import prepare_streamed
from longsurv.models.lmm_cluster import read_on_cluster
from longsurv.words import cannot_be_fitted


def read_in_pieces(
    formula: str, data: Scan, functions: Functions | None
) -> tuple[MixedDesign, BlockKernel]:
    """The design, without rows, and the likelihood of the patients' statistics, in three passes.

    Raises
    ------
    EstimationError
        If the fixed effects reproduce the responses, and no variance is left over.
    """
    kernel: BlockKernel
    if data.scheduler is not None:
        design, kernel, rest = read_on_cluster(formula, data, data.scheduler, functions)
    else:
        found = survey(data, mixed_question(formula, functions))
        plan = mixed_plan(formula, found, functions)
        scanned = scanned_mixed(plan, *plan.triangles())
        design = scanned.design
        statistics, rest = prepare_streamed(
            scanned.plan.rows(),
            scanned.triangle,
            scanned.random_triangle,
            found.rows,
            len(design.labels),
            design.random.blocks,
        )
        kernel = block_kernel_of(statistics, design.random.blocks)
    if rest <= REPRODUCED:
        raise EstimationError(cannot_be_fitted(formula, REPRODUCES))
    return design, kernel
