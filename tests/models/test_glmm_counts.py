"""Counts through the public names, against lme4, glmmTMB and brute force."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import longsurv as ls
from longsurv.errors import DataError, EstimationError, FormulaError
from longsurv.models import GLMM

FORMULA = "units ~ period * treated + offset(log(days)) + (1 | patient)"
COUNTED = ("poisson", "negative_binomial", "nbinom1")
OWN = {"poisson": (), "negative_binomial": ("theta",), "nbinom1": ("phi",)}


@pytest.fixture(scope="module")
def fitted(table):
    """`fitted("poisson", nodes)`: a fit to the reference data, made once."""
    data = table("episodes")
    return cache(lambda family, nodes=None: GLMM(FORMULA, data, family=family, nodes=nodes).fit())


def named(found: dict[str, float]) -> dict[str, float]:
    return {k.replace("(Intercept)", "Intercept"): v for k, v in found.items()}


def parameters(fit) -> dict[str, tuple[float, float]]:
    v = fit.variance
    return {n: (x, se) for n, x, se in zip(v.names, v.values, v.std_error, strict=True)}


@pytest.mark.parametrize("family", COUNTED)
def test_many_nodes_are_brute_force_integration(fitted, r_results, family):
    fit, which = fitted(family, 41), f"{family}_exact"
    assert fit.converged
    assert fit.llf == pytest.approx(r_results("glmm_counts", which, "loglik")[""], abs=1e-8)
    for term, value in named(r_results("glmm_counts", which, "coef")).items():
        assert fit.params[term] == pytest.approx(value, rel=1e-6, abs=1e-7)
    for term, value in named(r_results("glmm_counts", which, "se")).items():
        assert fit.bse[term] == pytest.approx(value, rel=1e-5)
    own = parameters(fit)
    value, se = own["sd(Intercept|patient)"]
    (expected,) = r_results("glmm_counts", which, "sd").values()
    assert value == pytest.approx(expected, rel=1e-6)
    assert se / value == pytest.approx(r_results("glmm_counts", which, "log_sd_se")[""], rel=1e-4)
    for name in OWN[family]:
        value, se = own[name]
        assert value == pytest.approx(r_results("glmm_counts", which, "dispersion")[""], rel=1e-6)
        assert se / value == pytest.approx(
            r_results("glmm_counts", which, "log_dispersion_se")[""], rel=1e-3
        )


@pytest.mark.parametrize("nodes", [5, 9, 15])
def test_adaptive_quadrature_as_in_lme4_at_the_same_nodes(fitted, r_results, nodes):
    fit, which = fitted("poisson", nodes), f"poisson_nodes{nodes}"
    for term, value in named(r_results("glmm_counts", which, "coef")).items():
        assert fit.params[term] == pytest.approx(value, rel=2e-6, abs=1e-6)
    # What R's optimiser leaves of the sixth digit.
    (sd,) = r_results("glmm_counts", which, "sd").values()
    assert fit.variance.values[-1] == pytest.approx(sd, rel=5e-6)


@pytest.mark.parametrize(("family", "theirs"), [("poisson", "poisson"),
                                                ("negative_binomial", "nbinom2")])  # fmt: skip
def test_one_node_is_glmmtmb_s_laplace(fitted, r_results, family, theirs):
    fit, which = fitted(family, 1), f"glmmTMB_{theirs}"
    assert fit.llf == pytest.approx(r_results("glmm_counts", which, "loglik")[""], abs=1e-6)
    # glmmTMB stops where its log-likelihood is right to 1e-6: its coefficients are to 1e-4 standard
    # errors.
    for term, value in named(r_results("glmm_counts", which, "coef")).items():
        assert fit.params[term] == pytest.approx(value, abs=1e-4 * fit.bse[term])
    for name in OWN[family]:
        theta = r_results("glmm_counts", which, "dispersion")[""]
        assert parameters(fit)[name][0] == pytest.approx(theta, abs=1e-3 * parameters(fit)[name][1])


def test_nbinom1_is_near_glmmtmb_s_laplace(fitted, r_results):
    """Not closer: the nodes' curvature is another one where counts are far above their means."""
    fit = fitted("nbinom1")
    for term, value in named(r_results("glmm_counts", "glmmTMB_nbinom1", "coef")).items():
        assert fit.params[term] == pytest.approx(value, rel=0.05, abs=0.01)
    phi = r_results("glmm_counts", "glmmTMB_nbinom1", "dispersion")[""]
    assert parameters(fit)["phi"][0] == pytest.approx(phi, rel=0.05)


def test_overdispersion_is_said_and_its_family_has_none(fitted):
    (flag,) = (f for f in fitted("poisson").flags if f.startswith("Overdispersion"))
    assert "negative_binomial" in flag and flag in fitted("poisson").diagnose().words
    assert not any("Overdispersion" in f for f in fitted("negative_binomial").flags)
    assert fitted("negative_binomial").llf > fitted("poisson").llf


def exact_counts(seed: int = 3, n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    patient, week = np.repeat(np.arange(n), 4), np.tile(np.arange(4.0), n)
    mu = np.exp(0.5 + 0.1 * week + 0.5 * rng.normal(size=n)[patient])
    return pd.DataFrame({"patient": patient, "week": week, "y": rng.poisson(mu)})


def test_counts_without_overdispersion_end_on_the_boundary_which_is_poisson_s():
    # Less variable than Poisson's: the counts rounded towards their means.
    data = exact_counts()
    smooth = data.assign(
        y=np.round(np.exp(0.5 + 0.1 * data["week"])).astype(int) + data["patient"] % 3
    )
    formula = "y ~ week + (1 | patient)"
    poisson = GLMM(formula, smooth, family="poisson").fit()
    assert not any("Overdispersion" in f for f in poisson.flags)
    for family, name, at in (("negative_binomial", "theta", np.inf), ("nbinom1", "phi", 0.0)):
        fit = GLMM(formula, smooth, family=family).fit()
        value, se = parameters(fit)[name]
        assert value == at and np.isnan(se)
        assert any(f.startswith(f"Boundary: {name}") and "poisson" in f for f in fit.flags)
        assert fit.llf == pytest.approx(poisson.llf, abs=1e-9)
        np.testing.assert_allclose(fit.params, poisson.params, atol=1e-7)
        np.testing.assert_allclose(fit.bse, poisson.bse, rtol=1e-5)


@pytest.mark.parametrize("family", ["poisson", "negative_binomial"])
def test_huge_counts_and_their_offset_are_those_of_the_rates(family):
    data = exact_counts()
    rng = np.random.default_rng(2)
    mu = 3e8 * np.exp(0.1 * data["week"] + 0.5 * rng.normal(size=60)[data["patient"]])
    spread = mu * rng.gamma(50.0, 0.02, size=len(mu))
    data = data.assign(y=np.round(spread if family != "poisson" else mu), n=3e8)
    at = GLMM("y ~ week + offset(log(n)) + (1 | patient)", data, family=family).fit()
    assert at.converged
    log = GLMM("y ~ week + (1 | patient)", data, family=family).fit()
    assert log.params["Intercept"] - at.params["Intercept"] == pytest.approx(np.log(3e8), rel=1e-7)
    assert log.params["week"] == pytest.approx(at.params["week"], abs=1e-6)
    assert log.llf == pytest.approx(at.llf, abs=1e-5)
    if family == "negative_binomial":
        # Such counts are gamma: 1 / theta is the squared coefficient of variation.
        assert 30.0 < parameters(at)["theta"][0] < 80.0


def test_an_offset_in_another_unit_moves_the_intercept_alone(fitted, table):
    data = table("episodes")
    hours = data.assign(days=24.0 * data["days"])
    there = GLMM(FORMULA, hours, family="negative_binomial").fit()
    here = fitted("negative_binomial")
    assert there.llf == pytest.approx(here.llf, abs=1e-7)
    assert here.params["Intercept"] - there.params["Intercept"] == pytest.approx(np.log(24.0))
    np.testing.assert_allclose(there.params.iloc[1:], here.params.iloc[1:], atol=1e-6)
    # So does its prior, whose mean is the logarithm of the rate.
    day, hour = (s.default_priors()["Intercept"].mean for s in (here.spec, there.spec))
    assert day - hour == pytest.approx(np.log(24.0))


def test_predictions_are_over_the_time_they_say_and_means_per_unit(fitted, table):
    fit, data = fitted("negative_binomial"), table("episodes").head(3)
    per_day = fit.predict(data.assign(days=1.0), type="response")["estimate"]
    over_week = fit.predict(data.assign(days=7.0), type="response")
    np.testing.assert_allclose(over_week["estimate"], 7.0 * per_day)
    assert (over_week["conf_low"] > 0.0).all()
    # The mean of a log-normal times the rate of a typical patient.
    typical = np.exp(fit.predict(data.assign(days=1.0))["estimate"])
    sd = parameters(fit)["sd(Intercept|patient)"][0]
    np.testing.assert_allclose(per_day, typical * np.exp(sd**2 / 2.0), rtol=1e-9)
    means = fit.response_means("treated", at={"treated": [0, 1], "period": 0})
    assert means.quantity == "mean units per 1 days"
    own = fit.predict(
        pd.DataFrame({"period": [0, 0], "treated": [0, 1], "days": 1.0}), type="response"
    )
    np.testing.assert_allclose(means.table["estimate"], own["estimate"])
    ratio = means.contrast("treated", measure="ratio")["estimate"].iloc[0]
    link = fit.means("treated", at={"treated": [0, 1], "period": 0}).contrast("treated", ratio=True)
    assert link["estimate"].iloc[0] == pytest.approx(ratio) == np.exp(fit.params["treated"])
    with pytest.raises(FormulaError, match="days"):
        fit.predict(data.drop(columns="days"))


def test_both_engines_agree(fitted, table):
    spec = fitted("negative_binomial").spec
    post = spec.sample(draws=150, tune=200, chains=2, seed=3)
    found = ls.compare(fitted("negative_binomial"), post)
    assert "treated" in repr(found)
    terms = post.tidy().set_index("term")
    fit = fitted("negative_binomial")
    assert (np.abs(terms["estimate"] - fit.params) < 0.5 * fit.bse).all()
    frame = table("episodes").head(4).assign(days=2.0)
    ours = post.predict(frame, type="response")["estimate"]
    np.testing.assert_allclose(ours, fit.predict(frame, type="response")["estimate"], rtol=0.25)


@pytest.mark.parametrize("bad", [-1.0, 2.5, 1e17])
def test_what_is_no_count_is_refused_with_its_rows(table, bad):
    data = table("episodes").astype({"units": float})
    data.loc[[4, 7], "units"] = bad
    with pytest.raises(DataError, match=r"whole number from 0 on.*'units'.*2 rows \(index 4, 7\)"):
        GLMM(FORMULA, data, family="poisson").fit()


def test_an_exposure_of_nothing_is_refused_with_its_rows_and_a_missing_one_left_out(table):
    data = table("episodes").astype({"days": float})
    data.loc[5, "days"] = np.nan
    assert GLMM(FORMULA, data, family="poisson").design.n_excluded == 1
    data.loc[9, "days"] = 0.0
    with pytest.raises(DataError, match=r"offset 'log\(days\)'.*index 9"):
        GLMM(FORMULA, data, family="poisson").fit()


@pytest.mark.parametrize("family", COUNTED)
def test_a_group_without_a_count_has_no_estimate_and_a_posterior(table, family):
    data = table("episodes")
    data = data.assign(units=np.where(data["treated"] == 1, 0, data["units"]))
    spec = GLMM("units ~ treated + offset(log(days)) + (1 | patient)", data, family=family)
    with pytest.raises(EstimationError, match=r"treated: for some combination.*every count is 0"):
        spec.fit()
    nothing = spec.with_data(data.assign(units=0))
    with pytest.raises(EstimationError, match="every count is 0"):
        nothing.fit()
    if family == "poisson":
        post = spec.sample(draws=100, tune=150, chains=2)
        assert post.tidy().set_index("term").loc["treated", "estimate"] < -2.0
        assert any("no finite estimate" in f for f in post.flags)


def test_one_row_a_patient_is_a_poisson_s_spread_and_no_negative_binomial_s():
    data = exact_counts(n=200).groupby("patient", as_index=False).nth(1)
    data = data.assign(x=np.random.default_rng(1).normal(size=len(data)))
    fit = GLMM("y ~ x + (1 | patient)", data, family="poisson").fit()
    assert fit.converged and not fit.undetermined
    for family in COUNTED[1:]:
        with pytest.raises(EstimationError, match="on which the intercept depends"):
            GLMM("y ~ x + (1 | patient)", data, family=family).fit()


@pytest.mark.parametrize("family", ["bernoulli", "ordinal", "student"])
def test_an_offset_of_any_family_is_a_coefficient_of_one(family):
    rng = np.random.default_rng(4)
    patient = np.repeat(np.arange(40), 5)
    x, z = rng.normal(size=(2, 200))
    latent = x + z + rng.normal(size=40)[patient] + rng.logistic(size=200)
    y = {"bernoulli": latent > 0, "ordinal": np.digitize(latent, [-1.0, 1.0]), "student": latent}
    data = pd.DataFrame({"id": patient, "x": x, "z": z, "y": y[family]})
    fit = GLMM("y ~ x + offset(2 * z) + (1 | id)", data, family=family, nodes=5).fit()
    # At a coefficient of 2 of z the free model has the likelihood that this one has at its maximum.
    free = GLMM("y ~ x + z + (1 | id)", data, family=family, nodes=5)
    from longsurv.likelihood import glmm

    at = np.insert(fit.theta, list(free.design.fixed.names).index("z"), 2.0)
    value, slope = glmm.loglik_factor(free.arrays, at)
    assert value == pytest.approx(fit.llf, abs=1e-7)
    others = np.delete(slope, list(free.design.fixed.names).index("z"))
    np.testing.assert_allclose(others, 0.0, atol=2e-4)


def test_a_marker_of_a_joint_model_has_no_offset(table):
    marker = GLMM(
        "y ~ time + offset(time) + (1 | patient)",
        table("detection_limit").assign(kind="none"), family="censored", censored="kind",
    )  # fmt: skip
    data = marker.data.groupby("patient", as_index=False).first()[["patient", "treated"]]
    data = data.assign(t=4.0 + data["patient"] % 3, died=data["patient"] % 2)
    death = ls.models.CoxPH("Surv(t, died) ~ treated", data)
    with pytest.raises(FormulaError, match="no offset"):
        ls.models.JointModel(marker, death, time="time").fit()
