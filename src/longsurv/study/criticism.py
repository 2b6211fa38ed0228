"""Whether the models of a study describe its data: what a reviewer asks to see of every fit.

Residuals and their quantiles of every marker's model, data replicated from every posterior, the
test of proportional hazards, and of each straight line against a bend. The tables are what
`longsurv.report` draws; a fit's own methods (`residual_bands`, `qq`, `predictive_checks`,
`proportional_hazards`, `linearity`) give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.records import Record
from longsurv.study.bench import Bench
from longsurv.study.joint_stage import JOINT, JointPart
from longsurv.study.marker_stages import SCORES, ScorePart
from longsurv.study.model_result import MORTALITY, ModelResult

if TYPE_CHECKING:
    from longsurv.analyses import BaselineAdjustment
    from longsurv.diagnostics.linearity import Linearity
    from longsurv.results.criticism import Replicated, StraightLines
    from longsurv.results.survival.cox import SurvivalEstimate
    from longsurv.study.plan import Plan

CRITICISM = "criticism"
DRAWS = 200  # replicates
CELLS = 20_000_000  # of simulated residuals, at most
LEAST = 99  # samples behind a band
MOST_POINTS = 240  # of a curve that is drawn
BASELINE = "baseline value"
TRAJECTORY, ADJUSTED = "trajectory", "change adjusted for the baseline value"


@dataclass(frozen=True)
class Criticism:
    """What was found, each table with `label`, the model in words.

    Attributes
    ----------
    quantiles : DataFrame
        model (`TRAJECTORY` or `ADJUSTED`), theoretical, observed, low, high, out (whether the
        model's curve leaves its band): scaled residuals of the marker models, in order.
    residuals : DataFrame
        model, of, fitted, n, observed, low, high: `residual_bands` of the same.
    replicates : DataFrame
        part, of, statistic, observed, replicated, conf_low, conf_high, p_value.
    hazards : DataFrame
        term, statistic, df, p_value, and "GLOBAL" last: the test of proportional hazards.
    trend : DataFrame
        time, and scaled Schoenfeld residuals by coefficient; a row an event.
    lines : DataFrame
        covariate, statistic, df, p_value, reason: the square of each straight line.
    curves : DataFrame
        covariate, x, straight, bent, conf_low, conf_high.
    missing : DataFrame
        check, reason: what could not be done.
    """

    quantiles: pd.DataFrame = field(default_factory=pd.DataFrame)
    residuals: pd.DataFrame = field(default_factory=pd.DataFrame)
    replicates: pd.DataFrame = field(default_factory=pd.DataFrame)
    hazards: pd.DataFrame = field(default_factory=pd.DataFrame)
    trend: pd.DataFrame = field(default_factory=pd.DataFrame)
    lines: pd.DataFrame = field(default_factory=pd.DataFrame)
    curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    missing: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def measured(self) -> pd.DataFrame:
        """The rows of `replicates` that are about measured values, not about events."""
        from longsurv.diagnostics.replicates import VALUES

        return self.replicates[self.replicates["of"] == VALUES]

    def replicates_in(self, unit: str) -> pd.DataFrame:
        """The rows of `replicates`, those of events with the unit of their times, which a model
        does not know: "survival at 20 days", "mean time of events, days".

        Parameters
        ----------
        unit : str
            As "days".
        """
        from longsurv.diagnostics.replicates import COUNT, EVENTS, MEAN_TIME

        statistic = self.replicates["statistic"]
        at_times = (self.replicates["of"] == EVENTS) & (statistic != COUNT)
        comma = np.where(statistic == MEAN_TIME, ",", "")
        named = statistic.mask(at_times, statistic + comma + f" {unit}")
        return self.replicates.assign(statistic=named)


type Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class _Task:
    """One model's checks: `of` is what the store tells it from others by."""

    label: str
    check: str
    of: object
    run: Callable[[], Tables]


def criticise(bench: Bench) -> Criticism:
    """All checks of all models; what cannot be done is a row of `missing`."""
    found: dict[str, list[pd.DataFrame]] = {f.name: [] for f in fields(Criticism)}
    tasks = list(_tasks(bench))
    for task in tasks:
        kept, reason = bench.faults.attempt(
            f"{task.label}: {task.check}",
            partial(bench.keep, f"checks: {task.check}", (task.label, task.of), task.run),
        )
        for name, table in (kept or {}).items():
            found[name].append(table.assign(label=task.label))
        if reason:
            row = {"label": task.label, "check": task.check, "reason": reason}
            found["missing"].append(pd.DataFrame([row]))
        bench.step(f"{task.label}: {task.check}", 1 / len(tasks))
    joined = {
        name: pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
        for name, tables in found.items()
    }
    return Criticism(**joined)


def seconds_of_criticism(study: Plan) -> float:
    """Seconds on an ordinary computer."""
    rows = len(study.cohort.measurements)
    return 1.0 + 0.3 * len(study.cohort.endpoints) + 1e-3 * rows


def _tasks(bench: Bench) -> Iterator[_Task]:
    study, parts = bench.study, bench.parts
    markers = study.cohort.markers
    for name, model in parts.get("markers", {}).items():
        label = markers[name].label
        yield from _of_marker(label, model)
    scores: ScorePart = parts.get(SCORES) or ScorePart()
    for score in scores.scores:
        for kind, model in score.models.items():
            yield from _replicated(f"{score.marker.label}, {kind}", model)
    joint: JointPart = parts.get(JOINT) or JointPart({})
    for name, result in joint.results.items():
        yield from _replicated(f"{markers[name].label}, joint", result.model)
    yield from _of_mortality(parts.get(MORTALITY))
    yield from _adjusted(study, list(parts.get("markers", {})))


def _of_marker(label: str, model: ModelResult) -> Iterator[_Task]:
    of = (model.formula, model.data)
    if model.fit is not None:
        fit, lines = cast("Criticised", model.fit), cast("StraightLines", model.fit)
        yield _Task(label, "residuals", of, lambda: _residuals(fit, TRAJECTORY))
        yield _Task(label, "straight lines", of, lambda: _lines(lines))
    yield from _replicated(label, model)


def _replicated(label: str, model: ModelResult) -> Iterator[_Task]:
    if model.post is None:
        return
    post = cast("Replicated", model.post)
    of = (model.formula, model.data)
    yield _Task(
        label, "replicated data", of,
        lambda: {"replicates": post.predictive_checks(draws=DRAWS)},
    )  # fmt: skip


def _of_mortality(model: ModelResult | None) -> Iterator[_Task]:
    if model is None or model.fit is None:
        return
    fit = cast("SurvivalEstimate", model.fit)
    of = (model.formula, model.data)
    yield _Task("Mortality", "proportional hazards", of, lambda: _hazards(fit))
    yield _Task("Mortality", "straight lines", of, lambda: _lines(fit))


def _adjusted(study: Plan, names: list[str]) -> Iterator[_Task]:
    """The line in the baseline value, of every marker whose change is adjusted for it."""
    from longsurv.analyses import BaselineAdjustment

    if study.change_variable != "phase":
        return
    several = len(study.contrasts) > 1
    for change in study.contrasts:
        more = f" ({change.level}, {change.end})" if several else ""
        for name in names:
            asked = BaselineAdjustment(
                study.cohort, name, change, beyond_limit=study.models.beyond_limit
            )
            if asked.compared.problem or not asked.response.first_known:
                continue  # which has no model of its own
            label = f"{study.cohort.markers[name].label}{more}"
            of = (name, study.cohort.marker_data(name), str(change))
            yield _Task(label, BASELINE, of, partial(_in_baseline, asked))
            yield _Task(label, ADJUSTED, of, partial(_residuals_adjusted, asked))


def _in_baseline(asked: BaselineAdjustment) -> Tables:
    return _lines(asked.spec("baseline")[0].fit(), BASELINE)


def _residuals_adjusted(asked: BaselineAdjustment) -> Tables:
    return _residuals(asked.spec("baseline")[0].fit(), ADJUSTED)


class Criticised(Protocol):
    """An estimate of measurements whose residuals are normal if the model is right."""

    @property
    def nobs(self) -> int:
        """Measurements."""

    @property
    def residual_bands(self) -> Callable[..., pd.DataFrame]:
        """Mean and spread of the residuals over the fitted values."""

    @property
    def qq(self) -> Callable[..., pd.DataFrame]:
        """Their quantiles."""


def _residuals(fit: Criticised, model: str) -> Tables:
    n = fit.nobs
    if n * LEAST > CELLS:
        raise LongsurvError(f"{n:,} measurements are more than bands are simulated for")
    simulations = int(min(999, CELLS // n))
    bands = fit.residual_bands(simulations=simulations)
    quantiles = fit.qq(simulations=simulations)
    out = bool(
        ((quantiles["observed"] < quantiles["low"]) | (quantiles["observed"] > quantiles["high"]))
        .any()
    )  # fmt: skip
    kept = quantiles[["theoretical", "observed", "low", "high"]].iloc[_thinned(n)]
    kept = kept.reset_index(drop=True).assign(out=out)
    return {"residuals": bands.assign(model=model), "quantiles": kept.assign(model=model)}


def _thinned(n: int) -> np.ndarray:
    """Places of so many ordered values as are drawn: the outer ones all, others evenly."""
    if n <= MOST_POINTS:
        return np.arange(n)
    tail = MOST_POINTS // 8
    inner = np.linspace(tail, n - 1 - tail, MOST_POINTS - 2 * tail).round().astype(int)
    return np.unique(np.concatenate([np.arange(tail), inner, np.arange(n - tail, n)]))


def _hazards(fit: SurvivalEstimate) -> Tables:
    found = fit.proportional_hazards()
    terms = [name for name in found.trend if name in fit.names]
    return {"hazards": found.table, "trend": found.trend[["time", *terms]]}


def _lines(fit: StraightLines, name: str = "") -> Tables:
    found: Linearity = fit.linearity()
    named: Record = {"covariate": name} if name else {}
    lines = found.table.rename(columns={"term": "covariate"}).assign(**cast("Any", named))
    curves = found.curves.rename(columns={"term": "covariate"}).assign(**cast("Any", named))
    return {"lines": lines, "curves": curves} if len(lines) else {}
