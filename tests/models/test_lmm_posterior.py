"""The posterior of the mixed model against its PyMC twin: the density exactly, then the draws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

from longsurv import priors as pr
from longsurv.models import LMM


def tiny(formula: str) -> LMM:
    """Four patients, eleven visits."""
    rng = np.random.default_rng(8)
    patient = np.repeat([11, 12, 13, 14], [2, 3, 3, 3])
    t = rng.uniform(0, 3, 11)
    b = rng.normal(size=(15, 2))
    y = 2 + t + b[patient, 0] + 0.5 * b[patient, 1] * t + 0.5 * rng.normal(size=11)
    data = pd.DataFrame({"y": y, "t": t, "id": patient}).sample(frac=1, random_state=1)
    return LMM(formula, data=data)


def integrated(logp, slope, point: dict, shape: tuple[int, int]) -> float:
    """Log of exp(logp) integrated over the random effects: exact, as logp is quadratic in them."""
    size = shape[0] * shape[1]

    def gradient(raw):
        return np.asarray(slope({**point, "raw": raw.reshape(shape)})).ravel()

    zero = gradient(np.zeros(size))
    H = np.array([gradient(e) - zero for e in np.eye(size)])
    mode = -np.linalg.solve(H, zero)
    top = float(logp({**point, "raw": mode.reshape(shape)}))
    return top + 0.5 * size * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(-H)[1]


def cholesky_to_pymc(r: float) -> np.ndarray:
    """PyMC's unconstrained value of the Cholesky factor of a 2 x 2 correlation matrix."""
    return np.array([r / np.sqrt(1 - r * r)])


@pytest.mark.parametrize(
    ("formula", "priors"),
    [
        ("y ~ t + (1 | id)", None),
        (
            "y ~ t + (1 | id)",
            {
                "t": pr.StudentT(3.0, 0.5, 1.0),
                "sigma": pr.Gamma(2.0, 1.5),
                "sd(Intercept|id)": pr.HalfNormal(2.0),
            },
        ),
        ("y ~ t + (t | id)", None),
    ],
    ids=["intercept", "other priors", "slope"],
)
def test_density_is_the_twin_s_integrated(formula, priors):
    """log p(y, theta) on the natural scale, at several points, constants included."""
    spec = tiny(formula)
    model = spec.to_pymc(priors)
    logp = model.compile_logp(jacobian=False, mode="FAST_COMPILE")
    slope = model.compile_dlogp(vars=[model["raw"]], jacobian=False, mode="FAST_COMPILE")
    stack = spec.prior_stack(priors)
    q, rng = len(spec.design.random.names), np.random.default_rng(0)
    for _ in range(3):
        theta = rng.normal(size=len(stack.names) + q - 1) * 0.7
        point = {}
        of = theta.copy()  # what the priors are of: the shear to centred variables has no Jacobian
        if stack.basis is not None:
            of[:2] = stack.basis @ theta[:2]
        for j, name in enumerate(stack.labels):
            value = model.rvs_to_values[model[name]].name
            point[value] = np.array(of[j])
        jacobian = theta[2 : len(stack.names)].sum()
        if q == 2:
            r = np.tanh(theta[-1])
            jacobian += np.log(1 - r * r)
            value = model.rvs_to_values[model["correlation_cholesky"]].name
            point[value] = cholesky_to_pymc(r)
        expected = integrated(logp, slope, point, (4, q))
        ours = spec.sampled.loglik(theta)[0] + stack.value_and_gradient(theta)[0] - jacobian
        assert ours == pytest.approx(expected, abs=1e-6)


def test_density_against_a_normal_and_priors_by_hand():
    """One point, with nothing shared: the dense marginal density plus scipy's priors."""
    from scipy import stats

    spec = tiny("y ~ t + (1 | id)")
    priors = {"Intercept": pr.Normal(1.0, 3.0), "t": pr.Normal(0.0, 2.0),
              "sigma": pr.Exponential(0.5),
              "sd(Intercept|id)": pr.Exponential(2.0)}  # fmt: skip
    stack, d = spec.prior_stack(priors), spec.design
    theta = np.array([1.5, 0.8, np.log(0.6), np.log(1.1)])
    V = 1.1**2 * (d.group[:, None] == d.group) + 0.6**2 * np.eye(11)
    expected = multivariate_normal(1.5 + 0.8 * spec.data["t"], V).logpdf(spec.data["y"])
    expected += stats.norm(1.0, 3.0).logpdf(1.5) + stats.norm(0.0, 2.0).logpdf(0.8)
    expected += stats.expon(scale=0.5).logpdf(0.6) + stats.expon(scale=2.0).logpdf(1.1)
    ours = spec.sampled.loglik(theta)[0] + stack.value_and_gradient(theta)[0] - theta[2:].sum()
    assert ours == pytest.approx(expected, rel=1e-10)


def test_the_twin_is_told_the_priors():
    spec = tiny("y ~ t + (t | id)")
    model = spec.to_pymc({"t": pr.StudentT(5.0)}, eta=3.0)
    assert {v.name for v in model.free_RVs} == {
        "Intercept (centred)", "t", "sigma", "sd(Intercept|id) (centred)", "sd(t|id)", "raw",
        "correlation_cholesky",
    }  # fmt: skip
    assert "StudentT" in type(model["t"].owner.op).__name__
    assert [int(v) for v in model.coords["patient"]] == [11, 12, 13, 14]


def test_the_mode_is_a_maximum(fits):
    post = fits.posterior("sleepstudy")
    assert post.mode.converged and not post.draws.whitening.regularised
    assert post.diagnose().ok and not post.draws.stats["diverging"].any()


def test_an_impossible_variance_is_still_sampled(fits):
    """Where maximum likelihood gives no variance at all, the posterior has one, above zero."""
    post = fits.posterior("dyestuff2")
    sd = post.draw("sd(Intercept|Batch)")
    assert (sd > 0).all() and np.isfinite(sd).all()
    assert post.tidy(component="all")["r_hat"].max() < 1.02


def mcse(x, kind="mean"):
    from arviz_stats.base import array_stats

    return float(array_stats.mcse(x, chain_axis=0, draw_axis=1, method=kind))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS")  # as installed by pip
def test_draws_are_pymc_s(fits):
    """Means within 4 Monte Carlo standard errors, SDs within 10 %.

    With a random intercept only, as the twin with slopes takes twice as long to compile; its
    density is compared above.
    """
    import nutpie

    spec, post = fits.spec("sleepstudy_intercept"), fits.posterior("sleepstudy_intercept")
    twin = nutpie.sample(
        nutpie.compile_pymc_model(spec.to_pymc()),
        draws=2000, tune=600, chains=2, cores=2, seed=3, progress_bar=False,
    )["posterior"]  # fmt: skip
    assert set(post.samples) == {"Intercept", "Days", "sigma", "sd(Intercept|Subject)"}
    for name, ours in post.samples.items():
        x = twin[name].to_numpy()
        assert abs(ours.mean() - x.mean()) < 4 * np.hypot(mcse(ours), mcse(x)), name
        assert ours.std() == pytest.approx(x.std(), rel=0.1), name
    b = post.ranef().set_index(["Subject", "effect"])
    values = twin["b"].to_numpy()
    for i, label in enumerate(spec.design.labels):
        for k, effect in enumerate(spec.design.random.names):
            x, row = values[..., i, k], b.loc[(label, effect)]
            assert abs(row["estimate"] - x.mean()) < 4 * np.hypot(mcse(x), 0.03 * x.std())
            assert row["std_error"] == pytest.approx(x.std(), rel=0.1)
