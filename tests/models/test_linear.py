"""The linear model: least squares, its variance, and its posterior."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import EstimationError, LongsurvError
from longsurv.models import LMM
from longsurv.models.linear import Linear


@pytest.fixture(scope="module")
def spec() -> Linear:
    rng = np.random.default_rng(8)
    x, z = rng.normal(size=25), np.arange(25) % 2
    y = 1 + x - 0.5 * z + rng.normal(size=25)
    return Linear("y ~ z + x", pd.DataFrame({"id": np.arange(25), "x": x, "z": z, "y": y}), "id")


def test_least_squares(spec: Linear) -> None:
    import statsmodels.formula.api as smf

    ols = smf.ols("y ~ z + x", spec.data).fit()
    table = spec.fit().tidy().set_index("term")
    for column, values in (("estimate", ols.params), ("std_error", ols.bse),
                           ("p_value", ols.pvalues)):  # fmt: skip
        expected = values.rename({"const": "Intercept"}).loc[table.index]
        assert table[column].to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-6)
    assert table["df"].to_numpy() == pytest.approx(22)


def test_variance_and_restricted_likelihood(spec: Linear) -> None:
    """sigma from statsmodels; the likelihood of contrasts that do not see the coefficients."""
    import statsmodels.formula.api as smf
    from scipy import linalg, stats

    fit, ols = spec.fit(), smf.ols("y ~ z + x", spec.data).fit()
    row = fit.variance_table().iloc[0]
    assert row["estimate"] ** 2 == pytest.approx(ols.scale)
    inside = 22 * ols.scale / np.array([row["conf_high"], row["conf_low"]]) ** 2
    assert stats.chi2(22).cdf(inside) == pytest.approx([0.025, 0.975])
    X = fit.design.fixed.X
    contrasts = linalg.null_space(X.T).T @ fit.design.y
    error = stats.norm(0, fit.sigma).logpdf(contrasts).sum()
    assert fit.llf == pytest.approx(error - 0.5 * np.linalg.slogdet(X.T @ X)[1])
    joint = fit.test(np.eye(3)[1:])
    assert joint["statistic"][0] == pytest.approx(ols.fvalue)
    assert joint["p_value"][0] == pytest.approx(ols.f_pvalue)
    assert fit.diagnose().ok


def test_residuals_are_those_of_least_squares(spec: Linear) -> None:
    """Standardised and studentised by the leverage; few of many samples leave their bands."""
    import statsmodels.formula.api as smf

    fit, ols = spec.fit(), smf.ols("y ~ z + x", spec.data).fit()
    found = fit.residuals()
    assert found["scaled"].to_numpy() == pytest.approx(ols.resid.to_numpy() / np.sqrt(ols.scale))
    inside = ols.get_influence().resid_studentized_internal
    assert found["studentised"].to_numpy() == pytest.approx(np.asarray(inside))
    curve, bands = fit.qq(), fit.residual_bands()
    assert curve["observed"].tolist() == sorted(found["scaled"])
    for table in (curve, bands):
        assert ((table["low"] < table["observed"]) & (table["observed"] < table["high"])).all()
    with pytest.raises(LongsurvError, match="no random effects"):
        fit.qq("random effects")


def test_priors_are_those_of_the_mixed_model(spec: Linear) -> None:
    mixed = LMM("y ~ z + x + (1 | id)", spec.data).default_priors()
    assert spec.default_priors() == {k: v for k, v in mixed.items() if not k.startswith("sd(")}


def test_draws_have_a_table_and_contrasts(spec: Linear) -> None:
    post, fit = spec.sample(draws=4000, seed=1, chains=2), spec.fit()
    table, ml = post.tidy().set_index("term"), fit.tidy(component="all").set_index("term")
    assert list(table.index) == list(ml.index)
    # Wide priors and 22 degrees of freedom: nearly the least-squares answer.
    assert table["estimate"].to_numpy() == pytest.approx(ml["estimate"].to_numpy(), abs=0.06)
    assert table["std_error"].to_numpy() == pytest.approx(ml["std_error"].to_numpy(), rel=0.15)
    contrast = post.contrast({"z": 1.0, "x": 1.0})
    assert contrast["estimate"][0] == pytest.approx(table.loc[["z", "x"], "estimate"].sum())


def test_a_perfect_fit_is_refused() -> None:
    data = pd.DataFrame({"id": range(6), "x": range(6), "y": [2.0 * k for k in range(6)]})
    with pytest.raises(EstimationError, match="fits every value exactly"):
        Linear("y ~ x", data, "id").fit()
