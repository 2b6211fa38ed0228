"""Several arms: each against the reference, one model of all, and what two arms alone say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from longsurv import priors as pr
from longsurv.analyses import Mortality
from longsurv.analyses.mortality.arms import chosen_comparison
from longsurv.analyses.mortality.effect import priors_of
from longsurv.analyses.mortality.methods import mortality_methods
from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.adjusted_curves import weighted_comparison
from longsurv.estimands.doubly_robust import doubly_robust_risk
from longsurv.estimands.weighting import propensity_weights

ARMS = ["squamous", "smallcell", "large"]
ONE = {"weak": pr.TREATMENT["weak"]}
LIMITS = ["estimate", "conf_low", "conf_high", "p_value"]
REFERENCE = Path(__file__).parents[2] / "reference"
OF_ALL = ("hazard ratio", "time ratio")


@pytest.fixture(scope="module")
def lung() -> pd.DataFrame:
    data = pd.read_csv(REFERENCE / "veteran.csv").rename(columns={"time": "exit"})
    data = data[data["celltype"] != "adeno"].rename(columns={"status": "event"})
    return data.assign(celltype=pd.Categorical(data["celltype"], ARMS))


@pytest.fixture(scope="module")
def asked(lung) -> Mortality:
    return Mortality(lung, "celltype", 365.0)


@pytest.fixture(scope="module")
def found(asked):
    return asked.methods(priors=ONE, draws=200)


def test_comparisons_are_named_as_differences_of_means_are(asked, lung):
    assert asked.arms == ARMS
    assert list(asked.each()) == ["smallcell - squamous", "large - squamous"]
    assert list(asked.each("pairwise"))[2:] == ["large - smallcell"]
    assert list(Mortality(lung, "celltype", 365.0, reference="large").each()) == [
        "squamous - large", "smallcell - large",
    ]  # fmt: skip


def test_hazard_ratios_are_those_of_one_model_in_r(found, asked, lung, r_results):
    theirs = {name: r_results("arms", "cox", name) for name in LIMITS}
    rows = found.table[found.table["method"] == "Cox, Wald"].set_index("comparison")
    for pair, row in rows.iterrows():
        for name in LIMITS:
            assert row[name] == pytest.approx(theirs[name][pair], rel=1e-6)
    adjusted = {name: r_results("arms", "cox + karno", name) for name in LIMITS}
    for first in ARMS:  # whichever is the reference, and each of all pairs
        each = Mortality(lung, "celltype", 365.0, adjust="karno", reference=first).each()
        for pair, one in each.items():
            for spec, expected in ((one.cox, theirs), (one.cox_adjusted, adjusted)):
                table = spec.fit().hazard_ratios().set_index("term")
                row = table.loc[f"celltype[T.{one.comparison.group}]"]
                assert row["hazard_ratio"] == pytest.approx(expected["estimate"][pair], rel=1e-6)
                assert row["conf_high"] == pytest.approx(expected["conf_high"][pair], rel=1e-6)
    assert set(asked.each()) < set(theirs["estimate"])


def test_p_values_are_corrected_for_the_number_of_comparisons(found, r_results):
    rows = found.table[found.table["method"] == "log-rank, asymptotic"].set_index("comparison")
    raw = r_results("arms", "log-rank", "p_value")
    holm = r_results("arms", "log-rank with squamous", "p_holm")
    for pair, row in rows.iterrows():
        assert row["p_value"] == pytest.approx(raw[pair], rel=1e-6)
        assert row["p_holm"] == pytest.approx(holm[pair], rel=1e-6)
    assert (found.table["p_holm"].isna() == found.table["p_value"].isna()).all()
    assert "p (Holm)" in str(found.summary()) and "2 comparisons" in str(found.summary())


@pytest.mark.parametrize(("kind", "name"), [("reference", "Dunnett"), ("pairwise", "Tukey")])
@pytest.mark.parametrize("adjust", ["", "karno"])
def test_intervals_of_several_arms_hold_together_as_in_r(kind, name, adjust, lung, r_results):
    asked = Mortality(lung, "celltype", 365.0, adjust=adjust)
    table = asked.arm_ratios(kind).set_index("comparison")
    model = name + f" + {adjust}" * bool(adjust)
    for column in ("simultaneous_low", "simultaneous_high", "p_simultaneous"):
        theirs = r_results("arms", model, column)
        assert set(theirs) == set(table.index)
        for pair, row in table.iterrows():
            assert row[column] == pytest.approx(theirs[pair], rel=2e-4, abs=2e-6)
    assert (table["simultaneous_low"] < table["conf_low"]).all()
    assert (table["p_simultaneous"] >= table["p_value"]).all()
    for pair, one in asked.each(kind).items():  # each alone, by another model
        own = (one.cox_adjusted or one.cox).fit().hazard_ratios().set_index("term")
        row = own.loc[f"celltype[T.{one.comparison.group}]"]
        assert table.loc[pair, "estimate"] == pytest.approx(row["hazard_ratio"], rel=1e-6)
        assert table.loc[pair, "conf_low"] == pytest.approx(row["conf_low"], rel=1e-6)


def test_intervals_of_an_arm_without_events_are_not_said_to_hold_together(lung):
    none = lung.assign(event=lung["event"].where(lung["celltype"] != "large", 0))
    with pytest.raises(EstimationError, match="Firth's penalty"):
        Mortality(none, "celltype", 365.0).arm_ratios()


def test_risks_are_of_the_right_arms(found, r_results):
    risk = r_results("arms", "Kaplan-Meier", "risk")
    rows = found.table[found.table["method"] == "Kaplan-Meier, Greenwood"].set_index("comparison")
    for arm in ARMS[1:]:
        expected = risk[arm] - risk["squamous"]
        assert rows.loc[f"{arm} - squamous", "estimate"] == pytest.approx(expected, rel=1e-6)


def test_methods_without_a_model_of_all_are_those_of_the_two_arms(found, asked, lung):
    """Every other answer is what a study of the two arms alone has."""
    pair = "large - squamous"
    one = asked.each()[pair]
    two = Mortality(lung[lung["celltype"] != "smallcell"], "celltype", 365.0)
    alone = mortality_methods(one.pair, "celltype", 365.0, two.cox, priors=ONE, draws=200).table
    rows = found.table[found.table["comparison"] == pair].reset_index(drop=True)
    assert rows["method"].tolist() == alone["method"].tolist()
    modelled = rows["method"].str.startswith("Cox") | rows["quantity"].isin(["time ratio"])
    same = ["method", *LIMITS, "prob_benefit", "note", "estimand"]
    other = ~modelled & (rows["method"] != "overlap weights")  # which are of all arms
    pd.testing.assert_frame_equal(rows.loc[other, same], alone.loc[other, same])
    hazards = rows[modelled]
    assert hazards["estimand"].str.contains("in one model of all 3 arms").all()
    assert not alone["estimand"].str.contains("arms").any()
    # one baseline hazard for all arms says a little more than one of two
    ratio = hazards["estimate"] / alone.loc[modelled, "estimate"]
    assert ratio[hazards["quantity"] == "hazard ratio"].between(0.9, 1.1).all()
    counts = [(c.group, c.reference, c.counts) for c in found.comparisons]
    assert counts[1] == ("large", "squamous", two.counts) == ("large", "squamous", one.counts)


def test_other_answers_are_of_one_comparison(asked, found):
    with pytest.raises(LongsurvError, match=r"3 arms, squamous, smallcell and large.*each\(\)"):
        asked.prior_grid(ONE)
    with pytest.raises(LongsurvError, match="several comparisons, smallcell - squamous"):
        _ = found.counts
    with pytest.raises(LongsurvError, match="comparison="):
        found.plot()
    one = asked.each()["smallcell - squamous"]
    grid = one.prior_grid(ONE, draws=200).table.iloc[0]
    row = found.table.query("method_id == 'Cox posterior'").iloc[0]
    assert row["comparison"] == "smallcell - squamous"
    assert row["estimate"] == pytest.approx(grid["hr"], rel=1e-9)
    standardised = found.table.query(
        "method_id == 'Cox posterior, standardised' and quantity == 'risk difference'"
    )
    assert standardised["estimate"].iloc[0] == pytest.approx(grid["risk_difference"])
    curves = one.competing(draws=500).table.set_index(["quantity", "engine"])
    assert curves.loc[("cause-specific hazard ratio", "frequentist"), "estimate"] == pytest.approx(
        np.exp(one.cox.fit().tidy().set_index("term").loc["celltype[T.smallcell]", "estimate"])
    )
    assert ("risk of smallcell", "bayes") in curves.index
    with pytest.raises(LongsurvError, match="has no arm 'small'"):
        Mortality(asked.source, "celltype", 365.0, group="small").methods()


def test_standardised_risks_are_those_of_the_methods(lung):
    """Without competing events both are g-computation of one fit by Firth's penalty."""
    one = Mortality(lung, "celltype", 365.0, adjust="karno", group="large", reference="smallcell")
    table = one.standardised(draws=200).set_index(["quantity", "engine"])
    assert ("risk of smallcell", "ml") in table.index
    fit = one.cox_adjusted.fit(penalty="firth")
    expected = {}
    for arm in ("large", "smallcell"):  # every patient of all arms under either
        frame = one.data.assign(celltype=pd.Categorical([arm] * len(one.data), one.arms))
        expected[arm] = 1.0 - fit.mean_survival([frame], 365.0)[0][0]
        assert table.loc[(f"risk of {arm}", "ml"), "estimate"] == pytest.approx(
            expected[arm], rel=1e-6
        )
    difference = table.loc[("risk difference", "ml"), "estimate"]
    assert difference == pytest.approx(expected["large"] - expected["smallcell"], rel=1e-6)


def test_a_prior_is_of_every_arm_and_the_usual_one_treats_all_alike(asked):
    spec = asked.each()["large - squamous"].cox
    assert priors_of(spec, "celltype", ONE["weak"]) == {}
    sceptical = pr.TREATMENT["sceptical"]
    named = priors_of(spec, "celltype", sceptical)
    assert named == {"celltype[T.smallcell]": sceptical, "celltype[T.large]": sceptical}


def test_which_two_arms_are_compared():
    def chosen(levels, group=None, reference=None):
        one = chosen_comparison(levels, group, reference, "arm")
        return one.group, one.reference

    assert chosen("ab") == ("b", "a")
    assert chosen("ab", group="a") == ("a", "b") == chosen("ab", reference="b")
    assert chosen("abc", group="c") == ("c", "a")
    assert chosen("abc", group="a", reference="c") == ("a", "c")
    for names in ({}, {"group": "a"}, {"reference": "b"}, {"group": "b", "reference": "b"}):
        with pytest.raises(LongsurvError, match="3 arms, a, b and c"):
            chosen("abc", **names)
    coded = pd.DataFrame({"arm": [0, 1, 0.5] * 4, "exit": range(1, 13), "event": [1, 0] * 6})
    assert Mortality(coded, "arm", 10.0).each()["1.0 - 0.0"].cox.design.fixed.names == (
        "arm[T.0.5]", "arm[T.1.0]",
    )  # fmt: skip


def test_weights_make_all_arms_alike_whatever_is_compared(lung):
    asked = Mortality(lung, "celltype", 100.0, adjust="karno")
    table = asked.methods(priors=ONE, draws=100, kind="pairwise").table
    weights = {
        target: propensity_weights(asked.data, "celltype", "karno", target=target)
        for target in ("ATE", "overlap")
    }
    expected = {
        "inverse probability weights": weighted_comparison(
            weights["ATE"], asked.data, 100.0, compare="pairwise"
        ).query("quantity == 'risk difference'"),
        "overlap weights, mean time": weighted_comparison(
            weights["overlap"], asked.data, 100.0, compare="pairwise"
        ).query("quantity == 'mean time difference'"),
        "doubly robust": doubly_robust_risk(
            weights["ATE"], asked.data, 100.0, compare="pairwise"
        ).query("quantity == 'risk difference'"),
    }  # fmt: skip
    for method, theirs in expected.items():
        mine = table[table["method_id"] == method].set_index("comparison")
        theirs = theirs.set_index("comparison")
        assert set(mine.index) == set(theirs.index) and len(mine) == 3
        for name in LIMITS:
            assert mine[name].to_dict() == pytest.approx(theirs[name].to_dict(), rel=1e-9)
        assert mine["estimand"].str.contains("3 arms").all()
