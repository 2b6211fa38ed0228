"""Every marker's difference in change on its own and drawn towards its family, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from longsurv import numbers
from longsurv.report.tables.display import Column, DisplayTable, display

if TYPE_CHECKING:
    from longsurv.study import StudyResults
    from longsurv.study.marker_stages import ShrunkenChange

KEYS = ["level", "start", "end", "marker", "label", "family", "better"]
KINDS = ("ml", "bayes", "shrunken")
COLUMNS = [
    *KEYS,
    *(f"{name}_{kind}" for kind in KINDS for name in ("estimate", "conf_low", "conf_high")),
    "p_value", "p_holm", "p_fdr", "prob_benefit_bayes", "prob_benefit_shrunken", "reason",
]  # fmt: skip
FAMILIES = ["level", "start", "end", "family", "markers", "mean", "mean_low", "mean_high",
            "prob_benefit", "spread", "spread_low", "spread_high"]  # fmt: skip


def shrunken_table(results: StudyResults, one: ShrunkenChange) -> pd.DataFrame:
    """One row a marker: its effect in baseline SDs towards benefit, three times.

    Returns
    -------
    DataFrame
        `COLUMNS`: the comparison, the marker, its family and better direction; estimate and 95 %
        interval by REML, by Bayes on its own and shrunken (missing where it is not); p-values with
        the corrections of `StudyResults.changes`; probability of benefit; why it is not shrunken.
    """
    changes, change = results.changes, one.change
    same = (changes["level"] == str(change.level)) & (changes["end"] == change.end)
    p_values = changes[same & (changes["engine"] == "ml")].set_index("marker")
    names = list(results.markers)
    table = one.effects.set_index("marker").reindex(names)
    for column in ("p_value", "p_holm", "p_fdr"):
        table[column] = p_values[column].reindex(names)
    markers = results.cohort.markers
    table = table.assign(
        level=str(change.level),
        start=str(change.start),
        end=str(change.end),
        marker=names,
        label=[markers[name].label for name in names],
        family=[markers[name].family for name in names],
        better=[markers[name].direction or "" for name in names],
        reason=[one.left_out.get(name, "") for name in names],
    )
    return table[COLUMNS].reset_index(drop=True)


def families_table(one: ShrunkenChange, table: pd.DataFrame) -> pd.DataFrame:
    """One row a family: mean and spread of its effects with 95 % intervals (`FAMILIES`)."""
    if one.families.empty:
        return pd.DataFrame(columns=FAMILIES)
    hyper = one.families.set_index("term")
    shrunken = table[table["estimate_shrunken"].notna()]
    rows = []
    for family, part in shrunken.groupby("family", sort=False):
        mean, spread = hyper.loc[f"mu({family})"], hyper.loc[f"sd({family})"]
        rows.append(
            (
                str(one.change.level), str(one.change.start), str(one.change.end), family,
                len(part), mean["estimate"], mean["conf_low"], mean["conf_high"],
                mean["prob_positive"], spread["estimate"], spread["conf_low"],
                spread["conf_high"],
            )
        )  # fmt: skip
    return pd.DataFrame(rows, columns=FAMILIES)


def shrunken_display(table: pd.DataFrame) -> DisplayTable:
    """Lay out the shrunken markers of `shrunken_table` for the page."""
    shown = table[table["estimate_shrunken"].notna()].reset_index(drop=True)
    shown = shown.assign(first=~shown["family"].duplicated())
    columns = [
        Column("Marker", "label", numeric=False),
        Column("Family", lambda row: row["family"] if row["first"] else "", numeric=False),
        Column("p, FDR", lambda row: numbers.p_value(row["p_fdr"])),
        Column("Bayes, on its own (95 % CrI)", lambda row: _interval(row, "bayes")),
        Column("Shrunken (95 % CrI)", lambda row: _interval(row, "shrunken")),
        Column("P(benefit), own", lambda row: numbers.probability(row["prob_benefit_bayes"])),
        Column(
            "P(benefit), shrunken",
            lambda row: numbers.probability(row["prob_benefit_shrunken"]),
        ),
    ]
    note = (
        "Difference in change in SDs of the marker's first value, turned so that above 0 is the"
        " marker's better direction. FDR: Benjamini and Hochberg, as in the table of differences in"
        " change."
    )
    return display(shown, "Difference in change, alone and shrunken", columns, note)


def families_display(families: pd.DataFrame) -> DisplayTable:
    """Lay out `families_table` for the page."""
    columns = [
        Column("Family", "family", numeric=False),
        Column("Markers", lambda row: f"{row['markers']:,}"),
        Column("Mean (95 % CrI)", lambda row: _of(row, "mean")),
        Column("P(benefit)", lambda row: numbers.probability(row["prob_benefit"])),
        Column("Spread between markers, SD (95 % CrI)", lambda row: _of(row, "spread")),
    ]
    note = "Priors: mean Normal(0, 1), spread half-normal (0.5), in baseline SDs."
    return display(families, "What the markers of a family have in common", columns, note)


def left_out_display(table: pd.DataFrame) -> DisplayTable:
    """The markers that are not shrunken, and why."""
    columns = [
        Column("Marker", "label", numeric=False),
        Column("Why it is not shrunken", "reason", numeric=False, prose=True),
    ]
    return display(table[table["reason"] != ""], "Not shrunken", columns)


def _interval(row: dict[str, Any], kind: str) -> str:
    names = (f"{name}_{kind}" for name in ("estimate", "conf_low", "conf_high"))
    estimate, low, high = (float(row[name]) for name in names)
    return numbers.MISSING if estimate != estimate else numbers.in_sds(estimate, low, high)


def _of(row: dict[str, Any], what: str) -> str:
    return numbers.in_sds(*(float(row[name]) for name in (what, f"{what}_low", f"{what}_high")))
