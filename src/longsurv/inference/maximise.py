"""Climb a log density: quasi-Newton, then Newton steps on the curvature of the exact gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from longsurv.inference.curvature import hessian, positive_definite
from longsurv.inference.density import LogDensity, guarded, remembered

DECREMENT_TOLERANCE = 1e-10
SNAP_TOLERANCE = 1e-8
LEAST_STEP = 1e-7
"""Of a Newton step, in standard errors, that is looked at for one that never ends."""


@dataclass(frozen=True)
class Optimum:
    """Where the climb ended, and how.

    Attributes
    ----------
    x : ndarray, shape (d,)
    value : float
    gradient : ndarray, shape (d,)
    hessian : ndarray, shape (f, f)
        In the free coordinates (those not on a boundary).
    free : ndarray of int, shape (f,)
    at_boundary : tuple of str
        Names of the parameters that sit on their bound.
    status : str
        "converged", or what went wrong.
    evaluations : int
        Calls of the density.
    newton_decrement : float
        Half of g' (-H)^-1 g over the free coordinates: how much log density a full Newton step
        would still gain. It does not depend on units, unlike the gradient norm.
    condition_number : float
        Of the negative Hessian scaled to unit diagonal.
    penalty : str, optional
        What was added to the log density that was to be climbed: "firth".
    separated : ndarray, shape (d,), optional
        Direction along which that density without the penalty rises for ever, for which the penalty
        was put in.
    smoothing : float, optional
        The amount of smoothing that was climbed under, given or found.
    """

    x: np.ndarray
    value: float
    gradient: np.ndarray
    hessian: np.ndarray
    free: np.ndarray
    at_boundary: tuple[str, ...]
    status: str
    evaluations: int
    newton_decrement: float
    condition_number: float
    penalty: str | None = None
    separated: np.ndarray | None = None
    smoothing: float | None = None

    @property
    def converged(self) -> bool:
        """Whether the climb reached a maximum."""
        return self.status == "converged"

    @property
    def gradient_norm(self) -> float:
        """Largest absolute gradient among the free coordinates."""
        return float(np.abs(self.gradient[self.free]).max(initial=0.0))


SecondOrder = Callable[[np.ndarray], tuple[float, np.ndarray, np.ndarray]]


class _Counted:
    """A guarded density that counts how often it is computed."""

    def __init__(self, density: LogDensity, second_order: SecondOrder | None) -> None:
        def counted(x: np.ndarray) -> tuple[float, np.ndarray]:
            self.calls += 1
            return density(x)

        self.density = remembered(guarded(counted))
        self.second_order = second_order
        self.calls = 0

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        return self.density(x)

    def full(self, x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray | None]:
        """Value, gradient and, where it is known exactly, the Hessian."""
        if self.second_order is None:
            return *self(x), None
        self.calls += 1
        return self.second_order(x)


def maximise(
    density: LogDensity,
    start: np.ndarray,
    names: Sequence[str] | None = None,
    lower: np.ndarray | None = None,
    second_order: SecondOrder | None = None,
    max_iterations: int = 500,
) -> Optimum:
    """Maximise a smooth log density.

    Parameters
    ----------
    density : callable
        Returns (value, gradient) at a point of shape (d,).
    start : ndarray, shape (d,)
    names : sequence of str, optional
        For messages and `at_boundary`.
    lower : ndarray, shape (d,), optional
        Lower bounds, -inf where there is none. A coordinate that ends near its bound is set exactly
        on it, the others are climbed again, and it stays there unless that loses log density:
        so a variance of zero is found as zero even where the density is flat next to it.
    second_order : callable, optional
        Returns (value, gradient, Hessian); for a concave density whose Hessian is cheap. Newton
        steps are then taken from the start, without the quasi-Newton stage.
    max_iterations : int
        Of the quasi-Newton stage.

    Returns
    -------
    Optimum
    """
    f = _Counted(density, second_order)
    names = tuple(names) if names is not None else tuple(f"x{j}" for j in range(len(start)))
    bound = np.full(len(start), -np.inf) if lower is None else lower
    x = np.maximum(np.asarray(start, dtype=float), bound)
    if not np.isfinite(f(x)[0]):
        return _stopped(f, x, names, "the log density is not finite at the starting point")

    def search(x: np.ndarray) -> tuple[_Point, np.ndarray]:
        fixed = np.zeros(len(x), dtype=bool)
        if second_order is None:
            x = _climb(f, x, bound, fixed, max_iterations)
        point = _newton(f, x, bound, fixed)
        near = np.flatnonzero(np.isfinite(bound) & (point.x - bound < 0.05))
        for j in near[np.argsort(point.x[near] - bound[near])]:
            trial_fixed = fixed.copy()
            trial_fixed[j] = True
            trial = np.where(trial_fixed, bound, point.x)
            trial = _climb(f, trial, bound, trial_fixed, max_iterations)
            candidate = _newton(f, trial, bound, trial_fixed)
            if candidate.value >= point.value - SNAP_TOLERANCE:
                point, fixed = candidate, trial_fixed
        return point, fixed

    point, fixed = search(x)
    while (away := _off_bound(f, point, bound)) is not None:
        candidate, candidate_fixed = search(away)
        if not candidate.value > point.value + SNAP_TOLERANCE:
            break
        point, fixed = candidate, candidate_fixed
    return _record(f, point, names, fixed)


def _off_bound(f: _Counted, point: _Point, bound: np.ndarray) -> np.ndarray | None:
    """A better point a short way off a bound, if there is one.

    A long first step can land on the bound of an even function, where there is no slope to lead
    away again even if the bound is the lowest point around.
    """
    for j in np.flatnonzero(point.x <= bound):
        for step in (1.0, 0.3, 0.1, 0.03, 0.01):
            trial = point.x.copy()
            trial[j] += step
            if f(trial)[0] > point.value + SNAP_TOLERANCE:
                return trial
    return None


def _climb(
    f: _Counted, x: np.ndarray, bound: np.ndarray, fixed: np.ndarray, max_iterations: int
) -> np.ndarray:
    """Quasi-Newton over the coordinates that are not fixed; loose, as Newton steps follow."""
    free = np.flatnonzero(~fixed)
    if len(free) == 0:
        return x

    from scipy.optimize import minimize

    def negative(part: np.ndarray) -> tuple[float, np.ndarray]:
        full = x.copy()
        full[free] = part
        value, gradient = f(full)
        if not np.isfinite(value):
            return 1e300, np.zeros(len(free))
        return -value, -gradient[free]

    bounds = [(b if np.isfinite(b) else None, None) for b in bound[free]]
    found = minimize(
        negative,
        x[free],
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": max_iterations, "ftol": 1e-9, "gtol": 1e-5},
    )
    out = x.copy()
    out[free] = found.x
    return out


@dataclass(frozen=True)
class _Point:
    x: np.ndarray
    value: float
    gradient: np.ndarray
    hessian: np.ndarray
    free: np.ndarray
    decrement: float
    condition: float
    definite: bool


def _newton(
    f: _Counted,
    x: np.ndarray,
    bound: np.ndarray,
    fixed: np.ndarray,
    max_steps: int = 30,
) -> _Point:
    value, gradient, exact = f.full(x)
    for _ in range(max_steps):
        # A coordinate on its bound that wants to go further down is not free.
        free = np.flatnonzero(~fixed & ~((x <= bound) & (gradient <= 0.0)))
        H = hessian(f, x, free) if exact is None else exact[np.ix_(free, free)]
        values, vectors, raised = positive_definite(-H)
        direction = vectors @ ((vectors.T @ gradient[free]) / values)
        decrement = 0.5 * float(gradient[free] @ direction)
        condition = float(values.max(initial=1.0) / values.min(initial=1.0))
        point = _Point(x, value, gradient, H, free, decrement, condition, not raised)
        if decrement < DECREMENT_TOLERANCE:
            return _last_step(f, point, direction, bound)
        step = 1.0
        while step > 1e-8:
            trial = x.copy()
            trial[free] = np.maximum(x[free] + step * direction, bound[free])
            new_value, new_gradient, new_exact = f.full(trial)
            if new_value >= value + 1e-4 * step * 2.0 * decrement or (
                new_value >= value - 1e-12 * abs(value) and step == 1.0 and decrement < 1e-6
            ):
                break
            step *= 0.5
        else:
            break
        x, value, gradient, exact = trial, new_value, new_gradient, new_exact
    return point


def _last_step(f: _Counted, point: _Point, direction: np.ndarray, bound: np.ndarray) -> _Point:
    """The point one Newton step on, for its digits: too close for the curvature to differ."""
    x = point.x.copy()
    x[point.free] = np.maximum(x[point.free] + direction, bound[point.free])
    value, gradient = f(x)
    if not value >= point.value - 1e-12 * abs(point.value):
        return point
    return replace(point, x=x, value=value, gradient=gradient)


def _running_off(f: _Counted, point: _Point) -> np.ndarray:
    """Free coordinates without a maximum: each Newton step is as long, and the curvature fades.

    So it is for a hazard ratio when nobody in one group died: the log density rises to a limit.
    Close to a maximum a step of far less than a standard error leaves the curvature as it was.
    """
    values, vectors, _ = positive_definite(-point.hessian)
    step = vectors @ ((vectors.T @ point.gradient[point.free]) / values)
    moving = np.abs(step) * np.sqrt(np.abs(np.diag(point.hessian))) > LEAST_STEP
    if not moving.any():
        return point.free[moving]
    further = point.x.copy()
    further[point.free] += step
    exact = f.full(further)[2]
    H = hessian(f, further, point.free) if exact is None else exact[np.ix_(point.free, point.free)]
    return point.free[moving & (np.abs(np.diag(H)) < 0.9 * np.abs(np.diag(point.hessian)))]


def _record(f: _Counted, point: _Point, names: tuple[str, ...], fixed: np.ndarray) -> Optimum:
    tolerance = max(1e-6, 1e-12 * abs(point.value))
    if point.decrement > tolerance:
        status = f"stopped with a Newton decrement of {point.decrement:.2g}"
    elif not point.definite:
        status = "the curvature is not that of a maximum: some parameters are not identified"
    elif len(off := _running_off(f, point)):
        listed = ", ".join(names[j] for j in off)
        status = f"there is no maximum: {listed} can grow without end (separated groups?)"
    else:
        status = "converged"
    boundary = np.ones(len(point.x), dtype=bool)
    boundary[point.free] = False
    return Optimum(
        x=point.x,
        value=point.value,
        gradient=point.gradient,
        hessian=point.hessian,
        free=point.free,
        at_boundary=tuple(n for n, b in zip(names, boundary, strict=True) if b),
        status=status,
        evaluations=f.calls,
        newton_decrement=point.decrement,
        condition_number=point.condition,
    )


def _stopped(f: _Counted, x: np.ndarray, names: tuple[str, ...], status: str) -> Optimum:
    d = len(x)
    nan = np.full(d, np.nan)
    return Optimum(
        x, -np.inf, nan, np.full((d, d), np.nan), np.arange(d), (), status, f.calls, np.inf, np.inf
    )
