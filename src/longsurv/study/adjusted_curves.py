"""Survival of the groups as observed, weighted to be alike, and standardised by a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.records import Record
from longsurv.study.bench import Bench
from longsurv.study.comparisons import ByComparison, comparisons, of_each
from longsurv.study.deaths import question

if TYPE_CHECKING:
    from longsurv.analyses.mortality.arms import Comparison
    from longsurv.study.plan import Plan

CURVES = "adjusted_curves"
TARGET: Final = "overlap"
MOST_TIMES = 200
COLUMNS = ["way", "group", "time", "estimate", "conf_low", "conf_high"]


def draw_adjusted_curves(bench: Bench) -> Record | ByComparison | None:
    """Curves of the two groups of each comparison in three ways.

    Of several arms weights make all alike, and the model that risks are standardised by is of all,
    so that every comparison is about the same patients.

    Returns
    -------
    mapping, ByComparison of them, or None
        None without covariates. "table" (`COLUMNS`; survival, competing events censored; way is
        "observed", "weighted" or "standardised"), "weighted_for" and "standardised_for" (covariates
        by their labels), "effective" (group to effective number of patients), "reasons" (way to why
        it is missing), "group", "reference", "horizon", "arms" (how many were weighted).

    Raises
    ------
    LongsurvError
        Where groups are not compared by a horizon.
    """
    study = bench.study
    schema, called = study.cohort.schema, study.cohort.labels
    names = list(schema.covariates)
    if not names:
        return None  # the question does not arise

    def answer(one: Comparison) -> Record:
        horizon = float(question(study, one).horizon or 0.0)
        everyone = study.cohort.survival_data()

        def compute() -> Record:
            return _curves(everyone, schema.treatment, one, names, horizon)

        pair = (str(one.group), str(one.reference))
        kept = bench.keep("mortality: adjusted curves", (everyone, pair, names, horizon), compute)
        named = {
            k: tuple(called.get(c, c) for c in kept[k])
            for k in ("weighted_for", "standardised_for")
        }
        group, reference = str(one.group), str(one.reference)
        return {**kept, **named, "group": group, "reference": reference, "horizon": horizon}

    return of_each(study, answer)


def seconds_of_adjusted_curves(study: Plan) -> float:
    """Seconds on an ordinary computer."""
    return 0.5 * len(comparisons(study))


def _curves(
    data: pd.DataFrame, treatment: str, one: Comparison, names: list[str], horizon: float
) -> Record:
    from longsurv.analyses.mortality.arms import patients_of
    from longsurv.estimands.survival_by_group import survival_curves

    groups = [one.reference, one.group]
    pair = patients_of(data, treatment, one)
    observed = survival_curves(pair, treatment, [str(g) for g in groups])
    observed = observed[observed["time"] <= horizon]
    tables = [observed.assign(way="observed")]
    reasons: dict[str, str] = {}
    effective: dict[str, float] = {}
    used: dict[str, list[str]] = {"weighted": names, "standardised": []}

    def weighted() -> pd.DataFrame:
        from longsurv.design.names import quoted
        from longsurv.estimands.adjusted_curves import weighted_survival
        from longsurv.estimands.weighting import propensity_weights

        whole = data.dropna(subset=names).reset_index(drop=True)
        right = " + ".join(map(quoted, names))
        weights = propensity_weights(whole, treatment, right, target=TARGET)
        size = weights.effective_sample_size().set_index("group")["effective_n"]
        effective.update({str(group): float(n) for group, n in size.items()})
        found = weighted_survival(weights, whole, _times(whole, horizon))
        return found[found["group"].isin(groups)]

    def standardised() -> pd.DataFrame:
        from longsurv.analyses.mortality.carried import carried_covariates
        from longsurv.design.names import quoted
        from longsurv.estimands.standardised_curves import standardised_survival
        from longsurv.models import CoxPH

        chosen, _ = carried_covariates(data, names, int(data["event"].sum()))
        if not chosen:
            raise LongsurvError("the events carry no covariate beside the treatment")
        used["standardised"] = list(chosen)
        whole = data.dropna(subset=list(chosen)).reset_index(drop=True)
        right = " + ".join(map(quoted, (treatment, *chosen)))
        fit = CoxPH(f"Surv(entry, exit, event) ~ {right}", whole).fit(penalty="firth")
        return standardised_survival(
            fit, treatment, _times(whole, horizon), treated=one.group, reference=one.reference
        )

    ways: dict[str, Callable[[], pd.DataFrame]] = {
        "weighted": weighted, "standardised": standardised,
    }  # fmt: skip
    for way, make in ways.items():
        try:
            tables.append(make().assign(way=way))
        except LongsurvError as error:
            reasons[way] = str(error)
    table = pd.concat(tables, ignore_index=True).reindex(columns=COLUMNS)
    return {
        "table": table.assign(group=table["group"].astype(str)), "effective": effective,
        "reasons": reasons, "weighted_for": used["weighted"],
        "standardised_for": used["standardised"], "arms": int(data[treatment].nunique()),
    }  # fmt: skip


def _times(data: pd.DataFrame, horizon: float) -> list[float]:
    """Both ends, and the times of events between them; so many at most."""
    start = float(data["entry"].min())
    last = min(horizon, float(data["exit"].max()))
    events = np.unique(data.loc[(data["event"] == 1) & (data["exit"] < last), "exit"])
    if len(events) > MOST_TIMES:
        events = events[np.linspace(0, len(events) - 1, MOST_TIMES).astype(int)]
    return [float(t) for t in np.unique(np.r_[start, events, last])]
