"""Climb a log density by Newton steps on an information that comes with every evaluation.

The information may leave part of the curvature out, as that of the unpenalised likelihood does for
Firth's: taken alone it then converges slowly or swings to and fro. What it lacks is learnt from the
gradients met on the way, by a symmetric rank-one secant correction (the structured quasi-Newton
method of Dennis, Gay & Welsch 1981, ACM Trans Math Softw 7:348-368).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.linalg.lapack import dposv, dsyev

from longsurv.inference.curvature import positive_definite
from longsurv.inference.maximise import Optimum

Scored = Callable[[np.ndarray], tuple[float, np.ndarray, np.ndarray]]
"""A density that returns its value, gradient (d,) and information (d, d)."""

DECREMENT_TOLERANCE = 1e-16
ROUNDING = 1e-11
"""A decrement as small that does not fall any more is rounding."""
SMALLEST_STEP = 1e-9


def ascend(
    density: Scored,
    start: np.ndarray,
    names: Sequence[str] | None = None,
    *,
    exact: bool = False,
    max_steps: int = 200,
) -> Optimum:
    """Maximise a log density that returns its information.

    Parameters
    ----------
    density : callable
        Returns (value, gradient, information) at a point of shape (d,); value -inf where the
        density cannot be evaluated.
    start : ndarray, shape (d,)
    names : sequence of str, optional
        For messages.
    exact : bool
        The information is minus the Hessian: nothing is to be learnt.
    max_steps : int

    Returns
    -------
    Optimum
        Its Hessian is minus the information, without what was learnt.
    """
    x = np.asarray(start, dtype=float)
    value, gradient, information = density(x)
    calls, lacking, decrement = 1, np.zeros((len(x), len(x))), np.inf
    if not np.isfinite(value):
        status = "the log density is not finite at the starting point"
        return _optimum(x, -np.inf, gradient, information, np.inf, status, calls)
    for _ in range(max_steps):
        direction = newton_step(information, lacking, gradient)
        before, decrement = decrement, 0.5 * float(gradient @ direction)
        if decrement <= DECREMENT_TOLERANCE or (
            decrement <= ROUNDING and decrement >= 0.5 * before
        ):
            break
        size = 1.0
        while size > SMALLEST_STEP:
            step = size * direction
            new_value, new_gradient, new_information = density(x + step)
            calls += 1
            rounding = 1e-13 * max(1.0, abs(value))
            if new_value >= value + 2e-4 * size * decrement - rounding:
                break
            size *= 0.5
        else:
            break
        if not exact:
            missed = gradient - new_gradient - (new_information + lacking) @ step
            along = float(missed @ step)
            if abs(along) > 1e-8 * np.linalg.norm(missed) * np.linalg.norm(step):
                lacking = lacking + np.outer(missed, missed) / along
        x, value, gradient, information = x + step, new_value, new_gradient, new_information
    status = "converged"
    if decrement > 1e-9 * max(1.0, abs(value)):
        status = f"stopped with a Newton decrement of {decrement:.2g}"
    return _optimum(x, value, gradient, information, decrement, status, calls)


def newton_step(information: np.ndarray, lacking: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve (information + lacking) step = right, without `lacking` unless the sum is positive.

    `right` has shape (d,) or (d, m).
    """
    if len(right) == 0:
        return right
    _, step, not_positive = dposv(information + lacking, right)
    if not_positive:
        values, vectors, _ = positive_definite(information)
        step = vectors @ ((vectors.T @ right).T / values).T
    return step


def _conditioning(information: np.ndarray) -> tuple[float, bool]:
    """Condition number of an information scaled to unit diagonal, and whether it is positive.

    As from `positive_definite`, which the common case does without: it needs no eigenvectors.
    """
    if not np.isfinite(information).all():
        return np.inf, True  # nothing to be said; the value tells
    diagonal = information.diagonal()
    if len(diagonal) and diagonal.min() > 0.0:
        scale = 1.0 / np.sqrt(diagonal)
        values, _, failed = dsyev(information * scale * scale[:, None], compute_v=0)
        if not failed and values[0] > 1e-9 * values[-1]:
            return float(values[-1] / values[0]), True
    values, _, raised = positive_definite(information)
    return float(values.max(initial=1.0) / values.min(initial=1.0)), not raised


def _optimum(
    x: np.ndarray,
    value: float,
    gradient: np.ndarray,
    information: np.ndarray,
    decrement: float,
    status: str,
    calls: int,
) -> Optimum:
    condition, definite = _conditioning(information)
    if not definite and status == "converged":
        status = "the curvature is not that of a maximum: some parameters are not identified"
    return Optimum(
        x=x,
        value=value,
        gradient=gradient,
        hessian=-information,
        free=np.arange(len(x)),
        at_boundary=(),
        status=status,
        evaluations=calls,
        newton_decrement=decrement,
        condition_number=condition,
    )
