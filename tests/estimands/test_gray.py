"""Gray's test against R's cmprsk, the log-rank test, and its own level."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import DataError, EstimationError
from longsurv.estimands.follow_up import two_groups
from longsurv.estimands.gray import gray_test
from longsurv.estimands.log_rank import log_rank


@pytest.fixture
def mgus(data):
    return data("competing").rename(columns={"etime": "exit"})


@pytest.mark.parametrize("cause", [1, 2])
@pytest.mark.parametrize("model", ["three", "five", "years", "few"])
def test_agrees_with_r(mgus, reference, model, cause):
    if model == "few":
        mgus = mgus.head(41).assign(exit=lambda d: np.ceil(d["exit"] / 40))
    if model == "years":
        mgus = mgus.assign(exit=np.ceil(mgus["exit"] / 12))
    groups = {"three": mgus["id"] % 3, "five": mgus["id"] % 5, "years": mgus["id"] % 3}
    found = gray_test(mgus.assign(g=groups.get(model, mgus["sex"])), "g", cause=cause)
    for name in ("statistic", "p_value", "df"):
        expected = reference("gray", model, name, f"cause {cause}")
        assert getattr(found, name) == pytest.approx(expected, rel=1e-9)


def test_two_groups_agree_with_r(mgus, reference):
    for cause in (1, 2):
        found = gray_test(mgus, "sex", cause=cause)
        expected = reference("cox_small", "competing", "gray", f"{cause} | stat")
        assert found.statistic == pytest.approx(expected, rel=1e-9)
        assert sum(found.scores) == pytest.approx(0, abs=1e-9)


def test_without_competing_events_its_score_is_that_of_the_log_rank_test(mgus):
    single = mgus.assign(status=(mgus["status"] == 2).astype(int))
    group, mine, _, reference = two_groups(single, "sex")
    assert group == "M"
    test = log_rank(mine, reference)
    found = gray_test(single, "sex")
    assert found.scores[1] == pytest.approx(test.observed - test.expected, rel=1e-9)
    assert found.statistic == pytest.approx(test.statistic**2, rel=0.05)


def test_order_of_the_groups_does_not_matter(mgus):
    there = gray_test(mgus.assign(g=mgus["id"] % 3), "g").statistic
    assert gray_test(mgus.assign(g=2 - mgus["id"] % 3), "g").statistic == pytest.approx(there)


def test_holds_its_level_where_the_log_rank_test_answers_another_question():
    """Equal incidence of cause 1, unequal hazards of it: the other cause is faster in one group."""
    rng = np.random.default_rng(5)
    p_values = []
    for _ in range(300):
        first = rng.uniform(size=80) < 0.5
        arm = np.repeat(["a", "b"], 40)
        # Cause 1 comes at the same times in both; cause 2, of the rest, early in b only.
        time = np.where(
            first, rng.exponential(10, 80), rng.exponential(np.where(arm == "b", 2, 30))
        )
        data = pd.DataFrame({"exit": time, "status": np.where(first, 1, 2), "arm": arm})
        data["event"] = first
        p_values.append(gray_test(data, "arm").p_value)
    assert 0.02 < np.mean(np.array(p_values) < 0.05) < 0.09


def test_what_it_cannot_test_it_says(mgus):
    with pytest.raises(DataError, match="one entry time"):
        gray_test(mgus.assign(entry=np.arange(len(mgus)) % 2 * 0.5), "sex")
    with pytest.raises(EstimationError, match="no events of this cause"):
        gray_test(mgus, "sex", cause=3)
    with pytest.raises(DataError, match="a comparison needs two"):
        gray_test(mgus.assign(g="x"), "g")
    apart = pd.DataFrame({"exit": [1.0, 2.0, 5.0], "status": [0, 0, 1], "g": ["a", "a", "b"]})
    with pytest.raises(EstimationError, match="while patients of all groups were at risk"):
        gray_test(apart, "g")
