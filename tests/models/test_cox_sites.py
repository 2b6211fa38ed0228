"""Cox models with site effects, against coxme and R's survival."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import longsurv as ls
from longsurv.estimands.standardised import risk_difference
from longsurv.models import CoxPH, FineGray, JointModel, value
from longsurv.models.cox_sites import site_data

FORMULAS = {
    "plain": "Surv(exit, died) ~ arm + age + (1 | site)",
    "entry": "Surv(entry, exit, died) ~ arm + age + (1 | site)",
    "strata": "Surv(exit, died) ~ arm + age + strata(ward) + (1 | site)",
}
MODELS = [
    (name, ties, weights)
    for name in FORMULAS
    for ties in ("efron", "breslow")
    for weights in ((None, "w") if name == "plain" else (None,))
]


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).parents[1] / "reference" / "centres.csv")


@pytest.fixture(scope="module")
def fit(patients):
    return CoxPH(FORMULAS["plain"], data=patients).fit()


@pytest.fixture(scope="module")
def posterior(patients):
    return CoxPH(FORMULAS["plain"], data=patients).sample(draws=500, chains=2, seed=3)


@pytest.mark.parametrize(("name", "ties", "weights"), MODELS)
def test_the_fit_is_coxmes(patients, r_results, name, ties, weights):
    """coxme's search for the variance stops at about seven digits."""
    fit = CoxPH(FORMULAS[name], data=patients, ties=ties, weights=weights).fit()
    model = f"coxme {name} {ties} {'weighted' if weights else ''}"
    assert fit.params.to_dict() == pytest.approx(r_results("frailty", model, "coef"), rel=1e-6)
    variance = r_results("frailty", model, "variance")["site"]
    assert fit.sd**2 == pytest.approx(variance, rel=1e-6)
    logliks = r_results("frailty", model, "loglik")
    assert fit.llf == pytest.approx(logliks["integrated"], rel=1e-11)
    assert fit.null_loglik != pytest.approx(logliks["null"], rel=1e-6)  # coxme's has no covariates


@pytest.mark.parametrize(("name", "ties", "weights"), MODELS)
def test_at_a_given_variance_all_numbers_are_coxmes(patients, r_results, name, ties, weights):
    fit = CoxPH(FORMULAS[name], data=patients, ties=ties, weights=weights).fit()
    peak = fit.climb.at(np.sqrt(0.3))
    model = f"coxme {name} {ties} {'weighted' if weights else ''} at 0.3"
    found = dict(zip(fit.names, peak.x, strict=False))
    assert found == pytest.approx(r_results("frailty", model, "coef"), rel=1e-8)
    errors = np.sqrt(np.diag(np.linalg.inv(peak.information)))
    expected = r_results("frailty", model, "se")
    assert dict(zip(fit.names, errors, strict=False)) == pytest.approx(expected, rel=1e-8)
    effects = list(r_results("frailty", model, "effect").values())
    assert peak.x[2:] == pytest.approx(np.array(effects), rel=1e-7, abs=1e-9)
    logliks = r_results("frailty", model, "loglik")
    assert fit.climb.value(peak.s) == pytest.approx(logliks["integrated"], rel=1e-12)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("kind", ["gaussian", "gamma"])
def test_at_a_given_variance_all_numbers_are_those_of_rs_survival(patients, r_results, kind, ties):
    fit = CoxPH(FORMULAS["plain"], data=patients, ties=ties, frailty=kind).fit()
    peak, model = fit.climb.at(np.sqrt(0.3)), f"{kind} at 0.3 {ties}"
    found = dict(zip(fit.names, peak.x, strict=False))
    assert found == pytest.approx(r_results("frailty", model, "coef"), rel=1e-8)
    errors = np.sqrt(np.diag(np.linalg.inv(peak.information)))
    expected = r_results("frailty", model, "se")
    assert dict(zip(fit.names, errors, strict=False)) == pytest.approx(expected, rel=1e-8)
    effects = list(r_results("frailty", model, "effect").values())
    assert peak.x[2:] == pytest.approx(np.array(effects), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_the_variance_of_gamma_effects_is_that_of_rs_survival(patients, r_results, ties):
    """Its search for the variance stops at about five digits; the likelihood is flat there."""
    fit = CoxPH(FORMULAS["plain"], data=patients, ties=ties, frailty="gamma").fit()
    variance = r_results("frailty", f"gamma {ties}", "variance")["site"]
    assert fit.sd**2 == pytest.approx(variance, rel=1e-5)
    logliks = r_results("frailty", f"gamma {ties}", "loglik")
    assert fit.llf == pytest.approx(logliks["integrated"], rel=1e-11)
    assert fit.climb.value(np.sqrt(variance)) <= fit.llf


def test_frailty_is_read_as_a_site_effect(patients, fit):
    same = CoxPH("Surv(exit, died) ~ arm + frailty(site) + age", data=patients).fit()
    assert same.params.to_dict() == pytest.approx(fit.params.to_dict(), rel=1e-10)
    assert same.sd == pytest.approx(fit.sd, rel=1e-10)
    odd = patients.rename(columns={"site": "the site: x"})
    same = CoxPH("Surv(exit, died) ~ arm + age + frailty(`the site: x`)", data=odd).fit()
    assert same.sd == pytest.approx(fit.sd, rel=1e-10)


def test_the_limits_of_the_spread_are_where_the_profile_has_fallen(fit):
    low, high = fit.variance_limits()
    assert 0.0 < low < fit.sd < high
    for limit in (low, high):
        assert 2.0 * (fit.llf - fit.climb.value(limit)) == pytest.approx(1.959964**2, rel=1e-6)
    row = fit.tidy(component="variance").iloc[0]
    assert (row["conf_low"], row["conf_high"]) == pytest.approx((low, high))
    test = fit.variance_test().iloc[0]
    assert test["statistic"] == pytest.approx(2.0 * (fit.llf - fit.null_loglik))
    assert 0.0 < test["p_value"] < 1e-5


def test_a_spread_of_nothing_is_said(patients):
    """Sites dealt out so that each has patients of every length of stay."""
    dealt = patients.sort_values(["died", "exit"]).assign(site=np.arange(len(patients)) % 12)
    fit = CoxPH(FORMULAS["plain"], data=dealt).fit()
    plain = CoxPH("Surv(exit, died) ~ arm + age", data=dealt).fit()
    assert fit.sd == 0.0 and fit.converged and fit.diagnose().ok
    assert any("exactly 0" in flag for flag in fit.flags)
    assert fit.params.to_dict() == pytest.approx(plain.params.to_dict(), rel=1e-9)
    assert fit.bse.to_dict() == pytest.approx(plain.bse.to_dict(), rel=1e-9)
    row = fit.tidy(component="variance").iloc[0]
    assert row["p_value"] == 1.0 and row["conf_low"] == 0.0 < row["conf_high"]
    assert (fit.ranef()["estimate"] == 0.0).all()
    ours, theirs = (one.predict(dealt.head(4), times=[5.0, 20.0]) for one in (fit, plain))
    for column in ("estimate", "std_error", "conf_low", "conf_high"):
        assert ours[column].to_numpy() == pytest.approx(theirs[column].to_numpy(), rel=1e-8)


def test_predictions_of_a_site_and_over_sites(patients, fit):
    """Survival is averaged, not that of an average site; that of a site has its effect."""
    new = patients.head(3)
    own = fit.predict(new, by_site=True)["estimate"] - fit.predict(new)["estimate"]
    effects = fit.ranef().set_index("site")["estimate"]
    assert own.to_numpy() == pytest.approx(effects[new["site"]].to_numpy())
    times = [3.0, 10.0, 25.0]
    curves = pd.concat(
        [fit.predict(new.assign(site=site), times=times, by_site=True) for site in range(1, 13)]
    )
    over = fit.predict(new, times=times).set_index(["age", "time"])["estimate"]
    of_sites = curves.groupby(["age", "time"])["estimate"].mean()
    assert over.to_numpy() == pytest.approx(of_sites[over.index].to_numpy(), abs=0.03)
    with pytest.raises(ls.LongsurvError, match=r"has not seen the site \['99'\]"):
        fit.predict(new.assign(site=99), by_site=True)
    assert fit.predict(new.drop(columns="site"), times=times)["estimate"].notna().all()


def test_errors_of_survival_are_those_of_coefficients_effects_and_baseline(patients, fit):
    """By perturbation: the derivative in the coefficients and effects, and Breslow's variance."""
    from dataclasses import replace

    new, at = patients.iloc[[4]], [12.0]
    base = fit.predict(new, times=at)
    slopes = []
    for step in 1e-5 * np.eye(len(fit.whole)):
        ahead, behind = (
            replace(fit, whole=fit.whole + k * step).predict(new, times=at)["estimate"].item()
            for k in (1, -1)
        )
        slopes.append((ahead - behind) / 2e-5)
    by_coefficients = np.array(slopes) @ fit.whole_cov @ np.array(slopes)
    still = replace(fit, whole_cov=np.zeros_like(fit.whole_cov))
    by_baseline = still.predict(new, times=at)["std_error"].item() ** 2
    assert base["std_error"].item() ** 2 == pytest.approx(by_coefficients + by_baseline, rel=1e-6)


def test_risks_standardised_over_patients_and_sites(patients, fit, posterior):
    table = risk_difference(fit, "arm", 20.0).set_index("term")
    for arm in (0, 1):
        rows = fit.predict(patients.assign(arm=arm), times=[20.0])
        assert table.loc[f"risk ({arm})", "estimate"] == pytest.approx(
            1.0 - rows["estimate"].mean()
        )
    drawn = risk_difference(posterior, "arm", 20.0).set_index("term")
    for term in ("risk (0)", "risk (1)", "risk difference"):
        ml, bayes = table.loc[term], drawn.loc[term]
        assert abs(ml["estimate"] - bayes["estimate"]) < 0.5 * ml["std_error"]
        assert 0.6 < bayes["std_error"] / ml["std_error"] < 1.7


def test_both_engines_agree(fit, posterior):
    assert posterior.diagnose().ok
    verdicts = ls.compare(fit, posterior).set_index("term")["verdict"]
    assert verdicts["arm"] == verdicts["age"] == "agree"
    # a spread's posterior is skewed: no more is said than that a normal interval is off
    assert verdicts["sd(Intercept|site)"] in ("agree", "asymptotics")
    ml, bayes = fit.ranef(), posterior.ranef()
    assert list(ml.columns) == list(bayes.columns)
    assert (abs(ml["estimate"] - bayes["estimate"]) < 0.4 * ml["std_error"]).all()
    assert posterior.loo().elpd < 0.0


def test_the_twin_has_the_same_density(patients):
    small = patients[patients["site"] <= 4]
    spec = CoxPH("Surv(entry, exit, died) ~ arm + age + (1 | site)", data=small)
    stack, sites = spec.prior_stack(), site_data(spec.formula, spec.design, spec.ties)
    model = spec.to_pymc()
    logp = model.compile_logp(mode="FAST_COMPILE")
    rng, found = np.random.default_rng(2), []
    for _ in range(4):
        beta, log_s, z = rng.normal(0, 0.1, 2), rng.normal(-1, 0.5), rng.normal(size=4)
        point = model.initial_point()
        deviation = spec.design.sites.deviation
        point |= {"arm": beta[0], "age": beta[1], f"{deviation}_log__": log_s, "z": z}
        ours = ls_density(sites, stack, np.r_[beta, log_s, z])
        found.append(float(logp(point)) - ours)
    assert np.ptp(found) < 1e-8


def ls_density(sites, stack, theta):
    from longsurv.likelihood import cox
    from longsurv.likelihood.cox.frailty import effects_of

    z = theta[sites.p + 1 :]
    likelihood = cox.loglik(sites.data, effects_of(sites, theta))
    return likelihood + stack.value_and_gradient(theta)[0] - 0.5 * float(z @ z)


REFUSED = {
    "(arm | site)": r"one random effect, of one column",
    "(1 | ward/site)": r"one random effect, of one column",
    "(1 | site) + (1 | ward)": r"one random effect, of one column",
    "frailty(site, ward)": r"one frailty\(\) of one column",
    "(1 | site) + cluster(site)": r"no robust covariance",
    "(1 | same)": r"'same' has one value",
    "(1 | own)": r"none of the 240 values of 'own' has more than one event",
    "(1 | site) + strata(site)": r"every stratum has one site",
}


@pytest.mark.parametrize("term", REFUSED)
def test_what_cannot_be_answered_is_refused(patients, term):
    rows = patients.assign(same=1, own=range(len(patients)))
    with pytest.raises(ls.LongsurvError, match=REFUSED[term]):
        CoxPH(f"Surv(exit, died) ~ arm + {term}", data=rows).fit()


def test_what_is_not_for_site_effects_is_refused(patients):
    spec = CoxPH(FORMULAS["plain"], data=patients)
    with pytest.raises(ls.LongsurvError, match="there is no 'firth'"):
        spec.fit(penalty="firth")
    with pytest.raises(ls.LongsurvError, match="there is no 'profile'"):
        spec.fit(intervals="profile")
    with pytest.raises(ls.LongsurvError, match="frailty='gamma' is for fit"):
        CoxPH(FORMULAS["plain"], data=patients, frailty="gamma").sample()
    with pytest.raises(ls.LongsurvError, match="frailty is"):
        CoxPH(FORMULAS["plain"], data=patients, frailty="lognormal").fit()
    with pytest.raises(ls.LongsurvError, match="not whole numbers"):
        CoxPH(FORMULAS["plain"], patients.assign(w=0.5 * patients["w"]), weights="w").fit()
    with pytest.raises(ls.LongsurvError, match="CoxPH and Hazard can have one"):
        FineGray(FORMULAS["plain"], data=patients).fit()
    separated = patients.assign(died=patients["died"] * (patients["arm"] == 0))
    with pytest.raises(ls.EstimationError, match="separated groups"):
        CoxPH(FORMULAS["plain"], data=separated).fit()
    marker = ls.models.LMM("age ~ exit + (1 | site)", data=patients)
    with pytest.raises(ls.LongsurvError, match="site effects"):
        JointModel(marker, spec, time="exit", link=value()).fit()


def test_few_sites_are_said(patients):
    few = CoxPH(FORMULAS["plain"], data=patients[patients["site"] > 8]).fit()
    assert any("There are 4 values of site" in flag for flag in few.flags)


def test_the_effects_are_drawn(fit, posterior):
    for result in (fit, posterior):
        ax = result.plot_ranef()
        assert "Log hazard ratio of a site" in ax.get_label()


def test_models_with_sites_are_compared_by_likelihood(patients, fit):
    without = CoxPH("Surv(exit, died) ~ arm + age", data=patients).fit()
    row = ls.lrt(without, fit).iloc[0]
    assert row["p_boundary"] == pytest.approx(fit.variance_test()["p_value"].item())
    smaller = CoxPH("Surv(exit, died) ~ age + (1 | site)", data=patients).fit()
    row = ls.lrt(smaller, fit).iloc[0]
    assert row["statistic"] == pytest.approx(2.0 * (fit.llf - smaller.llf))
    assert row["df"] == 1 and np.isnan(row["p_boundary"])
    gamma = CoxPH("Surv(exit, died) ~ age + (1 | site)", data=patients, frailty="gamma").fit()
    with pytest.raises(ls.LongsurvError, match="site effects"):
        ls.lrt(gamma, fit)
