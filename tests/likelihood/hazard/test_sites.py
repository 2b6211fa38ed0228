"""Site effects in the hazard model's likelihood, against the integral written out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaln
from scipy.stats import gamma, kstest

from longsurv.design import survival_design
from longsurv.design.hazard import hazard_design
from longsurv.likelihood import hazard as hz
from longsurv.likelihood.cox.frailty import SITE_EFFECTS
from longsurv.likelihood.hazard.sites import SiteHazards

SITES = 3
BASELINES = {"exponential": (), "weibull": ("x",), "mspline": ()}
SMOOTHING = 0.8


def prepared(baseline, effects):
    """40 rows at three sites with entry times, whole weights and an offset."""
    rng = np.random.default_rng(3)
    n = 40
    exit_ = rng.uniform(0.5, 9.0, n).round(2)
    rows = pd.DataFrame(
        {
            "x": rng.integers(0, 2, n).astype(float), "z": rng.normal(size=n).round(2),
            "entry": np.where(np.arange(n) % 3 == 0, 0.0, (0.4 * exit_).round(2)),
            "exit": exit_, "event": rng.integers(0, 2, n), "w": rng.integers(1, 4, n),
            "known": rng.normal(size=n).round(2),
        }
    )  # fmt: skip
    survival = survival_design(
        "Surv(entry, exit, event) ~ x + z + offset(known)", rows, weights="w"
    )
    knots = (2.0, 5.0) if baseline == "mspline" else None
    design = hazard_design(survival, baseline, knots=knots, time_varying=BASELINES[baseline])
    site = rng.integers(0, SITES, n)
    events = np.bincount(site, weights=rows["w"] * rows["event"], minlength=SITES)
    return design, SiteHazards(design.data, site, events, SITE_EFFECTS[effects])


def log_density(kind, b, s):
    """Of the effect on the log hazard."""
    if kind == "gaussian":
        return -0.5 * (b / s) ** 2 - np.log(s * np.sqrt(2.0 * np.pi))
    nu = s**-2
    return nu * (b - np.exp(b)) + nu * np.log(nu) - gammaln(nu)


def by_quadrature(sites, natural, s):
    """The log-likelihood of rows, the effect of each site put in as an offset and summed over."""
    b = np.linspace(-14.0, 9.0, 9001)
    draws = np.repeat(natural[None, :], len(b), axis=0)
    rows = sites.logliks(draws, np.repeat(b[:, None], SITES, axis=1))
    total = 0.0
    for j in range(SITES):
        own = rows[:, sites.site == j].sum(axis=1) + log_density(sites.effects.kind, b, s)
        total += np.logaddexp.reduce(own) + np.log(b[1] - b[0])
    return total


@pytest.mark.parametrize("kind", SITE_EFFECTS)
@pytest.mark.parametrize("baseline", BASELINES)
def test_the_likelihood_is_the_integral(baseline, kind, numeric_gradient):
    """The value, the gradient by parameters and log s, and the information of all of them."""
    design, sites = prepared(baseline, kind)
    rng = np.random.default_rng(5)
    smoothing = SMOOTHING if baseline == "mspline" else 0.0
    for s in (0.2, 0.7, 1.6):
        theta = 0.4 * rng.normal(size=len(design.names) + design.baseline.size)
        value, gradient, by_log_s = sites.value_and_gradient(theta, s, smoothing)
        natural = hz.natural(design.data, theta[None, :], smoothing)[0]
        assert value == pytest.approx(by_quadrature(sites, natural, s), rel=1e-10)

        def at(x, k=0):
            return sites.value_and_gradient(x[:-1], np.exp(x[-1]), smoothing)[k]

        slope = numeric_gradient(at, np.append(theta, np.log(s)))
        np.testing.assert_allclose(gradient, slope[:-1], rtol=1e-6, atol=1e-6)
        assert by_log_s == pytest.approx(slope[-1], rel=1e-6, abs=1e-6)

        objective = sites.value_gradient_information(theta, s, smoothing)
        penalty = 0.5 * theta[3:] @ theta[3:] if baseline == "mspline" else 0.0
        assert objective[0] == pytest.approx(value - penalty, rel=1e-11)
        both, information = sites.with_spread(theta, s, smoothing)
        assert both[-1] == pytest.approx(by_log_s / s)
        np.testing.assert_array_equal(information[:-1, :-1], objective[2])
        for j in range(len(both)):
            bend = numeric_gradient(
                lambda v, j=j: sites.with_spread(v[:-1], v[-1], smoothing)[0][j],
                np.append(theta, s),
            )
            np.testing.assert_allclose(-information[j], bend, rtol=2e-6, atol=2e-6)


HARD = [
    (D, H, s) for D in (0.0, 1.0, 7.0, 150.0) for H in (1e-6, 0.3, 5.0, 160.0, 2000.0)
    for s in (1e-4, 0.1, 0.6, 2.0, 6.4)
]  # fmt: skip


@pytest.mark.parametrize("kind", SITE_EFFECTS)
def test_the_integral_of_a_site_is_right_everywhere(kind):
    """No events or many, effects that hardly differ or by factors of a thousand."""
    effects = SITE_EFFECTS[kind]
    for D, H, s in HARD:
        found = effects.of_sites(np.array([D]), np.array([H]), s).value.item()
        if kind == "gamma":
            nu = s**-2
            # a power of the data's own mean: no difference of nearly equal logarithms of gamma
            ratio = np.log1p(np.arange(int(D)) / nu).sum()
            exact = ratio - (nu + D) * np.log1p(H / nu)
        else:
            z = np.linspace(-45.0, 45.0, 100_001)
            log = D * s * z - H * np.exp(s * z) - 0.5 * z * z
            exact = np.logaddexp.reduce(log) + np.log((z[1] - z[0]) / np.sqrt(2.0 * np.pi))
        assert found == pytest.approx(exact, rel=1e-9, abs=1e-9)


FAR = [
    (D, H, s) for D in (0.0, 1.0, 40.0) for H in (1e-200, 1e-20, 1e20, 1e100, 1e300)
    for s in (1e-6, 1e-3, 0.3, 6.4, 50.0) if D * s * s < 500.0
]  # fmt: skip


@pytest.mark.parametrize("kind", SITE_EFFECTS)
def test_a_climb_far_from_the_data_ends_and_knows_where_it_is(kind):
    """Hazards that a climb or a chain may try: the integral is finite, with the slope of its own
    differences; and there is none of a hazard that rounding has made negative."""
    effects, h = SITE_EFFECTS[kind], 1e-4
    for D, H, s in FAR:
        events = np.full(3, D)
        found = effects.of_sites(events, H * np.exp([-h, 0.0, h]), s)
        assert np.isfinite(found.value).all(), (D, H, s)
        rise = (found.value[2] - found.value[0]) / (2.0 * h)
        slope = -found.factor[1] * H
        assert rise == pytest.approx(slope, rel=1e-4, abs=1e-11 * abs(found.value[1]) / h + 1e-9)
    for H in (-1e-9, -5.0, np.inf, np.nan):
        assert np.isnan(effects.of_sites(np.array([2.0]), np.array([H]), 0.7).value).all()


@pytest.mark.parametrize("kind", SITE_EFFECTS)
def test_predictions_of_effects_are_those_of_their_distribution(kind):
    effects, b = SITE_EFFECTS[kind], np.linspace(-25.0, 9.0, 200_001)
    for D, H, s in ((0.0, 2.0, 0.9), (5.0, 3.0, 0.4), (40.0, 90.0, 1.3)):

        def mean(H, s, D=D):
            log = D * b - H * np.exp(b) + log_density(kind, b, s)
            p = np.exp(log - log.max())
            p /= p.sum()
            return p @ b, p @ b**2 - (p @ b) ** 2

        found = effects.predicted(np.array([D]), np.array([H]), s)
        centre, spread = mean(H, s)
        assert found.mean.item() == pytest.approx(centre, abs=1e-9)
        assert found.variance.item() == pytest.approx(spread, rel=1e-8)
        h = 1e-5
        by_H = (mean(H + h, s)[0] - mean(H - h, s)[0]) / (2.0 * h)
        by_s = (mean(H, s * np.exp(h))[0] - mean(H, s * np.exp(-h))[0]) / (2.0 * h)
        assert found.by_H.item() == pytest.approx(by_H, rel=1e-6, abs=1e-9)
        assert found.by_s.item() == pytest.approx(by_s, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("kind", SITE_EFFECTS)
def test_drawn_effects_have_their_distribution(kind):
    effects, (D, H, s) = SITE_EFFECTS[kind], (3.0, 4.0, 0.8)
    n = 4000
    rng = np.random.default_rng(1)
    b = effects.drawn(np.array([D]), np.full((n, 1), H), np.full(n, s), rng)[:, 0]
    if kind == "gamma":
        assert kstest(np.exp(b), gamma(D + s**-2, scale=1.0 / (H + s**-2)).cdf).pvalue > 0.01
    grid = np.linspace(-12.0, 5.0, 100_001)
    log = D * grid - H * np.exp(grid) + log_density(kind, grid, s)
    p = np.exp(log - log.max())
    cdf = np.cumsum(p) / p.sum()
    assert kstest(b, lambda x: np.interp(x, grid, cdf)).pvalue > 0.01


def test_a_spread_beyond_all_bounds_has_no_likelihood():
    sites = prepared("exponential", "gaussian")[1]
    value, gradient, _ = sites.value_and_gradient(np.zeros(3), 1e6)
    assert value == -np.inf and not gradient.any()
