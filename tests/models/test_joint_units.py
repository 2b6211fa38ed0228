"""One joint model in other units is one answer."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from longsurv.models import slope, value

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from joint_cohorts import joint, simulated


@cache
def cohort():
    return simulated(np.random.default_rng(3), 120)


@cache
def plain(baseline):
    return joint(*cohort(), baseline, link=value() + slope()).fit()


@pytest.mark.parametrize("k", [1e-8, 1e-4, 1e-3, 5e4, 1e5])
@pytest.mark.parametrize("baseline", ["weibull", "spline"])
def test_units_of_the_marker(k, baseline):
    """The standard error of the association is the same per unit of the marker's old unit."""
    rows, patients = cohort()
    fit, one = (
        joint(rows.assign(y=k * rows["y"]), patients, baseline, link=value() + slope()).fit(),
        plain(baseline),
    )
    assert fit.converged and one.converged
    assert fit.llf == pytest.approx(one.llf - len(rows) * np.log(k), abs=1e-6)
    for term in one.names:
        unit = 1.0 / k if term.startswith("assoc") else 1.0 if "." in term else k
        assert fit.params[term] == pytest.approx(unit * one.params[term], rel=1e-6, abs=1e-9 * unit)
        assert fit.bse[term] == pytest.approx(unit * one.bse[term], rel=1e-6)
    told, before = fit.association(), one.association()
    per_sd = told["change"].str.startswith("one SD")
    columns = ["hazard_ratio", "conf_low", "conf_high"]
    np.testing.assert_allclose(told.loc[per_sd, columns], before.loc[per_sd, columns], rtol=1e-6)
    pd.testing.assert_series_equal(
        fit.variance_table()["std_error"] / np.r_[[k] * 3, 1.0],
        one.variance_table()["std_error"],
        rtol=1e-5,
    )


def test_words_of_small_and_large_units():
    """Slopes a day, and a marker per microlitre, in a change that patients differ by."""
    rows, patients = cohort()
    days = rows.assign(t=365.25 * rows["t"], y=1e-3 * rows["y"])
    fit = joint(days, patients.assign(stop=365.25 * patients["stop"]), link=value() + slope()).fit()
    told, before = fit.association(), plain("weibull").association()
    assert told["change"].tolist()[0] == "0.001 more of the current value"
    assert told["change"].tolist()[2].endswith("e-06 more of the current slope per unit of t")
    per_sd = told["change"].str.startswith("one SD")
    columns = ["hazard_ratio", "conf_low", "conf_high"]
    np.testing.assert_allclose(told.loc[per_sd, columns], before.loc[per_sd, columns], rtol=1e-5)
    assert not told["words"].str.contains(r"by 0\.00|inf\b").any()


def test_an_interaction_is_a_ratio_of_hazard_ratios():
    rows, patients = cohort()
    found = joint(rows, patients, link=value(by="treated")).fit().association()
    own, ratio = found.iloc[0], found.iloc[-1]
    assert "multiplies the hazard by" in own["words"]
    assert ratio["term"] == "assoc.value:treated"
    assert "ratio of hazard ratios" in ratio["change"]
    assert ratio["words"].endswith("for treated: a ratio of hazard ratios.")
