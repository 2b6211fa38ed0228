"""Firth's penalised Cox likelihood: log L + log det I / 2, exact gradient, in O(n p^2).

With A = I^-1, m the risk-set mean of x and E the risk-set expectation, half the derivative of
log det I is

    1/2 sum over event times of  wbar sum_l E[ (x - m)' A (x - m) (x - m) ],

third central moments contracted with A (Heinze and Schemper 2001, Biometrics 57:114, for no ties).
Expanded, they need only sums of scalars and one cumulative vector. With h_i = x_i' A x_i and
T0 = sum of v h, for each event time and step

    E[...] = (sum of v h x) / phi - 2 sum of v x x' A m / phi + (2 m' A m - T0 / phi) m,

where the first two are summed over event times *before* rows: a row meets its own h_i times its
cumulative hazard, and x_i' times the cumulative sum of A m / phi over its time at risk. No third
moment, nor any second moment of a risk set, is formed. Efron's ties, entry times, strata, weights
and offsets all enter through the risk sums, so they need nothing of their own.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from longsurv.likelihood.cox_data import CoxData, Floats, RiskArrays, standardise
from longsurv.likelihood.cox_kernel import (
    cross_product,
    event_contributions,
    event_terms,
    expected_events,
    mirror,
    score,
    subtract_means,
    usable,
)
from longsurv.likelihood.cox_risksets import (
    death_sums,
    exposure,
    linear_predictor,
    relative_risks,
    risk_sums,
    scaled,
)


def firth_value_and_gradient(data: CoxData, beta: ArrayLike) -> tuple[float, Floats]:
    """Penalised log partial likelihood log L + log det I / 2 and its exact gradient.

    Parameters
    ----------
    data : CoxData
    beta : array_like, shape (p,)

    Returns
    -------
    value : float
        -inf where the information is not positive definite to rounding (for instance with
        collinear columns) or a linear predictor is not a usable number.
    gradient : ndarray, shape (p,)
        nan where the value is -inf.
    """
    value, gradient, _ = firth_value_gradient_information(data, beta)
    return value, gradient


def firth_value_gradient_information(
    data: CoxData, beta: ArrayLike
) -> tuple[float, Floats, Floats]:
    """As `firth_value_and_gradient`, and the information of the *unpenalised* likelihood, (p, p).

    That information is the Newton matrix and the covariance customary for Firth's estimate; it is
    not the Hessian of the penalised likelihood.
    """
    value, gradient, information = _evaluate(data.arrays, standardise(data, beta))
    value += float(np.log(data.scale).sum())
    return value, gradient * data.scale, information * np.outer(data.scale, data.scale)


@njit(cache=True, nogil=True)
def _inverse_root(information: Floats, noise: Floats) -> tuple[Floats, float]:
    """Lower triangular W with W' W = I^-1, and log det I; log det -inf if a pivot is mere noise."""
    p = len(information)
    L = np.zeros((p, p))
    W = np.zeros((p, p))
    log_det = 0.0
    for j in range(p):
        for m in range(j + 1):
            rest = information[j, m]
            for q in range(m):
                rest -= L[j, q] * L[m, q]
            if m < j:
                L[j, m] = rest / L[m, m]
        if not rest > noise[j]:
            return W, -np.inf
        L[j, j] = np.sqrt(rest)
        log_det += np.log(rest)
        W[j, j] = 1.0 / L[j, j]
        for m in range(j):
            total = 0.0
            for q in range(m, j):
                total -= L[j, q] * W[q, m]
            W[j, m] = total / L[j, j]
    return W, log_det


@njit(cache=True, nogil=True)
def _leverages(X: Floats, W: Floats) -> Floats:
    """h_i = x_i' W' W x_i, (n,)."""
    n, p = X.shape
    h = np.zeros(n)
    for i in range(n):
        for j in range(p):
            total = 0.0
            for m in range(j + 1):
                total += W[j, m] * X[i, m]
            h[i] += total * total
    return h


@njit(cache=True, nogil=True)
def _time_terms(
    a: RiskArrays,
    S: Floats,
    E: Floats,
    T: Floats,
    ET: Floats,
    moments: Floats,
    A: Floats,
    gradient: Floats,
) -> tuple[Floats, Floats]:
    """Add the terms in m to the gradient; return cumulants of A m for the rows.

    (K, p) each: wbar sum_l A m / phi, and the same weighted by c, which tied events lack.
    """
    K, p = len(a.deaths), len(A)
    drift = np.zeros((K, p))
    drift_tied = np.zeros((K if a.efron else 0, p))
    AS, AE = np.zeros(p), np.zeros(p)
    for k in range(K):
        ss = se = ee = 0.0
        tied = a.efron and a.deaths[k] > 1
        for j in range(p):
            AS[j] = AE[j] = 0.0
            for m in range(p):
                AS[j] += A[j, m] * S[k, 1 + m]
                if tied:
                    AE[j] += A[j, m] * E[k, 1 + m]
            ss += AS[j] * S[k, 1 + j]
            drift[k, j] = moments[k, 2] * AS[j]
            if tied:
                se += AS[j] * E[k, 1 + j]
                ee += AE[j] * E[k, 1 + j]
                drift[k, j] -= moments[k, 3] * AE[j]
                drift_tied[k, j] = moments[k, 3] * AS[j] - moments[k, 4] * AE[j]
        steps = a.deaths[k] if tied else 1
        wbar = a.death_weight[k] / steps
        for_S = for_E = 0.0
        for step in range(steps):
            c = step / steps
            phi, mean_h = S[k, 0], T[k, 0]
            if step:
                phi -= c * E[k, 0]
                mean_h -= c * ET[k, 0]
            spread = (ss - 2 * c * se + c * c * ee) / (phi * phi)
            term = wbar * (2 * spread - mean_h / phi) / phi
            for_S += term
            for_E += c * term
        for j in range(p):
            gradient[j] += 0.5 * for_S * S[k, 1 + j]
            if tied:
                gradient[j] -= 0.5 * for_E * E[k, 1 + j]
    return drift, drift_tied


@njit(cache=True, nogil=True)
def _evaluate(a: RiskArrays, b: Floats) -> tuple[float, Floats, Floats]:
    """Penalised value and gradient, and the information; standardised coefficients."""
    n, p = a.X.shape
    gradient = np.full(p, np.nan)
    information = np.full((p, p), np.nan)
    eta = linear_predictor(a, b)
    if not usable(eta):
        return -np.inf, gradient, information
    v, e = relative_risks(a, eta)
    S, eS = risk_sums(a, v, e, 1 + p)
    E = death_sums(a, v, e, eS, 1 + p)
    mean_log, moments = event_terms(a, S, E, eS)
    expected = expected_events(a, v, e, eS, moments)
    information = cross_product(a.X, expected)
    noise = 1e-14 * np.diag(information)  # what cancellation in the next line can leave behind
    subtract_means(a, S, E, moments, information)
    mirror(information)
    W, log_det = _inverse_root(information, noise)
    if log_det == -np.inf:
        return -np.inf, gradient, information

    gradient = score(a, expected)
    h = _leverages(a.X, W)
    T, _ = risk_sums(a, v * h, e, 1)
    ET = death_sums(a, v * h, e, eS, 1)
    drift, drift_tied = _time_terms(a, S, E, T, ET, moments, np.dot(W.T, W), gradient)
    drifts = exposure(a, e, drift, eS)
    X, event, last = a.X, a.event, a.last
    for i in range(n):
        slope = 0.0
        for j in range(p):
            slope += X[i, j] * drifts[i, j]
        if a.efron and event[i]:
            k = last[i] - 1
            factor = scaled(e[i] - eS[k])
            for j in range(p):
                slope -= factor * X[i, j] * drift_tied[k, j]
        term = 0.5 * expected[i] * h[i] - v[i] * slope
        for j in range(p):
            gradient[j] += term * X[i, j]
    value = event_contributions(a, eta, mean_log).sum() + 0.5 * log_det
    return value, gradient, information
