"""Whoever prints a result sees what it is: every way of showing it, for each thing wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from longsurv import compare
from longsurv import priors as pr
from longsurv.inference import Flat
from longsurv.models import LMM
from longsurv.results import Estimate, Posterior
from longsurv.results.prior_share import all_prior, marginal_prior
from longsurv.results.reference import NormalReference

STUCK = "stopped with a Newton decrement of 3"


@pytest.fixture(scope="module")
def spec() -> LMM:
    rng = np.random.default_rng(4)
    patient = np.repeat(np.arange(40), 4)
    frame = pd.DataFrame({"patient": patient, "x": rng.normal(size=160), "z": rng.normal(size=160)})
    frame["y"] = 1 + 0.5 * frame["x"] + rng.normal(size=40)[patient] + rng.normal(size=160)
    return LMM("y ~ x + z + (1 | patient)", frame)


@pytest.fixture(scope="module")
def good(spec) -> Estimate:
    return spec.fit(df="normal")


@pytest.fixture(scope="module")
def post(spec) -> Posterior:
    return spec.sample(draws=800, chains=2, seed=1)


@pytest.fixture
def stuck(good) -> Estimate:
    """As an optimiser leaves it that gave up on the way."""
    return replace(good, optimum=replace(good.optimum, status=STUCK, newton_decrement=3.0))


@pytest.fixture
def ridge(good) -> Estimate:
    """A climb that ended on a ridge: x - z moves along it, x + z does not."""
    cov = good.reference.cov
    flat = Flat(np.array([[0.0], [1.0], [-1.0]]), np.sqrt(np.diag(cov)) ** 0)
    status = "the curvature is not that of a maximum: some parameters are not identified"
    return replace(
        good,
        reference=NormalReference(cov, flat=flat),
        optimum=replace(good.optimum, status=status, newton_decrement=1e-12),
    )


def assert_said(fit: Estimate | Posterior, words: str, head: int = 4) -> None:
    """In the first lines of print and HTML, and among the attributes of every table."""
    assert any(words in line for line in repr(fit).splitlines()[:head])
    page = fit._repr_html_()
    assert words in page and page.index(words) < page.index("<table")
    tables = [fit.tidy(), fit.tidy(component="all"), fit.contrast("x"), fit.glance()]
    for table in tables:
        assert any(words in flag for flag in table.attrs["flags"])


def test_a_good_fit_says_nothing_is_wrong(good):
    assert good.converged and good.diagnose().ok and good.headings == ()
    assert good.tidy().attrs == {"converged": True, "flags": good.flags}
    assert "NOT" not in repr(good) and "NOT" not in good._repr_html_()


def test_a_fit_that_did_not_converge(stuck, post):
    assert not stuck.converged and not stuck.diagnose().ok
    assert STUCK in stuck.diagnose().words
    assert_said(stuck, f"NOT CONVERGED: {STUCK}")
    assert stuck.tidy().attrs["converged"] is False
    assert not stuck.glance()["converged"].iloc[0]
    table = compare(stuck, post)
    assert set(table["verdict"]) == {"no answer"}
    assert table["reason"].str.contains(STUCK, regex=False).all()


def test_coefficients_that_are_not_determined(ridge, good, post):
    assert ridge.undetermined == ("x", "z")
    assert not ridge.converged and not ridge.diagnose().ok
    assert "x and z" in ridge.diagnose().words
    assert_said(ridge, "NOT DETERMINED BY THE DATA: x and z have no estimate")
    assert "NOT CONVERGED" not in repr(ridge)  # the intercept has its answer
    assert ridge.tidy()["estimate"].isna().tolist() == [False, True, True]
    assert ridge.glance()["undetermined"].iloc[0] == "x, z"
    both = ridge.contrast({"x": 1, "z": 1})
    assert both["estimate"].iloc[0] == pytest.approx(good.params["x"] + good.params["z"])
    lost = ridge.contrast(pd.DataFrame({"x": [1.0], "z": [-1.0]}, index=["their difference"]))
    assert np.isnan(lost["estimate"].iloc[0])
    assert any("their difference" in flag for flag in lost.attrs["flags"])
    table = compare(ridge, post).set_index("term")
    assert (table.loc[["x", "z"], "verdict"] == "no answer").all()
    assert table.loc["x", "reason"].startswith("the data do not determine it")
    assert table.loc["Intercept", "verdict"] == "agree"


def test_one_name_has_the_grammar_of_one(good):
    flat = Flat(np.array([[0.0], [0.0], [1.0]]), np.ones(3))
    fit = replace(good, reference=NormalReference(good.reference.cov, flat=flat))
    assert "BY THE DATA: z has no estimate" in repr(fit)


def test_good_chains_say_nothing_is_wrong(post):
    assert post.converged and post.diagnose().ok and post.headings == ()
    assert post.tidy().attrs == {"converged": True, "flags": post.flags}


def test_chains_in_two_places(post, good):
    moved = {name: values.copy() for name, values in post.samples.items()}
    moved["x"][1] += 5.0
    apart = replace(post, samples=moved)
    assert not apart.converged and not apart.diagnose().ok
    assert_said(apart, "CHAINS NOT CONVERGED: largest R-hat")
    table = compare(good, apart).set_index("term")
    assert table.loc["x", "verdict"] == "no answer" and "R-hat" in table.loc["x", "reason"]
    assert table.loc["z", "verdict"] == "agree"


def test_divergences(post):
    stats = dict(post.draws.stats)
    stats["diverging"] = stats["diverging"].copy()
    stats["diverging"][0, :5] = True
    bad = replace(post, draws=replace(post.draws, stats=stats))
    assert not bad.converged and not bad.diagnose().ok
    assert_said(bad, "divergences 5 (expected 0)")


def test_too_few_draws(spec):
    short = spec.sample(draws=60, chains=2, seed=1)
    assert not short.diagnose().ok
    assert "TOO FEW DRAWS" in repr(short) or "CHAINS NOT CONVERGED" in repr(short)


def test_a_coefficient_that_is_all_prior(post):
    """Draws of one coefficient from its prior."""
    rng, prior = np.random.default_rng(0), post.priors["z"]
    draws = rng.normal(prior.mean, prior.sd, post.samples["z"].shape)
    told = replace(post, samples={**post.samples, "z": draws})
    assert told.all_prior == ("z",)
    assert not told.diagnose().ok and "Nothing but prior" in told.diagnose().words
    assert_said(told, "Nothing but prior: the data say as good as nothing about z (Normal(0, ")
    assert post.all_prior == ()


@pytest.mark.parametrize("seed", range(5))
def test_directions_that_are_all_prior(seed):
    """The data fix two sums of four coefficients, whose priors are stated in other coordinates."""
    rng = np.random.default_rng(seed)
    basis = np.eye(4) + np.triu(rng.normal(0, 3, (4, 4)), 1)
    sd = rng.uniform(0.1, 10, 4)
    stack = pr.PriorStack(tuple("abcd"), tuple(pr.Normal(0.0, s) for s in sd), basis=basis)
    phi = rng.normal(size=(2, 2000, 4)) * sd
    shrunk = phi.copy()
    shrunk[..., :2] *= 0.1  # what the data say much about
    beta = shrunk @ np.linalg.inv(basis).T
    samples = dict(zip("abcd", np.moveaxis(beta, -1, 0), strict=True))
    assert all_prior(stack, samples, tuple("abcd")) == ("c", "d")
    # The sum of c and d, in units of their priors, is known and their difference is not.
    z = phi / sd
    z[..., 2] = 0.05 * z[..., 2] - z[..., 3]
    z[..., :2] *= 0.1
    z[..., 3:] = phi[..., 3:] / sd[3]
    z[..., 2:] /= np.sqrt(2.0)
    beta = (z * sd) @ np.linalg.inv(basis).T
    samples = dict(zip("abcd", np.moveaxis(beta, -1, 0), strict=True))
    assert all_prior(stack, samples, tuple("abcd")) == ("c", "d")


@pytest.mark.parametrize("seed", range(5))
def test_the_prior_of_a_coefficient_as_named(seed):
    """Against draws of the priors in their own coordinates."""
    rng = np.random.default_rng(seed)
    basis = np.eye(3) + np.triu(rng.normal(0, 2, (3, 3)), 1)
    priors = (pr.Normal(1.0, 2.0), pr.Normal(0.0, 1.0), pr.Normal(-1.0, 0.5), pr.HalfNormal(1.0))
    stack = pr.PriorStack(("a", "b", "c", "s"), priors, basis=basis)
    phi = np.stack([rng.normal(p.mean, p.sd, 200_000) for p in priors[:3]], axis=-1)
    beta = phi @ np.linalg.inv(basis).T
    for j, name in enumerate("abc"):
        prior = marginal_prior(stack, name)
        assert prior.mean == pytest.approx(beta[:, j].mean(), abs=5 * beta[:, j].std() / 400)
        assert prior.sd == pytest.approx(beta[:, j].std(), rel=0.01)
    assert marginal_prior(stack, "c") == priors[2]  # its own, as nothing is added to it
    assert marginal_prior(stack, "s") == priors[3]
    found = pr.prior_of(stack, {"a": 2.0, "c": -1.0})
    assert found.sd == pytest.approx((2 * beta[:, 0] - beta[:, 2]).std(), rel=0.01)
    assert pr.prior_of(stack, {"absent": 1.0}) is None


def test_a_prior_without_a_variance_stays_without_one():
    """A sum of Cauchys is a Cauchy; beside one, a normal adds its half interquartile range."""
    basis = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, -3.0], [0.0, 0.0, 1.0]])
    parts = (pr.Cauchy(1.0, 2.0), pr.Normal(0.0, 1.0), pr.StudentT(1.0, -1.0, 0.5))
    stack = pr.PriorStack(("a", "b", "c"), parts, basis=basis)
    first = marginal_prior(stack, "a")  # a + 2 c has the first part, so a is that less 2 c
    assert isinstance(first, pr.Cauchy)
    assert (first.location, first.scale) == pytest.approx((3.0, 3.0))
    second = marginal_prior(stack, "b")
    assert second.location == pytest.approx(-3.0)
    assert second.scale == pytest.approx(1.5 + stats.norm.ppf(0.75))
    assert marginal_prior(stack, "c") == parts[2]


def test_hazard_ratios_carry_what_is_wrong(fits):
    """The ratio's table too, as tidy and contrast do."""
    fit = fits("rossi_two_efron")
    bad = replace(fit, optimum=replace(fit.optimum, status=STUCK, newton_decrement=3.0))
    assert any(STUCK in flag for flag in bad.hazard_ratios().attrs["flags"])
    assert fit.hazard_ratios().attrs["converged"] is True
