"""The kernel of patients nested in sites against dense integration at both levels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, log_expit, log_ndtr, logsumexp
from scipy.stats import nbinom, norm, poisson
from scipy.stats import t as student_t

from longsurv.design.quadrature import normal_grid
from longsurv.likelihood import glmm
from longsurv.likelihood.glmm.drawn import drawn_sites

FAMILIES = [
    "bernoulli", "ordinal", "censored", "student", "poisson", "negative_binomial", "nbinom1",
]  # fmt: skip
COUNTED = FAMILIES[-3:]
SITE = np.array([0, 1, 2, 0, 1, 0, 0, 2, 3])
CUTS = np.array([-1.0, 0.4])


def simulate(family: str) -> dict[str, np.ndarray]:
    """Nine patients of four sites, one of whom is its site's only one; rows shuffled."""
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(9), rng.integers(1, 5, 9))
    n = len(group)
    t = rng.uniform(-1, 1, n)
    eta = 0.3 + 0.5 * t + rng.normal(0, 0.7, 9)[group] + rng.normal(0, 0.8, 4)[SITE[group]]
    X, extent = np.column_stack([np.ones(n), t]), np.zeros(n)
    if family == "bernoulli":
        y = (rng.random(n) < expit(eta)).astype(float)
    elif family == "ordinal":
        y, X = np.searchsorted(CUTS, eta + rng.logistic(size=n)).astype(float), X[:, 1:]
    elif family in COUNTED:
        y = rng.poisson(2.0 * np.exp(0.7 * eta)).astype(float)
    else:
        y = eta + 0.5 * rng.standard_t(4, size=n)
    if family == "censored":
        extent = np.where(y < -0.4, -np.inf, np.where(y > 1.0, np.inf, 0.0))
        y = np.clip(y, -0.4, 1.0)
    rows = {"y": y, "extent": extent, "X": X, "Z": np.column_stack([np.ones(n), t]), "group": group}
    order = rng.permutation(n)
    return {name: values[order] for name, values in rows.items()}


def data_of(family: str, q: int = 1, nodes: int = 35) -> glmm.GLMMData:
    rows, grid = simulate(family), normal_grid(nodes, q)
    Z = np.column_stack([rows["Z"][:, :q], np.ones(len(rows["y"]))])
    return glmm.prepare(
        family, rows["y"], rows["X"], Z, rows["group"], 9, nodes=grid.nodes[grid.index],
        log_weights=grid.log_weight, blocks=(q, 1), extent=rows["extent"], site=SITE,
    )  # fmt: skip


def point(data: glmm.GLMMData, s: float) -> np.ndarray:
    """A vector of `loglik` with this standard deviation between sites."""
    theta = np.zeros(len(data.free_unconstrained))
    theta[: data.p] = [0.3, 0.4][-data.p :]
    own = {"ordinal": [-0.8, 0.2], "student": [-0.5, np.log(4.0)], "censored": [-0.5]}
    theta[data.p :][: data.n_family] = own.get(data.family.name, [0.5, 0.5])[: data.n_family]
    theta[data.p + data.n_family :][: data.q] = [
        *[np.log(0.7), np.log(0.4)][: data.q_own],
        np.log(s),
    ]
    theta[data.p + data.n_family + data.q :] = 0.3
    return theta


def log_density(data: glmm.GLMMData, theta: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Log density of the rows at predictors, (n, places)."""
    phi, y, extent = theta[data.p :], data.y[:, None], data.extent[:, None]
    name = data.family.name
    if name == "bernoulli":
        return log_expit(np.where(y == 1, eta, -eta))
    if name == "ordinal":
        cuts = np.array([-np.inf, phi[0], phi[0] + np.exp(phi[1]), np.inf])
        k = y.astype(int)
        return np.log(expit(cuts[k + 1] - eta) - expit(cuts[k] - eta))
    if name == "student":
        return student_t.logpdf(y, np.exp(phi[1]), eta, np.exp(phi[0]))
    if name == "censored":
        r = (y - eta) / np.exp(phi[0])
        beyond = log_ndtr(np.where(extent < 0, r, -r))
        return np.where(extent == 0, norm.logpdf(y, eta, np.exp(phi[0])), beyond)
    mu = np.exp(eta)
    if name == "poisson":
        return poisson.logpmf(y, mu)
    size = np.exp(phi[0]) if name == "negative_binomial" else mu / np.exp(phi[0])
    return nbinom.logpmf(y, size, size / (size + mu))


def dense(data: glmm.GLMMData, theta: np.ndarray) -> np.ndarray:
    """Log-likelihood of each site with a random intercept of patients, by two trapezoidal rules."""
    at = data.p + data.n_family
    tau, s = np.exp(theta[at : at + 2])
    own, of_sites = np.arange(-8.0, 8.01, 0.2), np.arange(-8.0, 8.01, 0.04)
    weight = norm.logpdf(own)[:, None] + np.log(0.2)
    shift = (tau * own[:, None] + s * of_sites).ravel()
    eta = (data.X @ theta[: data.p])[:, None] + shift
    rows = log_density(data, theta, eta)
    patients = np.add.reduceat(rows, data.first[:-1], axis=0).reshape(9, len(own), -1)
    patients = logsumexp(patients + weight, axis=1)
    prior = norm.logpdf(of_sites) + np.log(0.04)
    return np.array([logsumexp(patients[j == SITE].sum(axis=0) + prior) for j in range(4)])


@pytest.mark.parametrize("s", [0.2, 1.0, 2.5])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_value_is_the_integral_over_patients_and_sites(family: str, s: float) -> None:
    data = data_of(family)
    theta = point(data, s)
    exact = dense(data, theta)
    close = 2e-6 if family in ("student", "nbinom1") else 2e-8
    np.testing.assert_allclose(glmm.pointwise(data, theta[None])[0], exact, atol=close)
    assert glmm.loglik(data, theta)[0] == pytest.approx(exact.sum(), abs=4 * close)
    assert glmm.loglik_factor(data, glmm.to_factor(data, theta))[0] == pytest.approx(
        exact.sum(), abs=4 * close
    )


@pytest.mark.parametrize("nodes", [1, 5])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_gradient_is_that_of_the_value(family: str, nodes: int) -> None:
    data = data_of(family, 2, nodes)
    theta = point(data, 0.8)
    # Where few nodes follow a curvature that bends, the trapezoidal rule is not as exact.
    close = {"student": 2e-5, "nbinom1": 4e-4}.get(family, 3e-6)
    for density, at in (
        (glmm.loglik, theta),
        (glmm.loglik_factor, glmm.to_factor(data, theta)),
    ):
        gradient, h = density(data, at)[1], 1e-4
        for j, e in enumerate(np.eye(len(at))):
            slope = (density(data, at + h * e)[0] - density(data, at - h * e)[0]) / (2 * h)
            assert gradient[j] == pytest.approx(slope, abs=close)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_density_with_effects_of_sites_integrates_to_the_likelihood(family: str) -> None:
    """Site by site, for given the parameters they are independent of each other."""
    data = data_of(family)
    theta, J, x = point(data, 0.8), 4, np.linspace(-9.0, 9.0, 181)
    at_zero, total = glmm.loglik_with_effects(data, theta, np.zeros(J))[0], 0.0
    for j in range(J):
        own = [glmm.loglik_with_effects(data, theta, u * np.eye(J)[j])[0] for u in x]
        total += logsumexp(own) + np.log((x[1] - x[0]) / np.sqrt(2.0 * np.pi)) - at_zero
    assert at_zero + total == pytest.approx(glmm.loglik(data, theta)[0], abs=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_its_gradient_is_that_of_the_value(family: str) -> None:
    data = data_of(family, q=2, nodes=5)
    theta, z = point(data, 0.8), np.array([0.5, -1.2, 0.1, 2.0])
    d, w = len(theta), np.concatenate([theta, z])
    _, gradient, by_effects = glmm.loglik_with_effects(data, theta, z)

    def value(w: np.ndarray) -> float:
        return glmm.loglik_with_effects(data, w[:d], w[d:])[0]

    step = 1e-5 * np.eye(len(w))
    numeric = [(value(w + e) - value(w - e)) / 2e-5 for e in step]
    np.testing.assert_allclose(
        np.concatenate([gradient, by_effects]), numeric, rtol=1e-4, atol=2e-5
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_without_a_variance_between_sites_patients_are_by_themselves(family: str) -> None:
    data = data_of(family)
    theta = glmm.to_factor(data, point(data, 1.0))
    theta[-1] = 0.0
    alone = glmm.loglik_factor(data.given_sites(np.zeros(4)), theta[:-1])
    value, gradient = glmm.loglik_factor(data, theta)
    assert value == pytest.approx(alone[0], abs=1e-8)
    np.testing.assert_allclose(gradient, np.append(alone[1], 0.0), atol=1e-7)


def test_the_order_of_rows_and_names_of_sites_make_no_difference() -> None:
    data = data_of("ordinal")
    theta = point(data, 0.8)
    renamed = replace(data, site=np.array([3, 0, 1, 2])[SITE])
    np.testing.assert_allclose(
        glmm.pointwise(renamed, theta[None])[0, [3, 0, 1, 2]], glmm.pointwise(data, theta[None])[0],
        rtol=1e-14,
    )  # fmt: skip


def posterior_grid(data: glmm.GLMMData, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Effects of sites on a grid (K,), and their densities given the data, (J, K)."""
    s, grid = float(np.exp(theta[-1])), np.arange(-8.0, 8.01, 0.05)
    log = np.array([
        glmm.pointwise(data.given_sites(np.full(4, s * z)), theta[:-1][None])[0] for z in grid
    ])  # fmt: skip
    of_site = np.array([log[:, j == SITE].sum(axis=1) for j in range(4)]) + norm.logpdf(grid)
    weight = np.exp(of_site - logsumexp(of_site, axis=1)[:, None])
    return s * grid, weight


def test_effects_of_sites_given_the_data() -> None:
    data = data_of("bernoulli")
    theta = point(data, 1.5)
    b, weight = posterior_grid(data, theta)
    values, share = glmm.site_effects(data, glmm.to_factor(data, theta))
    np.testing.assert_allclose((values * share).sum(axis=1), weight @ b, atol=1e-7)
    np.testing.assert_allclose((values**2 * share).sum(axis=1), weight @ b**2, atol=1e-6)
    rng = np.random.default_rng(1)
    drawn = np.array([drawn_sites(data, glmm.to_factor(data, theta), rng) for _ in range(400)])
    spread = np.sqrt(weight @ b**2 - (weight @ b) ** 2)
    assert (np.abs(drawn.mean(axis=0) - weight @ b) < 4.5 * spread / np.sqrt(400)).all()
    np.testing.assert_allclose(drawn.std(axis=0), spread, rtol=0.2)


def test_effects_of_patients_given_the_data_of_their_whole_site() -> None:
    data = data_of("bernoulli")
    theta = point(data, 1.5)
    nodes, weights = glmm.conditional(data, glmm.to_factor(data, theta))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    b, weight = posterior_grid(data, theta)
    own = glmm.to_factor(data, theta)[:-1]
    expected = np.zeros(9)
    for k in range(len(b)):
        if weight[:, k].max() > 1e-12:
            at, w = glmm.conditional(data.given_sites(np.full(4, b[k])), own)
            expected += weight[SITE, k] * (at[:, :, 0] * w).sum(axis=1)
    np.testing.assert_allclose((nodes[:, :, 0] * weights).sum(axis=1), expected, atol=1e-6)
    of_site = (nodes[:, :, 1] * weights).sum(axis=1)
    np.testing.assert_allclose(of_site, (weight @ b)[SITE], atol=1e-7)


def test_effects_that_spread_too_far_have_no_number() -> None:
    """A site of zeros alone, and values of its effect up to a thousand apart."""
    data = data_of("bernoulli")
    zero = replace(data, y=np.zeros(len(data.y)))
    assert np.isfinite(glmm.loglik(zero, point(zero, 20.0))[0])
    assert glmm.loglik(zero, point(zero, 1e3))[0] == -np.inf
