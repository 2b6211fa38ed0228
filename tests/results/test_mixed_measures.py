"""Likelihood-ratio tests, F tests by term and R2 against lme4, lmerTest and direct computation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from longsurv.errors import LongsurvError
from longsurv.models import LMM
from longsurv.results.mixed_measures import anova, lrt, r2


def test_lrt_of_a_random_slope_is_lmertests(fits, r_results):
    found = lrt(fits("sleepstudy_intercept"), fits("sleepstudy")).iloc[0]
    row = "Days in (Days | Subject)"
    for ours, theirs in [("statistic", "LRT"), ("df", "Df"), ("p_value", "Pr(>Chisq)")]:
        expected = r_results("lmm_kr", "sleepstudy", f"ranova_{theirs}")[row]
        assert found[ours] == pytest.approx(expected, rel=1e-6)
    mixture = 0.5 * chi2.sf(found["statistic"], 1) + 0.5 * chi2.sf(found["statistic"], 2)
    assert found["p_boundary"] == pytest.approx(mixture)
    assert "boundary" in found["note"]


def test_lrt_of_a_fixed_effect_is_lme4s(fits, table, r_results):
    null = LMM("Reaction ~ 1 + (Days | Subject)", table("sleepstudy")).fit("ML")
    found = lrt(null, fits("sleepstudy", "ML")).iloc[0]
    assert found["statistic"] == pytest.approx(
        r_results("lmm_kr", "sleepstudy", "ml_lr_days")[""], rel=1e-7
    )
    assert found["p_value"] == pytest.approx(
        r_results("lmm_kr", "sleepstudy", "ml_lr_days_p")[""], rel=1e-6
    )
    assert np.isnan(found["p_boundary"]) and found["note"] == ""


def test_two_variances_more_get_a_warning_not_a_mixture(fits, table):
    data = table("sleepstudy")
    curved = LMM("Reaction ~ Days + (Days + I(Days**2) | Subject)", data).fit()
    found = lrt(fits("sleepstudy_intercept"), curved).iloc[0]
    assert np.isnan(found["p_boundary"]) and "2 variances" in found["note"]
    assert found["df"] == 5


def test_lrt_under_the_null_hypothesis_has_half_its_mass_at_zero(fits):
    """Random slope absent: the statistic must follow the mixture, not the chi-squared."""
    rng = np.random.default_rng(3)
    group, t = np.repeat(np.arange(20), 4), np.tile(np.arange(4.0) - 1.5, 20)
    below = 0
    for _ in range(60):
        data = pd.DataFrame(
            {"g": group, "t": t, "y": rng.normal(size=80) + rng.normal(size=20)[group]}
        )
        found = lrt(LMM("y ~ t + (1 | g)", data).fit(), LMM("y ~ t + (t | g)", data).fit()).iloc[0]
        below += found["p_boundary"] < 0.5
    assert 18 <= below <= 42


def test_models_that_cannot_be_compared_are_refused(fits, table):
    data = table("sleepstudy")
    one, two = fits("sleepstudy_intercept"), fits("sleepstudy")
    with pytest.raises(LongsurvError, match="smaller model first"):
        lrt(two, one)
    with pytest.raises(LongsurvError, match="fit both alike"):
        lrt(one, fits("sleepstudy", "ML"))
    null = LMM("Reaction ~ 1 + (Days | Subject)", data)
    with pytest.raises(LongsurvError, match="REML likelihoods of different fixed effects"):
        lrt(null.fit(), two)
    with pytest.raises(LongsurvError, match="different data"):
        lrt(LMM("Reaction ~ Days + (1 | Subject)", data.iloc[:-1]).fit(), two)
    with pytest.raises(LongsurvError, match="different data"):
        lrt(LMM("log(Reaction) ~ Days + (1 | Subject)", data).fit(), two)
    other = LMM("Reaction ~ sqrt + (1 | Subject)", data.assign(sqrt=np.sqrt(data["Days"])))
    with pytest.raises(LongsurvError, match=r"fixed effects.*not nested"):
        lrt(other.fit("ML"), fits("sleepstudy", "ML"))
    other = LMM("Reaction ~ Days + (0 + sqrt | Subject)", data.assign(sqrt=np.sqrt(data["Days"])))
    with pytest.raises(LongsurvError, match=r"random effects.*not nested"):
        lrt(other.fit(), two)
    other = LMM("Reaction ~ Days + (1 | half)", data.assign(half=data["Subject"] // 2))
    with pytest.raises(LongsurvError, match=r"random effects.*not nested"):
        lrt(other.fit(), two)


def test_the_same_space_in_another_coding_is_the_same_model(table):
    data = table("visits")
    plain = LMM("y ~ C(visit) + (1 | patient)", data).fit()
    other = LMM("y ~ C(visit, contr.helmert) + (day | patient)", data).fit()
    assert lrt(plain, other)["df"].item() == 2


def test_interaction_and_single_column_terms_are_those_of_pbkrtest(table, r_results):
    data = table("visits")
    data = data.assign(
        visit=pd.Categorical(data["visit"]), arm=pd.Categorical(data["arm"], ["control", "active"])
    )
    found = anova(LMM("y ~ visit * arm + (1 | patient)", data).fit()).set_index("term")
    assert list(found.index) == ["visit", "arm", "visit:arm"]
    for ours, theirs in [("statistic", "Fstat"), ("df_den", "ddf"), ("p_value", "p.value")]:
        expected = r_results("lmm_kr", "visits_categorical", f"kr_joint_{theirs}")["interaction"]
        assert found.loc["visit:arm", ours] == pytest.approx(expected, rel=1e-6)
    slope = anova(LMM("y ~ day * arm + (day | patient)", data).fit()).set_index("term")
    assert slope.loc["day:arm", "statistic"] == pytest.approx(
        r_results("lmm_kr", "visits_slope", "kr_f")["day:armactive"], rel=1e-5
    )


def test_main_effects_are_those_of_equally_weighted_means(table):
    """The same hypotheses, reached through the reference grid instead of a recoding."""
    from longsurv.results.means import means

    data = table("visits")
    fit = LMM("y ~ C(visit) * arm + (1 | patient)", data).fit()
    found = anova(fit).set_index("term")
    for name, term in [("visit", "C(visit)"), ("arm", "arm")]:
        one = means(fit, name).test(name).iloc[0]
        assert found.loc[term, "statistic"] == pytest.approx(one["statistic"], rel=1e-8)
        assert found.loc[term, "df_den"] == pytest.approx(one["df_den"], rel=1e-8)


def test_tests_by_term_do_not_depend_on_the_coding_of_factors(table):
    data = table("visits")
    data = data.assign(dose=np.sin(np.arange(len(data))))
    by = [
        anova(LMM(f"y ~ {visit} * {arm} + dose:{arm} + (1 | patient)", data).fit())
        for visit, arm in [("C(visit)", "arm"), ("C(visit, contr.sum)", "C(arm, contr.helmert)")]
    ]
    np.testing.assert_allclose(by[0]["statistic"], by[1]["statistic"], rtol=1e-6)


def test_terms_of_a_design_with_empty_cells_are_refused(table):
    data = table("twoarm")
    data = data[~((data["group"] == "ivig") & (data["phase"] == "after"))]
    with pytest.raises(LongsurvError, match="determined by others"):
        anova(LMM("y ~ phase * group + (1 | patient)", data).fit())


def test_r2_is_nakagawas(fits, table, r_results):
    for name, fit in [
        ("sleepstudy", fits("sleepstudy")),
        ("twoarm", LMM("y ~ phase * group + (1 | patient)", table("twoarm")).fit()),
    ]:
        found = r2(fit).set_index("term")["estimate"]
        for what in ("marginal", "conditional"):
            assert found[what] == pytest.approx(
                r_results("lmm_kr", name, f"r2_{what}")[""], rel=1e-6
            )


def test_r2_of_a_posterior_is_computed_draw_by_draw(table):
    post = LMM("Reaction ~ Days + (Days | Subject)", table("sleepstudy")).sample(
        draws=100, tune=150, chains=2, seed=4
    )
    X, Z = post.design.fixed.X, post.design.Z
    marginal, conditional = np.empty((2, 2, 100))
    for place in np.ndindex(2, 100):
        sd0, sd1, cor = (post.samples[n][place] for n in post.design.variance_names[1:])
        D = np.array([[sd0**2, cor * sd0 * sd1], [cor * sd0 * sd1, sd1**2]])
        fixed = np.var(X @ post.coefficients[place], ddof=1)
        random = np.mean(np.einsum("ij,jk,ik->i", Z, D, Z))
        total = fixed + random + post.samples["sigma"][place] ** 2
        marginal[place], conditional[place] = fixed / total, (fixed + random) / total
    found = r2(post, level=0.8).set_index("term")
    for name, draws in [("marginal", marginal), ("conditional", conditional)]:
        assert found.loc[name, "estimate"] == pytest.approx(draws.mean())
        assert found.loc[name, "conf_low"] == pytest.approx(np.quantile(draws, 0.1))


def test_r2_of_a_nested_model_counts_every_grouping(table):
    fit = LMM("y ~ time * treated + (1 | site/id)", table("sites")).fit()
    named = dict(zip(fit.variance.names, fit.variance.values, strict=True))
    fixed = np.var(fit.design.fixed.X @ fit.coefficients, ddof=1)
    random = named["sd(Intercept|site)"] ** 2 + named["sd(Intercept|site:id)"] ** 2
    found = r2(fit).set_index("term")["estimate"]
    total = fixed + random + fit.sigma**2
    assert found["marginal"] == pytest.approx(fixed / total)
    assert found["conditional"] == pytest.approx((fixed + random) / total)


def test_lrt_of_a_site_variance(table):
    data = table("sites")
    data = data.assign(who=data["site"] + data["id"])
    larger = LMM("y ~ time * treated + (1 | site) + (1 | who)", data).fit()
    smaller = LMM("y ~ time * treated + (1 | who)", data).fit()
    found = lrt(smaller, larger).iloc[0]
    assert found["df"] == 1 and found["statistic"] == pytest.approx(2 * (larger.llf - smaller.llf))
    assert found["p_boundary"] == pytest.approx(found["p_value"] / 2)
