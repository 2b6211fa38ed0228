"""Residuals, replicates and influence of joint models against what theory and refits say."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from joint_cohorts import Truth, joint, simulated, two_markers, with_second_marker

from longsurv.diagnostics.joint_checks import (
    cox_snell_curve,
    event_residuals,
    level_shift,
    marker_residuals,
)
from longsurv.diagnostics.joint_influence import joint_influence
from longsurv.diagnostics.joint_replicates import (
    SurvivalReplicates,
    censoring_times,
    predictive_checks,
    replicate_markers,
    survival_statistics,
)
from longsurv.errors import LongsurvError
from longsurv.likelihood.joint.loglik import random_effects
from longsurv.models import CoxPH


@pytest.fixture(scope="module")
def cohort():
    return simulated(np.random.default_rng(4), 80)


@pytest.fixture(scope="module")
def fit(cohort):
    return joint(*cohort).fit()


@pytest.mark.parametrize(
    ("baseline", "late"), [("weibull", False), ("spline", True), ("piecewise", False)]
)
def test_martingale_residuals_sum_to_zero(baseline, late):
    """They are scores, of the baseline's level and of the covariates."""
    cohort = simulated(np.random.default_rng(7), 80, late=1.0 if late else 0.0)
    result = joint(*cohort, baseline, late=late).fit()
    got = event_residuals(result)
    treated = cohort[1].set_index("id")["treated"].loc[got["id"]].to_numpy()
    assert abs(got["martingale"].sum()) < 1e-4
    assert abs((got["martingale"] * treated).sum()) < 1e-4
    assert got["expected"].min() > 0 and got["martingale"].max() < 1


def test_the_martingale_is_kept_when_late_entry_is_conditioned_on():
    cohort = simulated(np.random.default_rng(7), 80, late=1.0)
    got = event_residuals(joint(*cohort, late=True, entry="population").fit())
    assert abs(got["martingale"].sum()) < 1e-4 and (got["cox_snell"] > 0).all()


def test_expected_events_against_brute_force(cohort):
    """E[H | data] of one patient over a dense grid of random intercepts."""
    result = joint(*cohort, marker="y ~ t + (1 | id)", nodes=15).fit()
    theta, design = result.params, result.design
    variance = result.tidy(component="variance").set_index("term")["estimate"]
    b = np.linspace(-6, 6, 2001) * variance["sd(Intercept|id)"]
    got = event_residuals(result).set_index("id")
    for who in (100, 107):
        mine = cohort[0][cohort[0]["id"] == who]
        person = cohort[1].set_index("id").loc[who]
        t = np.linspace(0, person["stop"], 2001)[1:]
        unit, shape = design.causes[0].baseline.unit, theta["baseline.shape_minus_1"]
        log_h = theta["baseline.log_hazard"] + shape * np.log(t / unit)
        log_h = log_h + theta["event.treated"] * (person["treated"] - 0.5)
        curve = theta["Intercept"] + theta["t"] * t - design.markers[0].curve.mean
        h = np.exp(log_h + theta["assoc.value"] * curve)
        H = np.exp(theta["assoc.value"] * b) * np.trapezoid(np.r_[0, h], np.r_[0, t])
        gap = mine["y"].to_numpy() - theta["Intercept"] - theta["t"] * mine["t"].to_numpy()
        log_p = -0.5 * ((gap[:, None] - b) ** 2).sum(axis=0) / variance["sigma"] ** 2
        log_p = log_p - 0.5 * b**2 / variance["sd(Intercept|id)"] ** 2 - H
        log_p = log_p + person["event"] * theta["assoc.value"] * b
        p = np.exp(log_p - log_p.max())
        assert got.loc[who, "expected"] == pytest.approx((p * H).sum() / p.sum(), rel=2e-3)


def test_cox_snell_is_a_chain_of_dynamic_predictions(cohort, fit):
    got = event_residuals(fit).set_index("id")["cox_snell"]
    for who in (100, 103):
        mine = cohort[0][cohort[0]["id"] == who]
        stop = cohort[1].set_index("id").loc[who, "stop"]
        cuts, total = [*mine["t"], stop], 0.0
        for start, end in pairwise(cuts):
            table = fit.predict_survival(mine, at=max(start, 1e-9), times=[end], draws=2)
            total -= np.log(table["estimate"].item())
        assert got[who] == pytest.approx(total, rel=1e-5)


def test_cox_snell_residuals_are_unit_exponential_at_the_truth():
    """With the parameters that made the data, not fitted ones."""
    truth = Truth(shape=1.0)
    rows, patients = simulated(np.random.default_rng(21), 600, truth)
    spec = joint(rows, patients, "exponential")
    design, data = spec.design, spec.statistics
    centre, mean = design.markers[0].curve.mean, design.causes[0].covariate_means[0]
    level = np.log(truth.scale) + truth.association * centre + truth.effect * mean
    z = np.arctanh(truth.correlation)
    theta = np.array([
        truth.intercept, truth.slope, truth.treated_slope, np.log(truth.sigma),
        *np.log(truth.sds), z, level, truth.effect, truth.association,
    ])  # fmt: skip
    known = SimpleNamespace(spec=spec, design=design, data=data, theta=theta, engine="ml")
    got = event_residuals(known)
    events = got["event"].sum()
    assert abs(events - got["cox_snell"].sum()) < 3 * np.sqrt(events)
    assert abs(got["martingale"].sum()) < 3 * np.sqrt(events)
    curve = cox_snell_curve(got, level=0.99)
    assert curve["inside"].mean() > 0.95
    from scipy.stats import kstest

    # Of those who live on, the residual plus a unit exponential is one.
    rng = np.random.default_rng(1)
    r = got["cox_snell"] + np.where(got["event"] == 1, 0.0, rng.exponential(size=len(got)))
    assert kstest(r, "expon").pvalue > 0.01
    wrong = SimpleNamespace(**vars(known) | {"theta": theta + 0.5 * level_shift(design)})
    assert cox_snell_curve(event_residuals(wrong))["inside"].mean() < 0.3


def test_marker_residuals(cohort, fit):
    got = marker_residuals(fit)
    effects = fit.ranef().pivot(index="id", columns="effect", values="estimate")
    curve = fit.predict()["estimate"].to_numpy()
    own = effects.loc[got["id"], "Intercept"].to_numpy()
    own = own + effects.loc[got["id"], "t"].to_numpy() * got["t"].to_numpy()
    assert got["fitted"].to_numpy() == pytest.approx(curve + own)
    assert got["marginal"].to_numpy() == pytest.approx(got["observed"] - curve)
    assert 0.8 < got["standardised"].std() < 1.0  # shrunken: below 1
    assert 0.85 < got["marginal_standardised"].std() < 1.15


def test_residuals_and_replicates_of_two_markers(cohort):
    second = with_second_marker(np.random.default_rng(1), cohort[0][cohort[0]["id"] != 103])
    spec = two_markers(cohort[0], second, CoxPH("Surv(stop, event) ~ treated", data=cohort[1]))
    result = spec.fit()
    events, markers = event_residuals(result), marker_residuals(result)
    assert abs(events["martingale"].sum()) < 1e-4
    assert markers.groupby("marker").size().to_dict() == {"y": len(cohort[0]), "z": len(second)}
    for name in ("y", "z"):
        mine = markers[markers["marker"] == name]
        curve = result.predict(marker=name)["estimate"].to_numpy()
        assert mine["marginal"].to_numpy() == pytest.approx(mine["observed"] - curve)
        assert 0.8 < mine["standardised"].std() < 1.0
        assert 0.85 < mine["marginal_standardised"].std() < 1.15
    for who in (101, 103):
        mine = {"y": cohort[0].query("id == @who"), "z": second.query("id == @who")}
        if mine["z"].empty:
            mine["z"] = mine["y"][["id", "treated"]].head(1).assign(t=np.nan, z=np.nan)
        times = sorted({*mine["y"]["t"], *mine["z"]["t"].dropna()})
        cuts, total = [*times, cohort[1].set_index("id").loc[who, "stop"]], 0.0
        for start, end in pairwise(cuts):
            table = result.predict_survival(mine, at=max(start, 1e-9), times=[end], draws=2)
            total -= np.log(table["estimate"].item())
        assert events.set_index("id").loc[who, "cox_snell"] == pytest.approx(total, rel=1e-5)
    checks = predictive_checks(spec.sample(draws=60, tune=150, chains=1), draws=30)
    assert set(checks["part"]) == {"y", "z", "survival"}
    assert checks["p_value"].between(0.001, 0.999).mean() > 0.85


def test_influence_is_that_of_refits_from_scratch(cohort, fit):
    rows, patients = cohort
    got = joint_influence(fit)
    assert len(got.patients) == 80 and (got.patients["note"] == "").all()
    assert set(got.terms["term"]) == {"event.treated", "assoc.value"}
    worst = int(got.patients.loc[got.patients["displacement"].idxmax(), "id"])
    for who in (worst, 111):
        again = joint(rows[rows["id"] != who], patients[patients["id"] != who]).fit()
        mine = got.terms[got.terms["id"] == who].set_index("term")
        for term in mine.index:
            # The same maximum, to a thousandth of a standard error.
            gap = mine.loc[term, "estimate"] - again.params[term]
            assert abs(gap) < 1e-3 * fit.bse[term]
            moved = again.params[term] - fit.params[term]
            assert mine.loc[term, "dfbetas"] == pytest.approx(moved / fit.bse[term], abs=2e-3)
    assert (got.patients["displacement"] > 0).all()
    alpha = got.terms[got.terms["term"] == "assoc.value"]
    most = alpha.loc[alpha["dfbetas"].abs().idxmax(), "id"]
    assert f"without id {most} (" in got.words


def test_influence_with_late_entry_conditioned_on():
    cohort = simulated(np.random.default_rng(7), 40, late=1.0)
    spec = joint(*cohort, late=True, entry="population")
    fit = spec.fit()
    got = joint_influence(fit, ["assoc.value"])
    who = int(got.patients.loc[got.patients["displacement"].idxmax(), "id"])
    rows, patients = (frame[frame["id"] != who] for frame in cohort)
    again = joint(rows, patients, late=True, entry="population").fit()
    mine = got.terms.set_index("id").loc[who, "estimate"]
    assert abs(mine - again.params["assoc.value"]) < 1e-3 * fit.bse["assoc.value"]


def test_influence_with_two_markers_and_two_causes(cohort):
    rng = np.random.default_rng(3)
    rows, patients = (frame[frame["id"] < 150] for frame in cohort)
    patients = patients.assign(home=(patients["event"] == 0) * rng.integers(0, 2, len(patients)))
    second = with_second_marker(rng, rows)

    def fitted(without: int | None = None):
        one, two, people = (f[f["id"] != without] for f in (rows, second, patients))
        causes = {
            "death": CoxPH("Surv(stop, event) ~ treated", data=people),
            "home": CoxPH("Surv(stop, home) ~ treated", data=people),
        }
        return two_markers(one, two, causes).fit()

    whole, again = fitted(), fitted(without=107)
    mine = joint_influence(whole).terms.set_index(["id", "term"])["estimate"].loc[107]
    assert len(mine) == 6
    for term, value in mine.items():
        assert abs(value - again.params[term]) < 2e-3 * whole.bse[term], term


@pytest.fixture(scope="module")
def posterior(cohort):
    return joint(*cohort).sample(draws=200, chains=1)


def test_a_right_model_passes(posterior):
    got = predictive_checks(posterior, draws=60)
    assert set(got["part"]) == {"marker", "survival"}
    assert got["p_value"].between(0.002, 0.998).mean() > 0.9
    assert ((got["conf_low"] <= got["observed"]) & (got["observed"] <= got["conf_high"])).sum() >= (
        len(got) - 3
    )


def test_a_wrong_curve_is_seen(cohort):
    rows, patients = cohort
    bent = rows.assign(y=rows["y"] + 0.35 * (rows["t"] - 2.0) ** 2)
    got = predictive_checks(joint(bent, patients).sample(draws=100, chains=1), draws=40)
    p = got.set_index("statistic")["p_value"]
    assert min(p["correlation of successive changes"], p["mean, first third of times"]) < 0.05


def test_replicated_survival_is_the_models():
    """No association and a constant hazard: the number of events has a known mean."""
    rows, patients = simulated(np.random.default_rng(3), 200, Truth(association=0.0, shape=1.0),
                               late=1.0)  # fmt: skip
    spec = joint(rows, patients, "exponential", late=True)
    fit = spec.fit()
    theta = fit.theta.copy()
    theta[fit.design.theta_names.index("assoc.value")] = 0.0
    rng = np.random.default_rng(2)
    new = SurvivalReplicates(fit.design, fit.data, rng)
    omega = fit.params["event.treated"] * fit.design.causes[0].covariates[:, 0]
    rate = np.exp(fit.params["baseline.log_hazard"] + omega)
    expected = 1 - np.exp(-rate * (new.until - fit.design.entry))
    drawn = [new.replicate(theta, rng) for _ in range(200)]
    assert np.mean([d.sum() for _, d in drawn]) == pytest.approx(expected.sum(), rel=0.02)
    exit = np.array([e for e, _ in drawn])
    assert (exit > fit.design.entry).all() and (exit <= new.until + 1e-9).all()


def test_replicated_measurements_are_the_models(fit):
    rng = np.random.default_rng(4)
    drawn = np.array(
        [replicate_markers(fit.design, fit.data, fit.theta, rng)[0] for _ in range(400)]
    )
    residuals = marker_residuals(fit)
    sigma = np.exp(fit.theta[fit.design.theta_names.index("sigma")])
    marker = fit.design.markers[0]
    _, cov = random_effects(fit.data, fit.theta)
    Z = marker.design.Z
    sd = np.sqrt(np.einsum("nq,nqr,nr->n", Z, cov[marker.group], Z) + sigma**2)
    z = (drawn.mean(axis=0) - residuals["fitted"].to_numpy()) / (sd / 20)
    assert np.abs(z).max() < 5 and 0.9 < z.std() < 1.1
    assert (drawn.std(axis=0) / sd).mean() == pytest.approx(1.0, abs=0.02)


def test_censoring_after_an_event_is_drawn_from_what_is_left():
    exit = np.array([1.0, 2.0, 4.0, 3.0])
    status = np.array([0.0, 0.0, 0.0, 1.0])
    rng = np.random.default_rng(0)
    drawn = np.array([censoring_times(exit, status, rng) for _ in range(50)])
    assert (drawn[:, :3] == exit[:3]).all() and (drawn[:, 3] == 4.0).all()
    early = np.array([censoring_times(exit, np.array([0.0, 0.0, 0.0, 1.0])[[0, 1, 2, 3]], rng)[3]])
    assert early == 4.0
    first = np.array([0.5, 1.0, 2.0, 4.0])
    drawn = np.array([censoring_times(first, np.array([1.0, 0, 0, 0]), rng)[0] for _ in range(900)])
    share = [np.mean(drawn == t) for t in (1.0, 2.0, 4.0)]
    assert share == pytest.approx([1 / 3] * 3, abs=0.06)


def test_survival_statistics_against_lifelines():
    from lifelines import KaplanMeierFitter

    rng = np.random.default_rng(5)
    exit, status = rng.exponential(size=50), (rng.uniform(size=50) < 0.6).astype(float)
    got = survival_statistics(np.zeros(50), exit, status, np.array([0.3, 0.9]))
    curve = KaplanMeierFitter().fit(exit, status)
    assert got["survival at 0.3"] == pytest.approx(curve.predict(0.3))
    assert got["survival at 0.9"] == pytest.approx(curve.predict(0.9))
    assert got["events"] == status.sum()


def test_what_is_asked_of_the_wrong_result_is_said(fit, posterior):
    with pytest.raises(LongsurvError, match="takes a posterior"):
        predictive_checks(fit)
    with pytest.raises(LongsurvError, match="takes a maximum-likelihood fit"):
        joint_influence(posterior)
    with pytest.raises(LongsurvError, match=r"no terms \['assoc.slope'\]"):
        joint_influence(fit, ["assoc.slope"])
    with pytest.raises(LongsurvError, match="level is a probability"):
        cox_snell_curve(event_residuals(fit), level=2.0)
    with pytest.raises(LongsurvError, match="takes a joint model"):
        marker_residuals(pd.DataFrame())
