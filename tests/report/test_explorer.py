from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from longsurv.priors import Normal, PriorStack, StudentT
from longsurv.report.explorer import (
    SMALLEST_ESS,
    ExploredEffect,
    effects,
    implied_prior,
    reweighted,
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
    assert found.mean == pytest.approx(exact.mean(), abs=0.005)
    assert found.low == pytest.approx(exact.ppf(0.025), abs=0.03)
    assert found.high == pytest.approx(exact.ppf(0.975), abs=0.03)
    assert found.prob_benefit == pytest.approx(exact.cdf(0), abs=0.005)
    assert found.prob_relevant == pytest.approx(exact.cdf(-relevant), abs=0.005)


def test_the_fitted_prior_changes_nothing() -> None:
    effect = an_effect()
    found = reweighted(effect, effect.prior)
    assert found.ess == pytest.approx(len(effect.draws))
    assert found.mean == pytest.approx(effect.draws.mean())


def test_benefit_follows_the_direction() -> None:
    lower, higher = (reweighted(an_effect(b), Normal(0, 1)) for b in ("lower", "higher"))
    assert lower.prob_benefit == pytest.approx(1 - higher.prob_benefit)
    assert lower.prob_benefit > 0.9


def test_a_prior_far_away_is_not_trusted() -> None:
    found = reweighted(an_effect(), Normal(6.0, 0.1))
    assert found.ess < SMALLEST_ESS
    assert not found.trusted


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
    assert reweighted(crp, crp.prior).mean == pytest.approx(math.log(row["estimate"]), abs=1e-3)
    assert crp.better == "lower"
    platelets = next(effect for effect in found if effect.label.startswith("Platelets"))
    assert (platelets.better, platelets.ratio, platelets.unit) == ("higher", False, "10^9/L")
