"""Variables that are called as a column of a table is: nothing is lost, nothing there twice."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.diagnostics.influence import influence
from longsurv.diagnostics.residuals import residuals
from longsurv.models import GLMM, LMM, CoxPH, Hazard

OWN = ("estimate", "std_error", "conf_low", "df", "term", "time", "category", "effect", "quantity")


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    who = np.repeat(np.arange(24), 3)
    age, arm = np.round(rng.normal(60, 9, 24))[who], np.array(["a", "b"])[who % 2]
    frame = pd.DataFrame({"who": who, "t": np.tile([0.0, 1.0, 2.0], 24), "age": age, "arm": arm})
    frame["y"] = rng.normal(size=24)[who] + 0.02 * age + rng.normal(size=72)
    frame["grade"] = np.digitize(frame["y"], [0.5, 1.5])
    frame["died"], frame["until"] = (who % 3 > 0).astype(int), rng.uniform(3, 9, 24)[who]
    return frame


def tables(data: pd.DataFrame, n: dict[str, str], engine: str) -> dict[str, pd.DataFrame]:
    """Every table that has variables of the data in it, of data with its columns renamed."""
    frame = data.rename(columns=n)
    who, age, arm = (n.get(c, c) for c in ("who", "age", "arm"))
    how = {"draws": 20, "tune": 40, "chains": 2} if engine == "sample" else {}
    once = frame.drop_duplicates(who)
    new, people = frame.iloc[:4], once.iloc[:2]
    mixed = getattr(LMM(f"y ~ t + {age} + {arm} + (1 | {who})", frame), engine)(**how)
    grades = GLMM(f"grade ~ t + {arm} + (1 | {who})", frame, family="ordinal")
    ordinal = getattr(grades, engine)(**how)
    cox = getattr(CoxPH(f"Surv(until, died) ~ {age} + {arm}", once), engine)(**how)
    right = f"Surv(until, died) ~ {age} + {arm}"
    parametric = getattr(Hazard(right, once, baseline="weibull"), engine)(**how)
    out = {
        "predict": mixed.predict(new),
        "predict, by patient": mixed.predict(new, by_patient=True),
        "means": mixed.means(arm).tidy(),
        "contrast": mixed.means([arm, "t"], at={"t": [0.0, 1.0]}).contrast(arm),
        "ranef": mixed.ranef(),
        "ordinal, predict": ordinal.predict(new, type="response"),
        "ordinal, means": ordinal.means(arm).tidy(),
        "ordinal, ranef": ordinal.ranef(),
    }
    for label, fit in (("cox", cox), ("hazard", parametric)):
        out[f"{label}, predict"] = fit.predict(people)
        out[f"{label}, survival"] = fit.predict(people, times=[2.0, 4.0])
    if engine == "fit":
        out["residuals"] = residuals(mixed)
    return out


@pytest.fixture(scope="module")
def plain(data) -> dict[str, dict[str, pd.DataFrame]]:
    return {engine: tables(data, {}, engine) for engine in ("fit", "sample")}


@pytest.mark.parametrize("engine", ["fit", "sample"])
@pytest.mark.parametrize("role", ["who", "age", "arm"])
def test_no_column_is_there_twice_or_gone(data, plain, role, engine) -> None:
    names = OWN if engine == "fit" else OWN[:1]
    for name in names:
        for what, table in tables(data, {role: name}, engine).items():
            before = plain[engine][what]
            assert table.columns.is_unique, (what, name)
            assert len(table.columns) == len(before.columns), (what, name)
            for place, column in enumerate(before.columns):
                one, other = table.iloc[:, place], before[column]
                if column == "term" and role == "arm":
                    continue  # what a variable is called is part of its terms
                pd.testing.assert_series_equal(one, other, check_names=False, obj=f"{what} {name}")
                if column not in {"who", "age", "arm"}:
                    assert table.columns[place] == column, (what, name)


@pytest.mark.parametrize("name", ["term", "estimate", "rows"])
def test_who_was_left_out_may_be_called_anything(data, name) -> None:
    few = data[data["who"] < 8]
    one, other = (
        influence(LMM(f"y ~ t + (1 | {who})", few.rename(columns={"who": who})).fit(df="normal"))
        for who in ("who", name)
    )
    for before, after in ((one.terms, other.terms), (one.patients, other.patients)):
        assert after.columns.is_unique
        renamed = {f"{name}_variable": "who"}
        pd.testing.assert_frame_equal(after.rename(columns=renamed), before)
