"""Answers as a notebook shows them."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import ClassVar

import pandas as pd

MOST_ROWS = 60


class Readable:
    """An answer that a notebook shows as its sentences and tables.

    Attributes
    ----------
    read_as : tuple of str
        Names of the attributes, or methods that need no argument, which it shows in order.
    """

    read_as: ClassVar[tuple[str, ...]] = ("tidy",)

    def _repr_html_(self) -> str:
        return "".join(map(_shown, (getattr(self, name) for name in self.read_as)))


def _shown(part: str | pd.DataFrame | Callable[[], pd.DataFrame]) -> str:
    if isinstance(part, str):
        return f"<p>{html.escape(part)}</p>"
    table = part if isinstance(part, pd.DataFrame) else part()
    return table.to_html(index=False, max_rows=MOST_ROWS, float_format=lambda v: f"{v:.4g}")
