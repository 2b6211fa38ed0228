"""Posteriors of hazard models against their PyMC twins and against integrals."""

from __future__ import annotations

import numpy as np
import pytest

from longsurv import priors as pr
from longsurv.likelihood import hazard as hz
from longsurv.models import Hazard
from longsurv.models.hazard_coordinates import ShapeCoordinates
from longsurv.models.twin_parameters import at

KINDS = ("exponential", "weibull", "piecewise", "mspline")
WHOLE = "Surv(entry, week, status) ~ trt + karno"


def mcse(x, kind="mean"):
    from arviz_stats.base import array_stats

    return float(array_stats.mcse(x, chain_axis=0, draw_axis=1, method=kind))


@pytest.fixture(scope="module")
def few(table):
    """28 patients of the veteran data, with entry times and weights."""
    rows = table("veteran").iloc[::5]
    week = rows["time"] / 7
    entry = np.where(np.arange(len(rows)) % 3 == 0, 0.3 * week, 0.0)
    more = {"w": 1 + np.arange(len(rows)) % 2, "arm": rows["trt"] - 1, "known": rows["age"] / 100}
    return rows.assign(week=week, entry=entry, **more)


@pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS")  # as installed by pip
@pytest.mark.parametrize("smoothing", [None, 0.6])
@pytest.mark.parametrize("varying", [(), ("arm",)])
@pytest.mark.parametrize("kind", KINDS)
def test_density_is_the_twin_s(few, kind, varying, smoothing):
    if smoothing is not None and kind != "mspline":
        pytest.skip("no smoothing")
    formula = "Surv(entry, week, status) ~ arm + karno + offset(known)"
    spec = Hazard(formula, data=few, baseline=kind, time_varying=varying, weights="w")
    priors = {"arm": pr.TREATMENT["sceptical"], "karno": pr.StudentT(3.0, 0.0, 0.1)}
    twin = spec.to_pymc(priors, smoothing)
    logp = twin.compile_logp(mode="FAST_COMPILE")
    stack = spec.prior_stack(priors, smoothing)
    rng = np.random.default_rng(0)
    for _ in range(3):
        theta = rng.normal(size=len(stack.names)) * 0.3
        ours = hz.value_and_gradient(spec.hazard.data, theta, smoothing)[0]
        ours += stack.value_and_gradient(theta)[0]
        assert ours == pytest.approx(float(logp(at(stack, theta))), rel=1e-9)


def test_moments_by_quadrature(few):
    """Two parameters: posterior means and SDs by sums over a grid."""
    spec = Hazard("Surv(entry, week, status) ~ trt", data=few, baseline="exponential")
    post = spec.sample(draws=2000, seed=1, priors={"trt": pr.TREATMENT["sceptical"]}, chains=2)
    b, a = np.meshgrid(np.linspace(-2, 2, 161), np.linspace(-5, -1, 161), indexing="ij")
    time, arm = (few["week"] - few["entry"]).to_numpy(), (few["trt"] - few["trt"].mean()).to_numpy()
    events = few["status"].to_numpy()
    eta = a[..., None] + b[..., None] * arm
    log = (events * eta - time * np.exp(eta)).sum(axis=-1)
    level = spec.default_priors()["log_hazard"]
    log += -0.5 * (b / 0.355) ** 2 - 0.5 * ((a - level.mean) / level.sd) ** 2
    weight = np.exp(log - log.max())
    for term, values in (("trt", b), ("log_hazard", a)):
        mean = np.average(values, weights=weight)
        sd = np.sqrt(np.average((values - mean) ** 2, weights=weight))
        x = post.draw(term)
        assert abs(x.mean() - mean) < 4 * mcse(x)
        assert abs(x.std() - sd) < 4 * mcse(x, "sd")


def test_shape_coordinates_change_the_density_consistently(numeric_gradient):
    """The log Jacobian is that of the differences of `outward`; the gradient is right."""
    change = ShapeCoordinates(2, np.array([0.0, 0.5, 30.0]))
    rng = np.random.default_rng(3)
    A = rng.normal(size=(6, 6))

    def density(theta):
        return float(-0.5 * np.sum((A @ theta) ** 2)), -A.T @ A @ theta

    wrapped = change.density(density)
    for _ in range(5):
        y = rng.normal(size=6)
        jacobian = np.array(
            [numeric_gradient(lambda v, i=i: change.outward(v)[i], y) for i in range(6)]
        )
        expected = density(change.outward(y))[0] + np.linalg.slogdet(jacobian)[1]
        value, gradient = wrapped(y)
        assert value == pytest.approx(expected, rel=1e-8)
        np.testing.assert_allclose(
            gradient, numeric_gradient(lambda v: wrapped(v)[0], y), rtol=1e-6, atol=1e-8
        )


@pytest.fixture(scope="module")
def post(few):
    return Hazard(WHOLE, data=few).sample(draws=1000, seed=2, chains=2)


# One of 28 weighted rows has a Pareto k just above 0.7, which is no matter here.
@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto")
def test_what_arviz_gets(post, few):
    """Pointwise log-likelihoods add up to the likelihood; log-priors to the prior."""
    data, theta = post.hazard.data, post.draws.theta
    total = post.idata["log_likelihood"]["y"].sum(dim="row_unit").to_numpy()
    prior = sum(v.to_numpy() for v in post.idata["log_prior"].data_vars.values())
    for draw in (0, 500, 999):
        at = theta[1, draw]
        assert total[1, draw] == pytest.approx(hz.value_and_gradient(data, at)[0], rel=1e-10)
        jacobian = at[-1]  # of the logarithm of the SD
        expected = post.stack.value_and_gradient(at)[0] - jacobian
        assert prior[1, draw] == pytest.approx(expected, rel=1e-10)
        lp = hz.value_and_gradient(data, at)[0] + post.stack.value_and_gradient(at)[0]
        assert post.draws.stats["lp"][1, draw] == pytest.approx(lp, rel=1e-8)
    assert np.isfinite(post.loo().elpd)


def test_by_patient(table):
    """Start-stop rows: one unit a patient."""
    spec = Hazard(
        "Surv(start, stop, event) ~ age + transplant", data=table("heart"), patient="id",
        baseline="weibull",
    )  # fmt: skip
    post = spec.sample(draws=50, chains=1)
    units = post.idata["log_likelihood"]["y"]
    assert units.sizes["patient_unit"] == table("heart")["id"].nunique()
    value = hz.value_and_gradient(spec.hazard.data, post.draws.theta[0, 7])[0]
    assert float(units[0, 7].sum()) == pytest.approx(value)


def test_tables(post, few):
    assert post.diagnose().ok
    weights = np.stack([post.draw(n) for n in post.samples if n.startswith("weight[")])
    np.testing.assert_allclose(weights.sum(axis=0), 1.0)
    ratios = post.hazard_ratios()
    assert list(ratios.columns) == [
        "term",
        "hazard_ratio",
        "conf_low",
        "conf_high",
        "prob_positive",
    ]
    at = post.hazard_ratio([5.0, 20.0])
    assert list(at["term"]) == ["trt", "trt", "karno", "karno"]
    np.testing.assert_allclose(at["hazard_ratio"][[0, 2]], ratios["hazard_ratio"])
    S = post.survival_draws(few.iloc[:2], [4.0, 30.0])
    assert S.shape == (2000, 2, 2)
    found = post.predict(few.iloc[:2], times=[4.0, 30.0])
    np.testing.assert_allclose(found["estimate"], S.mean(axis=0).ravel())
    risk = post.predict(few.iloc[:2], times=[4.0, 30.0], kind="risk")
    np.testing.assert_allclose(risk["estimate"], 1 - found["estimate"])
    H = post.predict(few.iloc[:2], times=[4.0, 30.0], kind="cumulative_hazard")
    np.testing.assert_allclose(H["estimate"], -np.log(S).mean(axis=0).ravel())
    assert (post.predict(few.iloc[:2], times=[4.0], kind="hazard")["estimate"] > 0).all()
    assert len(post.baseline()) == 25 and (post.baseline([9.0])["hazard_low"] > 0).all()
    assert list(post.predict(few.iloc[:2]).columns[-4:]) == list(found.columns[-4:])


def test_priors_are_used(few):
    """Priors far tighter than the data are the posterior, of a coefficient and of the smoothing."""
    spec = Hazard(WHOLE, data=few)
    post = spec.sample(draws=500, priors={"trt": pr.Normal(2.0, 0.01)}, smoothing=0.0, chains=2)
    assert post.tidy()["estimate"][0] == pytest.approx(2.0, abs=0.005)
    assert "sd(log hazard)" not in post.samples
    h = post.hazard.data
    spread = np.exp(post.natural[:, 2:]) / h.constant
    np.testing.assert_allclose(spread, np.repeat(spread[:, :1], spread.shape[1], axis=1))


def test_a_vague_posterior_is_the_likelihood(table):
    """432 patients and a flat prior: mean and SD are those of maximum likelihood."""
    spec = Hazard("Surv(week, arrest) ~ fin + prio", data=table("rossi"), baseline="weibull")
    fit = spec.fit()
    post = spec.sample(draws=1000, priors={"log_shape": pr.Normal(0.0, 10.0)}, chains=2)
    tidy = post.tidy()
    assert (np.abs(tidy["estimate"] - fit.params.to_numpy()) < 0.1 * fit.bse.to_numpy()).all()
    np.testing.assert_allclose(tidy["std_error"], fit.bse, rtol=0.06)


def test_five_deaths(table):
    """41 patients: no divergences, and the interval is that of few events."""
    post = Hazard("Surv(entry, exit, event) ~ group", data=table("icu")).sample(seed=5, chains=2)
    assert post.diagnose().ok
    assert np.ptp(np.log(post.hazard_ratios().loc[0, ["conf_low", "conf_high"]].astype(float))) > 2


@pytest.mark.study  # a minute of compiling; the densities are compared above
@pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS")  # as installed by pip
@pytest.mark.parametrize(("kind", "varying"), [("mspline", ()), ("weibull", ("trt",))])
def test_draws_are_pymc_s(few, kind, varying):
    """Means within 4 Monte Carlo standard errors, SDs within 10 %."""
    import nutpie

    data = few.assign(trt=few["arm"])
    spec = Hazard(WHOLE, data=data, baseline=kind, time_varying=varying)
    post = spec.sample(draws=3000, chains=2, seed=1)
    # As many as the SD of "sd(log hazard)" takes: with 3000 it differs by 7 % from seed to seed.
    twin = nutpie.sample(
        nutpie.compile_pymc_model(spec.to_pymc()),
        draws=20000, tune=1000, chains=2, cores=2, seed=3, progress_bar=False,
    )["posterior"]  # fmt: skip
    for name in post.stack.names:
        if name not in post.samples:
            continue
        ours, x = post.draw(name), twin[name].to_numpy()
        assert abs(ours.mean() - x.mean()) < 4 * np.hypot(mcse(ours), mcse(x))
        assert ours.std() == pytest.approx(x.std(), rel=0.1)


@pytest.mark.parametrize("unit", [0.37, 365.25])
def test_the_prior_of_a_weibull_level_has_no_unit_of_time(table, unit):
    data = table("veteran")
    one, other = (
        Hazard("Surv(time, status) ~ karno", data.assign(time=data["time"] * by), "weibull")
        for by in (1.0, unit)
    )
    assert other.hazard.level == pytest.approx(one.hazard.level, rel=1e-13)
    assert other.hazard.baseline.unit == pytest.approx(unit * one.hazard.baseline.unit, rel=1e-13)
