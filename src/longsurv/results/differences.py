"""Differences among the cells of a grid of variables, along some of the variables."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from functools import reduce
from itertools import product

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.estimands.treatments import Pairs, pairs_of

type Kind = Pairs
type Levels = Mapping[str, list[Hashable]]
type Steps = Mapping[str, list[tuple[str, np.ndarray]]]
"""Of variables that differences are taken along: each difference in words, and its weights."""


def steps_along(levels: Levels, along: tuple[str, ...], kind: Kind) -> Steps:
    """Differences between the levels of each of some variables."""
    unknown = [name for name in along if name not in levels]
    if unknown or not along or len(set(along)) < len(along):
        raise LongsurvError(
            f"name one or more of {list(levels)} to take differences along, got {along}"
        )
    return {name: _differences(levels[name], kind) for name in along}


def each_difference(
    levels: Levels, cells: pd.DataFrame, steps: Steps
) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """The differences in each combination of the other variables.

    Returns
    -------
    tuple of DataFrame, ndarray (rows, k) and list of str
        The variables, the weights of the k cells, and the rows in words.
    """
    parts = [
        [(label, row) for label, row in steps[name]]
        if name in steps
        else [(value, row) for value, row in zip(values, np.eye(len(values)), strict=True)]
        for name, values in levels.items()
    ]
    chosen = list(product(*parts))
    weights = np.array([reduce(np.kron, [row for _, row in cell]) for cell in chosen])
    frame = pd.DataFrame([[value for value, _ in cell] for cell in chosen], columns=list(levels))
    labels = [_words(levels, steps, row) for row in frame.itertuples(index=False)]
    others = {name: cells[name].dtype for name in frame.columns if name not in steps}
    return frame.astype(others), weights, labels


def together(levels: Levels, steps: Steps) -> Iterator[tuple[dict[str, Hashable], np.ndarray]]:
    """All differences at once, weights (rows, k), at each combination of the other variables."""
    others = [name for name in levels if name not in steps]
    for place in product(*[range(len(levels[name])) for name in others]):
        where = dict(zip(others, place, strict=True))
        weights = reduce(
            np.kron,
            [
                np.array([row for _, row in steps[name]])
                if name in steps
                else np.eye(len(values))[[where[name]]]
                for name, values in levels.items()
            ],
        )
        yield {name: levels[name][i] for name, i in where.items()}, weights


def _differences(levels: list[Hashable], kind: Kind) -> list[tuple[str, np.ndarray]]:
    """Differences between levels, as (words, weights); none where there is one level."""
    pairs = pairs_of(len(levels), kind)
    if not pairs:
        raise LongsurvError(
            f"there is no difference to take along a variable with the one value {levels[0]!r}"
        )
    identity = np.eye(len(levels))
    return [(f"{levels[j]} - {levels[i]}", identity[j] - identity[i]) for i, j in pairs]


def _words(levels: Levels, steps: Collection[str], row: tuple[Hashable, ...]) -> str:
    """As in "after - baseline | group=ivig"."""
    named = dict(zip(levels, row, strict=True))
    differences = ", ".join(str(named[name]) for name in levels if name in steps)
    within = ", ".join(f"{name}={named[name]}" for name in levels if name not in steps)
    return f"{differences} | {within}" if within else differences
