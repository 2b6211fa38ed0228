"""The normal-approximation posterior against R, published figures and a grid."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from two_groups import swapped

from longsurv import priors as pr
from longsurv.estimands.counts import Counts
from longsurv.estimands.log_odds import PRIORS, LogOddsRatio, odds_ratio_posteriors

STUDY = Counts(1, 19, 4, 22)


@pytest.mark.parametrize(
    ("prior", "estimate", "low", "high", "benefit"),
    [
        ("weak", 0.56, 0.13, 2.46, 0.780),
        ("sceptical", 0.89, 0.46, 1.73, 0.635),
        ("trials at low risk of bias", 0.96, 0.80, 1.14, 0.687),
    ],
)
def test_the_figures_of_the_study(prior, estimate, low, high, benefit):
    row = odds_ratio_posteriors(STUDY).set_index("prior").loc[prior]
    got = row[["estimate", "conf_low", "conf_high"]].tolist()
    assert got == pytest.approx([estimate, low, high], abs=5e-3)
    assert row["prob_benefit"] == pytest.approx(benefit, abs=5e-4)


@pytest.mark.parametrize(
    ("prior", "term"),
    [
        ("weak", "N(0,1)"),
        ("sceptical", "N(0,0.355)"),
        ("trials at low risk of bias", "Cochrane low risk of bias, centre of the interval"),
    ],
)
def test_agrees_with_r(prior, term, reference):
    row = odds_ratio_posteriors(STUDY).set_index("prior").loc[prior]
    for column, name in (("estimate", "median"), ("conf_low", "low"), ("conf_high", "high")):
        expected = reference("two_by_two", "1/19 4/22", "posterior_odds_ratio", f"{term} {name}")
        assert row[column] == pytest.approx(expected, rel=1e-9)
    expected = reference("two_by_two", "1/19 4/22", "posterior_prob_below_one", term)
    assert row["prob_benefit"] == pytest.approx(expected, rel=1e-9)


def test_posterior_against_a_grid():
    found = LogOddsRatio.of(STUDY)
    prior = pr.Normal(-0.4, 0.7)
    x = np.linspace(-12, 12, 200_001)
    density = stats.norm.pdf(x, found.estimate, found.std_error) * stats.norm.pdf(x, -0.4, 0.7)
    density /= density.sum()
    mean = (x * density).sum()
    post = found.posterior(prior)
    assert post.mean == pytest.approx(mean, abs=1e-8)
    assert post.sd == pytest.approx(math.sqrt(((x - mean) ** 2 * density).sum()), abs=1e-8)


def test_one_half_is_added_only_with_an_empty_cell():
    assert not LogOddsRatio.of(STUDY).corrected
    empty = LogOddsRatio.of(Counts(0, 19, 4, 22))
    assert empty.corrected
    assert empty.estimate == pytest.approx(math.log(0.5 * 18.5 / (19.5 * 4.5)))


def test_swapping_the_groups_changes_the_sign():
    there, back = LogOddsRatio.of(STUDY), LogOddsRatio.of(swapped(STUDY))
    assert there.estimate == pytest.approx(-back.estimate)
    assert there.std_error == pytest.approx(back.std_error)


def test_share_of_the_prior():
    table = odds_ratio_posteriors(STUDY).set_index("prior")
    data = 1 / LogOddsRatio.of(STUDY).std_error ** 2
    for name, prior in PRIORS.items():
        before = 1 / prior.sd**2
        assert table.loc[name, "prior_share"] == pytest.approx(before / (before + data))
    assert table.loc["trials at low risk of bias", "prior_share"] > 0.99
    assert table.loc["enthusiastic", "prior_prob_benefit"] == pytest.approx(0.85, abs=1e-4)
