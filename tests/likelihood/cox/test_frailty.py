"""Site effects in the partial likelihood, against the integral written out."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import gamma

from longsurv.inference.scoring import ascend
from longsurv.likelihood import cox
from longsurv.likelihood.cox.frailty import SITE_EFFECTS, SiteData, SitesPeak, effects_of
from longsurv.likelihood.cox.site_sums import _evaluate

SITES = 3


def rows(n=60, seed=4):
    rng = np.random.default_rng(seed)
    site = rng.integers(0, SITES, n)
    X = np.column_stack([rng.integers(0, 2, n), rng.normal(50.0, 9.0, n)]).astype(float)
    eta = np.array([-0.6, 0.1, 0.5])[site] - 0.5 * X[:, 0] + 0.03 * (X[:, 1] - 50.0)
    time = np.ceil(rng.exponential(12.0 * np.exp(-eta)))
    stop = np.minimum(time, rng.integers(5, 30, n))
    return X, site, stop, time <= stop


def data(ties="efron", n=60):
    X, site, stop, died = rows(n)
    both = np.hstack([X, np.eye(SITES)[site]])
    prepared = cox.prepare(both, stop, died, ties=ties)
    events = np.bincount(site, weights=died, minlength=SITES)
    return SiteData(prepared, X.shape[1], site[prepared.order], events)


def peak(sites, effects, s):
    start = np.zeros(sites.data.n_columns)
    top = ascend(lambda x: effects.penalised(sites, s, x), start, exact=True)
    assert top.converged
    return SitesPeak(s, top.x, top.value, -top.hessian)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("strata", [None, "other", "sites"])
@pytest.mark.parametrize("far", [0.0, 300.0])
def test_summed_by_site_is_the_information_of_all_columns(ties, late, strata, far):
    """Also where a stratum is a site, and where hazards are e^300 apart."""
    X, site, stop, died = rows(200)
    rng = np.random.default_rng(1)
    entry = np.where(rng.random(200) < 0.5, rng.integers(0, 6, 200), 0) * late
    X, site, stop, died, entry = (z[stop > entry] for z in (X, site, stop, died, entry))
    both = np.hstack([X, np.eye(SITES)[site]])
    weight = rng.integers(1, 4, len(site)).astype(float)
    stratum = {None: None, "other": X[:, 0], "sites": site}[strata]
    prepared = cox.prepare(both, stop, died, entry=entry, weights=weight, strata=stratum, ties=ties)
    sites = SiteData(prepared, 2, site[prepared.order], np.ones(SITES))
    x = np.array([-0.4, 0.02, 0.3, far, 0.1])
    dense = cox.value_gradient_information(prepared, x)
    for mine, whole in zip(sites.value_gradient_information(x), dense, strict=True):
        np.testing.assert_allclose(mine, whole, rtol=1e-10, atol=1e-10 * np.abs(whole).max())
    if not late:  # otherwise it is the information of all columns
        assert _evaluate(prepared.arrays, x, sites.site, 2)[0] == (far == 0.0)


@pytest.mark.parametrize("kind", SITE_EFFECTS)
def test_gradient_and_information_are_the_derivatives(kind):
    sites, effects = data(), SITE_EFFECTS[kind]
    x = np.array([-0.4, 0.02, 0.3, -0.2, 0.1])
    _, gradient, information = effects.penalised(sites, 0.7, x)
    steps = 1e-5 * np.eye(len(x))
    ahead, behind = ([effects.penalised(sites, 0.7, x + k * h) for h in steps] for k in (1, -1))
    slopes = [(a[0] - b[0]) / 2e-5 for a, b in zip(ahead, behind, strict=True)]
    bends = [-(a[1] - b[1]) / 2e-5 for a, b in zip(ahead, behind, strict=True)]
    assert gradient == pytest.approx(np.array(slopes), rel=1e-6, abs=1e-6)
    assert information == pytest.approx(np.array(bends), rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("kind", SITE_EFFECTS)
def test_the_slope_is_that_of_the_integrated_likelihood(kind, ties):
    sites, effects = data(ties), SITE_EFFECTS[kind]
    for s in (0.2, 0.6, 1.4):
        h = 1e-4 * s
        ahead, behind = (
            effects.integrated(sites, peak(sites, effects, s + k * h)) for k in (1, -1)
        )
        slope = effects.slope(sites, peak(sites, effects, s))
        assert slope == pytest.approx((ahead - behind) / (2.0 * h), rel=1e-5, abs=1e-6)


def by_quadrature(sites, top):
    """Log of the partial likelihood with normal effects integrated out, by the trapezoidal rule
    in three dimensions around the top."""
    own = top.information[sites.p :, sites.p :]
    root = np.linalg.inv(np.linalg.cholesky(own)).T
    grid = 0.7 * np.arange(-9, 10)
    values = []
    for place in product(grid, repeat=SITES):
        b = top.x[sites.p :] + root @ np.array(place)
        law = -0.5 * (b @ b) / top.s**2 - SITES * np.log(top.s * np.sqrt(2.0 * np.pi))
        values.append(cox.loglik(sites.data, np.r_[top.x[: sites.p], b]) + law)
    return np.logaddexp.reduce(values) + 3.0 * np.log(0.7) + np.log(np.linalg.det(root))


@pytest.mark.parametrize(("s", "largest"), [(0.3, 0.004), (0.8, 0.014)])
def test_laplace_is_close_to_the_integral(s, largest):
    """Off by 0.0039 and 0.0136 with a dozen events a site, by 0.0014 and 0.0017 with ten times as
    many. The approximation is coxme's."""
    errors = []
    for n in (60, 600):
        sites, effects = data(n=n), SITE_EFFECTS["gaussian"]
        top = peak(sites, effects, s)
        errors.append(abs(effects.integrated(sites, top) - by_quadrature(sites, top)))
    assert 0.0 < errors[0] < largest
    assert errors[1] < 0.5 * errors[0]


def test_gamma_effects_are_integrated_out_exactly():
    """With Breslow's ties: the full likelihood, its baseline hazard maximised, by quadrature."""
    X, site, stop, died = rows()
    sites, effects, s = data("breslow"), SITE_EFFECTS["gamma"], 0.6
    top = peak(sites, effects, s)
    beta, b, nu = top.x[:2], top.x[2:], s**-2

    def full(beta, factors):
        """Log-likelihood by site with the jumps of the hazard that belong to beta and b."""
        risk = np.exp(X @ beta)
        times = np.unique(stop[died])
        weighted = risk * np.exp(b[site])
        jumps = [((stop == t) & died).sum() / weighted[stop >= t].sum() for t in times]
        H = np.array([np.sum(np.array(jumps)[times <= t]) for t in stop]) * risk
        h = np.log(np.array(jumps)[np.searchsorted(times, stop[died])]) + (X @ beta)[died]
        out = np.zeros((SITES, len(factors)))
        for j in range(SITES):
            d = int(died[site == j].sum())
            out[j] = d * np.log(factors) - factors * H[site == j].sum()
        return out, float(h.sum())

    grid = np.linspace(1e-4, 12.0, 40001)
    terms, log_h = full(beta, grid)
    density = gamma(nu, scale=1.0 / nu).pdf(grid)
    step = grid[1] - grid[0]
    exact = log_h + sum(np.log((np.exp(t) * density).sum() * step) for t in terms)
    plain = sum(
        m * np.log(m) - m for m in (((stop == t) & died).sum() for t in np.unique(stop[died]))
    )
    assert effects.integrated(sites, top) == pytest.approx(exact - plain, abs=1e-5)


@pytest.mark.parametrize("kind", SITE_EFFECTS)
@pytest.mark.parametrize("s", [0.2, 0.7, 1.5])
def test_survival_is_averaged_over_the_distribution(kind, s):
    effects, H = SITE_EFFECTS[kind], np.array([0.0, 0.01, 0.5, 2.0, 9.0])
    if kind == "gaussian":
        z = np.linspace(-9, 9, 20001)
        factor, weight = np.exp(s * z), np.exp(-0.5 * z * z)
    else:
        law = gamma(s**-2, scale=s**2)
        factor = law.ppf((np.arange(200_000) + 0.5) / 200_000)
        weight = np.ones_like(factor)
    weight = weight / weight.sum()
    S, slope = effects.survival(H, s)
    assert pytest.approx(np.exp(-H[:, None] * factor) @ weight, abs=2e-5) == S
    assert slope == pytest.approx((factor * np.exp(-H[:, None] * factor)) @ weight, abs=2e-4)


@pytest.mark.parametrize("kind", SITE_EFFECTS)
@pytest.mark.parametrize("s", [1e-6, 0.2, 1.5])
def test_who_is_left_is_known_where_hardly_anybody_is(kind, s):
    """The logarithm of survival and its slope, also where survival itself is 0 to a computer."""
    effects, H = SITE_EFFECTS[kind], np.array([0.0, 0.5, 40.0, 3000.0, 1e8])
    log, factor = effects.left(H, s)
    S, slope = effects.survival(H, s)
    assert np.exp(log) == pytest.approx(S)
    assert slope == pytest.approx(S * factor)
    h = 1e-5 * np.maximum(H, 1.0)
    rise = (effects.left(H + h, s)[0] - effects.left(H - h, s)[0]) / (2.0 * h)
    assert -rise == pytest.approx(factor, rel=1e-4)
    assert (np.diff(factor) < 1e-9).all()
    if s < 1e-3:
        assert log[:4] == pytest.approx(-H[:4], rel=1e-7)
    far = effects.left(np.array([1e300, np.inf]), s)
    assert not np.isnan(far).any()


def test_effects_come_from_draws_in_units_of_their_spread():
    theta = np.array([[0.5, -0.1, np.log(0.3), 1.0, -2.0, 0.5]])
    found = effects_of(data(), theta)
    assert found == pytest.approx(np.array([[0.5, -0.1, 0.3, -0.6, 0.15]]))
