"""Hazards of events that are only known to lie between two visits."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from invariance.case import Answer, Case, Family, Output, Terms
from invariance.families_survival import (
    BASELINES,
    SURVIVAL_PRIOR,
    _survival,
    _weights,
    survival_case,
)
from invariance.reading import contrasts, posterior_at

from longsurv.models import Hazard

BETWEEN = 'Surv({entry}, {exit}, type="interval2")'


def windows(stop: pd.Series, died: pd.Series, every: float = 3.0) -> tuple[pd.Series, pd.Series]:
    """The last visit before each death and the first after it, of every fourth the very day."""
    before = every * np.floor((stop - 0.5) / every)
    known = (died == 0) | (np.arange(len(stop)) % 4 == 0)
    left = stop.where(known, before)
    return left.where(left > 0), stop.where(known, before + every).where(died == 1)


def windows_case(seed: int) -> Case:
    """Without a first visit before some deaths, without one after who lived."""
    case = survival_case(seed, without=("site", "entry"))
    rows = case["rows"]
    left, right = windows(rows["stop"], rows["died"])
    tables = {
        **case.tables,
        "rows": rows.drop(columns=["stop", "died"]).assign(seen=left, by=right),
    }
    columns = {r: c for r, c in case.columns.items() if r not in ("exit", "event")}
    return Case(
        tables, {**columns, "entry": "seen", "exit": "by"},
        {"model": Terms(BETWEEN, case.formulas["model"].right)}, moments=case.moments,
    )  # fmt: skip


def windows_answer(case: Case, baseline: str) -> Answer:
    spec = Hazard(case.formula(), case["rows"], baseline)
    fit = spec.fit()
    out = _survival(contrasts(fit, _weights(spec, case)), fit, case)
    exact = int(spec.design.windows.exact.sum())
    return out | {"llf": Output(fit.llf, time=exact, density=True, rtol=1e-8, atol=1e-5)}


def windows_posterior(case: Case, baseline: str) -> Answer:
    spec = Hazard(case.formula(), case["rows"], baseline)
    return posterior_at(spec, _weights(spec, case), times=int(spec.design.windows.exact.sum()))


WINDOWS = (
    *(
        Family(f"Hazard between visits, {baseline}", windows_case,
               partial(windows_answer, baseline=baseline), ("models.Hazard",))
        for baseline in BASELINES
    ),
    Family("Hazard between visits, posterior", windows_case,
           partial(windows_posterior, baseline="mspline"), ("models.Hazard",), SURVIVAL_PRIOR),
)  # fmt: skip
