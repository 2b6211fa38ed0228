"""Markers as baseline covariates of survival, and the guard against measurements after baseline.

A patient has to live until day 5 to have a value of day 5. To compare survival from day 0 by such a
value gives those who have one five days in which they cannot die (immortal time), and leaves out
who died before it was measured. A baseline covariate is therefore one measured by the time the
patient's risk begins (`Schema.entry`); any other is refused, with what can be done instead.

Suissa S. Immortal time bias in observational studies of drug effects. Pharmacoepidemiol Drug Saf
2007;16:241-249.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from longsurv.cohort.problems import show, show_list, suggest
from longsurv.errors import DataError
from longsurv.words import plural

if TYPE_CHECKING:
    from longsurv.cohort.schema import Marker, Schema

_SHOWN = 5
_FEWEST = 5  # patients whose values must agree before a column is taken for a marker's


class MeasuredCohort(Protocol):
    """What is asked here of a `Cohort`."""

    @property
    def schema(self) -> Schema:
        """The columns and rules."""

    @property
    def markers(self) -> dict[str, Marker]:
        """The markers by name."""

    @property
    def covariates(self) -> list[str]:
        """Columns of the patients that models use."""

    def marker_data(self, name: str, /) -> pd.DataFrame:
        """Measurements of one marker."""

    def survival_data(self) -> pd.DataFrame:
        """Follow-up, one row a patient."""


def marker_covariates(cohort: MeasuredCohort, wanted: Mapping[str, str | float]) -> pd.DataFrame:
    """Values of markers known when risk begins, as columns for a survival model.

    Parameters
    ----------
    cohort : Cohort
    wanted : mapping of str to str or float
        Marker to the phase, or to the day, of its value: each patient's last in that phase, or by
        that day.

    Returns
    -------
    DataFrame, shape (patients, markers)
        In the order of `cohort.patients`; raw units, a value beyond a detection limit at the limit,
        NaN for patients without a value.

    Raises
    ------
    DataError
        Listing every unknown marker or phase, every marker without values, and every one with a
        value measured after its patient's entry.
    """
    problems: list[str] = []
    people = cohort.survival_data()
    columns = {}
    for name, when in wanted.items():
        unknown = _unknown(cohort, name, when, people)
        if unknown:
            problems.append(unknown)
            continue
        last = _last_values(cohort, name, when).reindex(people[cohort.schema.patient])
        day = last[cohort.schema.time].to_numpy(dtype=float)
        late = day > people["entry"].to_numpy()
        if late.any():
            problems.append(_refusal(cohort, name, when, people, day, late))
        elif np.isnan(day).all():
            problems.append(f"marker {show(name)}: no patient has a value {_when(when)}")
        columns[name] = last["value"].to_numpy(dtype=float)
    if problems:
        raise DataError(problems)
    return pd.DataFrame(columns, index=people.index)


def covariate_kinds(cohort: MeasuredCohort) -> dict[str, str]:
    """How each covariate was read, in words: a number, or a category with its levels.

    Parameters
    ----------
    cohort : Cohort

    Returns
    -------
    dict of str to str
    """
    people = cohort.survival_data()
    return {name: _kind(people[name]) for name in cohort.covariates}


def _kind(column: pd.Series) -> str:
    known = column.dropna()
    gaps = (
        f", {plural(len(column) - len(known), 'value')} missing" if len(known) < len(column) else ""
    )
    if known.empty:
        return f"no value{gaps}"
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        low, high = float(known.min()), float(known.max())
        return f"number, {low:g} to {high:g}{gaps}"
    categories = isinstance(column.dtype, pd.CategoricalDtype)
    levels = list(column.cat.categories) if categories else sorted(known.unique(), key=str)
    return f"{plural(len(levels), 'level')}: {show_list(levels, _SHOWN)}{gaps}"


def late_covariates(cohort: MeasuredCohort, formula: str, known: Collection[str] = ()) -> list[str]:
    """Find the covariates of a survival formula that hold a marker measured after entry.

    A column is one if it is named so ("il6_after" or "after_il6", where "after" is a phase that
    begins after some patient's entry), or if every value in it (five or more) is one that the
    patient's marker had only after entry.

    Parameters
    ----------
    cohort : Cohort
    formula : str
        Right-hand side, such as ``"treatment + age + log(crp)"``.
    known : collection of str
        Names to leave alone: markers obtained by `marker_covariates`.

    Returns
    -------
    list of str
        A problem for each, with what to do instead; a variable that is a marker and not a column
        is one too, with how to obtain it.
    """
    people = cohort.survival_data()
    problems = []
    names = {*map(str, people.columns), *cohort.markers} - set(known)
    longest_first = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    for variable in sorted(set(re.findall(rf"(?<!\w)(?:{longest_first})(?!\w)", formula))):
        if variable in cohort.markers and variable not in people:
            problems.append(
                f"{show(variable)} is a marker, measured repeatedly, not a column of the patient "
                "table: say at which phase or day, as survival_data(markers="
                f'{{"{variable}": "{_first_phase(cohort)}"}}), which must be by entry'
            )
        elif variable in people and variable != cohort.schema.treatment:
            source = _named_late(cohort, variable, people) or _equal_late(cohort, variable, people)
            if source:
                problems.append(f"covariate {show(variable)} {source}. {_advice(cohort)}")
    return problems


def _unknown(cohort: MeasuredCohort, name: str, when: str | float, people: pd.DataFrame) -> str:
    if name not in cohort.markers:
        near = suggest(name, cohort.markers) or f"the markers are {show_list(cohort.markers)}"
        return f"there is no marker {show(name)}; {near}"
    if name in people:
        return f"marker {show(name)}: the patient table has a column of that name; rename one"
    phases = [phase.name for phase in cohort.schema.phases]
    if isinstance(when, str) and when not in phases:
        near = suggest(when, phases) or f"the phases are {show_list(phases) or 'none'}"
        return f"marker {show(name)}: there is no phase {show(when)}; {near}"
    return ""


def _last_values(cohort: MeasuredCohort, name: str, when: str | float) -> pd.DataFrame:
    """Each patient's last measurement in the phase or by the day, indexed by patient."""
    schema, data = cohort.schema, cohort.marker_data(name)
    chosen = data["phase"] == when if isinstance(when, str) else data[schema.time] <= when
    data = data[chosen].sort_values(schema.time, kind="stable")
    return data.drop_duplicates(schema.patient, keep="last").set_index(schema.patient)


def _refusal(
    cohort: MeasuredCohort,
    name: str,
    when: str | float,
    people: pd.DataFrame,
    day: np.ndarray,
    late: np.ndarray,
) -> str:
    unit = cohort.schema.time_unit
    ids, entry = people[cohort.schema.patient], people["entry"]
    n = int(late.sum())
    shown = np.flatnonzero(late)[:_SHOWN]
    examples = ", ".join(
        f"patient {ids.iloc[i]} ({unit} {day[i]:g}, at risk from {entry.iloc[i]:g})" for i in shown
    )
    more = f" and {n - _SHOWN:,} more" if n > _SHOWN else ""
    text = (
        f"marker {show(name)} {_when(when)} is not a baseline covariate: it was measured after the "
        f"start of risk in {plural(n, 'patient')}: {examples}{more}."
    )
    gone = np.isnan(day) & (people["exit"] <= np.nanmin(day[late])).to_numpy()
    if gone.any():
        text += (
            f" {plural(int(gone.sum()), 'patient')} had died or left before anyone's was measured, "
            f"so {'has' if gone.sum() == 1 else 'have'} none: {_some(ids[gone])}."
        )
    return f"{text} {_advice(cohort, float(np.nanmax(day[late])))}"


def _advice(cohort: MeasuredCohort, day: float | None = None) -> str:
    at = f"{day:g}" if day is not None else "day"
    return (
        f"Instead: start the clock later with the patients still at risk (landmark(cohort, {at})); "
        "or let it vary in time, a row an interval from one measurement to the next "
        "(CoxPH on Surv(start, stop, event)); or model marker and survival together (JointModel)"
    )


def _when(when: str | float) -> str:
    return f"at phase {show(when)}" if isinstance(when, str) else f"by {when:g}"


def _some(values: pd.Series) -> str:
    return show_list((str(value) for value in values), _SHOWN).replace('"', "")


def _first_phase(cohort: MeasuredCohort) -> Hashable:
    return cohort.schema.phases[0].name if cohort.schema.phases else "phase"


def _named_late(cohort: MeasuredCohort, variable: str, people: pd.DataFrame) -> str:
    first = float(people["entry"].min())
    for phase in cohort.schema.phases:
        for name in cohort.markers:
            names = {f"{a}{sep}{b}" for a, b in ((name, phase.name), (phase.name, name))
                     for sep in "_. -"}  # fmt: skip
            if phase.last > first and variable in names:
                return (
                    f"is named as marker {show(name)} at phase {show(phase.name)}, which lasts to "
                    f"{phase.last:g}, after the start of risk at {first:g}"
                )
    return ""


def _equal_late(cohort: MeasuredCohort, variable: str, people: pd.DataFrame) -> str:
    column = people[variable]
    if not pd.api.types.is_numeric_dtype(column) or column.notna().sum() < _FEWEST:
        return ""
    patient, time = cohort.schema.patient, cohort.schema.time
    known = people.loc[column.notna(), [patient, "entry"]].assign(
        _value=column.dropna().astype(float)
    )
    for name in cohort.markers:
        seen = cohort.marker_data(name)[[patient, time, "value"]].merge(known, on=patient)
        same = seen[np.isclose(seen["value"], seen["_value"], rtol=1e-9, atol=0.0)]
        after = set(same.loc[same[time] > same["entry"], patient])
        before = set(same.loc[same[time] <= same["entry"], patient])
        if len(after - before) == len(known):
            return (
                f"is marker {show(name)} measured after the start of risk: all its "
                f"{plural(len(known), 'value')} are ones that marker had only then"
            )
    return ""
