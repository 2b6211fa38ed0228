"""The kernel of patients at several sites against dense integration over sites and patients."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.special import expit, log_expit, log_ndtr, logsumexp
from scipy.stats import multivariate_normal, nbinom, norm, poisson
from scipy.stats import t as student_t

from longsurv.design.quadrature import normal_grid
from longsurv.likelihood import glmm
from longsurv.likelihood.glmm import crossed, crossed_given

FAMILIES = [
    "bernoulli", "ordinal", "censored", "student", "poisson", "negative_binomial", "nbinom1",
]  # fmt: skip
COUNTED = FAMILIES[-3:]
PATIENTS, SITES = 9, 3
CUTS = np.array([-1.0, 0.4])


def simulate(family: str) -> dict[str, np.ndarray]:
    """Nine patients, some at one site and some at three; rows shuffled."""
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(PATIENTS), rng.integers(1, 6, PATIENTS))
    n = len(group)
    place, t = rng.integers(0, SITES, n), rng.uniform(-1, 1, n)
    own, of_sites = rng.normal(0, 0.7, PATIENTS), rng.normal(0, 0.8, SITES)
    eta = 0.3 + 0.5 * t + own[group] + of_sites[place]
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
    Z = np.column_stack([np.ones(n), t])
    rows = {"y": y, "extent": extent, "X": X, "Z": Z, "group": group, "place": place}
    order = rng.permutation(n)
    return {name: values[order] for name, values in rows.items()}


def data_of(family: str, q: int = 1, nodes: int = 35) -> glmm.GLMMData:
    rows, grid = simulate(family), normal_grid(nodes, q)
    Z = np.column_stack([rows["Z"][:, :q], np.ones(len(rows["y"]))])
    return glmm.prepare(
        family, rows["y"], rows["X"], Z, rows["group"], PATIENTS, nodes=grid.nodes[grid.index],
        log_weights=grid.log_weight, blocks=(q, 1), extent=rows["extent"], place=rows["place"],
    )  # fmt: skip


def point(data: glmm.GLMMData, s: float) -> np.ndarray:
    """A vector of `loglik` with this standard deviation between sites."""
    theta = np.zeros(len(data.free_unconstrained))
    theta[: data.p] = [0.3, 0.4][-data.p :]
    own = {"ordinal": [-0.8, 0.2], "student": [-0.5, np.log(4.0)], "censored": [-0.5]}
    theta[data.p :][: data.n_family] = own.get(data.family.name, [0.5, 0.5])[: data.n_family]
    sds = [*[np.log(0.7), np.log(0.4)][: data.q_own], np.log(s)]
    theta[data.p + data.n_family :][: data.q] = sds
    theta[data.p + data.n_family + data.q :] = 0.3
    return theta


def log_density(data: glmm.GLMMData, theta: np.ndarray, row: int, eta: np.ndarray) -> np.ndarray:
    """Log density of a row at predictors of any shape."""
    phi, y, extent = theta[data.p :], data.y[row], data.extent[row]
    name = data.family.name
    if name == "bernoulli":
        return log_expit(eta if y == 1 else -eta)
    if name == "ordinal":
        cuts = np.array([-np.inf, phi[0], phi[0] + np.exp(phi[1]), np.inf])
        return np.log(expit(cuts[int(y) + 1] - eta) - expit(cuts[int(y)] - eta))
    if name == "student":
        return student_t.logpdf(y, np.exp(phi[1]), eta, np.exp(phi[0]))
    if name == "censored":
        r = (y - eta) / np.exp(phi[0])
        beyond = log_ndtr(r if extent < 0 else -r)
        return norm.logpdf(y, eta, np.exp(phi[0])) if extent == 0 else beyond
    mu = np.exp(eta)
    if name == "poisson":
        return poisson.logpmf(y, mu)
    size = np.exp(phi[0]) if name == "negative_binomial" else mu / np.exp(phi[0])
    return nbinom.logpmf(y, size, size / (size + mu))


GRID, OWN = np.arange(-6.4, 6.41, 0.4), np.arange(-7.0, 7.01, 0.25)


def at_sites(data: glmm.GLMMData, theta: np.ndarray) -> np.ndarray:
    """Log density of the data, (K,), at all combinations of values of the sites' effects on a grid,
    with random intercepts of patients summed over; of the sites' too."""
    at = data.p + data.n_family
    tau, s = np.exp(theta[at : at + 2])
    cells = np.array(list(product(range(len(GRID)), repeat=SITES)))
    total = norm.logpdf(GRID)[cells].sum(axis=1) + SITES * np.log(GRID[1] - GRID[0])
    weight = norm.logpdf(OWN)[:, None] + np.log(OWN[1] - OWN[0])
    fixed = data.X @ theta[: data.p]
    for i in range(PATIENTS):
        own = np.zeros((len(OWN), len(cells)))
        for j in range(data.first[i], data.first[i + 1]):
            eta = fixed[j] + tau * OWN[:, None] + s * GRID
            own += log_density(data, theta, j, eta)[:, cells[:, data.place[j]]]
        total += logsumexp(own + weight, axis=0)
    return total


LEFT_OUT = {0.2: 0.005, 0.8: 0.05}
"""What Laplace's approximation leaves out here at most, by the spread of the sites."""


@pytest.mark.parametrize("s", LEFT_OUT)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_value_is_laplaces_and_what_it_leaves_out_is_known(family: str, s: float) -> None:
    data = data_of(family)
    theta = point(data, s)
    value, exact = glmm.loglik(data, theta)[0], logsumexp(at_sites(data, theta))
    assert 0.0 < exact - value < LEFT_OUT[s]
    at = glmm.to_factor(data, theta)
    assert glmm.loglik_factor(data, at)[0] == pytest.approx(value, abs=1e-9)
    found = crossed_given.correction(data, at, 600)
    assert found is not None and found.error < 0.25 * (exact - value)
    assert found.value == pytest.approx(exact - value, abs=4 * found.error)


@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
def test_the_gradient_of_what_is_not_approximated(family: str) -> None:
    data = data_of(family)
    theta = glmm.to_factor(data, point(data, 0.8))
    found = crossed_given.correction(data, theta, 4000)
    assert found is not None

    def exact(at: np.ndarray) -> float:
        free = at.copy()
        free[-2:] = np.log(at[-2:])
        return float(logsumexp(at_sites(data, free)))

    h = 1e-4
    slopes = [(exact(theta + h * e) - exact(theta - h * e)) / (2 * h) for e in np.eye(len(theta))]
    np.testing.assert_allclose(found.gradient, slopes, atol=0.02)


@pytest.mark.parametrize("nodes", [1, 5])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_gradient_is_that_of_the_value(family: str, nodes: int) -> None:
    data = data_of(family, 2, nodes)
    theta = point(data, 0.8)
    # One node of a family that is not log-concave: differences of differences.
    close = 3e-5 if family == "nbinom1" else 2e-6
    for density, at in (
        (glmm.loglik, theta),
        (glmm.loglik_factor, glmm.to_factor(data, theta)),
    ):
        gradient, h = density(data, at)[1], 1e-4
        for j, e in enumerate(np.eye(len(at))):
            slope = (density(data, at + h * e)[0] - density(data, at - h * e)[0]) / (2 * h)
            assert gradient[j] == pytest.approx(slope, abs=close)


def test_normal_measurements_have_no_approximation() -> None:
    """Against the density of all measurements at once."""
    data = replace(data_of("censored"), extent=np.zeros(len(data_of("censored").y)))
    theta = point(data, 0.8)
    sigma, tau, s = np.exp(theta[data.p :])
    group = np.repeat(np.arange(PATIENTS), np.diff(data.first))
    V = sigma**2 * np.eye(len(group)) + tau**2 * (group[:, None] == group)
    V += s**2 * (data.place[:, None] == data.place)
    exact = multivariate_normal.logpdf(data.y, data.X @ theta[: data.p], V)
    assert glmm.loglik(data, theta)[0] == pytest.approx(exact, abs=1e-9)
    found = crossed_given.correction(data, glmm.to_factor(data, theta))
    assert found is not None and abs(found.value) < 1e-9 and found.error < 1e-9
    # Given the data the effects of sites are normal, with these means and variances.
    Z = data.place[:, None] == np.arange(SITES)
    gain = s**2 * Z.T @ np.linalg.inv(V)
    points = crossed_given.given_data(data, glmm.to_factor(data, theta))
    mean, variance = points.moments()
    np.testing.assert_allclose(mean, gain @ (data.y - data.X @ theta[: data.p]), atol=1e-9)
    np.testing.assert_allclose(variance, s**2 - np.diag(gain @ Z) * s**2, atol=1e-8)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_density_with_effects_of_sites(family: str) -> None:
    """At values of these on the grid, and its gradient."""
    data = data_of(family)
    theta, z = point(data, 0.8), GRID[[18, 13, 20]]
    cells = list(product(range(len(GRID)), repeat=SITES))
    k, zero = cells.index((18, 13, 20)), cells.index((16, 16, 16))
    dense = at_sites(data, theta)
    here, nowhere = (glmm.loglik_with_effects(data, theta, at)[0] for at in (z, np.zeros(SITES)))
    close = 2e-6 if family in ("student", "nbinom1") else 1e-7
    assert here - nowhere == pytest.approx(dense[k] - dense[zero], abs=close)
    data = data_of(family, q=2, nodes=5)
    theta = point(data, 0.8)
    d, w = len(theta), np.concatenate([theta, z])
    _, gradient, by_effects = glmm.loglik_with_effects(data, theta, z)

    def value(w: np.ndarray) -> float:
        return glmm.loglik_with_effects(data, w[:d], w[d:])[0]

    numeric = [(value(w + e) - value(w - e)) / 2e-5 for e in 1e-5 * np.eye(len(w))]
    np.testing.assert_allclose(
        np.concatenate([gradient, by_effects]), numeric, rtol=1e-4, atol=2e-5
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_without_a_variance_between_sites_patients_are_by_themselves(family: str) -> None:
    data = data_of(family)
    theta = glmm.to_factor(data, point(data, 1.0))
    theta[-1] = 0.0
    alone = glmm.loglik_factor(data.given_sites(np.zeros(SITES)), theta[:-1])
    value, gradient = glmm.loglik_factor(data, theta)
    assert value == pytest.approx(alone[0], abs=1e-9)
    np.testing.assert_allclose(gradient, np.append(alone[1], 0.0), atol=1e-8)
    theta[-1] = 1e-4  # and nearby it is about that
    assert glmm.loglik_factor(data, theta)[0] == pytest.approx(alone[0], abs=1e-5)


def test_the_order_of_rows_and_names_of_sites_make_no_difference() -> None:
    data = data_of("ordinal")
    theta = point(data, 0.8)
    value, gradient = glmm.loglik(data, theta)
    renamed = replace(data, place=np.array([2, 0, 1])[data.place])
    assert glmm.loglik(renamed, theta)[0] == pytest.approx(value, abs=1e-10)
    np.testing.assert_allclose(glmm.loglik(renamed, theta)[1], gradient, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_makes_no_difference_where_the_walk_has_been(family: str) -> None:
    """From the place before, from one where sites were alike, from one without a value: the value
    and the gradient are those that a search from nothing finds."""
    data, trail = data_of(family, nodes=7), glmm.Trail()
    rng = np.random.default_rng(3)
    for s in (0.9, 1.1, 0.0, 0.4, 3.0):
        theta = glmm.to_factor(data, point(data, max(s, 1e-3)))
        theta[-1] = s
        theta[: data.p] += 0.3 * rng.normal(size=data.p)
        value, gradient = glmm.loglik_factor(data, theta)
        walked, slope = glmm.loglik_factor(data, theta, trail)
        assert walked == pytest.approx(value, rel=1e-10)
        assert slope == pytest.approx(gradient, rel=1e-6, abs=1e-6)
        lost = theta.copy()
        lost[0] = 1e4
        glmm.loglik_factor(data, lost, trail)


def test_sites_that_no_patient_crosses_are_as_nested_ones() -> None:
    """But for the approximation: of normal measurements with limits it leaves little out."""
    data = data_of("censored")
    home = np.arange(PATIENTS) % SITES
    nested = replace(data, place=None, site=home)
    both = replace(data, place=np.repeat(home, np.diff(data.first)))
    theta = point(data, 0.8)
    exact, found = glmm.loglik(nested, theta)[0], glmm.loglik(both, theta)[0]
    at = glmm.to_factor(both, theta)
    missing = crossed_given.correction(both, at, 2000)
    assert missing is not None
    assert exact - found == pytest.approx(missing.value, abs=4 * missing.error)
    assert abs(exact - found) < 0.02


@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
def test_effects_of_sites_given_the_data(family: str) -> None:
    data = data_of(family)
    theta = point(data, 0.8)
    dense = at_sites(data, theta)
    share = np.exp(dense - logsumexp(dense))
    b = 0.8 * GRID[np.array(list(product(range(len(GRID)), repeat=SITES)))]
    mean = share @ b
    spread = np.sqrt(share @ (b - mean) ** 2)
    at = glmm.to_factor(data, theta)
    found, variance = crossed_given.given_data(data, at, 3000).moments()
    np.testing.assert_allclose(found, mean, atol=0.02 * spread.max())
    np.testing.assert_allclose(np.sqrt(variance), spread, rtol=0.04)
    rng = np.random.default_rng(1)
    drawn = np.array([crossed_given.one_drawn(data, at, rng) for _ in range(300)])
    assert (np.abs(drawn.mean(axis=0) - mean) < 4.5 * spread / np.sqrt(300)).all()
    np.testing.assert_allclose(drawn.std(axis=0), spread, rtol=0.2)


@pytest.mark.parametrize("sites", [1, 3, 40])
def test_points_have_the_moments_of_a_standard_normal_vector(sites: int) -> None:
    x = crossed_given.directions(128, sites, np.random.default_rng(4))
    assert len(x) >= 128 and x.shape[1] == sites
    np.testing.assert_allclose(x.mean(axis=0), 0.0, atol=1e-14)
    np.testing.assert_allclose(x.T @ x / len(x), np.eye(sites), atol=1e-12)


def test_a_top_that_is_not_reached_has_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    data = data_of("poisson")
    monkeypatch.setattr(crossed, "MOST_STEPS", 1)
    assert glmm.loglik(data, point(data, 1.5))[0] == -np.inf
