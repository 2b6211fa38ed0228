"""The joint kernel against brute-force integration, finite differences and closed forms."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from longsurv.design.quadrature import normal_grid, time_points
from longsurv.likelihood import joint, lmm
from longsurv.likelihood.arithmetic.covariance import covariance
from longsurv.likelihood.arithmetic.vector_exp import exp


@dataclass(frozen=True)
class Rows:
    """Measurements of one marker: kind 0 is measured, 1 below and 2 above the limit y."""

    X: np.ndarray
    y: np.ndarray
    Z: np.ndarray
    group: np.ndarray
    kind: np.ndarray


def curve_rows(t, treated, q):
    one = np.ones(len(t))
    return np.column_stack([one, t, treated]), np.column_stack([one, t, t**2 / 6])[:, :q]


def slope_rows(t, treated, q):
    zero, one = np.zeros(len(t)), np.ones(len(t))
    return np.column_stack([zero, one, zero]), np.column_stack([zero, one, t / 3])[:, :q]


def area_rows(t, treated, q):
    X = np.column_stack([t, t**2 / 2, t * treated])
    return X, np.column_stack([t, t**2 / 2, t**3 / 18])[:, :q]


BUILDERS = {"value": curve_rows, "slope": slope_rows, "area": area_rows}


def simulate(seed, qs=(2,), n=20, links=(((0, "value"),),), entry=False, nodes=3, censored=()):
    """A small cohort, built here without the package's designs.

    `qs` has the random effects of each marker, `links` (marker, kind) pairs for each cause, and
    `censored` the markers with limits.
    """
    rng = np.random.default_rng(seed)
    treated = rng.integers(0, 2, n).astype(float)
    exit = rng.uniform(1.0, 6.0, n)
    start = rng.uniform(0.0, 0.8, n) if entry else np.zeros(n)
    markers, rows = [], []
    for m, q in enumerate(qs):
        group = np.repeat(np.arange(n), rng.integers(1, 8, n))
        if m:
            group = group[group != 3]  # a patient without this marker
        time = rng.uniform(0, 1, len(group)) * exit[group]
        X, Z = curve_rows(time, treated[group], q)
        y = X @ [1.0, 0.2, -0.3] + rng.normal(size=len(time)) + 0.7 * rng.normal(size=n)[group]
        kind = np.zeros(len(y), dtype=int)
        if m in censored and n > 40:
            kind[(y < 0.5) & (group < 5)] = 1  # blocks of patients with and without limits
            y = np.where(kind == 1, 0.5, y)
        elif m in censored:
            kind[y < 0.5], kind[y > 3.0] = 1, 2
            kind[group == 4] = 1  # nothing measured of a patient
            y = np.clip(y, 0.5, 3.0)
        rows.append(Rows(X, y, Z, group, kind))
        markers.append(joint.marker_data(X, y, Z, group, n, kind))
    quad = time_points(start, exit)
    owner = np.concatenate([np.arange(n), quad.owner])
    t = np.concatenate([exit, quad.time])
    weight = np.concatenate([np.zeros(n), quad.weight])
    order = np.lexsort((weight > 0, owner))
    owner, t, weight = owner[order], t[order], weight[order]
    what = np.where(rng.random(n) < 0.7, rng.integers(0, len(links), n), -1)
    causes = []
    for c, of_cause in enumerate(links):
        pairs = [(m, *BUILDERS[kind](t, treated[owner], qs[m])) for m, kind in of_cause]
        causes.append(
            joint.CauseData(
                event=(what == c).astype(float),
                covariates=np.column_stack([treated, rng.normal(size=n)])[:, : 2 - c],
                start=np.searchsorted(owner, np.arange(n + 1)),
                weight=weight,
                basis=np.stack([np.ones(len(t)), t / 3 - 1]),
                links=tuple(
                    joint.LinkData(m, x.T.copy(), z.T.copy(), np.full(len(t), 0.4))
                    for m, x, z in pairs
                ),
            )
        )
    grid = normal_grid(nodes, sum(qs))
    return joint.JointData(tuple(markers), tuple(causes), **vars(grid)), rows


def with_nodes(data, nodes):
    return replace(data, **vars(normal_grid(nodes, data.q)))


def parameters(data, seed, alpha=0.5):
    rng = np.random.default_rng(seed)
    M, q = len(data.markers), data.q
    parts = [[1.0, 0.2, -0.3] + 0.1 * rng.normal(size=3) for _ in range(M)]
    parts += [np.log(rng.uniform(0.4, 1.0, M)), np.log(rng.uniform(0.3, 0.9, q))]
    parts += [rng.uniform(-0.8, 0.8, q * (q - 1) // 2)]
    for cause in data.causes:
        m, c, K = cause.sizes
        signs = np.where(np.arange(K) == 0, 1.0, -0.4)
        parts += [[-1.2, 0.3] + 0.2 * rng.normal(size=m), 0.3 * rng.normal(size=c)]
        parts += [alpha * signs * rng.uniform(0.5, 1.5, K)]
    return np.concatenate(parts)


def split(data, theta):
    """beta of each marker, sigmas, D, and (gamma, omega, alpha) of each cause."""
    M, q, p = len(data.markers), data.q, data.p
    beta = np.split(theta[:p], np.cumsum([m.p for m in data.markers])[:-1])
    D = covariance(np.exp(theta[p + M : p + M + q]), theta[p + M + q : data.n_marker])
    at, hazards = data.n_marker, []
    for cause in data.causes:
        m, c, K = cause.sizes
        hazards.append(np.split(theta[at : at + m + c + K], [m, m + c]))
        at += m + c + K
    return beta, np.exp(theta[p : p + M]), D, hazards


def log_joint(data, rows, theta, i, b):
    """log p(y_i, T_i, d_i | b) at many b (n, q)."""
    beta, sigma, _, hazards = split(data, theta)
    ends = np.cumsum([0, *(m.q for m in data.markers)])
    total = np.zeros(len(b))
    for m, of in enumerate(rows):
        mine = of.group == i
        mean = (of.X[mine] @ beta[m])[None] + b[:, ends[m] : ends[m + 1]] @ of.Z[mine].T
        y, kind = of.y[mine], of.kind[mine]
        logs = norm.logpdf(y, mean, sigma[m])
        logs = np.where(kind == 1, norm.logcdf(y, mean, sigma[m]), logs)
        total += np.where(kind == 2, norm.logsf(y, mean, sigma[m]), logs).sum(axis=1)
    for cause, (gamma, omega, alpha) in zip(data.causes, hazards, strict=True):
        block = slice(cause.start[i], cause.start[i + 1])
        eta = gamma @ cause.basis[:, block] + cause.covariates[i] @ omega
        eta = np.tile(eta, (len(b), 1))
        for link, a in zip(cause.links, alpha, strict=True):
            m = link.marker
            own = b[:, ends[m] : ends[m + 1]] @ link.z[:, block]
            eta += a * (beta[m] @ link.x[:, block] + own - link.centre[block])
        total += cause.event[i] * eta[:, 0] - np.exp(eta[:, 1:]) @ cause.weight[block][1:]
    return total


def brute_force(data, rows, theta, i, nodes=60):
    """log p(y_i, T_i, d_i) by a product rule in b around what the measurements say."""
    beta, sigma, D, _ = split(data, theta)
    ends = np.cumsum([0, *(m.q for m in data.markers)])
    P, pull = np.linalg.inv(D), np.zeros(data.q)
    for m, of in enumerate(rows):
        mine, own = of.group == i, slice(ends[m], ends[m + 1])
        mine = mine & (of.kind == 0)
        P[own, own] += of.Z[mine].T @ of.Z[mine] / sigma[m] ** 2
        pull[own] += of.Z[mine].T @ (of.y[mine] - of.X[mine] @ beta[m]) / sigma[m] ** 2
    half = 1.3 * np.linalg.cholesky(np.linalg.inv(P))
    x, w = np.polynomial.legendre.leggauss(nodes)
    x, w = 9.0 * x, 9.0 * w
    grid = np.array(list(itertools.product(x, repeat=data.q)))
    mass = np.array(list(itertools.product(w, repeat=data.q))).prod(axis=1)
    b = np.linalg.solve(P, pull) + grid @ half.T
    total = log_joint(data, rows, theta, i, b) + np.log(mass)
    total += multivariate_normal.logpdf(b, np.zeros(data.q), D).reshape(-1)
    top = total.max()
    return top + np.log(np.exp(total - top).sum()) + np.log(abs(np.linalg.det(half)))


ONE = (((0, "value"),),)
CASES = {
    "intercept": {"qs": (1,)},
    "slope": {"qs": (2,)},
    "two links, entry": {"links": (((0, "value"), (0, "slope")),), "entry": True},
    "three effects": {"qs": (3,), "links": (((0, "area"),),), "entry": True},
    "two markers": {"qs": (1, 1), "links": (((0, "value"), (1, "value")),)},
    "two markers, the second linked": {"qs": (1, 1), "links": (((1, "area"),),)},
    "two markers, slopes": {"qs": (2, 1), "links": (((1, "value"), (0, "slope")),)},
    "two causes": {"qs": (2,), "links": (((0, "value"),), ((0, "slope"),)), "entry": True},
    "a cause without links": {"qs": (1,), "links": (((0, "value"),), ())},
    "censored": {"qs": (1,), "censored": (0,)},
    "few censored": {"qs": (1,), "censored": (0,), "n": 70},
    "everything": {
        "qs": (1, 1), "links": (((0, "value"), (1, "value")), ((1, "area"),)), "censored": (1,),
    },
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_value_is_the_integral_over_the_random_effects(case):
    of = CASES[case]
    q = sum(of.get("qs", (2,)))
    data, rows = simulate(q, **({"n": 20 if q < 3 else 4} | of))
    theta = parameters(data, 10 + q)
    many = with_nodes(data, 41 if q < 3 else 11)
    brute = 90 if q < 3 else 44
    expected = sum(brute_force(data, rows, theta, i, brute) for i in range(data.n_patients))
    value, _ = joint.loglik(many, theta)
    assert value == pytest.approx(expected, abs=1e-8 if q < 3 else 1e-6)


@pytest.mark.parametrize("nodes", [1, 2, 3])
@pytest.mark.parametrize("case", CASES)
def test_gradient_is_that_of_the_quadrature_sum(case, nodes):
    """Few nodes too: the movement of the nodes is part of the derivative."""
    data, _ = simulate(20, **CASES[case])
    data = with_nodes(data, nodes)
    for seed in range(2):
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


def test_markers_alone_are_multivariate_normal():
    """Without links the markers' part is a dense normal density of all values of a patient."""
    data, rows = simulate(3, qs=(2, 1), links=((),), nodes=1)
    theta = parameters(data, 4)
    beta, sigma, D, hazards = split(data, theta)
    expected = 0.0
    for i in range(data.n_patients):
        mine = [of.group == i for of in rows]
        r = np.concatenate(
            [of.y[k] - of.X[k] @ b for of, k, b in zip(rows, mine, beta, strict=True)]
        )
        n = [int(k.sum()) for k in mine]
        Z = np.zeros((sum(n), 3))
        Z[: n[0], :2], Z[n[0] :, 2:] = rows[0].Z[mine[0]], rows[1].Z[mine[1]]
        V = Z @ D @ Z.T + np.diag(np.repeat(sigma**2, n))
        expected += multivariate_normal.logpdf(r, np.zeros(len(r)), V)
    cause, (gamma, omega, _) = data.causes[0], hazards[0]
    owner = np.repeat(np.arange(data.n_patients), np.diff(cause.start))
    eta = gamma @ cause.basis + (cause.covariates @ omega)[owner]
    expected += cause.event @ eta[cause.start[:-1]] - cause.weight @ np.exp(eta)
    assert joint.loglik(data, theta)[0] == pytest.approx(expected, abs=1e-9)


def test_one_marker_alone_is_the_mixed_model():
    data, rows = simulate(5, links=((),), nodes=1)
    theta = parameters(data, 1)
    of = rows[0]
    alone = lmm.loglik(lmm.prepare(of.X, of.y, of.Z, of.group, 20), theta[: data.n_marker])
    cause = replace(data.causes[0], event=np.zeros(20), weight=0.0 * data.causes[0].weight)
    value, gradient = joint.loglik(replace(data, causes=(cause,)), theta)
    assert value == pytest.approx(alone[0], abs=1e-10)
    np.testing.assert_allclose(gradient[: data.n_marker], alone[1], rtol=1e-9, atol=1e-9)


def test_causes_without_association_separate():
    """The cause-specific hazards then are two fits, and the markers a third."""
    data, _ = simulate(5, links=(((0, "value"),), ((0, "slope"),)), entry=True, nodes=1)
    theta = parameters(data, 1, alpha=0.0)
    parts = [replace(data, causes=(cause,)) for cause in data.causes]
    first = slice(data.n_marker, data.n_marker + sum(data.causes[0].sizes))
    marker, value = theta[: data.n_marker], joint.loglik(data, theta)[0]
    one = joint.loglik(parts[0], np.concatenate([marker, theta[first]]))[0]
    two = joint.loglik(parts[1], np.concatenate([marker, theta[first.stop :]]))[0]
    alone = replace(
        data,
        causes=(
            replace(
                data.causes[0],
                event=np.zeros(20),
                weight=np.zeros(len(data.causes[0].weight)),
                links=(),
            ),
        ),
    )
    markers = joint.loglik(alone, theta[: first.stop - 1])[0]
    assert value == pytest.approx(one + two - markers, abs=1e-10)


@pytest.mark.parametrize("n", [5, 64, 71])
def test_patients_are_independent_and_their_order_does_not_matter(n):
    """Blocks that are not full, and patients with different numbers of points, included."""
    data, rows = simulate(6, n=n, censored=(0,))
    theta = parameters(data, 2)
    each = joint.log_survival_factors(data, theta)
    part = joint.within_patients(data, theta)
    of, beta, sigma = rows[0], theta[:3], np.exp(theta[3])
    exact = of.kind == 0
    at_zero = norm.logpdf(of.y[exact], of.X[exact] @ beta, sigma).sum()
    assert joint.loglik(data, theta)[0] == pytest.approx(part.sum() + at_zero, abs=1e-9)
    rng = np.random.default_rng(0)
    order, cause = rng.permutation(n), data.causes[0]
    # Points without weight change nothing: some patients get a few more.
    more = rng.integers(0, 4, n)
    take = [
        np.append(np.arange(cause.start[i], cause.start[i + 1]), np.full(more[i], cause.start[i]))
        for i in order
    ]
    points = np.concatenate(take)
    link = cause.links[0]
    moved = replace(
        cause,
        event=cause.event[order],
        covariates=cause.covariates[order],
        start=np.concatenate([[0], np.cumsum([len(t) for t in take])]),
        weight=cause.weight[points],
        basis=cause.basis[:, points],
        links=(
            replace(link, x=link.x[:, points], z=link.z[:, points], centre=link.centre[points]),
        ),
    )
    back = np.argsort(order)
    marker = joint.marker_data(of.X, of.y, of.Z, back[of.group], n, of.kind)
    shuffled = replace(data, causes=(moved,), markers=(marker,))
    assert joint.log_survival_factors(shuffled, theta) == pytest.approx(each[order], abs=1e-12)
    assert joint.loglik(shuffled, theta)[0] == pytest.approx(joint.loglik(data, theta)[0], abs=1e-9)
    mean, cov = joint.random_effects(data, theta)
    mean_s, cov_s = joint.random_effects(shuffled, theta)
    np.testing.assert_allclose(mean_s, mean[order], atol=1e-12)
    np.testing.assert_allclose(cov_s, cov[order], atol=1e-12)


@pytest.mark.parametrize("censored", [(), (0,)])
def test_random_effects_are_the_posterior_moments(censored):
    """Against a dense grid in b."""
    data, rows = simulate(12, qs=(1,), n=6, censored=censored)
    theta = parameters(data, 3, alpha=1.0)
    mean, cov = joint.random_effects(with_nodes(data, 41), theta)
    b = np.linspace(-6, 6, 20001)
    for i in range(5):
        log_p = log_joint(data, rows, theta, i, b[:, None]) + norm.logpdf(b, 0, np.exp(theta[4]))
        p = np.exp(log_p - log_p.max())
        p /= p.sum()
        assert mean[i, 0] == pytest.approx(p @ b, abs=1e-7)
        assert cov[i, 0, 0] == pytest.approx(p @ b**2 - (p @ b) ** 2, rel=1e-6)


def test_units_of_the_random_effects_do_not_matter():
    """Z times 1000 with tau over 1000 is the same model."""
    data, rows = simulate(8, censored=(0,))
    theta = parameters(data, 4)
    scale = np.array([1.0, 1000.0])
    of, cause = rows[0], data.causes[0]
    link = replace(cause.links[0], z=cause.links[0].z * scale[:, None])
    scaled = replace(
        data,
        markers=(joint.marker_data(of.X, of.y, of.Z * scale, of.group, 20, of.kind),),
        causes=(replace(cause, links=(link,)),),
    )
    moved = theta.copy()
    moved[4:6] -= np.log(scale)
    value, gradient = joint.loglik(data, theta)
    other, slope = joint.loglik(scaled, moved)
    assert other == pytest.approx(value, abs=1e-9)
    np.testing.assert_allclose(slope, gradient, rtol=1e-8, atol=1e-8)


def test_a_limit_far_above_is_no_information():
    """P(y < limit) is 1: the value counts for nothing; far below it still has a finite log."""
    data, rows = simulate(11, qs=(1,))
    theta, of = parameters(data, 7), rows[0]
    kind = (np.arange(len(of.y)) % 3 == 0).astype(int)

    def value(limit):
        y = np.where(kind == 1, limit, of.y)
        marker = joint.marker_data(of.X, y, of.Z, of.group, 20, kind)
        return joint.loglik(replace(data, markers=(marker,)), theta)[0]

    exact = kind == 0
    less = joint.marker_data(of.X[exact], of.y[exact], of.Z[exact], of.group[exact], 20)
    assert value(50.0) == pytest.approx(joint.loglik(replace(data, markers=(less,)), theta)[0])
    assert np.isfinite(value(-50.0))


def test_a_steep_hazard_far_from_the_start_is_found():
    """Newton's first steps overshoot here; the value is still the integral."""
    data, rows = simulate(9, qs=(1,))
    theta = parameters(data, 5)
    theta[-1], theta[4] = 6.0, np.log(2.0)
    value = joint.loglik(with_nodes(data, 31), theta)[0]
    expected = sum(brute_force(data, rows, theta, i, 400) for i in range(20))
    assert np.isfinite(value)
    assert value == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_where_newton_starts_does_not_matter(case):
    """From modes of other parameters, however far, and from where the hazard overflows."""
    data, _ = simulate(3, **CASES[case])
    theta = parameters(data, 1)
    value, gradient = joint.loglik(data, theta)
    patients = joint.within_patients(data, theta)
    far = joint.modes(data, parameters(data, 2, alpha=-1.5))
    assert np.abs(far - joint.modes(data, theta)).max() > 0.01
    for near in (far, far + 3.0, np.full_like(far, 1e4), np.full_like(far, -1e4)):
        again, slope = joint.loglik(data, theta, near)
        assert again == pytest.approx(value, abs=1e-8)
        assert slope == pytest.approx(gradient, abs=1e-6)
        assert joint.within_patients(data, theta, near) == pytest.approx(patients, abs=1e-8)


def test_overflow_is_not_a_number_to_trust():
    data, _ = simulate(10, qs=(1,))
    theta = parameters(data, 6)
    theta[-5:-3] = 1e4
    assert not np.isfinite(joint.loglik(data, theta)[0])


def test_the_exponential():
    x = np.concatenate([np.linspace(-700, 700, 20001), [0.0, -1e-300]])
    mine = np.array([exp(v) for v in x])
    np.testing.assert_allclose(mine, np.exp(x), rtol=5e-16)
    assert np.isnan(exp(np.nan))
    assert exp(-1e9) < 1e-300 and exp(1e9) > 1e300
