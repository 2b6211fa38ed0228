"""The proof of a finite maximum never contradicts the linear programme."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.inference.scoring import ascend
from longsurv.likelihood import cox
from longsurv.likelihood.cox.existence import surely_finite


def maximum(data: cox.CoxData):
    return ascend(
        lambda b: cox.value_gradient_information(data, b), np.zeros(data.n_columns), exact=True
    )


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(3, 14),
    st.integers(1, 2),
    st.sampled_from(["efron", "breslow"]),
)
def test_agrees_with_separation(seed, n, p, ties):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 3, (n, p)).astype(float)
    exit, event = rng.integers(1, 6, n).astype(float), rng.integers(0, 2, n)
    event[rng.integers(n)] = 1
    data = cox.prepare(X, exit, event, weights=rng.uniform(0.5, 2.0, n), ties=ties)
    top = maximum(data)
    proven = surely_finite(data, top.gradient, -top.hessian)
    if proven:
        assert cox.separation(data) is None
    elif np.linalg.eigvalsh(cox.value_gradient_information(data, np.zeros(p))[2])[0] > 1e-9:
        assert cox.separation(data) is not None  # nothing but separation is left unproven


def test_proves_ordinary_data_in_any_unit():
    rng = np.random.default_rng(0)
    X, exit = rng.normal(size=(300, 3)), rng.exponential(size=300)
    for unit in (1.0, 1e-6, 1e6):
        data = cox.prepare(X * [unit, 1.0, 1.0], exit, np.ones(300))
        top = maximum(data)
        assert surely_finite(data, top.gradient, -top.hessian)


def test_proves_nothing_away_from_the_maximum_or_without_numbers():
    rng = np.random.default_rng(0)
    data = cox.prepare(rng.normal(size=(50, 2)), rng.exponential(size=50), np.ones(50))
    _, gradient, information = cox.value_gradient_information(data, np.ones(2))
    assert not surely_finite(data, gradient, information)
    assert not surely_finite(data, np.full(2, np.nan), information)
    assert not surely_finite(data, np.zeros(2), np.zeros((2, 2)))
