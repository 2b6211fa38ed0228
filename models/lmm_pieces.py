"""A linear mixed model of rows that are read in pieces."""

from __future__ import annotations

from longsurv.design import MixedDesign
from longsurv.design.expression import Functions
from longsurv.design.mixed import REPRODUCED, REPRODUCES
from longsurv.design.scanned.mixed import scanned_mixed
from longsurv.design.scanned.scan import Scan
from longsurv.errors import EstimationError
from longsurv.likelihood.lmm import LMMData
from longsurv.likelihood.lmm.streamed import prepare_streamed
from longsurv.words import cannot_be_fitted


def read_in_pieces(
    formula: str, data: Scan, functions: Functions | None
) -> tuple[MixedDesign, LMMData]:
    """The design, without rows, and the statistics of each patient, in three passes.

    Raises
    ------
    EstimationError
        If the fixed effects reproduce the responses, and no variance is left over.
    """
    scanned = scanned_mixed(formula, data, functions)
    design = scanned.design
    statistics, rest = prepare_streamed(
        scanned.rows(),
        scanned.triangle,
        scanned.random_triangle,
        scanned.found.rows,
        len(design.labels),
        design.random.blocks,
    )
    if rest <= REPRODUCED:
        raise EstimationError(cannot_be_fitted(formula, REPRODUCES))
    return design, statistics
