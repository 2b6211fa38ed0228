from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import EstimationError, FormulaError, LongsurvError
from longsurv.estimands.changes import (
    Change,
    adjusted_p_values,
    baseline_sd,
    contrast_weights,
    difference_in_change,
    mean_curves,
)
from longsurv.models import LMM

CHANGE = Change("phase", "before", "after", "arm", "active", "control")


@pytest.fixture(scope="module")
def pairs() -> pd.DataFrame:
    """Thirty patients measured before and after, none missing."""
    rng = np.random.default_rng(11)
    n = 30
    level = rng.normal(10, 2, n)
    arm = np.where(np.arange(n) < 12, "active", "control")
    rows = [
        (k, phase, arm[k], 40.0 + k, level[k] - fall + rng.normal(0, 1))
        for k in range(n)
        for phase, fall in (("before", 0.0), ("after", 2.0 if arm[k] == "active" else 0.5))
    ]
    data = pd.DataFrame(rows, columns=["id", "phase", "arm", "age", "y"])
    return data.assign(
        phase=pd.Categorical(data["phase"], categories=["before", "after"]),
        arm=pd.Categorical(data["arm"], categories=["control", "active"]),
    )


def paired(pairs: pd.DataFrame) -> tuple[float, float]:
    """Difference of the groups' mean changes and its pooled standard error, by hand."""
    wide = pairs.pivot(index="id", columns="phase", values="y").astype(float)
    change = wide["after"] - wide["before"]
    arm = pairs.drop_duplicates("id").set_index("id")["arm"]
    a, c = change[arm == "active"], change[arm == "control"]
    pooled = ((len(a) - 1) * a.var() + (len(c) - 1) * c.var()) / (len(a) + len(c) - 2)
    return a.mean() - c.mean(), np.sqrt(pooled * (1 / len(a) + 1 / len(c)))


@pytest.mark.parametrize("right", ["phase * arm", "age + phase * arm"])
def test_with_complete_pairs_it_is_the_difference_of_mean_changes(
    pairs: pd.DataFrame, right: str
) -> None:
    fit = LMM(f"y ~ {right} + (1 | id)", data=pairs).fit()
    row = difference_in_change(fit, CHANGE, pairs).iloc[0]
    estimate, error = paired(pairs)
    assert row["estimate"] == pytest.approx(estimate, abs=1e-6)
    assert row["std_error"] == pytest.approx(error, rel=1e-4)


def test_the_posterior_answers_the_same_question(pairs: pd.DataFrame) -> None:
    post = LMM("y ~ phase * arm + (1 | id)", data=pairs).sample(draws=500, chains=2, seed=4)
    row = difference_in_change(post, CHANGE, pairs).iloc[0]
    estimate, error = paired(pairs)
    assert row["estimate"] == pytest.approx(estimate, abs=5 * error / np.sqrt(400))
    assert row["prob_positive"] < 0.05


def test_exchanging_the_groups_changes_the_sign_only(pairs: pd.DataFrame) -> None:
    fit = LMM("y ~ phase * arm + (1 | id)", data=pairs).fit()
    back = Change("phase", "before", "after", "arm", "control", "active")
    one = difference_in_change(fit, CHANGE, pairs).iloc[0]
    other = difference_in_change(fit, back, pairs).iloc[0]
    assert other["estimate"] == pytest.approx(-one["estimate"])
    assert other["conf_low"] == pytest.approx(-one["conf_high"])
    assert other["p_value"] == pytest.approx(one["p_value"])


def test_along_time_it_is_the_difference_of_slopes(fits) -> None:
    fit = fits("pbc")
    data = fits.spec("pbc").data
    drug = Change("year", 0.0, 1.0, "drug", "D-penicillamine", "placebo")
    weights = contrast_weights(fit.design.fixed, drug, data)
    assert weights == {"year:drug[T.D-penicillamine]": 1.0}
    twice = contrast_weights(fit.design.fixed, Change("year", 1.0, 3.0, *_groups(drug)), data)
    assert twice == pytest.approx({"year:drug[T.D-penicillamine]": 2.0})


def _groups(change: Change) -> tuple:
    return change.treatment, change.level, change.reference


def test_without_an_interaction_it_says_what_to_write(pairs: pd.DataFrame) -> None:
    fit = LMM("y ~ phase + arm + (1 | id)", data=pairs).fit()
    with pytest.raises(EstimationError, match=r"write 'phase \* arm'"):
        difference_in_change(fit, CHANGE, pairs)


def test_an_empty_corner_is_refused(pairs: pd.DataFrame) -> None:
    lost = pairs[~((pairs["arm"] == "active") & (pairs["phase"] == "after"))]
    fit = LMM("y ~ phase * arm + (1 | id)", data=lost.reset_index(drop=True)).fit()
    with pytest.raises(EstimationError, match="cannot tell from the other terms"):
        difference_in_change(fit, CHANGE, lost)


def test_mean_curves_of_balanced_data_are_the_cell_means(pairs: pd.DataFrame) -> None:
    fit = LMM("y ~ phase * arm + (1 | id)", data=pairs).fit()
    groups, phases = ["control", "active"], ["before", "after"]
    curves = mean_curves(fit, pairs, "phase", phases, "arm", groups)
    means = pairs.groupby(["arm", "phase"], observed=True)["y"].mean()
    assert len(curves) == 4
    for row in curves.to_dict("records"):
        assert row["estimate"] == pytest.approx(means[row["arm"], row["phase"]], abs=1e-6)
        assert row["conf_low"] < row["estimate"] < row["conf_high"]


def test_corrections_by_hand() -> None:
    p = [0.01, 0.04, np.nan, 0.03]
    holm, fdr = adjusted_p_values(p, "holm"), adjusted_p_values(p, "fdr_bh")
    assert holm == pytest.approx([0.03, 0.06, np.nan, 0.06], nan_ok=True)
    assert fdr == pytest.approx([0.03, 0.04, np.nan, 0.04], nan_ok=True)
    assert np.isnan(adjusted_p_values([np.nan], "holm")).all()


@pytest.mark.parametrize("method", ["holm", "fdr_bh"])
def test_corrections_are_those_of_statsmodels(method) -> None:
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(4)
    for count in (1, 2, 5, 40):
        p = rng.choice(rng.random(count) ** 3, count)  # with ties
        np.testing.assert_array_equal(
            adjusted_p_values(p, method), multipletests(p, method=method)[1]
        )


@pytest.mark.parametrize(
    ("right", "make"),
    [
        ("C(day) * arm", lambda d: d),
        ("day * arm", lambda d: pd.Categorical(d)),
        ("day * arm", lambda d: pd.Categorical(d, [1, 4, 5, 7, 9])),
        ("C(day) * arm", lambda d: d.astype(object).map(str)),
    ],
)
def test_a_day_that_was_never_measured_has_no_answer(right, make) -> None:
    rng = np.random.default_rng(2)
    data = pd.DataFrame(
        [(k, day, "ab"[k % 2]) for k in range(16) for day in (1, 4, 7)],
        columns=["id", "day", "arm"],
    )
    data["y"] = rng.normal(10, 1, len(data)) - (data["day"] > 1) * (data["arm"] == "b")
    data["day"] = make(data["day"])
    fit = LMM(f"y ~ {right} + (1 | id)", data).fit()
    kind = type(data["day"].iloc[0])

    def change(end):
        return Change("day", kind(1), kind(end), "arm", "b", "a")

    means = data.groupby(["arm", "day"], observed=True)["y"].mean().unstack()
    fall = means[kind(4)] - means[kind(1)]
    row = difference_in_change(fit, change(4), data).iloc[0]
    assert row["estimate"] == pytest.approx(fall["b"] - fall["a"], abs=1e-6)
    for end in (5, 9):
        with pytest.raises(EstimationError, match="there is no measurement at day"):
            difference_in_change(fit, change(end), data)
    with pytest.raises(EstimationError, match="no measurement with arm 'c'"):
        contrast_weights(fit.design.fixed, Change("day", kind(1), kind(4), "arm", "c", "a"), data)


def test_along_a_number_the_model_answers_between_the_measurements_only(pairs) -> None:
    data = pairs.assign(day=np.where(pairs["phase"] == "before", 0.1 * 3, 7.0))
    fit = LMM("y ~ day * arm + (1 | id)", data).fit()

    def weights(start, end):
        change = Change("day", start, end, "arm", "active", "control")
        return contrast_weights(fit.design.fixed, change, data)

    assert weights(0.3, 4.0)["day:arm[T.active]"] == pytest.approx(3.7)
    for start, end in ((0.0, 7.0), (0.3, 7.5)):
        with pytest.raises(EstimationError, match=r"they were made from 0.3 to 7"):
            weights(start, end)


def test_the_first_and_the_last_time_measured_can_be_asked_for(pairs) -> None:
    data = pairs.assign(day=np.where(pairs["phase"] == "before", 1, 7))
    fit = LMM("y ~ day * arm + (1 | id)", data).fit()
    ends = Change("day", 1, 7, "arm", "active", "control")
    assert contrast_weights(fit.design.fixed, ends, data)["day:arm[T.active]"] == 6.0
    # a time counts as measured where there is a value, not where there is a row
    gone = data.assign(y=data["y"].mask(data["day"] == 7), day=data["day"] + (data["id"] == 0))
    with pytest.raises(EstimationError, match=r"no measurement at day 7: .* from 1 to 2"):
        contrast_weights(fit.design.fixed, ends, gone)
    with pytest.raises(EstimationError, match="'day' holds numbers, and 'late' is none"):
        contrast_weights(
            fit.design.fixed, Change("day", 1, "late", "arm", "active", "control"), data
        )


def test_groups_and_columns_without_a_measurement_are_refused(pairs) -> None:
    fit = LMM("y ~ phase * arm + (1 | id)", data=pairs).fit()
    for level in ("active", "control"):
        unmeasured = pairs.assign(y=pairs["y"].mask(pairs["arm"] == level))
        with pytest.raises(EstimationError, match=f"no measurement with arm '{level}'"):
            contrast_weights(fit.design.fixed, CHANGE, unmeasured)
    for at in ("before", "after"):
        unmeasured = pairs.assign(y=pairs["y"].mask(pairs["phase"] == at))
        with pytest.raises(EstimationError, match=f"no measurement at phase '{at}' \\(there is"):
            contrast_weights(fit.design.fixed, CHANGE, unmeasured)
    with pytest.raises(EstimationError, match="the data have no column 'phase', 'arm'"):
        contrast_weights(fit.design.fixed, CHANGE, pairs.drop(columns=["phase", "arm"]))


def test_curves_are_of_a_patient_of_mean_age_and_the_commonest_levels(pairs) -> None:
    rng = np.random.default_rng(3)
    data = pairs.assign(
        sex=np.where(pairs["id"] % 3 == 0, "m", "f"), old=pairs["age"] > 50,
        y=pairs["y"] + 0.3 * pairs["age"] + 2.0 * (pairs["id"] % 3 == 0) + rng.normal(size=60),
    )  # fmt: skip
    data.loc[0, "age"] = np.nan
    fit = LMM("y ~ phase * arm + age + sex + old + (1 | id)", data=data).fit()
    phases, groups = ["after", "before"], ["active", "control"]
    curves = mean_curves(fit, data, "phase", phases, "arm", groups)
    assert list(zip(curves["arm"], curves["phase"], strict=True)) == [
        ("active", "after"), ("active", "before"), ("control", "after"), ("control", "before"),
    ]  # fmt: skip
    typical = pd.DataFrame(
        [(a, p, data["age"].mean(), "f", True) for a in groups for p in phases],
        columns=["arm", "phase", "age", "sex", "old"],
    )
    np.testing.assert_allclose(curves["estimate"], fit.predict(typical)["estimate"])


def test_what_cannot_be_corrected_is_refused() -> None:
    with pytest.raises(LongsurvError, match="method is one of"):
        adjusted_p_values([0.1], "bonferroni")
    with pytest.raises(LongsurvError, match=r"not a table of shape \(1, 2\)"):
        adjusted_p_values(np.array([[0.1, 0.2]]), "holm")


def test_the_standard_deviation_at_baseline_is_of_first_values() -> None:
    data = pd.DataFrame({
        "id": [2, 2, 1, 1, 3], "day": [1, 0, 5, 2, 0], "y": [9.0, 4.0, 8.0, 1.0, 7.0],
    })  # fmt: skip
    assert baseline_sd(data, "id", "day") == pytest.approx(3.0)  # of 4, 1 and 7
    assert baseline_sd(data[data["id"] > 1], "id", "day") == pytest.approx(np.sqrt(4.5))
    assert np.isnan(baseline_sd(data[data["id"] == 1], "id", "day"))
    with pytest.raises(FormulaError, match="standard deviation at baseline needs"):
        baseline_sd(data.drop(columns="day"), "id", "day")


def test_the_standard_deviation_at_baseline_takes_limits_for_limits() -> None:
    """Values put at a limit hide how much patients differ beyond it."""
    n, rng = 4000, np.random.default_rng(2)
    y, limit = rng.normal(3.0, 0.8, n), 3.2
    data = pd.DataFrame({
        "id": np.arange(n), "day": 0.0, "y": np.maximum(y, limit),
        "censored": np.where(y < limit, "left", "none"),
    })  # fmt: skip
    assert baseline_sd(data, "id", "day") == pytest.approx(0.8, rel=0.03)
    assert baseline_sd(data.drop(columns="censored"), "id", "day") < 0.5
    assert np.isnan(baseline_sd(data.assign(censored="left"), "id", "day"))
    other = data.assign(censored=data["id"] % 2 == 0)  # a column of the user's own
    assert baseline_sd(other, "id", "day") == pytest.approx(data["y"].std())


@pytest.mark.parametrize("wrong", [-0.1, 1.5, np.inf])
def test_a_p_value_is_a_probability(wrong):
    with pytest.raises(LongsurvError, match="a p-value lies between 0 and 1"):
        adjusted_p_values([0.01, wrong], "holm")
    assert adjusted_p_values([0.01, np.nan], "holm")[0] == 0.01
