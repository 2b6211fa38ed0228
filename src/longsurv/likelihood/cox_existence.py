"""Proof, at a point of the partial likelihood, that it has a finite maximum.

Let d be a direction of monotone likelihood (see cox_separation.py). At every event, and at every
step of Efron's method, the event has the largest d'x of its risk set, so that the slope along d is
a weighted sum of (largest - mean) of d'x over risk sets, while the curvature is the same sum of its
variances; and a variable between its mean and its largest value has variance at most range times
(largest - mean). Hence d'Id <= range(d'x) d'g with I the information and g the gradient anywhere.
If

    smallest eigenvalue of I  >  2 max |x_i| |g|

there can be no such d. At a maximum g is rounding, so this settles ordinary data without the
linear programme of `separation`. Far out along such a d, where I itself is rounding, g may come
out as exactly 0: sums of up to (deaths) max |x_i|^2 are off by a fraction of that, which I must
exceed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from longsurv.likelihood.cox_data import CoxData


def surely_finite(data: CoxData, gradient: ArrayLike, information: ArrayLike) -> bool:
    """Whether the gradient and information at some point prove that the maximum is finite.

    Parameters
    ----------
    data : CoxData
    gradient : array_like, shape (p,)
    information : array_like, shape (p, p)
        Both of the unpenalised likelihood, at the same point.

    Returns
    -------
    bool
        False where this point proves nothing; `separation` then decides.
    """
    if data.n_columns == 0:
        return True
    g = np.asarray(gradient, dtype=float) / data.scale
    scaled = np.asarray(information, dtype=float) / np.outer(data.scale, data.scale)
    if not (np.isfinite(g).all() and np.isfinite(scaled).all()):
        return False
    X = data.arrays.X
    longest = float(np.sqrt(np.einsum("ij,ij->i", X, X).max()))
    # centred within strata, so differences within a risk set are those of the covariates
    smallest = np.linalg.eigvalsh(scaled)[0]
    rounding = 1e-12 * float(data.arrays.death_weight.sum()) * longest**2
    return bool(smallest - rounding > 2.0 * longest * np.linalg.norm(g))
