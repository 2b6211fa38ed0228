"""Designs of joint models: markers, causes of the event, and the markers' curves over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.design.fixed import FixedDesign, fixed_design
from longsurv.design.generalised import GeneralisedDesign
from longsurv.design.joint_patients import (
    CauseInput,
    MarkerInput,
    check_formulas,
    check_one_value,
    common_patients,
    patient_rows,
    time_problems,
    variables_of,
    with_event_rows,
)
from longsurv.design.joint_points import Curve, HazardPoints, hazard_points
from longsurv.design.links import Link
from longsurv.design.log_hazards import Baseline
from longsurv.design.mixed import MixedDesign
from longsurv.design.survival import SurvivalDesign
from longsurv.errors import DataError

type NewData = pd.DataFrame | Mapping[str, pd.DataFrame]
"""New measurements: of all markers in one frame, or a frame each by name."""

__all__ = [
    "CauseInput",
    "JointCause",
    "JointDesign",
    "JointMarker",
    "MarkerInput",
    "NewData",
    "joint_design",
]


@dataclass(frozen=True)
class JointMarker:
    """One marker of a joint model.

    Attributes
    ----------
    name : str
    prefix : str
        Of its parameters' names: empty for the only marker, else its name and a dot.
    design : MixedDesign
    measurements : DataFrame
        The rows of the marker's data whose patients are used; `design` is of these.
    group : ndarray of int, shape (n,)
        Patient of each measurement.
    curve : Curve
    censored : str or None
        Column that says which values are beyond a limit.
    """

    name: str
    prefix: str
    design: MixedDesign
    measurements: pd.DataFrame
    group: np.ndarray
    curve: Curve
    censored: str | None = None

    @property
    def weights(self) -> np.ndarray:
        """Weights of the measurements that let every patient count once, shape (n,)."""
        return 1.0 / np.bincount(self.group)[self.group]

    @property
    def coefficient_names(self) -> tuple[str, ...]:
        """Fixed effects."""
        return tuple(self.prefix + name for name in self.design.fixed.names)

    @property
    def effect_names(self) -> tuple[str, ...]:
        """Random effects."""
        return tuple(self.prefix + name for name in self.design.random.names)

    @property
    def kind(self) -> np.ndarray | None:
        """Censoring of each measurement (see `GeneralisedDesign`); None if all are measured."""
        return self.design.kind if isinstance(self.design, GeneralisedDesign) else None


@dataclass(frozen=True)
class Association:
    """One association parameter: its name, the marker's position, the link's kind, its column."""

    term: str
    marker: int
    kind: str
    column: str | None

    @property
    def base(self) -> str:
        """The association that this one is an interaction of, or itself."""
        return self.term.removesuffix(f":{self.column}") if self.column else self.term


@dataclass(frozen=True)
class JointCause:
    """One cause of the event.

    Attributes
    ----------
    name : str
    suffix : str
        Of its parameters' first word: empty for the only cause, else its name in brackets.
    event : SurvivalDesign
        Of the patients, in their order.
    rows : DataFrame
        Their rows of the event data.
    baseline : Baseline
    links : tuple of (int, Link, FixedDesign or None)
        Marker, link, and the columns it interacts with.
    covariates : ndarray, shape (N, c)
        Of the hazard, less their means.
    covariate_means : ndarray, shape (c,)
    points : HazardPoints
    associations : tuple of Association
    """

    name: str
    suffix: str
    event: SurvivalDesign
    rows: pd.DataFrame
    baseline: Baseline
    links: tuple[tuple[int, Link, FixedDesign | None], ...]
    covariates: np.ndarray
    covariate_means: np.ndarray
    points: HazardPoints
    associations: tuple[Association, ...]

    @property
    def status(self) -> np.ndarray:
        """1.0 where this is what happened at exit, shape (N,)."""
        return self.event.event.astype(float)

    @property
    def rate(self) -> float:
        """Events over time at risk."""
        return float(self.status.sum() / (self.event.exit - self.event.entry).sum())

    def constant(self, log_rate: float) -> np.ndarray:
        """Coefficients of a constant log baseline hazard."""
        level = np.arange(len(self.baseline.names)) < self.baseline.levels
        return np.where(level, log_rate, 0.0)

    @property
    def baseline_names(self) -> tuple[str, ...]:
        """Coefficients of the log baseline hazard."""
        return tuple(f"baseline{self.suffix}.{name}" for name in self.baseline.names)

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Coefficients of the hazard's covariates."""
        return tuple(f"event{self.suffix}.{name}" for name in self.event.fixed.names)

    @property
    def association_names(self) -> tuple[str, ...]:
        """Coefficients of the links."""
        return tuple(one.term for one in self.associations)

    @property
    def aliases(self) -> dict[str, list[str]]:
        """ "event." and a variable to the terms it stands for."""
        head = f"event{self.suffix}."
        variables = self.event.fixed.variables
        return {head + v: [head + n for n in names] for v, names in variables.items()}

    def link_values(self, beta: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The links at all points, (G,) each, given beta (p,) and b (N, q) of each marker."""
        owner = np.repeat(np.arange(len(self.status)), np.diff(self.points.start))
        return [
            beta[link.marker] @ link.x
            + np.einsum("qg,gq->g", link.z, b[link.marker][owner])
            - link.centre
            for link in self.points.links
        ]


@dataclass(frozen=True)
class JointDesign:
    """Arrays of a joint model and the recipes to rebuild them.

    Attributes
    ----------
    markers : tuple of JointMarker
    causes : tuple of JointCause
    time : str
        Name of the time in the markers' formulas.
    group_name : str
        Column that identifies patients.
    labels : Index, length N
        Patients, sorted; the order of everything.
    flags : tuple of str
        What was left out, in words.
    from_zero : bool
        Whether patients are at risk from time 0, also those under observation from later on.
    """

    markers: tuple[JointMarker, ...]
    causes: tuple[JointCause, ...]
    time: str
    group_name: str
    labels: pd.Index
    flags: tuple[str, ...]
    from_zero: bool = False

    @property
    def entry(self) -> np.ndarray:
        """Where each patient comes under observation, shape (N,)."""
        return self.causes[0].event.entry

    @property
    def exit(self) -> np.ndarray:
        """Where each patient's follow-up ends, shape (N,)."""
        return self.causes[0].event.exit

    @property
    def status(self) -> np.ndarray:
        """1.0 for patients with an event of any cause, shape (N,)."""
        return np.sum([cause.status for cause in self.causes], axis=0)

    @property
    def coefficient_names(self) -> tuple[str, ...]:
        """Fixed effects of all markers."""
        return tuple(name for m in self.markers for name in m.coefficient_names)

    @property
    def effect_names(self) -> tuple[str, ...]:
        """Random effects of all markers."""
        return tuple(name for m in self.markers for name in m.effect_names)

    @property
    def sigma_names(self) -> tuple[str, ...]:
        """Residual standard deviations."""
        return tuple(f"{m.prefix}sigma" for m in self.markers)

    @property
    def variance_names(self) -> tuple[str, ...]:
        """Residual SDs, the random effects' SDs, then their correlations, row by row."""
        z, group = self.effect_names, self.group_name
        sds = tuple(f"sd({name}|{group})" for name in z)
        pairs = tuple(f"cor({z[j]},{z[i]}|{group})" for i in range(len(z)) for j in range(i))
        return self.sigma_names + sds + pairs

    @property
    def baseline_names(self) -> tuple[str, ...]:
        """Coefficients of the log baseline hazards."""
        return tuple(name for c in self.causes for name in c.baseline_names)

    @property
    def event_names(self) -> tuple[str, ...]:
        """Covariates and associations of the hazards, cause by cause."""
        return tuple(n for c in self.causes for n in (*c.covariate_names, *c.association_names))

    @property
    def theta_names(self) -> tuple[str, ...]:
        """Elements of the kernel's parameter vector."""
        hazards = tuple(
            name
            for c in self.causes
            for name in (*c.baseline_names, *c.covariate_names, *c.association_names)
        )
        return self.coefficient_names + self.variance_names + hazards

    @property
    def rows(self) -> np.ndarray:
        """Positions of the used measurements, marker by marker."""
        return np.concatenate([marker.design.rows for marker in self.markers])

    def points(
        self,
        cause: JointCause,
        patients: Sequence[pd.DataFrame],
        events: pd.DataFrame,
        entry: np.ndarray,
        exit: np.ndarray,
    ) -> HazardPoints:
        """The points of any patients: a row of each of the frames, `patients` by marker."""
        curves = [
            Curve(marker.design, marker.curve.mean, frame)
            for marker, frame in zip(self.markers, patients, strict=True)
        ]
        return hazard_points(curves, cause.baseline, cause.links, events, self.time, entry, exit)


def joint_design(
    markers: Sequence[MarkerInput],
    causes: Sequence[CauseInput],
    time: str,
    links: Sequence[Sequence[Sequence[Link]]],
    baselines: Mapping[str, Baseline],
    *,
    from_zero: bool = False,
) -> JointDesign:
    """Put the designs of markers and causes together.

    Parameters
    ----------
    markers : sequence of MarkerInput
    causes : sequence of CauseInput
        Of data with one row a patient.
    time : str
        Column of the measurements with the time of each, on the clock of the event.
    links : sequence
        Of a cause, of a marker, its links.
    baselines : mapping of str to Baseline
        By cause.
    from_zero : bool
        Whether patients are at risk from time 0, also those under observation from later on.

    Raises
    ------
    FormulaError
        For a column that is missing.
    DataError
        For patients with several rows or none in the event data, causes that disagree about
        patients or times, measurements after the event or the end of follow-up, or variables of a
        marker's formula that change within a patient.
    """
    name = check_formulas(markers, causes, time)
    labels, ordered, flags = common_patients(causes, name)
    exit = ordered[0][0].exit
    several = len(markers) > 1
    chosen, problems = [], []
    for marker in markers:
        design, data, more = with_event_rows(marker, labels, causes[0].data[name], name)
        flags += [flag for flag in more if flag not in flags]
        group = labels.get_indexer(design.labels)[design.group]
        at = data[time].iloc[design.rows].to_numpy(dtype=float)
        what = f" of {marker.name}" if several else ""
        problems += time_problems(what, labels, group, at, exit, name)
        chosen.append((marker, design, data, group))
    if problems:
        raise DataError(problems)
    frames = [frame for _, frame in ordered] + [data for _, _, data, _ in chosen]
    members = []
    for marker, design, data, group in chosen:
        patients, unmeasured = patient_rows(design, data, frames, time, labels)
        if unmeasured:
            where = "elsewhere" if several else "in the hazard"
            what = f" of {marker.name}" if several else ""
            flags.append(f"{unmeasured} patients without a measurement{what} count {where} only.")
        curve = Curve(design, float(design.y.mean()), patients)
        prefix = f"{marker.name}." if several else ""
        members.append(
            JointMarker(marker.name, prefix, design, data, group, curve, marker.censored)
        )
    own = [
        (f"the event data{f' of {cause.name!r}' if len(causes) > 1 else ''}",
         rows[sorted(variables_of(event) & {*rows.columns})])
        for cause, (event, rows) in zip(causes, ordered, strict=True)
    ]  # fmt: skip
    measured = [(f"the measurements of {one.name!r}", one.curve.patients) for one in members]
    check_one_value([*own, *measured], labels, name)
    hazards = [
        _cause(members, cause.name, len(causes) > 1, *of, wanted, baselines[cause.name], time,
               from_zero)
        for cause, of, wanted in zip(causes, ordered, links, strict=True)
    ]  # fmt: skip
    return JointDesign(tuple(members), tuple(hazards), time, name, labels, tuple(flags), from_zero)


def _cause(
    markers: Sequence[JointMarker],
    name: str,
    several: bool,
    event: SurvivalDesign,
    rows: pd.DataFrame,
    wanted: Sequence[Sequence[Link]],
    baseline: Baseline,
    time: str,
    from_zero: bool,
) -> JointCause:
    suffix = f"[{name}]" if several else ""
    links, associations = [], []
    for m, (marker, of_marker) in enumerate(zip(markers, wanted, strict=True)):
        which = f"[{marker.name}]" if marker.prefix else ""
        for link in of_marker:
            by = fixed_design(link.by, rows, intercept=False)[0] if link.by else None
            links.append((m, link, by))
            for column in (None, *(by.names if by else ())):
                term = f"assoc{suffix}.{link.kind}{which}" + (f":{column}" if column else "")
                associations.append(Association(term, m, link.kind, column))
    means = event.fixed.X.mean(axis=0)
    entry = np.zeros_like(event.entry) if from_zero else event.entry
    curves = [marker.curve for marker in markers]
    try:
        points = hazard_points(curves, baseline, links, rows, time, entry, event.exit)
    except DataError as error:
        raise DataError(
            f"the hazard needs the markers' curves until every patient's exit, and {error}"
        ) from error
    return JointCause(
        name=name,
        suffix=suffix,
        event=event,
        rows=rows,
        baseline=baseline,
        links=tuple(links),
        covariates=event.fixed.X - means,
        covariate_means=means,
        points=points,
        associations=tuple(associations),
    )
