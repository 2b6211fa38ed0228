"""Patients whom a joint model is asked about: what was measured of them, and copies of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.design.expression import expression
from longsurv.design.fixed import response
from longsurv.design.generalised import GeneralisedDesign
from longsurv.design.joint import JointDesign, JointMarker, NewData
from longsurv.design.joint_patients import variables_of
from longsurv.design.limits import ONE_SIDED, mirrored
from longsurv.design.quadrature import normal_grid
from longsurv.errors import DataError, FormulaError, LongsurvError
from longsurv.likelihood import joint
from longsurv.words import plural, some, verb

LEAST_NODES = 9
MOST_POINTS = 729


@dataclass(frozen=True)
class NewPatients:
    """New patients: one row each, their entry, and each marker's measurements until `at`."""

    labels: pd.Index
    first: pd.DataFrame
    entry: np.ndarray
    measured: list[tuple[pd.DataFrame, np.ndarray]]


def read_patients(
    design: JointDesign,
    newdata: NewData,
    at: float,
    times: Sequence[float],
    *,
    earlier: bool = False,
) -> tuple[np.ndarray, NewPatients]:
    """The times asked about, and the patients.

    Parameters
    ----------
    design : JointDesign
    newdata : DataFrame or mapping of str to DataFrame
    at : float
        Time until which they are known to be alive and were measured.
    times : sequence of float
    earlier : bool
        Whether times before `at` can be asked about.

    Returns
    -------
    grid : ndarray, shape (times,)
    NewPatients

    Raises
    ------
    LongsurvError
        For times that cannot be asked about, patients who enter after `at`, columns that are
        missing, and rows without a patient or with a value and no time.
    """
    frames = _frames(design, newdata)
    grid = _check(design, frames, at, times, earliest=0.0 if earlier else at)
    _check_rows(design, frames)
    name, time = design.group_name, design.time
    whole = pd.concat(list(frames.values())) if len(frames) > 1 else frames[next(iter(frames))]
    labels = pd.Index(pd.factorize(whole[name], sort=True)[1])
    first = whole.groupby(name, sort=True, observed=True).first().reset_index()
    surv = design.causes[0].event.formula.surv
    entry = np.zeros(len(labels))
    if len(surv) == 3 and not design.from_zero:
        if surv[0] not in first:
            raise FormulaError(f"the new data need the column {surv[0]!r}, the time of entry")
        entry = first[surv[0]].to_numpy(dtype=float)
    if (entry > at).any():
        raise LongsurvError(f"some patients enter after {at:g}, the time from which to predict")
    measured = []
    for marker in design.markers:
        frame = frames.get(marker.name, frames.get(""))
        assert frame is not None
        before = frame.loc[(frame[time] <= at).to_numpy()]
        measured.append((before, labels.get_indexer(before[name])))
    return grid, NewPatients(labels, first, entry, measured)


def _frames(design: JointDesign, newdata: NewData) -> dict[str, pd.DataFrame]:
    """The new data by marker; under "" if they are one frame."""
    if isinstance(newdata, pd.DataFrame):
        return {"": newdata}
    names = [marker.name for marker in design.markers]
    if set(newdata) != set(names):
        raise LongsurvError(f"the new data are of {sorted(newdata)}; the markers are {names}")
    return dict(newdata)


def _check(
    design: JointDesign,
    frames: Mapping[str, pd.DataFrame],
    at: float,
    times: Sequence[float],
    earliest: float,
) -> np.ndarray:
    for frame in frames.values():
        missing = [c for c in (design.group_name, design.time) if c not in frame]
        if missing:
            raise LongsurvError(f"the new data need the columns {missing}")
    if all(frame.empty for frame in frames.values()):
        raise DataError("the new data have no rows")
    grid = np.atleast_1d(np.asarray(times, dtype=float))
    if (
        grid.ndim != 1
        or len(grid) == 0
        or not np.isfinite(grid).all()
        or (grid < earliest).any()
        or at < 0
    ):
        what = f"at={earliest:g}" if earliest == at else f"{earliest:g}"
        raise LongsurvError(f"times must be finite and not before {what}; got {times!r}")
    upper = min(cause.baseline.upper for cause in design.causes)
    if max(at, grid.max()) > upper * (1 + 1e-9):
        raise LongsurvError(
            f"follow-up ended at {upper:g}: nothing is known about the hazard "
            f"after it, so survival to {grid.max():g} cannot be predicted"
        )
    return grid


def _check_rows(design: JointDesign, frames: Mapping[str, pd.DataFrame]) -> None:
    """Refuse rows that belong to nobody, values of which nobody knows when they were measured, and
    variables that change within a patient.

    A row without time and value only tells the covariates.
    """
    problems = []
    for marker in design.markers:
        frame = frames.get(marker.name, frames.get(""))
        assert frame is not None
        nobody = np.flatnonzero(frame[design.group_name].isna())
        if len(nobody):
            problems.append(
                f"rows {_listed(frame, nobody)} of the new data have no {design.group_name}: say "
                "whose they are, or leave them out"
            )
        named = _response_columns(marker, frame)
        measured = frame[named].notna().all(axis=1) if named else pd.Series(False, frame.index)
        timeless = np.flatnonzero(frame[design.time].isna() & measured)
        if len(timeless):
            problems.append(
                f"rows {_listed(frame, timeless)} of the new data have a value of "
                f"{marker.design.formula.response} and no {design.time}: give its time, or leave "
                "them out"
            )
    whole = pd.concat(list(frames.values()))
    used = {v for one in design.markers for v in variables_of(one.design)}
    used |= {v for cause in design.causes for v in variables_of(cause.event)}
    used -= {design.time, design.group_name}
    for name in sorted(used & {*whole.columns}):
        several = whole.groupby(design.group_name, observed=True)[name].nunique() > 1
        if several.any():
            problems.append(
                f"{name!r} of {design.group_name} {some(several.index[several])} changes in the new"
                " data: a variable has one value a patient"
            )
    if problems:
        raise DataError(list(dict.fromkeys(problems)))


def _listed(frame: pd.DataFrame, rows: np.ndarray) -> str:
    """Labels of the first of some rows."""
    labels = [str(frame.index[k]) for k in rows[:5]]
    return ", ".join(labels) + (", ..." if len(rows) > 5 else "")


def _response_columns(marker: JointMarker, frame: pd.DataFrame) -> list[str]:
    """Columns of a frame that a marker's response is made of."""
    return [c for c in expression(marker.design.formula.response).columns if c in frame]


def has_value(marker: JointMarker, rows: pd.DataFrame) -> np.ndarray:
    """Which rows have a value of a marker, shape (rows,) of bool."""
    known: np.ndarray = rows[_response_columns(marker, rows)].notna().all(axis=1).to_numpy()
    return known


def copies_of(
    design: JointDesign,
    data: joint.JointData,
    people: NewPatients,
    exits: np.ndarray,
    cause: int | None = None,
) -> joint.JointData:
    """Those of m copies of each patient that leave at `exits`, shape (n m,)."""
    n = len(people.labels)
    m = len(exits) // n
    rows = people.first.iloc[np.repeat(np.arange(n), m)]
    entry = np.repeat(people.entry, m)
    frames = [rows] * len(design.markers)
    causes = tuple(
        joint.CauseData(
            np.full(n * m, float(k == cause)),
            one.event.fixed.rebuild(rows) - one.covariate_means,
            **vars(design.points(one, frames, rows, entry, exits)),
        )
        for k, one in enumerate(design.causes)
    )
    markers = tuple(
        _copies(marker, fitted, frame, group, n, m, single=len(design.markers) == 1)
        for marker, fitted, (frame, group) in zip(
            design.markers, data.markers, people.measured, strict=True
        )
    )
    nodes = max(LEAST_NODES, len(data.nodes))
    while nodes > len(data.nodes) and nodes**data.q > MOST_POINTS:
        nodes -= 2
    return joint.JointData(markers, causes, **vars(normal_grid(nodes, data.q)))


def _copies(
    marker: JointMarker,
    fitted: joint.MarkerData,
    rows: pd.DataFrame,
    group: np.ndarray,
    n: int,
    m: int,
    *,
    single: bool,
) -> joint.MarkerData:
    """New measurements of m copies of n patients, in the coordinates of the fitted ones."""
    formula = marker.design.formula
    known = has_value(marker, rows)
    if single and not known.all():
        raise DataError(
            f"{plural(int((~known).sum()), 'row')} of the new data "
            f"{verb(int((~known).sum()), 'has', 'have')} no {formula.response}; leave them out"
        )
    rows, group = rows.loc[known], group[known]
    if not len(rows):
        return fitted.without_values(n * m)
    y = response(formula.response, rows, functions=formula.functions)
    X, Z = marker.design.fixed.rebuild(rows), marker.design.random.rebuild(rows)
    kind = _kind(marker, rows)
    take = np.repeat(np.arange(len(y)), m)
    copies = group[take] * m + np.tile(np.arange(m), len(y))
    return fitted.of(X[take], y[take], Z[take], copies, n * m, kind[take])


def _kind(marker: JointMarker, rows: pd.DataFrame) -> np.ndarray:
    """Censoring of new measurements, as in `Censored`."""
    column = marker.censored
    if column is None:
        return np.zeros(len(rows), dtype=np.int64)
    if column not in rows:
        raise FormulaError(f"the new data need the column {column!r}: none, left or right")
    kind = pd.Index(ONE_SIDED).get_indexer(rows[column].astype(object))
    if (kind < 0).any():
        raise DataError(f"column {column!r} of the new data must hold none, left or right")
    design = marker.design
    falling = isinstance(design, GeneralisedDesign) and design.falling
    return mirrored(kind) if falling else kind
