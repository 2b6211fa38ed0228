"""A table of numbers as it is printed: headers in words, every row to decimals that mean something.

An estimate, its standard error and its limits have the same decimals, three significant digits of
the standard error; more say nothing, and fewer do not let a reader compute with them. Of draws, no
digit is shown that others would change: one less than the Monte Carlo standard error.
"""

from __future__ import annotations

import math
import numbers as kinds
from collections.abc import Mapping, Sequence

import pandas as pd

from longsurv import numbers
from longsurv.records import Record
from longsurv.tables.display import Column, DisplayTable, display

TOGETHER = ("estimate", "std_error", "conf_low", "conf_high")
"""Columns of one unit, which share their decimals."""
IF_ANY = (
    "std_error", "statistic", "df", "p_value", "r_hat", "ess_bulk", "ess_tail",
    "mcse_mean", "note",
)  # fmt: skip
"""Columns that are left out where they have nothing to say."""
HEADERS = {
    "term": "", "std_error": "std. error", "p_value": "p", "prob_positive": "P(> 0)",
    "r_hat": "R-hat", "ess_bulk": "ESS bulk", "ess_tail": "ESS tail", "mcse_mean": "MCSE",
    "prob_benefit": "P(benefit)", "p_holm": "p (Holm)",
    "p_fdr": "p (FDR)", "hazard_ratio": "hazard ratio",
}  # fmt: skip


def framed(
    table: pd.DataFrame,
    caption: str = "",
    *,
    level: float = 0.95,
    note: str = "",
    headers: Mapping[str, str] | None = None,
) -> DisplayTable:
    """Lay out a table in the grammar of `tidy`, or any other of words and numbers.

    Parameters
    ----------
    table : DataFrame
    caption : str
    level : float
        Of the intervals, for their headers.
    note : str
        Under the table.
    headers : mapping of str to str, optional
        Of columns that are called otherwise than usual.
    """
    named = HEADERS | dict(zip(("conf_low", "conf_high"), limits(level), strict=True))
    named |= dict(headers or {})
    columns = []
    for name in table.columns:
        values = table[name]
        if name in IF_ANY and not _says_something(values):
            continue
        words = not pd.api.types.is_numeric_dtype(values) or values.dtype == bool
        header = named.get(name, str(name).replace("_", " "))
        columns.append(
            Column(header, _Cell(str(name), list(table.columns)), not words, prose=name == "note")
        )
    return display(table, caption, columns, note, whole=True)


def limits(level: float) -> tuple[str, str]:
    """Headers of the limits of an equal-tailed interval: "2.5 %" and "97.5 %"."""
    low = 50.0 * (1.0 - level)
    return f"{low:.4g} %", f"{100.0 - low:.4g} %"


def _says_something(values: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(values):
        return bool(values.map(math.isfinite).any())
    return bool((values.notna() & (values.astype(str) != "")).any())


class _Cell:
    """The text of one column in a row of the table."""

    def __init__(self, name: str, columns: Sequence[str]) -> None:
        self.name = name
        one = name in TOGETHER and "estimate" in columns
        self.beside = [other for other in TOGETHER if other in columns] if one else []

    def __call__(self, row: Record) -> str:
        value = row[self.name]
        if not isinstance(value, kinds.Number) or isinstance(value, bool):
            return _word(value)
        number = float(value)  # type: ignore[arg-type]
        if self.beside:
            beside = {name: float(row[name]) for name in self.beside}
            return _of_one_unit(number, beside, float(row.get("mcse_mean", math.nan)))
        if self.name.startswith("p_"):
            return numbers.p_value(number)
        if self.name.startswith("prob_"):
            return numbers.probability(number)
        if self.name == "r_hat":
            return numbers.fixed(number, 3)
        if self.name.startswith("ess_") or isinstance(value, kinds.Integral):
            return numbers.fixed(number, 0)
        return numbers.number(number)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None or value != value else str(value)


def _of_one_unit(value: float, row: Mapping[str, float], by_chance: float) -> str:
    """To three digits of the standard error or, without one, four of the largest; of draws, as many
    as their Monte Carlo standard error allows."""
    error = row.get("std_error", math.nan)
    told = [error] if math.isfinite(error) and error > 0.0 else [abs(v) for v in row.values()]
    largest = max((v for v in told if math.isfinite(v)), default=0.0)
    if largest >= 1e7 or 0.0 < largest < 1e-5:
        return numbers.number(value, 4)
    places = numbers.decimals_for(told, 3 if told == [error] else 4)
    return numbers.fixed(value, min(places, numbers.decimals_within(by_chance)))
