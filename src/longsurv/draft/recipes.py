"""The pandas functions that make a tidy copy; they are written into its script as they stand."""

from __future__ import annotations

import re

import pandas as pd


def clean(cells, missing=(), decimal=".", thousands="", units=()):  # type: ignore[no-untyped-def]
    """Numbers as text with a point; "<" and ">" stay, units and codes for missing values go."""
    text = cells.astype("string").str.normalize("NFKC").str.strip()
    text = text.mask(text.isin(list(missing)))
    text = text.str.replace(
        r"(?i)^(?:less than|below|under|unter|kleiner(?: als)?)\s*", "<", regex=True
    )
    text = text.str.replace(
        r"(?i)^(?:greater than|more than|above|over|über|größer(?: als)?)\s*", ">", regex=True
    )
    text = text.str.replace(r"(?i)^([\d.,]+)\s*(?:is )?lowest.*$", r"<\1", regex=True)
    text = text.str.replace(r"(?i)^([\d.,]+)\s*(?:is )?highest.*$", r">\1", regex=True)
    text = text.str.replace(r"\s+(?:HH|LL|H|L|\*+|\+|-|↑|↓)$", "", regex=True)
    for unit in units:
        text = text.str.replace(rf"\s*{re.escape(unit)}$", "", regex=True)
    text = text.str.replace(r"(?<=\d)[ '](?=\d{3})", "", regex=True)
    if thousands:
        text = text.str.replace(rf"(?<=\d){re.escape(thousands)}(?=\d{{3}})", "", regex=True)
    if decimal == ",":
        text = text.str.replace(",", ".", regex=False)
    return text.str.replace(r"^([<>≤≥]=?)\s+", r"\1", regex=True)


def when(cells, day_first=True, whole_days=False):  # type: ignore[no-untyped-def]
    """Dates of a column, without time zone; missing where a cell is no date."""
    if not pd.api.types.is_datetime64_any_dtype(cells):
        text = cells.astype("string").str.strip()
        text = text.str.replace(r"(:\d\d(?:\.\d+)?)\s*(?:Z|UTC|[+-]\d\d:?\d\d)$", r"\1", regex=True)
        text = text.str.replace(r"(\d+)年(\d+)月(\d+)日", r"\1-\2-\3", regex=True)
        cells = pd.to_datetime(text, format="mixed", dayfirst=day_first, errors="coerce")
    elif isinstance(cells.dtype, pd.DatetimeTZDtype):
        cells = cells.dt.tz_localize(None)
    return cells.dt.normalize() if whole_days else cells


def identifier(cells):  # type: ignore[no-untyped-def]
    """Identifiers as text."""
    if pd.api.types.is_float_dtype(cells):
        cells = cells.astype("Int64")
    return cells.astype("string").str.strip()
