"""NUTS in whitened coordinates, on densities whose moments are known."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from scipy.stats import gamma
from support.terminal import as_in_a_terminal

from longsurv.diagnostics.convergence import told_again
from longsurv.inference import sample, whiten
from longsurv.inference.sample import WORTH_A_THREAD, _Chain, _cores, sample_again

MEAN = np.array([1.0, -20.0, 0.003])
SD = np.array([1.0, 50.0, 1e-3])
CORRELATION = np.array([[1.0, 0.9, -0.3], [0.9, 1.0, 0.0], [-0.3, 0.0, 1.0]])
COV = CORRELATION * np.outer(SD, SD)
PRECISION = np.linalg.inv(COV)


def normal(x):
    d = x - MEAN
    return -0.5 * float(d @ PRECISION @ d), -PRECISION @ d


def mcse(values, of="mean"):
    from arviz_stats.base import array_stats

    return float(array_stats.mcse(values, chain_axis=0, draw_axis=1, method=of))


@pytest.fixture(scope="module")
def draws():
    return sample(normal, whiten(MEAN, -PRECISION), draws=1000, chains=2, seed=3)


def test_moments_of_a_normal(draws):
    assert draws.theta.shape == (2, 1000, 3)
    for j in range(3):
        x = draws.theta[..., j]
        assert abs(x.mean() - MEAN[j]) < 4 * mcse(x)
        assert abs(x.std() - SD[j]) < 4 * mcse(x, "sd")
    found = np.corrcoef(draws.theta.reshape(-1, 3).T)
    np.testing.assert_allclose(found, CORRELATION, atol=0.08)


def test_moments_when_the_whitening_is_wrong():
    """A gamma(4) variable on the log scale, centred and scaled badly."""

    def log_gamma(x):
        return float(4 * x[0] - np.exp(x[0])), np.array([4 - np.exp(x[0])])

    found = sample(
        log_gamma, whiten(np.array([3.0]), np.array([[-40.0]])), draws=1500, chains=2, seed=1
    )
    x = np.exp(found.theta[..., 0])
    assert abs(x.mean() - gamma(4).mean()) < 4 * mcse(x)
    assert abs(x.std() - gamma(4).std()) < 4 * mcse(x, "sd")


def test_one_seed_one_answer(draws):
    again = sample(normal, draws.whitening, draws=1000, chains=2, seed=3)
    np.testing.assert_array_equal(again.theta, draws.theta)
    one_core = sample(normal, draws.whitening, draws=1000, chains=2, seed=3, cores=1)
    np.testing.assert_array_equal(one_core.theta, draws.theta)
    other = sample(normal, draws.whitening, draws=1000, chains=2, seed=4)
    assert not np.any(other.theta == draws.theta)
    assert not np.array_equal(draws.theta[0], draws.theta[1])


def test_record(draws):
    for name in (
        "diverging",
        "energy",
        "n_steps",
        "tree_depth",
        "step_size",
        "lp",
        "acceptance_rate",
    ):
        assert draws.stats[name].shape == (2, 1000)
    assert draws.stats["diverging"].dtype == bool and not draws.stats["diverging"].any()
    assert draws.seed == 3 and draws.tune == 300 and draws.seconds > 0
    # lp is the density at each draw (the whitening's Jacobian is a constant)
    lp = np.array([[normal(x)[0] for x in chain] for chain in draws.theta])
    np.testing.assert_allclose(draws.stats["lp"] - lp, (draws.stats["lp"] - lp)[0, 0], atol=1e-8)


def funnel(x):
    """Neal's: x[1] has the SD exp(x[0] / 2), which no one step size suits."""
    tight = np.exp(-x[0]) * x[1]
    value = -x[0] * x[0] / 18 - 0.5 * (x[0] + tight * x[1])
    return value, np.array([-x[0] / 9 - 0.5 + 0.5 * tight * x[1], -tight])


def test_chains_that_diverge_are_run_once_more_with_shorter_steps(draws):
    where = whiten(np.zeros(2), -np.diag([1 / 9, 1.0]))
    run = {"draws": 300, "chains": 2, "seed": 1}
    first = sample(funnel, where, **run)
    diverged = int(first.stats["diverging"].sum())
    assert diverged and first.target_accept == 0.8 and not told_again(first)
    kept = sample_again(funnel, where, **run)
    assert kept.target_accept == 0.9 and kept.diverged_before == diverged
    np.testing.assert_array_equal(kept.theta, sample(funnel, where, **run, target_accept=0.9).theta)
    assert kept.seconds > first.seconds / 2
    assert told_again(kept) == (
        "Sampled a second time, at an acceptance of 0.9, because"
        f" {diverged} draws diverged at 0.8.",
    )
    once = sample_again(normal, draws.whitening, draws=1000, chains=2, seed=3)
    np.testing.assert_array_equal(once.theta, draws.theta)
    assert not once.diverged_before and not told_again(once)


@pytest.mark.parametrize(("chains", "cores"), [(2, 2), (3, 1)])
def test_a_thread_keeps_its_state_from_one_evaluation_to_the_next(chains, cores):
    """What a thread remembers is lost with its state, which is made and dropped at every call of a
    thread that Python did not start, unless somebody holds it."""
    here, forgotten = threading.local(), []

    def density(x):
        if not hasattr(here, "seen"):
            here.seen = True
            forgotten.append(threading.get_ident())
        return normal(x)

    whitening = whiten(MEAN, -PRECISION)
    drawn = sample(density, whitening, draws=200, tune=200, chains=chains, seed=3, cores=cores)
    assert drawn.stats["n_steps"].sum() > 600
    # A few calls come before each chain's first draw, and one from the thread of the test.
    assert len(forgotten) < 20 * chains


def test_a_chain_lets_go_of_its_thread_at_its_last_draw(monkeypatch):
    """Every hold is let go, in the same thread and with what it returned."""
    calls = []

    class Interpreter:
        def PyGILState_Ensure(self):
            calls.append(("hold", threading.get_ident(), 7))
            return 7

        def PyGILState_Release(self, state):
            calls.append(("let go", threading.get_ident(), state))

    monkeypatch.setattr("ctypes.pythonapi", Interpreter())
    sample(normal, whiten(MEAN, -PRECISION), draws=20, tune=10, chains=3, seed=3, cores=2)
    assert [kind for kind, *_ in calls].count("let go") == 3
    threads = {thread for _, thread, _ in calls}
    for thread in threads:
        kinds = [kind for kind, at, _ in calls if at == thread]
        assert kinds == ["hold", "let go"] * (len(kinds) // 2)
    assert {state for *_, state in calls} == {7}
    calls.clear()
    chain = _Chain(1)  # nothing would be gained
    assert chain(MEAN)["z"] is MEAN and not calls


def test_chains_run_at_once_where_evaluations_take_long():
    def slow(x):
        time.sleep(2.0 * WORTH_A_THREAD)
        return normal(x)

    assert _cores(slow, 3, 4) == 4
    assert _cores(lambda x: (0.0, x), 3, 4) == 1


def test_chains_wait_for_each_other_where_evaluations_hold_the_lock():
    def busy(x):
        sum(range(20_000))
        return 0.0, x

    assert _cores(busy, 3, 4) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_an_interrupt_is_passed_on_and_no_part_of_the_draws_returned() -> None:
    """In a process of its own: nutpie's blocking call would return the draws so far."""
    code = """
import os, signal, threading, time
import numpy as np
from longsurv.inference.curvature import whiten
from longsurv.inference.sample import sample

def density(theta):
    time.sleep(1e-3)
    return float(-0.5 * theta @ theta), -theta

threading.Timer(3.0, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    sample(density, whiten(np.zeros(2), -np.eye(2)), draws=20_000, chains=2)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    os._exit(0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False,
        preexec_fn=as_in_a_terminal,
    )  # fmt: skip
    assert done.stdout == "interrupted\n", done.stderr
