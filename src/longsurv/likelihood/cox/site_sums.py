"""The partial likelihood of covariates and sites, its information summed site by site.

With a column for each of J sites the information of `loglik` costs n J^2. As each row is of one
site, it needs no more than n J: with z_i the covariates of row i and the indicator of its site, and
the sums over risk sets in the notation of loglik.py,

    I = sum_i v_i u_i z_i z_i' - sum_k wbar sum_l (S1 - c E1)(S1 - c E1)' / phi^2
      = sum_i v_i u_i z_i z_i' - sum_k (m2 S1 S1' - m3 (S1 E1' + E1 S1') + m4 E1 E1'),

and where nobody enters late two rows are at risk together up to the earlier of their exits, so

    sum_k m2 S1 S1' = sum_{i, j} v_i v_j M(min(exit_i, exit_j)) z_i z_j',
    M(k) = m2_1 + ... + m2_k.

Going back in time, a row that comes in meets those that are there already, whose sum is known.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from longsurv.likelihood.cox.data import CoxData, Floats, Integers, RiskArrays, shaped
from longsurv.likelihood.cox.kernel import (
    event_contributions,
    event_terms,
    expected_events,
    usable,
)
from longsurv.likelihood.cox.loglik import value_gradient_information as of_all_columns
from longsurv.likelihood.cox.risk_sets import death_sums, relative_risks, risk_sums


@njit(cache=True, nogil=True)
def _evaluate(
    a: RiskArrays, b: Floats, site: Integers, p: int
) -> tuple[bool, float, Floats, Floats]:
    """Whether these sums will do; value, gradient and information in the scaled covariates of `a`
    and plain indicators of the sites. They will not where hazards are very far apart."""
    n, width = len(site), len(b)
    X, weight, event, last = a.X, a.weight, a.event, a.last
    gradient, half = np.zeros(width), np.zeros((width, width))
    eta = a.offset.copy()
    for i in range(n):
        for r in range(p):
            eta[i] += X[i, r] * b[r]
        eta[i] += b[p + site[i]]
    if not usable(eta):
        return False, -np.inf, gradient, half
    v, e = relative_risks(a, eta)
    for i in range(n):
        if e[i] != 0:
            return False, -np.inf, gradient, half
    S, eS = risk_sums(a, v, e, 1)
    mean_log, moments = event_terms(a, S, death_sums(a, v, e, eS, 1), eS)
    expected = expected_events(a, v, e, eS, moments)

    # M, in each stratum.
    M = moments[:, 2].copy()
    for k in range(1, len(M)):
        if a.opening[k] == a.opening[k - 1]:
            M[k] += M[k - 1]

    # Half of what is taken away: the other half is its transpose.
    risk, tied = np.zeros(width), np.zeros(width)
    end = n
    while end > 0:
        k = last[end - 1] - 1
        if end < n and a.opening[last[end] - 1] != a.opening[k]:
            risk[:] = 0.0
        begin = end
        while begin > 0 and last[begin - 1] - 1 == k:
            begin -= 1
        for i in range(begin, end):
            own, share = p + site[i], v[i] * M[k]
            for j in range(width):
                half[own, j] -= share * risk[j]
            half[own, own] -= 0.5 * share * v[i]
            for r in range(p):
                for j in range(width):
                    half[r, j] -= share * X[i, r] * risk[j]
                for q in range(p):
                    half[r, q] -= 0.5 * share * v[i] * X[i, r] * X[i, q]
                half[r, own] -= share * v[i] * X[i, r]
            for r in range(p):
                risk[r] += v[i] * X[i, r]
            risk[own] += v[i]
        # Efron's tied events leave their own risk set one after the other.
        if a.efron and a.deaths[k] > 1:
            tied[:] = 0.0
            for i in range(begin, end):
                if event[i]:
                    tied[p + site[i]] += v[i]
                    for r in range(p):
                        tied[r] += v[i] * X[i, r]
            for j in range(width):
                if tied[j] != 0.0:
                    for m in range(width):
                        half[j, m] += tied[j] * (
                            moments[k, 3] * risk[m] - 0.5 * moments[k, 4] * tied[m]
                        )
        end = begin
    information = half + half.T

    for i in range(n):
        own, residual = p + site[i], weight[i] * event[i] - expected[i]
        gradient[own] += residual
        information[own, own] += expected[i]
        for r in range(p):
            gradient[r] += residual * X[i, r]
            crossed = expected[i] * X[i, r]
            information[r, own] += crossed
            information[own, r] += crossed
            for q in range(p):
                information[r, q] += crossed * X[i, q]
    return True, event_contributions(a, eta, mean_log).sum(), gradient, information


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
    if not data.arrays.staggered:
        scale = np.concatenate([data.scale[:p], np.ones(len(data.scale) - p)])
        b = shaped(data, beta) * scale
        fine, value, gradient, information = _evaluate(data.arrays, b, site, p)
        if fine:
            return value, gradient * scale, information * np.outer(scale, scale)
    return of_all_columns(data, beta)
