"""Landmark data sets: who is still at risk at a day, and what was known of them by then.

Comparing patients by what was measured during follow-up gives those who lived longer more chances
of having been measured. Starting the clock at a fixed day, with the patients still at risk and what
had been measured by that day, does not (Anderson, Cain and Gelber 1983, J Clin Oncol 1:710-719).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.errors import DataError, LongsurvError
from longsurv.tables.notebook import Readable
from longsurv.times import snapped

if TYPE_CHECKING:
    from longsurv.cohort import Cohort


@dataclass(frozen=True, eq=False, repr=False)
class Landmark(Readable):
    """Patients at risk at a day, with what was known of them.

    Attributes
    ----------
    day : float
    data : DataFrame
        One row a patient at risk: patient, "entry" (the day), "exit", "event", "status",
        covariates, and for each marker its last value in raw units under the marker's name, with
        "<marker>_time" (when it was measured) and "<marker>_censored" ("none", "left", "right").
        A marker not measured by the day is missing.
    left_out : DataFrame
        group, reason, n: why patients are not in it, and how many have no value of each marker
        ("no <marker> by <day>"; these are in `data`, and a model that uses it leaves them out).
    """

    read_as: ClassVar[tuple[str, ...]] = ("left_out",)
    no_plot: ClassVar[str] = "its data are for a model, whose answers have plot()"

    day: float
    data: pd.DataFrame
    left_out: pd.DataFrame


@checked
def landmark(
    cohort: Cohort,
    day: float,
    *,
    markers: Sequence[str] | None = None,
    since: float | None = None,
) -> Landmark:
    """Take the patients at risk just after a day, with the last value of each marker by then.

    Parameters
    ----------
    cohort : Cohort
    day : float
        In the cohort's time unit, before its horizon.
    markers : sequence of str, optional
        Nothing: all.
    since : float, optional
        Ignore measurements before this time, as too old.

    Returns
    -------
    Landmark
        Its data are ready for ``CoxPH("Surv(entry, exit, event) ~ arm + log(crp)", data)``.

    Raises
    ------
    LongsurvError
        For an unknown marker, or a day that is not before the horizon.
    DataError
        If nobody is at risk.
    """
    schema = cohort.schema
    wanted = list(cohort.markers) if markers is None else list(markers)
    unknown = [name for name in wanted if name not in cohort.markers]
    if unknown:
        known = ", ".join(cohort.markers)
        raise LongsurvError(f"no marker {', '.join(unknown)}; the markers are {known}")
    if schema.horizon is not None and day >= schema.horizon:
        raise LongsurvError(f"the landmark ({day:g}) must come before the horizon")
    if since is not None and since > day:
        raise LongsurvError(f"since ({since:g}) must not come after the landmark ({day:g})")
    people = cohort.survival_data()
    if len(people):
        known = people[["entry", "exit"]].to_numpy(dtype=float)
        day = float(snapped(day, known, float(known[:, 0].min())))
    reasons = _reasons(people, day, ["censored", "event", *schema.competing])
    stay = reasons == ""
    if not stay.any():
        raise DataError(f"no patient is at risk at {schema.time_unit} {day:g}")
    groups = people[schema.treatment]
    rows = [
        (group, reason, n) for (group, reason), n in _count(groups[~stay], reasons[~stay]).items()
    ]
    data = people[stay].reset_index(drop=True).assign(entry=float(day))
    taken = [f"{name}{end}" for name in wanted for end in ("", "_time", "_censored")]
    clash = [name for name in taken if name in data.columns]
    if clash:
        raise LongsurvError(f"the cohort already has columns {', '.join(clash)}; rename them")
    for name in wanted:
        last = _last_values(cohort, name, day, since).reindex(data[schema.patient])
        data = data.assign(
            **{
                name: last["value"].to_numpy(dtype=float),
                f"{name}_time": last[schema.time].to_numpy(dtype=float),
                f"{name}_censored": last["censored"].to_numpy(dtype=object),
            }
        )
        absent = data[name].isna()
        said = np.full(int(absent.sum()), f"no {name} by {day:g}", dtype=object)
        rows += [
            (group, reason, n)
            for (group, reason), n in _count(data.loc[absent, schema.treatment], said).items()
        ]
    return Landmark(float(day), data, pd.DataFrame(rows, columns=["group", "reason", "n"]))


def _reasons(people: pd.DataFrame, day: float, labels: list[str]) -> np.ndarray:
    """Why each patient is not at risk just after the day; "" for those who are."""
    entry, exit = people["entry"].to_numpy(dtype=float), people["exit"].to_numpy(dtype=float)
    status = people["status"].to_numpy()
    out = np.array([f"{labels[s]} by {day:g}" for s in status], dtype=object)
    out[exit > day] = ""
    out[(exit > day) & (entry > day)] = f"under observation only after {day:g}"
    return out


def _count(groups: pd.Series, reasons: np.ndarray) -> dict[tuple[str, str], int]:
    pairs = list(zip(groups.tolist(), reasons.tolist(), strict=True))
    return {pair: pairs.count(pair) for pair in sorted(set(pairs), key=str)}


def _last_values(cohort: Cohort, name: str, day: float, since: float | None) -> pd.DataFrame:
    """The last measurement of each patient by the day, indexed by patient."""
    schema = cohort.schema
    data = cohort.marker_data(name)
    taken = data[schema.time].to_numpy(dtype=float)
    day = float(snapped(day, taken))
    data, taken = data[taken <= day], taken[taken <= day]
    if since is not None:
        data = data[taken >= float(snapped(since, taken))]
    data = data.sort_values(schema.time, kind="stable")
    return data.drop_duplicates(schema.patient, keep="last").set_index(schema.patient)
