"""Rows of accelerated failure time models: by what factor treatment stretches the time to death.

For readers who do not believe in proportional hazards: the logarithm of the time is linear in
treatment and covariates, and a ratio above 1 is a longer time. Fitted by lifelines.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.analyses.mortality.effect import coefficient, undetermined
from longsurv.analyses.mortality.rows import Question, Row, attempt, row_of
from longsurv.errors import EstimationError
from longsurv.inference import identify
from longsurv.words import plural

if TYPE_CHECKING:
    from longsurv.models import CoxPH

KINDS = ("Weibull", "log-normal", "log-logistic")
_FARTHEST = 50.0
"""A log time ratio beyond which nothing was found but a direction."""


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
    try:
        from lifelines import LogLogisticAFTFitter, LogNormalAFTFitter, WeibullAFTFitter
        from lifelines.exceptions import ConvergenceError, StatError
    except ModuleNotFoundError as error:
        raise EstimationError("it is fitted by lifelines, which is not installed") from error

    fitters = {
        "Weibull": (WeibullAFTFitter, "lambda_"), "log-normal": (LogNormalAFTFitter, "mu_"),
        "log-logistic": (LogLogisticAFTFitter, "alpha_"),
    }  # fmt: skip
    make, part = fitters[kind]
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
    j = d.fixed.names.index(term)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say is checked below
        try:
            fit = make(alpha=1 - level).fit(
                frame, "time", "event", entry_col=late, fit_options={"ftol": 1e-14}
            )
            row = fit.summary.loc[(part, f"x{j}")]
        except (ConvergenceError, StatError, ValueError, np.linalg.LinAlgError) as error:
            raise EstimationError(f"lifelines did not find the maximum: {error}") from error
    values = [float(row[name]) / scale[j] for name in row.index if name.startswith("coef")]
    spread = float(row["se(coef)"]) / scale[j]
    if not (np.isfinite(values).all() and 0 < spread < _FARTHEST and abs(values[0]) < _FARTHEST):
        raise EstimationError("lifelines found no maximum")
    low, high = (float(np.exp(v)) for v in values[-2:])
    return float(np.exp(values[0])), low, high, float(row["p"])
