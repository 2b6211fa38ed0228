"""A specification holds its own data, and its formula may call the user's own functions."""

from __future__ import annotations

import dataclasses
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

from longsurv.design import owned as owned_module
from longsurv.design.fixed import fixed_design
from longsurv.design.owned import OwnedFrame
from longsurv.errors import FormulaError, LongsurvError
from longsurv.models import GLMM, LMM, CoxPH, Hazard, Linear


@pytest.fixture
def data() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    who = np.repeat(np.arange(20), 3)
    frame = pd.DataFrame({"id": who, "t": np.tile([0.0, 1.0, 2.0], 20), "age": rng.normal(size=60)})
    frame["arm"] = np.array(["a", "b"])[who % 2]
    frame["y"] = rng.normal(size=60) + frame["t"]
    frame["limit"] = np.resize(["none", "left", "none"], 60)
    frame["until"], frame["died"] = 3.0 + np.arange(60) % 7, (who % 3 > 0).astype(int)
    frame["weight"] = 1.0 + (np.arange(60) % 2)
    return frame


def f(x: np.ndarray) -> np.ndarray:
    return np.tanh(x)


SPECS = {
    "LMM": lambda d: LMM("y ~ t * arm + (1 | id)", d),
    "GLMM": lambda d: GLMM("y ~ t + arm + (1 | id)", d, "censored", censored="limit"),
    "CoxPH": lambda d: CoxPH("Surv(until, died) ~ age + strata(arm)", d, weights="weight"),
    "Hazard": lambda d: Hazard("Surv(until, died) ~ arm + offset(age / 9)", d, "weibull"),
    "Linear": lambda d: Linear("y ~ arm", d.drop_duplicates("id"), "id"),
}


# pandas before 3 warns of writing to what may be a copy, which is what this wants to know.
_CHAINED = getattr(pd.errors, "SettingWithCopyWarning", UserWarning)


def spoil(frame: pd.DataFrame) -> None:
    """Change everything, in place and by new columns."""
    for column in frame.columns:
        values = frame[column].to_numpy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", _CHAINED)
            frame.loc[frame.index, column] = values[::-1].copy()
    frame["arm"] = "z"
    del frame["y"]


@pytest.mark.parametrize("cells", [owned_module.SMALL, 1], ids=["whole", "columns"])
@pytest.mark.parametrize("name", SPECS)
def test_changing_the_table_changes_no_answer(data, name, cells, monkeypatch):
    monkeypatch.setattr(owned_module, "SMALL", cells)
    expected = SPECS[name](data.copy()).fit()
    mine = data.copy()
    spec = SPECS[name](mine)
    spoil(mine)
    fit = spec.fit()
    np.testing.assert_array_equal(fit.params, expected.params)
    spoil(spec.data.copy())
    np.testing.assert_array_equal(spec.fit().params, expected.params)
    if name == "LMM":
        np.testing.assert_array_equal(
            fit.means("arm", at={"t": [1.0]}).tidy()["estimate"],
            expected.means("arm", at={"t": [1.0]}).tidy()["estimate"],
        )
        np.testing.assert_array_equal(fit.predict()["estimate"], expected.predict()["estimate"])


@pytest.mark.parametrize("name", SPECS)
def test_the_users_table_stays_as_it_is(data, name):
    before = data.copy()
    SPECS[name](data).fit()
    pd.testing.assert_frame_equal(data, before)


def test_data_of_ones_own_are_not_copied_again(data, monkeypatch):
    spec = LMM("y ~ t + (1 | id)", data)
    assert type(spec.data) is OwnedFrame and type(spec.data.iloc[:3]) is pd.DataFrame
    assert dataclasses.replace(spec, formula="y ~ t * arm + (t | id)").data is spec.data
    monkeypatch.setattr(owned_module, "SMALL", 1)
    large = LMM("y ~ t + (1 | id)", data)
    assert dataclasses.replace(large, formula="y ~ 1 + (1 | id)").data is large.data
    assert dataclasses.replace(large, formula="y ~ arm + (1 | id)").data is not large.data
    assert np.shares_memory(large.data["age"].to_numpy(), data["age"].to_numpy())
    assert not np.shares_memory(large.data["t"].to_numpy(), data["t"].to_numpy())
    again = pickle.loads(pickle.dumps(spec.data))
    pd.testing.assert_frame_equal(pd.DataFrame(again), data)


@pytest.mark.parametrize("name", SPECS)
def test_what_a_specification_prints(data, name):
    shown = repr(SPECS[name](data))
    assert "~" in shown and "DataFrame" not in shown and len(shown) < 400


@pytest.mark.parametrize("table", [None, {"y": 1.0}, [1, 2], "data.csv"])
def test_data_that_are_no_table(table):
    with pytest.raises(LongsurvError, match=r"data is a pandas DataFrame or a Scan, not"):
        LMM("y ~ t + (1 | id)", table)


class TestFunctions:
    @pytest.mark.parametrize(
        "of",
        [
            lambda d, g, **own: LMM(f"y ~ {g} + (0 + {g} | id)", d, **own),
            lambda d, g, **own: GLMM(f"I(y > 1) ~ {g} + (1 | id)", d, **own),
            lambda d, g, **own: CoxPH(f"Surv(until, died) ~ {g} + offset({g})", d, **own),
            lambda d, g, **own: Hazard(f"Surv(until, died) ~ {g}", d, "weibull", **own),
            lambda d, g, **own: Linear(f"y - {g} ~ {g}", d.drop_duplicates("id"), "id", **own),
        ],
    )
    def test_ones_own(self, data, of):
        given = of(data, "f(age)", functions={"f": f})
        listed = of(data, "tanh(age)")
        assert "f(age)" in given.design.fixed.names
        np.testing.assert_allclose(given.fit().params, listed.fit().params, rtol=1e-10)
        with pytest.raises(FormulaError, match=r"name 'f' is not defined.*functions="):
            _ = of(data, "f(age)").design

    def test_predictions_use_them(self, data):
        fit = LMM("y ~ f(age) + (1 | id)", data, functions={"f": f}).fit(df="normal")
        listed = LMM("y ~ tanh(age) + (1 | id)", data).fit(df="normal")
        new = data.head(4)
        np.testing.assert_allclose(fit.predict(new)["estimate"], listed.predict(new)["estimate"])

    @pytest.mark.parametrize(
        ("own", "message"),
        [(lambda x: 1 / 0, "ZeroDivisionError"), (lambda x: x[:3], "a value for each"),
         (lambda x: x.nothing, "AttributeError"), (lambda: 1, "TypeError")],
    )  # fmt: skip
    def test_that_fail(self, data, own, message):
        with pytest.raises(FormulaError, match=f"your function 'f'.*{message}"):
            _ = LMM("y ~ f(age) + (1 | id)", data, functions={"f": own}).design


@pytest.mark.parametrize(
    ("term", "advice"),
    [
        ("frailty(id)", r"\(1 \| site\).*cluster\(site\)"),
        ("I(age^2)", r"I\(x\*\*2\)"),
        ("as.factor(arm)", r"write C\(x\)"),
        ("s(age)", r"ns\(x, df=4\)"),
        ("lag(age)", "within patients"),
        ("offset(age)", "y - z ~ x"),
        ("I(age - mean(age))", r"center\(x\)"),
        ("np.std(age)", r"scale\(x\)"),
        ("I(age in [1, 2])", r"isin\(x"),
        ("I(1 < age < 3)", r"\(1 < x\) & \(x < 3\)"),
        ("I(age > 1 and t > 1)", "write & and"),
    ],
)
def test_names_from_elsewhere_say_what_to_write(data, term, advice):
    with pytest.raises(FormulaError, match=advice):
        _ = LMM(f"y ~ t + {term} + (1 | id)", data).design


@pytest.mark.parametrize(
    ("term", "value"),
    [
        ("sqrt(x)", np.sqrt), ("log1p(x)", np.log1p), ("log10(x)", np.log10), ("exp(x)", np.exp),
        ("abs(x - 3)", lambda x: np.abs(x - 3)), ("log2(x)", np.log2),
        ("I((x > 2) & (x < 4))", lambda x: (x > 2) & (x < 4)), ("np.log(x)", np.log),
        ("ifelse(x > 3, x, 0)", lambda x: np.where(x > 3, x, 0)), ("pmin(x, 3)", None),
        ("I(isin(x, [1, 3]))", None), ("I(x // 2 + x % 2)", lambda x: x // 2 + x % 2),
        ("exp10(x)", lambda x: 10.0**x), ("round(x / 3, 1)", lambda x: np.round(x / 3, 1)),
        ("where(x > 2, 1, 0) ", lambda x: x > 2), ("Q('x')", lambda x: x), ("{x + 1}", None),
    ],
)  # fmt: skip
def test_functions_of_every_formula(term, value):
    x = np.tile([1.0, 2.0, 3.0, 4.5, 6.0], 4)
    design, _ = fixed_design(term, pd.DataFrame({"x": x}))
    assert design.X.shape == (20, 2)
    if value is not None:
        np.testing.assert_allclose(design.X[:, 1], np.asarray(value(x), dtype=float), rtol=1e-14)
