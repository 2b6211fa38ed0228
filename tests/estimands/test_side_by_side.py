"""Tables and columns of the same patients in different orders: paired by their labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv import estimands
from longsurv.errors import DataError
from longsurv.estimands.worst_rank import index_draws, rank_comparison, worst_ranks


def cohort(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    age = rng.normal(60.0, 9.0, n)
    arm = np.where(rng.random(n) < 0.5, "drug", "control")
    data = pd.DataFrame({
        "age": age, "arm": arm, "exit": np.round(rng.exponential(9.0, n), 2) + 0.01,
        "event": rng.integers(0, 2, n), "change": age / 30.0 + (arm == "drug") + rng.normal(size=n),
    })  # fmt: skip
    data.loc[[3, 17], "age"] = np.nan
    return data


ASKED = {
    "survival": lambda w, d: estimands.weighted_survival(w, d, [5.0]),
    "incidence": lambda w, d: estimands.weighted_incidence(w, d, [5.0]),
    "comparison": lambda w, d: estimands.weighted_comparison(w, d, 5.0),
    "doubly robust": lambda w, d: estimands.doubly_robust_risk(w, d, 5.0),
    "difference": lambda w, d: estimands.weighted_difference(w, d["change"]),
    "bootstrap": lambda w, d: pd.Series(
        estimands.bayesian_bootstrap(w, d["change"], draws=20), name="drawn"
    ).to_frame(),
}


@pytest.mark.parametrize("what", ASKED)
@pytest.mark.parametrize("labels", ["numbers", "text"])
def test_a_table_that_was_sorted_is_the_same_table(what, labels):
    data = cohort()
    if labels == "text":
        data.index = [f"patient {i}" for i in range(len(data))]
    target = "ATE" if what == "doubly robust" else "overlap"
    weights = estimands.propensity_weights(data, "arm", "age", target=target)
    expected = ASKED[what](weights, data)
    assert expected.select_dtypes("number").notna().any(axis=None)
    for other in (data.sort_values("exit"), data.sample(frac=1.0, random_state=2)):
        pd.testing.assert_frame_equal(ASKED[what](weights, other), expected)
    for kind in ({"dtype_backend": "pyarrow"}, {"dtype_backend": "numpy_nullable"}):
        pd.testing.assert_frame_equal(ASKED[what](weights, data.convert_dtypes(**kind)), expected)


@pytest.mark.parametrize("what", ASKED)
def test_another_table_of_as_many_rows_is_refused(what):
    data = cohort()
    target = "ATE" if what == "doubly robust" else "overlap"
    weights = estimands.propensity_weights(data, "arm", "age", target=target)
    one_column = what in ("difference", "bootstrap")
    ordered = data.sort_values("exit")
    others = [ordered.set_axis(ordered.index + 7)] if one_column else [
        ordered.reset_index(drop=True), data.assign(age=data["age"] + 1.0),
    ]  # fmt: skip
    again = ordered.set_axis([k % 9 for k in ordered.index])
    for other in others:
        with pytest.raises(DataError, match=r"the same table|are not those of the rows"):
            ASKED[what](weights, other)
    twice = estimands.propensity_weights(
        data.set_axis([k % 9 for k in data.index]), "arm", "age", target=target
    )
    with pytest.raises(DataError, match="repeat"):
        ASKED[what](twice, again)


def test_ranks_pair_outcome_and_group_by_label():
    data = cohort().assign(treated=lambda d: d["arm"] == "drug")
    group = data["treated"].sort_values()
    expected = rank_comparison(data["change"], data["treated"])
    assert rank_comparison(data["change"], group) == expected
    assert rank_comparison(data["change"], data["treated"].to_numpy()) == expected
    draws = [index_draws(data["change"], one, draws=20) for one in (data["treated"], group)]
    np.testing.assert_array_equal(*draws)
    with pytest.raises(DataError, match="are not those of the rows"):
        rank_comparison(data["change"].iloc[1:], data["treated"].iloc[:-1])
    died = pd.Series(np.where(np.arange(60) % 5 == 0, 3.0 + np.arange(60), np.nan))
    ranks = worst_ranks(data["change"], died, "lower")
    np.testing.assert_array_equal(worst_ranks(data["change"], died.sort_values(), "lower"), ranks)


@pytest.mark.parametrize(
    "codes",
    [[1, 2], [0.0, np.nan], [False, None], pd.array([0, pd.NA], dtype="Int8")],
)
def test_a_group_is_said_by_true_and_false(codes):
    """NumPy takes 2 and what is missing for true."""
    outcome = np.arange(20.0)
    with pytest.raises(DataError, match="true or false, or 1 or 0"):
        rank_comparison(outcome, pd.Series(codes).take(np.arange(20) % 2).reset_index(drop=True))


@pytest.mark.parametrize("dtype", [bool, "boolean", "Int8", float, object, "bool[pyarrow]"])
def test_true_and_false_of_every_type(dtype):
    outcome, mine = np.arange(20.0) % 7, np.arange(20) % 2
    expected = rank_comparison(outcome, mine == 1)
    assert rank_comparison(outcome, pd.Series(mine == 1).astype(dtype)) == expected


@pytest.mark.parametrize("dtype", [bool, float, int])
def test_who_died_is_no_time_of_death(dtype):
    died = (np.arange(12) % 3 == 0).astype(dtype)
    with pytest.raises(DataError, match="only says who died"):
        worst_ranks(np.arange(12.0), died, "higher")
    alone = np.where(np.arange(12) % 3 == 0, 1.0, np.nan)  # all of them on day 1
    assert (worst_ranks(np.arange(12.0), alone, "higher")[::3] == 0).all()
