"""The joint kernel against brute-force integration, finite differences and closed forms."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from longsurv.design.quadrature import normal_grid, time_points
from longsurv.likelihood import joint, lmm
from longsurv.likelihood.covariance import covariance
from longsurv.likelihood.vector_exp import exp


def simulate(seed, q=2, n=20, links=("value",), entry=False, nodes=3):
    """Rows, times and kernel arrays of a small cohort, built here without the package's designs."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n), rng.integers(1, 8, n))
    treated = rng.integers(0, 2, n).astype(float)
    exit = rng.uniform(1.0, 6.0, n)
    start = rng.uniform(0.0, 0.8, n) if entry else np.zeros(n)
    time = rng.uniform(0, 1, len(group)) * exit[group]

    def rows(t, who):
        one = np.ones(len(t))
        X = np.column_stack([one, t, treated[who]])
        return X, np.column_stack([one, t, t**2 / 6])[:, :q]

    def slopes(t, who):
        zero, one = np.zeros(len(t)), np.ones(len(t))
        return np.column_stack([zero, one, zero]), np.column_stack([zero, one, t / 3])[:, :q]

    def areas(t, who):
        X = np.column_stack([t, t**2 / 2, t * treated[who]])
        return X, np.column_stack([t, t**2 / 2, t**3 / 18])[:, :q]

    builders = {"value": rows, "slope": slopes, "area": areas}
    X, Z = rows(time, group)
    y = X @ [1.0, 0.2, -0.3] + rng.normal(size=len(time)) + 0.7 * rng.normal(size=n)[group]
    quad = time_points(start, exit)
    owner = np.concatenate([np.arange(n), quad.owner])
    t = np.concatenate([exit, quad.time])
    weight = np.concatenate([np.zeros(n), quad.weight])
    order = np.lexsort((weight > 0, owner))
    owner, t, weight = owner[order], t[order], weight[order]
    pairs = [builders[name](t, owner) for name in links]
    grid = normal_grid(nodes, q)
    data = joint.JointData(
        marker=lmm.prepare(X, y, Z, group, n),
        event=(rng.random(n) < 0.7).astype(float),
        covariates=np.column_stack([treated, rng.normal(size=n)]),
        start=np.searchsorted(owner, np.arange(n + 1)),
        weight=weight,
        basis=np.stack([np.ones(len(t)), t / 3 - 1]),
        link_x=np.stack([np.ascontiguousarray(x.T) for x, _ in pairs]),
        link_z=np.stack([np.ascontiguousarray(z.T) for _, z in pairs]),
        link_centre=np.full((len(links), len(t)), 0.4),
        nodes=grid.nodes,
        index=grid.index,
        log_weight=grid.log_weight,
    )
    return data, (X, y, Z, group)


def with_nodes(data, nodes):
    grid = normal_grid(nodes, data.marker.q)
    return replace(data, nodes=grid.nodes, index=grid.index, log_weight=grid.log_weight)


def parameters(data, seed, alpha=0.5):
    rng = np.random.default_rng(seed)
    q, K = data.marker.q, len(data.link_x)
    n_cor = q * (q - 1) // 2
    parts = [
        [1.0, 0.2, -0.3] + 0.1 * rng.normal(size=3),
        np.log(rng.uniform(0.4, 1.0, 1)),
        np.log(rng.uniform(0.3, 0.9, q)),
        rng.uniform(-0.8, 0.8, n_cor),
        [-1.2, 0.3] + 0.2 * rng.normal(size=2),
        0.3 * rng.normal(size=2),
        alpha * np.where(np.arange(K) == 0, 1.0, -0.4) * rng.uniform(0.5, 1.5, K),
    ]
    return np.concatenate(parts)


def brute_force(data, rows, theta, i, nodes=60):
    """log p(y_i, T_i, d_i) by a product rule in b, scaled to the prior times the marker."""
    X, y, Z, group = rows
    p, q, K = 3, data.marker.q, len(data.link_x)
    n_cor = q * (q - 1) // 2
    beta, sigma = theta[:p], np.exp(theta[p])
    D = covariance(np.exp(theta[p + 1 : p + 1 + q]), theta[p + 1 + q : p + 1 + q + n_cor])
    gamma, omega = theta[-4 - K : -2 - K], theta[-2 - K : -K]
    alpha = theta[-K:]
    mine = group == i
    # A normal with the marker's conditional moments, widened, carries the product rule.
    P = np.linalg.inv(D) + Z[mine].T @ Z[mine] / sigma**2
    centre = np.linalg.solve(P, Z[mine].T @ (y[mine] - X[mine] @ beta) / sigma**2)
    half = 1.3 * np.linalg.cholesky(np.linalg.inv(P))
    x, w = np.polynomial.legendre.leggauss(nodes)
    x, w = 9.0 * x, 9.0 * w
    total = []
    block = slice(data.start[i], data.start[i + 1])
    grid = np.array(list(itertools.product(x, repeat=q)))
    mass = np.array(list(itertools.product(w, repeat=q))).prod(axis=1)
    b = centre + grid @ half.T
    log_y = norm.logpdf(y[mine], (X[mine] @ beta)[None, :] + b @ Z[mine].T, sigma).sum(axis=1)
    log_b = multivariate_normal.logpdf(b, np.zeros(q), D).reshape(-1)
    fixed = beta @ data.link_x[:, :, block] - data.link_centre[:, block]
    eta = gamma @ data.basis[:, block] + data.covariates[i] @ omega + alpha @ fixed
    eta = eta + np.einsum("kqg,nq,k->ng", data.link_z[:, :, block], b, alpha)
    log_t = data.event[i] * eta[:, 0] - np.exp(eta[:, 1:]) @ data.weight[block][1:]
    total = log_y + log_b + log_t + np.log(mass)
    top = total.max()
    return top + np.log(np.exp(total - top).sum()) + np.log(abs(np.linalg.det(half)))


CASES = [
    (1, ("value",), False),
    (2, ("value",), False),
    (2, ("value", "slope"), True),
    (3, ("area",), True),
]


@pytest.mark.parametrize(("q", "links", "entry"), CASES)
def test_value_is_the_integral_over_the_random_effects(q, links, entry):
    data, rows = simulate(q, q, links=links, entry=entry, n=20 if q < 3 else 4)
    theta = parameters(data, 10 + q)
    many = with_nodes(data, 15 if q < 3 else 11)
    expected = sum(
        brute_force(data, rows, theta, i, 60 if q < 3 else 44) for i in range(len(data.event))
    )
    value, _ = joint.loglik(many, theta)
    assert value == pytest.approx(expected, abs=1e-8 if q < 3 else 1e-6)


@pytest.mark.parametrize("nodes", [1, 2, 3, 5])
@pytest.mark.parametrize(("q", "links", "entry"), CASES)
def test_gradient_is_that_of_the_quadrature_sum(q, links, entry, nodes):
    """Few nodes too: the movement of the nodes is part of the derivative."""
    data, _ = simulate(20 + q, q, links=links, entry=entry)
    data = with_nodes(data, nodes)
    for seed in range(3):
        theta = parameters(data, seed, alpha=1.0)
        _, gradient = joint.loglik(data, theta)
        numeric = np.empty_like(theta)
        for j in range(len(theta)):
            h = np.zeros_like(theta)
            h[j] = 1e-3
            near = joint.loglik(data, theta + h)[0] - joint.loglik(data, theta - h)[0]
            far = joint.loglik(data, theta + 2 * h)[0] - joint.loglik(data, theta - 2 * h)[0]
            numeric[j] = (8 * near - far) / 12e-3
        np.testing.assert_allclose(gradient, numeric, rtol=2e-7, atol=2e-7)


def test_without_association_the_two_models_separate():
    data, _ = simulate(5, q=2, links=("value", "slope"), entry=True, nodes=1)
    theta = parameters(data, 1, alpha=0.0)
    gamma, omega = theta[-6:-4], theta[-4:-2]
    owner = np.repeat(np.arange(20), np.diff(data.start))
    eta = gamma @ data.basis + (data.covariates @ omega)[owner]
    hazard = np.bincount(owner, weights=data.weight * np.exp(eta))
    expected = lmm.loglik(data.marker, theta[: data.n_marker])[0]
    expected += data.event @ eta[data.start[:-1]] - hazard.sum()
    assert joint.loglik(data, theta)[0] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("n", [5, 32, 71])
def test_patients_are_independent_and_their_order_does_not_matter(n):
    """Blocks that are not full, and patients with different numbers of points, included."""
    data, _ = simulate(6, n=n)
    theta = parameters(data, 2)
    each = joint.log_survival_factors(data, theta)
    whole = joint.loglik(data, theta)[0] - lmm.loglik(data.marker, theta[: data.n_marker])[0]
    assert each.sum() == pytest.approx(whole, abs=1e-10)
    rng = np.random.default_rng(0)
    order = rng.permutation(n)
    # Points without weight change nothing: some patients get a few more.
    more = rng.integers(0, 4, n)
    take = [
        np.append(np.arange(data.start[i], data.start[i + 1]), np.full(more[i], data.start[i]))
        for i in order
    ]
    points = np.concatenate(take)
    weight = np.concatenate([data.weight[t] for t in take])
    shuffled = replace(
        data,
        marker=replace(data.marker, ztz=data.marker.ztz[order], ztw=data.marker.ztw[order]),
        event=data.event[order],
        covariates=data.covariates[order],
        start=np.concatenate([[0], np.cumsum([len(t) for t in take])]),
        weight=weight,
        basis=data.basis[:, points],
        link_x=data.link_x[:, :, points],
        link_z=data.link_z[:, :, points],
        link_centre=data.link_centre[:, points],
    )
    assert joint.log_survival_factors(shuffled, theta) == pytest.approx(each[order], abs=1e-12)
    mean, cov = joint.random_effects(data, theta)
    mean_s, cov_s = joint.random_effects(shuffled, theta)
    np.testing.assert_allclose(mean_s, mean[order], atol=1e-12)
    np.testing.assert_allclose(cov_s, cov[order], atol=1e-12)


def test_random_effects_are_the_posterior_moments():
    """Against a dense grid in b."""
    data, (X, y, Z, group) = simulate(7, q=1, n=4)
    theta = parameters(data, 3, alpha=1.0)
    mean, cov = joint.random_effects(with_nodes(data, 15), theta)
    b = np.linspace(-6, 6, 20001)
    for i in range(4):
        block, mine = slice(data.start[i], data.start[i + 1]), group == i
        log_p = norm.logpdf(b, 0, np.exp(theta[4]))
        log_p += norm.logpdf(
            y[mine][:, None], (X[mine] @ theta[:3])[:, None] + Z[mine] * b, np.exp(theta[3])
        ).sum(axis=0)
        eta = theta[5:7] @ data.basis[:, block] + data.covariates[i] @ theta[7:9]
        f = theta[:3] @ data.link_x[0][:, block] - data.link_centre[0, block]
        eta = eta + theta[9] * (f + b[:, None] * data.link_z[0, 0, block])
        log_p += data.event[i] * eta[:, 0] - np.exp(eta) @ data.weight[block]
        p = np.exp(log_p - log_p.max())
        p /= p.sum()
        assert mean[i, 0] == pytest.approx(p @ b, abs=1e-7)
        assert cov[i, 0, 0] == pytest.approx(p @ b**2 - (p @ b) ** 2, rel=1e-6)


def test_units_of_the_random_effects_do_not_matter():
    """Z times 1000 with tau over 1000 is the same model."""
    data, (X, y, Z, group) = simulate(8, q=2)
    theta = parameters(data, 4)
    scale = np.array([1.0, 1000.0])
    scaled = replace(
        data,
        marker=lmm.prepare(X, y, Z * scale, group, 20),
        link_z=data.link_z * scale[None, :, None],
    )
    moved = theta.copy()
    moved[4:6] -= np.log(scale)
    value, gradient = joint.loglik(data, theta)
    other, slope = joint.loglik(scaled, moved)
    assert other == pytest.approx(value, abs=1e-9)
    np.testing.assert_allclose(slope, gradient, rtol=1e-8, atol=1e-8)


def test_a_steep_hazard_far_from_the_start_is_found():
    """Newton's first steps overshoot here; the value is still the integral."""
    data, rows = simulate(9, q=1)
    theta = parameters(data, 5)
    theta[-1], theta[4] = 6.0, np.log(2.0)
    value = joint.loglik(with_nodes(data, 31), theta)[0]
    expected = sum(brute_force(data, rows, theta, i, 400) for i in range(20))
    assert np.isfinite(value)
    assert value == pytest.approx(expected, abs=1e-5)


def test_overflow_is_not_a_number_to_trust():
    data, _ = simulate(10, q=1)
    theta = parameters(data, 6)
    theta[-5:-3] = 1e4
    assert not np.isfinite(joint.loglik(data, theta)[0])


def test_the_exponential():
    x = np.concatenate([np.linspace(-700, 700, 20001), [0.0, -1e-300]])
    mine = np.array([exp(v) for v in x])
    np.testing.assert_allclose(mine, np.exp(x), rtol=5e-16)
    assert np.isnan(exp(np.nan))
    assert exp(-1e9) < 1e-300 and exp(1e9) > 1e300
