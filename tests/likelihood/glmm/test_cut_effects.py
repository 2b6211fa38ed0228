"""Effects that differ between cuts: scores against a dense marginal likelihood."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.special import expit

from longsurv.design.quadrature import normal_grid
from longsurv.likelihood import glmm
from longsurv.likelihood.glmm.cut_effects import cut_scores


def prepared(q: int, seed: int = 0) -> glmm.GLMMData:
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(9), 5)
    X = rng.normal(size=(45, 2))
    Z = np.column_stack([np.ones(45), rng.normal(size=45)])[:, :q]
    grid = normal_grid(31, q)
    return glmm.prepare(
        "ordinal", rng.permutation(np.arange(45.0) % 4), X, Z, group, 9,
        nodes=grid.nodes[grid.index], log_weights=grid.log_weight, offset=0.3 * rng.normal(size=45),
    )  # fmt: skip


def dense(data: glmm.GLMMData, full: np.ndarray) -> np.ndarray:
    """Marginal log-likelihood of each patient with gamma, over a fixed grid of u."""
    p, cuts, q = data.p, data.levels - 1, data.q
    beta, c, rest = full[:p], full[p : p + cuts], full[p + cuts :]
    own = q * (q + 1) // 2
    Lam = np.zeros((q, q))
    Lam[np.tril_indices(q)] = rest[:own]
    gamma = np.vstack([np.zeros(p), rest[own:].reshape(cuts - 1, p)])
    line = np.linspace(-8.0, 8.0, 161 if q == 1 else 81)
    u = np.array(list(product(line, repeat=q)))
    prior = np.exp(-0.5 * (u**2).sum(axis=1))
    prior /= prior.sum()
    eta = (data.offset + data.X @ beta)[:, None] + data.Z @ Lam @ u.T
    below = expit(c[None, :, None] - eta[:, None, :] - (data.X @ gamma.T)[:, :, None])
    n = len(data.y)
    F = np.concatenate([np.zeros((n, 1, len(u))), below, np.ones((n, 1, len(u)))], axis=1)
    k = data.y.astype(int)
    row = F[np.arange(n), k + 1] - F[np.arange(n), k]
    sizes = zip(data.first[:-1], data.first[1:], strict=True)
    return np.array([np.log(row[a:b].prod(axis=0) @ prior) for a, b in sizes])


@pytest.mark.parametrize("q", [1, 2])
def test_scores_are_the_derivatives_of_the_marginal_likelihood(q: int) -> None:
    data = prepared(q)
    own = {1: [0.8], 2: [0.8, 0.3, 0.5]}[q]
    cuts = np.array([-1.0, 0.1, 0.9])
    theta = np.concatenate([[0.4, -0.3], [cuts[0]], np.log(np.diff(cuts)), own])
    scores = cut_scores(data, theta)

    at = np.concatenate([[0.4, -0.3], cuts, own, np.zeros(4)])
    assert scores.shape == (9, len(at))
    h, eye = 1e-4, np.eye(len(at))
    slope = np.array([(dense(data, at + h * e) - dense(data, at - h * e)) / (2.0 * h) for e in eye])
    np.testing.assert_allclose(scores, slope.T, rtol=1e-5, atol=1e-6)
