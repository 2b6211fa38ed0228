"""A fit of lifelines, statsmodels or ArviZ held against ours."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from longsurv import compare
from longsurv.errors import LongsurvError
from longsurv.models import LMM, CoxPH, Hazard, Linear
from longsurv.results.adapters import matched


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    arm = np.array(["a", "b"])[np.arange(120) % 2]
    age = rng.normal(0, 1, 120)
    until = rng.exponential(np.exp(-0.4 * (arm == "b") - 0.3 * age))
    frame = pd.DataFrame({"arm": arm, "age": age, "until": until.clip(0, 2.0)})
    frame["id"] = np.arange(120)
    return frame.assign(died=(until < 2.0).astype(int), y=2.0 + 0.5 * age + rng.normal(0, 1, 120))


@pytest.fixture(scope="module")
def visits(patients: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    frame = patients.loc[np.repeat(np.arange(60), 3)].reset_index(drop=True)
    frame["day"] = np.tile([0.0, 1.0, 2.0], 60)
    frame["y"] = frame["day"] + rng.normal(size=60)[frame["id"]] + rng.normal(size=180)
    return frame


def check(table: pd.DataFrame, library: str, fit: object, terms: list[str]) -> None:
    """Every number is that of its own library, and the two agree."""
    assert list(table["term"]) == terms
    assert set(table["verdict"]) == {"agree"}, table
    assert {f"estimate_{library}", "conf_low_longsurv"} <= set(table.columns)
    assert library in str(table.summary()) and "agree" in table.to_markdown()


def test_cox_models_of_lifelines(patients: pd.DataFrame) -> None:
    from lifelines import CoxPHFitter, WeibullAFTFitter

    columns = patients[["arm", "age", "until", "died"]]
    other = CoxPHFitter().fit(columns, "until", "died", formula="arm + age")
    ours = CoxPH("Surv(until, died) ~ arm + age", patients).fit()
    table = compare(ours, other)
    check(table, "lifelines", ours, ["arm[T.b]", "age"])
    assert list(table["estimate_lifelines"]) == pytest.approx(list(other.params_))
    limits = other.confidence_intervals_.to_numpy()
    assert table[["conf_low_lifelines", "conf_high_lifelines"]].to_numpy() == pytest.approx(limits)
    wide = compare(ours, other, level=0.5)
    width = wide["conf_high_lifelines"] - wide["conf_low_lifelines"]
    assert list(width) == pytest.approx(2 * 0.67449 * other.standard_errors_.to_numpy(), rel=1e-4)
    assert compare(other, ours)["estimate_longsurv"].equals(table["estimate_longsurv"])
    linear = Linear("y ~ arm + age", patients, "id").fit()
    with pytest.raises(LongsurvError, match="not the same quantity"):
        compare(linear, other)
    with pytest.raises(LongsurvError, match="not fitted yet"):
        compare(ours, CoxPHFitter())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        accelerated = WeibullAFTFitter().fit(columns.drop(columns="arm"), "until", "died")
    with pytest.raises(LongsurvError, match="none of a proportional hazard"):
        compare(ours, accelerated)


def test_results_of_statsmodels(patients: pd.DataFrame, visits: pd.DataFrame) -> None:
    import statsmodels.api as sm
    import statsmodels.formula.api as smf

    terms = ["Intercept", "arm[T.b]", "age"]
    ours = Linear("y ~ arm + age", patients, "id").fit()
    check(compare(ours, smf.ols("y ~ C(arm) + age", patients).fit()), "statsmodels", ours, terms)
    gaussian = smf.glm("y ~ arm + age", patients).fit()
    assert compare(ours, gaussian)["shift"].abs().max() < 1e-6
    X = sm.add_constant(patients.assign(b=(patients["arm"] == "b") * 1.0)[["b", "age"]])
    named = compare(ours, sm.OLS(patients["y"], X).fit(), names={"b": "arm[T.b]"})
    check(named, "statsmodels", ours, terms)
    unnamed = compare(ours, sm.OLS(patients["y"], X).fit())
    assert unnamed.set_index("term").loc["arm[T.b]", "verdict"] == "no answer"
    assert unnamed.attrs["not_compared"] == ("b",)
    with pytest.raises(LongsurvError, match="results of a model's fit"):
        compare(ours, smf.ols("y ~ arm", patients))

    mixed = LMM("y ~ day + (1 | id)", visits).fit(df="normal")
    other = smf.mixedlm("y ~ day", visits, groups="id").fit()
    table = compare(mixed, other)
    check(table, "statsmodels", mixed, ["Intercept", "day"])
    assert list(table["conf_low_statsmodels"]) == pytest.approx(list(other.conf_int()[0][:2]))

    hazards = smf.phreg("until ~ age", patients, status=patients["died"], ties="efron").fit()
    ours = CoxPH("Surv(until, died) ~ age", patients).fit()
    check(compare(ours, hazards), "statsmodels", ours, ["age"])
    exponential = Hazard("Surv(until, died) ~ age", patients, baseline="exponential").fit()
    assert len(compare(exponential, hazards)) == 1


def test_draws_for_arviz(visits: pd.DataFrame) -> None:
    import xarray as xr

    fit = LMM("y ~ day * arm + (1 | id)", visits).fit(df="normal")
    rng, b, se = np.random.default_rng(1), fit.params, fit.bse
    drawn = {name: rng.normal(b[name], se[name], (4, 2000)) for name in fit.names}
    one = {n: (("chain", "draw"), drawn[n]) for n in ("Intercept", "day")}
    factor = drawn["arm[T.b]"][..., None]
    one["arm"] = (("chain", "draw", "arm_dim"), factor)
    one["arm:day"] = (("chain", "draw", "arm_dim"), drawn["day:arm[T.b]"][..., None])
    one["1|id"] = (("chain", "draw", "id"), np.zeros((4, 2000, 3)))
    data = xr.Dataset(one, coords={"arm_dim": ["b"], "id": [0, 1, 2]})
    for given in (xr.DataTree.from_dict({"posterior": data}), data):
        table = compare(fit, given)
        names = ["Intercept", "day", "arm[T.b]"]
        assert list(table["verdict"][:3]) == ["agree"] * 3 and list(table["term"][:3]) == names
        assert "1|id[0]" in table.attrs["not_compared"]
    row = table.set_index("term").loc["day"]
    assert row["conf_low_arviz"] == pytest.approx(np.quantile(drawn["day"], 0.025))
    post = LMM("y ~ day * arm + (1 | id)", visits).sample(draws=20, chains=2, seed=1)
    own = compare(fit, post.idata).set_index("term")["estimate_arviz"]
    assert own["day"] == pytest.approx(post.samples["day"].mean())


def test_what_cannot_be_compared_is_said(visits: pd.DataFrame) -> None:
    fit = LMM("y ~ day + (1 | id)", visits).fit(df="normal")
    with pytest.raises(LongsurvError, match=r"CoxPHFitter .* statsmodels .* ArviZ.* not dict"):
        compare(fit, {"day": 1.0})
    with pytest.raises(LongsurvError, match="with a posterior, not with another fit"):
        compare(fit, fit)
    with pytest.raises(LongsurvError, match="Estimate or a Posterior of longsurv"):
        compare({}, {})


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("Intercept", "const"), ("Intercept", "(Intercept)"), ("arm[T.b]", "C(arm)[T.b]"),
        ("arm[T.b]", "arm[b]"), ("day:arm[T.b]", "arm[T.b]:day"), ("log(crp)", "np.log(crp)"),
        ("arm[T.b]", "C(arm, Treatment('a'))[T.b]"),
    ],
)  # fmt: skip
def test_names_differ_by_notation(ours: str, theirs: str) -> None:
    assert matched([ours, "x"], [theirs, "z"], None) == {ours: theirs}


def test_names_that_mean_two_things_are_not_guessed() -> None:
    assert matched(["arm[T.b]"], ["arm[b]", "C(arm)[T.b]"], None) == {}
    assert matched(["a"], ["b"], {"b": "a"}) == {"a": "b"}
    with pytest.raises(LongsurvError, match="names: from one of theirs"):
        matched(["a"], ["b"], {"c": "a"})
