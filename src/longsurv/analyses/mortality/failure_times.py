"""Rows of accelerated failure time models: by what factor treatment stretches the time to death.

For readers who do not believe in proportional hazards: the logarithm of the time is linear in
treatment and covariates, and a ratio above 1 is a longer time. Fitted by lifelines.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import pandas as pd
from scipy import special, stats

from longsurv.analyses.mortality.effect import coefficient, coefficients, undetermined
from longsurv.analyses.mortality.rows import Question, Row, attempt, row_of
from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.intervals import proportion
from longsurv.estimands.treatments import with_treatment
from longsurv.inference import identify
from longsurv.words import plural

if TYPE_CHECKING:
    from longsurv.models import CoxPH

type Kind = Literal["Weibull", "log-normal", "log-logistic"]
KINDS: tuple[Kind, ...] = ("Weibull", "log-normal", "log-logistic")
_FARTHEST = 50.0
"""A log time ratio beyond which nothing was found but a direction."""


class Fitter(Protocol):
    """What is used of a fitter of lifelines."""

    @property
    def summary(self) -> pd.DataFrame:
        """A row a parameter."""

    @property
    def params_(self) -> pd.Series:
        """Of the location and the shape."""

    @property
    def variance_matrix_(self) -> pd.DataFrame:
        """Of the parameters."""


def failure_time_rows(ask: Question, spec: CoxPH, adjust: str) -> list[Row]:
    """A row for each distribution, with the treatment and covariates of a Cox model."""
    name = "AFT adjusted" if adjust else "AFT"
    more = (f", adjusted for {adjust}" if adjust else "") + ask.in_one_model
    cause = ", competing events as censoring" if ask.competing else ""
    rows = []
    for kind in KINDS:
        blank = row_of(
            "time ratio", f"{kind} {name}", "frequentist",
            f"time to the event, {ask.group} relative to {ask.reference}{more}{cause}",
            method_id=f"{kind} AFT", approach="model", adjusted_for=adjust,
            world=ask.without_competing,
        )  # fmt: skip
        rows += attempt(partial(_fitted, ask, spec, kind, blank), blank)
    return rows


def _fitted(ask: Question, spec: CoxPH, kind: str, blank: Row) -> list[Row]:
    term = coefficient(spec, ask.treatment, ask.group)
    nothing = undetermined(spec, term) or ask.nobody()
    if nothing:
        raise EstimationError(nothing)
    events, parameters = int(spec.design.event.sum()), len(spec.design.fixed.names) + 2
    if events <= parameters:  # Wald's limits take the scale, which is theirs, for known
        raise EstimationError(
            f"{plural(events, 'event')} for {parameters} parameters (level, scale and"
            f" {plural(parameters - 2, 'coefficient')}): nothing is left to estimate the scale from"
        )
    estimate, low, high, p = time_ratio(spec, term, kind, ask.level)
    first = float(spec.design.entry.min())
    note = f"time counted from {ask.when(first)}" if first > 0 else ""
    return [blank._replace(estimate=estimate, conf_low=low, conf_high=high, p_value=p, note=note)]


@dataclass(frozen=True, eq=False)
class FailureTimes:
    """A model fitted by lifelines, in columns of mean 0 and standard deviation 1.

    Attributes
    ----------
    fit : fitter of lifelines
    part, shape : str
        What its parameters are called, of the location and of the shape.
    centre, scale : ndarray, shape (p,)
        Of the design's columns.
    first : float
        The first entry, from which time is counted.
    """

    fit: Fitter
    part: str
    shape: str
    centre: np.ndarray
    scale: np.ndarray
    first: float

    def ratio(self, column: int) -> tuple[float, float, float, float]:
        """The factor by which a coefficient stretches the time, its Wald limits and p-value.

        Parameters
        ----------
        column : int
            Of the design.

        Raises
        ------
        EstimationError
            If it has run off.
        """
        row, scale = self.fit.summary.loc[(self.part, f"x{column}")], self.scale[column]
        values = [float(row[name]) / scale for name in row.index if name.startswith("coef")]
        spread = float(row["se(coef)"]) / scale
        inside = 0 < spread < _FARTHEST and abs(values[0]) < _FARTHEST
        if not (np.isfinite(values).all() and inside):
            raise EstimationError("lifelines found no maximum")
        low, high = (float(np.exp(v)) for v in values[-2:])
        return float(np.exp(values[0])), low, high, float(row["p"])


def fitted_times(spec: CoxPH, kind: str, term: str, level: float = 0.95) -> FailureTimes:
    """Fit a distribution of the time with the columns of a Cox model.

    Parameters
    ----------
    spec : CoxPH
    kind : {"Weibull", "log-normal", "log-logistic"}
    term : str
        What it is fitted for, to say so where it cannot be.
    level : float
        Of lifelines' limits.
    """
    try:
        from lifelines import LogLogisticAFTFitter, LogNormalAFTFitter, WeibullAFTFitter
        from lifelines.exceptions import ConvergenceError, StatError
    except ModuleNotFoundError as error:
        raise EstimationError("it is fitted by lifelines, which is not installed") from error

    fitters = {
        "Weibull": (WeibullAFTFitter, "lambda_", "rho_"),
        "log-normal": (LogNormalAFTFitter, "mu_", "sigma_"),
        "log-logistic": (LogLogisticAFTFitter, "alpha_", "beta_"),
    }
    make, part, shape = fitters[kind]
    d = spec.design
    X = d.fixed.X
    centre, scale = X.mean(axis=0), X.std(axis=0)
    flat = identify(np.corrcoef(X.T) if X.shape[1] > 1 else np.eye(1)).flat
    if flat or not (scale > 0).all():
        raise EstimationError(f"among the covariates {term} cannot be told from the others")
    first = float(d.entry.min())
    frame = pd.DataFrame((X - centre) / scale, columns=[f"x{j}" for j in range(X.shape[1])])
    frame["time"], frame["event"] = d.exit - first, d.event
    late = None
    if (d.entry > first).any():
        frame["entry"], late = d.entry - first, "entry"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say is checked below
        try:
            fit = make(alpha=1 - level).fit(
                frame, "time", "event", entry_col=late, fit_options={"ftol": 1e-14}
            )
            values = fit.summary[["coef", "se(coef)"]].to_numpy(dtype=float)
        except (ConvergenceError, StatError, ValueError, np.linalg.LinAlgError) as error:
            raise EstimationError(f"lifelines did not find the maximum: {error}") from error
    if not np.isfinite(values).all():
        raise EstimationError("lifelines found no maximum")
    return FailureTimes(fit, part, shape, centre, scale, first)


def time_ratio(
    spec: CoxPH, term: str, kind: str, level: float = 0.95
) -> tuple[float, float, float, float]:
    """The factor by which a coefficient stretches the time, its Wald limits and p-value.

    Time is counted from the first entry; who entered later counts from there.

    Parameters
    ----------
    spec : CoxPH
        Of whose design the model is.
    term : str
    kind : {"Weibull", "log-normal", "log-logistic"}
    level : float
    """
    return fitted_times(spec, kind, term, level).ratio(spec.design.fixed.names.index(term))


def failure_time_curves(
    spec: CoxPH, treatment: str, arms: Sequence[Hashable], times: Sequence[float], kind: Kind,
    level: float = 0.95,
) -> pd.DataFrame:  # fmt: skip
    """Survival averaged over the patients had all of them been in each arm, at some times.

    Parameters
    ----------
    spec : CoxPH
        Of whose design the model is.
    treatment : str
    arms : sequence of hashable
        Its levels.
    times : sequence of float
        Within follow-up.
    kind : {"Weibull", "log-normal", "log-logistic"}
    level : float

    Returns
    -------
    DataFrame
        A row an arm and time: group, time, estimate, std_error, conf_low, conf_high, note. Limits
        are by the delta method on the logit scale.
    """
    terms = coefficients(spec, treatment)
    nothing = next(filter(None, (undetermined(spec, term) for term in terms)), "")
    people = spec.data.iloc[spec.design.rows]
    died = set(people.loc[spec.design.event == 1, treatment])
    nothing = nothing or next((f"no event in {arm}" for arm in arms if arm not in died), "")
    events, parameters = int(spec.design.event.sum()), len(spec.design.fixed.names) + 2
    if nothing or events <= parameters:
        raise EstimationError(
            nothing or f"{plural(events, 'event')} for {parameters} parameters of a distribution"
        )
    found = fitted_times(spec, kind, terms[0], level)
    for term in terms:  # one that runs off has no limits, and no curve
        found.ratio(spec.design.fixed.names.index(term))
    at, last = np.asarray(times, dtype=float), float(spec.design.exit.max())
    if not len(at) or at.min() < found.first or at.max() > last:
        raise LongsurvError(
            f"name times within follow-up, from {found.first:g} to {last:g}; got {list(times)}"
        )
    p = len(found.scale)
    order = [*((found.part, f"x{j}") for j in range(p)), (found.part, "Intercept"),
             (found.shape, "Intercept")]  # fmt: skip
    theta = found.fit.params_.loc[order].to_numpy(dtype=float)
    cov = found.fit.variance_matrix_.loc[order, order].to_numpy(dtype=float)
    # u = sign * exp(sign * shape) * (log t - location) is standard: Gumbel, normal or logistic.
    turn = -1.0 if kind == "log-normal" else 1.0
    steep = float(np.exp(turn * theta[-1]))
    with np.errstate(divide="ignore"):
        log_time = np.log(at - found.first)
    quantile = float(stats.norm.ppf((1 + level) / 2))
    rows = []
    for arm in arms:
        X = spec.design.fixed.rebuild(with_treatment(people, treatment, arm))
        Z = np.column_stack([(X - found.centre) / found.scale, np.ones(len(X))])
        location = Z @ theta[:-1]
        for time, log_t in zip(at, log_time, strict=True):
            u = steep * (log_t - location)
            survival, slope = _STANDARD[kind](u)
            moved = -steep * (slope @ Z) / len(u)
            shaped = 0.0 if np.isinf(log_t) else turn * float(slope @ u) / len(u)
            gradient, value = np.append(moved, shaped), float(survival.mean())
            error = float(np.sqrt(gradient @ cov @ gradient))
            low, high = proportion(value, error, quantile) if error > 0 else (np.nan, np.nan)
            note = "" if error > 0 else "nobody has left yet"
            rows.append((arm, float(time), value, error or np.nan, low, high, note))
    columns = ["group", "time", "estimate", "std_error", "conf_low", "conf_high", "note"]
    return pd.DataFrame(rows, columns=columns)


def _weibull(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    survival = np.exp(-np.exp(u))
    return survival, -np.exp(u) * survival if np.isfinite(u).all() else np.zeros_like(u)


def _normal(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return special.ndtr(-u), -stats.norm.pdf(u)


def _logistic(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    survival = special.expit(-u)
    return survival, -survival * special.expit(u)


_STANDARD = {"Weibull": _weibull, "log-normal": _normal, "log-logistic": _logistic}
"""Survival of the standard distribution, and its derivative."""
