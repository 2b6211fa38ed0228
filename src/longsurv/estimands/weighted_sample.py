"""Two groups of patients with their weights and follow-up, as every weighted curve takes them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from longsurv.errors import DataError
from longsurv.estimands.follow_up import FollowUp, follow_up
from longsurv.estimands.propensity import fit_propensity
from longsurv.estimands.propensity_result import PropensityWeights, patients
from longsurv.estimands.weighting import full_rank

type Moved = tuple[float, np.ndarray]
type Ask = Callable[[FollowUp, np.ndarray], list[Moved]]
"""The quantities asked of one group, of its follow-up and weights."""


@dataclass(frozen=True, eq=False)
class WeightedSample:
    """Follow-up of the patients that have weights, from the time at which both groups are seen."""

    follow_up: FollowUp
    treated: np.ndarray
    start: float

    @classmethod
    def of(cls, weights: PropensityWeights, data: pd.DataFrame) -> WeightedSample:
        """Read it from the table that the weights were made from.

        Parameters
        ----------
        weights : PropensityWeights
        data : DataFrame
        """
        whole = len(weights.rows) + weights.n_excluded
        if len(data) != whole:
            raise DataError(
                f"the weights were made from {patients(whole)}, and the table has {len(data):,}"
                " rows; give the same one"
            )
        follow, treated = follow_up(data).of(weights.rows), weights.treated
        start = max(float(follow.entry[treated].min()), float(follow.entry[~treated].min()))
        return cls(follow, treated, start)

    def alone(self, cause: int) -> WeightedSample:
        """With every other event as censoring.

        Parameters
        ----------
        cause : int
        """
        f = self.follow_up
        return replace(self, follow_up=FollowUp(f.entry, f.exit, (f.status == cause) * 1))

    def groups(self, weights: PropensityWeights) -> list[tuple[Hashable, np.ndarray]]:
        """Each group's name and the places of who is at risk after the start.

        Parameters
        ----------
        weights : PropensityWeights
        """
        later = self.follow_up.exit > self.start
        found = [
            (weights.group, np.flatnonzero(self.treated & later)),
            (weights.reference, np.flatnonzero(~self.treated & later)),
        ]
        for label, mine in found:
            if not len(mine):
                raise DataError(f"group {label}: nobody is at risk after {self.start:g}")
        return found

    def side(self, mine: np.ndarray) -> FollowUp:
        """The follow-up after the start of some, who may be there more than once.

        Parameters
        ----------
        mine : ndarray of int
            Their places.
        """
        f = self.follow_up.of(mine)
        return FollowUp(np.maximum(f.entry, self.start), f.exit, f.status)


def estimates(sample: WeightedSample, w: np.ndarray, ask: Ask) -> tuple[np.ndarray, np.ndarray]:
    """Quantities of both groups, shape (2, k), and their derivatives, shape (n, 2, k)."""
    values, moves = [], []
    for mine in (sample.treated, ~sample.treated):
        there = np.flatnonzero(mine & (sample.follow_up.exit > sample.start))
        found = ask(sample.side(there), w[there])
        values.append([value for value, _ in found])
        own = np.zeros((len(w), len(found)))
        own[there] = np.column_stack([moved for _, moved in found])
        moves.append(own)
    return np.array(values), np.stack(moves, axis=1)


def resampled(
    sample: WeightedSample, weights: PropensityWeights, ask: Ask, times: int, seed: int
) -> np.ndarray:
    """The quantities in resamples of both groups, shape (times, 2 k), the score estimated anew."""
    rng, drawn = np.random.default_rng(seed), []
    sides = np.flatnonzero(weights.treated), np.flatnonzero(~weights.treated)
    for _ in range(times):
        rows = np.concatenate([rng.choice(side, len(side)) for side in sides])
        treated = weights.treated[rows]
        e = fit_propensity(full_rank(weights.centred[rows]), treated).probability
        w, found = weights.again(treated, e), []
        for mine in (treated, ~treated):
            there = np.flatnonzero(mine & (sample.follow_up.exit[rows] > sample.start))
            found += [value for value, _ in ask(sample.side(rows[there]), w[there])]
        drawn.append(found)
    return np.array(drawn)
