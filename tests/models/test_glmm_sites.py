"""Generalised mixed models of patients nested in sites: fits, posteriors and what they answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logsumexp

from longsurv.errors import DataError, EstimationError, FormulaError, LongsurvError
from longsurv.likelihood import glmm
from longsurv.models import GLMM

RIGHT = "time + treated + (1 | patient) + (1 | site)"
FAMILIES = {
    "bernoulli": ("positive", {}),
    "poisson": ("count", {}),
    "ordinal": ("score", {}),
    "censored": ("value", {"censored": "kind"}),
}
SD = "sd(Intercept|site)"


@pytest.fixture(scope="module")
def visits() -> pd.DataFrame:
    found = pd.read_csv(Path(__file__).parents[1] / "reference" / "site_visits.csv")
    return found.assign(kind=np.where(found["below"] == 1, "left", "none"))


def model(family: str, data: pd.DataFrame, right: str = RIGHT, **options) -> GLMM:
    response, own = FAMILIES[family]
    return GLMM(f"{response} ~ {right}", data, family=family, **own | options)


@pytest.fixture(scope="module")
def fit(visits):
    return model("bernoulli", visits).fit()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_fit_is_that_of_the_likelihood_written_out(visits, r_results, family):
    """R integrates both levels by brute force."""
    fit = model(family, visits, nodes=25).fit()

    def theirs(quantity: str) -> dict[str, float]:
        names = {"(Intercept)": "Intercept", "patient": "sd(Intercept|patient)", "site": SD}
        found = r_results("glmm_sites", family, quantity)
        return {names.get(name, name): value for name, value in found.items()}

    coef, se, table = theirs("coef"), theirs("se"), fit.variance_table().set_index("term")
    if family == "censored":
        sigma = table.loc["sigma"]
        assert np.log(sigma["estimate"]) == pytest.approx(coef.pop("log sigma"), abs=1e-6)
        assert sigma["std_error"] / sigma["estimate"] == pytest.approx(
            se.pop("log sigma"), rel=1e-4
        )
    assert fit.llf == pytest.approx(theirs("loglik")[""], abs=1e-6)
    assert fit.params.to_dict() == pytest.approx(coef, abs=3e-6)
    assert fit.bse.to_dict() == pytest.approx(se, rel=1e-4)
    for name, value in theirs("sd").items():
        assert table.loc[name, "estimate"] == pytest.approx(value, rel=1e-5)
    log_se = table["std_error"] / table["estimate"]
    for name, value in theirs("log_sd_se").items():
        assert log_se[name] == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("family", ["bernoulli", "poisson", "ordinal"])
def test_laplace_of_both_levels_by_r_is_near_and_below(visits, r_results, family):
    """glmer and clmm take both levels at their joint mode, which costs them up to 0.9 here."""
    fit = model(family, visits).fit()
    laplace = r_results("glmm_sites", family, "laplace_loglik")[""]
    assert 0.0 < fit.llf - laplace < 1.0


def test_the_result_says_how_it_was_integrated_and_how_well(visits, fit):
    assert "15 nodes for each patient" in fit.method and "effect of its site" in fit.method
    assert any("There are 8 values of site" in flag for flag in fit.flags)
    assert any("values of the same site" in flag for flag in fit.flags)
    assert not any("raise nodes" in flag or "half as wide" in flag for flag in fit.flags)
    rough = replace(fit.data, spacing=4.0)
    from longsurv.results.generalised.flags import quadrature_flags

    value = glmm.loglik_factor(rough, fit.theta)[0]
    assert any("half as wide" in says for says in quadrature_flags(rough, fit.theta, value, 15))
    coarse = model("bernoulli", visits, nodes=2).fit()
    assert any("raise nodes" in flag for flag in coarse.flags)


def test_no_variance_between_sites_is_a_boundary(visits):
    """Sites dealt out by chance; the other estimates are those without sites."""
    shuffled = visits.assign(site=visits["patient"] % 7)
    with_sites = model("poisson", shuffled).fit()
    without = model("poisson", shuffled, RIGHT.replace(" + (1 | site)", "")).fit()
    assert with_sites.variance_table().set_index("term").loc[SD, "estimate"] == 0.0
    assert any(flag.startswith(f"Boundary: {SD}") for flag in with_sites.flags)
    assert any("between site than chance" in flag for flag in with_sites.flags)
    assert with_sites.params.to_dict() == pytest.approx(without.params.to_dict(), abs=1e-6)
    assert with_sites.llf == pytest.approx(without.llf, abs=1e-7)
    test = with_sites.variance_test().iloc[0]
    assert test["statistic"] == 0.0 and test["p_value"] == 1.0
    assert (with_sites.ranef().query("grouping == 'site'")["estimate"] == 0.0).all()


def test_the_variance_between_sites_is_tested_at_its_edge(visits, fit):
    without = model("bernoulli", visits, RIGHT.replace(" + (1 | site)", "")).fit()
    test = fit.variance_test().iloc[0]
    assert test["term"] == SD
    assert test["statistic"] == pytest.approx(2.0 * (fit.llf - without.llf), abs=1e-6)
    from scipy.stats import chi2

    assert test["p_value"] == pytest.approx(0.5 * chi2.sf(test["statistic"], 1))
    with pytest.raises(LongsurvError, match="has no random effect of a site"):
        without.variance_test()


def test_predicted_responses_average_over_both_levels(visits, fit):
    """Against draws of new patients of new sites."""
    new = pd.DataFrame({"time": [0.0, 3.0], "treated": [0, 1]})
    found = fit.predict(new, type="response")["estimate"].to_numpy()
    sds = fit.variance_table().set_index("term")["estimate"]
    grid = np.arange(-8.0, 8.01, 0.05)
    weight = np.exp(-0.5 * grid**2) / np.exp(-0.5 * grid**2).sum()
    b = sds["sd(Intercept|patient)"] * grid[:, None] + sds[SD] * grid
    link = fit.predict(new)["estimate"].to_numpy()
    expected = [float(weight @ expit(eta + b) @ weight) for eta in link]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    means = fit.response_means("treated", {"time": 3.0, "treated": [0, 1]}).tidy()
    both = fit.predict(new.assign(time=3.0), type="response")["estimate"]
    np.testing.assert_allclose(means["estimate"], both, rtol=1e-9)


def test_predictions_for_patients_and_sites(visits, fit):
    """A new patient of a known site has the site's effect; the sites' effects are their means."""
    effects = fit.ranef()
    of_sites = effects.query("grouping == 'site'").set_index("group")["estimate"]
    own = effects.query("grouping == 'patient'").set_index("group")["estimate"]
    rows = visits.iloc[[0, 5]]
    known = fit.predict(rows, by_patient=True)["estimate"].to_numpy()
    link = fit.predict(rows)["estimate"].to_numpy()
    where = rows["patient"].to_list(), rows["site"].to_list()
    np.testing.assert_allclose(
        known - link, [own[p] + of_sites[s] for p, s in zip(*where, strict=True)]
    )
    new = rows.assign(patient=[901, 902])
    found = fit.predict(new, by_patient=True, new_groups="population")["estimate"].to_numpy()
    np.testing.assert_allclose(found - link, [of_sites[s] for s in rows["site"]])
    nowhere = new.assign(site=99)
    found = fit.predict(nowhere, by_patient=True, new_groups="population")["estimate"]
    np.testing.assert_allclose(found, link)
    with pytest.raises(LongsurvError, match="site"):
        fit.predict(new.drop(columns="site"), by_patient=True, new_groups="population")


def test_what_else_is_asked_of_a_fit(visits, fit):
    values = fit.residuals()["quantile"]
    assert np.isfinite(values).all() and 0.8 < values.std() < 1.2
    assert fit.random_cov.loc[("site", "Intercept"), ("patient", "Intercept")] == 0.0
    shares = fit.r2().set_index("term")["estimate"]
    assert 0.0 < shares["marginal"] < shares["conditional"] < 1.0
    drawn = fit.simulate(400, seed=2).to_numpy()
    # Rows of two patients of one site go together, those of two sites do not.
    one = drawn[visits["patient"] == 8].mean(axis=0)
    same = np.corrcoef(one, drawn[visits["patient"] == 16].mean(axis=0))[0, 1]
    other = np.corrcoef(one, drawn[visits["patient"] == 9].mean(axis=0))[0, 1]
    assert same > other + 0.05 and abs(other) < 0.15
    low, high = fit.profile("treated").loc[0, ["conf_low", "conf_high"]]
    assert low < fit.params["treated"] < high


@pytest.mark.slow
def test_proportional_odds_with_sites(visits):
    found = model("ordinal", visits, nodes=5).fit().proportional_odds()
    assert found.table["p_value"].between(0.0, 1.0).all()


GRID = np.arange(-7.0, 7.01, 0.4)


@pytest.mark.slow
def test_the_density_is_the_twins_integrated(visits):
    """log p(y, theta), constants included, with the effects of both levels integrated out."""
    some = visits[visits["patient"].isin([1, 2, 9])]
    spec = model("bernoulli", some, "time + (1 | patient) + (1 | site)", nodes=41)
    twin, stack = spec.to_pymc(), spec.prior_stack(None)
    logp = twin.compile_logp(jacobian=False, mode="FAST_COMPILE")
    theta = np.array([0.3, -0.2, -0.1, 0.2])
    assert stack.names[-2:] == ("sd(Intercept|patient)", SD)
    values = stack.coordinates(theta)
    logged = [prior.positive for prior in stack.priors]
    point = {
        twin.rvs_to_values[twin[label]].name: np.log(values[j]) if logged[j] else values[j]
        for j, label in enumerate(stack.labels)
    }
    step = np.log(GRID[1] - GRID[0])

    def at(own: np.ndarray, sites: np.ndarray) -> float:
        return float(logp({**point, "raw": own[:, None], "raw_1": sites}))

    home = spec.design.site
    base, nothing = at(np.zeros(3), np.zeros(2)), np.zeros(3)
    total = base
    for j in range(2):
        site = np.arange(2) == j
        by_z = []
        for z in GRID:
            middle = at(nothing, site * z)
            value = middle - base
            for i in np.flatnonzero(home == j):
                person = np.arange(3) == i
                each = [at(person * u, site * z) - middle for u in GRID]
                value += logsumexp(each) + step
            by_z.append(value)
        total += logsumexp(by_z) + step
    jacobian = theta[logged].sum()
    ours = glmm.loglik(spec.arrays, theta)[0] + stack.value_and_gradient(theta)[0] - jacobian
    assert ours == pytest.approx(total, abs=1e-5)


@pytest.fixture(scope="module")
def posterior(visits):
    return model("poisson", visits, nodes=3).sample(draws=40, tune=60, chains=2, seed=4)


@pytest.mark.slow
def test_a_posterior_has_the_spread_of_sites_and_their_effects(visits, posterior):
    fit = model("poisson", visits, nodes=3).fit()
    assert set(posterior.samples) >= {SD, "sd(Intercept|patient)", "treated"}
    drawn = posterior.samples["treated"]
    assert drawn.mean() == pytest.approx(fit.params["treated"], abs=0.8 * fit.bse["treated"])
    effects, by_fit = posterior.ranef(), fit.ranef()
    assert list(effects["grouping"].unique()) == ["patient", "site"]
    assert np.corrcoef(effects["estimate"], by_fit["estimate"])[0, 1] > 0.98
    units = posterior.idata["log_likelihood"]["y"]
    assert units.shape == (2, 40, 8)  # what is left out by LOO is a site
    new = visits.iloc[[0, 5]].assign(patient=[901, 902])
    found = posterior.predict(new, by_patient=True, new_groups="population")
    same = posterior.predict(new.assign(site=99), by_patient=True, new_groups="population")
    assert (found["std_error"] < same["std_error"]).all()
    assert np.isfinite(posterior.predictive_checks(draws=5)["p_value"]).all()


# ---- what the data do not determine, and what is refused ----


def test_one_site_is_no_grouping(visits):
    with pytest.raises(DataError, match="one value only"):
        model("bernoulli", visits.assign(site=1)).fit()


@pytest.mark.parametrize("family", FAMILIES)
def test_sites_of_one_patient_each_cannot_be_told_from_patients(visits, family):
    alone = visits.assign(site=visits["patient"])
    spec = model(family, alone, nodes=5)
    if family in ("bernoulli", "ordinal", "poisson"):
        with pytest.raises(EstimationError, match=r"leave \(1 \| site\) out"):
            spec.fit()
        return
    fit = spec.fit()
    assert set(fit.variance.undetermined) >= {SD, "sd(Intercept|patient)"} or any(
        "leave (1 | site) out" in flag for flag in fit.flags
    )
    table = fit.variance_table().set_index("term")
    assert np.isnan(table.loc[[SD, "sd(Intercept|patient)"], "estimate"]).all()


def test_covariates_that_make_every_difference_between_sites(visits):
    right = "time + C(site) + (1 | patient) + (1 | site)"
    fit = model("bernoulli", visits, right, nodes=5).fit()
    assert np.isnan(fit.variance_table().set_index("term").loc[SD, "estimate"])
    assert any(
        "differences between the values of site" in f or "values of site" in f for f in fit.flags
    )
    assert np.isfinite(fit.bse["time"])
    assert np.isnan(fit.bse.filter(like="site")).all()


def test_a_site_without_any_event_has_an_answer(visits):
    none = visits.assign(positive=visits["positive"].where(visits["site"] != 3, 0))
    fit = model("bernoulli", none).fit()
    assert fit.converged and np.isfinite(fit.bse).all()
    effects = fit.ranef().query("grouping == 'site'").set_index("group")["estimate"]
    assert effects.idxmin() == 3 and np.isfinite(effects).all()


def test_what_is_refused(visits):
    with pytest.raises(FormulaError, match="no slopes by it"):
        model("bernoulli", visits, "time + (1 | patient) + (time | site)").fit()
    more = visits.assign(region=visits["site"] % 2)
    with pytest.raises(FormulaError, match="takes two"):
        model("bernoulli", more, RIGHT + " + (1 | region)").fit()


def test_nesting_may_be_written_out(visits, fit):
    nested = model("bernoulli", visits, "time + treated + (1 | site/patient)").fit()
    assert nested.llf == pytest.approx(fit.llf, abs=1e-9)


@pytest.mark.parametrize("of", ["fit", "posterior"])
@pytest.mark.parametrize("type", ["link", "response"])
def test_a_patient_at_another_site_than_its_own_is_refused(visits, request, of, type):
    """The answer would be that of its own site, whatever the row says."""
    answer = request.getfixturevalue(of)
    rows = visits.iloc[[0, 7, -1]]
    asked = {"by_patient": True, "type": type}
    expected = answer.predict(rows, **asked)
    sites = visits["site"].unique()
    moved = rows.assign(site=[next(s for s in sites if s != own) for own in rows["site"]])
    with pytest.raises(LongsurvError, match="at another site"):
        answer.predict(moved, **asked)
    backwards = answer.predict(rows.iloc[::-1], **asked)
    pd.testing.assert_frame_equal(backwards.iloc[::-1], expected)
