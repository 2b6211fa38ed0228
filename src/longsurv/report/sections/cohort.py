"""Where patients and measurements went, and how the groups compare at the start."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from longsurv import numbers
from longsurv.report.sections.common import Line, unit_text, with_unit
from longsurv.study.tables.baseline import std_difference_text
from longsurv.tables.display import Column, DisplayTable, display

if TYPE_CHECKING:
    from longsurv.study import StudyResults


@dataclass(frozen=True)
class Step(Line):
    """One step of the flow from file to model: what is kept, and why something is not."""

    kept: str
    name: str
    removed: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The line."""
        return f"{self.kept} {self.name}" + (
            f" ({'; '.join(self.removed)})" if self.removed else ""
        )


def build(results: StudyResults) -> dict[str, object]:
    """What the template of this section shows."""
    return {
        "flow": flow(results.cohort.flow, results.cohort.n_by_group, _before(results)),
        "baseline": baseline(results),
        "measurements": measurements(results),
    }


def _before(results: StudyResults) -> str:
    """What became of the time before patients are at risk; empty where there was none."""
    schema = results.cohort.schema
    entry = float(results.cohort.survival_data()["entry"].min())
    if not entry or schema.exclude_before_entry:  # those are counted in the flow
        return ""
    return f"who died or left before {numbers.plain(entry)} {schema.time_unit}"


def flow(
    table: pd.DataFrame, groups: dict[Hashable, int], before: str = ""
) -> list[Mapping[str, object]]:
    """The ledger of each unit: every step with what it keeps and why it removed something.

    Parameters
    ----------
    table : DataFrame
        `Cohort.flow`.
    groups : dict of level to int
    before : str
        Patients of whom the tables have nothing, in words.
    """
    units: list[Mapping[str, object]] = []
    for unit, part in table.groupby("unit", sort=False):
        steps: list[Step] = []
        if unit == "patients" and before:
            steps.append(Step("Not recorded:", before))
        for row in part.to_dict("records"):
            text = str(row["reason"])
            if row["removed"]:
                text = f"{row['removed']:,} removed: {text}"
            steps.append(Step(f"{row['kept']:,}", row["step"], (text,) if text else ()))
        if unit == "patients":
            parts = ", ".join(f"{n:,} {level}" for level, n in groups.items())
            total = sum(groups.values())
            steps.append(Step(f"{total:,}", "in the analysis", (parts,)))
        units.append({"title": f"{str(unit).capitalize()}, from file to model", "steps": steps})
    return units


def baseline(results: StudyResults) -> DisplayTable:
    """The baseline table as shown."""
    cohort = results.cohort
    counts = cohort.n_by_group
    columns = [
        Column("", lambda row: with_unit(row["variable"], row["unit"]), numeric=False),
        Column("", "summary", numeric=False),
        *(Column(f"{level} (n = {counts[level]:,})", str(level)) for level in cohort.groups),
        Column("Standardised difference", lambda row: std_difference_text(row["std_difference"])),
        Column("Missing", lambda row: f"{row['missing']:,}" if row["missing"] else "0"),
    ]
    names = [str(g) for g in cohort.groups]
    sign = (
        f"positive when larger in {names[1]}"
        if len(names) == 2
        else "the largest between any two groups"
    )
    note = (
        "Standardised difference: difference of means (of logarithms for markers on the log"
        f" scale) or proportions, in pooled standard deviations; {sign}. Beyond 0.1 in size is"
        " often called an imbalance; no test is made of it."
    )
    table = results.tables["baseline"]
    return display(table, "Patients at baseline, by group", columns, note, name="baseline")


def measurements(results: StudyResults) -> DisplayTable:
    """How many values of each marker there are, and how many lie beyond a detection limit."""
    columns = [
        Column("Marker", "label", numeric=False),
        Column("Unit", lambda row: unit_text(row["unit"]), numeric=False),
        Column("Scale", "scale", numeric=False),
        Column("Patients", lambda row: f"{row['patients']:,}"),
        Column("Values", lambda row: f"{row['values']:,}"),
    ]
    table = results.tables["measurements"]
    left_out = [m.label for n, m in results.cohort.markers.items() if n not in results.markers]
    notes = []
    if int(table["censored"].sum()):
        columns.append(Column("Beyond a limit", lambda row: f"{row['censored']:,}"))
        notes.append("A value beyond a detection limit is taken at the limit by these models.")
    if int(table["outside"].sum()):
        columns.append(Column("Not in the model", lambda row: f"{row['outside']:,}"))
        notes.append("Not in the model: measured outside every phase.")
    if left_out:
        notes.append(f"Components of a score, not endpoints of their own: {', '.join(left_out)}.")
    caption = "Measurements in the models"
    return display(table, caption, columns, " ".join(notes), name="measurements")
