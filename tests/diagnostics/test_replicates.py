"""Replicated data: of the model they are meant to be of, and seen through where it is wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.design import Residual
from longsurv.diagnostics.replicates import (
    category_statistics,
    compared,
    completed,
    course_statistics,
    replicate,
    root,
)
from longsurv.errors import LongsurvError
from longsurv.likelihood.glmm.families import FAMILIES
from longsurv.models import GLMM, LMM


def test_replicates_have_the_mean_and_covariance_given_the_patients_effects(fits) -> None:
    fit = fits("sleepstudy")
    design, kernel, point = fit.design, fit.kernel, fit.point
    rng = np.random.default_rng(1)
    many = np.array([replicate(design, kernel, point, rng) for _ in range(3000)])
    (effects,) = kernel.effects(point)
    Z = design.groupings[0].random.X
    mean = design.fixed.X @ point.beta + np.einsum("nq,nq->n", Z, effects.mean[design.group])
    within = np.einsum("nq,nqr,nr->n", Z, effects.cov[design.group], Z) + point.sigma**2
    error = np.sqrt(within / len(many))
    assert np.abs((many.mean(axis=0) - mean) / error).max() < 4.5
    np.testing.assert_allclose(many.var(axis=0), within, rtol=0.15)
    same = design.group == 0
    cov = np.cov(many[:, same].T)
    expected = Z[same] @ effects.cov[0] @ Z[same].T + point.sigma**2 * np.eye(same.sum())
    np.testing.assert_allclose(cov, expected, atol=0.12 * expected.max())


def test_replicates_of_correlated_residuals_are_correlated(fits) -> None:
    data = fits("sleepstudy").spec.data
    fit = LMM("Reaction ~ Days", data, Residual("ar1", "Days", "Subject")).fit()
    rng = np.random.default_rng(2)
    many = np.array([replicate(fit.design, fit.kernel, fit.point, rng) for _ in range(2000)])
    at = fit.design.group == 3
    found = np.corrcoef(many[:, at].T)
    rho = fit.tidy(component="variance").set_index("term")["estimate"].filter(like="rho").iloc[0]
    lags = np.abs(np.subtract.outer(np.arange(at.sum()), np.arange(at.sum())))
    np.testing.assert_allclose(found, rho**lags, atol=0.1)


def test_replicates_of_weighted_rows_scatter_by_their_weights(fits) -> None:
    data = fits("sleepstudy").spec.data
    data = data.assign(w=np.where(data["Days"] > 4, 4.0, 1.0))
    fit = LMM("Reaction ~ Days + (1 | Subject)", data, weights="w").fit()
    rng = np.random.default_rng(5)
    many = np.array([replicate(fit.design, fit.kernel, fit.point, rng) for _ in range(2000)])
    within = (
        np.diag(np.cov((many - many.mean(axis=0)).T))
        - fit.kernel.effects(fit.point)[0].cov[fit.design.group, 0, 0]
    )
    heavy = data["w"].to_numpy() > 1
    assert within[~heavy].mean() / within[heavy].mean() == pytest.approx(4.0, rel=0.1)


@pytest.mark.parametrize("name", ["bernoulli", "ordinal", "censored", "student"])
def test_families_draw_what_their_mean_says(name: str) -> None:
    family, rng = FAMILIES[name], np.random.default_rng(3)
    phi = {"bernoulli": [], "ordinal": [-1.0, 0.3], "censored": [-0.4], "student": [-0.4, 0.2]}
    own = np.array(phi[name], dtype=float)
    n, eta = 40_000, 0.7
    y = family.replicate(np.full(n, eta), own, np.nan, rng)
    mean = family.mean(np.array([eta]), family.coefficients(own))
    if name == "ordinal":
        shares = np.bincount(y.astype(int), minlength=3) / n
        np.testing.assert_allclose(shares, mean[0], atol=0.012)
    else:
        assert y.mean() == pytest.approx(mean[0], abs=0.02)
    if name == "censored":
        assert y.std() == pytest.approx(np.exp(-0.4), rel=0.02)
    if name == "student":  # variance df / (df - 2) of a unit scale, df = 5
        assert y.std() == pytest.approx(np.exp(-0.4) * np.sqrt(5 / 3), rel=0.04)


def test_statistics_by_hand() -> None:
    y, group = np.array([1.0, 5.0, 3.0, 2.0, 2.0]), np.array([0, 1, 0, 2, 2])
    found = course_statistics(y, group)
    assert found["mean"] == 2.6
    assert found["SD between patients"] == pytest.approx(np.std([2.0, 5.0, 2.0]))
    assert found["SD within patients"] == pytest.approx(np.sqrt(2 / 5))
    assert found["largest change"] == 2.0
    assert np.isnan(found["skewness within patients"])  # nobody has a third value
    shares = category_statistics(np.array([0.0, 1.0, 1.0, 1.0]), np.array([0, 0, 1, 1]))
    assert shares["patients who never change"] == 0.5


def test_comparison_by_hand() -> None:
    drawn = [{"marker": {"a": float(k), "b": np.nan}} for k in range(5)]
    table = compared({"marker": {"a": 3.0, "b": 1.0}}, drawn, 0.5)
    assert table.to_dict("records") == [
        {"part": "marker", "of": "values", "statistic": "a", "observed": 3.0,
         "replicated": 2.0, "conf_low": 1.0, "conf_high": 3.0, "p_value": pytest.approx(0.3)}
    ]  # fmt: skip


def test_a_root_is_one_of_a_singular_matrix_too() -> None:
    cov = np.array([[4.0, 2.0], [2.0, 1.0]])
    half = root(cov)
    np.testing.assert_allclose(half @ half.T, cov, atol=1e-12)


def test_heavy_tails_are_seen_and_normal_ones_are_not() -> None:
    rng = np.random.default_rng(4)
    patient, visits = np.repeat(np.arange(40), 5), np.tile(np.arange(5.0), 40)
    level = rng.normal(0, 1, 40)[patient]
    tables = {}
    for name, noise in (
        ("normal", rng.normal(0, 1, 200)), ("heavy", 0.6 * rng.standard_t(1.5, 200)),
    ):  # fmt: skip
        data = pd.DataFrame({"y": level + noise, "visit": visits, "id": patient})
        post = LMM("y ~ visit + (1 | id)", data).sample(draws=60, tune=100, chains=1, seed=2)
        table = post.predictive_checks(draws=60)
        tables[name] = table.set_index("statistic")["p_value"]
        again = post.predictive_checks(draws=60)
        pd.testing.assert_frame_equal(table, again)
    assert tables["heavy"]["kurtosis within patients"] < 0.02
    assert 0.02 < tables["normal"]["kurtosis within patients"] < 0.98


def test_values_beyond_a_limit_are_drawn_and_a_wrong_shape_is_still_seen() -> None:
    """A third of the values below a limit: as if they were known, about; heavy tails are not
    normal. One that is known stays as it is."""
    rng = np.random.default_rng(6)
    patient, visits = np.repeat(np.arange(60), 5), np.tile(np.arange(5.0), 60)
    level = 0.8 * rng.standard_normal(60)[patient] + 0.2 * visits
    for noise, low, high in (
        (rng.standard_normal(300), 0.02, 0.98),
        (rng.standard_t(2, 300), 0, 0.02),
    ):
        y = level + noise
        limit = np.quantile(y, 0.33)
        data = pd.DataFrame({
            "y": np.maximum(y, limit), "visit": visits, "id": patient,
            "c": np.where(y < limit, "left", "none"),
        })  # fmt: skip
        spec = GLMM("y ~ visit + (1 | id)", data, family="censored", censored="c")
        post = spec.sample(draws=60, tune=100, chains=1, seed=2)
        table = post.predictive_checks(draws=60).set_index("statistic")
        assert low <= table.loc["kurtosis within patients", "p_value"] <= high
        again = post.predictive_checks(draws=60).set_index("statistic")
        pd.testing.assert_frame_equal(table, again)
    whole = completed(post.data, next(post.thetas()), np.random.default_rng(1))
    seen = post.data.kind == 0
    np.testing.assert_array_equal(whole[seen], post.data.y[seen])
    assert (whole[~seen] < limit).all() and np.ptp(whole[~seen]) > 0.5


def test_options_are_checked() -> None:
    data = pd.DataFrame({
        "y": [1.0, 2.0, 1.5, 0.5, 1.1, 2.2], "id": [0, 0, 1, 1, 2, 2], "x": [0, 1] * 3,
    })  # fmt: skip
    whole = LMM("y ~ x + (1 | id)", data).sample(draws=20, tune=50, chains=1, seed=1)
    with pytest.raises(LongsurvError, match="draws is at least 2"):
        whole.predictive_checks(draws=1)
