"""Priors of a log hazard ratio from what was published: an interval, or a table of trials."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.errors import DataError, LongsurvError
from longsurv.priors.families import HalfNormal, Normal, Prior
from longsurv.priors.mixture import Mixture
from longsurv.priors.trials import (
    Marginal,
    conditional_trial,
    effective_events,
    mixture_of,
    normal_trial,
    random_effects,
)
from longsurv.tables.notebook import Readable

type Ratio = Literal["hazard_ratio", "odds_ratio", "risk_ratio"]

COUNTS = ("events", "patients", "reference_events", "reference_patients")
ESTIMATE = ("estimate", "std_error")
INTERVAL = ("ratio", "low", "high")
FORMS = (COUNTS, ESTIMATE, INTERVAL)
WEIGHT_OF_VAGUE = 0.2
_TAIL = 0.01
MODERATE, WIDE, VAGUE = HalfNormal(0.5), Normal(0.0, 2.0), Normal(0.0, 1.0)


def log_hazard_ratio(
    log_ratio: np.ndarray, outcome: Ratio, baseline_risk: float | None
) -> np.ndarray:
    """The log hazard ratio that a log odds or risk ratio is, at a risk of the reference group.

    With proportional hazards the risk of the group is 1 - (1 - r)^HR where that of the reference is
    r, so HR = log(1 - p) / log(1 - r).

    Raises
    ------
    LongsurvError
        Without a baseline risk, or where a risk ratio makes a risk of 1 or more of it.
    """
    log_ratio = np.asarray(log_ratio, dtype=float)
    if outcome == "hazard_ratio":
        return log_ratio
    if baseline_risk is None:
        words = outcome.replace("_", " ")
        raise LongsurvError(
            f"{'an' if words[0] == 'o' else 'a'} {words} becomes a hazard ratio at the risk of the"
            " reference group: name it, as in baseline_risk=0.2"
        )
    r = float(baseline_risk)
    if not 0.0 < r < 1.0:
        raise LongsurvError(f"baseline_risk is a risk between 0 and 1, not {r:g}")
    if outcome == "risk_ratio":
        risk = r * np.exp(log_ratio)
        if (risk >= 1.0).any():
            raise LongsurvError(
                f"a risk ratio of {math.exp(float(log_ratio.max())):.3g} at a baseline risk of"
                f" {r:g} is a risk above 1: name a lower baseline_risk, or use odds ratios"
            )
        left = -np.log1p(-risk)
    else:  # 1 - p = 1 / (1 + odds)
        left = np.logaddexp(0.0, math.log(r / (1.0 - r)) + log_ratio)
    return np.log(left) - math.log(-math.log1p(-r))


@checked
def from_interval(
    ratio: float,
    low: float,
    high: float,
    level: float = 0.95,
    *,
    outcome: Ratio = "hazard_ratio",
    baseline_risk: float | None = None,
) -> Normal:
    """Normal prior on a log ratio from a published ratio with its interval.

    Parameters
    ----------
    ratio, low, high : float
        Point estimate and interval of a ratio.
    level : float
        Of the interval.
    outcome : {"hazard_ratio", "odds_ratio", "risk_ratio"}
        What kind of ratio. An odds or a risk ratio is made a hazard ratio first, and needs the
        baseline risk; to have a prior of a log odds ratio itself leave this as it is.
    baseline_risk : float, optional
        Risk of the reference group by the end of follow-up.

    Raises
    ------
    LongsurvError
        Unless 0 < low < ratio < high; if the baseline risk is missing, or
        impossible with these ratios.
    """
    from scipy.special import ndtri

    if not 0 < low < ratio < high:
        raise LongsurvError(f"expected 0 < low < ratio < high, got {low}, {ratio}, {high}")
    logs = log_hazard_ratio(np.log([ratio, low, high]), outcome, baseline_risk)
    width = 2.0 * float(ndtri(0.5 + level / 2.0))
    return Normal(float(logs[0]), float(logs[2] - logs[1]) / width)


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
        return (
            f"{len(self.trials)} trials, {kind}s; between-trial SD ~ {self.heterogeneity}, average"
            f" ~ {self.average}. Prior of the log hazard ratio{at}: {self.predictive}{vague}. It is"
            f" worth {self.effective_events():.0f} events of a trial of equal groups.{left}"
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
    shown, likelihoods = _read(table, outcome)
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


def _read(table: pd.DataFrame, outcome: Ratio) -> tuple[pd.DataFrame, list[Marginal]]:
    """The trials with their log ratios, and the likelihood of each.

    Raises
    ------
    DataError
        With all that is wrong at once.
    """
    if "source" not in table.columns:
        raise DataError(
            'the table of trials needs a column "source": where the numbers of each row are from'
        )
    form = next((one for one in FORMS if set(one) <= set(table.columns)), None)
    if form is None:
        wanted = "; or ".join(", ".join(one) for one in FORMS)
        raise DataError(f"the table of trials needs the columns {wanted}; it has {[*table]}")
    if len(table) == 0:
        raise DataError("the table of trials has no rows")
    values = table[list(form)].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    problems = [
        text
        for k, (row, source) in enumerate(zip(values, table["source"], strict=True))
        for text in _wrong(
            f"trial in row {k + 1}", dict(zip(form, row, strict=True)), source, outcome
        )
    ]
    if problems:
        raise DataError(problems)
    pairs = [_log_ratio(form, row, outcome) for row in values]
    exact = form == COUNTS and outcome == "odds_ratio"
    likelihoods = [
        conditional_trial(*(int(count) for count in row)) if exact else normal_trial(*pair)
        for row, pair in zip(values, pairs, strict=True)
    ]
    shown = table.reset_index(drop=True)
    estimates, errors = zip(*pairs, strict=True)
    return shown.assign(estimate=estimates, std_error=errors), likelihoods


def _wrong(where: str, row: dict[str, float], source: object, outcome: Ratio) -> list[str]:
    """What is wrong with a row, in words."""
    found = []
    if not (isinstance(source, str) and source.strip()):
        found.append(f"{where}: source must say where its numbers are from")
    missing = [name for name, value in row.items() if not math.isfinite(value)]
    if missing:
        return [*found, f"{where}: {', '.join(missing)} must be a number"]
    if "events" in row:
        if outcome == "hazard_ratio":
            found.append(f"{where}: counts give no hazard ratio; use odds or risk ratios")
        for events, patients in (COUNTS[:2], COUNTS[2:]):
            whole = row[events] == round(row[events]) and row[patients] == round(row[patients])
            if not (whole and 0 <= row[events] <= row[patients] and row[patients] > 0):
                found.append(
                    f"{where}: {events} and {patients} must be whole numbers with"
                    f" 0 <= {events} <= {patients}, got {row[events]:g} and {row[patients]:g}"
                )
        if outcome == "risk_ratio" and 0 in (row["events"], row["reference_events"]):
            found.append(
                f"{where}: no event in one group, so the log risk ratio has no normal likelihood;"
                ' use outcome="odds_ratio", whose likelihood is exact'
            )
    elif "std_error" in row:
        if not row["std_error"] > 0.0:
            found.append(f"{where}: std_error must be above 0, got {row['std_error']:g}")
    elif not 0.0 < row["low"] < row["ratio"] < row["high"]:
        found.append(
            f"{where}: expected 0 < low < ratio < high, got {row['low']:g}, {row['ratio']:g},"
            f" {row['high']:g}"
        )
    return found


def _log_ratio(form: tuple[str, ...], row: np.ndarray, outcome: Ratio) -> tuple[float, float]:
    """Estimate and standard error of the log ratio; NaN where a cell of the table is zero."""
    if form == ESTIMATE:
        return float(row[0]), float(row[1])
    if form == INTERVAL:
        prior = from_interval(*map(float, row))
        return prior.mean, prior.sd
    a, n, c, m = map(float, row)
    if outcome == "risk_ratio":
        return math.log(a / n / (c / m)), math.sqrt(1 / a - 1 / n + 1 / c - 1 / m)
    if min(a, n - a, c, m - c) == 0.0:
        return math.nan, math.nan
    return (
        math.log(a * (m - c) / (c * (n - a))),
        math.sqrt(1 / a + 1 / (n - a) + 1 / c + 1 / (m - c)),
    )
