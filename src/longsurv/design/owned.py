"""The data a specification holds: its own, so that nothing done to the user's table changes it."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd

from longsurv.design.expression import expression
from longsurv.design.formula import Formula, parse
from longsurv.design.scanned.scan import Scan
from longsurv.errors import FormulaError

SMALL = 2_000_000
"""Cells up to which copying a whole table takes less time than choosing its columns."""


_LAZY = int(pd.__version__.partition(".")[0]) >= 3  # pandas copies at the first change


class OwnedFrame(pd.DataFrame):
    """A table some of whose columns nobody else can change."""

    _metadata: ClassVar[list[str]] = ["_owned"]
    _owned: frozenset[str] | None = frozenset()

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        """What is made of it is a plain table, whose memory may be shared."""
        return pd.DataFrame

    def owns(self, columns: frozenset[str]) -> bool:
        """Whether it has copies of its own of all of some columns."""
        return self._owned is None or columns <= self._owned


def owned(data: pd.DataFrame, formula: str, *columns: str | None) -> pd.DataFrame:
    """The data with copies of the columns that a specification needs.

    Other columns are there too, and may share the memory of the user's table if it is large. Data
    that another specification made its own are taken as they are.

    Parameters
    ----------
    data : DataFrame
    formula : str
        One that cannot be read needs nothing: there will be no design.
    *columns : str, optional
        Needed besides those of the formula.
    """
    if isinstance(data, Scan):
        return data
    mine = isinstance(data, OwnedFrame)
    if not mine and data.size <= SMALL:
        own = OwnedFrame(data.copy())
        own._owned = None
        return own
    wanted = needed(formula) | {c for c in columns if c is not None}
    if mine and data.owns(wanted):
        return data
    own = OwnedFrame(data.copy(deep=False))
    unique = {str(c) for c in data.columns[~data.columns.duplicated(keep=False)]}
    for name in wanted & unique:
        own[name] = data[name].copy() if _LAZY else data[name]  # which copies it
    own._owned = wanted
    return own


def read_whole(data: pd.DataFrame | Scan, formula: str, *columns: str | None) -> pd.DataFrame:
    """The columns that a specification needs of a scan, in memory; a table as it is.

    Parameters
    ----------
    data : DataFrame or Scan
    formula : str
    *columns : str, optional
        Needed besides those of the formula.
    """
    if not isinstance(data, Scan):
        return data
    wanted = needed(formula) | {*columns}
    return data.whole([name for name in data.names if name in wanted])


def needed(formula: str) -> frozenset[str]:
    """All columns of a formula; none if it cannot be read."""
    from longsurv.design.specials import take_out_specials
    from longsurv.design.terms import columns_of, terms

    try:
        parsed, special = take_out_specials(parse(formula))
        found = {*parsed.surv, *special["strata"], *special["cluster"]}
        for left in (*_lefts(parsed), *special["offset"]):
            found |= {*expression(left).columns}
        for right in (parsed.fixed, *(term.effects for term in parsed.random)):
            found |= {*columns_of(terms(right))}
    except FormulaError:
        return frozenset()
    return frozenset(found | {c for term in parsed.random for c in term.columns})


def _lefts(parsed: Formula) -> list[str]:
    return [parsed.response] if parsed.response else []
