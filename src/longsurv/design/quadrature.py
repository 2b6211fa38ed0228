"""Points at which integrals become sums: over time within patients, and over random effects."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

POINTS_WHOLE = 15
"""Gauss-Legendre points on an interval without breaks."""

POINTS_PIECE = 5
"""Gauss-Legendre points on each piece of an interval with breaks."""


@dataclass(frozen=True)
class TimePoints:
    """Quadrature points of many intervals, laid end to end.

    Attributes
    ----------
    owner : ndarray of int, shape (G,)
        Interval of each point, ascending.
    time : ndarray, shape (G,)
    weight : ndarray, shape (G,)
        The integral of f over interval i is the sum of weight * f(time) over its points.
    """

    owner: np.ndarray
    time: np.ndarray
    weight: np.ndarray


def time_points(
    entry: np.ndarray,
    exit: np.ndarray,
    breaks: Sequence[float] = (),
    power: float = 1.0,
    points: int | None = None,
) -> TimePoints:
    """Gauss-Legendre points on intervals (entry, exit].

    Parameters
    ----------
    entry, exit : ndarray, shape (N,)
        0 <= entry <= exit; an interval of no length has no points.
    breaks : sequence of float
        Times where the integrand may jump. Each interval is cut there, and every piece has its own
        points, so that a jump costs no accuracy.
    power : float
        Points are placed in t^(1/power). With power = 4 integrands like t^(k-1), k > 0, are
        integrated well down to t = 0.
    points : int, optional
        Points a piece; by default 15 for whole intervals and 5 for pieces of them.
    """
    inner = np.unique(np.asarray(breaks, dtype=float))
    if points is None:
        points = POINTS_PIECE if len(inner) else POINTS_WHOLE
    edges = np.concatenate([[-np.inf], inner, [np.inf]])
    low = np.maximum(entry[:, None], edges[None, :-1])
    high = np.minimum(exit[:, None], edges[None, 1:])
    owner, piece = np.nonzero(high > low)
    a, b = low[owner, piece] ** (1.0 / power), high[owner, piece] ** (1.0 / power)
    x, w = np.polynomial.legendre.leggauss(points)
    v = 0.5 * (a + b)[:, None] + 0.5 * (b - a)[:, None] * x
    weight = 0.5 * (b - a)[:, None] * w * power * v ** (power - 1.0)
    return TimePoints(np.repeat(owner, points), (v**power).ravel(), weight.ravel())


@dataclass(frozen=True)
class NormalGrid:
    """Product Gauss-Hermite rule for a standard normal vector.

    Attributes
    ----------
    nodes : ndarray, shape (n,)
        Nodes of one dimension, ascending and symmetric about 0.
    index : ndarray of int, shape (n^q, q)
        Node of each dimension at each point of the product.
    log_weight : ndarray, shape (n^q,)
        log of weight * exp(|x|^2 / 2), so that for any density f near a standard normal
        the integral of f is about the sum of f(x) exp(log_weight) (2 pi)^(q/2).
    """

    nodes: np.ndarray
    index: np.ndarray
    log_weight: np.ndarray


def normal_grid(nodes: int, q: int) -> NormalGrid:
    """Gauss-Hermite rule with `nodes` points in each of q dimensions."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    x = 0.5 * (x - x[::-1])
    one = np.log(w / w.sum()) + 0.5 * x**2
    index = np.array(list(itertools.product(range(nodes), repeat=q)), dtype=np.int64).reshape(-1, q)
    return NormalGrid(x, index, one[index].sum(axis=1))
