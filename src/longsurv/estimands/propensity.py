"""The probability of treatment given covariates, by logistic regression that always answers."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import numpy as np
from scipy import special

from longsurv.errors import EstimationError

# Beyond this log odds a fitted probability is 0 or 1 for all purposes: the sign of separation.
_FARTHEST = 10.0
PRIOR_SD = 2.5  # of a log odds ratio per standard deviation of its covariate


@dataclass(frozen=True, eq=False)
class Propensity:
    """A fitted logistic regression.

    Attributes
    ----------
    coefficients : ndarray, shape (p,)
    probability : ndarray, shape (n,)
        Of treatment.
    method : {"logistic", "firth"}
    reason : str
        Why it is Firth's; empty otherwise.
    """

    coefficients: np.ndarray
    probability: np.ndarray = field(repr=False)
    method: str
    reason: str = ""


def fit_propensity(
    X: np.ndarray, treated: np.ndarray, case: np.ndarray | None = None
) -> Propensity:
    """Regress treatment on covariates; Firth's penalised likelihood if they (nearly) separate it.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Of full column rank, with the intercept.
    treated : ndarray of bool, shape (n,)
    case : ndarray, shape (n,), optional
        Positive case weights.

    References
    ----------
    Heinze G, Schemper M. A solution to the problem of separation in logistic regression. Stat Med
    2002;21:2409-2419.
    """
    Q, R = np.linalg.qr(X)  # neither the origin nor the unit of a covariate matters to the climb
    Q, R = Q * np.sqrt(len(X)), R / np.sqrt(len(X))
    gamma, reason = _maximum_likelihood(Q, treated, case)
    method = "logistic"
    if gamma is None:
        count = np.ones(len(X)) if case is None else case
        gamma, method = _firth(Q, treated.astype(float), count), "firth"
    return Propensity(np.linalg.solve(R, gamma), special.expit(Q @ gamma), method, reason)


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


def _maximum_likelihood(
    X: np.ndarray, treated: np.ndarray, case: np.ndarray | None
) -> tuple[np.ndarray | None, str]:
    from statsmodels.discrete.discrete_model import Logit
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM
    from statsmodels.tools.sm_exceptions import PerfectSeparationError

    z = treated.astype(float)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say is checked below
        try:
            if case is None:
                fit = Logit(z, X).fit(disp=0, method="newton", maxiter=50)
                converged = fit.mle_retvals["converged"]
            else:
                fit = GLM(z, X, family=Binomial(), freq_weights=case).fit(maxiter=50, tol=1e-14)
                converged = fit.converged
        except (np.linalg.LinAlgError, PerfectSeparationError):
            return None, "the covariates separate the groups"
    coefficients = np.asarray(fit.params, dtype=float)
    if not converged or not np.isfinite(coefficients).all():
        return None, "maximum likelihood did not converge"
    if np.abs(X @ coefficients).max() > _FARTHEST:
        return None, "the covariates (nearly) separate the groups: probabilities reach 0 or 1"
    return coefficients, ""


def _firth(X: np.ndarray, z: np.ndarray, case: np.ndarray) -> np.ndarray:
    """Newton's method on the log-likelihood plus half the log determinant of the information."""
    beta = np.zeros(X.shape[1])

    def value(b: np.ndarray) -> float:
        eta = X @ b
        w = case * special.expit(eta) * special.expit(-eta)
        sign, log_det = np.linalg.slogdet((X * w[:, None]).T @ X)
        likelihood = case @ (z * eta - np.logaddexp(0, eta))
        return float(likelihood + 0.5 * log_det) if sign > 0 else -np.inf

    current = value(beta)
    for _ in range(200):
        p = special.expit(X @ beta)
        w = case * p * (1 - p)
        inverse = np.linalg.inv((X * w[:, None]).T @ X)
        leverage = w * np.einsum("ij,jk,ik->i", X, inverse, X)
        step = inverse @ (X.T @ (case * (z - p) + leverage * (0.5 - p)))
        for _ in range(30):
            new = value(beta + step)
            if new >= current - 1e-12:
                break
            step = step / 2
        beta, current = beta + step, new
        if np.abs(X @ step).max() < 1e-9:
            return beta
    raise EstimationError("the propensity score could not be estimated: no convergence")
