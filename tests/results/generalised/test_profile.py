"""Profile intervals of generalised mixed models against refits in which a coefficient is held."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from longsurv.errors import LongsurvError
from longsurv.models import GLMM, LMM
from longsurv.results.generalised.profile import fall

CUT = chi2.ppf(0.95, 1)


@cache
def rows() -> pd.DataFrame:
    """30 patients at four visits, some values below a limit."""
    rng = np.random.default_rng(4)
    ids, t = np.repeat(np.arange(30), 4), np.tile(np.arange(4.0), 30)
    truth = 1.0 - 0.4 * t * (ids % 2) + rng.normal(size=30)[ids] + 0.6 * rng.normal(size=120)
    data = pd.DataFrame({"id": ids, "t": t, "arm": ids % 2, "truth": truth, "kind": "none"})
    data["yes"] = (truth > 0.5).astype(int)
    low = truth < 0.3
    return data.assign(y=truth.clip(0.3), seen=np.where(low, "left", "none"))


def test_without_censoring_it_is_the_linear_models():
    formula = "truth ~ t * arm + (1 | id)"
    ours = GLMM(formula, rows(), "censored", censored="kind", nodes=1).fit().profile()
    theirs = LMM(formula, rows()).fit("ML").profile().head(4)
    assert list(ours["term"]) == list(theirs["term"])
    columns = ["estimate", "conf_low", "conf_high"]
    np.testing.assert_allclose(ours[columns], theirs[columns], rtol=1e-5)


@pytest.mark.parametrize("family", ["censored", "bernoulli"])
def test_a_limit_is_where_the_model_without_the_term_has_lost_half_a_quantile(family):
    options = {"family": "censored", "censored": "seen"} if family == "censored" else {}
    left, data = (
        "y" if family == "censored" else "yes",
        rows().assign(x=rows()["t"] * rows()["arm"]),
    )
    fit = GLMM(f"{left} ~ t + arm + x + (1 | id)", data, nodes=9, **options).fit()
    table = fit.profile("x").iloc[0]
    assert table["conf_low"] < fit.params["x"] < table["conf_high"]
    for value in table[["conf_low", "conf_high"]]:
        held = data.assign(known=value * data["x"])
        formula = f"{left} ~ t + arm + offset(known) + (1 | id)"
        without = GLMM(formula, held, nodes=9, **options).fit()
        assert 2.0 * (fit.llf - without.llf) == pytest.approx(CUT, rel=1e-5)
        assert fall(fit, "x", value) == pytest.approx(CUT, rel=1e-5)


def test_combinations_follow_another_coding():
    options = {"family": "censored", "censored": "seen", "nodes": 5}
    fit = GLMM("y ~ t * arm + (1 | id)", rows(), **options).fit()
    other = GLMM("y ~ t * arm + (1 | id)", rows().assign(arm=1 - rows()["arm"]), **options).fit()
    slope = fit.profile({"t": 1.0, "t:arm": 1.0}).iloc[0]
    same = other.profile("t").iloc[0]
    np.testing.assert_allclose(
        slope[["conf_low", "conf_high"]].to_numpy(float),
        same[["conf_low", "conf_high"]].to_numpy(float),
        rtol=1e-5,
    )


def test_thresholds_have_none():
    data = rows().assign(o=np.searchsorted([0.5, 1.5], rows()["truth"]))
    fit = GLMM("o ~ t * arm + (1 | id)", data, "ordinal", nodes=5).fit()
    assert len(fit.profile()) == 3
    with pytest.raises(LongsurvError, match="thresholds have none"):
        fit.profile("0|1")
