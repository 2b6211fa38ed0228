"""Collecting every problem of a data set, in words that say where it is and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from longsurv.cohort.columns import Ids
from longsurv.errors import DataError
from longsurv.words import plural

SHOWN = 8  # examples written out for one problem; the rest are counted


@dataclass(frozen=True)
class Table:
    """A data frame together with the words a person uses to find a row of it.

    Parameters
    ----------
    frame : DataFrame
        Its index labels the rows: for a file, the row numbers of a spreadsheet (header = row 1).
    name : str
        The file's name, or "the patient table".
    row : str
        What the labels are called: "row" for a file, "index" for a data frame.
    ids : Ids, optional
        Whose each row is, once that has been read.
    cells : array of str (rows,), optional
        The column that each row was in, if it was one cell of a wider row.
    named : mapping of str to str
        Where a study file names a column: "study.toml, line 12".
    unclear : mapping of str to str
        Of a column, why its numbers can be read in more than one way.
    """

    frame: pd.DataFrame
    name: str
    row: str = "index"
    ids: Ids | None = None
    cells: np.ndarray | None = None
    named: Mapping[str, str] = field(default_factory=dict)
    unclear: Mapping[str, str] = field(default_factory=dict)

    def naming(self, columns: Sequence[str]) -> str:
        """Where a study file names these columns, for the end of a message.

        Parameters
        ----------
        columns : sequence of str

        Returns
        -------
        str
        """
        places = dict.fromkeys(self.named[name] for name in columns if name in self.named)
        return f" ({'; '.join(places)})" if places else ""

    def place(self, at: int) -> str:
        """Return the patient and row at a position, in words.

        Parameters
        ----------
        at : int

        Returns
        -------
        str
        """
        row = f"{self.row} {self.frame.index[at]}"
        if self.cells is not None:
            row = f"{row}, column {show(self.cells[at])}"
        if self.ids is None or self.ids.codes[at] < 0:
            return row
        return f"patient {self.ids.levels[self.ids.codes[at]]}, {row}"

    def take(self, rows: np.ndarray) -> Table:
        """The table of the rows flagged (bool) or in the order named (int).

        Parameters
        ----------
        rows : ndarray

        Returns
        -------
        Table
        """
        ids = self.ids and Ids(self.ids.codes[rows], self.ids.levels)
        cells = None if self.cells is None else self.cells[rows]
        return Table(
            self.frame[rows] if rows.dtype == bool else self.frame.take(rows),
            self.name,
            self.row,
            ids,
            cells,
            self.named,
            self.unclear,
        )


def show(value: object) -> str:
    """Write a value as a person would: text in quotes, numbers plainly, long ones cut short."""
    if isinstance(value, str):
        return f'"{shorten(value)}"'
    if isinstance(value, (float, np.floating)):
        return f"{value:.10g}"
    return shorten(str(value))


def shorten(text: str, limit: int = 80) -> str:
    """Cut a long text in its middle."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} ... {text[-half:]} ({len(text):,} characters)"


def show_list(values: Iterable[object], limit: int = 12) -> str:
    """Write values with commas between, counting those beyond the limit."""
    items = [show(value) for value in values]
    more = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {more} more" if more > 0 else "")


def suggest(word: object, options: Iterable[object]) -> str:
    """Return ``did you mean "x"?`` for the nearest option, or an empty string."""
    by_lower = {str(option).strip().lower(): option for option in options}
    near = difflib.get_close_matches(str(word).strip().lower(), list(by_lower), n=1, cutoff=0.6)
    return f"did you mean {show(by_lower[near[0]])}?" if near else ""


class Problems:
    """A list of problems that grows while tables are checked and is raised once at the end."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, text: str) -> None:
        """Add one problem in words.

        Parameters
        ----------
        text : str
        """
        self.texts.append(text)

    def rows(
        self,
        table: Table,
        column: str | Sequence[str],
        wrong: np.ndarray,
        what: str,
        todo: str,
        *,
        values: pd.Series | None = None,
        words: Sequence[str] | None = None,
    ) -> None:
        """Add one problem that some rows share; nothing is added when no row is wrong.

        Parameters
        ----------
        table : Table
        column : str or sequence of str
        wrong : array of bool (rows,) or of int (positions of rows)
        what, todo : str
            What is wrong, and what was expected or can be done.
        values : Series, optional
            What to quote, one for each row of the table.
        words : sequence of str, optional
            What to say instead of quoting, one for each wrong row.
        """
        positions = np.flatnonzero(wrong) if wrong.dtype == bool else wrong
        n = len(positions)
        if n == 0:
            return
        shown = positions[:SHOWN]
        if words is None:
            words = [""] * n if values is None else [show(v) for v in values.iloc[shown]]
        examples = [
            f"{word} ({table.place(at)})".lstrip() for word, at in zip(words, shown, strict=False)
        ]
        more = f" and {n - SHOWN:,} more" if n > SHOWN else ""
        columns = [column] if isinstance(column, str) else list(column)
        head = f"{table.name}, {'column' if len(columns) == 1 else 'columns'} {show_list(columns)}"
        said = f"{what} in {plural(n, 'row')}: {', '.join(examples)}{more}. {todo}"
        self.add(f"{head}: {said}{table.naming(columns)}")

    def numeric(self, table: Table, name: str) -> None:
        """Record where a column that is needed as numbers can be read in more than one way.

        Parameters
        ----------
        table : Table
        name : str
            Of the column.
        """
        if name in table.unclear:
            self.add(
                f"{table.name}, column {show(name)}: {table.unclear[name]}{table.naming([name])}"
            )

    def column(self, table: Table, name: str, role: str) -> pd.Series | None:
        """Return a column, or record that it is missing and return None.

        Parameters
        ----------
        table : Table
        name : str
            Of the column.
        role : str
            What it is needed for.

        Returns
        -------
        Series or None
        """
        if name in table.frame.columns:
            return table.frame[name]
        near = suggest(name, table.frame.columns)
        there = f"the columns are {show_list(table.frame.columns, 30)}"
        self.add(
            f"{table.name}: column {show(name)} ({role}) is missing; {near or there}"
            + ("" if near else ".")
            + table.naming([name])
        )
        return None

    def raise_if_any(self) -> None:
        """Raise a DataError of all problems found, each once."""
        if self.texts:
            raise DataError(list(dict.fromkeys(self.texts)))
