"""Designs of survival models."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from longsurv.design.expression import Functions
from longsurv.design.fixed import FixedDesign, check_fewer, fixed_design
from longsurv.design.formula import Formula, parse
from longsurv.design.offset import offset_of_new, offset_values
from longsurv.design.outcome import R_CODES, taken_for_r
from longsurv.design.sites import Sites, site_column, sites_of
from longsurv.design.specials import take_out_specials
from longsurv.design.strata import Strata, strata_of, without_stratum_constants
from longsurv.design.variables import numbers_of, present
from longsurv.design.weights import are_counts
from longsurv.design.windows import TYPE, Windows
from longsurv.errors import DataError, FormulaError
from longsurv.times import Clock, clock, snapped
from longsurv.words import plural


class PlacedTimes(NamedTuple):
    """Times, and their places among those that occur: of these very arrays and of no others."""

    entry: np.ndarray
    exit: np.ndarray
    timed: Clock


@dataclass(frozen=True)
class SurvivalDesign:
    """Arrays of a survival model, complete rows only.

    Attributes
    ----------
    formula : Formula
        Its `fixed` is without strata(), cluster() and offset().
    entry, exit : ndarray, shape (n,)
        At risk over (entry, exit]. Times that differ by rounding are made equal (`longsurv.times`).
        With `windows` the first is 0 and the second a time in each (`Windows.typical`).
    event : ndarray of int, shape (n,)
        1 where the event happened at `exit`, or in its window.
    fixed : FixedDesign
        With X of shape (n, p), no intercept.
    rows : ndarray of int, shape (n,)
        Positions of the used rows in the data.
    n_excluded : int
        Rows left out for a missing value.
    n_weightless : int
        Rows left out for a weight of 0.
    weights : ndarray, shape (n,), optional
        Case weights.
    strata : Strata, optional
    stratum : ndarray of int, shape (n,), optional
        Position of each row's stratum in ``strata.labels``.
    cluster : ndarray of int, shape (n,), optional
        Rows of the same number are dependent.
    patient : ndarray of int, shape (n,), optional
        Rows of the same number are one patient.
    offset : ndarray, shape (n,), optional
        Added to the linear predictor, less `offset_centre`.
    offset_term : str
        What the formula has in offset(); "" without.
    offset_centre : float
        A constant offset changes nothing but the baseline hazard; taking it out keeps that finite.
    sites : Sites, optional
        Those of ``(1 | site)``.
    windows : Windows, optional
        Of ``type="interval2"``: the times between which the events happened, where some are not
        known.
    placed : PlacedTimes, optional
        What `timed` is of `entry` and `exit`, where it is known already.
    """

    formula: Formula
    entry: np.ndarray
    exit: np.ndarray
    event: np.ndarray
    fixed: FixedDesign
    rows: np.ndarray
    n_excluded: int
    n_weightless: int = 0
    weights: np.ndarray | None = None
    strata: Strata | None = None
    stratum: np.ndarray | None = None
    cluster: np.ndarray | None = None
    patient: np.ndarray | None = None
    offset: np.ndarray | None = None
    offset_term: str = ""
    offset_centre: float = 0.0
    sites: Sites | None = None
    windows: Windows | None = None
    placed: PlacedTimes | None = None

    @cached_property
    def timed(self) -> Clock:
        """The places of `exit` and, where the formula has it, `entry` among the times that occur.

        Of a design with other times in their place they are those of the new ones.
        """
        known = self.placed
        if known is not None and known.exit is self.exit and known.entry is self.entry:
            return known.timed
        return clock(self.exit, self.entry if len(self.formula.surv) == 3 else None)

    @cached_property
    def n_events(self) -> int:
        """Number of events."""
        return int(self.event.sum())

    @property
    def counted_events(self) -> float:
        """Number of events, a row counted as often as its weight says if weights are whole."""
        if self.weights is None or not are_counts(self.weights):
            return float(self.n_events)
        return float(self.weights @ self.event)

    @property
    def event_times(self) -> np.ndarray:
        """Distinct times of events, or ends of the windows that these lie in, ascending."""
        if self.windows is None:
            return np.unique(self.exit[self.event == 1])
        return self.windows.ends

    @property
    def last(self) -> float:
        """The end of follow-up."""
        return float(self.exit.max()) if self.windows is None else self.windows.last

    def after_follow_up(self, stratum: int, times: np.ndarray) -> np.ndarray:
        """Times after the last exit of a stratum, shape (T,) of bool: nothing is known of them,
        unless all who were left had the event then.

        Parameters
        ----------
        stratum : int
            Of any, where there are none.
        times : ndarray, shape (T,)
        """
        mine = np.full(len(self.exit), True) if self.stratum is None else self.stratum == stratum
        exit, event = self.exit[mine], self.event[mine]
        last = exit.max()
        emptied = bool((event[exit == last] == 1).all())
        return np.asarray((snapped(times, exit) > last) & (not emptied))

    @property
    def first_rows(self) -> np.ndarray:
        """Positions among the used rows of each patient's first one (all rows without patients)."""
        if self.patient is None:
            return np.arange(len(self.rows))
        order = np.lexsort((self.entry, self.patient))
        return np.sort(order[np.unique(self.patient[order], return_index=True)[1]])

    def stratum_of(self, data: pd.DataFrame) -> np.ndarray:
        """Stratum of new rows, shape (m,): positions in ``strata.labels``, 0 without strata."""
        return np.zeros(len(data), dtype=int) if self.strata is None else self.strata.codes(data)

    def offset_of(self, data: pd.DataFrame) -> np.ndarray:
        """Offset of new rows less `offset_centre`, shape (m,).

        Raises
        ------
        FormulaError
            If it is missing or cannot be computed.
        """
        if not self.offset_term:
            return np.zeros(len(data))
        values = offset_of_new(data, self.offset_term, self.formula.functions)
        return values - self.offset_centre


def survival_design(
    formula: str,
    data: pd.DataFrame,
    *,
    weights: str | None = None,
    patient: str | None = None,
    functions: Functions | None = None,
    sites: bool = False,
    between: bool = False,
) -> SurvivalDesign:
    """Build the design of ``Surv(time, event) ~ ...`` or ``Surv(entry, exit, event) ~ ...``.

    Parameters
    ----------
    formula : str
        The right-hand side may have ``strata(column, ...)``, ``cluster(column)`` and
        ``offset(column or expression)``, each as a term of its own.
    data : DataFrame
    weights : str, optional
        Column of case weights, at least 0.
    patient : str, optional
        Column that says which rows are one patient's; ``cluster(...)`` stands in for it when there
        are entry times.
    functions : mapping of str to callable, optional
        The user's own, which the formula may call.
    sites : bool
        Whether the model can have a random effect, ``(1 | site)`` or ``frailty(site)``.
    between : bool
        Whether it can have events between two times, ``Surv(left, right, type="interval2")``.

    Raises
    ------
    FormulaError
        For a formula that cannot be read or names a column the data do not have.
    DataError
        For times that are not positive, an exit not after its entry, events that are not 0/1, no
        event at all, impossible weights, or intervals of one patient that overlap; every problem at
        once, with the rows.
    """
    parsed, special = take_out_specials(parse(formula, functions))
    if not parsed.surv:
        raise FormulaError(f"a survival formula starts with Surv(time, event); got {formula!r}")
    if parsed.random and not sites:
        raise FormulaError(
            f"a random term has no place in this model; CoxPH and Hazard can have one: {formula!r}"
        )
    site = site_column(parsed.random, formula)
    if parsed.between:
        _check_between(parsed, between, site, patient)
    named = (weights, patient, site, *special["cluster"], *special["strata"])
    single = list(dict.fromkeys(name for name in named if name))
    missing = [name for name in dict.fromkeys((*parsed.surv, *single)) if name not in data]
    if missing:
        raise FormulaError(
            f"{formula!r}: the data have no columns {missing}; they have {list(data.columns)}"
        )
    times = [numbers_of(data, name) for name in parsed.surv]
    entry = times[0] if len(times) == 3 else np.zeros(len(data))
    exit_, event = times[-2], times[-1]
    untold = np.isnan(times).any(axis=0)
    if parsed.between:  # an end that is missing is open
        untold = np.isnan(times).all(axis=0)
    weight = None if weights is None else numbers_of(data, weights)
    offset_term = special["offset"][0] if special["offset"] else ""
    offset = offset_values(data, offset_term, functions) if offset_term else None

    fixed, complete = fixed_design(parsed.fixed, data, intercept=False, functions=functions)
    usable = complete & present(data, single) & ~untold
    for values in (weight, offset):
        if values is not None:
            usable &= ~np.isnan(values)
    weightless = np.zeros(len(data), dtype=bool) if weight is None else usable & (weight == 0)
    usable &= ~weightless
    if not usable.any():
        raise DataError(f"no row of the data has all of the values that {formula!r} needs")
    if not (usable == complete).all():
        used = data.loc[usable].reset_index(drop=True)
        fixed, _ = fixed_design(parsed.fixed, used, intercept=False, functions=functions)
    rows = np.flatnonzero(usable)
    check_fewer(fixed, len(rows), formula)
    kept = data[single]
    if len(rows) < len(data):
        kept, entry, exit_, event = kept.iloc[rows], entry[rows], exit_[rows], event[rows]
    windows = Windows.of(exit_, event) if parsed.between else None
    if windows is not None:
        exit_, event = windows.typical, windows.happened.astype(float)
    entry, exit_, timed = _merged(entry, exit_, len(times) == 3)
    strata, stratum = strata_of(kept, special["strata"])
    if strata is not None and stratum is not None:
        fixed = without_stratum_constants(fixed, strata, stratum, data.iloc[rows])
    centre = 0.0 if offset is None else float(np.median(offset[rows]))
    design = SurvivalDesign(
        formula=parsed,
        entry=entry,
        exit=exit_,
        event=event,
        fixed=fixed,
        rows=rows,
        n_excluded=int((~usable & ~weightless).sum()),
        n_weightless=int(weightless.sum()),
        weights=None if weight is None else weight[rows],
        strata=strata,
        stratum=stratum,
        cluster=_codes(kept, special["cluster"][0] if special["cluster"] else None),
        patient=_codes(kept, _patient_column(parsed, special, patient)),
        offset=None if offset is None else offset[rows] - centre,
        offset_term=offset_term,
        offset_centre=centre,
        windows=windows,
    )
    _check(design, kept, weights, _patient_column(parsed, special, patient), patient is None)
    if windows is not None and not windows.open.any():
        design = replace(design, windows=None)  # every event is at a known time
    if site is not None:
        design = replace(design, sites=sites_of(kept[site], design.event, stratum))
    placed = None if timed is None else PlacedTimes(entry, exit_, timed)
    return replace(design, event=design.event.astype(np.int64), placed=placed)


def _check_between(parsed: Formula, able: bool, site: str | None, patient: str | None) -> None:
    """Refuse events between two times where the model cannot have them."""
    if not able:
        raise FormulaError(
            f"events between two times, type={TYPE!r}, are for Hazard, whose baseline has a"
            f" likelihood of them; this model needs the time of every event: {parsed.text!r}"
        )
    if site is not None:
        raise FormulaError(
            f"type={TYPE!r} and a random effect of {site!r} cannot be had together: put {site!r}"
            f" among the covariates, or a cluster({site}) that makes the covariance robust;"
            f" {parsed.text!r}"
        )
    if patient is not None:
        raise FormulaError(
            f"with type={TYPE!r} a patient has one row, and patient={patient!r} is for several"
        )


def _merged(
    entry: np.ndarray, exit: np.ndarray, late: bool
) -> tuple[np.ndarray, np.ndarray, Clock | None]:
    """The times with those that differ by rounding made equal; `late`: the entries are the data's.

    Times that are not finite are left for the checks to report.
    """
    if not (np.isfinite(entry).all() and np.isfinite(exit).all()):
        return entry, exit, None
    timed = clock(exit, entry if late else None)
    exit = timed.times[timed.exit]
    return (entry if timed.entry is None else timed.times[timed.entry]), exit, timed


def _patient_column(
    parsed: Formula, special: dict[str, list[str]], given: str | None
) -> str | None:
    if given is None and special["cluster"] and len(parsed.surv) == 3:
        return special["cluster"][0]
    return given


def _codes(data: pd.DataFrame, column: str | None) -> np.ndarray | None:
    return None if column is None else pd.factorize(data[column])[0]


def _check(
    design: SurvivalDesign,
    data: pd.DataFrame,
    weights: str | None,
    patient: str | None,
    from_cluster: bool,
) -> None:
    problems: list[str] = []
    entry, exit_, event = design.entry, design.exit, design.event

    def report(bad: np.ndarray, what: str) -> None:
        if bad.any():
            index = data.index[bad]
            shown = ", ".join(str(i) for i in index[:5]) + (", ..." if bad.sum() > 5 else "")
            problems.append(f"{what} in {plural(int(bad.sum()), 'row')} (index {shown})")

    surv = design.formula.surv
    exit_name, event_name = surv[-2], surv[-1]
    if design.windows is not None:
        problems += design.windows.problems(design.formula, report)
    else:
        report(~np.isfinite(exit_) | ~np.isfinite(entry), f"{exit_name!r} is not finite")
        report(exit_ < 0, f"{exit_name!r} is negative")
        if len(surv) == 3:
            report(exit_ <= entry, f"{exit_name!r} is not after {surv[0]!r}")
        other = (event != 0) & (event != 1)
        hint = R_CODES if other.any() and taken_for_r(event) else ""
        report(other, f"{event_name!r} is not 0 or 1{hint}")
    if design.weights is not None:
        bad = ~np.isfinite(design.weights) | (design.weights < 0)
        report(bad, f"the weight {weights!r} is negative or not finite")
    if design.offset is not None:
        report(~np.isfinite(design.offset), f"the offset {design.offset_term!r} is not finite")
    if not problems and not event.any():
        problems.append(
            f"{event_name!r} has no events among {plural(len(event), 'row')}: nothing can "
            f"be estimated"
        )
    if patient is not None and design.patient is not None and not problems:
        problems += _overlaps(design, data[patient], patient, from_cluster)
    if problems:
        raise DataError(problems)


def _overlaps(
    design: SurvivalDesign, patient: pd.Series, name: str, from_cluster: bool
) -> list[str]:
    """Times at risk of one patient that overlap."""
    assert design.patient is not None
    order = np.lexsort((design.entry, design.patient))
    before, after = order[:-1], order[1:]
    bad = (design.patient[before] == design.patient[after]) & (
        design.entry[after] < design.exit[before]
    )
    if not bad.any():
        return []
    who = list(dict.fromkeys(patient.iloc[after[bad]].astype(str)))
    first = np.flatnonzero(bad)[0]
    a, b = before[first], after[first]
    shown = ", ".join(who[:5]) + (", ..." if len(who) > 5 else "")
    advice = (
        f"; if {name!r} is not the patient, name the patient's column with patient="
        if from_cluster
        else ""
    )
    return [
        f"times at risk overlap within {len(who)} values of {name!r} ({shown}): the first has "
        f"({design.entry[a]:g}, {design.exit[a]:g}] and ({design.entry[b]:g}, {design.exit[b]:g}], "
        f"rows {data_index(patient, a)} and {data_index(patient, b)}{advice}"
    ]


def data_index(column: pd.Series, position: int) -> str:
    """Index label of a row, for messages."""
    return str(column.index[position])
