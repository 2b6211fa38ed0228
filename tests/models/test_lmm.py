"""The mixed model through its public names, against R's lme4 and dense computations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.errors import DataError, FormulaError, LongsurvError
from longsurv.likelihood import lmm
from longsurv.models import LMM
from longsurv.priors import Normal

MODELS = [
    "sleepstudy", "sleepstudy_intercept", "sleepstudy_slope_only", "gaps", "dyestuff", "dyestuff2",
    "pbc", "pbc_intercept",
]  # fmt: skip


def ours(name: str) -> str:
    """R's name of a coefficient or random effect, as longsurv writes it."""
    return name.replace("(Intercept)", "Intercept").replace(
        "drugD-penicil", "drug[T.D-penicillamine]"
    )


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("name", MODELS)
class TestAgainstR:
    def both(self, fits, r_results, name, method):
        fit = fits(name, method, "normal")
        return fit, lambda quantity: {
            ours(k): v
            for k, v in r_results("lmm_basic", f"{name}_{method.lower()}", quantity).items()
        }

    def test_coefficients(self, fits, r_results, name, method):
        fit, r = self.both(fits, r_results, name, method)
        coef, se = r("coef"), r("se")
        assert set(fit.names) == set(coef)
        for term in coef:
            # to within a hundred-thousandth of a standard error
            assert fit.params[term] == pytest.approx(coef[term], rel=1e-5, abs=1e-5 * se[term])
            assert fit.bse[term] == pytest.approx(se[term], rel=1e-5)
        for pair, value in r("vcov").items():
            a, b = pair.split(" | ")
            assert fit.cov_params().loc[a, b] == pytest.approx(
                value, rel=1e-4, abs=1e-5 * se[a] * se[b]
            )

    def test_criterion(self, fits, r_results, name, method):
        fit, r = self.both(fits, r_results, name, method)
        criterion = r("reml_criterion" if method == "REML" else "deviance")[""]
        assert -2 * fit.llf == pytest.approx(criterion, abs=1e-6)
        assert fit.aic == pytest.approx(r("aic")[""], abs=1e-6)
        assert fit.bic == pytest.approx(r("bic")[""], abs=1e-6)
        assert fit.nobs == r("nobs")[""] and fit.n_params == r("df_model")[""]
        assert fit.converged and fit.diagnose().ok

    def test_variances(self, fits, r_results, name, method):
        fit, r = self.both(fits, r_results, name, method)
        found = fit.tidy(component="variance").set_index("term")["estimate"]
        group = fit.design.group_name
        for effect, value in r("sd").items():
            term = "sigma" if effect == "residual" else f"sd({effect}|{group})"
            assert found[term] == pytest.approx(value, rel=1e-5)
        if len(fit.design.random.names) > 1:
            ((pair, value),) = r("correlation").items()
            assert found[f"cor({pair.replace(' | ', ',')}|{group})"] == pytest.approx(
                value, abs=1e-5
            )
            assert fit.random_cov.iloc[0, 1] == pytest.approx(r("covariance")[pair], rel=1e-4)


def test_published_figures(fits):
    """The project's table of reference numbers."""
    fit = fits("sleepstudy", "REML", "normal")
    np.testing.assert_allclose(fit.params, [251.405, 10.467], rtol=1e-5, atol=5e-4)
    np.testing.assert_allclose(fit.bse, [6.825, 1.546], atol=6e-4)
    assert -2 * fit.llf == pytest.approx(1743.6283, abs=1e-4)
    variances = fit.tidy(component="variance")["estimate"]
    np.testing.assert_allclose(variances, [25.592, 24.741, 5.922, 0.066], atol=6e-4)
    assert float(fit.test("Days")["statistic"].iloc[0]) == pytest.approx(45.853, abs=1e-3)
    pbc = fits("pbc", "REML", "normal")
    np.testing.assert_allclose(
        pbc.params[["Intercept", "year", ours("drugD-penicil"), ours("year:drugD-penicil")]],
        [0.5630, 0.1798, -0.1332, -0.0044], atol=6e-5,
    )  # fmt: skip
    assert pbc.llf == pytest.approx(-1534.737, abs=1e-3)
    sine = fits("sine").tidy(component="variance")["estimate"]
    np.testing.assert_allclose(np.sort(sine**2), [0.13995228058, 0.41778383883], rtol=1e-6)


class TestBoundary:
    def test_variance_is_exactly_zero(self, fits):
        fit = fits("dyestuff2")
        variances = fit.tidy(component="variance").set_index("term")
        assert variances.loc["sd(Intercept|Batch)", "estimate"] == 0.0
        assert fit.random_cov.iloc[0, 0] == 0.0
        assert variances["std_error"].isna().all()
        assert fit.optimum.at_boundary == ("Lam[0,0]",) and fit.converged

    def test_it_is_flagged(self, fits):
        fit = fits("dyestuff2")
        assert any(flag.startswith("Boundary:") and "Batch" in flag for flag in fit.flags)
        assert "Boundary:" in repr(fit) and "Boundary:" in fit.diagnose().words

    def test_the_rest_is_least_squares(self, fits, table):
        fit = fits("dyestuff2", "REML", "normal")
        y = table("dyestuff2")["Yield"]
        assert fit.params["Intercept"] == pytest.approx(y.mean(), rel=1e-12)
        assert fit.sigma == pytest.approx(y.std(), rel=1e-12)
        assert fit.bse["Intercept"] == pytest.approx(y.std() / np.sqrt(len(y)), rel=1e-12)
        assert not fit.ranef()["estimate"].any()

    def test_a_correlation_of_one(self):
        """Each patient's slope is twice the departure of the intercept, and that is found."""
        t = np.tile(np.arange(5.0), 8)
        patient = np.repeat(np.arange(8), 5)
        b = np.linspace(-3, 3, 8)[patient]
        y = 10 + b + 2 * b * t + np.random.default_rng(1).normal(size=40)
        fit = LMM("y ~ t + (t | id)", data=pd.DataFrame({"y": y, "t": t, "id": patient})).fit()
        correlation = (
            fit.tidy(component="variance").set_index("term").loc["cor(Intercept,t|id)", "estimate"]
        )
        assert fit.converged and correlation > 0.99
        if correlation > 1 - 1e-6:
            assert any("fewer dimensions" in flag for flag in fit.flags)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10**6), st.integers(3, 8), st.floats(0.0, 0.8), st.sampled_from(["REML", "ML"])
)
def test_the_maximum_is_the_highest_point(seed, patients, spread, method):
    """Against a fine grid of the relative SD: no better value is missed, on the boundary or off."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), rng.integers(2, 5, patients))
    y = spread * rng.normal(size=patients)[patient] + rng.normal(size=len(patient))
    spec = LMM("y ~ 1 + (1 | id)", data=pd.DataFrame({"y": y, "id": patient}))
    fit = spec.fit(method, "normal")
    grid = np.concatenate([np.linspace(0, 3, 301), np.geomspace(3, 100, 100)])
    best = max(
        -0.5
        * lmm.profiled_deviance(
            spec.statistics, np.array([g]), spec.kernel.elements, method == "REML"
        )[0]
        for g in grid
    )
    assert fit.llf >= best - 1e-7
    assert fit.converged


@pytest.fixture(scope="module")
def small():
    """14 patients on two arms with 2 to 5 visits."""
    rng = np.random.default_rng(3)
    visits = rng.integers(2, 6, 14)
    patient = np.repeat(np.arange(14), visits)
    t = rng.uniform(0, 4, len(patient))
    b = rng.normal(size=(14, 2)) * [1.0, 0.4]
    arm = patient % 2
    y = (
        4
        + 0.5 * t
        - 0.3 * arm * t
        + b[patient, 0]
        + b[patient, 1] * t
        + 0.5 * rng.normal(size=len(t))
    )
    return pd.DataFrame({"y": y, "t": t, "arm": np.where(arm, "new", "old"), "id": patient + 100})


FORMULA = "y ~ t * arm + (t | id)"


def refit(data, formula=FORMULA):
    return LMM(formula, data=data).fit("REML", "normal")


@pytest.fixture(scope="module")
def fit(small):
    return refit(small)


def henderson(fit, X_new, Z_new, group_new):
    """Prediction and its standard error from Henderson's mixed-model equations (1975)."""
    d = fit.design
    X, n_groups, q = d.fixed.X, len(d.labels), d.Z.shape[1]

    def wide(Z, group):
        out = np.zeros((len(Z), n_groups * q))
        for i, g in enumerate(group):
            out[i, g * q : (g + 1) * q] = Z[i]
        return out

    C = np.hstack([X, wide(d.Z, d.group)])
    penalty = np.kron(np.eye(n_groups), np.linalg.inv(fit.random_cov.to_numpy()))
    A = C.T @ C / fit.sigma**2
    p = X.shape[1]
    A[p:, p:] += penalty
    solution = np.linalg.solve(A, C.T @ d.y / fit.sigma**2)
    new = np.hstack([X_new, wide(Z_new, group_new)])
    return (
        new @ solution,
        np.sqrt(np.einsum("ij,jk,ik->i", new, np.linalg.inv(A), new)),
        solution[p:],
    )


class TestPredictions:
    def test_random_effects_are_henderson_s(self, fit):
        d = fit.design
        _, _, b = henderson(fit, d.fixed.X, d.Z, d.group)
        table = fit.ranef()
        assert list(table.columns) == [
            "id",
            "effect",
            "estimate",
            "std_error",
            "conf_low",
            "conf_high",
        ]
        np.testing.assert_allclose(table["estimate"], b, rtol=1e-6, atol=1e-9)
        assert list(table["id"][:4]) == [100, 100, 101, 101]
        assert list(table["effect"][:2]) == ["Intercept", "t"]

    def test_random_effects_are_r_s(self, fits, r_results):
        table = fits("sleepstudy").ranef().set_index(["Subject", "effect"])
        for term, value in r_results("lmm_kr", "sleepstudy", "blup Subject").items():
            subject, effect = (part.strip() for part in ours(term).split("|"))
            assert table.loc[(int(subject), effect), "estimate"] == pytest.approx(
                value, rel=1e-4, abs=1e-4
            )
        for effect in ("Intercept", "Days"):
            name = effect.replace("Intercept", "(Intercept)")
            cov = r_results("lmm_kr", "sleepstudy", f"blup_cov Subject {name} | {name}")
            for subject, value in cov.items():
                se = table.loc[(int(subject), effect), "std_error"]
                assert se**2 == pytest.approx(value, rel=1e-4)

    def test_by_patient(self, fit):
        d = fit.design
        expected, se, _ = henderson(fit, d.fixed.X, d.Z, d.group)
        found = fit.predict(by_patient=True)
        np.testing.assert_allclose(found["estimate"], expected, rtol=1e-8)
        np.testing.assert_allclose(found["std_error"], se, rtol=1e-6)

    def test_new_rows_of_known_patients(self, fit):
        new = pd.DataFrame({"t": [0.0, 6.0], "arm": ["new", "old"], "id": [103, 100]}, index=[7, 7])
        X = np.array([[1, 0.0, 0, 0.0], [1, 6.0, 1, 6.0]])
        assert fit.design.fixed.names == ("Intercept", "t", "arm[T.old]", "t:arm[T.old]")
        expected, se, _ = henderson(fit, X, np.array([[1, 0.0], [1, 6.0]]), [3, 0])
        found = fit.predict(new, by_patient=True)
        np.testing.assert_allclose(found["estimate"], expected, rtol=1e-8)
        np.testing.assert_allclose(found["std_error"], se, rtol=1e-6)
        assert list(found.columns) == [
            *new.columns,
            "estimate",
            "std_error",
            "conf_low",
            "conf_high",
        ]
        assert list(found.index) == [7, 7]

    def test_population(self, fit):
        new = pd.DataFrame({"t": [2.0], "arm": ["old"]})
        row = np.array([1, 2.0, 1, 2.0])
        found = fit.predict(new, level=0.9)
        assert found["estimate"].iloc[0] == pytest.approx(row @ fit.params)
        se = np.sqrt(row @ fit.cov_params().to_numpy() @ row)
        assert found["std_error"].iloc[0] == pytest.approx(se)
        same = fit.contrast(row, level=0.9).iloc[0]
        assert (found["conf_low"].iloc[0], found["conf_high"].iloc[0]) == pytest.approx(
            (same["conf_low"], same["conf_high"])
        )

    def test_the_data_are_not_changed(self, fit, small):
        before = small.copy()
        fit.predict(by_patient=True)
        new = small.iloc[:2]
        fit.predict(new)
        pd.testing.assert_frame_equal(small, before)
        assert "estimate" not in new

    def test_an_unknown_patient(self, fit):
        new = pd.DataFrame({"t": [2.0, 2.0], "arm": ["old", "old"], "id": [100, 999]})
        with pytest.raises(
            LongsurvError, match=r"has not seen id \['999'\].*new_groups='population'"
        ):
            fit.predict(new, by_patient=True)
        found = fit.predict(new, by_patient=True, new_groups="population")
        mean = fit.predict(new)
        assert found["estimate"].iloc[1] == pytest.approx(mean["estimate"].iloc[1])
        z, D = np.array([1, 2.0]), fit.random_cov.to_numpy()
        expected = np.sqrt(mean["std_error"].iloc[1] ** 2 + z @ D @ z)
        assert found["std_error"].iloc[1] == pytest.approx(expected)

    def test_what_cannot_be_predicted(self, fit):
        good = pd.DataFrame({"t": [2.0], "arm": ["old"]})
        with pytest.raises(LongsurvError, match="by_patient needs the column 'id'"):
            fit.predict(good, by_patient=True)
        with pytest.raises(LongsurvError, match="new_groups is"):
            fit.predict(good, new_groups="skip")
        with pytest.raises(FormulaError, match="levels the model was not fitted to"):
            fit.predict(good.assign(arm="older"))
        with pytest.raises(FormulaError, match="'t', which is not a column"):
            fit.predict(good.drop(columns="t"))


class TestInvariance:
    def same(self, a, b, units=1.0):
        assert a.llf == pytest.approx(b.llf, abs=1e-6)
        np.testing.assert_allclose(a.params, b.params * units, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(a.bse, b.bse * units, rtol=1e-4)

    def test_order_of_rows(self, fit, small):
        for seed in range(3):
            self.same(refit(small.sample(frac=1, random_state=seed)), fit)

    def test_names_of_patients(self, fit, small):
        names = {old: f"q{(old * 37) % 101:03d}" for old in small["id"].unique()}
        again = refit(small.assign(id=small["id"].map(names)))
        self.same(again, fit)
        old = fit.ranef().set_index(["id", "effect"])["estimate"]
        new = again.ranef().set_index(["id", "effect"])["estimate"]
        for (patient, effect), value in old.items():
            assert new[names[patient], effect] == pytest.approx(value, rel=1e-4, abs=1e-5)

    @settings(max_examples=8, deadline=None)
    @given(st.floats(1e-6, 1e6), st.floats(-1e3, 1e3))
    def test_units_of_the_response(self, small, factor, shift):
        fit, again = refit(small), refit(small.assign(y=factor * (small["y"] + shift)))
        n, p = len(small), 4
        assert again.llf == pytest.approx(fit.llf - (n - p) * np.log(factor), abs=1e-5)
        np.testing.assert_allclose(
            again.params.iloc[1:] / factor, fit.params.iloc[1:], rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(again.bse / factor, fit.bse, rtol=1e-4)
        assert again.sigma / factor == pytest.approx(fit.sigma, rel=1e-4)
        assert again.converged

    @settings(max_examples=8, deadline=None)
    @given(st.floats(1e-4, 1e8))
    def test_units_of_time(self, small, factor):
        fit, again = refit(small), refit(small.assign(t=factor * small["t"]))
        # two columns of X are in units of time
        assert again.llf == pytest.approx(fit.llf - 2 * np.log(factor), abs=1e-5)
        unit = np.array([1, factor, 1, factor])
        np.testing.assert_allclose(again.params * unit, fit.params, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(again.bse * unit, fit.bse, rtol=1e-4)
        sds, old = (f.tidy(component="variance")["estimate"].to_numpy() for f in (again, fit))
        np.testing.assert_allclose(sds * [1, 1, factor, 1], old, rtol=1e-3)

    def test_another_reference(self, fit, small):
        """The difference in slopes changes its sign and nothing else."""
        again = refit(small.assign(arm=pd.Categorical(small["arm"], categories=["old", "new"])))
        assert again.llf == pytest.approx(fit.llf, abs=1e-7)
        for old, new in (("arm[T.old]", "arm[T.new]"), ("t:arm[T.old]", "t:arm[T.new]")):
            assert again.params[new] == pytest.approx(-fit.params[old], rel=1e-4, abs=1e-5)
            assert again.bse[new] == pytest.approx(fit.bse[old], rel=1e-4)
        slope = fit.contrast({"t": 1, "t:arm[T.old]": 1}).iloc[0]
        assert again.params["t"] == pytest.approx(slope["estimate"], rel=1e-4)
        assert again.bse["t"] == pytest.approx(slope["std_error"], rel=1e-4)


class TestSpecification:
    def test_missing_values_are_counted_and_told(self, small):
        some = small.copy()
        some.loc[some.index[[0, 5]], "y"] = np.nan
        fit = refit(some)
        assert fit.nobs == len(small) - 2
        assert f"2 of {len(small)} rows were left out" in " ".join(fit.flags)
        assert fit.predict().shape[0] == fit.nobs

    def test_dependent_columns_are_told(self, small):
        fit = refit(small.assign(months=small["t"] * 12), "y ~ t + months + (1 | id)")
        assert "Left out because other columns determine them: months." in fit.flags

    def test_options(self, small):
        spec = LMM(FORMULA, data=small)
        with pytest.raises(LongsurvError, match="method is one of REML, ML"):
            spec.fit("reml")
        with pytest.raises(LongsurvError, match="no parameter 'slope'"):
            spec.prior_stack({"slope": None})
        flat = LMM("y ~ t + z + (1 | id)", data=small.assign(z=1.0))
        with pytest.raises(LongsurvError, match=r"nothing to put the prior of 'z' on.*constant"):
            flat.prior_stack({"z": Normal(0.0, 1.0)})
        with pytest.raises(DataError):
            LMM(FORMULA, data=small.iloc[:1]).fit()

    def test_default_priors_follow_the_units(self, small):
        """In other units the same priors, as distributions of the rescaled parameters."""
        old = LMM(FORMULA, data=small).default_priors()
        new = LMM(FORMULA, data=small.assign(y=10 * small["y"], t=small["t"] / 7)).default_priors()
        factors = {"Intercept": 10, "t": 70, "arm[T.old]": 10, "t:arm[T.old]": 70, "sigma": 10,
                   "sd(Intercept|id)": 10, "sd(t|id)": 70}  # fmt: skip
        assert set(old) == set(factors)
        for name, factor in factors.items():
            np.testing.assert_allclose(
                new[name].constants, old[name].scaled(factor).constants, rtol=1e-9
            )
