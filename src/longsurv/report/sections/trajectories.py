"""Every marker's trajectories: the patients' values, and the fitted means of both engines.

The coordinates of a line in the page are a patient's values, to all their digits, and in a small
cohort a course is as good as a name. So single patients are drawn only in a study that shows
patients; else quartiles of the values of at least five, as a statistical office would release them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from longsurv import numbers
from longsurv.errors import LongsurvError
from longsurv.estimands.changes import mean_curves
from longsurv.figures import trajectory
from longsurv.figures.trajectories import PATIENTS_SHOWN, sampled, where_measured
from longsurv.report.sections.common import Picture, with_unit
from longsurv.words import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.estimands.changes import Predicting
    from longsurv.study import StudyResults

FEWEST = 5  # patients whose quartiles are shown
STRETCHES = 6  # of time, where visits are at no common times


def build(results: StudyResults) -> dict[str, object]:
    """The small multiples and what they show."""
    return {
        "panels": [panel(results, name, k) for k, name in enumerate(results.markers)],
        "caption": _caption(results),
    }


def trajectory_data(
    results: StudyResults, name: str
) -> tuple[pd.DataFrame, pd.DataFrame | None, dict[float, str] | None]:
    """Points, fitted curves (None without a model), phase ticks (None on a time axis).

    Returns
    -------
    points : DataFrame
        patient, group, x, value.
    curves : DataFrame or None
        group, x, estimate, conf_low, conf_high on the marker's own scale, engine.
    ticks : dict or None
        Place on the axis to phase.
    """
    cohort, study, model = results.cohort, results.study, results.markers[name]
    schema, variable = cohort.schema, study.change_variable
    by_phase = variable == "phase"
    places = {phase.name: float(k) for k, phase in enumerate(schema.phases)} if by_phase else {}
    data = model.data
    x = data["phase"].astype(object).map(places) if by_phase else data[schema.time]
    points = pd.DataFrame(
        {
            "patient": data[schema.patient].to_numpy(),
            "group": data[schema.treatment].astype(str),
            "x": x.astype(float),
            "value": data["value"],
        }
    )
    if by_phase:  # one value a patient and phase, so that a line has one point at each
        points = points.groupby(["patient", "group", "x"], as_index=False)["value"].mean()
    curves = []
    values = list(places) if by_phase else list(np.linspace(0, points["x"].max(), 40))
    for engine, result in model.answers.items() if not points.empty else ():
        try:
            curve = mean_curves(
                cast("Predicting", result), data, variable, values, schema.treatment, cohort.groups
            )
        except LongsurvError:
            continue  # the reason stands in the table of markers not estimated
        back = np.exp if cohort.markers[name].transform == "log" else np.asarray
        # Group by group, as asked: a treatment may be called as a column of the curve.
        at = np.array([places[v] for v in values] if by_phase else values, dtype=float)
        shown = {
            c: back(curve[c].to_numpy(dtype=float)) for c in ("estimate", "conf_low", "conf_high")
        }
        group = np.repeat([str(g) for g in cohort.groups], len(at))
        curve = pd.DataFrame({"group": group, "x": np.tile(at, len(cohort.groups)), **shown})
        curves.append(where_measured(curve, points).assign(engine=engine))
    ticks = {k: name for name, k in places.items()} or None
    return points, pd.concat(curves, ignore_index=True) if curves else None, ticks


def panel(results: StudyResults, name: str, position: int) -> Picture:
    """One marker's trajectories; a small multiple has one size."""
    cohort = results.cohort
    marker = cohort.markers[name]
    points, curve, ticks = trajectory_data(results, name)
    groups = [str(g) for g in cohort.groups]
    shown = sampled(points) if results.study.show_patients else quartiles(points)

    def draw(_width: float) -> Axes:
        return trajectory(
            shown,
            curve,
            groups=groups,
            title=with_unit(marker.label, marker.unit),
            xlabel="" if ticks else cohort.schema.time_unit.capitalize(),
            ticks=ticks,
            log=marker.transform == "log",
        )

    label = _panel_label(marker.label, curve)
    return Picture(f"trajectory-{position}", draw, label, panel=True)


def _panel_label(label: str, curve: pd.DataFrame | None) -> str:
    """The panel in a sentence: where each group's fitted mean begins and ends."""
    if curve is None:
        return f"{label}: patients' values; no curve could be fitted."
    said = []
    for engine, of in (("ml", "maximum likelihood"), ("bayes", "Bayes")):
        parts = []
        for group, part in curve[curve["engine"] == engine].groupby("group", sort=False):
            ends = part.sort_values("x")["estimate"]
            first, last = numbers.number(ends.iloc[0]), numbers.number(ends.iloc[-1])
            parts.append(f"{group} from {first} to {last}")
        if parts:
            said.append(f"by {of} {'; '.join(parts)}")
    return f"{label}, fitted mean {', '.join(said)}."


def quartiles(points: pd.DataFrame) -> pd.DataFrame:
    """Quartiles of each group's values at each place, a patient counting once.

    Parameters
    ----------
    points : DataFrame
        patient, group, x, value.

    Returns
    -------
    DataFrame
        group, x, low, value (the median), high; nothing of fewer than five patients.
    """
    places = np.unique(points["x"].dropna())
    if len(places) > STRETCHES:
        edges = np.unique(np.quantile(points["x"].dropna(), np.linspace(0, 1, STRETCHES + 1)))
        stretch = np.searchsorted(edges, points["x"], side="right").clip(1, len(edges) - 1)
    else:
        stretch = np.searchsorted(places, points["x"])
    once = points.assign(stretch=stretch).dropna(subset=["x", "value"])
    once = once.groupby(["group", "stretch", "patient"], as_index=False)[["x", "value"]].mean()
    of_each = once.groupby(["group", "stretch"])
    table = of_each["value"].quantile([0.25, 0.5, 0.75]).unstack()
    table = table.set_axis(["low", "value", "high"], axis=1).assign(x=of_each["x"].mean())
    return table[of_each.size() >= FEWEST].reset_index()


def _caption(results: StudyResults) -> str:
    log = any(results.cohort.markers[n].transform == "log" for n in results.markers)
    answered = {engine for model in results.markers.values() for engine in model.answers}
    by_phase = results.study.change_variable == "phase"
    thin = "thin with open marks" if by_phase else "dotted outline, light middle"
    kinds = {
        "ml": "full: maximum likelihood with its 95 % confidence interval",
        "bayes": f"{thin}: Bayes with its 95 % credible interval",
    }
    shown = listed([words for engine, words in kinds.items() if engine in answered])
    named = results.study.show_patients
    data = (
        "Faint lines: patients."
        if named
        else f"Pale bars: quartiles and median of the patients' values, where a group has {FEWEST}"
        " patients or more."
    )
    text = data + (f" Fitted mean of each group, {shown}." if shown else "")
    if log:
        text += (
            " Markers analysed as logarithms have a logarithmic axis; their fitted mean is"
            " geometric."
        )
    if named and max(results.cohort.n_by_group.values()) > PATIENTS_SHOWN:
        text += f" {PATIENTS_SHOWN} patients of each group are drawn; the fits use all."
    return text
