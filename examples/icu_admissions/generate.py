"""Make the tables of the simulated admissions, byte for byte, from one seed.

    python generate.py

400 admissions to an intensive care unit, followed for 28 days. Treatment may begin within two days
of admission and has **no effect**. Severity changes every 12 hours for two days; the sicker die
sooner, go home later and are treated rather. Death, discharge alive and the beginning of treatment
are competing exponential times within each 12 hours. Lactate is measured at the start of each, and
is all there is to know of severity: log(lactate / 2) = 0.5 severity.

Who is treated had to live until then, and the first days are the most dangerous: compared as they
turned out, the treated do better.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

SEED, N = 20, 400
STEP, GRACE, HORIZON = 0.5, 2.0, 28.0


def simulate(n: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of patients and of measurements."""
    rng = np.random.default_rng(seed)
    age = np.clip(np.round(rng.normal(66.0, 13.0, n)), 18, 95)
    severity = rng.normal(size=n) + 0.02 * (age - 66.0)
    exit_, status = np.full(n, HORIZON), np.zeros(n, dtype=int)
    begun, alive = np.full(n, np.inf), np.ones(n, dtype=bool)
    visits = []
    for k in range(int(HORIZON / STEP)):
        now = k * STEP
        if now < GRACE:
            severity = 0.8 * severity + 0.6 * rng.normal(size=n) if k else severity
            lactate = np.round(2.0 * np.exp(0.5 * severity), 2)
            visits += [(i, now, lactate[i]) for i in np.flatnonzero(alive)]
        death = (0.016 + 0.07 * np.exp(-now / 2.0)) * np.exp(0.7 * severity)
        home = (0.005 if now < 5.0 else 0.06) * np.exp(-0.4 * severity)
        begins = 0.45 * np.exp(0.25 * severity) * (now < GRACE) * np.isinf(begun)
        dying, leaving = rng.exponential(size=n) / death, rng.exponential(size=n) / home
        starting = rng.exponential(size=n) / np.maximum(begins, 1e-12)
        first = np.minimum(dying, leaving)
        begun = np.where(alive & (starting < np.minimum(first, STEP)), now + starting, begun)
        ends = alive & (first < STEP)
        exit_ = np.where(ends, now + first, exit_)
        status = np.where(ends, np.where(dying < leaving, 1, 2), status)
        alive &= ~ends
    # To a hundredth of a day, which no one dies before or is treated after.
    exit_ = np.where(status > 0, np.ceil(exit_ * 100.0) / 100.0, exit_)
    name = [f"A{i + 1:03d}" for i in range(n)]
    patients = pd.DataFrame(
        {
            "patient": name,
            "treatment": np.where(np.isfinite(begun), "begun", "not begun"),
            "treatment_day": np.where(np.isfinite(begun), np.floor(begun * 100) / 100, np.nan),
            "age": age.astype(int),
            "followup_day": exit_,
            "status": np.array(["alive", "dead", "discharged"])[status],
        }
    )
    rows = pd.DataFrame(visits, columns=["patient", "day", "value"])
    rows["patient"] = np.array(name)[rows["patient"]]
    rows.insert(2, "marker", "lactate")
    return patients, rows.sort_values(["patient", "day"], ignore_index=True)


if __name__ == "__main__":
    here = Path(__file__).parent
    patients, measurements = simulate(N, SEED)
    patients.to_csv(here / "patients.csv", index=False, lineterminator="\n")
    measurements.to_csv(here / "measurements.csv", index=False, lineterminator="\n")
