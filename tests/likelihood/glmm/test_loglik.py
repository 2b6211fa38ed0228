"""The kernel of generalised mixed models against integration by brute force."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_expit, log_ndtr, logsumexp
from scipy.stats import nbinom, norm, poisson
from scipy.stats import t as student_t

from longsurv.design.quadrature import normal_grid
from longsurv.likelihood import glmm, lmm
from longsurv.likelihood.arithmetic.covariance import covariance

COUNTED = ["poisson", "negative_binomial", "nbinom1"]
FAMILIES = ["bernoulli", "ordinal", "censored", "student", *COUNTED]
CASES = [(family, q) for family in FAMILIES for q in (1, 2)]
CUTS = np.array([-1.0, 0.2, 1.5])


@dataclass(frozen=True)
class Rows:
    """Simulated data: patients with 1 to 6 visits, rows shuffled."""

    family: str
    y: np.ndarray
    extent: np.ndarray
    X: np.ndarray
    Z: np.ndarray
    group: np.ndarray
    n_groups: int
    offset: np.ndarray

    def data(self, nodes: int, **options) -> glmm.GLMMData:
        return glmm.prepare(
            self.family, self.y, self.X, self.Z, self.group, self.n_groups,
            extent=self.extent, offset=self.offset, **rule(nodes, self.Z.shape[1]), **options,
        )  # fmt: skip

    def take(self, order: np.ndarray) -> Rows:
        of_rows = (self.y, self.extent, self.X, self.Z, self.group, self.offset)
        y, extent, X, Z, group, offset = (a[order] for a in of_rows)
        return Rows(self.family, y, extent, X, Z, group, self.n_groups, offset)


def rule(nodes: int, q: int) -> dict[str, np.ndarray]:
    grid = normal_grid(nodes, q)
    return {"nodes": grid.nodes[grid.index], "log_weights": grid.log_weight}


def simulate(family: str, q: int, n_groups: int = 8, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n_groups), rng.integers(1, 7, n_groups))
    n = len(group)
    t = rng.uniform(-1, 1, n)
    X = np.column_stack([np.ones(n), t, rng.normal(size=n)])
    Z = np.column_stack([np.ones(n), t, rng.normal(size=n)])[:, :q]
    eta = X @ [0.2, 0.5, -0.4] + (Z * rng.normal(size=(n_groups, q))[group]).sum(axis=1)
    extent, offset = np.zeros(n), rng.normal(0.0, 0.5, n)
    eta = eta + offset
    if family == "bernoulli":
        y = (rng.random(n) < expit(eta)).astype(float)
    elif family == "ordinal":
        y = np.searchsorted(CUTS, eta + rng.logistic(size=n)).astype(float)
        y[:4] = range(4)
        X = X[:, 1:]
    elif family in COUNTED:
        y = rng.poisson(3.0 * np.exp(eta) * rng.gamma(2.0, 0.5, n)).astype(float)
    else:
        y = eta + 0.5 * rng.standard_t(3, size=n)
    if family == "censored":
        between = (y > 0.0) & (y < 0.5)
        extent = np.where(y < -0.7, -np.inf, np.where(y > 1.2, np.inf, np.where(between, 0.5, 0.0)))
        y = np.where(between, 0.0, np.clip(y, -0.7, 1.2))
    return Rows(family, y, extent, X, Z, group, n_groups, offset).take(rng.permutation(n))


def random_point(data: glmm.GLMMData, rng: np.random.Generator) -> np.ndarray:
    theta = 0.5 * rng.normal(size=len(data.free_unconstrained))
    if data.code == glmm.STUDENT and data.n_family == 2:
        theta[data.p + 1] = rng.uniform(0.3, 4.0)
    if data.family.log:
        # Counts around those that were simulated: of their logarithm an SD of 1 is large already.
        theta[: data.p] = 0.3 * theta[: data.p] + [np.log(3.0), 0.5, -0.4]
        at = data.p + data.n_family
        theta[at : at + data.q] -= 0.4
    return theta


def plain_point(data: glmm.GLMMData) -> np.ndarray:
    """Random effects about as spread out as the residuals."""
    theta = np.zeros(len(data.free_unconstrained))
    theta[:2] = [0.2, -0.4]
    theta[data.p :][: data.n_family] = [-0.7, 0.3, 0.2][: data.n_family]
    if data.code == glmm.STUDENT:
        theta[data.p + 1] = np.log(4.0)
    if data.family.log:
        theta[: data.p] = [np.log(3.0), 0.5, -0.4]
    return theta


def points(data: glmm.GLMMData, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(count + data.q)
    return [random_point(data, rng) for _ in range(count)]


def log_density(rows: Rows, phi: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Log density of each row (first axis) at predictors of any further axes, by scipy."""
    y = rows.y.reshape(-1, *[1] * (eta.ndim - 1))
    extent = rows.extent.reshape(y.shape)
    if rows.family == "bernoulli":
        return log_expit(np.where(y == 1, eta, -eta))
    if rows.family == "ordinal":
        cuts = np.concatenate([[-np.inf], np.cumsum(np.append(phi[0], np.exp(phi[1:]))), [np.inf]])
        k = y.astype(int)
        return np.log(expit(cuts[k + 1] - eta) - expit(cuts[k] - eta))
    if rows.family in COUNTED:
        mu = np.exp(eta)
        if rows.family == "poisson":
            return poisson.logpmf(y, mu)
        size = np.exp(phi[0]) if rows.family == "negative_binomial" else mu / np.exp(phi[0])
        return nbinom.logpmf(y, size, size / (size + mu))
    sigma = np.exp(phi[0])
    if rows.family == "student":
        return student_t.logpdf(y, np.exp(phi[1]), eta, sigma)
    r = (y - eta) / sigma
    exact = norm.logpdf(y, eta, sigma)
    beyond = log_ndtr(np.where(extent < 0, r, -r))
    wide = np.where(np.isfinite(extent) & (extent > 0), extent, 1.0)
    end = r + wide / sigma
    near, far = np.where(r + end > 0, [-r, -end], [end, r])
    between = log_ndtr(near) + np.log1p(-np.exp(log_ndtr(far) - log_ndtr(near)))
    unmeasured = np.where(np.isinf(extent), beyond, between)
    return np.where(extent == 0, exact, unmeasured)


def brute_force(rows: Rows, theta: np.ndarray, step: float, half: float) -> np.ndarray:
    """Log marginal density of each patient by the trapezoid rule on a wide, fine grid."""
    p, q = rows.X.shape[1], rows.Z.shape[1]
    m = len(theta) - p - q - q * (q - 1) // 2
    phi, tau, z = theta[p : p + m], np.exp(theta[p + m : p + m + q]), theta[p + m + q :]
    axis = np.arange(-half, half + step / 2, step)
    u = np.stack(np.meshgrid(*[axis] * q, indexing="ij"), axis=-1).reshape(-1, q)
    log_weight = norm.logpdf(u).sum(axis=1) + q * np.log(step)
    b = u @ np.linalg.cholesky(covariance(tau, z)).T
    out = np.empty(rows.n_groups)
    for g in range(rows.n_groups):
        one = rows.take(np.flatnonzero(rows.group == g))
        eta = (one.offset + one.X @ theta[:p])[:, None] + one.Z @ b.T
        out[g] = logsumexp(log_density(one, phi, eta).sum(axis=0) + log_weight)
    return out


@pytest.mark.parametrize(("family", "q"), CASES)
def test_value_is_the_integral(family: str, q: int) -> None:
    rows = simulate(family, q)
    data = rows.data(61 if q == 1 or family == "nbinom1" else 35)
    for theta in points(data, 3):
        exact = (
            brute_force(rows, theta, 0.02, 12.0) if q == 1 else brute_force(rows, theta, 0.08, 9)
        )
        value, _ = glmm.loglik(data, theta)
        assert value == pytest.approx(exact.sum(), abs=1e-8 if q == 1 else 1e-7)
        np.testing.assert_allclose(glmm.pointwise(data, theta[None])[0], exact, atol=1e-7)


@pytest.mark.parametrize(
    ("family", "q", "nodes"),
    [
        *((family, q, nodes) for family, q in CASES for nodes in (1, 4, 9)),
        *((family, 3, nodes) for family in ("ordinal", "student") for nodes in (1, 3)),
    ],
)
def test_gradient_is_that_of_the_value_at_every_number_of_nodes(
    family: str, q: int, nodes: int
) -> None:
    data = simulate(family, q).data(nodes)
    for theta in points(data, 10):
        check_gradient(lambda x: glmm.loglik(data, x), theta)


def check_gradient(density, theta: np.ndarray) -> None:
    _, gradient = density(theta)
    h = 1e-4
    for j, direction in enumerate(np.eye(len(theta))):
        near, far = (
            density(theta + s * h * direction)[0] - density(theta - s * h * direction)[0]
            for s in (1, 2)
        )
        slope = (8 * near - far) / (12 * h)
        assert gradient[j] == pytest.approx(slope, abs=2e-8 * max(1.0, np.abs(gradient).max()))


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_in_the_factor_also_where_variances_are_zero(family: str) -> None:
    data = simulate(family, 2).data(5)
    rng = np.random.default_rng(4)
    theta = glmm.to_factor(data, random_point(data, rng))
    check_gradient(lambda x: glmm.loglik_factor(data, x), theta)
    theta[-2:] = 0.0
    check_gradient(lambda x: glmm.loglik_factor(data, x), theta)
    theta[-3:] = 0.0
    value, gradient = glmm.loglik_factor(data, theta)
    p, m = data.p, data.n_family
    phi = theta[p : p + m].copy()
    if family == "student":
        phi[1] = -np.log(phi[1])
    if family in COUNTED:
        phi = np.log(phi) * (-1.0 if family == "negative_binomial" else 1.0)
    rows = simulate(family, 2)
    assert value == pytest.approx(
        log_density(rows, phi, rows.offset + rows.X @ theta[:p]).sum(), rel=1e-12
    )
    np.testing.assert_allclose(gradient[-3:], 0.0, atol=1e-10)


@pytest.mark.parametrize("family", FAMILIES)
def test_both_parameter_vectors_give_one_likelihood(family: str) -> None:
    data = simulate(family, 3).data(2)
    theta = points(data, 1)[0]
    value = glmm.loglik(data, theta)[0]
    assert glmm.loglik_factor(data, glmm.to_factor(data, theta))[0] == pytest.approx(
        value, rel=1e-13
    )


@pytest.mark.parametrize("q", [1, 2, 3])
def test_nothing_censored_is_the_linear_mixed_model_at_one_node(q: int) -> None:
    rows = simulate("student", q)
    gaussian = replace(rows, family="censored").data(1)
    linear = lmm.prepare(rows.X, rows.y - rows.offset, rows.Z, rows.group, rows.n_groups)
    for theta in points(gaussian, 10):
        value, gradient = glmm.loglik(gaussian, theta)
        expected, slope = lmm.loglik(linear, theta)
        assert value == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(gradient, slope, atol=1e-9 * np.abs(slope).max())


def test_student_with_infinite_df_is_the_linear_mixed_model() -> None:
    rows = simulate("student", 2)
    data = rows.data(1)
    linear = lmm.prepare(rows.X, rows.y - rows.offset, rows.Z, rows.group, rows.n_groups)
    theta = points(data, 1)[0]
    factor = glmm.to_factor(data, theta)
    factor[data.p + 1] = 0.0
    expected = lmm.loglik(linear, np.delete(theta, data.p + 1))[0]
    assert glmm.loglik_factor(data, factor)[0] == pytest.approx(expected, rel=1e-12)
    check_gradient(lambda x: glmm.loglik_factor(data, x), factor)


def test_fixed_df_is_the_free_one_held_there() -> None:
    rows = simulate("student", 1)
    free, fixed = rows.data(7), rows.data(7, df=3.5)
    theta = points(fixed, 1)[0]
    with_df = np.insert(theta, free.p + 1, np.log(3.5))
    value, gradient = glmm.loglik(free, with_df)
    assert glmm.loglik(fixed, theta)[0] == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(glmm.loglik(fixed, theta)[1], np.delete(gradient, free.p + 1))


def test_flipping_a_binary_outcome_flips_the_sign_of_beta() -> None:
    rows = simulate("bernoulli", 2)
    data, flipped = rows.data(5), replace(rows, y=1.0 - rows.y, offset=-rows.offset).data(5)
    theta = points(data, 1)[0]
    mirrored = theta.copy()
    mirrored[: data.p] *= -1.0
    value, gradient = glmm.loglik(data, theta)
    other, slope = glmm.loglik(flipped, mirrored)
    assert other == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(slope[: data.p], -gradient[: data.p], atol=1e-10)
    np.testing.assert_allclose(slope[data.p :], gradient[data.p :], atol=1e-10)


def test_reversing_ordinal_categories_reverses_cuts_and_beta() -> None:
    rows = simulate("ordinal", 1)
    data, reverse = rows.data(5), replace(rows, y=3.0 - rows.y, offset=-rows.offset).data(5)
    beta, cuts, tau = np.array([0.3, -0.6]), CUTS, np.array([0.2])
    value = glmm.loglik(data, np.concatenate([beta, cuts[:1], np.log(np.diff(cuts)), tau]))[0]
    back = -cuts[::-1]
    other = np.concatenate([-beta, back[:1], np.log(np.diff(back)), tau])
    assert glmm.loglik(reverse, other)[0] == pytest.approx(value, rel=1e-13)


def test_two_ordinal_categories_are_a_binary_outcome() -> None:
    rows = simulate("bernoulli", 2)
    binary = rows.data(5)
    ordinal = replace(rows, family="ordinal", X=rows.X[:, 1:]).data(5)
    theta = points(binary, 1)[0]
    moved = np.concatenate([theta[1:3], [-theta[0]], theta[3:]])
    assert glmm.loglik(ordinal, moved)[0] == pytest.approx(glmm.loglik(binary, theta)[0], rel=1e-13)


def test_a_limit_above_mirrors_a_limit_below() -> None:
    rows = simulate("censored", 2)
    beyond = np.isinf(rows.extent)
    mirror = replace(
        rows,
        y=-(rows.y + np.where(beyond, 0.0, rows.extent)),
        offset=-rows.offset,
        extent=np.where(beyond, -rows.extent, rows.extent),
    )
    data = rows.data(5)
    theta = points(data, 1)[0]
    mirrored = theta.copy()
    mirrored[: data.p] *= -1.0
    value = glmm.loglik(data, theta)[0]
    assert glmm.loglik(mirror.data(5), mirrored)[0] == pytest.approx(value, rel=1e-13)


def test_a_narrow_interval_is_a_measurement_and_an_endless_one_a_limit() -> None:
    rows = simulate("censored", 2)
    data = rows.data(5)
    theta = points(data, 1)[0]
    measured = rows.extent == 0.0
    value, gradient = glmm.loglik(data, theta)
    width = 1e-7
    narrow = replace(
        rows,
        y=np.where(measured, rows.y - width / 2, rows.y),
        extent=np.where(measured, width, rows.extent),
    ).data(5)
    other, slope = glmm.loglik(narrow, theta)
    assert other - measured.sum() * np.log(width) == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(slope, gradient, rtol=1e-7, atol=1e-7)
    wide = replace(rows, extent=np.where(rows.extent == np.inf, 1e9, rows.extent)).data(5)
    other, slope = glmm.loglik(wide, theta)
    assert other == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(slope, gradient, rtol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_order_of_rows_does_not_matter(family: str) -> None:
    rows = simulate(family, 2)
    data = rows.data(3)
    theta = points(data, 1)[0]
    again = rows.take(np.random.default_rng(1).permutation(len(rows.y))).data(3)
    assert glmm.loglik(again, theta)[0] == pytest.approx(glmm.loglik(data, theta)[0], rel=1e-13)


@pytest.mark.parametrize("family", FAMILIES)
def test_more_nodes_come_closer(family: str) -> None:
    rows = simulate(family, 1)
    theta = plain_point(rows.data(1))
    exact = brute_force(rows, theta, 0.02, 12.0).sum()
    error = [abs(glmm.loglik(rows.data(k), theta)[0] - exact) for k in (1, 3, 7, 15)]
    # Of counts Laplace's approximation can be better than three nodes, by luck.
    kept = error[1:] if family in COUNTED else error
    assert all(few > many for few, many in pairwise(kept))
    assert kept[0] > 1e-3
    assert error[3] < 0.01 * kept[0]


@pytest.mark.parametrize("family", ["bernoulli", "ordinal", "censored"])
def test_one_node_is_laplace(family: str) -> None:
    rows = simulate(family, 2)
    data = rows.data(1)
    theta = points(data, 1)[0]
    p, m = data.p, data.n_family
    D = covariance(np.exp(theta[p + m : p + m + 2]), theta[p + m + 2 :])
    half, expected = np.linalg.cholesky(D), 0.0
    for g in range(rows.n_groups):
        one = rows.take(np.flatnonzero(rows.group == g))

        def minus_h(u: np.ndarray, one: Rows = one) -> float:
            eta = one.offset + one.X @ theta[:p] + one.Z @ (half @ u)
            return float(0.5 * u @ u - log_density(one, theta[p : p + m], eta).sum())

        found = minimize(
            minus_h, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14}
        )
        H = np.empty((2, 2))
        s = 1e-3
        for a, ea in enumerate(s * np.eye(2)):
            for b, eb in enumerate(s * np.eye(2)):
                H[a, b] = sum(
                    i * j * minus_h(found.x + i * ea + j * eb) for i in (-1, 1) for j in (-1, 1)
                ) / (4 * s * s)
        expected -= found.fun + 0.5 * np.linalg.slogdet(H)[1]
    assert glmm.loglik(data, theta)[0] == pytest.approx(expected, abs=1e-5)


def test_independent_blocks_have_no_correlation() -> None:
    rows = simulate("bernoulli", 3)
    whole, blocks = rows.data(3), rows.data(3, blocks=(2, 1))
    theta = points(blocks, 1)[0]
    full = np.concatenate([theta, [0.0, 0.0]])
    value, gradient = glmm.loglik(whole, full)
    assert glmm.loglik(blocks, theta)[0] == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(glmm.loglik(blocks, theta)[1], gradient[:-2])
    factor = glmm.to_factor(blocks, theta)
    assert glmm.loglik_factor(blocks, factor)[0] == pytest.approx(value, rel=1e-13)
    assert len(factor) == len(theta)


@pytest.mark.parametrize("family", FAMILIES)
def test_conditional_means_of_random_effects(family: str) -> None:
    rows = simulate(family, 1)
    data = rows.data(41)
    theta = plain_point(data)
    p, m = data.p, data.n_family
    b, weights = glmm.conditional(data, glmm.to_factor(data, theta))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    tau = np.exp(theta[p + m])
    u = np.arange(-12, 12, 0.01)
    for g in range(rows.n_groups):
        one = rows.take(np.flatnonzero(rows.group == g))
        eta = (one.offset + one.X @ theta[:p])[:, None] + tau * one.Z * u
        log_weight = log_density(one, theta[p : p + m], eta).sum(axis=0) + norm.logpdf(u)
        exact = np.exp(log_weight - logsumexp(log_weight))
        assert weights[g] @ b[g, :, 0] == pytest.approx(tau * exact @ u, abs=1e-6)
        assert weights[g] @ b[g, :, 0] ** 2 == pytest.approx(tau**2 * exact @ u**2, abs=1e-5)


def test_two_clusters_of_measurements_are_integrated() -> None:
    # The density of the random effect has two modes, and the nodes lie around one of them.
    rows = Rows(
        "student", np.array([-0.8, -0.9, 1.0, 0.8]), np.zeros(4, dtype=np.int64), np.ones((4, 1)),
        np.ones((4, 1)), np.zeros(4, dtype=np.int64), 1, np.zeros(4),
    )  # fmt: skip
    theta = np.array([0.1, np.log(0.4), np.log(3.0), np.log(2.0)])
    exact = brute_force(rows, theta, 0.01, 12.0).sum()
    assert glmm.loglik(rows.data(15), theta)[0] == pytest.approx(exact, abs=1e-5)
    assert glmm.loglik(rows.data(61), theta)[0] == pytest.approx(exact, abs=1e-10)
    check_gradient(lambda x: glmm.loglik(rows.data(15), x), theta)


def test_extreme_parameters_give_a_number_or_minus_infinity() -> None:
    for family in FAMILIES:
        data = simulate(family, 2).data(5)
        for scale in (5.0, 30.0, 300.0):
            theta = scale * np.random.default_rng(2).normal(size=len(data.free_unconstrained))
            value, gradient = glmm.loglik(data, theta)
            assert not value > 0 or np.isfinite(value)
            assert gradient.shape == theta.shape
