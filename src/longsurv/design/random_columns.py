"""Columns of random effects in centred variables: those whose SDs and correlations have priors.

A patient's level at the means of the variables is something one can have an opinion of; the level
in the year 0 is not. So the columns of a block of correlated effects are centred as those of the
fixed effects are (`longsurv.design.centred`), which leaves the model as it is: the formula's
effects are one linear map apart.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.linalg import block_diag

from longsurv.design.centred import centred
from longsurv.design.groupings import Grouping
from longsurv.design.mixed import MixedDesign


@dataclass(frozen=True, eq=False)
class RandomColumns:
    """The centred columns of one grouping.

    Attributes
    ----------
    to : ndarray, shape (q, q)
        The effects of the centred columns are to @ b, b the formula's.
    size : ndarray, shape (q,)
        What a default prior counts as one unit of each: the standard deviation of the column over
        patients, and the root mean square of one that is not centred.
    moved : tuple of bool, length q
        Whether an effect is another one than the formula's of that name.
    """

    to: np.ndarray
    size: np.ndarray
    moved: tuple[bool, ...]


def random_columns(
    grouping: Grouping, rows: pd.DataFrame, weights: np.ndarray, given: Collection[str] = ()
) -> RandomColumns:
    """Centre the blocks of correlated effects.

    Parameters
    ----------
    grouping : Grouping
    rows : DataFrame
        The rows of its design.
    weights : ndarray, shape (n,)
        Of the rows in the means.
    given : collection of str
        Names with priors of the user's own. If centring would move one of its standard deviations,
        a block is left as it is written.
    """
    random, share = grouping.random, weights / weights.sum()
    sds = random.parameter_names(grouping.name)[0]
    maps, sizes, start = [], [], 0
    blocks = list(random.blocks)
    for part in random.parts:
        width = len(part.names)
        at, start = slice(start, start + width), start + width
        correlated = blocks[0] > 1
        blocks = blocks[1 if correlated else width :]
        size, map_ = np.sqrt(share @ part.X**2), np.eye(width)
        if correlated:
            found = centred(part, rows, weights)
            size = np.where(found.sd > 0.0, found.sd, size)
            if not any(
                moved and sd in given for moved, sd in zip(_moved(found.to), sds[at], strict=True)
            ):
                map_ = found.to
        maps.append(map_)
        sizes.append(np.where(size > 0.0, size, 1.0))
    whole = block_diag(*maps) if maps else np.empty((0, 0))
    return RandomColumns(whole, np.concatenate([np.empty(0), *sizes]), tuple(_moved(whole)))


def _moved(to: np.ndarray) -> list[bool]:
    return [bool(np.count_nonzero(row) > 1) for row in to]


def origin_flags(design: MixedDesign) -> tuple[str, ...]:
    """Random effects whose meaning depends on an origin that lies far outside the data.

    Those that are not correlated with an intercept, as in (t || id) and (0 + t | id): that two of
    a patient's effects are independent at the origin is not so elsewhere.
    """
    flags = []
    for grouping in design.groupings:
        far = [name for name, values in _free_standing(grouping) if _is_far(values)]
        if far:
            names, several = " and ".join(far), len(far) > 1
            flags.append(
                f"The random effect{'s' * several} of {names} between {grouping.name} "
                f"{'are' if several else 'is'} not correlated with an intercept, so the model "
                f"depends on where {names} {'are' if several else 'is'} 0, which is far outside "
                "the data; measured from within the data it is another model."
            )
    return tuple(flags)


FAR = 3.0
"""Ranges of the data between their nearest value and an origin that is far outside."""


def _free_standing(grouping: Grouping) -> Sequence[tuple[str, np.ndarray]]:
    """Columns of blocks that have no constant one, but for constants themselves."""
    random, start, out = grouping.random, 0, []
    for size in random.blocks:
        X, names = random.extremes[:, start : start + size], random.names[start : start + size]
        start += size
        if not any((X[:, j] == X[0, j]).all() for j in range(size)):
            out += [(name, X[:, j]) for j, name in enumerate(names)]
    return out


def _is_far(values: np.ndarray) -> bool:
    return bool(np.abs(values).min() > FAR * np.ptp(values))
