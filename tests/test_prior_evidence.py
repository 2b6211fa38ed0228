"""Priors from published trials and from earlier patients, against brute force and RBesT."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import longsurv as ls
from longsurv import priors as pr
from longsurv.analyses import commensurate_prior, power_prior
from longsurv.errors import DataError, EstimationError, LongsurvError
from longsurv.models import CoxPH
from longsurv.priors.trials import (
    conditional_trial,
    likelihood_trial,
    normal_trial,
    random_effects,
)

TAILS = np.array([0.025, 0.5, 0.975])
# The two examples of RBesT's manual: mean change of the CDAI in six placebo arms with SD 88, and
# responders in eight; public counts, cited there from Hueber (2012) and Baeten (2013).
CROHN = pd.DataFrame(
    {"n": [74, 166, 328, 20, 25, 58], "y": [-51.0, -49.0, -36.0, -47.0, -90.0, -54.0]}
)
AS = pd.DataFrame({"n": [107, 44, 51, 39, 139, 20, 78, 35], "r": [23, 12, 19, 9, 39, 6, 9, 10]})
TRIALS = pd.DataFrame(
    {
        "source": ["made up for this test"] * 3,
        "events": [3, 10, 0],
        "patients": [20, 60, 15],
        "reference_events": [6, 12, 2],
        "reference_patients": [21, 58, 15],
    }
)


def crohn():
    trials = [
        normal_trial(y, 88.0 / math.sqrt(n)) for y, n in zip(CROHN["y"], CROHN["n"], strict=True)
    ]
    return random_effects(trials, pr.Normal(0.0, 88.0), pr.HalfNormal(44.0))


def test_crohn_is_brute_force():
    """mu integrated out by hand given tau, tau by adaptive quadrature."""
    y, v = CROHN["y"].to_numpy(), 88.0**2 / CROHN["n"].to_numpy()

    def given(tau):
        w = 1.0 / (v + tau**2)
        precision = w.sum() + 88.0**-2
        mean = (w @ y) / precision
        log = 0.5 * np.log(w).sum() - 0.5 * math.log(precision)
        log -= 0.5 * (w @ y**2 - precision * mean**2)
        return math.exp(log + 50.0) * stats.halfnorm(scale=44.0).pdf(tau), mean, 1.0 / precision

    def expected(f):
        return integrate.quad(lambda t: given(t)[0] * f(t), 0.0, 400.0, limit=400)[0] / total

    total = integrate.quad(lambda t: given(t)[0], 0.0, 400.0, limit=400)[0]
    found = crohn()
    assert found.moments_of_spread()[0] == pytest.approx(expected(lambda t: t), rel=1e-5)
    points = found.points()
    for p, q in zip(TAILS, np.quantile(points, TAILS), strict=True):
        below = expected(
            lambda t, q=q: stats.norm.cdf(q, given(t)[1], math.sqrt(given(t)[2] + t**2))
        )
        assert below == pytest.approx(p, abs=5e-4)
    middle = found.quantiles_of_average(TAILS)
    for p, q in zip(TAILS, middle, strict=True):
        below = expected(lambda t, q=q: stats.norm.cdf(q, given(t)[1], math.sqrt(given(t)[2])))
        assert below == pytest.approx(p, abs=1e-3)


def test_crohn_is_rbest_s():
    """RBesT's page on its figures prints, from a short chain: tau 14.0 (9.44), median 12.1; MAP
    prior -50.3 (19.1), -90.8 to -14.3. Its error is that of some hundred independent draws."""
    found = crohn()
    mean, sd = found.moments_of_spread()
    assert (mean, sd) == pytest.approx((14.0, 9.44), abs=1.2)
    points = found.points()
    assert points.mean() == pytest.approx(-50.3, abs=1.2)
    assert points.std() == pytest.approx(19.1, abs=1.5)
    assert np.quantile(points, TAILS) == pytest.approx([-90.8, -48.7, -14.3], abs=4.0)


@pytest.mark.slow
def test_spondylitis_is_rbest_s():
    """Its page on binary endpoints: tau 0.387 (0.215), 0.0399, 0.359, 0.897; MAP prior of the rate
    0.255 (0.0864), 0.106, 0.247, 0.461."""

    def binomial(r, n):
        log = lambda theta: r * theta - n * np.logaddexp(0.0, theta)  # noqa: E731
        return likelihood_trial(log, math.sqrt(1 / r + 1 / (n - r)))

    trials = [binomial(r, n) for r, n in zip(AS["r"], AS["n"], strict=True)]
    found = random_effects(trials, pr.Normal(0.0, 2.0), pr.HalfNormal(1.0))
    assert found.moments_of_spread() == pytest.approx((0.387, 0.215), abs=0.012)
    # Its printed quantiles have these probabilities, to the error of a thousand independent draws.
    chance = np.linspace(0.001, 0.999, 999)
    below = np.interp([0.0399, 0.359, 0.897], found.quantiles_of_spread(chance), chance)
    np.testing.assert_allclose(below, TAILS, atol=3.0 * np.sqrt(TAILS * (1.0 - TAILS) / 1000).min())
    # Exactly: Gauss and Hermite's nodes for each trial's own effect, a fine grid of the spread.
    tau, mu = np.linspace(0.0, 4.0, 801), np.linspace(-4.0, 2.0, 241)
    z, w = np.polynomial.hermite_e.hermegauss(60)
    theta = mu[:, None, None] + tau[:, None] * z
    log = -0.5 * (mu[:, None] / 2.0) ** 2 - 0.5 * tau**2
    for r, n in zip(AS["r"], AS["n"], strict=True):
        each = r * theta - n * np.logaddexp(0.0, theta)
        top = each.max(axis=-1, keepdims=True)
        log = log + top[..., 0] + np.log(np.exp(each - top) @ w)
    mass = np.exp(log - log.max()).sum(axis=0)
    steps = 0.5 * (mass[1:] + mass[:-1])
    reached = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    np.testing.assert_allclose(
        np.interp(found.quantiles_of_spread(TAILS), tau, reached), TAILS, atol=5e-4
    )
    rate = 1.0 / (1.0 + np.exp(-found.points(20000)))
    assert (rate.mean(), rate.std()) == pytest.approx((0.255, 0.0864), abs=0.005)
    assert np.quantile(rate, TAILS) == pytest.approx([0.106, 0.247, 0.461], abs=0.012)


def test_a_trial_s_own_effect_is_integrated_out():
    """Against adaptive quadrature of Fisher's noncentral hypergeometric likelihood, zero cells
    included."""
    for counts in [(3, 20, 6, 21), (0, 15, 2, 15), (15, 15, 9, 14)]:
        a, n, c, m = counts
        marginal = conditional_trial(*counts)
        k = np.arange(max(0, a + c - m), min(n, a + c) + 1)
        weight = stats.hypergeom(n + m, a + c, n).pmf(k)

        def likelihood(t, k=k, weight=weight, a=a):
            return float(weight[k == a][0] / (weight @ np.exp(t * (k - a))))

        found = []
        for mu, tau in [(0.0, 0.4), (-1.0, 0.02), (1.5, 2.0)]:
            exact = integrate.quad(
                lambda t, mu=mu, tau=tau: likelihood(t) * stats.norm.pdf(t, mu, tau),
                mu - 9 * tau, mu + 9 * tau, limit=200, epsabs=1e-14,
            )[0]  # fmt: skip
            found.append(marginal(np.array([mu]), tau)[0] - math.log(exact))
        np.testing.assert_allclose(found, found[0], atol=1e-6)


def test_a_trial_without_events_says_nothing():
    marginal = conditional_trial(0, 10, 0, 12)
    np.testing.assert_allclose(marginal(np.linspace(-3.0, 3.0, 7), 0.5), 0.0, atol=1e-12)


@pytest.fixture(scope="module")
def found():
    return pr.from_trials(TRIALS, baseline_risk=0.2)


class TestFromTrials:
    def test_as_by_simulation(self, found):
        """Importance sampling of mu and tau from their priors."""
        rng = np.random.default_rng(3)
        n = 200_000
        mu, tau = rng.normal(0.0, 2.0, n), np.abs(rng.normal(0.0, 0.5, n))
        log = np.zeros(n)
        for row in TRIALS.iloc[:, 1:].to_numpy():
            a, n1, c, n0 = row
            k = np.arange(max(0, a + c - n0), min(n1, a + c) + 1)
            weight = stats.hypergeom(n1 + n0, a + c, n1).pmf(k)
            theta = mu + tau * rng.normal(size=n)
            log += np.log(weight[k == a][0]) - np.log(np.exp(np.outer(theta, k - a)) @ weight)
        w = np.exp(log)
        w /= w.sum()
        effective = 1.0 / (w**2).sum()
        another = np.exp(mu + tau * rng.normal(size=n))
        rows = found.table.set_index("quantity")
        for name, values in (("average", np.exp(mu)), ("another trial", another)):
            at = rows.loc[name, ["conf_low", "estimate", "conf_high"]].to_numpy(float)
            below = [w @ (values < q) for q in at]
            np.testing.assert_allclose(below, TAILS, atol=4.0 * math.sqrt(0.25 / effective))

    def test_prior_is_of_the_hazard_ratio(self, found):
        rows = found.table.set_index("quantity")
        odds = rows.loc["another trial", "estimate"]
        risk = odds * 0.25 / (1.0 + odds * 0.25)
        hazard = math.log(1.0 - risk) / math.log(0.8)
        assert rows.loc["another trial, hazard ratio", "estimate"] == pytest.approx(hazard)
        median = pr.quantiles(found.predictive, np.array([0.5]))[0]
        assert math.exp(median) == pytest.approx(hazard, rel=0.01)
        assert found.fit_error < 0.002

    def test_robust(self, found):
        assert found.prior.weights[-1] == pytest.approx(0.2)
        assert found.prior.parts[-1] == pr.Normal(0.0, 1.0)
        assert pr.from_trials(TRIALS, baseline_risk=0.2, robust=0.0).prior == found.predictive
        assert "worth" in str(found) and "if they do not apply" in str(found.summary())

    def test_a_trial_with_zero_cells_has_no_estimate_but_counts(self, found):
        assert np.isnan(found.trials["estimate"].iloc[2])
        without = pr.from_trials(TRIALS.iloc[:2], baseline_risk=0.2)
        assert without.table["estimate"].iloc[0] > found.table["estimate"].iloc[0]

    def test_units_do_not_matter(self):
        """Intervals and estimates of the same trials are one table."""
        a = pd.DataFrame(
            {"source": "x", "ratio": [0.8, 1.1], "low": [0.5, 0.7], "high": [1.3, 1.7]}
        )
        b = [pr.from_interval(*row) for row in a[["ratio", "low", "high"]].to_numpy()]
        b = pd.DataFrame(
            {"source": "x", "estimate": [p.mean for p in b], "std_error": [p.sd for p in b]}
        )
        first = pr.from_trials(a, "hazard_ratio").table
        pd.testing.assert_frame_equal(first, pr.from_trials(b, "hazard_ratio").table)

    @pytest.mark.parametrize(
        ("y", "se", "average", "heterogeneity"),
        [
            ([-0.3, -0.30001, -0.29999], [1e-4] * 3, pr.Normal(0, 2), pr.HalfNormal(0.5)),
            ([-3.0, 2.0, 0.0], [0.01] * 3, pr.Normal(0, 2), pr.HalfNormal(0.001)),
            (list(np.linspace(-0.5, 0.5, 40)), [0.1] * 40, pr.Normal(0, 2), pr.HalfNormal(0.5)),
            ([-0.3, 0.5, 0.0], [1e-3, 1.0, 0.3], pr.Normal(0.3, 1e5), pr.HalfNormal(0.5)),
            ([-0.3, -0.1, 0.2], [0.2, 0.3, 0.25], pr.Normal(0, 2), pr.InverseGamma(3.0, 0.5)),
            ([-0.3, -0.1, 0.2], [0.2, 0.3, 0.25], pr.Normal(0, 2), pr.HalfNormal(20.0)),
        ],
    )
    def test_trials_and_priors_of_unlike_sizes(self, y, se, average, heterogeneity):
        """The average integrated out by hand given the spread, that on a fine grid: huge and tiny
        trials, a spread far beyond its prior, a prior of the average a million times too wide."""
        y, v, prior = np.array(y), np.square(se), average.sd**2
        rho = np.linspace(math.log(1e-8), math.log(1e3), 40_001)
        w = 1.0 / (v + np.exp(2.0 * rho)[:, None])
        precision = w.sum(axis=1) + 1.0 / prior
        mean = (w @ y + average.mean / prior) / precision
        log = 0.5 * np.log(w).sum(axis=1) - 0.5 * np.log(precision)
        log -= 0.5 * (w @ y**2 + average.mean**2 / prior - precision * mean**2)
        log += [pr.log_density(heterogeneity, t)[0] for t in np.exp(rho)] + rho
        mass = np.exp(log - log.max())
        mass /= mass.sum()
        table = pd.DataFrame({"source": "x", "estimate": y, "std_error": se})
        found = pr.from_trials(table, "hazard_ratio", heterogeneity, average=average).table
        rows = found.set_index("quantity")[["conf_low", "estimate", "conf_high"]]
        below = np.interp(np.log(rows.loc["between-trial SD"]), rho, np.cumsum(mass) - mass / 2)
        np.testing.assert_allclose(below, TAILS, atol=2e-3)
        sd = np.sqrt(1.0 / precision)
        for name, spread in (("average", sd), ("another trial", np.hypot(sd, np.exp(rho)))):
            below = [mass @ stats.norm.cdf(q, mean, spread) for q in np.log(rows.loc[name])]
            np.testing.assert_allclose(below, TAILS, atol=2e-3)

    @pytest.mark.parametrize("average", [pr.Cauchy(0.0, 1.0), pr.StudentT(2.0, 0.0, 1.0)])
    def test_an_average_without_a_standard_deviation(self, average):
        table = pd.DataFrame({"source": "x", "estimate": [-0.3, 0.1], "std_error": [0.1, 0.1]})
        found = pr.from_trials(table, "hazard_ratio", average=average).table
        near = pr.from_trials(table, "hazard_ratio", average=pr.Normal(0.0, 1.0)).table
        np.testing.assert_allclose(found["estimate"], near["estimate"], rtol=0.03)

    def test_a_prediction_that_no_normals_make_is_told(self):
        table = pd.DataFrame({"source": "x", "estimate": [0.3] * 3, "std_error": [1e-4] * 3})
        found = pr.from_trials(table, "hazard_ratio", pr.HalfNormal(20.0))
        assert found.fit_error > 0.005 and "is off by up to 0.01" in found.words

    def test_order_of_trials_does_not_matter(self, found):
        again = pr.from_trials(TRIALS.iloc[::-1], baseline_risk=0.2)
        np.testing.assert_allclose(again.table["estimate"], found.table["estimate"], rtol=1e-9)

    @pytest.mark.parametrize(
        ("change", "more", "words"),
        [
            ({"source": None}, {}, "row 1: source must say"),
            ({"events": 25}, {}, r"0 <= events <= patients, got 25 and 20"),
            ({"events": 2.5}, {}, "must be whole numbers"),
            ({"events": "few"}, {}, "row 1: events must be a number"),
            ({}, {"outcome": "hazard_ratio"}, "counts give no hazard ratio"),
            ({}, {"outcome": "risk_ratio"}, "row 3: no event in one group"),
            ({"events": 20}, {"outcome": "risk_ratio"}, "row 1: everybody of one group had"),
            ({}, {"baseline_risk": None}, "an odds ratio becomes a hazard ratio at the risk"),
            ({}, {"baseline_risk": 1.2}, "a risk between 0 and 1"),
            ({}, {"robust": 1.0}, "robust is a probability"),
            (
                {},
                {"heterogeneity": pr.Normal()},
                "heterogeneity is a prior of a standard deviation",
            ),
            ({}, {"vague": pr.HalfNormal()}, "vague are of log ratios"),
        ],
    )
    def test_refused(self, change, more, words):
        table = TRIALS.astype({"source": object, "events": object})
        for name, value in change.items():
            table.loc[0, name] = value
        with pytest.raises(LongsurvError, match=words):
            pr.from_trials(table, **{"baseline_risk": 0.2, **more})

    def test_risks_above_1_are_left_out_and_told(self):
        table = pd.DataFrame({"source": "x", "estimate": [-0.2, 0.1], "std_error": [0.2, 0.3]})
        found = pr.from_trials(table, "risk_ratio", baseline_risk=0.2)
        assert 0.0 < found.impossible < 0.01 and "risks above 1, were left out" in found.words
        with pytest.raises(LongsurvError, match=r"% probability to a risk above 1"):
            pr.from_trials(table, "risk_ratio", baseline_risk=0.9)

    def test_columns(self):
        with pytest.raises(DataError, match='needs a column "source"'):
            pr.from_trials(TRIALS.drop(columns="source"), baseline_risk=0.2)
        with pytest.raises(DataError, match="needs the columns events"):
            pr.from_trials(TRIALS[["source", "events"]], baseline_risk=0.2)
        with pytest.raises(DataError, match="no rows"):
            pr.from_trials(TRIALS.iloc[:0], baseline_risk=0.2)


class TestConversion:
    def test_a_risk_ratio(self):
        """0.97 at a risk of 0.18: 1 - (1 - 0.18)^HR = 0.1746."""
        prior = pr.from_interval(0.97, 0.81, 1.15, outcome="risk_ratio", baseline_risk=0.18)
        assert 1.0 - 0.82 ** math.exp(prior.mean) == pytest.approx(0.97 * 0.18)
        wide = [math.log(math.log(1 - r * 0.18) / math.log(0.82)) for r in (0.81, 1.15)]
        assert prior.sd == pytest.approx((wide[1] - wide[0]) / (2 * stats.norm.ppf(0.975)))

    def test_an_odds_ratio_of_rare_events_is_a_hazard_ratio(self):
        rare = pr.from_interval(0.8, 0.6, 1.1, outcome="odds_ratio", baseline_risk=1e-7)
        same = pr.from_interval(0.8, 0.6, 1.1)
        assert (rare.mean, rare.sd) == pytest.approx((same.mean, same.sd), rel=1e-5)

    def test_impossible_risks(self):
        with pytest.raises(LongsurvError, match="is a risk above 1"):
            pr.from_interval(1.5, 1.0, 2.5, outcome="risk_ratio", baseline_risk=0.5)


class TestEffectiveEvents:
    def test_of_a_normal(self):
        assert pr.effective_events(pr.Normal(0.3, 0.2)) == pytest.approx(4.0 / 0.04)
        assert pr.effective_events(pr.Normal(0.3, 0.2), 0.25) == pytest.approx(
            1.0 / 0.04 / (0.25 * 0.75)
        )

    def test_of_a_student(self):
        """The expected information of a t is (df + 1) / ((df + 3) scale^2)."""
        found = pr.effective_events(pr.StudentT(4.0, 0.0, 0.5))
        assert found == pytest.approx(4.0 * 5.0 / 7.0 / 0.25, rel=1e-6)

    def test_of_a_mixture_by_simulation(self):
        """E of minus the second derivative is E of the squared score."""
        prior = pr.Mixture((pr.Normal(-0.1, 0.2), pr.Normal(0.0, 1.0)), (0.7, 0.3))
        rng = np.random.default_rng(1)
        x = np.where(
            rng.random(400_000) < 0.7, rng.normal(-0.1, 0.2, 400_000), rng.normal(size=400_000)
        )
        squared = np.array([pr.log_density(prior, v)[1] ** 2 for v in x[:40_000]])
        error = squared.std() / math.sqrt(len(squared))
        assert pr.effective_events(prior) / 4.0 == pytest.approx(squared.mean(), abs=4 * error)

    def test_adds_up(self):
        """After m events the expected size is m more (predictive consistency), normal data."""
        prior = pr.Mixture((pr.Normal(-0.5, 0.3), pr.Normal(0.3, 0.6)), (0.5, 0.5))
        sd = 2.0 / math.sqrt(20)
        z, w = np.polynomial.hermite_e.hermegauss(60)
        w = w / w.sum()
        total = 0.0
        for weight, part in zip(prior.weights, prior.parts, strict=True):
            for at, chance in zip(part.mean + math.hypot(part.sd, sd) * z, w, strict=True):
                if chance < 1e-9:
                    continue
                parts, logs = [], []
                for own, other in zip(prior.weights, prior.parts, strict=True):
                    v = 1.0 / (other.sd**-2 + sd**-2)
                    parts.append(
                        pr.Normal(v * (other.mean / other.sd**2 + at / sd**2), math.sqrt(v))
                    )
                    logs.append(
                        math.log(own) + stats.norm.logpdf(at, other.mean, math.hypot(other.sd, sd))
                    )
                share = np.exp(np.array(logs) - np.logaddexp.reduce(logs))
                if share.min() > 1e-12:
                    size = pr.effective_events(pr.Mixture(tuple(parts), tuple(map(float, share))))
                else:
                    size = pr.effective_events(parts[int(share.argmax())])
                total += weight * chance * size
        assert total - 20.0 == pytest.approx(pr.effective_events(prior), rel=1e-4)

    def test_of_a_cauchy(self):
        assert pr.effective_events(pr.Cauchy(0.0, 0.5)) == pytest.approx(4.0 * 0.5 / 0.25, rel=1e-5)

    def test_refused(self):
        with pytest.raises(LongsurvError, match="allocation is a share"):
            pr.effective_events(pr.Normal(), 1.0)
        with pytest.raises(LongsurvError, match="takes a Normal"):
            pr.effective_events(pr.Exponential(1.0))


class TestMixtureOf:
    def test_a_normal_is_itself(self):
        x = stats.norm(0.4, 0.2).ppf((np.arange(4000) + 0.5) / 4000)
        found, error = pr.mixture_of(x)
        assert isinstance(found, pr.Normal) and error < 1e-3
        assert (found.mean, found.sd) == pytest.approx((0.4, 0.2), abs=2e-3)

    def test_heavy_tails_and_skewness(self):
        for law in (stats.t(4), stats.gamma(3.0), stats.skewnorm(6.0)):
            x = law.ppf((np.arange(4000) + 0.5) / 4000)
            found, error = pr.mixture_of(x)
            at = law.ppf([0.025, 0.25, 0.5, 0.9, 0.975])
            np.testing.assert_allclose(found.distribution(at), law.cdf(at), atol=0.01)
            assert error < 0.01

    @pytest.mark.parametrize(
        "draws", [np.repeat([0.0, 1.0], 200), np.append(np.zeros(3999), 1.0), np.arange(400) % 9.0]
    )
    def test_draws_of_few_values(self, draws):
        with pytest.raises(LongsurvError, match="give draws of a parameter that is continuous"):
            pr.mixture_of(draws)

    @pytest.mark.parametrize("bad", [np.zeros(50), np.arange(5.0), np.full(50, np.nan)])
    def test_refused(self, bad):
        with pytest.raises(LongsurvError, match="draws are 10 or more finite numbers"):
            pr.mixture_of(bad)


@pytest.fixture(scope="module")
def history():
    cohort = ls.read_cohort(ls.example_path("ivig_sepsis") / "study.toml")
    return CoxPH("Surv(entry, exit, event) ~ treatment", data=cohort.survival_data())


@pytest.fixture(scope="module")
def posterior(history):
    """Log partial likelihood on a grid, and the posterior under a power of it."""
    from longsurv.likelihood import cox

    b = np.linspace(-12.0, 6.0, 4001)
    log = np.array([cox.value_and_gradient(history.statistics, np.array([v]))[0] for v in b])

    def of(power):
        mass = np.exp(power * (log - log.max()) + stats.norm.logpdf(b, 0.0, 5.0))
        return b, mass / mass.sum()

    return of


class TestHistory:
    @pytest.mark.parametrize("power", [0.3, 1.0])
    def test_power_prior_is_the_likelihood_to_a_power(self, history, posterior, power):
        found = power_prior(history, "treatment", power)
        b, mass = posterior(power)
        at = np.array([-4.0, -2.0, -1.0, 0.0, 1.0])
        below = np.interp(at, b, np.cumsum(mass))
        np.testing.assert_allclose(found.prior.distribution(at), below, atol=0.01)
        assert found.fit_error < 0.01

    def test_commensurate_prior_is_wider_by_its_spread(self, history, posterior):
        found = commensurate_prior(history, "treatment", spread=pr.HalfNormal(0.8))
        b, mass = posterior(1.0)
        tau = 0.8 * np.abs(stats.norm.ppf((np.arange(400) + 0.5) / 800))
        at = np.array([-4.0, -2.0, -1.0, 0.0, 1.0])
        below = [mass @ stats.norm.cdf((x - b[:, None]) / tau).mean(axis=1) for x in at]
        np.testing.assert_allclose(found.prior.distribution(at), below, atol=0.01)
        assert found.effective_events < power_prior(history, "treatment", 1.0).effective_events

    def test_less_is_believed_at_a_lower_power(self, history):
        sizes = [power_prior(history, "treatment", a).effective_events for a in (0.2, 0.5, 1.0)]
        assert sizes == sorted(sizes) and sizes[0] < 0.6 * sizes[-1]

    def test_refused(self, history):
        with pytest.raises(LongsurvError, match="power is above 0"):
            power_prior(history, "treatment", 0.0)
        with pytest.raises(LongsurvError, match="spread is a prior of a standard deviation"):
            commensurate_prior(history, "treatment", spread=pr.Normal())
        with pytest.raises(LongsurvError, match="exactly one coefficient"):
            power_prior(history, "nothing", 0.5)
        nobody = history.with_data(history.data.assign(event=0))
        with pytest.raises((EstimationError, DataError)):
            power_prior(nobody, "treatment", 0.5)


def test_codes_of_the_groups_do_not_matter(history):
    """1 and 2 for 0 and 1: the same prior, worth the same events."""
    data = history.data
    second = (data["treatment"] == data["treatment"].unique()[1]).astype(int)
    data = data.assign(zero=second, one=second + 1)
    made = [
        power_prior(CoxPH(f"Surv(entry, exit, event) ~ {name}", data), name, 0.5)
        for name in ("zero", "one")
    ]
    share = second.mean()
    assert made[1].effective_events == pytest.approx(made[0].effective_events, rel=1e-6)
    assert made[1].effective_events == pytest.approx(
        pr.effective_events(made[1].prior, float(share)), rel=1e-9
    )
    assert abs(share - 0.5) > 0.01
