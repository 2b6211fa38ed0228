"""Effects that differ between the cuts of an ordinal response: each patient's score at none.

    P(y_ij <= k | u_i) = F(c_k - eta_ij - x_ij' gamma_k)
    eta_ij = o_ij + x_ij' beta + z_ij' Lam u_i

with gamma_1 = 0: partial proportional odds (Peterson & Harrell 1990, Applied Statistics
39:205-217). Given u_i a row is linear in all parameters through a = c_k - ... and
b = c_(k-1) - ..., the ends of its category, so that, with expectations over the distribution of
u_i given the data,

    score_i = sum_j E[d log p(y_ij | u_i)] = sum_j (E[da] da/dparameters + E[db] db/dparameters).
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from longsurv.likelihood.glmm.data import GLMMData
from longsurv.likelihood.glmm.loglik import conditional_standard, random_factor


def cut_scores(data: GLMMData, theta: np.ndarray) -> np.ndarray:
    """Scores of (beta, cuts, Lam, gamma_2, gamma_3, ...) at gamma = 0.

    Parameters
    ----------
    data : GLMMData
        Of an ordinal response with three categories or more.
    theta : ndarray, shape (d,)
        As for `loglik_factor`.

    Returns
    -------
    ndarray, shape (N, m)
        m is p + (levels - 1) + the elements of Lam that are not zero by design + (levels - 2) p.
    """
    p, cuts = data.p, data.levels - 1
    (rows, columns), finite = data.entries, theta[p : p + data.n_family]
    ends = np.concatenate([[-np.inf], data.family.coefficients(finite), [np.inf]])
    category, patient = (
        data.y.astype(np.int64),
        np.repeat(np.arange(len(data.first) - 1), np.diff(data.first)),
    )
    # Each patient's nodes, and the derivatives of log(F(a) - F(b)) there, averaged.
    u, weight = (found[patient] for found in conditional_standard(data, theta))
    random = np.einsum("nq,nmq->nm", data.Z @ random_factor(data, theta), u)
    eta = (data.offset + data.X @ theta[:p])[:, None] + random
    da, db = _slopes(ends[category + 1][:, None] - eta, ends[category][:, None] - eta)
    above, below = (da * weight).sum(axis=1), (db * weight).sum(axis=1)
    moved = np.einsum("nm,nmq->nq", (da + db) * weight, u)

    out = np.zeros((len(category), p + cuts + len(rows) + (cuts - 1) * p))
    own, gammas = slice(p + cuts, p + cuts + len(rows)), p + cuts + len(rows)
    out[:, :p] = -(above + below)[:, None] * data.X
    out[:, own] = -data.Z[:, rows] * moved[:, columns]
    for slope, cut in ((above, category + 1), (below, category)):
        for k in range(1, cuts + 1):
            at = np.flatnonzero(cut == k)
            out[at, p + k - 1] += slope[at]
            if k > 1:
                where = slice(gammas + (k - 2) * p, gammas + (k - 1) * p)
                out[at, where] -= slope[at, None] * data.X[at]
    return np.add.reduceat(out, data.first[:-1], axis=0)


def _slopes(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of log(F(a) - F(b)) in a and in b; of infinite ends they are zero."""
    with np.errstate(over="ignore"):
        gap = 1.0 / np.expm1(a - b)
    return expit(-a) + gap, -expit(b) - gap
