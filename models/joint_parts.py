"""The parts of a joint model as they are given: names, designs, arrays."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import pandas as pd

from longsurv.design.baseline import baseline
from longsurv.design.centred import centred
from longsurv.design.joint import CauseInput, JointDesign, MarkerInput, joint_design
from longsurv.design.links import Link, Wanted, links_of
from longsurv.design.log_hazards import Baseline
from longsurv.design.mixed import MixedDesign
from longsurv.design.names import is_name, unquoted
from longsurv.design.owned import needed
from longsurv.design.quadrature import normal_grid
from longsurv.design.scanned.scan import Scan
from longsurv.design.terms import columns_of, terms
from longsurv.errors import LongsurvError
from longsurv.likelihood import joint
from longsurv.models.cox import CoxPH
from longsurv.models.glmm import GLMM
from longsurv.models.hazard import Hazard
from longsurv.models.lmm import LMM


class JointParts(Protocol):
    """What a joint model is made of, each part by name."""

    @property
    def markers(self) -> Mapping[str, LMM | GLMM]:
        """The markers' models."""

    @property
    def causes(self) -> Mapping[str, CoxPH | Hazard]:
        """The models of the event's causes."""

    @property
    def time(self) -> str:
        """Column of the measurements' times."""

    @property
    def link(self) -> Wanted:
        """What of the markers' curves the hazards depend on."""

    @property
    def baseline(self) -> str | Mapping[str, str]:
        """Kind of the log baseline hazard, of all causes or by name."""

    @property
    def knots(self) -> Sequence[float] | None:
        """Its interior knots, if they are given."""

    @property
    def n_knots(self) -> int | None:
        """Their number, if that is given."""

    @property
    def entry(self) -> str:
        """Whom the random effects describe when patients enter late."""


def _named[S](
    given: object, kinds: tuple[type[S], type[S]], what: str, name_of: Callable[[S], str]
) -> dict[str, S]:
    """One specification, a sequence or a mapping of them, as a mapping."""
    if isinstance(given, kinds):
        given = [given]
    if isinstance(given, Mapping):
        out = {str(name): spec for name, spec in given.items()}
    elif isinstance(given, Sequence) and all(isinstance(spec, kinds) for spec in given):
        names = [name_of(spec) for spec in given]
        if len(set(names)) < len(names):
            raise LongsurvError(
                f"the {what}s would be called {names}; give a mapping of names that differ to them"
            )
        out = dict(zip(names, given, strict=True))
    else:
        out = {"": given}
    wrong = [spec for spec in out.values() if not isinstance(spec, kinds)]
    if wrong or not out:
        known = " or ".join(kind.__name__ for kind in kinds)
        shown = type(wrong[0]).__name__ if wrong else "nothing"
        raise LongsurvError(f"{what} is {known}, or several of them by name, not {shown}")
    return out


def markers_of(given: object) -> dict[str, LMM | GLMM]:
    """The markers by name."""

    def name_of(spec: LMM | GLMM) -> str:
        response = spec.formula.split("~")[0].strip()
        inside = re.fullmatch(r"[\w.]+\(\s*(`[^`]+`|\w+)\s*\)", response)
        name = inside.group(1) if inside else response
        return unquoted(name) if is_name(name) else name

    return _named(given, (LMM, GLMM), "marker", name_of)


def causes_of(given: object) -> dict[str, CoxPH | Hazard]:
    """The causes of the event by name."""

    def name_of(spec: CoxPH | Hazard) -> str:
        surv = re.match(r"\s*Surv\((.*?)\)", spec.formula)
        return unquoted(surv.group(1).split(",")[-1]) if surv else spec.formula

    out: dict[str, CoxPH | Hazard] = _named(given, (CoxPH, Hazard), "event", name_of)
    if varying := [v for spec in out.values() for v in getattr(spec, "time_varying", ())]:
        raise LongsurvError(f"a joint model has no time-varying hazard ratios; got {varying}")
    return out


def columns_needed(
    formulas: Iterable[str], time: str, links: Sequence[Sequence[Sequence[Link]]]
) -> frozenset[str]:
    """The columns that a joint model reads of its tables, as far as they have them.

    Parameters
    ----------
    formulas : iterable of str
        Of all parts.
    time : str
    links : sequence
        Of a cause, of a marker, its links, which may interact with columns of the patients.
    """
    by = {link.by for cause in links for marker in cause for link in marker if link.by}
    return frozenset({time}).union(*map(needed, formulas), *(columns_of(terms(b)) for b in by))


def with_rows[S: (LMM | GLMM | CoxPH | Hazard)](spec: S, columns: Collection[str]) -> S:
    """A part with those columns of its data in memory, where it is of a scan."""
    if not isinstance(spec.data, Scan):
        return spec
    rows = spec.data.whole([c for c in spec.data.names if c in columns])
    return cast("S", spec.with_data(rows))


def formula_of(spec: JointParts) -> str:
    """All parts of a model in one line."""
    markers, causes = list(spec.markers), list(spec.causes)
    links = []
    for cause, by_marker in zip(causes, links_of(spec.link, markers, causes), strict=True):
        terms = [
            f"{link}[{marker}]" if len(markers) > 1 else str(link)
            for marker, of in zip(markers, by_marker, strict=True)
            for link in of
        ]
        head = f"{cause}: " if len(causes) > 1 else ""
        links.append(head + (" + ".join(terms) or "no link"))
    parts = [one.formula for one in (*spec.markers.values(), *spec.causes.values())]
    base = spec.baseline if isinstance(spec.baseline, str) else dict(spec.baseline)
    return "; ".join([*parts, *links, f"{base} baseline"])


def build_design(spec: JointParts) -> JointDesign:
    """The design of a joint model."""
    markers = [
        MarkerInput(name, one.design, one.data, _rebuild(one), getattr(one, "censored", None))
        for name, one in spec.markers.items()
    ]
    causes = [CauseInput(name, one.design, one.data) for name, one in spec.causes.items()]
    links = links_of(spec.link, list(spec.markers), list(spec.causes))
    baselines = {cause.name: _baseline(spec, cause) for cause in causes}
    return joint_design(
        markers, causes, spec.time, links, baselines, from_zero=spec.entry == "population"
    )


def _rebuild(spec: LMM | GLMM) -> Callable[[pd.DataFrame], MixedDesign]:
    return lambda rows: spec.with_data(rows).design


def _baseline(spec: JointParts, cause: CauseInput) -> Baseline:
    kind = spec.baseline
    if not isinstance(kind, str):
        if set(kind) != set(spec.causes):
            raise LongsurvError(
                f"baseline names {sorted(kind)}; the causes are {sorted(spec.causes)}"
            )
        kind = kind[cause.name]
    d = cause.design
    lower = 0.0 if spec.entry == "population" else float(d.entry.min())
    return baseline(kind, d.exit, d.event, lower=lower, knots=spec.knots, n_knots=spec.n_knots)


@dataclass(frozen=True, eq=False)
class EffectColumns:
    """A marker's random effects in columns centred as those of its fixed effects.

    Attributes
    ----------
    to : ndarray, shape (q, q)
        The effects of the centred columns are to @ b, b the formula's.
    size : ndarray, shape (q,)
        What a default prior counts as one unit of each column: its standard deviation, every
        patient counting once, or the root mean square of one that is constant or not centred.
    """

    to: np.ndarray
    size: np.ndarray


def effect_columns(design: JointDesign, given: Collection[str] = ()) -> tuple[EffectColumns, ...]:
    """Of each marker; left as written where a prior of the user's own is of one that moves."""
    out = []
    for m in design.markers:
        (part,) = m.design.random.parts
        rows = m.measurements.iloc[m.design.rows]
        found = centred(part, rows, m.weights)
        moved = [n for n, row in zip(m.effect_names, found.to, strict=True) if (row != 0).sum() > 1]
        own = any(f"sd({name}|{design.group_name})" in given for name in moved)
        rms = np.sqrt(m.weights @ part.X**2 / m.weights.sum())
        size = rms if own else np.where(found.sd > 0.0, found.sd, rms)
        to = np.eye(len(found.to)) if own else found.to
        out.append(EffectColumns(to, np.where(size > 0.0, size, 1.0)))
    return tuple(out)


class BuiltParts(JointParts, Protocol):
    """Those with their design."""

    @property
    def design(self) -> JointDesign:
        """The arrays of all parts."""

    @property
    def quadrature_nodes(self) -> int:
        """Nodes for each random effect."""


def build_arrays(spec: BuiltParts, given: Collection[str]) -> joint.JointData:
    """The arrays of the likelihood, with the random effects that the priors are of, among them the
    user's own, which are `given` by name."""
    design, population = spec.design, spec.entry == "population"
    n, columns = len(design.labels), effect_columns(design, given)
    markers = tuple(
        joint.marker_data(m.design.fixed.X, m.design.y, m.design.Z, m.group, n, m.kind, of.to)
        for m, of in zip(design.markers, columns, strict=True)
    )
    grid = vars(normal_grid(spec.quadrature_nodes, len(design.effect_names)))
    causes = tuple(
        joint.CauseData(cause.status, cause.covariates, **vars(cause.points))
        for cause in design.causes
    )
    late = np.flatnonzero(design.entry > 0.0) if population else np.empty(0, dtype=np.int64)
    if not len(late):
        return joint.JointData(markers, causes, **grid)
    # Survival to entry of patients of whom nothing has been measured.
    entry, zero = design.entry[late], np.zeros(len(late))
    frames = [m.curve.patients.iloc[late] for m in design.markers]
    before = tuple(
        joint.CauseData(
            zero,
            cause.covariates[late],
            **vars(design.points(cause, frames, cause.rows.iloc[late], zero, entry)),
        )
        for cause in design.causes
    )
    unmeasured = tuple(marker.without_values(len(late)) for marker in markers)
    truncation = joint.Truncation(late, joint.JointData(unmeasured, before, **grid))
    return joint.JointData(markers, causes, **grid, truncation=truncation)
