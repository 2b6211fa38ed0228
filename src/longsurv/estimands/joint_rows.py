"""What answers of joint models share: which models they take, and a patient's rows by a day."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError


def one_marker_one_cause(given: Any, what: str) -> Any:
    """The specification of a joint model, or of its result, with one marker and one event.

    Parameters
    ----------
    given : JointModel, JointEstimate or JointPosterior
    what : str
        The answer asked for, for the message.

    Raises
    ------
    LongsurvError
        If it is no joint model, or has several markers, competing causes or left-censored values.
    """
    spec = getattr(given, "spec", given)
    if not (hasattr(spec, "markers") and hasattr(spec, "causes")):
        raise LongsurvError(f"{what} takes a joint model, not a {type(given).__name__}")
    not_yet = []
    if len(spec.markers) > 1:
        not_yet.append("several markers")
    if len(spec.causes) > 1:
        not_yet.append("competing causes")
    if any(getattr(marker, "censored", None) for marker in spec.markers.values()):
        not_yet.append("values beyond a detection limit")
    if not_yet:
        raise LongsurvError(
            f"{what} takes one marker, fully measured, and one cause of the event; this model has "
            f"{' and '.join(not_yet)}"
        )
    return spec


def history(design: Any, labels: pd.Index, at: float) -> pd.DataFrame:
    """Rows from which to predict: the measurements of some patients by a time, with covariates.

    Parameters
    ----------
    design : JointDesign
        Of all patients.
    labels : Index
        The patients.
    at : float

    Returns
    -------
    DataFrame
        Columns of both formulas. A patient without a measurement by then has a row without time.

    Raises
    ------
    LongsurvError
        If the hazard's formula and the response use a column of the same name.
    """
    name, time, marker, cause = design.group_name, design.time, design.markers[0], design.causes[0]
    rows = marker.measurements.iloc[marker.design.rows]
    rows = rows.loc[rows[name].isin(labels) & (rows[time] <= at)]
    people = marker.curve.patients.set_axis(design.labels, axis=0).loc[labels]
    people = people[[c for c in people if c in rows and c != name]]
    events = cause.rows.set_axis(design.labels, axis=0).loc[labels]
    wanted = {str(v) for v in cause.event.fixed.recipe.required_variables}
    wanted |= {link.by for _, link, _ in cause.links if link.by}
    wanted |= set(cause.event.formula.surv[:-2])
    wanted = {v for v in wanted if v in events and v not in people and v != name}
    taken = set(re.findall(r"[^\W\d]\w*", marker.design.formula.response)) | {time}
    clash = sorted(wanted & taken)
    if clash:
        raise LongsurvError(
            f"{clash} mean one thing in the marker's formula and another in the hazard's: rename "
            "the columns of the event data"
        )
    people = people.join(events[sorted(wanted)])
    kept = rows.drop(columns=[c for c in people if c in rows])
    kept = kept.merge(people, left_on=name, right_index=True, how="left")
    unmeasured = people.loc[~people.index.isin(rows[name])]
    if unmeasured.empty:
        return kept.reset_index(drop=True)
    blank = unmeasured.rename_axis(name).reset_index().assign(**{time: np.nan})
    parts = [part for part in (kept, blank) if len(part)]
    return pd.concat(parts, ignore_index=True)
