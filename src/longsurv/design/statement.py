"""What a specification is shown as: its formula, what was chosen, its rows and groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from longsurv.design.formula import parse
from longsurv.design.scanned.scan import Scan
from longsurv.design.specials import take_out_specials
from longsurv.errors import FormulaError
from longsurv.words import shortened

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

type Columns = tuple[str | None, ...]


class Stated(Protocol):
    """A specification of one table."""

    @property
    def formula(self) -> str:
        """The model in one line."""

    @property
    def data(self) -> pd.DataFrame:
        """The table."""


def of_table(spec: Stated, *groupings: Columns) -> str:
    """The statement of a specification of one table.

    Parameters
    ----------
    spec : a frozen dataclass
    *groupings : tuple of str or None
        The columns of each grouping that the formula does not name, such as the patients.
    """
    counts = group_counts(spec.formula, spec.data, groupings)
    return statement(spec, spec.formula, len(spec.data), counts)  # type: ignore[arg-type]


def statement(
    spec: DataclassInstance,
    formula: str,
    rows: int | Mapping[str, int],
    groups: Mapping[str, int],
    told: Iterable[str] = ("formula", "data"),
) -> str:
    """A specification in one line: it shows no data.

    Parameters
    ----------
    spec : a frozen dataclass
        Its options are shown where they are not the default.
    formula : str
    rows : int, or mapping of str to int
        Rows of the data, by part where there are several tables.
    groups : mapping of str to int
        How many groups each grouping of the rows has.
    told : iterable of str
        Fields that the formula, the rows and the groups tell of.
    """
    parts = [repr(shortened(formula))]
    for field in fields(spec):
        value = getattr(spec, field.name)
        usual = field.default if field.default_factory is MISSING else field.default_factory()
        if field.name not in told and repr(value) != repr(usual):
            own = isinstance(value, Mapping) and any(map(callable, value.values()))
            parts.append(f"{field.name}={[*value] if own else value!r}")  # functions by name
    parts.append(f"rows={rows!r}")
    return f"{type(spec).__name__}({', '.join(parts + [f'groups={groups!r}'] * bool(groups))})"


def group_counts(formula: str, data: pd.DataFrame, more: Iterable[Columns] = ()) -> dict[str, int]:
    """How many groups of each grouping the data have: of random terms, strata and clusters.

    Parameters
    ----------
    formula : str
        One that cannot be read groups nothing.
    data : DataFrame
    more : iterable of tuple of str or None
        The columns of further groupings; one with None is left out.
    """
    if isinstance(data, Scan):
        return {}  # it is shown without being read
    try:
        parsed, special = take_out_specials(parse(formula))
    except FormulaError:
        return {}
    groupings: list[Columns] = [term.columns for term in parsed.random]
    groupings += [(name,) for name in (*special["strata"], *special["cluster"])]
    return {
        ":".join(map(str, columns)): len(data[[*columns]].dropna().drop_duplicates())
        for columns in (*groupings, *more)
        if columns and {*columns} <= {*data.columns}
    }
