"""Derivatives of the Gaussian mixed model in its variance parameters, exact and without a dense V.

V = sum_r eta_r V_r is linear in eta = (elements of D, row by row below the diagonal; sigma^2), with
V_r = Z E_r Z' or the identity. Everything that Kenward-Roger, Satterthwaite and the standard errors
of the variances need are sums over patients of

    P_r  = -W' V^-1 V_r V^-1 W,     Q_rs = W' V^-1 V_r V^-1 V_s V^-1 W,     tr(V^-1 V_r V^-1 V_s)

with W = (X, y - Xb), and as V^-k Z = Z K^k / sigma^2k for K = I - B Z'Z (B = Lam M^-1 Lam', M = I +
Lam' Z'Z Lam), they follow from the same sufficient statistics as the likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.shrinkage import shrunken_root
from longsurv.likelihood.lmm.statistics import LMMData


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


@dataclass(frozen=True)
class CurvatureSums:
    """What the curvature needs of the patients: sums over them, so those of parts can be added.

    With H1 = K' N / sigma2, H2 = K' H1 / sigma2, G1 = A K / sigma2, A = Z'Z, N = Z'(X, y - X b) of
    each patient as rows, of q k or q^2 elements.

    Attributes
    ----------
    h11, h12 : ndarray, shape (q k, q k)
        H1'H1 and H1'H2.
    h1g : ndarray, shape (q (q + 1) / 2, q k, q k)
        H1'(g H1) for the elements g of G1, row by row below the diagonal.
    g11 : ndarray, shape (q^2, q^2)
        G1'G1.
    totals : ndarray, shape (3, k, k)
        N'B N, H1'B N and H2'B N.
    G2 : ndarray, shape (q, q)
        G1 K / sigma2.
    traces : ndarray, shape (2,)
        tr(B A) and tr(B A B A).
    """

    h11: np.ndarray
    h12: np.ndarray
    h1g: np.ndarray
    g11: np.ndarray
    totals: np.ndarray
    G2: np.ndarray
    traces: np.ndarray

    def __add__(self, other: Self) -> Self:
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return type(self)(*(a + b for a, b in pairs))


def curvature_sums(
    lam: np.ndarray, sigma2: float, gamma: np.ndarray, ztz: np.ndarray, ztw: np.ndarray
) -> CurvatureSums:
    """The sums of some patients.

    Parameters
    ----------
    lam : ndarray, shape (q, q)
    sigma2 : float
    gamma : ndarray, shape (p,)
        Coefficients in orthonormal coordinates.
    ztz, ztw : ndarray, shapes (N, q, q) and (N, q, k)
    """
    q = ztz.shape[1]
    h1, h2, G1, totals, G2, traces = _of_patients(lam, sigma2, gamma, ztz, ztw)
    pairs = [(b, c) for b in range(q) for c in range(b + 1)]
    return CurvatureSums(
        h11=h1.T @ h1,
        h12=h1.T @ h2,
        h1g=np.array([h1.T @ (h1 * G1[:, b * q + c, None]) for b, c in pairs]),
        g11=G1.T @ G1,
        totals=totals,
        G2=G2,
        traces=traces,
    )


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
    sums = curvature_sums(lam, sigma2, gamma, data.ztz, data.ztw)
    return curvature_of(sums, data.cross, data.nobs, sigma2, gamma, reml)


def curvature_of(
    sums: CurvatureSums,
    cross: np.ndarray,
    nobs: int,
    sigma2: float,
    gamma: np.ndarray,
    reml: bool,
) -> VarianceCurvature:
    """The curvature from the sums of all patients; `cross` and `nobs` as in `LMMData`."""
    p, q = len(gamma), len(sums.G2)
    k = p + 1
    # The last column of W becomes the residual y - X b.
    to_residual = np.eye(k)
    to_residual[:p, p] = -gamma
    W1 = (to_residual.T @ cross @ to_residual - sums.totals[0]) / sigma2
    W2 = (W1 - sums.totals[1]) / sigma2
    W3 = (W2 - sums.totals[2]) / sigma2

    E = basis(q).reshape(-1, q * q)
    m = len(E) + 1
    P = np.empty((m, k, k))
    P[:-1] = (-E @ _by_pair(sums.h11, q)).reshape(-1, k, k)
    P[-1] = -W2

    Q = np.empty((m, m, k, k))
    triple = np.empty((q, q, q, q, k * k))
    pairs = ((b, c) for b in range(q) for c in range(b + 1))
    for (b, c), products in zip(pairs, sums.h1g, strict=True):
        triple[:, b, c] = triple[:, c, b] = _by_pair(products, q).reshape(q, q, -1)
    half = (E @ triple.reshape(q * q, -1)).reshape(len(E), q * q, -1)
    Q[:-1, :-1] = (E @ half).reshape(len(E), len(E), k, k)
    Q[:-1, -1] = (E @ _by_pair(sums.h12, q)).reshape(-1, k, k)
    Q[-1, :-1] = np.swapaxes(Q[:-1, -1], 1, 2)
    Q[-1, -1] = W3

    trace = np.empty((m, m))
    trace[:-1, :-1] = E @ _by_pair(sums.g11, q) @ E.T
    trace[:-1, -1] = trace[-1, :-1] = E @ sums.G2.ravel()
    trace[-1, -1] = (nobs - 2.0 * sums.traces[0] + sums.traces[1]) / sigma2**2

    return assembled(W1, P, Q, trace, reml)


def assembled(
    information: np.ndarray, P: np.ndarray, Q: np.ndarray, trace: np.ndarray, reml: bool
) -> VarianceCurvature:
    """The curvature from products with W = (X, y - Xb), where V is linear in eta.

    Parameters
    ----------
    information : ndarray, shape (k, k)
        W'V^-1 W.
    P, Q : ndarray, shapes (m, k, k) and (m, m, k, k)
        As in the head of this file.
    trace : ndarray, shape (m, m)
        tr(V^-1 V_r V^-1 V_s).
    reml : bool
        Whether `observed` is of the restricted likelihood.
    """
    p = len(information) - 1
    phi = np.linalg.inv(information[:p, :p])
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


def _by_pair(products: np.ndarray, q: int) -> np.ndarray:
    """Rows a, b of shape (q^2, k^2) from products of (a, j) and (b, k), shape (q k, q k)."""
    k = len(products) // q
    return products.reshape(q, k, q, k).transpose(0, 2, 1, 3).reshape(q * q, k * k)


@njit(cache=True, nogil=True, error_model="numpy")
def _of_patients(lam, sigma2, gamma, ztz, ztw):
    """H1 = K' N / sigma2, H2 = K' H1 / sigma2 and G1 = A K / sigma2 of each patient, A = Z'Z and
    N = Z'(X, y - X b), as rows; the sums of N'B N, H1'B N and H2'B N, of G1 K / sigma2, of tr(B A)
    and of tr(B A B A)."""
    patients, q, k = ztw.shape
    p = k - 1
    h1, h2 = np.empty((patients, q * k)), np.empty((patients, q * k))
    g1 = np.empty((patients, q * q))
    totals, G2, traces = np.zeros((3, k, k)), np.zeros((q, q)), np.zeros(2)
    M, L, S = np.empty((q, q)), np.zeros((q, q)), np.empty((q, q))
    B, BA, AK = np.empty((q, q)), np.empty((q, q)), np.empty((q, q))
    N, BN = np.empty((q, k)), np.empty((q, k))
    for i in range(patients):
        A = ztz[i]
        for a in range(q):
            last = ztw[i, a, p]
            for j in range(p):
                N[a, j] = ztw[i, a, j]
                last -= ztw[i, a, j] * gamma[j]
            N[a, p] = last
        # B = S S' with S = lam L'^-1, L L' = I + lam' A lam
        shrunken_root(A, lam, M, L, AK, S, B)
        for a in range(q):
            for b in range(q):
                s = 0.0
                for c in range(q):
                    s += B[a, c] * A[c, b]
                BA[a, b] = s
        for a in range(q):
            traces[0] += BA[a, a]
            for b in range(q):
                traces[1] += BA[a, b] * BA[b, a]
                s = A[a, b]
                for c in range(q):
                    s -= A[a, c] * BA[c, b]
                AK[a, b] = s / sigma2
                g1[i, a * q + b] = AK[a, b]
        for a in range(q):
            for b in range(q):
                s = AK[a, b]
                for c in range(q):
                    s -= AK[a, c] * BA[c, b]
                G2[a, b] += s / sigma2
            for j in range(k):
                s = 0.0
                for c in range(q):
                    s += B[a, c] * N[c, j]
                BN[a, j] = s
        for a in range(q):
            for j in range(k):
                s = N[a, j]
                for c in range(q):
                    s -= BA[c, a] * N[c, j]
                h1[i, a * k + j] = s / sigma2
        for a in range(q):
            for j in range(k):
                s = h1[i, a * k + j]
                for c in range(q):
                    s -= BA[c, a] * h1[i, c * k + j]
                h2[i, a * k + j] = s / sigma2
        for a in range(q):
            for j in range(k):
                for other in range(k):
                    totals[0, j, other] += N[a, j] * BN[a, other]
                    totals[1, j, other] += h1[i, a * k + j] * BN[a, other]
                    totals[2, j, other] += h2[i, a * k + j] * BN[a, other]
    return h1, h2, g1, totals, G2, traces
