"""The generalised mixed model through its public names, against lme4, ordinal and brute force."""

from __future__ import annotations

import pickle
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import t as student_t

from longsurv import compare
from longsurv.errors import DataError, EstimationError, FormulaError, LongsurvError
from longsurv.models import GLMM, LMM

NAMES = {
    "period2": "C(period)[T.2]",
    "period3": "C(period)[T.3]",
    "period4": "C(period)[T.4]",
    "tempwarm": "temp[T.warm]",
    "contactyes": "contact[T.yes]",
    "(Intercept)": "Intercept",
}
FORMULAS = {
    "cbpp": "disease ~ C(period) + (1 | herd)",
    "dic": "positive ~ time * treated + (1 | patient)",
    "dic_slope": "positive ~ time * treated + (time | patient)",
    "wine": "rating ~ temp + contact + (1 | judge)",
    "detection_limit": "y ~ time * treated + (1 | patient)",
}


@pytest.fixture(scope="module")
def model(table):
    """`model("dic", nodes)`: the reference model, made once."""

    @cache
    def make(name: str, nodes: int | None = None) -> GLMM:
        formula = FORMULAS[name]
        if name == "detection_limit":
            data = table(name).assign(kind=lambda d: d["censored"].map({0: "none", 1: "left"}))
            return GLMM(formula, data, family="censored", censored="kind", nodes=nodes)
        if name == "wine":
            return GLMM(formula, table(name), family="ordinal", nodes=nodes)
        data = table({"cbpp": "cbpp_bernoulli"}.get(name, name.removesuffix("_slope")))
        return GLMM(formula, data, nodes=nodes)

    return make


@pytest.fixture(scope="module")
def fitted(model):
    return cache(lambda name, nodes=None: model(name, nodes).fit())


def expected(r_results, model: str, quantity: str) -> dict[str, float]:
    return {NAMES.get(k, k): v for k, v in r_results("glmm", model, quantity).items()}


# What R's optimisers leave of the sixth digit: its own values at 15 and 25 nodes differ as much.
AT_NODES = [
    ("cbpp", 5),
    ("cbpp", 9),
    ("cbpp", 15),
    ("dic", 5),
    ("dic", 9),
    ("dic", 15),
    ("wine", 7),
    ("wine", 15),
]


@pytest.mark.parametrize(("name", "nodes"), AT_NODES)
def test_adaptive_quadrature_as_in_r_at_the_same_nodes(fitted, r_results, name, nodes):
    fit = fitted(name, nodes)
    which = f"{name}_nodes{nodes}"
    assert fit.llf == pytest.approx(r_results("glmm", which, "loglik")[""], abs=5e-7)
    for term, value in expected(r_results, which, "coef").items():
        assert fit.params[term] == pytest.approx(value, rel=1e-6, abs=1e-6)
    for term, value in expected(r_results, which, "se").items():
        assert fit.bse[term] == pytest.approx(value, rel=2e-5)
    (sd,) = r_results("glmm", which, "sd").values()
    assert fit.variance.values[-1] == pytest.approx(sd, rel=2e-6)
    assert fit.converged


@pytest.mark.parametrize("name", ["cbpp", "dic", "wine", "detection_limit"])
def test_many_nodes_are_brute_force_integration(fitted, r_results, name):
    fit = fitted(name, 41)
    which = f"{name}_exact"
    assert fit.llf == pytest.approx(r_results("glmm", which, "loglik")[""], abs=1e-9)
    for term, value in expected(r_results, which, "coef").items():
        assert fit.params[term] == pytest.approx(value, rel=1e-8)
    for term, value in expected(r_results, which, "se").items():
        assert fit.bse[term] == pytest.approx(value, rel=1e-6)
    own = dict(zip(fit.variance.names, fit.variance.values, strict=True))
    sds = r_results("glmm", which, "sd")
    assert next(v for k, v in own.items() if k.startswith("sd(")) == pytest.approx(
        sds["(Intercept)"], rel=1e-7
    )
    errors = {} if name == "wine" else r_results("glmm", which, "log_sd_se")
    for term, value in errors.items():
        k = 0 if term == "residual" else len(fit.variance.values) - 1
        assert fit.variance.std_error[k] / fit.variance.values[k] == pytest.approx(value, rel=1e-6)
    if "residual" in sds:
        assert own["sigma"] == pytest.approx(sds["residual"], rel=1e-8)


@pytest.mark.parametrize(("name", "within"), [("cbpp", 1e-3), ("dic", 2e-5), ("wine", 2e-5)])
def test_laplace_near_that_of_r(fitted, r_results, name, within):
    # R's stop short of the maximum (the kernel's own tests check the value), so ours is higher.
    which = f"{name}_nodes1"
    fit, r = fitted(name, 1), r_results("glmm", which, "loglik")[""]
    assert r - 1e-5 < fit.llf < r + within
    for term, value in expected(r_results, which, "coef").items():
        assert fit.params[term] == pytest.approx(value, rel=within)


def test_random_slope_against_two_dimensional_integration(model, fitted, r_results):
    fit = fitted("dic_slope", 31)
    exact = r_results("glmm", "dic_slope_exact", "coef")
    assert fit.llf == pytest.approx(r_results("glmm", "dic_slope_exact", "loglik")[""], abs=2e-4)
    for term, value in exact.items():
        assert fit.params[NAMES.get(term, term)] == pytest.approx(value, rel=1e-3)
    assert fit.variance.values[2] == pytest.approx(-0.30161, abs=2e-3)


@pytest.mark.parametrize("name", ["dic", "wine", "detection_limit"])
def test_default_nodes_are_enough(fitted, name):
    few, many = fitted(name), fitted(name, 41)
    assert few.llf == pytest.approx(many.llf, abs=1e-6)
    np.testing.assert_allclose(few.coefficients, many.coefficients, rtol=1e-5)
    assert not any("nodes" in flag for flag in few.flags)


def test_too_few_nodes_are_said(fitted):
    assert any("raise nodes" in flag for flag in fitted("dic", 1).flags)


def test_nothing_censored_is_the_lmm_by_maximum_likelihood(table):
    data = table("sleepstudy").assign(kind="none")
    formula = "Reaction ~ Days + (Days | Subject)"
    ours = GLMM(formula, data, family="censored", censored="kind", nodes=1).fit()
    linear = LMM(formula, data).fit("ML", "normal")
    assert ours.llf == pytest.approx(linear.llf, abs=1e-8)
    np.testing.assert_allclose(ours.coefficients, linear.coefficients, rtol=1e-8)
    np.testing.assert_allclose(ours.bse, linear.bse, rtol=1e-5)
    np.testing.assert_allclose(ours.variance.values, linear.variance.values, rtol=1e-6)
    np.testing.assert_allclose(ours.variance.std_error, linear.variance.std_error, rtol=1e-5)
    both = ours.ranef().merge(linear.ranef(), on=["Subject", "effect"])
    np.testing.assert_allclose(both["estimate_x"], both["estimate_y"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(both["std_error_x"], both["std_error_y"], rtol=1e-6)


def test_independent_random_effects(table):
    data = table("sleepstudy").assign(kind="none")
    formula = "Reaction ~ Days + (Days || Subject)"
    ours = GLMM(formula, data, family="censored", censored="kind", nodes=1).fit()
    linear = LMM(formula, data).fit("ML", "normal")
    assert ours.llf == pytest.approx(linear.llf, abs=1e-8)
    assert ours.variance.names == linear.variance.names
    np.testing.assert_allclose(ours.variance.values, linear.variance.values, rtol=1e-6)


def test_a_censored_fit_has_the_degrees_of_freedom_of_the_linear_model(table, model):
    """With limits in place of values: the paired design's 39 of 41 patients, say."""
    data, formula = model("detection_limit").data, FORMULAS["detection_limit"]
    fit, linear = model("detection_limit").fit(), LMM(formula, data).fit(df="kenward-roger")
    ours, theirs = fit.tidy(), linear.tidy()
    np.testing.assert_allclose(ours["df"], theirs["df"], rtol=1e-8)
    width = ours["conf_high"] - ours["estimate"]
    expected = student_t.ppf(0.975, theirs["df"]) * ours["std_error"]
    np.testing.assert_allclose(width, expected, rtol=1e-8)
    pair = ["time", "time:treated"]
    L = pd.DataFrame(np.eye(4), index=fit.names, columns=fit.names).loc[pair]
    assert fit.test(L)["df_den"].item() == pytest.approx(linear.test(L)["df_den"].item())
    shown = fit.predict(data.iloc[[0]]).iloc[0]
    row = fit.contrast(fit.design.fixed.rebuild(data.iloc[[0]])).iloc[0]
    assert shown["conf_low"] == pytest.approx(row["conf_low"])
    assert "Kenward-Roger" in fit.interval_method and "Kenward-Roger" in repr(fit.summary())
    # Where the linear model has no fit, or patients are many, none are needed or known.
    many = pd.concat([data.assign(patient=data["patient"] + 1000 * k) for k in range(8)])
    fit = GLMM(formula, many, family="censored", censored="kind", nodes=3).fit()
    assert fit.interval_method == "normal" and np.isinf(fit.tidy()["df"]).all()


def test_degrees_of_freedom_are_worked_out_when_they_are_asked_for(model, monkeypatch):
    fit = model("detection_limit").fit()
    assert fit.bse.notna().all() and fit.llf < 0.0
    assert "found" not in vars(fit.reference.degrees)
    sent = pickle.loads(pickle.dumps(fit.reference))
    assert fit.interval_method == sent.method
    assert "found" in vars(fit.reference.degrees)
    assert sent.df(np.eye(4)[1]) == fit.tidy()["df"][1]
    assert np.isnan(sent.df(np.zeros(4)))
    # Where the linear model has no fit, tests are normal.
    other = model("detection_limit").fit()

    def fails(*_: object) -> None:
        raise EstimationError("no fit")

    monkeypatch.setattr(LMM, "fit", fails)
    assert other.interval_method == "normal" and np.isinf(other.tidy()["df"]).all()


def test_light_tails_make_student_normal():
    rng = np.random.default_rng(0)
    ids = np.repeat(range(40), 5)
    data = pd.DataFrame({"y": rng.normal(size=40)[ids] + rng.uniform(-1, 1, 200), "id": ids})
    fit = GLMM("y ~ 1 + (1 | id)", data, family="student").fit()
    linear = LMM("y ~ 1 + (1 | id)", data).fit("ML", "normal")
    variance = fit.variance_table().set_index("term")
    assert np.isinf(variance.loc["nu", "estimate"])
    assert np.isnan(variance.loc["nu", "std_error"])
    assert fit.optimum.at_boundary == ("1/nu",)
    assert any("no heavier than normal" in flag for flag in fit.flags)
    assert fit.llf == pytest.approx(linear.llf, abs=1e-8)


def test_student_resists_an_outlier_and_finds_its_df():
    rng = np.random.default_rng(5)
    ids = np.repeat(range(60), 6)
    t = np.tile(np.arange(6.0), 60)
    y = 1.0 + 0.5 * t + rng.normal(size=60)[ids] + 0.6 * rng.standard_t(3, size=360)
    data = pd.DataFrame({"y": y, "t": t, "id": ids})
    spoilt = data.assign(y=data["y"].where(data.index != 5, 500.0))
    clean, outlier = (GLMM("y ~ t + (1 | id)", d, family="student").fit() for d in (data, spoilt))
    nu = clean.variance_table().set_index("term").loc["nu"]
    assert nu["conf_low"] < 3.0 < nu["conf_high"]
    assert abs(outlier.params["t"] - clean.params["t"]) < 0.5 * clean.bse["t"]
    fixed = GLMM("y ~ t + (1 | id)", data, family="student", df=nu["estimate"]).fit()
    assert fixed.llf == pytest.approx(clean.llf, abs=1e-8)
    assert fixed.n_params == clean.n_params - 1


def test_a_variance_on_its_boundary_is_exactly_zero_and_said():
    # Every patient is positive exactly half of the time: less spread than chance would make.
    data = pd.DataFrame(
        {"y": [1, 0, 0, 1] * 10, "x": [0, 0, 1, 1] * 10, "id": np.repeat(range(10), 4)}
    )
    fit = GLMM("y ~ x + (1 | id)", data).fit()
    assert fit.variance.values[0] == 0.0
    assert np.isnan(fit.variance.std_error[0])
    assert fit.optimum.at_boundary == ("Lam[0,0]",)
    assert any(flag.startswith("Boundary: sd(Intercept|id)") for flag in fit.flags)
    assert fit.llf == pytest.approx(40 * np.log(0.5))
    assert fit.converged
    assert (fit.ranef()["estimate"] == 0).all()


def test_flipping_the_outcome_flips_the_estimates(table, fitted):
    data = table("dic").assign(positive=lambda d: d["positive"] == 0)
    fit = GLMM(FORMULAS["dic"], data).fit()
    np.testing.assert_allclose(fit.coefficients, -fitted("dic").coefficients, rtol=1e-6)


class TestNoMaximum:
    def test_all_negative(self, table):
        data = table("dic").assign(positive=0)
        with pytest.raises(EstimationError, match=r"same in every row.*sample\(\)"):
            GLMM(FORMULAS["dic"], data).fit()

    def test_a_group_without_events_is_named(self, table):
        data = table("dic").assign(positive=lambda d: d["positive"] * (1 - d["treated"]))
        with pytest.raises(EstimationError, match="treated"):
            GLMM("positive ~ time + treated + (1 | patient)", data).fit()

    def test_an_ordinal_response_can_be_separated_too(self, table):
        data = table("wine").assign(split=lambda d: (d["rating"] > 3).astype(float))
        with pytest.raises(EstimationError, match="split"):
            GLMM("rating ~ split + (1 | judge)", data, family="ordinal").fit()

    def test_patients_who_never_change(self, table):
        data = table("dic").assign(
            positive=lambda d: d.groupby("patient")["positive"].transform("first")
        )
        with pytest.raises(EstimationError, match="no patient's response ever changes"):
            GLMM(FORMULAS["dic"], data).fit()

    def test_overlap_is_not_separation(self, fitted):
        assert fitted("dic").converged

    def test_the_posterior_exists(self, table):
        data = table("dic").assign(positive=lambda d: d["positive"] * (1 - d["treated"]))
        model = GLMM("positive ~ time + treated + (1 | patient)", data, nodes=5)
        post = model.sample(draws=300, chains=2)
        assert -15 < post.tidy().set_index("term").loc["treated", "estimate"] < -2


class TestInput:
    def test_only_some_families(self, table):
        with pytest.raises(LongsurvError, match="family is one of"):
            GLMM("y ~ 1 + (1 | id)", table("dic"), family="inverse_gaussian")

    def test_options_of_other_families(self, table):
        with pytest.raises(LongsurvError, match="needs family='censored'"):
            GLMM("y ~ 1 + (1 | id)", table("dic"), censored="kind")
        with pytest.raises(LongsurvError, match="'student' only"):
            GLMM("y ~ 1 + (1 | id)", table("dic"), df=4)
        with pytest.raises(LongsurvError, match="whole number"):
            GLMM("y ~ 1 + (1 | id)", table("dic"), nodes=0)

    def test_binary_response(self, table):
        data = table("dic")
        with pytest.raises(DataError, match=r"0 or 1.*has 2, in"):
            _ = GLMM(FORMULAS["dic"], data.assign(positive=data["positive"] + 1)).design
        with pytest.raises(DataError, match="Say which one counts"):
            words = data["positive"].map({0: "no", 1: "yes"})
            _ = GLMM(FORMULAS["dic"], data.assign(positive=words)).design
        for dtype in ("bool", "boolean", "Int64", "float32"):
            design = GLMM(FORMULAS["dic"], data.astype({"positive": dtype})).design
            np.testing.assert_array_equal(design.y, data["positive"])

    def test_missing_outcomes_are_left_out_and_counted(self, table):
        data = table("dic").astype({"positive": "boolean"})
        data.loc[[3, 7], "positive"] = pd.NA
        design = GLMM(FORMULAS["dic"], data).design
        assert (len(design.y), design.n_excluded) == (len(data) - 2, 2)

    def test_ordered_categories_and_numbers_are_the_same(self, table, fitted):
        words = ["bad", "poor", "fair", "good", "best"]
        rating = pd.Categorical.from_codes(table("wine")["rating"] - 1, words, ordered=True)
        fit = GLMM(FORMULAS["wine"], table("wine").assign(rating=rating), family="ordinal").fit()
        assert fit.names[2:] == ("bad|poor", "poor|fair", "fair|good", "good|best")
        np.testing.assert_array_equal(fit.coefficients, fitted("wine").coefficients)

    def test_categories_without_an_order(self, table):
        rating = table("wine")["rating"].astype(str)
        with pytest.raises(DataError, match="no stated order"):
            _ = GLMM(FORMULAS["wine"], table("wine").assign(rating=rating), family="ordinal").design
        with pytest.raises(DataError, match="have no order"):
            data = table("wine").assign(rating=rating.astype("category"))
            _ = GLMM(FORMULAS["wine"], data, family="ordinal").design

    def test_an_empty_category_is_said(self, table):
        levels = pd.Categorical(table("wine")["rating"], categories=range(1, 8), ordered=True)
        fit = GLMM(FORMULAS["wine"], table("wine").assign(rating=levels), family="ordinal").fit()
        assert "No row has rating = 6, 7; no threshold is estimated there." in fit.flags
        assert fit.names[-1] == "4|5"

    def test_ordinal_needs_its_intercept(self, table):
        with pytest.raises(FormulaError, match="thresholds"):
            _ = GLMM("rating ~ 0 + temp + (1 | judge)", table("wine"), family="ordinal").design

    def test_censoring_column(self, model):
        data = model("detection_limit").data
        formula = FORMULAS["detection_limit"]
        with pytest.raises(FormulaError, match="censored='column'"):
            _ = GLMM(formula, data, family="censored").design
        with pytest.raises(DataError, match="none, left, right or interval; 79 rows do not"):
            bad = data.assign(kind=data["kind"].replace("none", "no"))
            _ = GLMM(formula, bad, family="censored", censored="kind").design
        with pytest.raises(DataError, match="every value of 'y' is censored"):
            _ = GLMM(formula, data.assign(kind="left"), family="censored", censored="kind").design

    def test_upper_bounds(self, model):
        data = model("detection_limit").data.assign(u=100.0)
        formula, options = FORMULAS["detection_limit"], {"family": "censored", "censored": "kind"}
        with pytest.raises(LongsurvError, match="give its name, as in censored='censored'"):
            GLMM(formula, data, upper="u")
        some = data.assign(kind=data["kind"].where(data.index != 7, "interval"))
        with pytest.raises(FormulaError, match="1 row says interval, and upper"):
            _ = GLMM(formula, some, **options).design
        with pytest.raises(FormulaError, match="is 'w'"):
            _ = GLMM(formula, some, **options, upper="w").design
        for u in (-100.0, some.loc[7, "y"]):
            with pytest.raises(DataError, match=r"not above the lower one, 'y' \(index 7\)"):
                _ = GLMM(formula, some.assign(u=u), **options, upper="u").design
        with pytest.raises(DataError, match=r"no upper bound in 'u' \(index 7\)"):
            _ = GLMM(formula, some.assign(u=np.nan), **options, upper="u").design
        with pytest.raises(FormulaError, match="compute the response and its upper bound"):
            left = formula.replace("y ~", "y - time ~")
            _ = GLMM(left, some, **options, upper="u").design
        # An endless interval is a limit, and only rows that say interval have an upper bound.
        endless = GLMM(formula, some.assign(u=np.inf), **options, upper="u").design
        right = data.assign(kind=data["kind"].where(data.index != 7, "right"))
        limit = GLMM(formula, right, **options).design
        assert np.array_equal(endless.extent, limit.extent) and endless.notes == limit.notes

    def test_upper_bounds_are_transformed_as_the_response_is(self, model):
        data = model("detection_limit").data
        data = data.assign(value=np.exp(data["y"]), u=np.exp(data["y"] + 0.4), v=data["y"] + 0.4)
        some = data.assign(kind=data["kind"].where(data.index % 5 > 0, "interval"))
        options = {"family": "censored", "censored": "kind"}
        right = FORMULAS["detection_limit"].removeprefix("y")
        ours = GLMM(f"log(value){right}", some, **options, upper="u").fit()
        same = GLMM(f"y{right}", some, **options, upper="v").fit()
        assert ours.llf == pytest.approx(same.llf, rel=1e-10)
        np.testing.assert_allclose(ours.params, same.params, rtol=1e-6)

    def test_two_groupings_at_most(self, table):
        data = table("dic").assign(ward=table("dic")["patient"] % 5, floor=1)
        with pytest.raises(FormulaError, match="takes two"):
            formula = "positive ~ time + (1 | patient) + (1 | ward) + (1 | treated)"
            _ = GLMM(formula, data).design

    def test_priors_by_name(self, model):
        with pytest.raises(LongsurvError, match="Did you mean 'treated'"):
            model("dic").prior_stack({"treeted": model("dic").default_priors()["treated"]})
        with pytest.raises(LongsurvError, match=r"gap\(2\|3\)"):
            model("wine").prior_stack({"2|3": model("wine").default_priors()["1|2"]})


class TestPredictions:
    def test_link_is_the_linear_predictor(self, fitted):
        fit = fitted("dic")
        new = pd.DataFrame({"time": [0.0, 2.0], "treated": [1.0, 0.0]})
        table = fit.predict(new)
        X = np.array([[1, 0, 1, 0], [1, 2, 0, 0]])
        np.testing.assert_allclose(table["estimate"], X @ fit.coefficients)
        se = np.sqrt(np.diag(X @ fit.cov_params().to_numpy() @ X.T))
        np.testing.assert_allclose(table["std_error"], se, rtol=1e-6)

    def test_response_is_averaged_over_patients(self, fitted):
        fit = fitted("dic")
        new = pd.DataFrame({"time": [0.0, 2.0], "treated": [1.0, 0.0]})
        table = fit.predict(new, type="response")
        b = fit.variance.values[0] * np.random.default_rng(1).normal(size=(400_000, 1))
        eta = fit.predict(new)["estimate"].to_numpy()
        np.testing.assert_allclose(table["estimate"], expit(eta + b).mean(axis=0), atol=2e-3)
        assert (np.abs(table["estimate"] - 0.5) < np.abs(expit(eta) - 0.5)).all()
        assert table["conf_low"].between(0, 1).all() and table["conf_high"].between(0, 1).all()

    def test_standard_error_of_a_mean_response_by_simulation(self, fitted):
        fit = fitted("dic")
        new = pd.DataFrame({"time": [1.0], "treated": [1.0]})
        rng = np.random.default_rng(2)
        thetas = fit.theta + rng.normal(size=(4000, fit.half.shape[1])) @ fit.half.T
        eta = thetas[:, :4] @ [1, 1, 1, 1]
        t, w = np.polynomial.hermite_e.hermegauss(25)
        p = expit(eta[:, None] + np.abs(thetas[:, 4:]) * t) @ (w / w.sum())
        assert fit.predict(new, type="response")["std_error"].iloc[0] == pytest.approx(
            p.std(), rel=0.05
        )

    def test_by_patient_with_and_without_history(self, fitted):
        fit = fitted("dic")
        new = pd.DataFrame({"time": [1.0, 1.0], "treated": [1.0, 1.0], "patient": [1, 999]})
        with pytest.raises(LongsurvError, match="999"):
            fit.predict(new, by_patient=True)
        table = fit.predict(new, by_patient=True, new_groups="population")
        b = fit.ranef().set_index("patient").loc[1, "estimate"]
        population = fit.predict(new)["estimate"]
        np.testing.assert_allclose(table["estimate"], np.add(population, [b, 0.0]), rtol=1e-9)
        assert table["std_error"].iloc[1] > table["std_error"].iloc[0]

    def test_ordinal_probabilities(self, fitted):
        new = pd.DataFrame({"temp": ["cold", "warm"], "contact": ["no", "yes"]})
        table = fitted("wine").predict(new, type="response")
        assert list(table["category"]) == list("12345") * 2
        np.testing.assert_allclose(table.groupby("temp")["estimate"].sum(), 1.0)
        assert table.query("temp == 'cold'")["estimate"].idxmax() < 3
        # At the reference the lowest category is below the first threshold, give or take the judge.
        sd, cut = fitted("wine").variance.values[0], fitted("wine").params["1|2"]
        b = sd * np.random.default_rng(1).normal(size=400_000)
        assert table["estimate"].iloc[0] == pytest.approx(expit(cut - b).mean(), abs=2e-3)

    def test_wrong_type(self, fitted):
        with pytest.raises(LongsurvError, match="type is one of link, response"):
            fitted("dic").predict(type="probability")


def test_tables_have_the_common_grammar(fitted):
    for name in ("dic", "wine", "detection_limit"):
        table = fitted(name).tidy(component="all")
        assert list(table.columns) == [
            "term", "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high",
        ]  # fmt: skip
        sd = table.iloc[-1]
        assert 0 < sd["conf_low"] < sd["estimate"] < sd["conf_high"]
        assert "quadrature with 15 nodes" in repr(fitted(name))


def test_censored_values_are_counted(fitted):
    assert (
        "41 of 120 values are below their limit and enter as such."
        in fitted("detection_limit").flags
    )


@pytest.mark.slow
def test_both_engines_agree_where_data_are_plenty(fitted, model):
    post = model("detection_limit").sample(draws=1000, chains=2, seed=3)
    assert post.diagnose().ok
    rows = compare(fitted("detection_limit"), post)
    coefficients = rows[rows["term"].isin(post.names)]
    gap = (coefficients["estimate_ml"] - coefficients["estimate_bayes"]).abs()
    assert (gap < 0.3 * fitted("detection_limit").bse.to_numpy()).all()
