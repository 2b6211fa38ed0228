"""Survival of a patient, and the patient's own curve, from measurements so far, by a joint model.

    P(T > u | T > t, y until t) = E[S(u | b) | y] / E[S(t | b) | y]
    P(T <= u, cause c | T > t, y until t) = int_t^u E[h_c(s | b) S(s | b) | y] ds / E[S(t | b) | y]

with S the probability of no event of any cause. Every mean is a factor of the joint likelihood
(`longsurv.likelihood.joint`) of a patient censored, or with an event, at that time: the random
effects are integrated out, nothing is simulated. The curve at u is x(u)'beta + z(u)'b, of which
E[b | T > t, y] and the covariance are of the same factor.

Rizopoulos (2011), Biometrics 67:819-829; Andrinopoulou et al. (2015), Stat Med 34:3200-3213.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from longsurv.design.joint import JointDesign, NewData
from longsurv.design.quadrature import time_points
from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.joint_rows import chosen_marker
from longsurv.estimands.new_patients import NewPatients, copies_of, has_value, read_patients
from longsurv.inference import Flat
from longsurv.inference.identify import LOADS
from longsurv.likelihood import joint
from longsurv.words import plural, some

MOVES = 1e-4
"""Share of what is added up below which a log hazard does not move along a direction."""
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
    grid, people = read_patients(design, newdata, at, times)
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
    grid, people = read_patients(design, newdata, at, times)
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
    grid, people = read_patients(design, newdata, at, times, earlier=True)
    n, m = len(people.labels), len(grid)
    copies = copies_of(design, data, people, np.full(n, float(at)))
    owner, when = np.repeat(np.arange(n), m), np.tile(grid, n)
    X, Z = _at_times(design, people, k, grid)
    first = sum(len(known.effect_names) for known in design.markers[:k])
    beta, own = _coefficients(design)[k], slice(first, first + Z.shape[1])
    mean, variance = np.empty((2, len(thetas), n * m))
    for s, theta in enumerate(thetas):
        b, cov = joint.random_effects(copies, theta)
        mean[s] = X @ theta[beta] + np.einsum("rq,rq->r", Z, b[owner, own])
        variance[s] = np.einsum("rq,rqk,rk->r", Z, cov[owner, own, own], Z)
        if measurement:
            variance[s] += np.exp(2.0 * theta[data.p + k])
    frame = {design.group_name: np.repeat(people.labels, m), "time": when}
    return pd.DataFrame(frame), mean, variance


def _at_times(
    design: JointDesign, people: NewPatients, k: int, grid: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the k-th marker's fixed and random part, of each patient at each time."""
    owner = np.repeat(np.arange(len(people.labels)), len(grid))
    rows = people.first.iloc[owner].assign(**{design.time: np.tile(grid, len(people.labels))})
    one = design.markers[k].design
    return one.fixed.rebuild(rows), one.random.rebuild(rows)


def _coefficients(design: JointDesign) -> list[slice]:
    """Where each marker's coefficients are among the parameters."""
    ends = np.cumsum([0] + [len(marker.coefficient_names) for marker in design.markers])
    return [slice(int(a), int(b)) for a, b in pairwise(ends)]


def check_curves(
    design: JointDesign,
    data: joint.JointData,
    newdata: NewData,
    at: float,
    times: Sequence[float],
    marker: str | None,
    flat: Flat,
    undetermined: Sequence[str],
) -> None:
    """Refuse patients whose own curve moves along directions that the data do not determine.

    The curve at the times asked about, what each marker's values so far are held against, and the
    markers that the hazard until `at` depends on. Where the hazard itself has no estimate, as that
    of a group without events, survival until then is 1 and says nothing of the curve.

    Parameters
    ----------
    design, data, newdata, at, times, marker
        As for `patient_curves`.
    flat : Flat
        Of the parameter vector.
    undetermined : sequence of str
        The coefficients that move, for the message.

    Raises
    ------
    EstimationError
        Which patients, and because of which coefficients.
    """
    k = chosen_marker([known.name for known in design.markers], marker)
    grid, people = read_patients(design, newdata, at, times, earlier=True)
    n = len(people.labels)
    copies = copies_of(design, data, people, np.full(n, float(at)))
    asked = (k, _at_times(design, people, k, grid)[0], np.repeat(np.arange(n), len(grid)))
    moves = _curves_move(design, people, copies, flat, [asked])
    if moves.any():
        raise EstimationError(
            f"the curve of {plural(int(moves.sum()), 'patient')} ({some(people.labels[moves])})"
            " is not known: it depends on "
            f"{', '.join(undetermined)}, which the data do not determine; fit.flags says why"
        )


def _curves_move(
    design: JointDesign,
    people: NewPatients,
    copies: joint.JointData,
    flat: Flat,
    asked: Sequence[tuple[int, np.ndarray, np.ndarray]] = (),
) -> np.ndarray:
    """Whether what a patient's values so far are held against, a marker in the hazard, or what else
    is asked (the marker, its rows of fixed effects, their patients) is not determined, (n,)."""
    n, own, found = len(people.labels), _coefficients(design), list(asked)
    for j, (one, (rows, owner)) in enumerate(zip(design.markers, people.measured, strict=True)):
        known = has_value(one, rows)
        found.append((j, one.design.fixed.rebuild(rows.loc[known]), owner[known]))
    for cause in copies.causes:
        owner = np.repeat(np.arange(n), np.diff(cause.start))
        found += [(link.marker, link.x.T, owner) for link in cause.links]
    moves = np.zeros(n, dtype=bool)
    for j, X, owner in found:
        weights = np.zeros((len(X), len(flat.scale)))
        weights[:, own[j]] = X
        np.logical_or.at(moves, owner, ~flat.estimable(weights))
    return moves


def check_known(
    design: JointDesign,
    data: joint.JointData,
    newdata: NewData,
    at: float,
    times: Sequence[float],
    theta: np.ndarray,
    flat: Flat,
    undetermined: Sequence[str],
) -> None:
    """Refuse patients whose hazard moves along directions that the data do not determine.

    Parameters
    ----------
    design, data, newdata, at, times
        As for `conditional_survival`.
    theta : ndarray, shape (d,)
        The estimate.
    flat : Flat
        Of the parameter vector.
    undetermined : sequence of str
        The coefficients that move, for the message.

    Raises
    ------
    EstimationError
        Which patients, and because of which coefficients.
    """
    grid, people = read_patients(design, newdata, at, times)
    end = np.full(len(people.labels), float(grid.max()))
    copies, start = copies_of(design, data, people, end), data.n_marker
    unit = flat.directions / flat.scale[:, None]
    directions = np.where(np.abs(unit) > LOADS * np.linalg.norm(unit, axis=0), flat.directions, 0.0)
    p = np.cumsum([0] + [len(marker.coefficient_names) for marker in design.markers])
    moves = np.full(len(people.labels), directions[p[-1] : start].any())  # standard deviations
    if directions[: p[-1]].any():
        moves |= _curves_move(design, people, copies, flat)
    for cause in copies.causes:
        base, covariates, links = np.split(
            directions[start : (start := start + sum(cause.sizes))], np.cumsum(cause.sizes)[:2]
        )
        owner = np.repeat(np.arange(len(moves)), np.diff(cause.start))
        along = cause.basis.T @ base + (cause.covariates @ covariates)[owner]
        size = np.abs(cause.basis.T) @ np.abs(base)
        size += (np.abs(cause.covariates) @ np.abs(covariates))[owner]
        for link, move in zip(cause.links, links, strict=True):
            mean = theta[p[link.marker] : p[link.marker + 1]] @ link.x - link.centre
            along, size = along + np.outer(mean, move), size + np.outer(np.abs(mean), np.abs(move))
            # Random effects are different at every draw: what they have a part in moves.
            np.logical_or.at(moves, owner, link.z.any(axis=0) & move.any())
        of_some, of_all = _parted(np.vstack([covariates, links]))
        for k in range(len(moves)):
            mine = slice(cause.start[k], cause.start[k + 1])
            moves[k] |= _moves(along[mine] @ of_some, along[mine] @ of_all, size[mine].max())
    if moves.any():
        raise EstimationError(
            f"what happens to {plural(int(moves.sum()), 'patient')} ({some(people.labels[moves])})"
            " is not known: it depends on "
            f"{', '.join(undetermined)}, which the data do not determine; fit.flags says why"
        )


def _parted(covariates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Combinations of directions, the rows of covariates and links in them with shape (c, k): those
    that covariates or links have a part in, and those of the baseline alone.

    A stretch of time without events has a hazard of 0 whoever is at risk, as in Kaplan and Meier's
    curve: that is an estimate of survival. A group without events has none.
    """
    _, sizes, right = np.linalg.svd(covariates)
    rank = int((sizes > LOADS * sizes.max(initial=0.0)).sum()) if covariates.any() else 0
    return right[:rank].T, right[rank:].T


def _moves(along: np.ndarray, of_all: np.ndarray, size: float) -> bool:
    """Whether a log hazard at some times moves along directions as the baseline's do not."""
    rest = along
    if of_all.size:
        rest = along - of_all @ np.linalg.lstsq(of_all, along, rcond=None)[0]
    return bool((np.abs(rest) > MOVES * size).any())


def _factors(
    design: JointDesign,
    data: joint.JointData,
    people: NewPatients,
    exits: np.ndarray,
    thetas: np.ndarray,
    cause: int | None = None,
) -> np.ndarray:
    """Log factors, shape (S, n m), of m copies of each patient that leave at `exits`, (n m,).

    The copies are censored then, or have an event of a cause.
    """
    copies = copies_of(design, data, people, exits, cause)
    return np.array([joint.log_survival_factors(copies, theta) for theta in thetas])
