"""Prior against data: tail probabilities against simulation and closed forms, and one verdict."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from longsurv.priors import Normal, StudentT
from longsurv.results.prior_share import CONFLICT, diagnosis, predictive_tail


@pytest.mark.parametrize(("estimate", "se"), [(0.4, 1.0), (-3.0, 0.5), (2.0, 0.1)])
def test_a_normal_prior_s_tail_is_closed(estimate, se):
    prior = Normal(0.3, 0.8)
    z = (estimate - 0.3) / math.hypot(0.8, se)
    expected = 2 * stats.norm.sf(abs(z))
    assert predictive_tail(prior, estimate, se) == pytest.approx(expected, rel=2e-3, abs=1e-5)


def test_a_student_prior_s_tail_is_that_of_a_simulation():
    rng = np.random.default_rng(1)
    drawn = stats.t.rvs(3, size=400_000, random_state=rng) * 0.5 + 1.0
    seen = drawn + rng.normal(0, 0.7, drawn.size)
    tail = 2 * min((seen <= -1.2).mean(), (seen >= -1.2).mean())
    assert predictive_tail(StudentT(3, 1.0, 0.5), -1.2, 0.7) == pytest.approx(tail, abs=2e-3)


def test_no_estimate_no_tail_and_no_conflict():
    assert math.isnan(predictive_tail(Normal(0, 1), math.inf, 1.0))
    assert math.isnan(predictive_tail(Normal(0, 1), 0.0, math.nan))
    assert diagnosis(0.3, math.nan) == "prior and data"


def test_the_verdict_is_one_word_for_each_case():
    assert diagnosis(0.05, 0.5) == "mostly data"
    assert diagnosis(0.3, 0.5) == "prior and data"
    assert diagnosis(0.8, 0.5) == "mostly prior"
    assert {diagnosis(share, CONFLICT / 2) for share in (0.05, 0.3, 0.8)} == {"in conflict"}
