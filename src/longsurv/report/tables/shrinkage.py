"""Every marker's difference in change, alone and drawn towards its family, as the page shows it."""

from __future__ import annotations

import pandas as pd

from longsurv import numbers
from longsurv.records import Record
from longsurv.tables.display import Column, DisplayTable, display


def shrunken_display(table: pd.DataFrame) -> DisplayTable:
    """Lay out the shrunken markers of `shrunken_table` for the page."""
    shown = table[table["estimate_shrunken"].notna()].reset_index(drop=True)
    shown = shown.assign(first=~shown["family"].duplicated())
    columns = [
        Column("Marker", "label", numeric=False),
        Column("Family", lambda row: row["family"] if row["first"] else "", numeric=False),
        Column("Bayes, on its own (95 % CrI)", lambda row: _interval(row, "bayes")),
        Column("Shrunken (95 % CrI)", lambda row: _interval(row, "shrunken")),
        Column("P(better)", lambda row: numbers.probability(row["prob_benefit_shrunken"])),
    ]
    note = (
        "Difference in change in SDs of the marker's first value, turned so that above 0 is the"
        " marker's better direction. P(better): shrunken; p values and P(better) on its own are in"
        " the table of differences in change."
    )
    return display(shown, "Difference in change, alone and shrunken", columns, note, "shrunken")


def families_display(families: pd.DataFrame) -> DisplayTable:
    """Lay out `families_table` for the page."""
    columns = [
        Column("Family", "family", numeric=False),
        Column("Markers", lambda row: f"{row['markers']:,}"),
        Column("Mean (95 % CrI)", lambda row: _of(row, "mean")),
        Column("P(better)", lambda row: numbers.probability(row["prob_benefit"])),
        Column("Spread between markers, SD (95 % CrI)", lambda row: _of(row, "spread")),
    ]
    note = "Priors: mean Normal(0, 1), spread half-normal (0.5), in baseline SDs."
    return display(
        families, "What the markers of a family have in common", columns, note, "families"
    )


def left_out_display(table: pd.DataFrame) -> DisplayTable:
    """The markers that are not shrunken, and why; those of one reason together."""
    left = table[table["reason"] != ""]
    rows = left.groupby("reason", sort=False, as_index=False)["label"].agg(", ".join)
    columns = [
        Column("Markers", "label", numeric=False),
        Column("Why they are not shrunken", "reason", numeric=False, prose=True),
    ]
    return display(rows, "Not shrunken", columns)


def _interval(row: Record, kind: str) -> str:
    names = (f"{name}_{kind}" for name in ("estimate", "conf_low", "conf_high"))
    estimate, low, high = (float(row[name]) for name in names)
    return numbers.MISSING if estimate != estimate else numbers.in_sds(estimate, low, high)


def _of(row: Record, what: str) -> str:
    return numbers.in_sds(*(float(row[name]) for name in (what, f"{what}_low", f"{what}_high")))
