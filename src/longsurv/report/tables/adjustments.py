"""The difference in change under each adjustment, as the page shows it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from longsurv import numbers
from longsurv.records import Record
from longsurv.study.tables.adjustments import adjustments_table
from longsurv.tables.display import Column, DisplayTable, display

_SHORT = {  # on one line each, or a table of many markers has three times their height
    kind: text.replace(" ", "\N{NO-BREAK SPACE}")
    for kind, text in (
        ("unadjusted", "nothing"),
        ("baseline", "baseline value"),
        ("overlap", "overlap weights"),
        ("clda", "common baseline"),
    )
}
_TIMES = "\N{MULTIPLICATION SIGN}"


def adjustments_display(
    table: pd.DataFrame, caption: str = "", more: Sequence[Column] = ()
) -> DisplayTable:
    """Lay out `adjustments_table` for the page.

    Parameters
    ----------
    table : DataFrame
        `AdjustedChanges.table`.
    caption : str, optional
    more : sequence of Column
        After the marker's name.
    """
    rows = adjustments_table(table)
    rows["first"] = ~rows["marker"].duplicated()
    columns = [
        Column("Marker", lambda row: row["label"] if row["first"] else "", numeric=False),
        *more,
        Column("Adjusted by", lambda row: _SHORT[row["adjustment"]], numeric=False),
        Column("Maximum likelihood (95 % CI)", lambda row: _answer(row, "ml")),
        Column("p", lambda row: numbers.p_value(row["p_value"])),
        Column("p, FDR", lambda row: numbers.p_value(row["p_fdr"])),
        Column("Bayes (95 % CrI)", lambda row: _answer(row, "bayes")),
        Column("P(better)", lambda row: numbers.probability(row["prob_benefit"])),
        Column("Patients", _patients),
    ]
    weighted = bool((rows["adjustment"] == "overlap").any())
    note = (
        f"{_TIMES}: ratio of geometric means (fold change over fold change); otherwise a difference"
        " in the marker's unit. P(better): posterior probability of a difference in the marker's"
        " better direction. FDR: Benjamini and Hochberg over the markers, within an adjustment."
    )
    if weighted:
        note += " In brackets: the effective sample size of the weights."
    caption = caption or "Difference in change under each adjustment"
    return display(rows, caption, columns, note, name="adjustments")


def _answer(row: Record, engine: str) -> str:
    estimate, low, high = (
        float(row[f"{name}_{engine}"]) for name in ("estimate", "conf_low", "conf_high")
    )
    if estimate != estimate:
        reason = row[f"reason_{engine}"]
        return "not estimated" if isinstance(reason, str) else numbers.MISSING
    error = float(row["mcse"]) if engine == "bayes" else math.nan
    if row["scale"] == "ratio":
        return _TIMES + numbers.shown_ratio(estimate, low, high, error=error).text
    return numbers.shown_difference(estimate, low, high, error=error).text


def _patients(row: Record) -> str:
    if row["adjustment"] == "overlap" and row["n"]:
        return f"{row['n']:,} ({row['n_effective']:.0f})"
    return f"{row['n']:,}" if row["n"] else numbers.MISSING
