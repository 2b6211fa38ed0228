"""Chained equations: what they keep, whom they take values of, and bias taken away."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import longsurv as ls
from longsurv.analyses import CovariateImputation
from longsurv.analyses.imputation.covariates import cumulative_hazard
from longsurv.errors import LongsurvError
from longsurv.models import CoxPH


def patients(n: int, seed: int = 1) -> pd.DataFrame:
    """Two covariates; the first is missing mostly of those who died early."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    z = 0.6 * x + rng.normal(size=n)
    time = rng.exponential(size=n) * np.exp(-0.8 * x)
    end = np.minimum(time, 1.5)
    died = (time <= 1.5).astype(int)
    lost = rng.random(n) < np.where((died == 1) & (time < 0.4), 0.8, 0.1)
    return pd.DataFrame(
        {"x": np.where(lost, np.nan, x), "z": z, "sex": np.where(z > 0, "f", "m"), "t": end,
         "d": died, "truth": x}
    )  # fmt: skip


def test_values_are_those_of_other_patients_and_known_ones_stay():
    data = patients(80)
    data.loc[::7, "sex"] = None
    found = CovariateImputation(data, ("x", "z", "sex"), exit="t", event="d", n=2)
    for one in found.completed():
        known = data["x"].notna()
        assert one.loc[known, "x"].equals(data.loc[known, "x"])
        assert set(one["x"]) == set(data["x"].dropna()) and set(one["sex"]) == {"f", "m"}
    again = CovariateImputation(data, ("x", "z", "sex"), exit="t", event="d", n=2)
    a, b = (pd.concat(one.completed()) for one in (found, again))
    pd.testing.assert_frame_equal(a, b)
    assert found.counts["missing"].tolist() == [int(data["x"].isna().sum()), 0, 12]
    assert "cumulative hazard" in found.words


def test_units_of_covariates_do_not_matter():
    data = patients(60)
    other = data.assign(x=data["x"] * 88.4 + 1000.0)
    one, two = (
        next(CovariateImputation(d, ("x", "z"), exit="t", event="d", n=1).completed())["x"]
        for d in (data, other)
    )
    assert two.to_numpy() == pytest.approx(one.to_numpy() * 88.4 + 1000.0, rel=1e-9)


def test_the_effect_is_that_of_everybody_where_complete_cases_are_biased():
    data = patients(600, seed=3)
    everybody = CoxPH("Surv(t, d) ~ truth + z", data).fit().tidy()["estimate"].iloc[0]
    complete = CoxPH("Surv(t, d) ~ x + z", data.dropna()).fit().tidy().iloc[0]
    imputation = CovariateImputation(data, ("x", "z"), exit="t", event="d", n=5)
    row = imputation.analyse(lambda d: CoxPH("Surv(t, d) ~ x + z", d).fit()).table.iloc[0]
    assert abs(row["estimate"] - everybody) < 2 * row["std_error"]
    assert abs(complete["estimate"] - everybody) > 1.5 * abs(row["estimate"] - everybody)
    assert 0.05 < row["fmi"] < 0.9


def test_the_cumulative_hazard_is_nelson_aalen_s():
    entry, exit = np.array([0.0, 0.0, 1.0, 0.0, 2.0]), np.array([1.0, 2.0, 2.0, 3.0, 3.0])
    event = np.array([1.0, 1.0, 1.0, 0.0, 1.0])
    # at 1: 1 of 3; at 2: 2 of 3 (the one who enters at 2 is not yet at risk); at 3: 1 of 2
    expected = [1 / 3, 1.0, 1.0, 1.5, 1.5]
    assert cumulative_hazard(entry, exit, event) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda d: d.assign(x=d["truth"]), {}, "no value of x and z is missing"),
        (lambda d: d.assign(x=np.nan), {}, "same in every patient|too few"),
        (lambda d: d.assign(x=d["x"].where(d.index < 6)), {}, "too few to predict"),
        (lambda d: d.assign(x=np.where(d["x"].isna(), None, "abc")), {}, "same in every patient"),
        (lambda d: d.assign(x=pd.cut(d["x"], 3, labels=["a", "b", "c"])), {}, "3 categories"),
        (lambda d: d, {"exit": None}, "come together"),
        (lambda d: d, {"covariates": ("x", "age")}, "no column 'age'"),
        (lambda d: d.assign(t=d["t"].where(d.index > 0)), {}, "outcome has missing"),
        (lambda d: d, {"n": 0}, "1 or more"),
    ],
)
def test_refused(change, options, words):
    given = {"covariates": ("x", "z"), "exit": "t", "event": "d"} | options
    with pytest.raises(LongsurvError, match=words):
        CovariateImputation(change(patients(60)), **given)


def test_a_visit_that_lacks_a_covariate_names_what_completes_it():
    rows = pd.DataFrame(
        {"id": [1, 1, 2, 2, 3, 3], "y": [1.0, 2.0, 2.5, np.nan, 0.5, 1.0],
         "age": [50.0, 50.0, np.nan, np.nan, 60.0, 60.0]}
    )  # fmt: skip
    with pytest.raises(LongsurvError, match="CovariateImputation"):
        ls.Imputation(ls.models.LMM("y ~ age + (1 | id)", rows))
