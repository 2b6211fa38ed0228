"""A small study with everything awkward in it, run once a session, and its mirror image."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from longsurv.cohort import Cohort, Marker, Phase, Schema
from longsurv.cohort.settings import ModelSettings, SamplingSettings
from longsurv.study import MORTALITY, STAGES, Study, StudyResults

OF_MARKERS = ("markers", "adjustments", "panel", "scores", MORTALITY)
HOSTILE = '<script>alert("x")</script> & $\\frac{1$ ' + "検査 " + "long " * 60


def make_cohort(
    *, swap: bool = False, by_phase: bool = True, randomised: bool | None = False
) -> Cohort:
    """Forty patients; the treated fall further and die less (or, swapped, the controls do)."""
    rng = np.random.default_rng(5)
    n = 40
    treated = np.arange(n) % 2 == 1
    exit_ = np.where(np.arange(n) % 5 == 0, 5.0 + np.arange(n) / 2, 28.0)
    died = (np.arange(n) % 5 == 0) & (~treated | (np.arange(n) == 5))
    exit_ = np.where(died, exit_, 28.0)
    arm = np.where(treated != swap, "active", "control")
    patients = pd.DataFrame({
        "id": [f"P{k:02d}" for k in range(n)], "arm": arm, "age": rng.normal(60, 10, n).round(),
        "sex": np.where(rng.random(n) < 0.5, "f", "m"), "days": exit_,
        "status": np.where(died, "dead", "alive"),
    })  # fmt: skip
    level = rng.normal(3, 0.6, n)
    rows = []
    for k in range(n):
        for day in (1.0, 4.0):
            after = day > 1
            fall = (1.5 if treated[k] else 0.1) * after
            rows.append((k, day, "crp", np.exp(level[k] - fall + rng.normal(0, 0.3))))
            rows.append((k, day, "plt", 150 + 40 * treated[k] * after + rng.normal(0, 20)))
            rows.append((k, day, "flat", 2.0))
            if not after:
                rows.append((k, day, "once", rng.normal(10, 1)))
    # From numbers of its own, so that the other markers keep theirs.
    other = np.random.default_rng(8)
    severity = other.normal(4.0, 1.5, n)
    for k in range(n):
        for day in (1.0, 4.0):
            fall = 0.8 * treated[k] * (day > 1)
            score = np.clip(severity[k] - fall + other.normal(0, 1.2), 0, 8)
            rows.append((k, day, "dic", score.round()))
    measurements = pd.DataFrame(rows, columns=["k", "day", "marker", "value"])
    measurements["id"] = [f"P{k:02d}" for k in measurements["k"]]
    schema = Schema(
        patient="id", treatment="arm", reference="control", exit="days", status="status",
        event="dead", censored="alive", horizon=28.0, time="day", entry=3,
        covariates=("age", "sex"),
        phases=(Phase("before", 1, 1), Phase("after", 4, 7)) if by_phase else (),
    )  # fmt: skip
    markers = [
        Marker("crp", "CRP", "mg/dL", transform="log", direction="lower", family="answers"),
        Marker("plt", "Platelets", "10^9/L", direction="higher", family="answers"),
        Marker("dic", "DIC score", "points", direction="lower", family="answers", positive=4),
        Marker("flat", HOSTILE),
        Marker("once", "Measured once", "ug/mL"),
    ]
    return Cohort(
        patients, measurements.drop(columns="k"), schema, markers,
        title="A trial of <b>tests</b>", reconstructed=True, randomised=randomised,
    )  # fmt: skip


@cache
def make_results(*, swap: bool = False, by_phase: bool = True) -> StudyResults:
    """The study run on that cohort."""
    trajectory = "phase * arm + (1 | id)" if by_phase else "day * arm + (1 | id)"
    models = ModelSettings(trajectory=trajectory, mortality="arm")
    sampling = SamplingSettings(draws=300, chains=2, seed=3)
    study = Study(make_cohort(swap=swap, by_phase=by_phase), models, sampling)
    # Along time it is about the markers: what is asked of mortality is the same as by phase.
    stages = STAGES if by_phase else [stage for stage in STAGES if stage.key in OF_MARKERS]
    return study.run(progress=False, stages=tuple(stages))


@pytest.fixture(scope="session")
def results() -> StudyResults:
    return make_results()


@pytest.fixture(scope="session")
def swapped() -> StudyResults:
    """The same data with the names of the two groups exchanged."""
    return make_results(swap=True)


@pytest.fixture(scope="session")
def over_time() -> StudyResults:
    """The same data modelled along time instead of phases."""
    return make_results(by_phase=False)


@pytest.fixture(scope="session")
def page(results: StudyResults) -> str:
    from longsurv.report.page import render_page

    return render_page(results)
