"""The maximum of a Cox model's likelihood, over what it determines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from longsurv.design import SurvivalDesign
from longsurv.errors import DataError, EstimationError
from longsurv.inference import Optimum
from longsurv.inference.scoring import ascend
from longsurv.likelihood import cox
from longsurv.likelihood.cox.existence import columns, surely_determined, surely_finite
from longsurv.results.survival.determined import flat_directions, nothing


def check_covariates(formula: str, design: SurvivalDesign) -> None:
    """Refuse a model none of whose covariates can have a coefficient."""
    fixed = design.fixed
    if fixed.aliased and not fixed.names:
        raise EstimationError(
            f"{formula!r} cannot be estimated: {', '.join(fixed.aliased)} "
            "does not vary, or not within any stratum"
        )


def statistics(formula: str, design: SurvivalDesign, ties: str) -> cox.CoxData:
    """Sorted arrays of the partial likelihood."""
    d = design
    entry = d.entry if len(d.formula.surv) == 3 else None
    try:
        return cox.prepare(
            d.fixed.X, d.exit, d.event, entry, d.weights, d.stratum, d.offset, ties, d.timed
        )
    except ValueError as error:
        raise DataError(f"{formula!r}: {error}") from error


def maximum(
    formula: str, design: SurvivalDesign, data: cox.CoxData, penalty: str | None
) -> Optimum:
    """The maximum of the partial likelihood, or of Firth's penalised one.

    Returns
    -------
    Optimum
        Its `free` are coefficients the others of which can be held at 0: together they span what
        the likelihood determines. Its Hessian lacks the penalty's curvature.

    Raises
    ------
    EstimationError
        If nothing can be estimated.
    """
    names, events = design.fixed.names, design.n_events
    optimum = climb(data, names, penalty)
    why = ""
    if names and not len(optimum.free):
        why = nothing(events, names)
    elif not np.isfinite(optimum.value):
        why = optimum.status
        if optimum.penalty == "firth":
            why = f"Firth's likelihood of {events} event(s) has no maximum"
    if why:
        raise EstimationError(f"{formula!r} cannot be estimated: {why}")
    return optimum


def climb(data: cox.CoxData, names: Sequence[str], penalty: str | None) -> Optimum:
    """Maximise the partial likelihood, or Firth's where asked for or where that has no maximum."""
    top = _maximum(data, names, penalty)
    if penalty is None:
        if surely_finite(data, top.gradient, -top.hessian):
            return top
    elif np.isfinite(top.value) and surely_determined(data, -top.hessian, top.condition_number):
        return top
    flat = flat_directions(data)
    kept = np.arange(len(names))
    if flat:
        kept = _spanning(flat.directions / flat.scale[:, None])
        data = columns(data, kept)
        top = _maximum(data, [names[int(j)] for j in kept], penalty)
    if penalty is None and not surely_finite(data, top.gradient, -top.hessian):
        direction = cox.separation(data)
        if direction is not None:
            separated = np.zeros(len(names))
            separated[kept] = direction
            top = _maximum(data, [names[int(j)] for j in kept], "firth")
            top = replace(top, separated=separated)
    if flat:
        lost = [name for name, known in zip(names, flat.determined, strict=True) if not known]
        top = _whole(top, kept, len(names), lost)
    return top


def _maximum(data: cox.CoxData, names: Sequence[str], penalty: str | None) -> Optimum:
    if penalty is None:
        return ascend(
            lambda b: cox.value_gradient_information(data, b),
            np.zeros(len(names)),
            names,
            exact=True,
        )
    start, calls = cox.firth_start(data)
    top = ascend(lambda b: cox.firth_value_gradient_information(data, b), start, names)
    return replace(top, evaluations=top.evaluations + calls, penalty=penalty)


def _spanning(directions: np.ndarray) -> np.ndarray:
    """Coefficients, in order, that determine everything once the others are held at 0."""
    from scipy.linalg import qr

    p, k = directions.shape
    _, _, order = qr(directions.T, mode="economic", pivoting=True)
    return np.sort(order[min(k, p) :])


def _whole(top: Optimum, kept: np.ndarray, p: int, lost: Sequence[str]) -> Optimum:
    """The record of a climb in some coefficients as one of all, the others held at 0."""
    x, gradient = np.zeros(p), np.zeros(p)
    x[kept], gradient[kept] = top.x, top.gradient
    status = f"the data do not determine {', '.join(lost)}" if top.converged else top.status
    return replace(top, x=x, gradient=gradient, free=kept, status=status)
