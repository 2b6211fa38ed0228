"""The hazard of the marker's current value by Cox models, which have no likelihood of the marker.

Each method is a row: the log hazard ratio of one unit, or why there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, replace
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.estimands.joint_rows import DrawnJoint, FittedJoint
from longsurv.estimands.start_stop import start_stop
from longsurv.inference.specification import Specification
from longsurv.records import Record
from longsurv.results.estimate import Estimate
from longsurv.results.joint.identification import AssociationDraws
from longsurv.results.mixed.estimate import MixedEstimate

if TYPE_CHECKING:
    from longsurv.design.joint import JointDesign

type Method = Literal["carried forward", "two stages", "ml", "bayes"]
NAMES: dict[str, str] = {
    "carried forward": "last value carried forward",
    "two stages": "two stages",
    "ml": "joint model, maximum likelihood",
    "bayes": "joint model, posterior",
}
"""Every method by its id."""
MOST_ROWS = 5_000_000


class EventModel(Specification[Estimate, object], Protocol):
    """The hazard's model, a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[object]]]


class JointFit(FittedJoint, Protocol):
    """An estimate, with its table."""

    @property
    def tidy(self) -> Callable[..., pd.DataFrame]:
        """One row a term."""


class JointDraws(DrawnJoint, AssociationDraws, Protocol):
    """A posterior, with its table."""

    @property
    def tidy(self) -> Callable[..., pd.DataFrame]:
        """One row a term."""


class JointOfMethods(Specification[JointFit, JointDraws], Protocol):
    """What is used of a joint model."""

    @property
    def design(self) -> JointDesign:
        """Its arrays."""

    @property
    def causes(self) -> Mapping[str, EventModel]:
        """The models of the event's causes."""

    @property
    def alone(self) -> tuple[MixedEstimate, ...]:
        """Each marker's mixed model."""

    @property
    def link_sd(self) -> dict[str, float]:
        """SD across patients of the link behind each association parameter."""


def answered(method: Method, tidy: pd.DataFrame, term: str, events: int, note: str = "") -> Record:
    """The log hazard ratio of a term of a fitted model."""
    row = tidy.set_index("term").loc[term]
    numbers = {
        c: float(row[c]) for c in ("estimate", "std_error", "conf_low", "conf_high")
    }  # fmt: skip
    mcse = float(row.get("mcse_mean", np.nan))
    return {"method": NAMES[method]} | numbers | {"mcse": mcse, "events": events, "note": note}


def missing(method: Method, events: int, note: str) -> Record:
    """Why a method has none."""
    nothing = dict.fromkeys(("estimate", "std_error", "conf_low", "conf_high", "mcse"), np.nan)
    return {"method": NAMES[method]} | nothing | {"events": events, "note": note}


def _cox(
    spec: JointOfMethods, data: pd.DataFrame, value: str, level: float, method: Method, note: str
) -> Record:
    """The event's Cox model with the marker's value in each interval."""
    event, design = next(iter(spec.causes.values())), spec.design
    fixed = design.causes[0].event.formula.fixed
    formula = f"Surv(start, stop, event) ~ {fixed} + {value}"
    events = int(data["event"].sum())
    try:
        fit = replace(event, formula=formula, data=data, patient=design.group_name).fit()
        return answered(method, fit.tidy(level), value, events, note)
    except LongsurvError as error:
        return missing(method, events, f"{note} {error}".strip())


def _people(spec: JointOfMethods, value: str) -> pd.DataFrame:
    """Patient, entry, exit, event and the hazard's covariates, a row a patient."""
    design = spec.design
    cause = design.causes[0]
    wanted = sorted(str(v) for v in cause.event.fixed.recipe.required_variables)
    wanted = [c for c in wanted if c in cause.rows and c != design.group_name]
    clash = [c for c in wanted if c in ("entered", "left", "start", "stop", "event", value)]
    if clash:
        raise LongsurvError(
            f"association_check needs the names {clash} for itself: rename those columns of the "
            "event data"
        )
    return (
        cause.rows[wanted]
        .reset_index(drop=True)
        .assign(entered=design.entry, left=design.exit, died=design.status.astype(int))
        .assign(**{design.group_name: design.labels.to_numpy()})
    )


def carried_forward(spec: JointOfMethods, level: float) -> Record:
    """The last measurement, as it stays until the next."""
    design, value = spec.design, "last_value"
    marker, name, time = design.markers[0], design.group_name, design.time
    used = marker.measurements.iloc[marker.design.rows][[name, time]].reset_index(drop=True)
    used = used.assign(last_value=marker.design.y)
    used = used.groupby([name, time], observed=True, as_index=False)["last_value"].mean()
    rows = start_stop(
        used, _people(spec, value), [value], patient=name, time=time, exit="left", event="died",
        entry="entered",
    )  # fmt: skip
    never = int((rows.left_out["reason"] == "no measurement before the end of follow-up").sum())
    later = int((rows.left_out["reason"] == "at risk before the first measurement").sum())
    notes = []
    if never:
        notes.append(f"{never} patients without a measurement before the end are left out.")
    if later:
        notes.append(f"{later} patients are at risk from their first measurement on only.")
    return _cox(spec, rows.data.drop(columns=["entered", "left", "died"]), value, level,
                "carried forward", " ".join(notes))  # fmt: skip


def two_stages(spec: JointOfMethods, level: float) -> Record:
    """Curves of the mixed model alone, at every time of an event."""
    design, value = spec.design, "predicted_value"
    people = _people(spec, value)
    times = np.unique(design.exit[design.status == 1])
    inside = (times > design.entry[:, None]) & (times < design.exit[:, None])
    if inside.sum() > MOST_ROWS:
        return missing("two stages", int(design.status.sum()), "too many intervals")
    owner, k = np.nonzero(np.column_stack([inside, np.ones(len(people), dtype=bool)]))
    stop = np.append(times, np.inf)[k]
    stop = np.minimum(stop, design.exit[owner])
    start = np.where(np.r_[True, owner[1:] != owner[:-1]], design.entry[owner],
                     np.r_[0.0, stop[:-1]])  # fmt: skip
    at_end = np.r_[owner[1:] != owner[:-1], True]
    data = people.drop(columns=["entered", "left", "died"]).iloc[owner].reset_index(drop=True)
    data = data.assign(
        start=start,
        stop=stop,
        event=np.where(at_end, design.status[owner], 0.0).astype(int),
        predicted_value=predicted_curves(spec, owner, stop),
    )
    return _cox(spec, data, value, level, "two stages",
                "The error of the predicted curves is ignored.")  # fmt: skip


def predicted_curves(spec: JointOfMethods, owner: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Values of patients' curves by the mixed model alone, shape (m,).

    Parameters
    ----------
    spec : JointModel
    owner : ndarray of int, shape (m,)
        Position of the patient.
    times : ndarray, shape (m,)
    """
    design, alone = spec.design, spec.alone[0]
    marker, cause = design.markers[0], design.causes[0]
    table = alone.ranef().pivot(index=design.group_name, columns="effect", values="estimate")
    b = table.reindex(design.labels)[list(marker.design.random.names)].fillna(0.0).to_numpy()
    points = design.points(
        cause, [marker.curve.patients.iloc[owner]], cause.rows.iloc[owner], times, times
    )
    link = points.links[0]
    return np.asarray(alone.coefficients @ link.x + np.einsum("qm,mq->m", link.z, b[owner]))
