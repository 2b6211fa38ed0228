"""One treatment effect under several priors: what each prior says, what the data make of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from longsurv.analyses import plots
from longsurv.analyses.mortality.effect import coefficient, priors_of, undetermined
from longsurv.arguments import checked
from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.exact_hazard import EventDistribution, event_distribution
from longsurv.estimands.follow_up import FollowUp
from longsurv.estimands.standardised import REDUCTIONS, reduction_column, risk_difference
from longsurv.estimands.treatments import levels_of, two_levels
from longsurv.priors import TREATMENT, Prior, distribution, quantiles
from longsurv.results.prior_share import diagnosis, predictive_tail, prior_shares
from longsurv.results.survival.cox_posterior import SurvivalPosterior
from longsurv.results.survival.cox_sites_posterior import SitesPosterior
from longsurv.tables.frame import framed
from longsurv.tables.notebook import Readable
from longsurv.tables.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.models import CoxPH

FEW = 200
"""Events up to which their exact distribution is used."""
SHOWN = [
    "prior", "prior_hr_low", "prior_hr_high", "hr", "hr_low", "hr_high", "prob_positive",
    "risk_difference", "prob_benefit", "prob_benefit_1", "prob_benefit_5", "prior_share",
]  # fmt: skip
"""Columns of a print."""


@dataclass(frozen=True, eq=False)
class PriorGrid(Readable):
    """Posteriors of a hazard ratio and a risk difference under named priors.

    Attributes
    ----------
    table : DataFrame
        One row a prior. Before the data: `prior`, `density`, `prior_hr`, `prior_hr_low`,
        `prior_hr_high`, `prior_prob_positive` and, at the baseline risk, `prior_risk_ratio` and
        `prior_risk_difference`, each with `_low` and `_high`. After: `hr` (median), `hr_low`,
        `hr_high`, `prob_positive`; `risk_difference` (mean, standardised over the cohort), `_low`,
        `_high`, `prob_benefit` (of any size), `prob_benefit_1` and `prob_benefit_5` (of more
        than 1 and 5 %). How much is prior: `contraction` (1 - posterior variance / prior variance
        of the log hazard ratio: the share of what is known that comes from the data; kept within 0
        and 1, which simulation error or a Student-t prior in conflict with the data could leave; a
        mixture counts as the normal prior with its information at the posterior),
        `prior_share` (the rest), `psense_prior`, `psense_likelihood`
        (power-scaling sensitivity to this prior, the other coefficients' left alone, and to the
        likelihood), `conflict_p` (prior-predictive tail probability of what was observed: see
        `conflict`), `diagnosis` ("mostly data", "prior and data", "mostly prior", "in conflict").
        `r_hat` and `ess` of the log hazard ratio.
    treatment, term : str
        The column and its coefficient.
    horizon : float
    baseline_risk : float
        Risk of the reference group at the horizon, at which the priors' risks are given; NaN, as
        these are, where it is 0 or 1 or not known.
    level : float
        Of the intervals.
    posteriors : mapping of str to SurvivalPosterior or SitesPosterior
        By the name of the prior.
    no_risks : str
        Why the posteriors give no risks, which are NaN in the table then; empty if they do. The
        hazard ratios stand without them.
    """

    read_as: ClassVar[tuple[str, ...]] = ("table",)

    table: pd.DataFrame
    treatment: str
    term: str
    horizon: float
    baseline_risk: float
    level: float
    posteriors: Mapping[str, SurvivalPosterior | SitesPosterior]
    no_risks: str = ""

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the posterior under every prior, with the prior over it.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.
        """
        draws = {name: post.draw(self.term) for name, post in self.posteriors.items()}
        known = {name: post.priors[self.term] for name, post in self.posteriors.items()}
        return plots.hazard_ratio_under(self.table, draws, known, ax)

    def summary(self) -> Summary:
        """What each prior says, and what the data make of it, as a reader sees it.

        Returns
        -------
        Summary
            Prints as text and shows itself in a notebook.
        """
        headers = {
            "hr": "HR", "hr_low": "low", "hr_high": "high", "prior_hr_low": "prior low",
            "prior_hr_high": "prior high", "prob_positive": "P(HR > 1)",
            "prob_benefit": "P(lower risk)",
            "prob_benefit_1": "P(by > 1 %)", "prob_benefit_5": "P(by > 5 %)",
        }  # fmt: skip
        table = framed(self.table[SHOWN], headers=headers)
        title = f"{self.term} under {len(self.table)} priors, risks at {self.horizon:g}"
        words = f"{100 * self.level:g} % equal-tailed intervals.", self._without_risks
        return Summary(title, (table,), words=tuple(text for text in words if text))

    @property
    def _without_risks(self) -> str:
        return f"No risks after the data: {self.no_risks}." if self.no_risks else ""

    def __repr__(self) -> str:
        head = (
            f"{self.term} under {len(self.table)} priors; risks at {self.horizon:g}; "
            f"{100 * self.level:g} % equal-tailed intervals"
        )
        text = self.table[SHOWN].to_string(index=False, float_format=lambda v: f"{v:.3g}")
        return "\n".join(part for part in (head, text, self._without_risks) if part)


@checked
def prior_grid(
    spec: CoxPH,
    treatment: str,
    priors: Mapping[str, Prior] = TREATMENT,
    *,
    horizon: float,
    baseline_risk: float | None = None,
    others: Mapping[str, Prior] | None = None,
    group: Hashable | None = None,
    draws: int = 1000,
    chains: int = 4,
    seed: int = 1,
    level: float = 0.95,
) -> PriorGrid:
    """Sample a Cox model under each of several priors of its treatment effect.

    Parameters
    ----------
    spec : CoxPH
    treatment : str
        Column of the treatment; it must have one coefficient, of two levels, or one an arm.
    priors : mapping of str to Normal, StudentT or Mixture
        Of the log hazard ratio, by name: of each arm's, where there are several.
    horizon : float
        Time of the risks, in the unit of the data.
    baseline_risk : float, optional
        Risk of the reference group at which a prior's hazard ratio is put on the risk scale; by
        default the Kaplan-Meier risk of that group at the horizon, of all patients where that is
        0, 1 or not known (with entry times: of those at risk from the first entry on).
    others : mapping of str to Prior, optional
        Priors of the other coefficients.
    group : hashable, optional
        Of several arms the one that is compared with the first.
    draws, chains, seed : int
        See `CoxPH.sample`.
    level : float

    Returns
    -------
    PriorGrid

    Raises
    ------
    LongsurvError
        If the treatment does not have exactly one coefficient (an interaction is another), there is
        no prior, or the horizon is no time after 0. Beyond the last exit there are no risks, and
        `PriorGrid.no_risks` says so.
    EstimationError
        If the likelihood does not depend on the treatment's coefficient.
    """
    if not horizon > 0.0:
        raise LongsurvError(f"the horizon is a time after 0; got {horizon!r}")
    if baseline_risk is not None and not 0.0 < baseline_risk < 1.0:
        raise LongsurvError(
            f"the baseline risk is {baseline_risk:g}: name one between 0 and 1 with baseline_risk="
        )
    if not priors:
        raise LongsurvError("give at least one prior")
    term = coefficient(spec, treatment, group)
    nothing = undetermined(spec, term)
    if nothing:
        raise EstimationError(f"every posterior of {term} is its prior: {nothing}")
    first = levels_of(spec.data[treatment].iloc[spec.design.rows])[0]
    compared = (group, None if group is None else first)
    risk = _baseline_risk(spec, treatment, horizon) if baseline_risk is None else baseline_risk
    before = {name: _before(prior, risk, level) for name, prior in priors.items()}
    tail = _tail(spec, treatment, term)
    posteriors, rows, why = {}, [], ""
    for name, prior in priors.items():
        post = spec.sample(
            draws=draws, chains=chains, seed=seed,
            priors={**(others or {}), **priors_of(spec, treatment, prior)},
        )  # fmt: skip
        posteriors[name] = post
        risks, why = _risks_after(post, treatment, compared, horizon, level)
        rows.append(
            {"prior": name, "density": str(prior)}
            | before[name]
            | _after(post, term, risks, level)
            | _shares(post, term, prior, tail(prior))
        )
    return PriorGrid(
        table=pd.DataFrame(rows),
        treatment=treatment,
        term=term,
        horizon=float(horizon),
        baseline_risk=float(risk),
        level=level,
        posteriors=posteriors,
        no_risks=why,
    )


def _shares(
    post: SurvivalPosterior | SitesPosterior, term: str, prior: Prior, tail: float
) -> dict[str, float | str]:
    found = prior_shares(post, term, prior)
    judged = found._replace(conflict_p=tail, diagnosis=diagnosis(found.prior_share, tail))
    return judged._asdict()


def conflict(spec: CoxPH, treatment: str, term: str, prior: Prior) -> float:
    """How far out the data lie for someone who believed the prior of the treatment's effect.

    Twice the smaller tail probability (mid-p) of the events in the treated group under the prior
    predictive distribution, from their exact distribution given the risk sets and the prior by
    quadrature. With covariates or strata, or with many events, of Firth's estimate taken for normal
    (`predictive_tail`).

    Parameters
    ----------
    spec : CoxPH
    treatment, term : str
        The column and its coefficient.
    prior : Normal, StudentT or Mixture
        Of the log hazard ratio.

    Returns
    -------
    float
    """
    return _tail(spec, treatment, term)(prior)


def _tail(spec: CoxPH, treatment: str, term: str) -> Callable[[Prior], float]:
    """`conflict` of any prior, with what the data say worked out once."""
    counted = _counts(spec, treatment)
    if counted is None:
        row = spec.fit(penalty="firth").tidy().set_index("term").loc[term]
        estimate, std_error = float(row["estimate"]), float(row["std_error"])
        return lambda prior: predictive_tail(prior, estimate, std_error)
    events, apart = counted

    def of_counts(prior: Prior) -> float:
        log_ratios = apart * quantiles(prior, (np.arange(400) + 0.5) / 400)
        below, above = np.mean([events.tails(float(b), mid=True) for b in log_ratios], axis=0)
        return 2.0 * float(min(below, above))

    return of_counts


def _counts(spec: CoxPH, treatment: str) -> tuple[EventDistribution, float] | None:
    """Distribution of the events in the treated group, and how far apart the groups are coded.

    None where the two groups are not all there is in the model, or the events are many.
    """
    d = spec.design
    plain = d.strata is None and d.weights is None and d.offset is None
    if len(d.fixed.names) > 1 or not plain or d.n_events > FEW:
        return None
    used = spec.data.iloc[d.rows]
    reference, group = two_levels(used, treatment, None, None)
    of, since = ((used[treatment] == level).to_numpy() for level in (group, reference))
    events = event_distribution(
        FollowUp(d.entry[of], d.exit[of], d.event[of]),
        FollowUp(d.entry[since], d.exit[since], d.event[since]),
    )
    return events, float(d.fixed.X[of, 0].mean() - d.fixed.X[since, 0].mean())


def _baseline_risk(spec: CoxPH, treatment: str, horizon: float) -> float:
    """Kaplan-Meier risk of the reference group, or else of all: the first that leaves room for an
    effect in either direction; NaN if neither does."""
    from longsurv.estimands.kaplan_meier import kaplan_meier

    d = spec.design
    used = spec.data.iloc[d.rows]
    reference = levels_of(used[treatment])[0]
    for chosen in ((used[treatment] == reference).to_numpy(), np.ones(len(used), dtype=bool)):
        curve = kaplan_meier(FollowUp(d.entry[chosen], d.exit[chosen], d.event[chosen]))
        risk = 1.0 - float(curve.at(np.array([float(horizon)]))[0][0])
        if 0.0 < risk < 1.0:
            return risk
    return math.nan


def _before(prior: Prior, risk: float, level: float) -> dict[str, float]:
    """Hazard ratio, risk ratio and risk difference under the prior alone."""
    tail = 0.5 - level / 2
    hr = np.exp(quantiles(prior, np.array([0.5, tail, 1 - tail])))
    with np.errstate(over="ignore"):
        treated = 1.0 - (1.0 - risk) ** hr
    out: dict[str, float] = {}
    for name, values in (
        ("prior_hr", hr),
        ("prior_risk_ratio", treated / risk),
        ("prior_risk_difference", treated - risk),
    ):
        out |= dict(zip((name, f"{name}_low", f"{name}_high"), map(float, values), strict=True))
    return out | {"prior_prob_positive": 1.0 - float(distribution(prior, np.zeros(1))[0])}


def _after(
    post: SurvivalPosterior | SitesPosterior,
    term: str,
    risks: dict[str, float],
    level: float,
) -> dict[str, float]:
    tails = [0.5, 0.5 - level / 2, 0.5 + level / 2]
    hr = np.exp(np.quantile(post.draw(term), tails))
    tidy = post.tidy().set_index("term").loc[term]
    return {
        "hr": float(hr[0]),
        "hr_low": float(hr[1]),
        "hr_high": float(hr[2]),
        "prob_positive": float((post.draw(term) > 0).mean()),
        **risks,
        "r_hat": float(tidy["r_hat"]),
        "ess": float(min(tidy["ess_bulk"], tidy["ess_tail"])),
    }


def _risks_after(
    post: SurvivalPosterior | SitesPosterior,
    treatment: str,
    compared: tuple[Hashable | None, Hashable | None],
    horizon: float,
    level: float,
) -> tuple[dict[str, float], str]:
    """The posterior's difference of risks and probabilities of a benefit; NaN, and why, where it
    has none."""
    names = {"risk_difference": "estimate", "risk_difference_low": "conf_low",
             "risk_difference_high": "conf_high"}  # fmt: skip
    names |= {name: name for name in map(reduction_column, REDUCTIONS)}
    treated, reference = compared
    try:
        table = risk_difference(
            post, treatment, horizon, treated=treated, reference=reference, level=level
        ).set_index("term")
    except LongsurvError as error:
        return dict.fromkeys(names, math.nan), str(error)
    row = table.loc["risk difference"]
    return {name: float(row[column]) for name, column in names.items()}, ""
