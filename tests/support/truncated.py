"""A cohort of two groups, some of whose patients die before their marker is measured again."""

from __future__ import annotations

import numpy as np
import pandas as pd

from longsurv.cohort import Cohort, Marker, Phase, Schema
from longsurv.estimands.changes import Change

CHANGE = Change("phase", "first", "later", "arm", "active", "control")
LAST = 7.0  # of the later phase


def truncated_tables(seed: int = 4, n: int = 60) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Patients and measurements: a tenth of the active and a quarter of the controls die early."""
    rng = np.random.default_rng(seed)
    arm = np.where(np.arange(n) % 2, "active", "control")
    active = arm == "active"
    early = rng.uniform(size=n) < np.where(active, 0.1, 0.25)
    late = ~early & (rng.uniform(size=n) < 0.1)
    exit = np.where(early, rng.integers(2, 7, n), np.where(late, rng.integers(9, 27, n), 28))
    people = pd.DataFrame({"id": np.arange(n), "arm": arm, "exit": exit.astype(float),
                           "status": np.where(early | late, "dead", "alive")})  # fmt: skip
    own = rng.normal(size=n)
    rows = []
    for day, moved in ((1.0, 0.0), (5.0, -0.4), (7.0, -0.6)):
        y = np.exp(3 + own + moved * (1 + 0.7 * active) * (day > 1) + 0.4 * rng.normal(size=n))
        rows.append(pd.DataFrame({"id": people["id"], "day": day, "value": np.round(y, 2)}))
    visits = pd.concat(rows, ignore_index=True)
    seen = visits["day"].to_numpy() <= people["exit"].to_numpy()[visits["id"]]
    seen &= (visits["day"] == 1) | (rng.uniform(size=len(visits)) < 0.85)
    return people, visits[seen].assign(marker="m").reset_index(drop=True)


def truncated_cohort(
    tables: tuple[pd.DataFrame, pd.DataFrame] | None = None,
    *,
    direction: str | None = "lower",
    transform: str = "log",
    **schema: object,
) -> Cohort:
    """The cohort of such tables."""
    people, visits = truncated_tables() if tables is None else tables
    plan = {
        "patient": "id", "treatment": "arm", "reference": "control", "exit": "exit",
        "status": "status", "event": "dead", "censored": "alive", "time": "day", "horizon": 28.0,
        "phases": (Phase("first", 1, 1), Phase("later", 4, LAST)),
    }  # fmt: skip
    marker = Marker("m", "Marker", "U/L", transform=transform, direction=direction)
    return Cohort(people, visits, Schema(**{**plan, **schema}), [marker])
