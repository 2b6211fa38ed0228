"""Before a generalised mixed model is fitted: does a maximum exist, and where to look for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.special import logit

from longsurv.likelihood.glmm import GLMMData, loglik_factor
from longsurv.likelihood.glmm_families import BERNOULLI, ORDINAL, STUDENT

SEPARATION_TOLERANCE = 1e-6


def no_maximum(data: GLMMData, names: Sequence[str]) -> str | None:
    """Why the likelihood of a binary or ordinal response has no finite maximum, in words, or None.

    `names` are those of beta and the thresholds.
    """
    if np.ptp(data.y) == 0.0:
        return "the response is the same in every row"
    direction = separation(data)
    if direction is not None:
        terms = ", ".join(n for n, d in zip(names, direction, strict=True) if d)
        return f"{terms} separate its values: for some combination of them only one outcome occurs"
    # Then only a random intercept, of infinite variance, could explain what they do.
    patients = zip(data.first[:-1], data.first[1:], strict=True)
    if all(np.ptp(data.y[a:b]) == 0.0 for a, b in patients):
        return "no patient's response ever changes, so their spread has no finite estimate"
    return None


def separation(data: GLMMData) -> np.ndarray | None:
    """Direction of (beta, cuts) along which the likelihood of a logit model never falls, or None.

    Parameters
    ----------
    data : GLMMData
        With a Bernoulli or ordinal response.

    Returns
    -------
    ndarray, shape (p,) or (p + levels - 1,), or None
        Largest absolute value 1 in columns scaled to unit maximum. Then there is no finite maximum:
        some rows' predictors can go off to infinity without any other row's fit suffering
        (Albert & Anderson 1984, Biometrika 71:1). Whatever the random effects are, the same holds.
    """
    scale = np.abs(data.X).max(axis=0, initial=0.0)
    X = data.X / np.where(scale > 0.0, scale, 1.0)
    if data.code == BERNOULLI:
        rising = np.where(data.y > 0.5, 1.0, -1.0)[:, None] * X
    else:
        cuts = np.eye(data.levels - 1)
        k = data.y.astype(int)
        below_top, above_bottom = k < data.levels - 1, k > 0
        rising = np.vstack(
            [
                np.hstack([-X[below_top], cuts[k[below_top]]]),
                np.hstack([X[above_bottom], -cuts[k[above_bottom] - 1]]),
            ]
        )
    rising = np.unique(rising, axis=0)
    if rising.shape[1] == 0:
        return None
    found = linprog(
        -rising.sum(axis=0), A_ub=-rising, b_ub=np.zeros(len(rising)), bounds=(-1.0, 1.0)
    )
    if found.x is None or np.abs(rising @ found.x).max() < SEPARATION_TOLERANCE:
        return None
    direction = np.where(np.abs(found.x) < SEPARATION_TOLERANCE, 0.0, found.x)
    return direction / np.abs(direction).max()


def response_scale(data: GLMMData) -> float:
    """Spread of the linear predictor: 1 for logits, the residual SD about X for measurements."""
    if data.code in (BERNOULLI, ORDINAL):
        return 1.0
    beta = np.linalg.lstsq(data.X, data.y, rcond=None)[0]
    return float(np.std(data.y - data.X @ beta)) or 1.0


def random_scale(data: GLMMData) -> np.ndarray:
    """Root mean square of the columns of Z, shape (q,)."""
    z = np.sqrt(np.mean(data.Z**2, axis=0))
    return np.where(z > 0.0, z, 1.0)


def starting_point(data: GLMMData) -> tuple[np.ndarray, np.ndarray]:
    """Where to start, and coordinates in which the climb is well scaled.

    Returns
    -------
    theta : ndarray, shape (d,)
        As for `longsurv.likelihood.glmm.loglik_factor`.
    T : ndarray, shape (d, d)
        theta = T x: x holds coefficients of orthonormal columns and units of the response's spread.
        A coordinate with a lower bound of zero is only rescaled.
    """
    n, p, m = len(data.y), data.p, data.n_family
    spread, z_scale = response_scale(data), random_scale(data)
    d = len(data.free_factor)
    theta, T = np.zeros(d), np.eye(d)
    centre = data.X.mean(axis=0) if data.code == ORDINAL else np.zeros(p)
    if p:
        r = np.linalg.qr(data.X - centre, mode="r") / math.sqrt(n)
        T[:p, :p] = spread * np.linalg.inv(r)
    if data.code == BERNOULLI:
        share = float(np.clip(data.y.mean(), 0.5 / n, 1.0 - 0.5 / n))
        target = logit(share) + 4.0 * (data.y - share)
        theta[:p] = np.linalg.lstsq(data.X, target, rcond=None)[0]
    elif data.code == ORDINAL:
        below = np.cumsum(np.bincount(data.y.astype(int), minlength=data.levels))[:-1] / n
        cuts = logit(np.clip(below, 0.5 / n, 1.0 - 0.5 / n))
        theta[p] = cuts[0]
        theta[p + 1 : p + m] = np.log(np.maximum(np.diff(cuts), 1e-3))
        # The first cut belongs to a patient with average covariates.
        T[p, :p] = centre @ T[:p, :p]
    else:
        theta[:p] = np.linalg.lstsq(data.X, data.y, rcond=None)[0]
        theta[p] = math.log(0.7 * spread)
        if data.code == STUDENT and m == 2:
            theta[p + 1] = 0.1
    rows, columns = data.entries
    factor = np.arange(p + m, d)
    T[factor, factor] = spread / z_scale[rows]
    theta[factor] = np.where(rows == columns, 0.7 * T[factor, factor], 0.0)
    return theta, T


def lower_bounds(data: GLMMData) -> np.ndarray:
    """Lower bounds of theta of `loglik_factor`: 0 for kappa and the diagonal of Lam."""
    rows, columns = data.entries
    family = np.full(data.n_family, -np.inf)
    if data.code == STUDENT:
        family[1:] = 0.0
    diagonal = np.where(rows == columns, 0.0, -np.inf)
    return np.concatenate([np.full(data.p, -np.inf), family, diagonal])


@dataclass(frozen=True, eq=False)
class Climb:
    """The likelihood in coordinates in which its climb is well scaled.

    Attributes
    ----------
    log_likelihood : callable
        Value and gradient at x, shape (d,).
    begin, lower : ndarray, shape (d,)
        Where to start, and lower bounds.
    T : ndarray, shape (d, d)
        T @ x is the vector of `longsurv.likelihood.glmm.loglik_factor`.
    factor_names : tuple of str
        Of its last elements, as in "Lam[1,0]".
    """

    log_likelihood: Callable[[np.ndarray], tuple[float, np.ndarray]]
    begin: np.ndarray
    lower: np.ndarray
    T: np.ndarray
    factor_names: tuple[str, ...]


def climb(data: GLMMData) -> Climb:
    """What a maximiser needs."""
    theta, T = starting_point(data)

    def log_likelihood(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = loglik_factor(data, T @ x)
        return value, T.T @ gradient

    names = tuple(f"Lam[{a},{b}]" for a, b in zip(*data.entries, strict=True))
    return Climb(log_likelihood, np.linalg.solve(T, theta), lower_bounds(data), T, names)


def to_unconstrained(data: GLMMData, theta: np.ndarray) -> np.ndarray:
    """The vector of `loglik` for theta of `loglik_factor` with a diagonal, positive Lam."""
    p, m, q = data.p, data.n_family, data.q
    rows, columns = data.entries
    out = np.zeros(len(theta))
    out[: p + m] = theta[: p + m]
    if data.code == STUDENT and m == 2:
        out[p + 1] = -math.log(theta[p + 1])
    out[p + m : p + m + q] = np.log(theta[p + m :][rows == columns])
    return out
