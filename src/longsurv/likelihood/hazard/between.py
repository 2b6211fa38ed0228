"""Events of which it is known that they happened after one time and by another.

With D the cumulative hazard between the two times, survival to the first times the chance of an
event by the second is exp(-H(left)) (1 - exp(-D)). The first factor is that of time at risk; the
logarithm of the second, log(1 - exp(-D)), is here. Its derivatives in D are f = 1 / (exp(D) - 1)
and -f (1 + f).
"""

from __future__ import annotations

import numpy as np

from longsurv.likelihood.hazard.data import HazardData
from longsurv.likelihood.hazard.kernel import Floats
from longsurv.likelihood.hazard.rows import Between, Stretches
from longsurv.likelihood.hazard.slopes import increments


def spent(data: HazardData, between: Between, theta: Floats) -> tuple[Floats, Floats]:
    """D of each event and its derivative, shapes (m,) and (m, p + K)."""
    mu, J = increments(data, between.stretches, theta)
    D, slope = np.zeros(len(between.weight)), np.zeros((len(between.weight), J.shape[1]))
    np.add.at(D, between.stretches.owner, mu)
    np.add.at(slope, between.stretches.owner, J)
    return D, slope


def chances(D: Floats) -> Floats:
    """log(1 - exp(-D)), any shape; -inf where D is not above 0."""
    with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
        found = np.where(np.log(2.0) > D, np.log(-np.expm1(-D)), np.log1p(-np.exp(-D)))
    return np.where(D > 0, found, -np.inf)


def rates(D: Floats) -> Floats:
    """f = 1 / (exp(D) - 1), any shape."""
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        return np.asarray(1.0 / np.expm1(D))


def value_and_gradient(data: HazardData, between: Between, theta: Floats) -> tuple[float, Floats]:
    """Their log-likelihood and its gradient in the kernel's coordinates."""
    D, slope = spent(data, between, theta)
    return float(between.weight @ chances(D)), (between.weight * rates(D)) @ slope


def curvature_beside(
    data: HazardData, between: Between, theta: Floats
) -> tuple[float, Floats, Stretches]:
    """The log-likelihood; the part of its Hessian, shape (p + K, p + K), that comes of the
    curvature of the logarithm; and stretches whose cumulative hazards, taken off, have the rest of
    it and the gradient."""
    D, slope = spent(data, between, theta)
    w, f = between.weight, rates(D)
    beside = -(slope * (w * f * (1.0 + f))[:, None]).T @ slope
    s = between.stretches
    return float(w @ chances(D)), beside, s._replace(weight=-s.weight * (w * f)[s.owner])
