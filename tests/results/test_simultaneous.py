"""Adjusted p values and intervals: against emmeans (and mvtnorm), closed forms, and each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal, norm

from longsurv.errors import LongsurvError
from longsurv.models import GLMM, LMM
from longsurv.results.simultaneous import Comparisons, adjusted

COLUMNS = {
    "estimate": "estimate", "std_error": "SE", "df": "df", "conf_low": "lower.CL",
    "conf_high": "upper.CL", "p_adjusted": "p.value",
}  # fmt: skip


@pytest.fixture(scope="module")
def visits(table):
    rows = table("visits")
    arm = pd.Categorical(rows["arm"], ["control", "active"])
    rows = rows.assign(arm=arm, visit=pd.Categorical(rows["visit"]))
    return LMM("y ~ visit * arm + (1 | patient)", rows).fit(df="kenward-roger")


@pytest.mark.parametrize("how", ["tukey", "bonferroni"])
def test_all_pairs_of_a_mixed_model_are_emmeans(visits, r_results, how):
    found = visits.means(["visit", "arm"]).contrast("visit", adjust=how)
    keys = [
        f"visit{b} - visit{a} : {arm}"
        for (b, a), arm in zip(found["visit"].str.split(" - "), found["arm"], strict=True)
    ]
    for ours, theirs in COLUMNS.items():
        expected = r_results("simultaneous", f"visits_{how}", theirs)
        assert set(keys) == set(expected)
        # ptukey's own error is about 1e-8, of which a small p value is not much more.
        np.testing.assert_allclose(
            found[ours].astype(float), [expected[key] for key in keys], rtol=2e-6, atol=2e-8
        )


@pytest.mark.parametrize(("name", "how", "means"), [("tukey", "tukey", 10), ("dunnett", "mvt", 0)])
def test_ten_batches_are_emmeans(r_results, name, how, means):
    """Balanced: two differences that share a batch have a correlation of one half in size. The
    multivariate t integral of R has an error of about 1e-4."""

    def r(quantity: str) -> np.ndarray:
        return np.array(list(r_results("simultaneous", f"pastes_{name}", quantity).values()))

    terms = [t.split(" - ") for t in r_results("simultaneous", f"pastes_{name}", "SE")]
    sign = np.array([[(b == x) - (a == x) for x in "ABCDEFGHIJ"] for b, a in terms], dtype=float)
    family = Comparisons(sign @ sign.T / 2.0, means)
    p, multiple = adjusted(family, how, r("estimate") / r("SE"), r("df"), 0.95)
    near = {"rtol": 2e-6, "atol": 2e-8} if how == "tukey" else {"rtol": 1e-3, "atol": 5e-4}
    np.testing.assert_allclose(p, r("p.value"), **near)
    np.testing.assert_allclose(r("estimate") - multiple * r("SE"), r("lower.CL"), **near)


def test_dunnett_s_published_critical_value():
    """Three treatments and a control, balanced, 16 degrees of freedom: 2.59 (Dunnett 1964)."""
    R = np.full((3, 3), 0.5) + 0.5 * np.eye(3)
    _, multiple = adjusted(Comparisons(R, 0), "mvt", np.ones(3), np.full(3, 16.0), 0.95)
    assert multiple[0] == pytest.approx(2.59, abs=0.005)


def test_tukey_is_the_multivariate_t_of_a_balanced_design():
    weights = np.array([[-1, 1, 0, 0], [-1, 0, 1, 0], [0, -1, 1, 0], [-1, 0, 0, 1], [0, -1, 0, 1],
                        [0, 0, -1, 1]])  # fmt: skip
    family = Comparisons(weights @ weights.T / 2.0, 4)
    for t, df in ((1.2, 7.3), (2.7, 11.0), (3.0, np.inf)):
        a, b = (family.tail(how)(t, df) for how in ("tukey", "mvt"))
        assert b == pytest.approx(a, abs=2e-5)


def test_uncorrelated_comparisons_are_sidaks():
    family = Comparisons(np.eye(4), 0)
    p = family.tail("mvt")(2.2, np.inf)
    assert p == pytest.approx(1.0 - (1.0 - 2.0 * norm.sf(2.2)) ** 4, abs=2e-5)
    R = np.array([[1.0, 0.8], [0.8, 1.0]])
    box = multivariate_normal(np.zeros(2), R).cdf([2.0, 2.0], lower_limit=[-2.0, -2.0])
    assert Comparisons(R, 0).tail("mvt")(2.0, np.inf) == pytest.approx(1.0 - box, abs=2e-5)


@pytest.mark.parametrize("how", ["bonferroni", "tukey", "mvt"])
def test_intervals_and_p_values_agree(visits, how):
    means = visits.means(["visit", "arm"])
    table, plain = means.contrast("visit", adjust=how), means.contrast("visit")
    outside = (table["conf_low"] > 0) | (table["conf_high"] < 0)
    assert (outside == (table["p_adjusted"] < 0.05)).all() and outside.any() and not outside.all()
    assert (table["p_adjusted"] >= plain["p_value"] - 1e-6).all()
    wider = (table["conf_high"] - table["conf_low"]) / (plain["conf_high"] - plain["conf_low"])
    assert (wider > 1.2).all()
    pd.testing.assert_series_equal(table["p_value"], plain["p_value"])


def test_a_family_is_what_shares_the_variables_not_named(visits):
    """Two comparisons of arms at each visit are one comparison a visit: nothing to adjust."""
    means = visits.means(["visit", "arm"])
    alone = means.contrast("arm", adjust="mvt")
    np.testing.assert_allclose(alone["p_adjusted"], alone["p_value"], atol=1e-12)
    np.testing.assert_allclose(alone["conf_low"], means.contrast("arm")["conf_low"])
    changes = means.contrast("visit", "arm", kind="reference", adjust="mvt")
    assert len(changes) == 4 and (changes["p_adjusted"] > changes["p_value"]).all()


def test_ratios_have_adjusted_limits():
    rng = np.random.default_rng(4)
    rows = pd.DataFrame({"id": np.repeat(np.arange(60), 3), "arm": np.repeat(np.arange(60) % 3, 3)})
    rows["arm"] = rows["arm"].map({0: "a", 1: "b", 2: "c"})
    rows["y"] = np.exp(rng.normal(size=180) + 0.5 * (rows["arm"] == "c"))
    means = LMM("log(y) ~ arm + (1 | id)", rows).fit().means("arm")
    plain = means.contrast("arm", adjust="tukey")
    ratio = means.contrast("arm", adjust="tukey", ratio=True)
    for column in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(ratio[column], np.exp(plain[column]))
    seen = GLMM("high ~ arm + (1 | id)", rows.assign(high=rows["y"] > 1)).fit().means("arm")
    odds = seen.contrast("arm", adjust="tukey", ratio=True)
    assert np.isinf(odds["df"]).all() and (odds["p_adjusted"] > odds["p_value"]).all()


class TestRefusals:
    def test_tukey_of_other_comparisons(self, visits):
        means = visits.means(["visit", "arm"])
        for how in ({"kind": "reference"}, {"kind": "consecutive"}):
            with pytest.raises(LongsurvError, match="all pairwise differences along one variable"):
                means.contrast("visit", adjust="tukey", **how)
        with pytest.raises(LongsurvError, match="all pairwise differences along one variable"):
            means.contrast("visit", "arm", adjust="tukey")

    def test_an_empty_cell_is_no_part_of_the_family(self):
        rng = np.random.default_rng(1)
        cells = [(a, v) for a in "ab" for v in "uvw" if (a, v) != ("b", "w")]
        rows = pd.DataFrame(cells * 8, columns=["arm", "visit"])
        rows["id"], rows["y"] = np.repeat(np.arange(8), 5), rng.normal(size=40)
        means = LMM("y ~ arm * visit + (1 | id)", rows).fit().means(["visit", "arm"])
        found = means.contrast("visit", adjust="mvt").set_index(["arm", "visit"])
        assert found.loc["b", "p_adjusted"].isna().sum() == 2
        # One comparison is left in that arm.
        left = found.loc[("b", "v - u")]
        assert left["p_adjusted"] == pytest.approx(left["p_value"])
        with pytest.raises(LongsurvError, match="adjust='mvt'"):
            means.contrast("visit", adjust="tukey")
