"""Cox models against lifelines and R."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from timing import Row, r_seconds, seconds

from longsurv.models import CoxPH

COLUMNS = [f"x{j}" for j in range(10)]
FORMULA = "Surv(time, event) ~ " + " + ".join(COLUMNS)


def simulated_cohort(n: int, seed: int = 1) -> pd.DataFrame:
    """Ten covariates, times in whole days over five years, about half of them events."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 10))
    days = rng.exponential(size=n) * 900.0 / np.exp(X @ np.linspace(-0.3, 0.3, 10))
    censored = rng.uniform(0.0, 1826.0, size=n)
    data = pd.DataFrame(X, columns=COLUMNS)
    data["time"] = np.ceil(np.minimum(days, censored))
    data["event"] = (days <= censored).astype(int)
    return data


def fits(folder: Path) -> Iterator[Row]:
    """100,000 x 10 with daily ties beside lifelines and R; 1,000,000 x 10 beside R."""
    from lifelines import CoxPHFitter

    data, work = simulated_cohort(100_000), "Cox, 100,000 x 10, daily ties"
    yield Row(
        work, "longsurv", seconds(lambda: CoxPH(FORMULA, data).fit(), 5), note="formula to table"
    )

    def by_lifelines() -> None:
        CoxPHFitter().fit(data, duration_col="time", event_col="event")

    yield Row(work, "lifelines", seconds(by_lifelines, 3))
    found = r_seconds("bench_coxph", data, folder, "efron", "3")
    if found:
        yield Row(work, "R survival", found[1])
    work = "Cox, 1,000,000 x 10, daily ties"
    large = simulated_cohort(1_000_000)
    yield Row(
        work, "longsurv", seconds(lambda: CoxPH(FORMULA, large).fit(), 3), note="formula to table"
    )
    found = r_seconds("bench_coxph", large, folder, "efron", "1")
    if found:
        yield Row(work, "R survival", found[1])
