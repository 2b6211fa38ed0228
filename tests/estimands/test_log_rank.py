"""Log-rank tests against R, every allocation, and their size under the null."""

from __future__ import annotations

import itertools
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.follow_up import FollowUp, two_groups
from longsurv.estimands.log_rank import (
    imputation_test,
    log_rank,
    log_rank_table,
    permutation_test,
)
from longsurv.estimands.weighted_log_rank import weighted_log_rank


def groups(data, name="group"):
    _, mine, _, reference = two_groups(data, name)
    return mine, reference


@pytest.mark.parametrize(
    ("model", "group", "term"),
    [
        ("ovarian", "rx", "rx=2"),
        ("competing", "sex", "sex=M"),
        ("permutation", "group", "group=1"),
        ("icu", "group", "group=ivig"),
    ],
)
def test_agrees_with_r(data, model, group, term, reference):
    table = data(model).rename(
        columns={"futime": "exit", "fustat": "event", "etime": "exit", "time": "exit"}
    )
    if model == "icu":  # survdiff takes no entry times
        table = table.drop(columns="entry")
        table = table.assign(group=pd.Categorical(table["group"], ["control", "ivig"]))
    test = log_rank(*groups(table, group))
    for value, quantity, key in (
        (test.statistic**2, "survdiff_rho0_chisq", ""),
        (test.expected, "survdiff_rho0_expected", term),
        (test.observed, "survdiff_rho0_observed", term),
    ):
        assert value == pytest.approx(reference("cox_small", model, quantity, key), rel=1e-9)


def test_delayed_entry_by_counting(data):
    icu = data("icu")
    mine, other = groups(icu)
    expected = variance = 0.0
    for t in np.unique(icu.loc[icu["event"] == 1, "exit"]):
        risk = icu[(icu["entry"] < t) & (icu["exit"] >= t)]
        d = int(((risk["exit"] == t) & (risk["event"] == 1)).sum())
        share, n = (risk["group"] == "ivig").mean(), len(risk)
        expected += d * share
        variance += d * share * (1 - share) * (n - d) / (n - 1)
    test = log_rank(mine, other)
    assert (test.expected, test.variance) == (pytest.approx(expected), pytest.approx(variance))


def test_exact_permutation_agrees_with_r(data, reference):
    small = data("permutation").rename(columns={"time": "exit"})
    test = permutation_test(*groups(small))
    assert test.draws == 0
    assert test.statistic == pytest.approx(
        reference("cox_small", "permutation", "own", "statistic"), abs=1e-8
    )
    expected = reference("cox_small", "permutation", "own", "p_two_sided")
    assert test.p_value == pytest.approx(expected, rel=1e-9)
    icu = data("icu").assign(entry=7)
    coin = reference("cox_small", "icu", "coin_logrank_exact_p")
    assert permutation_test(*groups(icu)).p_value == pytest.approx(coin, rel=1e-9)


patients = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 4), st.integers(0, 1)), min_size=4, max_size=9
)


@given(patients, st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_exact_permutation_by_every_allocation(rows, n):
    entry, length, status = (np.array(column) for column in zip(*rows, strict=True))
    whole = FollowUp(entry.astype(float), (entry + length).astype(float), status)

    def split(chosen):
        mine = np.isin(np.arange(len(rows)), chosen)
        return [FollowUp(whole.entry[k], whole.exit[k], whole.status[k]) for k in (mine, ~mine)]

    def distance(chosen):
        test = log_rank(*split(chosen))
        return abs(test.observed - test.expected)

    observed = distance(range(n))
    every = [distance(c) for c in itertools.combinations(range(len(rows)), n)]
    expected = np.mean(np.array(every) >= observed - 1e-7)
    assert permutation_test(*split(range(n))).p_value == pytest.approx(expected)


def test_random_permutations_come_close_to_all(data, monkeypatch):
    small = data("permutation").rename(columns={"time": "exit"})
    exact = permutation_test(*groups(small)).p_value
    monkeypatch.setattr(import_module("longsurv.estimands.allocations"), "MOST_STATES", 10)
    drawn = permutation_test(*groups(small), draws=4000, seed=2)
    assert drawn.draws == 4000
    assert drawn.p_value == pytest.approx(exact, abs=4 * np.sqrt(exact / 4000))
    assert permutation_test(*groups(small), draws=50, seed=3) == permutation_test(
        *groups(small), draws=50, seed=3
    )


def test_imputation_is_permutation_when_everyone_is_followed_to_one_day(data):
    icu = data("icu").assign(entry=0, exit=lambda d: np.where(d["event"] == 1, d["exit"], 28))
    mine, other = groups(icu)
    exact = permutation_test(mine, other).p_value
    drawn = imputation_test(mine, other, draws=2000, seed=4)
    # Standardising the statistic reorders a few allocations; here 4 : 1 is as extreme by both.
    assert drawn.p_value == pytest.approx(exact, abs=0.04)
    assert imputation_test(mine, other, draws=30, seed=4) == imputation_test(
        mine, other, draws=30, seed=4
    )


def null_sample(rng, n, censoring):
    death = rng.exponential(25, n)
    limit = np.minimum(rng.exponential(censoring, n), 28)
    return FollowUp(np.zeros(n), np.ceil(np.minimum(death, limit)), (death <= limit).astype(int))


@pytest.mark.slow
def test_size_of_the_imputation_test_under_unequal_censoring():
    rng = np.random.default_rng(12)
    p = [
        imputation_test(null_sample(rng, 8, 8), null_sample(rng, 16, 1e9), draws=99, seed=k).p_value
        for k in range(250)
    ]
    # 5 % and three standard errors.
    assert np.mean(np.array(p) <= 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 250)
    assert np.mean(p) == pytest.approx(0.5, abs=0.08)


def test_swapping_the_groups_changes_the_sign(data):
    mine, other = groups(data("icu"))
    there, back = log_rank(mine, other), log_rank(other, mine)
    assert there.statistic == pytest.approx(-back.statistic)
    p, q = permutation_test(mine, other).p_value, permutation_test(other, mine).p_value
    assert p == pytest.approx(q)


def test_table_says_when_each_test_is_valid(data):
    icu = data("icu")
    table = log_rank_table(icu, "group", draws=50).set_index("method")
    assert np.isnan(table.loc["imputation", "p_value"])
    assert "enter at different times" in table.loc["imputation", "note"]
    assert table.loc["permutation", "note"].startswith("all allocations")
    together = log_rank_table(icu.assign(entry=7), "group", draws=50).set_index("method")
    assert together["p_value"].between(0, 1).all()


def test_large_groups_get_the_asymptotic_test_only():
    rng = np.random.default_rng(1)
    data = pd.DataFrame(
        {"exit": rng.exponential(size=2000), "event": 1, "arm": np.repeat(["a", "b"], 1000)}
    )
    assert log_rank_table(data, "arm")["method"].tolist() == ["asymptotic"]
    # Every score is different, so there is no writing the distribution down.
    assert permutation_test(*groups(data, "arm"), draws=20).draws == 20


def test_nothing_to_test():
    data = pd.DataFrame({"exit": [1.0, 2, 3, 4], "event": 0, "arm": list("aabb")})
    with pytest.raises(EstimationError, match="no events"):
        log_rank_table(data, "arm")
    late = data.assign(event=1, entry=[0, 1, 0, 0])
    with pytest.raises(LongsurvError, match="one entry time"):
        imputation_test(*groups(late, "arm"))


@pytest.mark.parametrize("seed", range(4))
def test_drawn_p_values_do_not_depend_on_the_order_of_rows_groups_and_strata(seed):
    """With the same seed: of groups of one size too, whose part in the draws no size tells."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(60, 100)) // 2 * 2
    treated = np.arange(n) % 2 if seed % 2 else (rng.random(n) < 0.4).astype(int)
    data = pd.DataFrame({
        "exit": rng.exponential(1.0 + treated, n), "event": (rng.random(n) < 0.9).astype(int),
        "arm": np.where(treated, "drug", "control"), "centre": rng.integers(0, 3, n),
    })  # fmt: skip
    same = [
        data.sample(frac=1.0, random_state=seed),
        data.assign(arm=pd.Categorical(data["arm"], ["drug", "control"])),
        data.assign(centre=2 - data["centre"]),
    ]

    def drawn(table: pd.DataFrame) -> list[float]:
        some = log_rank_table(table, "arm", draws=200).set_index("method")
        weighted = [
            weighted_log_rank(table, "arm", [(0, 0), (0, 1)], strata=strata, draws=200)
            for strata in (None, "centre")
        ]
        notes = [*some.loc[["permutation", "imputation"], "note"], *weighted[0]["note"]]
        assert all("200 random" in note for note in notes)
        found = [table["p_permutation"] for table in weighted]
        return [*some["p_value"].iloc[3:], *pd.concat(found)]

    first = drawn(data)
    for table in same:
        assert drawn(table) == pytest.approx(first, abs=1e-12)
