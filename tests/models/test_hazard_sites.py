"""Hazard models with site effects, against glmer on split follow-up and likelihoods of R's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import longsurv as ls
from longsurv.estimands.standardised import risk_difference
from longsurv.models import CoxPH, Hazard, hazard_start
from longsurv.models.hazard_sites import density

ENTRY = "Surv(entry, exit, died) ~ arm + age + (1 | site)"
PLAIN = "Surv(exit, died) ~ arm + age + (1 | site)"
GLMER = {
    "exponential gaussian": (PLAIN, "exponential", None),
    "piecewise gaussian": (PLAIN, "piecewise", (5.0, 12.0)),
    "piecewise gaussian entry": (ENTRY, "piecewise", (5.0, 12.0)),
}
KINDS = ("gaussian", "gamma")


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).parents[1] / "reference" / "centres.csv")


@pytest.fixture(scope="module")
def fit(patients):
    return Hazard(PLAIN, patients, "weibull").fit()


@pytest.fixture(scope="module")
def posterior(patients):
    return Hazard(PLAIN, patients, "weibull").sample(draws=400, chains=2, seed=3)


@pytest.mark.parametrize("model", GLMER)
def test_a_piecewise_hazard_is_a_poisson_mixed_model(patients, r_results, model):
    """glmer with 25 nodes a site; its search ends at about eight digits."""
    formula, baseline, knots = GLMER[model]
    fit = Hazard(formula, patients, baseline, knots).fit()
    assert fit.params.to_dict() == pytest.approx(r_results("hazard_sites", model, "coef"), rel=1e-6)
    assert fit.sd == pytest.approx(r_results("hazard_sites", model, "sd")["site"], rel=1e-6)
    levels = list(r_results("hazard_sites", model, "log_hazard").values())
    assert fit.natural[2:] == pytest.approx(np.array(levels), rel=1e-6)
    assert fit.llf == pytest.approx(r_results("hazard_sites", model, "loglik")[""], rel=1e-11)


@pytest.mark.parametrize("entry", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_weibull_hazard_is_that_of_the_likelihood_written_out(patients, r_results, kind, entry):
    fit = Hazard(ENTRY if entry else PLAIN, patients, "weibull", frailty=kind).fit()
    model = f"weibull {kind} {'entry' if entry else ''}"

    def theirs(quantity):
        return r_results("hazard_sites", model, quantity)

    assert fit.converged
    assert fit.llf == pytest.approx(theirs("loglik")[""], rel=1e-11)
    assert fit.params.to_dict() == pytest.approx(theirs("coef"), rel=1e-6)
    assert fit.bse.to_dict() == pytest.approx(theirs("se"), rel=1e-6)
    table = fit.variance_table().set_index("term")
    assert table.loc["log_shape", "estimate"] == pytest.approx(theirs("log_shape")[""], rel=1e-5)
    assert table.loc["log_shape", "std_error"] == pytest.approx(
        theirs("log_shape_se")[""], rel=1e-6
    )
    assert fit.sd == pytest.approx(theirs("sd")[""], rel=1e-7)
    spread = table.loc["sd(Intercept|site)"]
    assert spread["std_error"] == pytest.approx(theirs("sd_se")[""], rel=1e-6)


def test_frailty_is_read_as_a_site_effect(patients, fit):
    same = Hazard("Surv(exit, died) ~ arm + frailty(site) + age", patients, "weibull").fit()
    assert same.params.to_dict() == pytest.approx(fit.params.to_dict(), rel=1e-9)
    assert same.sd == pytest.approx(fit.sd, rel=1e-9)


def test_rows_of_one_patient_and_weights_are_patients(patients, fit):
    """Follow-up cut into rows changes nothing; a patient of weight 2 is two."""
    early = patients.assign(start=0.0, stop=np.minimum(patients["exit"], 4.0), id=patients.index)
    early["died"] *= early["exit"] <= 4.0
    late = patients.assign(start=4.0, stop=patients["exit"], id=patients.index)
    cut = pd.concat([early, late[late["exit"] > 4.0]])
    of_rows = Hazard(
        "Surv(start, stop, died) ~ arm + age + (1 | site)", cut, "weibull", patient="id"
    ).fit()
    assert of_rows.params.to_dict() == pytest.approx(fit.params.to_dict(), rel=1e-7)
    assert of_rows.sd == pytest.approx(fit.sd, rel=1e-7)
    for kind in KINDS:
        weighted = Hazard(PLAIN, patients, "weibull", weights="w", frailty=kind).fit()
        repeated = patients.loc[patients.index.repeat(patients["w"])]
        rows = Hazard(PLAIN, repeated, "weibull", frailty=kind).fit()
        assert weighted.params.to_dict() == pytest.approx(rows.params.to_dict(), rel=1e-6)
        assert weighted.sd == pytest.approx(rows.sd, rel=1e-6)


def test_the_spread_is_that_of_coxs_model_more_or_less(patients, fit):
    cox = CoxPH(PLAIN, patients).fit()
    assert fit.sd == pytest.approx(cox.sd, rel=0.1)
    ours, theirs = fit.ranef(), cox.ranef()
    assert (abs(ours["estimate"] - theirs["estimate"]) < 0.5 * theirs["std_error"]).all()


def test_the_limits_of_the_spread_are_where_the_profile_has_fallen(fit):
    low, high = fit.variance_limits()
    assert 0.0 < low < fit.sd < high
    for limit in (low, high):
        assert 2.0 * (fit.llf - fit.climb.value(limit)) == pytest.approx(1.959964**2, rel=1e-6)
    row = fit.tidy(component="variance").set_index("term").loc["sd(Intercept|site)"]
    assert (row["conf_low"], row["conf_high"]) == pytest.approx((low, high))
    test = fit.variance_test().iloc[0]
    assert test["statistic"] == pytest.approx(2.0 * (fit.llf - fit.null_loglik))
    assert 0.0 < test["p_value"] < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_a_spread_of_nothing_is_said(patients, kind):
    """Sites dealt out so that each has patients of every length of stay."""
    dealt = patients.sort_values(["died", "exit"]).assign(site=np.arange(len(patients)) % 12)
    fit = Hazard(PLAIN, dealt, "weibull", frailty=kind).fit()
    plain = Hazard("Surv(exit, died) ~ arm + age", dealt, "weibull").fit()
    assert fit.sd == 0.0 and fit.converged and fit.diagnose().ok
    assert any("exactly 0" in flag for flag in fit.flags)
    assert fit.llf == pytest.approx(plain.llf, rel=1e-12)
    assert fit.params.to_dict() == pytest.approx(plain.params.to_dict(), rel=1e-9)
    assert fit.bse.to_dict() == pytest.approx(plain.bse.to_dict(), rel=1e-9)
    row = fit.tidy(component="variance").iloc[-1]
    assert row["p_value"] == 1.0 and row["conf_low"] == 0.0 < row["conf_high"]
    assert (fit.ranef()["estimate"] == 0.0).all()
    for by_site in (False, True):
        for what in ("survival", "hazard"):
            ours = fit.predict(dealt.head(4), times=[5.0, 20.0], kind=what, by_site=by_site)
            theirs = plain.predict(dealt.head(4), times=[5.0, 20.0], kind=what)
            for column in ("estimate", "std_error", "conf_low", "conf_high"):
                assert ours[column].to_numpy() == pytest.approx(theirs[column].to_numpy(), rel=1e-8)
    assert fit.residuals()["martingale"].to_numpy() == pytest.approx(
        plain.residuals()["martingale"].to_numpy()
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by_site", [False, True])
def test_errors_of_predictions_are_those_of_all_that_was_estimated(patients, kind, by_site):
    """By perturbation of the coordinates and the spread; that of a site has its effect's too."""
    fit = Hazard(PLAIN, patients, "weibull", frailty=kind).fit()
    new, at = patients.iloc[[4]], [12.0]

    def moved(step, what):
        other = replace(fit, natural=fit.natural + step[:-1], sd=fit.sd + step[-1],
                        coefficients=fit.coefficients + step[:2])  # fmt: skip
        times = None if what == "eta" else at
        kind = "survival" if what == "eta" else what
        return other.predict(new, times=times, kind=kind, by_site=by_site)["estimate"].item()

    no_cov = replace(fit, whole_cov=np.zeros_like(fit.whole_cov))
    for what in ("survival", "risk", "hazard", "cumulative_hazard", "eta"):
        steps = 1e-5 * np.eye(len(fit.whole_cov))
        slope = np.array([(moved(h, what) - moved(-h, what)) / 2e-5 for h in steps])
        by_estimates = slope @ fit.whole_cov @ slope
        times = None if what == "eta" else at
        how = {"times": times, "kind": "survival" if what == "eta" else what, "by_site": by_site}
        own = no_cov.predict(new, **how)["std_error"].item() ** 2
        assert (own > 0.0) == by_site
        found = fit.predict(new, **how)["std_error"].item() ** 2
        assert found == pytest.approx(by_estimates + own, rel=1e-5)


def test_over_sites_the_hazard_is_the_slope_of_the_cumulative_one(patients, fit, posterior):
    new, t, h = patients.head(2), 12.0, 1e-3
    for result in (fit, posterior):
        for by_site in (False, True):

            def at(times, kind, result=result, by_site=by_site):
                found = result.predict(new, times=times, kind=kind, by_site=by_site)["estimate"]
                return found.to_numpy().reshape(2, -1)

            H = at([t - h, t, t + h], "cumulative_hazard")
            assert at([t], "hazard")[:, 0] == pytest.approx((H[:, 2] - H[:, 0]) / (2 * h), rel=1e-5)
            S, F = at([t], "survival"), at([t], "risk")
            assert pytest.approx(1.0) == S + F
            if result is fit:
                assert -np.log(S[:, 0]) == pytest.approx(H[:, 1])


def test_predictions_of_a_site_and_over_sites(patients, fit, posterior):
    new = patients.head(3)
    for result in (fit, posterior):
        own = result.predict(new, by_site=True)["estimate"] - result.predict(new)["estimate"]
        effects = result.ranef().set_index("site")["estimate"]
        assert own.to_numpy() == pytest.approx(effects[new["site"]].to_numpy())
        with pytest.raises(ls.LongsurvError, match=r"has not seen the site \['99'\]"):
            result.predict(new.assign(site=99), by_site=True)
        assert result.predict(new.drop(columns="site"), times=[9.0])["estimate"].notna().all()


def test_risks_standardised_over_patients_and_sites(patients, fit, posterior):
    table = risk_difference(fit, "arm", 20.0).set_index("term")
    for arm in (0, 1):
        rows = fit.predict(patients.assign(arm=arm), times=[20.0])
        expected = 1.0 - rows["estimate"].mean()
        assert table.loc[f"risk ({arm})", "estimate"] == pytest.approx(expected)
    drawn = risk_difference(posterior, "arm", 20.0).set_index("term")
    for term in ("risk (0)", "risk (1)", "risk difference"):
        ml, bayes = table.loc[term], drawn.loc[term]
        assert abs(ml["estimate"] - bayes["estimate"]) < 0.5 * ml["std_error"]
        assert 0.6 < bayes["std_error"] / ml["std_error"] < 1.7


def test_both_engines_agree(fit, posterior):
    assert posterior.diagnose().ok
    verdicts = ls.compare(fit, posterior).set_index("term")["verdict"]
    assert verdicts["arm"] == verdicts["age"] == verdicts["log_shape"] == "agree"
    # a spread's posterior is skewed: no more is said than that a normal interval is off
    assert verdicts["sd(Intercept|site)"] in ("agree", "asymptotics")
    ml, bayes = fit.ranef(), posterior.ranef()
    assert list(ml.columns) == list(bayes.columns)
    assert (abs(ml["estimate"] - bayes["estimate"]) < 0.4 * ml["std_error"]).all()
    assert (abs(np.log(bayes["std_error"] / ml["std_error"])) < 0.3).all()
    assert posterior.loo().elpd < 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_the_twin_has_the_same_density_with_its_effects_summed_over(patients, kind):
    """Given the parameters the effects are independent: each is summed over by itself."""
    small = patients[patients["site"] <= 3]
    spec = Hazard(ENTRY, small, "weibull", frailty=kind)
    stack, ours = spec.prior_stack(), density(spec._sites, None)
    model = spec.to_pymc()
    logp = model.compile_logp(mode="FAST_COMPILE")
    rng, found = np.random.default_rng(2), []
    grid = np.linspace(-6.0, 6.0, 81)
    effect = "z" if kind == "gaussian" else "w_log__"
    deviation = spec.design.sites.deviation
    for _ in range(2):
        theta = np.r_[rng.normal(0, 0.1, 2), rng.normal(-1, 0.3), rng.normal(0, 0.1), -0.4]
        phi = stack.basis @ theta[: len(stack.basis)] if stack.basis is not None else theta
        point = model.initial_point()
        names = [name for name in point if name != effect and name != f"{deviation}_log__"]
        named = dict(zip(names, [*phi[:3], theta[3]], strict=True))
        point |= named | {f"{deviation}_log__": theta[-1]}

        def at(values, point=point):
            return float(logp(point | {effect: values}))

        base, total = at(np.zeros(3)), 0.0
        for j in range(3):
            own = [at(b * np.eye(3)[j]) for b in grid]
            total += np.logaddexp.reduce(own) + np.log(grid[1] - grid[0])
        found.append(total - 2.0 * base - ours(theta)[0] - stack.value_and_gradient(theta)[0])
    assert np.ptp(found) < 1e-8


def test_a_splines_smoothing_and_spread_are_best_given_each_other(patients):
    rows = patients.assign(exit=np.where(patients["died"], 0.5 + patients["exit"] ** 2 / 12, 40.0))
    spec = Hazard(PLAIN, rows, "mspline", n_knots=3)
    fit = spec.fit()
    assert fit.converged and fit.smoothing > 0.1 and fit.sd > 0.1
    assert abs(fit.climb.slope(fit.sd)) < 1e-5
    held = spec.fit(smoothing=fit.smoothing)
    assert held.sd == pytest.approx(fit.sd, rel=1e-6)
    assert held.params.to_dict() == pytest.approx(fit.params.to_dict(), rel=1e-6)

    def marginal(smoothing):
        top = spec.fit(smoothing=smoothing).climb.at(fit.sd)
        return hazard_start._marginal(top)

    best = marginal(fit.smoothing)
    assert best > marginal(0.8 * fit.smoothing) and best > marginal(1.25 * fit.smoothing)


REFUSED = {
    "(arm | site)": r"one random effect, of one column",
    "(1 | site) + (1 | ward)": r"one random effect, of one column",
    "(1 | site) + cluster(site)": r"no robust covariance",
    "(1 | same)": r"'same' has one value",
    "(1 | own)": r"none of the 240 values of 'own' has more than one event",
    "(1 | site) + strata(ward)": r"which Hazard does not fit",
    "twice + (1 | site)": "",
}


@pytest.mark.parametrize("term", REFUSED)
def test_what_cannot_be_answered_is_refused(patients, term):
    rows = patients.assign(same=1, own=range(len(patients)), twice=2 * patients["arm"])
    spec = Hazard(f"Surv(exit, died) ~ arm + {term}", rows, "weibull")
    if not REFUSED[term]:
        assert any("twice" in flag for flag in spec.fit().flags)
        return
    with pytest.raises(ls.LongsurvError, match=REFUSED[term]):
        spec.fit()


def test_what_is_not_for_site_effects_is_refused(patients, fit):
    spec = Hazard(PLAIN, patients, "weibull")
    with pytest.raises(ls.LongsurvError, match="there is no 'firth'"):
        spec.fit(penalty="firth")
    with pytest.raises(ls.LongsurvError, match="there is no 'profile'"):
        spec.fit(intervals="profile")
    with pytest.raises(ls.LongsurvError, match="frailty is"):
        Hazard(PLAIN, patients, frailty="lognormal").fit()
    with pytest.raises(ls.LongsurvError, match="not whole numbers"):
        Hazard(PLAIN, patients.assign(w=0.5 * patients["w"]), weights="w").fit()
    separated = patients.assign(died=patients["died"] * (patients["arm"] == 0))
    with pytest.raises(ls.EstimationError, match="separated groups"):
        Hazard(PLAIN, separated, "weibull").fit()


def test_few_sites_are_said_and_effects_are_drawn(patients, fit, posterior):
    few = Hazard(PLAIN, patients[patients["site"] > 8], "exponential").fit()
    assert any("There are 4 values of site" in flag for flag in few.flags)
    for result in (fit, posterior):
        assert "Log hazard ratio of a site" in result.plot_ranef().get_label()


def test_models_with_sites_are_compared_by_likelihood(patients, fit):
    without = Hazard("Surv(exit, died) ~ arm + age", patients, "weibull").fit()
    row = ls.lrt(without, fit).iloc[0]
    assert row["p_boundary"] == pytest.approx(fit.variance_test()["p_value"].item())
    smaller = Hazard("Surv(exit, died) ~ age + (1 | site)", patients, "weibull").fit()
    row = ls.lrt(smaller, fit).iloc[0]
    assert row["statistic"] == pytest.approx(2.0 * (fit.llf - smaller.llf))
    gamma = Hazard("Surv(exit, died) ~ age + (1 | site)", patients, "weibull", frailty="gamma")
    with pytest.raises(ls.LongsurvError, match="site effects"):
        ls.lrt(gamma.fit(), fit)
