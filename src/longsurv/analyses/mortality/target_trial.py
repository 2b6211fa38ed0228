"""Emulating the trial of a treatment that begins after time zero.

Who is treated had to live until treatment began. Compared as they turned out, the treated have that
time as a present ("immortal time"). A trial would have assigned everybody at time zero to one of
two strategies: begin within a grace period, or do not. Until they are told apart, each patient
follows both, and is a copy in either arm (`longsurv.estimands.cloning`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from longsurv.analyses.mortality.target_answer import TargetTrialAnswer, answered
from longsurv.arguments import checked
from longsurv.cohort import Cohort
from longsurv.design.centred import centred
from longsurv.design.fixed import fixed_design
from longsurv.design.outcome import read_numbers, read_truths
from longsurv.errors import DataError, LongsurvError
from longsurv.estimands.cloning import Histories
from longsurv.estimands.follow_up import follow_up
from longsurv.times import merged, snapped
from longsurv.words import listed, plural, verb

INTERVALS = 12
RESAMPLES = 500
FEWEST = 5
"""Who began and who did not, below which nothing is estimated."""


@checked
@dataclass(frozen=True, eq=False)
class TargetTrial:
    """Beginning a treatment within a grace period against not beginning it.

    Parameters
    ----------
    source : Cohort or DataFrame
        Everybody who was eligible at time zero, whatever happened afterwards. A DataFrame has one
        row a patient: "exit", "status" (0 censored, 1 the event, 2 and above competing events) or
        "event", and the columns named below.
    begun : str
        Column of the time at which treatment began, counted from time zero; missing if it never
        did.
    grace : float
        The strategies are "begin by this time" and "do not begin by this time".
    horizon : float, optional
        Of a cohort its own.
    adjust : str
        Covariates known at time zero on which beginning may depend, a right-hand side as
        ``"age + sex"``.
    markers : sequence of str
        Markers of the cohort on whose last value beginning may depend; each patient needs one at
        time zero. Of a DataFrame: columns of `measurements`.
    measurements : DataFrame, optional
        Beside a DataFrame: one row a patient and time, with `markers` as they enter.
    patient, time : str
        Columns of a DataFrame and its measurements.
    eligible : str, optional
        Column that is true of who is eligible; by default everybody.
    intervals : int
        Parts of the grace period; in each, beginning has a probability of its own.

    Raises
    ------
    LongsurvError
        If the horizon is missing or not after the grace period.
    DataError
        When the data are first needed: if risk begins after time zero, so that there is nothing to
        emulate; for times that are impossible or covariates that are missing.
    """

    source: Cohort | pd.DataFrame = field(repr=False)
    begun: str
    grace: float
    horizon: float | None = None
    adjust: str = ""
    markers: Sequence[str] = ()
    measurements: pd.DataFrame | None = field(default=None, repr=False)
    patient: str = "patient"
    time: str = "time"
    eligible: str | None = None
    intervals: int = INTERVALS

    def __post_init__(self) -> None:
        if isinstance(self.source, Cohort):
            schema = self.source.schema
            object.__setattr__(self, "patient", schema.patient)
            object.__setattr__(self, "time", schema.time)
            if self.horizon is None:
                object.__setattr__(self, "horizon", schema.horizon)
        elif self.markers and self.measurements is None:
            raise LongsurvError("markers= of a DataFrame are columns of measurements=")
        if self.horizon is None:
            raise LongsurvError("name horizon=; a cohort may have one")
        if not 0.0 < self.grace < self.horizon:
            raise LongsurvError(
                f"grace ({self.grace:g}) is a time after 0 and before the horizon"
                f" ({self.horizon:g})"
            )
        if not 1 <= self.intervals <= 200:
            raise LongsurvError(f"intervals is a number from 1 to 200, not {self.intervals}")

    def estimate(
        self, *, resamples: int = RESAMPLES, seed: int = 1, level: float = 0.95
    ) -> TargetTrialAnswer:
        """Compare the two strategies, and beside them what other analyses make of the same data.

        Parameters
        ----------
        resamples : int
            Of the bootstrap over patients, each of whom has a random weight (Rubin 1981; Xu and
            others 2020, Am Stat 74:345-358); every model of beginning is fitted again with them.
        seed : int
        level : float
            Of the intervals.

        Returns
        -------
        TargetTrialAnswer

        Raises
        ------
        EstimationError
            If nobody is left in an arm before the horizon of whom some had had no event, or every
            event came before anybody had departed from an arm.
        """
        return answered(
            self.histories, self._covariates, self._read.horizon, resamples, seed, level,
            self.protocol(), self.flow,
        )  # fmt: skip

    @cached_property
    def data(self) -> pd.DataFrame:
        """Who is eligible, one row each, with "exit" and "status" ended at the horizon, and "began"
        (by the end of the grace period; a column of that name stays as it is)."""
        return self._read.data

    @cached_property
    def flow(self) -> pd.DataFrame:
        """Who was left out and why: reason, n."""
        return self._read.flow

    @cached_property
    def histories(self) -> Histories:
        """Follow-up and beginning as arrays."""
        begun = self.data[self.begun].to_numpy(float)
        return Histories(
            np.where(self._read.began, begun, np.inf),
            self.data["exit"].to_numpy(float), self.data["status"].to_numpy(np.int64),
            self._read.edges,
        )  # fmt: skip

    def protocol(self) -> pd.DataFrame:
        """The trial that is emulated, and how: the components that the TARGET statement asks to
        specify and to map to the data (Cashin and others 2025, JAMA, BMJ).

        Returns
        -------
        DataFrame
            component, target_trial, emulation.
        """
        unit = self.source.schema.time_unit if isinstance(self.source, Cohort) else ""
        grace, horizon = f"{self.grace:g} {unit}".strip(), f"{self._horizon:g} {unit}".strip()
        known = [*([self.adjust] if self.adjust else []), *self.markers]
        given = listed(known) if known else "nothing"
        beyond = f", beyond {given}" if known else ""
        rows = [
            ("Eligibility", "As at time zero, before treatment",
             f"Column {self.eligible}" if self.eligible else "Everybody in the data who had not"
             " begun treatment before time zero"),
            ("Treatment strategies",
             f"(1) Begin treatment by {grace}; (2) do not begin it by {grace}",
             f"The same by the column {self.begun}; within the grace period strategy 1 begins when"
             " treatment usually begins, whatever the covariates"),
            ("Assignment", "At random at time zero, known to all",
             "Every patient is copied into both arms; beginning is taken as random given"
             f" {given} at the start of each interval of {self.grace / self.intervals:.3g}"),
            ("Time zero and follow-up", f"Assignment; to the event or {horizon}",
             "Time zero of the data; the same. A copy is censored when its patient departs from"
             " its arm's strategy"),
            ("Outcome", f"The event by {horizon}", "The same; competing events end follow-up"),
            ("Causal contrast", "Differences in risk and in mean time without the event, per"
             " protocol", "The same"),
            ("Identifying assumptions", "Adherence and complete follow-up only",
             f"No reason to begin that bears on the outcome{beyond}; everybody could have begun and"
             " could have not, at any interval; loss to follow-up unrelated to prognosis"),
            ("Data analysis", "Cumulative incidence by arm",
             "Weighted cumulative incidence by arm; inverse-probability weights from a pooled"
             " logistic regression of beginning; bootstrap over patients"),
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["component", "target_trial", "emulation"])

    @property
    def _horizon(self) -> float:
        assert self.horizon is not None
        return float(self.horizon)

    @cached_property
    def _read(self) -> _Enrolled:
        source = self.source
        people = source.survival_data() if isinstance(source, Cohort) else source
        wanted = [self.begun, *([self.eligible] if self.eligible else [])]
        absent = [name for name in wanted if name not in people]
        if absent:
            raise DataError(
                f"no column {', '.join(map(repr, absent))}; the patients have {list(people)}"
            )
        _check_one_row_each(people, self.patient)
        whole = follow_up(people)
        if (whole.entry > 0.0).any():
            first = float(whole.entry.max())
            raise DataError(
                f"risk begins after time zero (up to {first:g}): who had the event before was never"
                " enrolled, so no trial from time zero can be emulated. If treatment had begun"
                " by then, compare the groups given survival to that time (`Mortality`)"
            )
        begun, ends, edges, horizon = self._on_one_clock(people[self.begun], whole.exit)
        late = np.isfinite(begun) & (begun > ends)
        if late.any():
            some = ", ".join(map(str, people.index[late][:5]))
            raise DataError(
                f"{plural(int(late.sum()), 'patient')} began treatment after the end of follow-up"
                f" (rows {some}): check {self.begun} and exit"
            )
        chosen = np.ones(len(people), dtype=bool)
        rows = []
        if self.eligible:
            told = people[self.eligible].notna().to_numpy()
            chosen = told.copy()
            chosen[told] = read_truths(
                people.loc[told, self.eligible], self.eligible, "a patient is eligible"
            )
            rows.append(("not eligible", int((told & ~chosen).sum())))
            rows.append(("not known whether eligible", int((~told).sum())))
        before = chosen & (begun < 0.0)
        rows.append(("had begun before time zero", int(before.sum())))
        chosen = chosen & ~before
        data = people.assign(
            exit=np.minimum(ends, horizon),
            status=np.where(ends > horizon, 0, whole.status),
            **{"began": people.get("began", begun <= edges[-1]), self.begun: begun},
        )[chosen].reset_index(drop=True)
        began = (begun <= edges[-1])[chosen]
        sides = int(began.sum()), int((~began).sum())
        if min(sides) < FEWEST:
            raise DataError(
                f"{sides[0]} began by {self.grace:g} and {sides[1]} did not: at least {FEWEST} of"
                " each are needed"
            )
        flow = pd.DataFrame([row for row in rows if row[1]], columns=["reason", "n"])
        return _Enrolled(data, began, flow, edges, horizon)

    def _on_one_clock(
        self, begun: pd.Series, exit: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """When treatment began (infinite: never), exits, edges of intervals and the horizon, those
        that differ by rounding made equal."""
        if pd.api.types.is_bool_dtype(begun):
            raise DataError(
                f"column {self.begun!r} must hold times at which treatment began, not whether it"
                " did"
            )
        first = read_numbers(begun, self.begun)
        first = np.where(np.isnan(first), np.inf, first)
        edges = np.linspace(0.0, self.grace, self.intervals + 1)
        times, _ = merged(np.concatenate([first, exit, edges, [self._horizon]]))
        n = len(exit)
        return times[:n], times[n : 2 * n], times[2 * n : -1], float(times[-1])

    @cached_property
    def _baseline(self) -> np.ndarray:
        """Covariates at time zero in units of the prior, a row a patient."""
        if not self.adjust:
            return np.empty((len(self.data), 0))
        fixed, complete = fixed_design(self.adjust, self.data, intercept=False)
        if not complete.all():
            n = int((~complete).sum())
            raise DataError(
                f"{plural(n, 'patient')} lack a covariate of {self.adjust!r}: everybody eligible is"
                " in a trial; impute the values, or leave the covariate out"
            )
        middle = centred(fixed, self.data, intercept=False)
        standard: np.ndarray = middle.standard[:, middle.sd > 0.0]
        return standard

    @cached_property
    def _covariates(self) -> np.ndarray:
        """What is known at the start of the interval in every row of the model of beginning, in
        units of the prior."""
        patient, period, _ = self.histories.periods
        start = self.histories.edges[period]
        columns = [self._baseline[patient]]
        for name, values in self._series.items():
            last = self._last(name, values, patient, start)
            if np.ptp(last) > 0.0:
                columns.append(((last - last.mean()) / last.std())[:, None])
        return np.column_stack(columns)

    @cached_property
    def _series(self) -> Mapping[str, pd.DataFrame]:
        """Measurements of each marker: "patient", "time" and "y"."""
        if isinstance(self.source, Cohort):
            found = {name: self.source.marker_data(name) for name in self.markers}
            return {name: self._series_of(rows, "y") for name, rows in found.items()}
        if self.measurements is None:
            return {}
        needed = [self.patient, self.time, *self.markers]
        absent = [name for name in needed if name not in self.measurements]
        if absent or self.patient not in self.data:
            raise DataError(
                f"the measurements need the columns {needed}, and the patients {self.patient!r}"
            )
        return {name: self._series_of(self.measurements, name) for name in self.markers}

    def _series_of(self, rows: pd.DataFrame, name: str) -> pd.DataFrame:
        columns = {"patient": rows[self.patient], "time": rows[self.time], "y": rows[name]}
        return pd.DataFrame(columns).reset_index(drop=True)

    def _last(
        self, name: str, values: pd.DataFrame, patient: np.ndarray, start: np.ndarray
    ) -> np.ndarray:
        """The last value of a marker by the start of each row's interval."""
        known = values[values["y"].notna()]
        y = read_numbers(known["y"], name)
        when = snapped(read_numbers(known["time"], self.time), self.histories.edges)
        if not (np.isfinite(y).all() and np.isfinite(when).all()):
            raise DataError(f"a value of {name!r}, or its {self.time!r}, is no finite number")
        place = pd.Series(np.arange(len(self.data)), index=self.data[self.patient])
        owner = known["patient"].map(place).to_numpy(float)
        series = pd.DataFrame({"owner": owner, "at": when, "y": y}).dropna().drop_duplicates()
        again = series.duplicated(["owner", "at"])
        if again.any():
            who = self.data[self.patient].iloc[series.loc[again, "owner"].unique().astype(int)]
            raise DataError(
                f"{plural(len(who), 'patient')} ({', '.join(map(str, who[:5]))}) have several"
                f" values of {name} at one time, and which was the last nobody can know: keep one"
            )
        rows = pd.DataFrame({"owner": patient.astype(float), "at": start})
        rows = rows.assign(row=np.arange(len(rows))).sort_values("at", kind="stable")
        joined = pd.merge_asof(
            rows, series.sort_values("at", kind="stable"), on="at", by="owner"
        ).sort_values("row")
        found: np.ndarray = joined["y"].to_numpy(float)
        if np.isnan(found).any():
            who = self.data[self.patient].iloc[np.unique(patient[np.isnan(found)])]
            raise DataError(
                f"{plural(len(who), 'patient')} ({', '.join(map(str, who[:5]))}) have no value of"
                f" {name} at time zero, so nobody can know whether beginning depended on it: leave"
                " it out of markers, or give a value"
            )
        return found


@dataclass(frozen=True, eq=False)
class _Enrolled:
    """Who is eligible, who is not and why, and the clock of both strategies."""

    data: pd.DataFrame
    began: np.ndarray
    flow: pd.DataFrame
    edges: np.ndarray
    horizon: float


def _check_one_row_each(people: pd.DataFrame, patient: str) -> None:
    """Refuse data in which a patient has several rows, and would be several, or has no name."""
    if patient not in people:
        return
    nameless = int(people[patient].isna().sum())
    if nameless:
        raise DataError(f"{plural(nameless, 'row')} of {patient!r} {verb(nameless, 'is', 'are')}"
                        " missing: name every patient")  # fmt: skip
    again = people[patient].duplicated()
    if again.any():
        some = ", ".join(map(str, people.loc[again, patient].unique()[:5]))
        raise DataError(
            f"{plural(int(again.sum()), 'row')} of {patient!r} repeat a patient ({some}): give one"
            " row a patient"
        )
