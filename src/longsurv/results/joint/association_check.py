"""One question, four answers: how does the hazard depend on the marker's current value?

- *Last value carried forward*: a Cox model with the last measurement as a time-varying covariate.
  Takes measurement error and the time since for nothing; pulled towards 1.
- *Two stages*: the curve of each patient as the mixed model alone predicts it, in a time-varying
  Cox model. The error of the curves is ignored, and so is that patients stop being measured because
  they die; the interval is too narrow.
- *Joint model*, maximum likelihood and posterior: one likelihood for both.

With few events they disagree, or agree because of the prior. How much of the posterior is prior is
said by its variance against that of the prior, and by power scaling (Kallioinen et al. 2024, Stat
Comput 34:57).

Tsiatis & Davidian (2004), Stat Sinica 14:809-834, for the comparison of methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, cast

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.estimands.joint_rows import DrawnJoint, FittedJoint, joint_spec
from longsurv.estimands.start_stop import start_stop
from longsurv.inference.specification import Specification
from longsurv.priors import Prior
from longsurv.records import Record
from longsurv.results.estimate import Estimate, check_level
from longsurv.results.joint import plots
from longsurv.results.joint.association import LinkChange, changes
from longsurv.results.joint.identification import TERM, AssociationDraws, identification
from longsurv.results.mixed.estimate import MixedEstimate
from longsurv.tables.notebook import Readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.design.joint import JointDesign

type Method = Literal["carried forward", "two stages", "ml", "bayes"]

NAMES: dict[str, str] = {
    "carried forward": "last value carried forward",
    "two stages": "two stages",
    "ml": "joint model, maximum likelihood",
    "bayes": "joint model, posterior",
}
"""Every method by its id."""

METHODS = tuple(NAMES.values())
COLUMNS = [
    "method", "change", "hazard_ratio", "conf_low", "conf_high", "method_id", "scale", "size",
]  # fmt: skip
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


@dataclass(frozen=True, eq=False, repr=False)
class AssociationCheck(Readable):
    """The association by several methods, and how much of it the data say.

    Attributes
    ----------
    table : DataFrame
        method, change ("one unit more of the current value", "one SD (...) more of ...", "a
        doubling of ..."), hazard_ratio, conf_low, conf_high. A posterior's is exp of its mean log
        hazard ratio. For programs: method_id ("carried forward", "two stages", "ml", "bayes"),
        scale of the change ("unit", "sd", "doubling") and its size.
    log_ratios : DataFrame
        method, estimate, std_error (of the log hazard ratio of one unit), conf_low, conf_high,
        events, note (what a method could not do or left out).
    contraction : float
        1 - posterior variance / prior variance of the association: the share of what is known that
        comes from the data.
    prior_share : float
        The rest.
    psense_prior, psense_likelihood : float
        Power-scaling sensitivity to the association's prior, and to the likelihood.
    conflict_p : float
        Twice the smaller prior-predictive tail probability of what the data alone say; NaN where
        nearly all of the answer is prior.
    diagnosis : {"mostly data", "prior and data", "mostly prior", "in conflict"}
        Prior against data; in conflict where the prior-predictive tail probability is below 0.05.
    prior : str
        Of the association.
    identified : {"yes", "partly", "no"}
    words : str
        The verdict in plain words.
    estimate, posterior : JointEstimate or None, JointPosterior
    """

    read_as: ClassVar[tuple[str, ...]] = ("words", "table")

    table: pd.DataFrame
    log_ratios: pd.DataFrame
    contraction: float
    prior_share: float
    psense_prior: float
    psense_likelihood: float
    conflict_p: float
    diagnosis: str
    prior: str
    identified: str
    words: str
    estimate: JointFit | None
    posterior: JointDraws

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the hazard ratio by every method, for a doubling or one SD of the marker.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.
        """
        return plots.association(self.table, ax)

    def __repr__(self) -> str:
        wide = self.table.assign(
            ratio=[
                f"{r:.2f} ({low:.2f} to {high:.2f})"
                for r, low, high in zip(
                    self.table["hazard_ratio"], self.table["conf_low"], self.table["conf_high"],
                    strict=True,
                )
            ]
        ).pivot(index="method", columns="change", values="ratio")  # fmt: skip
        wide = wide.loc[list(METHODS), list(dict.fromkeys(self.table["change"]))]
        return f"{self.words}\n{wide.to_string()}"


def association_check(
    model: JointOfMethods | JointFit | JointDraws,
    *,
    posterior: JointDraws | None = None,
    priors: Mapping[str, Prior] | None = None,
    draws: int = 1000,
    chains: int = 2,
    seed: int = 1,
    level: float = 0.95,
    unit: str = "",
) -> AssociationCheck:
    """The association of the marker's current value by four methods, and how much of it is prior.

    Parameters
    ----------
    model : JointModel, JointEstimate or JointPosterior
        With the link ``value()``, alone and without interaction.
    posterior : JointPosterior, optional
        If there is one already.
    priors : mapping of str to Prior, optional
        As for `JointModel.sample`.
    draws, chains, seed : int
    level : float
        Of all intervals.
    unit : str
        Of time, as "days", for the words.

    Raises
    ------
    LongsurvError
        For several markers, competing causes, or another link.
    """
    check_level(level)
    spec = cast(JointOfMethods, joint_spec(model, "association_check"))
    engine = getattr(model, "engine", None)  # a specification has none
    design = spec.design
    if design.event_names[-1] != TERM or len(design.causes[0].associations) > 1:
        found = list(design.causes[0].association_names)
        raise LongsurvError(
            "association_check compares methods for the marker's current value, link=value(); this "
            f"model has {found}"
        )
    if posterior is not None and getattr(posterior, "engine", None) != "bayes":
        raise LongsurvError(
            "association_check: posterior is what the same JointModel's sample() gave, not a"
            f" {type(posterior).__name__}"
        )
    if posterior is None:
        posterior = (
            cast(JointDraws, model) if engine == "bayes"
            else spec.sample(draws=draws, chains=chains, seed=seed, priors=priors)
        )  # fmt: skip
    estimate, rows = None, [_carried_forward(spec, level), _two_stages(spec, level)]
    events = int(design.status.sum())
    try:
        estimate = cast(JointFit, model) if engine == "ml" else spec.fit()
        rows.append(_row("ml", estimate.tidy(level), TERM, events))
    except LongsurvError as error:
        rows.append(_missing("ml", events, str(error)))
    rows.append(_row("bayes", posterior.tidy(level), TERM, events))
    log_ratios = pd.DataFrame(rows)
    found = identification(posterior).set_index("term").loc[TERM]
    return AssociationCheck(
        table=_ratios(log_ratios, changes(design, spec.link_sd)),
        log_ratios=log_ratios,
        words=" ".join(
            filter(
                None, (found["words"], _agreement(log_ratios, level), _extrapolation(design, unit))
            )
        ),
        estimate=estimate,
        posterior=posterior,
        **found.drop(["words", "events"]).to_dict(),
    )


def _row(method: Method, tidy: pd.DataFrame, term: str, events: int, note: str = "") -> Record:
    row = tidy.set_index("term").loc[term]
    numbers = {
        c: float(row[c]) for c in ("estimate", "std_error", "conf_low", "conf_high")
    }  # fmt: skip
    return {"method": NAMES[method]} | numbers | {"events": events, "note": note}


def _missing(method: Method, events: int, note: str) -> Record:
    nothing = dict.fromkeys(("estimate", "std_error", "conf_low", "conf_high"), np.nan)
    return {"method": NAMES[method]} | nothing | {"events": events, "note": note}


def _ratios(log_ratios: pd.DataFrame, told: Sequence[LinkChange]) -> pd.DataFrame:
    parts, ids = [], {method: key for key, method in NAMES.items()}
    for change in told:
        ratios = np.exp(change.size * log_ratios[["estimate", "conf_low", "conf_high"]].to_numpy())
        columns = pd.DataFrame(ratios, columns=["hazard_ratio", "conf_low", "conf_high"])
        parts.append(
            columns.assign(
                method=log_ratios["method"], change=change.words,
                method_id=log_ratios["method"].map(ids), scale=change.scale, size=change.size,
            )
        )  # fmt: skip
    table = pd.concat(parts, ignore_index=True)[COLUMNS]
    order = {method: k for k, method in enumerate(NAMES)}
    return table.sort_values("method_id", key=lambda m: m.map(order), kind="stable").reset_index(
        drop=True
    )


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
        return _row(method, fit.tidy(level), value, events, note)
    except LongsurvError as error:
        return _missing(method, events, f"{note} {error}".strip())


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


def _carried_forward(spec: JointOfMethods, level: float) -> Record:
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


def _two_stages(spec: JointOfMethods, level: float) -> Record:
    """Curves of the mixed model alone, at every time of an event."""
    design, value = spec.design, "predicted_value"
    people = _people(spec, value)
    times = np.unique(design.exit[design.status == 1])
    inside = (times > design.entry[:, None]) & (times < design.exit[:, None])
    if inside.sum() > MOST_ROWS:
        return _missing("two stages", int(design.status.sum()), "too many intervals")
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


def _agreement(log_ratios: pd.DataFrame, level: float) -> str:
    """Which methods' intervals include no association, and whether the methods disagree."""
    known = log_ratios.dropna(subset=["estimate"])
    low, high = known["conf_low"], known["conf_high"]
    crossing = known.loc[(low < 0) & (high > 0), "method"].tolist()
    lines = []
    if len(crossing) == len(known):
        lines.append(f"No method's {100 * level:g} % interval excludes a hazard ratio of 1.")
    elif crossing:
        lines.append(f"The interval includes a hazard ratio of 1 by: {'; '.join(crossing)}.")
    up, down = (
        known.loc[known["estimate"] > 0, "method"],
        known.loc[known["estimate"] < 0, "method"],
    )
    if len(up) and len(down):
        lines.append(
            f"The methods disagree in direction: a higher marker goes with a higher hazard by "
            f"{'; '.join(up)}, with a lower one by {'; '.join(down)}."
        )
    lines += [f"{m}: not estimated." for m in log_ratios["method"] if m not in set(known["method"])]
    return " ".join(lines)


def _extrapolation(design: JointDesign, unit: str) -> str:
    """Whether events come later than measurements reach, so that curves there are extrapolated."""
    marker = design.markers[0]
    used = marker.measurements.iloc[marker.design.rows]
    times = used.groupby(design.group_name, observed=True)[design.time].agg(["min", "max"])
    times = times.reindex(design.labels)
    gap = (design.exit - times["max"].to_numpy())[design.status == 1]
    middle, span = float(np.nanmedian(gap)), float((times["max"] - times["min"]).median())
    if not middle > span:
        return ""
    of_time = f" {unit}" if unit else ""
    return (
        f"Half of the events come {middle:.3g}{of_time} or more after the patient's last"
        f" measurement, and measurements span {span:.3g}{of_time}: there the curves of the joint"
        " model and of the two stages are extrapolated by the marker's formula, and the"
        " association rests on it."
    )
