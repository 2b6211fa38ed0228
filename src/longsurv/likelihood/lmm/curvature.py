"""Derivatives of the Gaussian mixed model in its variance parameters, exact and without a dense V.

V = sum_r eta_r V_r is linear in eta = (elements of D, row by row below the diagonal; sigma^2), with
V_r = Z E_r Z' or the identity. Everything that Kenward-Roger, Satterthwaite and the standard errors
of the variances need are sums over patients of

    P_r  = -W' V^-1 V_r V^-1 W,     Q_rs = W' V^-1 V_r V^-1 V_s V^-1 W,     tr(V^-1 V_r V^-1 V_s)

with W = (X, y - Xb), and as V^-k Z = Z K^k / sigma^2k for K = I - B Z'Z (B = Lam M^-1 Lam', M = I +
Lam' Z'Z Lam), they follow from the same sufficient statistics as the likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from longsurv.likelihood.lmm.loglik import LMMData


@dataclass(frozen=True)
class VarianceCurvature:
    """Second-order quantities at an estimate, in the kernel's own coordinates.

    Coefficients are in orthonormal coordinates (beta = beta_ols + r^-1 gamma), D in the kernel's
    columns of Z. m = q (q + 1) / 2 + 1 variance parameters, sigma^2 last.

    Attributes
    ----------
    phi : ndarray, shape (p, p)
        (X' V^-1 X)^-1.
    P : ndarray, shape (m, p, p)
    Q : ndarray, shape (m, m, p, p)
    expected : ndarray, shape (m, m)
        Expected information of eta (REML): tr(P V_r P V_s) / 2.
    observed : ndarray, shape (m, m)
        Minus the Hessian of the (restricted) log-likelihood in eta.
    total : ndarray, shape (m,)
        What the expected information of each would be with known coefficients.
    shift : ndarray, shape (m, p)
        How much the estimated coefficients fall as eta rises.
    R : ndarray, shape (m, m, p, p), optional
        X' V^-1 (d2 V / d eta_r d eta_s) V^-1 X, where V need not be linear in eta.
    """

    phi: np.ndarray
    P: np.ndarray
    Q: np.ndarray
    expected: np.ndarray
    observed: np.ndarray
    total: np.ndarray
    shift: np.ndarray
    R: np.ndarray | None = None

    def of(self, chosen: np.ndarray) -> VarianceCurvature:
        """The same in the chosen parameters, the others being known."""
        pairs = np.ix_(chosen, chosen)
        return replace(
            self,
            P=self.P[chosen],
            Q=self.Q[pairs],
            expected=self.expected[pairs],
            observed=self.observed[pairs],
            total=self.total[chosen],
            shift=self.shift[chosen],
            R=None if self.R is None else self.R[pairs],
        )


def basis(q: int) -> np.ndarray:
    """Symmetric matrices E_r, shape (q (q + 1) / 2, q, q), with D = sum_r D_ab E_r for a >= b."""
    out = []
    for a in range(q):
        for b in range(a + 1):
            E = np.zeros((q, q))
            E[a, b] = E[b, a] = 1.0
            out.append(E)
    return np.array(out)


def variance_curvature(
    data: LMMData, lam: np.ndarray, sigma2: float, gamma: np.ndarray, reml: bool
) -> VarianceCurvature:
    """Curvature at the relative covariance factor lam (q, q) and residual variance sigma2.

    Parameters
    ----------
    data : LMMData
    lam : ndarray, shape (q, q)
    sigma2 : float
    gamma : ndarray, shape (p,)
        Coefficients in orthonormal coordinates.
    reml : bool
        Whether `observed` is of the restricted likelihood.
    """
    q, p, k = data.q, data.p, data.p + 1
    E = basis(q)
    # The last column of W becomes the residual y - X b.
    to_residual = np.eye(k)
    to_residual[:p, p] = -gamma
    N = data.ztw @ to_residual
    cross = to_residual.T @ data.cross @ to_residual
    A = data.ztz
    B = lam @ np.linalg.inv(np.eye(q) + lam.T @ A @ lam) @ lam.T
    K = np.eye(q) - B @ A
    Kt = np.swapaxes(K, 1, 2)
    H1 = Kt @ N / sigma2
    H2 = Kt @ H1 / sigma2
    G1 = A @ K / sigma2
    G2 = G1 @ K / sigma2
    BN = B @ N

    def total(H: np.ndarray) -> np.ndarray:
        return np.tensordot(H, BN, axes=((0, 1), (0, 1)))

    def spread(H: np.ndarray) -> np.ndarray:
        return H.reshape(len(H), -1)

    W1 = (cross - total(N)) / sigma2
    W2 = (W1 - total(H1)) / sigma2
    W3 = (W2 - total(H2)) / sigma2
    h1, h2 = spread(H1), spread(H2)

    m = len(E) + 1
    P = np.empty((m, k, k))
    pairs = (h1.T @ h1).reshape(q, k, q, k)
    P[:-1] = -np.einsum("rab,ajbk->rjk", E, pairs)
    P[-1] = -W2

    Q = np.empty((m, m, k, k))
    triple = np.empty((q, q, q, k, q, k))
    for b in range(q):
        for c in range(q):
            triple[b, c] = (h1.T @ (h1 * G1[:, b, c, None])).reshape(q, k, q, k)
    Q[:-1, :-1] = np.einsum("rab,bcajdk,scd->rsjk", E, triple, E, optimize=True)
    mixed = (h1.T @ h2).reshape(q, k, q, k)
    Q[:-1, -1] = np.einsum("rab,ajbk->rjk", E, mixed)
    Q[-1, :-1] = np.swapaxes(Q[:-1, -1], 1, 2)
    Q[-1, -1] = W3

    trace = np.empty((m, m))
    g1 = spread(G1)
    GG = (g1.T @ g1).reshape(q, q, q, q)
    trace[:-1, :-1] = np.einsum("rab,bcda,scd->rs", E, GG, E, optimize=True)
    trace[:-1, -1] = trace[-1, :-1] = np.einsum("rab,ab->r", E, G2.sum(axis=0))
    BA = B @ A
    trace[-1, -1] = (
        data.nobs - 2.0 * np.trace(BA, axis1=1, axis2=2).sum() + np.einsum("iab,iba->", BA, BA)
    ) / sigma2**2

    phi = np.linalg.inv(W1[:p, :p])
    PX, QX = P[:, :p, :p], Q[:, :, :p, :p]
    phi_P = phi @ PX
    projected = (
        trace - 2.0 * np.einsum("jk,rskj->rs", phi, QX) + np.einsum("rjk,skj->rs", phi_P, phi_P)
    )
    slope = P[:, :p, p]
    quad = Q[:, :, p, p] - np.einsum("rj,jk,sk->rs", slope, phi, slope)
    observed = quad - 0.5 * (projected if reml else trace)
    return VarianceCurvature(
        phi, PX, QX, 0.5 * projected, observed, 0.5 * np.diag(trace), slope @ phi
    )
