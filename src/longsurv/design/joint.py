"""Designs of joint models: marker, event, and the marker's curve at the times the hazard needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from longsurv.design.baseline import Baseline
from longsurv.design.fixed import FixedDesign, fixed_design
from longsurv.design.links import Links, constant_under, link_rows
from longsurv.design.mixed import MixedDesign, mixed_design
from longsurv.design.quadrature import time_points
from longsurv.design.survival import SurvivalDesign
from longsurv.errors import DataError, FormulaError

ROUNDING = 1e-9


@dataclass(frozen=True)
class HazardPoints:
    """The hazard's ingredients at each patient's exit and quadrature points, patient by patient.

    Attributes
    ----------
    start : ndarray of int, shape (N + 1,)
        Points start[i] to start[i + 1] - 1 are those of patient i, the exit first.
    weight : ndarray, shape (G,)
        Of the quadrature; 0 at an exit.
    basis : ndarray, shape (m, G)
        Of the log baseline hazard.
    link_x, link_z : ndarray, shapes (K, p, G) and (K, q, G)
    link_centre : ndarray, shape (K, G)
        The links of a curve that stays at the marker's mean.
    """

    start: np.ndarray
    weight: np.ndarray
    basis: np.ndarray
    link_x: np.ndarray
    link_z: np.ndarray
    link_centre: np.ndarray


@dataclass(frozen=True)
class JointDesign:
    """Arrays of a joint model and the recipes to rebuild them.

    Attributes
    ----------
    marker : MixedDesign
    event : SurvivalDesign
    baseline : Baseline
    links : Links
    by : tuple of FixedDesign or None
        Columns that each link interacts with.
    time : str
    labels : Index, length N
        Patients, sorted; the order of everything below.
    group : ndarray of int, shape (n,)
        Patient of each measurement.
    entry, exit, status : ndarray, shape (N,)
    covariates : ndarray, shape (N, c)
        Of the hazard, less their means.
    covariate_means : ndarray, shape (c,)
    measurements : DataFrame
        The rows of the marker's data whose patients are used.
    patients : DataFrame, N rows
        What the marker's formula needs of each patient besides time.
    marker_mean : float
        Mean of the response, at which the links are centred.
    points : HazardPoints
    flags : tuple of str
        What was left out, in words.
    """

    marker: MixedDesign
    event: SurvivalDesign
    baseline: Baseline
    links: Links
    by: tuple[FixedDesign | None, ...]
    time: str
    labels: pd.Index
    group: np.ndarray
    entry: np.ndarray
    exit: np.ndarray
    status: np.ndarray
    covariates: np.ndarray
    covariate_means: np.ndarray
    measurements: pd.DataFrame
    patients: pd.DataFrame
    marker_mean: float
    points: HazardPoints
    flags: tuple[str, ...]

    @property
    def link_names(self) -> tuple[str, ...]:
        """One name an association parameter."""
        out = []
        for link, by in zip(self.links.links, self.by, strict=True):
            out += [link.kind, *(f"{link.kind}:{name}" for name in (by.names if by else ()))]
        return tuple(out)

    @property
    def baseline_names(self) -> tuple[str, ...]:
        """Coefficients of the log baseline hazard."""
        return tuple(f"baseline.{name}" for name in self.baseline.names)

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Coefficients of the hazard's covariates."""
        return tuple(f"event.{name}" for name in self.event.fixed.names)

    @property
    def association_names(self) -> tuple[str, ...]:
        """Coefficients of the links."""
        return tuple(f"assoc.{name}" for name in self.link_names)

    @property
    def theta_names(self) -> tuple[str, ...]:
        """Elements of the kernel's parameter vector."""
        marker = self.marker.fixed.names + self.marker.variance_names
        return marker + self.baseline_names + self.covariate_names + self.association_names

    @property
    def rows(self) -> np.ndarray:
        """Positions of the used measurements."""
        return self.marker.rows

    @property
    def rate(self) -> float:
        """Events over time at risk."""
        return float(self.status.sum() / (self.exit - self.entry).sum())

    def links_at_exit(self, beta: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Values of the links at each patient's exit, shape (K, N), for beta (p,) and b (N, q)."""
        last = self.points.start[:-1]
        own = np.einsum("kqn,nq->kn", self.points.link_z[:, :, last], b)
        return beta @ self.points.link_x[:, :, last] + own

    def hazard_points(
        self, patients: pd.DataFrame, events: pd.DataFrame, entry: np.ndarray, exit: np.ndarray
    ) -> HazardPoints:
        """The points of any patients: `patients` and `events` have a row for each of them."""
        by = [one.rebuild(events) if one is not None else None for one in self.by]
        return _points(
            self.marker,
            self.baseline,
            self.links,
            by,
            self.time,
            patients,
            entry,
            exit,
            self.marker_mean,
        )


def joint_design(
    marker: MixedDesign,
    measurements: pd.DataFrame,
    event: SurvivalDesign,
    events: pd.DataFrame,
    time: str,
    links: Links,
    baseline: Baseline,
) -> JointDesign:
    """Put the designs of a marker and an event together.

    Parameters
    ----------
    marker : MixedDesign
        Of `measurements`.
    event : SurvivalDesign
        Of `events`, one row a patient.
    time : str
        Column of `measurements` with the time of each, on the clock of the event.
    links : Links
    baseline : Baseline

    Raises
    ------
    FormulaError
        For a column that is missing.
    DataError
        For patients with several rows or none in the event data, measurements after the event or
        the end of follow-up, or variables of the marker's formula that change within a patient.
    """
    name = marker.group_name
    for column, frame, what in [(name, events, "event data"), (time, measurements, "measurements")]:
        if column not in frame:
            raise FormulaError(
                f"the {what} have no column {column!r}; they have {list(frame.columns)}"
            )
    if len(marker.random.blocks) != 1 or marker.structured:
        raise FormulaError(
            "a joint model needs one random term with correlated effects and independent "
            "residuals, as in (time | id)"
        )
    marker, measurements, flags = _with_event_rows(marker, measurements, event, events)
    used = events.iloc[event.rows]
    order = np.argsort(pd.factorize(used[name], sort=True)[0], kind="stable")
    used = used.iloc[order]
    labels = pd.Index(used[name])
    exit = event.exit[order]
    group = labels.get_indexer(marker.labels)[marker.group]
    _check(labels, group, measurements[time].iloc[marker.rows].to_numpy(dtype=float), exit, name)
    patients, more = _patient_rows(marker, measurements, used, time, labels)
    by = tuple(
        fixed_design(link.by, used, intercept=False)[0] if link.by else None for link in links.links
    )
    means = event.fixed.X.mean(axis=0)
    centre = float(marker.y.mean())
    points = _points(
        marker, baseline, links, [b.X if b else None for b in by], time,
        patients, event.entry[order], exit, centre,
    )  # fmt: skip
    return JointDesign(
        marker=marker,
        event=event,
        baseline=baseline,
        links=links,
        by=by,
        time=time,
        labels=labels,
        group=group,
        entry=event.entry[order],
        exit=exit,
        status=event.event[order].astype(float),
        covariates=event.fixed.X[order] - means,
        covariate_means=means,
        measurements=measurements,
        patients=patients,
        marker_mean=centre,
        points=points,
        flags=(*flags, *more),
    )


def _with_event_rows(
    marker: MixedDesign, measurements: pd.DataFrame, event: SurvivalDesign, events: pd.DataFrame
) -> tuple[MixedDesign, pd.DataFrame, list[str]]:
    """The marker's design for the patients that the event's design has."""
    name = marker.group_name
    problems = []
    ids = events[name]
    if ids.duplicated().any():
        problems.append(
            "the event data must have one row a patient; "
            f"{name} {_some(ids[ids.duplicated()])} have more"
        )
    absent = marker.labels[~marker.labels.isin(ids)]
    if len(absent):
        problems.append(f"{name} {_some(absent)} have measurements but no row in the event data")
    if problems:
        raise DataError(problems)
    left_out = marker.labels[~marker.labels.isin(ids.iloc[event.rows])]
    flags = []
    if len(left_out):
        flags.append(
            f"{len(left_out)} patients were left out with their measurements: a value the hazard's "
            "formula needs is missing."
        )
        measurements = measurements.loc[~measurements[name].isin(left_out)]
        marker = mixed_design(marker.formula.text, measurements)
    return marker, measurements, flags


def _check(
    labels: pd.Index, group: np.ndarray, at: np.ndarray, exit: np.ndarray, name: str
) -> None:
    problems = []
    late = np.unique(group[at > exit[group] + ROUNDING * np.abs(exit[group])])
    if len(late):
        problems.append(
            f"{name} {_some(labels[late])} have measurements after their event or end of "
            "follow-up; a marker is only defined while the patient is followed: check the times, "
            "or drop those rows"
        )
    if not np.isfinite(at).all():
        problems.append("the time of some measurements is missing or not finite")
    if (exit <= 0).any():
        problems.append(f"{name} {_some(labels[exit <= 0])} have no follow-up time (exit at 0)")
    if problems:
        raise DataError(problems)


def _variables(marker: MixedDesign) -> set[str]:
    recipes = [marker.fixed.recipe, *(part.recipe for part in marker.random.parts)]
    return {str(v) for recipe in recipes for v in recipe.required_variables}


def _patient_rows(
    marker: MixedDesign,
    measurements: pd.DataFrame,
    events: pd.DataFrame,
    time: str,
    labels: pd.Index,
) -> tuple[pd.DataFrame, list[str]]:
    """Variables of the marker's formula; for patients never measured, from the event data."""
    name = marker.group_name
    used = measurements.iloc[marker.rows]
    needed = sorted(v for v in _variables(marker) if v in measurements and v not in (time, name))
    varying = [v for v in needed if (used.groupby(name, observed=True)[v].nunique() > 1).any()]
    if varying:
        raise DataError(
            f"{varying} change within patients. The hazard needs the marker's curve at every "
            f"time, so the marker's formula may use {time!r} and what is constant within a patient"
        )
    rows = used.drop_duplicates(name).set_index(name)[needed]
    unmeasured = labels[~labels.isin(rows.index)]
    flags = []
    if len(unmeasured):
        missing = [
            v
            for v in needed
            if v not in events or events.set_index(name).loc[unmeasured, v].isna().any()
        ]
        if missing:
            raise DataError(
                f"{name} {_some(unmeasured)} have no measurement, and the event data do not say "
                f"their {missing}"
            )
        rows = pd.concat([rows, events.set_index(name).loc[unmeasured, needed]])
        flags.append(f"{len(unmeasured)} patients without a measurement count in the hazard only.")
    return rows.loc[labels].reset_index(), flags


def _some(values: Iterable[Any]) -> str:
    listed = list(dict.fromkeys(values))
    return ", ".join(str(v) for v in listed[:5]) + (", ..." if len(listed) > 5 else "")


def _points(
    marker: MixedDesign,
    baseline: Baseline,
    links: Links,
    by: Iterable[np.ndarray | None],
    time: str,
    patients: pd.DataFrame,
    entry: np.ndarray,
    exit: np.ndarray,
    marker_mean: float,
) -> HazardPoints:
    n = len(exit)
    inner = time_points(entry, exit, baseline.breaks, baseline.power)
    owner = np.concatenate([np.arange(n), inner.owner])
    order = np.argsort(owner, kind="stable")  # so that each exit comes first
    owner = owner[order]
    t = np.concatenate([exit, inner.time])[order]
    weight = np.concatenate([np.zeros(n), inner.weight])[order]
    x, z, centre = [], [], []
    for link, columns in zip(links.links, by, strict=True):
        rows_x = link_rows(link.kind, marker.fixed, patients, time, owner, t)
        rows_z = link_rows(link.kind, marker.random, patients, time, owner, t)
        constant = marker_mean * constant_under(link.kind, t)
        factors = np.ones((n, 1)) if columns is None else np.column_stack([np.ones(n), columns])
        for factor in factors.T:
            each = factor[owner]
            x.append(rows_x.T * each)
            z.append(rows_z.T * each)
            centre.append(constant * each)
    return HazardPoints(
        start=np.searchsorted(owner, np.arange(n + 1)),
        weight=weight,
        basis=np.ascontiguousarray(baseline.basis(t).T),
        link_x=np.stack(x),
        link_z=np.stack(z),
        link_centre=np.stack(centre),
    )
