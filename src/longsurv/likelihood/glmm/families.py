"""Response families of the generalised mixed model: one row's log density and its derivatives.

Every family returns the same eleven numbers at a linear predictor eta:

    l                   log density
    l1, l2              its first and second derivative in eta
    w, w1               curvature that spaces the quadrature nodes, and its derivative in eta
    la, l1a, wa         derivatives of l, l1 and w in the row's first family parameter
    lb, l1b, wb         and in its second

For a log-concave family w = -l2. Student's t is not log-concave; there w is the mean of -l2 and of
the weight (kappa + 1) / (1 + kappa r^2), which is positive everywhere, small at an outlier, and has
an expectation of (nu + 2) / (nu + 3) where Fisher's information is (nu + 1) / (nu + 3).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

BERNOULLI, ORDINAL, CENSORED, STUDENT = 0, 1, 2, 3
EXACT, LEFT, RIGHT = 0, 1, 2
HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
SQRT_HALF = math.sqrt(0.5)


@njit(cache=True, nogil=True, error_model="numpy")
def _logistic(x):
    """F(x), log F(x) and log F(-x)."""
    e = math.exp(-abs(x))
    d = 1.0 / (1.0 + e)
    log_larger = -math.log(1.0 + e)
    if x >= 0.0:
        return d, log_larger, log_larger - x
    return e * d, log_larger + x, log_larger


@njit(cache=True, nogil=True, error_model="numpy")
def bernoulli(y, eta):
    """P(y = 1) = F(eta), F the logistic distribution function."""
    sign = 1.0 if y > 0.5 else -1.0
    F, log_F, _ = _logistic(sign * eta)
    f = F * (1.0 - F)
    # The derivative of f in eta; the mirror image for y = 0.
    slope = sign * f * (1.0 - 2.0 * F)
    return log_F, sign * (1.0 - F), -f, f, slope, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def ordinal(y, eta, par):
    """P(y <= k) = F(cut_k - eta): the cumulative logit.

    With a and b the cuts above and below the category, less eta,
    F(a) - F(b) = F(a) F(-b) (1 - exp(b - a)): no difference of nearly equal numbers, and only the
    last factor is free of eta. Parameters of the row: the cut above, the cut below.
    """
    k = int(y)
    a, b = par[0, k + 1] - eta, par[0, k] - eta
    Fa, log_Fa, _ = _logistic(a)
    Fb, _, log_Gb = _logistic(b)
    fa, fb = Fa * (1.0 - Fa), Fb * (1.0 - Fb)
    da, db = fa * (1.0 - 2.0 * Fa), fb * (1.0 - 2.0 * Fb)
    gap = par[2, k]
    value = log_Fa + log_Gb + par[1, k]
    return (
        value, Fa - 1.0 + Fb, -fa - fb, fa + fb, -da - db,
        1.0 - Fa + gap, fa, da,
        -Fb - gap, fb, db,
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def log_normal_cdf(r):
    """log Phi(r), m = phi / Phi at r, and the first two derivatives of m.

    Below -5 by the continued fraction of Mills' ratio, x + 1/(x + 2/(x + 3/(x + ...))) = m with
    x = -r, arranged so that m + r and what follows from it are never differences of large numbers.
    """
    if r > -5.0:
        log_phi = -0.5 * r * r - HALF_LOG_2PI
        cdf = 0.5 * math.erfc(-r * SQRT_HALF)
        m = math.exp(log_phi) / cdf
        m1 = -m * (r + m)
        return math.log(cdf), m, m1, -m1 * (r + m) - m * (1.0 + m1)
    x = -r
    e = x
    for k in range(30, 3, -1):
        e = x + k / e
    c = x + 3.0 / e
    g = 1.0 / (x + 2.0 / c)
    m = x + g
    m2 = 2.0 * m * g * (g / c) * (3.0 / e - 2.0 / c)
    return -0.5 * x * x - HALF_LOG_2PI - math.log(m), m, -m * g, m2


@njit(cache=True, nogil=True, error_model="numpy")
def censored(y, kind, eta, par):
    """Gaussian with mean eta; y is the value, or the limit it lies below (LEFT) or above (RIGHT).

    Parameter of the row: log sigma.
    """
    scale = par[1, 0]
    r = (y - eta) * scale
    p = scale * scale
    if kind == EXACT:
        value = -0.5 * r * r - par[0, 1] - HALF_LOG_2PI
        return (
            value, r * scale, -p, p, 0.0,
            r * r - 1.0, -2.0 * r * scale, -2.0 * p,
            0.0, 0.0, 0.0,
        )  # fmt: skip
    d = 1.0 if kind == RIGHT else -1.0
    r = -d * r
    value, m, m1, m2 = log_normal_cdf(r)
    return (
        value, d * m * scale, m1 * p, -m1 * p, -d * m2 * p * scale,
        -r * m, -d * (m1 * r + m) * scale, (m2 * r + 2.0 * m1) * p,
        0.0, 0.0, 0.0,
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def student_constant(kappa):
    """log of the t density's constant at scale 1 and kappa = 1 / df >= 0, and its derivative.

    With x = df / 2 it is log Gamma(x + 1/2) / Gamma(x) - log(2 pi x) / 2: the expansion in 1 / x
    for x > 20, and the recurrence in x below.
    """
    shift, slope, k = 0.0, 0.0, kappa
    if kappa > 0.025:
        x = 0.5 / kappa
        shift -= 0.5 * math.log(x)
        slope -= 0.5 / x
        while x < 20.0:
            shift += math.log(x / (x + 0.5))
            slope += 0.5 / (x * (x + 0.5))
            x += 1.0
        shift += 0.5 * math.log(x)
        slope += 0.5 / x
        k = 0.5 / x
    k2 = k * k
    value = k * (-1.0 / 4.0 + k2 * (1.0 / 24.0 + k2 * (-1.0 / 20.0 + k2 * 17.0 / 112.0)))
    change = -1.0 / 4.0 + k2 * (1.0 / 8.0 + k2 * (-1.0 / 4.0 + k2 * 17.0 / 16.0))
    if kappa > 0.025:
        # dk/dx = -2 k^2 where the expansion is, dx/dkappa = -1 / (2 kappa^2) where we are.
        change = (slope - 2.0 * k2 * change) * (-0.5 / (kappa * kappa))
    return value + shift - HALF_LOG_2PI, change


@njit(cache=True, nogil=True, error_model="numpy")
def student(y, eta, par):
    """Student's t around eta with scale sigma and kappa = 1 / df; kappa = 0 is the Gaussian.

    Parameters of the row: log sigma, kappa.
    """
    scale, kappa = par[1, 0], par[0, 2]
    r = (y - eta) * scale
    r2 = r * r
    x = kappa * r2
    d = 1.0 / (1.0 + x)
    if x > 0.01:
        log_ratio = -math.log(d) / x
        # (log(1 + x) - x / (1 + x)) / x^2
        rest = (log_ratio - d) / x
    else:
        log_ratio = 1.0 - x * (
            1 / 2 - x * (1 / 3 - x * (1 / 4 - x * (1 / 5 - x * (1 / 6 - x / 7))))
        )
        rest = 1 / 2 - x * (
            2 / 3 - x * (3 / 4 - x * (4 / 5 - x * (5 / 6 - x * (6 / 7 - x * 7 / 8))))
        )
    k1, p = 1.0 + kappa, scale * scale
    d2 = d * d
    d3 = d2 * d
    return (
        par[0, 3] - par[0, 1] - 0.5 * k1 * r2 * log_ratio,
        k1 * r * scale * d,
        -k1 * (1.0 - x) * p * d2,
        k1 * p * d2,
        4.0 * k1 * kappa * r * p * scale * d3,
        -1.0 + k1 * r2 * d,
        -2.0 * k1 * r * scale * d2,
        2.0 * k1 * (x - 1.0) * p * d3,
        par[0, 4] + 0.5 * r2 * r2 * rest - 0.5 * r2 * d,
        r * (1.0 - r2) * scale * d2,
        p * (1.0 - 2.0 * r2 - x) * d3,
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def row(code, y, kind, eta, par):
    """The eleven numbers of one row, by family."""
    if code == BERNOULLI:
        return bernoulli(y, eta)
    if code == ORDINAL:
        return ordinal(y, eta, par)
    if code == CENSORED:
        return censored(y, kind, eta, par)
    return student(y, eta, par)


@njit(cache=True, nogil=True, error_model="numpy")
def constants(code, phi, levels):
    """What the rows need of the family parameters phi, computed once; shape (3, m).

    Ordinal: cuts from -inf to inf; log(1 - exp(-gap)) and 1 / (exp(gap) - 1) of each category.
    Censored and Student: sigma, log sigma, kappa, log constant of the t density and its slope;
    1 / sigma.
    """
    par = np.zeros((3, max(levels + 1, 5)))
    if code == ORDINAL:
        par[0, 0] = -math.inf
        par[0, levels] = math.inf
        par[0, 1] = phi[0]
        for k in range(1, levels - 1):
            gap = math.exp(phi[k])
            par[0, k + 1] = par[0, k] + gap
            par[1, k] = math.log(-math.expm1(-gap))
            par[2, k] = 1.0 / math.expm1(gap)
    elif code != BERNOULLI:
        par[0, 0] = math.exp(phi[0])
        par[0, 1] = phi[0]
        par[1, 0] = math.exp(-phi[0])
        if code == STUDENT:
            par[0, 2] = phi[1]
            par[0, 3], par[0, 4] = student_constant(phi[1])
    return par


@njit(cache=True, nogil=True, error_model="numpy")
def parameter_gradient(code, phi, levels, raw):
    """Gradient in phi from `raw`: that in the cuts, or in the parameters themselves."""
    out = np.zeros(phi.shape[0])
    if code == ORDINAL:
        tail = 0.0
        for k in range(levels - 2, -1, -1):
            tail += raw[k + 1]
            out[k] = tail * (math.exp(phi[k]) if k else 1.0)
    else:
        for k in range(phi.shape[0]):
            out[k] = raw[k]
    return out
