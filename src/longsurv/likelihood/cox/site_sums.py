"""The partial likelihood of covariates and sites, its information summed site by site.

With a column for each of J sites the information of `loglik` costs n J^2. Here a row of it is

    I_r = sum_i a_ir t_i,   t_i = v_i u_i x_i - v_i (M1 - ...)(t_i) + what is left to tied events,

a_i the covariates of row i and the indicator of its site. As each row is of one site, it adds its
t_i, which has p + J numbers, to p + 1 rows of the information: n (p + 1)(p + J) in all.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from longsurv.likelihood.cox.data import CoxData, Floats, Integers, RiskArrays, standardise
from longsurv.likelihood.cox.kernel import (
    event_contributions,
    event_terms,
    expected_events,
    score,
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


@njit(cache=True, nogil=True)
def _evaluate(a: RiskArrays, b: Floats, site: Integers, p: int) -> tuple[float, Floats, Floats]:
    """Value, gradient and the information, whose rows are of the covariates as they are in `a` and
    of the sites' indicators as they are, and its columns as they are in `a`."""
    n, width = a.X.shape
    information = np.full((width, width), np.nan)
    eta = linear_predictor(a, b)
    if not usable(eta):
        return -np.inf, np.full(width, np.nan), information
    v, e = relative_risks(a, eta)
    S, eS = risk_sums(a, v, e, 1 + width)
    E = death_sums(a, v, e, eS, 1 + width)
    mean_log, moments = event_terms(a, S, E, eS)
    expected = expected_events(a, v, e, eS, moments)
    # What a row at risk loses at an event time: wbar sum_l (S1 - c E1) / phi^2.
    K = len(a.deaths)
    loss = np.empty((K, width))
    for k in range(K):
        for j in range(width):
            loss[k, j] = moments[k, 2] * S[k, j + 1]
            if a.efron:
                loss[k, j] -= moments[k, 3] * E[k, j + 1]
    lost = exposure(a, e, loss, eS)
    information[:] = 0.0
    t = np.empty(width)
    for i in range(n):
        for j in range(width):
            t[j] = expected[i] * a.X[i, j] - v[i] * lost[i, j]
        # An event row is not at risk in full at its own time: c of it has gone at step l.
        if a.efron and a.event[i] and a.deaths[a.last[i] - 1] > 1:
            k = a.last[i] - 1
            own = v[i] * scaled(e[i] - eS[k])
            for j in range(width):
                t[j] += own * (moments[k, 3] * S[k, j + 1] - moments[k, 4] * E[k, j + 1])
        for r in range(p):
            for j in range(width):
                information[r, j] += a.X[i, r] * t[j]
        for j in range(width):
            information[p + site[i], j] += t[j]
    return event_contributions(a, eta, mean_log).sum(), score(a, expected), information


def value_gradient_information(
    data: CoxData, site: Integers, p: int, beta: Floats
) -> tuple[float, Floats, Floats]:
    """Log partial likelihood, gradient and information, as of `loglik` to rounding.

    Parameters
    ----------
    data : CoxData
        Of p covariates and then an indicator of each of J sites.
    site : ndarray of int, shape (n,)
        Site of each row of `data.arrays`.
    p : int
    beta : ndarray, shape (p + J,)

    Returns
    -------
    tuple
        The value; the gradient (p + J,); minus the Hessian (p + J, p + J).
    """
    value, gradient, rows = _evaluate(data.arrays, standardise(data, beta), site, p)
    rows *= data.scale
    rows[:p] *= data.scale[:p, None]
    return value, gradient * data.scale, 0.5 * (rows + rows.T)
