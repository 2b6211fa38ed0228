"""Tables of other libraries, made data frames at the door.

What narwhals reads (polars, pyarrow, modin, cuDF, DuckDB, ...), what hands over Arrow's stream, and
a dict of columns. Nothing is imported for a pandas DataFrame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def as_pandas(table: object) -> pd.DataFrame | None:
    """A table of any library as a data frame; None if it is no table.

    Parameters
    ----------
    table : object

    Returns
    -------
    DataFrame or None
    """
    import pandas as pd

    if isinstance(table, pd.DataFrame):
        return table
    if isinstance(table, Mapping):
        return _of_columns(table)
    if isinstance(table, (str, bytes, Sequence, type, pd.Series, pd.Index)) or table is None:
        return None
    import narwhals as nw

    found = nw.from_native(table, pass_through=True)
    if isinstance(found, nw.LazyFrame):
        found = found.collect()
    if isinstance(found, nw.DataFrame):
        return found.to_pandas()
    if hasattr(table, "__arrow_c_stream__") and not isinstance(found, nw.Series):
        return nw.from_arrow(table, backend="pyarrow").to_pandas()
    return None


def _of_columns(columns: Mapping[object, object]) -> pd.DataFrame | None:
    """A dict of columns of one length; None if it is another dict."""
    import numpy as np
    import pandas as pd

    sizes = set()
    for name, column in columns.items():
        plain = isinstance(column, (list, tuple, pd.Series, pd.Index, np.ndarray))
        if not isinstance(name, str) or not (plain or hasattr(column, "to_pandas")):
            return None
        if getattr(column, "ndim", 1) != 1:
            return None
        sizes.add(len(column))  # type: ignore[arg-type]
    if len(sizes) != 1:
        return None
    return pd.DataFrame(
        {
            name: column.to_pandas() if hasattr(column, "to_pandas") else column
            for name, column in columns.items()
        }
    )
