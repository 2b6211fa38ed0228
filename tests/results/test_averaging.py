"""Weights of the reference grid, contrasts given by their weights, and slopes: against emmeans, and
against averages and derivatives done by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import LongsurvError
from longsurv.models import GLMM, LMM

NAMES = {"std_error": "SE", "df": "df", "conf_low": "lower.CL", "conf_high": "upper.CL"}


@pytest.fixture(scope="module")
def uneven(table):
    """Two arms with a third of men, in which one patient in five has no second value."""
    data = table("twoarm")
    data = data[~((data["patient"] % 5 == 0) & (data["phase"] == "after"))]
    return data.assign(
        sex=np.where(data["patient"] % 3 == 0, "m", "f"),
        phase=pd.Categorical(data["phase"], ["baseline", "after"]),
        group=pd.Categorical(data["group"], ["control", "ivig"]),
    )


@pytest.fixture(scope="module")
def fit(uneven):
    return LMM("y ~ phase * group + sex * phase + age + (1 | patient)", uneven).fit(
        df="kenward-roger"
    )


@pytest.fixture(scope="module")
def growth(table):
    data = table("orthodont")
    return data.assign(Sex=pd.Categorical(data["Sex"], ["Female", "Male"]))


def same(
    reference, table: pd.DataFrame, labels: list[str], names=NAMES, rtol=1e-6, atol=0.0
) -> None:
    for ours, theirs in {"estimate": "estimate", **names}.items():
        expected = reference(theirs)
        np.testing.assert_allclose(
            table[ours].to_numpy(float),
            [expected[k] for k in labels],
            rtol=rtol,
            atol=atol,
            err_msg=ours,
        )


@pytest.mark.parametrize("weights", ["equal", "proportional", "cells"])
def test_weights_are_those_of_emmeans(fit, r_results, weights):
    found = fit.means(["phase", "group"], weights=weights).table
    labels = [f"{p} {g}" for p, g in zip(found["phase"], found["group"], strict=True)]
    same(lambda q: r_results("averaging", weights, q), found, labels)
    if weights != "equal":
        one = fit.means("group", weights=weights).table
        same(lambda q: r_results("averaging", f"{weights}_group", q), one, list(one["group"]))


def test_means_by_cells_are_averages_of_the_fixed_part(uneven):
    """With age left out every row's fitted value is its cell's."""
    fit = LMM("y ~ phase * group * sex + (1 | patient)", uneven).fit()
    fitted = fit.predict(uneven.assign(patient=-1))["estimate"]
    by_hand = fitted.groupby(uneven["group"].to_numpy()).mean()
    found = fit.means("group", weights="cells").table.set_index("group")["estimate"]
    np.testing.assert_allclose(found, by_hand.loc[list(found.index)], rtol=1e-12)


def test_weights_do_not_matter_where_the_design_is_balanced(table):
    data = table("visits").query("visit <= 2")  # which nobody missed
    assert data.groupby(["visit", "arm"]).size().nunique() == 1
    fit = LMM("y ~ C(visit) * arm + (1 | patient)", data).fit()
    one, other, third = (
        fit.means("visit", weights=w).table["estimate"] for w in ("equal", "proportional", "cells")
    )
    np.testing.assert_allclose(one, other, rtol=1e-12)
    np.testing.assert_allclose(one, third, rtol=1e-12)


def test_a_cell_that_nobody_is_in_has_no_mean_by_cells(uneven):
    fit = LMM(
        "y ~ phase + group + sex + (1 | patient)",
        uneven[~((uneven["group"] == "ivig") & (uneven["phase"] == "after"))],
    ).fit()
    cells = fit.means(["phase", "group"], weights="cells")
    nobody = (cells.cells["phase"] == "after") & (cells.cells["group"] == "ivig")
    assert cells.table["estimate"].isna().tolist() == nobody.tolist()
    assert fit.means(["phase", "group"]).table["estimate"].notna().all()


@pytest.mark.parametrize("adjust", ["none", "holm", "bonferroni", "mvt"])
def test_combinations_are_those_of_emmeans(fit, r_results, adjust):
    means = fit.means(["phase", "group"])
    control, ivig = "phase={}, group=control", "phase={}, group=ivig"
    asked = pd.DataFrame(0.0, index=["late", "one"], columns=means.labels)
    for group in (control, ivig):
        asked.loc["late", group.format("baseline")] = -0.5
        asked.loc["late", group.format("after")] = 0.5
    asked.loc["one", [control.format("after"), ivig.format("after")]] = -1.0, 1.0
    found = means.combination(asked, adjust=None if adjust == "none" else adjust)
    assert found["term"].tolist() == ["late", "one"]
    p = "p_value" if adjust == "none" else "p_adjusted"
    names = {**NAMES, p: "p.value"}
    if adjust == "holm":  # emmeans adjusts the intervals too, by Bonferroni
        names = {"std_error": "SE", "df": "df", p: "p.value"}
    # mvtnorm's own error is about 1e-4.
    near = {"rtol": 1e-3, "atol": 5e-4} if adjust == "mvt" else {"rtol": 1e-5}
    same(
        lambda q: r_results("averaging", f"asked_{adjust}", q),
        found,
        list(asked.index),
        names,
        **near,
    )


def test_a_contrast_is_the_combination_of_its_weights(fit):
    means = fit.means(["phase", "group"])
    change = means.contrast("phase", "group", ratio="log")
    weights = {
        "phase=baseline, group=control": 1.0, "phase=after, group=control": -1.0,
        "phase=baseline, group=ivig": -1.0, "phase=after, group=ivig": 1.0,
    }  # fmt: skip
    found = means.combination(weights, ratio="log")
    columns = ["estimate", "std_error", "df", "p_value", "conf_low", "conf_high"]
    np.testing.assert_allclose(found[columns], change[columns], rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("straight", "distance ~ Sex * age + (age | Subject)"),
        ("bent", "np.log(distance) ~ Sex * np.log(age) + I(age**2) + (1 | Subject)"),
    ],
)
def test_slopes_are_those_of_emmeans(growth, r_results, name, formula):
    fit = LMM(formula.replace("np.", ""), growth).fit(df="kenward-roger")
    slopes = fit.slopes("age", by="Sex")
    near = {"rtol": 2e-6}  # of emtrends' own difference quotient
    found = slopes.table
    same(lambda q: r_results("averaging", f"slopes_{name}", q), found, list(found["Sex"]), **near)
    difference = slopes.contrast("Sex")
    same(
        lambda q: r_results("averaging", f"slopes_{name}", q), difference, ["Male - Female"],
        **near,
    )  # fmt: skip
    if name == "straight":
        own = fit.tidy().set_index("term").loc["Sex[T.Male]:age"]
        columns = ["estimate", "std_error", "df", "p_value"]
        np.testing.assert_allclose(difference[columns].iloc[0], own[columns], rtol=1e-8)
    else:
        early = fit.slopes("age", by="Sex", at={"age": 9}).table
        same(lambda q: r_results("averaging", "slopes_early", q), early, list(early["Sex"]), **near)


def test_slopes_at_several_values_are_derivatives(growth):
    fit = LMM("distance ~ Sex + ns(age, df=3) + (1 | Subject)", growth).fit()
    found = fit.slopes("age", at={"age": [9.0, 12.5]}).table
    assert found["age"].tolist() == [9.0, 12.5]
    h = 1e-3
    for age, slope in zip(found["age"], found["estimate"], strict=True):
        ends = fit.means("age", at={"age": [age - h, age + h]}).table["estimate"]
        assert slope == pytest.approx((ends[1] - ends[0]) / (2 * h), rel=1e-5)


def test_slopes_of_a_line_do_not_depend_on_the_origin_of_time(growth):
    columns = ["estimate", "std_error", "conf_low", "conf_high"]
    found = [
        LMM("distance ~ Sex * age + (1 | Subject)", growth.assign(age=growth["age"] + shift))
        .fit()
        .slopes("age", by="Sex")
        .table[columns]
        for shift in (0.0, 2000.0)
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


def test_what_does_not_determine_a_slope_has_none(growth):
    """Girls are measured once: their slope is nobody's, the boys' is as without them."""
    once = growth[(growth["Sex"] == "Male") | (growth["age"] == 8)]
    fit = LMM("distance ~ Sex * age + (1 | Subject)", once).fit()
    girls, boys = fit.slopes("age", by="Sex").table["estimate"]
    assert np.isnan(girls) and np.isfinite(boys)


def test_a_posterior_and_a_generalised_model_have_them_too(growth, table):
    posterior = LMM("distance ~ Sex * age + (1 | Subject)", growth).sample(
        chains=2, draws=100, tune=200, seed=1
    )
    found = posterior.slopes("age", by="Sex").table
    drawn = posterior.samples
    by_hand = [drawn["age"].mean(), (drawn["age"] + drawn["Sex[T.Male]:age"]).mean()]
    np.testing.assert_allclose(found["estimate"], by_hand, rtol=1e-6)
    counts = table("episodes")
    fit = GLMM(
        "units ~ treated * period + offset(log(days)) + (1 | patient)", counts, family="poisson"
    ).fit()
    slope = fit.slopes("period", by=(), at={"treated": [0, 1]})
    ratio = slope.contrast("treated", ratio=True)["estimate"].iloc[0]
    own = fit.tidy().set_index("term").loc["treated:period", "estimate"]
    assert ratio == pytest.approx(np.exp(own), rel=1e-8)


def test_response_means_take_the_weights(table):
    counts = table("episodes").assign(ward=lambda d: np.where(d["patient"] % 3 == 0, "a", "b"))
    fit = GLMM(
        "units ~ treated + ward + offset(log(days)) + (1 | patient)", counts, family="poisson"
    ).fit()
    share = (counts["ward"] == "b").mean()
    apart = np.log(fit.response_means(["ward"], {"treated": 1}).table["estimate"])
    typical = fit.response_means("treated", {"treated": 1}, weights="proportional").table
    expected = (1 - share) * apart[0] + share * apart[1]
    assert np.log(typical["estimate"].iloc[0]) == pytest.approx(expected, rel=1e-10)


def test_what_cannot_be_asked_is_refused_in_words(fit, growth):
    with pytest.raises(LongsurvError, match="weights"):
        fit.means("group", weights="outer")
    with pytest.raises(LongsurvError, match="is a factor here, and a slope is along a number"):
        fit.slopes("group")
    with pytest.raises(LongsurvError, match="the fixed effects have no variable 'day'"):
        fit.slopes("day")
    with pytest.raises(LongsurvError, match="is to stand at finite ones"):
        fit.slopes("age", at={"age": ["old"]})
    with pytest.raises(LongsurvError, match=r"there is no mean 'group=IVIG'.*Did you mean"):
        fit.means("group").combination({"group=IVIG": 1})
    with pytest.raises(LongsurvError, match="tukey"):
        fit.means("group").combination({"group=ivig": 1}, adjust="tukey")
    constant = LMM("distance ~ Sex + (1 | Subject)", growth.assign(height=1.0)).fit()
    with pytest.raises(LongsurvError, match="no variable 'height'"):
        constant.slopes("height")
