"""Survival of a patient, and the patient's own curve, from the measurements so far, by a joint model.

    P(T > u | T > t, y until t) = E[S(u | b) | y] / E[S(t | b) | y]
    P(T <= u, cause c | T > t, y until t) = int_t^u E[h_c(s | b) S(s | b) | y] ds / E[S(t | b) | y]

with S the probability of no event of any cause. Every mean is a factor of the joint likelihood
(`longsurv.likelihood.joint`) of a patient censored, or with an event, at that time: the random
effects are integrated out, nothing is simulated. The curve at u is x(u)'beta + z(u)'E[b | T > t, y].

Rizopoulos (2011), Biometrics 67:819-829; Andrinopoulou et al. (2015), Stat Med 34:3200-3213.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.design.expression import expression
from longsurv.design.fixed import response
from longsurv.design.generalised import GeneralisedDesign
from longsurv.design.joint import JointDesign, JointMarker, NewData
from longsurv.design.limits import ONE_SIDED, mirrored
from longsurv.design.quadrature import normal_grid, time_points
from longsurv.errors import DataError, FormulaError, LongsurvError
from longsurv.estimands.joint_rows import chosen_marker
from longsurv.likelihood import joint
from longsurv.words import plural, verb

LEAST_NODES = 9
MOST_POINTS = 729
LEAST_PIECES, POINTS_A_PIECE = 4, 5
"""Of the integral over time behind an incidence."""


def conditional_survival(
    design: JointDesign,
    data: joint.JointData,
    newdata: NewData,
    at: float,
    times: Sequence[float],
    thetas: np.ndarray,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Survival of patients alive at `at`, given their measurements until then.

    Parameters
    ----------
    design : JointDesign
    data : JointData
        Of the fit, for its coordinates.
    newdata : DataFrame or mapping of str to DataFrame
        Measurements with the columns of all formulas, in one frame or by marker; what is constant
        within a patient is taken from the patient's first row that has it. Rows after `at` only
        tell the covariates.
    at : float
    times : sequence of float
        Not before `at`.
    thetas : ndarray, shape (S, d)
        Parameter vectors.

    Returns
    -------
    frame : DataFrame
        The patient's column and "time", a row for each patient and time.
    survival : ndarray, shape (S, rows of the frame)
    """
    grid, people = _read(design, newdata, at, times)
    n, m = len(people.labels), 1 + len(grid)
    exits = np.tile(np.concatenate([[at], grid]), n)
    logs = _factors(design, data, people, exits, thetas)
    logs = logs.reshape(len(thetas), n, m)
    survival = np.exp(np.minimum(logs[:, :, 1:] - logs[:, :, :1], 0.0)).reshape(len(thetas), -1)
    frame = {design.group_name: np.repeat(people.labels, m - 1), "time": np.tile(grid, n)}
    return pd.DataFrame(frame), survival


def conditional_incidence(
    design: JointDesign,
    data: joint.JointData,
    newdata: NewData,
    at: float,
    times: Sequence[float],
    thetas: np.ndarray,
    cause: str | None = None,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Probability of each cause's event by later times; arguments as `conditional_survival`.

    Parameters
    ----------
    design, data, newdata, at, times, thetas
    cause : str, optional
        The only one wanted.

    Returns
    -------
    frame : DataFrame
        The patient's column, "time" and "cause", a row for each patient, time and cause.
    incidence : ndarray, shape (S, rows of the frame)
    """
    names = [one.name for one in design.causes]
    if cause is not None and cause not in names:
        raise LongsurvError(f"cause is one of {names}, not {cause!r}")
    wanted = [k for k, name in enumerate(names) if cause in (None, name)]
    grid, people = _read(design, newdata, at, times)
    n, end = len(people.labels), float(grid.max())
    breaks = [t for one in design.causes for t in one.baseline.breaks if at < t < end]
    edges = np.unique(np.concatenate([np.linspace(at, end, LEAST_PIECES + 1), grid, breaks]))
    # A Weibull hazard has no value, or no derivative, at time 0.
    power = max(one.baseline.power for one in design.causes) if at == 0.0 else 1.0
    inner = time_points(edges[:-1], edges[1:], power=power, points=POINTS_A_PIECE)
    start = _factors(design, data, people, np.full(n, at), thetas)
    tables = []
    for k in wanted:
        logs = _factors(design, data, people, np.tile(inner.time, n), thetas, cause=k)
        ratio = np.exp(logs.reshape(len(thetas), n, -1) - start[:, :, None])
        parts = (ratio * inner.weight).reshape(len(thetas), n, -1, POINTS_A_PIECE)
        pieces = parts.sum(axis=-1)
        until = np.concatenate([np.zeros((len(thetas), n, 1)), np.cumsum(pieces, axis=-1)], axis=-1)
        tables.append(until[:, :, np.searchsorted(edges, grid)])
    incidence = np.stack(tables, axis=-1).reshape(len(thetas), -1)
    causes = [names[k] for k in wanted]
    frame = {
        design.group_name: np.repeat(people.labels, len(grid) * len(causes)),
        "time": np.tile(np.repeat(grid, len(causes)), n),
        "cause": causes * (n * len(grid)),
    }
    return pd.DataFrame(frame), incidence


def patient_curves(
    design: JointDesign,
    data: joint.JointData,
    newdata: NewData,
    at: float,
    times: Sequence[float],
    thetas: np.ndarray,
    marker: str | None = None,
    measurement: bool = False,
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """A marker's own curve of patients alive at `at`, given their measurements until then.

    Parameters
    ----------
    design, data, newdata, at, thetas
        As for `conditional_survival`.
    times : sequence of float
        Before `at` or after it.
    marker : str, optional
        Which one, if there are several.
    measurement : bool
        Add the residual variance: of one new measurement about the curve.

    Returns
    -------
    frame : DataFrame
        The patient's column and "time", a row for each patient and time.
    mean, variance : ndarray, shape (S, rows of the frame)
        Of the curve at each parameter vector: where the random effects are, and what the
        measurements leave open about them.
    """
    k = chosen_marker([known.name for known in design.markers], marker)
    one, before = design.markers[k], design.markers[:k]
    grid, people = _read(design, newdata, at, times, marker=True)
    n, m = len(people.labels), len(grid)
    copies = _arrays(design, data, people, np.full(n, float(at)))
    owner, when = np.repeat(np.arange(n), m), np.tile(grid, n)
    rows = people.first.iloc[owner].assign(**{design.time: when})
    X, Z = one.design.fixed.rebuild(rows), one.design.random.rebuild(rows)
    start = sum(len(known.coefficient_names) for known in before)
    first = sum(len(known.effect_names) for known in before)
    beta, own = slice(start, start + X.shape[1]), slice(first, first + Z.shape[1])
    mean, variance = np.empty((2, len(thetas), n * m))
    for s, theta in enumerate(thetas):
        b, cov = joint.random_effects(copies, theta)
        mean[s] = X @ theta[beta] + np.einsum("rq,rq->r", Z, b[owner, own])
        variance[s] = np.einsum("rq,rqk,rk->r", Z, cov[owner, own, own], Z)
        if measurement:
            variance[s] += np.exp(2.0 * theta[data.p + k])
    frame = {design.group_name: np.repeat(people.labels, m), "time": when}
    return pd.DataFrame(frame), mean, variance


@dataclass(frozen=True)
class _People:
    """New patients: one row each, their entry, and each marker's measurements until `at`."""

    labels: pd.Index
    first: pd.DataFrame
    entry: np.ndarray
    measured: list[tuple[pd.DataFrame, np.ndarray]]


def _read(
    design: JointDesign,
    newdata: NewData,
    at: float,
    times: Sequence[float],
    *,
    marker: bool = False,
) -> tuple[np.ndarray, _People]:
    frames = _frames(design, newdata)
    grid = _check(design, frames, at, times, earliest=0.0 if marker else at)
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
    return grid, _People(labels, first, entry, measured)


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
    """Refuse rows that belong to nobody, and values of which nobody knows when they were measured.

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
    if problems:
        raise DataError(list(dict.fromkeys(problems)))


def _listed(frame: pd.DataFrame, rows: np.ndarray) -> str:
    """Labels of the first of some rows."""
    labels = [str(frame.index[k]) for k in rows[:5]]
    return ", ".join(labels) + (", ..." if len(rows) > 5 else "")


def _response_columns(marker: JointMarker, frame: pd.DataFrame) -> list[str]:
    """Columns of a frame that a marker's response is made of."""
    return [c for c in expression(marker.design.formula.response).columns if c in frame]


def _factors(
    design: JointDesign,
    data: joint.JointData,
    people: _People,
    exits: np.ndarray,
    thetas: np.ndarray,
    cause: int | None = None,
) -> np.ndarray:
    """Log factors, shape (S, n m), of m copies of each patient that leave at `exits`, (n m,).

    The copies are censored then, or have an event of a cause.
    """
    copies = _arrays(design, data, people, exits, cause)
    return np.array([joint.log_survival_factors(copies, theta) for theta in thetas])


def _arrays(
    design: JointDesign,
    data: joint.JointData,
    people: _People,
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
    named = _response_columns(marker, rows)
    known = rows[named].notna().all(axis=1).to_numpy()
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
