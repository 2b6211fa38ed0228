"""Verdicts, on records and draws that are known to be good or bad."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from longsurv.diagnostics.convergence import of_estimate, of_posterior
from longsurv.inference import maximise
from longsurv.results.posterior import summarise


def parabola(x):
    return -0.5 * float(x @ x), -x


GOOD = maximise(parabola, np.ones(2))


def test_a_good_fit():
    verdict = of_estimate(GOOD, ("Three rows were left out.",))
    assert verdict.ok and verdict.checks["ok"].all()
    assert "Converged" in verdict.words and verdict.words.endswith("Three rows were left out.")
    assert str(verdict) == verdict.words


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"status": "stopped"}, "converged"),
        ({"newton_decrement": 0.1}, "Newton decrement"),
        ({"condition_number": 1e12}, "condition number"),
        ({"condition_number": np.nan}, "condition number"),
    ],
)
def test_a_bad_fit(change, check):
    verdict = of_estimate(replace(GOOD, **change))
    assert not verdict.ok
    assert list(verdict.checks.loc[~verdict.checks["ok"], "check"]) == [check]
    assert check in verdict.words and "Not to be relied on" in verdict.words


def test_what_the_optimiser_said():
    verdict = of_estimate(replace(GOOD, status="stopped in a swamp"))
    assert "stopped in a swamp" in verdict.words


def chains(shift=0.0, persistence=0.0, seed=0, draws=1000):
    """Two autoregressive chains, the second shifted."""
    rng = np.random.default_rng(seed)
    e = rng.normal(size=(2, draws))
    x = np.empty_like(e)
    x[:, 0] = e[:, 0]
    for t in range(1, draws):
        x[:, t] = persistence * x[:, t - 1] + np.sqrt(1 - persistence**2) * e[:, t]
    x[1] += shift
    return x


def judge(x, divergences=0, energy=None, flags=()):
    diverging = np.zeros(x.shape, dtype=bool)
    diverging.ravel()[:divergences] = True
    energy = np.random.default_rng(9).normal(size=x.shape) if energy is None else energy
    return of_posterior(
        summarise({"x": x}, 0.95), {"diverging": diverging, "energy": energy}, flags
    )


def test_good_chains():
    verdict = judge(chains(), flags=("A note.",))
    assert verdict.ok and verdict.words.endswith("A note.")
    assert list(verdict.checks["check"]) == [
        "largest R-hat", "smallest effective sample size", "divergences", "smallest E-BFMI",
    ]  # fmt: skip


def failed(verdict):
    assert not verdict.ok and "Not to be relied on" in verdict.words
    return set(verdict.checks.loc[~verdict.checks["ok"], "check"])


def test_chains_apart():
    assert "largest R-hat" in failed(judge(chains(shift=1.0)))


def test_few_effective_draws():
    assert "smallest effective sample size" in failed(judge(chains(persistence=0.95)))


def test_divergences():
    verdict = judge(chains(), divergences=3)
    assert failed(verdict) == {"divergences"}
    assert "divergences is 3 (expected 0)" in verdict.words


def test_energy_that_wanders():
    """Persistence 0.95 has E-BFMI 2 (1 - 0.95) = 0.1."""
    verdict = judge(chains(), energy=chains(persistence=0.95, seed=3, draws=1000))
    assert failed(verdict) == {"smallest E-BFMI"}
    assert verdict.checks["value"].iloc[-1] == pytest.approx(0.1, abs=0.05)


def test_one_chain_has_no_r_hat():
    """What cannot be checked has not passed."""
    assert "largest R-hat" in failed(judge(chains()[:1]))
    assert "largest R-hat cannot be computed (expected < 1.01)" in judge(chains()[:1]).words


def test_a_chain_that_never_moved():
    table = pd.concat(
        [summarise({"x": chains()}, 0.95), summarise({"stuck": np.ones((2, 1000))}, 0.95)]
    )
    stats = {"diverging": np.zeros((2, 1000), bool), "energy": chains(seed=5)}
    assert not of_posterior(table, stats).ok
