from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import EstimationError
from longsurv.estimands.changes import (
    Change,
    adjusted_p_values,
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
