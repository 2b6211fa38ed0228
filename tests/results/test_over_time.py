"""Hazard ratios that change over time, against R's tt() and survSplit()."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import EstimationError, LongsurvError
from longsurv.models import CoxPH

FORMULA = "Surv(time, status) ~ trt + karno"
TIES = pytest.mark.parametrize("ties", ["efron", "breslow"])


@TIES
def test_log_time_is_rs_tt(table, r_results, ties):
    fit = CoxPH(FORMULA, data=table("veteran"), ties=ties).fit()
    found = fit.hazard_ratio_over_time("trt", times=[1.0, np.e, 100.0])
    model = f"veteran log {ties}"
    coef, se = (r_results("weighted_log_rank", model, what) for what in ("coef", "se"))
    tidy = found.attrs["coefficients"]
    for k, name in enumerate(("trt", "tt(trt)", "karno")):
        assert tidy["estimate"][k] == pytest.approx(coef[name], rel=1e-6)
        assert tidy["std_error"][k] == pytest.approx(se[name], rel=1e-6)
    ratios = np.log(found["hazard_ratio"])
    assert ratios[0] == pytest.approx(coef["trt"], rel=1e-6)
    assert ratios[1] - ratios[0] == pytest.approx(coef["tt(trt)"], rel=1e-6)
    loglik = r_results("weighted_log_rank", model, "loglik")[""]
    assert found.attrs["statistic"] == pytest.approx(2 * (loglik - fit.llf), rel=1e-6)
    assert found.attrs["df"] == 1


@TIES
def test_pieces_are_rs_after_survsplit(table, r_results, ties):
    fit = CoxPH(FORMULA, data=table("veteran"), ties=ties).fit()
    found = fit.hazard_ratio_over_time("trt", cuts=[60, 150])
    model = f"veteran pieces {ties}"
    coef, se = (r_results("weighted_log_rank", model, what) for what in ("coef", "se"))
    for k, row in found.iterrows():
        name = f"piece {k + 1}"
        assert np.log(row["hazard_ratio"]) == pytest.approx(coef[name], rel=1e-6)
        width = np.log(row["conf_high"] / row["conf_low"]) / (2 * 1.959963984540054)
        assert width == pytest.approx(se[name], rel=1e-6)
    chisq = r_results("weighted_log_rank", model, "chisq")[""]
    assert found.attrs["statistic"] == pytest.approx(chisq, rel=1e-6)
    assert found.attrs["df"] == 2
    died = table("veteran").query("status == 1")["time"]
    assert found["events"].tolist() == [
        (died <= 60).sum(), ((died > 60) & (died <= 150)).sum(), (died > 150).sum()
    ]  # fmt: skip


def test_strata_entry_times_and_clusters_stay_as_they_are(table):
    late = table("veteran").assign(entry=lambda d: np.minimum(d["time"] / 2, 10.0))
    fit = CoxPH("Surv(entry, time, status) ~ trt + karno + strata(celltype)", data=late).fit()
    found = fit.hazard_ratio_over_time("trt", cuts=[80.0])
    early = late.assign(
        status=late["status"] * (late["time"] <= 80), time=np.minimum(late["time"], 80)
    )
    karno = found.attrs["coefficients"]["estimate"].iloc[-1]
    held = CoxPH(
        "Surv(entry, time, status) ~ trt + offset(known) + strata(celltype)",
        data=early.assign(known=karno * early["karno"]),
    ).fit()
    assert np.log(found["hazard_ratio"][0]) == pytest.approx(held.params.iloc[0], rel=1e-6)
    whole = table("lung")
    robust = CoxPH("Surv(time, status) ~ sex + age + cluster(inst)", data=whole).fit()
    assert "Wald" in robust.hazard_ratio_over_time("sex", cuts=[300]).attrs["test"]


def test_what_cannot_be_asked_is_said(table):
    fit = CoxPH(FORMULA, data=table("veteran")).fit()
    for how in ({}, {"cuts": [60], "times": [60]}):
        with pytest.raises(LongsurvError, match="give cuts="):
            fit.hazard_ratio_over_time("trt", **how)
    with pytest.raises(LongsurvError, match="cut from the first on"):
        fit.hazard_ratio_over_time("trt", cuts=[5000])
    with pytest.raises(LongsurvError, match="term"):
        fit.hazard_ratio_over_time("dose", cuts=[60])
    rows = pd.DataFrame(
        {
            "t": [1.0, 2, 3, 4, 5, 6, 7, 8],
            "d": [1, 1, 1, 1, 0, 1, 1, 0],
            "g": [0, 1, 0, 1, 1, 0, 0, 1],
        }
    )
    with pytest.raises(EstimationError, match="use fewer cuts"):
        CoxPH("Surv(t, d) ~ g", data=rows).fit().hazard_ratio_over_time("g", cuts=[4.5])
