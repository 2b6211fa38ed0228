"""The posterior of the Cox model against its PyMC twin and against the integral itself."""

from __future__ import annotations

import numpy as np
import pytest

from longsurv import priors as pr
from longsurv.likelihood import cox
from longsurv.models import CoxPH


def mcse(x, kind="mean"):
    from arviz_stats.base import array_stats

    return float(array_stats.mcse(x, chain_axis=0, draw_axis=1, method=kind))


@pytest.fixture(scope="module")
def few(table):
    """28 patients of the veteran data, with ties and entry times."""
    rows = table("veteran").iloc[::5]
    week = np.ceil(rows["time"] / 30)
    return rows.assign(week=week, entry=np.minimum(np.arange(len(rows)) % 3, week - 1))


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("left", ["Surv(week, status)", "Surv(entry, week, status)"])
def test_density_is_the_twin_s(few, left, ties):
    spec = CoxPH(f"{left} ~ trt + karno", data=few, ties=ties)
    priors = {"trt": pr.TREATMENT["sceptical"], "karno": pr.StudentT(3.0, 0.0, 0.1)}
    logp = spec.to_pymc(priors).compile_logp(mode="FAST_COMPILE")
    stack = spec.prior_stack(priors)
    rng = np.random.default_rng(0)
    for beta in rng.normal(size=(3, 2)) * [1.0, 0.05]:
        ours = cox.loglik(spec.statistics, beta) + stack.value_and_gradient(beta)[0]
        point = dict(zip(stack.names, map(np.array, beta), strict=True))
        assert ours == pytest.approx(float(logp(point)), rel=1e-9)


def test_moments_by_quadrature(few):
    """One coefficient: the posterior's mean and SD by the trapezoidal rule."""
    spec = CoxPH("Surv(week, status) ~ trt", data=few)
    post = spec.sample(draws=2000, chains=2, seed=1, priors={"trt": pr.TREATMENT["sceptical"]})
    grid = np.linspace(-3, 3, 2001)
    stack = post.stack
    log = np.array(
        [
            cox.loglik(spec.statistics, [b]) + stack.value_and_gradient(np.array([b]))[0]
            for b in grid
        ]
    )
    weight = np.exp(log - log.max())
    mean = np.average(grid, weights=weight)
    sd = np.sqrt(np.average((grid - mean) ** 2, weights=weight))
    x = post.draw("trt")
    assert abs(x.mean() - mean) < 4 * mcse(x)
    assert abs(x.std() - sd) < 4 * mcse(x, "sd")


def test_priors_are_used(few):
    """A prior far tighter than the data is the posterior."""
    spec = CoxPH("Surv(week, status) ~ trt + karno", data=few)
    post = spec.sample(draws=1000, chains=2, seed=1, priors={"trt": pr.Normal(2.0, 0.01)})
    row = post.tidy().set_index("term").loc["trt"]
    assert row["estimate"] == pytest.approx(2.0, abs=0.005)
    assert row["std_error"] == pytest.approx(0.01, rel=0.1)
    assert str(post.priors["trt"]) == "Normal(2, 0.01)" and "trt ~ Normal(2, 0.01)" in repr(post)


@pytest.mark.study  # a minute of compiling; the densities are compared above
@pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS")  # as installed by pip
def test_draws_are_pymc_s(few):
    """Means within 4 Monte Carlo standard errors, SDs within 10 %."""
    import nutpie

    spec = CoxPH("Surv(week, status) ~ trt + karno", data=few)
    post = spec.sample(draws=2000, chains=2, seed=1)
    twin = nutpie.sample(
        nutpie.compile_pymc_model(spec.to_pymc()),
        draws=2000, tune=600, chains=2, cores=2, seed=3, progress_bar=False,
    )["posterior"]  # fmt: skip
    for name in post.names:
        ours, x = post.draw(name), twin[name].to_numpy()
        assert abs(ours.mean() - x.mean()) < 4 * np.hypot(mcse(ours), mcse(x))
        assert ours.std() == pytest.approx(x.std(), rel=0.1)
