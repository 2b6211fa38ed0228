"""Residuals against lme4, against the dense model, and the bands against their promise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import block_diag, cholesky, solve_triangular

from longsurv.design import Residual
from longsurv.diagnostics.residuals import qq, residuals, simultaneous_band
from longsurv.errors import LongsurvError
from longsurv.models import LMM


def dense(fit) -> tuple[np.ndarray, np.ndarray]:
    """V of all measurements and the covariance of the generalised least-squares residuals."""
    d = fit.design
    same = d.group[:, None] == d.group
    V = same * (d.Z @ fit.random_cov.to_numpy() @ d.Z.T) + fit.sigma**2 * np.eye(len(d.y))
    X = d.fixed.X
    return V, V - X @ np.linalg.solve(X.T @ np.linalg.solve(V, X), X.T)


def test_conditional_residuals_are_lme4s(fits, r_results):
    expected = r_results("lmm_kr", "sleepstudy", "residual")
    found = residuals(fits("sleepstudy"))
    np.testing.assert_allclose(
        found["residual"], [expected[str(k + 1)] for k in range(len(found))], rtol=2e-5, atol=2e-5
    )
    np.testing.assert_allclose(found["fitted"] + found["residual"], fits("sleepstudy").design.y)


def test_residuals_are_those_of_the_dense_model(fits, table):
    # Rows in any order, patients with one measurement included.
    data = table("twoarm").sample(frac=1.0, random_state=4)
    for fit in (fits("gaps"), LMM("y ~ phase * group + (1 | patient)", data).fit()):
        found, (V, left) = residuals(fit), dense(fit)
        marginal = fit.design.y - fit.design.fixed.X @ fit.coefficients
        W = np.linalg.inv(V)
        np.testing.assert_allclose(found["marginal"], marginal)
        np.testing.assert_allclose(found["residual"], fit.sigma**2 * W @ marginal, atol=1e-9)
        sd = fit.sigma**2 * np.sqrt(np.diag(W @ left @ W))
        np.testing.assert_allclose(found["studentised"], found["residual"] / sd)
        assert list(found.index) == list(fit.spec.data.index)


def test_scaled_residuals_decorrelate_each_patient(fits):
    fit = fits("gaps")
    found, (V, _) = residuals(fit), dense(fit)
    for g in range(len(fit.design.labels)):
        at = np.flatnonzero(fit.design.group == g)
        L = cholesky(V[np.ix_(at, at)], lower=True)
        expected = solve_triangular(L, found["marginal"].to_numpy()[at], lower=True)
        np.testing.assert_allclose(found["scaled"].to_numpy()[at], expected)
    # The residual variance is such that they have as many degrees of freedom as REML has.
    p = len(fit.names)
    assert (found["scaled"] ** 2).sum() == pytest.approx(len(found) - p, rel=1e-6)
    ml = residuals(fit.spec.fit("ML"))
    assert (ml["scaled"] ** 2).sum() == pytest.approx(len(found), rel=1e-6)


def test_random_effects_in_the_plot_are_the_predictions(fits):
    fit = fits("sleepstudy")
    plotted = qq(fit, "random effects", simulations=99).set_index(["of", "unit"])["observed"]
    predicted = fit.ranef().set_index(["effect", "Subject"])["estimate"]
    np.testing.assert_allclose(plotted.sort_index(), predicted.sort_index(), rtol=1e-6)


@pytest.mark.parametrize("of", ["scaled", "studentised"])
def test_plots_hold_the_ordered_residuals_against_normal_quantiles(fits, of):
    found = qq(fits("gaps"), of, simulations=199, seed=3)
    values = residuals(fits("gaps"))[of]
    np.testing.assert_allclose(found["observed"], np.sort(values), atol=1e-9)
    np.testing.assert_allclose(values[found["unit"]], found["observed"], atol=1e-9)
    assert (np.diff(found["theoretical"]) > 0).all()
    np.testing.assert_allclose(
        found["theoretical"], -found["theoretical"].to_numpy()[::-1], atol=1e-12
    )
    assert (found["low"] < found["high"]).all()
    pd.testing.assert_frame_equal(found, qq(fits("gaps"), of, simulations=199, seed=3))
    assert not found.equals(qq(fits("gaps"), of, simulations=199, seed=4))


def test_a_band_holds_the_promised_share_of_new_curves():
    rng = np.random.default_rng(0)

    def curves(count: int) -> np.ndarray:
        return np.sort(rng.standard_normal((40, count)), axis=0)

    low, high = simultaneous_band(curves(2999), 0.9)
    new = curves(2000)
    inside = ((new >= low[:, None]) & (new <= high[:, None])).all(axis=0).mean()
    assert 0.88 < inside < 0.92


@pytest.mark.parametrize("of", ["scaled", "studentised", "random effects"])
def test_a_right_model_stays_within_its_band(of):
    """Simulated from the model, whole curves leave a 95 % band about one time in twenty."""
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(20), 4)
    t = np.tile(np.arange(4.0), 20)
    left = 0
    for _ in range(60):
        y = t + rng.normal(size=20)[g] + rng.normal(size=80)
        fit = LMM("y ~ t + (1 | g)", pd.DataFrame({"g": g, "t": t, "y": y})).fit()
        found = qq(fit, of, simulations=199)
        left += not found["observed"].between(found["low"], found["high"]).all()
    # The chance of more than 9 of 60 at 5 % is 0.0003; discreteness makes the band a little wide.
    assert left <= 9


def test_an_outlier_leaves_the_band(fits, table):
    data = table("sleepstudy").copy()
    data["Reaction"] = residual_free(fits("sleepstudy"))
    data.loc[50, "Reaction"] += 300.0
    found = qq(LMM("Reaction ~ Days + (1 | Subject)", data).fit(), "studentised", simulations=199)
    worst = found.iloc[-1]
    assert worst["unit"] == 50 and worst["observed"] > worst["high"]


def residual_free(fit) -> np.ndarray:
    """Measurements drawn from the fitted model."""
    rng = np.random.default_rng(2)
    V = block_diag(dense(fit)[0])
    return fit.design.fixed.X @ fit.coefficients + np.linalg.cholesky(V) @ rng.normal(size=len(V))


def test_unknown_kinds_are_refused(fits):
    with pytest.raises(LongsurvError, match="studentised"):
        qq(fits("sleepstudy"), "pearson")
    with pytest.raises(LongsurvError, match="simulations"):
        qq(fits("sleepstudy"), simulations=10)


def dense_structured(fit) -> tuple[np.ndarray, np.ndarray]:
    """V and R of all measurements of a model with nested sites or visits, from the definition."""
    d, data = fit.design, fit.spec.data
    if d.residual is None:
        R = fit.sigma**2 * np.eye(len(d.y))
    else:
        visits = data["visit"].to_numpy()
        C = fit.visit_cov.loc[visits, visits].to_numpy()
        R = np.where(data["patient"].to_numpy()[:, None] == data["patient"].to_numpy(), C, 0.0)
    V = R.copy()
    sd = dict(zip(fit.variance.names, fit.variance.values, strict=True))
    for name, same in [
        ("sd(Intercept|site)", ["site"]),
        ("sd(Intercept|site:id)", ["site", "id"]),
    ]:
        if name in sd:
            key = data[same].astype(str).agg(":".join, axis=1).to_numpy()
            V += sd[name] ** 2 * (key[:, None] == key)
    return V, R


@pytest.mark.parametrize("model", ["nested", "repeated"])
def test_nested_groups_and_correlated_residuals(table, model):
    if model == "nested":
        data = table("sites").sample(frac=1.0, random_state=1).reset_index(drop=True)
        fit = LMM("y ~ time * treated + (1 | site/id)", data).fit()
    else:
        data = table("visits").sample(frac=1.0, random_state=1).reset_index(drop=True)
        residual = Residual("unstructured", "visit", "patient")
        fit = LMM("y ~ C(visit) * arm", data, residual).fit()
    V, R = dense_structured(fit)
    X, y = fit.design.fixed.X, fit.design.y
    W = np.linalg.inv(V)
    P = W - W @ X @ np.linalg.solve(X.T @ W @ X, X.T @ W)
    found = residuals(fit)
    np.testing.assert_allclose(found["residual"], R @ P @ y, atol=1e-7)
    sd = np.sqrt(np.diag(R @ P @ R))
    np.testing.assert_allclose(found["studentised"], R @ P @ y / sd, atol=1e-6)
    np.testing.assert_allclose(found["standardised"], R @ P @ y / np.sqrt(np.diag(R)), atol=1e-7)
    assert (found["scaled"] ** 2).sum() == pytest.approx(y @ P @ y)
    if model == "nested":
        plotted = qq(fit, "random effects", simulations=99)
        assert list(plotted["of"].unique()) == ["Intercept|site:id", "Intercept|site"]
        sites = plotted[plotted["of"] == "Intercept|site"].set_index("unit")["observed"]
        member = data["site"].to_numpy() == sites.index.to_numpy()[:, None]
        sd_site = fit.variance.values[fit.variance.names.index("sd(Intercept|site)")]
        np.testing.assert_allclose(sites, sd_site**2 * member @ P @ y, atol=1e-7)
    else:
        with pytest.raises(LongsurvError, match="no random effects"):
            qq(fit, "random effects")
