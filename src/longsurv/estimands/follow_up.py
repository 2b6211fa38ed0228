"""Follow-up as arrays: who is at risk when, and what happens at each time.

The estimands of survival take a DataFrame such as `Cohort.survival_data()` returns: a row a
patient, columns "exit" and "status" (0 censored, 1 the event of interest, 2 and above competing
events; or only "event", 0/1), "entry" for delayed entry, and a column of the group. A patient is
at risk over (entry, exit].
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.errors import DataError


@dataclass(frozen=True, eq=False)
class FollowUp:
    """Follow-up of the patients of one group.

    Attributes
    ----------
    entry, exit : ndarray, shape (n,)
    status : ndarray of int, shape (n,)
    """

    entry: np.ndarray
    exit: np.ndarray
    status: np.ndarray

    def __len__(self) -> int:
        return len(self.exit)

    def at_risk(self, times: np.ndarray) -> np.ndarray:
        """Count the patients with entry < t <= exit."""
        entered = np.searchsorted(np.sort(self.entry), times, side="left")
        left = np.searchsorted(np.sort(self.exit), times, side="left")
        return entered - left

    def happening(self, times: np.ndarray, *status: int) -> np.ndarray:
        """Count the patients who leave with one of these statuses at each of the times."""
        chosen = np.sort(self.exit[np.isin(self.status, status)])
        return np.searchsorted(chosen, times, "right") - np.searchsorted(chosen, times, "left")

    def times(self, *status: int) -> np.ndarray:
        """Distinct times at which someone leaves with one of these statuses."""
        return np.unique(self.exit[np.isin(self.status, status)])

    @property
    def causes(self) -> list[int]:
        """Statuses other than censoring that occur."""
        return [int(s) for s in np.unique(self.status) if s > 0]


def by_group(data: pd.DataFrame, group: str) -> dict[Hashable, FollowUp]:
    """Split follow-up by group, the reference first.

    Parameters
    ----------
    data : DataFrame
        See the top of this file.
    group : str
        Its column of the group. The first category of a Categorical is the reference; of anything
        else the first in order is.

    Raises
    ------
    DataError
        Listing every missing column or value and every impossible time or status.
    """
    status = "status" if "status" in data else "event"
    columns = [group, "exit", status, *(["entry"] if "entry" in data else [])]
    absent = [f"there is no column {name!r}" for name in columns if name not in data]
    if absent:
        raise DataError(absent)
    if not len(data):
        raise DataError("there are no patients")
    problems = [
        f"column {name!r} is missing a value in {_rows(data, empty)}"
        for name in columns
        if (empty := data[name].isna().to_numpy()).any()
    ]
    if problems:
        raise DataError(problems)
    levels = _levels(data[group])
    whole = FollowUp(
        data["entry"].to_numpy(dtype=float) if "entry" in data else np.zeros(len(data)),
        data["exit"].to_numpy(dtype=float),
        data[status].to_numpy(dtype=float).astype(np.int64),
    )
    never = ~(whole.exit > whole.entry)
    if never.any():
        problems.append(f"exit must come after entry, but does not in {_rows(data, never)}")
    unknown = (whole.status != data[status].to_numpy(dtype=float)) | (whole.status < 0)
    if unknown.any():
        problems.append(f"column {status!r} must hold 0, 1, 2, ...; see {_rows(data, unknown)}")
    empty_groups = [level for level in levels if not (data[group] == level).any()]
    if empty_groups:
        problems.append(f"no patients in the group {', '.join(map(str, empty_groups))}")
    if problems:
        raise DataError(problems)
    labels = data[group].to_numpy()
    return {
        level: FollowUp(whole.entry[mine], whole.exit[mine], whole.status[mine])
        for level in levels
        for mine in [labels == level]
    }


def two_groups(data: pd.DataFrame, group: str) -> tuple[Hashable, FollowUp, Hashable, FollowUp]:
    """Return the compared group and its follow-up, then the reference and its.

    Raises
    ------
    DataError
        Unless there are exactly two groups.
    """
    groups = by_group(data, group)
    if len(groups) != 2:
        raise DataError(f"expected two groups in {group!r}, found {', '.join(map(str, groups))}")
    (reference, first), (other, second) = groups.items()
    return other, second, reference, first


def _levels(column: pd.Series) -> list[Hashable]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return list(column.cat.categories)
    return sorted(column.unique())


def _rows(data: pd.DataFrame, chosen: np.ndarray) -> str:
    labels = [str(label) for label in data.index[chosen]]
    more = f" and {len(labels) - 5} more" if len(labels) > 5 else ""
    return f"{'row' if len(labels) == 1 else 'rows'} {', '.join(labels[:5])}{more}"
