"""The Cox kernel against a dense statement of the partial likelihood, and against lifelines."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.likelihood import cox


def switched_on(switches):
    return "+".join(name for name in switches if switches[name]) or "plain"


def dense_loglik(rows, beta, ties):
    """Textbook partial likelihood: loops over event times, explicit risk sets, no sorting."""
    eta = rows["X"] @ beta + rows["offset"]
    total = 0.0
    for s in np.unique(rows["strata"]):
        here = rows["strata"] == s
        for t in np.unique(rows["exit"][here & rows["event"]]):
            at_risk = here & (rows["entry"] < t) & (t <= rows["exit"])
            dead = at_risk & rows["event"] & (rows["exit"] == t)
            w, d = rows["weights"], dead.sum()
            total += w[dead] @ eta[dead]
            for step in range(d):
                share = np.where(dead, 1 - step / d, 1.0) if ties == "efron" else 1.0
                terms = (share * w * np.exp(eta))[at_risk]
                total -= w[dead].mean() * np.log(terms.sum())
    return total


SPREAD = np.array([1, 5, 0.1])


def simulate(seed, n=40, p=3, entry=True, strata=True, weights=True, offset=True, tied=True):
    """Rows with everything switched on or off; times on a coarse grid when tied."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 4, n) if entry else np.full(n, -np.inf)
    exit = np.where(entry, start, 0) + rng.exponential(4, n) + 0.1
    if tied:
        start, exit = np.floor(start), np.ceil(exit)
    return {
        "X": rng.normal(size=(n, p)) * SPREAD[:p] + [0, 20, -3][:p],
        "exit": exit,
        "event": rng.random(n) < 0.6,
        "entry": start,
        "weights": rng.uniform(0.2, 3, n) if weights else np.ones(n),
        "strata": rng.integers(0, 3, n) if strata else np.zeros(n, int),
        "offset": rng.normal(size=n) if offset else np.zeros(n),
    }


def prepared(rows, ties="efron"):
    late = np.isfinite(rows["entry"]).all()
    return cox.prepare(**{**rows, "entry": rows["entry"] if late else None}, ties=ties)


def betas(rows, seed, count=10):
    """Random coefficients of moderate size on the standardised scale."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, rows["X"].shape[1])) / SPREAD[: rows["X"].shape[1]]


def finite_difference(f, beta, scale, h=1e-3):
    """Fourth-order central differences, one column a coefficient."""
    columns = []
    for j, s in enumerate(scale):
        step = np.zeros_like(beta)
        step[j] = h / s
        near, far = f(beta + step) - f(beta - step), f(beta + 2 * step) - f(beta - 2 * step)
        columns.append((8 * near - far) / (12 * step[j]))
    return np.array(columns)


SWITCHES = [dict(zip(("entry", "strata", "weights", "offset", "tied"), on, strict=True))
            for on in itertools.product([False, True], repeat=5)]  # fmt: skip


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize(
    "switches", SWITCHES, ids=lambda s: "+".join(k for k in s if s[k]) or "plain"
)
def test_value_gradient_information(switches, ties):
    rows = simulate(1, **switches)
    data = prepared(rows, ties)
    scale = rows["X"].std(axis=0)
    for beta in betas(rows, 2):
        value, gradient, information = cox.value_gradient_information(data, beta)
        assert value == pytest.approx(dense_loglik(rows, beta, ties), rel=1e-11)
        slope = finite_difference(lambda b: dense_loglik(rows, b, ties), beta, scale)
        bend = -finite_difference(lambda b: cox.value_and_gradient(data, b)[1], beta, scale)
        np.testing.assert_allclose(gradient / scale, slope / scale, rtol=1e-7, atol=1e-7)
        unit = np.outer(scale, scale)
        np.testing.assert_allclose(information / unit, bend / unit, rtol=1e-7, atol=1e-7)
        assert cox.loglik(data, beta) == value
        assert cox.value_and_gradient(data, beta)[0] == value
        np.testing.assert_allclose(cox.value_and_gradient(data, beta)[1], gradient, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(SWITCHES), st.integers(2, 60), st.integers(1, 3))
def test_value_on_any_data(seed, switches, n, p):
    rows = simulate(seed, n, p, **switches)
    rows["event"][0] = True
    for ties in ("efron", "breslow"):
        data = prepared(rows, ties)
        for beta in betas(rows, seed, 2):
            expected = dense_loglik(rows, beta, ties)
            assert cox.loglik(data, beta) == pytest.approx(expected, rel=1e-10, abs=1e-10)
            terms = cox.pointwise(data, beta)
            assert terms.sum() == pytest.approx(expected, rel=1e-10, abs=1e-10)
            assert not terms[~rows["event"]].any()


def everything(data, beta):
    value, gradient, information = cox.value_gradient_information(data, beta)
    return np.r_[value, gradient, information.ravel()]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(SWITCHES))
def test_row_order_does_not_matter(seed, switches):
    rows = simulate(seed, **switches)
    beta = betas(rows, seed, 1)[0]
    shuffled = np.random.default_rng(seed).permutation(len(rows["exit"]))
    moved = {name: values[shuffled] for name, values in rows.items()}
    a, b = prepared(rows), prepared(moved)
    np.testing.assert_allclose(everything(a, beta), everything(b, beta), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(cox.pointwise(a, beta)[shuffled], cox.pointwise(b, beta), atol=1e-11)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(SWITCHES))
def test_shift_and_scale_of_a_column(seed, switches):
    rows = simulate(seed, **switches)
    beta = betas(rows, seed, 1)[0]
    factor, unit = np.array([1e6, 1.0, 3.0]), np.outer([1e6, 1.0, 3.0], [1e6, 1.0, 3.0])
    moved = {**rows, "X": (rows["X"] + [7, 1e4, 0]) * factor, "offset": rows["offset"] + 500}
    value, gradient, information = cox.value_gradient_information(prepared(rows), beta)
    value2, gradient2, information2 = cox.value_gradient_information(prepared(moved), beta / factor)
    assert value2 == pytest.approx(value, rel=1e-9)
    scale = rows["X"].std(axis=0)
    spread = np.outer(scale, scale)
    np.testing.assert_allclose(gradient2 / factor / scale, gradient / scale, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(
        information2 / unit / spread, information / spread, rtol=1e-7, atol=1e-7
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([s for s in SWITCHES if s["entry"]]))
def test_splitting_an_interval_changes_nothing(seed, switches):
    rows = simulate(seed, **switches)
    beta = betas(rows, seed, 1)[0]
    rng = np.random.default_rng(seed)
    n = len(rows["exit"])
    # half the cuts fall on somebody's exit, where the two pieces must not both be at risk
    cut = np.where(rng.random(n) < 0.5, rng.choice(rows["exit"], n), rng.uniform(0, 9, n))
    split = (rows["entry"] < cut) & (cut < rows["exit"])
    early = {name: values[split] for name, values in rows.items()}
    early |= {"exit": cut[split], "event": np.zeros(split.sum(), bool)}
    late = {**rows, "entry": np.where(split, cut, rows["entry"])}
    pieces = {name: np.concatenate([early[name], late[name]]) for name in rows}
    a, b = prepared(rows), prepared(pieces)
    np.testing.assert_allclose(everything(a, beta), everything(b, beta), rtol=1e-8, atol=1e-8)


def fit(data, beta=None):
    """Newton's method with halving, enough for well-behaved tests."""
    beta = np.zeros(data.n_columns) if beta is None else beta
    value, gradient, information = cox.value_gradient_information(data, beta)
    for _ in range(50):
        step = np.linalg.solve(information, gradient)
        if gradient @ step < 1e-18:
            return beta
        while not cox.loglik(data, beta + step) >= value - 1e-9:
            step = step / 2
        beta = beta + step
        value, gradient, information = cox.value_gradient_information(data, beta)
    raise AssertionError("Newton did not converge")


def test_rossi():
    from lifelines.datasets import load_rossi

    rossi = load_rossi()
    X = rossi.drop(columns=["week", "arrest"]).to_numpy(float)
    data = cox.prepare(X, rossi["week"], rossi["arrest"])
    expected = [
        -0.37942216, -0.05743772, 0.31389978, -0.14979572, -0.43370385, -0.08487107, 0.09149708,
    ]  # fmt: skip
    np.testing.assert_allclose(fit(data), expected, rtol=1e-6)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_baseline_hazard(ties):
    """Against the jumps of the definition; the derivative against finite differences."""
    rows = simulate(5)
    data = prepared(rows, ties)
    beta = betas(rows, 5, 1)[0]
    at = rows["X"][0]
    base = cox.baseline_hazard(data, beta, at)
    risk = rows["weights"] * np.exp((rows["X"] - at) @ beta + rows["offset"])
    running = {}
    for k, t in enumerate(base.times):
        label = data.strata[base.stratum[k]]
        here = rows["strata"] == label
        at_risk = here & (rows["entry"] < t) & (t <= rows["exit"])
        dead = at_risk & rows["event"] & (rows["exit"] == t)
        d, wbar = dead.sum(), rows["weights"][dead].mean()
        c = np.arange(d) / d if ties == "efron" else np.zeros(d)
        phi = risk[at_risk].sum() - c * risk[dead].sum()
        assert base.hazard[k] == pytest.approx(wbar * (1 / phi).sum(), rel=1e-10)
        assert base.variance[k] == pytest.approx(wbar * (1 / phi**2).sum(), rel=1e-10)
        running[label] = running.get(label, 0) + base.hazard[k]
        assert base.cumulative[k] == pytest.approx(running[label], rel=1e-10)
    slope = finite_difference(
        lambda b: cox.baseline_hazard(data, b, at).hazard, beta, rows["X"].std(axis=0)
    )
    np.testing.assert_allclose(base.tilt, -slope.T, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("late", [True, False], ids=["entry", "no entry"])
def test_offset_may_span_thousands(ties, late):
    """Risk sets whose members differ by factors of e^4000 keep their exact logarithms."""
    rows = simulate(3, n=60, entry=late)
    rows["offset"] = np.random.default_rng(0).uniform(-2000, 2000, 60)
    data = prepared(rows, ties)
    beta = betas(rows, 1, 1)[0]
    value, gradient, information = cox.value_gradient_information(data, beta)
    assert value == pytest.approx(dense_loglik_in_logs(rows, beta, ties), rel=1e-11)
    scale = rows["X"].std(axis=0)
    slope = finite_difference(lambda b: dense_loglik_in_logs(rows, b, ties), beta, scale)
    np.testing.assert_allclose(gradient / scale, slope / scale, atol=1e-4)
    assert np.linalg.eigvalsh(information / np.outer(scale, scale)).min() > -1e-8


def dense_loglik_in_logs(rows, beta, ties):
    """`dense_loglik` with the sums taken by log-sum-exp."""
    from scipy.special import logsumexp

    eta = rows["X"] @ beta + rows["offset"]
    total = 0.0
    for s in np.unique(rows["strata"]):
        here = rows["strata"] == s
        for t in np.unique(rows["exit"][here & rows["event"]]):
            at_risk = here & (rows["entry"] < t) & (t <= rows["exit"])
            dead = at_risk & rows["event"] & (rows["exit"] == t)
            w, d = rows["weights"], dead.sum()
            total += w[dead] @ eta[dead]
            for step in range(d):
                share = np.where(dead, 1 - step / d, 1.0) if ties == "efron" else np.ones(len(w))
                total -= w[dead].mean() * logsumexp(eta[at_risk], b=(share * w)[at_risk])
    return total


def test_enormous_covariate():
    """A column of size 1e8 with unit spread gives the fit of the column without the 1e8."""
    rows = simulate(8, n=200)
    near = fit(prepared(rows))
    far = fit(prepared({**rows, "X": rows["X"] + [1e8, 0, 0]}))
    np.testing.assert_allclose(far, near, rtol=1e-6)


def test_a_row_of_enormous_risk_leaves_no_trace():
    """After somebody with relative risk e^60 has left, later risk sets are still exact."""
    rows = simulate(4, n=50, strata=False)
    giant = {
        "X": np.zeros((1, 3)), "exit": np.array([0.5]), "event": np.array([False]),
        "entry": np.array([0.0]), "weights": np.ones(1), "strata": np.zeros(1, int),
        "offset": np.array([60.0]),
    }  # fmt: skip
    rows["X"] = rows["X"] - rows["X"].mean(axis=0)
    first = {**giant, "exit": np.array([0.7]), "event": np.array([True])}
    together = {name: np.concatenate([rows[name], giant[name], first[name]]) for name in rows}
    beta = betas(rows, 3, 1)[0]
    terms = cox.pointwise(prepared(together), beta)[:50]
    np.testing.assert_allclose(terms, cox.pointwise(prepared(rows), beta), rtol=1e-12)


def test_one_event():
    data = cox.prepare([[0.0], [1.0], [2.0]], [1, 2, 3], [0, 1, 0])
    value, gradient, information = cox.value_gradient_information(data, [0.5])
    assert value == pytest.approx(0.5 - np.log(np.exp(0.5) + np.exp(1.0)))
    share = np.exp(1.0) / (np.exp(0.5) + np.exp(1.0))
    assert gradient == pytest.approx(-share)
    assert information == pytest.approx(share * (1 - share))


def test_everyone_dies_at_once():
    """Efron: the risk set shrinks by an average member a step; Breslow: it does not."""
    x = np.array([[0.0], [1.0], [3.0]])
    total = 1 + np.exp(1) + np.exp(3)
    for ties, factor in (("efron", 6 / 27), ("breslow", 1)):
        data = cox.prepare(x, [5, 5, 5], [1, 1, 1], ties=ties)
        expected = 4 - np.log(total**3 * factor)
        assert cox.loglik(data, [1.0]) == pytest.approx(expected)


def test_no_covariates():
    data = cox.prepare(np.empty((3, 0)), [1, 2, 3], [1, 1, 0])
    value, gradient, information = cox.value_gradient_information(data, np.empty(0))
    assert value == pytest.approx(-np.log(6))
    assert gradient.shape == (0,) and information.shape == (0, 0)


def test_constant_column_is_exactly_flat():
    rows = simulate(6)
    rows["X"][:, 0] = 0.1
    _, gradient, information = cox.value_gradient_information(prepared(rows), np.array([1, 0.1, 1]))
    assert gradient[0] == 0 and not information[0].any()


def test_rounded_times_are_tied():
    """0.1 + 0.2 and 0.3 are one time, for events, censoring and entry alike."""
    x = [[0.0], [1.0], [2.0], [4.0], [0.5]]
    event = [1, 1, 0, 1, 0]
    messy = cox.prepare(x, [0.1 + 0.2, 0.3, 0.3 - 1e-12, 5, 5], event, [0, 0, 0, 0.3 - 1e-13, 0])
    exact = cox.prepare(x, [0.3, 0.3, 0.3, 5, 5], event, [0, 0, 0, 0.3, 0])
    np.testing.assert_array_equal(everything(messy, [0.7]), everything(exact, [0.7]))
    tiny = cox.prepare(x, 1e-9 * np.array([1, 2, 3, 4, 5]), event)
    plain = cox.prepare(x, [1, 2, 3, 4, 5], event)
    assert cox.loglik(tiny, [0.7]) == cox.loglik(plain, [0.7])


def test_zero_weights_are_absent_rows():
    rows = simulate(9)
    rows["weights"][::3] = 0
    kept = rows["weights"] > 0
    beta = betas(rows, 1, 1)[0]
    a, b = prepared(rows), prepared({name: values[kept] for name, values in rows.items()})
    np.testing.assert_allclose(everything(a, beta), everything(b, beta), rtol=1e-10)
    np.testing.assert_allclose(cox.pointwise(a, beta)[kept], cox.pointwise(b, beta), rtol=1e-10)


def test_input_layout_does_not_matter():
    rows = simulate(2)
    beta = betas(rows, 2, 1)[0]
    odd = {name: np.repeat(values, 2, axis=0)[::2] for name, values in rows.items()}
    odd["X"] = np.asfortranarray(odd["X"])
    odd["event"] = odd["event"].astype(float)
    for values in odd.values():
        values.flags.writeable = False
    np.testing.assert_array_equal(everything(prepared(odd), beta), everything(prepared(rows), beta))


def test_unusable_coefficients():
    data = prepared(simulate(1))
    for bad in (np.inf, np.nan, 1e300):
        value, gradient = cox.value_and_gradient(data, np.array([bad, 0, 0]))
        assert value == -np.inf and np.isnan(gradient).all()
    with pytest.raises(ValueError, match=r"beta has shape \(2,\), but there are 3"):
        cox.loglik(data, np.zeros(2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"event": [0, 0, 0]}, "there is no event"),
        ({"event": [1, 2, 0]}, "event must be 0 or 1: row 1"),
        ({"exit": [1, np.nan, 3]}, "exit is not finite: row 1"),
        ({"entry": [0, 2, 0]}, "entry must be before exit: row 1"),
        ({"entry": [0, 2 - 1e-12, 0]}, "no more than rounding .*: row 1"),
        ({"X": [[0.0], [np.inf], [np.nan]]}, "X is not finite: row 1, 2"),
        ({"weights": [1, -1, np.inf]}, "weights must be finite and at least 0: row 1, 2"),
        ({"weights": [0, 1, 1]}, "there is no event with a positive weight"),
        ({"offset": [0, 0, np.nan]}, "offset is not finite: row 2"),
        ({"strata": [1, 2]}, r"strata has shape \(2,\), but exit has 3 rows"),
        ({"ties": "exact"}, 'ties must be "efron" or "breslow"'),
        ({"X": [0.0, 1.0, 2.0]}, "X must be a matrix"),
    ],
)
def test_bad_input(change, message):
    good = {"X": [[0.0], [1.0], [2.0]], "exit": [1, 2, 3], "event": [1, 0, 0]}
    cox.prepare(**good)
    with pytest.raises(ValueError, match=message):
        cox.prepare(**{**good, **change})


def test_all_problems_at_once():
    with pytest.raises(ValueError, match=r"exit is not finite: row 0; .*no event"):
        cox.prepare([[0.0], [1.0]], [np.nan, 1], [0, 0])
