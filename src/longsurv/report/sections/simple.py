"""The comparisons an abstract would make, and what they leave open."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv import numbers
from longsurv.records import Record
from longsurv.report import sentences
from longsurv.report.sections.common import of_comparisons, with_unit
from longsurv.tables.display import Column, DisplayTable, display

if TYPE_CHECKING:
    from longsurv.study import StudyResults


def build(results: StudyResults) -> dict[str, object]:
    """What the template of this section shows."""
    tables = results.tables
    return {
        "text": [_opening(results), *one_sided(results)],
        "tables": [
            _mortality(tables["simple_mortality"], results),
            *_within(tables["simple_changes"]),
        ],
    }


def _opening(results: StudyResults) -> str:
    return (
        "The tests that abstracts report, within each group and of crude proportions: they do not"
        " answer the question."
    )


def one_sided(results: StudyResults) -> list[str]:
    """For each pair of groups: significant in one only, held against the difference in change."""
    table, changes = results.tables["simple_changes"], results.changes
    if table.empty:
        return []
    if table["p_value"].isna().all():
        return ["No change within a group could be tested: too few patients have both values."]
    reference, *levels = map(str, results.cohort.groups)
    found = []
    for level in levels:
        only = {}
        for group, other in ((level, reference), (reference, level)):
            only[group] = [
                m for m in _significant(table, group) if m not in _significant(table, other)
            ]
        ml = changes[(changes["engine"] == "ml") & (changes["level"] == level)]
        null = np.where(ml["scale"] == "ratio", 1.0, 0.0)
        clear = (ml["conf_low"] > null) | (ml["conf_high"] < null)
        text = sentences.one_sided_significance(
            level,
            reference,
            only[level],
            only[reference],
            ml.loc[clear, "label"].unique().tolist(),
        )
        found.append((f"{level} against {reference}", text))
    return of_comparisons(found)


def _significant(table: pd.DataFrame, group: str) -> list[str]:
    part = table[(table["group"].astype(str) == group) & (table["p_value"] < 0.05)]
    return list(part["label"].drop_duplicates())


def _within(table: pd.DataFrame) -> list[DisplayTable]:
    """Before and after in each group, the groups side by side."""
    found = []
    for (start, end), part in table.groupby(["phase_from", "phase_to"], sort=False):
        groups = part["group"].astype(str)
        columns = [Column("Marker", "name", numeric=False)]
        rows = part.drop_duplicates("marker")[["marker"]].assign(
            name=[
                with_unit(r["label"], r["unit"])
                for r in part.drop_duplicates("marker").to_dict("records")
            ]
        )
        for group in groups.unique():
            cells = part[groups == group].set_index("marker")
            columns += [
                Column(f"{group}: median before, after", partial(_cell, cells, _before_after)),
                Column("n", partial(_cell, cells, _pairs)),
                Column("p", partial(_cell, cells, _p)),
            ]
        note = (
            "n: patients with both values. p: Wilcoxon's signed ranks, two-sided, uncorrected. A"
            " value beyond a detection limit stands at the limit."
        )
        found.append(
            display(rows, f"Within each group, {start} against {end}", columns, note, "within")
        )
    return found


def _cell(cells: pd.DataFrame, text: Callable[[pd.Series], str], row: Record) -> str:
    """What one group's cell says about the marker of this row."""
    return text(cells.loc[row["marker"]])


def _pairs(cell: pd.Series) -> str:
    return f"{int(cell['n_pairs']):,}"


def _p(cell: pd.Series) -> str:
    return numbers.p_value(cell["p_value"])


def _before_after(cell: pd.Series) -> str:
    if cell["n_pairs"] == 0:
        return numbers.MISSING
    before, after = numbers.datum(cell["median_from"]), numbers.datum(cell["median_to"])
    return f"{before} \N{RIGHTWARDS ARROW} {after}"


def _mortality(table: pd.DataFrame, results: StudyResults) -> DisplayTable:
    schema, event = results.cohort.schema, results.cohort.event_name

    def interval(row: Record, columns: tuple[str, str, str]) -> str:
        estimate, low, high = (100 * row[c] for c in columns)
        return "" if np.isnan(estimate) else numbers.difference(estimate, low, high)

    columns = [
        Column("Group", lambda row: str(row["group"]), numeric=False),
        Column("Patients", lambda row: f"{row['n']:,}"),
        Column(
            event.capitalize() + "s" if event == "death" else event.capitalize(),
            lambda row: f"{row['deaths']:,}",
        ),
        Column(
            "Risk, % (95 % interval)", lambda row: interval(row, ("risk", "conf_low", "conf_high"))
        ),
        Column(
            "Risk difference, points (95 % interval)",
            lambda row: interval(row, ("difference", "difference_low", "difference_high")),
        ),
        Column(
            "p", lambda row: "" if np.isnan(row["p_value"]) else numbers.p_value(row["p_value"])
        ),
    ]
    caveats = "; ".join(
        f"{row['group']}: {row['reason']}" for row in table.to_dict("records") if row["reason"]
    )
    note = (
        "Intervals: Wilson for a risk, Newcombe for the difference from the first group. p:"
        f" Fisher's exact test.{' ' + caveats + '.' if caveats else ''}"
    )
    when = sentences.by_when(schema.horizon, schema.time_unit)
    return display(table, f"Crude proportions: {event} {when}", columns, note)
