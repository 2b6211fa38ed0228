"""An order of patients that is the data's own, so that draws do not depend on that of the table.

A seed gives the same numbers again, and the first of them to the first row. Where rows are taken in
the order of what they hold, those of a table that was sorted otherwise get the same ones; rows that
hold the same may be exchanged.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_DIGITS = 10
"""Of the largest value of a column: what centring leaves behind it is rounding."""


def own_order(*columns: ArrayLike) -> NDArray[np.intp]:
    """Places of the rows in the order of what they hold, shape (n,).

    Parameters
    ----------
    columns : array_like, shape (n,) or (n, k)
        All that bears on the answer, what is compared first in front.

    Examples
    --------
    >>> import numpy as np
    >>> from longsurv.own_order import own_order
    >>> exits, status = np.array([9.0, 2.0, 9.0]), np.array([1, 0, 0])
    >>> [int(row) for row in own_order(exits, status)]
    [1, 2, 0]
    """
    values = np.column_stack([np.asarray(column, dtype=float) for column in columns])
    size = np.abs(np.where(np.isfinite(values), values, 0.0)).max(axis=0, initial=0.0)
    rounded = np.round(values / np.where(size > 0.0, size, 1.0), _DIGITS)
    return np.lexsort(rounded.T[::-1])


def in_own_order(drawn: np.ndarray, order: NDArray[np.intp]) -> np.ndarray:
    """Draws of rows in `order`, shape (..., n), back at the places of the rows.

    Parameters
    ----------
    drawn : ndarray, shape (..., n)
    order : ndarray of int, shape (n,)
        From `own_order`.
    """
    placed = np.empty_like(drawn)
    placed[..., order] = drawn
    return placed
