"""Designs of survival models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.design.fixed import FixedDesign, fixed_design
from longsurv.design.formula import Formula, parse
from longsurv.errors import DataError, FormulaError


@dataclass(frozen=True)
class SurvivalDesign:
    """Arrays of a survival model, complete rows only.

    Attributes
    ----------
    formula : Formula
    entry, exit : ndarray, shape (n,)
        At risk over (entry, exit].
    event : ndarray of int, shape (n,)
        1 where the event happened at `exit`.
    fixed : FixedDesign
        With X of shape (n, p), no intercept.
    rows : ndarray of int, shape (n,)
        Positions of the used rows in the data.
    n_excluded : int
        Rows left out for a missing value.
    """

    formula: Formula
    entry: np.ndarray
    exit: np.ndarray
    event: np.ndarray
    fixed: FixedDesign
    rows: np.ndarray
    n_excluded: int

    @property
    def n_events(self) -> int:
        """Number of events."""
        return int(self.event.sum())


def survival_design(formula: str, data: pd.DataFrame) -> SurvivalDesign:
    """Build the design of ``Surv(time, event) ~ ...`` or ``Surv(entry, exit, event) ~ ...``.

    Raises
    ------
    FormulaError
        For a formula that cannot be read or names a column the data do not have.
    DataError
        For times that are not positive, an exit not after its entry, events that are not 0/1, or no
        event at all; every problem at once, with the rows.
    """
    parsed = parse(formula)
    if not parsed.surv:
        raise FormulaError(f"a survival formula starts with Surv(time, event); got {formula!r}")
    if parsed.random:
        raise FormulaError(f"a random term has no place in a survival formula: {formula!r}")
    missing = [name for name in parsed.surv if name not in data]
    if missing:
        raise FormulaError(
            f"{formula!r}: the data have no columns {missing}; they have {list(data.columns)}"
        )
    times = [_numbers(data, name) for name in parsed.surv]
    entry = times[0] if len(times) == 3 else np.zeros(len(data))
    exit_, event = times[-2], times[-1]
    fixed, complete = fixed_design(parsed.fixed, data, intercept=False)
    complete &= ~(np.isnan(entry) | np.isnan(exit_) | np.isnan(event))
    if not complete.all():
        fixed, _ = fixed_design(
            parsed.fixed, data.loc[complete].reset_index(drop=True), intercept=False
        )
    rows = np.flatnonzero(complete)
    entry, exit_, event = entry[rows], exit_[rows], event[rows]
    _check(parsed, data.index[rows], entry, exit_, event)
    return SurvivalDesign(
        parsed, entry, exit_, event.astype(np.int64), fixed, rows, int((~complete).sum())
    )


def _numbers(data: pd.DataFrame, name: str) -> np.ndarray:
    try:
        return data[name].to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(f"column {name!r} must hold numbers: {error}") from error


def _check(
    parsed: Formula, index: pd.Index, entry: np.ndarray, exit_: np.ndarray, event: np.ndarray
) -> None:
    problems = []

    def report(bad: np.ndarray, what: str) -> None:
        if bad.any():
            shown = ", ".join(str(i) for i in index[bad][:5]) + (", ..." if bad.sum() > 5 else "")
            problems.append(f"{what} in {int(bad.sum())} rows (index {shown})")

    exit_name, event_name = parsed.surv[-2], parsed.surv[-1]
    report(~np.isfinite(exit_) | ~np.isfinite(entry), f"{exit_name!r} is not finite")
    report(exit_ < 0, f"{exit_name!r} is negative")
    if len(parsed.surv) == 3:
        report(exit_ <= entry, f"{exit_name!r} is not after {parsed.surv[0]!r}")
    report(~np.isin(event, (0, 1)), f"{event_name!r} is not 0 or 1")
    if not problems and not event.any():
        problems.append(
            f"{event_name!r} has no events among {len(event)} rows: nothing can be estimated"
        )
    if problems:
        raise DataError(problems)
