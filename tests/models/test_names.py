"""Columns of any name: the same answers, from every model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.design.names import quoted as q
from longsurv.models import GLMM, LMM, CoxPH, Hazard, Linear

NAMES = (
    "Patient No", "Intercept", "patient", "time", "y", "phase", "treatment", "exit", "event",
    "entry", "log", "np", "C", "bs", "class", "pre-dose", "a b/c", "x:y", "O'Brien", "log(t)",
    "1", "x.y", "年齢", "ｱ", "status", "a|b", "a~b", "a+b",
)  # fmt: skip
COLUMNS = ("id", "t", "arm", "age", "yy", "died", "until")


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    who = np.repeat(np.arange(24), 3)
    frame = pd.DataFrame({"id": who, "t": np.tile([0.0, 1.0, 2.0], 24)})
    frame["arm"] = np.array(["a", "b"])[who % 2]
    frame["age"] = rng.normal(size=24)[who]
    frame["yy"] = np.exp(rng.normal(size=24)[who] + 0.2 * frame["t"] + rng.normal(size=72))
    frame["died"], frame["until"] = (who % 3 > 0).astype(int), rng.uniform(3, 9, 24)[who]
    return frame


def answers(data: pd.DataFrame, n: dict[str, str]) -> list[np.ndarray]:
    """Numbers of every model of the data with its columns renamed."""
    frame = data.rename(columns=n)
    who, t, arm, age, y, died, until = (q(n[c]) for c in COLUMNS)
    mixed = LMM(f"log({y}) ~ {t} * {arm} + log({age} + 9) + ({t} | {who})", frame).fit(df="normal")
    new = frame.iloc[:4]
    found = [mixed.params, mixed.bse, mixed.predict(new, by_patient=True)["estimate"]]
    found += [
        mixed.means(n["arm"], at={n["t"]: [2.0]}).tidy()["estimate"],
        mixed.ranef()["estimate"],
    ]
    logit = GLMM(f"I({y} > 1) ~ {arm} + {age} + (1 | {who})", frame, nodes=1).fit()
    found += [logit.params, logit.means(n["arm"]).tidy()["estimate"]]
    one = frame.drop_duplicates(n["id"])
    cox = CoxPH(f"Surv({until}, {died}) ~ {age} + strata({arm}) + cluster({who})", one).fit()
    found += [cox.params, cox.bse]
    hazard = Hazard(f"Surv({until}, {died}) ~ {arm} + offset({age})", one, "weibull").fit()
    found += [hazard.params]
    found += [Linear(f"{y} - {t} ~ {arm} + {age}", one, n["id"]).fit().params]
    return [np.asarray(values, dtype=float) for values in found]


@pytest.fixture(scope="module")
def expected(data: pd.DataFrame) -> list[np.ndarray]:
    return answers(data, {column: column for column in COLUMNS})


@pytest.mark.parametrize("name", NAMES)
def test_a_name_changes_nothing(data, expected, name):
    """Every name for one of the columns, each column under several names."""
    renamed = {column: column for column in COLUMNS}
    renamed[COLUMNS[NAMES.index(name) % len(COLUMNS)]] = name
    for a, b in zip(answers(data, renamed), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)
