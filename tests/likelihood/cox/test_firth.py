"""Firth's penalty against explicit risk-set covariances, finite differences and a known answer."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from lengths import lengths
from scipy.optimize import root

from longsurv.likelihood import cox

SPREAD = np.array([1.0, 5.0, 0.1])
SWITCHES = [dict(zip(("entry", "strata", "weights", "offset"), on, strict=True))
            for on in itertools.product([False, True], repeat=4)]  # fmt: skip


def simulate(seed, n=40, entry=False, strata=False, weights=False, offset=False, tied=True):
    rng = np.random.default_rng(seed)
    start = np.floor(rng.uniform(0, 4, n)) if entry else np.full(n, -1.0)
    exit = np.maximum(start, 0) + rng.exponential(4, n) + 0.1
    return {
        "X": rng.normal(size=(n, 3)) * SPREAD + [0, 20, -3],
        "exit": np.ceil(exit) if tied else exit,
        "event": rng.random(n) < 0.6,
        "entry": start,
        "weights": rng.uniform(0.2, 3, n) if weights else np.ones(n),
        "strata": rng.integers(0, 2, n) if strata else np.zeros(n, int),
        "offset": rng.normal(size=n) if offset else np.zeros(n),
    }


def switched_on(switches):
    return "+".join(name for name in switches if switches[name]) or "plain"


def dense_penalised(rows, beta, ties):
    """log L + log det I / 2 from explicit weighted covariances of every risk set."""
    risk = rows["weights"] * np.exp(rows["X"] @ beta + rows["offset"])
    value, information = 0.0, np.zeros((3, 3))
    for s in np.unique(rows["strata"]):
        here = rows["strata"] == s
        for t in np.unique(rows["exit"][here & rows["event"]]):
            at_risk = here & (rows["entry"] < t) & (t <= rows["exit"])
            dead = at_risk & rows["event"] & (rows["exit"] == t)
            value += rows["weights"][dead] @ np.log(risk / rows["weights"])[dead]
            for step in range(dead.sum()):
                share = np.where(dead, 1 - step / dead.sum(), 1.0) if ties == "efron" else 1.0
                mass = share * risk * at_risk
                wbar = rows["weights"][dead].mean()
                value -= wbar * np.log(mass.sum())
                information += wbar * np.cov(rows["X"].T, aweights=mass, ddof=0)
    return value + 0.5 * np.linalg.slogdet(information)[1]


def slope(f, beta, h=1e-3):
    columns = []
    for step in np.diag(h / SPREAD):
        near, far = f(beta + step) - f(beta - step), f(beta + 2 * step) - f(beta - 2 * step)
        columns.append((8 * near - far) / (12 * step.sum()))
    return np.array(columns)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize(
    "switches", SWITCHES, ids=lambda s: "+".join(k for k in s if s[k]) or "plain"
)
@lengths("points", 2, 10)
def test_value_and_gradient(switches, tied, ties, points):
    rows = simulate(3, tied=tied, **switches)
    data = cox.prepare(**rows, ties=ties)
    rng = np.random.default_rng(4)
    for beta in rng.normal(size=(points, 3)) / SPREAD:
        value, gradient, information = cox.firth_value_gradient_information(data, beta)
        assert value == pytest.approx(dense_penalised(rows, beta, ties), rel=1e-9)
        expected = slope(lambda b: dense_penalised(rows, b, ties), beta)
        np.testing.assert_allclose(gradient / SPREAD, expected / SPREAD, rtol=1e-6, atol=1e-6)
        plain = cox.value_gradient_information(data, beta)[2]
        np.testing.assert_allclose(information, plain, rtol=1e-12)


def fit(data):
    """Root of the modified score, on the standardised scale."""
    scale = 1 / np.sqrt(np.diag(cox.value_gradient_information(data, np.zeros(data.n_columns))[2]))
    found = root(
        lambda u: scale * cox.firth_value_and_gradient(data, u * scale)[1],
        np.zeros(data.n_columns),
        tol=1e-12,
    )
    assert found.success, found.message
    return found.x * scale


def test_two_subjects():
    """The score is 1 - q + (1 - 2q)/2 for q = e^b / (1 + e^b), so q = 3/4 and b = log 3."""
    for first, sign in ((1.0, 1), (0.0, -1)):
        data = cox.prepare([[first], [1 - first]], [1, 2], [1, 0])
        beta = fit(data)
        assert beta == pytest.approx(sign * np.log(3), abs=1e-9)
    data = cox.prepare([[1.0], [0.0]], [1, 2], [1, 0])
    assert cox.baseline_hazard(data, [np.log(3)]).cumulative == pytest.approx([0.25])


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_finite_where_no_event_in_one_arm(ties):
    """0 deaths of 10 against 4 of 10: infinite by maximum likelihood, finite here."""
    treated = np.repeat([1.0, 0.0], 10)[:, None]
    exit = np.r_[np.full(10, 28), [3, 9, 9, 20], np.full(6, 28)]
    event = np.r_[np.zeros(10), np.ones(4), np.zeros(6)]
    beta = fit(cox.prepare(treated, exit, event, ties=ties))
    assert -4 < beta[0] < -1


def test_collinear_columns_have_no_penalised_likelihood():
    rows = simulate(5)
    rows["X"][:, 2] = rows["X"][:, 0] - 2 * rows["X"][:, 1]
    value, gradient = cox.firth_value_and_gradient(cox.prepare(**rows), np.zeros(3))
    assert value == -np.inf and np.isnan(gradient).all()


def test_scale_of_a_column():
    """The estimate moves with the unit; the penalised likelihood by its logarithm."""
    rows = simulate(6)
    moved = {**rows, "X": rows["X"] * [1000, 1, 1] + [1e6, 0, 0]}
    a, b = cox.prepare(**rows), cox.prepare(**moved)
    np.testing.assert_allclose(fit(b) * [1000, 1, 1], fit(a), rtol=1e-7)
    change = cox.firth_value_and_gradient(b, np.zeros(3))[0]
    change -= cox.firth_value_and_gradient(a, np.zeros(3))[0]
    assert change == pytest.approx(np.log(1000))


@pytest.mark.parametrize("switches", SWITCHES, ids=switched_on)
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_the_start_is_the_maximum(switches, ties):
    rows = simulate(7, **switches)
    data = cox.prepare(**rows, ties=ties)
    b, calls = cox.firth_start(data)
    value, gradient, information = cox.firth_value_gradient_information(data, b)
    # the distance to the maximum, in standard errors
    assert gradient @ np.linalg.solve(information, gradient) < 1e-14
    assert 3 <= calls <= 12
    assert value >= dense_penalised(rows, np.zeros(3), ties)


def test_the_start_where_nothing_can_be_evaluated():
    """Collinear columns: no step is taken, and the climb that follows says what is wrong."""
    rows = simulate(7)
    rows["X"] = np.column_stack([rows["X"], rows["X"][:, 0]])
    b, calls = cox.firth_start(cox.prepare(**rows))
    assert (b == 0).all() and calls == 1


def test_a_start_cut_short_is_on_the_way():
    data = cox.prepare(**simulate(7))
    values = [cox.firth_value_and_gradient(data, cox.firth_start(data, k)[0])[0] for k in range(5)]
    assert (np.diff(values) >= 0).all() and values[0] == cox.firth_value_and_gradient(
        data, [0] * 3
    )[0]
