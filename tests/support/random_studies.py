"""Whole studies drawn at random: groups, signs, units, events, competing events, randomised or not,
adjusted or not, with delayed entry or lost patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.cohort import Aims, Cohort, Marker, Phase, Schema
from longsurv.cohort.settings import ModelSettings, SamplingSettings
from longsurv.study import STAGES, Study, StudyResults

GROUPS = ("ivig", "control", "drug A", "arm 2", "D-penicillamine", "Über", "new")
EVENTS = {"dead": "death", "relapse": "relapse", "Transplant": "transplant"}
UNITS = ("days", "weeks", "years")
STAGES_RUN = {
    "markers", "adjustments", "mortality", "carried", "methods", "competing", "tipping",
}  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """A study, and what it was drawn to be."""

    results: StudyResults
    groups: tuple[str, str]
    event: str
    unit: str
    entry: float
    competing: bool
    lost: bool
    adjusted: bool


def draw_study(seed: int) -> Drawn:
    """The study of one seed, run with very few draws."""
    rng = np.random.default_rng(seed)
    reference, group = rng.choice(GROUPS, 2, replace=False).tolist()
    level = str(rng.choice(list(EVENTS)))
    unit, n = str(rng.choice(UNITS)), int(rng.integers(24, 70))
    competing, lost, adjusted, randomised = (bool(x) for x in rng.random(4) < 0.5)
    entry = float(rng.choice([0.0, 0.0, 3.0]))
    treated = np.arange(n) % 2 == 1
    age = rng.normal(60, 10, n).round()
    log_rate = rng.normal(-3.4, 0.4) + rng.normal(0, 1.0) * treated + 0.03 * (age - 60)
    time = entry + rng.exponential(np.exp(-log_rate)) + 0.1
    other = entry + rng.exponential(40.0 if competing else 1e9, n) + 0.1
    gone = np.where(rng.random(n) < (0.3 if lost else 0.0), entry + rng.uniform(1, 27, n), 99.0)
    end = np.minimum.reduce([time, other, gone, np.full(n, 28.0)])
    status = np.where(time <= end, level, np.where(other <= end, "home", "alive"))
    # Two events at least in each group, or there is little to say.
    for side in (False, True):
        some = np.flatnonzero(treated == side)[:2]
        status[some], end[some] = level, np.minimum(end[some], 20.0)
    patients = pd.DataFrame({
        "id": [f"P{k:03d}" for k in range(n)], "arm": np.where(treated, group, reference),
        "age": age, "time": end.round(2).clip(entry + 0.1), "status": status,
    })  # fmt: skip
    rows = []
    for name, log in (("one", True), ("two", False), ("three", True)):
        start = rng.normal(2.0, 0.6, n) + rng.normal(0, 0.5) * treated
        change = rng.normal(0, 0.7) + rng.normal(0, 0.8) * treated
        for day, value in ((0.0, start), (entry + 1, start + change + rng.normal(0, 0.5, n))):
            shown = np.exp(value) if log else value
            rows += [(f"P{k:03d}", day, name, shown[k]) for k in range(n)]
    long = pd.DataFrame(rows, columns=["id", "day", "marker", "value"])
    ended = patients.set_index("id")["time"]
    long = long[long["day"] <= long["id"].map(ended)]
    schema = Schema(
        patient="id", treatment="arm", reference=reference, exit="time", status="status",
        event=level, censored="alive", horizon=28.0, time="day", entry=entry,
        time_unit=unit, covariates=("age",), competing={"discharge": "home"} if competing else {},
        phases=(Phase("before", 0, 0), Phase("after", entry + 1, entry + 1)),
    )  # fmt: skip
    markers = [
        Marker("one", "Marker one", "mg/dL", transform="log", direction="lower"),
        Marker("two", "Marker two", str(rng.choice(["mmol/L", "points"])), direction="higher"),
        Marker("three", "Marker three", transform="log"),
    ]
    if not competing:
        patients.loc[patients["status"] == "home", "status"] = "alive"
    cohort = Cohort(patients, long, schema, markers, title="Drawn", randomised=randomised)
    primary = str(rng.choice(["", "one", EVENTS[level]]))
    study = Study(
        cohort,
        ModelSettings("phase * arm + (1 | id)", "arm + age" if adjusted else "arm"),
        SamplingSettings(draws=30, chains=1, seed=1 + seed % 7),
        aims=Aims(primary),
    )
    run = study.run(progress=False, stages=tuple(s for s in STAGES if s.key in STAGES_RUN))
    late = patients["time"].lt(28.0) & patients["status"].eq("alive")
    return Drawn(
        run, (reference, group), EVENTS[level], unit, entry,
        competing and bool((patients["status"] == "home").any()), bool(late.any()), adjusted,
    )  # fmt: skip
