"""The two-by-two table against R, the study's published figures, and brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from longsurv.errors import DataError, LongsurvError
from longsurv.estimands.counts import Counts
from longsurv.estimands.two_by_two import mid_p, score_risk_ratio, two_by_two

TABLES = {
    "1/19 4/22": (1, 19, 4, 22),
    "0/19 4/22": (0, 19, 4, 22),
    "3/10 10/15": (3, 10, 10, 15),
    "12/50 5/50": (12, 50, 5, 50),
    "0/8 0/9": (0, 8, 0, 9),
}


def rows(counts, level=0.95):
    table = two_by_two(*counts, level=level)
    return {(row["quantity"], row["method"]): row for row in table.to_dict("records")}


def test_every_number_of_the_study():
    found = rows((1, 19, 4, 22))

    def numbers(quantity, method):
        row = found[quantity, method]
        return row["estimate"], row["conf_low"], row["conf_high"]

    assert numbers("risk difference", "Miettinen-Nurminen") == pytest.approx(
        (-0.1292, -0.3470, 0.0950), abs=5e-5
    )
    assert numbers("risk difference", "Newcombe")[1:] == pytest.approx((-0.3371, 0.0930), abs=5e-5)
    assert numbers("risk ratio", "score")[0] == pytest.approx(0.2895, abs=5e-5)
    assert numbers("odds ratio", "Woolf (log, Wald)")[0] == pytest.approx(0.25)
    assert numbers("odds ratio", "conditional, exact") == pytest.approx(
        (0.2577, 0.0048, 2.945), abs=5e-4
    )
    assert numbers("risk", "Wilson")[1:] == pytest.approx((0.0094, 0.2464), abs=5e-5)
    assert numbers("reference risk", "Wilson")[1:] == pytest.approx((0.0731, 0.3852), abs=5e-5)
    for method, p in (
        ("Fisher", 0.3499), ("Fisher, mid-p", 0.2572), ("Barnard", 0.2406), ("Boschloo", 0.3054),
    ):  # fmt: skip
        assert found["no difference", method]["p_value"] == pytest.approx(p, abs=5e-5)
    e = found["E-value", "of the risk ratio"]
    assert (e["estimate"], e["conf_low"]) == (pytest.approx(6.37, abs=5e-3), 1)
    benefit = {
        method: row["prob_benefit"] for (q, method), row in found.items() if q == "odds ratio"
    }
    assert benefit["beta-binomial, Jeffreys prior Beta(0.5, 0.5)"] == pytest.approx(0.898, abs=5e-4)
    assert benefit["beta-binomial, uniform prior Beta(1, 1)"] == pytest.approx(0.873, abs=5e-4)
    assert benefit["normal approximation, prior weak N(0, 1)"] == pytest.approx(0.780, abs=5e-4)


@pytest.mark.parametrize("name", TABLES)
def test_agrees_with_r(name, reference):
    counts = TABLES[name]
    found = rows(counts)

    def r(quantity, term=""):
        return reference("two_by_two", name, quantity, term)

    def limits(quantity, method, key, rel=1e-8):
        row = found[quantity, method]
        for side in ("low", "high"):
            assert row[f"conf_{side}"] == pytest.approx(r(key, side), rel=rel, abs=1e-9)

    for arm, quantity in (("treated", "risk"), ("control", "reference risk")):
        limits(quantity, "Wilson", f"wilson_{arm}")
        limits(quantity, "Clopper-Pearson", f"clopper_pearson_{arm}")
    limits("risk difference", "Newcombe", "newcombe_own")
    # R finds these limits by search: eight digits where the risks are at a boundary.
    limits("risk difference", "Miettinen-Nurminen", "miettinen_nurminen_own", rel=1e-6)
    # fisher.test finds its limits to four digits.
    limits("odds ratio", "conditional, exact", "conditional_odds_ratio_exact", rel=2e-3)
    for method, key in (
        ("Fisher", "fisher_p"), ("Fisher, mid-p", "mid_p_own"),
        ("Barnard", "barnard_pooled_own"), ("Boschloo", "boschloo_twice_one_sided_own"),
    ):  # fmt: skip
        assert found["no difference", method]["p_value"] == pytest.approx(r(key), rel=1e-6)
    if counts[0] and counts[2]:
        limits("risk ratio", "Katz (log, Wald)", "risk_ratio_wald")
        limits("odds ratio", "Woolf (log, Wald)", "odds_ratio_wald")
        expected = r("e_value")
        assert found["E-value", "of the risk ratio"]["estimate"] == pytest.approx(expected)


def test_empty_cells_give_no_made_up_interval():
    found = rows((0, 19, 4, 22))
    assert found["risk ratio", "Katz (log, Wald)"]["estimate"] == 0
    assert math.isnan(found["risk ratio", "Katz (log, Wald)"]["conf_low"])
    assert "without events" in found["risk ratio", "Katz (log, Wald)"]["note"]
    assert found["risk ratio", "score"]["conf_low"] == 0
    assert 1 < found["risk ratio", "score"]["conf_high"] < 1.1
    assert "empty cell" in found["odds ratio", "Woolf (log, Wald)"]["note"]
    weak = found["odds ratio", "normal approximation, prior weak N(0, 1)"]
    assert "1/2 added" in weak["note"]
    nobody = rows((0, 8, 0, 9))
    assert math.isnan(nobody["risk ratio", "score"]["estimate"])
    assert nobody["risk ratio", "score"]["conf_high"] == math.inf
    everybody = rows((8, 8, 9, 9))
    assert math.isnan(everybody["risk ratio", "Katz (log, Wald)"]["conf_low"])
    assert everybody["no difference", "Barnard"]["p_value"] == 1


def score_chi_squared(ratio, events, n, other, m):
    """The score statistic with the restricted maximum found by search."""

    def minus_log_likelihood(q):
        p = ratio * q
        terms = [(events, p), (n - events, 1 - p), (other, q), (m - other, 1 - q)]
        return -sum(k * math.log(x) if k else 0 for k, x in terms)

    best = minimize_scalar(
        minus_log_likelihood, bounds=(1e-12, min(1, 1 / ratio) - 1e-12), method="bounded",
        options={"xatol": 1e-13},
    ).x  # fmt: skip
    p = ratio * best
    variance = p * (1 - p) / n + ratio**2 * best * (1 - best) / m
    return (events / n - ratio * other / m) ** 2 / (variance * (n + m) / (n + m - 1))


@pytest.mark.parametrize("counts", [(1, 19, 4, 22), (12, 50, 5, 50), (0, 19, 4, 22), (3, 10, 9, 9)])
def test_score_interval_of_the_ratio_inverts_the_score_test(counts):
    for limit in score_risk_ratio(Counts(*counts)):
        if 0 < limit < math.inf:
            assert score_chi_squared(limit, *counts) == pytest.approx(3.8414588, rel=1e-5)


@pytest.mark.parametrize("counts", [(1, 5, 3, 4), (0, 5, 3, 4), (2, 4, 2, 4)])
def test_mid_p_by_enumerating_every_allocation(counts):
    events, n, other, m = counts
    outcome = [1] * (events + other) + [0] * (n + m - events - other)
    tally = np.zeros(n + 1)
    for chosen in itertools.combinations(outcome, n):
        tally[sum(chosen)] += 1
    share = tally / tally.sum()
    at = share[events]
    below = share[share < at * (1 - 1e-9)].sum()
    tied = share[np.isclose(share, at, rtol=1e-9)].sum()
    assert mid_p(Counts(*counts)) == pytest.approx(below + tied / 2)


@given(
    st.integers(1, 12).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.integers(1, 12).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
)
@settings(max_examples=10, deadline=None)
def test_swapping_the_groups_mirrors_every_answer(one, two):
    there, back = rows((*one, *two)), rows((*two, *one))
    for key, row in there.items():
        mirrored = back[key]
        if key[0] == "risk difference":
            expected = [-mirrored["estimate"], -mirrored["conf_high"], -mirrored["conf_low"]]
            got = [row["estimate"], row["conf_low"], row["conf_high"]]
            assert got == pytest.approx(expected, abs=1e-7, nan_ok=True)
        elif key[0] == "no difference":
            assert row["p_value"] == pytest.approx(mirrored["p_value"], abs=1e-6)
        elif key[0] in ("risk ratio", "odds ratio") and not key[1].startswith("normal"):
            with np.errstate(divide="ignore"):
                expected = 1 / np.array(
                    [mirrored[k] for k in ("estimate", "conf_high", "conf_low")]
                )
            got = [row["estimate"], row["conf_low"], row["conf_high"]]
            assert got == pytest.approx(expected, rel=1e-6, nan_ok=True)
        if key[0].startswith("risk d") and key[1].startswith("beta"):
            assert row["prob_benefit"] + mirrored["prob_benefit"] == pytest.approx(1, abs=1e-12)


def test_large_groups_leave_out_the_slow_tests_and_say_so():
    found = rows((500, 10_000, 550, 10_000))
    barnard = found["no difference", "Barnard"]
    assert math.isnan(barnard["p_value"])
    assert "large" in barnard["note"]
    jeffreys = found["risk difference", "beta-binomial, Jeffreys prior Beta(0.5, 0.5)"]
    newcombe = found["risk difference", "Newcombe"]
    assert jeffreys["conf_low"] == pytest.approx(newcombe["conf_low"], abs=2e-5)


def test_wrong_counts_are_all_named():
    with pytest.raises(DataError) as caught:
        two_by_two(5, 4, 1, 0)
    assert len(caught.value.problems) == 2
    with pytest.raises(DataError, match="whole numbers"):
        two_by_two(0.5, 4, 1, 4)
    with pytest.raises(LongsurvError, match="level"):
        two_by_two(1, 4, 1, 4, level=95)
