"""The test of proportional hazards against R's cox.zph."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pandas as pd
import pytest

from longsurv.diagnostics.proportional_hazards import Transform
from longsurv.errors import LongsurvError
from longsurv.models import CoxPH

STRATA = "Surv(time, status) ~ trt + karno + age + strata(celltype)"
MODELS = [
    "rossi_efron", "rossi_breslow", "heart_efron", "heart_breslow", "veteran_strata_efron",
    "veteran_strata_breslow", "veteran_efron",
]  # fmt: skip


@pytest.fixture(scope="module")
def fitted(fits, table):
    """The fit of one of `MODELS`."""

    def fit(name: str):
        if not name.startswith("veteran"):
            return fits(name)
        veteran = table("veteran")
        if "strata" in name:
            return CoxPH(STRATA, data=veteran, ties=name.rsplit("_", 1)[1]).fit()
        kinds = pd.Categorical(veteran["celltype"], ["squamous", "smallcell", "adeno", "large"])
        formula = "Surv(time, status) ~ trt + celltype + karno + diagtime + age + prior"
        return CoxPH(formula, data=veteran.assign(celltype=kinds)).fit()

    return fit


@pytest.mark.parametrize("transform", get_args(Transform.__value__))
@pytest.mark.parametrize("name", MODELS)
def test_is_r_s(fitted, r_results, name, transform):
    table = fitted(name).proportional_hazards(transform).table.set_index("term")
    table.index = [term.replace("[T.", "").rstrip("]") for term in table.index]
    for column, quantity in (("statistic", "chisq"), ("df", "df"), ("p_value", "p")):
        expected = r_results("cox_basic", name, f"zph_{transform}_{quantity}")
        assert set(table.index) == set(expected)
        np.testing.assert_allclose(
            table.loc[list(expected), column], list(expected.values()), rtol=1e-6
        )


def test_default_is_kaplan_meier(fitted):
    fit = fitted("rossi_efron")
    pd.testing.assert_frame_equal(
        fit.proportional_hazards().table, fit.proportional_hazards("km").table
    )


def test_trend(fitted):
    """One row an event: its g centred, and the scaled Schoenfeld residual."""
    fit = fitted("veteran_efron")
    found = fit.proportional_hazards("log")
    scaled = fit.residuals("scaled_schoenfeld")
    assert len(found.trend) == fit.design.n_events
    assert found.trend["g"].mean() == pytest.approx(0.0, abs=1e-12)
    centred = np.log(found.trend["time"]) - np.log(found.trend["time"]).mean()
    np.testing.assert_allclose(found.trend["g"], centred, atol=1e-12)
    pd.testing.assert_frame_equal(found.trend.drop(columns="g"), scaled)


def test_words(fitted):
    changing = fitted("veteran_efron").proportional_hazards()
    assert "p = 3.2e-05" in changing.words and "karno" in changing.words
    assert "seems to change over time" in changing.words
    few = fitted("rossi_efron").proportional_hazards()
    low = few.table.iloc[:-1].query("p_value < 0.05")["term"]
    assert all(term in few.words for term in low)


@pytest.fixture(scope="module")
def crossing():
    """Two arms without ties: the hazard ratio is 4 before time 1 and 1/4 after it."""
    rng = np.random.default_rng(3)
    arm = np.repeat([0, 1], 150)
    early = np.where(arm == 1, 1.0, 0.25)
    late = np.where(arm == 1, 0.25, 1.0)
    exposure = rng.exponential(size=300)
    time = np.where(exposure < early, exposure / early, 1.0 + (exposure - early) / late)
    return pd.DataFrame({"time": time, "died": 1, "arm": arm})


def test_a_crossing_is_seen(crossing):
    found = CoxPH("Surv(time, died) ~ arm", data=crossing).fit().proportional_hazards("rank")
    assert (found.table["p_value"] < 1e-6).all()
    slope = np.polyfit(found.trend["g"], found.trend["arm"], 1)[0]
    assert slope < 0


def test_refused(fitted, crossing):
    with pytest.raises(LongsurvError, match=r"transform is one of km, .*not 'sqrt'"):
        fitted("rossi_efron").proportional_hazards("sqrt")
    with pytest.raises(LongsurvError, match="no hazard ratios to test"):
        CoxPH("Surv(time, died) ~ 1", data=crossing).fit().proportional_hazards()


def test_covariates_called_as_its_own_columns():
    rng = np.random.default_rng(4)
    data = pd.DataFrame({
        "t": rng.exponential(size=50), "e": 1, "a": rng.normal(size=50), "b": rng.normal(size=50),
        "c": rng.normal(size=50),
    })  # fmt: skip
    plain = CoxPH("Surv(t, e) ~ a + b + c", data).fit().proportional_hazards()
    names = {"a": "g", "b": "time", "c": "stratum"}
    odd = CoxPH("Surv(t, e) ~ g + time + stratum", data.rename(columns=names)).fit()
    found = odd.proportional_hazards()
    np.testing.assert_allclose(found.table["statistic"], plain.table["statistic"])
    assert list(found.trend) == ["time", "g", "g_variable", "time_variable", "stratum"]
    np.testing.assert_allclose(found.trend, plain.trend)
    assert len(found.plot().figure.axes) == len(plain.plot().figure.axes) == 3
