"""Tables for spreadsheets: text in them is text, whatever it begins with.

Excel and its like run a cell that begins with =, +, - or @ as a formula, also one read from a CSV
file, where nothing else says what is text. Labels, levels and names come from other people's files.
"""

from __future__ import annotations

import re

import pandas as pd

_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
"""How a formula may begin, after blanks that some programs drop; also in full width."""

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")


def plain_text(value: object) -> object:
    """A cell as spreadsheets show it: text that they would run gets an apostrophe before it.

    Parameters
    ----------
    value : object
        Text that is a number and nothing else stays, as does whatever is no text.
    """
    if not isinstance(value, str) or _NUMBER.fullmatch(value) or not _FORMULA.match(value):
        return value
    return f"'{value}"


def spreadsheet_csv(table: pd.DataFrame) -> str:
    """A table as CSV in which no cell, and no header, is a formula for a spreadsheet.

    Parameters
    ----------
    table : DataFrame
        Columns that hold numbers are written as they are, negative ones too.
    """
    shown = {
        k: column if column.dtype.kind in "biufcmM" else column.astype(object).map(plain_text)
        for k, (_, column) in enumerate(table.items())
    }
    safe = pd.DataFrame(shown, index=table.index)
    headers = [plain_text(str(name)) for name in table.columns]
    return str(safe.to_csv(index=False, header=headers, lineterminator="\n"))
