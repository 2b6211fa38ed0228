"""Profile likelihood: intervals and tests of linear combinations of parameters.

The profile of v = c'b is the largest log density among the b with c'b = v. The limits of an
interval are where it has fallen by half a chi-squared quantile. Each step towards a limit moves v
and the other parameters together, as Venzon & Moolgavkar (1988, J R Stat Soc C 37:87-94) do, with v
extrapolated on the scale of the signed root of the deviance, which is close to linear, and kept
between the points known to lie inside and outside. Where that does not settle, the profile is
maximised afresh at every v of a bisection.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numba import njit

from longsurv.inference.maximise import Optimum
from longsurv.inference.scoring import Scored, newton_step

TOLERANCE = 1e-9
NEGLIGIBLE, CLOSE = 1e-7, 1e-4
"""Log density to gain, and distance from the limit's, at which a last extrapolation is exact to
about seven digits of a standard error."""
FARTHEST = 2.0**24
"""Standard errors from the maximum after which a limit counts as infinite."""


@dataclass(frozen=True, eq=False)
class Profile:
    """A log density around its maximum.

    Attributes
    ----------
    density : callable
        Returns (value, gradient, information).
    top : Optimum
    lacking : ndarray, shape (d, d)
        Curvature at the maximum that the information leaves out (0 for a plain likelihood).
    """

    density: Scored
    top: Optimum
    lacking: np.ndarray
    _known: dict[tuple[object, ...], float] = field(default_factory=dict, repr=False)

    def fall(self, c: np.ndarray, v: float = 0.0) -> float:
        """Twice the log density lost by holding c'b at v: the likelihood-ratio chi-squared."""
        key = (c.tobytes(), v)
        if key not in self._known:
            self._known[key] = max(2.0 * (self.top.value - self._held(c, v)[0]), 0.0)
        return self._known[key]

    def limit(self, c: np.ndarray, side: int, chi_squared: float) -> float:
        """Value of c'b below (side -1) or above (+1) the maximum where `fall` is `chi_squared`.

        Infinite where the profile never falls as far.
        """
        c = np.ascontiguousarray(c, dtype=float)
        key = (c.tobytes(), side, chi_squared)
        if key not in self._known:
            found = self._fast(c, side, 0.5 * chi_squared)
            if found is None:
                found = self._bisected(c, side, 0.5 * chi_squared)
            self._known[key] = found
        return self._known[key]

    def _fast(self, c: np.ndarray, side: int, drop: float) -> float | None:
        """The limit by steps in all parameters at once, or None if they do not settle."""
        top = self.top
        x, unit = _outset(top.x, -top.hessian, self.lacking, c, side * math.sqrt(2.0 * drop))
        if not (math.isfinite(unit) and unit > 0):
            return None
        centre, inside, outside = float(c @ top.x), 0.0, np.inf
        for _ in range(25):
            value, gradient, information = self.density(x)
            if not math.isfinite(value):
                return None
            lost = top.value - value
            away, x, inside, outside = _step(
                x, gradient, information, self.lacking, c, side, centre, unit, lost, drop, inside,
                outside,
            )  # fmt: skip
            if not math.isnan(away):
                return centre + side * away
        return None

    def _bisected(self, c: np.ndarray, side: int, drop: float) -> float:
        """The limit from the profile maximised at each v."""
        from scipy.optimize import brentq

        toward = newton_step(-self.top.hessian, np.zeros_like(self.top.hessian), c)
        unit, centre = float(np.sqrt(c @ toward)), float(c @ self.top.x)
        starts = [self.top.x]

        def excess(away: float) -> float:
            value, starts[0] = self._held(c, centre + side * away, starts[0])
            return self.top.value - value - drop

        inside, outside = 0.0, unit
        while not excess(outside) > 0.0:
            inside, outside = outside, 2.0 * outside
            if outside > FARTHEST * unit:
                return side * np.inf
        starts[0] = self.top.x
        return centre + side * float(brentq(excess, inside, outside, xtol=1e-9 * unit, rtol=1e-12))

    def _held(
        self, c: np.ndarray, v: float, start: np.ndarray | None = None
    ) -> tuple[float, np.ndarray]:
        """Largest log density with c'b = v, and where it is."""
        x = self.top.x if start is None else start
        toward = newton_step(-self.top.hessian, self.lacking, c)
        x = x + toward * ((v - float(c @ x)) / float(c @ toward))
        value, gradient, information = self.density(x)
        if not np.isfinite(value):  # too far for the other parameters to follow in a straight line
            x = c * (v / float(c @ c))
            value, gradient, information = self.density(x)
        if not np.isfinite(value):
            return -np.inf, self.top.x
        for _ in range(100):
            G, W = newton_step(information, self.lacking, np.stack([gradient, c], axis=1)).T
            direction = G - W * (float(c @ G) / float(c @ W))
            gain = 0.5 * float(gradient @ direction)
            if gain < TOLERANCE:
                return value + max(gain, 0.0), x
            size = 1.0
            while size > 1e-9:
                new = self.density(x + size * direction)
                if new[0] >= value + 2e-4 * size * gain:
                    break
                size *= 0.5
            else:
                return value, x
            x, (value, gradient, information) = x + size * direction, new
        return value, x


@njit(cache=True, nogil=True)
def _solved(
    information: np.ndarray, lacking: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, bool]:
    """(information + lacking)^-1 right', without `lacking` if need be; whether it is positive.

    `right` has a right-hand side a row.
    """
    d = len(information)
    L, solution = np.zeros((d, d)), right.copy()
    for share in (1.0, 0.0):
        positive = True
        for j in range(d):
            for m in range(j + 1):
                rest = information[j, m] + share * lacking[j, m]
                for q in range(m):
                    rest -= L[j, q] * L[m, q]
                if m < j:
                    L[j, m] = rest / L[m, m]
                elif rest > 0.0:
                    L[j, j] = np.sqrt(rest)
                else:
                    positive = False
            if not positive:
                break
        if positive:
            break
    if not positive:
        return solution, False
    for row in solution:
        for j in range(d):
            for q in range(j):
                row[j] -= L[j, q] * row[q]
            row[j] /= L[j, j]
        for j in range(d - 1, -1, -1):
            for q in range(j + 1, d):
                row[j] -= L[q, j] * row[q]
            row[j] /= L[j, j]
    return solution, True


@njit(cache=True, nogil=True)
def _outset(
    x: np.ndarray, curvature: np.ndarray, lacking: np.ndarray, c: np.ndarray, errors: float
) -> tuple[np.ndarray, float]:
    """So many standard errors of c'b from x, as of a normal density, and that standard error."""
    toward, positive = _solved(curvature, lacking, c.reshape(1, -1))
    if not positive:
        return x, np.nan
    unit = np.sqrt(np.dot(c, toward[0]))
    return x + errors * toward[0] / unit, unit


@njit(cache=True, nogil=True, error_model="numpy")
def _step(
    x: np.ndarray,
    gradient: np.ndarray,
    information: np.ndarray,
    lacking: np.ndarray,
    c: np.ndarray,
    side: int,
    centre: float,
    unit: float,
    lost: float,
    drop: float,
    inside: float,
    outside: float,
) -> tuple[float, np.ndarray, float, float]:
    """One step of `Profile._fast`, in terms of the distance of c'x from the centre.

    `lost` is the log density lost at x. Returns the limit's distance, nan unless it is found; the
    next x, nan without a positive curvature; and the distances that enclose the limit.
    """
    right = np.empty((2, len(x)))
    for j in range(len(x)):
        right[0, j], right[1, j] = gradient[j], c[j]
    solution, positive = _solved(information, lacking, right)
    if not positive:
        return np.nan, np.full(len(x), np.nan), inside, outside
    G, W = solution[0], solution[1]
    along, spread, z = np.dot(c, G), np.dot(c, W), np.sqrt(2.0 * drop)
    slope = along / spread
    # what the other parameters would still add at this v
    gain = max(0.5 * (np.dot(gradient, G) - slope**2 * spread), 0.0)
    away = side * (np.dot(c, x) - centre)
    of_profile = lost - gain
    target = 2.0 * away
    if of_profile > 0.0 and side * slope < 0.0:
        root = np.sqrt(2.0 * of_profile)
        target = away + (z - root) * root / abs(slope)
        if gain < NEGLIGIBLE and abs(of_profile - drop) < CLOSE:
            return target, x, inside, outside
        target = min(target, 3.0 * max(away, unit))
    if lost <= drop:
        inside = max(inside, away)
    elif gain < 0.1 * drop and of_profile > drop:
        outside = min(outside, away)
    if not inside < target < outside:
        target = 0.5 * (inside + min(outside, 4.0 * max(away, unit)))
    return np.nan, x + G + W * ((side * (target - away) - along) / spread), inside, outside


def lacking_curvature(density: Scored, top: Optimum) -> np.ndarray:
    """Minus the Hessian at the maximum, less the information, by differences of the gradient."""
    d = len(top.x)
    with np.errstate(invalid="ignore", divide="ignore"):
        steps = 1e-4 / np.sqrt(np.diag(-top.hessian))
    curvature = np.empty((d, d))
    for j in range(d):
        moved = top.x.copy()
        moved[j] += steps[j]
        curvature[j] = (top.gradient - density(moved)[1]) / steps[j]
    return 0.5 * (curvature + curvature.T) + top.hessian
