"""The maximum of a Cox model's likelihood, over what it determines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from longsurv.inference import Optimum
from longsurv.inference.scoring import ascend
from longsurv.likelihood import cox
from longsurv.likelihood.cox.existence import columns, surely_determined, surely_finite
from longsurv.results.survival.assemble_cox import flat_directions


@dataclass(frozen=True, eq=False)
class Climb:
    """Where a climb ended.

    Attributes
    ----------
    optimum : Optimum
        Its `free` are coefficients the others of which can be held at 0: together they span what
        the likelihood determines.
    penalty : "firth" or None
    separated : ndarray, shape (p,), optional
        Direction along which the unpenalised likelihood rises for ever.
    """

    optimum: Optimum
    penalty: str | None
    separated: np.ndarray | None


def climb(data: cox.CoxData, names: Sequence[str], penalty: str | None) -> Climb:
    """Maximise the partial likelihood, or Firth's where asked for or where that has no maximum."""
    top = _maximum(data, names, penalty)
    if penalty is None:
        if surely_finite(data, top.gradient, -top.hessian):
            return Climb(top, None, None)
    elif np.isfinite(top.value) and surely_determined(data, -top.hessian, top.condition_number):
        return Climb(top, penalty, None)
    flat = flat_directions(data)
    kept = np.arange(len(names))
    if flat:
        kept = _spanning(flat.directions / flat.scale[:, None])
        data = columns(data, kept)
        top = _maximum(data, [names[int(j)] for j in kept], penalty)
    separated = None
    if penalty is None and not surely_finite(data, top.gradient, -top.hessian):
        direction = cox.separation(data)
        if direction is not None:
            penalty, separated = "firth", np.zeros(len(names))
            separated[kept] = direction
            top = _maximum(data, [names[int(j)] for j in kept], penalty)
    if flat:
        lost = [name for name, known in zip(names, flat.determined, strict=True) if not known]
        top = _whole(top, kept, len(names), lost)
    return Climb(top, penalty, separated)


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
    return replace(top, evaluations=top.evaluations + calls)


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
