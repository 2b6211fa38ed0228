"""Compiled sums of the likelihood of a proportional-hazards model with a parametric baseline.

With c_k = exp(g_k), M the hazard basis at an event and Q_r the basis integrated over the r-th
stretch of time at risk (or its value there times a quadrature weight), of weight w_r,

    log L = sum over events w (eta + log c'M)  -  sum over stretches w_r exp(eta_r) c'Q_r.

A stretch is a row's whole time at risk where hazards are proportional, and a quadrature point
where they are not. A Weibull hazard has log cumulative hazard eta + a + k v, v = log(time / unit).
"""

from __future__ import annotations

import numpy as np
from numba import njit

Floats = np.ndarray
Integers = np.ndarray


@njit(cache=True, nogil=True, error_model="numpy")
def _eta(X, offset, r, theta, p):
    eta = offset[r]
    for j in range(p):
        eta += X[r, j] * theta[j]
    return eta


@njit(cache=True, nogil=True, error_model="numpy")
def additive(events, stretches, theta):
    """Log-likelihood of (b, g) and its gradient."""
    p, K = events.X.shape[1], events.M.shape[1]
    value, gradient = 0.0, np.zeros(p + K)
    c = np.exp(theta[p:])
    part = np.empty(K)
    for e in range(events.X.shape[0]):
        w, hazard = events.weight[e], 0.0
        for k in range(K):
            part[k] = c[k] * events.M[e, k]
            hazard += part[k]
        value += w * (_eta(events.X, events.offset, e, theta, p) + np.log(hazard))
        for j in range(p):
            gradient[j] += w * events.X[e, j]
        for k in range(K):
            gradient[p + k] += w * part[k] / hazard
    for r in range(stretches.X.shape[0]):
        eta = _eta(stretches.X, stretches.offset, r, theta, p)
        w, total = stretches.weight[r] * np.exp(eta), 0.0
        for k in range(K):
            one = w * c[k] * stretches.Q[r, k]
            gradient[p + k] -= one
            total += one
        value -= total
        for j in range(p):
            gradient[j] -= total * stretches.X[r, j]
    return value, gradient


@njit(cache=True, nogil=True, error_model="numpy")
def weibull(events, stretches, theta):
    """The same of (b, a, log k)."""
    p = events.X.shape[1]
    value, gradient = 0.0, np.zeros(p + 2)
    k = np.exp(theta[p + 1])
    for e in range(events.X.shape[0]):
        w, v = events.weight[e], events.M[e, 0]
        eta = _eta(events.X, events.offset, e, theta, p)
        value += w * (eta + theta[p] + theta[p + 1] + k * v - events.log_time[e])
        for j in range(p):
            gradient[j] += w * events.X[e, j]
        gradient[p] += w
        gradient[p + 1] += w * (1.0 + k * v)
    for r in range(stretches.X.shape[0]):
        v = stretches.Q[r, 0]
        eta = _eta(stretches.X, stretches.offset, r, theta, p)
        mu, slope = stretches.weight[r] * np.exp(eta + theta[p] + k * v), k * v
        if stretches.density:
            mu, slope = mu * k, slope + 1.0
        value -= mu
        for j in range(p):
            gradient[j] -= mu * stretches.X[r, j]
        gradient[p] -= mu
        gradient[p + 1] -= mu * slope
    return value, gradient


@njit(cache=True, nogil=True, error_model="numpy")
def expected(stretches, theta, is_weibull, units):
    """Weighted cumulative hazards summed by owner, shape (draws, units), for theta (draws, d)."""
    p = stretches.X.shape[1]
    K = theta.shape[1] - p
    out = np.zeros((theta.shape[0], units))
    for s in range(theta.shape[0]):
        c = np.exp(theta[s, p:])
        for r in range(stretches.X.shape[0]):
            total = _eta(stretches.X, stretches.offset, r, theta[s], p)
            if is_weibull:
                total = np.exp(total + theta[s, p] + c[1] * stretches.Q[r, 0])
                if stretches.density:
                    total *= c[1]
            else:
                sum_k = 0.0
                for k in range(K):
                    sum_k += c[k] * stretches.Q[r, k]
                total = np.exp(total) * sum_k
            out[s, stretches.owner[r]] += stretches.weight[r] * total
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def event_log_hazards(events, theta, is_weibull, units):
    """Weighted log hazards at events summed by owner, shape (draws, units)."""
    p = events.X.shape[1]
    K = theta.shape[1] - p
    out = np.zeros((theta.shape[0], units))
    for s in range(theta.shape[0]):
        c = np.exp(theta[s, p:])
        for e in range(events.X.shape[0]):
            total = _eta(events.X, events.offset, e, theta[s], p)
            if is_weibull:
                total += theta[s, p] + theta[s, p + 1] + c[1] * events.M[e, 0] - events.log_time[e]
            else:
                hazard = 0.0
                for k in range(K):
                    hazard += c[k] * events.M[e, k]
                total += np.log(hazard)
            out[s, events.owner[e]] += events.weight[e] * total
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def smoothed(events, stretches, log_constant, exposure, walk, theta, s):
    """Log-likelihood and gradient of (b, a, z) and, where s is negative, log s as well.

    The spline's log coefficients are a + log v - log q'v with log v = log_constant + s walk z and
    q the exposure.
    """
    p, K = events.X.shape[1], walk.shape[0]
    fixed = s >= 0.0
    if not fixed:
        s = np.exp(theta[p + K])
    natural = np.empty(p + K)
    for j in range(p):
        natural[j] = theta[j]
    move = np.zeros(K)
    for k in range(K):
        for m in range(K - 1):
            move[k] += s * walk[k, m] * theta[p + 1 + m]
    log_v = log_constant + move
    top = log_v.max()
    shape = log_v - top - np.log((exposure * np.exp(log_v - top)).sum())
    for k in range(K):
        natural[p + k] = theta[p] + shape[k]
    value, slope = additive(events, stretches, natural)
    gradient = np.zeros(len(theta))
    for j in range(p):
        gradient[j] = slope[j]
    level = 0.0
    for k in range(K):
        level += slope[p + k]
    gradient[p] = level
    for k in range(K):
        by_move = slope[p + k] - exposure[k] * np.exp(shape[k]) * level
        for m in range(K - 1):
            gradient[p + 1 + m] += s * walk[k, m] * by_move
        if not fixed:
            gradient[p + K] += move[k] * by_move
    return value, gradient
