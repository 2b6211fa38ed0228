"""Assurance of a next trial: trials against models fitted one by one, and limits that are known."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import longsurv as ls
from longsurv.errors import LongsurvError
from longsurv.estimands.log_rank import log_rank_table
from longsurv.models import CoxPH
from longsurv.priors import Normal
from longsurv.report.next_trial import next_trial_lines, next_trial_page, write_next_trial
from longsurv.simulate import next_trial as module
from longsurv.study import Study


@pytest.fixture(scope="module")
def study() -> Study:
    return Study.from_toml(ls.example_path("ivig_sepsis") / "study.toml")


@pytest.fixture(scope="module")
def found(study):
    priors = {"weak": Normal(0.0, 1.0), "sceptical": Normal(0.0, 0.355)}
    return ls.next_trial(study, (60, 240), priors=priors, trials=400)


class Recorded:
    """A generator that keeps what it drew."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def exponential(self, size):
        self.drawn = self.rng.exponential(size=size)
        return self.drawn


def test_every_trial_is_what_cox_and_log_rank_say_of_it():
    rng = Recorded(4)
    truth, risk, n = np.array([-0.5, 0.0, 0.4, -2.5]), np.array([0.3, 0.2, 0.4, 0.15]), 60
    trials = module.two_group_trials(truth, risk, n, rng)
    for k, row in enumerate(trials.to_dict("records")):
        group = (np.arange(n) < n // 2).astype(int)
        rate = -np.log1p(-risk[k]) * np.exp(truth[k] * group)
        times = rng.drawn[k] / rate
        data = pd.DataFrame(
            {"exit": np.minimum(times, 1.0), "event": (times < 1.0).astype(int), "group": group}
        )
        data["status"] = data["event"]
        assert row["events"] == data["event"].sum()
        spec = CoxPH("Surv(exit, event) ~ group", data=data)
        if np.isfinite(row["estimate"]):
            assert row["estimate"] == pytest.approx(spec.fit().params["group"], abs=1e-6)
        else:
            assert data.loc[data["group"] == (row["estimate"] > 0), "event"].sum() > 0
            assert data.groupby("group")["event"].sum().min() == 0
        test = log_rank_table(data, "group")
        p = float(test.loc[test["method"].str.contains("asymptotic|normal"), "p_value"].iloc[0])
        assert row["p"] == pytest.approx(p, rel=1e-6)
        post = spec.sample(draws=2000, priors={"group": module.ANALYSIS}).draw("group")
        assert row["prob_positive"] == pytest.approx((post > 0).mean(), abs=2e-3)
        assert row["low"] == pytest.approx(np.quantile(post, 0.025), abs=0.02)
        assert row["high"] == pytest.approx(np.quantile(post, 0.975), abs=0.02)


def test_no_effect_is_found_as_often_as_it_should_be():
    rng = np.random.default_rng(1)
    trials = module.two_group_trials(np.zeros(2000), np.full(2000, 0.4), 200, rng)
    assert (trials["p"] < 0.05).mean() == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 2000))
    assert (trials["prob_positive"] < 0.05).mean() == pytest.approx(0.05, abs=0.02)


def test_power_is_schoenfeld_s():
    """Of 200 deaths in equal groups, log hazard ratio -0.4: normal with mean -0.4 sqrt(200) / 2."""
    rng = np.random.default_rng(2)
    n, ratio = 600, -0.4
    risk = np.full(1500, 0.38)
    trials = module.two_group_trials(np.full(1500, ratio), risk, n, rng)
    shift = ratio * np.sqrt(trials["events"].mean()) / 2.0
    power = stats.norm.cdf(-1.96 - shift)
    better = (trials["p"] < 0.05) & (trials["score"] < 0)
    assert better.mean() == pytest.approx(power, abs=0.04)
    assert trials["estimate"].mean() == pytest.approx(ratio, abs=0.03)


def test_assurance_grows_towards_what_is_believed(found):
    for _, part in found.table.groupby("prior"):
        small, large = part.sort_values("n").to_dict("records")
        error = 4 * np.hypot(small["assurance_mcse"], large["assurance_mcse"])
        assert large["assurance"] > small["assurance"] - error
        assert large["assurance"] < large["prob_benefit"] + error + 0.05
        assert large["interval"] < small["interval"]
        assert large["events"] == pytest.approx(4 * small["events"], rel=0.1)
    rows = found.table.set_index(["prior", "n"])
    assert rows.loc[("weak", 240), "assurance"] > rows.loc[("sceptical", 240), "assurance"]
    assert rows.loc[("weak", 60), "type_m"] > rows.loc[("weak", 240), "type_m"] > 0.8


def test_processes_do_not_matter(study):
    priors = {"weak": Normal(0.0, 1.0)}
    one = ls.next_trial(study, (40, 80), priors=priors, trials=60)
    two = ls.next_trial(study, (40, 80), priors=priors, trials=60, jobs=2)
    pd.testing.assert_frame_equal(one.table, two.table)


def test_shown(found, tmp_path):
    text = "\n".join(next_trial_lines([found]))
    assert "Assurance is the share of trials" in text and "reconstructed" in text.lower()
    page = next_trial_page([found])
    assert "<svg" in page and "assurance by p" in page
    assert (pd.read_csv(write_next_trial([found], tmp_path / "a.csv"))["n"] == [60, 240] * 2).all()
    assert found.plot().get_label().startswith("Assurance: weak, n = 60")
    assert "type m" in str(found.summary())


@pytest.mark.parametrize("sizes", [(), (5,), (100, 10**6)])
def test_sizes_that_are_no_trial_s(study, sizes):
    with pytest.raises(LongsurvError, match="a trial has 10 to 100,000 patients"):
        ls.next_trial(study, sizes)


def test_command(study, tmp_path, capsys):
    from longsurv.cli import main

    path = str(ls.example_path("ivig_sepsis") / "study.toml")
    out = tmp_path / "next.html"
    command = ["simulate", path, "--next", "40,80", "--cohorts", "50", "--jobs", "1", "--quiet"]
    assert main([*command, "--out", str(out)]) == 0
    assert "what a next trial would show" in capsys.readouterr().out and out.stat().st_size > 5000
    assert main([*command, "--effect", "null"]) == 1
    assert "leave out --effect" in capsys.readouterr().err
    assert main(["simulate", path, "--next", "many"]) == 2


def test_patients_lost_before_the_horizon_are_not_alive_at_it(tmp_path):
    """Three in four are lost in the first half: their deaths were not seen, and a trial of which
    the share seen is the risk would be planned for too many patients."""
    random = np.random.default_rng(8)
    arm = np.repeat(["control", "active"], 400)
    time, lost = random.exponential(30.0, 800), random.uniform(0.0, 14.0, 800)
    lost[random.random(800) < 0.25] = 28.0
    end = np.minimum(np.minimum(time, lost), 28.0)
    pd.DataFrame({
        "id": np.arange(800), "arm": arm, "days": end,
        "status": np.where(time <= end, "dead", "alive"),
    }).to_csv(tmp_path / "patients.csv", index=False)  # fmt: skip
    (tmp_path / "study.toml").write_text(
        """[study]
title = "Lost"
[patients]
file = "patients.csv"
patient = "id"
treatment = "arm"
reference = "control"
[outcome]
exit = "days"
status = "status"
event = "dead"
censored = "alive"
horizon = 28
"""
    )
    study = Study.from_toml(tmp_path / "study.toml")
    found = ls.next_trial(study, (100,), priors={"weak": Normal(0.0, 1.0)}, trials=200)
    assert found.risk == pytest.approx(1.0 - np.exp(-28.0 / 30.0), abs=0.07)
    data = study.cohort.survival_data()
    assert data.loc[data["arm"] == "control", "event"].mean() < 0.4  # what was taken


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> Study:
    """Three arms whose deaths halve from one to the next."""
    folder = tmp_path_factory.mktemp("three")
    random = np.random.default_rng(8)
    arm = np.repeat(["placebo", "low", "high"], 80)
    rate = np.repeat([0.04, 0.02, 0.01], 80)
    time = random.exponential(1 / rate)
    pd.DataFrame({
        "id": np.arange(240), "arm": arm, "days": np.minimum(time, 28.0).round(2),
        "status": np.where(time < 28, "dead", "alive"),
    }).to_csv(folder / "patients.csv", index=False)  # fmt: skip
    (folder / "study.toml").write_text(
        """[study]
title = "Three arms"
[patients]
file = "patients.csv"
patient = "id"
treatment = "arm"
reference = "placebo"
levels = ["placebo", "low", "high"]
[outcome]
exit = "days"
status = "status"
event = "dead"
censored = "alive"
horizon = 28
[models]
compare_arms = "pairwise"
"""
    )
    return Study.from_toml(folder / "study.toml")


def test_of_several_arms_a_trial_of_each_comparison(three, tmp_path):
    priors, sizes = {"weak": Normal(0.0, 1.0)}, (200,)
    every = module.next_trials(three, sizes, priors=priors, trials=400)
    assert list(every) == ["low - placebo", "high - placebo", "high - low"]
    one = ls.next_trial(three, sizes, priors=priors, trials=400, comparison="high - low")
    pd.testing.assert_frame_equal(one.table, every["high - low"].table)
    assert (one.group, one.reference) == ("high", "low")
    # against what is known of three arms by themselves: the risk of the one compared with, the
    # share of trials whose true ratio is below 1 by a normal approximation of the joint posterior
    data = three.cohort.survival_data()
    fit = CoxPH("Surv(exit, event) ~ arm", data).fit()
    weights = {"arm[T.high]": 1.0, "arm[T.low]": -1.0}
    row = fit.contrast(weights).iloc[0]
    believed = stats.norm.cdf(-row["estimate"] / row["std_error"])
    assert one.table["prob_benefit"].iloc[0] == pytest.approx(believed, abs=0.03)
    assert one.risk == pytest.approx(data.loc[data["arm"] == "low", "event"].mean(), abs=0.03)
    order = [every[name].table["prob_benefit"].iloc[0] for name in ("high - placebo", "high - low")]
    assert order[0] > order[1]
    with pytest.raises(LongsurvError, match=r"low - placebo, high - placebo and high - low.*name"):
        ls.next_trial(three, sizes)
    with pytest.raises(LongsurvError, match="comparison is one of low - placebo"):
        ls.next_trial(three, sizes, comparison="low - high")
    page = next_trial_page(list(every.values()))
    assert page.count("<svg") == 3 and "<h2>High against placebo</h2>" in page
    assert len(set(re.findall(r'id="([^"]+)"', page))) == len(re.findall(r'id="([^"]+)"', page))
    table = pd.read_csv(write_next_trial(list(every.values()), tmp_path / "a.csv"))
    assert table["comparison"].tolist() == list(every)
