"""A thousand covariates of few patients: an answer, or what to do, within seconds."""

from __future__ import annotations

import time
from functools import cache

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import DataError
from longsurv.estimands.weighting import overlap_weights
from longsurv.models import LMM, CoxPH, Hazard, Linear

pytestmark = pytest.mark.slow
P = 1_000
WIDE = " + ".join(f"x{k}" for k in range(P))
LONGEST = 20.0
"""Seconds on a busy machine; a quiet one takes two."""


@cache
def people(n: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    columns = {f"x{k}": rng.normal(size=n) for k in range(P)}
    return pd.DataFrame(
        {"id": np.arange(n), "days": rng.exponential(10.0, n).clip(0.1), "y": rng.normal(size=n),
         "died": rng.integers(0, 2, n), "arm": np.arange(n) % 2, **columns}
    )  # fmt: skip


@cache
def visits(seed: int = 2) -> pd.DataFrame:
    rows = people().loc[np.repeat(np.arange(200), 3)].reset_index(drop=True)
    rng = np.random.default_rng(seed)
    return rows.assign(t=np.tile([0.0, 1.0, 2.0], 200), y=rng.normal(size=600))


CALLS = {
    "Linear": lambda: Linear(f"y ~ {WIDE}", people(), "id").fit(),
    "CoxPH": lambda: CoxPH(f"Surv(days, died) ~ {WIDE}", people()).fit(),
    "CoxPH, Firth": lambda: CoxPH(f"Surv(days, died) ~ {WIDE}", people()).fit(penalty="firth"),
    "Hazard": lambda: Hazard(f"Surv(days, died) ~ {WIDE}", people(), "weibull").fit(),
    "overlap weights": lambda: overlap_weights(people(), "arm", WIDE),
}


@pytest.mark.parametrize("name", CALLS)
def test_more_columns_than_patients_are_refused_in_words(name):
    began = time.perf_counter()
    with pytest.raises(DataError, match="a simpler formula is needed") as caught:
        CALLS[name]()
    assert time.perf_counter() - began < LONGEST
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize("seed", [2, 3])
def test_repeated_measurements_have_an_answer_that_says_what_was_left_out(seed):
    data, began = visits(seed), time.perf_counter()
    fit = LMM(f"y ~ t + {WIDE} + (1 | id)", data).fit()
    assert time.perf_counter() - began < LONGEST
    assert len(fit.names) <= 201 and any("x999" in flag for flag in fit.flags)
    # The covariates tell all patients apart: the rest is least squares within them.
    assert any("sd(Intercept|id)" in flag for flag in fit.flags)
    within = data[["t", "y"]] - data.groupby("id")[["t", "y"]].transform("mean")
    slope = (within["t"] @ within["y"]) / (within["t"] @ within["t"])
    left = within["y"] - slope * within["t"]
    se = np.sqrt((left @ left) / 399 / (within["t"] @ within["t"]))
    table = fit.tidy().set_index("term")
    np.testing.assert_allclose(table.loc["t", ["estimate", "std_error"]], [slope, se], rtol=1e-6)
    assert table.loc[["Intercept", "x0", "x198"], "std_error"].isna().all()


def test_a_thousand_columns_of_enough_patients_are_fitted():
    rng = np.random.default_rng(3)
    n = 1_200
    X = rng.normal(size=(n, P))
    y = X[:, 0] + rng.normal(size=n)
    table = pd.DataFrame(X, columns=[f"x{k}" for k in range(P)]).assign(id=np.arange(n), y=y)
    began = time.perf_counter()
    fit = Linear(f"y ~ {WIDE}", table, "id").fit()
    assert time.perf_counter() - began < LONGEST
    dense = np.linalg.lstsq(np.column_stack([np.ones(n), X]), y, rcond=None)[0]
    np.testing.assert_allclose(fit.coefficients, dense, rtol=1e-6, atol=1e-9)
