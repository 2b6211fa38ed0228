"""The kernel of several groupings, nested or crossed, against dense statements of the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from longsurv.likelihood.lmm.crossed import prepare
from longsurv.likelihood.lmm.crossed.kernel import CrossedKernel
from longsurv.likelihood.lmm.dense.loglik import Term

DESIGNS = ("crossed", "slopes", "three", "nested", "deep")


@dataclass(frozen=True)
class Case:
    """Rows in random order, and the kernel built from them."""

    X: np.ndarray
    y: np.ndarray
    terms: list[Term]
    kernel: CrossedKernel

    def covariance(self, D: list[np.ndarray], sigma: float) -> np.ndarray:
        """Of all rows, D in natural units."""
        V = sigma**2 * np.eye(len(self.y))
        for term, Dt in zip(self.terms, D, strict=True):
            V += (term.group[:, None] == term.group) * (term.Z @ Dt @ term.Z.T)
        return V

    def natural(self, theta: np.ndarray) -> tuple[np.ndarray, list[np.ndarray], float]:
        """beta, D of each term and sigma."""
        p = self.X.shape[1]
        sigma = float(np.exp(theta[p]))
        pairs = zip(self.kernel.factors(theta), self.kernel.data.bases, strict=True)
        halves = [np.linalg.solve(basis, sigma * lam) for lam, basis in pairs]
        return theta[:p], [half @ half.T for half in halves], sigma


def simulate(design: str, seed: int = 0, orthogonal: bool = False) -> Case:
    rng = np.random.default_rng(seed)
    n = 46
    patient, site, item = rng.integers(0, 9, n), rng.integers(0, 4, n), rng.integers(0, 3, n)
    patient[:9], site[:4], item[:3] = np.arange(9), np.arange(4), np.arange(3)
    if design in ("nested", "deep"):
        site = np.array([0, 0, 1, 1, 1, 2, 2, 3, 3])[patient]
        item = np.array([0, 0, 1, 2])[site]
    order = rng.permutation(n)
    patient, site, item = patient[order], site[order], item[order]
    X = np.column_stack([np.ones(n), rng.normal(size=n), site == 0])
    Z = np.column_stack([np.ones(n), 5.0 * rng.normal(size=n), rng.normal(size=n)])
    y = X @ [1.0, 0.5, -1.0] + rng.normal(size=9)[patient] + rng.normal(size=4)[site]
    y += rng.normal(size=n)
    of_patients, of_sites = {
        "crossed": ((1,), (1,)), "slopes": ((2,), (2, 1)), "three": ((2, 1), (1, 1)),
        "nested": ((1,), (2,)), "deep": ((1, 1), (1,)),
    }[design]  # fmt: skip
    terms = [
        Term(Z[:, : sum(of_patients)], patient, of_patients),
        Term(Z[:, : sum(of_sites)], site, of_sites),
    ]
    if design in ("three", "deep"):
        terms.append(Term(Z[:, :2], item, (2,)))
    return Case(X, y, terms, CrossedKernel(prepare(X, y, terms, orthogonal=orthogonal)))


def size_of(kernel: CrossedKernel) -> int:
    return kernel.data.p + 1 + sum(len(rows) for rows, _ in kernel.elements)


def vectors(kernel: CrossedKernel, count: int, seed: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [0.6 * rng.normal(size=size_of(kernel)) for _ in range(count)]


@pytest.mark.parametrize("design", DESIGNS)
def test_loglik(design, numeric_gradient):
    case = simulate(design)
    for theta in vectors(case.kernel, 6):
        value, gradient = case.kernel.loglik(theta)
        beta, D, sigma = case.natural(theta)
        expected = multivariate_normal(case.X @ beta, case.covariance(D, sigma)).logpdf(case.y)
        assert value == pytest.approx(expected, rel=1e-10)
        slope = numeric_gradient(lambda x: case.kernel.loglik(x)[0], theta)
        size = np.abs(gradient).max()
        np.testing.assert_allclose(gradient / size, slope / size, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("orthogonal", [True, False])
@pytest.mark.parametrize("design", DESIGNS)
def test_criterion(design, orthogonal, reml, numeric_gradient):
    """With beta and sigma at their best: against Harville's restricted likelihood."""
    case = simulate(design, orthogonal=orthogonal)
    kernel, (n, p) = case.kernel, case.X.shape
    rng = np.random.default_rng(3)
    for _ in range(4):
        x = 0.6 * rng.normal(size=len(kernel.names))
        value, gradient = kernel.criterion(x, reml)
        peak = kernel.peak(x, reml)
        halves = [
            np.linalg.solve(basis, peak.point.sigma * lam)
            for lam, basis in zip(peak.point.lams, kernel.bases, strict=True)
        ]
        V = case.covariance([half @ half.T for half in halves], peak.point.sigma)
        W = np.linalg.inv(V)
        information = case.X.T @ W @ case.X
        beta = np.linalg.solve(information, case.X.T @ W @ case.y)
        r = case.y - case.X @ beta
        expected = np.linalg.slogdet(V)[1] + r @ W @ r + (n - p * reml) * np.log(2 * np.pi)
        expected += np.linalg.slogdet(information)[1] if reml else 0.0
        assert value == pytest.approx(-0.5 * expected, rel=1e-10)
        assert peak.llf == value
        np.testing.assert_allclose(peak.point.beta, beta, rtol=1e-8)
        slope = numeric_gradient(lambda v: kernel.criterion(v, reml)[0], x)
        size = np.abs(gradient).max()
        np.testing.assert_allclose(gradient / size, slope / size, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("rows", [0, 500], ids=["by sums", "written out"])
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("design", DESIGNS)
def test_curvature(design, reml, rows, monkeypatch):
    """Against the definitions, with V, its inverse and its derivatives written out."""
    monkeypatch.setattr("longsurv.likelihood.lmm.crossed.curvature.DENSE", rows)
    case = simulate(design)
    kernel = case.kernel
    x = 0.6 * np.random.default_rng(8).normal(size=len(kernel.names))
    peak = kernel.peak(x, reml)
    found = kernel.curvature(peak, reml)
    slopes = []
    for term, basis, (rows, columns) in zip(case.terms, kernel.bases, kernel.elements, strict=True):
        own = term.Z @ np.linalg.inv(basis)
        for a, b in zip(rows, columns, strict=True):
            product = np.outer(own[:, a], own[:, b])
            both = product if a == b else product + product.T
            slopes.append((term.group[:, None] == term.group) * both)
    n = len(case.y)
    slopes.append(np.eye(n))
    eta = np.concatenate(
        [*(D[free] for D, free in zip(peak.point.D, kernel.elements, strict=True)), peak.eta]
    )
    V_inverse = np.linalg.inv(np.tensordot(eta, np.array(slopes), axes=1))
    X = case.X @ np.linalg.inv(kernel.data.r)
    phi = np.linalg.inv(X.T @ V_inverse @ X)
    M = V_inverse - V_inverse @ X @ phi @ X.T @ V_inverse
    e = case.y - case.X @ peak.point.beta
    np.testing.assert_allclose(found.phi, phi, rtol=1e-9)
    for r, A in enumerate(slopes):
        np.testing.assert_allclose(
            found.P[r], -X.T @ V_inverse @ A @ V_inverse @ X, rtol=1e-8, atol=1e-10
        )
        np.testing.assert_allclose(
            found.shift[r], -e @ V_inverse @ A @ V_inverse @ X @ phi, rtol=1e-7, atol=1e-9
        )
        assert found.total[r] == pytest.approx(0.5 * np.trace(V_inverse @ A @ V_inverse @ A))
        for s, C in enumerate(slopes):
            np.testing.assert_allclose(
                found.Q[r, s],
                X.T @ V_inverse @ A @ V_inverse @ C @ V_inverse @ X,
                rtol=1e-8,
                atol=1e-10,
            )
            expected = 0.5 * np.trace(M @ A @ M @ C)
            assert found.expected[r, s] == pytest.approx(expected, rel=1e-8, abs=1e-10)
            quad = e @ V_inverse @ A @ M @ C @ V_inverse @ e
            inner = M if reml else V_inverse
            observed = quad - 0.5 * np.trace(inner @ A @ inner @ C)
            assert found.observed[r, s] == pytest.approx(observed, rel=1e-7, abs=1e-9)


def new_rows(case: Case) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Of patient and groups that are known, in part, and not at all."""
    Z = [np.tile([1.0, 7.0, 0.4][: t.Z.shape[1]], (4, 1)) for t in case.terms]
    row = int(np.flatnonzero(case.terms[0].group == 4)[0])
    group = [np.array([4, -1, 4, -2])]
    group += [np.array([t.group[row], t.group[row], -1, -1]) for t in case.terms[1:]]
    return Z, group


@pytest.mark.parametrize("design", DESIGNS)
def test_random_effects_and_predictions(design):
    case = simulate(design)
    kernel = case.kernel
    theta = vectors(kernel, 1, seed=5)[0]
    beta, D, sigma = case.natural(theta)
    point = kernel.point(theta)
    W = np.linalg.inv(case.covariance(D, sigma))
    r = case.y - case.X @ beta
    for term, Dt, effects in zip(case.terms, D, kernel.effects(point), strict=True):
        for g in range(term.group.max() + 1):
            Zg = term.Z * (term.group == g)[:, None]
            A = Dt @ Zg.T @ W
            np.testing.assert_allclose(effects.mean[g], A @ r, rtol=1e-8, atol=1e-12)
            np.testing.assert_allclose(effects.cov[g], Dt - A @ Zg @ Dt, rtol=1e-7, atol=1e-10)
    Z, group = new_rows(case)
    mean, variance, coupling = kernel.predict_rows(point, Z, group)
    for i in range(4):
        C, prior = np.zeros(len(r)), 0.0
        for t, term in enumerate(case.terms):
            C += (term.group == group[t][i]) * (term.Z @ D[t] @ Z[t][i])
            prior += Z[t][i] @ D[t] @ Z[t][i]
        assert mean[i] == pytest.approx(C @ W @ r, rel=1e-8, abs=1e-12)
        assert variance[i] == pytest.approx(prior - C @ W @ C, rel=1e-8)
        np.testing.assert_allclose(coupling[i], C @ W @ case.X, rtol=1e-7, atol=1e-12)


def test_drawn_rows_have_the_predicted_moments_and_share_their_effects():
    case = simulate("slopes")
    kernel, theta = case.kernel, vectors(case.kernel, 1, seed=5)[0]
    Z, group = new_rows(case)
    twice = [np.vstack([z, z]) for z in Z], [np.r_[g, g] for g in group]
    mean, variance, _ = kernel.predict_rows(kernel.point(theta), *twice)
    rng = np.random.default_rng(2)
    draws = np.array([kernel.draw_rows(kernel.point(theta), *twice, rng) for _ in range(4000)])
    np.testing.assert_allclose(draws[:, :4], draws[:, 4:], rtol=1e-12)
    error = np.sqrt(variance / len(draws))
    assert (np.abs(draws.mean(axis=0) - mean) < 4.5 * error).all()
    np.testing.assert_allclose(draws.var(axis=0), variance, rtol=0.12)


@pytest.mark.parametrize("design", ["nested", "deep", "three"])
def test_pointwise(design):
    """The density of each independent cluster alone; of crossed groups there is but one."""
    case = simulate(design)
    thetas = np.array(vectors(case.kernel, 3))
    top = case.terms[-1].group if design != "three" else np.zeros(len(case.y), dtype=int)
    found = case.kernel.pointwise(thetas)
    assert found.shape == (3, top.max() + 1)
    for row, theta in zip(found, thetas, strict=True):
        beta, D, sigma = case.natural(theta)
        V, mean = case.covariance(D, sigma), case.X @ beta
        for c in range(top.max() + 1):
            own = np.flatnonzero(top == c)
            expected = multivariate_normal(mean[own], V[np.ix_(own, own)]).logpdf(case.y[own])
            assert row[c] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("design", ["crossed", "slopes", "three"])
def test_a_patient_s_rows_given_all_others(design):
    """The density of all rows over that of the others."""
    case = simulate(design)
    thetas = np.array(vectors(case.kernel, 2))
    found = case.kernel.left_out(thetas)
    patient = case.terms[0].group
    for row, theta in zip(found, thetas, strict=True):
        beta, D, sigma = case.natural(theta)
        V, e = case.covariance(D, sigma), case.y - case.X @ beta
        whole = multivariate_normal(np.zeros(len(e)), V).logpdf(e)
        for i in range(patient.max() + 1):
            rest = np.flatnonzero(patient != i)
            others = multivariate_normal(np.zeros(len(rest)), V[np.ix_(rest, rest)]).logpdf(e[rest])
            assert row[i] == pytest.approx(whole - others, rel=1e-8)


def test_row_order_does_not_matter():
    a = simulate("slopes")
    order = np.random.default_rng(3).permutation(len(a.y))
    terms = [Term(t.Z[order], t.group[order], t.blocks) for t in a.terms]
    b = CrossedKernel(prepare(a.X[order], a.y[order], terms))
    theta = vectors(a.kernel, 1)[0]
    assert b.loglik(theta)[0] == pytest.approx(a.kernel.loglik(theta)[0], rel=1e-12)
