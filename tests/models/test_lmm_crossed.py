"""Several groupings, crossed and nested: against lme4, pbkrtest and lmerTest, and each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import longsurv as ls
from longsurv.design import Residual, mixed_design
from longsurv.errors import DataError, LongsurvError
from longsurv.likelihood.lmm.crossed.kernel import CrossedKernel
from longsurv.likelihood.lmm.dense.kernel import DenseKernel
from longsurv.models import LMM

SIX_DIGITS = {"rtol": 1e-6, "atol": 0.0}
MODELS = {
    "penicillin": "diameter ~ 1 + (1 | plate) + (1 | sample)",
    "pastes": "strength ~ 1 + (1 | batch/cask)",
    "pastes_sample": "strength ~ 1 + (1 | sample) + (1 | batch)",
    "raters": "y ~ treated + dose + (1 | patient) + (1 | rater)",
    "raters_slope": "y ~ treated * dose + (dose | patient) + (1 | rater)",
    "raters_two_slopes": "y ~ treated * dose + (1 | patient) + (1 | rater) + (0 + treated | rater)",
}
JOINT = {
    "raters": ("both", ["treated", "dose"]),
    "raters_slope": ("dose", ["dose", "treated:dose"]),
}
GROUPS = {"cask:batch": "batch:cask"}


@pytest.fixture(scope="module")
def fits(table):
    """Fits by reference name, method and degrees of freedom, each made once."""
    made: dict[tuple[str, ...], object] = {}

    def fit(name: str, method: str = "REML", df: str = "auto"):
        if (name, method, df) not in made:
            made[name, method, df] = LMM(MODELS[name], table(name.split("_")[0])).fit(method, df)
        return made[name, method, df]

    return fit


@pytest.mark.parametrize("name", MODELS)
class TestAgainstR:
    def test_estimates(self, fits, r_results, name):
        fit = fits(name)

        def r(quantity: str) -> np.ndarray:
            return np.array(list(r_results("lmm_crossed", name, quantity).values()))

        assert fit.converged
        assert -2.0 * fit.llf == pytest.approx(r("reml_criterion")[0], abs=1e-7)
        np.testing.assert_allclose(fit.coefficients, r("coef"), **SIX_DIGITS)
        np.testing.assert_allclose(fits(name, "REML", "normal").bse, r("se"), **SIX_DIGITS)
        assert fit.sigma == pytest.approx(r("sigma")[0], rel=1e-7)
        ml = fits(name, "ML")
        assert ml.llf == pytest.approx(r("ml_loglik")[0], abs=1e-7)
        np.testing.assert_allclose(ml.coefficients, r("ml_coef"), **SIX_DIGITS)
        assert ml.sigma == pytest.approx(r("ml_sigma")[0], rel=1e-7)

    def test_variances(self, fits, r_results, name):
        """theta is lme4's: an SD over sigma, or an element of the factor of two."""
        fit = fits(name)
        found = dict(zip(fit.variance.names, fit.variance.values, strict=True))
        theta = r_results("lmm_crossed", name, "theta")
        for term, value in theta.items():
            group, _, effect = term.partition(".")
            group, effect = GROUPS.get(group, group), effect.replace("(Intercept)", "Intercept")
            if name == "raters_slope" and group == "patient":
                continue
            # lme4 numbers the second random term of a grouping: rater.1
            sd = found[f"sd({effect.removeprefix('1.')}|{group})"]
            assert sd / fit.sigma == pytest.approx(value, rel=2e-6)
        if name == "raters_slope":
            first, mixed, second = (
                theta[f"patient.{x}"] for x in ("(Intercept)", "dose.(Intercept)", "dose")
            )
            assert found["sd(dose|patient)"] / fit.sigma == pytest.approx(
                np.hypot(mixed, second), rel=2e-6
            )
            assert found["sd(Intercept|patient)"] / fit.sigma == pytest.approx(first, rel=2e-6)
            assert found["cor(Intercept,dose|patient)"] == pytest.approx(
                mixed / np.hypot(mixed, second), rel=1e-5
            )

    def test_kenward_roger(self, fits, r_results, name):
        fit = fits(name)
        shown = fit.tidy()
        rows = shown[shown["term"].isin(fit.names)]
        for column, quantity in (("std_error", "kr_se"), ("df", "kr_df")):
            expected = list(r_results("lmm_crossed", name, quantity).values())
            np.testing.assert_allclose(rows[column], expected, **SIX_DIGITS)
        p = list(r_results("lmm_crossed", name, "kr_p").values())
        np.testing.assert_allclose(rows["p_value"], p, rtol=2e-5, atol=1e-12)
        if name in JOINT:
            label, terms = JOINT[name]
            L = pd.DataFrame(np.eye(len(fit.names)), columns=fit.names, index=fit.names).loc[terms]
            test = fit.test(L).iloc[0]
            for column, quantity in (("statistic", "Fstat"), ("df_den", "ddf")):
                expected = r_results("lmm_crossed", name, f"kr_joint_{quantity}")[label]
                assert test[column] == pytest.approx(expected, rel=1e-6)

    def test_satterthwaite(self, fits, r_results, name):
        shown = fits(name, "REML", "satterthwaite").tidy()
        expected = r_results("lmm_crossed", name, "satterthwaite_df")
        rows = shown[shown["term"].isin(fits(name).names)]
        np.testing.assert_allclose(rows["df"], list(expected.values()), rtol=1e-6)

    def test_random_effects(self, fits, r_results, name):
        fit = fits(name)
        found = fit.ranef().set_index(["grouping", "group", "effect"])
        for grouping in fit.design.groupings:
            in_r = {v: k for k, v in GROUPS.items()}.get(grouping.name, grouping.name)
            expected = r_results("lmm_crossed", name, f"blup {in_r}")
            assert len(expected) == len(grouping.labels) * len(grouping.random.names)
            for term, value in expected.items():
                group, effect = term.split(" | ")
                if in_r != grouping.name:
                    group = ":".join(reversed(group.split(":")))
                label = int(group) if grouping.name == "patient" else group
                at = (grouping.name, label, effect.replace("(Intercept)", "Intercept"))
                assert found.loc[at, "estimate"] == pytest.approx(value, rel=2e-6, abs=1e-7)
            if len(grouping.random.parts) > 1:  # lme4 has them in another form
                continue
            for effect in grouping.random.names:
                label = effect.replace("Intercept", "(Intercept)")
                known = r_results("lmm_crossed", name, f"blup_cov {in_r} {label} | {label}")
                mine = found.xs((grouping.name, effect), level=["grouping", "effect"])
                expected = np.sort(np.sqrt(list(known.values())))
                np.testing.assert_allclose(np.sort(mine["std_error"]), expected, rtol=2e-6)

    def test_fitted_values(self, fits, r_results, name):
        expected = list(r_results("lmm_crossed", name, "fitted").values())
        found = fits(name).predict(by_patient=True)["estimate"]
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_order_of_the_random_terms_does_not_matter(table, fits):
    other = "y ~ treated * dose + (1 | rater) + (dose | patient)"
    a, b = fits("raters_slope"), LMM(other, table("raters")).fit()
    assert a.variance.names == b.variance.names
    np.testing.assert_allclose(a.coefficients, b.coefficients, rtol=1e-10)


@pytest.mark.parametrize("rows", [0, 500], ids=["by sums", "written out"])
def test_nested_groups_are_the_same_by_both_kernels(table, monkeypatch, rows):
    """Clusters row by row, and sums over patients."""
    monkeypatch.setattr("longsurv.likelihood.lmm.crossed.curvature.DENSE", rows)
    by_row = LMM("y ~ time * treated + (time | site/id)", table("sites"))
    by_sums = by_row.with_design(replace(by_row.design, row_pairs=None))
    assert isinstance(by_sums.kernel, CrossedKernel) and isinstance(by_row.kernel, DenseKernel)
    a, b = by_sums.fit(), by_row.fit()
    assert a.llf == pytest.approx(b.llf, rel=1e-10)
    pd.testing.assert_frame_equal(a.tidy(), b.tidy(), rtol=1e-5)
    pd.testing.assert_frame_equal(a.ranef(), b.ranef(), rtol=1e-5, atol=1e-8)


def test_large_clusters_are_summed_unless_there_are_very_many():
    def kernel(sites: int, patients: int, visits: int) -> object:
        n = sites * patients * visits
        row = np.arange(n)
        frame = pd.DataFrame({"id": row // visits, "site": row // (visits * patients)})
        frame["y"] = np.random.default_rng(1).normal(size=n)
        return LMM("y ~ 1 + (1 | site/id)", frame).kernel

    assert isinstance(kernel(2, 100, 6), CrossedKernel)
    assert isinstance(kernel(2, 100, 5), DenseKernel)
    assert isinstance(kernel(1001, 2, 2), DenseKernel)


def test_crossing_is_said(fits):
    flags = fits("raters").flags
    assert flags == (
        "Crossed groupings, whose effects are added: 30 of 30 values of patient are found with "
        "several values of rater. If one label stands for different patients, write the nesting "
        "out, as in (1 | site/id).",
    )
    assert not fits("pastes").flags and not fits("pastes_sample").flags
    assert "Crossed" in repr(fits("raters"))


class TestWhatCannotBeFitted:
    def test_correlated_residuals(self, table):
        rows = table("raters").assign(visit=lambda d: d.groupby("patient").cumcount())
        spec = LMM(MODELS["raters"], rows, Residual("ar1", "visit", "patient"))
        with pytest.raises(DataError, match="patient 1 belongs to several values of rater"):
            spec.fit()

    def test_too_many_effects(self):
        rng = np.random.default_rng(1)
        n = 30_000
        frame = pd.DataFrame({"a": rng.integers(0, 6000, n), "b": rng.integers(0, 3500, n)})
        with pytest.raises(DataError, match="3000 are the most"):
            mixed_design("y ~ 1 + (1 | a) + (1 | b)", frame.assign(y=1.0), structured=True)

    def test_questions_that_need_one_large_matrix(self):
        rng = np.random.default_rng(1)
        n = 7000
        frame = pd.DataFrame({"a": rng.integers(0, 300, n), "b": rng.integers(0, 5, n)})
        frame["y"] = rng.normal(size=n) + rng.normal(size=300)[frame["a"]]
        fit = LMM("y ~ 1 + (1 | a) + (1 | b)", frame).fit()
        assert 0.3 < fit.r2()["estimate"][1] < 0.7
        with pytest.raises(LongsurvError, match="7000 rows depend on one another"):
            fit.residuals()


class TestQuestions:
    """What every mixed model answers, of crossed groups too."""

    def test_predictions_for_new_groups(self, fits):
        fit = fits("raters_slope")
        new = pd.DataFrame(
            {"treated": 1, "dose": 1.0, "patient": [1, 1, 99], "rater": ["r1", "x", "x"]}
        )
        with pytest.raises(LongsurvError, match="not seen"):
            fit.predict(new, by_patient=True)
        found = fit.predict(new, by_patient=True, new_groups="population")
        assert found["std_error"].is_monotonic_increasing
        # Nobody known: the mean of the population.
        assert found["estimate"][2] == pytest.approx(fit.predict(new)["estimate"][2])

    def test_profile_influence_and_bootstrap(self, fits):
        fit = fits("raters")
        profile = fit.profile("treated").iloc[0]
        ml = fits("raters", "ML")
        shown = ml.tidy().set_index("term").loc["treated"]
        assert profile["estimate"] == pytest.approx(shown["estimate"])
        assert profile["conf_low"] == pytest.approx(shown["conf_low"], abs=0.1)
        assert len(fit.influence(by="rater").patients) == 8
        draws = fit.bootstrap(replicates=20, seed=1).draws
        assert draws["treated"].std() == pytest.approx(fit.bse["treated"], rel=0.5)

    def test_scaled_residuals_are_uncorrelated_with_unit_variance(self, fits):
        scaled = fits("raters_slope").residuals()["scaled"]
        assert scaled.var() == pytest.approx(1.0, abs=0.03) and abs(scaled.mean()) < 0.2

    def test_likelihood_ratio_of_a_grouping(self, table, fits):
        smaller = LMM("y ~ treated + dose + (1 | patient)", table("raters")).fit("ML")
        found = ls.lrt(smaller, fits("raters", "ML"))
        assert found.iloc[-1]["p_value"] < 0.001


@pytest.fixture(scope="module")
def posterior(table):
    return LMM(MODELS["raters"], table("raters")).sample(draws=1200, chains=2, seed=2)


class TestPosterior:
    def test_it_agrees_with_the_estimate(self, posterior, fits):
        assert posterior.diagnose().ok
        table = ls.compare(fits("raters"), posterior)
        assert {"treated", "dose", "sd(Intercept|rater)"} <= set(table["term"])
        shown = posterior.tidy().set_index("term")
        for term, row in fits("raters").tidy().set_index("term").iterrows():
            if term in fits("raters").names:
                assert abs(shown.loc[term, "estimate"] - row["estimate"]) < 0.3 * row["std_error"]

    def test_left_out_are_patients(self, posterior):
        """Importance sampling against what each patient's rows say given all others."""
        loo = posterior.loo()
        assert loo.n_data_points == 30
        assert posterior.idata["log_likelihood"]["y"].shape[-1] == 1  # for power-scaling: the sum
        theta = posterior.draws.flat[0]
        total = float(posterior.idata["log_likelihood"]["y"].values.reshape(-1)[0])
        assert total == pytest.approx(posterior.kernel.loglik(theta)[0])
        assert posterior.prior_sensitivity() is not None

    def test_random_effects_and_predictions(self, posterior, fits):
        a, b = posterior.ranef(), fits("raters").ranef()
        np.testing.assert_allclose(a["estimate"], b["estimate"], atol=0.12)
        own, fitted = (x.predict(by_patient=True)["estimate"] for x in (posterior, fits("raters")))
        np.testing.assert_allclose(own, fitted, atol=0.2)


def test_density_is_the_twin_s_integrated():
    """log p(y, theta) against PyMC's with all random effects integrated out: it is quadratic in
    them."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {"id": np.repeat(np.arange(5), 4), "rater": np.tile(["a", "b", "c", "d"], 5)[:20]}
    ).iloc[[0, 1, 3, 5, 6, 8, 9, 10, 13, 14, 16, 18, 19]]
    frame["t"] = rng.uniform(0, 3, len(frame))
    frame["y"] = 2 + frame["t"] + rng.normal(size=len(frame))
    spec = LMM("y ~ t + (t | id) + (1 | rater)", frame)
    model, stack = spec.to_pymc(), spec.prior_stack(None)
    logp = model.compile_logp(jacobian=False, mode="FAST_COMPILE")
    raws = [model["raw_0"], model["raw_1"]]
    slope = model.compile_dlogp(vars=raws, jacobian=False, mode="FAST_COMPILE")
    for _ in range(2):
        theta = 0.7 * rng.normal(size=len(stack.names) + 1)
        of = theta.copy()
        of[:2] = stack.basis @ theta[:2]
        point = {
            model.rvs_to_values[model[label]].name: np.array(of[j])
            for j, label in enumerate(stack.labels)
        }
        r = np.tanh(theta[-1])
        jacobian = theta[2 : len(stack.names)].sum() + np.log(1 - r * r)
        value = model.rvs_to_values[model["correlation_cholesky_0"]].name
        point[value] = np.array([r / np.sqrt(1 - r * r)])

        def at(raw: np.ndarray, point: dict = point) -> dict:
            return {**point, "raw_0": raw[:10].reshape(5, 2), "raw_1": raw[10:].reshape(4, 1)}

        def gradient(raw: np.ndarray) -> np.ndarray:
            return np.asarray(slope(at(raw))).ravel()

        zero = gradient(np.zeros(14))
        H = np.array([gradient(e) - zero for e in np.eye(14)])
        mode = -np.linalg.solve(H, zero)
        expected = float(logp(at(mode))) + 7 * np.log(2 * np.pi)
        expected -= 0.5 * np.linalg.slogdet(-H)[1]
        ours = spec.sampled.loglik(theta)[0] + stack.value_and_gradient(theta)[0] - jacobian
        assert ours == pytest.approx(expected, abs=1e-6)
