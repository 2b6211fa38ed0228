"""Effects of sites whose patients have effects of their own, integrated out site by site.

With the effect s z of a site, z ~ N(0, 1), an offset of its patients' predictors, and L_i(s z) the
likelihood of patient i there (`quadrature`), a site j contributes

    log E[prod_i L_i(s z)] = log sum_k d exp(h(z_k)) / sqrt(2 pi),
    h(z) = sum_i log L_i(s z) - z^2 / 2,

by the trapezoidal rule: from about the top of h, in both directions, until exp(-20) of it is left.
Where the steps d are small beside the width of the integrand, its error is smaller than any other
here (Trefethen & Weideman 2014, SIAM Review 56:385-458): exp(-2 pi^2 / 0.8^2) for one that is
normal and `spacing` 0.8. Then it does not depend on where the z_k are, and the gradient is the
mean, over their weights, of that of the patients.
"""

from __future__ import annotations

import math
from collections import namedtuple

import numpy as np
from numba import njit

from longsurv.likelihood.glmm.data import GLMMData, SiteRows
from longsurv.likelihood.glmm.families import CENSORED, STUDENT
from longsurv.likelihood.glmm.parameters import (
    full_phi,
    natural,
    triangle,
    triangle_gradient,
    unconstrained_gradient,
)
from longsurv.likelihood.glmm.quadrature import marginal

LEFT_OVER = 20.0
MOST = 600
"""Values of one site's effect."""
NEAR = 0.3
"""Standard deviations from the top at which the search for it ends."""

# The parameters beside those of the sites, and the rule of the patients.
Model = namedtuple("Model", "beta phi Lam s code levels nodes log_weights")


@njit(cache=True, nogil=True, error_model="numpy")
def _of_site(rows, j):
    """The rows of one site."""
    start, end = rows.home[j], rows.home[j + 1]
    a, b = rows.first[start], rows.first[end]
    return SiteRows(
        rows.y[a:b], rows.extent[a:b], rows.offset[a:b], rows.X[a:b], rows.Z[a:b],
        rows.first[start : end + 1] - a, rows.home[j : j + 2],
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _at(z, own, modes, model, want):
    """h at z; the gradient of the patients in beta and the effect s z, phi and their own Lam. Modes
    of the patients are as for `marginal`."""
    p, values = model.beta.shape[0], np.empty(own.first.shape[0] - 1)
    beta = np.empty(p + 1)
    beta[:p], beta[p] = model.beta, model.s * z
    d_beta, d_phi, d_Lam = marginal(
        beta, model.phi, model.Lam, model.code, own.y, own.extent, own.offset, own.X, own.Z,
        own.first, model.levels, model.nodes, model.log_weights, values, np.empty(0), modes,
        want,
    )  # fmt: skip
    return values.sum() - 0.5 * z * z, d_beta, d_phi, d_Lam


@njit(cache=True, nogil=True, error_model="numpy")
def _top(own, modes, model):
    """About where h is largest, by the secant rule, and about its standard deviation there."""
    p, z = model.beta.shape[0], 0.0
    slope = model.s * _at(z, own, modes, model, True)[1][p]
    move, curve = slope / (1.0 + abs(slope)), 1.0
    if abs(move) < 0.1:
        move = math.copysign(0.1, move)
    for _ in range(60):
        h, d_beta, _, _ = _at(z + move, own, modes, model, True)
        new = model.s * d_beta[p] - (z + move)
        if not (abs(h) < math.inf and abs(new) < math.inf):
            move *= 0.5
            continue
        # At least that of the standard normal, if the likelihood is log-concave.
        curve = max((slope - new) / move, 1.0)
        z, slope, width = z + move, new, 1.0 / math.sqrt(curve)
        if abs(move) < 1.5 * width and abs(slope) * width < NEAR:
            break
        size = min(max(abs(slope) / curve, NEAR * width), 2.0)
        move = math.copysign(size, slope)
    return z, 1.0 / math.sqrt(curve)


@njit(cache=True, nogil=True, error_model="numpy")
def nested(
    beta, phi, Lam, code, rows, levels, nodes, log_weights, spacing, values, at, weight, want
):
    """Log-likelihood of each site into `values`, and the gradient of their sum.

    Parameters
    ----------
    beta, phi, Lam : ndarray, shape (p,), (m,), (q, q)
        As for `quadrature.marginal`; the last element of Lam is the sites' s.
    code, levels, nodes, log_weights, spacing
        See `GLMMData`.
    rows : SiteRows
    values : ndarray, shape (J,)
        Written; -inf where a patient's mode cannot be found, or the effects spread too far.
    at, weight : ndarray, shape (J, MOST)
        Written: values of z, and their probabilities given the data.
    want : bool
        Otherwise the gradients returned are zero.

    Returns
    -------
    Gradients in beta, phi and Lam (lower triangle).
    """
    p, q = beta.shape[0], Lam.shape[0]
    s = Lam[q - 1, q - 1]
    model = Model(beta, phi, Lam[: q - 1, : q - 1].copy(), s, code, levels, nodes, log_weights)
    unit = math.exp(phi[0]) if code in (CENSORED, STUDENT) else 1.0
    d_beta, d_phi, d_Lam = np.zeros(p), np.zeros(phi.shape[0]), np.zeros((q, q))
    for j in range(rows.home.shape[0] - 1):
        own = _of_site(rows, j)
        modes = np.zeros((own.first.shape[0] - 1, q - 1))
        middle, width = _top(own, modes, model)
        # No wider than what makes a difference to one response.
        step = min(spacing * width, spacing * unit / abs(s)) if s != 0.0 else spacing * width
        top, total, count = _at(middle, own, modes, model, False)[0], 0.0, 0
        highest = top
        by_beta, by_phi, by_Lam = np.zeros(p + 1), np.zeros(phi.shape[0]), np.zeros((q - 1, q - 1))
        by_s = 0.0
        for side in (1, -1):
            z = middle if side == 1 else middle - step
            while count < MOST:
                h, g_beta, g_phi, g_Lam = _at(z, own, modes, model, want)
                if not h > highest - LEFT_OVER:
                    break
                highest = max(highest, h)
                w = math.exp(h - top)
                by_beta += w * g_beta
                by_phi += w * g_phi
                by_Lam += w * g_Lam
                by_s += w * z * g_beta[p]
                at[j, count], weight[j, count] = z, w
                total, count, z = total + w, count + 1, z + side * step
        # As many values as there may be do not reach both ends: no number.
        values[j] = -math.inf
        if 0 < count < MOST:
            values[j] = top + math.log(total * step / math.sqrt(2.0 * math.pi))
        for k in range(at.shape[1]):
            weight[j, k] = weight[j, k] / total if k < count else 0.0
            at[j, k] = at[j, k] if k < count else middle
        d_beta += by_beta[:p] / total
        d_phi += by_phi / total
        d_Lam[: q - 1, : q - 1] += by_Lam / total
        d_Lam[q - 1, q - 1] += by_s / total
    return d_beta, d_phi, d_Lam


@njit(cache=True, nogil=True, error_model="numpy")
def in_factor(theta, m, kappa, code, rows, q, levels, nodes, log_weights, spacing):
    """Value and gradient at a vector with the whole lower triangle of Lam."""
    p, J = rows.X.shape[1] - 1, rows.home.shape[0] - 1
    values, at, weight = np.empty(J), np.empty((J, MOST)), np.empty((J, MOST))
    d_beta, d_phi, d_Lam = nested(
        theta[:p], full_phi(theta[p : p + m], code, kappa), triangle(theta, p, q, m), code, rows,
        levels, nodes, log_weights, spacing, values, at, weight, True,
    )  # fmt: skip
    return values.sum(), triangle_gradient(m, d_beta, d_phi, d_Lam)


@njit(cache=True, nogil=True, error_model="numpy")
def unconstrained(theta, m, kappa, code, rows, q, levels, nodes, log_weights, spacing):
    """Value and gradient at an unconstrained vector."""
    p, J = rows.X.shape[1] - 1, rows.home.shape[0] - 1
    values, at, weight = np.empty(J), np.empty((J, MOST)), np.empty((J, MOST))
    phi, Lam = natural(theta, p, q, m, kappa, code)
    d_beta, d_phi, d_Lam = nested(
        theta[:p], phi, Lam, code, rows, levels, nodes, log_weights, spacing, values, at, weight,
        True,
    )  # fmt: skip
    return values.sum(), unconstrained_gradient(theta, m, code, phi, Lam, d_beta, d_phi, d_Lam)


@njit(cache=True, nogil=True, error_model="numpy")
def pointwise(thetas, m, kappa, code, rows, q, levels, nodes, log_weights, spacing):
    """Value of each site, shape (S, J), at unconstrained vectors (S, d)."""
    p, J = rows.X.shape[1] - 1, rows.home.shape[0] - 1
    out, at, weight = np.empty((thetas.shape[0], J)), np.empty((J, MOST)), np.empty((J, MOST))
    for k in range(thetas.shape[0]):
        phi, Lam = natural(thetas[k], p, q, m, kappa, code)
        nested(
            thetas[k, :p], phi, Lam, code, rows, levels, nodes, log_weights, spacing, out[k], at,
            weight, False,
        )  # fmt: skip
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def with_effects(theta, z, m, kappa, code, rows, q, levels, nodes, log_weights):
    """Log density of the data and the sites' z (J,), up to a constant, at an unconstrained vector,
    and its gradient in both: patients alone are integrated out."""
    p, J = rows.X.shape[1] - 1, z.shape[0]
    phi, Lam = natural(theta, p, q, m, kappa, code)
    s = Lam[q - 1, q - 1]
    model = Model(theta[:p], phi, Lam[: q - 1, : q - 1].copy(), s, code, levels, nodes, log_weights)
    d_beta, d_phi, d_Lam = np.zeros(p), np.zeros(phi.shape[0]), np.zeros((q, q))
    nowhere = np.empty((0, q - 1))
    value, d_z = 0.0, np.empty(J)
    for j in range(J):
        h, by_beta, by_phi, by_Lam = _at(z[j], _of_site(rows, j), nowhere, model, True)
        value += h
        d_beta += by_beta[:p]
        d_phi += by_phi
        d_Lam[: q - 1, : q - 1] += by_Lam
        d_Lam[q - 1, q - 1] += z[j] * by_beta[p]
        d_z[j] = s * by_beta[p] - z[j]
    return value, unconstrained_gradient(theta, m, code, phi, Lam, d_beta, d_phi, d_Lam), d_z


def arrays(data: GLMMData) -> tuple:
    """What these take after theta."""
    return (
        data.n_family, data.kappa, data.code, data.by_site, data.q, data.levels, data.nodes,
        data.log_weights, data.spacing,
    )  # fmt: skip


def conditional(
    data: GLMMData, theta: np.ndarray, Lam: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values (J, K) of the sites' z and their probabilities given the data, at a vector of
    `loglik_factor` whose factor is Lam (q, q)."""
    J = int(data.by_site.home.shape[0] - 1)
    values, at, weight = np.empty(J), np.empty((J, MOST)), np.empty((J, MOST))
    phi = full_phi(theta[data.p : data.p + data.n_family], data.code, data.kappa)
    nested(
        theta[: data.p], phi, Lam, data.code, data.by_site, data.levels, data.nodes,
        data.log_weights, data.spacing, values, at, weight, False,
    )  # fmt: skip
    used = int((weight > 0.0).sum(axis=1).max())
    return at[:, :used], weight[:, :used]
