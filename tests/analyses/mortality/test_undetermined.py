"""Mortality where the data do not say: every row is right or says why it has no number."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from sepsis_variant import write_variant

import longsurv as ls
from longsurv import priors as pr
from longsurv.analyses.mortality.mortality import Mortality
from longsurv.errors import DataError, EstimationError
from longsurv.estimands.competing import incidence_difference

ONE = {"weak": pr.TREATMENT["weak"]}
NUMBERS = ["estimate", "conf_low", "conf_high", "p_value", "prob_benefit"]
RATIOS = ("hazard ratio", "risk ratio", "odds ratio")


def check(table: pd.DataFrame) -> None:
    """No row without a number or a reason, none with both, no number where none can be."""
    no_answer = table["note"].str.startswith("no usable answer: ")
    assert table.loc[no_answer, NUMBERS].isna().all(axis=None)
    assert (table.loc[no_answer, "note"].str.len() > 30).all()
    answered = table[~no_answer]
    assert answered[["p_value", "conf_low"]].notna().any(axis=1).all()
    limits = answered[["conf_low", "estimate", "conf_high"]].to_numpy()
    known = ~np.isnan(limits).any(axis=1)
    assert (np.diff(limits[known], axis=1) >= -1e-9).all()
    assert (limits[known, 0] < limits[known, 2]).all()  # nothing is known without error
    difference = answered[answered["quantity"] == "risk difference"]
    assert difference[["conf_low", "estimate", "conf_high"]].stack().between(-1, 1).all()
    assert not (answered.loc[answered["quantity"].isin(RATIOS), "conf_low"] < 0).any()
    assert answered["p_value"].dropna().between(0, 1).all()
    assert not (answered["p_value"] < 1e-6).any()  # of a handful of patients


@pytest.mark.parametrize("deaths", [1, 2])
def test_events_when_only_one_group_is_still_at_risk(tmp_path, deaths):
    """All controls home by day 24, treated deaths from day 26 on: the hazards are not comparable"""
    cohort = ls.read_cohort(write_variant(tmp_path, deaths=deaths))
    mortality = Mortality(cohort, adjust="age + apache2")
    found = mortality.methods(priors=ONE, draws=200)
    check(found.table)
    assert (found.counts.events, found.counts.reference_events) == (deaths, 0)
    none = found.unanswered.set_index("method")["note"]
    for name, adjusted in itertools.product(("Wald", "likelihood ratio", "Firth, profile"), (0, 1)):
        note = none[f"Cox{' adjusted' * adjusted}, {name}"]
        assert "everybody still at risk was in one group" in note
    assert "the posterior is the prior" in none[f"Cox posterior, weak {ONE['weak']}"]
    for name in ("exact given the risk sets", "log-rank, asymptotic", "log-rank, permutation",
                 "log-rank, imputation", "Gray"):  # fmt: skip
        assert "no event happened while" in none[name]
    with pytest.raises(EstimationError, match=r"every posterior of .* is its prior: at "):
        mortality.prior_grid(ONE, draws=200)
    # What does not compare hazards is there: two proportions, everybody's end being known.
    table = found.of("risk difference").set_index("method")
    both = table.loc[["2 x 2, Newcombe", "Aalen-Johansen, limits of the two risks"], "estimate"]
    assert both.tolist() == pytest.approx([deaths / 19] * 2)
    # Were discharge censoring, nobody would know of the controls' days 24 to 28.
    assert "follow-up ends at 24" in none["Kaplan-Meier, limits of the two risks"].iloc[0]
    assert "follow-up ends at 24" in none["Kaplan-Meier, Greenwood-type"]
    competing = mortality.competing(draws=500).table
    assert competing.loc[competing["cause"] == "event", "estimate"].iloc[0] > 0
    assert len(mortality.tipping(2)) == 3


def delayed() -> pd.DataFrame:
    """One death in each arm before day 3, when the others of the first arm enter."""
    return pd.DataFrame(
        {
            "arm": ["a"] * 6 + ["b"] * 6,
            "entry": [0, 3, 3, 3, 4, 4, 0, 0, 0, 0, 0, 0],
            "exit": [2.0, 28, 28, 28, 28, 28, 1, 28, 28, 28, 28, 28],
            "status": [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0],
        }
    )


def test_a_risk_set_that_empties_before_others_enter():
    found = Mortality(delayed(), "arm", 28.0).methods(priors=ONE, draws=200)
    check(found.table)
    counted = found.table[found.table["method"] == "2 x 2, Newcombe"]["note"].iloc[0]
    assert counted == "5 entered after 0 and count as if from then on"
    none = found.unanswered.set_index("method")["note"]
    limits = "limits of the two risks"
    for name in ("Kaplan-Meier, Greenwood", f"Kaplan-Meier, {limits}", f"Aalen-Johansen, {limits}",
                 "Kaplan-Meier, Greenwood-type"):  # fmt: skip
        assert "group a: nobody was left at risk after 2" in np.atleast_1d(none[name])[0]
    gap = none["posterior of the hazards by cause"]
    assert gap.str.contains("nobody was under observation between 2 and 3").all()


CASES = {
    "one patient each": ([5, 28], [1, 0], [0, 1]),
    "one patient each, both die": ([5, 9], [1, 1], [0, 1]),
    "all dead at once": ([5] * 6, [1] * 6, [0, 1] * 3),
    "all dead": ([3, 5, 7, 9, 11, 13], [1] * 6, [0, 1] * 3),
    "all home": ([3, 5, 7, 9, 11, 13], [2] * 6, [0, 1] * 3),
    "all home but one": ([3, 5, 7, 9, 11, 13], [2] * 5 + [1], [0, 1] * 3),
    "no deaths": ([28] * 6, [0] * 6, [0, 1] * 3),
    "all lost": ([3, 5, 7, 9, 11, 13], [0] * 6, [0, 1] * 3),
    "one group dead, one home": ([3, 5, 7, 9, 11, 13], [1, 2] * 3, [0, 1] * 3),
    "one group of one": ([3, 5, 7, 9, 11, 13], [1, 0, 0, 1, 2, 0], [1, 0, 0, 0, 0, 0]),
    "deaths after the last of the other": ([3, 4, 28, 20, 28, 28], [0, 0, 0, 1, 0, 0],
                                           [0, 0, 1, 1, 1, 1]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_every_row_has_a_number_or_a_reason(name):
    exit, status, arm = CASES[name]
    data = pd.DataFrame({"exit": exit, "status": status, "arm": np.where(arm, "b", "a")})
    data["event"] = data["status"] == 1
    mortality = Mortality(data, "arm", 28.0)
    check(mortality.methods(priors=ONE, draws=200).table)
    mortality.competing(draws=200)


def test_entry_after_the_horizon_and_a_missing_group_are_refused_by_row():
    data = delayed().assign(entry=lambda d: np.where(d.index == 3, 30.0, d["entry"]))
    data.loc[3, "exit"] = 40.0
    with pytest.raises(DataError, match=r"entry at or after the horizon \(28\) in 1 rows \(3\)"):
        Mortality(data, "arm", 28.0).methods()
    one = delayed().query("arm == 'a'")
    labels = pd.Categorical(one["arm"], ["a", "b"])
    for arm in (one["arm"], labels):
        with pytest.raises(DataError, match="expected two groups in 'arm', found a"):
            Mortality(one.assign(arm=arm), "arm", 28.0).methods()


def test_groups_that_enter_apart_are_compared_from_the_later_entry():
    rng = np.random.default_rng(4)
    n = 30
    data = pd.DataFrame(
        {
            "arm": np.repeat(["a", "b"], n),
            "entry": np.repeat([0.0, 7.0], n),
            "exit": np.r_[rng.exponential(20, n), 7 + rng.exponential(20, n)],
            "status": 1,
        }
    )
    data["status"] = (data["exit"] <= 28).astype(int)
    data["exit"] = data["exit"].clip(upper=28.0)
    found = incidence_difference(data, "arm", 28).set_index("quantity")
    alive = data[data["exit"] > 7].groupby("arm")["status"].mean()
    assert found.loc["risk of a", "estimate"] == pytest.approx(alive["a"])
    assert found.loc["risk of b", "estimate"] == pytest.approx(alive["b"])
    assert "counted from 7" in found.loc["risk of a", "note"]
