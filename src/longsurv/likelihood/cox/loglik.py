"""Cox's partial likelihood: value, gradient, information and baseline hazard.

Notation: v_i = w_i exp(x_i' b + offset_i); S0(t), S1(t) are the sums of v and v x over the rows at
risk at event time t; E0, E1 the same over its d tied events, whose mean weight is wbar. Efron's
method spreads the tied events over steps l = 0 .. d-1 with c = l/d and risk-set sum
phi = S0 - c E0; Breslow's takes c = 0 throughout. Then

    log L = sum_events w_i eta_i - sum_t wbar sum_l log phi
    dH(t) = wbar sum_l 1/phi,  a row's cumulative hazard u_i = H(exit) - H(entry), less its own
            tied share wbar sum_l c/phi
    score = X' (w event - v u),  X' times the martingale residuals
    information = X' diag(v u) X - sum_t wbar sum_l (S1 - c E1)(S1 - c E1)' / phi^2

so a gradient needs sums of scalars only, and the information one weighted cross product: no
second moment of any risk set is ever formed. (Cox 1972; Efron 1977, JASA 72:557; Therneau and
Grambsch 2000, ch. 3, for weights.)

Coefficients, gradients and information are on the caller's scale throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from longsurv.likelihood.cox.data import CoxData, Floats, Integers, prepare, standardise
from longsurv.likelihood.cox.firth import (
    firth_start,
    firth_value_and_gradient,
    firth_value_gradient_information,
)
from longsurv.likelihood.cox.kernel import evaluate, event_contributions, event_terms, usable
from longsurv.likelihood.cox.risk_sets import (
    LOG_BASE,
    death_sums,
    linear_predictor,
    relative_risks,
    risk_sums,
)
from longsurv.likelihood.cox.separation import separation

__all__ = [
    "BaselineHazard",
    "CoxData",
    "baseline_hazard",
    "firth_start",
    "firth_value_and_gradient",
    "firth_value_gradient_information",
    "loglik",
    "pointwise",
    "prepare",
    "separation",
    "value_and_gradient",
    "value_gradient_information",
]


def loglik(data: CoxData, beta: ArrayLike) -> float:
    """Log partial likelihood.

    Parameters
    ----------
    data : CoxData
        From `prepare`.
    beta : array_like, shape (p,)
        Log hazard ratios per unit of the columns given to `prepare`.

    Returns
    -------
    float
        As R's ``coxph`` defines it, weights included; -inf where a linear predictor is not a
        usable number.
    """
    return evaluate(data.arrays, standardise(data, beta), 0)[0]


def value_and_gradient(data: CoxData, beta: ArrayLike) -> tuple[float, Floats]:
    """Log partial likelihood and its gradient, O(n p).

    Parameters and value are those of `loglik`; the gradient has shape (p,).
    """
    value, gradient, _ = evaluate(data.arrays, standardise(data, beta), 1)
    return value, gradient * data.scale


def value_gradient_information(data: CoxData, beta: ArrayLike) -> tuple[float, Floats, Floats]:
    """Log partial likelihood, gradient and observed information (minus the Hessian), O(n p^2).

    Parameters and value are those of `loglik`; the gradient has shape (p,), the information (p, p).
    """
    value, gradient, information = evaluate(data.arrays, standardise(data, beta), 2)
    return value, gradient * data.scale, information * data.scale_products


def pointwise(data: CoxData, beta: ArrayLike) -> Floats:
    """Contribution of every original row to `loglik`, shape (n_rows,); 0 where no event.

    Tied events share the logarithms of their time's risk-set sums in proportion to their weights.
    """
    a = data.arrays
    terms = np.zeros(data.n_rows)
    eta = linear_predictor(a, standardise(data, beta))
    if not usable(eta):
        terms[data.order[a.event]] = -np.inf
        return terms
    v, e = relative_risks(a, eta)
    S, eS = risk_sums(a, v, e, 1)
    mean_log, _ = event_terms(a, S, death_sums(a, v, e, eS, 1), eS)
    terms[data.order] = event_contributions(a, eta, mean_log)
    return terms


@dataclass(frozen=True, eq=False)
class BaselineHazard:
    """Baseline hazard at the K distinct event times, ordered by stratum and time.

    Attributes
    ----------
    times, hazard, cumulative : ndarray, shape (K,)
        Event time, jump of the cumulative hazard there, and its running sum within the stratum.
    stratum : ndarray of int, shape (K,)
        Position of the stratum in ``data.strata``.
    variance : ndarray, shape (K,)
        Variance of the jump for known coefficients.
    tilt : ndarray, shape (K, p)
        Minus the derivative of the jump by the coefficients: jump times (risk-set mean - `at`).
        With V the covariance of the coefficients and Q the running sum of `tilt`, the variance of
        `cumulative` is the running sum of `variance` plus Q V Q'.
    """

    times: Floats
    stratum: Integers
    hazard: Floats
    cumulative: Floats
    variance: Floats
    tilt: Floats


def baseline_hazard(data: CoxData, beta: ArrayLike, at: ArrayLike | None = None) -> BaselineHazard:
    """Jumps of the cumulative baseline hazard, in the manner of the ties method.

    Breslow's estimator, or Efron's when the ties are (as in R's ``survfit`` of a ``coxph``).

    Parameters
    ----------
    data : CoxData
    beta : array_like, shape (p,)
    at : array_like, shape (p,), optional
        Covariates of the person described, 0 unless given; offset 0. Where the columns are far
        from 0 give values near the data, or the hazard overflows.

    Returns
    -------
    BaselineHazard
    """
    a, b = data.arrays, standardise(data, beta)
    place = np.zeros(data.n_columns) if at is None else np.asarray(at, dtype=float)
    if place.shape != b.shape:
        raise ValueError(f"at has shape {place.shape}, but there are {len(b)} coefficients")
    v, e = relative_risks(a, linear_predictor(a, b))
    S, eS = risk_sums(a, v, e, 1 + len(b))
    E = death_sums(a, v, e, eS, 1 + len(b))
    _, moments = event_terms(a, S, E, eS)
    moments, S1 = moments.T[..., None], S[:, 1:]
    jump_means = moments[2] * S1 - moments[3] * E[:, 1:] if a.efron else moments[2] * S1
    z = ((place - data.mean) / data.scale)[data.time_stratum]
    with np.errstate(over="ignore"):
        lift = np.exp(z @ b - data.offset_mean[data.time_stratum] - eS * LOG_BASE)
        hazard = moments[0, :, 0] * lift
        variance = moments[2, :, 0] * lift**2
        tilt = (jump_means * lift[:, None] - z * hazard[:, None]) * data.scale
    return BaselineHazard(
        times=data.times,
        stratum=data.time_stratum,
        hazard=hazard,
        cumulative=cumulative_by_stratum(hazard, data.arrays.opening),
        variance=variance,
        tilt=tilt,
    )


def cumulative_by_stratum(jumps: Floats, opening: Integers) -> Floats:
    """Running sum along the first axis that starts afresh with every stratum."""
    total = np.empty_like(jumps)
    bounds = np.append(np.unique(opening), len(jumps))
    for start, stop in pairwise(bounds):
        np.cumsum(jumps[start:stop], axis=0, out=total[start:stop])
    return total
