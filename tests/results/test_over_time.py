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


@pytest.mark.parametrize("rows", ["clusters", "weights"])
def test_no_change_is_tested_and_not_no_effect_after_the_cut(table, rows):
    """The pieces' difference, of rows that depend on one another, in one table of split rows."""
    whole = table("lung").dropna(subset=["inst"]).assign(
        ward=lambda d: np.arange(len(d)) % 70, w=lambda d: 0.5 + (np.arange(len(d)) % 4) / 3
    )  # fmt: skip
    more = {"weights": "w"} if rows == "weights" else {}
    right = "sex + age" + (" + cluster(ward)" if rows == "clusters" else "")
    fit = CoxPH(f"Surv(time, status) ~ {right}", data=whole, **more).fit()
    found = fit.hazard_ratio_over_time("sex", cuts=[300.0])
    row = np.arange(len(whole))
    whole = whole.assign(row=row, ward=whole["ward"] if rows == "clusters" else row, start=0.0)
    late = whole[whole["time"] > 300].assign(start=300.0)
    early = whole.assign(
        status=whole["status"] * (whole["time"] <= 300), time=np.minimum(whole["time"], 300)
    )
    split = pd.concat([early, late]).assign(
        one=lambda d: d["sex"] * (d["start"] == 0), two=lambda d: d["sex"] * (d["start"] > 0)
    )
    pieces = CoxPH(
        "Surv(start, time, status) ~ one + two + age + cluster(ward)",
        data=split,
        patient="row",
        **more,
    ).fit()
    change = pieces.contrast({"two": 1, "one": -1}).iloc[0]
    assert found.attrs["statistic"] == pytest.approx(change["statistic"] ** 2, rel=1e-6)
    assert found.attrs["p_value"] == pytest.approx(change["p_value"], rel=1e-6)
    assert abs(abs(change["statistic"]) - abs(pieces.tvalues["two"])) > 0.3  # not one for the other


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
