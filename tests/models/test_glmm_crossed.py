"""Generalised mixed models of patients seen at several sites: fits, posteriors, their answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from longsurv.errors import EstimationError, FormulaError, LongsurvError
from longsurv.models import GLMM, LMM
from longsurv.models.glmm_priors import sampling

RIGHT = "time + treated + (1 | patient) + (1 | site)"
RESPONSE = {"bernoulli": "positive", "poisson": "count"}
SD, OWN = "sd(Intercept|site)", "sd(Intercept|patient)"


@pytest.fixture(scope="module")
def visits() -> pd.DataFrame:
    """Also with a normal value that has a limit in a column of its own."""
    found = pd.read_csv(Path(__file__).parents[1] / "reference" / "crossed_visits.csv")
    rng = np.random.default_rng(5)
    own, of_sites = 0.7 * rng.normal(size=41), np.array([0.0, -0.7, 0.1, 0.8])
    value = 0.3 * found["time"] + own[found["patient"]] + of_sites[found["site"]]
    value = value + 0.5 * rng.normal(size=len(found))
    grade = np.digitize(value + 0.5 * rng.logistic(size=len(found)), [0.0, 1.0])
    return found.assign(value=value, kind="none", grade=grade)


def model(family: str, data: pd.DataFrame, right: str = RIGHT, **options) -> GLMM:
    return GLMM(f"{RESPONSE[family]} ~ {right}", data, family=family, **options)


@pytest.fixture(scope="module")
def fit(visits):
    return model("bernoulli", visits).fit()


@pytest.mark.parametrize("family", RESPONSE)
def test_the_fit_is_that_of_the_likelihood_written_out(visits, r_results, family):
    """R integrates patients by brute force, and has the second derivatives of Louis' identity."""
    fit = model(family, visits, nodes=25).fit()

    def theirs(quantity: str) -> dict[str, float]:
        names = {"(Intercept)": "Intercept", "patient": OWN, "site": SD}
        found = r_results("glmm_crossed", family, quantity)
        return {names.get(name, name): value for name, value in found.items()}

    table = fit.variance_table().set_index("term")
    assert fit.llf == pytest.approx(theirs("loglik")[""], abs=1e-6)
    assert fit.params.to_dict() == pytest.approx(theirs("coef"), abs=3e-6)
    assert fit.bse.to_dict() == pytest.approx(theirs("se"), rel=1e-4)
    for name, value in theirs("sd").items():
        assert table.loc[name, "estimate"] == pytest.approx(value, rel=1e-5)
    log_se = table["std_error"] / table["estimate"]
    for name, value in theirs("log_sd_se").items():
        assert log_se[name] == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("family", RESPONSE)
def test_the_result_says_how_far_from_exact_it_is(visits, r_results, family):
    """R has both integrals by brute force where the approximation is largest."""
    fit = model(family, visits, nodes=25).fit()
    assert "25 nodes for each patient" in fit.method
    assert "Laplace's approximation over the effects of site" in fit.method
    said = next(flag for flag in fit.flags if "importance sampling" in flag)
    exact = r_results("glmm_crossed", family, "exact_loglik")[""]
    words = said.partition("log-likelihood here is ")[2]
    value, error = words.split(" different (standard error ")
    error = float(error.split(")")[0])
    assert float(value) == pytest.approx(exact - fit.llf, abs=4 * error + 0.05 * float(value))
    assert 0.0 < error < 0.3 * float(value)


@pytest.mark.parametrize("family", RESPONSE)
def test_laplace_of_both_by_r_is_near(visits, r_results, family):
    """glmer and glmmTMB take patients at their mode, too, which costs them up to 0.45 here."""
    fit = model(family, visits).fit()
    for package in ("glmer", "glmmTMB"):
        theirs = r_results("glmm_crossed", family, f"{package}_loglik")[""]
        assert 0.0 < fit.llf - theirs < 0.5
    coef = r_results("glmm_crossed", family, "glmer_coef")
    for name, value in coef.items():
        own = name.replace("(Intercept)", "Intercept")
        assert fit.params[own] == pytest.approx(value, abs=0.15 * fit.bse[own])


def test_values_without_limits_are_the_linear_mixed_models(visits):
    """Where nothing is approximated: all digits, and what is asked of the random effects."""
    ours = GLMM(f"value ~ {RIGHT}", visits, family="censored", censored="kind").fit()
    theirs = LMM(f"value ~ {RIGHT}", visits).fit(method="ML")
    assert ours.llf == pytest.approx(theirs.llf, abs=1e-8)
    assert ours.params.to_dict() == pytest.approx(theirs.params.to_dict(), abs=1e-8)
    np.testing.assert_allclose(
        ours.variance_table()["estimate"], theirs.variance_table()["estimate"], rtol=1e-6
    )
    np.testing.assert_allclose(ours.variance.std_error, theirs.variance.std_error, rtol=1e-4)
    a, b = ours.ranef(), theirs.ranef()
    np.testing.assert_allclose(a["estimate"], b["estimate"], atol=1e-7)
    assert a[["grouping", "group"]].equals(b[["grouping", "group"]])
    a, b = (one.predict(visits, by_patient=True)["estimate"] for one in (ours, theirs))
    np.testing.assert_allclose(a, b, atol=1e-7)
    assert any("+0 different" in f or "e-1" in f for f in ours.flags if "importance" in f)


def test_limits_slopes_and_grades_have_answers(visits):
    below = visits["value"] < 0.0
    censored = visits.assign(
        value=visits["value"].clip(lower=0.0), kind=np.where(below, "left", "none")
    )
    right = "time + (time | patient) + (1 | site)"
    for spec in (
        GLMM(f"value ~ {right}", censored, family="censored", censored="kind", nodes=5),
        GLMM(f"grade ~ {RIGHT}", visits, family="ordinal", nodes=5),
        GLMM(f"value ~ {RIGHT}", visits, family="student", df=5.0, nodes=5),
        GLMM(f"count ~ {RIGHT}", visits, family="nbinom1", nodes=5),
    ):
        fit = spec.fit()
        assert fit.converged and np.isfinite(fit.bse).all()
        assert np.isfinite(fit.ranef()["estimate"]).all()
        assert np.isfinite(fit.residuals()["quantile"]).all()
        assert any("Crossed groupings" in flag for flag in fit.flags)


def test_predictions_of_known_and_new_patients_and_sites(visits, fit):
    """Against sums and averages of the effects."""
    effects = fit.ranef()
    own = effects.query("grouping == 'patient'").set_index("group")["estimate"]
    of_sites = effects.query("grouping == 'site'").set_index("group")["estimate"]
    rows = visits.iloc[[0, 7, 13]]
    link = fit.predict(rows)["estimate"].to_numpy()

    def added(asked: pd.DataFrame) -> pd.DataFrame:
        found = fit.predict(asked, by_patient=True, new_groups="population")
        return found.assign(added=found["estimate"] - link)

    np.testing.assert_allclose(
        added(rows)["added"],
        own[rows["patient"]].to_numpy() + of_sites[rows["site"]].to_numpy(), atol=1e-9,
    )  # fmt: skip
    moved = added(rows.assign(site=[3, 1, 2]))
    np.testing.assert_allclose(
        moved["added"], own[rows["patient"]].to_numpy() + of_sites[[3, 1, 2]].to_numpy(), atol=1e-9
    )
    new = added(rows.assign(patient=[901, 902, 903]))
    np.testing.assert_allclose(new["added"], of_sites[rows["site"]], atol=1e-9)
    elsewhere = added(rows.assign(site=[77, 78, 79]))
    np.testing.assert_allclose(elsewhere["added"], own[rows["patient"]], atol=1e-9)
    assert (elsewhere["std_error"] > moved["std_error"]).all()
    np.testing.assert_allclose(
        added(rows.assign(patient=[901, 902, 903], site=77))["added"], 0.0, atol=1e-9
    )
    with pytest.raises(LongsurvError, match="not seen the site"):
        fit.predict(rows.assign(site=77), by_patient=True)


def test_predicted_responses_average_over_what_is_not_known(visits, fit):
    """A new patient of a new site: over both; of a known patient and site: over what is left."""
    sds = fit.variance_table().set_index("term")["estimate"]
    grid = np.arange(-8.0, 8.01, 0.05)
    weight = np.exp(-0.5 * grid**2) / np.exp(-0.5 * grid**2).sum()
    rows = visits.iloc[[0, 7]]
    link = fit.predict(rows)["estimate"].to_numpy()
    b = sds[OWN] * grid[:, None] + sds[SD] * grid
    expected = [float(weight @ expit(eta + b) @ weight) for eta in link]
    found = fit.predict(rows, type="response")["estimate"]
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    both = fit.predict(
        rows.assign(patient=[901, 902], site=77), by_patient=True, new_groups="population",
        type="response",
    )  # fmt: skip
    np.testing.assert_allclose(both["estimate"], expected, rtol=1e-8)
    known = fit.predict(rows, by_patient=True, type="response")["estimate"].to_numpy()
    moments = fit.predict(rows, by_patient=True)
    # About that of a normal predictor with the moments it has given the data.
    eta, effects = moments["estimate"].to_numpy(), fit.ranef().set_index(["grouping", "group"])
    where = rows["patient"].to_list(), rows["site"].to_list()
    var = [
        effects.loc[("patient", p), "std_error"] ** 2 + effects.loc[("site", s), "std_error"] ** 2
        for p, s in zip(*where, strict=True)
    ]
    normal = [float(weight @ expit(m + np.sqrt(v) * grid)) for m, v in zip(eta, var, strict=True)]
    np.testing.assert_allclose(known, normal, atol=0.01)


def test_what_else_is_asked_of_a_fit(visits, fit):
    values = fit.residuals()
    assert 0.8 < values["quantile"].std() < 1.2
    assert np.abs((values["residual"] + values["fitted"]) - visits["positive"]).max() < 1e-12
    assert fit.random_cov.loc[("site", "Intercept"), ("patient", "Intercept")] == 0.0
    drawn = fit.simulate(500, seed=2).to_numpy()
    # Rows of one site go together, of different patients too; those of different sites do not.
    sites, patients = visits["site"].to_numpy(), visits["patient"].to_numpy()
    one = drawn[(sites == 1) & (patients < 20)].mean(axis=0)
    same = np.corrcoef(one, drawn[(sites == 1) & (patients >= 20)].mean(axis=0))[0, 1]
    other = np.corrcoef(one, drawn[(sites == 2) & (patients >= 20)].mean(axis=0))[0, 1]
    assert same > 0.3 and abs(other) < 0.15
    low, high = fit.profile("treated").loc[0, ["conf_low", "conf_high"]]
    assert low < fit.params["treated"] < high
    without = model("bernoulli", visits, RIGHT.replace(" + (1 | site)", "")).fit()
    test = fit.variance_test().iloc[0]
    assert test["term"] == SD
    assert test["statistic"] == pytest.approx(2.0 * (fit.llf - without.llf), abs=1e-6)
    shares = fit.r2().set_index("term")["estimate"]
    assert 0.0 < shares["marginal"] < shares["conditional"] < 1.0


def test_proportional_odds_are_not_tested(visits):
    fit = GLMM(f"grade ~ {RIGHT}", visits, family="ordinal", nodes=3).fit()
    with pytest.raises(LongsurvError, match=r"without \(1 \| site\) to test"):
        fit.proportional_odds()


def test_no_variance_between_sites_is_a_boundary(visits):
    """Rows dealt out to sites by chance; the other estimates are those without sites."""
    shuffled = visits.assign(site=(7 * np.arange(len(visits)) + visits["patient"] ** 2) % 11)
    for seed in range(20):
        dealt = np.random.default_rng(seed).permutation(shuffled["site"])
        with_sites = model("poisson", shuffled.assign(site=dealt), nodes=5).fit()
        if with_sites.variance_table().set_index("term").loc[SD, "estimate"] == 0.0:
            break
    without = model("poisson", shuffled, RIGHT.replace(" + (1 | site)", ""), nodes=5).fit()
    assert any(flag.startswith(f"Boundary: {SD}") for flag in with_sites.flags)
    assert with_sites.params.to_dict() == pytest.approx(without.params.to_dict(), abs=1e-6)
    assert with_sites.llf == pytest.approx(without.llf, abs=1e-7)
    assert (with_sites.ranef().query("grouping == 'site'")["estimate"] == 0.0).all()


# ---- posteriors ----


@pytest.fixture(scope="module")
def posterior(visits):
    return model("poisson", visits, nodes=3).sample(draws=100, tune=150, chains=2, seed=4)


@pytest.mark.slow
def test_a_posterior_draws_the_effects_of_sites(visits, posterior):
    fit = model("poisson", visits, nodes=3).fit()
    assert "while the effects of site are drawn" in posterior.method
    drawn = posterior.samples["treated"]
    assert drawn.mean() == pytest.approx(fit.params["treated"], abs=0.8 * fit.bse["treated"])
    effects, by_fit = posterior.ranef(), fit.ranef()
    assert effects[["grouping", "group"]].equals(by_fit[["grouping", "group"]])
    assert np.corrcoef(effects["estimate"], by_fit["estimate"])[0, 1] > 0.98
    assert np.isfinite(posterior.predictive_checks(draws=5)["p_value"]).all()
    assert posterior.predictive(draws=4)["posterior_predictive"]["y"].shape[-1] == len(visits)


@pytest.mark.parametrize("family", RESPONSE)
def test_effects_are_drawn_in_units_that_suit_the_data(visits, family):
    """The density of these is that of the effects by another name, and its gradient its own."""
    from longsurv.likelihood import glmm

    spec = model(family, visits, nodes=5)
    stack = spec.prior_stack(None)
    found = sampling(spec.arrays, stack)
    assert found.sites is not None
    d, u = len(stack.names), found.begin + 0.1
    gradient = found.density(u)[1]
    numeric = [
        (found.density(u + e)[0] - found.density(u - e)[0]) / 2e-5 for e in 1e-5 * np.eye(len(u))
    ]
    np.testing.assert_allclose(gradient, numeric, atol=1e-6)

    def difference(u: np.ndarray) -> float:
        """From log p(data, theta, z) + log |dz/dw|."""
        theta, z = found.scaled.outward(u[:d]), found.sites.effects(u)
        whole = glmm.loglik_with_effects(spec.arrays, theta, z)[0]
        jacobian = [
            np.log((found.sites.effects(u + e) - z)[j] / e[d + j])
            for j, e in enumerate(1e-3 * np.eye(len(u))[d:])
        ]
        prior = stack.value_and_gradient(theta)[0]
        return found.density(u)[0] - whole - prior - float(np.sum(jacobian))

    again = u + 0.2 * np.cos(np.arange(len(u)))
    assert difference(again) == pytest.approx(difference(u), abs=1e-7)


@pytest.mark.slow
def test_what_loo_leaves_out_is_a_patient(visits, posterior):
    """Given the effects of the sites that were drawn."""
    units = posterior.idata["log_likelihood"]["y"]
    assert units.shape == (2, 100, 40)
    k = 17
    theta, z = posterior.draws.with_effects()[k]
    from longsurv.likelihood import glmm

    d = len(theta)
    whole = glmm.loglik_with_effects(posterior.data, theta, z)[0] + 0.5 * z @ z
    assert float(units.to_numpy().reshape(-1, 40)[k].sum()) == pytest.approx(whole, abs=1e-8)
    assert d == len(posterior.stack.names) and len(z) == 3


@pytest.mark.slow
def test_a_posterior_predicts_known_and_new(visits, posterior):
    rows = visits.iloc[[0, 7]]
    known = posterior.predict(rows, by_patient=True)
    new = posterior.predict(
        rows.assign(patient=[901, 902]), by_patient=True, new_groups="population"
    )
    nowhere = posterior.predict(
        rows.assign(patient=[901, 902], site=77), by_patient=True, new_groups="population"
    )
    assert (known["std_error"] < new["std_error"]).all()
    assert (new["std_error"] < nowhere["std_error"]).all()
    effects = posterior.ranef().set_index(["grouping", "group"])["estimate"]
    expected = [
        effects["patient", p] + effects["site", s]
        for p, s in zip(rows["patient"], rows["site"], strict=True)
    ]
    added = known["estimate"] - posterior.predict(rows)["estimate"]
    np.testing.assert_allclose(added, expected, atol=0.15)


@pytest.mark.slow
def test_the_density_is_the_twins(visits):
    """log p(y, theta, effects of sites), with patients' effects integrated out on a grid."""
    some = visits[visits["patient"].isin([1, 2, 5])]
    spec = model("bernoulli", some, "time + (1 | patient) + (1 | site)", nodes=41)
    twin, stack = spec.to_pymc(), spec.prior_stack(None)
    logp = twin.compile_logp(jacobian=False, mode="FAST_COMPILE")
    theta, z = np.array([0.3, -0.2, -0.1, 0.2]), np.array([0.4, -1.1, 0.7])
    values = stack.coordinates(theta)
    logged = [prior.positive for prior in stack.priors]
    point = {
        twin.rvs_to_values[twin[label]].name: np.log(values[j]) if logged[j] else values[j]
        for j, label in enumerate(stack.labels)
    }
    grid = np.arange(-7.0, 7.01, 0.3)
    z = z[: len(spec.design.outer[0].labels)]

    def at(own: np.ndarray) -> float:
        return float(logp({**point, "raw": own[:, None], "raw_1": z}))

    nothing = np.zeros(3)
    base = total = at(nothing)
    for i in range(3):
        each = np.array([at((np.arange(3) == i) * u) - base for u in grid])
        total += np.log(np.exp(each).sum() * 0.3)
    from longsurv.likelihood import glmm

    ours = glmm.loglik_with_effects(spec.arrays, theta, z)[0]
    ours += stack.value_and_gradient(theta)[0] - theta[logged].sum()
    ours -= 0.5 * len(z) * np.log(2.0 * np.pi)
    assert ours == pytest.approx(total, abs=1e-6)


# ---- what the data do not determine, and what is refused ----


def test_sites_within_which_nothing_changes(visits):
    constant = visits.assign(positive=(visits["site"] == 2).astype(int))
    with pytest.raises(EstimationError, match="no response changes within a site"):
        model("bernoulli", constant).fit()


def test_covariates_that_make_every_difference_between_sites(visits):
    right = "time + C(site) + (1 | patient) + (1 | site)"
    fit = model("bernoulli", visits, right, nodes=5).fit()
    assert np.isnan(fit.variance_table().set_index("term").loc[SD, "estimate"])
    assert any("values of site" in flag for flag in fit.flags)
    assert np.isfinite(fit.bse["time"])
    assert np.isnan(fit.bse.filter(like="site")).all()
    assert np.isnan(fit.ranef()["estimate"]).all()


def test_what_is_refused(visits):
    with pytest.raises(FormulaError, match="no slopes by it"):
        model("bernoulli", visits, "time + (1 | patient) + (time | site)").fit()
    more = visits.assign(region=visits["site"] % 2)
    with pytest.raises(FormulaError, match="takes two"):
        model("bernoulli", more, RIGHT + " + (1 | region)").fit()


@pytest.mark.parametrize("family", RESPONSE)
def test_names_and_order_make_no_difference(visits, family):
    fit = model(family, visits, nodes=5).fit()
    renamed = visits.assign(site=visits["site"].map({1: "c", 2: "a", 3: "b"}))
    renamed = renamed.sample(frac=1.0, random_state=3)
    again = model(family, renamed, nodes=5).fit()
    assert again.llf == pytest.approx(fit.llf, abs=1e-8)
    assert again.params.to_dict() == pytest.approx(fit.params.to_dict(), abs=1e-6)
    assert again.bse.to_dict() == pytest.approx(fit.bse.to_dict(), rel=1e-5)
