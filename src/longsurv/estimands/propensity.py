"""The probability of a treatment given covariates, by logistic regression that always answers.

Of k arms, the first the reference, the chance of arm j is that of a multinomial logit,

    e_j(x) = exp(x' g_j) / sum over l of exp(x' g_l),    g_0 = 0,

which of two arms is the usual logistic regression. Where the covariates (nearly) separate the arms
half the log determinant of the information is added to the log-likelihood (Firth 1993, Biometrika
80:27-38; Bull, Mak & Greenwood 2002, Comput Stat Data Anal 39:57-74, of several arms).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import special

from longsurv.errors import EstimationError

# Beyond this log odds a fitted probability is 0 or 1 for all purposes: the sign of separation.
_FARTHEST = 10.0
PRIOR_SD = 2.5  # of a log odds ratio per standard deviation of its covariate


@dataclass(frozen=True, eq=False)
class Propensity:
    """A fitted logistic regression of k arms.

    Attributes
    ----------
    coefficients : ndarray, shape (p, k - 1)
        Of the log odds of each arm against the first.
    chance : ndarray, shape (n, k)
        Of each arm.
    method : {"logistic", "firth"}
    reason : str
        Why it is Firth's; empty otherwise.
    """

    coefficients: np.ndarray
    chance: np.ndarray = field(repr=False)
    method: str
    reason: str = ""

    @property
    def probability(self) -> np.ndarray:
        """Of the last arm, of two the one that is not the reference, shape (n,)."""
        return self.chance[:, -1]


def fit_propensity(
    X: np.ndarray, treated: np.ndarray, case: np.ndarray | None = None
) -> Propensity:
    """Regress one of two treatments on covariates: `fit_arms` of two.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Of full column rank, with the intercept.
    treated : ndarray of bool, shape (n,)
    case : ndarray, shape (n,), optional
        Positive case weights.
    """
    return fit_arms(X, treated.astype(np.int64), 2, case)


def fit_arms(
    X: np.ndarray, arm: np.ndarray, count: int, case: np.ndarray | None = None
) -> Propensity:
    """Regress the arm on covariates; Firth's penalised likelihood if they (nearly) separate arms.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Of full column rank, with the intercept.
    arm : ndarray of int, shape (n,)
        0 for the reference, to `count` - 1.
    count : int
        Of the arms.
    case : ndarray, shape (n,), optional
        Positive case weights.

    Raises
    ------
    EstimationError
        If Firth's likelihood does not converge either.

    References
    ----------
    Heinze G, Schemper M. A solution to the problem of separation in logistic regression. Stat Med
    2002;21:2409-2419.
    """
    Q, R = np.linalg.qr(X)  # neither the origin nor the unit of a covariate matters to the climb
    Q, R = Q * np.sqrt(len(X)), R / np.sqrt(len(X))
    taken = (arm[:, None] == np.arange(1, count)).astype(float)
    weight = np.ones(len(X)) if case is None else case
    gamma, reason = _climb(Q, taken, weight, penalised=False), ""
    far = gamma is None or np.ptp(_log_odds(Q, gamma), axis=1).max() > _FARTHEST
    method = "logistic"
    if far or gamma is None:
        gamma, method = _climb(Q, taken, weight, penalised=True), "firth"
        reason = "the covariates (nearly) separate the groups: probabilities reach 0 or 1"
    if gamma is None:
        raise EstimationError("the propensity score could not be estimated: no convergence")
    return Propensity(np.linalg.solve(R, gamma), _chances(Q, gamma), method, reason)


def told_apart(X: np.ndarray, treated: np.ndarray) -> bool:
    """Whether some combination of covariates is above 0 of all who were treated, and of no others.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        With the intercept, in units of about the same size.
    treated : ndarray of bool, shape (n,)
    """
    from scipy.optimize import linprog

    sides = np.where(treated, -1.0, 1.0)[:, None] * X
    found = linprog(np.zeros(X.shape[1]), sides, -np.ones(len(X)), bounds=(None, None))
    return bool(found.status == 0)


def propensity_draws(X: np.ndarray, treated: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Fit the regression under many weightings of the patients at once.

    Under some of the weightings a few patients with little weight are all that keeps the covariates
    from separating the groups, so every fit is a posterior mode: the prior of a log odds ratio is
    Normal(0, 2.5), that of the intercept flat.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Of full column rank, with the intercept first, in units of the prior (`CentredDesign.
        standard`: standard deviations, levels of factors alike).
    treated : ndarray of bool, shape (n,)
    weights : ndarray, shape (draws, n)
        Positive; each row sums to n.

    Returns
    -------
    ndarray, shape (draws, n)
        Probability of treatment.

    Raises
    ------
    EstimationError
        If some fit does not converge.
    """
    n, p = X.shape
    precision = np.diag([0.0] + [PRIOR_SD**-2] * (p - 1))
    products = (X[:, :, None] * X[:, None, :]).reshape(n, p * p)
    beta, active = np.zeros((len(weights), p)), np.arange(len(weights))
    for _ in range(100):
        case, e = weights[active], special.expit(beta[active] @ X.T)
        information = ((case * e * (1 - e)) @ products).reshape(-1, p, p) + precision
        score = (case * (treated - e)) @ X - beta[active] @ precision
        step = np.linalg.solve(information, score[:, :, None])[:, :, 0]
        size = np.abs(step @ X.T).max(axis=1)
        # Newton's steps overshoot where most probabilities are near 0 or 1.
        beta[active] += step * np.minimum(1.0, 2.0 / np.maximum(size, 1e-300))[:, None]
        active = active[size > 1e-8]
        if len(active) == 0:
            return special.expit(beta @ X.T)
    raise EstimationError(f"the propensity score did not converge in {len(active)} draws")


def _log_odds(X: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """Of every arm against the first, itself among them, shape (n, k)."""
    return np.column_stack([np.zeros(len(X)), X @ gamma])


def _chances(X: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """Of every arm, shape (n, k)."""
    found: np.ndarray = special.softmax(_log_odds(X, gamma), axis=1)
    return found


def information_of(X: np.ndarray, chance: np.ndarray, case: np.ndarray) -> np.ndarray:
    """Of the coefficients, those of an arm together, shape (p (k - 1), p (k - 1)).

    Parameters
    ----------
    X : ndarray, shape (n, p)
    chance : ndarray, shape (n, k)
    case : ndarray, shape (n,)
    """
    e, p = chance[:, 1:], X.shape[1]
    m = e.shape[1]
    found = np.empty((m * p, m * p))
    for j in range(m):
        others = chance[:, 0] + np.delete(e, j, axis=1).sum(axis=1)
        for i in range(j + 1):
            w = case * e[:, j] * (others if i == j else -e[:, i])
            block = (X * w[:, None]).T @ X
            found[j * p : (j + 1) * p, i * p : (i + 1) * p] = block
            found[i * p : (i + 1) * p, j * p : (j + 1) * p] = block.T
    return found


def _climb(
    X: np.ndarray, taken: np.ndarray, case: np.ndarray, *, penalised: bool
) -> np.ndarray | None:
    """Newton's method from no effect; None where it does not arrive.

    `taken` has a column for each arm but the first.
    """
    p, m = X.shape[1], taken.shape[1]
    gamma = np.zeros((p, m))

    def value(g: np.ndarray) -> float:
        eta = _log_odds(X, g)
        found = float(case @ ((taken * eta[:, 1:]).sum(axis=1) - special.logsumexp(eta, axis=1)))
        if not penalised:
            return found
        sign, log_det = np.linalg.slogdet(information_of(X, _chances(X, g), case))
        return found + 0.5 * float(log_det) if sign > 0 else -np.inf

    current = value(gamma)
    for _ in range(200 if penalised else 50):
        chance = _chances(X, gamma)
        e = chance[:, 1:]
        try:
            inverse = np.linalg.inv(information_of(X, chance, case))
        except np.linalg.LinAlgError:
            return None
        left = case[:, None] * (taken - e)
        if penalised:
            left = left + _of_penalty(X, e, inverse, case)
        step = (inverse @ (X.T @ left).T.ravel()).reshape(m, p).T
        for _ in range(30):
            new = value(gamma + step)
            if new >= current - 1e-12 * (1.0 + abs(current)):
                break
            step = step / 2
        gamma, current = gamma + step, new
        if np.abs(X @ step).max() < 1e-9:
            return gamma
    return None


def _of_penalty(X: np.ndarray, e: np.ndarray, inverse: np.ndarray, case: np.ndarray) -> np.ndarray:
    """Derivative of half the log determinant in each patient's log odds, shape (n, k - 1)."""
    p, m = X.shape[1], e.shape[1]
    blocks = inverse.reshape(m, p, m, p)
    q = np.einsum("ia,jalb,ib->ijl", X, blocks, X, optimize=True)
    own = np.einsum("ijj->ij", q)
    by = np.einsum("ijl,il->ij", q, e)
    moved = own - 2 * by - ((own - 2 * by) * e).sum(axis=1)[:, None]
    found: np.ndarray = 0.5 * case[:, None] * e * moved
    return found
