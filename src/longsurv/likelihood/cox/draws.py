"""What a posterior needs of the Cox kernels at every draw of the coefficients."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from longsurv.likelihood.cox.data import CoxData, Floats, Integers, RiskArrays
from longsurv.likelihood.cox.kernel import event_contributions, event_terms
from longsurv.likelihood.cox.risk_sets import (
    LOG_BASE,
    death_sums,
    linear_predictor,
    relative_risks,
    risk_sums,
)


def event_logliks(data: CoxData, betas: ArrayLike, rows: Integers) -> Floats:
    """Contributions to the log partial likelihood of some rows, shape (draws, len(rows)).

    Parameters
    ----------
    data : CoxData
    betas : array_like, shape (draws, p)
    rows : ndarray of int
        Positions among the rows given to `prepare`; 0 for a row without event.
    """
    place = np.full(data.n_rows, -1)
    place[data.order] = np.arange(len(data.order))
    return _logliks(data.arrays, _scaled(data, betas), place[rows])


def baseline_jumps(data: CoxData, betas: ArrayLike, at: ArrayLike) -> Floats:
    """Jumps of the cumulative hazard of covariates `at` and offset 0, shape (draws, K).

    Those of `longsurv.likelihood.cox.baseline_hazard`, for every row of betas (draws, p).
    """
    B = _scaled(data, betas)
    mantissa, exponent = _jumps(data.arrays, B)
    z = ((np.asarray(at, dtype=float) - data.mean) / data.scale)[data.time_stratum]
    with np.errstate(over="ignore"):
        return mantissa * np.exp(
            B @ z.T - data.offset_mean[data.time_stratum] - exponent * LOG_BASE
        )


def mean_incidence(relative: Floats, steps: Floats) -> Floats:
    """Cumulative incidence of the first cause, averaged over rows, shape (draws,).

    That of `longsurv.analyses.mortality.standardised_incidence.incidence` with the steps
    relative[k, s, i] * steps[k, s, t] of cause k, draw s, row i and stretch of time t.

    Parameters
    ----------
    relative : ndarray, shape (K, draws, rows)
        Hazards relative to the baseline's.
    steps : ndarray, shape (K, draws, T)
        By how much each cause's cumulative baseline hazard rises in each stretch of time.
    """
    return _mean_incidence(np.ascontiguousarray(relative), np.ascontiguousarray(steps))


def _scaled(data: CoxData, betas: ArrayLike) -> Floats:
    return np.ascontiguousarray(np.asarray(betas, dtype=float) * data.scale)


@njit(cache=True, nogil=True)
def _logliks(a: RiskArrays, B: Floats, places: Integers) -> Floats:
    out = np.zeros((len(B), len(places)))
    for s in range(len(B)):
        eta = linear_predictor(a, B[s])
        v, e = relative_risks(a, eta)
        S, eS = risk_sums(a, v, e, 1)
        mean_log, _ = event_terms(a, S, death_sums(a, v, e, eS, 1), eS)
        terms = event_contributions(a, eta, mean_log)
        for j in range(len(places)):
            if places[j] >= 0:
                out[s, j] = terms[places[j]]
    return out


@njit(cache=True, nogil=True)
def _jumps(a: RiskArrays, B: Floats) -> tuple[Floats, Integers]:
    K = len(a.deaths)
    mantissa = np.empty((len(B), K))
    exponent = np.empty((len(B), K), np.int32)
    for s in range(len(B)):
        v, e = relative_risks(a, linear_predictor(a, B[s]))
        width = np.int64(1)  # typed as other widths are, so that nothing is compiled for it alone
        S, eS = risk_sums(a, v, e, width)
        _, moments = event_terms(a, S, death_sums(a, v, e, eS, width), eS)
        for k in range(K):
            mantissa[s, k], exponent[s, k] = moments[k, 0], eS[k]
    return mantissa, exponent


@njit(cache=True, nogil=True, error_model="numpy")
def _mean_incidence(relative: Floats, steps: Floats) -> Floats:
    K, draws, rows = relative.shape
    out = np.zeros(draws)
    for s in range(draws):
        for i in range(rows):
            alive = 1.0
            for t in range(steps.shape[2]):
                first = relative[0, s, i] * steps[0, s, t]
                total = first
                for k in range(1, K):
                    total += relative[k, s, i] * steps[k, s, t]
                if total > 0.0:
                    gone = -alive * math.expm1(-total)
                    out[s] += gone * (first / total)
                    alive -= gone
        out[s] /= rows
    return out
