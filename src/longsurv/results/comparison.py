"""Two answers to one question side by side: how far apart they are, and the table of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv import numbers
from longsurv.errors import ArgumentError
from longsurv.figures import forest
from longsurv.figures.place import described, place_of
from longsurv.tables.frame import framed
from longsurv.tables.result import Written
from longsurv.tables.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHIFT_LIMIT = 0.25
WIDTH_LIMIT = 1.25
NAMES = {"ml": "Maximum likelihood", "bayes": "Bayes"}
LIMITS = ("estimate", "conf_low", "conf_high")


def overlap(a: pd.Series, b: pd.Series) -> float:
    """The length that two intervals share over the length that they cover together."""
    ends = [a["conf_low"], a["conf_high"], b["conf_low"], b["conf_high"]]
    if not np.isfinite(ends).all():
        return math.nan
    shared = max(0.0, min(ends[1], ends[3]) - max(ends[0], ends[2]))
    covered = max(ends[1], ends[3]) - min(ends[0], ends[2])
    return shared / covered if covered > 0 else 1.0


def distance(a: pd.Series, b: pd.Series) -> tuple[float, float]:
    """Difference of the centres in standard errors, and ratio of the intervals' widths."""
    shift = (b["estimate"] - a["estimate"]) / max(float(a["std_error"]), 1e-300)
    width = max(float(a["conf_high"] - a["conf_low"]), 1e-300)
    return shift, float(b["conf_high"] - b["conf_low"]) / width


def close(shift: float, ratio: float) -> bool:
    """Whether two answers are the same to a reader."""
    return abs(shift) < SHIFT_LIMIT and 1.0 / WIDTH_LIMIT < ratio < WIDTH_LIMIT


def side_by_side(
    term: str, a: pd.Series, b: pd.Series, first: str, second: str
) -> dict[str, object]:
    """The numbers of a row, of answers called as given."""
    shift, ratio = distance(a, b)
    row: dict[str, object] = {"term": term}
    for name, answer in ((first, a), (second, b)):
        row |= {f"{column}_{name}": answer[column] for column in LIMITS}
    return row | {"overlap": overlap(a, b), "shift": shift, "width_ratio": ratio}


class ComparedAnswers(Written, pd.DataFrame):
    """Two answers side by side, one row a term: a DataFrame that can be read and drawn.

    Parts of it are plain data frames.
    """

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def summary(self) -> Summary:
        """The answers as a reader sees them, with the verdict on each pair and its reason."""
        first, second = self._answers()
        rows = [self._row(record) for record in self.to_dict("records")]
        reasons = (f"{row['term']}: {row['reason']}" for row in self.to_dict("records"))
        return Summary(
            title=f"{_named(first)} and {_named(second)}",
            tables=(framed(pd.DataFrame(rows)),),
            notes=tuple(reasons),
        )

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw both answers to every term, one under the other.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.
        """
        parts, said = [], []
        for record in self.to_dict("records"):
            for name in self._answers():
                values = [float(record[f"{column}_{name}"]) for column in LIMITS]
                text = numbers.difference(*values)
                parts.append((record["term"], _named(name), *values, text))
            said.append(f"{record['term']} {record['verdict']}")
        table = pd.DataFrame(parts, columns=["row", "series", *LIMITS, "text"])
        drawn = forest(
            table, xlabel="Coefficient", text_heading="Estimate and interval", ax=place_of(ax)
        )
        return described(drawn, f"Two answers to every term: {'; '.join(said)}.")

    def _answers(self) -> tuple[str, str]:
        """What the columns of the two answers end with."""
        found = [c.removeprefix("estimate_") for c in self.columns if c.startswith("estimate_")]
        if len(found) != 2 or "verdict" not in self.columns:
            raise ArgumentError("this table has lost columns that compare() gave it")
        return found[0], found[1]

    def _row(self, record: Mapping[str, object]) -> dict[str, object]:
        row: dict[str, object] = {"term": record["term"]}
        for name in self._answers():
            values = [float(str(record[f"{column}_{name}"])) for column in LIMITS]
            row[_named(name)] = numbers.difference(*values)
        return row | {"verdict": record["verdict"]}


def _named(name: str) -> str:
    return NAMES.get(name, name)
