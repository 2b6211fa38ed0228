"""What a formula needs to know of all rows before the first of them is turned into numbers.

One pass finds the complete rows, the groups, and every level of every factor with a row in which it
occurs. Those rows, the exemplar, are then a table of which the ordinary design is made: its recipe
is that of the whole table. Transforms that remember what they learnt from all rows (splines, means)
learn it from their columns, read whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from longsurv.design.evaluation import evaluate
from longsurv.design.expression import Expression, Functions, expression
from longsurv.design.functions import table
from longsurv.design.scanned.scan import Scan, complete_rows, frame_of, is_encoded
from longsurv.design.variables import absent, category, column_of, numbers_of, variable
from longsurv.errors import DataError, FormulaError

if TYPE_CHECKING:
    import pyarrow as pa
    from formulaic.parser.types import Term

MOST_LEVELS = 5_000
"""Levels of a factor."""


class Piece(NamedTuple):
    """Complete rows that were read together."""

    frame: pd.DataFrame
    batch: pa.RecordBatch


@dataclass(frozen=True, eq=False)
class Survey:
    """What one pass over a scan found.

    Attributes
    ----------
    scan : Scan
    columns : tuple of str
        Those that the formula needs.
    rows : int
        Complete rows.
    levels : mapping of str to CategoricalDtype
        Of the columns of text or categories.
    exemplar : DataFrame
        Complete rows in which every level of every factor occurs.
    states : mapping of str to dict
        What transforms remember, by their expression.
    codes : ndarray of int32, shape (n,)
        The group of each complete row; empty without groups.
    labels : Index
        The groups, sorted.
    weights : str or None
        Column of case weights: rows of weight 0 are none.
    """

    scan: Scan
    columns: tuple[str, ...]
    rows: int
    levels: Mapping[str, pd.CategoricalDtype]
    exemplar: pd.DataFrame
    states: Mapping[str, dict[str, object]]
    codes: np.ndarray
    labels: pd.Index
    weights: str | None = None

    @property
    def excluded(self) -> int:
        """Rows left out for a missing value, or their weight of 0."""
        return self.scan.rows - self.rows

    def frames(self) -> Iterator[pd.DataFrame]:
        """The complete rows, a piece at a time."""
        for piece in pieces(self.scan, self.columns, [*self.exemplar], self.levels, self.weights):
            yield piece.frame


def pieces(
    scan: Scan,
    columns: Sequence[str],
    shown: Sequence[str],
    levels: Mapping[str, pd.CategoricalDtype] | None = None,
    weights: str | None = None,
) -> Iterator[Piece]:
    """The rows of a scan that have a value in every one of some columns, and no weight of 0, with
    those `shown` as a frame."""
    import pyarrow as pa

    first = 0
    for batch in scan.batches(columns):
        known = complete_rows(batch)
        frame = frame_of(batch.select([*shown]), first, levels)
        first += len(batch)
        if weights is not None:
            known &= numbers_of(batch.select([weights]).to_pandas(), weights) != 0.0
        if known.all():
            yield Piece(frame, batch)
        elif known.any():
            yield Piece(frame.loc[known], batch.filter(pa.array(known)))


@dataclass(frozen=True, eq=False)
class Looked:
    """What one pass over some of the files found.

    Attributes
    ----------
    rows : int
        Complete rows.
    exemplar : DataFrame
        Complete rows in which every level of every factor occurs that these files have.
    values : mapping of str to pyarrow.Array
        Of the columns of text or categories.
    codes : ndarray of int32, shape (n,)
        The group of each complete row; empty without groups.
    labels : pyarrow.Array
        The groups, sorted.
    """

    rows: int
    exemplar: pd.DataFrame
    values: Mapping[str, pa.Array]
    codes: np.ndarray
    labels: pa.Array

    @property
    def light(self) -> Looked:
        """The same without what is known of every row."""
        return replace(self, codes=np.empty(0, dtype=np.int32))


@dataclass(frozen=True, eq=False)
class ScanQuestion:
    """What a formula asks of a scan.

    Attributes
    ----------
    columns : tuple of str
        All that a row needs a value of.
    sides : tuple of str
        Right-hand sides whose factors have levels.
    functions : mapping of str to callable, optional
        The user's own, which the formula may call.
    group : str, optional
        Column of the groups.
    weights : str, optional
        Column of case weights: of rows of weight 0 nothing is asked.
    """

    columns: tuple[str, ...]
    sides: tuple[str, ...]
    functions: Functions | None = None
    group: str | None = None
    weights: str | None = None

    def look(self, scan: Scan) -> Looked:
        """Read the columns of some files once.

        Raises
        ------
        FormulaError, DataError
            For columns that hold what a formula cannot use.
        """
        import pyarrow as pa

        found = _Found(self.sides, self.functions)
        shown = [name for name in self.columns if name != self.group or name in found.columns]
        kinds = {name: scan.dataset.schema.field(name).type for name in shown}
        seen: dict[str, list[pa.Array]] = {n: [] for n, k in kinds.items() if is_encoded(k)}
        groups: list[pa.Array] = []
        rows = 0
        for piece in pieces(scan, self.columns, shown, weights=self.weights):
            rows += len(piece.frame)
            for name, parts in seen.items():
                parts.append(_encoded(piece.batch.column(name)).slice(0, 0))
            if self.group is not None:
                groups.append(_encoded(piece.batch.column(self.group)))
            found.look(piece.frame)
        exemplar = pd.DataFrame(columns=shown)
        if rows:
            exemplar = pd.concat([one.astype(_as_objects(one)) for one in found.rows])
            exemplar = exemplar.loc[~exemplar.index.duplicated()].sort_index()
        values = {
            name: pa.chunked_array(parts).unify_dictionaries().chunk(0).dictionary
            for name, parts in seen.items()
            if parts
        }
        return Looked(rows, exemplar, values, *_grouped(groups))

    def together(self, scan: Scan, looked: Sequence[Looked]) -> Survey:
        """What all files have, from what was found in each.

        Raises
        ------
        FormulaError, DataError
            If no row is complete, or there are too few groups.
        """
        import pyarrow as pa

        used = [one for one in looked if one.rows]
        if not used:
            raise DataError(f"no row of the scan has a value in each of {list(self.columns)}")
        found = _Found(self.sides, self.functions)
        exemplar = pd.concat([one.exemplar for one in used], ignore_index=True)
        levels = {
            name: _dtype(
                name,
                scan.dataset.schema.field(name).type,
                [one.values[name] for one in used],
                name in found.values,
            )
            for name in used[0].values
        }
        for name, dtype in levels.items():
            exemplar[name] = pd.Categorical(exemplar[name], dtype=dtype)
        states = {read.text: self._learnt(read, scan, levels) for read in found.remembering}
        labels = pd.Index([])
        if self.group is not None:
            labels = _index(pa.chunked_array([one.labels for one in used]))
            if len(labels) < 2:
                raise DataError(
                    f"column {self.group!r} has one value only; random effects need several "
                    "patients"
                )
        rows, codes = sum(one.rows for one in used), np.concatenate([one.codes for one in used])
        return Survey(
            scan, self.columns, rows, levels, exemplar, states, codes, labels, self.weights
        )

    def _learnt(
        self, read: Expression, scan: Scan, levels: Mapping[str, pd.CategoricalDtype]
    ) -> dict[str, object]:
        """What the transforms of an expression remember of all rows."""
        state: dict[str, object] = {}
        wanted = [*read.columns]
        parts = pieces(scan, self.columns, wanted, levels, self.weights)
        evaluate(read, pd.concat([piece.frame for piece in parts]), self.functions, state)
        return state


def survey(scan: Scan, asked: ScanQuestion) -> Survey:
    """Read the columns of a formula once.

    Parameters
    ----------
    scan : Scan
    asked : ScanQuestion

    Raises
    ------
    FormulaError, DataError
        For columns that are not there or hold what a formula cannot use, and if no row is complete.
    """
    check_there(scan, asked.columns)
    return asked.together(scan, [asked.look(scan)])


def _as_objects(frame: pd.DataFrame) -> dict[str, type[object]]:
    """Columns of categories, whose sets of levels would count as equal in whatever order."""
    return {n: object for n, k in frame.dtypes.items() if isinstance(k, pd.CategoricalDtype)}


def check_there(scan: Scan, columns: Sequence[str]) -> None:
    """Refuse columns that the files do not have."""
    nothing = pd.DataFrame(columns=[*scan.names])
    for name in columns:
        if name not in scan:
            raise FormulaError(absent(name, nothing))


class _Found:
    """Rows in which the levels of factors occur, as they are found."""

    def __init__(self, sides: Sequence[str], functions: Functions | None) -> None:
        from longsurv.design.terms import terms

        self.functions = functions
        self.rows: list[pd.DataFrame] = []
        self.remembering: list[Expression] = []
        self.factors: dict[str, Expression | None] = {}  # None: a column by its name
        self.seen: dict[str, set[object]] = {}
        self.columns: set[str] = set()  # of all factors
        self.values: set[str] = set()  # not only as C(column)
        for side in sides:
            self._take(terms(side))

    def _take(self, side: Sequence[Term]) -> None:
        for term in side:
            for factor in term.factors:
                self.columns |= {*factor.columns}
                if factor.eval_method.value == "lookup":
                    self.factors[factor.columns[0]] = None
                    self.values |= {*factor.columns}
                elif factor.eval_method.value == "python":
                    read = expression(factor.expr)
                    self.values |= {*read.columns} - _as_levels(read)
                    if not _remembers(read):
                        self.factors[factor.expr] = read
                    elif read.text not in {other.text for other in self.remembering}:
                        self.remembering.append(read)

    def look(self, frame: pd.DataFrame) -> None:
        """Keep the rows of a piece in which a level occurs for the first time."""
        if not self.rows:
            self.rows.append(frame.iloc[:1])
            for factor in (*filter(None, self.factors.values()), *self.remembering):
                check_by_row(factor, frame, self.functions)
        for key, read in [*self.factors.items()]:
            value = _bare(frame, key, read, self.functions)
            if not isinstance(value, pd.Categorical):
                del self.factors[key]  # numbers it will stay
                continue
            seen = self.seen.setdefault(key, set())
            new = [k for k, level in enumerate(value.categories) if level not in seen]
            if new:
                seen |= {*value.categories}
                first = np.unique(value.codes, return_index=True)
                at = dict(zip(*first, strict=True))
                self.rows.append(frame.iloc[[at[k] for k in new if k in at]])
            if len(seen) > MOST_LEVELS:
                raise FormulaError(
                    f"{key!r} has more than {MOST_LEVELS} levels; is it an identifier? Patients "
                    "and sites are random effects: (1 | site)"
                )


def check_by_row(read: Expression, frame: pd.DataFrame, functions: Functions | None) -> None:
    """Refuse an expression that calls a user's function whose values depend on other rows: what
    they are would depend on which rows are read together.

    Raises
    ------
    FormulaError
    """
    import ast

    from longsurv.design.expression import dotted

    if not functions or len(frame) < 2:
        return
    for node in ast.walk(read.tree):
        name = dotted(node.func, read.names) if isinstance(node, ast.Call) else None
        if not isinstance(node, ast.Call) or name not in functions:
            continue
        alone, some = replace(read, tree=node), frame.iloc[::2]
        whole, part = (
            pd.DataFrame(np.asarray(evaluate(alone, rows, functions, {})), index=rows.index)
            for rows in (frame, some)
        )
        if not whole.loc[some.index].equals(part):
            raise FormulaError(
                f"the values of {read.text!r} depend on which rows your function {name!r} is "
                "given, and a scan gives it some at a time; compute the column in the files first"
            )


def _bare(
    frame: pd.DataFrame, key: str, read: Expression | None, functions: Functions | None
) -> object:
    """The values of a factor, categories as such."""
    if read is None:
        return variable(frame, key)
    value = evaluate(read, frame, functions)
    value = getattr(value, "__wrapped__", value)  # of C(...)
    if isinstance(value, pd.Series) and isinstance(value.dtype, pd.CategoricalDtype):
        return pd.Categorical(value)
    return value


def _remembers(read: Expression) -> bool:
    """Whether an expression calls a transform that learns from all rows."""
    import ast

    from longsurv.design.expression import dotted

    calls = (node for node in ast.walk(read.tree) if isinstance(node, ast.Call))
    known = (table().get(dotted(node.func, read.names) or "") for node in calls)
    return any(function is not None and function.remembers for function in known)


def _as_levels(read: Expression) -> set[str]:
    """The columns that an expression has as C(column), whose numbers may be text."""
    import ast

    from longsurv.design.expression import dotted

    return {
        dotted(node.args[0], read.names) or ""
        for node in ast.walk(read.tree)
        if isinstance(node, ast.Call)
        and dotted(node.func, read.names) in ("C", "factor")
        and node.args
        and isinstance(node.args[0], ast.Name | ast.Attribute)
    }


def _encoded(column: pa.Array) -> pa.Array:
    import pyarrow as pa

    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()


def _dtype(
    name: str, kind: pa.DataType, seen: Sequence[pa.Array], as_values: bool
) -> pd.CategoricalDtype:
    """All values of a column of text, sorted, or of categories, in their own order."""
    values = list(dict.fromkeys(value for part in seen for value in part.to_pylist()))
    if not _is_text(kind):
        return pd.CategoricalDtype(pd.Index(values), ordered=kind.ordered)
    texts = pd.DataFrame({name: pd.Series(values, dtype=object)})
    if as_values:
        variable(texts, name)  # which refuses numbers as text
    return pd.CategoricalDtype(category(name, column_of(texts, name)).categories)


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _grouped(parts: Sequence[pa.Array]) -> tuple[np.ndarray, pa.Array]:
    """Codes and sorted labels of the groups of all rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not parts:
        return np.empty(0, dtype=np.int32), pa.array([])
    whole = pa.chunked_array(parts).unify_dictionaries()
    labels = whole.chunk(0).dictionary
    order = pc.sort_indices(labels)
    place = np.empty(len(labels), dtype=np.int32)
    place[order.to_numpy()] = np.arange(len(labels), dtype=np.int32)
    codes = np.concatenate([place[part.indices.to_numpy()] for part in whole.chunks])
    return codes, labels.take(order)


def _index(labels: pa.ChunkedArray) -> pd.Index:
    """The groups as results have them; those that are text in Arrow's memory."""
    dtype = "string[pyarrow]" if _is_text(labels.type) else None
    return pd.Index(labels.to_pandas(), dtype=dtype)
