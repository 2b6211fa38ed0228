"""Likelihood of proportional-hazards models with a parametric or spline baseline.

    h_i(t) = h0(t) exp(x_i'b + offset_i),      h0(t) = sum_k c_k M_k(t),  or Weibull

The kernel's own coordinates are (b, log c), of a Weibull baseline (b, a, log k). A spline's
coefficients have a shape and a level apart from each other,

    c = exp(a) v / q'v,   log v = log w0 + s C z,   z ~ N(0, I),

with w0 the weights of a constant hazard, q the mean over patients of the integrated basis, and C z
a random walk in equal steps from spline to spline, whose variance grows from 0 to 1 (C is turned to
the axes that data tell apart). So exp(a) is the mean cumulative hazard over the patients'
follow-up, which data determine whatever the shape, and s the standard deviation of the change of
the log hazard from the start of follow-up to its end: both are free of the unit of time and of the
number of knots. With knots at quantiles of the events the walk goes as fast as events do. With
s = 0 the hazard is constant. To shrink the weights of M-splines towards a constant hazard is the
idea of Jackson (2023), BMC Med Res Methodol 23:282.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from longsurv.likelihood.hazard import between
from longsurv.likelihood.hazard.data import HazardData
from longsurv.likelihood.hazard.kernel import Floats, smoothed
from longsurv.likelihood.hazard.rows import Stretches
from longsurv.likelihood.hazard.slopes import increments, log_hazards

Scored = tuple[float, Floats, Floats]

BLOCK = 2048


def kernel(data: HazardData, theta: Floats) -> tuple[float, Floats]:
    """Log-likelihood and its gradient in the kernel's coordinates, theta of shape (p + K,)."""
    value, slope = data.form.value_and_gradient(data.events, data.stretches, theta)
    if data.between is None:
        return value, slope
    more, by_theta = between.value_and_gradient(data, data.between, theta)
    return value + more, slope + by_theta


def shape(data: HazardData, z: Floats, s: Floats) -> Floats:
    """log v - log q'v of a spline from z, shape (..., K - 1), and s, shape (...)."""
    assert data.constant is not None and data.walk is not None
    assert data.exposure is not None
    log_v = np.log(data.constant) + np.asarray(s)[..., None] * (z @ data.walk.T)
    top = log_v.max(axis=-1, keepdims=True)
    return log_v - top - np.log(np.exp(log_v - top) @ data.exposure)[..., None]


def natural(data: HazardData, theta: Floats, smoothing: float | None = None) -> Floats:
    """The kernel's coordinates (draws, p + K) of draws of theta (draws, d).

    Parameters
    ----------
    theta : ndarray
        For a spline (b, a, z) or, without `smoothing`, (b, a, z, log s); else the kernel's own.
    smoothing : float, optional
        s, where it is given.
    """
    if data.constant is None:
        return theta
    p, K = data.n_columns, len(data.constant)
    s = np.exp(theta[:, p + K]) if smoothing is None else np.full(len(theta), smoothing)
    log_v = shape(data, theta[:, p + 1 : p + K], s)
    return np.hstack([theta[:, :p], theta[:, p : p + 1] + log_v])


def value_and_gradient(
    data: HazardData, theta: Floats, smoothing: float | None = None
) -> tuple[float, Floats]:
    """Log-likelihood and its gradient at theta, as `HazardData.natural` takes it."""
    if data.constant is None:
        return kernel(data, theta)
    if data.between is not None:
        return _through_shape(data, theta, smoothing)
    s = -1.0 if smoothing is None else smoothing
    log_constant = np.log(data.constant)
    return smoothed(data.events, data.stretches, log_constant, data.exposure, data.walk, theta, s)


def _through_shape(
    data: HazardData, theta: Floats, smoothing: float | None
) -> tuple[float, Floats]:
    """The same as the compiled sum of a spline, from the kernel's coordinates."""
    assert data.constant is not None
    p, K = data.n_columns, len(data.constant)
    s = float(np.exp(theta[p + K])) if smoothing is None else smoothing
    at, jacobian = _coordinates(data, theta[: p + K], s)
    value, slope = kernel(data, at)
    assert jacobian is not None
    gradient = np.zeros(len(theta))
    gradient[: p + K] = slope @ jacobian
    if smoothing is None:  # the walk is proportional to s
        gradient[p + K] = theta[p + 1 : p + K] @ gradient[p + 1 : p + K]
    return value, gradient


def value_gradient_information(
    data: HazardData, theta: Floats, smoothing: float = 0.0, firth: bool = False
) -> Scored:
    """The objective of maximum likelihood, its gradient and information.

    Parameters
    ----------
    data : HazardData
    theta : ndarray, shape (d,)
        The kernel's coordinates; for a spline (b, a, z), and the penalty -z'z / 2 is included.
    smoothing : float
        s of a spline.
    firth : bool
        Add half the log determinant of the information on b and the level, the baseline's shape
        being given: Jeffreys' prior, Firth's (1993, Biometrika 80:27-38) penalty. The information
        returned does not have it.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        natural, jacobian = _coordinates(data, theta, smoothing)
        value, slope, hessian = _second_order(data, natural)
        level = slope[data.n_columns :].sum()
        if firth and np.isfinite(value):
            added, by_penalty = _firth(data, natural)
            value, slope = value + added, slope + by_penalty
    if not (np.isfinite(value) and np.isfinite(slope).all() and np.isfinite(hessian).all()):
        d = len(theta)
        return -np.inf, np.zeros(d), np.full((d, d), np.nan)
    if jacobian is None or data.walk is None:
        return value, slope, -hessian
    p, K = data.n_columns, len(natural) - data.n_columns
    z, share = theta[p + 1 :], _share(data, natural[p:] - theta[p])
    information = -jacobian.T @ hessian @ jacobian
    # the second derivative of -log q'v, which is part of every coefficient
    walk = smoothing * data.walk
    bend = walk.T @ ((np.diag(share) - np.outer(share, share)) * level) @ walk
    information[p + 1 :, p + 1 :] += bend + np.eye(K - 1)
    gradient = jacobian.T @ slope
    gradient[p + 1 :] -= z
    return value - 0.5 * float(z @ z), gradient, information


def _coordinates(data: HazardData, theta: Floats, smoothing: float) -> tuple[Floats, Floats | None]:
    """The kernel's coordinates and, for a spline, their derivative (p + K, p + K)."""
    if data.constant is None or data.walk is None:
        return theta, None
    p, K = data.n_columns, len(data.constant)
    log_v = shape(data, theta[p + 1 :], np.array(smoothing))
    walk = smoothing * data.walk
    jacobian = np.eye(p + K)
    jacobian[p:, p] = 1.0
    jacobian[p:, p + 1 :] = walk - _share(data, log_v) @ walk
    return np.concatenate([theta[:p], theta[p] + log_v]), jacobian


def _share(data: HazardData, shape: Floats) -> Floats:
    """Share of each spline in the mean cumulative hazard, shape (K,)."""
    return data.exposure * np.exp(shape)


def derivative(data: HazardData, theta: Floats, smoothing: float) -> Floats:
    """Derivative of the kernel's coordinates by theta, shape (p + K, d)."""
    jacobian = _coordinates(data, theta, smoothing)[1]
    return np.eye(len(theta)) if jacobian is None else jacobian


def scores(data: HazardData, theta: Floats) -> Floats:
    """Gradient of the log-likelihood by row of the data, shape (units, p + K)."""
    out = np.zeros((data.units, len(theta)))
    slope = log_hazards(data, data.events, theta)[1] * data.events.weight[:, None]
    np.add.at(out, data.events.owner, slope)
    np.subtract.at(out, data.stretches.owner, increments(data, data.stretches, theta)[1])
    if data.between is not None:
        D, slope = between.spent(data, data.between, theta)
        weighted = data.between.weight * between.rates(D)
        np.add.at(out, data.between.owner, weighted[:, None] * slope)
    return out


def logliks(data: HazardData, theta: Floats) -> Floats:
    """Log-likelihood by row of the data for draws (draws, p + K): shape (draws, units)."""
    theta = np.ascontiguousarray(theta)
    out = data.form.event_log_hazards(data.events, theta, data.units)
    out -= data.form.expected(data.stretches, theta, data.units)
    if data.between is not None:
        b = data.between
        D = data.form.expected(b.stretches, theta, len(b.weight))
        out[:, b.owner] += b.weight * between.chances(D)
    return out


def _blocks(stretches: Stretches) -> Iterator[Stretches]:
    """The stretches, so many at a time as stay in the processor's cache."""
    for at in range(0, len(stretches.weight), BLOCK):
        part = slice(at, at + BLOCK)
        yield stretches._replace(
            X=stretches.X[part],
            offset=stretches.offset[part],
            weight=stretches.weight[part],
            Q=stretches.Q[part],
            owner=stretches.owner[part],
        )


def _second_order(data: HazardData, theta: Floats) -> Scored:
    """Log-likelihood, gradient and Hessian in the kernel's coordinates."""
    p, d, w = data.n_columns, len(theta), data.events.weight
    log_h, J = log_hazards(data, data.events, theta)
    value, slope, H = float(w @ log_h), w @ J, np.zeros((d, d))
    H[p:, p:] = data.form.curvature_at_events(data.events, J[:, p:], theta[p:])
    parts = [(1.0, data.stretches)]
    if data.between is not None:
        more, beside, instead = between.curvature_beside(data, data.between, theta)
        value, H = value + more, H + beside
        parts.append((0.0, instead))  # its derivatives only: the value is there already
    for taken, block in ((taken, block) for taken, part in parts for block in _blocks(part)):
        mu, J = increments(data, block, theta)
        total = np.ones(len(mu)) @ J  # a product: much faster than a sum down the columns
        value -= taken * float(mu.sum())
        slope -= total
        H[:p] -= block.X.T @ J
        H[p:, p:] -= data.form.curvature(block, mu, J[:, p:], total[p:], theta[p:])
    H[p:, :p] = H[:p, p:].T
    return value, slope, H


def _firth(data: HazardData, theta: Floats) -> tuple[float, Floats]:
    """Half the log determinant of the information on b and the level, and its gradient."""
    p = data.n_columns
    information = np.zeros((p + 1, p + 1))
    for block in _blocks(data.stretches):
        mu = increments(data, block, theta)[0]
        Z = np.column_stack([block.X, np.ones(len(mu))])
        information += (Z * mu[:, None]).T @ Z
    sign, log_det = np.linalg.slogdet(information)
    if sign <= 0:
        return -np.inf, np.zeros(len(theta))
    inverse, gradient = np.linalg.inv(information), np.zeros(len(theta))
    for block in _blocks(data.stretches):
        mu, J = increments(data, block, theta)
        Z = np.column_stack([block.X, np.ones(len(mu))])
        gradient += 0.5 * np.einsum("ij,ij->i", Z @ inverse, Z) @ J
    return 0.5 * float(log_det), gradient
