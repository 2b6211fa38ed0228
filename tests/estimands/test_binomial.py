"""The beta-binomial posterior against closed forms, adaptive quadrature and published figures."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats
from two_groups import swapped

from longsurv.errors import LongsurvError
from longsurv.estimands.binomial import BetaBinomial, probability_lower
from longsurv.estimands.counts import Counts

STUDY = Counts(1, 19, 4, 22)


def test_probability_of_a_lower_risk_as_published():
    assert probability_lower(STUDY, (0.5, 0.5)) == pytest.approx(0.898, abs=5e-4)
    assert probability_lower(STUDY, (1, 1)) == pytest.approx(0.873, abs=5e-4)


@pytest.mark.parametrize("name", ["1/19 4/22", "0/19 4/22", "3/10 10/15", "12/50 5/50", "0/8 0/9"])
@pytest.mark.parametrize("prior", [0.5, 1])
def test_probability_of_a_lower_risk_agrees_with_r(name, prior, reference):
    counts = Counts(*(int(k) for k in name.replace(" ", "/").split("/")))
    term = f"Beta {prior}"
    expected = reference("two_by_two", name, "prob_treated_below_control_own", term)
    assert probability_lower(counts, (prior, prior)) == pytest.approx(expected, abs=1e-9)


def closed_form(a, b, c, d):
    """P(X < Y) for X ~ Beta(a, b), Y ~ Beta(c, d), all whole: a finite sum over c."""
    return sum(
        math.exp(
            special.betaln(a + i, b + d) - math.log(d + i)
            - special.betaln(1 + i, d) - special.betaln(a, b)
        )
        for i in range(c)
    )  # fmt: skip


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
@settings(max_examples=40, deadline=None)
def test_uniform_prior_against_the_closed_form(a, b, c, d):
    if a + b == 0 or c + d == 0:
        return
    expected = closed_form(a + 1, b + 1, c + 1, d + 1)
    assert probability_lower(Counts(a, a + b, c, c + d), (1, 1)) == pytest.approx(
        expected, abs=1e-10
    )


@pytest.mark.parametrize("counts", [STUDY, Counts(0, 19, 4, 22), Counts(3, 4, 7, 8)])
@pytest.mark.parametrize(
    ("effect", "value", "threshold"),
    [
        ("risk difference", -0.05, lambda q: q - 0.05),
        ("risk difference", 0.1, lambda q: q + 0.1),
        ("risk ratio", 0.6, lambda q: 0.6 * q),
        ("risk ratio", 1.7, lambda q: 1.7 * q),
        ("odds ratio", 0.4, lambda q: 0.4 * q / (1 - q + 0.4 * q)),
    ],
)
def test_distribution_of_each_effect_against_adaptive_quadrature(counts, effect, value, threshold):
    post = BetaBinomial(counts, (0.5, 0.5))
    inner, outer = stats.beta(*post.shapes), stats.beta(*post.reference_shapes)

    # The outer variable's own distribution function as the variable: no singularities.
    def integrand(u):
        return inner.cdf(threshold(outer.ppf(u)))

    expected, _ = integrate.quad(integrand, 0, 1, limit=500, epsabs=1e-10)
    assert post.probability_below(value, effect) == pytest.approx(expected, abs=2e-8)


@given(
    st.tuples(st.integers(0, 20), st.integers(0, 20)).filter(any),
    st.tuples(st.integers(0, 20), st.integers(0, 20)).filter(any),
    st.sampled_from([0.1, 0.5, 1.0, 3.0]),
    st.floats(0.001, 0.99),
)
@settings(max_examples=40, deadline=None)
def test_swapping_the_groups_complements_every_probability(one, two, prior, d):
    counts = Counts(one[0], sum(one), two[0], sum(two))
    there, back = (BetaBinomial(c, (prior, prior)) for c in (counts, swapped(counts)))

    def total(value, mirrored, effect):
        return there.probability_below(value, effect) + back.probability_below(mirrored, effect)

    assert total(-d, d, "risk difference") == pytest.approx(1, abs=1e-11)
    assert total(d, 1 / d, "risk ratio") == pytest.approx(1, abs=1e-11)
    assert total(d, 1 / d, "odds ratio") == pytest.approx(1, abs=1e-11)


@pytest.mark.parametrize("effect", ["risk difference", "risk ratio", "odds ratio"])
@pytest.mark.parametrize("p", [0.025, 0.5, 0.975])
def test_quantiles_invert_the_distribution(effect, p):
    post = BetaBinomial(Counts(0, 19, 4, 22))
    assert post.probability_below(post.quantile(p, effect), effect) == pytest.approx(p, abs=1e-9)


def test_table_of_the_study():
    table = BetaBinomial(STUDY).table().set_index("quantity")
    difference = table.loc["risk difference"]
    post = BetaBinomial(STUDY)
    assert difference["prob_benefit_1"] == post.probability_below(-0.01)
    assert difference["prob_benefit_5"] == post.probability_below(-0.05)
    order = difference[["prob_benefit", "prob_benefit_1", "prob_benefit_5"]]
    assert order.is_monotonic_decreasing
    assert table.loc["risk", "estimate"] == pytest.approx(stats.beta(1.5, 18.5).median())
    # The median is the same event on every scale only for the sign; the ratio's is its own.
    assert table.loc["risk ratio", "conf_low"] < 0.29 < table.loc["risk ratio", "conf_high"]
    assert (table["prob_benefit"].dropna() == difference["prob_benefit"]).all()


def test_what_is_not_a_prior_effect_or_probability_is_refused():
    with pytest.raises(LongsurvError, match="Beta prior"):
        BetaBinomial(STUDY, (0, 1))
    with pytest.raises(LongsurvError, match="effect must be"):
        BetaBinomial(STUDY).probability_below(1, "hazard ratio")
    with pytest.raises(LongsurvError, match="probability"):
        BetaBinomial(STUDY).quantile(1)
