"""What answers of joint models share: which models they take, and a patient's rows by a day."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from longsurv.design.expression import expression
from longsurv.errors import LongsurvError
from longsurv.estimands.answered import ByBayes, ByLikelihood, Qualified
from longsurv.inference import Draws, Optimum
from longsurv.likelihood import joint

if TYPE_CHECKING:
    from longsurv.design.joint import JointDesign, JointMarker


@runtime_checkable
class JointSpecification(Protocol):
    """A specification of markers and of causes of an event, by name."""

    @property
    def design(self) -> JointDesign:
        """The arrays of all its parts."""

    @property
    def markers(self) -> Mapping[str, HasTable]:
        """The markers' models."""

    @property
    def causes(self) -> Mapping[str, HasTable]:
        """The models of the event's causes."""

    @property
    def fit(self) -> Callable[..., JointAnswer]:
        """The answer by maximum likelihood."""

    @property
    def with_data(self) -> Callable[..., JointSpecification]:
        """The same model of other rows of its markers and causes, by name."""


class HasTable(Protocol):
    """A specification of one table."""

    @property
    def data(self) -> pd.DataFrame:
        """The table."""


class JointAnswer(Qualified, Protocol):
    """What is used of an estimate and of a posterior of a joint model."""

    @property
    def spec(self) -> object:
        """The joint model."""

    @property
    def design(self) -> JointDesign:
        """Its arrays."""

    @property
    def data(self) -> joint.JointData:
        """Those of the likelihood."""


class FittedJoint(JointAnswer, ByLikelihood, Protocol):
    """An estimate."""

    @property
    def theta(self) -> np.ndarray:
        """All parameters, shape (d,)."""

    @property
    def cov_theta(self) -> np.ndarray:
        """Their covariance, shape (d, d)."""

    @property
    def undetermined(self) -> tuple[str, ...]:
        """Coefficients that the data do not determine."""

    @property
    def optimum(self) -> Optimum:
        """Where the climb ended."""


class DrawnJoint(JointAnswer, ByBayes, Protocol):
    """A posterior."""

    @property
    def draws(self) -> Draws:
        """Of all parameters."""


type JointResult = FittedJoint | DrawnJoint


def joint_spec(
    given: object, what: str, *, markers: bool = False, causes: bool = False, limits: bool = False
) -> JointSpecification:
    """The specification of a joint model, or of its result, if an answer can be had of it.

    Parameters
    ----------
    given : JointModel, JointEstimate or JointPosterior
    what : str
        The answer asked for, for the message.
    markers, causes, limits : bool
        Whether it can be had of several markers, competing causes, values beyond a limit.

    Raises
    ------
    LongsurvError
        If it is no joint model, or one that has what the answer does not take.
    """
    spec = getattr(given, "spec", given)
    if not isinstance(spec, JointSpecification):
        raise LongsurvError(f"{what} takes a joint model, not a {type(given).__name__}")
    censored = any(getattr(marker, "censored", None) for marker in spec.markers.values())
    beyond = {
        "several markers": len(spec.markers) > 1 and not markers,
        "competing causes": len(spec.causes) > 1 and not causes,
        "values beyond a detection limit": censored and not limits,
    }
    if any(beyond.values()):
        has = " and ".join(name for name, is_beyond in beyond.items() if is_beyond)
        raise LongsurvError(f"{what} cannot be had yet of a joint model with {has}")
    return spec


def chosen_cause(names: Sequence[str], cause: str | None, what: str) -> str | None:
    """The competing cause an answer is about; None where the model has only one cause.

    Parameters
    ----------
    names : sequence of str
        The causes of the model.
    cause : str or None
        The one asked for.
    what : str
        The answer asked for, for the message.

    Raises
    ------
    LongsurvError
        If there are several and none is chosen, or the model has no such cause.
    """
    known = list(names)
    if cause is not None and cause not in known:
        raise LongsurvError(f"cause is one of {known}, not {cause!r}")
    if len(known) == 1:
        return None
    if cause is None:
        raise LongsurvError(
            f"{what} is about one cause of a model with competing causes: name it, cause= one of "
            f"{known}"
        )
    return cause


def chosen_marker(names: Sequence[str], marker: str | None) -> int:
    """Which of a model's markers is asked about.

    Parameters
    ----------
    names : sequence of str
        The markers of the model.
    marker : str or None
        The one asked for.

    Raises
    ------
    LongsurvError
        If there are several and none is named, or the model has no such marker.
    """
    known = list(names)
    if marker not in known and (marker is not None or len(known) > 1):
        raise LongsurvError(f"marker is one of {known}, not {marker!r}")
    return known.index(marker) if marker is not None else 0


def histories(design: JointDesign, labels: pd.Index, at: float) -> dict[str, pd.DataFrame]:
    """Rows from which to predict, by marker: patients' measurements by a time, with covariates.

    Parameters
    ----------
    design : JointDesign
        Of all patients.
    labels : Index
        The patients.
    at : float

    Returns
    -------
    dict of str to DataFrame
        Columns of the marker's formula and of the hazards'. A patient without a measurement by then
        has a row without time.

    Raises
    ------
    LongsurvError
        If a hazard's formula and a response use a column of the same name, or two causes' data
        disagree about a column that both use.
    """
    return {marker.name: _history(design, marker, labels, at) for marker in design.markers}


def _history(design: JointDesign, marker: JointMarker, labels: pd.Index, at: float) -> pd.DataFrame:
    name, time = design.group_name, design.time
    rows = marker.measurements.iloc[marker.design.rows]
    rows = rows.loc[rows[name].isin(labels) & (rows[time] <= at)]
    people = marker.curve.patients.set_axis(design.labels, axis=0).loc[labels]
    people = people[[c for c in people if c in rows and c != name]]
    events = _of_hazards(design, labels)
    wanted = {v for v in events if v not in people and v != name}
    taken = set(expression(marker.design.formula.response).columns) | {time}
    clash = sorted(wanted & taken)
    if clash:
        raise LongsurvError(
            f"{clash} mean one thing in the marker's formula and another in the hazard's: rename "
            "the columns of the event data"
        )
    people = people.join(events[sorted(wanted)])
    kept = rows.drop(columns=[c for c in people if c in rows])
    kept = kept.merge(people, left_on=name, right_index=True, how="left")
    unmeasured = people.loc[~people.index.isin(rows[name])]
    if unmeasured.empty:
        return kept.reset_index(drop=True)
    blank = unmeasured.rename_axis(name).reset_index().assign(**{time: np.nan})
    parts = [part for part in (kept, blank) if len(part)]
    return pd.concat(parts, ignore_index=True)


def _of_hazards(design: JointDesign, labels: pd.Index) -> pd.DataFrame:
    """What the hazards of all causes need of each patient."""
    out = pd.DataFrame(index=labels)
    for cause in design.causes:
        rows = cause.rows.set_axis(design.labels, axis=0).loc[labels]
        wanted = {str(v) for v in cause.event.fixed.recipe.required_variables}
        wanted |= {link.by for _, link, _ in cause.links if link.by}
        wanted |= set(cause.event.formula.surv[:-2])
        for column in sorted(wanted & set(rows)):
            if column in out and not out[column].equals(rows[column]):
                raise LongsurvError(
                    f"the data of {cause.name} and of another cause disagree about {column!r}: "
                    "give both the same values, or rename one of the columns"
                )
            out[column] = rows[column]
    return out
