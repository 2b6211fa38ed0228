"""Regression to the mean: change against first value, in the marker that began furthest apart."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv import numbers
from longsurv.errors import LongsurvError
from longsurv.estimands.baseline_adjusted import ComparedRows, Regression
from longsurv.figures.regression import regression
from longsurv.report import sentences_markers
from longsurv.report.sections.common import Picture, with_unit
from longsurv.report.sections.trajectories import FEWEST

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.estimands.changes import Change
    from longsurv.study import StudyResults

BESIDE = " (that of the table takes all later values, limits and sites into account)"
"""Of a figure whose lines are of fewer values than the model."""


def build(results: StudyResults, change: Change, k: int) -> tuple[str, Picture] | None:
    """The sentence and the figure of one comparison; None where no marker has a line.

    Parameters
    ----------
    results : StudyResults
    change : Change
    k : int
        Which comparison it is.
    """
    name = furthest_apart(results, change)
    if name is None:
        return None
    compared = ComparedRows.of(results.cohort, name, change)
    try:
        line = compared.regression()
    except LongsurvError:
        return None
    marker = results.cohort.markers[name]
    text = sentences_markers.regression_line(marker.label, line.slope, str(change.start))
    return text, _picture(results, compared, line, name, k)


def furthest_apart(results: StudyResults, change: Change) -> str | None:
    """The marker whose groups began the most standard deviations apart; None without one."""
    far: dict[str, float] = {}
    for name in results.markers:
        pairs = ComparedRows.of(results.cohort, name, change).pairs
        sides = [pairs.loc[pairs["treated"] == side, "start"] for side in (0.0, 1.0)]
        if min(map(len, sides)) >= FEWEST and pairs["start"].std() > 0:
            far[name] = abs(sides[1].mean() - sides[0].mean()) / pairs["start"].std()
    return max(far, key=lambda name: far[name]) if far else None


def _picture(
    results: StudyResults, compared: ComparedRows, line: Regression, name: str, k: int
) -> Picture:
    change, marker = compared.change, results.cohort.markers[name]
    groups = [str(change.reference), str(change.level)]
    pairs = compared.pairs
    values = pd.DataFrame(
        {
            "group": np.where(pairs["treated"] == 1.0, groups[1], groups[0]),
            "first": pairs["start"].to_numpy(),
            "change": (pairs["end"] - pairs["start"]).to_numpy(),
        }
    )
    shown = values if results.study.show_patients else _means(values)
    ends = np.array(line.ends)
    lines = pd.concat(
        [
            pd.DataFrame(
                {
                    "group": group,
                    "first": ends,
                    "change": line.level + side * line.difference + line.slope * ends,
                }
            )
            for side, group in enumerate(groups)
        ]
    )
    log = marker.transform == "log"
    label = with_unit(marker.label, "" if log else marker.unit)
    what = f"log {label}" if log else label

    def draw(width: float) -> Axes:
        return regression(
            shown, lines, groups=groups, xlabel=f"{what} at {change.start}",
            ylabel=f"Change to {change.end}", width=width,
        )  # fmt: skip

    exact = compared.least_squares
    each = "a mark a patient" if results.study.show_patients else "a mark a group, at its means"
    caption = (
        f"Change of {label} from {change.start} to {change.end} against the value at"
        f" {change.start}, {each}; the lines are those of least squares, with one slope. Their"
        f" distance is {'the' if exact else 'a'} difference adjusted for the"
        f" baseline value{'' if exact else BESIDE}, that of the groups' means the"
        " unadjusted one."
    )
    said = (
        f"Change of {label} against its first value: slope {numbers.number(line.slope)}, the line"
        f" of {groups[1]} {numbers.number(abs(line.difference))}"
        f" {'above' if line.difference > 0 else 'below'} that of {groups[0]}."
    )
    title = f"Regression to the mean in {marker.label}, drawn"
    return Picture(f"regression-{k}", partial(draw), said, caption, title)


def _means(values: pd.DataFrame) -> pd.DataFrame:
    """Each group at its means, where it has patients enough."""
    of_each = values.groupby("group", sort=False)
    return of_each[["first", "change"]].mean()[of_each.size() >= FEWEST].reset_index()
