"""The likelihood of a generalised mixed model's design, and the climb to its maximum."""

from __future__ import annotations

import numpy as np

from longsurv.design.generalised import GeneralisedDesign
from longsurv.design.quadrature import normal_grid
from longsurv.errors import EstimationError
from longsurv.inference import Optimum, maximise
from longsurv.likelihood import glmm
from longsurv.likelihood.glmm import start
from longsurv.likelihood.glmm.existence import exhausted
from longsurv.results.generalised.undetermined import check_estimable
from longsurv.words import cannot_be_fitted


def arrays(
    d: GeneralisedDesign, effects: np.ndarray, nodes: int, df: float | None
) -> glmm.GLMMData:
    """Rows sorted by patient, with the quadrature rule, and Z @ effects for Z."""
    grid, random = normal_grid(nodes, len(d.random.names)), d.effects
    return glmm.prepare(
        d.family, d.y, d.fixed.X, random.X @ effects, d.group, len(d.labels),
        nodes=grid.nodes[grid.index], log_weights=grid.log_weight, blocks=random.blocks,
        extent=d.extent, df=df, effects=effects, offset=d.offset, site=d.site,
        place=d.site_of_row if d.crossed else None,
    )  # fmt: skip


def climb(formula: str, design: GeneralisedDesign, data: glmm.GLMMData) -> Optimum:
    """The maximum of the likelihood, in coordinates of its own.

    Raises
    ------
    EstimationError
        If there is none.
    """
    to = start.climb(data)
    check_estimable(design, data, to.coordinates, formula)
    family = data.family.climbed_names(design.family_names)
    parameters = [*design.fixed.names, *family, *to.factor_names]
    optimum = maximise(to.log_likelihood, to.begin, parameters, to.lower)
    if not np.isfinite(optimum.value):
        raise EstimationError(cannot_be_fitted(formula, optimum.status))
    if exhausted(data, optimum.x):
        why = "the random effects reproduce every measurement, leaving no residual variance"
        raise EstimationError(cannot_be_fitted(formula, why))
    return optimum
