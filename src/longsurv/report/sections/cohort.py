"""Where patients and measurements went, and how the groups compare at the start."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from longsurv import numbers
from longsurv.report import sentences
from longsurv.report.sections.common import Line, unit_text, with_unit
from longsurv.study.tables.baseline import COUNT, MEAN, named, std_difference_text
from longsurv.tables.display import Column, DisplayTable, display
from longsurv.tables.styles import Style, style_of

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
    gone = sentences.gone(results.cohort.event_name)
    return f"who {gone} before {numbers.plain(entry)} {schema.time_unit}"


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
    """The baseline table as shown, in the style of the journal that the study names."""
    cohort, style = results.cohort, style_of(results.study.style)
    counts = cohort.n_by_group
    columns = [
        Column("", "what", numeric=False),
        Column("", "how", numeric=False),
        *(Column(f"{level} (n = {counts[level]:,})", f"of {level}") for level in cohort.groups),
        Column("Standardised difference", lambda row: std_difference_text(row["std_difference"])),
        Column("Missing", lambda row: f"{row['missing']:,}"),
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
    table = side_by_side(results.tables["baseline"], style)
    return display(table, "Patients at baseline, by group", columns, note, name="baseline")


def side_by_side(table: pd.DataFrame, style: Style) -> pd.DataFrame:
    """The groups of the baseline table as columns, each cell as a journal writes it.

    Parameters
    ----------
    table : DataFrame
        `study.tables.baseline.baseline_table`.
    style : Style

    Returns
    -------
    DataFrame
        Columns what (variable and unit, or level), how (summary), "of GROUP" for each group,
        std_difference, missing (in all groups).
    """
    called = {MEAN: style.mean, COUNT: style.count}
    rows: dict[tuple[object, object], dict[str, object]] = {}
    for found in table.to_dict("records"):
        row = rows.setdefault(
            (found["variable"], found["level"]),
            {
                "what": with_unit(named(found), found["unit"]),
                "how": called.get(found["summary"], style.median),
                "std_difference": found["std_difference"],
                "missing": 0,
            },
        )
        row[f"of {found['group']}"] = _summary(found, style)
        row["missing"] = int(str(row["missing"])) + found["missing"]
    return pd.DataFrame(list(rows.values()))


def _summary(row: Mapping[Hashable, Any], style: Style) -> str:  # any: a row of a table
    if row["summary"] == COUNT:
        return style.of_count(row["count"], row["n"])
    if row["summary"] == MEAN:
        return style.of_mean(row["mean"], row["sd"])
    return style.of_median(row["median"], row["q1"], row["q3"])


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
        where = results.study.taken
        notes.append(f"A value beyond a detection limit counts as {where} in the markers' models.")
    if int(table["outside"].sum()):
        columns.append(Column("Not in the model", lambda row: f"{row['outside']:,}"))
        notes.append("Not in the model: measured outside every phase.")
    if left_out:
        notes.append(f"Components of a score, not endpoints of their own: {', '.join(left_out)}.")
    caption = "Measurements in the models"
    return display(table, caption, columns, " ".join(notes), name="measurements")
