"""The kernel for nested groups and correlated residuals against dense statements of the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.linalg import toeplitz
from scipy.stats import multivariate_normal

from longsurv.likelihood import lmm
from longsurv.likelihood.lmm.blocks import BlockKernel
from longsurv.likelihood.lmm.dense.curvature import dense_curvature, second_derivatives
from longsurv.likelihood.lmm.dense.kernel import DenseKernel
from longsurv.likelihood.lmm.dense.loglik import Term, prepare
from longsurv.likelihood.lmm.dense.patients import group_effects, predict_rows
from longsurv.likelihood.lmm.dense.residual import Structure
from longsurv.likelihood.residuals import CORRELATIONS
from longsurv.likelihood.residuals.toeplitz import autocorrelations

VISITS = 4
STRUCTURES = [
    ("independent", False),
    ("independent", True),
    ("cs", False),
    ("cs", True),
    ("ar1", False),
    ("ar1", True),
    ("exponential", False),
    ("exponential", True),
    ("toeplitz", False),
    ("toeplitz", True),
    ("unstructured", False),
    ("unstructured", True),
]
RANDOM = ["none", "patient", "blocks", "site", "nested"]
DAYS = np.array([0.0, 0.5, 2.0, 3.2])


@dataclass(frozen=True)
class Case:
    """Rows in random order, and the kernel built from them."""

    X: np.ndarray
    y: np.ndarray
    terms: list[Term]
    patient: np.ndarray
    visit: np.ndarray
    kernel: DenseKernel

    def residual_correlation(self, rho: np.ndarray, a: int, b: int) -> float:
        """The correlation of the residuals at visits a and b, from the definition."""
        kind = self.kernel.data.structure.kind.name
        if a == b:
            return 1.0
        if kind == "independent":
            return 0.0
        if kind == "cs":
            return rho[0]
        if kind == "ar1":
            return rho[0] ** abs(a - b)
        if kind == "exponential":
            return rho[0] ** abs(DAYS[a] - DAYS[b])
        if kind == "toeplitz":
            return rho[abs(a - b) - 1]
        a, b = max(a, b), min(a, b)
        return rho[a * (a - 1) // 2 + b]

    def V(self, D: list[np.ndarray], sds: np.ndarray, rho: np.ndarray) -> np.ndarray:
        """Covariance of all rows; D in natural units."""
        V = np.zeros((len(self.y), len(self.y)))
        for term, Dt in zip(self.terms, D, strict=True):
            V += (term.group[:, None] == term.group) * (term.Z @ Dt @ term.Z.T)
        visits = range(VISITS)
        C = np.array([[self.residual_correlation(rho, a, b) for b in visits] for a in visits])
        R = C * np.outer(sds, sds) if len(sds) > 1 else C * sds[0] ** 2
        return V + (self.patient[:, None] == self.patient) * R[np.ix_(self.visit, self.visit)]


def simulate(kind: str, heterogeneous: bool, random: str, seed: int = 0) -> Case:
    rng = np.random.default_rng(seed)
    site_of = np.repeat(np.arange(3), [4, 2, 5])
    keep = rng.random((len(site_of), VISITS)) < 0.75
    keep[:, 1] = True
    patient, visit = np.nonzero(keep)
    order = rng.permutation(len(patient))
    patient, visit = patient[order], visit[order]
    n = len(patient)
    X = np.column_stack([np.ones(n), visit, rng.normal(size=n)])
    y = X @ [1.0, 0.5, -1.0] + rng.normal(size=11)[patient] + rng.normal(size=n)
    Z = np.column_stack([np.ones(n), 10.0 * visit, rng.normal(size=n)])
    mine = {"patient": (2,), "blocks": (2, 1), "nested": (1,)}.get(random, ())
    terms = [Term(Z[:, : sum(mine)], patient, mine)]
    if random in ("site", "nested"):
        terms.append(Term(Z[:, :2], site_of[patient], (1, 1) if random == "site" else (2,)))
    if random == "nested":
        terms.append(Term(Z[:, 2:], np.array([0, 0, 1])[site_of][patient], (1,)))
    by_patient = np.argsort(patient, kind="stable")
    code = np.arange(VISITS**2)
    first, second = code // VISITS, code % VISITS
    lag = np.abs(DAYS[first] - DAYS[second] if kind == "exponential" else first - second)
    pairs = [
        visit[i] * VISITS + visit[j]
        for i in by_patient
        for j in by_patient
        if patient[i] == patient[j]
    ]
    # Patient by patient, the first row's pairs before the second's, as they come from the design.
    own, lag = CORRELATIONS[kind], lag.astype(float)
    structure = Structure(own, heterogeneous, lag, first, second, VISITS, VISITS)
    data = prepare(X, y, patient, terms, structure, by_patient, np.array(pairs))
    return Case(X, y, terms, patient, visit, DenseKernel(data))


def natural(case: Case, theta: np.ndarray):
    """beta, D of each term, SDs of the visits and correlations at a parameter vector."""
    kernel, p = case.kernel, case.X.shape[1]
    beta, _, _, psi = kernel.unpack(theta)
    sigma = np.exp(theta[p])
    D = [
        sigma**2 * lam @ lam.T / np.outer(scale, scale)
        for lam, scale in zip(kernel.factors(theta), kernel.data.scales, strict=True)
    ]
    structure = kernel.data.structure
    shown = structure.report(sigma, psi)
    count = structure.n_ratios + 1
    return beta, D, shown[:count], shown[count:]


def size_of(kernel: DenseKernel) -> int:
    free = sum(len(rows) for rows, _ in kernel.elements)
    return kernel.data.p + 1 + free + kernel.data.structure.size


def vectors(kernel: DenseKernel, count: int, seed: int = 1):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield 0.6 * rng.normal(size=size_of(kernel))


CASES = [(kind, het, "none") for kind, het in STRUCTURES[1:]]
CASES += [("independent", False, random) for random in RANDOM[1:]]
CASES += [
    ("ar1", True, "patient"),
    ("exponential", False, "nested"),
    ("unstructured", True, "site"),
]


@pytest.mark.parametrize(("kind", "het", "random"), CASES)
def test_loglik(kind, het, random, numeric_gradient):
    case = simulate(kind, het, random)
    for theta in vectors(case.kernel, 10):
        value, gradient = case.kernel.loglik(theta)
        beta, D, sds, rho = natural(case, theta)
        expected = multivariate_normal(case.X @ beta, case.V(D, sds, rho)).logpdf(case.y)
        assert value == pytest.approx(expected, rel=1e-9)
        slope = numeric_gradient(lambda x: case.kernel.loglik(x)[0], theta)
        size = np.abs(gradient).max()
        np.testing.assert_allclose(gradient / size, slope / size, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(("kind", "het", "random"), CASES)
def test_criterion(kind, het, random, reml, numeric_gradient):
    """With beta and sigma at their best: against Harville's restricted likelihood."""
    case = simulate(kind, het, random)
    kernel, (n, p) = case.kernel, case.X.shape
    rng = np.random.default_rng(3)
    for _ in range(10):
        x = 0.6 * rng.normal(size=len(kernel.names))
        value, gradient = kernel.criterion(x, reml)
        factors, psi = kernel.split(x)
        at = kernel.profile(factors, psi, reml)
        sigma = np.sqrt(at.sigma2)
        D = [
            at.sigma2 * lam @ lam.T / np.outer(scale, scale)
            for lam, scale in zip(factors, kernel.data.scales, strict=True)
        ]
        shown = kernel.data.structure.report(sigma, psi)
        count = kernel.data.structure.n_ratios + 1
        V = case.V(D, shown[:count], shown[count:])
        W = np.linalg.inv(V)
        information = case.X.T @ W @ case.X
        beta = np.linalg.solve(information, case.X.T @ W @ case.y)
        r = case.y - case.X @ beta
        expected = np.linalg.slogdet(V)[1] + r @ W @ r + (n - p * reml) * np.log(2 * np.pi)
        expected += np.linalg.slogdet(information)[1] if reml else 0.0
        assert value == pytest.approx(-0.5 * expected, rel=1e-10)
        np.testing.assert_allclose(kernel.coefficients(at.gamma), beta, rtol=1e-8)
        slope = numeric_gradient(lambda v: kernel.criterion(v, reml)[0], x)
        size = np.abs(gradient).max()
        np.testing.assert_allclose(gradient / size, slope / size, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("kind", "het"), STRUCTURES)
def test_every_structure_is_positive_definite(kind, het):
    """At extreme parameters too, with the first visit's variance 1."""
    s = simulate(kind, het, "none").kernel.data.structure
    rng = np.random.default_rng(2)
    for _ in range(20):
        R = s.values(2.0 * rng.normal(size=s.size)).reshape(VISITS, VISITS)
        np.testing.assert_allclose(R, R.T)
        assert R[0, 0] == 1.0
        assert np.linalg.eigvalsh(R)[0] > 0


@pytest.mark.parametrize(("kind", "het"), STRUCTURES)
def test_the_ways_to_write_a_structure_agree(kind, het):
    s = simulate(kind, het, "none").kernel.data.structure
    for psi in np.random.default_rng(4).normal(size=(5, s.size)):
        eta = s.covariance_parameters(1.7, psi)
        np.testing.assert_allclose(s.covariance(eta), 1.7**2 * s.values(psi), rtol=1e-12)
        np.testing.assert_allclose(s.shown(eta), s.report(1.7, psi), rtol=1e-12)
        if s.linear:
            np.testing.assert_allclose(s.covariance(2.0 * eta), 2.0 * s.covariance(eta))


def test_compound_symmetry_reaches_its_lower_limit():
    """J + I is singular at a correlation of -1/3 for four visits."""
    s = simulate("cs", False, "none").kernel.data.structure
    assert s.natural(np.array([-40.0]))[0] == pytest.approx(-1 / 3)
    assert s.natural(np.array([40.0]))[0] == pytest.approx(1.0)


def test_autocorrelations_have_the_partial_ones_they_came_from():
    """The last coefficient of each Yule-Walker system is the partial autocorrelation."""
    partial = np.array([0.6, -0.3, 0.5, 0.1])
    rho = autocorrelations(partial)
    for k in range(1, 5):
        R = toeplitz(np.r_[1.0, rho[: k - 1]])
        assert np.linalg.solve(R, rho[:k])[-1] == pytest.approx(partial[k - 1])


CURVED = [("independent", False, "nested"), ("ar1", False, "patient"), ("cs", True, "none")]
CURVED += [
    ("toeplitz", False, "site"),
    ("unstructured", True, "none"),
    ("exponential", True, "none"),
]


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(("kind", "het", "random"), CURVED)
def test_curvature(kind, het, random, reml, numeric_gradient):
    """Against differences of the dense criterion in eta, and of (X'V^-1 X)^-1."""
    case = simulate(kind, het, random)
    kernel, data = case.kernel, case.kernel.data
    theta = next(vectors(kernel, 1, seed=8))
    beta, D, _, _ = natural(case, theta)
    psi = kernel.unpack(theta)[3]
    eta = data.structure.covariance_parameters(float(np.exp(theta[3])), psi)
    scaled = [Dt * np.outer(c, c) for Dt, c in zip(D, data.scales, strict=True)]
    point = np.concatenate(
        [*(Dt[where] for Dt, where in zip(scaled, kernel.elements, strict=True)), eta]
    )

    def V_of(x: np.ndarray) -> np.ndarray:
        parts, at = [], 0
        for Dt, where, scale in zip(scaled, kernel.elements, data.scales, strict=True):
            full = np.zeros_like(Dt)
            full[where] = x[at : at + len(where[0])]
            at += len(where[0])
            parts.append((full + np.tril(full, -1).T) / np.outer(scale, scale))
        shown = data.structure.shown(x[at:])
        count = data.structure.n_ratios + 1
        return case.V(parts, shown[:count], shown[count:])

    def criterion(x: np.ndarray) -> float:
        W = np.linalg.inv(V_of(x))
        information = case.X.T @ W @ case.X
        r = case.y - case.X @ np.linalg.solve(information, case.X.T @ W @ case.y)
        more = np.linalg.slogdet(information)[1] if reml else 0.0
        return -0.5 * (-np.linalg.slogdet(W)[1] + r @ W @ r + more)

    W = np.linalg.inv(V_of(point))
    information = case.X.T @ W @ case.X
    beta = np.linalg.solve(information, case.X.T @ W @ case.y)
    found = dense_curvature(data, scaled, eta, data.r @ (beta - data.beta_ols), reml)
    step = 3e-3
    unit = np.sqrt(np.diag(found.expected))

    def partial(x: np.ndarray, j: int) -> float:
        """The criterion's slope along one element."""

        def along(at: np.ndarray) -> float:
            return criterion(np.r_[x[:j], at, x[j + 1 :]])

        return numeric_gradient(along, x[j : j + 1], step / unit.max())[0]

    slopes = [
        numeric_gradient(
            lambda v, j=j: partial(v / unit, j) / unit[j],
            point * unit,
            step,
        )
        for j in range(len(point))
    ]
    np.testing.assert_allclose(
        found.observed / np.outer(unit, unit), -np.array(slopes), rtol=1e-4, atol=2e-4
    )
    outside = np.linalg.inv(data.r)
    phi = outside @ found.phi @ outside.T
    np.testing.assert_allclose(phi, np.linalg.inv(information), rtol=1e-8)
    moved = outside @ (found.phi @ found.P @ found.phi) @ outside.T
    for j in range(3):
        slope = numeric_gradient(
            lambda x, j=j: np.linalg.inv(case.X.T @ np.linalg.inv(V_of(x)) @ case.X)[j, j], point
        )
        np.testing.assert_allclose(-moved[:, j, j], slope, rtol=1e-5, atol=1e-8)
    if not data.structure.linear:
        second = second_derivatives(data.structure, eta)
        shaped = np.diag(second[-1, -1].reshape(VISITS, VISITS))
        np.testing.assert_allclose(shaped, 0.0, atol=1e-9)


def test_the_fast_kernel_s_likelihood():
    """One grouping and independent residuals are the sufficient-statistics kernel's model too."""
    for random, blocks in (("patient", (2,)), ("blocks", (2, 1))):
        case = simulate("independent", False, random)
        Z = case.terms[0].Z
        fast = BlockKernel(lmm.prepare(case.X, case.y, Z, case.patient, 11), blocks)
        for theta in vectors(case.kernel, 5):
            a, b = fast.loglik(theta), case.kernel.loglik(theta)
            assert a[0] == pytest.approx(b[0], rel=1e-11)
            np.testing.assert_allclose(a[1], b[1], rtol=1e-8, atol=1e-9)
        x = np.random.default_rng(1).normal(size=len(fast.names))
        for reml in (True, False):
            a, b = fast.criterion(x, reml), case.kernel.criterion(x, reml)
            assert a[0] == pytest.approx(b[0], rel=1e-12)
            np.testing.assert_allclose(a[1], b[1], rtol=1e-8, atol=1e-9)


def test_independent_blocks_are_correlations_of_zero():
    """The correlated model with z between blocks at 0 has the same value and slopes."""
    case = simulate("independent", False, "blocks")
    data = lmm.prepare(case.X, case.y, case.terms[0].Z, case.patient, 11)
    blocks, full = BlockKernel(data, (2, 1)), BlockKernel(data, (3,))
    for theta in vectors(case.kernel, 5):
        whole = blocks.expand(theta)
        assert len(whole) == len(theta) + 2 and not whole[-2:].any()
        value, gradient = full.loglik(whole)
        assert blocks.loglik(theta)[0] == value
        np.testing.assert_array_equal(blocks.loglik(theta)[1], gradient[blocks.free])


@pytest.mark.parametrize("random", ["patient", "site", "nested"])
def test_random_effects_and_predictions(random):
    case = simulate("ar1", False, random)
    kernel, data = case.kernel, case.kernel.data
    theta = next(vectors(kernel, 1, seed=5))
    beta, D, sds, rho = natural(case, theta)
    scaled = [Dt * np.outer(c, c) for Dt, c in zip(D, data.scales, strict=True)]
    psi = kernel.unpack(theta)[3]
    by_kind = sds[0] ** 2 * data.structure.values(psi)
    gamma = data.r @ (beta - data.beta_ols)
    W = np.linalg.inv(case.V(D, sds, rho))
    r = case.y - case.X @ beta
    for t, effects in enumerate(group_effects(data, scaled, by_kind, gamma)):
        term = case.terms[t]
        for g in range(term.group.max() + 1):
            Zg = term.Z * (term.group == g)[:, None]
            A = D[t] @ Zg.T @ W
            np.testing.assert_allclose(effects.mean[g], A @ r, rtol=1e-8, atol=1e-12)
            np.testing.assert_allclose(effects.cov[g], D[t] - A @ Zg @ D[t], rtol=1e-7, atol=1e-10)
    # New rows: one of a known patient, one of a new patient of a known site, one of nobody known.
    Z = [np.tile([1.0, 7.0, 0.4][: t.Z.shape[1]], (3, 1)) for t in case.terms]
    group = [np.array([4, -1, -1])] + [
        np.array([case.terms[t].group[case.patient == 4][0]] * 2 + [-1])
        for t in range(1, len(case.terms))
    ]
    mean, variance, coupling = predict_rows(data, scaled, by_kind, gamma, Z, group)
    for i in range(3):
        C, prior = np.zeros(len(r)), 0.0
        for t, term in enumerate(case.terms):
            C += (term.group == group[t][i]) * (term.Z @ D[t] @ Z[t][i])
            prior += Z[t][i] @ D[t] @ Z[t][i]
        assert mean[i] == pytest.approx(C @ W @ r, rel=1e-8, abs=1e-12)
        assert variance[i] == pytest.approx(prior - C @ W @ C, rel=1e-8)
        np.testing.assert_allclose(coupling[i] @ data.r, C @ W @ case.X, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("random", ["none", "nested"])
def test_pointwise(random):
    """The density of each cluster alone, and their sum."""
    case = simulate("toeplitz", True, random)
    thetas = np.array(list(vectors(case.kernel, 3)))
    top = case.terms[-1].group
    found = case.kernel.pointwise(thetas)
    assert found.shape == (3, top.max() + 1)
    for row, theta in zip(found, thetas, strict=True):
        assert row.sum() == pytest.approx(case.kernel.loglik(theta)[0], rel=1e-10)
        beta, D, sds, rho = natural(case, theta)
        V, mean = case.V(D, sds, rho), case.X @ beta
        for c in range(top.max() + 1):
            own = np.flatnonzero(top == c)
            expected = multivariate_normal(mean[own], V[np.ix_(own, own)]).logpdf(case.y[own])
            assert row[c] == pytest.approx(expected, rel=1e-9)


def test_row_order_does_not_matter():
    a = simulate("unstructured", True, "site")
    theta = next(vectors(a.kernel, 1))
    order = np.random.default_rng(3).permutation(len(a.y))
    terms = [Term(t.Z[order], t.group[order], t.blocks) for t in a.terms]
    patient, visit = a.patient[order], a.visit[order]
    by_patient = np.argsort(patient, kind="stable")
    pairs = [
        visit[i] * VISITS + visit[j]
        for i in by_patient
        for j in by_patient
        if patient[i] == patient[j]
    ]
    structure = a.kernel.data.structure
    data = prepare(a.X[order], a.y[order], patient, terms, structure, by_patient, np.array(pairs))
    b = DenseKernel(data)
    assert b.loglik(theta)[0] == pytest.approx(a.kernel.loglik(theta)[0], rel=1e-12)


def test_a_singular_covariance_is_an_error_the_climb_backs_off_from():
    case = simulate("ar1", False, "none")
    theta = np.zeros(size_of(case.kernel))
    theta[-1] = 40.0  # a correlation of exactly 1
    with pytest.raises(np.linalg.LinAlgError):
        case.kernel.loglik(theta)
