"""What responses that count something have in common: log E(y) = eta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import betainc, gammainc, gammaincc

from longsurv.likelihood.glmm.family import Family
from longsurv.likelihood.glmm.spaces import null_space

HIGHEST = 300.0
"""A predictor whose exponential is taken as if it were this; no count comes near."""
LARGEST = 2.0**53
STEPS = 8
"""Of the search for a start."""


def counts(mu: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Poisson counts with means mu; beyond what an integer holds the means themselves."""
    few = rng.poisson(np.minimum(mu, 1e15)).astype(float)
    return np.where(mu > 1e15, np.round(mu), few)


def tails(
    y: np.ndarray, mu: np.ndarray, size: np.ndarray | float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """P(Y <= y) and P(Y > y), shape (n,), of Poisson counts of mean mu, or of negative binomial
    ones of this size and variance mu + mu^2 / size."""
    more = np.maximum(y + 1.0, 1.0)  # any number where y is below the first
    if size is None:
        at_most, above = gammaincc(more, mu), gammainc(more, mu)
    else:
        at_most = betainc(size, more, size / (size + mu))
        above = betainc(more, size, mu / (size + mu))
    return np.where(y < 0.0, 0.0, at_most), np.where(y < 0.0, 1.0, above)


@dataclass(frozen=True)
class Counted(Family):
    """0, 1, 2, ... around exp(eta); phi, where there is one, is 0 for a Poisson response."""

    log: ClassVar[bool] = True
    wanted: ClassVar[str] = "a count is a whole number from 0 on"
    separated: ClassVar[str] = (
        "nothing was counted that would hold {terms}: for some combination of them every count is 0"
    )

    def start(
        self, X: np.ndarray, y: np.ndarray, levels: int, size: int, offset: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """beta of a few steps of a Poisson regression, and an overdispersion of 0.3."""
        eta, beta = np.log(y + 0.5), np.zeros(X.shape[1])
        for _ in range(STEPS):
            mu = np.exp(eta)
            root = np.sqrt(mu)
            target = root * (eta - offset + (y - mu) / mu)
            beta = np.linalg.lstsq(root[:, None] * X, target, rcond=1e-12)[0]
            # No further from the counts than a start needs to be.
            eta = np.clip(offset + X @ beta, np.log(y + 0.5) - 5.0, np.log(y + 0.5) + 5.0)
        return beta, np.full(size, 0.3)

    def lower(self, size: int) -> np.ndarray:
        """Lower bounds of phi, shape (size,)."""
        return np.zeros(size)

    def refused(self, y: np.ndarray) -> np.ndarray:
        """Which values are no counts, or too large for a double to count by ones."""
        return (y < 0.0) | (y != np.floor(y)) | (y > LARGEST)

    def level(self, y: np.ndarray, offset: np.ndarray) -> float:
        """Log of the counts per unit of what the offset is the logarithm of."""
        top = float(offset.max(initial=0.0))
        return float(np.log(max(y.sum(), 0.5)) - top - np.log(np.exp(offset - top).sum()))

    def mean(self, eta: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """The expected count."""
        return np.exp(eta)

    def outcome(self, y: np.ndarray, kind: np.ndarray) -> np.ndarray:
        """Whether anything was counted."""
        return np.where(y > 0.0, 1.0, 0.0)

    def rising(
        self, X: np.ndarray, outcome: np.ndarray, levels: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """A count above 0 holds its predictor; one of 0 lets it fall."""
        return null_space(X[outcome > 0.5]), -X[outcome < 0.5]
