"""Weighted and stratified log-rank tests and max-combo, against R and by enumeration."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from longsurv.errors import DataError, EstimationError, LongsurvError
from longsurv.estimands.follow_up import two_groups
from longsurv.estimands.log_rank import log_rank, permutation_test
from longsurv.estimands.weighted_log_rank import STANDARD, _beyond, weighted_log_rank


def rows(data, name):
    if name == "icu":
        table = data("icu")
        return table.assign(g=(table["group"] == "ivig") * 1)
    if name == "lung":
        table = data("lung").assign(g=lambda d: (d["sex"] == 2) * 1)
    else:
        table = data("veteran").assign(g=lambda d: (d["trt"] == 2) * 1)
    return table.rename(columns={"time": "exit", "status": "event"})


@pytest.mark.parametrize("name", ["lung", "veteran", "veteran strata", "icu"])
def test_agrees_with_r(data, reference, name):
    strata = "celltype" if name.endswith("strata") else None
    found = weighted_log_rank(rows(data, name.split()[0]), "g", strata=strata, draws=20)
    for row in found.to_dict("records")[:-1]:
        term = f"({row['rho']:g}, {row['gamma']:g})"
        expected = reference("weighted_log_rank", name, "z", term)
        assert row["statistic"] == pytest.approx(expected, rel=1e-9)
    last = found.iloc[-1]
    assert last["method"] == "max-combo"
    # R's is by random integration, right to four digits here
    expected = reference("weighted_log_rank", name, "max_combo_p", "")
    assert last["p_value"] == pytest.approx(expected, abs=1e-4)
    if name != "icu":
        for rho in (0, 1):
            chisq = reference("weighted_log_rank", name, "survdiff_chisq", f"rho {rho}")
            assert found["statistic"][rho] ** 2 == pytest.approx(chisq, rel=1e-8)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_the_largest_of_correlated_deviates(k):
    """By two closed forms, and by drawing."""
    equal, value = np.eye(k), 1.7
    apart = 1 - (1 - 2 * stats.norm.sf(value)) ** k
    assert _beyond(value, equal) == pytest.approx(apart, abs=1e-6)
    assert _beyond(value, np.ones((k, k))) == pytest.approx(2 * stats.norm.sf(value), abs=1e-9)
    rng = np.random.default_rng(k)
    mixed = rng.normal(size=(k, k + 1))
    cov = mixed @ mixed.T
    cov /= np.sqrt(np.outer(np.diag(cov), np.diag(cov)))
    drawn = np.abs(rng.multivariate_normal(np.zeros(k), cov, 400_000)).max(axis=1)
    assert _beyond(value, cov) == pytest.approx((drawn > value).mean(), abs=0.003)


def test_the_order_of_weights_does_not_change_the_largest():
    """Nor does their rounding, which decides over ties when independent ones are looked for."""
    rng = np.random.default_rng(3)
    for k in (2, 3):
        shared = rng.normal(size=(k, k + 2))
        rows = np.vstack([shared, shared[:2].sum(axis=0)])
        cov = rows @ rows.T
        cov /= np.sqrt(np.outer(np.diag(cov), np.diag(cov)))
        for value in (0.9, 2.1):
            found = [_beyond(value, cov[np.ix_(p, p)]) for p in permutations(range(k + 1))]
            assert np.ptp(found) < 1e-6


def test_without_weights_and_strata_it_is_the_log_rank_test(data):
    table = rows(data, "lung")
    found = weighted_log_rank(table, "g", [(0, 0)], draws=20)
    _, mine, _, others = two_groups(table, "g")
    assert found["statistic"].tolist() == [pytest.approx(log_rank(mine, others).statistic)]
    assert len(found) == 1


def test_permutations_within_strata_are_those_that_enumeration_counts():
    table = pd.DataFrame(
        {
            "exit": [1.0, 3, 4, 6, 9, 2, 3, 5, 8, 9],
            "event": [1, 1, 0, 1, 0, 1, 1, 1, 0, 0],
            "g": [1, 1, 0, 0, 0, 1, 0, 1, 0, 0],
            "site": ["a"] * 5 + ["b"] * 5,
        }
    )
    found = weighted_log_rank(table, "g", strata="site")
    assert (found["note"].str.contains("all allocations")).all()

    def scores(part, rho, gamma):
        """Of each patient: w at the event, less w times the hazards passed through."""
        out, free = np.zeros(len(part)), 1.0
        for t in sorted(part.loc[part["event"] == 1, "exit"]):
            at = (part["exit"] >= t).to_numpy()
            w = free**rho * (1 - free) ** gamma
            out -= w * at / at.sum()
            out += w * ((part["exit"] == t) & (part["event"] == 1)).to_numpy()
            free *= 1 - 1 / at.sum()
        return out

    sides = [part for _, part in table.groupby("site")]
    sums = []
    for rho, gamma in STANDARD:
        by_site = [scores(part, rho, gamma) for part in sides]
        every = [
            sum(a[list(one)]) + sum(b[list(other)])
            for a, b in [by_site]
            for one in combinations(range(5), 2)
            for other in combinations(range(5), 2)
        ]
        mine = sum(
            s[part["g"].to_numpy() == 1].sum() for s, part in zip(by_site, sides, strict=True)
        )
        sums.append((np.array(every), mine))
    for k, (every, mine) in enumerate(sums):
        exact = np.mean(np.abs(every) >= abs(mine) - 1e-9)
        assert found["p_permutation"][k] == pytest.approx(exact, rel=1e-12)
    scale = [np.sqrt(np.mean(every**2)) for every, _ in sums]
    largest = np.max([np.abs(e) / s for (e, _), s in zip(sums, scale, strict=True)], axis=0)
    ours = max(abs(m) / s for (_, m), s in zip(sums, scale, strict=True))
    assert found["p_permutation"].iloc[-1] == pytest.approx(
        np.mean(largest >= ours - 1e-9), rel=1e-12
    )


def test_where_allocations_are_too_many_some_are_drawn(data, monkeypatch):
    """The same table both ways: what is drawn lies about what is counted."""
    table = rows(data, "icu").drop(columns="entry")
    counted = weighted_log_rank(table, "g")
    assert counted["note"].str.contains("all allocations").all()
    monkeypatch.setattr("longsurv.estimands.allocations.MOST_STATES", 5)
    drawn = weighted_log_rank(table, "g", draws=10_000)
    assert drawn["note"].str.contains("10,000 random allocations").all()
    p, q = counted["p_permutation"], drawn["p_permutation"]
    assert np.abs(p - q).max() < 4.0 * np.sqrt(0.25 / 10_000)


def test_the_unweighted_permutation_is_that_of_log_rank_table(data):
    table = rows(data, "icu").drop(columns="entry")
    found = weighted_log_rank(table, "g")
    _, mine, _, others = two_groups(table, "g")
    exact = permutation_test(mine, others)
    assert exact.draws == 0
    assert found["p_permutation"][0] == pytest.approx(exact.p_value, rel=1e-9)


def test_max_combo_holds_its_level():
    rng, p = np.random.default_rng(4), []
    for _ in range(150):
        time = rng.exponential(10, 60)
        table = pd.DataFrame(
            {"exit": np.minimum(time, 15), "event": (time < 15) * 1, "g": np.repeat([0, 1], 30)}
        )
        p.append(weighted_log_rank(table, "g", draws=20)["p_value"].iloc[-1])
    assert 0.01 < np.mean(np.array(p) < 0.05) < 0.1


def test_late_differences_are_found_by_late_weights():
    """Curves that part late: the largest statistic is one of gamma 1."""
    rng = np.random.default_rng(1)
    early = rng.uniform(0, 5, 60)
    late = 5 + rng.exponential(np.repeat([3.0, 30.0], 100))
    table = pd.DataFrame(
        {
            "exit": np.concatenate([early, np.minimum(late, 25)]),
            "event": np.concatenate([np.ones(60, int), (late < 25) * 1]),
            "g": np.concatenate([np.tile([0, 1], 30), np.repeat([0, 1], 100)]),
        }
    )
    found = weighted_log_rank(table, "g", draws=200).set_index("method")
    assert "(0, 1)" in found.loc["max-combo", "note"]
    assert abs(found.loc["Fleming-Harrington (0, 1)", "statistic"]) > abs(
        found.loc["log-rank", "statistic"]
    )


def test_what_cannot_be_tested_is_said(data):
    table = rows(data, "lung")
    with pytest.raises(LongsurvError, match="pairs of rho and gamma"):
        weighted_log_rank(table, "g", [(-1.0, 0.0)])
    with pytest.raises(DataError, match="no column 'where'"):
        weighted_log_rank(table, "g", strata="where")
    apart = pd.DataFrame({"exit": [1.0, 2.0, 5.0], "event": [0, 0, 1], "g": [0, 0, 1]})
    with pytest.raises(EstimationError):
        weighted_log_rank(apart, "g")


def test_one_event_gives_late_weights_nothing_to_weigh():
    one = pd.DataFrame({"exit": [3.0, 9, 9, 9], "event": [1, 0, 0, 0], "g": [0, 1, 0, 1]})
    found = weighted_log_rank(one, "g", draws=50).set_index("method")
    assert np.isnan(found.loc["Fleming-Harrington (0, 1)", "statistic"])
    assert "no event has any weight" in found.loc["Fleming-Harrington (0, 1)", "note"]
    assert np.isfinite(found.loc["max-combo", "p_value"])
