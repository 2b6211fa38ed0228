"""A table as found in a file, its columns named, and the pandas lines that read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from longsurv.draft.header import unique_names


@dataclass(frozen=True)
class RawTable:
    """A table as found, its columns named, nothing yet understood.

    Attributes
    ----------
    name : str
        For people: the file, and the sheet if there are several.
    variable : str
        What it is called in the pandas lines.
    frame : DataFrame
        Cells as they came (text from text files).
    lines : tuple of str
        Pandas lines that make this frame; empty for a frame that was handed in.
    path : Path, optional
    sheet : str
    separator, encoding : str
        Of a text file.
    units : dict
        Units that stand in a row of their own, by column.
    notes : tuple of str
        What was left out on the way, in words.
    straight : bool
        Whether a study file can name the file as it is.
    skip : int
        Rows above the names, which the study file then says.
    """

    name: str
    variable: str
    frame: pd.DataFrame
    lines: tuple[str, ...] = ()
    path: Path | None = None
    sheet: str = ""
    separator: str = ""
    encoding: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    straight: bool = False
    skip: int = 0


def of_frame(
    path: Path, frame: pd.DataFrame, call: str, indexed: bool = False, straight: bool = False
) -> RawTable:
    """A table of a frame that one pandas call read; `indexed`: its index is data too."""
    if indexed:
        frame, call = frame.reset_index(), f"{call}.reset_index()"
    names = [str(c) for c in frame.columns]
    frame = frame.set_axis(unique_names(names), axis=1).reset_index(drop=True)
    lines = [f"TABLE = {call}"]
    if list(frame.columns) != names:
        lines.append(f"TABLE.columns = {list(frame.columns)!r}")
        straight = False
    return RawTable(path.name, "", frame, tuple(lines), path, straight=straight)
