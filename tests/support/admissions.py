"""Admissions to intensive care of whom some are treated within two days, with known truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

STEP, GRACE, HORIZON = 0.5, 2.0, 28.0


def admissions(
    n: int,
    rng: np.random.Generator,
    effect: float = 0.0,
    begin: Callable[[int, np.ndarray], np.ndarray] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Patients, and their severity every half day until day 2.

    Severity changes every half day; the sicker die sooner, go home later and are treated rather.
    Death, discharge alive and beginning are competing exponential times within a half day.

    Parameters
    ----------
    n : int
    rng : Generator
    effect : float
        Log hazard ratio of death once treated.
    begin : callable, optional
        Probability of beginning in a half day (its number, severity), to simulate a strategy.
    """
    severity = rng.normal(size=n)
    path = np.empty((n, 4))
    exit_, status = np.full(n, HORIZON), np.zeros(n, dtype=np.int64)
    begun, alive = np.full(n, np.inf), np.ones(n, dtype=bool)
    for k in range(int(HORIZON / STEP)):
        now = k * STEP
        if k < 4:
            severity = 0.8 * severity + 0.6 * rng.normal(size=n) if k else severity
            path[:, k] = severity
        death = (0.016 + 0.07 * np.exp(-now / 2.0)) * np.exp(0.7 * severity)
        home = (0.005 if now < 5.0 else 0.06) * np.exp(-0.4 * severity)
        chance = np.zeros(n)
        if now < GRACE:
            usual = 1.0 - np.exp(-STEP * 0.45 * np.exp(0.25 * severity))
            chance = usual if begin is None else np.broadcast_to(begin(k, severity), n)
        at = np.where(rng.random(n) < chance, STEP * rng.random(n), np.inf)
        at = np.where(np.isfinite(begun), np.inf, at)
        # The cumulative hazard of death at which each would die, treated from `at` on.
        due = rng.exponential(size=n)
        ratio = np.where(np.isfinite(begun), np.exp(effect), 1.0)
        untreated = due / (death * ratio)
        at_least = np.minimum(at, 1e9)
        after = at_least + (due - death * at_least) / (death * np.exp(effect))
        dying = np.where(untreated <= at_least, untreated, after)
        leaving = rng.exponential(size=n) / home
        first = np.minimum(dying, leaving)
        begun = np.where(alive & (at < STEP) & (at < first), now + at, begun)
        ends = alive & (first < STEP)
        exit_ = np.where(ends, now + first, exit_)
        status = np.where(ends, np.where(dying < leaving, 1, 2), status)
        alive &= ~ends
    patient = np.arange(n)
    people = pd.DataFrame(
        {
            "patient": patient, "exit": exit_, "status": status,
            "begun": np.where(np.isfinite(begun), begun, np.nan),
        }
    )  # fmt: skip
    rows = pd.DataFrame(
        {
            "patient": np.repeat(patient, 4), "time": np.tile(STEP * np.arange(4), n),
            "severity": path.ravel(),
        }
    )  # fmt: skip
    return people, rows[rows["time"].to_numpy() < np.repeat(exit_, 4)].reset_index(drop=True)
