"""Finished results on disk, so that an interrupted run goes on where it stopped.

An entry is found by the SHA-256 of everything its numbers depend on: the data, the model, priors,
draws and seed, this package's code and the numerical libraries. It is one file of plain arrays and
JSON; nothing in it is ever executed when it is read. It appears under its name in one step, whole,
so a run that is killed leaves nothing half written, and one that is damaged all the same is made
again, with a message.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, is_dataclass
from fnmatch import fnmatch
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.files import UNFINISHED, write_whole
from longsurv.inference import Draws, Optimum, Whitening
from longsurv.inference.specification import held
from longsurv.interrupts import insist
from longsurv.version import __version__

FORMAT = 1
NUMERICAL = ("numpy", "scipy", "pandas", "numba", "formulaic", "nutpie")
NO_NUMBERS = (
    "cli/*", "examples/*", "figures/*", "files.py", "report/*", "study/helpers.py",
    "study/store.py", "tables/*", "views.py",
)  # fmt: skip
"""Parts of this package that compute nothing an entry holds; a change elsewhere makes all stale."""

STALE = 3600.0
"""Seconds after which an unfinished file is what a killed run left."""

RECORDS: dict[str, type[Draws | Optimum | Whitening]] = {
    kind.__name__: kind for kind in (Draws, Optimum, Whitening)
}
"""The dataclasses an entry may hold."""


@dataclass(frozen=True)
class Kept[T]:
    """A value with the time it took to compute, and whether it came from the store."""

    value: T
    seconds: float
    reused: bool


@checked
class FitStore:
    """A folder of finished results.

    Parameters
    ----------
    folder : str or Path or None
        Made when the first entry is kept. None keeps nothing.
    fresh : bool
        Compute everything again, and keep that in place of what there was.
    tell : callable, optional
        Takes one sentence about anything unusual; silent by default.

    Attributes
    ----------
    reused, computed : int
        Entries read and made since this object was made.
    """

    def __init__(
        self,
        folder: str | Path | None,
        *,
        fresh: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.folder = None if folder is None else Path(folder)
        self.fresh = fresh
        self.tell = tell or (lambda _: None)
        self.reused = 0
        self.computed = 0
        self._current: set[str] = set()  # keys made in this run, trusted even if `fresh`
        self._taken: set[str] = set()  # keys made in an earlier one, and taken in this

    @property
    def made(self) -> frozenset[str]:
        """Keys of the entries made since this object was made."""
        return frozenset(self._current)

    def adopt(self, keys: frozenset[str]) -> None:
        """Count entries that another process has made in this folder as made by this object.

        Parameters
        ----------
        keys : frozenset of str
        """
        new = keys - self._current
        self._current |= new
        self.computed += len(new)

    @contextmanager
    def lent(self, folder: Path) -> Iterator[None]:
        """A folder to write to for the time being, for a store that has none.

        Parameters
        ----------
        folder : Path
        """
        own = self.folder
        self.folder = folder if own is None else own
        try:
            yield
        finally:
            if own is None:
                self.folder = None

    def get_or_compute[T](self, key: str, title: str, compute: Callable[[], T]) -> Kept[T]:
        """What is stored under `key`, or what `compute` returns, which is then stored.

        Parameters
        ----------
        key : str
            From `fingerprint`.
        title : str
            What the entry is, for people.
        compute : callable
            Returns numbers, text, arrays, tables, or tuples and dicts of these, and the dataclasses
            in `RECORDS`. What it raises is passed on, and nothing is stored.
        """
        found: Kept[T] | None = self.get(key, title)
        if found is not None:
            return found
        began = time.perf_counter()
        value = compute()
        insist()  # what an interrupt left may not be whole
        return self.put(key, title, value, time.perf_counter() - began)

    def get(self, key: str, title: str) -> Kept[Any] | None:  # any: whatever was stored
        """What is stored under `key`; None if nothing is, or nothing that can be used.

        Parameters
        ----------
        key : str
            From `fingerprint`.
        title : str
            What it is, for people.

        Returns
        -------
        Kept or None
        """
        if self.folder is None or (self.fresh and key not in self._current):
            return None
        path = self._path(key)
        try:
            kept = _read(path, key)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            self.tell(f"{title}: the stored result {path} cannot be read ({error}); it is redone")
            return None
        self.reused += key not in self._current | self._taken
        self._taken.add(key)
        return kept

    def put[T](self, key: str, title: str, value: T, seconds: float) -> Kept[T]:
        """Store `value` under `key`; a folder that cannot be written is told about once.

        Parameters
        ----------
        key : str
            From `fingerprint`.
        title : str
            What it is, for people.
        value : object
            As `get_or_compute` takes it.
        seconds : float
            That it took.

        Returns
        -------
        Kept
        """
        self.computed += 1
        if self.folder is not None:
            try:
                self._prepare(self.folder)
                write_whole(self._path(key), lambda file: _write(file, key, title, value, seconds))
            except OSError as error:
                self.tell(
                    f"results cannot be stored in {self.folder} ({error.strerror or error}); going"
                    " on without: an interrupted run will start anew"
                )
                self.folder = None
            else:
                self._current.add(key)
        return Kept(value, seconds, reused=False)

    def _path(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{key}.npz"

    @staticmethod
    def _prepare(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{UNFINISHED}*"):
            with suppress(FileNotFoundError):  # another run has just finished it
                if time.time() - left.stat().st_mtime > STALE:
                    left.unlink()
        ignore = folder / ".gitignore"
        if not ignore.exists():  # results of patients' data do not belong in a repository
            ignore.write_text("*\n", encoding="utf-8")


def fingerprint(*parts: object) -> str:
    """SHA-256 of values: text, numbers, arrays, tables, dataclasses, and mappings and sequences.

    Two tables have one fingerprint only if their values, columns, types, index and the order of
    their categories agree.

    Raises
    ------
    TypeError
        For anything that has no value to hash, such as a function, or a specification whose design
        was put in the place of that of its data.
    """
    text = json.dumps(_canonical(parts), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _canonical(value: object) -> object:
    """A value as JSON that tells apart whatever differs."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.ndarray) and value.dtype != object:
        content = np.ascontiguousarray(value)
        digest = hashlib.sha256(content.tobytes()).hexdigest()
        return {"array": [content.dtype.str, list(content.shape), digest]}
    if isinstance(value, np.ndarray):
        return {"objects": [list(value.shape), [_canonical(item) for item in value.ravel()]]}
    if isinstance(value, pd.DataFrame):
        columns = [[str(name), _canonical(column)] for name, column in value.items()]
        return {"table": columns, "index": _canonical(value.index.to_numpy())}
    if isinstance(value, pd.Series):
        return [str(value.dtype), _column(value)]
    if is_dataclass(value) and not isinstance(value, type):
        if given := held(value):
            raise TypeError(f"a {type(value).__name__} that was given its {given[0]} has no key")
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        return {name: {f.name: _canonical(getattr(value, f.name)) for f in fields(value) if f.init}}
    if isinstance(value, Mapping):
        return {"mapping": [[_canonical(k), _canonical(v)] for k, v in value.items()]}
    if isinstance(value, (tuple, list)):
        return [_canonical(item) for item in value]
    raise TypeError(f"a {type(value).__name__} cannot be part of a stored result's key")


def _column(column: pd.Series) -> object:
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = [_canonical(level) for level in column.cat.categories]
        return [levels, bool(column.cat.ordered), _canonical(column.cat.codes.to_numpy())]
    if isinstance(column.dtype, np.dtype) and column.dtype != object:
        if column.dtype.kind in "mM":  # times have no canonical text; their integers do
            return _canonical(column.to_numpy().view("int64"))
        return _canonical(column.to_numpy())
    missing = column.isna().to_numpy()
    kinds = [None if m else _canonical(v) for v, m in zip(column, missing, strict=True)]
    return kinds


@lru_cache(maxsize=1)
def environment() -> dict[str, str]:
    """What besides data and model decides the numbers: this package's code, Python, libraries."""
    found = {"format": str(FORMAT), "longsurv": __version__}
    found["python"] = ".".join(platform.python_version_tuple()[:2])
    for package in NUMERICAL:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    models = find_spec("longsurv.models")  # found, not imported: its folder may be elsewhere
    assert models is not None and models.submodule_search_locations is not None
    code = hashlib.sha256()
    for folder in (Path(__file__).parents[1], Path(models.submodule_search_locations[0])):
        for file in sorted(folder.rglob("*.py")):
            name = file.relative_to(folder).as_posix()
            if not any(fnmatch(name, pattern) for pattern in NO_NUMBERS):
                code.update(file.read_bytes())
    return {**found, "code": code.hexdigest()}


def _write(file: BinaryIO, key: str, title: str, value: object, seconds: float) -> None:
    arrays: dict[str, np.ndarray] = {}
    entry = {"key": key, "title": title, "seconds": seconds, "value": _encode(value, arrays)}
    text = json.dumps(entry, ensure_ascii=False).encode("utf-8", "surrogatepass")
    np.savez(file, allow_pickle=False, entry=np.frombuffer(text, dtype=np.uint8), **arrays)


def _read(path: Path, key: str) -> Kept[Any]:  # any: whatever was stored
    # Opened here, as numpy leaves a damaged file open.
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        entry = json.loads(arrays["entry"].tobytes().decode("utf-8", "surrogatepass"))
        if entry["key"] != key:
            raise ValueError("it belongs to another model")
        return Kept(_decode(entry["value"], arrays), float(entry["seconds"]), reused=True)


def _encode(value: object, arrays: dict[str, np.ndarray]) -> object:
    """A value as JSON with its arrays set aside by name."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.ndarray) and value.dtype != object:
        name = f"a{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, pd.DataFrame):
        columns = [[str(name), _encode(_plain(column), arrays)] for name, column in value.items()]
        return {"table": columns}
    if type(value).__name__ in RECORDS and is_dataclass(value):
        content = {f.name: _encode(getattr(value, f.name), arrays) for f in fields(value)}
        return {"record": type(value).__name__, "fields": content}
    if isinstance(value, Mapping):
        return {"dict": [[str(k), _encode(v, arrays)] for k, v in value.items()]}
    if isinstance(value, (tuple, list)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_encode(item, arrays) for item in value]}
    raise TypeError(f"a {type(value).__name__} cannot be stored")


def _plain(column: pd.Series) -> object:
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return column.to_numpy()
    values = [None if m else v for v, m in zip(column, column.isna(), strict=True)]
    categorical = isinstance(column.dtype, pd.CategoricalDtype)
    if not categorical and all(v is None or isinstance(v, str) for v in values):
        return values
    raise TypeError(f"a column of {column.dtype} cannot be stored")


def _decode(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:  # any: JSON
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]]
    if "table" in value:
        return pd.DataFrame({name: _decode(column, arrays) for name, column in value["table"]})
    if "record" in value:
        content = {name: _decode(item, arrays) for name, item in value["fields"].items()}
        return RECORDS[value["record"]](**content)
    if "dict" in value:
        return {name: _decode(item, arrays) for name, item in value["dict"]}
    if "tuple" in value:
        return tuple(_decode(item, arrays) for item in value["tuple"])
    return [_decode(item, arrays) for item in value["list"]]
