"""Draws from a density of one or two parameters by quadrature: nothing has to converge.

The density is evaluated on a grid that reaches down to where nothing is left of it, its logarithm
is interpolated by a cubic spline, and the distribution function is summed up and inverted. What is
returned are not random numbers but n points of equal probability, in random order: the k-th of
them lies at the probability (k - 1/2) / n of the first coordinate, and for a second one at that of
a golden-ratio sequence given the first (a quasi-random rule; Niederreiter 1992, section 3.1). So
means, quantiles and probabilities are those of the integral, up to about 1 / n.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from longsurv.inference.coordinates import Affine
from longsurv.inference.curvature import Whitening
from longsurv.inference.density import LogDensity, guarded
from longsurv.inference.maximise import Optimum
from longsurv.inference.posterior import climb
from longsurv.inference.sample import Draws, check_run

Value = Callable[[np.ndarray], float]

MOST_PARAMETERS = 2
DROP = 35.0
"""Below the maximum of a log density from which on nothing counts: exp(-35) is 6e-16."""
_COARSE = {1: 129, 2: 25}  # points an axis where the box is looked for
_FINE = {1: 513, 2: 65}  # where the density is evaluated
_DENSE = {1: 20001, 2: 601}  # where its spline is
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
_MOST_BOXES = 200


def draw_by_quadrature(
    density: LogDensity,
    start: np.ndarray,
    *,
    parts: Sequence[LogDensity] = (),
    names: Sequence[str] | None = None,
    coordinates: Affine | None = None,
    draws: int = 1000,
    chains: int = 4,
    seed: int = 1,
) -> tuple[Optimum, Draws | None]:
    """Draw from a log density of at most `MOST_PARAMETERS` parameters.

    Parameters
    ----------
    density : callable
        Returns (log density up to a constant, gradient) at theta, shape (d,).
    start : ndarray, shape (d,)
    parts : sequence of callable
        Log densities whose densities add up to it, as under a mixture of priors. Each has a grid of
        its own, so that a narrow one is seen beside a wide one, and its share of the points.
    names, coordinates
        See `sample_posterior`.
    draws, chains : int
        The points are dealt to so many chains of so many draws.
    seed : int
        Of their order.

    Returns
    -------
    mode : Optimum
    drawn : Draws or None
        Without whitening, with `quadrature_error`; None if there is no finite mode to start from.
    """
    check_run(draws=draws, chains=chains)
    began = time.perf_counter()
    n, d = chains * draws, len(start)
    regions = []
    for part in parts or (density,):
        mode, whitening = climb(part, start, names=names, coordinates=coordinates)
        if whitening is None:
            return mode, None
        regions.append(_region(part, whitening))
    if len(parts) > 1:
        highest = max(regions, key=lambda region: density(region.whitening.centre)[0])
        at = highest.whitening.centre
        mode, whitening = climb(density, at, names=names, coordinates=coordinates)
        if whitening is None:
            return mode, None
    assert whitening is not None
    logs = np.array([region.log_integral for region in regions])
    share = np.exp(logs - logs.max())
    share /= share.sum()
    theta = np.concatenate([
        region.points(count) for region, count in zip(regions, _dealt(share, n), strict=True)
    ])  # fmt: skip
    theta = theta[np.random.default_rng(seed).permutation(n)]
    safe = guarded(density)
    return mode, Draws(
        theta=theta.reshape(chains, draws, d),
        stats={
            "lp": np.array([safe(point)[0] for point in theta]).reshape(chains, draws),
            "diverging": np.zeros((chains, draws), dtype=bool),
        },
        seconds=time.perf_counter() - began,
        tune=0,
        whitening=None,
        seed=seed,
        mode=replace(mode, x=whitening.centre),
        quadrature_error=float(share @ [region.error for region in regions]),
    )


@dataclass(frozen=True, eq=False)
class _Region:
    """A density on its grid.

    Attributes
    ----------
    whitening : Whitening
        Of the coordinates of the grid.
    axes : list of ndarray
    values : ndarray
        The log density there.
    """

    whitening: Whitening
    axes: list[np.ndarray]
    values: np.ndarray

    @property
    def log_integral(self) -> float:
        """Of the density over theta."""
        _, stretch = np.linalg.slogdet(self.whitening.factor)
        return _log_integral(self.axes, self.values) + float(stretch)

    @property
    def error(self) -> float:
        """How far the logarithm of the integral moves with every second point left out."""
        half = tuple(slice(None, None, 2) for _ in self.axes)
        fewer = _log_integral([axis[::2] for axis in self.axes], self.values[half])
        return abs(_log_integral(self.axes, self.values) - fewer)

    def points(self, n: int) -> np.ndarray:
        """n points of equal probability, shape (n, d), in order of the first coordinate."""
        d = len(self.axes)
        if n == 0:
            return np.empty((0, d))
        z = (_points_on_a_line if d == 1 else _points_in_a_plane)(self.axes, self.values, n)
        return self.whitening.centre + z @ self.whitening.factor.T


def _region(density: LogDensity, whitening: Whitening) -> _Region:
    safe, d = guarded(density), len(whitening.centre)

    def value(z: np.ndarray) -> float:
        return safe(whitening.centre + whitening.factor @ z)[0]

    axes = [np.linspace(*side, _FINE[d]) for side in _box(value, d)]
    return _Region(whitening, axes, _values(value, axes))


def _dealt(share: np.ndarray, n: int) -> np.ndarray:
    """n points in whole numbers by their shares, what is left over to the largest remainders."""
    count = np.floor(share * n).astype(np.int64)
    left = np.argsort(count - share * n, kind="stable")[: n - count.sum()]
    count[left] += 1
    return count


def _box(value: Value, d: int) -> list[tuple[float, float]]:
    """For each axis, from where to where the density is more than exp(-DROP) of its maximum.

    A side is moved out while the density is more than that at its end, and in to where it falls
    below; until what is left of the box fills it, so that the grid is as fine as can be.
    """
    sides = [(-6.0, 6.0)] * d
    for _ in range(_MOST_BOXES):
        axes = [np.linspace(*side, _COARSE[d]) for side in sides]
        found = _values(value, axes)
        inside = found > found.max() - DROP
        moved = []
        for k, axis in enumerate(axes):
            along = np.flatnonzero(inside.any(axis=tuple(j for j in range(d) if j != k)))
            first, last, far = along[0], along[-1], 0.7 * (axis[-1] - axis[0])
            low = axis[0] - far if first == 0 else axis[first - 1]
            high = axis[-1] + far if last == len(axis) - 1 else axis[last + 1]
            moved.append((float(low), float(high)))
        settled = all(
            old[0] <= new[0] and new[1] <= old[1] and new[1] - new[0] > 0.6 * (old[1] - old[0])
            for old, new in zip(sides, moved, strict=True)
        )
        sides = moved
        if settled:
            break
    return sides


def _values(value: Value, axes: Sequence[np.ndarray]) -> np.ndarray:
    """The log density on the grid, what is far below its maximum cut off."""
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    flat = np.array([value(z) for z in grid.reshape(-1, len(axes))])
    # Far below what counts, as a spline cannot pass through -inf.
    return np.maximum(flat, flat.max() - 3.0 * DROP).reshape(grid.shape[:-1])


def _dense(axes: Sequence[np.ndarray], values: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Axes with many points, and the log density there by a cubic spline."""
    from scipy.interpolate import CubicSpline, RectBivariateSpline

    many = [np.linspace(axis[0], axis[-1], _DENSE[len(axes)]) for axis in axes]
    if len(axes) == 1:
        return many, CubicSpline(axes[0], values)(many[0])
    return many, RectBivariateSpline(*axes, values, s=0)(*many)


def _points_on_a_line(axes: Sequence[np.ndarray], values: np.ndarray, n: int) -> np.ndarray:
    """Points of equal probability, shape (n, 1)."""
    (x,), log = _dense(axes, values)
    z = np.interp((np.arange(n) + 0.5) / n, _distribution(x, np.exp(log - log.max())), x)
    return z[:, None]


def _points_in_a_plane(axes: Sequence[np.ndarray], values: np.ndarray, n: int) -> np.ndarray:
    """The same of two coordinates, shape (n, 2): the second given the first."""
    (x, y), log = _dense(axes, values)
    mass = np.exp(log - log.max())
    first = np.interp((np.arange(n) + 0.5) / n, _distribution(x, np.trapezoid(mass, y, axis=1)), x)
    row = np.rint((first - x[0]) / (x[1] - x[0])).astype(np.int64)
    chance = (0.5 + _GOLDEN * np.arange(1, n + 1)) % 1.0
    second = np.empty(n)
    for k in np.unique(row):
        at = row == k
        second[at] = np.interp(chance[at], _distribution(y, mass[k]), y)
    return np.column_stack([first, second])


def _distribution(x: np.ndarray, density: np.ndarray) -> np.ndarray:
    """The distribution function at x by the trapezoidal rule, from 0 to 1."""
    steps = 0.5 * (density[1:] + density[:-1]) * np.diff(x)
    total = np.concatenate([[0.0], np.cumsum(steps)])
    return total / total[-1]


def _log_integral(axes: Sequence[np.ndarray], values: np.ndarray) -> float:
    """Of the density over the grid."""
    many, log = _dense(axes, values)
    top = values.max()
    mass = np.exp(log - top)
    for axis in reversed(many):
        mass = np.trapezoid(mass, axis, axis=-1)
    return float(top + np.log(mass))
