"""Strata, weights, clusters, offsets, tests, concordance and profiles, against R."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from few_clusters import left_of, made_up
from scipy import stats

from longsurv.errors import DataError, FormulaError, LongsurvError
from longsurv.likelihood import cox
from longsurv.models import CoxPH, Hazard
from longsurv.results.nested import lrt

HEART = "Surv(start, stop, event) ~ age + year + transplant"
LUNG = "Surv(time, status) ~ age + sex + ecog"
VETERAN = "Surv(time, status) ~ trt + karno + age + strata(celltype)"
TIED = "Surv(entry, exit, event) ~ x + z"
OFFSET = "Surv(time, status) ~ sex + ecog + offset(known)"
VARIANTS = {
    "heart_cluster": ("heart", f"{HEART} + surgery + cluster(id)", None),
    "heart_strata": ("heart", f"{HEART} + strata(surgery)", None),
    "veteran_strata": ("veteran", VETERAN, None),
    "lung_weighted": ("lung", LUNG, "weight"),
    "lung_cluster": ("lung", f"{LUNG} + cluster(inst)", None),
    "lung_weighted_cluster": ("lung", f"{LUNG} + cluster(inst)", "weight"),
    "lung_offset": ("lung", OFFSET, None),
    "tied_plain": ("tied", "Surv(exit, event) ~ x + z", None),
    "tied_entry": ("tied", TIED, None),
    "tied_entry_strata": ("tied", f"{TIED} + strata(site)", None),
    "tied_entry_weighted": ("tied", f"{TIED} + cluster(id)", "weight"),
}
BOTH = ("efron", "breslow")
MODELS = [("heart_cluster", "efron"), ("heart_strata", "efron")] + [
    (name, ties) for name in VARIANTS if not name.startswith("heart") for ties in BOTH
]
ROBUST = [(n, t) for n, t in MODELS if "weighted" in n or "cluster" in n]
SAME_HAZARD = ["rossi_efron", "rossi_breslow", "heart_efron", "heart_breslow"]
SIX = 1e-6


@pytest.fixture(scope="module")
def model(table):
    """A specification of `VARIANTS`."""

    def make(name: str, ties: str) -> CoxPH:
        data, formula, weights = VARIANTS[name]
        return CoxPH(formula, data=table(data), ties=ties, weights=weights)

    return make


@pytest.fixture(scope="module")
def r(r_results):
    """R's results of a variant, `r("coef", "lung_offset", "efron")`."""

    def look_up(quantity: str, name: str, ties: str) -> dict[str, float]:
        # R has the variants of heart with its default, Efron's method, only
        label = name if name.startswith("heart") else f"{name}_{ties}"
        return r_results("cox_basic", label, quantity)

    return look_up


def agree(found, expected: dict[str, float], rtol: float = SIX, atol: float = 0.0) -> None:
    """A Series by term against R's values by term."""
    np.testing.assert_allclose(found[list(expected)], list(expected.values()), rtol, atol)


class TestAgainstR:
    @pytest.mark.parametrize(("name", "ties"), MODELS)
    def test_coefficients_and_likelihoods(self, model, r, name, ties):
        fit = model(name, ties).fit()
        assert set(fit.names) == set(r("coef", name, ties))
        agree(fit.params, r("coef", name, ties))
        agree(pd.Series(np.sqrt(np.diag(fit.naive_cov)), fit.names), r("se", name, ties))
        assert fit.llf == pytest.approx(r("loglik", name, ties)[""], rel=1e-9)
        assert fit.null_loglik == pytest.approx(r("loglik_null", name, ties)[""], rel=1e-9)
        assert fit.nobs == r("n", name, ties)[""]
        assert fit.design.n_events == r("events", name, ties)[""]
        assert ((name, ties) in ROBUST) == ("robust" in fit.method)

    @pytest.mark.parametrize(("name", "ties"), MODELS)
    def test_covariance(self, model, r, name, ties):
        fit = model(name, ties).fit()
        kind = "robust_vcov" if (name, ties) in ROBUST else "vcov"
        more = np.sqrt(made_up(fit))
        for pair, value in r(kind, name, ties).items():
            a, b = pair.split(" | ")
            size, value = fit.bse[a] * fit.bse[b], value * more[a] * more[b]
            assert fit.cov_params().loc[a, b] == pytest.approx(value, rel=SIX, abs=SIX * size)

    @pytest.mark.parametrize(("name", "ties"), ROBUST)
    def test_robust_standard_errors_are_those_of_tidy(self, model, r, name, ties):
        fit = model(name, ties).fit()
        table, more, left = fit.tidy().set_index("term"), np.sqrt(made_up(fit)), left_of(fit)
        coef = r("coef", name, ties)
        se = {k: value * more[k] for k, value in r("robust_se", name, ties).items()}
        agree(table["std_error"], se)
        z = stats.t.ppf(0.975, left)
        agree(
            table["conf_low"], {k: coef[k] - t * se[k] for k, t in zip(left.index, z, strict=True)}
        )

    @pytest.mark.parametrize(("name", "ties"), [m for m in MODELS if "offset" not in m[0]])
    def test_global_tests(self, model, r, name, ties):
        fit = model(name, ties).fit()
        tests = fit.global_tests().set_index("test")
        ratio = 2 * (r("loglik", name, ties)[""] - r("loglik_null", name, ties)[""])
        wald = r("wald_test", name, ties)[""]
        more = np.sqrt(made_up(fit))
        if (more != 1.0).any():
            V, b = np.zeros((len(more), len(more))), pd.Series(r("coef", name, ties))[more.index]
            for pair, value in r("robust_vcov", name, ties).items():
                i, j = (fit.names.index(term) for term in pair.split(" | "))
                V[i, j] = V[j, i] = value
            assert b @ np.linalg.solve(V, b) == pytest.approx(wald, rel=1e-9)
            wald = b @ np.linalg.solve(V * np.outer(more, more), b)
        expected = {
            "likelihood ratio": ratio,
            "Wald": wald,
            "score": r("score_test", name, ties)[""],
        }
        agree(tests["statistic"], expected)
        assert (tests["df"] == len(fit.names)).all()

    @pytest.mark.parametrize(("name", "ties"), [m for m in MODELS if "offset" not in m[0]])
    def test_concordance(self, model, r, name, ties):
        found = model(name, ties).fit().concordance()
        assert found.c == pytest.approx(r("concordance", name, ties)[""], rel=SIX)
        assert found.std_error == pytest.approx(r("concordance_se", name, ties)[""], rel=SIX)

    @pytest.mark.parametrize("name", [*SAME_HAZARD, "lung_efron", "rossi_two_efron"])
    def test_tests_and_concordance_of_plain_models(self, fits, r_results, name):
        fit = fits(name)
        tests = fit.global_tests().set_index("test")["statistic"]
        assert tests["Wald"] == pytest.approx(r_results("cox_basic", name, "wald_test")[""], SIX)
        assert tests["score"] == pytest.approx(r_results("cox_basic", name, "score_test")[""], SIX)
        c = fit.concordance()
        assert c.c == pytest.approx(r_results("cox_basic", name, "concordance")[""], SIX)
        assert c.std_error == pytest.approx(r_results("cox_basic", name, "concordance_se")[""], SIX)

    @pytest.mark.parametrize("ties", BOTH)
    @pytest.mark.parametrize("name", ["rossi", "tied_entry"])
    def test_profile_intervals(self, fits, model, r_results, name, ties):
        spec = fits.spec(f"rossi_{ties}") if name == "rossi" else model(name, ties)
        table = spec.fit(intervals="profile").tidy().set_index("term")
        for column in ("low", "high"):
            expected = r_results("cox_basic", f"{name}_{ties}", f"profile_{column}")
            agree(table[f"conf_{column}"], expected)

    @pytest.mark.parametrize("ties", BOTH)
    @pytest.mark.parametrize("name", ["veteran_strata", "tied_entry_strata"])
    def test_baseline_hazard_of_every_stratum(self, model, r, name, ties):
        fit = model(name, ties).fit()
        (column,) = fit.design.strata.columns
        for term, expected in r("basehaz", name, ties).items():
            stratum, time = term.split(" t ")
            zero = pd.DataFrame({name: [0.0] for name in fit.names} | {column: [stratum]})
            found = fit.predict(zero, times=[float(time)])
            assert -np.log(found["estimate"][0]) == pytest.approx(expected, rel=SIX, abs=1e-12)

    @pytest.mark.parametrize("ties", BOTH)
    def test_survival_with_entry_times(self, model, r, ties):
        fit = model("tied_entry", ties).fit()
        new = pd.DataFrame({"x": [1], "z": [0.5]})
        for kind in ("log", "log-log", "plain"):
            found = fit.predict(new, times=[4, 6, 9], kind=kind)
            for column, quantity in (
                ("estimate", "survival"),
                ("std_error", "survival_se"),
                ("conf_low", f"survival_low_{kind}"),
                ("conf_high", f"survival_high_{kind}"),
            ):
                expected = list(r(quantity, "tied_entry", ties).values())
                np.testing.assert_allclose(found[column], expected, rtol=SIX)


class TestWhatTheFeaturesMean:
    def test_whole_weights_are_copies(self, table):
        rows = table("tied").assign(weight=[1, 2, 3, 1, 2, 1, 1, 2, 1, 3, 1, 2, 1, 1])
        copies = rows.loc[rows.index.repeat(rows["weight"])]
        weighted = CoxPH(TIED, data=rows, weights="weight", ties="breslow").fit()
        copied = CoxPH(TIED, data=copies, ties="breslow").fit()
        np.testing.assert_allclose(weighted.params, copied.params, rtol=1e-8)
        np.testing.assert_allclose(weighted.cov_params(), copied.cov_params(), rtol=1e-8)
        assert "robust" not in weighted.method
        assert weighted.bic == pytest.approx(copied.bic)  # which counts events

    def test_a_constant_offset_changes_nothing(self, table):
        lung = table("lung")
        plain = CoxPH(OFFSET, data=lung).fit()
        moved = CoxPH(OFFSET, data=lung.assign(known=lung["known"] + 500.0)).fit()
        np.testing.assert_allclose(moved.params, plain.params, rtol=1e-9)
        assert moved.llf == pytest.approx(plain.llf, abs=1e-9)

    def test_strata_are_the_sum_of_separate_likelihoods(self, table, model):
        fit = model("veteran_strata", "efron").fit()
        formula = VETERAN.removesuffix(" + strata(celltype)")
        parts = [
            CoxPH(formula, data=rows) for _, rows in table("veteran").groupby("celltype", sort=True)
        ]
        gradient = np.zeros(3)
        value = 0.0
        for part in parts:
            own, slope = cox.value_and_gradient(part.statistics, fit.coefficients)
            value, gradient = value + own, gradient + slope
        assert fit.llf == pytest.approx(value, abs=1e-9)
        np.testing.assert_allclose(gradient * fit.bse, 0.0, atol=1e-6)

    @pytest.mark.parametrize("penalty", [None, "firth"])
    def test_profile_of_a_combination_is_that_of_a_coefficient(self, table, penalty):
        """b_x - b_z is the coefficient of x once z is replaced by x + z."""
        tied = table("tied")
        fit = CoxPH(TIED, data=tied).fit(penalty=penalty, intervals="profile")
        again = CoxPH(TIED, data=tied.assign(z=tied["x"] + tied["z"])).fit(
            penalty=penalty, intervals="profile"
        )
        combined, own = fit.contrast({"x": 1, "z": -1}).iloc[0], again.tidy().iloc[0]
        for column in ("estimate", "statistic", "p_value", "conf_low", "conf_high"):
            assert combined[column] == pytest.approx(own[column], rel=SIX)

    @pytest.mark.parametrize("name", ["tied_entry_strata", "lung_offset"])
    def test_survival_curve_is_predict_at_the_event_times_of_the_stratum(self, model, name):
        spec = model(name, "efron")
        fit, rows = spec.fit(), spec.data.iloc[[3, 4]]
        curve = fit.survival_curve(rows)
        own = spec.data
        for position in range(2):
            mine = own[own["event" if "tied" in name else "status"] == 1]
            if "strata" in name:
                mine = mine[mine["site"] == rows["site"].iloc[position]]
            times = np.unique(mine["exit" if "tied" in name else "time"])
            expected = fit.predict(rows.iloc[[position]], times=times)
            part = curve.iloc[: len(times)] if position == 0 else curve.iloc[-len(times) :]
            np.testing.assert_array_equal(part["time"], times)
            np.testing.assert_allclose(part["estimate"], expected["estimate"], rtol=1e-12)
            np.testing.assert_allclose(part["conf_low"], expected["conf_low"], rtol=1e-12)


class TestPosterior:
    """What the posterior needs of strata, weights and offsets, at its own draws."""

    NAMES = ("tied_entry_strata", "tied_entry_weighted", "lung_offset")

    @pytest.mark.parametrize("ties", BOTH)
    @pytest.mark.parametrize("name", NAMES)
    def test_likelihood_of_the_draws(self, model, name, ties):
        spec = model(name, ties)
        post = spec.sample(draws=20, tune=100, chains=1, seed=3)
        by_event = post.idata["log_likelihood"]["y"].to_numpy()[0]
        assert by_event.shape == (20, spec.design.n_events)
        for beta, values in zip(post.coefficients.reshape(20, -1), by_event, strict=True):
            assert values.sum() == pytest.approx(cox.loglik(spec.statistics, beta), abs=1e-9)
        told = any("no robust covariance" in flag for flag in post.flags)
        assert told == ("weighted" in name)

    @pytest.mark.parametrize("ties", BOTH)
    @pytest.mark.parametrize("name", NAMES)
    def test_in_pymc(self, model, name, ties):
        """The potential over explicit risk sets is the kernel's likelihood."""
        spec = model(name, ties)
        built = spec.to_pymc()
        potential = built.compile_fn(
            built.potentials[0], inputs=built.free_RVs, mode="FAST_COMPILE"
        )
        points = np.random.default_rng(0).normal(0.0, 0.4, (3, len(spec.design.fixed.names)))
        off = [
            float(potential(dict(zip(spec.prior_stack(None).names, b, strict=True))))
            - cox.loglik(spec.statistics, b)
            for b in points
        ]
        np.testing.assert_allclose(off, 0.0, atol=1e-8)

    @pytest.mark.parametrize("ties", BOTH)
    def test_survival_of_a_stratum(self, model, ties):
        """Without its own uncertainty the baseline is the fit's, whose coefficients are put in."""
        spec = model("tied_entry_strata", ties)
        post, fit = spec.sample(draws=20, tune=100, chains=1, seed=3), spec.fit()
        new = pd.DataFrame({"x": [1, 0], "z": [0.5, -1.0], "site": ["b", "a"]})
        found = post.survival_draws(new, [4, 6], baseline=False)
        assert found.shape == (20, 2, 2)
        beta = post.coefficients.reshape(20, -1)[7]
        moved = replace(fit, coefficients=beta).predict(new, times=[4, 6])
        np.testing.assert_allclose(found[7].ravel(), moved["estimate"], rtol=1e-9)


class TestRefused:
    @pytest.mark.parametrize("named", [True, False])
    def test_overlapping_intervals_of_one_patient(self, table, named):
        heart = table("heart").copy()
        twice = heart.index[heart["id"] == heart["id"][heart["transplant"] == 1].iloc[0]]
        heart.loc[twice[0], "stop"] = heart.loc[twice[1], "stop"]
        formula, patient = (HEART, "id") if named else (f"{HEART} + cluster(id)", None)
        with pytest.raises(DataError, match="times at risk overlap within 1 values of 'id'"):
            CoxPH(formula, data=heart, patient=patient).fit()

    def test_misspelled_columns(self, table):
        with pytest.raises(FormulaError, match=r"no columns .*'wieght'"):
            CoxPH(LUNG, data=table("lung"), weights="wieght").fit()
        with pytest.raises(FormulaError, match=r"no columns .*'isnt'"):
            CoxPH(f"{LUNG} + cluster(isnt)", data=table("lung")).fit()
        with pytest.raises(FormulaError, match=r"no columns .*'hospital'"):
            CoxPH(f"{LUNG} + strata(hospital)", data=table("lung")).fit()
        with pytest.raises(FormulaError, match=r"no columns .*'subject'"):
            CoxPH(LUNG, data=table("lung"), patient="subject").fit()
        with pytest.raises(FormulaError, match="knwon"):
            CoxPH(OFFSET.replace("known", "knwon"), data=table("lung")).fit()

    def test_impossible_weights(self, table):
        lung = table("lung").copy()
        lung.loc[[3, 5], "weight"] = [-1.0, np.inf]
        with pytest.raises(DataError, match=r"'weight' is negative or not finite in 2 rows"):
            CoxPH(LUNG, data=lung, weights="weight").fit()

    def test_rows_of_weight_0_are_told(self, table):
        lung = table("lung").copy()
        lung.loc[:9, "weight"] = 0.0
        fit = CoxPH(LUNG, data=lung, weights="weight").fit()
        without = CoxPH(LUNG, data=lung.iloc[10:], weights="weight").fit()
        np.testing.assert_allclose(fit.params, without.params, rtol=1e-9)
        assert any("10 rows of weight 0" in flag for flag in fit.flags)

    def test_profile_with_a_robust_covariance(self, model):
        with pytest.raises(LongsurvError, match="take the rows for independent"):
            model("lung_cluster", "efron").fit(intervals="profile")

    @pytest.mark.parametrize(
        ("how", "message"),
        [
            ({"penalty": "frith"}, "penalty is firth or None"),
            ({"intervals": "exact"}, "intervals is one of wald, profile or None"),
        ],
    )
    def test_misspelled_choices(self, model, how, message):
        with pytest.raises(LongsurvError, match=message):
            model("tied_entry", "efron").fit(**how)
        with pytest.raises(LongsurvError, match="ties is one of efron, breslow"):
            model("tied_entry", "exact")

    def test_specials_inside_other_terms(self, table):
        with pytest.raises(FormulaError, match=r"strata\(\) is a term of its own"):
            CoxPH("Surv(time, status) ~ age * strata(sex)", data=table("lung")).fit()

    def test_unknown_stratum(self, model):
        new = pd.DataFrame({"trt": [1], "karno": 60, "age": 60, "celltype": "oat"})
        with pytest.raises(FormulaError, match="celltype=oat"):
            model("veteran_strata", "efron").fit().predict(new, times=[30.0])


SEQUENCE = "Surv(time, status) ~ sex + age * ecog + strata(late)"


@pytest.mark.parametrize("ties", BOTH)
def test_an_analysis_of_deviance_is_rs(table, r_results, ties):
    lung = table("lung").assign(late=lambda d: (d["inst"] > 5) * 1)
    found = CoxPH(SEQUENCE, data=lung, ties=ties).fit().anova()
    assert found["term"].tolist() == ["(no covariates)", "sex", "age", "ecog", "age:ecog"]
    names = {"loglik": "loglik", "statistic": "Chisq", "p_value": "Pr(>|Chi|)"}
    for ours, theirs in names.items():
        expected = r_results("mortality_times", f"lung sequence {ties}", theirs)
        for k, value in enumerate(found[ours]):
            assert value == pytest.approx(expected[str(k)], rel=1e-6, nan_ok=True)
    assert found["df"].tolist() == [0, 1, 1, 1, 1]


@pytest.mark.parametrize("ties", BOTH)
def test_likelihood_ratios_of_nested_cox_models_are_rs(table, r_results, ties):
    fits = [
        CoxPH(f"Surv(time, status) ~ {right}", data=table("lung"), ties=ties).fit()
        for right in ("sex", "sex + age", "sex + age * ecog")
    ]
    for k, (smaller, larger) in enumerate(pairwise(fits), 1):
        row = lrt(smaller, larger).iloc[0]
        for ours, theirs in (("statistic", "Chisq"), ("df", "Df"), ("p_value", "Pr(>|Chi|)")):
            expected = r_results("mortality_times", f"lung models {ties}", theirs)[str(k)]
            assert row[ours] == pytest.approx(expected, rel=1e-6)


def test_an_analysis_of_deviance_of_what_is_no_likelihood_is_refused(table):
    data = table("lung")
    with pytest.raises(LongsurvError, match="unpenalised"):
        CoxPH(LUNG, data=data).fit(penalty="firth").anova()
    with pytest.raises(LongsurvError, match="robust covariance"):
        CoxPH(f"{LUNG} + cluster(inst)", data=data).fit().anova()


def test_a_factor_is_one_term_and_a_column_that_others_determine_adds_nothing(table):
    data = table("veteran").assign(twice=lambda d: 2 * d["karno"] + 1)
    found = CoxPH("Surv(time, status) ~ karno + celltype + twice", data=data).fit().anova()
    row = found.set_index("term")
    assert row.loc["celltype", "df"] == 3
    assert row.loc["twice", "df"] == 0 and np.isnan(row.loc["twice", "p_value"])
    last = CoxPH("Surv(time, status) ~ karno", data=data).fit()
    assert row.loc["karno", "loglik"] == pytest.approx(last.llf, abs=1e-10)


WARDS = pd.DataFrame(
    {
        "exit": [2.0, 4.0, 5.0, 9.0, 3.0, 6.0, 7.0, 8.0], "died": [1, 1, 1, 0, 1, 1, 0, 1],
        "x": [0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0], "ward": ["a"] * 4 + ["b"] * 4,
    }
)  # fmt: skip
LATE = (5.0, 9.0, 9.5)


class TestAfterFollowUp:
    """Nothing is known of survival after the last exit, but where all who were left had died."""

    def test_without_a_number(self):
        model = CoxPH("Surv(exit, died) ~ x", data=WARDS)
        new = WARDS.iloc[:2]
        for answer in (model.fit(), model.sample(draws=50, tune=50, chains=1, seed=1)):
            found = answer.predict(new, times=LATE).set_index("time")
            shown = found[["estimate", "conf_low", "conf_high"]]
            assert shown.loc[[5.0, 9.0]].notna().all(axis=None)
            assert shown.loc[9.5].isna().all(axis=None)

    def test_of_a_stratum(self):
        model = CoxPH("Surv(exit, died) ~ x + strata(ward)", data=WARDS)
        found = model.fit().predict(WARDS.iloc[[0, 4]], times=LATE)
        known = found.pivot(index="ward", columns="time", values="estimate").notna()
        assert known.to_numpy().tolist() == [[True, True, False], [True, True, True]]

    def test_times_that_differ_by_rounding(self):
        rows = WARDS.assign(exit=0.1 * WARDS["exit"])
        fit = CoxPH("Surv(exit, died) ~ x", data=rows).fit()
        assert fit.predict(rows.iloc[:1], times=[0.9 + 1e-15])["estimate"].notna().all()

    def test_of_sites(self, table):
        lung = table("lung")
        lung = lung.assign(site=np.arange(len(lung)) % 8)
        last = lung["time"].max()
        fit = CoxPH("Surv(time, status) ~ age + (1 | site)", data=lung).fit()
        found = fit.predict(lung.iloc[:1], times=[last, last + 1.0])["estimate"]
        emptied = bool(lung.loc[lung["time"] == last, "status"].all())
        assert found.notna().tolist() == [True, emptied]


@pytest.mark.parametrize("engine", ["ml", "bayes"])
@pytest.mark.parametrize("family", ["cox", "weibull"])
def test_a_table_without_rows_is_refused(family: str, engine: str) -> None:
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"t": rng.exponential(size=40), "d": 1, "x": rng.normal(size=40)})
    spec = (
        CoxPH("Surv(t, d) ~ x", data=data)
        if family == "cox"
        else Hazard("Surv(t, d) ~ x", data=data, baseline=family)
    )
    answer = spec.fit() if engine == "ml" else spec.sample(draws=50, chains=2, seed=1)
    for options in ({}, {"times": [1.0]}):
        with pytest.raises(LongsurvError, match="newdata has no rows"):
            answer.predict(data.iloc[:0], **options)
    with pytest.raises(LongsurvError, match="newdata has no rows"):
        answer.survival_curve(data.iloc[:0])
