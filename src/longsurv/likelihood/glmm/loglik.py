"""Marginal likelihood of generalised mixed models, random effects integrated out.

    y_ij | b_i ~ family(eta_ij = o_ij + x_ij' beta + z_ij' b_i),   b_i = Lam u_i,   u_i ~ N(0, I)

by adaptive Gauss-Hermite quadrature in u_i, where the likelihood is smooth even if a variance is
zero. The gradient is that of the quadrature itself, the movement of the nodes with the parameters
included, so it agrees with the value at every number of nodes. Where patients are of sites, the
effects of those are integrated out as `sites` says, or `crossed` where they are seen at several.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from longsurv.likelihood.glmm import crossed, sites
from longsurv.likelihood.glmm.data import GLMMData
from longsurv.likelihood.glmm.parameters import (
    full_phi,
    natural,
    triangle,
    triangle_gradient,
    unconstrained_gradient,
)
from longsurv.likelihood.glmm.quadrature import marginal, posterior_nodes


@njit(cache=True, nogil=True, error_model="numpy")
def _in_factor(theta, m, kappa, code, Y, extent, offset, X, Z, first, levels, nodes, log_weights):
    p, q = X.shape[1], Z.shape[1]
    values = np.empty(first.shape[0] - 1)
    d_beta, d_phi, d_Lam = marginal(
        theta[:p], full_phi(theta[p : p + m], code, kappa), triangle(theta, p, q, m), code, Y,
        extent, offset, X, Z, first, levels, nodes, log_weights, values, np.empty(0),
        np.empty((0, q)), True,
    )  # fmt: skip
    return values.sum(), triangle_gradient(m, d_beta, d_phi, d_Lam)


@njit(cache=True, nogil=True, error_model="numpy")
def _unconstrained(
    theta, m, kappa, code, Y, extent, offset, X, Z, first, levels, nodes, log_weights
):
    p, q = X.shape[1], Z.shape[1]
    values = np.empty(first.shape[0] - 1)
    phi, Lam = natural(theta, p, q, m, kappa, code)
    d_beta, d_phi, d_Lam = marginal(
        theta[:p], phi, Lam, code, Y, extent, offset, X, Z, first, levels, nodes, log_weights,
        values, np.empty(0), np.empty((0, q)), True,
    )  # fmt: skip
    return values.sum(), unconstrained_gradient(theta, m, code, phi, Lam, d_beta, d_phi, d_Lam)


@njit(cache=True, nogil=True, error_model="numpy")
def _pointwise(thetas, m, kappa, code, Y, extent, offset, X, Z, first, levels, nodes, log_weights):
    p, q = X.shape[1], Z.shape[1]
    out = np.empty((thetas.shape[0], first.shape[0] - 1))
    for s in range(thetas.shape[0]):
        phi, Lam = natural(thetas[s], p, q, m, kappa, code)
        marginal(
            thetas[s, :p], phi, Lam, code, Y, extent, offset, X, Z, first, levels, nodes,
            log_weights, out[s], np.empty(0), np.empty((0, q)), False,
        )  # fmt: skip
    return out


def _arrays(data: GLMMData) -> tuple:
    return (
        data.n_family, data.kappa, data.code, data.y, data.extent, data.offset, data.X, data.Z,
        data.first, data.levels, data.nodes, data.log_weights,
    )  # fmt: skip


def _expanded(theta: np.ndarray, free: np.ndarray, size: int) -> np.ndarray:
    if len(free) == size:
        return theta
    full = np.zeros((*theta.shape[:-1], size))
    full[..., free] = theta
    return full


def loglik(data: GLMMData, theta: np.ndarray) -> tuple[float, np.ndarray]:
    """Marginal log-likelihood and its gradient at an unconstrained vector.

    Parameters
    ----------
    data : GLMMData
    theta : ndarray, shape (d,)
        beta; the family parameters (ordinal: first cut and log increments; censored: log sigma;
        student: log sigma, and log df unless it is fixed; negative_binomial: log theta; nbinom1:
        log phi); log standard deviations of the random
        effects; unconstrained correlations (see `longsurv.likelihood.arithmetic.covariance`).

    Returns
    -------
    value : float
        -inf where a patient's mode cannot be found.
    gradient : ndarray, shape (d,)
    """
    free, q = data.free_unconstrained, data.q
    size = data.p + data.n_family + q * (q + 1) // 2
    full = _expanded(theta, free, size)
    if data.place is not None:
        value, gradient = crossed.unconstrained(data, full)
    elif data.site is not None:
        value, gradient = sites.unconstrained(full, *sites.arrays(data))
    else:
        value, gradient = _unconstrained(full, *_arrays(data))
    return value, gradient[free]


def factor_vector(data: GLMMData, theta: np.ndarray) -> np.ndarray:
    """theta of `loglik_factor` with the whole lower triangle of Lam."""
    return _expanded(theta, data.free_factor, data.p + data.n_family + data.q * (data.q + 1) // 2)


def loglik_with_effects(
    data: GLMMData, theta: np.ndarray, z: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Log density of the data and of the effects of their sites, the patients' integrated out.

    Parameters
    ----------
    data : GLMMData
        With sites.
    theta : ndarray, shape (d,)
        As for `loglik`.
    z : ndarray, shape (J,)
        The sites' effects in units of their standard deviation.

    Returns
    -------
    value : float
        Up to a constant; -inf where a patient's mode cannot be found.
    gradient : ndarray, shape (d,)
    by_effects : ndarray, shape (J,)
    """
    free, q = data.free_unconstrained, data.q
    full = _expanded(theta, free, data.p + data.n_family + q * (q + 1) // 2)
    if data.place is not None:
        value, gradient, by_effects = crossed.with_effects(data, full, z)
    else:
        *given, _ = sites.arrays(data)
        value, gradient, by_effects = sites.with_effects(full, z, *given)
    return value, gradient[free], by_effects


def loglik_factor(
    data: GLMMData, theta: np.ndarray, trail: crossed.Trail | None = None
) -> tuple[float, np.ndarray]:
    """The same in the factor Lam, for a maximum that may lie on a boundary.

    theta is beta; the family parameters, with kappa = 1 / df >= 0 in place of log df, 1 / theta
    and phi, neither below 0, in place of logarithms; and the elements of Lam (D = Lam Lam') in the
    order of `GLMMData.entries`. A trail makes the next place near this one cheaper where patients
    cross sites. Returns as `loglik`.
    """
    free, full = data.free_factor, factor_vector(data, theta)
    if data.place is not None:
        value, gradient = crossed.in_factor(data, full, trail)
    elif data.site is not None:
        value, gradient = sites.in_factor(full, *sites.arrays(data))
    else:
        value, gradient = _in_factor(full, *_arrays(data))
    return value, gradient[free]


def pointwise(data: GLMMData, thetas: np.ndarray) -> np.ndarray:
    """Marginal log-likelihood of each patient, shape (S, N), at vectors (S, d) as in `loglik`; with
    sites that patients are nested in of each of those, shape (S, J)."""
    assert data.place is None  # then no patient is independent of the others
    q = data.q
    full = _expanded(thetas, data.free_unconstrained, data.p + data.n_family + q * (q + 1) // 2)
    full = np.ascontiguousarray(full)
    if data.site is not None:
        return sites.pointwise(full, *sites.arrays(data))
    return _pointwise(full, *_arrays(data))


def random_factor(data: GLMMData, theta: np.ndarray) -> np.ndarray:
    """Lam (q, q), with D = Lam Lam', of theta as in `loglik_factor`."""
    Lam = np.zeros((data.q, data.q))
    Lam[data.entries] = theta[data.p + data.n_family :]
    return Lam


def conditional(data: GLMMData, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distribution of each patient's random effects given the data, at theta as in `loglik_factor`.

    Returns
    -------
    nodes : ndarray, shape (N, M, q)
        Values of b.
    weights : ndarray, shape (N, M)
        Their probabilities; with one node, the mode.
    """
    at, weights = conditional_standard(data, theta)
    return at @ random_factor(data, theta).T, weights


def site_effects(data: GLMMData, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values of each site's effect and their probabilities given the data, shape (J, K) both, at
    theta as in `loglik_factor`; of sites that patients are nested in."""
    Lam = random_factor(data, theta)
    z, probability = sites.conditional(data, theta, Lam)
    return Lam[-1, -1] * z, probability


def conditional_standard(data: GLMMData, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same of u, with b = Lam u and u ~ N(0, I) before anything is known."""
    assert data.place is None
    Lam = random_factor(data, theta)
    if data.site is None:
        phi = full_phi(theta[data.p : data.p + data.n_family], data.code, data.kappa)
        return posterior_nodes(theta[: data.p], phi, Lam, *_arrays(data)[2:])
    # Given the effect of their site patients are independent, and know of no other.
    z, probability = sites.conditional(data, theta, Lam)
    at, weights = [], []
    for effect, share in zip(z.T, probability.T, strict=True):
        u, own = conditional_standard(data.given_sites(Lam[-1, -1] * effect), theta[:-1])
        of_site = np.broadcast_to(effect[data.site, None, None], (*own.shape, 1))
        at.append(np.concatenate([u, of_site], axis=2))
        weights.append(own * share[data.site, None])
    return np.concatenate(at, axis=1), np.concatenate(weights, axis=1)


def to_factor(data: GLMMData, theta: np.ndarray) -> np.ndarray:
    """The vector of `loglik_factor` at the point theta (d,) of `loglik`."""
    p, m, q = data.p, data.n_family, data.q
    full = _expanded(theta, data.free_unconstrained, p + m + q * (q + 1) // 2)
    phi, Lam = natural(full, p, q, m, data.kappa, data.code)
    return np.concatenate([theta[:p], phi[:m], Lam[data.entries]])
