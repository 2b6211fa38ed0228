"""Log-likelihood of the proportional-odds model of two groups, from counts.

    P(y <= k | group a) = F(c_k - beta a),   a = 0, 1,   k = 1..K-1,   F(x) = 1 / (1 + exp(-x))

The counts n_ka of the K outcomes in the two groups are sufficient. With u > l,

    log(F(u) - F(l)) = log F(u) + log F(-l) + log(1 - exp(-(u - l))),

so the log-likelihood is that of K - 1 logistic regressions, one for each threshold, plus a term of
each gap between neighbouring thresholds in which no group appears. It is concave, and its Hessian
in the thresholds is tridiagonal: a Newton step costs O(K), and outcomes that are all different (a
measurement) are no harder than five categories.

McCullagh (1980), J R Stat Soc B 42:109-142; Liu et al. (2017), Stat Med 36:4316-4335 (continuous
outcomes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve_banded, cholesky_banded
from scipy.special import expit, log_expit

from longsurv.errors import EstimationError

Floats = NDArray[np.float64]
_STEPS = 200


@dataclass(frozen=True, eq=False)
class OddsProfile:
    """The log-likelihood of beta at the thresholds that are best for it.

    Attributes
    ----------
    value : float
    slope, curvature : float
        First and second derivative of the profile.
    thresholds : ndarray, shape (K - 1,)
    """

    value: float
    slope: float
    curvature: float
    thresholds: Floats


def log_likelihood(beta: float, thresholds: Floats, counts: Floats) -> float:
    """The log-likelihood; minus infinity where thresholds are out of order.

    Parameters
    ----------
    beta : float
        Log odds ratio of a higher outcome in the second group.
    thresholds : ndarray, shape (K - 1,)
    counts : ndarray, shape (K, 2)
        Patients by outcome and group; every outcome has one.
    """
    gaps = np.diff(thresholds)
    if (gaps <= 0).any():
        return -np.inf
    eta = thresholds[:, None] - beta * np.array([0.0, 1.0])
    value = (counts[:-1] * log_expit(eta) + counts[1:] * log_expit(-eta)).sum()
    return float(value + counts[1:-1].sum(axis=1) @ np.log(-np.expm1(-gaps)))


def derivatives(
    beta: float, thresholds: Floats, counts: Floats
) -> tuple[Floats, float, Floats, Floats, float]:
    """Gradient and Hessian.

    Returns
    -------
    gradient : ndarray, shape (K - 1,)
        In the thresholds.
    slope : float
        In beta.
    banded : ndarray, shape (2, K - 1)
        Minus the Hessian in the thresholds: above the diagonal, and the diagonal.
    mixed : ndarray, shape (K - 1,)
        Second derivatives in beta and the thresholds.
    curvature : float
        In beta.
    """
    eta = thresholds[:, None] - beta * np.array([0.0, 1.0])
    F, both = expit(eta), counts[:-1] + counts[1:]
    score, weight = counts[:-1] - both * F, both * F * expit(-eta)
    gradient, diagonal = score.sum(axis=1), weight.sum(axis=1)
    above = np.zeros(len(thresholds))
    within = counts[1:-1].sum(axis=1)
    first = 1.0 / np.expm1(np.diff(thresholds))
    pull, bend = within * first, within * first * (1.0 + first)
    gradient[1:] += pull
    gradient[:-1] -= pull
    diagonal[1:] += bend
    diagonal[:-1] += bend
    above[1:] = -bend
    slope, curvature = -float(score[:, 1].sum()), -float(weight[:, 1].sum())
    return gradient, slope, np.stack([above, diagonal]), weight[:, 1], curvature


def starting_thresholds(counts: Floats) -> Floats:
    """Those of the two groups together without a difference: the best for beta = 0.

    Parameters
    ----------
    counts : ndarray, shape (K, 2)
    """
    below = np.cumsum(counts.sum(axis=1))
    share = below[:-1] / below[-1]
    logits: Floats = np.log(share / (1.0 - share))
    return logits


def profile(beta: float, counts: Floats, start: Floats | None = None) -> OddsProfile:
    """The profile at beta, by Newton's method in the thresholds.

    Parameters
    ----------
    beta : float
    counts : ndarray, shape (K, 2)
    start : ndarray, shape (K - 1,), optional
        Thresholds to begin at.

    Raises
    ------
    EstimationError
        If the thresholds cannot be found, as of an odds ratio that the data rule out.
    """
    c = starting_thresholds(counts) if start is None else start
    near = 0  # full steps taken where they converge quadratically, and values only round
    for _ in range(_STEPS):
        gradient, slope, banded, mixed, curvature = derivatives(beta, c, counts)
        try:
            factor = cholesky_banded(banded)
        except LinAlgError:
            break
        step = cho_solve_banded((factor, False), gradient)
        near += float(gradient @ step) < 1e-8
        if near == 3:
            across = cho_solve_banded((factor, False), mixed)
            value = log_likelihood(beta, c, counts)
            return OddsProfile(value, slope, curvature + float(mixed @ across), c)
        if near:
            c = c + step
            continue
        size, value = 1.0, log_likelihood(beta, c, counts)
        while log_likelihood(beta, c + size * step, counts) < value and size > 1e-12:
            size /= 2.0
        c = c + size * step
    raise EstimationError(f"no thresholds fit a log odds ratio of {beta:.3g}: the data rule it out")
