"""A Cox model whose covariates are read in pieces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from longsurv.design import SurvivalDesign
from longsurv.design.expression import Functions
from longsurv.design.scanned.scan import Scan
from longsurv.design.scanned.survival import ScannedSurvival, scanned_survival
from longsurv.likelihood import cox
from longsurv.models.cox_climb import check_covariates, statistics


def read_in_pieces(
    formula: str,
    data: Scan,
    ties: str,
    *,
    weights: str | None,
    patient: str | None,
    functions: Functions | None,
) -> tuple[SurvivalDesign, cox.CoxData]:
    """The design, without covariates, and the arrays of the partial likelihood.

    Rows are ranked without covariates, which a last pass then writes to their places: they are in
    memory once, in the order of time.
    """
    scanned = scanned_survival(formula, data, weights=weights, patient=patient, functions=functions)
    design = scanned.design
    check_covariates(formula, design)
    nothing = replace(design.fixed, X=np.empty((len(scanned.used), 0)))
    ranked = statistics(formula, replace(design, fixed=nothing), ties)
    return design, _filled(ranked, scanned)


def _filled(ranked: cox.CoxData, scanned: ScannedSurvival) -> cox.CoxData:
    """The same with covariates, centred within strata and scaled."""
    p, stratum = scanned.mean.shape[1], scanned.design.stratum
    scale = 2.0 ** np.rint(np.log2(np.where(scanned.sd > 0.0, scanned.sd, 1.0)))
    place = np.full(scanned.found.rows, -1, dtype=np.int32)
    place[scanned.used[ranked.order]] = np.arange(len(ranked.order), dtype=np.int32)
    code = np.zeros(scanned.found.rows if stratum is not None else 0, dtype=np.int32)
    if stratum is not None:
        code[scanned.used] = stratum
    Z = np.empty((len(ranked.order), p))
    for at, X in scanned.rows():
        own = place[at] >= 0
        mean = scanned.mean[code[at][own]] if stratum is not None else scanned.mean
        Z[place[at][own]] = (X[own] - mean) / scale
    Z.flags.writeable = False
    return replace(ranked, arrays=ranked.arrays._replace(X=Z), mean=scanned.mean, scale=scale)
