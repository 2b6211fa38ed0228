"""One constructed case for each reason why two answers differ."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv import compare
from longsurv import priors as pr
from longsurv.errors import LongsurvError
from longsurv.models import LMM, CoxPH

COLUMNS = [
    "term", "estimate_ml", "conf_low_ml", "conf_high_ml", "estimate_bayes", "conf_low_bayes",
    "conf_high_bayes", "overlap", "shift", "width_ratio", "verdict", "reason",
]  # fmt: skip


def both(spec, **options):
    table = compare(spec.fit(), spec.sample(draws=4000, chains=2, seed=1, **options))
    assert list(table.columns) == COLUMNS
    return table.set_index("term")


@pytest.fixture(scope="module")
def large():
    """200 patients, 5 visits."""
    rng = np.random.default_rng(1)
    patient = np.repeat(np.arange(200), 5)
    x, b = rng.normal(size=1000), rng.normal(size=200)
    y = 3 + 0.5 * x + b[patient] + rng.normal(size=1000)
    return LMM("y ~ x + (1 | patient)", data=pd.DataFrame({"y": y, "x": x, "patient": patient}))


def test_agree(large):
    table = both(large)
    assert list(table.index) == ["Intercept", "x", "sigma", "sd(Intercept|patient)"]
    assert (table["verdict"] == "agree").all()
    assert (table["overlap"] > 0.85).all()


def test_the_numbers_are_those_of_tidy(large):
    fit, post = large.fit(), large.sample(draws=200, chains=2, seed=1)
    table = compare(fit, post, level=0.8).set_index("term")
    ml = fit.tidy(0.8, "all").set_index("term")
    bayes = post.tidy(0.8, "all").set_index("term")
    for ending, source in (("ml", ml), ("bayes", bayes)):
        for column in ("estimate", "conf_low", "conf_high"):
            np.testing.assert_array_equal(table[f"{column}_{ending}"], source[column])
    low, high = ml.loc["x", ["conf_low", "conf_high"]], bayes.loc["x", ["conf_low", "conf_high"]]
    shared = min(low.iloc[1], high.iloc[1]) - max(low.iloc[0], high.iloc[0])
    covered = max(low.iloc[1], high.iloc[1]) - min(low.iloc[0], high.iloc[0])
    assert table.loc["x", "overlap"] == pytest.approx(shared / covered)


def test_intervals_apart_do_not_overlap(large):
    table = both(large, priors={"x": pr.Normal(-3.0, 0.01)})
    assert table.loc["x", "overlap"] == 0.0


@pytest.mark.parametrize(
    ("term", "prior"),
    [
        ("x", pr.Normal(0.0, 0.05)),
        ("x", pr.Normal(0.0, 1e-4)),
        ("x", pr.StudentT(3.0, 0.0, 0.02)),
        ("sigma", pr.Exponential(1e-3)),
        ("sd(Intercept|patient)", pr.HalfNormal(0.1)),
    ],
    ids=lambda v: str(v),
)
def test_prior_pulls(large, term, prior):
    """On one term; the others still agree or follow it."""
    row = both(large, priors={term: prior}).loc[term]
    assert row["verdict"] == "prior pulls"
    assert str(prior) in row["reason"]


def test_the_prior_of_a_correlation_pulls(table):
    """LKJ(200) holds it at zero."""
    spec = LMM("log(bili) ~ year + (year | id)", data=table("pbc"))
    row = both(spec, eta=200.0).loc["cor(Intercept,year|id)"]
    assert row["verdict"] == "prior pulls" and "LKJ(200)" in row["reason"]
    assert row["estimate_bayes"] < row["estimate_ml"]


def test_boundary(fits):
    table = both(fits.spec("dyestuff2"))
    assert (table.loc[["sigma", "sd(Intercept|Batch)"], "verdict"] == "boundary").all()
    assert np.isnan(table.loc["sd(Intercept|Batch)", "conf_low_ml"])
    assert np.isnan(table.loc["sd(Intercept|Batch)", "overlap"])
    assert table.loc["sd(Intercept|Batch)", "estimate_bayes"] > 0


def test_boundary_of_another_parameter():
    """Four groups of nearly one mean: maximum likelihood sees no variance, Bayes is not so sure."""
    group = np.repeat(list("abcd"), 3)
    y = np.array([1.0, 2.0, 3.0, 1.1, 2.2, 2.7, 0.9, 1.8, 3.3, 1.2, 2.0, 2.8])
    spec = LMM("y ~ 1 + (1 | group)", data=pd.DataFrame({"y": y, "group": group}))
    table = compare(spec.fit("ML"), spec.sample(draws=1000, seed=1, chains=2)).set_index("term")
    assert table.loc["Intercept", "verdict"] == "boundary"
    assert "Bayes averages over it" in table.loc["Intercept", "reason"]


def test_asymptotics_of_variances(table):
    """Six batches say little of the variance between them, and not normally, whatever the prior."""
    spec = LMM("Yield ~ 1 + (1 | Batch)", data=table("dyestuff"))
    found = both(spec, priors={"sd(Intercept|Batch)": pr.HalfNormal(1e5)})
    assert found.loc["sd(Intercept|Batch)", "verdict"] == "asymptotics"
    assert "too weak" in found.loc["sd(Intercept|Batch)", "reason"]


def test_asymptotics_of_a_hazard_ratio(table):
    """Fourteen patients and four covariates, whose priors are as good as flat."""
    few = table("veteran").iloc[5::10]
    spec = CoxPH("Surv(time, status) ~ trt + karno + age + diagtime", data=few)
    flat = dict.fromkeys(("trt", "karno", "age", "diagtime"), pr.TREATMENT["flat-ish"])
    found = both(spec, priors=flat)
    assert found.loc["karno", "verdict"] == "asymptotics"
    assert not (found["verdict"] == "prior pulls").any()


def test_two_different_questions(fits, large):
    post = large.sample(draws=50, tune=50, chains=2)
    with pytest.raises(LongsurvError, match="two answers to one question"):
        compare(fits("sleepstudy"), post)
    other = LMM("y ~ 1 + (1 | patient)", data=large.data)
    with pytest.raises(LongsurvError, match=r"y ~ 1 \+ .*y ~ x \+"):
        compare(other.fit(), post)


def at_a_distance(t0: float) -> LMM:
    """A trial whose clock starts `t0` before it: arm, and the difference in slope."""
    rng = np.random.default_rng(8)
    patient, t = np.repeat(np.arange(60), 4), np.tile(np.arange(4.0), 60)
    arm = (patient % 2).astype(float)
    y = 2 - 0.4 * t * arm + rng.normal(0, 0.3, 60)[patient] + rng.normal(0, 0.5, 240)
    frame = pd.DataFrame({"y": y, "t": t + t0, "arm": arm, "patient": patient})
    return LMM("y ~ t * arm + (1 | patient)", frame)


def test_a_prior_on_a_correlated_term_pulls():
    """Tight on `arm` at time 0, two thousand years before the trial, it wipes out `t:arm`."""
    given = {"arm": pr.Normal(0.0, 1.0), "t:arm": pr.Normal(0.0, 10.0)}
    row = both(at_a_distance(2015.0), priors=given).loc["t:arm"]
    assert abs(row["estimate_bayes"]) < 0.1 < abs(row["estimate_ml"])
    assert row["verdict"] == "prior pulls"
    assert "the prior of arm (Normal(0, 1)" in row["reason"]


@pytest.mark.parametrize(
    "changed",
    [
        lambda d: d.assign(event=1 - d["event"]),
        lambda d: d.assign(dose=d["dose"] * 10.0),
        lambda d: d.assign(dose=pd.Categorical(d["dose"], [1, 0])),
        lambda d: d.iloc[1:],
        lambda d: d.sample(frac=1.0, random_state=1),
    ],
)
def test_answers_of_other_data_are_no_two_answers(changed):
    """One formula is not one question."""
    rng = np.random.default_rng(3)
    data = pd.DataFrame({
        "time": rng.exponential(size=40), "event": rng.integers(0, 2, 40),
        "dose": np.arange(40) % 2,
    })  # fmt: skip
    fit = CoxPH("Surv(time, event) ~ dose", data).fit()
    assert len(compare(fit, CoxPH("Surv(time, event) ~ dose", data).sample(draws=50, chains=1)))
    post = CoxPH("Surv(time, event) ~ dose", changed(data)).sample(draws=50, chains=1)
    with pytest.raises(LongsurvError, match="of different data"):
        compare(fit, post)
