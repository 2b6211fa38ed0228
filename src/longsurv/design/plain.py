"""Design columns of formulas that only name numeric columns and multiply them.

formulaic would compute the same numbers column by column; here one pass over the rows, in pieces
that stay in the cache, writes the whole matrix, which is most of the work on a large table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.design.names import unquoted

if TYPE_CHECKING:
    from formulaic import Formula

PIECE = 4096
"""Rows written at a time."""


def plain_terms(formula: Formula, data: pd.DataFrame) -> list[tuple[str, ...]] | None:
    """The columns that each term multiplies (none for the intercept), or None.

    None where a term is anything but a product of numeric columns without extension types.
    """
    terms = []
    for term in formula:
        names = tuple(unquoted(f.expr) for f in term.factors if str(f.expr) != "1")
        lookups = [f for f in term.factors if f.eval_method.value == "lookup"]
        if len(lookups) != len(names) or not all(_is_plain(data, name) for name in names):
            return None
        terms.append(names)
    return terms


def _is_plain(data: pd.DataFrame, name: str) -> bool:
    dtype = getattr(data[name], "dtype", None) if name in data else None  # none: named twice
    return isinstance(dtype, np.dtype) and dtype.kind in "fiu"


def products(terms: Sequence[tuple[str, ...]], data: pd.DataFrame) -> np.ndarray:
    """Products of the columns named by each term, shape (n, number of terms)."""
    columns = {name: data[name].to_numpy() for names in terms for name in names}
    values = np.empty((len(data), len(terms)))
    for start in range(0, len(data), PIECE):
        rows = slice(start, start + PIECE)
        for j, names in enumerate(terms):
            values[rows, j] = columns[names[0]][rows] if names else 1.0
            for name in names[1:]:
                values[rows, j] *= columns[name][rows]
    return values
