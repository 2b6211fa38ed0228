"""A call in R and the call here, each with its number: what the pages on coming from R show.

The call here is text that is evaluated where the page is executed; R's number is read from
tests/reference. A row whose two numbers differ fails the page.
"""

from __future__ import annotations

import html
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

REFERENCE = Path(os.environ["LONGSURV_REFERENCE"])
CLOSE = 1e-4
"""The largest relative difference of a row."""

Row = tuple[str, str, str, tuple[str, ...] | float]


def data(name: str) -> pd.DataFrame:
    """A data set of the references."""
    return pd.read_csv(REFERENCE / f"{name}.csv")


def r(topic: str, model: str, quantity: str, term: str = "") -> float:
    """A number that R computed."""
    rows = pd.read_csv(REFERENCE / f"{topic}.csv", keep_default_na=False)
    at = (rows["model"] == model) & (rows["quantity"] == quantity) & (rows["term"] == term)
    (found,) = rows.loc[at, "value"]
    return float(found)


class Beside:
    """A table of calls in R and here.

    Parameters
    ----------
    names : mapping of str to object
        What the calls here may use: ``globals()``.
    rows : sequence of tuple
        What it is, the call in R, the call here, and where R's number is (topic, model, quantity,
        term), or the number.
    close : float
        The largest relative difference.
    """

    def __init__(self, names: Mapping[str, Any], rows: Sequence[Row], close: float = CLOSE) -> None:
        self.rows = []
        for what, there, here, where in rows:
            theirs = where if isinstance(where, float) else r(*where)
            ours = float(eval(here, dict(names)))
            if not math.isclose(ours, theirs, rel_tol=close):
                raise AssertionError(f"{what}: R has {theirs}, {here} is {ours}")
            self.rows.append((what, there, here, theirs, ours))

    def _repr_html_(self) -> str:
        head = "<tr><th></th><th>in R</th><th>here</th><th>R</th><th>longsurv</th></tr>"
        body = "".join(
            f"<tr><td>{html.escape(what)}</td><td><code>{html.escape(there)}</code></td>"
            f"<td><code>{html.escape(here)}</code></td><td>{theirs:.6g}</td><td>{ours:.6g}</td></tr>"
            for what, there, here, theirs, ours in self.rows
        )
        return f'<table class="beside"><thead>{head}</thead><tbody>{body}</tbody></table>'
