"""Trials emulated from time zero."""

from __future__ import annotations

import numpy as np
import pandas as pd
from invariance.case import Answer, Case, Family, Output, quoted
from invariance.families_mixed import STAGES

from longsurv.analyses import TargetTrial
from longsurv.analyses.mortality.target_answer import METHOD, VARYING

COLUMNS = {"patient": "patient", "exit": "exit", "event": "event", "begun": "begun", "arm": "arm",
           "age": "age", "stage": "stage"}  # fmt: skip
RISKS = ("risk if begun", "risk if not", "risk difference")
MEAN = "difference in mean time without the event"


def trial_case(seed: int, n: int = 90) -> Case:
    """Whole days: begun on the day of the end of an interval, of follow-up, of the grace period."""
    rng = np.random.default_rng(seed)
    stage, age = STAGES[rng.permutation(n) % 3], np.round(rng.normal(60, 9, n))
    died = np.ceil(rng.exponential(20.0 * np.exp(-0.02 * (age - 60)), n))
    begun = np.ceil(rng.exponential(9.0 * np.exp(0.5 * (stage == "II")), n))
    end = np.minimum(died, 30.0)
    rows = pd.DataFrame(
        {
            "patient": np.arange(n) + 7, "exit": end, "event": (died <= 30.0).astype(int),
            "begun": np.where(begun <= end, begun, np.nan), "age": age, "stage": stage,
            "arm": (begun <= np.minimum(end, 6.0)).astype(int),
        }
    )  # fmt: skip
    return Case({"rows": rows}, COLUMNS, moments=(6.0, 28.0), fixed=("exit", "event"),
                reserved=("status", "began", "event", "exit", "entry"))  # fmt: skip


def trial_of(case: Case) -> TargetTrial:
    """Begun by the first moment against not, to the second."""
    names = case.columns
    adjust = " + ".join(quoted(names[role]) for role in ("age", "stage"))
    return TargetTrial(case["rows"], names["begun"], *case.moments, adjust, intervals=6,
                       patient=names["patient"])  # fmt: skip


def trial_answer(case: Case) -> Answer:
    found = trial_of(case).estimate(resamples=0)
    out = {what: Output(float(found.of(METHOD, what)["estimate"]), rtol=1e-6) for what in RISKS}
    out[MEAN] = Output(float(found.of(METHOD, MEAN)["estimate"]), time=1, rtol=1e-6)
    out["varying"] = Output(float(found.of(VARYING, "hazard ratio")["estimate"]))
    out["immortal"] = Output(found.immortal_time, time=1)
    return out


TRIALS = (Family("TargetTrial", trial_case, trial_answer, ("analyses.TargetTrial",)),)
