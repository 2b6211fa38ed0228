"""The two answers of joint models side by side, and the smoothing of a spline as a reason."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from joint_cohorts import competing, joint, of_causes, simulated

from longsurv import compare
from longsurv import priors as pr
from longsurv.compare import _without_smoothing
from longsurv.errors import LongsurvError
from longsurv.models.joint_smoothing import Smoothing


@pytest.fixture(scope="module")
def cohort():
    return simulated(np.random.default_rng(3), 150)


def both(spec, **options):
    sampled = spec.sample(draws=500, chains=2, seed=1, **options)
    fit = spec.fit()
    table = compare(fit, sampled)
    for ending, source in (("ml", fit), ("bayes", sampled)):
        said = source.tidy(component="all").set_index("term")["estimate"]
        np.testing.assert_array_equal(table[f"estimate_{ending}"], said[table["term"]])
    assert table["term"].tolist() == fit.tidy(component="all")["term"].tolist()
    return table.set_index("term")


def test_with_many_events_they_agree():
    """With 150 patients the skewness of sd(t|id) moves its mean by 0.26 standard errors."""
    found = both(joint(*simulated(np.random.default_rng(3), 400)))
    assert {"assoc.value", "event.treated", "cor(Intercept,t|id)", "sigma"} <= set(found.index)
    assert (found["shift"].abs() < 0.3).all() and found["width_ratio"].between(0.8, 1.25).all()
    assert (found["verdict"] == "agree").all()


def test_the_prior_of_an_association_or_a_correlation_pulls(cohort):
    found = both(joint(*cohort), priors={"assoc.value": pr.Normal(0, 0.05)}, eta=500.0)
    for term, prior in (("assoc.value", "Normal(0, 0.05)"), ("cor(Intercept,t|id)", "LKJ(500)")):
        assert found.loc[term, "verdict"] == "prior pulls"
        assert prior in found.loc[term, "reason"]


def test_the_smoothing_of_a_spline_pulls(cohort):
    """Its coefficients' own priors, of standard deviation 5, would not."""
    found = both(joint(*cohort, "spline"))
    splines = found[found.index.str.startswith("baseline.spline")]
    assert len(splines) == 9 and (splines["verdict"] == "prior pulls").all()
    assert splines["reason"].str.contains("smoothing of the spline, second differences").all()
    # Unsmoothed they are as wide as those of maximum likelihood where there are events.
    rough = both(joint(*cohort, "spline"), smoothing=None)
    middle = [f"baseline.spline[{k}]" for k in range(2, 7)]
    assert (rough.loc[middle, "verdict"] == "agree").all()
    assert not rough["reason"].str.contains("smoothing").any()


def test_each_cause_has_a_spline_of_its_own():
    rows, patients = competing(np.random.default_rng(3), 150)
    baseline = {"dead": "spline", "home": "weibull"}
    found = both(of_causes(rows, patients, baseline))
    smooth = found[found["reason"].str.contains("smoothing")].index
    assert len(smooth) and smooth.str.startswith("baseline[dead].spline").all()
    assert found.loc["assoc[home].value", "verdict"] == "agree"


def test_smoothing_is_taken_out_of_a_normal_posterior_exactly():
    """Likelihood N(m, V) times normal priors, of each and of second differences."""
    rng = np.random.default_rng(2)
    m, A = rng.normal(size=5), rng.normal(size=(5, 5))
    V = A @ A.T + 0.5 * np.eye(5)
    second = np.diff(np.eye(5), 2, axis=0)
    precision = np.linalg.inv(V) + np.eye(5) / 4.0 + second.T @ second / 0.6**2
    cov = np.linalg.inv(precision)
    mean = cov @ (np.linalg.solve(V, m) + 1.5 * np.ones(5) / 4.0)
    z = rng.normal(size=(400, 5))
    z = (z - z.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(z.T))).T
    draws = mean + z @ np.linalg.cholesky(cov).T
    names = [f"spline[{k}]" for k in range(5)]
    post = SimpleNamespace(
        samples={name: draws[:, k].reshape(2, 200) for k, name in enumerate(names)},
        priors=dict.fromkeys(names, pr.Normal(1.5, 2.0)),
        stack=SimpleNamespace(smoothing=Smoothing(df=1e9, scale=0.6)),
    )
    for k in range(5):
        got = _without_smoothing(post, names, k)
        assert got == pytest.approx((m[k], np.sqrt(V[k, k])), rel=1e-4)


def test_two_different_questions(cohort):
    weibull, constant = joint(*cohort), joint(*cohort, "exponential")
    post = constant.sample(draws=20, tune=50, chains=1)
    with pytest.raises(LongsurvError, match="two answers to one question"):
        compare(weibull.fit(), post)
