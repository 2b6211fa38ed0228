"""The logarithm of a normal probability between two bounds, for kernels."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.normal_cdf import HALF_LOG_2PI, log_normal_cdf

NODES, WEIGHTS = np.polynomial.legendre.leggauss(8)
NARROW = 1.0
"""Width times its distance from 0 below which 8 nodes have every digit."""
NOTHING = -745.0
"""Log of a share that is 0 in double precision."""


@njit(cache=True, nogil=True, error_model="numpy")
def log_normal_interval(a, width):
    """g = log P(a < Z < a + width) and six derivatives, width being positive and finite.

    D moves both bounds by as much, E is that in the logarithm of a scale by which they are divided:
    g, D g, D D g, D D D g, E g, D E g, D D E g.

    With mu, v, k3 and k4 the cumulants of Z between the bounds these are -mu, v - 1, -k3,
    mu^2 + v - 1, 2 mu (1 - v) - k3 and 2 (1 - v)^2 + 2 mu k3 + k4. Between narrow bounds they are
    found so, by Gauss-Legendre quadrature, where a difference of two distribution functions would
    have no digits; else as those of log Phi(-a) + log(1 - q), q = Phi(-b) / Phi(-a), with a the
    bound nearer to 0, which keeps them in both tails.
    """
    sign = 1.0
    if a + 0.5 * width < 0.0:
        a, sign = -(a + width), -1.0
    centre = a + 0.5 * width
    if width * (centre + width) < NARROW:
        g, d1, d2, d3, e, de, dde = _narrow(centre, 0.5 * width)
    else:
        g, d1, d2, d3, e, de, dde = _wide(a, a + width)
    return g, sign * d1, d2, sign * d3, e, sign * de, dde


@njit(cache=True, nogil=True, error_model="numpy")
def _narrow(c, half):
    """Moments of t = Z - c on (-half, half), whose density is as exp(-c t - t^2 / 2)."""
    total, s1, s2, s3, s4 = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(NODES.shape[0]):
        t = half * NODES[k]
        f = WEIGHTS[k] * math.exp(-c * t - 0.5 * t * t)
        total += f
        s1 += f * t
        s2 += f * t * t
        s3 += f * t * t * t
        s4 += f * t * t * t * t
    s1, s2, s3, s4 = s1 / total, s2 / total, s3 / total, s4 / total
    mu, v = c + s1, s2 - s1 * s1
    k3 = s3 - 3.0 * s1 * s2 + 2.0 * s1**3
    k4 = s4 - 4.0 * s1 * s3 + 6.0 * s1 * s1 * s2 - 3.0 * s1**4 - 3.0 * v * v
    return (
        math.log(half) + math.log(total) - 0.5 * c * c - HALF_LOG_2PI,
        -mu, v - 1.0, -k3,
        mu * mu + v - 1.0, 2.0 * mu * (1.0 - v) - k3, 2.0 * (1.0 - v) ** 2 + 2.0 * mu * k3 + k4,
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _wide(a, b):
    """By f(x) = log Phi(-x) at the bounds, |a| <= b, and their difference x = log q."""
    f, f1, f2, f3 = log_normal_cdf(-a)
    f1, f3 = -f1, -f3
    h, h1, h2, h3 = log_normal_cdf(-b)
    h1, h3 = -h1, -h3
    e, de, dde = -a * f1, -f1 - a * f2, -2.0 * f2 - a * f3
    x = h - f
    if not x > NOTHING:
        return f, f1, f2, f3, e, de, dde
    left = -math.expm1(x)
    odds = math.exp(x) / left
    # of log(1 - exp(x)) in x
    l1 = -odds
    l2 = l1 * (1.0 + odds)
    l3 = l2 * (1.0 + 2.0 * odds)
    x1, x2, x3 = h1 - f1, h2 - f2, h3 - f3
    xe, xde = -b * h1 - e, -h1 - b * h2 - de
    xdde = -2.0 * h2 - b * h3 - dde
    return (
        f + math.log(left),
        f1 + l1 * x1,
        f2 + l1 * x2 + l2 * x1 * x1,
        f3 + l1 * x3 + 3.0 * l2 * x1 * x2 + l3 * x1**3,
        e + l1 * xe,
        de + l1 * xde + l2 * x1 * xe,
        dde + l1 * xdde + l2 * (x2 * xe + 2.0 * x1 * xde) + l3 * x1 * x1 * xe,
    )
