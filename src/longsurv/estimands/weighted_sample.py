"""Groups of patients with their weights and follow-up, as every weighted curve takes them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from longsurv.errors import DataError
from longsurv.estimands.follow_up import FollowUp, follow_up
from longsurv.estimands.propensity import fit_arms
from longsurv.estimands.propensity_result import PropensityWeights, patients
from longsurv.estimands.side_by_side import in_order_of
from longsurv.estimands.weighting import full_rank
from longsurv.own_order import own_order

type Moved = tuple[float, np.ndarray]
type Ask = Callable[[FollowUp, np.ndarray], list[Moved]]
"""What is asked of one group, of its follow-up and weights."""


@dataclass(frozen=True, eq=False)
class WeightedSample:
    """Follow-up of the patients that have weights, from the time at which all are seen."""

    follow_up: FollowUp
    arms: tuple[np.ndarray, ...]
    start: float

    @classmethod
    def of(cls, weights: PropensityWeights, data: pd.DataFrame) -> WeightedSample:
        """Read it from the table that the weights were made from.

        Parameters
        ----------
        weights : PropensityWeights
        data : DataFrame
        """
        data = _in_order(weights.table, data)
        follow, arms = follow_up(data).of(weights.rows), tuple(who for _, who in weights.sides)
        return cls(follow, arms, max(float(follow.entry[mine].min()) for mine in arms))

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
        found = [(label, np.flatnonzero(mine & later)) for label, mine in weights.sides]
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


def _in_order(known: pd.DataFrame, data: pd.DataFrame) -> pd.DataFrame:
    """The table that weights were made from, of which they know some columns, in their order."""
    if len(data) != len(known):
        raise DataError(
            f"the weights were made from {patients(len(known))}, and the table has {len(data):,}"
            " rows; give the same one"
        )
    data = in_order_of(known.index, data, "the table")
    for name in known.columns.intersection(data.columns):
        one, other = (_plain(table[name]) for table in (known, data))
        differ = np.flatnonzero((one != other) & ~(one.isna() & other.isna()))
        if len(differ):
            row = int(differ[0])
            raise DataError(
                f"the weights were made from a table whose row {row + 1} has {one[row]!r} in"
                f" {name!r}, and this one has {other[row]!r}; give the same table in the same order"
            )
    return data


def _plain(column: pd.Series) -> pd.Series:
    """Values of any type, None where one is missing."""
    whole = column.reset_index(drop=True).astype(object)
    return whole.where(whole.notna().to_numpy(), None)


def estimates(sample: WeightedSample, w: np.ndarray, ask: Ask) -> tuple[np.ndarray, np.ndarray]:
    """Quantities of each group, shape (k, q), and their derivatives, shape (n, k, q)."""
    values, moves = [], []
    for mine in sample.arms:
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
    """The quantities in resamples of each group, shape (times, k q), the score estimated anew."""
    rng, drawn = np.random.default_rng(seed), []
    seen = sample.follow_up
    order = own_order(seen.exit, seen.status, seen.entry, weights.X)
    sides = [order[mine[order]] for mine in sample.arms]
    for _ in range(times):
        rows = np.concatenate([rng.choice(side, len(side)) for side in sides])
        arm = weights.arm[rows]
        score = fit_arms(full_rank(weights.centred[rows]), arm, len(sides))
        w, found = weights.again(arm, score.chance), []
        for mine in sample.arms:
            there = np.flatnonzero(mine[rows] & (sample.follow_up.exit[rows] > sample.start))
            found += [value for value, _ in ask(sample.side(rows[there]), w[there])]
        drawn.append(found)
    return np.array(drawn)
