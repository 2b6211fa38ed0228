"""Priors of a log hazard ratio from a table of published trials."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.errors import LongsurvError
from longsurv.priors.families import HalfNormal, Normal
from longsurv.priors.mixture import Mixture
from longsurv.priors.prior import Prior
from longsurv.priors.published import Ratio, log_hazard_ratio, read_trials
from longsurv.priors.trials import effective_events, mixture_of, random_effects
from longsurv.tables.notebook import Readable
from longsurv.words import plural

WEIGHT_OF_VAGUE = 0.2
_TAIL = 0.01
_TOLD = 0.005
MODERATE, WIDE, VAGUE = HalfNormal(0.5), Normal(0.0, 2.0), Normal(0.0, 1.0)


@dataclass(frozen=True, eq=False, repr=False)
class TrialsPrior(Readable):
    """What published trials say of a treatment's effect in the next study.

    Attributes
    ----------
    prior : Mixture
        Of the log hazard ratio, robust: `predictive` and, with the weight `robust`, `vague`.
    predictive : Normal or Mixture
        The log hazard ratio of another trial, as far as the trials tell.
    table : DataFrame
        Of the outcome's ratio: quantity ("average", "between-trial SD" of the log ratio, "another
        trial"), estimate (median), conf_low, conf_high (95 % equal-tailed); and for hazard ratios
        of another trial "another trial, hazard ratio" where they are not the outcome.
    trials : DataFrame
        As given, with `estimate` and `std_error` of the log ratio where they are known.
    outcome : str
    baseline_risk : float or None
    robust : float
    vague : Prior
    heterogeneity, average : Prior
        Of the between-trial SD and of the average log ratio.
    fit_error : float
        Largest difference between the distribution function of the trials' prediction and that of
        the mixture of normals that stands for it.
    impossible : float
        Share of the prediction that was left out, as a risk ratio there makes a risk above 1.
    """

    read_as: ClassVar[tuple[str, ...]] = ("words", "table")

    prior: Prior
    predictive: Prior
    table: pd.DataFrame
    trials: pd.DataFrame
    outcome: Ratio
    baseline_risk: float | None
    robust: float
    vague: Prior
    heterogeneity: Prior
    average: Prior
    fit_error: float
    impossible: float = 0.0

    def effective_events(self, allocation: float = 0.5) -> float:
        """Events that the robust prior is worth; see `longsurv.priors.effective_events`.

        Parameters
        ----------
        allocation : float
            Share of the patients who are in the group.

        Returns
        -------
        float
        """
        return effective_events(self.prior, allocation)

    @property
    def words(self) -> str:
        """What was put together, and what came of it, in sentences."""
        kind = self.outcome.replace("_", " ")
        at = "" if self.baseline_risk is None else f" at a baseline risk of {self.baseline_risk:g}"
        vague = (
            f", and with probability {self.robust:g} {self.vague}, if they do not apply"
            if self.robust
            else ""
        )
        left = (
            f" {100 * self.impossible:.2g} % of the prediction, risks above 1, were left out."
            if self.impossible
            else ""
        )
        off = (
            f" Its distribution function is off by up to {self.fit_error:.1g}, as no four normals"
            " make the tails of the trials' prediction."
            if self.fit_error > _TOLD
            else ""
        )
        return (
            f"{plural(len(self.trials), 'trial')}, {kind}s; between-trial SD ~"
            f" {self.heterogeneity}, average ~ {self.average}. Prior of the log hazard"
            f" ratio{at}: {self.predictive}{vague}. It is"
            f" worth {self.effective_events():.0f} events of a trial of equal groups.{left}{off}"
        )

    def __str__(self) -> str:
        return f"{self.words}\n{self.table.to_string(index=False, float_format='{:.3g}'.format)}"


@checked
def from_trials(
    table: pd.DataFrame,
    outcome: Ratio = "odds_ratio",
    heterogeneity: Prior = MODERATE,
    *,
    average: Prior = WIDE,
    baseline_risk: float | None = None,
    robust: float = WEIGHT_OF_VAGUE,
    vague: Prior = VAGUE,
) -> TrialsPrior:
    """Prior of a log hazard ratio from published trials, by a Bayesian random-effects
    meta-analysis.

    The effects of the trials and of the next study are taken as draws of one normal distribution;
    its mean and standard deviation are integrated out by quadrature (the meta-analytic-predictive
    prior). Counts with `outcome="odds_ratio"` enter by the exact likelihood given the margins, so
    that cells of zero need no correction; everything else by a normal likelihood of the log ratio.

    Parameters
    ----------
    table : DataFrame
        A row a trial, with a column `source` that says where its numbers are from, and either
        `events`, `patients`, `reference_events`, `reference_patients`; or `ratio`, `low`, `high`
        with a 95 % interval; or `estimate`, `std_error` of the log ratio.
    outcome : {"odds_ratio", "risk_ratio", "hazard_ratio"}
        What the trials' ratios are.
    heterogeneity : Prior
        Of the standard deviation of the log ratio between trials. HalfNormal(0.5) allows for
        moderate to substantial heterogeneity, HalfNormal(1) for very large.
    average : Prior
        Of the average log ratio.
    baseline_risk : float, optional
        Risk of the reference group, in the study that the prior is for, at which an odds or risk
        ratio is made a hazard ratio.
    robust : float
        Probability that the trials do not apply to the study, 0 to below 1.
    vague : Prior
        Of the log hazard ratio if they do not.

    Returns
    -------
    TrialsPrior

    Raises
    ------
    DataError
        Naming every row and column that cannot be used.
    LongsurvError
        For a baseline risk that is missing or impossible, or a prior that does not fit.

    References
    ----------
    Neuenschwander B, Capkun-Niggli G, Branson M, Spiegelhalter DJ. Summarizing historical
    information on controls in clinical trials. Clin Trials 2010;7:5-18. Schmidli H, Gsteiger S,
    Roychoudhury S, and others. Robust meta-analytic-predictive priors in clinical trials with
    historical control information. Biometrics 2014;70:1023-1032.
    """
    if not heterogeneity.positive or average.positive or vague.positive:
        raise LongsurvError(
            "heterogeneity is a prior of a standard deviation, as HalfNormal(0.5); average and"
            " vague are of log ratios, as Normal(0, 1)"
        )
    if not 0.0 <= robust < 1.0:
        raise LongsurvError(f"robust is a probability from 0 to below 1, not {robust:g}")
    log_hazard_ratio(np.zeros(1), outcome, baseline_risk)
    shown, likelihoods = read_trials(table, outcome)
    found = random_effects(likelihoods, average, heterogeneity)
    another = found.points()
    possible, impossible = _possible(another, outcome, baseline_risk)
    moved = log_hazard_ratio(possible, outcome, baseline_risk)
    predictive, error = mixture_of(moved)
    tails = np.array([0.5, 0.025, 0.975])
    rows = [
        ("average", *np.exp(found.quantiles_of_average(tails))),
        ("between-trial SD", *found.quantiles_of_spread(tails)),
        ("another trial", *np.exp(np.quantile(another, tails))),
    ]
    if outcome != "hazard_ratio":
        rows.append(("another trial, hazard ratio", *np.exp(np.quantile(moved, tails))))
    return TrialsPrior(
        prior=Mixture((predictive, vague), (1.0 - robust, robust)) if robust else predictive,
        predictive=predictive,
        table=pd.DataFrame(rows, columns=["quantity", "estimate", "conf_low", "conf_high"]),
        trials=shown,
        outcome=outcome,
        baseline_risk=baseline_risk,
        robust=float(robust),
        vague=vague,
        heterogeneity=heterogeneity,
        average=average,
        fit_error=error,
        impossible=impossible,
    )


def _possible(
    points: np.ndarray, outcome: Ratio, baseline_risk: float | None
) -> tuple[np.ndarray, float]:
    """The points at which the risk of the group is below 1, and the share of those that are not.

    Raises
    ------
    LongsurvError
        If they are more than a tail.
    """
    if outcome != "risk_ratio" or baseline_risk is None:
        return points, 0.0
    kept = points[points < -math.log(baseline_risk)]
    share = 1.0 - len(kept) / len(points)
    if share > _TAIL:
        raise LongsurvError(
            f"at a baseline risk of {baseline_risk:g} the trials give {100 * share:.2g} %"
            " probability to a risk above 1: risk ratios cannot be carried over; use odds ratios,"
            " or a lower baseline_risk"
        )
    return kept, share
