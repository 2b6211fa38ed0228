"""Standardised cumulative incidences against sums written out, against R and against one cause."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import longsurv as ls
from longsurv.analyses.mortality.drawn_incidence import CoxDraws, mean_risks
from longsurv.analyses.mortality.standardised_incidence import (
    drawn_incidence,
    incidence,
    incidence_slope,
    standardised_incidence,
)
from longsurv.estimands.competing import incidence_difference
from longsurv.estimands.standardised import risk_difference
from longsurv.likelihood.cox.draws import mean_incidence
from longsurv.models import CoxPH

ROOT = Path(__file__).parents[3]


def written_out(steps: np.ndarray) -> np.ndarray:
    """By the matrix exponential of each stretch, as a Markov chain of two exits."""
    from scipy.linalg import expm

    found = []
    for row in range(steps.shape[1]):
        state = np.array([1.0, 0.0, 0.0])
        for t in range(steps.shape[2]):
            one, other = steps[:, row, t]
            state = state @ expm(np.array([[-one - other, one, other], [0] * 3, [0] * 3]))
        found.append(state[1])
    return np.array(found)


@pytest.fixture(scope="module")
def steps():
    rng = np.random.default_rng(3)
    found = rng.exponential(0.2, (2, 5, 7)) * (rng.random((2, 5, 7)) < 0.6)
    found[:, 0, 2] = 0.0  # nothing happens
    return found


def test_the_incidence_is_that_of_the_chain(steps) -> None:
    np.testing.assert_allclose(incidence(steps), written_out(steps), rtol=1e-12)


def test_the_mean_over_rows_is_that_of_their_products(steps) -> None:
    """The compiled sum over draws, rows and times beside the incidence of each row."""
    relative = np.random.default_rng(6).exponential(1.0, (3, 5, 4))
    for causes in ([0], [0, 1], [1, 0, 0]):
        own, base = relative[: len(causes)], steps[causes]
        each = incidence(own[..., None] * base[:, :, None])
        np.testing.assert_allclose(mean_incidence(own, base), each.mean(axis=1), rtol=1e-13)


def test_drawn_risks_are_those_of_the_draws_of_survival() -> None:
    """In strata and with an offset, against the product of the causes' survival written out."""
    cohort = ls.read_cohort(ls.example_path("pbc") / "study.toml")
    data = cohort.survival_data().assign(more=lambda d: 0.1 * (d["age"] > 50))
    posts = []
    for cause in (1, 2):
        formula = "Surv(entry, exit, event) ~ drug + strata(sex) + offset(more)"
        spec = CoxPH(formula, data.assign(event=(data["status"] == cause).astype(int)))
        posts.append(spec.sample(draws=20, chains=1, seed=cause))
    times = np.linspace(0.5, 10.0, 25)
    frame = data.sample(40, random_state=1)
    H = [-np.log(post.survival_draws(frame, times)) for post in posts]
    each = incidence(np.diff(np.stack(H), prepend=0.0))
    found = mean_risks([CoxDraws.of(post) for post in posts], frame, times, 20)
    np.testing.assert_allclose(found, each.mean(axis=1), rtol=1e-10)
    few = mean_risks([CoxDraws.of(post) for post in posts], frame, times, 5)
    np.testing.assert_allclose(few, found[np.linspace(0, 19, 5).astype(int)], rtol=1e-12)


def test_its_derivatives_are_those_of_finite_differences(steps) -> None:
    steps = steps + 0.01
    value, slope = incidence_slope(steps)
    np.testing.assert_allclose(value, incidence(steps))
    for k in range(2):
        for t in range(steps.shape[2]):
            up, down = steps.copy(), steps.copy()
            up[k, :, t] += 1e-6
            down[k, :, t] -= 1e-6
            by_hand = (incidence(up) - incidence(down)) / 2e-6
            np.testing.assert_allclose(slope[k, :, t], by_hand, rtol=1e-6, atol=1e-9)


def test_where_nothing_happens_the_derivative_is_its_limit() -> None:
    steps = np.zeros((2, 1, 3))
    _, slope = incidence_slope(steps)
    assert slope.tolist() == [[[1.0, 1.0, 1.0]], [[0.0, 0.0, 0.0]]]


@pytest.fixture(scope="module")
def pbc():
    return ls.read_cohort(ROOT / "examples/pbc/study.toml").survival_data()


def of_causes(data: pd.DataFrame, right: str, causes: int = 2) -> list[CoxPH]:
    return [
        CoxPH(f"Surv(entry, exit, event) ~ {right}", data=data.assign(event=data["status"] == k))
        for k in range(1, causes + 1)
    ]


def test_against_r(pbc, r_results) -> None:
    fits = [spec.fit() for spec in of_causes(pbc, "drug + age")]
    table = standardised_incidence(fits, "drug", 10.0).set_index("term")
    expected = r_results("demos", "pbc, standardised", "incidence")
    product = r_results("demos", "pbc, standardised", "survfit")
    for level, arm in (("placebo", "control"), ("D-penicillamine", "treated")):
        ours = table.loc[f"risk ({level})", "estimate"]
        assert ours == pytest.approx(expected[arm], rel=1e-6)
        assert ours == pytest.approx(product[arm], rel=0.02)  # steps multiplied, not integrated


def test_with_one_cause_it_is_the_standardised_risk(pbc) -> None:
    (spec,) = of_causes(pbc, "drug + age", causes=1)
    fit = spec.fit()
    ours = standardised_incidence([fit], "drug", 8.0)
    theirs = risk_difference(fit, "drug", 8.0)
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-8)


def test_with_the_treatment_alone_its_error_is_about_that_of_the_curves(pbc) -> None:
    specs = of_causes(pbc, "drug")
    table = standardised_incidence([s.fit() for s in specs], "drug", 10.0).set_index("term")
    curves = incidence_difference(pbc, "drug", 10.0).set_index("quantity")
    row = curves.loc["risk difference"]
    width = row["conf_high"] - row["conf_low"]
    ours = table.loc["risk difference"]
    assert ours["conf_high"] - ours["conf_low"] == pytest.approx(width, rel=0.1)
    assert ours["estimate"] == pytest.approx(row["estimate"], abs=0.2 * width)


def test_a_posterior_agrees_with_its_likelihood(pbc) -> None:
    specs = of_causes(pbc, "drug + age")
    fits = standardised_incidence([s.fit() for s in specs], "drug", 10.0)
    posts = drawn_incidence([s.sample(draws=500, chains=2, seed=1) for s in specs], "drug", 10.0)
    se = fits["std_error"].to_numpy()
    gap = (posts["estimate"] - fits["estimate"]).to_numpy()[:3] / se[:3]
    assert np.abs(gap).max() < 0.25
    np.testing.assert_allclose(posts["std_error"][:3], se[:3], rtol=0.15)


def test_few_times_do_as_well_as_many(pbc, monkeypatch) -> None:
    import longsurv.analyses.mortality.standardised_incidence as module

    fits = [spec.fit() for spec in of_causes(pbc, "drug + age")]
    every = standardised_incidence(fits, "drug", 10.0)
    monkeypatch.setattr(module, "MOST_TIMES", 40)
    monkeypatch.setattr(module, "AT_ONCE", 40 * 50)
    few = standardised_incidence(fits, "drug", 10.0)
    np.testing.assert_allclose(few["estimate"], every["estimate"], rtol=2e-3)
    np.testing.assert_allclose(few["std_error"], every["std_error"], rtol=1e-2)
