"""The mixed-model kernel against dense statements of the same likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from longsurv.likelihood import lmm
from longsurv.likelihood.lmm.curvature import variance_curvature
from longsurv.likelihood.lmm.patients import pointwise, random_effects

CASES = [1, 2, 3]
POINTS = range(10)


@dataclass(frozen=True)
class Rows:
    """Simulated data: patients with 1 to 7 visits, rows shuffled."""

    X: np.ndarray
    y: np.ndarray
    Z: np.ndarray
    group: np.ndarray
    n_groups: int

    @property
    def data(self) -> lmm.LMMData:
        return lmm.prepare(self.X, self.y, self.Z, self.group, self.n_groups)

    def take(self, order: np.ndarray) -> Rows:
        return Rows(self.X[order], self.y[order], self.Z[order], self.group[order], self.n_groups)


def simulate(q: int, seed: int = 0, n_groups: int = 12) -> Rows:
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n_groups), rng.integers(1, 8, n_groups))
    n = len(group)
    t = rng.uniform(0, 5, n)
    X = np.column_stack([np.ones(n), t, rng.normal(size=n)])
    Z = np.column_stack([np.ones(n), t, rng.normal(size=n)])[:, :q]
    b = rng.normal(size=(n_groups, q))
    y = X @ [1.0, 2.0, -1.0] + (Z * b[group]).sum(axis=1) + 0.7 * rng.normal(size=n)
    return Rows(X, y, Z, group, n_groups).take(rng.permutation(n))


def points(q: int, p: int = 3):
    """Ten random parameter vectors, and what they stand for on the natural scale."""
    rng = np.random.default_rng(100 + q)
    for _ in POINTS:
        theta = rng.normal(size=p + 1 + q + q * (q - 1) // 2)
        beta, sigma, tau = theta[:p], np.exp(theta[p]), np.exp(theta[p + 1 : p + 1 + q])
        r = np.tanh(theta[p + 1 + q :])
        C = np.eye(q)
        if q > 1:
            C[1, 0] = r[0]
        if q > 2:  # r[2] is the correlation of 2 and 1 given 0
            C[2, 0] = r[1]
            C[2, 1] = r[0] * r[1] + r[2] * np.sqrt((1 - r[0] ** 2) * (1 - r[1] ** 2))
        C = np.tril(C) + np.tril(C, -1).T
        yield theta, beta, sigma, tau[:, None] * C * tau


def dense_V(rows: Rows, sigma: float, D: np.ndarray) -> np.ndarray:
    same = rows.group[:, None] == rows.group
    return same * (rows.Z @ D @ rows.Z.T) + sigma**2 * np.eye(len(rows.y))


def dense_loglik(rows: Rows, beta, sigma, D) -> float:
    return multivariate_normal(rows.X @ beta, dense_V(rows, sigma, D)).logpdf(rows.y)


def dense_profile(rows: Rows, sigma: float, D: np.ndarray, reml: bool) -> float:
    """Log-likelihood with beta at its generalised least-squares value (Harville 1974 for REML)."""
    V = dense_V(rows, sigma, D)
    W = np.linalg.inv(V)
    information = rows.X.T @ W @ rows.X
    r = rows.y - rows.X @ np.linalg.solve(information, rows.X.T @ W @ rows.y)
    n, p = rows.X.shape
    value = np.linalg.slogdet(V)[1] + r @ W @ r + (n - p if reml else n) * np.log(2 * np.pi)
    if reml:
        value += np.linalg.slogdet(information)[1]
    return -0.5 * value


@pytest.mark.parametrize("q", CASES)
def test_loglik(q, numeric_gradient):
    rows = simulate(q)
    data = rows.data
    for theta, beta, sigma, D in points(q):
        value, gradient = lmm.loglik(data, theta)
        assert value == pytest.approx(dense_loglik(rows, beta, sigma, D), rel=1e-11)
        expected = numeric_gradient(lambda x: lmm.loglik(data, x)[0], theta)
        size = np.abs(gradient).max()
        np.testing.assert_allclose(gradient / size, expected / size, rtol=1e-6, atol=1e-9)


def dense_score(rows: Rows, eta: np.ndarray, reml: bool) -> tuple[np.ndarray, np.ndarray]:
    """Score of the (restricted) likelihood in eta = (D by rows, sigma^2), and expected information.

    Searle, Casella & McCulloch (1992), section 6.6, with P = V^-1 - V^-1 X (X' V^-1 X)^-1 X' V^-1.
    """
    q = rows.Z.shape[1]
    same = rows.group[:, None] == rows.group
    parts, D = [], np.zeros((q, q))
    for i, j, value in zip(*np.tril_indices(q), eta[:-1], strict=True):
        E = np.zeros((q, q))
        E[i, j] = E[j, i] = 1.0
        D += value * E
        parts.append(same * (rows.Z @ E @ rows.Z.T))
    parts.append(np.eye(len(rows.y)))
    W = np.linalg.inv(dense_V(rows, np.sqrt(eta[-1]), D))
    P = W - W @ rows.X @ np.linalg.solve(rows.X.T @ W @ rows.X, rows.X.T @ W)
    Py, T = P @ rows.y, P if reml else W
    score = np.array([0.5 * (Py @ V @ Py - np.trace(T @ V)) for V in parts])
    PV = [P @ V for V in parts]
    return score, np.array([[0.5 * np.sum(a * b.T) for b in PV] for a in PV])


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("q", CASES)
def test_variance_curvature(q, reml, numeric_gradient):
    rows = simulate(q)
    data = rows.data
    scaled = Rows(rows.X, rows.y, rows.Z / data.z_scale, rows.group, rows.n_groups)
    below = np.tril_indices(q)
    for _, _, sigma, D in points(q):
        D = D + 0.2 * np.eye(q)
        lam = np.linalg.cholesky(D) / sigma
        at = lmm.profile(data, lam, reml)
        found = variance_curvature(data, lam, sigma**2, at.gamma, reml)
        eta = np.append(D[below], sigma**2)
        columns = [
            numeric_gradient(lambda x, j=j: dense_score(scaled, x, reml)[0][j], eta, 1e-4)
            for j in range(len(eta))
        ]
        size = np.sqrt(np.diag(found.expected))
        unit = np.outer(size, size)
        np.testing.assert_allclose(found.observed / unit, -np.array(columns) / unit, atol=1e-5)
        np.testing.assert_allclose(
            found.expected / unit, dense_score(scaled, eta, reml)[1] / unit, atol=1e-9
        )
        W = np.linalg.inv(dense_V(scaled, sigma, D))
        outside = np.linalg.inv(data.r) @ found.phi @ np.linalg.inv(data.r).T
        np.testing.assert_allclose(outside, np.linalg.inv(rows.X.T @ W @ rows.X), rtol=1e-8)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("q", CASES)
def test_profiled_deviance(q, reml, numeric_gradient):
    """The value is the dense criterion at the best sigma; the gradient is of the lower triangle."""
    rows = simulate(q)
    data = rows.data
    rng = np.random.default_rng(q)
    below = np.tril_indices(q)
    for _ in POINTS:
        lam = np.tril(rng.normal(size=(q, q)))
        deviance, gradient = lmm.profiled_deviance(data, lam[below], below, reml)

        relative = lam @ lam.T / np.outer(data.z_scale, data.z_scale)
        at = lmm.profile(data, lam, reml)
        sigma = np.sqrt(at.sigma2)
        assert -0.5 * deviance == pytest.approx(
            dense_profile(rows, sigma, sigma**2 * relative, reml), rel=1e-11
        )
        for other in (0.9 * sigma, 1.1 * sigma):
            worse = -2.0 * dense_profile(rows, other, other**2 * relative, reml)
            assert worse > deviance
            assert at.deviance(other**2) == pytest.approx(worse, rel=1e-11)

        def of_triangle(x):
            return lmm.profiled_deviance(data, x, below, reml)[0]

        np.testing.assert_allclose(
            gradient, numeric_gradient(of_triangle, lam[below]), rtol=1e-6, atol=1e-7
        )


@pytest.mark.parametrize("q", CASES)
def test_coefficients(q):
    rows = simulate(q)
    data = rows.data
    for _, _, sigma, D in points(q):
        W = np.linalg.inv(dense_V(rows, sigma, D))
        cov = np.linalg.inv(rows.X.T @ W @ rows.X)
        lam = np.linalg.cholesky(D * np.outer(data.z_scale, data.z_scale)) / sigma
        beta = lmm.coefficients(data, lmm.profile(data, lam, True).gamma)
        np.testing.assert_allclose(beta, cov @ rows.X.T @ W @ rows.y, rtol=1e-9)


@pytest.mark.parametrize("q", CASES)
def test_pointwise(q):
    """Each patient's own density, and their sum."""
    rows = simulate(q)
    asked = list(points(q))
    thetas = np.array([theta for theta, *_ in asked])
    found = pointwise(thetas, rows.X, rows.y, rows.Z, rows.group, rows.n_groups)
    assert found.shape == (len(thetas), rows.n_groups)
    data = rows.data
    for row, (theta, beta, sigma, D) in zip(found, asked, strict=True):
        assert row.sum() == pytest.approx(lmm.loglik(data, theta)[0], rel=1e-11)
        for g in range(rows.n_groups):
            one = rows.take(np.flatnonzero(rows.group == g))
            assert row[g] == pytest.approx(dense_loglik(one, beta, sigma, D), rel=1e-10)


@pytest.mark.parametrize("q", CASES)
def test_random_effects(q):
    """Mean D Z' V^-1 (y - X beta), covariance D - D Z' V^-1 Z D, coupling D Z' V^-1 X."""
    rows = simulate(q)
    data = rows.data
    for _, beta, sigma, D in points(q):
        lam = np.linalg.cholesky(D * np.outer(data.z_scale, data.z_scale)) / sigma
        found = random_effects(data, lam, sigma, beta)
        for g in range(rows.n_groups):
            one = rows.take(np.flatnonzero(rows.group == g))
            A = D @ one.Z.T @ np.linalg.inv(dense_V(one, sigma, D))
            np.testing.assert_allclose(
                found.mean[g], A @ (one.y - one.X @ beta), rtol=1e-7, atol=1e-10
            )
            np.testing.assert_allclose(found.cov[g], D - A @ one.Z @ D, rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(found.coupling[g], A @ one.X, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("q", CASES)
def test_a_variance_of_zero(q):
    """At Lam = 0 the model is ordinary least squares."""
    rows = simulate(q)
    data = rows.data
    at = lmm.profile(data, np.zeros((q, q)), True)
    beta, *_ = np.linalg.lstsq(rows.X, rows.y, rcond=None)
    n, p = rows.X.shape
    assert at.sigma2 == pytest.approx(((rows.y - rows.X @ beta) ** 2).sum() / (n - p), rel=1e-12)
    np.testing.assert_allclose(lmm.coefficients(data, at.gamma), beta, rtol=1e-12)
    assert not random_effects(data, np.zeros((q, q)), 1.0, beta).mean.any()


@pytest.mark.parametrize("q", CASES)
def test_row_order_does_not_matter(q):
    rows = simulate(q)
    theta = next(iter(points(q)))[0]
    order = np.random.default_rng(5).permutation(len(rows.y))
    a, b = lmm.loglik(rows.data, theta), lmm.loglik(rows.take(order).data, theta)
    assert a[0] == pytest.approx(b[0], rel=1e-12)
    np.testing.assert_allclose(a[1], b[1], rtol=1e-9, atol=1e-9)


def test_units_and_offsets_cost_no_digits():
    """Time in seconds from an origin 2000 years away, and a response with 1e6 added."""
    rows = simulate(2, n_groups=40)
    second = 365.25 * 86400.0
    X = rows.X.copy()
    X[:, 1] = (X[:, 1] + 2000.0) * second
    X[:, 2] *= 1e-9
    Z = rows.Z * [1.0, second]
    far = lmm.prepare(X, rows.y + 1e6, Z, rows.group, rows.n_groups)
    near = rows.data
    lam = np.array([[1.3, 0.0], [-0.4, 0.6]])
    log_units = np.log(second * 1e-9)
    for reml in (True, False):
        a, b = lmm.profile(near, lam, reml), lmm.profile(far, lam, reml)
        assert b.sigma2 == pytest.approx(a.sigma2, rel=1e-8)
        # |X' V^-1 X| carries the square of the change of units
        shift = 2.0 * log_units if reml else 0.0
        assert b.deviance(1.0) - shift == pytest.approx(a.deviance(1.0), rel=1e-9)
    beta = lmm.coefficients(near, lmm.profile(near, lam, True).gamma)
    beta_far = lmm.coefficients(far, lmm.profile(far, lam, True).gamma)
    np.testing.assert_allclose(beta_far[1:] * [second, 1e-9], beta[1:], rtol=1e-7)


def test_no_fixed_effects():
    rows = simulate(1)
    bare = Rows(np.empty((len(rows.y), 0)), rows.y, rows.Z, rows.group, rows.n_groups)
    for _, _, sigma, D in points(1):
        V = dense_V(rows, sigma, D)
        expected = multivariate_normal(np.zeros(len(rows.y)), V).logpdf(rows.y)
        at = lmm.profile(bare.data, np.sqrt(D) * bare.data.z_scale / sigma, True)
        assert -0.5 * at.deviance(sigma**2) == pytest.approx(expected, rel=1e-11)
