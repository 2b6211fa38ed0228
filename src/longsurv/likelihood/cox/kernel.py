"""Compiled partial likelihood on standardised coefficients; loglik.py states the formulas."""

from __future__ import annotations

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.lent import only_read
from longsurv.likelihood.cox.data import Floats, Integers, RiskArrays
from longsurv.likelihood.cox.risk_sets import (
    LOG_BASE,
    death_sums,
    exposure,
    linear_predictor,
    relative_risks,
    risk_sums,
    scaled,
)

# Beyond this a linear predictor has lost its digits and its exponent may not fit an integer.
ETA_LIMIT = 1e10


@njit(cache=True, nogil=True)
def usable(eta: Floats) -> bool:
    """Whether every linear predictor is a number small enough to work with."""
    for i in range(len(eta)):  # noqa: SIM110 (a compiled loop)
        if not abs(eta[i]) <= ETA_LIMIT:  # written so that nan is not usable
            return False
    return True


@njit(cache=True, nogil=True)
def event_terms(a: RiskArrays, S: Floats, E: Floats, eS: Integers) -> tuple[Floats, Floats]:
    """Mean over l of log phi, and wbar times the sums of 1/phi, c/phi, 1/phi^2, c/phi^2, c^2/phi^2.

    Shapes (K,) and (K, 5). The first two sums carry the exponents -eS, the others -2 eS.
    """
    K = len(a.deaths)
    mean_log = np.empty(K)
    moments = np.zeros((K, 5))
    for k in range(K):
        steps = a.deaths[k] if a.efron else 1
        wbar = a.death_weight[k] / steps
        total, product = 0.0, 1.0
        m0 = m1 = m2 = m3 = m4 = 0.0
        for step in range(steps):
            c = step / steps
            phi = S[k, 0] - c * E[k, 0] if step else S[k, 0]
            product *= phi  # one logarithm for many, before the product leaves its range
            if not 1e-200 < product < 1e200:
                total += np.log(product)
                product = 1.0
            inverse = 1.0 / phi
            term = wbar * inverse
            m0 += term
            m1 += c * term
            term *= inverse
            m2 += term
            m3 += c * term
            m4 += c * c * term
        moments[k, 0], moments[k, 1], moments[k, 2] = m0, m1, m2
        moments[k, 3], moments[k, 4] = m3, m4
        mean_log[k] = (total + np.log(product)) / steps + eS[k] * LOG_BASE
    return mean_log, moments


@njit(cache=True, nogil=True)
def expected_events(a: RiskArrays, v: Floats, e: Integers, eS: Integers, moments: Floats) -> Floats:
    """v u: the weighted number of events each row's time at risk leads one to expect, (n,)."""
    event, last = a.event, a.last
    u = exposure(a, e, moments[:, :1].copy(), eS)
    expected = np.empty(len(v))
    for i in range(len(v)):
        if a.efron and event[i]:
            k = last[i] - 1
            u[i, 0] -= scaled(e[i] - eS[k]) * moments[k, 1]
        expected[i] = v[i] * u[i, 0]
    return expected


@njit(cache=True, nogil=True)
def score(a: RiskArrays, expected: Floats) -> Floats:
    """X' (w event - expected), (p,)."""
    X, weight, event = a.X, a.weight, a.event
    gradient = np.zeros(X.shape[1])
    for i in range(len(X)):
        residual = weight[i] * event[i] - expected[i]
        for j in range(X.shape[1]):
            gradient[j] += residual * X[i, j]
    return gradient


@njit(cache=True, nogil=True)
def cross_product(X: Floats, u: Floats) -> Floats:
    """X' diag(u) X, in blocks of rows that stay in the cache."""
    n, p = X.shape
    block = 512
    product = np.zeros((p, p))
    scaled_rows = np.empty((min(n, block), p))
    for start in range(0, n, block):
        size = min(block, n - start)
        for i in range(size):
            for j in range(p):
                scaled_rows[i, j] = u[start + i] * X[start + i, j]
        product += np.dot(scaled_rows[:size].T, X[start : start + size])
    return product


@njit(cache=True, nogil=True)
def subtract_means(a: RiskArrays, S: Floats, E: Floats, moments: Floats, product: Floats) -> None:
    """Lower triangle of product -= sum over k, l of wbar (S1 - c E1)(S1 - c E1)' / phi^2."""
    p = product.shape[0]
    product -= cross_product(only_read(S), moments[:, 2].copy())[1:, 1:]
    for k in range(len(a.deaths) if a.efron else 0):
        if a.deaths[k] > 1:
            for j in range(1, p + 1):
                with_S = moments[k, 3] * E[k, j]
                with_E = moments[k, 3] * S[k, j] - moments[k, 4] * E[k, j]
                for m in range(1, j + 1):
                    product[j - 1, m - 1] += with_S * S[k, m] + with_E * E[k, m]


@njit(cache=True, nogil=True)
def mirror(product: Floats) -> None:
    """Fill the upper triangle from the lower."""
    for j in range(product.shape[0]):
        for m in range(j):
            product[m, j] = product[j, m]


@njit(cache=True, nogil=True)
def evaluate(a: RiskArrays, b: Floats, order: int) -> tuple[float, Floats, Floats]:
    """Value; with order 1 the gradient; with order 2 the information too. Else they are nan."""
    p = a.X.shape[1]
    gradient = np.full(p, np.nan)
    information = np.full((p, p), np.nan)
    eta = linear_predictor(a, b)
    if not usable(eta):
        return -np.inf, gradient, information
    v, e = relative_risks(a, eta)
    width = 1 + p if order == 2 else 1
    S, eS = risk_sums(a, v, e, width)
    E = death_sums(a, v, e, eS, width)
    mean_log, moments = event_terms(a, S, E, eS)
    value = 0.0
    terms = event_contributions(a, eta, mean_log)
    for i in range(len(terms)):
        value += terms[i]
    if order == 0:
        return value, gradient, information
    expected = expected_events(a, v, e, eS, moments)
    gradient = score(a, expected)
    if order == 2:
        information = cross_product(a.X, expected)
        subtract_means(a, S, E, moments, information)
        mirror(information)
    return value, gradient, information


@njit(cache=True, nogil=True)
def event_contributions(a: RiskArrays, eta: Floats, mean_log: Floats) -> Floats:
    """Each row's term of the log partial likelihood, (n,)."""
    weight, event, last = a.weight, a.event, a.last
    terms = np.zeros(len(eta))
    for i in range(len(eta)):
        if event[i]:
            terms[i] = weight[i] * (eta[i] - mean_log[last[i] - 1])
    return terms
