"""Draws of Cox models' hazards, and of cumulative incidences averaged over people.

A hazard is a factor of the row times one of the time, so that nothing of all draws, rows and times
at once is ever made: the incidences are summed up as they are computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
import pandas as pd

from longsurv.likelihood.cox.draws import mean_incidence
from longsurv.results.survival.cox_curves import people
from longsurv.results.survival.cox_drawn_curves import DrawnHazards, drawn_factors
from longsurv.results.survival.specification import CoxSpecification

if TYPE_CHECKING:
    from longsurv.design import SurvivalDesign
    from longsurv.inference import Draws
    from longsurv.likelihood.cox import CoxData


class CoxPosterior(Protocol):
    """What is used of a posterior of a Cox model."""

    @property
    def spec(self) -> CoxSpecification:
        """The model."""

    @property
    def data(self) -> CoxData:
        """Its partial likelihood."""

    @property
    def coefficients(self) -> np.ndarray:
        """Draws of the coefficients, shape (chains, draws, p)."""

    @property
    def draws(self) -> Draws:
        """How they were made."""


@dataclass(frozen=True, eq=False)
class CoxDraws:
    """Draws of a Cox model's coefficients.

    Attributes
    ----------
    spec : CoxPH
    data : CoxData
        Its partial likelihood.
    coefficients : ndarray, shape (draws, p)
    seed : int
        Of the baseline hazard's draws.
    """

    spec: CoxSpecification
    data: CoxData
    coefficients: np.ndarray
    seed: int

    @classmethod
    def of(cls, posterior: CoxPosterior) -> Self:
        """All draws of a posterior.

        Parameters
        ----------
        posterior : SurvivalPosterior or ShrunkenSubgroups
        """
        drawn = posterior.coefficients
        whole = drawn.reshape(-1, drawn.shape[-1])
        return cls(posterior.spec, posterior.data, whole, posterior.draws.seed)

    @property
    def design(self) -> SurvivalDesign:
        """The arrays of the model."""
        return self.spec.design

    def thinned(self, most: int) -> Self:
        """At most so many of the draws, evenly spaced.

        Parameters
        ----------
        most : int
        """
        return type(self)(
            self.spec, self.data, self.coefficients[spaced(len(self.coefficients), most)], self.seed
        )

    def hazards(self, newdata: pd.DataFrame, times: np.ndarray) -> DrawnHazards:
        """Cumulative hazards, the baseline's jumps drawn too.

        Parameters
        ----------
        newdata : DataFrame
            Rows with the columns of the formula.
        times : ndarray, shape (T,)
        """
        rng = np.random.default_rng([self.seed, 1])
        return drawn_factors(self.data, self.coefficients, people(self, newdata), times, rng)


def spaced(count: int, most: int) -> np.ndarray:
    """Positions of at most so many draws, evenly spaced."""
    return np.linspace(0, count - 1, min(most, count)).astype(int)


def mean_risks(
    posts: Sequence[CoxDraws], frame: pd.DataFrame, times: np.ndarray, draws: int
) -> np.ndarray:
    """Cumulative incidence of the first cause by the last time, averaged over rows.

    Parameters
    ----------
    posts : sequence of CoxDraws
        Of the hazard of the event, then of every competing event, in the same strata.
    frame : DataFrame
        Rows with the columns of the formulas.
    times : ndarray, shape (T,)
        Between two of them the ratio of the hazards counts as constant.
    draws : int
        Of each, evenly spaced; at most as many as there are.

    Returns
    -------
    ndarray, shape (draws,)
    """
    found = [post.hazards(frame, times) for post in posts]
    kept = [spaced(len(post.coefficients), draws) for post in posts]
    risk = np.zeros(draws)
    for one in zip(*(hazard.baseline for hazard in found), strict=True):
        rows = one[0][0]
        relative = [hazard.relative[k][:, rows] for hazard, k in zip(found, kept, strict=True)]
        rises = [np.diff(H[k], prepend=0.0) for (_, H), k in zip(one, kept, strict=True)]
        share = len(rows) / len(frame)
        risk += share * mean_incidence(np.stack(relative), np.stack(rises))
    return risk
