"""What the partial likelihood can determine: proofs that its maximum is finite and unique.

It depends on differences of covariates within risk sets only. A direction in which those at risk at
an event never differ is flat, whatever the coefficients; `within_risk_sets` has the information
that shows it, at coefficients of 0, where nothing else can make it small.

Proof, at a point of the partial likelihood, that it has a finite maximum:

Let d be a direction of monotone likelihood (see separation.py). At every event, and at every
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

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from longsurv.likelihood.cox.data import CoxData, Floats, Integers
from longsurv.likelihood.cox.kernel import (
    cross_product,
    event_terms,
    expected_events,
    mirror,
    subtract_means,
)
from longsurv.likelihood.cox.risk_sets import death_sums, relative_risks, risk_sums
from longsurv.likelihood.cox.separation import without_offset

ROUNDING = 64.0 * float(np.finfo(float).eps)
"""Of a sum of squares, the share that may be wrong for each square root of its terms."""


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


def surely_determined(data: CoxData, information: ArrayLike, condition: float) -> bool:
    """Whether an information is so far above rounding that every coefficient is determined.

    Parameters
    ----------
    data : CoxData
    information : array_like, shape (p, p)
    condition : float
        Condition number of the information scaled to unit diagonal.

    Returns
    -------
    bool
        False where `within_risk_sets` has to decide.
    """
    # a squared element is no larger than the sum of a column's squares, about the number of rows
    n = max(len(data.order), 1)
    limit = 4.0 * ROUNDING * n**1.5 * float(data.arrays.death_weight.sum())
    diagonal = np.diag(np.asarray(information, dtype=float)) / data.scale**2
    return condition < 1e8 and bool((diagonal > limit).all())


def within_risk_sets(data: CoxData) -> tuple[Floats, Floats]:
    """Information of the coefficients at 0, without weights and offset, and its rounding.

    Parameters
    ----------
    data : CoxData

    Returns
    -------
    information : ndarray, shape (p, p)
    rounding : ndarray, shape (p,)
        What cancellation may leave on its diagonal where risk sets do not vary: the sums of squares
        of the columns about their means, of which the risk sets' means are taken away, are this
        uncertain.
    """
    a = without_offset(data.arrays)
    p = data.n_columns
    v, e = relative_risks(a, np.zeros(len(data.order)))
    S, eS = risk_sums(a, v, e, 1 + p)
    E = death_sums(a, v, e, eS, 1 + p)
    _, moments = event_terms(a, S, E, eS)
    product = cross_product(a.X, expected_events(a, v, e, eS, moments))
    rounding = ROUNDING * np.sqrt(len(data.order) + len(a.deaths)) * np.diag(product)
    subtract_means(a, S, E, moments, product)
    mirror(product)
    return product * data.scale_products, rounding * data.scale**2


def columns(data: CoxData, kept: Integers) -> CoxData:
    """The same rows with some of the columns."""
    X = np.ascontiguousarray(data.arrays.X[:, kept])
    X.flags.writeable = False
    arrays = data.arrays._replace(X=X)
    return replace(data, arrays=arrays, mean=data.mean[:, kept], scale=data.scale[kept])
