"""Files of Stata, SAS, SPSS and R in, with what their labels say of units."""

from __future__ import annotations

import lzma
import struct
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

from longsurv.cohort.problems import shorten
from longsurv.draft.markers import name_and_unit
from longsurv.draft.raw import RawTable, of_frame
from longsurv.errors import DataError

STATISTICS = (".dta", ".sav", ".zsav", ".sas7bdat", ".xpt", ".rds", ".rda", ".rdata")


# What the readers' ends meet in files cut short, or of another kind.
_BROKEN = (ValueError, LookupError, AttributeError, TypeError, EOFError, RuntimeError, OSError,
           struct.error, zlib.error, lzma.LZMAError)  # fmt: skip


def read_statistics(path: Path) -> list[RawTable]:
    """Read a file of a statistics program: every data frame in it.

    Raises
    ------
    DataError
        If it cannot be read, and why.
    """
    broken: tuple[type[Exception], ...] = _BROKEN
    if path.suffix.lower() in (".sav", ".zsav"):
        broken = (*broken, _need("pyreadstat", path).ReadstatError)
    try:
        return _read(path)
    except broken as error:
        raise DataError(
            f"{path.name}: the file cannot be read: {shorten(str(error), 200)}"
        ) from error


def _read(path: Path) -> list[RawTable]:
    kind, shown = path.suffix.lower(), repr(path.name)
    if kind == ".dta":
        with pd.read_stata(path, iterator=True) as reader:
            frame, labels = reader.read(), reader.variable_labels()
        return [_labelled(of_frame(path, frame, f"pd.read_stata({shown})"), labels)]
    if kind in (".sas7bdat", ".xpt"):
        encoding = "latin-1" if kind == ".xpt" else "infer"
        frame = pd.read_sas(path, encoding=encoding)
        return [of_frame(path, frame, f"pd.read_sas({shown}, encoding={encoding!r})")]
    if kind in (".sav", ".zsav"):
        frame = pd.read_spss(path)
        labels = frame.attrs.get("column_names_to_labels", {})
        return [_labelled(of_frame(path, frame, f"pd.read_spss({shown})"), labels)]
    return _read_r(path, _need("rdata", path))


def _labelled(table: RawTable, labels: Mapping[str, str | None]) -> RawTable:
    """A table with the units that labels of its columns name."""
    units = {name: name_and_unit(labels.get(name) or "")[1] for name in table.frame.columns}
    return replace(table, units={name: unit for name, unit in units.items() if unit})


# R -----------------------------------------------------------------------------------------------


def _days(values: np.ndarray, _: Mapping[str, object]) -> np.ndarray:
    """Dates of R, in days since 1970."""
    return pd.to_datetime(np.asarray(values, dtype=float), unit="D").to_numpy()


def _moments(values: np.ndarray, about: Mapping[str, object]) -> np.ndarray:
    """Timestamps of R, in seconds since 1970; as its clock says where there is one."""
    zone = next((str(z) for z in np.atleast_1d(about.get("tzone") or [""]) if z), "UTC")  # type: ignore[call-overload]
    stamps = pd.to_datetime(np.asarray(values, dtype=float), unit="s", utc=True)
    return stamps.tz_convert(zone).tz_localize(None).to_numpy()


def _read_r(path: Path, rdata: ModuleType) -> list[RawTable]:
    single = path.suffix.lower() == ".rds"
    classes = {**rdata.conversion.DEFAULT_CLASS_MAP, "Date": _days, "POSIXct": _moments}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that it hands over as they are stored
        read = rdata.read_rds if single else rdata.read_rda
        found = read(path, constructor_dict=classes, default_encoding="utf-8")
    objects = {"": found} if single else found
    tables = []
    for name, frame in objects.items():
        if not isinstance(frame, pd.DataFrame):
            continue
        part = "" if single else f"[{name!r}]"
        call = f"rdata.{read.__name__}({path.name!r}, constructor_dict=CLASSES){part}"
        table = of_frame(path, frame.reset_index(drop=True), f"{call}.reset_index(drop=True)")
        shown = path.name if single or len(objects) == 1 else f"{path.name} [{name}]"
        tables.append(replace(table, name=shown, sheet=name, lines=(*R_LINES, *table.lines)))
    if not tables:
        raise DataError(f"{path.name}: there is no data frame in it")
    return tables


R_LINES = (
    "import numpy as np",
    "import rdata",
    "CLASSES = {**rdata.conversion.DEFAULT_CLASS_MAP,"
    ' "Date": lambda v, _: pd.to_datetime(np.asarray(v, float), unit="D").to_numpy(),'
    ' "POSIXct": lambda v, a: pd.to_datetime(np.asarray(v, float), unit="s", utc=True)'
    '.tz_convert(next((z for z in a.get("tzone", []) if z), "UTC")).tz_localize(None).to_numpy()}',
)


def _need(module: str, path: Path) -> ModuleType:
    """Import an optional library, or say which one is needed."""
    try:
        return import_module(module)
    except ImportError:
        raise DataError(
            f"{path.name}: reading such files takes the library {module}, which is not installed:"
            f' pip install "longsurv[files]" (or {module} alone); or save the table as CSV'
        ) from None
