"""F tests by term and R2 against lme4, lmerTest and direct computation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import LongsurvError
from longsurv.models import LMM
from longsurv.results.mixed.measures import r2
from longsurv.results.terms import anova


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
