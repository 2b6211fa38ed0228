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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.errors import LongsurvError
from longsurv.estimands.joint_rows import joint_spec
from longsurv.priors import Prior
from longsurv.results.joint import plots
from longsurv.results.joint.association import LinkChange, changes
from longsurv.results.joint.association_methods import (
    NAMES,
    JointDraws,
    JointFit,
    JointOfMethods,
    answered,
    carried_forward,
    missing,
    two_stages,
)
from longsurv.results.joint.identification import TERM, identification
from longsurv.results.nested import of_same_rows
from longsurv.tables.notebook import Readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.design.joint import JointDesign


METHODS = tuple(NAMES.values())
COLUMNS = [
    "method", "change", "hazard_ratio", "conf_low", "conf_high", "mcse", "method_id", "scale",
    "size",
]  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class AssociationCheck(Readable):
    """The association by several methods, and how much of it the data say.

    Attributes
    ----------
    table : DataFrame
        method, change ("one unit more of the current value", "one SD (...) more of ...", "a
        doubling of ..."), hazard_ratio, conf_low, conf_high, mcse. A posterior's is exp of its mean
        log hazard ratio, with its Monte Carlo standard error. For programs: method_id ("carried
        forward", "two stages", "ml", "bayes"), scale of the change ("unit", "sd", "doubling") and
        its size.
    log_ratios : DataFrame
        method, estimate, std_error (of the log hazard ratio of one unit), conf_low, conf_high,
        mcse (of a posterior's mean), events, note (what a method could not do or left out).
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


@checked
def association_check(
    model: JointOfMethods | JointFit | JointDraws,
    *,
    posterior: JointDraws | None = None,
    priors: Mapping[str, Prior] | None = None,
    draws: int = 1000,
    chains: int = 4,
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
    if posterior is not None and not of_same_rows(design, posterior.design):
        raise LongsurvError(
            "association_check: posterior is of other data than the model; it is what sample() of"
            " the same JointModel gave"
        )
    if posterior is None:
        posterior = (
            cast(JointDraws, model) if engine == "bayes"
            else spec.sample(draws=draws, chains=chains, seed=seed, priors=priors)
        )  # fmt: skip
    estimate, rows = None, [carried_forward(spec, level), two_stages(spec, level)]
    events = int(design.status.sum())
    try:
        estimate = cast(JointFit, model) if engine == "ml" else spec.fit()
        rows.append(answered("ml", estimate.tidy(level), TERM, events))
    except LongsurvError as error:
        rows.append(missing("ml", events, str(error)))
    rows.append(answered("bayes", posterior.tidy(level), TERM, events))
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


def _ratios(log_ratios: pd.DataFrame, told: Sequence[LinkChange]) -> pd.DataFrame:
    parts, ids = [], {method: key for key, method in NAMES.items()}
    for change in told:
        ratios = np.exp(change.size * log_ratios[["estimate", "conf_low", "conf_high"]].to_numpy())
        columns = pd.DataFrame(ratios, columns=["hazard_ratio", "conf_low", "conf_high"])
        columns["mcse"] = change.size * log_ratios["mcse"] * columns["hazard_ratio"]
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
