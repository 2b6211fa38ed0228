"""Profile likelihood: intervals and tests of linear combinations of parameters.

The profile of v = c'b is the largest log density among the b with c'b = v. The limits of an
interval are where it has fallen by half a chi-squared quantile. Each step towards a limit moves v
and the other parameters together, as Venzon & Moolgavkar (1988, J R Stat Soc C 37:87-94) do, with v
extrapolated on the scale of the signed root of the deviance, which is close to linear, and kept
between the points known to lie inside and outside. Where that does not settle, the profile is
maximised afresh at every v of a bisection.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

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
    _known: dict[tuple, float] = field(default_factory=dict, repr=False)

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
        key = (c.tobytes(), side, chi_squared)
        if key not in self._known:
            found = self._fast(c, side, 0.5 * chi_squared)
            if found is None:
                found = self._bisected(c, side, 0.5 * chi_squared)
            self._known[key] = found
        return self._known[key]

    def _fast(self, c: np.ndarray, side: int, drop: float) -> float | None:
        """The limit by steps in all parameters at once, or None if they do not settle."""
        top, z = self.top, np.sqrt(2.0 * drop)
        toward = newton_step(-top.hessian, self.lacking, c)
        unit = float(np.sqrt(c @ toward))
        if not (np.isfinite(unit) and unit > 0):
            return None
        centre, inside, outside = float(c @ top.x), 0.0, np.inf
        x = top.x + side * z * toward / unit
        right = np.column_stack([c, c])
        for _ in range(25):
            value, right[:, 0], information = self.density(x)
            if not np.isfinite(value):
                return None
            gradient = right[:, 0]
            G, W = newton_step(information, self.lacking, right).T
            spread = float(c @ W)
            slope = float(c @ G) / spread
            # what the other parameters would still add at this v
            gain = max(0.5 * (float(gradient @ G) - slope**2 * spread), 0.0)
            away = side * (float(c @ x) - centre)
            lost = top.value - value - gain
            target = 2.0 * away
            if lost > 0.0 and side * slope < 0.0:
                root = np.sqrt(2.0 * lost)
                target = away + (z - root) * root / abs(slope)
                if gain < NEGLIGIBLE and abs(lost - drop) < CLOSE:
                    return centre + side * target
                target = min(target, 3.0 * max(away, unit))
            if top.value - value <= drop:
                inside = max(inside, away)
            elif gain < 0.1 * drop and lost > drop:
                outside = min(outside, away)
            if not inside < target < outside:
                target = 0.5 * (inside + min(outside, 4.0 * max(away, unit)))
            x = x + G + W * ((side * (target - away) - float(c @ G)) / spread)
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
