"""Cox models say the same whatever the clock, the unit, the coding and the order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longsurv import priors as pr
from longsurv.inference import added, maximise
from longsurv.likelihood import cox
from longsurv.models import CoxPH

FORMULA = "Surv(start, stop, died) ~ arm * age + site"


def cohort(seed: int, n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    start = rng.integers(0, 6, n)
    return pd.DataFrame(
        {
            "start": start.astype(float),
            "stop": start + rng.integers(1, 25, n).astype(float),
            "died": (rng.random(n) < 0.6).astype(int),
            "arm": rng.integers(0, 2, n),
            "age": rng.normal(63.0, 11.0, n).round(1),
            "site": rng.choice(["north", "south", "west"], n),
            "ward": rng.integers(1, 4, n),
            "id": np.arange(n),
        }
    )


def split(data: pd.DataFrame, at: float) -> pd.DataFrame:
    """Follow-up in two rows where it goes on after a time."""
    on = (data["start"] < at) & (data["stop"] > at)
    first = data.assign(stop=np.where(on, at, data["stop"]), died=data["died"] * ~on)
    return pd.concat([first, data[on].assign(start=at)], ignore_index=True)


CHANGES: dict[str, Callable[[pd.DataFrame, float], pd.DataFrame]] = {
    "rows": lambda d, u: d.sample(frac=1.0, random_state=int(1000 * u)),
    "follow-up": lambda d, u: split(d, 3.0 + np.floor(12 * u)),
    "clock": lambda d, u: d.assign(start=d["start"] + 2000 * u, stop=d["stop"] + 2000 * u),
    "time": lambda d, u: d.assign(
        start=np.expm1(d["start"] * u / 4), stop=np.expm1(d["stop"] * u / 4)
    ),
    "rounding": lambda d, u: d.assign(
        start=(d["age"] + d["start"] / 10) - d["age"], stop=(d["age"] + d["stop"] / 10) - d["age"]
    ),
    "origin": lambda d, u: d.assign(age=d["age"] + 2020 + 100 * u),
    "unit": lambda d, u: d.assign(age=d["age"] * 10.0 ** (8 * u - 4)),
    "coding": lambda d, u: d.assign(arm=d["arm"] * (0.1 + u) + 10 * u),
    "swap": lambda d, u: d.assign(arm=1 - d["arm"]),
    "bytes": lambda d, u: d.assign(arm=d["arm"].astype("int8"), died=d["died"].astype("int8")),
    "names": lambda d, u: d.assign(ward=d["ward"].map({1: "z", 2: "b", 3: "m"}), id=-d["id"]),
}  # fmt: skip


def by_row(data: pd.DataFrame, fit) -> tuple[np.ndarray, np.ndarray]:
    """Differences of the log hazard between each patient and the first, and their errors."""
    X = fit.design.fixed.X
    order = np.argsort(np.abs(data["id"].to_numpy()), kind="stable")
    first = np.unique(np.abs(data["id"].to_numpy())[order], return_index=True)[1]
    X = X[order[first]]
    L = X - X[0]
    return L @ fit.coefficients, np.sqrt(np.einsum("ij,jk,ik->i", L, fit.reference.cov, L))


@pytest.mark.parametrize("change", CHANGES)
@given(seed=st.integers(0, 10_000), u=st.floats(0.05, 1.0))
@settings(max_examples=1, deadline=None, suppress_health_check=list(HealthCheck))
def test_estimates_do_not_depend_on_it(change, seed, u):
    data = cohort(seed)
    other = CHANGES[change](data, u)
    for model, more, penalty in (
        (FORMULA, {}, None),
        (FORMULA + " + strata(ward)", {}, None),
        (FORMULA + " + cluster(id)", {}, None),
        (FORMULA, {"ties": "breslow"}, "firth"),
    ):
        a = CoxPH(model, data, **more).fit(penalty, intervals="wald")
        b = CoxPH(model, other, **more).fit(penalty, intervals="wald")
        assert b.llf == pytest.approx(a.llf, rel=1e-9)
        assert (b.aic, b.bic) == pytest.approx((a.aic, a.bic), rel=1e-9)
        assert (b.penalty, b.converged) == (a.penalty, a.converged)
        for x, y in zip(by_row(data, a), by_row(other, b), strict=True):
            np.testing.assert_allclose(y, x, rtol=2e-6, atol=1e-7)
        tests = (f.global_tests()["statistic"].to_numpy() for f in (a, b))
        if "cluster" not in model:
            np.testing.assert_allclose(*tests, rtol=1e-6)
        if change != "follow-up" or "cluster" not in model:
            assert b.concordance().c == pytest.approx(a.concordance().c, rel=1e-9)
    one = [f.survival_curve(d[np.abs(d["id"]) == 5].head(1)) for f, d in ((a, data), (b, other))]
    for column in ("estimate", "std_error", "conf_low", "conf_high"):
        np.testing.assert_allclose(one[1][column], one[0][column], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("penalty", [None, "firth"])
@pytest.mark.parametrize("change", ["origin", "unit", "coding", "follow-up", "time"])
def test_profile_intervals_do_not_depend_on_it(change, penalty):
    data = cohort(7)
    other = CHANGES[change](data, 0.4)
    a, b = (CoxPH(FORMULA, d).fit(penalty, "profile") for d in (data, other))
    row = a.tidy().set_index("term").loc["arm:age"]
    k = {"unit": 10.0**-0.8, "coding": 0.5}.get(change, 1.0)
    found = b.tidy().set_index("term").loc["arm:age"]
    for column in ("estimate", "conf_low", "conf_high"):
        assert k * found[column] == pytest.approx(row[column], rel=1e-5)
    assert found["p_value"] == pytest.approx(row["p_value"], rel=1e-5)


def log_posterior(spec: CoxPH, priors=None):
    stack = spec.prior_stack(priors)
    data = spec.statistics
    return added(lambda b: cox.value_and_gradient(data, b), stack.value_and_gradient)


def between(a: CoxPH, b: CoxPH, data: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    """T with coefficients of a = T @ coefficients of b, from the columns of the same patients."""
    sides = []
    for spec, frame in ((a, data), (b, other)):
        who = np.abs(frame["id"].to_numpy())
        first = np.unique(who, return_index=True)[1]
        X = spec.design.fixed.X[first]
        sides.append(X - X.mean(axis=0))
    return np.linalg.lstsq(sides[0], sides[1], rcond=None)[0]


PRIOR_CHANGES = {**CHANGES, "columns": lambda d, u: d}


@pytest.mark.parametrize("change", PRIOR_CHANGES)
@pytest.mark.parametrize("model", [FORMULA, "Surv(start, stop, died) ~ arm + age + strata(ward)"])
@given(seed=st.integers(0, 10_000), u=st.floats(0.05, 1.0))
@settings(max_examples=1, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_posterior_does_not_depend_on_it(change, model, seed, u):
    data = cohort(seed)
    other = PRIOR_CHANGES[change](data, u)
    a = CoxPH(model, data)
    again = model
    if change == "columns":
        again = model.replace("arm * age + site", "site + age * arm").replace(
            "arm + age", "age + arm"
        )
    b = CoxPH(again, other)
    first, second = log_posterior(a), log_posterior(b)
    T = between(a, b, data, other)
    names = len(b.design.fixed.names)
    rng = np.random.default_rng(seed)
    scale = 1.0 / b.centred.unit
    points = [0.3 * scale * rng.normal(size=names) for _ in range(3)]
    gaps = [second(x)[0] - first(T @ x)[0] for x in points]
    np.testing.assert_allclose(gaps, gaps[0], rtol=1e-8, atol=1e-6)
    assert gaps[0] == pytest.approx(np.linalg.slogdet(T)[1], abs=1e-5)
    for x in points:
        np.testing.assert_allclose(
            second(x)[1], T.T @ first(T @ x)[1], rtol=1e-5, atol=1e-6 * np.abs(second(x)[1]).max()
        )
    top = [maximise(f, np.zeros(names)) for f in (first, second)]
    np.testing.assert_allclose((T @ top[1].x) * a.centred.unit, top[0].x * a.centred.unit,
                               rtol=1e-4, atol=1e-5)  # fmt: skip


@pytest.mark.parametrize("coding", [(0, 1), (1, 2), (-0.5, 0.5), (10, 11)])
def test_a_treatment_of_two_values_has_one_posterior(coding):
    data = cohort(3)
    spec = CoxPH(
        "Surv(start, stop, died) ~ arm", data.assign(arm=data["arm"].map(dict(enumerate(coding))))
    )
    assert spec.default_priors() == {"arm": pr.Normal(0.0, 1.0)}
    assert spec.prior_stack(None).basis is None
    plain = CoxPH("Surv(start, stop, died) ~ arm", data)
    x = np.array([0.4])
    assert log_posterior(spec)(x)[0] == pytest.approx(log_posterior(plain)(x)[0], rel=1e-12)


def test_defaults_are_per_standard_deviation_over_risk_sets():
    data = cohort(4)
    spec = CoxPH("Surv(start, stop, died) ~ age", data)
    times = np.unique(data.loc[data["died"] == 1, "stop"])
    at_risk = (data["start"].to_numpy()[:, None] < times) & (
        times <= data["stop"].to_numpy()[:, None]
    )
    everybody = np.repeat(data["age"].to_numpy(), at_risk.sum(axis=1))
    assert spec.default_priors()["age"].sd == pytest.approx(1 / everybody.std(), rel=1e-12)


def test_a_prior_of_the_users_is_of_the_coefficient_as_named():
    data = cohort(5).assign(year=lambda d: 2015 + d["age"] / 10)
    spec = CoxPH("Surv(start, stop, died) ~ arm * year", data)
    given = {"arm": pr.Normal(0.3, 0.2)}
    stack = spec.prior_stack(given)
    theta = np.array([[[0.1, -0.2, 0.05]]])
    held = stack.log_prior(theta)
    expected = -0.5 * ((0.1 - 0.3) / 0.2) ** 2 - np.log(0.2 * np.sqrt(2 * np.pi))
    assert held["arm"][0, 0] == pytest.approx(expected, rel=1e-12)
    # that of year is of its effect at the mean of arm, whatever was given for arm
    mean = spec.centred.to[1] @ theta[0, 0]
    sd = spec.default_priors()["year"].sd
    expected = -0.5 * (mean / sd) ** 2 - np.log(sd * np.sqrt(2 * np.pi))
    assert held["year"][0, 0] == pytest.approx(expected, rel=1e-12)
    assert "other variables at their means" in spec.prior_stack(None).describe()["arm"]


def test_the_twin_states_the_same_priors():
    data = cohort(6, n=30).assign(year=lambda d: 2015 + d["age"] / 10)
    spec = CoxPH("Surv(start, stop, died) ~ arm * year + site", data)
    density, twin = log_posterior(spec), spec.to_pymc()
    compiled = twin.compile_logp(mode="FAST_COMPILE")
    stack = spec.prior_stack(None)
    rng = np.random.default_rng(1)
    gaps = []
    for _ in range(4):
        beta = rng.normal(size=5) / spec.centred.unit * 0.2
        phi = beta if stack.basis is None else stack.basis @ beta
        named = [v.name for v in twin.free_RVs]
        point = dict(zip(named, phi, strict=True))
        gaps.append(float(compiled(point)) - density(beta)[0])
    np.testing.assert_allclose(gaps, gaps[0], atol=1e-8)
    deterministic = {v.name for v in twin.deterministics}
    assert {"arm", "year"} <= deterministic


@pytest.mark.parametrize("change", ["coding", "swap", "unit", "follow-up"])
def test_a_product_with_what_the_strata_are_has_one_posterior(change):
    """Strata leave out the column of arm: age still has its prior at the mean of arm."""
    data = cohort(8)
    other = CHANGES[change](data, 0.4)
    model = "Surv(start, stop, died) ~ arm * age + strata(arm)"
    a, b = CoxPH(model, data), CoxPH(model, other)
    assert a.design.fixed.names == ("age", "arm:age")
    # age is k ages, arm:age (m arm + c) k age
    k = 10.0 ** (8 * 0.4 - 4) if change == "unit" else 1.0
    m, c = {"coding": (0.5, 4.0), "swap": (-1.0, 1.0)}.get(change, (1.0, 0.0))
    T = k * np.array([[1.0, c], [0.0, m]])
    first, second = log_posterior(a), log_posterior(b)
    scale = 1.0 / b.centred.unit
    points = np.random.default_rng(1).normal(size=(3, 2)) * scale * 0.2
    gaps = [second(x)[0] - first(T @ x)[0] for x in points]
    np.testing.assert_allclose(gaps, np.linalg.slogdet(T)[1], rtol=1e-6, atol=1e-6)
