"""The association by four methods, against other software and where the answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from joint_cohorts import Truth, joint, simulated
from scipy.optimize import minimize

from longsurv import priors as pr
from longsurv.errors import LongsurvError
from longsurv.models import LMM, CoxPH, JointModel, slope, value
from longsurv.results.joint.association_check import (
    METHODS,
    _agreement,
    association_check,
    identification,
)
from longsurv.results.joint.association_methods import predicted_curves

TRUTH = Truth(sigma=0.8, sds=(0.5, 0.25), visits=tuple(np.arange(0.0, 8.0, 1.0)))


@pytest.fixture(scope="module")
def cohort():
    return simulated(np.random.default_rng(2), 150, TRUTH)


@pytest.fixture(scope="module")
def many(cohort):
    return association_check(joint(*cohort), draws=300, chains=2)


def of_statsmodels(rows, covariates):
    """Cox regression with Efron's ties by statsmodels."""
    from statsmodels.duration.hazard_regression import PHReg

    fit = PHReg(rows["stop"], rows[covariates], status=rows["event"], entry=rows["start"],
                ties="efron").fit()  # fmt: skip
    return fit.params[-1], fit.bse[-1]


def test_last_value_against_statsmodels(cohort, many):
    rows = []
    for person in cohort[1].itertuples():
        mine = cohort[0][cohort[0]["id"] == person.id].sort_values("t")
        cuts = [*mine["t"], person.stop]
        for k in range(len(mine)):
            died = person.event * (k == len(mine) - 1)
            rows.append((cuts[k], cuts[k + 1], died, person.treated, mine["y"].iloc[k]))
    data = pd.DataFrame(rows, columns=["start", "stop", "event", "treated", "y"])
    estimate, se = of_statsmodels(data, ["treated", "y"])
    row = many.log_ratios.set_index("method").loc[METHODS[0]]
    assert (row["estimate"], row["std_error"]) == pytest.approx((estimate, se), rel=1e-4)


def test_two_stages_against_risk_sets_spelled_out(cohort, many):
    """The partial likelihood from the curves' values of all at risk at each event."""
    spec = many.posterior.spec
    theta, b = spec.alone[0].params, spec.alone[0].ranef()
    own = b.pivot(index="id", columns="effect", values="estimate").loc[cohort[1]["id"]]
    treated, stop, event = (cohort[1][c].to_numpy() for c in ("treated", "stop", "event"))
    level = theta["Intercept"] + own["Intercept"].to_numpy()
    drift = theta["t"] + theta["t:treated"] * treated + own["t"].to_numpy()

    def minus_log(beta):
        total = 0.0
        for i in np.flatnonzero(event):
            eta = beta[0] * treated + beta[1] * (level + drift * stop[i])
            total += np.log(np.exp(eta[stop >= stop[i]]).sum()) - eta[i]
        return total

    found = minimize(minus_log, np.zeros(2), tol=1e-9)
    row = many.log_ratios.set_index("method").loc[METHODS[1]]
    assert row["estimate"] == pytest.approx(found.x[1], abs=1e-4)
    h = 1e-3 * np.eye(2)
    information = [
        [minus_log(found.x + a + c) - minus_log(found.x + a - c) - minus_log(found.x - a + c)
         + minus_log(found.x - a - c) for a in h] for c in h
    ]  # fmt: skip
    cov = np.linalg.inv(np.array(information) / 4e-6)
    assert row["std_error"] == pytest.approx(np.sqrt(cov[1, 1]), rel=1e-3)


def test_curves_of_the_mixed_model_alone(cohort):
    spec = joint(cohort[0][cohort[0]["id"] != 103], cohort[1])
    theta = spec.alone[0].params
    got = predicted_curves(spec, np.array([3, 3]), np.array([0.5, 2.0]))
    treated = cohort[1]["treated"][3]
    drift = theta["t"] + theta["t:treated"] * treated  # never measured: the mean curve
    assert got == pytest.approx(theta["Intercept"] + drift * np.array([0.5, 2.0]))


def test_many_events_identify_the_association(many):
    assert many.identified == "yes" and many.contraction > 0.9
    assert many.words.startswith("The data identify the association")
    assert many.contraction == pytest.approx(
        1 - many.posterior.draw("assoc.value").var() / many.posterior.priors["assoc.value"].sd ** 2
    )
    assert many.contraction + many.prior_share == pytest.approx(1.0)
    rows = many.log_ratios.set_index("method")["estimate"]
    # Noise in a carried value pulls it to 0, as it must with a residual SD this large.
    assert rows[METHODS[0]] < rows[METHODS[2]] - 0.1
    assert abs(rows[METHODS[2]] - rows[METHODS[3]]) < 0.1
    assert rows[METHODS[2]] == pytest.approx(many.estimate.params["assoc.value"])


def test_sizes_of_change(many):
    assert list(many.table["method"].drop_duplicates()) == list(METHODS)
    wide = many.table.pivot(index="method", columns="change", values="hazard_ratio")
    sd = many.estimate.link_sd["assoc.value"]
    per_sd = wide[f"one SD ({sd:.3g}) more of the current value"]
    assert np.log(per_sd).to_numpy() == pytest.approx(
        sd * np.log(wide["one unit more of the current value"].to_numpy())
    )
    assert (many.table["conf_low"] < many.table["hazard_ratio"]).all()
    assert (many.table["hazard_ratio"] < many.table["conf_high"]).all()
    assert METHODS[0] in repr(many) and "one unit" in repr(many)


def test_only_what_is_drawn_has_a_monte_carlo_error(many):
    """Of a hazard ratio by the delta method: so many times that of its logarithm per unit."""
    known = many.table["method_id"] == "bayes"
    assert many.table["mcse"].notna().tolist() == known.tolist()
    error = many.posterior.tidy().set_index("term").loc["assoc.value", "mcse_mean"]
    rows = many.table[known]
    assert rows["mcse"].to_numpy() == pytest.approx(error * rows["size"] * rows["hazard_ratio"])


def test_a_logged_marker_is_told_per_doubling(cohort):
    rows = cohort[0].assign(y=np.exp(cohort[0]["y"]))
    check = association_check(
        joint(rows, cohort[1], marker="log(y) ~ t + t:treated + (t | id)"), draws=60, chains=1
    )
    wide = check.table.pivot(index="method", columns="change", values="hazard_ratio")
    expected = np.log(2) * np.log(wide["one unit more of the current value"].to_numpy())
    assert np.log(wide["a doubling of y"].to_numpy()) == pytest.approx(expected)


@pytest.fixture(scope="module")
def few():
    """Four deaths in forty patients."""
    truth = Truth(scale=0.002, sigma=0.8, visits=(0.0, 1.0, 2.0, 3.0), censoring=(3.0, 5.0))
    rows, patients = simulated(np.random.default_rng(15), 40, truth)
    patients = patients.assign(event=0)
    patients.loc[[3, 14, 25, 31], "event"] = 1
    return joint(rows, patients, "exponential")


def test_few_events_do_not(few):
    check = association_check(few, draws=400, priors={"assoc.value": pr.Normal(0, 0.3)})
    assert check.identified == "no" and check.contraction < 0.5
    assert "The data do not identify the association: with 4 events" in check.words
    assert "Normal(0, 0.3)" in check.words
    assert set(check.log_ratios["events"]) == {4}


def test_extrapolated_curves_are_named(few):
    """All measured by 3; the deaths that come later are those of the curve's formula."""
    assert "extrapolated" not in association_check(few, draws=60, chains=1).words
    rows = few.marker.data
    early = joint(rows[rows["t"] < 1.5], few.event.data, "exponential", marker="y ~ t + (1 | id)")
    words = association_check(early, draws=60, chains=1).words
    assert "measurements span 1:" in words and "are extrapolated" in words


def test_methods_that_disagree_are_named():
    rows = pd.DataFrame(
        {"method": METHODS, "estimate": [0.5, 0.4, -0.1, np.nan],
         "conf_low": [0.1, -0.2, -0.5, np.nan], "conf_high": [0.9, 1.0, 0.3, np.nan]}
    )  # fmt: skip
    words = _agreement(rows, 0.95)
    assert "disagree in direction" in words and f"lower one by {METHODS[2]}." in words
    assert f"{METHODS[3]}: not estimated." in words
    assert f"ratio of 1 by: {METHODS[1]}; {METHODS[2]}." in words


def test_identification_of_several_links(cohort):
    """A slope that five visits hardly tell, beside a value that they do."""
    wide = {"assoc.value": pr.Normal(0, 2), "assoc.slope": pr.Normal(0, 0.02)}
    posterior = joint(*cohort, link=value() + slope()).sample(draws=200, chains=2, priors=wide)
    table = identification(posterior).set_index("term")
    assert table["identified"].to_dict() == {"assoc.value": "yes", "assoc.slope": "no"}
    assert table.loc["assoc.slope", "words"].startswith("The data do not identify assoc.slope")
    assert (table["events"] == cohort[1]["event"].sum()).all()


def test_a_posterior_is_used_as_it_is(few):
    posterior = few.sample(draws=150, chains=1)
    check = association_check(posterior)
    assert check.posterior is posterior
    assert association_check(few, posterior=posterior).table.equals(check.table)
    assert posterior.association_check().table.equals(check.table)
    moved = {k: one.data.assign(y=1.01 * one.data["y"]) for k, one in few.markers.items()}
    other = few.with_data(moved, {k: one.data for k, one in few.causes.items()})
    with pytest.raises(LongsurvError, match="of other data than the model"):
        association_check(other, posterior=posterior)


def test_what_it_does_not_compare_is_said(cohort):
    with pytest.raises(LongsurvError, match=r"link=value\(\)"):
        association_check(joint(*cohort, link=slope()))
    with pytest.raises(LongsurvError, match=r"link=value\(\)"):
        association_check(joint(*cohort, link=value(by="treated")))
    clash = cohort[1].rename(columns={"treated": "start"})
    rows = cohort[0].rename(columns={"treated": "start"})
    spec = JointModel(LMM("y ~ t + (t | id)", rows), CoxPH("Surv(stop, event) ~ start", clash),
                      time="t", baseline="weibull")  # fmt: skip
    with pytest.raises(LongsurvError, match="rename those columns"):
        association_check(spec, draws=20, chains=1)
