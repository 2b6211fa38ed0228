"""Whole studies drawn at random: groups, signs, units, events, competing events, randomised or not,
adjusted or not, with delayed entry or lost patients, nobody dead in an arm, one marker or several,
values beyond a limit, labels of odd characters, an aim or none, a trial to emulate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from longsurv.cohort import Aims, Cohort, Marker, Phase, Schema
from longsurv.cohort.questions import TrialSettings
from longsurv.cohort.settings import ModelSettings, SamplingSettings
from longsurv.inference import posterior
from longsurv.study import STAGES, Study, StudyResults

GROUPS = (
    "ivig", "control", "drug A", "arm 2", "D-penicillamine", "Über", "new", "a & b", "q < r",
    "50 % dose", "検査薬", '"as usual"', "{x}", "$b$ *c*", "=1+1",
)  # fmt: skip
LABELS = ("Marker {k}", "IL-6 <{k}>", "Å & {k}", "Κρεατινίνη {k}", "a_{k}^2 | b", "{k} % of $x$")
EVENTS = {"dead": "death", "relapse": "relapse", "Transplant": "transplant"}
UNITS = ("days", "weeks", "years")
STAGES_RUN = {
    "markers", "adjustments", "beyond", "mortality", "carried", "methods", "priors", "competing",
    "tipping", "target",
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
    without: str
    """The group in which nobody had the event; empty where both had some."""
    emulated: bool

    @property
    def said(self) -> str:
        """What it was drawn to be, for messages."""
        kinds = ("competing", "lost", "adjusted", "without", "emulated", "entry")
        cohort = self.results.cohort
        return (
            f"{self.groups}, {self.event}, {self.unit}, {len(cohort.markers)} markers,"
            f" randomised {cohort.randomised}, primary {self.results.study.aims.primary!r}, "
            + ", ".join(f"{kind} {getattr(self, kind)!r}" for kind in kinds)
        )


@contextmanager
def hurried() -> Iterator[None]:
    """Next to no warm-up and few resamples: a sentence is held to its table, not to the truth."""
    again = posterior.sample_again
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(posterior, "sample_again", lambda *a, **k: again(*a, **{**k, "tune": 25}))
        patch.setattr("longsurv.study.target_stage.RESAMPLES", 25)
        # lifelines' accelerated failure times take a quarter of a study's time.
        patch.setattr("longsurv.analyses.mortality.methods.failure_time_rows", lambda *_, **__: [])
        yield


def draw_study(seed: int) -> Drawn:
    """The study of one seed, run with very few draws."""
    rng = np.random.default_rng(seed)
    reference, group = rng.choice(GROUPS, 2, replace=False).tolist()
    level = str(rng.choice(list(EVENTS)))
    unit, n = str(rng.choice(UNITS)), int(rng.integers(24, 70))
    competing, lost, adjusted, randomised, censored = (bool(x) for x in rng.random(5) < 0.5)
    entry = float(rng.choice([0.0, 0.0, 3.0]))
    emulated = bool(rng.random() < 0.15) and not randomised and not entry
    nobody = bool(rng.random() < 0.2) and not emulated
    treated = np.arange(n) % 2 == 1
    age = rng.normal(60, 10, n).round()
    log_rate = rng.normal(-3.4, 0.4) + rng.normal(0, 1.0) * treated + 0.03 * (age - 60)
    time = entry + rng.exponential(np.exp(-log_rate)) + 0.1
    spared = bool(rng.random() < 0.5)
    if nobody:
        time = np.where(treated == spared, 1e9, time)
    other = entry + rng.exponential(40.0 if competing else 1e9, n) + 0.1
    gone = np.where(rng.random(n) < (0.3 if lost else 0.0), entry + rng.uniform(1, 27, n), 99.0)
    end = np.minimum.reduce([time, other, gone, np.full(n, 28.0)])
    status = np.where(time <= end, level, np.where(other <= end, "home", "alive"))
    # Two events at least in each group that has any, or there is little to say.
    for side in (False, True):
        some = np.flatnonzero(treated == side)[:2]
        if not (nobody and side == spared):
            status[some], end[some] = level, np.minimum(end[some], 20.0)
    end = end.round(2).clip(entry + 0.1)
    patients = pd.DataFrame({
        "id": [f"P{k:03d}" for k in range(n)], "arm": np.where(treated, group, reference),
        "age": age, "time": end, "status": status,
        "begun": np.where(treated, np.minimum(rng.uniform(0.0, 2.0, n), 0.5 * end), np.nan),
    })  # fmt: skip
    if not competing:
        patients.loc[patients["status"] == "home", "status"] = "alive"
    limit = float(np.exp(1.5)) if censored else None
    markers, long = _markers(rng, treated, entry, limit)
    ended = patients.set_index("id")["time"]
    long = long[long["day"] <= long["id"].map(ended)]
    schema = Schema(
        patient="id", treatment="arm", reference=reference, exit="time", status="status",
        event=level, censored="alive", horizon=28.0, time="day", entry=entry,
        time_unit=unit, covariates=("age",), competing={"discharge": "home"} if competing else {},
        phases=(Phase("before", 0, 0), Phase("after", entry + 1, entry + 1)),
    )  # fmt: skip
    allocated = randomised or (None if seed % 3 == 0 else False)  # None: not said
    cohort = Cohort(patients, long, schema, markers, title="Drawn", randomised=allocated)
    primary = str(rng.choice(["", "one", EVENTS[level]]))
    study = Study(
        cohort,
        ModelSettings("phase * arm + (1 | id)", "arm + age" if adjusted else "arm"),
        SamplingSettings(draws=30, chains=1, seed=1 + seed % 7),
        aims=Aims(primary),
        target_trial=TrialSettings("begun", 2.0, "age" if adjusted else "") if emulated else None,
    )
    with hurried():
        run = study.run(progress=False, stages=tuple(s for s in STAGES if s.key in STAGES_RUN))
    late = patients["time"].lt(28.0) & patients["status"].eq("alive")
    return Drawn(
        run, (reference, group), EVENTS[level], unit, entry,
        competing and bool((patients["status"] == "home").any()), bool(late.any()), adjusted,
        (group if spared else reference) * nobody, emulated,
    )  # fmt: skip


def _markers(
    rng: np.random.Generator, treated: np.ndarray, entry: float, limit: float | None
) -> tuple[list[Marker], pd.DataFrame]:
    """One marker or three, each at two times; the first may have a limit of detection."""
    n, rows = len(treated), []
    kinds = (("one", True), ("two", False), ("three", True))[: int(rng.choice([1, 1, 3]))]
    for name, log in kinds:
        start = rng.normal(2.0, 0.6, n) + rng.normal(0, 0.5) * treated
        change = rng.normal(0, 0.7) + rng.normal(0, 0.8) * treated
        for day, value in ((0.0, start), (entry + 1, start + change + rng.normal(0, 0.5, n))):
            shown = np.exp(value) if log else value
            beyond = name == "one" and limit is not None
            rows += [
                (f"P{k:03d}", day, name, f"<{limit:.4g}" if beyond and shown[k] < limit else x)
                for k, x in enumerate(shown)
            ]
    names = [
        str(text).format(k=k) for k, text in enumerate(rng.choice(LABELS, 3, replace=False), 1)
    ]
    markers = [
        Marker("one", names[0], "mg/dL", transform="log", direction="lower"),
        Marker("two", names[1], str(rng.choice(["mmol/L", "points"])), direction="higher"),
        Marker("three", names[2], transform="log"),
    ]
    table = pd.DataFrame(rows, columns=["id", "day", "marker", "value"])
    return markers[: len(kinds)], table
