"""Pooled answers against mice, against theory, and where there is nothing to pool."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import longsurv as ls
from longsurv.errors import LongsurvError
from longsurv.models import CoxPH

K = np.arange(1, 21)
CASES = {
    "three": ([1.2, 1.5, 0.9], [0.40, 0.45, 0.38], 20.0),
    "many": (np.sin(K) / 4 + 2, 0.3 + np.cos(K) / 20, 36.5),
    "large": ([-0.51, -0.48, -0.55, -0.50, -0.47], [0.11, 0.12, 0.11, 0.10, 0.12], np.inf),
    "little missing": ([3.01, 3.03, 3.02, 2.97], [0.5, 0.5, 0.51, 0.49], 9.0),
}


def tables(estimates, errors, df):
    return [
        pd.DataFrame({"term": ["x"], "estimate": [q], "std_error": [u], "df": [df]})
        for q, u in zip(estimates, errors, strict=True)
    ]


@pytest.mark.parametrize("case", CASES)
def test_rubin_s_rules_are_those_of_mice(case, r_results):
    row = ls.pool(tables(*CASES[case])).table.iloc[0]
    expected = {
        "estimate": "qbar", "within": "ubar", "between": "b", "df": "df", "increase": "r",
        "fmi": "fmi",
    }  # fmt: skip
    for name, theirs in expected.items():
        assert row[name] == pytest.approx(r_results("pool", case, theirs)[""], rel=1e-9), name
    assert row["std_error"] ** 2 == pytest.approx(r_results("pool", case, "t")[""], rel=1e-12)
    t = stats.t(row["df"])
    assert row["conf_high"] - row["estimate"] == pytest.approx(t.ppf(0.975) * row["std_error"])
    assert row["p_value"] == pytest.approx(2 * t.sf(abs(row["statistic"])), rel=1e-9)


def test_the_same_answer_is_not_sharper_nor_blunter():
    """Nothing missing: the degrees of freedom are as few as Barnard and Rubin allow."""
    row = ls.pool(tables([2.0] * 4, [0.5] * 4, 12.0)).table.iloc[0]
    assert (row["estimate"], row["std_error"]) == (2.0, 0.5)
    assert row["df"] == pytest.approx(13 / 15 * 12.0) and row["increase"] == 0.0


def completed(seed: int, n: int = 60, m: int = 10):
    """A covariate that is missing at random, imputed from its posterior given what is seen."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = 1.0 + 0.5 * x + rng.normal(size=n)
    lost = rng.random(n) < stats.norm.cdf(y - 1.5)
    seen = np.column_stack([np.ones(n), y])
    A, b = seen[~lost], x[~lost]
    P = np.linalg.inv(A.T @ A)
    beta = P @ A.T @ b
    k = len(b) - 2
    rest = ((b - A @ beta) ** 2).sum()
    for _ in range(m):
        sd = np.sqrt(rest / rng.chisquare(k))
        drawn = rng.multivariate_normal(beta, sd**2 * P)
        filled = np.where(lost, seen @ drawn + sd * rng.normal(size=n), x)
        yield pd.DataFrame({"x": filled, "y": y})


def test_intervals_hold_the_truth():
    """150 cohorts with a third of a covariate missing at random; the study has 1,000."""
    assert _coverage(150) == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 150))


@pytest.mark.study
def test_intervals_hold_the_truth_in_a_thousand_cohorts():
    assert 0.93 <= _coverage(1000) <= 0.97


def _coverage(cohorts: int) -> float:
    held = 0
    for seed in range(cohorts):
        parts = []
        for data in completed(seed):
            X = np.column_stack([np.ones(len(data)), data["x"]])
            beta, rest = np.linalg.lstsq(X, data["y"], rcond=None)[:2]
            error = np.sqrt(rest[0] / (len(X) - 2) * np.linalg.inv(X.T @ X)[1, 1])
            parts += tables([beta[1]], [error], len(X) - 2.0)
        row = ls.pool(parts).table.iloc[0]
        held += row["conf_low"] < 0.5 < row["conf_high"]
    return held / cohorts


class TestFits:
    @pytest.fixture(scope="class")
    @classmethod
    def data(cls):
        return list(completed(1, m=4))

    def test_estimates_are_pooled_term_by_term(self, data):
        frames = [one.assign(t=np.arange(1.0, 61.0), d=1, z=one["y"]) for one in data]
        fits = [CoxPH("Surv(t, d) ~ x + z", data=one).fit() for one in frames]
        found = ls.pool(fits)
        by_hand = ls.pool([fit.tidy() for fit in fits])
        pd.testing.assert_frame_equal(found.table, by_hand.table)
        assert list(found.tidy()["term"]) == ["x", "z"]
        assert "4 completed data sets" in str(found) and "(x)" in found.words
        assert "Rubin" in str(found.summary())

    def test_posteriors_are_one(self, data):
        rng = np.random.default_rng(1)
        frames = [
            one.assign(t=rng.exponential(size=60) * np.exp(-0.4 * one["x"]), d=1) for one in data
        ]
        posts = [CoxPH("Surv(t, d) ~ x", data=one).sample(draws=500, seed=1) for one in frames]
        row = ls.pool(posts).table.iloc[0]
        flat = np.concatenate([post.draw("x").ravel() for post in posts])
        assert row["estimate"] == pytest.approx(flat.mean())
        assert row["std_error"] == pytest.approx(flat.std(), rel=1e-3)
        assert row["conf_low"] == pytest.approx(np.quantile(flat, 0.025))
        assert row["prob_positive"] == (flat > 0).mean()
        assert row["within"] < row["std_error"] ** 2


def test_what_one_data_set_does_not_determine_has_no_answer():
    parts = tables([1.0, np.nan, 1.2], [0.2, np.nan, 0.2], 10.0)
    row = ls.pool(parts).table.iloc[0]
    assert row.drop("term").isna().all()


def test_an_infinite_or_absent_estimate_is_none():
    for absent in (np.inf, -np.inf, None):
        row = ls.pool(tables([1.0, absent, 1.2], [0.2, 0.2, 0.2], 10.0)).table.iloc[0]
        assert row.drop("term").isna().all()


def test_without_its_degrees_of_freedom_an_answer_has_no_interval():
    parts = tables([1.0, 1.1, 1.2], [0.2, 0.2, 0.2], 10.0)
    parts[1] = parts[1].assign(df=np.nan)
    row = ls.pool(parts).table.iloc[0]
    assert row["estimate"] == pytest.approx(1.1) and np.isfinite(row["std_error"])
    assert row[["df", "p_value", "conf_low", "conf_high"]].isna().all()


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (tables([1.0], [0.5], 3.0), "two answers or more, not 1"),
        (
            [
                *tables([1.0], [0.5], 3.0),
                pd.DataFrame({"term": ["y"], "estimate": [1.0], "std_error": [1.0]}),
            ],
            "answer 2 has other terms than the first: x, y",
        ),
        ([pd.DataFrame({"term": ["x"]})] * 2, "missing: estimate, std_error"),
        (tables(["high", 1.0], [0.5, 0.5], 3.0), "estimate is of numbers, or missing"),
        (tables([1.0, 1.0], [-0.5, 0.5], 3.0), "std_error is not below 0, or missing"),
        (tables([1.0, 1.0], [0.5, 0.5], 0.0), "df is above 0, or missing"),
    ],
)
def test_refused(answers, words):
    with pytest.raises(LongsurvError, match=words):
        ls.pool(answers)
