"""Marginal likelihood of generalised mixed models, random effects integrated out.

    y_ij | b_i ~ family(eta_ij = o_ij + x_ij' beta + z_ij' b_i),   b_i = Lam u_i,   u_i ~ N(0, I)

by adaptive Gauss-Hermite quadrature in u_i, where the likelihood is smooth even if a variance is
zero. The gradient is that of the quadrature itself, the movement of the nodes with the parameters
included, so it agrees with the value at every number of nodes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.covariance import correlation_cholesky, correlation_pullback
from longsurv.likelihood.glmm.families import FAMILIES, STUDENT, from_climbed, to_climbed
from longsurv.likelihood.glmm.family import Family, kinds_of, middle_of
from longsurv.likelihood.glmm.quadrature import marginal, posterior_nodes


@dataclass(frozen=True)
class GLMMData:
    """Rows sorted by patient, and the quadrature rule.

    Attributes
    ----------
    family : Family
    y : ndarray, shape (n,)
        0/1, category 0 to levels - 1, or a number (the limit where censored, the lower of two).
    extent : ndarray, shape (n,)
        The value lies between y and y + extent: 0 where it is measured, -inf below a limit, inf
        above one.
    X : ndarray, shape (n, p)
    Z : ndarray, shape (n, q)
    first : ndarray of int, shape (N + 1,)
        First row of each patient.
    levels : int
        Categories of an ordinal response, else 0.
    kappa : float
        1 / df of a Student response with fixed degrees of freedom, else NaN.
    nodes : ndarray, shape (M, q)
        Product rule for N(0, I).
    log_weights : ndarray, shape (M,)
        log omega_k + t_k't_k / 2.
    blocks : tuple of int
        How many neighbouring columns of Z each block of correlated random effects has.
    effects : ndarray, shape (q, q)
        The formula's random effects are effects @ b, b those of the columns of Z.
    offset : ndarray, shape (n,)
        What the predictor has besides.
    """

    family: Family
    y: np.ndarray
    extent: np.ndarray
    X: np.ndarray
    Z: np.ndarray
    first: np.ndarray
    levels: int
    kappa: float
    nodes: np.ndarray
    log_weights: np.ndarray
    blocks: tuple[int, ...]
    effects: np.ndarray
    offset: np.ndarray

    @property
    def kind(self) -> np.ndarray:
        """Measured, or below, above or between limits: see `family.kinds_of`, shape (n,)."""
        return kinds_of(self.extent)

    @property
    def middle(self) -> np.ndarray:
        """The measured value, the limit, or the middle between two, shape (n,)."""
        return middle_of(self.y, self.extent)

    @property
    def code(self) -> int:
        """That of the family."""
        return self.family.code

    @property
    def p(self) -> int:
        """Number of fixed-effects coefficients."""
        return self.X.shape[1]

    @property
    def q(self) -> int:
        """Number of random effects a patient."""
        return self.Z.shape[1]

    @property
    def n_family(self) -> int:
        """Number of family parameters that are estimated."""
        return self.family.size(self.levels, self.kappa)

    @cached_property
    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the elements of Lam that are not zero by design, row by row."""
        block = np.repeat(np.arange(len(self.blocks)), self.blocks)
        rows, columns = np.tril_indices(self.q)
        within = block[rows] == block[columns]
        return rows[within], columns[within]

    @cached_property
    def free_factor(self) -> np.ndarray:
        """Where the parameters of `loglik_factor` are when Lam has its whole lower triangle."""
        start = self.p + self.n_family
        rows, columns = self.entries
        return np.concatenate([np.arange(start), start + rows * (rows + 1) // 2 + columns])

    @cached_property
    def free_unconstrained(self) -> np.ndarray:
        """Where the parameters of `loglik` are when all correlations are free."""
        start = self.p + self.n_family + self.q
        rows, columns = (index[self.entries[0] > self.entries[1]] for index in self.entries)
        return np.concatenate([np.arange(start), start + rows * (rows - 1) // 2 + columns])


def prepare(
    family: str,
    y: np.ndarray,
    X: np.ndarray,
    Z: np.ndarray,
    group: np.ndarray,
    n_groups: int,
    *,
    nodes: np.ndarray,
    log_weights: np.ndarray,
    blocks: tuple[int, ...] = (),
    extent: np.ndarray | None = None,
    df: float | None = None,
    effects: np.ndarray | None = None,
    offset: np.ndarray | None = None,
) -> GLMMData:
    """Sort the rows by patient.

    Parameters
    ----------
    family : str
        One of `FAMILIES`.
    y : ndarray, shape (n,)
        See `GLMMData`.
    X, Z : ndarray, shape (n, p) and (n, q)
        Designs; X without an intercept for an ordinal response.
    group : ndarray of int, shape (n,)
        Patient of each row, 0 to n_groups - 1, in any order.
    n_groups : int
    nodes, log_weights : ndarray, shape (M, q) and (M,)
        Quadrature rule, see `GLMMData`.
    blocks : tuple of int
        See `GLMMData`; by default one block.
    extent : ndarray, shape (n,), optional
        See `GLMMData`; all measured by default.
    df : float, optional
        Fixed degrees of freedom of a Student response.
    effects : ndarray, shape (q, q), optional
        See `GLMMData`; the identity by default.
    offset : ndarray, shape (n,), optional
        See `GLMMData`; 0 by default.
    """
    order = np.argsort(group, kind="stable")
    counts = np.bincount(group, minlength=n_groups)
    own = FAMILIES[family]
    return GLMMData(
        family=own,
        y=np.ascontiguousarray(y[order], dtype=float),
        extent=np.zeros(len(y)) if extent is None else extent[order].astype(float),
        X=np.ascontiguousarray(X[order], dtype=float),
        Z=np.ascontiguousarray(Z[order], dtype=float),
        first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        levels=own.levels(y),
        kappa=1.0 / df if df is not None else math.nan,
        nodes=np.ascontiguousarray(nodes),
        log_weights=np.ascontiguousarray(log_weights),
        blocks=blocks or (Z.shape[1],),
        effects=np.eye(Z.shape[1]) if effects is None else effects,
        offset=np.zeros(len(y)) if offset is None else offset[order].astype(float),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _full_phi(phi, code, kappa):
    """Family parameters with a fixed kappa in its place."""
    if code == STUDENT and phi.shape[0] == 1:
        return np.array([phi[0], kappa])
    return phi.copy()


@njit(cache=True, nogil=True, error_model="numpy")
def _in_factor(theta, m, kappa, code, Y, extent, offset, X, Z, first, levels, nodes, log_weights):
    p, q = X.shape[1], Z.shape[1]
    values = np.empty(first.shape[0] - 1)
    Lam = np.zeros((q, q))
    k = p + m
    for a in range(q):
        for b in range(a + 1):
            Lam[a, b] = theta[k]
            k += 1
    phi = _full_phi(theta[p : p + m], code, kappa)
    d_beta, d_phi, d_Lam = marginal(
        theta[:p], phi, Lam, code, Y, extent, offset, X, Z, first, levels, nodes, log_weights,
        values, True,
    )  # fmt: skip
    gradient = np.empty(theta.shape[0])
    gradient[:p] = d_beta
    gradient[p : p + m] = d_phi[:m]
    k = p + m
    for a in range(q):
        for b in range(a + 1):
            gradient[k] = d_Lam[a, b]
            k += 1
    return values.sum(), gradient


@njit(cache=True, nogil=True, error_model="numpy")
def _natural(theta, p, q, m, kappa, code):
    """Family parameters, Lam and the correlation factor of an unconstrained vector."""
    phi = _full_phi(theta[p : p + m], code, kappa)
    to_climbed(code, phi, m)
    K = correlation_cholesky(theta[p + m + q :], q)
    Lam = np.empty((q, q))
    for a in range(q):
        tau = math.exp(theta[p + m + a])
        for b in range(q):
            Lam[a, b] = tau * K[a, b]
    return phi, Lam


@njit(cache=True, nogil=True, error_model="numpy")
def _unconstrained(
    theta, m, kappa, code, Y, extent, offset, X, Z, first, levels, nodes, log_weights
):
    p, q = X.shape[1], Z.shape[1]
    values = np.empty(first.shape[0] - 1)
    phi, Lam = _natural(theta, p, q, m, kappa, code)
    d_beta, d_phi, d_Lam = marginal(
        theta[:p], phi, Lam, code, Y, extent, offset, X, Z, first, levels, nodes, log_weights,
        values, True,
    )  # fmt: skip
    gradient = np.zeros(theta.shape[0])
    gradient[:p] = d_beta
    gradient[p : p + m] = d_phi[:m]
    from_climbed(code, phi, m, gradient[p : p + m])
    dK = np.zeros((q, q))
    for a in range(q):
        tau = math.exp(theta[p + m + a])
        for b in range(a + 1):
            gradient[p + m + a] += d_Lam[a, b] * Lam[a, b]
            dK[a, b] = tau * d_Lam[a, b]
    gradient[p + m + q :] = correlation_pullback(theta[p + m + q :], q, dK)
    return values.sum(), gradient


@njit(cache=True, nogil=True, error_model="numpy")
def _pointwise(thetas, m, kappa, code, Y, extent, offset, X, Z, first, levels, nodes, log_weights):
    p, q = X.shape[1], Z.shape[1]
    out = np.empty((thetas.shape[0], first.shape[0] - 1))
    for s in range(thetas.shape[0]):
        phi, Lam = _natural(thetas[s], p, q, m, kappa, code)
        marginal(
            thetas[s, :p], phi, Lam, code, Y, extent, offset, X, Z, first, levels, nodes,
            log_weights, out[s], False,
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
    value, gradient = _unconstrained(_expanded(theta, free, size), *_arrays(data))
    return value, gradient[free]


def loglik_factor(data: GLMMData, theta: np.ndarray) -> tuple[float, np.ndarray]:
    """The same in the factor Lam, for a maximum that may lie on a boundary.

    theta is beta; the family parameters, with kappa = 1 / df >= 0 in place of log df, 1 / theta
    and phi, neither below 0, in place of logarithms; and the elements of Lam (D = Lam Lam') in the
    order of `GLMMData.entries`. Returns as `loglik`.
    """
    free, q = data.free_factor, data.q
    size = data.p + data.n_family + q * (q + 1) // 2
    value, gradient = _in_factor(_expanded(theta, free, size), *_arrays(data))
    return value, gradient[free]


def pointwise(data: GLMMData, thetas: np.ndarray) -> np.ndarray:
    """Marginal log-likelihood of each patient, shape (S, N), at vectors (S, d) as in `loglik`."""
    q = data.q
    full = _expanded(thetas, data.free_unconstrained, data.p + data.n_family + q * (q + 1) // 2)
    return _pointwise(np.ascontiguousarray(full), *_arrays(data))


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


def conditional_standard(data: GLMMData, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same of u, with b = Lam u and u ~ N(0, I) before anything is known."""
    phi = _full_phi(theta[data.p : data.p + data.n_family], data.code, data.kappa)
    Lam = random_factor(data, theta)
    return posterior_nodes(theta[: data.p], phi, Lam, *_arrays(data)[2:])


def to_factor(data: GLMMData, theta: np.ndarray) -> np.ndarray:
    """The vector of `loglik_factor` at the point theta (d,) of `loglik`."""
    p, m, q = data.p, data.n_family, data.q
    full = _expanded(theta, data.free_unconstrained, p + m + q * (q + 1) // 2)
    phi, Lam = _natural(full, p, q, m, data.kappa, data.code)
    return np.concatenate([theta[:p], phi[:m], Lam[data.entries]])
