"""Randomised quantile residuals of a generalised mixed model.

Of each patient random effects b* are drawn from their distribution given all of the patient's data,
and of each row the probability of a response up to its own, given b*, is put on the normal scale;
of a discrete response, or one known by limits, uniformly between the probabilities of less and of
at most what was seen. Where the model is right (b*, y) has the distribution of (b, y), and so the
residuals are independent and standard normal, whatever the family and however few the rows: not so
with predictions in place of b*, which the data have drawn towards themselves.

Dunn & Smyth (1996), J Comput Graph Stat 5:236-244 (randomised quantiles); Waagepetersen (2006),
Scand J Stat 33:721-731 (random effects drawn given the data).
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.special import ndtri

from longsurv.likelihood import glmm
from longsurv.likelihood.glmm.drawn import DrawnEffects, given_data, sites_of_rows
from longsurv.likelihood.glmm.family import INTERVAL, LEFT, RIGHT
from longsurv.own_order import in_own_order

CANDIDATES = 500
"""Draws from the normal approximation at a patient's mode, one of them kept by its weight."""


def drawn_effects(
    data: glmm.GLMMData,
    theta: np.ndarray,
    rng: np.random.Generator,
    count: int = CANDIDATES,
    sites: np.ndarray | None = None,
) -> DrawnEffects:
    """Random effects of the columns of Z given the patients' data.

    Parameters
    ----------
    data : GLMMData
    theta : ndarray, shape (d,)
        As for `loglik_factor`.
    rng : Generator
    count : int
        Candidates, the same standard ones for all patients.
    sites : ndarray, shape (J,), optional
        Effects of their sites in units of the standard deviation, where they are known.
    """
    return given_data(data, theta, rng, partial(_drawn, count=count), sites)


def _drawn(
    data: glmm.GLMMData, theta: np.ndarray, rng: np.random.Generator, count: int
) -> np.ndarray:
    """The same of patients without sites."""
    patients = len(data.first) - 1
    if not data.q:
        return np.empty((patients, 0))
    standard = rng.standard_normal((count, data.q))
    rule = 0.5 * (standard**2).sum(axis=1) - math.log(count)
    at, weights = glmm.conditional(replace(data, nodes=standard, log_weights=rule), theta)
    upto = np.cumsum(weights, axis=1)
    kept = (upto < rng.random((patients, 1)) * upto[:, -1:]).sum(axis=1)
    return at[np.arange(patients), np.minimum(kept, count - 1)]


def quantile_residuals(
    data: glmm.GLMMData, theta: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Residuals of the rows of `data`, shape (n,); standard normal if the model is right.

    Parameters
    ----------
    data : GLMMData
    theta : ndarray, shape (d,)
        As for `loglik_factor`.
    rng : Generator
    """
    return predicted_residuals(data, theta, rng)[1]


def predicted_residuals(
    data: glmm.GLMMData,
    theta: np.ndarray,
    rng: np.random.Generator,
    sites: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Predictors with the random effects drawn, and the residuals around them, shape (n,) both.

    The two are independent where the model is right, as with random effects predicted from the same
    data they are not.

    Parameters
    ----------
    data : GLMMData
    theta : ndarray, shape (d,)
        As for `loglik_factor`.
    rng : Generator
    sites : ndarray, shape (J,), optional
        As for `drawn_effects`.
    """
    group = np.repeat(np.arange(len(data.first) - 1), np.diff(data.first))
    b = drawn_effects(data, theta, rng, sites=sites)
    random = b.of_rows(data.Z, group, sites_of_rows(data))
    eta = data.offset + data.X @ theta[: data.p] + random
    (below, from_below), (upto, above) = _ends(data, theta, eta)
    share = in_own_order(rng.random(len(eta)), data.own_order)
    up = below + share * (upto - below)
    down = above + (1.0 - share) * (from_below - above)
    # From the nearer tail, whose probability is the more exact one.
    with np.errstate(divide="ignore"):
        return eta, np.where(up < 0.5, ndtri(up), -ndtri(down))


def _ends(
    data: glmm.GLMMData, theta: np.ndarray, eta: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """P(Y <= v) and P(Y > v) of the last v below what was seen, and of the last v within it."""
    own, kind, y = theta[data.p : data.p + data.n_family], data.kind, data.y

    def at(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return data.family.cumulative(value, eta, own, data.kappa)

    if not data.family.measured:
        return at(y - 1.0), at(y)
    below, above = at(y)
    upper, beyond = at(np.where(kind == INTERVAL, y + data.extent, y))
    left, right = kind == LEFT, kind == RIGHT
    return (
        (np.where(left, 0.0, below), np.where(left, 1.0, above)),
        (np.where(right, 1.0, upper), np.where(right, 0.0, beyond)),
    )
