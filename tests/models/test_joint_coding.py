"""One joint model, and one hazard model, whatever the clock, the origin and the coding."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from longsurv import priors as pr
from longsurv.errors import EstimationError
from longsurv.likelihood import joint as likelihood
from longsurv.likelihood.joint.effects import derivative, factor, mapped, unconstrained
from longsurv.models import LMM, CoxPH, Hazard, JointModel, slope, value

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from joint_cohorts import simulated

CODES = {"0/1": (0.0, 1.0), "1/2": (1.0, 2.0), "centred": (-0.5, 0.5), "10/11": (10.0, 11.0)}


@cache
def cohort(late=0.0, n=60):
    rows, patients = simulated(np.random.default_rng(3), n, late=late)
    age = np.random.default_rng(1).normal(60.0, 10.0, len(patients))
    patients = patients.assign(age=age)
    rows = rows.assign(age=rows["id"].map(patients.set_index("id")["age"]))
    entry = rows["id"].map(patients.set_index("id")["entry"])
    return rows[rows["t"] >= entry], patients


def recoded(frame, code, shift, scale=1.0):
    low, high = CODES[code]
    treated = np.where(frame["treated"] == 1, high, low)
    return frame.assign(treated=treated, age=scale * frame["age"] + shift)


def model(rows, patients, by="treated"):
    return JointModel(
        LMM("y ~ t * treated + age + (t | id)", rows),
        CoxPH("Surv(stop, event) ~ treated * age", patients),
        time="t", baseline="weibull", link=value(by=by),
    )  # fmt: skip


def summary(spec):
    """The fit, and the density of the default priors there."""
    fit = spec.fit()
    prior = spec.prior_stack(None, 2.0, None)
    return fit, prior.of_own(spec.statistics.own(fit.theta))[0]


@pytest.mark.parametrize("shift", [0.0, 1000.0])
@pytest.mark.parametrize("code", list(CODES)[1:])
def test_coding_and_origin_of_covariates(code, shift):
    (one, prior), (fit, density) = (
        summary(model(recoded(rows, c, s), recoded(patients, c, s)))
        for rows, patients in [cohort()]
        for c, s in (("0/1", 0.0), (code, shift))
    )
    assert fit.converged
    assert fit.llf == pytest.approx(one.llf, abs=1e-8)
    assert density == pytest.approx(prior, abs=1e-8)
    for term in ("treated", "event.treated:age", "assoc.value:treated", "t:treated", "age"):
        if term == "treated" and shift:
            continue
        assert fit.params[term] == pytest.approx(one.params[term], rel=1e-6)
        assert fit.bse[term] == pytest.approx(one.bse[term], rel=1e-5)


@pytest.mark.parametrize(("origin", "unit"), [(50.0, 1.0), (2015.0, 1.0), (0.0, 365.25)])
@pytest.mark.parametrize("baseline", ["spline", "exponential", "piecewise"])
def test_both_clocks(baseline, origin, unit):
    """A Weibull's hazard and an area know time 0; these do not."""
    rows, patients = cohort(2.0, 80)
    found = []
    for o, k in ((0.0, 1.0), (origin, unit)):
        spec = JointModel(
            LMM("y ~ t * treated + (t | id)", rows.assign(t=k * rows["t"] + o)),
            CoxPH(
                "Surv(entry, stop, event) ~ treated",
                patients.assign(entry=k * patients["entry"] + o, stop=k * patients["stop"] + o),
            ),
            time="t", baseline=baseline, link=value() + slope(),
        )  # fmt: skip
        fit, prior = summary(spec)
        # of t, t:treated and the slope's association, the prior's density has a unit
        found.append((fit, prior + np.log(k) * (1 - 2)))
    (one, before), (fit, after) = found
    assert fit.converged and one.converged
    events = patients["event"].sum()
    assert fit.llf + events * np.log(unit) == pytest.approx(one.llf, abs=1e-6)
    assert after == pytest.approx(before, abs=1e-6)
    for term, size in {"assoc.value": 1.0, "assoc.slope": unit, "event.treated": 1.0,
                       "t": 1 / unit, "t:treated": 1 / unit}.items():  # fmt: skip
        assert fit.params[term] == pytest.approx(size * one.params[term], rel=1e-5)
        assert fit.bse[term] == pytest.approx(size * one.bse[term], rel=1e-5)
    sd = fit.variance_table().set_index("term").loc["sd(t|id)", ["estimate", "std_error"]]
    own = one.variance_table().set_index("term").loc["sd(t|id)", ["estimate", "std_error"]]
    np.testing.assert_allclose((sd * unit).astype(float), own.astype(float), rtol=1e-5)


def test_a_prior_of_one_s_own_is_of_the_parameter_as_named():
    rows, patients = cohort()
    spec = model(rows, patients)
    given = {"treated": pr.Normal(0.3, 0.2), "event.treated": pr.Normal(-1.0, 0.1),
             "sd(Intercept|id)": pr.Exponential(2.0)}  # fmt: skip
    stack = spec.prior_stack(given, 2.0, None)
    theta = spec.fit().theta
    found = stack.log_prior(theta[None, None])
    names = spec.design.theta_names
    for name, prior in given.items():
        x = theta[names.index(name)]
        x = np.exp(x) if name.startswith("sd(") else x
        assert found[name].item() == pytest.approx(pr.log_density(prior, x)[0])


def test_effects_there_and_back():
    """Against the covariance matrices themselves, near-singular ones too."""
    rng = np.random.default_rng(2)
    to = np.array([[1.0, 2015.0, 0.3], [0.0, 1.0, 0.2], [0.0, 0.0, 1.0]])
    for _ in range(5):
        phi = rng.normal(size=6)
        D = factor(phi, 3) @ factor(phi, 3).T
        np.testing.assert_allclose(unconstrained(factor(phi, 3)), phi, rtol=1e-10)
        there = mapped(phi, to)
        np.testing.assert_allclose(factor(there, 3) @ factor(there, 3).T, to @ D @ to.T, rtol=1e-9)
        back = mapped(there, np.linalg.inv(to))
        np.testing.assert_allclose(back, phi, atol=1e-6)
        J = derivative(phi, to)
        for j, e in enumerate(1e-5 * np.eye(6)):
            slope_ = (mapped(phi + e, to) - mapped(phi - e, to)) / 2e-5
            np.testing.assert_allclose(J[:, j], slope_, atol=3e-6)


def test_gradient_in_the_user_s_parameters():
    rows, patients = cohort()
    spec = model(rows, patients)
    theta = spec.start
    gradient = likelihood.loglik(spec.statistics, theta)[1]
    for j, e in enumerate(1e-5 * np.eye(len(theta))):
        up, down = (likelihood.loglik(spec.statistics, theta + s * e)[0] for s in (1, -1))
        assert gradient[j] == pytest.approx((up - down) / 2e-5, abs=2e-4, rel=1e-5)


@pytest.mark.parametrize("baseline", ["mspline", "weibull", "exponential", "piecewise"])
@pytest.mark.parametrize(
    ("code", "shift", "scale"), [("1/2", 0, 1), ("10/11", 1e3, 1), ("0/1", 0, 1e4)]
)
def test_hazard(baseline, code, shift, scale):
    patients, found = cohort()[1], []
    for c, o, k in (("0/1", 0.0, 1.0), (code, shift, scale)):
        spec = Hazard(
            "Surv(stop, event) ~ treated * age", recoded(patients, c, o, k), baseline=baseline
        )
        fit, stack = spec.fit(), spec.prior_stack()
        theta = np.zeros(len(stack.names))
        theta[: len(fit.optimum.x)] = fit.optimum.x
        prior = stack.value_and_gradient(theta)[0] - 2.0 * np.log(k)
        found.append((fit.llf, k * fit.params["treated:age"], k * fit.bse["treated:age"], prior))
        assert fit.converged
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


@pytest.mark.parametrize("baseline", ["mspline", "exponential", "piecewise"])
@pytest.mark.parametrize(("origin", "unit"), [(50.0, 1.0), (2015.0, 1.0), (0.0, 365.25)])
def test_the_clock_of_a_hazard(baseline, origin, unit):
    patients, found = cohort(2.0)[1], []
    for o, k in ((0.0, 1.0), (origin, unit)):
        data = patients.assign(entry=k * patients["entry"] + o, stop=k * patients["stop"] + o)
        fit = Hazard("Surv(entry, stop, event) ~ treated", data, baseline=baseline).fit()
        llf = fit.llf + patients["event"].sum() * np.log(k)
        found.append((llf, fit.params["treated"], fit.bse["treated"]))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-7)


def test_effects_that_are_one_at_time_zero_are_refused():
    with pytest.raises(EstimationError, match="Count time from a moment among them"):
        unconstrained(np.array([[1.0, 0.0], [1.0, 0.0]]))


def test_cutting_follow_up_changes_no_prior():
    """A row for each half of a patient's follow-up is the same data."""
    patients = cohort()[1].assign(start=0.0)
    half = patients["stop"] / 2
    cut = [patients.assign(stop=half, event=0), patients.assign(start=half)]
    found = []
    for data in (patients, pd.concat(cut)):
        spec = Hazard("Surv(start, stop, event) ~ treated * age", data, baseline="exponential")
        fit, stack = spec.fit(), spec.prior_stack()
        found.append((fit.llf, stack.value_and_gradient(fit.optimum.x)[0]))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9)
