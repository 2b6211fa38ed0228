r"""Cumulative incidences standardised over a cohort, from a Cox model of every cause.

A competing event takes patients out of reach of the event, so its risk depends on both hazards.
With cause-specific cumulative hazards :math:`H_k(t \mid x)`, jumping by :math:`h_k` at a time,

.. math:: F(x) = \sum_t e^{-H(t- \mid x)} \, (1 - e^{-h}) \, h_1 / h, \qquad H = \sum_k H_k,

which without competing events is :math:`1 - e^{-H_1}`, and it is averaged over the cohort under
either treatment (g-computation, as `estimands.standardised`). The uncertainty of an estimate is the
delta method's in the coefficients of every cause and in the increments of their baseline hazards;
that of a posterior is both of them drawn. Cheng, Fine and Wei (1998), Biometrics 54:219-228.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import pandas as pd

from longsurv.analyses.mortality.drawn_incidence import CoxDraws, mean_risks
from longsurv.analyses.mortality.effect import coefficient, priors_of
from longsurv.errors import LongsurvError
from longsurv.estimands.standardised import (
    check_begun,
    check_horizon,
    marked,
    of_draws,
    of_moments,
)
from longsurv.estimands.treatments import two_levels, with_treatment
from longsurv.results.survival.cox_curves import Hazards, check_known, hazards, people

if TYPE_CHECKING:
    from longsurv.design import SurvivalDesign
    from longsurv.models import CoxPH
    from longsurv.priors import Prior
    from longsurv.results.survival.cox import SurvivalEstimate
    from longsurv.results.survival.cox_posterior import SurvivalPosterior


class KnowsEvents(Protocol):
    """A result that knows when events were."""

    @property
    def design(self) -> SurvivalDesign:
        """The arrays of the model."""


COLUMNS = [
    "quantity", "engine", "estimate", "conf_low", "conf_high", "p_value", "prob_benefit", "reason",
]  # fmt: skip
MOST_TIMES = 400  # at which hazards of both causes may change: between them their ratio is constant
AT_ONCE = 2_000_000  # numbers of a stretch of rows


def incidence(steps: np.ndarray) -> np.ndarray:
    """Cumulative incidence of the first cause from steps of cumulative hazards.

    Parameters
    ----------
    steps : ndarray, shape (K, ..., T)
        By how much each cause's cumulative hazard rises in each stretch of time.

    Returns
    -------
    ndarray, shape (...)
    """
    jumps, _, _ = _jumps(steps)
    return np.asarray(jumps.sum(axis=-1))


def incidence_slope(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """That cumulative incidence, and its derivative by every step.

    Parameters
    ----------
    steps : ndarray, shape (K, ..., T)

    Returns
    -------
    value : ndarray, shape (...)
    slope : ndarray, shape (K, ..., T)
    """
    jumps, before, total = _jumps(steps)
    later = jumps.sum(axis=-1, keepdims=True) - np.cumsum(jumps, axis=-1)
    some = total > 0.0
    safe = np.where(some, total, 1.0)
    gone = -np.expm1(-total)  # 1 - exp(-h)
    share = np.where(some, steps[0] / safe, 0.0)
    common = np.exp(-total) * share - np.where(some, gone / safe * share, 0.0)
    own = np.where(some, gone / safe, 1.0)
    slope = np.repeat((before * common - later)[None], len(steps), axis=0)
    slope[0] += before * own
    return np.asarray(jumps.sum(axis=-1)), slope


def _jumps(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Jumps of the incidence, survival before each, and the sum of the steps."""
    total = steps.sum(axis=0)
    before = np.exp(total - np.cumsum(total, axis=-1))
    share = np.divide(steps[0], total, out=np.zeros_like(total), where=total > 0.0)
    return before * -np.expm1(-total) * share, before, total


def standardised_incidence(
    fits: Sequence[SurvivalEstimate],
    treatment: str,
    horizon: float,
    *,
    treated: Hashable | None = None,
    reference: Hashable | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Risks of the first cause by the horizon, standardised over the cohort.

    Parameters
    ----------
    fits : sequence of SurvivalEstimate
        Of the hazard of the event, then of every competing event, from the same rows.
    treatment : str
    horizon : float
    treated, reference : hashable, optional
        The two levels compared; by default the only two.
    level : float
        Of the intervals.

    Returns
    -------
    DataFrame
        As that of `longsurv.estimands.standardised.risk_difference`.
    """
    names, frames = _cohorts(fits[0], treatment, treated, reference)
    return incidence_under(fits, frames, names, horizon, level=level)


def incidence_under(
    fits: Sequence[SurvivalEstimate],
    frames: Sequence[pd.DataFrame],
    names: Sequence[str],
    horizon: float,
    *,
    level: float = 0.95,
) -> pd.DataFrame:
    """Risks of the first cause by the horizon, averaged over the rows of two frames.

    Parameters
    ----------
    fits : sequence of SurvivalEstimate
        Of the hazard of the event, then of every competing event, from the same rows.
    frames : sequence of DataFrame, length 2
        Rows with the columns of the formulas: the reference, and what is compared with it.
    names : sequence of str, length 2
        What their risks are called.
    horizon : float
    level : float
        Of the intervals.

    Returns
    -------
    DataFrame
        As that of `longsurv.estimands.standardised.risk_difference`.
    """
    _check(fits[0].design, horizon)
    times = _times(fits, horizon, MOST_TIMES)
    value, cov = np.zeros(2), np.zeros((2, 2))
    # Of each cause: derivatives by the baseline's increments, each times its standard error (the
    # product is the same whatever the centre that the baseline is of), and by the coefficients.
    by_base: dict[tuple[int, int], np.ndarray] = {}
    by_beta = [np.zeros((2, len(fit.names))) for fit in fits]
    for arm, frame in enumerate(frames):
        who = [people(fit, frame) for fit in fits]
        for stratum, rows in who[0].of_stratum():
            size = max(1, AT_ONCE // len(times))
            for start in range(0, len(rows), size):
                some = rows[start : start + size]
                found = [
                    hazards(fit.data, fit.coefficients, p, some, stratum, times)
                    for fit, p in zip(fits, who, strict=True)
                ]
                for fit, one in zip(fits, found, strict=True):
                    check_known(one, fit.data, fit.reference.flat, fit.undetermined)
                risk, slope = incidence_slope(np.stack([_steps(one) for one in found]))
                value[arm] += risk.sum() / len(frame)
                for k, one in enumerate(found):
                    error = np.sqrt(np.diff(one.variance, prepend=0.0))
                    base = by_base.setdefault((k, stratum), np.zeros((2, len(times))))
                    base[arm] += one.relative @ slope[k] * error / len(frame)
                    by_beta[k][arm] += _by_coefficients(one, slope[k]) / len(frame)
    for base in by_base.values():
        cov += base @ base.T
    for slope_, fit in zip(by_beta, fits, strict=True):
        cov += slope_ @ fit.reference.cov @ slope_.T
    check_begun(value, horizon)
    return marked(of_moments(value, cov, names, level), fits[0])


def drawn_incidence(
    posts: Sequence[SurvivalPosterior],
    treatment: str,
    horizon: float,
    *,
    treated: Hashable | None = None,
    reference: Hashable | None = None,
    level: float = 0.95,
    most: int = 500,
    times: int = 60,
) -> pd.DataFrame:
    """The same from posteriors, whose draws are paired.

    Parameters
    ----------
    posts : sequence of SurvivalPosterior
        Of the hazard of the event, then of every competing event.
    treatment : str
    horizon : float
    treated, reference : hashable, optional
        The two levels compared; by default the only two.
    level : float
        Of the intervals.
    most, times : int
        Draws and times used at most.

    Returns
    -------
    DataFrame
        As that of `longsurv.estimands.standardised.risk_difference`.
    """
    names, frames = _cohorts(posts[0], treatment, treated, reference)
    drawn = [CoxDraws.of(post) for post in posts]
    risks = drawn_under(drawn, frames, horizon, most=most, times=times)
    return marked(of_draws(risks, names, level), posts[0])


def drawn_under(
    posts: Sequence[CoxDraws],
    frames: Sequence[pd.DataFrame],
    horizon: float,
    *,
    most: int = 500,
    times: int = 60,
) -> np.ndarray:
    """Draws of the risk of the first cause by the horizon, averaged over the rows of two frames.

    Parameters
    ----------
    posts : sequence of CoxDraws
        Of the hazard of the event, then of every competing event, of the same rows.
    frames : sequence of DataFrame, length 2
        Rows with the columns of the formulas.
    horizon : float
    most, times : int
        Draws and times used at most.

    Returns
    -------
    ndarray, shape (2, draws)
    """
    _check(posts[0].design, horizon)
    at = _times(posts, horizon, times)
    draws = min(most, *(len(post.coefficients) for post in posts))
    risks = np.stack([mean_risks(posts, frame, at, draws) for frame in frames])
    check_begun(risks, horizon)
    return risks


def _cohorts(
    result: SurvivalEstimate | SurvivalPosterior,
    treatment: str,
    treated: Hashable | None,
    reference: Hashable | None,
) -> tuple[list[str], list[pd.DataFrame]]:
    cohort = result.spec.data.iloc[result.design.rows[result.design.first_rows]]
    low, high = two_levels(cohort, treatment, treated, reference)
    frames = [with_treatment(cohort, treatment, chosen) for chosen in (low, high)]
    return [f"risk ({low})", f"risk ({high})"], frames


def _check(design: SurvivalDesign, horizon: float) -> None:
    """Refuse a horizon beyond follow-up, and site effects."""
    check_horizon(design, horizon)
    if design.sites is not None:
        raise LongsurvError(
            "incidences of competing events are not averaged over sites: leave "
            f"(1 | {design.sites.name}) out"
        )


def _times(results: Sequence[KnowsEvents], horizon: float, most: int) -> np.ndarray:
    """Times of any event up to the horizon, which is the last; at most so many of them."""
    found = np.unique(np.concatenate([_event_times(result) for result in results]))
    found = np.unique(np.append(found[found < horizon], horizon))
    if len(found) <= most:
        return found
    return np.unique(found[np.linspace(0, len(found) - 1, most).round().astype(int)])


def _event_times(result: KnowsEvents) -> np.ndarray:
    design = result.design
    return np.asarray(design.exit[design.event > 0])


def _steps(found: Hazards) -> np.ndarray:
    return np.diff(found.value, axis=1, prepend=0.0)


def _by_coefficients(found: Hazards, slope: np.ndarray) -> np.ndarray:
    """Derivative of the summed incidence by one cause's coefficients, shape (p,)."""
    rise = np.diff(found.centre, prepend=0.0)
    tilt = np.diff(found.tilt, axis=0, prepend=np.zeros((1, found.tilt.shape[1])))
    weighted = slope * found.relative[:, None]
    return np.asarray(found.shift.T @ (weighted @ rise) - weighted.sum(axis=0) @ tilt)


def standardised_risks(
    causes: Sequence[CoxPH],
    treatment: str,
    horizon: float,
    prior: Prior,
    *,
    treated: Hashable | None = None,
    reference: Hashable | None = None,
    draws: int = 1000,
    seed: int = 1,
    level: float = 0.95,
) -> pd.DataFrame:
    """Both engines' standardised risks, by Firth's penalty and under a prior of the effect.

    Parameters
    ----------
    causes : sequence of CoxPH
        Of the event, then of every competing event that happened; the treatment first in each.
    treatment : str
    horizon : float
    prior : Prior
        Of the treatment's log hazard ratio of the event; competing events have the default priors.
    treated, reference : hashable, optional
        The two levels compared, the reference the first of the models; by default the only two.
    draws, seed : int
        Of the posteriors.
    level : float
        Of the intervals.

    Returns
    -------
    DataFrame
        Rows "risk of" each level and "risk difference" (quantity) of each engine ("ml", "bayes"),
        with estimate, conf_low, conf_high, p_value, prob_benefit and reason (why there is none).
    """
    parts = []
    for engine in ("ml", "bayes"):
        try:
            if engine == "ml":
                fits = [spec.fit(penalty="firth") for spec in causes]
                table = standardised_incidence(
                    cast("list[SurvivalEstimate]", fits), treatment, horizon, treated=treated,
                    reference=reference, level=level,
                )  # fmt: skip
            else:
                coefficient(causes[0], treatment, treated)  # refuses an effect that is not one
                given = priors_of(causes[0], treatment, prior)
                posts = [
                    spec.sample(draws=draws, seed=seed, priors=given if k == 0 else {})
                    for k, spec in enumerate(causes)
                ]
                table = drawn_incidence(
                    cast("list[SurvivalPosterior]", posts), treatment, horizon, treated=treated,
                    reference=reference, level=level,
                )  # fmt: skip
        except LongsurvError as error:
            table = pd.DataFrame([{"term": "risk difference", "reason": str(error)}])
        parts.append(table[~table["term"].str.contains("ratio")].assign(engine=engine))
    table = pd.concat(parts, ignore_index=True).rename(columns={"term": "quantity"})
    table["quantity"] = table["quantity"].str.replace(r"^risk \((.*)\)$", r"risk of \1", regex=True)
    return (
        table.reindex(columns=COLUMNS).assign(reason=table.get("reason", "")).fillna({"reason": ""})
    )
