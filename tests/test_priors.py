"""Prior families against PyMC, their Jacobians, and how they are chosen."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from longsurv import priors as pr
from longsurv.errors import LongsurvError

FAMILIES = [
    pr.Normal(1.5, 0.7),
    pr.StudentT(3.0, -1.0, 2.0),
    pr.HalfNormal(1.3),
    pr.Exponential(0.4),
    pr.Gamma(2.5, 0.8),
]
HEAVY = [
    pr.Cauchy(-0.5, 1.2),
    pr.Laplace(0.7, 0.6),
    pr.HalfCauchy(1.4),
    pr.InverseGamma(2.5, 2.0),
]
MIXTURE = pr.Mixture((pr.Normal(-0.4, 0.3), pr.StudentT(5.0, 1.0, 2.0)), (0.7, 0.3))
HALVES = pr.Mixture((pr.HalfNormal(1.3), pr.Exponential(0.4)), (0.25, 0.75))
ALL = [*FAMILIES, *HEAVY, MIXTURE, HALVES]


class Mixed:
    """A mixture of SciPy's distributions."""

    def __init__(self, prior: pr.Mixture) -> None:
        self.parts = [SCIPY[family(part)](part) for part in prior.parts]
        self.weights = np.array(prior.weights)

    def logpdf(self, x):
        return np.log(sum(w * p.pdf(x) for w, p in zip(self.weights, self.parts, strict=True)))

    def cdf(self, x):
        return sum(w * p.cdf(x) for w, p in zip(self.weights, self.parts, strict=True))

    def _moment(self, k):
        return sum(w * p.moment(k) for w, p in zip(self.weights, self.parts, strict=True))

    def mean(self):
        return self._moment(1)

    def std(self):
        return math.sqrt(self._moment(2) - self._moment(1) ** 2)


SCIPY = {
    "Normal": lambda p: stats.norm(p.mean, p.sd),
    "StudentT": lambda p: stats.t(p.df, p.mean, p.scale),
    "HalfNormal": lambda p: stats.halfnorm(scale=p.sd),
    "Exponential": lambda p: stats.expon(scale=p.scale),
    "Gamma": lambda p: stats.gamma(p.shape, scale=1 / p.rate),
    "Cauchy": lambda p: stats.cauchy(p.location, p.scale),
    "Laplace": lambda p: stats.laplace(p.mean, p.scale),
    "HalfCauchy": lambda p: stats.halfcauchy(scale=p.scale),
    "InverseGamma": lambda p: stats.invgamma(p.shape, scale=p.scale),
    "Mixture": Mixed,
}
NO_MEAN = {"Cauchy", "HalfCauchy"}


def family(prior):
    return type(prior).__name__


def places(prior):
    return (
        np.array([0.01, 0.3, 1.0, 2.5, 7.0])
        if prior.positive
        else np.array([-6.0, -1, 0, 0.4, 8.0])
    )


@pytest.mark.parametrize("prior", ALL, ids=family)
def test_density(prior, numeric_gradient):
    for x in places(prior):
        value, slope = pr.log_density(prior, x)
        assert value == pytest.approx(SCIPY[family(prior)](prior).logpdf(x), rel=1e-12)
        expected = numeric_gradient(lambda v: pr.log_density(prior, v[0])[0], np.array([x]), 1e-4)
        assert slope == pytest.approx(expected[0], rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("prior", ALL, ids=family)
def test_density_is_pymc_s(prior):
    import pymc as pm

    with pm.Model(check_bounds=False):
        variable = prior.to_pymc("x")
    logp = pm.logp(variable, places(prior)).eval(mode="FAST_COMPILE")
    # PyMC evaluates the gamma function to nine digits
    np.testing.assert_allclose(
        [pr.log_density(prior, x)[0] for x in places(prior)], logp, rtol=1e-8
    )


@pytest.mark.parametrize("prior", [p for p in ALL if family(p) not in NO_MEAN], ids=family)
def test_moments(prior):
    frozen = SCIPY[family(prior)](prior)
    np.testing.assert_allclose(pr.moments(prior), [frozen.mean(), frozen.std()], rtol=1e-12)


def test_moments_that_do_not_exist():
    assert pr.moments(pr.Cauchy(1.0, 3.0)) == (1.0, math.inf)
    assert pr.moments(pr.HalfCauchy(2.0)) == (math.inf, math.inf)
    assert pr.moments(pr.InverseGamma(1.0, 2.0)) == (math.inf, math.inf)
    assert pr.moments(pr.InverseGamma(1.5, 2.0)) == (4.0, math.inf)
    assert pr.moments(pr.StudentT(2.0, 1.0, 3.0)) == (1.0, math.inf)
    with pytest.raises(LongsurvError, match="LKJ"):
        pr.moments(pr.LKJ(2.0))


@pytest.mark.parametrize("prior", ALL, ids=family)
def test_scaled(prior):
    """If x has the prior, 3 x has the scaled one."""
    for x in places(prior):
        expected = pr.log_density(prior, x)[0] - math.log(3.0)
        assert pr.log_density(prior.scaled(3.0), 3.0 * x)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "prior", [pr.HalfCauchy(1.4), pr.InverseGamma(0.8, 2.0), pr.Exponential(0.4)], ids=family
)
def test_a_typical_size_is_finite(prior):
    frozen = SCIPY[family(prior)](prior)
    expected = frozen.mean() if math.isfinite(frozen.mean()) else frozen.median()
    assert prior.typical == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("prior", [pr.Cauchy(-0.5, 1.2), pr.Laplace(0.7, 0.6)], ids=family)
def test_distribution_functions(prior):
    frozen, p = SCIPY[family(prior)](prior), np.array([0.001, 0.2, 0.5, 0.9, 0.999])
    np.testing.assert_allclose(pr.quantiles(prior, p), frozen.ppf(p), rtol=1e-9)
    np.testing.assert_allclose(pr.distribution(prior, frozen.ppf(p)), p, rtol=1e-9)


def pymc_lkj(K: np.ndarray, eta: float) -> float:
    """PyMC's log density of a Cholesky factor of a correlation matrix."""
    import pymc as pm

    return float(pm.logp(pm.LKJCorr.dist(n=len(K), eta=eta), K).eval(mode="FAST_COMPILE"))


def stack_of(q: int, eta: float) -> pr.PriorStack:
    return pr.PriorStack((), (), pr.LKJ(eta), q)


@pytest.mark.parametrize(("q", "eta"), [(2, 1.0), (2, 3.0), (3, 1.0), (3, 2.0), (4, 0.7)])
def test_lkj_is_pymc_s(q, eta, numeric_gradient):
    """Ours is a density of z and PyMC's of K; they differ by |dK / dz|, worked out numerically."""
    from longsurv.likelihood.arithmetic.covariance import correlation_cholesky

    rng = np.random.default_rng(q)
    below = np.tril_indices(q, -1)
    for _ in range(3):
        z = rng.normal(size=q * (q - 1) // 2)
        columns = [
            numeric_gradient(lambda v, i=i, j=j: correlation_cholesky(v, q)[i, j], z, 1e-4)
            for i, j in zip(*below, strict=True)
        ]
        expected = (
            pymc_lkj(correlation_cholesky(z, q), eta) + np.linalg.slogdet(np.array(columns))[1]
        )
        value, gradient = stack_of(q, eta).value_and_gradient(z)
        assert value == pytest.approx(expected, abs=1e-7)
        slope = numeric_gradient(lambda v: stack_of(q, eta).value_and_gradient(v)[0], z)
        np.testing.assert_allclose(gradient, slope, rtol=1e-7, atol=1e-9)


def test_lkj_of_two_is_a_beta():
    """With two effects (r + 1) / 2 is Beta(eta, eta)."""
    for z in (-1.0, 0.2, 2.0):
        r = math.tanh(z)
        expected = stats.beta(3.0, 3.0).logpdf((r + 1) / 2) + math.log(0.5 * (1 - r * r))
        assert stack_of(2, 3.0).value_and_gradient(np.array([z]))[0] == pytest.approx(expected)


def test_lkj_log_prior_is_a_power_of_the_determinant():
    from longsurv.likelihood.arithmetic.covariance import correlation_cholesky

    z = np.random.default_rng(1).normal(size=(2, 5, 3))
    found = stack_of(3, 2.5).log_prior(z)["correlation"]
    for c in range(2):
        for s in range(5):
            K = correlation_cholesky(z[c, s], 3)
            assert found[c, s] == pytest.approx(1.5 * np.linalg.slogdet(K @ K.T)[1])
    # Where the correlation rounds to one: 1 - tanh(z)^2 is 4 exp(-2 z).
    far = stack_of(2, 2.5).log_prior(np.full((1, 1, 1), -30.0))["correlation"]
    assert far == pytest.approx(1.5 * (math.log(4.0) - 60.0))


class TestStack:
    stack = pr.PriorStack(tuple("abcde"), tuple(FAMILIES), pr.LKJ(2.0), 2)
    theta = np.array([0.3, -2.0, 0.4, -1.0, 0.9, 0.5])

    def test_constrain(self):
        expected = [0.3, -2.0, math.exp(0.4), math.exp(-1.0), math.exp(0.9)]
        np.testing.assert_allclose(self.stack.constrain(self.theta), expected)
        many = np.broadcast_to(self.theta, (2, 3, 6))
        assert self.stack.constrain(many).shape == (2, 3, 5)

    def test_a_large_unlogged_value_does_not_overflow(self):
        theta = self.theta.copy()
        theta[0] = 5000.0
        assert self.stack.constrain(theta)[0] == 5000.0

    def test_value_includes_the_jacobians(self):
        """Against scipy on the natural scale, plus log |dx / dtheta| of exp and of tanh."""
        x = self.stack.constrain(self.theta)
        logs = sum(SCIPY[family(p)](p).logpdf(v) for p, v in zip(FAMILIES, x, strict=True))
        jacobian = sum(self.theta[2:5])
        r = math.tanh(0.5)
        lkj = stats.beta(2.0, 2.0).logpdf((r + 1) / 2) + math.log(0.5 * (1 - r * r))
        value, _ = self.stack.value_and_gradient(self.theta)
        assert value == pytest.approx(logs + jacobian + lkj)

    def test_gradient(self, numeric_gradient):
        rng = np.random.default_rng(0)
        for theta in rng.normal(size=(10, 6)):
            expected = numeric_gradient(lambda v: self.stack.value_and_gradient(v)[0], theta)
            np.testing.assert_allclose(
                self.stack.value_and_gradient(theta)[1], expected, rtol=1e-6, atol=1e-8
            )

    def test_what_comes_after_has_no_prior(self):
        value, gradient = self.stack.value_and_gradient(self.theta)
        longer, slope = self.stack.value_and_gradient(np.append(self.theta, [7.0, -3.0]))
        assert longer == value
        np.testing.assert_array_equal(slope, np.append(gradient, [0.0, 0.0]))

    def test_log_prior_has_no_jacobian(self):
        parts = self.stack.log_prior(self.theta[None, None, :])
        x = self.stack.constrain(self.theta)
        for j, (name, p) in enumerate(zip("abcde", FAMILIES, strict=True)):
            assert parts[name].shape == (1, 1)
            assert parts[name][0, 0] == pytest.approx(SCIPY[family(p)](p).logpdf(x[j]))
        assert parts["correlation"][0, 0] == pytest.approx(math.log(1 - math.tanh(0.5) ** 2))

    def test_in_words(self):
        words = self.stack.describe()
        assert words["a"] == "Normal(1.5, 0.7)" and words["correlation"] == "LKJ(2)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pr.Normal(0.0, 0.0), "Normal: sd must be greater than 0"),
        (lambda: pr.Normal(math.nan, 1.0), "Normal: mean must be a finite number"),
        (lambda: pr.Normal("0", 1.0), "Normal: mean must be a finite number"),
        (lambda: pr.StudentT(-1.0), "StudentT: df must be greater than 0"),
        (lambda: pr.Gamma(1.0, math.inf), "Gamma: rate must be a finite number"),
        (lambda: pr.LKJ(0.0), "LKJ: eta must be greater than 0"),
    ],
)
def test_impossible_parameters(make, message):
    with pytest.raises(LongsurvError, match=message):
        make()


@pytest.mark.parametrize(
    ("parts", "weights", "message"),
    [
        ((pr.Normal(),), (1.0,), "two parts or more"),
        ((pr.Normal(), pr.Normal(1.0)), (1.0,), "got 2 and 1"),
        ((pr.Normal(), pr.Normal(1.0)), (0.5, 0.4), "add up to 0.9, not to 1"),
        ((pr.Normal(), pr.Normal(1.0)), (1.5, -0.5), "a weight is between 0 and 1, not 1.5"),
        ((pr.Normal(), pr.HalfNormal()), (0.5, 0.5), "some parts are of a positive parameter"),
        ((pr.Normal(), pr.LKJ()), (0.5, 0.5), "a prior of one parameter, not LKJ"),
        ((pr.Normal(), 3.0), (0.5, 0.5), "a prior of one parameter, not 3.0"),
    ],
)
def test_impossible_mixtures(parts, weights, message):
    with pytest.raises(LongsurvError, match=message):
        pr.Mixture(parts, weights)


@pytest.mark.parametrize(
    "prior",
    [
        pr.Normal(1.0, 2.0),
        pr.StudentT(1.0, 0.0, 1.0),
        pr.StudentT(4.0, 1.0, 0.1),
        pr.Cauchy(2.0, 1.0),
        pr.Laplace(0.0, 3.0),
        pr.Mixture((pr.Normal(0.0, 1.0), pr.StudentT(1.0, 0.0, 1.0)), (0.9, 0.1)),
        pr.Mixture((pr.Normal(0.0, 1.0), pr.Laplace(0.0, 1.0)), (0.5, 0.5)),
    ],
)
def test_quantiles_at_the_ends_and_far_out(prior):
    """Infinite at 0 and 1; a small probability is its own distribution function."""
    assert pr.quantiles(prior, np.array([0.0, 1.0])).tolist() == [-math.inf, math.inf]
    far = np.array([1e-12, 1e-6])
    np.testing.assert_allclose(
        pr.distribution(prior, pr.quantiles(prior, far)), far, rtol=2e-3, atol=2e-16
    )
    for bad in (-0.1, 1.5, np.nan):
        with pytest.raises(LongsurvError, match="p is of probabilities"):
            pr.quantiles(prior, np.array([0.5, bad]))


def test_information_of_a_mixture_with_heavy_tails():
    """Minus the second derivative by differences; without one, at a kink, its moments."""
    heavy = pr.Mixture((pr.Cauchy(0.5, 1.0), pr.Normal(0.0, 0.3)), (0.5, 0.5))
    x, h = np.linspace(-3.0, 3.0, 13), 1e-5
    slope = [
        (pr.log_density(heavy, v + h)[1] - pr.log_density(heavy, v - h)[1]) / (2 * h) for v in x
    ]
    np.testing.assert_allclose(pr.local_information(heavy, x), -np.array(slope), rtol=1e-5)
    kinked = pr.Mixture((pr.Laplace(0.5, 1.0), pr.Normal(0.0, 0.3)), (0.5, 0.5))
    assert pr.as_normal(kinked, x) == kinked.moments()


class TestMixture:
    def test_one_of_mixtures_is_taken_apart(self):
        found = pr.Mixture((MIXTURE, pr.Normal(3.0, 1.0)), (0.4, 0.6))
        assert found.parts == (*MIXTURE.parts, pr.Normal(3.0, 1.0))
        np.testing.assert_allclose(found.weights, [0.28, 0.12, 0.6])
        assert str(found).startswith("0.28 Normal(-0.4, 0.3) + 0.12 Student")

    def test_quantiles_are_those_of_its_distribution(self):
        p = np.array([0.001, 0.025, 0.5, 0.9, 0.999])
        found = pr.quantiles(MIXTURE, p)
        np.testing.assert_allclose(Mixed(MIXTURE).cdf(found), p, rtol=1e-10)
        np.testing.assert_allclose(pr.distribution(MIXTURE, found), p, rtol=1e-10)

    def test_far_out_nothing_underflows(self):
        narrow = pr.Mixture((pr.Normal(0.0, 1e-3), pr.Normal(50.0, 1e-3)), (0.5, 0.5))
        value, slope = pr.log_density(narrow, 20.0)
        alone, only = pr.log_density(pr.Normal(0.0, 1e-3), 20.0)
        assert value == pytest.approx(alone + math.log(0.5)) and slope == pytest.approx(only)

    @pytest.mark.parametrize("prior", [pr.Normal(0.3, 2.0), pr.StudentT(3.0, 1.0, 0.5), MIXTURE])
    def test_information_is_the_curvature(self, prior, numeric_gradient):
        from longsurv.priors.mixture import local_information, score

        x = np.array([-2.0, -0.4, 0.0, 0.7, 5.0])
        slopes = [pr.log_density(prior, v)[1] for v in x]
        np.testing.assert_allclose(score(prior, x), slopes, rtol=1e-12)
        curvature = [
            -numeric_gradient(lambda v: pr.log_density(prior, v[0])[1], np.array([a]), 1e-4)[0]
            for a in x
        ]
        np.testing.assert_allclose(local_information(prior, x), curvature, rtol=1e-6)

    def test_in_a_stack(self, numeric_gradient):
        priors = (MIXTURE, pr.Normal(), HALVES)
        stack = pr.PriorStack(("a", "b", "s"), priors, basis=np.array([[1.0, 0.5], [0.0, 1.0]]))
        theta = np.array([0.3, -0.7, 0.2])
        value, gradient = stack.value_and_gradient(theta)
        x = [0.3 - 0.35, -0.7, math.exp(0.2)]
        logs = [SCIPY[family(p)](p).logpdf(v) for p, v in zip(priors, x, strict=True)]
        assert value == pytest.approx(sum(logs) + 0.2, rel=1e-12)
        slope = numeric_gradient(lambda v: stack.value_and_gradient(v)[0], theta)
        np.testing.assert_allclose(gradient, slope, rtol=1e-7)
        parts = [part(theta) for part in stack.unmixed()]
        assert len(parts) == 4
        assert math.log(sum(math.exp(v) for v, _ in parts)) == pytest.approx(value, rel=1e-12)

    def test_the_prior_of_a_multiple(self):
        stack = pr.PriorStack(("a", "b"), (MIXTURE, pr.Normal()))
        assert pr.prior_of(stack, {"a": 1.0}) == MIXTURE
        turned = pr.prior_of(stack, {"a": -2.0})
        for x in (-3.0, 0.1, 2.0):
            expected = pr.log_density(MIXTURE, -x / 2)[0] - math.log(2.0)
            assert pr.log_density(turned, x)[0] == pytest.approx(expected)
        assert pr.prior_of(stack, {"a": 1.0, "b": 1.0}) is None


def test_numpy_numbers_are_numbers():
    assert pr.Normal(np.float64(1.0), np.float64(2.0)).sd == 2.0


class TestFromInterval:
    def test_the_interval_comes_back(self):
        prior = pr.from_interval(0.8, 0.6, 0.8**2 / 0.6)
        low, high = stats.norm(prior.mean, prior.sd).ppf([0.025, 0.975])
        assert math.exp(prior.mean) == pytest.approx(0.8)
        assert (math.exp(low), math.exp(high)) == pytest.approx((0.6, 0.8**2 / 0.6))

    def test_another_level(self):
        prior = pr.from_interval(1.0, 0.5, 2.0, level=0.8)
        assert stats.norm(prior.mean, prior.sd).cdf(math.log(2.0)) == pytest.approx(0.9)

    @pytest.mark.parametrize(
        "bad", [(0.8, 0.9, 1.2), (0.8, 0.6, 0.7), (0.8, -0.1, 1.0), (0.8, 1.0, 0.6)]
    )
    def test_not_an_interval(self, bad):
        with pytest.raises(LongsurvError, match="0 < low < ratio < high"):
            pr.from_interval(*bad)

    @pytest.mark.parametrize("slip", [(0.8, 0.79, 5.0), (0.8, 0.08, 0.9), (0.8, 0.6, 10.6)])
    def test_a_slip_of_the_pen(self, slip):
        with pytest.raises(LongsurvError, match="far from the middle of its interval"):
            pr.from_interval(*slip)
        table = pd.DataFrame([slip], columns=["ratio", "low", "high"]).assign(source="made up")
        with pytest.raises(LongsurvError, match=r"row 1: 0\.8 is far from the middle"):
            pr.from_trials(table, outcome="hazard_ratio")

    @pytest.mark.parametrize("rounded", [(0.05, 0.01, 0.3), (0.26, 0.013, 1.76), (1.5, 1.0, 2.5)])
    def test_rounded_and_profile_intervals_are_none(self, rounded):
        assert math.exp(pr.from_interval(*rounded).mean) == pytest.approx(rounded[0])

    @pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
    def test_not_a_level(self, level):
        with pytest.raises(LongsurvError, match="level"):
            pr.from_interval(0.8, 0.6, 1.0, level=level)


def test_named_treatment_priors():
    def beyond(prior, ratio):
        return stats.norm(prior.mean, prior.sd).sf(math.log(ratio))

    sceptical = pr.TREATMENT["sceptical"]
    assert beyond(sceptical, 0.5) - beyond(sceptical, 2.0) == pytest.approx(0.95, abs=0.002)
    hopeful, gloomy = pr.TREATMENT["enthusiastic"], pr.TREATMENT["pessimistic"]
    assert math.exp(hopeful.mean) == pytest.approx(2 / 3)
    assert beyond(hopeful, 1.0) == pytest.approx(0.15, abs=1e-4)
    assert (gloomy.mean, gloomy.sd) == (-hopeful.mean, hopeful.sd)
    assert pr.TREATMENT["weak"] == pr.Normal(0.0, 1.0)


DEFAULTS = {"drug[T.b]": pr.Normal(), "drug[T.c]": pr.Normal(), "sigma": pr.Exponential()}
ALIASES = {"drug": ("drug[T.b]", "drug[T.c]")}


class TestChoose:
    def choose(self, **given):
        return pr.choose(tuple(DEFAULTS), DEFAULTS, given, ALIASES)

    def test_defaults(self):
        assert pr.choose(tuple(DEFAULTS), DEFAULTS, None, ALIASES) == tuple(DEFAULTS.values())

    def test_by_variable(self):
        mine = pr.StudentT(4.0)
        assert self.choose(drug=mine) == (mine, mine, DEFAULTS["sigma"])

    def test_by_term(self):
        mine = pr.HalfNormal(2.0)
        assert self.choose(sigma=mine)[2] == mine

    def test_a_misspelled_name(self):
        with pytest.raises(LongsurvError, match="Did you mean 'sigma'"):
            self.choose(sigam=pr.Exponential())

    def test_the_wrong_kind(self):
        with pytest.raises(LongsurvError, match="'sigma', which is a positive parameter"):
            self.choose(sigma=pr.Normal())
        with pytest.raises(LongsurvError, match="any real number"):
            self.choose(drug=pr.Exponential())
        with pytest.raises(LongsurvError, match="does not fit"):
            self.choose(drug=pr.LKJ(1.0))
        with pytest.raises(LongsurvError, match="must be one of"):
            self.choose(drug=2.0)


class TestCoordinates:
    """Default priors are of coefficients in centred variables."""

    to = np.array([[1.0, 0.3, -2.0], [0.0, 1.0, 0.7], [0.0, 0.0, 1.0]])
    priors = (
        pr.Normal(0.5, 2.0),
        pr.Normal(0.0, 1.0),
        pr.StudentT(4.0, 0.0, 2.0),
        pr.Exponential(),
    )

    def stack(self, basis: np.ndarray | None) -> pr.PriorStack:
        return pr.PriorStack(("a", "b", "a:b", "sigma"), self.priors, basis=basis)

    def test_density_and_gradient_are_of_the_transformed_coefficients(self):
        theta = np.array([0.4, -1.2, 0.8, -0.3])
        moved = np.append(self.to @ theta[:3], theta[3])
        value, gradient = self.stack(self.to).value_and_gradient(theta)
        plain, slope = self.stack(None).value_and_gradient(moved)
        assert value == pytest.approx(plain, abs=1e-13)
        np.testing.assert_allclose(gradient[:3], self.to.T @ slope[:3], rtol=1e-12)
        assert gradient[3] == slope[3]

    def test_log_priors_by_name_add_up_to_the_density(self):
        theta = np.array([[[0.4, -1.2, 0.8, -0.3]]])
        stack = self.stack(self.to)
        parts = stack.log_prior(theta)
        total = sum(float(v[0, 0]) for v in parts.values())
        assert total + theta[0, 0, 3] == pytest.approx(stack.value_and_gradient(theta[0, 0])[0])

    def test_a_users_prior_is_of_the_coefficient_as_named(self):
        names = ("a", "b", "a:b")
        basis, _ = pr.centred_basis(self.to, names, {"treat": pr.Normal()}, {"treat": ("b",)})
        np.testing.assert_array_equal(basis[1], [0.0, 1.0, 0.0])
        np.testing.assert_array_equal(basis[[0, 2]], self.to[[0, 2]])
        assert pr.centred_basis(np.eye(3), names, None, {}) == (None, ())

    def test_described_as_what_they_are(self):
        words = self.stack(self.to).describe()
        assert "at their means" in words["a"] and "at their means" not in words["a:b"]
