from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from longsurv.priors import TREATMENT, Normal, PriorStack, StudentT
from longsurv.report.explorer import (
    SMALLEST_ESS,
    ExploredEffect,
    effects,
    implied_prior,
    reweighted,
    risk_difference,
    script_data,
    thinned,
)
from longsurv.study import StudyResults


def an_effect(better: str = "lower", label: str = "x") -> ExploredEffect:
    """A normal likelihood (-0.8, 0.5) under the prior N(0, 1), by its quantiles."""
    precision = 1 + 1 / 0.5**2
    grid = (np.arange(20_000) + 0.5) / 20_000
    draws = norm.ppf(grid, -0.8 / 0.5**2 / precision, precision**-0.5)
    return ExploredEffect(label, True, better, "", draws, Normal(0.0, 1.0), math.log(2.0))


@settings(max_examples=40, deadline=None)
@given(st.floats(-0.8, 0.8), st.floats(0.3, 1.0), st.floats(0.0, 0.5))
def test_new_weights_give_the_conjugate_posterior(
    centre: float, sd: float, relevant: float
) -> None:
    found = reweighted(an_effect(), Normal(centre, sd), relevant)
    precision = 1 / sd**2 + 1 / 0.5**2
    mean = (centre / sd**2 - 0.8 / 0.5**2) / precision
    exact = norm(mean, precision**-0.5)
    assert found.trusted
    assert found.median == pytest.approx(exact.mean(), abs=0.01)
    assert found.low == pytest.approx(exact.ppf(0.025), abs=0.03)
    assert found.high == pytest.approx(exact.ppf(0.975), abs=0.03)
    assert found.prob_benefit == pytest.approx(exact.cdf(0), abs=0.005)
    assert found.prob_relevant == pytest.approx(exact.cdf(-relevant), abs=0.005)


def test_the_fitted_prior_changes_nothing() -> None:
    effect = an_effect()
    found = reweighted(effect, effect.prior)
    assert found.ess == pytest.approx(len(effect.draws))
    assert found.median == pytest.approx(np.median(effect.draws), abs=1e-3)


def test_benefit_follows_the_direction() -> None:
    lower, higher = (reweighted(an_effect(b), Normal(0, 1)) for b in ("lower", "higher"))
    assert lower.prob_benefit == pytest.approx(1 - higher.prob_benefit)
    assert lower.prob_benefit > 0.9


def test_a_prior_far_away_is_not_trusted() -> None:
    found = reweighted(an_effect(), Normal(6.0, 0.1))
    assert found.ess < SMALLEST_ESS
    assert not found.trusted


@pytest.mark.parametrize(("centre", "sd"), [(0.0, 1.0), (0.0, 3.0), (0.0, 0.355), (-0.4, 0.4)])
def test_draws_under_a_wide_prior_reach_every_narrower_one(centre: float, sd: float) -> None:
    """And the page begins at the fitted prior, whatever the draws are from."""
    wide = Normal(0.0, 5.0)
    precision = 1 / 25 + 1 / 0.5**2
    grid = (np.arange(4000) + 0.5) / 4000
    draws = norm.ppf(grid, -0.8 / 0.5**2 / precision, precision**-0.5)
    effect = ExploredEffect(
        "x", True, "lower", "", draws, Normal(0.0, 1.0), math.log(2.0), named=TREATMENT, under=wide
    )
    found = reweighted(effect, Normal(centre, sd))
    after = 1 / sd**2 + 1 / 0.5**2
    exact = norm((centre / sd**2 - 0.8 / 0.5**2) / after, after**-0.5)
    assert found.trusted
    assert found.prob_benefit == pytest.approx(exact.cdf(0), abs=0.005)
    assert (found.low, found.high) == pytest.approx((exact.ppf(0.025), exact.ppf(0.975)), abs=0.03)
    told = effect.as_json()
    assert [one["name"] for one in told["priors"]] == list(TREATMENT), "every name has a button"
    assert (told["centre"], told["sd"], told["under"]) == (0.0, 1.0, {"centre": 0.0, "sd": 5.0})
    assert an_effect().as_json()["under"] == {"centre": 0.0, "sd": 1.0}


def test_a_difference_of_risks_follows_from_the_hazard_ratio() -> None:
    assert risk_difference(0.0, 0.2) == pytest.approx(0.0)
    assert risk_difference(math.log(0.5), 0.19) == pytest.approx(-9.0)  # 1 - 0.81^0.5 = 0.1
    assert risk_difference(math.log(2.0), 0.1) == pytest.approx(9.0)
    assert risk_difference(-30.0, 0.2) == pytest.approx(-20.0)


def test_the_hazard_ratio_has_the_widest_draws_and_keeps_its_answer(results: StudyResults) -> None:
    effect, *others = effects(results)
    fitted, known = results.mortality.post, results.parts["priors"]["table"].set_index("prior")
    assert effect.drawn_under == TREATMENT["flat-ish"] and effect.prior.sd < 5.0
    assert effect.risk == results.parts["priors"]["baseline_risk"]
    assert all(other.under is None and other.risk is None for other in others)
    own = reweighted(effect, effect.prior)
    term = next(name for name in fitted.names if name.startswith("arm"))
    assert own.prob_benefit == pytest.approx((fitted.draw(term) < 0).mean(), abs=0.02)
    trusted = 0
    for name, prior in TREATMENT.items():
        found = reweighted(effect, prior)
        trusted += found.trusted
        if found.trusted:
            assert found.prob_benefit == pytest.approx(
                1 - known.loc[name, "prob_positive"], abs=0.03
            )
    assert trusted >= 4, "of few draws, not all reach a prior on the other side"


def test_implied_prior_of_a_combination() -> None:
    priors = PriorStack(("a", "b", "t"), (Normal(1.0, 2.0), Normal(0.5, 1.0), StudentT(4, 0, 1)))
    assert implied_prior({"a": 1.0, "b": -2.0}, priors) == Normal(0.0, math.sqrt(8.0))
    assert implied_prior({"a": 1.0, "t": 1.0}, priors) is None
    assert implied_prior({"absent": 1.0}, priors) is None


def test_thinning_keeps_every_chain() -> None:
    draws = np.repeat([[0.0], [1.0]], 3000, axis=1)
    kept = thinned(draws)
    assert len(kept) <= 2000
    assert kept.mean() == 0.5


def test_data_cannot_end_the_script_element() -> None:
    text = script_data([an_effect(label="</script><script>alert(1)</script> &")])
    assert "<" not in text
    assert "&" not in text
    assert json.loads(text)["effects"][0]["label"].startswith("</script>")


def test_a_study_offers_mortality_first_then_the_markers(results: StudyResults) -> None:
    found = effects(results)
    labels = [effect.label for effect in found]
    assert labels[0] == "Hazard ratio of death, active against control"
    assert any(label.startswith("CRP: ratio of changes, before to after") for label in labels)
    crp = next(effect for effect in found if effect.label.startswith("CRP"))
    row = results.changes.query("marker == 'crp' and engine == 'bayes'").iloc[0]
    assert reweighted(crp, crp.prior).median == pytest.approx(math.log(row["estimate"]), abs=0.03)
    assert crp.better == "lower"
    platelets = next(effect for effect in found if effect.label.startswith("Platelets"))
    assert (platelets.better, platelets.ratio, platelets.unit) == ("higher", False, "10^9/L")
