"""Sandwich variances of anything made of propensity weights, the score being estimated.

A weighted quantity is a function of the weights. If each patient's own weight were known, the
patient's influence on it would be its derivative in the logarithm of that weight (the infinitesimal
jackknife). The score adds what a patient's treatment says of its coefficients, times how all the
weights together move with those: estimating the score usually makes the variance smaller, not
larger (Lunceford & Davidian 2004, Stat Med 23:2937-2960).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from longsurv.errors import EstimationError
from longsurv.estimands.propensity import Propensity, information_of


class Weighted(Protocol):
    """What is used of `PropensityWeights`."""

    @property
    def centred(self) -> np.ndarray:
        """Covariates of the score, shape (n, p)."""

    @property
    def arm(self) -> np.ndarray:
        """Each patient's, 0 the reference, shape (n,)."""

    @property
    def propensity(self) -> Propensity:
        """The score."""

    @property
    def slope(self) -> np.ndarray:
        """Of each log weight in the log odds of each arm but the first, shape (n, k - 1)."""


def score_influence(weights: Weighted, moves: np.ndarray) -> np.ndarray:
    """What estimating the score adds to the influence of each patient.

    Parameters
    ----------
    weights : PropensityWeights
    moves : ndarray, shape (n, k - 1, q)
        Derivative of q quantities in each patient's log odds of each arm against the first.

    Returns
    -------
    ndarray, shape (n, q)
    """
    chance = weights.propensity.chance
    left = (weights.arm[:, None] == np.arange(1, chance.shape[1])) - chance[:, 1:]
    X = np.linalg.qr(weights.centred)[0]  # of the score only its column space matters
    (n, p), (_, m, q) = X.shape, moves.shape
    information = information_of(X, chance, np.ones(n))
    scores = (left[:, :, None] * X[:, None, :]).reshape(n, m * p)
    together = np.einsum("ip,ijq->jpq", X, moves).reshape(m * p, q)
    return scores @ np.linalg.solve(information, together)


def influence(weights: Weighted, derivatives: np.ndarray) -> np.ndarray:
    """Influence of each patient on weighted quantities, the score's part included.

    Parameters
    ----------
    weights : PropensityWeights
    derivatives : ndarray, shape (n, q)
        Of q quantities in the logarithm of each patient's weight.

    Returns
    -------
    ndarray, shape (n, q)
    """
    moves = weights.slope[:, :, None] * derivatives[:, None, :]
    return derivatives + score_influence(weights, moves)


def covariance(weights: Weighted, derivatives: np.ndarray) -> np.ndarray:
    """Sandwich covariance of weighted quantities, shape (q, q), times n / (n - p), p of the score.

    Parameters
    ----------
    weights : PropensityWeights
    derivatives : ndarray, shape (n, q)
        As for `influence`.

    Raises
    ------
    EstimationError
        If there are no more patients than coefficients of the score.
    """
    n, p = check_spare(weights)
    found = influence(weights, derivatives)
    return found.T @ found * n / (n - p)


def check_spare(weights: Weighted) -> tuple[int, int]:
    """Patients and coefficients of the score; refused if there are no more of the first."""
    n, p = len(weights.arm), weights.centred.shape[1] * (weights.propensity.chance.shape[1] - 1)
    if n <= p:
        raise EstimationError(
            f"{n} patients are too few for a propensity score of {p} coefficients: there is no "
            "variance to estimate"
        )
    return n, p
