"""Draws with one seed do not depend on the order of the rows of a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import longsurv.estimands as est
from longsurv.analyses import TargetTrial
from longsurv.models import GLMM, LMM
from longsurv.own_order import in_own_order, own_order

WHO = ["patient", "day"]


def patients() -> pd.DataFrame:
    """Whole days and years, so that many patients are alike in something."""
    rng = np.random.default_rng(3)
    exit_ = np.ceil(rng.exponential(15.0, 60)).clip(max=28.0)
    begun = np.where(rng.random(60) < 0.6, np.ceil(rng.uniform(0.0, 5.0, 60)), np.nan)
    table = pd.DataFrame({
        "patient": np.arange(60), "arm": np.repeat([0, 1], 30), "exit": exit_,
        "event": (exit_ < 28.0).astype(int), "age": rng.integers(50, 60, 60), "day": 0,
    })  # fmt: skip
    return table.assign(begun=np.where(begun <= exit_, begun, np.nan),
                        score=rng.integers(0, 5, 60) + table["age"] / 10)  # fmt: skip


def visits() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    who, day = np.repeat(np.arange(14), 4), np.tile(np.arange(4.0), 14)
    y = np.round(5.0 + rng.normal(size=14)[who] - 0.3 * day + rng.normal(size=56), 1)
    count = rng.poisson(np.exp(y / 5.0))
    return pd.DataFrame({"patient": who, "day": day, "y": y, "count": count, "site": who % 3})


def weighted(data: pd.DataFrame, what: str) -> np.ndarray:
    weights = est.propensity_weights(data, "arm", "age")
    if what == "mean":
        found = est.weighted_difference(weights, data["score"], bootstrap=20, seed=2)
    elif what == "curves":
        found = est.weighted_survival(weights, data, [10.0, 20.0], bootstrap=10, seed=2)
    else:
        return est.bayesian_bootstrap(weights, data["score"], draws=20, seed=2)
    return found.select_dtypes("number").to_numpy()


def emulated(data: pd.DataFrame, what: str) -> np.ndarray:
    trial = TargetTrial(data, "begun", 5.0, 20.0, adjust="age", intervals=5)
    return trial.estimate(resamples=10).table[["conf_low", "conf_high"]].to_numpy()


def of_rows(data: pd.DataFrame, what: str) -> np.ndarray:
    fit = MODELS[what](data).fit()
    rows = data[WHO].reset_index(drop=True)
    found = rows.assign(drawn=fit.simulate(1, seed=2).to_numpy()[:, 0].astype(float))
    if what != "linear":
        found = found.assign(residual=fit.residuals(seed=2)["quantile"].to_numpy())
    return found.sort_values(WHO).to_numpy()


MODELS = {
    "linear": lambda data: LMM("y ~ day + (day | patient)", data),
    "poisson": lambda data: GLMM("count ~ day + (1 | patient)", data, "poisson"),
    "sites": lambda data: GLMM("count ~ day + (1 | patient) + (1 | site)", data, "poisson"),
    "ordinal": lambda data: GLMM("count ~ day + (1 | patient)", data, "ordinal"),
}
DRAWN = [
    *((patients, weighted, what) for what in ("mean", "curves", "posterior")),
    (patients, emulated, "limits"),
    *((visits, of_rows, what) for what in MODELS),
]


@pytest.mark.parametrize(("table", "ask", "what"), DRAWN, ids=[what for *_, what in DRAWN])
def test_the_order_of_rows_does_not_matter(table, ask, what):
    data = table()
    shuffled = data.sample(frac=1.0, random_state=1)
    np.testing.assert_allclose(ask(shuffled, what), ask(data, what), rtol=1e-6, atol=1e-7)


def test_parametric_bootstrap_of_rows_in_another_order():
    fits = [MODELS["linear"](data).fit() for data in (visits(), visits().sample(frac=1.0))]
    one, other = (fit.bootstrap(replicates=3, seed=1).draws for fit in fits)
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_rows_by_what_they_hold():
    rows = np.array([[1.0, 3.0], [np.inf, 1.0], [1.0, 2.0], [0.0, 9.0]])
    order = own_order(rows[:, 0], rows[:, 1:])
    assert order.tolist() == [3, 2, 0, 1]
    placed = in_own_order(np.array([[10, 20, 30, 40], [1, 2, 3, 4]]), order)
    assert placed.tolist() == [[30, 40, 20, 10], [3, 4, 2, 1]]
    near = own_order(np.array([1.0, 1.0 + 1e-15]), np.array([2.0, 1.0]))
    assert near.tolist() == [1, 0]  # rounding is no difference
