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

from longsurv.likelihood.cox.data import CoxData, Floats, Integers, RiskArrays, shaped
from longsurv.likelihood.cox.kernel import (
    cross_product,
    event_contributions,
    event_terms,
    expected_events,
    mirror,
    score,
    subtract_means,
    usable,
)
from longsurv.likelihood.cox.risk_sets import (
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
    at = shaped(data, beta) * data.scale
    _, _, value, gradient, information = _climb(data.arrays, at, data.scale, 0)
    return value + data.log_scale, gradient, information


def firth_start(data: CoxData, max_steps: int = 50) -> tuple[Floats, int]:
    """A point (p,) next to the maximum of Firth's likelihood, and how often that was evaluated.

    Newton steps from 0, all in one compiled loop: with few patients an evaluation takes less time
    than the calls from Python around it.
    """
    b, calls, *_ = _climb(data.arrays, np.zeros(data.n_columns), data.scale, max_steps)
    return b / data.scale, calls


LAST_STEP = 1e-12
"""A decrement (log density to gain) after which one more step leaves only rounding."""


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


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def _quadratic_forms(X: Floats, A: Floats) -> Floats:
    """h_i = x_i' A x_i, (n,), in blocks of rows that stay in the cache."""
    n, p = X.shape
    block = 512
    moved = np.empty((min(n, block), p))
    h = np.empty(n)
    for start in range(0, n, block):
        size = min(block, n - start)
        np.dot(X[start : start + size], A, moved[:size])
        for i in range(size):
            total = 0.0
            for j in range(p):
                total += moved[i, j] * X[start + i, j]
            h[start + i] = total
    return h


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def _inner(a: Floats, b: Floats) -> float:
    total = 0.0
    for j in range(len(a)):
        total += a[j] * b[j]
    return total


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
    drift = np.dot(S[:, 1:].copy(), A)
    drift_tied = np.dot(E[:, 1:].copy(), A)
    for k in range(K):
        AS = drift[k]
        se = ee = 0.0
        tied = a.efron and a.deaths[k] > 1
        ss = _inner(AS, S[k, 1:])
        if tied:
            AE = drift_tied[k]
            se, ee = _inner(AS, E[k, 1:]), _inner(AE, E[k, 1:])
            for j in range(p):
                of_S, of_E = AS[j], AE[j]
                AS[j] = moments[k, 2] * of_S - moments[k, 3] * of_E
                AE[j] = moments[k, 3] * of_S - moments[k, 4] * of_E
        else:
            AS *= moments[k, 2]
            if a.efron:
                drift_tied[k] = 0.0
        steps = a.deaths[k] if tied else 1
        wbar = a.death_weight[k] / steps
        for_S = for_E = 0.0
        for step in range(steps):
            c = step / steps
            phi, mean_h = S[k, 0], T[k, 0]
            if step:
                phi -= c * E[k, 0]
                mean_h -= c * ET[k, 0]
            inverse = 1.0 / phi
            spread = (ss - 2 * c * se + c * c * ee) * inverse * inverse
            term = wbar * (2 * spread - mean_h * inverse) * inverse
            for_S += term
            for_E += c * term
        for j in range(p):
            gradient[j] += 0.5 * for_S * S[k, 1 + j]
            if tied:
                gradient[j] -= 0.5 * for_E * E[k, 1 + j]
    return drift, drift_tied


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def _add_row_terms(
    a: RiskArrays,
    e: Integers,
    eS: Integers,
    own: Floats,
    v: Floats,
    drifts: Floats,
    drift_tied: Floats,
    gradient: Floats,
) -> None:
    """Gradient += X' (own - v x'(drifts, less what tied events lack))."""
    X, event, last = a.X, a.event, a.last
    n, p = X.shape
    for i in range(n):
        slope = 0.0
        for j in range(p):
            slope += X[i, j] * drifts[i, j]
        if a.efron and event[i]:
            k = last[i] - 1
            missed = 0.0
            for j in range(p):
                missed += X[i, j] * drift_tied[k, j]
            slope -= scaled(e[i] - eS[k]) * missed
        term = own[i] - v[i] * slope
        for j in range(p):
            gradient[j] += term * X[i, j]


@njit(cache=True, nogil=True, inline="always")
def _evaluate(a: RiskArrays, b: Floats) -> tuple[float, Floats, Floats]:
    """Penalised value and gradient, and the information; standardised coefficients.

    Part of `_climb`, the one that calls it: a function of its own would be compiled twice."""
    p = a.X.shape[1]
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
    noise = np.empty(p)  # what cancellation in the next line can leave behind
    for j in range(p):
        noise[j] = 1e-14 * information[j, j]
    subtract_means(a, S, E, moments, information)
    mirror(information)
    W, log_det = _inverse_root(information, noise)
    if log_det == -np.inf:
        return -np.inf, gradient, information

    gradient = score(a, expected)
    A = np.dot(W.T.copy(), W)
    h = _quadratic_forms(a.X, A)
    T, _ = risk_sums(a, v * h, e, np.int64(1))
    ET = death_sums(a, v * h, e, eS, np.int64(1))
    drift, drift_tied = _time_terms(a, S, E, T, ET, moments, A, gradient)
    drifts = exposure(a, e, drift, eS)
    _add_row_terms(a, e, eS, 0.5 * expected * h, v, drifts, drift_tied, gradient)
    value = 0.5 * log_det
    terms = event_contributions(a, eta, mean_log)
    for i in range(len(terms)):
        value += terms[i]
    return value, gradient, information


@njit(cache=True, nogil=True)
def _climb(
    a: RiskArrays, b: Floats, scale: Floats, max_steps: int
) -> tuple[Floats, int, float, Floats, Floats]:
    """Newton steps with halving; what the information lacks is learnt by secant corrections.

    (As in `longsurv.inference.scoring`, which is to certify the point: the last, which nothing has
    been evaluated at yet.) The point, in standardised coefficients; how often the density was
    evaluated; its value, gradient and information where that was last accepted, in coefficients of
    this scale. Without a step to take this is the density at b, and nothing else compiles it.
    """
    p = len(b)
    none, lacking, direction, trial = np.zeros(p), np.zeros((p, p)), np.zeros(p), b.copy()
    value, gradient, information = -np.inf, none, lacking
    size, least, decrement, calls, steps = 1.0, 0.0, 0.0, 0, 0
    while True:
        new_value, new_gradient, new_information = _evaluate(a, trial)
        calls += 1
        if steps:
            if not new_value >= least + 2e-4 * size * decrement and size > 1e-6:
                size *= 0.5
                trial = b + size * direction
                continue
            if not new_value >= least:
                break
            step = size * direction
            missed = gradient - new_gradient - np.dot(new_information + lacking, step)
            along = np.dot(missed, step)
            if abs(along) > 1e-8 * np.sqrt(np.dot(missed, missed) * np.dot(step, step)):
                for j in range(p):
                    for m in range(p):
                        lacking[j, m] += missed[j] * missed[m] / along
        b, value, gradient, information = trial, new_value, new_gradient, new_information
        if steps == max_steps:
            break
        W, log_det = _inverse_root(information + lacking, none)
        if log_det == -np.inf:
            W, log_det = _inverse_root(information, none)
        if value == -np.inf or log_det == -np.inf:
            break
        direction = np.dot(W.T.copy(), np.dot(W, gradient))
        decrement = 0.5 * np.dot(gradient, direction)
        if decrement <= LAST_STEP:
            b = b + direction
            break
        steps, size, least = steps + 1, 1.0, value - 1e-13 * max(1.0, abs(value))
        trial = b + direction
    scaled_gradient, scaled_information = np.empty(p), np.empty((p, p))
    for j in range(p):
        scaled_gradient[j] = gradient[j] * scale[j]
        for m in range(p):
            scaled_information[j, m] = information[j, m] * (scale[j] * scale[m])
    return b, calls, value, scaled_gradient, scaled_information
