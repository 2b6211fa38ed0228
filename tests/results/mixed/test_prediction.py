"""New measurements: their intervals, simulated ones, and fits to others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.design import Residual
from longsurv.errors import LongsurvError
from longsurv.models import LMM
from longsurv.results.bootstrap import parameters

CROSSED = "y ~ treated * dose + (dose | patient) + (1 | rater)"


@pytest.fixture(scope="module")
def crossed(table):
    return LMM(CROSSED, table("raters")).fit()


def test_a_new_patient_s_measurement_has_all_variances(fits):
    fit = fits("sleepstudy")
    rows = pd.DataFrame({"Days": [0.0, 4.5, 12.0]})
    found = fit.predict(rows, interval="prediction")
    Z = np.column_stack([np.ones(3), rows["Days"]])
    variance = np.einsum("ia,ab,ib->i", Z, fit.random_cov.to_numpy(), Z) + fit.sigma**2
    variance += np.einsum("ia,ab,ib->i", Z, fit.cov_params().to_numpy(), Z)
    np.testing.assert_allclose(found["std_error"], np.sqrt(variance), rtol=1e-9)
    np.testing.assert_allclose(found["estimate"], fit.predict(rows)["estimate"])
    half = 1.959964 * found["std_error"]
    np.testing.assert_allclose(found["conf_high"] - found["estimate"], half, rtol=1e-6)


@pytest.mark.parametrize("name", ["sleepstudy", "crossed"])
def test_a_known_patient_s_measurement_adds_the_residual(fits, crossed, name):
    fit = crossed if name == "crossed" else fits(name)
    mean = fit.predict(by_patient=True)
    new = fit.predict(by_patient=True, interval="prediction")
    np.testing.assert_allclose(new["std_error"] ** 2, mean["std_error"] ** 2 + fit.sigma**2)
    # A patient that nobody has seen is less certain than any who was.
    unseen = fit.predict(interval="prediction")
    assert (unseen["std_error"] > new["std_error"]).all()


def test_intervals_hold_what_the_model_draws(crossed):
    found = crossed.predict(interval="prediction", level=0.8)
    draws = crossed.simulate(400, seed=2).to_numpy()
    low, high = (found[c].to_numpy()[:, None] for c in ("conf_low", "conf_high"))
    # A little more than 80 %, as the interval knows that the coefficients are estimates.
    assert 0.79 < np.mean((draws > low) & (draws < high)) < 0.87


def test_a_posterior_predicts_alike(table):
    spec = LMM("Reaction ~ Days + (1 | Subject)", table("sleepstudy"))
    fit, post = spec.fit(), spec.sample(draws=1000, chains=2, seed=1)
    for by_patient in (False, True):
        how = {"interval": "prediction", "by_patient": by_patient}
        a, b = fit.predict(**how), post.predict(**how)
        np.testing.assert_allclose(b["estimate"], a["estimate"], atol=6.0)
        ratio = b["std_error"] / a["std_error"]
        assert ratio.mean() == pytest.approx(1.0, abs=0.06)


def test_a_residual_structure_is_refused(table):
    fit = LMM("y ~ day * arm", table("visits"), Residual("ar1", "visit", "patient")).fit()
    with pytest.raises(LongsurvError, match="needs independent residuals"):
        fit.predict(interval="prediction")
    assert fit.simulate(2).shape == (fit.nobs, 2)


def test_nested_groups(table):
    fit = LMM("y ~ time + (1 | site/id)", table("sites")).fit()
    found = fit.predict(pd.DataFrame({"time": [1.0]}), interval="prediction")
    variance = np.trace(fit.random_cov.to_numpy()) + fit.sigma**2
    assert found["std_error"][0] ** 2 == pytest.approx(
        variance + fit.predict(pd.DataFrame({"time": [1.0]}))["std_error"][0] ** 2
    )


def test_simulated_measurements_can_be_fitted(crossed, table):
    drawn = crossed.simulate(3, seed=5)
    assert list(drawn.columns) == ["simulation_1", "simulation_2", "simulation_3"]
    pd.testing.assert_frame_equal(drawn, crossed.simulate(3, seed=5))
    assert not np.allclose(drawn["simulation_1"], drawn["simulation_2"])
    again = crossed.refit(drawn["simulation_1"])
    direct = LMM(CROSSED, table("raters").assign(y=drawn["simulation_1"])).fit()
    np.testing.assert_allclose(parameters(again), parameters(direct), rtol=1e-8)
    assert again.reference.method == crossed.reference.method
    np.testing.assert_allclose(
        parameters(crossed.refit(crossed.design.y)), parameters(crossed), rtol=1e-8
    )


def test_what_cannot_be_fitted_is_said(crossed):
    y = crossed.simulate()["simulation_1"]
    with pytest.raises(LongsurvError, match="the fit has 221 measurements"):
        crossed.refit(y.to_numpy()[:-1])
    with pytest.raises(LongsurvError, match="indexed otherwise"):
        crossed.refit(y.iloc[::-1])
    with pytest.raises(LongsurvError, match="not finite at index"):
        crossed.refit(y.where(y.index != y.index[3]))
    with pytest.raises(LongsurvError, match="at least 1"):
        crossed.simulate(0)


def test_nothing_is_simulated_from_variances_that_are_not_determined():
    rng = np.random.default_rng(2)
    rows = pd.DataFrame({"id": np.arange(30), "x": rng.normal(size=30), "y": rng.normal(size=30)})
    fit = LMM("y ~ x + (1 | id)", rows).fit()
    with pytest.raises(LongsurvError, match="no estimate of sigma"):
        fit.simulate()
    assert fit.predict(interval="prediction")["std_error"].isna().all()
