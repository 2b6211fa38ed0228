"""The pandas functions that make a tidy copy; they are written into its script as they stand."""

from __future__ import annotations

import re

import pandas as pd


def clean(cells, missing=(), decimal=".", thousands="", units=()):  # type: ignore[no-untyped-def]
    """Numbers as text with a point; "<" and ">" stay, units and codes for missing values go."""
    if pd.api.types.is_numeric_dtype(cells):
        return cells.mask(cells.isin(pd.to_numeric(pd.Series(missing), errors="coerce").dropna()))
    text = cells.astype("string").str.strip()
    text = text.mask(text.isin(list(missing)))
    codes = pd.to_numeric(pd.Series(list(missing), dtype="string"), errors="coerce").dropna()
    if len(codes):  # "-99" also where "-99.0" is written
        read = pd.to_numeric(text.str.replace(decimal, ".", regex=False), errors="coerce")
        text = text.mask(read.isin(codes).fillna(False).astype(bool))
    text = text.str.replace("[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+", r"^\g<0>", regex=True)
    text = text.str.normalize("NFKC").str.strip()
    below = (
        r"less than|lower than|smaller than|below|under|unter|kleiner(?: als)?|inf[eé]rieur [àa]"
    )
    above = r"greater than|more than|higher than|above|over|über|grö(?:ß|ss)er(?: als)?"
    text = text.str.replace(rf"(?i)^(?:{below}|inf\.? à|lt)\s+", "<", regex=True)
    text = text.str.replace(rf"(?i)^(?:{above}|sup[eé]rieur [àa]|sup\.? à|gt)\s+", ">", regex=True)
    flag = r"(?:HH|LL|H|L|A|\(H\)|\(L\)|(?i:high|low)|\*+|!|↑|↓|(?<=\s)(?:[+-]|\([+-]\)))"
    text = text.str.replace(rf"(?:\s+|(?<=\d)){flag}$", "", regex=True)
    for unit in units:
        text = text.str.replace(rf"\s*{re.escape(unit)}$", "", regex=True)
    number = r"^([\d.,' ]+?)\s*"
    low = r"(?:(?:is\s+)?(?:the\s+)?lowest.*|未満|以下)$"
    high = r"(?:(?:is\s+)?(?:the\s+)?highest.*|以上)$"
    text = text.str.replace(rf"(?i){number}{low}", r"<\1", regex=True)
    text = text.str.replace(rf"(?i){number}{high}", r">\1", regex=True)
    text = text.str.replace(r"(?<=\d)[ '\u2019](?=\d{3})", "", regex=True)
    if thousands:
        text = text.str.replace(rf"(?<=\d){re.escape(thousands)}(?=\d{{3}})", "", regex=True)
    if decimal == ",":
        text = text.str.replace(",", ".", regex=False)
    return text.str.replace(r"^([<>≤≥]=?)\s+", r"\1", regex=True)


def when(cells, day_first=True, whole_days=False):  # type: ignore[no-untyped-def]
    """Dates of a column, in UTC where they have a time zone; missing where a cell is no date."""
    if not pd.api.types.is_datetime64_any_dtype(cells):
        text = cells.astype("string").str.normalize("NFKC").str.strip()
        zone = r"(:\d\d(?:[.,]\d+)?)\s*(?:Z|UTC|[+-]\d\d(?::?\d\d)?)$"
        text = text.str.replace(r"^(\d{8})\.0$", r"\1", regex=True)
        if whole_days:  # the day where it was
            text = text.str.replace(zone, r"\1", regex=True)
        text = text.str.replace(r"^(\d{4})年(\d+)月(\d+)日", r"\1-\2-\3", regex=True)
        text = text.str.replace(r"^(\d{4})[./](\d+)[./](\d+)", r"\1-\2-\3", regex=True)
        text = text.str.replace(r"^((?:19|20)\d\d)(\d\d)(\d\d)(?!\d)", r"\1-\2-\3", regex=True)
        names = ("jan", "f[eé][bv]", "m(?:ar|rz|är|aer)", "a[pv]r", "ma[yi]", "jui?n", "jui?l",
                 "a(?:ug|ou|oû)", "sep", "o[ck]t", "nov", "d(?:ec|ez|éc)")  # fmt: skip
        for month, name in enumerate(names, 1):
            named = rf"(?i)^(\d+)[-. ]*{name}[^\W\d_]*\.?[-, ]*(\d+)"
            text = text.str.replace(named, rf"\1~{month}~\2", regex=True)
        date = text.str.extract(r"^(\d+)([-/.~])(\d+)\2(\d+)\s*(.*)$")
        midnight = date[4].str.match(r"24:00(?::00)?(?!\d)").fillna(False).astype(bool)
        date[4] = date[4].mask(midnight, date[4].str.replace("24:", "00:", n=1))
        year_first = (date[0].str.len() == 4).fillna(False).astype(bool)
        first = year_first | day_first | (date[1] == "~").fillna(False).astype(bool)
        day = date[0].mask(year_first, date[3]).mask(~first, date[2])
        month = date[2].mask(~first, date[0])
        year = pd.to_numeric(date[3].mask(year_first, date[0]), errors="coerce")
        year = year + 100 * ((year < 100).astype("Int64") * (19 + (year < 50).astype("Int64")))
        text = year.astype("Int64").astype("string") + "-" + month + "-" + day + " " + date[4]
        text = text.mask(pd.to_numeric(month) > 12).str.replace(",", ".", regex=False)
        days = pd.to_numeric(cells.astype("string").str.replace(",", "."), errors="coerce")
        days = days.where((days >= 30_000) & (days < 60_000)).astype(float)  # of a spreadsheet
        seconds = (days * 86400).round().fillna(0).astype("int64")
        serial = pd.Timestamp("1899-12-30", tz="UTC") + pd.to_timedelta(seconds, unit="s")
        cells = pd.to_datetime(text.str.strip(), format="mixed", errors="coerce", utc=True)
        cells = cells + pd.to_timedelta(midnight.astype(int), unit="D")  # the end of the day before
        cells = cells.fillna(serial.where(days.notna()))
    if isinstance(cells.dtype, pd.DatetimeTZDtype):
        cells = cells.dt.tz_localize(None) if whole_days else cells.dt.tz_convert(None)
    cells = cells.mask((cells.dt.year < 1678) | (cells.dt.year > 2261))  # as 9999-12-31: never
    return cells.dt.normalize() if whole_days else cells


def identifier(cells):  # type: ignore[no-untyped-def]
    """Identifiers as text."""
    if pd.api.types.is_float_dtype(cells):
        cells = cells.astype("Int64")
    text = cells.astype("string").str.strip()
    if text.str.fullmatch(r"\d+\.0").fillna(True).all():  # whole numbers that were saved as others
        text = text.str.removesuffix(".0")
    return text
