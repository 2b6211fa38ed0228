"""Rows of which a model knows nothing: a column left out is not what it was in the fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joint_cohorts import Truth, simulated

from longsurv.analyses import Mortality
from longsurv.design.fixed import fixed_design
from longsurv.errors import DataError, EstimationError
from longsurv.estimands.joint_effects import joint_effects
from longsurv.estimands.standardised import risk_difference
from longsurv.estimands.weighting import overlap_weights
from longsurv.models import GLMM, LMM, CoxPH, FineGray, Hazard, JointModel

SAMPLING = {"draws": 30, "tune": 60, "chains": 2}
WHY = r"nothing is known of .*treated:stage\[T.III\] is left out"


@pytest.fixture(scope="module")
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Nobody of stage III was treated."""
    rows, people = simulated(np.random.default_rng(1), 60, Truth(visits=(0.0, 0.75, 1.5, 3.0)))
    people = people.drop(columns="entry").assign(stage=np.array(["I", "II", "III"] * 20))
    people.loc[people["stage"] == "III", "treated"] = 0
    rows = rows[["id", "t", "y"]].merge(people[["id", "treated", "stage"]], on="id")
    return rows.assign(high=(rows["y"] > 1.0) * 1), people


SURVIVAL = "Surv(stop, event) ~ treated * stage"
MARKER = " ~ t + treated * stage + (1 | id)"
MIXED = {
    "LMM": lambda rows: LMM("y" + MARKER, rows),
    "GLMM": lambda rows: GLMM("high" + MARKER, rows, family="bernoulli"),
}
TIMES = {
    "Cox": lambda people: CoxPH(SURVIVAL, people),
    "Hazard": lambda people: Hazard(SURVIVAL, people, baseline="weibull"),
}


@pytest.mark.parametrize("engine", ["fit", "sample"])
@pytest.mark.parametrize("name", MIXED)
def test_no_mean_of_a_group_and_stage_that_nobody_was_in(tables, name, engine):
    rows, _ = tables
    spec = MIXED[name](rows)
    answer = spec.fit() if engine == "fit" else spec.sample(**SAMPLING)
    unseen = rows.iloc[[0, 5]].assign(treated=[1, 0], stage="III")
    with pytest.raises(DataError, match=WHY):
        answer.predict(unseen)
    seen = answer.predict(unseen.iloc[[1]])
    assert np.isfinite(seen[["estimate", "std_error"]].to_numpy()).all()
    # The means of the model say the same: no number, of this cell alone.
    cells = answer.means(["treated", "stage"], at={"treated": [0, 1]}).tidy()
    lost = (cells["treated"] == 1) & (cells["stage"] == "III")
    assert (cells["estimate"].isna() == lost).all()


@pytest.mark.parametrize("engine", ["fit", "sample"])
@pytest.mark.parametrize("name", TIMES)
def test_no_risk_of_patients_like_nobody(tables, name, engine):
    """Neither for new rows, nor where everybody is put into both groups."""
    _, people = tables
    spec = TIMES[name](people)
    answer = spec.fit() if engine == "fit" else spec.sample(**SAMPLING)
    with pytest.raises(DataError, match=WHY):
        answer.predict(people[people["stage"] == "III"].head(2).assign(treated=1), times=[2.0])
    with pytest.raises(DataError, match=WHY):
        risk_difference(answer, "treated", 3.0)
    assert np.isfinite(answer.predict(people.head(3), times=[2.0])["estimate"]).all()


def test_nor_by_a_joint_model_or_a_model_of_fine_and_gray(tables):
    rows, people = tables
    fit = JointModel(
        LMM("y ~ t + treated * stage + (t | id)", rows), CoxPH(SURVIVAL, people), time="t",
        baseline="weibull",
    ).fit()  # fmt: skip
    unseen = rows[rows["id"] == people["id"].iloc[0]].assign(treated=1, stage="III")
    asked = {"at": 0.5, "times": [2.0], "draws": 2}
    for ask in (fit.predict_survival, fit.predict_incidence, fit.predict_marker):
        with pytest.raises(DataError, match=WHY):
            ask(unseen, **asked)
    with pytest.raises(DataError, match=WHY):
        fit.predict(unseen)
    with pytest.raises(DataError, match=WHY):
        joint_effects(fit, "treated", 2.0, draws=2)
    gray = FineGray(SURVIVAL, people).fit()
    with pytest.raises(DataError, match=WHY):
        gray.incidence(people.iloc[[2]].assign(treated=1), [2.0])


def test_a_column_that_strata_determine_is_known_in_its_own_strata_only(tables):
    """Every site treats alike: of a treated patient at a site that treats nobody nothing is known,
    and the hazard of those who were not treated there says nothing about it."""
    _, people = tables
    people = people.assign(site=np.where(people["treated"] == 1, "a", "b"), age=people["id"] % 7)
    fit = CoxPH("Surv(stop, event) ~ treated + age + strata(site)", people).fit()
    assert fit.names == ("age",)
    own = fit.predict(people.head(4), times=[1.0])
    assert np.isfinite(own["estimate"]).all()
    with pytest.raises(DataError, match=r"nothing is known of 1 row .*treated is left out"):
        fit.predict(people.head(1).assign(treated=1 - people["treated"].iloc[0]), times=[1.0])


def test_covariates_that_tell_the_groups_apart_leave_no_adjusted_answer(tables):
    """By no method of mortality: not by a model that leaves one of them out, nor by weights."""
    _, people = tables
    people = people.assign(ward=people["treated"] * 2.0 + 1.0).rename(columns={"stop": "exit"})
    asked = Mortality(people, treatment="treated", horizon=3.0, adjust="ward")
    table = asked.methods(draws=50).table
    adjusted = table["adjusted_for"] == "ward"
    assert adjusted.sum() > 20 and table.loc[adjusted, "estimate"].isna().all()
    why = r"treated cannot be told from ward|ward tells the groups of treated apart"
    assert table.loc[adjusted, "note"].str.contains(why).all()
    plain = table[~adjusted & (table["method"] == "Cox, Wald")]
    assert np.isfinite(plain["estimate"]).all()
    standardised = asked.standardised()
    assert standardised["estimate"].isna().all() and (standardised["reason"] != "").all()


@pytest.mark.parametrize("column", ["nonlinear", "one of two"])
def test_weights_need_somebody_alike_in_both_groups(tables, column):
    """Groups that a combination of covariates tells apart are refused; one patient alike is not."""
    _, people = tables
    rng, treated = np.random.default_rng(2), people["treated"].to_numpy()
    a = rng.normal(size=len(people))
    b = 2.0 * treated - a + rng.uniform(0.0, 1.5, len(people))  # of no column alone
    data = people.assign(a=a, b=b if column == "one of two" else np.exp(9.0 * treated) + a)
    right = "a + b" if column == "one of two" else "b"
    with pytest.raises(EstimationError, match=r"apart without fail .*: nobody in one is like"):
        overlap_weights(data, "treated", right)
    first, other = (int(np.flatnonzero(treated == k)[0]) for k in (0, 1))
    for name in ("a", "b"):
        data.iloc[first, data.columns.get_loc(name)] = data[name].iloc[other]
    found = overlap_weights(data, "treated", right)
    assert np.isfinite(found.propensity.probability).all()


@given(
    weights=st.lists(st.integers(-3, 3), min_size=2, max_size=2).filter(any),
    scale=st.sampled_from([1e-9, 1.0, 1e9]),
    origin=st.sampled_from([0.0, 2000.0]),
    seed=st.integers(0, 20),
)
@settings(max_examples=40, deadline=None)
def test_any_dependence_in_any_units(weights, scale, origin, seed):
    """Rows that keep it are rebuilt, rows that break it are refused, whatever units it is in."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"a": rng.normal(size=30), "b": rng.normal(size=30)})
    data["c"] = scale * (data[["a", "b"]] @ np.array(weights, dtype=float) + origin)
    for intercept in (True, False):
        design, _ = fixed_design("a + b + c", data, intercept=intercept)
        assert design.aliased == ("c",)
        again = design.rebuild(data)
        assert np.array_equal(again, design.X)
        new = pd.DataFrame({"a": rng.normal(size=5), "b": rng.normal(size=5)})
        new["c"] = scale * (new[["a", "b"]] @ np.array(weights, dtype=float) + origin)
        assert design.rebuild(new).shape == (5, design.X.shape[1])
        broken = new.copy()
        broken.loc[3, "c"] += 0.01 * scale
        with pytest.raises(DataError, match=r"nothing is known of 1 row \(index 3\)"):
            design.rebuild(broken)


def test_two_ages_a_second_apart_count_as_one_and_two_years_apart_as_two():
    rng = np.random.default_rng(4)
    age = rng.uniform(30.0, 90.0, 50)
    data = pd.DataFrame({"age": age, "again": age + rng.uniform(-3e-8, 3e-8, 50)})
    design, _ = fixed_design("age + again", data)
    assert design.aliased == ("again",)
    assert np.isfinite(design.rebuild(data + 1.0)).all()
    with pytest.raises(DataError, match="again is left out"):
        design.rebuild(data.head(3).assign(again=lambda d: d["age"] + 2.0))
