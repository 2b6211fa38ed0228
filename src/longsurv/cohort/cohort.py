"""The Cohort: two checked tables and what they mean."""

from __future__ import annotations

import html
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.cohort.assemble import check_markers, check_tables
from longsurv.cohort.labels import column_label, event_name, relabelled
from longsurv.cohort.marks import unmarked
from longsurv.cohort.patients import covariate_columns
from longsurv.cohort.problems import Table, show, show_list
from longsurv.cohort.schema import Marker, Schema
from longsurv.errors import UnknownError
from longsurv.words import plural

TABLE = "a table, which must be a pandas DataFrame or one of another library"
RECONSTRUCTED = "Reconstructed data: simulated to match published summaries, not patients' records."


@checked
class Cohort:
    """Patients, their repeated measurements and their outcome, checked once and never changed.

    Everything wrong with the tables is reported in one error; whatever is left out is counted
    in `flow`. Frames are handed out as copies, so nothing a caller does changes the cohort.

    Parameters
    ----------
    patients : DataFrame
        One row a patient.
    measurements : DataFrame or None
        One row a measurement, or, with ``schema.wide``, one row a patient and time. Values may be
        text such as "<0.02", which is read as left-censored at 0.02 (">500": right-censored).
        A long table may have a column "censored" that says "none", "left" or "right".
    schema : Schema
    markers : iterable of Marker, or mapping of their names to them
    title, note : str
        Shown wherever the cohort appears.
    reconstructed : bool
        The data were simulated from published summaries; a note says so.
    randomised : bool or None
        Whether treatment was allocated at random; None if that is not said. Then the cohort is
        analysed as if it was not, and a report says that it is not known.
    labels : mapping of str to str
        What readers call a group or a covariate, as ``{"ivig": "Immunoglobulin"}``. A group goes by
        its label from here on, in the tables that the cohort hands out and in every answer.

    Raises
    ------
    DataError
        Listing every problem with its file, column, patient and row.

    Examples
    --------
    >>> import pandas as pd
    >>> patients = pd.DataFrame(
    ...     {"id": [1, 2], "arm": ["a", "b"], "days": [28.0, 9.0], "died": [0, 1]}
    ... )
    >>> visits = pd.DataFrame({"id": [1, 1, 2], "day": [1, 4, 1], "crp": ["12", "<0.1", "30"]})
    >>> schema = Schema(
    ...     patient="id", treatment="arm", reference="a", exit="days", status="died", time="day",
    ...     wide=True,
    ... )
    >>> cohort = Cohort(patients, visits, schema, [Marker("crp", transform="log")])
    >>> list(cohort.measurements["censored"])
    ['none', 'left', 'none']
    """

    def __init__(
        self,
        patients: Annotated[pd.DataFrame | Table, TABLE],
        measurements: Annotated[pd.DataFrame | Table, TABLE] | None,
        schema: Schema,
        markers: Iterable[Marker] | Mapping[str, Marker] = (),
        *,
        title: str = "",
        note: str = "",
        reconstructed: bool = False,
        randomised: bool | None = None,
        labels: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._markers = check_markers(markers, schema)
        # The schema describes the tables the cohort hands out, which are long.
        long = replace(
            schema,
            wide=False,
            measurement_patient=None,
            marker="marker",
            value="value",
            date_format=None,
        )
        self.title = title
        self.note = note or (RECONSTRUCTED if reconstructed else "")
        self.reconstructed = reconstructed
        self.randomised = randomised
        keep = (schema.patient, schema.measurement_patient or schema.patient)
        people = _as_table(patients, "the patient table", keep)
        if measurements is None or isinstance(measurements, Table):
            values = measurements
        elif measurements is patients:  # one frame, which the checks know by that
            values = replace(people, name="the measurement table")
        else:
            values = _as_table(measurements, "the measurement table", keep)
        tables = check_tables(
            people,
            values,
            schema,
            list(self._markers.values()),
        )
        self._labels = dict(labels)
        covariates = [c for c in covariate_columns(tables.patients, long) if c != long.treatment]
        tables, self._schema = relabelled(tables, long, labels, covariates)
        self._tables = tables

    def __setattr__(self, name: str, value: object) -> None:
        if "_tables" in self.__dict__:
            raise AttributeError(f"a cohort does not change: {name} cannot be set; make another")
        super().__setattr__(name, value)

    @property
    def schema(self) -> Schema:
        """The columns and rules; its names are those of `patients` and `measurements`."""
        return self._schema

    @property
    def markers(self) -> dict[str, Marker]:
        """The markers by name, in the order of the study."""
        return dict(self._markers)

    @property
    def patients(self) -> pd.DataFrame:
        """One row a patient, sorted by patient, under the user's own column names.

        The treatment is a pandas Categorical whose first category is the reference.
        """
        return self._tables.patients.copy()

    @property
    def measurements(self) -> pd.DataFrame:
        """One row a measurement: patient, time, marker, value, censored, phase.

        ``censored`` is "none", "left" (the truth lies below ``value``) or "right" (above it).
        ``phase`` is a Categorical in the order of the study, missing outside every phase.
        """
        return self._tables.measurements.copy()

    @property
    def flow(self) -> pd.DataFrame:
        """Where every patient and measurement went: step, unit, kept, removed, reason."""
        return self._tables.flow.copy()

    @property
    def groups(self) -> list[Hashable]:
        """Treatment levels, the reference first."""
        return list(self._tables.groups)

    @property
    def event_name(self) -> str:
        """What the event is called: "death" if its level says so, else the level, or "event"."""
        return event_name(self._schema)

    @property
    def labels(self) -> dict[str, str]:
        """What readers call groups and covariates, as the cohort was told."""
        return dict(self._labels)

    def label(self, column: str) -> str:
        """What readers call a covariate.

        Parameters
        ----------
        column : str

        Returns
        -------
        str
            Its label, or the column's name as a phrase.
        """
        return column_label(column, self._labels)

    @property
    def endpoints(self) -> dict[str, Marker]:
        """The markers that are outcomes of their own: all but those of the family "component".

        Components are measured to compute a score.
        """
        return {name: m for name, m in self.markers.items() if m.family != "component"}

    @property
    def n_by_group(self) -> dict[Hashable, int]:
        """Number of patients in each group."""
        counts = self._tables.patients[self._schema.treatment].value_counts(sort=False)
        return {level: int(counts[level]) for level in self._tables.groups}

    @property
    def covariates(self) -> list[str]:
        """Columns of `patients` carried into the data of every model; includes the treatment."""
        return covariate_columns(self._tables.patients, self._schema)

    def marker_data(self, name: str, *, followed: bool = False) -> pd.DataFrame:
        """Return the measurements of one marker with the covariates of their patients.

        Parameters
        ----------
        name : str
        followed : bool
            Date measurements that come after the end of follow-up, within the schema's tolerance,
            at that end: a joint model knows a marker only while its patient is followed.

        Returns
        -------
        DataFrame
            patient, time, "phase", "value" (raw), "y" (transformed), "censored", covariates.
        """
        if name not in self._markers:
            raise UnknownError(
                f"no marker {show(name)}; the markers are {show_list(self._markers)}"
            )
        tables, schema = self._tables, self._schema
        chosen = np.flatnonzero(tables.marker == list(self._markers).index(name))
        long = tables.measurements.iloc[chosen].reset_index(drop=True)
        y = np.log(long["value"]) if self._markers[name].transform == "log" else long["value"]
        if followed:
            end = tables.exit[tables.owner[chosen]]
            long = long.assign(**{schema.time: np.minimum(long[schema.time], end)})
        left = long[[schema.patient, schema.time, "phase", "value"]].assign(y=y)
        left["censored"] = long["censored"]
        right = tables.patients[self.covariates].take(tables.owner[chosen])
        return pd.concat([left, right.reset_index(drop=True)], axis=1)

    def survival_data(self, markers: Mapping[str, str | float] | None = None) -> pd.DataFrame:
        """Return follow-up, one row a patient, ended at the horizon if there is one.

        Parameters
        ----------
        markers : mapping of str to str or float, optional
            Markers as baseline covariates: name to the phase or day of the value, as
            ``{"crp": "baseline"}``. Refused if any was measured after its patient's entry.

        Returns
        -------
        DataFrame
            patient, "entry", "exit", "event" (1 for the event of interest), "status" (0 censored,
            1 event, 2.. competing events in the order of the schema), covariates, `markers` (raw).
        """
        tables = self._tables
        times = pd.DataFrame(
            {
                self._schema.patient: tables.patients[self._schema.patient],
                "entry": tables.entry,
                "exit": tables.exit,
                "event": (tables.status == 1).astype(np.int64),
                "status": tables.status,
            }
        )
        data = pd.concat([times, tables.patients[self.covariates]], axis=1)
        if not markers:
            return data
        from longsurv.cohort.covariates import marker_covariates

        return pd.concat([data, marker_covariates(self, markers)], axis=1)

    def wide(self) -> pd.DataFrame:
        """Return one row a patient and time, with a column of raw values for each marker."""
        tables, schema = self._tables, self._schema
        long = tables.measurements
        time = long[schema.time].to_numpy()
        new = np.ones(len(long), bool)  # rows are sorted, so a visit begins where either changes
        new[1:] = (np.diff(tables.owner) != 0) | (np.diff(time) != 0)
        values = np.full((int(new.sum()), len(self._markers)), np.nan)
        values[np.cumsum(new) - 1, tables.marker] = long["value"]
        visits = long.loc[new, [schema.patient, schema.time]].reset_index(drop=True)
        return pd.concat([visits, pd.DataFrame(values, columns=list(self._markers))], axis=1)

    def describe(self) -> str:
        """Return a few lines of plain text: patients, follow-up, markers, what was left out."""
        return "\n".join([self.title or "Cohort", *(f"  {line}" for line in self._lines())])

    def __repr__(self) -> str:
        return self.describe()

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{html.escape(line)}</li>" for line in self._lines())
        return f"<div><strong>{html.escape(self.title or 'Cohort')}</strong><ul>{items}</ul></div>"

    def _lines(self) -> list[str]:
        tables, schema = self._tables, self._schema
        groups = [
            f"{n:,} {level}{' (reference)' if k == 0 else ''}"
            for k, (level, n) in enumerate(self.n_by_group.items())
        ]
        outcome = [plural(int((tables.status == 1).sum()), "event")]
        outcome += [
            f"{int((tables.status == k).sum()):,} {label}"
            for k, label in enumerate(schema.competing, 2)
        ]
        outcome += [f"{int((tables.status == 0).sum()):,} censored"]
        until = "" if schema.horizon is None else f", followed to {schema.horizon:g}"
        since = f" from {tables.entry.min():g}" if until and tables.entry.any() else ""
        censored = int((tables.measurements["censored"] != "none").sum())
        beyond = f", {censored:,} of them beyond a detection limit" if censored else ""
        removed = tables.flow.groupby("unit", sort=False)["removed"].sum()
        left_out = [plural(int(n), str(unit).removesuffix("s")) for unit, n in removed.items() if n]
        lines = [
            f"{plural(len(tables.patients), 'patient')}: {', '.join(groups)}"
            + (", randomised" if self.randomised else ""),
            f"{', '.join(outcome)}{until}{since} {schema.time_unit}".rstrip()
            if until
            else ", ".join(outcome),
            f"{plural(len(self._markers), 'marker')}, "
            f"{plural(len(tables.measurements), 'measurement')}{beyond}",
        ]
        if left_out:
            lines.append(f"left out: {', '.join(left_out)} (see .flow)")
        return lines + ([self.note] if self.note else [])


def _as_table(data: pd.DataFrame | Table, name: str, keep: Sequence[str]) -> Table:
    return data if isinstance(data, Table) else unmarked(Table(data, name), keep)
