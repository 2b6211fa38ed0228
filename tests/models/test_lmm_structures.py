"""Independent blocks, nested groups and residual structures: against R, and against each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.design import Residual
from longsurv.errors import FormulaError, LongsurvError
from longsurv.inference import maximise
from longsurv.likelihood.lmm.dense.kernel import DenseKernel
from longsurv.likelihood.lmm.dense.loglik import Term, prepare
from longsurv.models import LMM
from longsurv.results.mixed.estimate import MixedEstimate

DAY = "y ~ day * arm"
SIX_DIGITS = {"rtol": 1e-6, "atol": 0.0}


@pytest.fixture(scope="module")
def data(table):
    visits = table("visits")
    arm = pd.Categorical(visits["arm"], ["control", "active"])
    sex = pd.Categorical(table("orthodont")["Sex"], ["Male", "Female"])
    occasion = pd.Categorical(visits["visit"])
    return {
        "visits": visits.assign(arm=arm, occasion=occasion),
        "orthodont": table("orthodont").assign(Sex=sex),
        "sites": table("sites"),
        "sleepstudy": table("sleepstudy"),
        "dyestuff2": table("dyestuff2"),
    }


def visits(kind, heterogeneous=None, formula=DAY, patient="patient"):
    visit = "day" if kind == "exponential" else "visit"
    return "visits", formula, Residual(kind, visit, patient, heterogeneous)


def orthodont(kind, heterogeneous=None, formula="distance ~ age * Sex"):
    visit = "age" if kind == "exponential" else "visit"
    return "orthodont", formula, Residual(kind, visit, "Subject", heterogeneous)


KINDS = ("cs", "ar1", "exponential", "toeplitz")
MODELS = (
    {f"visits_{kind}": visits(kind) for kind in (*KINDS, "unstructured")}
    | {f"visits_{kind}_het": visits(kind, True) for kind in ("independent", *KINDS)}
    | {
        "visits_intercept_exponential": visits("exponential", None, DAY + " + (1 | patient)"),
        "visits_intercept_ar1": visits("ar1", None, DAY + " + (1 | patient)"),
        "visits_intercept_het": visits("independent", True, DAY + " + (1 | patient)"),
        "mmrm_cs": visits("cs", None, "y ~ occasion * arm"),
        "mmrm_unstructured": visits("unstructured", None, "y ~ occasion * arm"),
    }
    | {f"orthodont_{kind}": orthodont(kind) for kind in (*KINDS, "unstructured")}
    | {
        "orthodont_cs_het": orthodont("cs", True),
        "orthodont_intercept_het": orthodont(
            "independent", True, "distance ~ age * Sex + (1 | Subject)"
        ),
    }
)
NESTED = {
    "sites_nested": "y ~ time * treated + (1 | site/id)",
    "sites_nested_slope": "y ~ time * treated + (1 | site) + (time | site:id)",
    "sleepstudy_uncorrelated": "Reaction ~ Days + (Days || Subject)",
}


@pytest.fixture(scope="module")
def fits(data):
    """Fits by reference name, method and degrees of freedom, each made once."""
    made: dict[tuple[str, ...], object] = {}

    def fit(name: str, method: str = "REML", df: str = "auto"):
        if (name, method, df) not in made:
            if name in NESTED:
                spec = LMM(NESTED[name], data[name.split("_")[0]])
            else:
                where, formula, residual = MODELS[name]
                spec = LMM(formula, data[where], residual)
            made[name, method, df] = spec.fit(method, df)
        return made[name, method, df]

    return fit


def in_order(reference: dict[str, float]) -> np.ndarray:
    """R lists the coefficients in our order."""
    return np.array(list(reference.values()))


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("name", MODELS)
def test_residual_structures(fits, r_results, name, method):
    fit = fits(name, method, "normal")

    def reference(quantity: str) -> np.ndarray:
        return in_order(r_results("lmm_residual", f"{name}_{method.lower()}", quantity))

    assert fit.converged and not fit.flags
    assert fit.llf == pytest.approx(reference("loglik")[0], rel=1e-9)
    np.testing.assert_allclose(fit.coefficients, reference("coef"), **SIX_DIGITS)
    np.testing.assert_allclose(fit.bse, reference("se"), **SIX_DIGITS)
    assert fit.n_params == len(fit.names) + reference("n_covariance")[0]


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("name", MODELS)
def test_variance_parameters(fits, r_results, name, method):
    """Every SD and correlation that R shows is in the variance table."""
    shown = r_results("lmm_residual", f"{name}_{method.lower()}", "covariance_parameter")
    table = fits(name, method, "normal").variance
    found = dict(zip(table.names, table.values, strict=True))
    levels = fits(name, method, "normal").design.residual.levels
    for term, expected in shown.items():
        if term == "range":
            continue
        if term == "sd":
            ours = "sigma"
        elif term == "sd patient":
            ours = next(n for n in found if n.startswith("sd("))
        elif term.startswith("sd visit"):
            ours = f"sigma({levels[int(term.split()[-1]) - 1]})"
        elif term.startswith("rho lag"):
            ours = f"cor(lag {term.split()[-1]})"
        elif "|" in term:
            i, j = (int(v) - 1 for v in term.removeprefix("rho ").split(" | "))
            ours = f"cor({levels[i]},{levels[j]})"
        else:
            ours = "rho"
        assert found[ours] == pytest.approx(expected, rel=2e-6, abs=1e-7), term
    assert np.isfinite(table.std_error).all()


@pytest.mark.parametrize("name", MODELS)
def test_satterthwaite(fits, r_results, name):
    fit = fits(name, "REML", "satterthwaite")
    expected = in_order(r_results("lmm_residual", f"{name}_reml", "satterthwaite_df"))
    # The README of the references says where their own derivatives give five digits.
    digits = 1e-5 if "intercept" in name else 1e-6
    np.testing.assert_allclose(fit.tidy()["df"], expected, rtol=digits)


@pytest.mark.parametrize(
    ("name", "form", "df"),
    [
        ("visits_ar1", "kr", "kenward-roger"),
        ("visits_exponential", "kr", "kenward-roger"),
        ("visits_unstructured", "kr", "kenward-roger"),
        ("mmrm_unstructured", "kr", "kenward-roger"),
        # Linear in variance and covariance, as SAS takes it: second derivatives are zero.
        ("visits_cs", "kr_linear", "kenward-roger"),
        ("mmrm_cs", "kr_linear", "kenward-roger"),
        ("visits_ar1", "kr_linear", "kenward-roger-linear"),
        ("visits_exponential", "kr_linear", "kenward-roger-linear"),
    ],
)
def test_kenward_roger(fits, r_results, name, form, df):
    fit = fits(name, "REML", df)

    def reference(quantity: str) -> dict[str, float]:
        return r_results("lmm_residual", f"{name}_reml", f"{form}_{quantity}")

    table = fit.tidy()
    np.testing.assert_allclose(table["std_error"], in_order(reference("se")), **SIX_DIGITS)
    np.testing.assert_allclose(table["df"], in_order(reference("df")), **SIX_DIGITS)
    np.testing.assert_allclose(table["p_value"], in_order(reference("p")), rtol=2e-5)
    joint = pd.DataFrame(np.eye(len(fit.names)), columns=list(fit.names), index=list(fit.names))
    test = fit.test(joint.loc[[":" in name for name in fit.names]])
    assert test["statistic"][0] == pytest.approx(reference("joint_f")["interaction"], rel=1e-6)
    assert test["df_den"][0] == pytest.approx(reference("joint_df")["interaction"], rel=1e-6)


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("name", NESTED)
def test_nested_and_uncorrelated(fits, r_results, name, method):
    fit = fits(name, method, "normal")

    def reference(quantity: str) -> dict[str, float]:
        return r_results("lmm_basic", f"{name}_{method.lower()}", quantity)

    assert fit.converged
    assert fit.llf == pytest.approx(reference("loglik")[""], rel=1e-9)
    np.testing.assert_allclose(fit.coefficients, in_order(reference("coef")), **SIX_DIGITS)
    np.testing.assert_allclose(fit.bse, in_order(reference("se")), **SIX_DIGITS)
    assert fit.aic == pytest.approx(reference("aic")[""], rel=1e-8)
    found = dict(zip(fit.variance.names, fit.variance.values, strict=True))
    for term, expected in reference("sd").items():
        if term == "residual":
            assert found["sigma"] == pytest.approx(expected, rel=1e-6)
            continue
        group, _, effect = term.rpartition(".")
        group = {"id:site": "site:id", "": "Subject"}.get(group, group)
        ours = f"sd({effect.replace('(Intercept)', 'Intercept')}|{group})"
        assert found[ours] == pytest.approx(expected, rel=2e-6)


def test_a_correlation_on_the_boundary_is_flagged(fits):
    fit = fits("sites_nested_slope")
    found = dict(zip(fit.variance.names, fit.variance.values, strict=True))
    assert found["cor(Intercept,time|site:id)"] == pytest.approx(-1.0)
    assert fit.optimum.at_boundary and any("is estimated as -1" in flag for flag in fit.flags)
    known = dict(zip(fit.variance.names, np.isfinite(fit.variance.std_error), strict=True))
    assert known["sigma"] and known["sd(Intercept|site)"]
    assert not known["sd(time|site:id)"] and not known["cor(Intercept,time|site:id)"]


def test_a_site_without_variance(data):
    """Dyestuff2's batches as sites of patients that differ: the sites' variance is exactly 0."""
    rows = data["dyestuff2"].assign(
        id=np.tile(np.repeat(np.arange(3), 2)[:5], 6), t=np.tile([0.0, 1.0, 0.0, 1.0, 0.0], 6)
    )
    fit = LMM("Yield ~ t + (1 | Batch/id)", rows).fit()
    found = dict(zip(fit.variance.names, fit.variance.values, strict=True))
    assert found["sd(Intercept|Batch)"] == 0.0 and fit.converged
    assert any("between Batch is estimated as exactly 0" in flag for flag in fit.flags)
    assert np.isfinite(fit.tidy()["df"]).all()
    pair = rows["Batch"] + rows["id"].astype(str)
    without = LMM("Yield ~ t + (1 | pair)", rows.assign(pair=pair)).fit()
    assert fit.llf == pytest.approx(without.llf, rel=1e-9)
    np.testing.assert_allclose(fit.coefficients, without.coefficients, rtol=1e-7)


def test_no_correlation_between_visits_is_a_flagged_boundary():
    """Residuals that alternate in sign: the exponential structure can only say rho = 0."""
    rng = np.random.default_rng(3)
    t = np.tile(np.arange(6.0), 20)
    y = np.where(t % 2, 1.0, -1.0) * np.repeat(rng.normal(size=20), 6) + rng.normal(size=120)
    rows = pd.DataFrame({"y": y, "t": t, "id": np.repeat(np.arange(20), 6)})
    fit = LMM("y ~ t", rows, Residual("exponential", "t", "id")).fit("ML")
    assert fit.converged and any(flag.startswith("Boundary: rho") for flag in fit.flags)
    r = y - np.column_stack([np.ones(120), t]) @ fit.coefficients
    independent = -60.0 * (np.log(2 * np.pi * np.mean(r**2)) + 1.0)
    assert fit.llf == pytest.approx(independent, rel=1e-6)


@pytest.mark.parametrize("df", ["kenward-roger", "satterthwaite"])
@pytest.mark.parametrize("random", ["(1 | patient)", "(day | patient)", "(day || patient)"])
def test_the_dense_path_is_the_fast_one(data, random, df):
    """Where both apply they agree in everything, standard errors of the variances included."""
    spec = LMM(f"{DAY} + {random}", data["visits"])
    fast, d = spec.fit(df=df), spec.design
    pairs = Residual().design(data["visits"], d.group)
    terms = [Term(d.Z, d.group, d.random.blocks)]
    kernel = DenseKernel(
        prepare(d.fixed.X, d.y, d.group, terms, pairs.structure, pairs.order, pairs.kind)
    )
    optimum = maximise(lambda x: kernel.criterion(x, True), kernel.starts[2], lower=kernel.lower)
    dense = MixedEstimate.at(spec, kernel, optimum, "REML", df)
    assert dense.llf == pytest.approx(fast.llf, abs=1e-9)
    one, two = fast.tidy(component="all"), dense.tidy(component="all")
    assert list(one["term"]) == list(two["term"])
    for column in ("estimate", "std_error", "df", "p_value"):
        np.testing.assert_allclose(one[column], two[column], rtol=2e-5, err_msg=column)
    test = np.eye(4)[2:]
    np.testing.assert_allclose(
        fast.reference.f_test(fast.coefficients, test),
        dense.reference.f_test(dense.coefficients, test),
        rtol=1e-5,
    )
    mine = dense.ranef()["estimate"].to_numpy()
    np.testing.assert_allclose(fast.ranef()["estimate"], mine, rtol=1e-4, atol=1e-6)
    a, b = (fit.predict(by_patient=True) for fit in (fast, dense))
    np.testing.assert_allclose(a["std_error"], b["std_error"], rtol=1e-5)


def test_positive_compound_symmetry_is_a_random_intercept(data):
    """One model, two kernels, two parametrisations: even Kenward-Roger agrees."""
    rows = data["visits"]
    a = LMM("y ~ day * arm + (1 | patient)", rows).fit()
    b = LMM("y ~ day * arm", rows, Residual("cs", patient="patient")).fit()
    assert a.llf == pytest.approx(b.llf, abs=1e-9)
    one, two = a.tidy(), b.tidy()
    for column in ("estimate", "std_error", "df", "p_value"):
        np.testing.assert_allclose(one[column], two[column], rtol=1e-6)
    sigma, tau = a.variance.values
    total, rho = b.variance.values
    assert total**2 == pytest.approx(sigma**2 + tau**2, rel=1e-6)
    assert rho == pytest.approx(tau**2 / total**2, rel=1e-6)
    c = LMM("y ~ day * arm", rows, Residual("cs", "visit", "patient")).fit()
    assert c.llf == pytest.approx(b.llf, abs=1e-9)


def test_predictions(fits, data):
    fit = fits("sites_nested")
    rows = data["sites"]
    marginal, own = fit.predict(), fit.predict(by_patient=True)
    effects = fit.ranef().set_index(["grouping", "group"])["estimate"]
    added = [
        effects["site:id", f"{s}:{i}"] + effects["site", s]
        for s, i in zip(rows["site"], rows["id"], strict=True)
    ]
    np.testing.assert_allclose(own["estimate"] - marginal["estimate"], added, atol=1e-10)
    np.testing.assert_allclose(fit.predict(rows, by_patient=True)["estimate"], own["estimate"])
    stranger = rows.iloc[[0]].assign(id="nobody")
    with pytest.raises(LongsurvError, match="has not seen the site:id"):
        fit.predict(stranger, by_patient=True)
    new = fit.predict(stranger, by_patient=True, new_groups="population").iloc[0]
    known_site = marginal["estimate"].iloc[0] + effects["site", rows["site"].iloc[0]]
    assert new["estimate"] == pytest.approx(known_site)
    assert new["std_error"] > own["std_error"].iloc[0]


def test_what_needs_random_effects_says_so(fits):
    fit = fits("mmrm_unstructured")
    for call in (fit.ranef, lambda: fit.predict(by_patient=True)):
        with pytest.raises(LongsurvError, match="no random effects"):
            call()
    assert len(fit.means("arm").tidy()) == 2


def test_visit_covariance(fits):
    fit = fits("visits_unstructured")
    S = fit.visit_cov.to_numpy()
    np.testing.assert_allclose(np.sqrt(np.diag(S)), fit.variance.values[:5])
    assert S[1, 0] / np.sqrt(S[0, 0] * S[1, 1]) == pytest.approx(fit.variance.values[5])


def test_random_covariance(fits):
    D = fits("sites_nested_slope").random_cov
    assert D.loc[("site:id", "time"), ("site", "Intercept")] == 0.0
    assert D.loc[("site", "Intercept"), ("site", "Intercept")] > 0.0


def test_large_clusters_get_normal_tests(fits, data, monkeypatch):
    from longsurv.results.mixed import estimate

    monkeypatch.setattr(estimate, "LARGEST_CLUSTER", 10)
    spec = LMM(NESTED["sites_nested"], data["sites"])
    fit = spec.fit()
    assert np.isinf(fit.tidy()["df"]).all() and any("too large" in flag for flag in fit.flags)
    exact = fits("sites_nested", "REML", "normal")
    np.testing.assert_allclose(fit.bse, exact.bse, rtol=1e-9)
    with pytest.raises(LongsurvError, match="df='normal'"):
        spec.fit(df="kenward-roger")


def test_statistics_are_the_fast_kernel_s_only(data):
    with pytest.raises(LongsurvError, match="several groupings"):
        _ = LMM(NESTED["sites_nested"], data["sites"]).statistics
    with pytest.raises(FormulaError, match="no random term"):
        _ = LMM("y ~ time", data["sites"]).design


class TestBayes:
    def test_uncorrelated_effects(self, data):
        """The posterior of (t || id) has the correlated model's kernel with z = 0 behind it."""
        spec = LMM(NESTED["sleepstudy_uncorrelated"], data["sleepstudy"])
        post = spec.sample(draws=500, seed=3, chains=2)
        assert post.draws.theta.shape[-1] == 6 and not post.draws.theta[..., -1].any()
        assert list(post.samples)[2:] == ["sigma", "sd(Intercept|Subject)", "sd(Days|Subject)"]
        fit = spec.fit()
        table = post.tidy().set_index("term")
        assert (np.abs(table["estimate"] - fit.params) < 0.3 * fit.bse).all()
        np.testing.assert_allclose(table["std_error"], fit.bse, rtol=0.25)
        assert post.ranef().shape == (36, 6)
        log_lik = post.idata["log_likelihood"]["y"].to_numpy()[0, 0]
        from longsurv.likelihood import lmm

        expected = lmm.loglik(spec.statistics, post.draws.theta[0, 0])[0]
        assert log_lik.sum() == pytest.approx(expected, rel=1e-10)

    @pytest.mark.parametrize("kind", ["cs", "ar1", "exponential", "toeplitz", "independent"])
    def test_the_twin_has_the_same_density(self, data, kind):
        """Without random effects the PyMC model is marginal too: densities differ by a constant."""
        heterogeneous = kind in ("independent", "cs")
        where, formula, residual = visits(kind, heterogeneous)
        spec = LMM(formula, data[where], residual)
        stack, model = spec.prior_stack(None), spec.to_pymc()
        logp = model.compile_logp(mode="FAST_COMPILE")

        def ours(theta):
            return spec.kernel.loglik(theta)[0] + stack.value_and_gradient(theta)[0]

        def theirs(theta):
            point = {}
            for name, value in zip(stack.labels, stack.coordinates(theta), strict=True):
                variable = model.rvs_to_values[model[name]].name
                point[variable] = np.array(np.log(value) if "log__" in variable else value)
            return float(logp(point))

        rng = np.random.default_rng(1)
        middle = np.r_[10.0, -0.2, -0.3, 0.0, np.zeros(len(stack.names) - 4)]
        points = [middle + 0.2 * rng.normal(size=len(middle)) for _ in range(3)]
        gap = [theirs(theta) - ours(theta) for theta in points]
        np.testing.assert_allclose(gap, gap[0], atol=1e-8)

    def test_a_structured_posterior(self, data):
        spec = LMM(DAY, data["visits"], Residual("ar1", "visit", "patient"))
        post, fit = spec.sample(draws=500, seed=2, chains=2), spec.fit()
        table = post.tidy(component="all").set_index("term")
        assert (np.abs(table["estimate"][:4] - fit.params) < 0.3 * fit.bse).all()
        assert abs(table["estimate"]["rho"] - fit.variance.values[1]) < 0.05
        assert np.isfinite(post.loo().elpd)
        assert list(post.predict())[-4:] == ["estimate", "std_error", "conf_low", "conf_high"]
        with pytest.raises(LongsurvError, match="no random effects"):
            post.predict(by_patient=True)

    def test_nested_posteriors(self, data):
        spec = LMM(NESTED["sites_nested"], data["sites"])
        post = spec.sample(draws=300, seed=4, chains=2)
        assert post.idata["log_likelihood"]["y"].shape == (2, 300, 8)
        assert {"sd(Intercept|site:id)", "sd(Intercept|site)"} <= set(post.samples)
        assert {"b_0", "b_1"} <= set(spec.to_pymc().named_vars)

    def test_an_unstructured_prior_has_its_own_correlation(self, data):
        spec = LMM(DAY + " + (day | patient)", *(data["visits"], Residual("unstructured", "visit")))
        stack = spec.prior_stack(None)
        assert stack.blocks == (2, 5)
        kernel = spec.kernel
        assert len(stack.names) + 1 + 10 == kernel.data.p + 1 + 3 + kernel.data.structure.size
