"""The treatments compared, and a cohort that has one of them."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import combinations
from typing import Literal

import pandas as pd

from longsurv.errors import LongsurvError

type Pairs = Literal["pairwise", "reference", "consecutive"]
type Compare = Literal["reference", "pairwise"]


def pairs_of(count: int, kind: Pairs) -> list[tuple[int, int]]:
    """Positions, the earlier first, of the values that are compared among so many.

    Parameters
    ----------
    count : int
    kind : {"pairwise", "reference", "consecutive"}
        All; the first with every other; neighbours.
    """
    positions = range(count)
    return {
        "pairwise": list(combinations(positions, 2)),
        "reference": [(0, j) for j in positions[1:]],
        "consecutive": [(j - 1, j) for j in positions[1:]],
    }[kind]


def levels_of(column: pd.Series) -> list[Hashable]:
    """The values of a group that somebody has, the reference first.

    That is the first category, or of anything else the first in order.

    Parameters
    ----------
    column : Series
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [level for level in column.cat.categories if (column == level).any()]
    return sorted(column.dropna().unique())


def two_levels(
    data: pd.DataFrame,
    treatment: str,
    treated: Hashable | None,
    reference: Hashable | None,
) -> tuple[Hashable, Hashable]:
    """The reference level and the treated one."""
    if treatment not in data:
        raise LongsurvError(f"there is no column {treatment!r}; the data have {list(data.columns)}")
    levels = levels_of(data[treatment])
    for chosen in (treated, reference):
        if chosen is not None and chosen not in levels:
            raise LongsurvError(f"{treatment!r} has no level {chosen!r}; it has {levels[:10]}")
    others = [v for v in levels if v not in (treated, reference)]
    if reference is None and (treated is None or len(others) == 1):
        reference = others.pop(0) if others else None
    if treated is None and len(others) == 1:
        treated = others[0]
    if treated is None or reference is None or treated == reference:
        raise LongsurvError(
            f"name treated= and reference=: the levels of {treatment!r} are {levels[:10]}"
        )
    return reference, treated


def with_treatment(data: pd.DataFrame, treatment: str, chosen: Hashable) -> pd.DataFrame:
    """The data with one treatment for all, as a column of the same type."""
    column = data[treatment]
    values = pd.Series([chosen] * len(data), index=data.index).astype(column.dtype)
    return data.assign(**{treatment: values})
