"""Parquet files as one table that is never in memory as a whole."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.errors import DataError, LongsurvError
from longsurv.words import plural, some

if TYPE_CHECKING:
    import pyarrow as pa

    # It stands where a table does, and refuses what takes all rows at once.
    from pandas import DataFrame as Base
    from pyarrow.dataset import Dataset
else:
    Base = object

BATCH = 131_072
"""Rows read at a time."""
AGAIN = "scan them again when nothing writes to them"
SUFFIXES = (".parquet", ".pq")


@dataclass(frozen=True, eq=False, repr=False)
class Scan(Base):
    """A table in Parquet files, read in pieces: what `longsurv.scan` gives.

    `LMM` and `CoxPH` take it in place of a data frame. Anything else that is asked of it as a table
    is refused, as it would take all rows at once.

    Attributes
    ----------
    files : tuple of str
    names : tuple of str
        Columns, those of a partitioned folder's names included.
    rows : int
    dataset : pyarrow.dataset.Dataset
    scheduler : str or None
        Address of the Dask scheduler whose workers read.
    written : tuple of (int, int)
        Size of each file, and when it was written.
    """

    files: tuple[str, ...]
    names: tuple[str, ...]
    rows: int
    dataset: Dataset = field(repr=False)
    scheduler: str | None = None
    written: tuple[tuple[int, int], ...] = field(repr=False, default=())

    def __repr__(self) -> str:
        return f"Scan({plural(len(self.files), 'file')}, rows={self.rows})"

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __len__(self) -> int:
        return self.rows

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        self._refused(f".{name}")

    def __getitem__(self, name: object) -> NoReturn:
        self._refused(f"[{name!r}]")

    def __iter__(self) -> NoReturn:
        self._refused("its columns")

    def _refused(self, what: str) -> NoReturn:
        raise LongsurvError(
            f"this needs all rows in memory (it asks for {what}), and a scan reads them in "
            "pieces; ask it of a fit to a table, such as a sample of the patients"
        )

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns, so many rows at a time, always in the same order.

        Parameters
        ----------
        columns : sequence of str

        Raises
        ------
        DataError
            If a file cannot be read any more, or has other rows than it had.
        """
        import pyarrow as pa

        seen = 0
        self._check_unchanged()
        try:
            for fragment in self.dataset.get_fragments():
                found = fragment.to_batches(
                    schema=self.dataset.schema, columns=[*columns], batch_size=BATCH,
                    batch_readahead=2, fragment_readahead=1,
                )  # fmt: skip
                for batch in found:
                    seen += len(batch)
                    if len(batch):
                        yield batch
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"a file of the scan cannot be read: {error}") from error
        self._check_unchanged()
        if seen != self.rows:
            raise DataError(f"the files had {self.rows} rows and have {seen} now; {AGAIN}")

    def _check_unchanged(self) -> None:
        """Refuse files that were written to since they were scanned: passes would not agree."""
        changed = [
            name
            for name, known in zip(self.files, self.written, strict=True)
            if _written(name) != known
        ]
        if changed:
            raise DataError(f"{some(changed)} changed since it was scanned; {AGAIN}")

    def by_file(self) -> list[Scan]:
        """A scan of each file."""
        from pyarrow.dataset import FileSystemDataset

        found = []
        for fragment in self.dataset.get_fragments():
            one = FileSystemDataset(
                [fragment], self.dataset.schema, self.dataset.format, self.dataset.filesystem
            )
            mine = (fragment.path,)
            rows, written = one.count_rows(), (_written(fragment.path),)
            found.append(Scan(mine, self.names, rows, one, written=written))
        return found

    def whole(self, columns: Sequence[str]) -> pd.DataFrame:
        """All rows of some columns at once, for what cannot do with less.

        Parameters
        ----------
        columns : sequence of str
        """
        import pyarrow as pa

        fields = pa.schema([self.dataset.schema.field(name) for name in columns])
        found: pd.DataFrame = pa.Table.from_batches(self.batches(columns), fields).to_pandas()
        return found


@checked
def scan(source: str | Path | Sequence[str | Path], *, scheduler: str | None = None) -> Scan:
    """Parquet files as one table, for models of more rows than memory holds.

    Nothing is read but the files' descriptions. A model that is given the scan reads the columns of
    its formula, in pieces and a few times over, and keeps sums: of a mixed model those of each
    patient. Its estimates are those of the same rows in memory.

    Parameters
    ----------
    source : str, path, or a sequence of them
        A file, a pattern such as ``"visits/*.parquet"``, or a folder, whose files may be in folders
        named ``column=value``, which is then a column too. Files must have the same columns, of
        types that go together. Rows of one patient may be anywhere.
    scheduler : str, optional
        Address of a Dask scheduler, as ``"tcp://host:8786"``, whose workers reach the files by the
        same names: `LMM` reads each file and keeps its patients' statistics there, and small
        matrices travel. Then all rows of a patient are in one file, and what takes the patients one
        by one (`ranef`) is refused. Other models read here.

    Returns
    -------
    Scan

    Raises
    ------
    DataError
        If there is no such file, or the files do not go together.

    Examples
    --------
    >>> visits = ls.scan("visits/*.parquet")
    >>> LMM("log(bili) ~ year * drug + (year | id)", data=visits).fit().tidy()
    """
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    files, base = _files(source)
    once = [str(Path(name).resolve()) for name in files]
    if len(set(once)) < len(once):
        twice = next(name for k, name in enumerate(files) if once[k] in once[:k])
        raise DataError(f"{twice} is there twice, and so would be its rows")
    try:
        schemas = {name: pq.read_schema(name) for name in files}
        merged = _merged(schemas)
        kind = "hive" if base is not None else None
        of_folders = ds.dataset(files, format="parquet", partitioning=kind, partition_base_dir=base)
        extra = [f for f in of_folders.schema if f.name not in merged.names]
        whole = ds.dataset(
            files, schema=pa.schema([*merged, *extra]), format="parquet", partitioning=kind,
            partition_base_dir=base,
        )  # fmt: skip
        return Scan(
            tuple(files), tuple(whole.schema.names), whole.count_rows(), whole, scheduler,
            tuple(map(_written, files)),
        )  # fmt: skip
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot scan {files[0]!r}: {error}") from error


def _written(name: str) -> tuple[int, int]:
    """Size of a file, and when it was written; nothing where it is gone."""
    try:
        found = Path(name).stat()
    except OSError:
        return (-1, -1)
    return found.st_size, found.st_mtime_ns


def _files(source: str | Path | Sequence[str | Path]) -> tuple[list[str], str | None]:
    """The files that are meant, sorted, and the folder whose folders are named after values."""
    if not isinstance(source, (str, Path)):
        return [name for one in source for name in _files(one)[0]], None
    path = Path(source)
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        hidden = [p for p in inside if any(part[0] in "._" for part in p.relative_to(path).parts)]
        files = [str(p) for p in inside if p not in hidden]
        if not files:
            raise DataError(f"the folder {source!s} has no Parquet files ({', '.join(SUFFIXES)})")
        return files, str(path)
    files = [str(path)] if path.is_file() else sorted(glob.glob(str(source), recursive=True))
    if not files:
        raise DataError(f"no file is called {source!s}, or matches it")
    other = [name for name in files if Path(name).suffix.lower() not in SUFFIXES]
    if other:
        raise DataError(
            f"a scan reads Parquet files ({', '.join(SUFFIXES)}); {other[0]} is none. "
            "A table that fits into memory can be given as a data frame"
        )
    return files, None


def _merged(schemas: Mapping[str, pa.Schema]) -> pa.Schema:
    """The columns of all files, which must be the same."""
    import pyarrow as pa

    first, *others = schemas
    for name in others:
        lacking = set(schemas[first].names) ^ set(schemas[name].names)
        if lacking:
            there, gone = (first, name) if lacking & set(schemas[first].names) else (name, first)
            raise DataError(
                f"{there} has columns that {gone} has not ({some(sorted(lacking))}); the files of "
                "a scan are parts of one table"
            )
    twice = [c for c in schemas[first].names if schemas[first].names.count(c) > 1]
    if twice:
        raise DataError(f"{first} has two columns called {twice[0]!r}")
    bare = [schema.remove_metadata() for schema in schemas.values()]
    try:
        return pa.unify_schemas(bare, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(
            f"a column has types in some files that do not go with those in others: {error}"
        ) from error


def complete_rows(batch: pa.RecordBatch) -> np.ndarray:
    """Which rows of a batch have a value in every column, shape (n,) of bool."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known = np.ones(len(batch), dtype=bool)
    for column in batch.columns:
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), None, column)
        if column.null_count:
            known &= pc.is_valid(column).to_numpy(zero_copy_only=False)
    return known


def frame_of(
    batch: pa.RecordBatch, first: int, levels: Mapping[str, pd.CategoricalDtype] | None = None
) -> pd.DataFrame:
    """A batch as a data frame whose index counts the rows of the scan.

    Parameters
    ----------
    batch : RecordBatch
    first : int
        Number of its first row.
    levels : mapping of str to CategoricalDtype, optional
        Of the columns of text or categories, where all of their values are known.
    """
    import pyarrow as pa

    columns = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if is_encoded(column.type):
            encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
            values = encoded.dictionary.to_pylist()
            codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
            dtype = None if levels is None else levels.get(name)
            if dtype is None:
                dtype = pd.CategoricalDtype(pd.Index(values, dtype=object))
            else:
                place = dtype.categories.get_indexer(pd.Index(values, dtype=object))
                codes = np.append(place, -1)[codes]
            columns[name] = pd.Series(pd.Categorical.from_codes(codes, dtype=dtype))
        else:
            columns[name] = column.to_pandas()
    return pd.DataFrame(columns).set_axis(pd.RangeIndex(first, first + len(batch)))


def is_encoded(kind: pa.DataType) -> bool:
    """Whether a column holds text or categories, which are read as codes of their values."""
    import pyarrow as pa

    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(text or pa.types.is_dictionary(kind))
