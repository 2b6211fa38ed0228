"""Effects of treatment against Monte Carlo from the model, and what must hold exactly."""

from __future__ import annotations

import numpy as np
import pytest
from joint_cohorts import Truth, joint, simulated, two_markers, with_second_marker

from longsurv.errors import LongsurvError
from longsurv.estimands.joint_effects import joint_effects
from longsurv.likelihood.arithmetic.covariance import covariance
from longsurv.models import CoxPH, value

HORIZON = 4.0


@pytest.fixture(scope="module")
def cohort():
    return simulated(np.random.default_rng(5), 120)


@pytest.fixture(scope="module")
def fit(cohort):
    return joint(*cohort).fit()


def by_simulation(fit, entry, n=40_000):
    """Survival in the three worlds from curves and hazards written out, at the estimates."""
    rng = np.random.default_rng(1)
    theta = fit.params
    variance = fit.tidy(component="variance").set_index("term")["estimate"]
    s0, s1 = variance["sd(Intercept|id)"], variance["sd(t|id)"]
    r = variance["cor(Intercept,t|id)"]
    b = rng.multivariate_normal([0, 0], [[s0**2, r * s0 * s1], [r * s0 * s1, s1**2]], n)
    grid = np.linspace(1e-8, HORIZON, 201)
    cause, centre = fit.design.causes[0], fit.design.markers[0].curve.mean
    log_h0 = theta["baseline.log_hazard"]
    log_h0 = log_h0 + theta["baseline.shape_minus_1"] * np.log(grid / cause.baseline.unit)
    out = []
    begin = rng.choice(entry, n)[:, None]
    for d, m in ((0, 0), (1, 0), (1, 1)):
        curve = theta["Intercept"] + b[:, :1]
        curve = curve + (theta["t"] + theta["t:treated"] * m + b[:, 1:]) * grid
        log_h = log_h0 + theta["event.treated"] * (d - cause.covariate_means[0])
        h = np.exp(log_h + theta["assoc.value"] * (curve - centre)) * (grid >= begin)
        out.append(np.exp(-np.trapezoid(h, grid, axis=1)).mean())
    return np.array(out)


@pytest.mark.parametrize("late", [False, True])
def test_against_monte_carlo(cohort, fit, late):
    if late:
        cohort = simulated(np.random.default_rng(6), 120, late=2.0)
        fit = joint(*cohort, late=True).fit()
    got = joint_effects(fit, "treated", HORIZON, draws=10)
    s00, s10, s11 = by_simulation(fit, fit.design.entry)
    rows = got.table.set_index("term")["estimate"]
    tolerance = 0.008  # three standard errors of the simulation, and its grid
    assert rows["survival (0)"] == pytest.approx(s00, abs=tolerance)
    assert rows["direct"] == pytest.approx(s10 - s00, abs=tolerance)
    assert rows["through the marker"] == pytest.approx(s11 - s10, abs=tolerance)
    assert rows["direct"] > 0 and rows["through the marker"] > 0
    assert rows["overall"] == pytest.approx(rows["direct"] + rows["through the marker"], abs=1e-12)
    ratio = rows["hazard ratio at the same marker"]
    assert ratio == pytest.approx(np.exp(fit.params["event.treated"]))


def test_the_hazard_ratio_is_of_the_groups_whatever_their_codes(cohort, fit):
    rows, patients = cohort
    term = "hazard ratio at the same marker"
    plain = joint_effects(fit, "treated", HORIZON, draws=10).table.set_index("term")["estimate"]
    coded = [d.assign(treated=d["treated"] * 2.0 + 1.0) for d in (rows, patients)]
    of_codes = joint_effects(joint(*coded).fit(), "treated", HORIZON, draws=10)
    assert of_codes.table.set_index("term")["estimate"][term] == pytest.approx(plain[term], 1e-4)
    back = joint_effects(fit, "treated", HORIZON, treated=0, reference=1, draws=10)
    turned = back.table.set_index("term")["estimate"]
    assert turned[term] == pytest.approx(1.0 / plain[term], 1e-9)


def test_of_the_whole_is_the_truth_in_a_large_cohort():
    """Standardised survival of the fitted model is the Kaplan-Meier survival of each group."""
    from lifelines import KaplanMeierFitter

    rows, patients = simulated(np.random.default_rng(8), 500)
    got = joint_effects(joint(rows, patients).fit(), "treated", HORIZON, draws=60)
    for arm in (0, 1):
        mine = patients[patients["treated"] == arm]
        seen = KaplanMeierFitter().fit(mine["stop"], mine["event"]).predict(HORIZON)
        said = got.table.set_index("term")["estimate"][f"survival ({arm})"]
        assert said == pytest.approx(seen, abs=0.05)


def test_nothing_goes_through_a_marker_that_treatment_leaves_alone(cohort):
    rows, patients = cohort
    fit = joint(rows, patients, marker="y ~ t + (t | id)").fit()
    table = joint_effects(fit, "treated", HORIZON, draws=20).table.set_index("term")
    assert table.loc["through the marker", "estimate"] == 0.0
    assert table.loc["overall", "estimate"] == table.loc["direct", "estimate"] != 0.0


def test_both_engines_agree(cohort, fit):
    posterior = joint(*cohort).sample(draws=400, tune=200, seed=2, chains=2)
    one = joint_effects(fit, "treated", HORIZON).table.set_index("term")
    two = joint_effects(posterior, "treated", HORIZON).table.set_index("term")
    assert one.index.tolist() == two.index.tolist()
    gap = (one["estimate"] - two["estimate"]).abs() / one["std_error"]
    assert gap.max() < 0.6  # priors of unit standard deviation and 60 events
    assert (two["std_error"] / one["std_error"]).between(0.7, 1.4).all()
    assert (two["conf_low"] <= two["estimate"]).all()
    overall = two.loc["overall"]
    draws = joint_effects(posterior, "treated", HORIZON).draws
    assert overall["prob_positive"] == (draws["S(1,1)"] > draws["S(0,0)"]).mean()


def test_more_nodes_change_nothing(fit):
    from longsurv.design.quadrature import normal_grid
    from longsurv.estimands.joint_worlds import standardised, worlds
    from longsurv.likelihood.joint.loglik import JointData

    data = worlds(fit.data, fit.design, "treated", (0, 1), HORIZON)
    fine = JointData(data.markers, data.causes, **vars(normal_grid(31, 2)))
    n = len(fit.design.labels)
    coarse = standardised(data, fit.theta[None], n)
    assert coarse == pytest.approx(standardised(fine, fit.theta[None], n), abs=2e-5)


def test_two_markers_against_monte_carlo(cohort):
    rng = np.random.default_rng(2)
    second = with_second_marker(rng, cohort[0])
    fit = two_markers(*cohort[:1], second, CoxPH("Surv(stop, event) ~ treated", cohort[1])).fit()
    theta, design, data = fit.params, fit.design, fit.data
    tau = np.exp(fit.theta[data.p + 2 : data.p + 5])
    D = covariance(tau, fit.theta[data.p + 5 : data.n_marker])
    b = rng.multivariate_normal(np.zeros(3), D, 40_000)
    grid = np.linspace(0, HORIZON, 301)
    expected = []
    for d, m in ((0, 0), (1, 0), (1, 1)):
        drift = theta["y.t"] + theta["y.t:treated"] * m + b[:, 1:2]
        y = theta["y.Intercept"] + b[:, :1] + drift * grid - design.markers[0].curve.mean
        z = theta["z.Intercept"] + theta["z.treated"] * m + b[:, 2:] - design.markers[1].curve.mean
        log_h = theta["baseline.log_hazard"] + theta["event.treated"] * (d - 0.5)
        log_h = log_h + theta["assoc.value[y]"] * y + theta["assoc.value[z]"] * z
        expected.append(np.exp(-np.trapezoid(np.exp(log_h), grid, axis=1)).mean())
    got = joint_effects(fit, "treated", HORIZON, draws=5).table["estimate"]
    assert got[3:6].to_numpy() == pytest.approx([expected[k] for k in (0, 1, 2)], abs=0.008)


def test_an_interaction_has_no_single_hazard_ratio(cohort):
    rows, patients = cohort
    fit = joint(rows, patients, link=value(by="treated")).fit()
    table = joint_effects(fit, "treated", HORIZON, draws=20).table.set_index("term")
    assert np.isnan(table.loc["hazard ratio at the same marker", "estimate"])
    assert np.isfinite(table.loc["direct", "estimate"])


def test_what_cannot_be_answered_is_said(cohort, fit):
    with pytest.raises(LongsurvError, match="up to the last exit"):
        joint_effects(fit, "treated", 99.0)
    with pytest.raises(LongsurvError, match="no column 'arm'"):
        joint_effects(fit, "arm", HORIZON)
    rows, patients = cohort
    other = joint(rows, patients.assign(site=np.arange(len(patients)) % 3)).fit()
    with pytest.raises(LongsurvError, match="name treated= and reference="):
        joint_effects(other, "site", HORIZON)
    with pytest.raises(LongsurvError, match="neither formula has 'site'"):
        joint_effects(other, "site", HORIZON, treated=1, reference=0)
    late = joint(*simulated(np.random.default_rng(6), 60, Truth(), late=2.0), late=True).fit()
    with pytest.raises(LongsurvError, match="after every entry"):
        joint_effects(late, "treated", 1.0)
