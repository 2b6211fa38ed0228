"""Who is in a joint model: patients of the event data and of the markers, put in one order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from longsurv.design.generalised import GeneralisedDesign
from longsurv.design.mixed import MixedDesign
from longsurv.design.survival import SurvivalDesign, survival_design
from longsurv.errors import DataError, FormulaError
from longsurv.likelihood.glmm.families import FAMILIES
from longsurv.likelihood.glmm.family import INTERVAL
from longsurv.words import plural, some, verb

ROUNDING = 1e-9


@dataclass(frozen=True)
class MarkerInput:
    """A marker as it is given.

    Attributes
    ----------
    name : str
    design : MixedDesign
        Of `data`.
    data : DataFrame
        One row a measurement.
    rebuild : callable
        The design of other rows.
    censored : str or None
        Column that says which values are beyond a limit.
    """

    name: str
    design: MixedDesign
    data: pd.DataFrame
    rebuild: Callable[[pd.DataFrame], MixedDesign]
    censored: str | None = None


@dataclass(frozen=True)
class CauseInput:
    """A cause of the event as it is given: its name, its design, and the data it is of."""

    name: str
    design: SurvivalDesign
    data: pd.DataFrame


def check_formulas(markers: Sequence[MarkerInput], causes: Sequence[CauseInput], time: str) -> str:
    """The column of the patients, after a look at everything but the values.

    Raises
    ------
    FormulaError
        For columns that are missing or parts of a formula that a joint model does not have.
    """
    name = markers[0].design.group_name
    for marker in markers:
        design = marker.design
        if design.group_name != name:
            raise FormulaError(
                "all markers must be grouped by the same column: "
                f"{markers[0].name} is by {name!r}, {marker.name} by {design.group_name!r}"
            )
        if len(design.random.blocks) != 1 or design.structured:
            raise FormulaError(
                "a joint model needs one random term with correlated effects and independent "
                "residuals, as in (time | id)"
            )
        if isinstance(design, MixedDesign) and design.weights is not None:
            raise FormulaError(
                f"a joint model has no precision weights; {marker.name} is weighted by "
                f"{design.weights.column!r}"
            )
        if design.offset is not None:
            raise FormulaError(
                f"{design.formula.text!r}: a marker of a joint model has no offset(); subtract it "
                "from the response"
            )
        if isinstance(design, GeneralisedDesign) and not FAMILIES[design.family].takes_censored:
            raise FormulaError(
                "a marker of a joint model is an LMM or a GLMM of family 'censored', not of family "
                f"{design.family!r}"
            )
        if isinstance(design, GeneralisedDesign) and (design.kind == INTERVAL).any():
            raise FormulaError(
                f"{marker.name} has values between two limits; a joint model takes values below a "
                "limit and above one"
            )
    for column, frame, what in [
        *((name, cause.data, "event data") for cause in causes),
        *((time, marker.data, "measurements") for marker in markers),
    ]:
        if column not in frame:
            raise FormulaError(
                f"the {what} have no column {column!r}; they have {list(frame.columns)}"
            )
    for cause in causes:
        d = cause.design
        used = (d.strata, d.offset, d.weights)
        if any(part is not None for part in used) or d.cluster is not None:
            raise FormulaError(
                f"{d.formula.text!r}: the hazard of a joint model has no strata(), offset(), "
                "cluster() or weights"
            )
        if d.sites is not None:
            raise FormulaError(f"{d.formula.text!r}: a joint model has no site effects")
    return name


def common_patients(
    causes: Sequence[CauseInput], name: str
) -> tuple[pd.Index, list[tuple[SurvivalDesign, pd.DataFrame]], list[str]]:
    """Patients of all causes, sorted, and for each cause its design and data in that order.

    Raises
    ------
    DataError
        Unless all causes have the same patients, with one row each, the same times, and at most
        one event.
    """
    problems = []
    for cause in causes:
        ids = cause.data[name]
        if ids.duplicated().any():
            problems.append(
                f"the event data{_of(cause.name, causes)} must have one row a patient; {name} "
                f"{some(ids[ids.duplicated()])} have more"
            )
    first = causes[0]
    for cause in causes[1:]:
        for one, other in ((first, cause), (cause, first)):
            only = one.data[name][~one.data[name].isin(other.data[name])]
            if len(only):
                problems.append(
                    f"the causes must have the same patients; {name} {some(only)} are in the data "
                    f"of {one.name!r} and not of {other.name!r}"
                )
    if problems:
        raise DataError(problems)
    used = [pd.Index(cause.data[name].iloc[cause.design.rows]) for cause in causes]
    labels = used[0]
    for other in used[1:]:
        labels = labels[labels.isin(other)]
    labels = pd.Index(pd.factorize(labels, sort=True)[1])
    flags, out = [], []
    for cause, ids in zip(causes, used, strict=True):
        design, data = cause.design, cause.data
        if len(ids) > len(labels):
            flags.append(
                f"{plural(len(ids) - len(labels), 'patient')} of {cause.name!r}"
                f" {verb(len(ids) - len(labels), 'was', 'were')} left out: a value the hazard of"
                " another cause needs is missing."
            )
            data = data.loc[data[name].isin(labels)].reset_index(drop=True)
            functions = design.formula.functions
            design = survival_design(design.formula.text, data, functions=functions)
        rows = data.iloc[design.rows]
        order = pd.Index(rows[name]).get_indexer(labels)
        out.append((_in_order(design, order), rows.iloc[order]))
    _check_causes(causes, labels, [design for design, _ in out], name)
    return labels, out, flags


def _of(name: str, several: Sequence[object]) -> str:
    return f" of {name!r}" if len(several) > 1 else ""


def _in_order(design: SurvivalDesign, order: np.ndarray) -> SurvivalDesign:
    return replace(
        design,
        entry=design.entry[order],
        exit=design.exit[order],
        event=design.event[order],
        fixed=replace(design.fixed, X=design.fixed.X[order]),
        rows=design.rows[order],
    )


def _check_causes(
    causes: Sequence[CauseInput],
    labels: pd.Index,
    designs: Sequence[SurvivalDesign],
    name: str,
) -> None:
    problems = []
    first, events = designs[0], np.zeros(len(labels))
    for cause, design in zip(causes, designs, strict=True):
        events += design.event
        for what in ("entry", "exit"):
            one, other = getattr(first, what), getattr(design, what)
            apart = np.abs(one - other) > ROUNDING * np.maximum(np.abs(one), 1.0)
            if apart.any():
                problems.append(
                    f"{name} {some(labels[apart])} have another time of {what} in the data of "
                    f"{cause.name!r} than of {causes[0].name!r}; all causes share one follow-up"
                )
    if (events > 1).any():
        problems.append(
            f"{name} {some(labels[events > 1])} have events of several causes; what happened first "
            "ends the follow-up, and is the only one"
        )
    if (first.exit <= 0).any():
        problems.append(
            f"{name} {some(labels[first.exit <= 0])} have no follow-up time (exit at 0)"
        )
    if problems:
        raise DataError(problems)


def with_event_rows(
    marker: MarkerInput, labels: pd.Index, known: pd.Series, name: str
) -> tuple[MixedDesign, pd.DataFrame, list[str]]:
    """A marker's design and data for the patients of the events.

    Parameters
    ----------
    marker : MarkerInput
    labels : Index
        Patients used.
    known : Series
        Patients of the event data, those left out included.
    name : str
    """
    design, data = marker.design, marker.data
    absent = design.labels[~design.labels.isin(known)]
    if len(absent):
        raise DataError(f"{name} {some(absent)} have measurements but no row in the event data")
    left_out = design.labels[~design.labels.isin(labels)]
    if not len(left_out):
        return design, data, []
    data = data.loc[~data[name].isin(left_out)]
    flag = (
        f"{plural(len(left_out), 'patient')} {verb(len(left_out), 'was', 'were')} left out with"
        " their measurements: a value the hazard's formula needs is missing."
    )
    return marker.rebuild(data), data, [flag]


def time_problems(
    what: str, labels: pd.Index, group: np.ndarray, at: np.ndarray, exit: np.ndarray, name: str
) -> list[str]:
    """Problems with the times of a marker's measurements."""
    problems = []
    late = np.unique(group[at > exit[group] + ROUNDING * np.abs(exit[group])])
    if len(late):
        problems.append(
            f"{name} {some(labels[late])} have measurements{what} after their event or end of "
            "follow-up; a marker is only defined while the patient is followed: check the times, "
            "or drop those rows"
        )
    if not np.isfinite(at).all():
        problems.append(f"the time of some measurements{what} is missing or not finite")
    return problems


def variables_of(design: MixedDesign | SurvivalDesign) -> set[str]:
    """Columns that a marker's formula, or that of the hazard, is made of."""
    random = () if isinstance(design, SurvivalDesign) else design.random.parts
    recipes = [design.fixed.recipe, *(part.recipe for part in random)]
    return {str(v) for recipe in recipes for v in recipe.required_variables}


def patient_rows(
    design: MixedDesign,
    measurements: pd.DataFrame,
    others: Sequence[pd.DataFrame],
    time: str,
    labels: pd.Index,
) -> tuple[pd.DataFrame, int]:
    """Variables of a marker's formula, a row a patient, and how many were never measured.

    Those are taken from `others`: the event data, then the other markers'.
    """
    name = design.group_name
    used = measurements.iloc[design.rows]
    needed = sorted(v for v in variables_of(design) if v in measurements and v not in (time, name))
    varying = [v for v in needed if (used.groupby(name, observed=True)[v].nunique() > 1).any()]
    if varying:
        raise DataError(
            f"{varying} change within patients. The hazard needs the marker's curve at every "
            f"time, so the marker's formula may use {time!r} and what is constant within a patient"
        )
    rows = used.drop_duplicates(name).set_index(name)[needed]
    unmeasured = labels[~labels.isin(rows.index)]
    if not len(unmeasured):
        return rows.loc[labels].reset_index(), 0
    found, missing = {}, []
    for v in needed:
        sources = [o.dropna(subset=[v]).drop_duplicates(name).set_index(name)[v]
                   for o in others if v in o and name in o]  # fmt: skip
        known = pd.concat([source.astype(object) for source in sources]) if sources else None
        if known is None or not unmeasured.isin(known.index).all():
            missing.append(v)
            continue
        values = known[~known.index.duplicated()].loc[unmeasured]
        found[v] = pd.concat([rows[v].astype(object), values]).loc[labels].astype(rows[v].dtype)
    if missing:
        raise DataError(
            f"{name} {some(unmeasured)} have no measurement, and the event data do not say "
            f"their {missing}"
        )
    frame = pd.DataFrame(found, index=labels)
    return frame.rename_axis(name).reset_index(), len(unmeasured)


def check_one_value(
    sources: Sequence[tuple[str, pd.DataFrame]], labels: pd.Index, name: str
) -> None:
    """Refuse patients of whom one table says another value of a variable than another.

    Parameters
    ----------
    sources : sequence of (str, DataFrame)
        What each is called, and its variables with a row a patient, in the order of `labels`.
    labels : Index
        Patients.
    name : str
        Their column.

    Raises
    ------
    DataError
    """
    said: dict[object, tuple[str, pd.Series]] = {}
    problems = []
    for what, frame in sources:
        for variable in frame.columns.drop(name, errors="ignore"):
            first, one = said.setdefault(variable, (what, frame[variable]))
            differ = _differ(one, frame[variable])
            if differ.any():
                at = int(np.flatnonzero(differ)[0])
                problems.append(
                    f"{variable!r} of {name} {some(labels[differ])} is another in {what} than in"
                    f" {first} ({frame[variable].iloc[at]!s} and {one.iloc[at]!s}): a variable has"
                    " one value a patient; rename one of two that are not the same"
                )
    if problems:
        raise DataError(problems)


def _differ(one: pd.Series, other: pd.Series) -> np.ndarray:
    """Where two columns, of one order, have different values; where one has none they do not."""
    known = one.notna().to_numpy() & other.notna().to_numpy()
    if all(pd.api.types.is_numeric_dtype(column) for column in (one, other)):
        a, b = (column.to_numpy(dtype=float, na_value=np.nan) for column in (one, other))
        return known & (np.abs(a - b) > ROUNDING * np.maximum(np.abs(a), np.abs(b)))
    a, b = (column.astype(object).to_numpy() for column in (one, other))
    found = zip(known, a, b, strict=True)
    return np.array([there and bool(x != y) for there, x, y in found], dtype=bool)
