"""The probability of treatment given covariates, by logistic regression that always answers."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import numpy as np
from scipy import special

from longsurv.errors import EstimationError

# Beyond this log odds a fitted probability is 0 or 1 for all purposes: the sign of separation.
_FARTHEST = 10.0


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


def fit_propensity(X: np.ndarray, treated: np.ndarray) -> Propensity:
    """Regress treatment on covariates; Firth's penalised likelihood if they (nearly) separate it.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Of full column rank, with the intercept.
    treated : ndarray of bool, shape (n,)

    References
    ----------
    Heinze G, Schemper M. A solution to the problem of separation in logistic regression. Stat Med
    2002;21:2409-2419.
    """
    coefficients, reason = _maximum_likelihood(X, treated)
    if coefficients is not None:
        return Propensity(coefficients, special.expit(X @ coefficients), "logistic")
    coefficients = _firth(X, treated.astype(float))
    return Propensity(coefficients, special.expit(X @ coefficients), "firth", reason)


def _maximum_likelihood(X: np.ndarray, treated: np.ndarray) -> tuple[np.ndarray | None, str]:
    from statsmodels.discrete.discrete_model import Logit
    from statsmodels.tools.sm_exceptions import PerfectSeparationError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say is checked below
        try:
            fit = Logit(treated.astype(float), X).fit(disp=0, method="newton", maxiter=50)
        except (np.linalg.LinAlgError, PerfectSeparationError):
            return None, "the covariates separate the groups"
    coefficients = np.asarray(fit.params, dtype=float)
    if not fit.mle_retvals["converged"] or not np.isfinite(coefficients).all():
        return None, "maximum likelihood did not converge"
    if np.abs(X @ coefficients).max() > _FARTHEST:
        return None, "the covariates (nearly) separate the groups: probabilities reach 0 or 1"
    return coefficients, ""


def _firth(X: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Newton's method on the log-likelihood plus half the log determinant of the information."""
    beta = np.zeros(X.shape[1])

    def value(b: np.ndarray) -> float:
        eta = X @ b
        w = special.expit(eta) * special.expit(-eta)
        sign, log_det = np.linalg.slogdet((X * w[:, None]).T @ X)
        likelihood = z @ eta - np.logaddexp(0, eta).sum()
        return float(likelihood + 0.5 * log_det) if sign > 0 else -np.inf

    current = value(beta)
    for _ in range(200):
        p = special.expit(X @ beta)
        w = p * (1 - p)
        inverse = np.linalg.inv((X * w[:, None]).T @ X)
        leverage = w * np.einsum("ij,jk,ik->i", X, inverse, X)
        step = inverse @ (X.T @ (z - p + leverage * (0.5 - p)))
        for _ in range(30):
            new = value(beta + step)
            if new >= current - 1e-12:
                break
            step = step / 2
        beta, current = beta + step, new
        if np.abs(X @ step).max() < 1e-9:
            return beta
    raise EstimationError("the propensity score could not be estimated: no convergence")
