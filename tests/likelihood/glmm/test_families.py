"""Each family's log density and derivatives, row by row."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gammaln, log_expit, log_ndtr
from scipy.stats import norm
from scipy.stats import t as student_t

from longsurv.likelihood.arithmetic.normal_cdf import log_normal_cdf
from longsurv.likelihood.glmm import families
from longsurv.likelihood.glmm.student import student_constant

# Family, response, extent, parameters, and which two parameters the row depends on.
ROWS = [
    pytest.param(0, 1.0, 0, [], (), id="bernoulli-1"),
    pytest.param(0, 0.0, 0, [], (), id="bernoulli-0"),
    pytest.param(1, 0.0, 0, [-1.0, 0.3, -0.5], (), id="ordinal-lowest"),
    pytest.param(1, 2.0, 0, [-1.0, 0.3, -0.5], (), id="ordinal-middle"),
    pytest.param(1, 3.0, 0, [-1.0, 0.3, -0.5], (), id="ordinal-highest"),
    pytest.param(2, 0.4, 0, [-0.3], (0,), id="exact"),
    pytest.param(2, 0.4, -np.inf, [-0.3], (0,), id="left"),
    pytest.param(2, 0.4, np.inf, [-0.3], (0,), id="right"),
    pytest.param(2, 0.4, 0.9, [-0.3], (0,), id="interval"),
    pytest.param(2, 0.4, 0.02, [-0.3], (0,), id="interval-narrow"),
    pytest.param(2, -1.4, 8.0, [-0.3], (0,), id="interval-wide"),
    pytest.param(3, 0.4, 0, [-0.3, 0.2], (0, 1), id="student"),
    pytest.param(3, 0.4, 0, [-0.3, 0.001], (0, 1), id="student-nearly-normal"),
    pytest.param(4, 0.0, 0, [], (), id="poisson-0"),
    pytest.param(4, 3.0, 0, [], (), id="poisson-few"),
    pytest.param(4, 40.0, 0, [], (), id="poisson"),
    pytest.param(5, 0.0, 0, [0.4], (0,), id="nbinom2-0"),
    pytest.param(5, 3.0, 0, [0.4], (0,), id="nbinom2-few"),
    pytest.param(5, 40.0, 0, [0.4], (0,), id="nbinom2"),
    pytest.param(5, 40.0, 0, [7.0], (0,), id="nbinom2-wide"),
    pytest.param(5, 40.0, 0, [0.01], (0,), id="nbinom2-nearly-poisson"),
    pytest.param(6, 0.0, 0, [0.4], (0,), id="nbinom1-0"),
    pytest.param(6, 3.0, 0, [0.4], (0,), id="nbinom1-few"),
    pytest.param(6, 40.0, 0, [0.4], (0,), id="nbinom1"),
    pytest.param(6, 40.0, 0, [7.0], (0,), id="nbinom1-wide"),
    pytest.param(6, 40.0, 0, [0.05], (0,), id="nbinom1-nearly-poisson"),
]
ETAS = [-7.0, -1.3, 0.1, 0.9, 6.0]


def row(code: int, y: float, extent: float, eta: float, phi: list[float]) -> np.ndarray:
    par = families.constants(code, np.array(phi), 4 if code == families.ORDINAL else 0)
    return np.array(families.row(code, y, extent, eta, par))


def slope(f, x: float, h: float = 1e-4) -> np.ndarray:
    return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h)


@pytest.mark.parametrize("eta", ETAS)
@pytest.mark.parametrize(("code", "y", "extent", "phi", "own"), ROWS)
def test_derivatives(
    code: int, y: float, extent: float, phi: list[float], own: tuple[int, ...], eta: float
) -> None:
    _, l1, l2, w, w1, *rest = row(code, y, extent, eta, phi)
    in_eta = slope(lambda x: row(code, y, extent, x, phi), eta)
    np.testing.assert_allclose([l1, l2, w1], in_eta[[0, 1, 3]], rtol=1e-7, atol=1e-9)
    if code not in (families.STUDENT, families.NBINOM1):
        assert w == pytest.approx(-l2, rel=1e-14)
    assert w > 0
    for place, k in enumerate(own):

        def moved(x: float, k: int = k) -> np.ndarray:
            return row(code, y, extent, eta, [*phi[:k], x, *phi[k + 1 :]])

        in_phi = slope(moved, phi[k])
        np.testing.assert_allclose(
            rest[3 * place : 3 * place + 3], in_phi[[0, 1, 3]], rtol=1e-7, atol=1e-9
        )


@pytest.mark.parametrize("y", [0, 1, 2, 3])
def test_ordinal_probabilities_add_up_and_follow_their_cuts(y: int) -> None:
    phi = np.array([-1.0, 0.3, -0.5])
    cuts = np.cumsum(np.append(phi[0], np.exp(phi[1:])))
    par = families.constants(families.ORDINAL, phi, 4)
    total = sum(np.exp(families.row(1, float(k), 0, 0.7, par)[0]) for k in range(4))
    assert total == pytest.approx(1.0, rel=1e-14)

    def at(k: int, cut: float) -> np.ndarray:
        moved = cuts.copy()
        moved[k] = cut
        own = np.concatenate([moved[:1], np.log(np.diff(moved))])
        return np.array(families.row(1, float(y), 0, 0.7, families.constants(1, own, 4)))

    numbers = at(0, cuts[0])
    for place, k in ((5, y), (8, y - 1)):
        expected = slope(lambda c, k=k: at(k, c), cuts[k])[[0, 1, 3]] if 0 <= k < 3 else np.zeros(3)
        np.testing.assert_allclose(numbers[place : place + 3], expected, rtol=1e-7, atol=1e-9)


def test_a_category_squeezed_between_two_cuts_keeps_its_digits() -> None:
    phi = np.array([0.3, -40.0])
    par = families.constants(families.ORDINAL, phi, 3)
    # The width of the category times the logistic density.
    expected = -40.0 + log_expit(0.3 - 1.1) + log_expit(1.1 - 0.3)
    assert families.row(1, 1.0, 0, 1.1, par)[0] == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("r", [3.0, 1.0, -0.3, -4.99, -5.01, -20.0, -300.0, -1e5])
def test_normal_tail_and_its_derivatives(r: float) -> None:
    # T, the excess of a standard normal over x = -r given that there is one, has density
    # proportional to exp(-x t - t^2 / 2); m is x + E(T), m' is Var(T) - 1, m'' its third cumulant.
    x = -r
    node, weight = np.polynomial.legendre.leggauss(300)
    end = 12.0 + max(r, 0.0) if x < 4 else 50.0 / x
    t = 0.5 * end * (node + 1.0)
    density = weight * np.exp(-x * t - 0.5 * t**2)
    density /= density.sum()
    mean = density @ t
    variance, third = density @ (t - mean) ** 2, density @ (t - mean) ** 3
    expected = [log_ndtr(r), x + mean, variance - 1.0, third]
    np.testing.assert_allclose(log_normal_cdf(r), expected, rtol=1e-10)


@pytest.mark.parametrize("df", [0.7, 3.0, 19.0, 41.0, 1e3, 1e9])
def test_student_is_scipys(df: float) -> None:
    for y in (-30.0, 0.0, 0.5, 4.0):
        numbers = row(families.STUDENT, y, 0, 0.2, [np.log(1.3), 1.0 / df])
        expected = norm.logpdf(y, 0.2, 1.3) if df > 1e8 else student_t.logpdf(y, df, 0.2, 1.3)
        assert numbers[0] == pytest.approx(expected, rel=1e-6 if df > 1e8 else 1e-11)


def test_student_constant_changes_smoothly_where_its_expansion_takes_over() -> None:
    for kappa in (0.02, 0.025, 0.0250001, 0.3):
        change = slope(lambda k: np.array(student_constant(k)), kappa, 1e-4)[0]
        assert student_constant(kappa)[1] == pytest.approx(change, rel=1e-9)


def test_curvature_of_student_nodes_has_about_fishers_mean() -> None:
    rng = np.random.default_rng(3)
    nu = 4.0
    y = rng.standard_t(nu, size=20_000)
    par = families.constants(families.STUDENT, np.array([0.0, 1 / nu]), 0)
    w = np.mean([families.row(families.STUDENT, v, 0, 0.0, par)[3] for v in y])
    assert w == pytest.approx((nu + 2) / (nu + 3), rel=0.01)


@pytest.mark.parametrize("kappa", [1e-3, 0.1, 1.5, 30.0])
@pytest.mark.parametrize("y", [1.0, 18.0, 400.0])
@pytest.mark.parametrize("eta", [9.0, 25.0, 80.0])
def test_a_count_far_below_its_mean_keeps_its_digits(eta: float, y: float, kappa: float) -> None:
    """Where noise in place of the log density led the search for a patient's mode astray."""
    theta, mu = 1.0 / kappa, np.exp(eta)
    exact = gammaln(y + theta) - gammaln(theta) - gammaln(y + 1.0)
    exact -= theta * np.log1p(mu * kappa) + y * np.log1p(theta / mu)
    assert row(5, y, 0, eta, [kappa])[0] == pytest.approx(exact, rel=1e-12)
