"""R squared of generalised mixed models against R's fits, and tests by term."""

from __future__ import annotations

import numpy as np
import pytest

from longsurv.errors import LongsurvError
from longsurv.models import GLMM

COUNTS = "units ~ period * treated + (1 | patient)"
MODELS = {
    "cbpp": ("disease ~ C(period) + (1 | herd)", "cbpp_bernoulli", "bernoulli", 15),
    "wine": ("rating ~ temp + contact + (1 | judge)", "wine", "ordinal", 15),
    "poisson": (COUNTS, "episodes", "poisson", 15),
    "poisson_slope": ("units ~ period + treated + (period | patient)", "episodes", "poisson", 1),
    "nbinom2": (COUNTS, "episodes", "negative_binomial", 25),
    "nbinom1": (COUNTS, "episodes", "nbinom1", 25),
}


@pytest.mark.parametrize("name", MODELS)
def test_r2_is_nakagawas(table, r_results, name):
    formula, rows, family, nodes = MODELS[name]
    found = GLMM(formula, table(rows), family, nodes).fit().r2().set_index("term")["estimate"]
    expected = r_results("glmm_r2", name, "r2")
    assert dict(found) == pytest.approx(expected, rel=5e-6)


def test_r2_of_measurements_is_that_of_the_linear_model(table):
    """Without censoring the censored family is a linear mixed model by maximum likelihood."""
    from longsurv.models import LMM

    data, formula = table("sleepstudy").assign(kind="none"), "Reaction ~ Days + (Days | Subject)"
    ours = GLMM(formula, data, "censored", censored="kind").fit().r2()
    theirs = LMM(formula, data).fit("ML").r2()
    np.testing.assert_allclose(ours["estimate"], theirs["estimate"], rtol=1e-5)
    heavy = GLMM(formula, data, "student", df=1.5).fit()
    assert heavy.r2()["estimate"].isna().all()


def test_an_offset_moves_the_count_that_r2_is_at(table):
    data = table("episodes").assign(twice=lambda d: 2.0 * d["days"])
    ours, theirs = (
        GLMM(f"units ~ treated + offset(log({days})) + (1 | patient)", data, "poisson").fit().r2()
        for days in ("days", "twice")
    )
    np.testing.assert_allclose(ours["estimate"], theirs["estimate"], rtol=1e-5)


@pytest.mark.parametrize(
    ("formula", "rows", "family"),
    [("disease ~ {period} + (1 | herd)", "cbpp_bernoulli", "bernoulli"),
     ("rating ~ {temp} * {contact} + (1 | judge)", "wine", "ordinal"),
     ("units ~ {period} * treated + (1 | patient)", "episodes", "poisson")],
)  # fmt: skip
def test_terms_are_tested_in_sum_to_zero_coding(table, formula, rows, family):
    names = ("period", "temp", "contact")
    plain = GLMM(formula.format(**{n: f"C({n})" for n in names}), table(rows), family).fit()
    coded = formula.format(**{n: f"C({n}, contr.sum)" for n in names})
    summed = GLMM(coded, table(rows), family).fit()
    found = plain.anova()
    slices = {k: v for k, v in summed.design.fixed.recipe.term_slices.items() if str(k) != "1"}
    shift = 1 if family == "ordinal" else 0
    assert len(found) == len(slices)
    for row, columns in zip(found.to_dict("records"), slices.values(), strict=True):
        own = [summed.names[k - shift] for k in range(columns.start, columns.stop)]
        b = summed.params[own].to_numpy()
        V = summed.cov_params().loc[own, own].to_numpy()
        assert row["df_num"] == len(own)
        assert row["statistic"] == pytest.approx(b @ np.linalg.solve(V, b) / len(own), rel=1e-4)


def test_a_model_without_terms_has_none_to_test(table):
    fit = GLMM("disease ~ 1 + (1 | herd)", table("cbpp_bernoulli")).fit()
    with pytest.raises(LongsurvError, match="no term besides the intercept"):
        fit.anova()
