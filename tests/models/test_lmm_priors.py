"""Default priors of mixed models know no origin, unit or coding; the user's own keep theirs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from longsurv import priors as pr
from longsurv.design import Residual
from longsurv.inference import Affine, added, hessian, maximise
from longsurv.inference.density import LogDensity
from longsurv.models import LMM
from longsurv.models.linear import Linear


def cohort(patients: int = 14, sites: int = 5, seed: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = rng.integers(2, 6, patients)
    id_ = np.repeat(np.arange(patients), n)
    visit = np.concatenate([np.arange(k) for k in n])
    t = visit + rng.uniform(0, 0.5, len(id_))
    arm, age = (id_ % 2).astype(float), rng.normal(60, 10, patients)[id_]
    b = rng.normal(size=(patients, 2))[id_] * [1.0, 0.4]
    y = 3 + b[:, 0] + (0.4 + b[:, 1] + 0.3 * arm) * t + 0.02 * age
    y = y + rng.normal(size=sites)[id_ % sites] + 0.6 * rng.normal(size=len(id_))
    return pd.DataFrame(
        {"y": y, "t": t, "arm": arm, "age": age, "id": id_, "site": id_ % sites, "visit": visit}
    )


MODELS = {
    "slope": ("y ~ t * arm + age + (t | id)", Residual()),
    "order": ("y ~ age + arm * t + (t | id)", Residual()),
    "curve": ("y ~ arm * (t + I(t**2)) + (t + I(t**2) | id)", Residual()),
    "interaction": ("y ~ t * arm + (t * arm | site)", Residual()),
    "nested": ("y ~ t * arm + (t | site/id)", Residual()),
    "ar1": ("y ~ t * arm + (t | id)", Residual("ar1", visit="visit")),
}
SHIFTS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "calendar years": lambda d: d.assign(t=d["t"] + 2015),
    "days": lambda d: d.assign(t=365.25 * d["t"] - 900),
    "coding": lambda d: d.assign(arm=np.where(d["arm"] == 1, 2, 1)),
    "halves": lambda d: d.assign(arm=d["arm"] - 0.5),
    "covariate": lambda d: d.assign(age=88.4 * d["age"] - 1e4),
    "response": lambda d: d.assign(y=d["y"] + 400),
}


def posterior(spec: LMM) -> tuple[LogDensity, np.ndarray]:
    """The log posterior in unit-free coordinates, and where a climb starts."""
    coordinates = Affine(*spec.sampled.coordinates)
    density = added(spec.sampled.loglik, spec.prior_stack(None).value_and_gradient)
    return coordinates.density(density), coordinates.inward(spec.start)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("name", MODELS)
def test_the_posterior_is_the_same(name, shift):
    """Density and gradient at random points in the sampler's own coordinates."""
    formula, residual = MODELS[name]
    one, start = posterior(LMM(formula, cohort(), residual))
    two, _ = posterior(LMM(formula, SHIFTS[shift](cohort()), residual))
    d = len(start)
    rng = np.random.default_rng(5)
    away = None
    for _ in range(4):
        u = 0.5 * rng.normal(size=d)
        (a, slope), (b, other) = one(u), two(u)
        away = b - a if away is None else away  # the Jacobian
        assert b - a == pytest.approx(away, abs=1e-6)
        np.testing.assert_allclose(other, slope, rtol=1e-5, atol=1e-5)


def test_the_mode_and_the_curvature_are_the_same():
    formula, residual = MODELS["slope"]
    modes = []
    for change in (lambda d: d, *SHIFTS.values()):
        density, start = posterior(LMM(formula, change(cohort()), residual))
        mode = maximise(density, start)
        assert mode.converged
        modes.append((mode.x, hessian(density, mode.x)))
    for x, H in modes[1:]:
        np.testing.assert_allclose(x, modes[0][0], atol=1e-5)
        np.testing.assert_allclose(H, modes[0][1], rtol=1e-3, atol=1e-3)


def test_columns_may_come_in_any_order():
    """The default prior of each coefficient, and what it is of, in two orders of the columns."""
    stacks = [LMM(MODELS[name][0], cohort()).prior_stack(None) for name in ("slope", "order")]
    rename = {"arm:t": "t:arm"}
    tables = []
    for stack in stacks:
        names = [rename.get(name, name) for name in stack.names]
        k = len(stack.basis)
        basis = pd.DataFrame(stack.basis, index=names[:k], columns=names[:k])
        tables.append((dict(zip(names, stack.priors, strict=True)), basis))
    assert set(tables[0][0]) == set(tables[1][0])
    for name, prior in tables[0][0].items():
        np.testing.assert_allclose(prior.constants, tables[1][0][name].constants, rtol=1e-9)
    other = tables[1][1].loc[tables[0][1].index, tables[0][1].columns]
    np.testing.assert_allclose(tables[0][1], other, rtol=1e-9, atol=1e-12)


def test_the_treatment_s_prior_does_not_wipe_out_its_interaction():
    """The issue's example: with calendar years, arm at year 0 has a prior of no meaning."""
    rng = np.random.default_rng(3)
    id_ = np.repeat(np.arange(60), 5)
    t, arm = np.tile(np.arange(5.0), 60), (id_ % 2).astype(float)
    b = rng.normal(size=(60, 2))[id_] * [1.0, 0.2]
    y = 2 + b[:, 0] + (0.1 + b[:, 1] - 0.4 * arm) * t + 0.3 * rng.normal(size=300)
    data = pd.DataFrame({"y": y, "year": t + 2015, "arm": arm, "id": id_})
    spec = LMM("y ~ year * arm + (year | id)", data)
    fit, post = spec.fit(), spec.sample(draws=300, chains=2, seed=4)
    ml = fit.tidy().set_index("term").loc["year:arm"]
    found = post.tidy().set_index("term").loc["year:arm"]
    assert found["estimate"] == pytest.approx(ml["estimate"], abs=0.3 * ml["std_error"])
    assert found["std_error"] == pytest.approx(ml["std_error"], rel=0.15)
    assert post.ranef()["estimate"].notna().all()


def test_units_do_not_slow_the_sampler_down():
    """Two posteriors of one model with creatinine in other units are one chain, nearly."""
    data = cohort()
    found = []
    for unit in (1.0, 88.4e3):
        spec = LMM("y ~ t * arm + age + (t | id)", data.assign(age=unit * data["age"]))
        post = spec.sample(draws=200, tune=200, chains=2, seed=8)
        found.append((post.samples["age"] * unit, post.tidy()["ess_bulk"].min()))
    assert found[1][0].mean() == pytest.approx(found[0][0].mean(), abs=0.3 * found[0][0].std())
    assert found[1][1] > 0.6 * found[0][1]


class TestTheUsersOwnPriors:
    def test_a_coefficient_s_is_of_that_coefficient(self):
        spec = LMM("y ~ t * arm + (1 | id)", cohort().assign(t=cohort()["t"] + 2015))
        stack = spec.prior_stack({"arm": pr.Normal(0.0, 1.0)})
        theta = np.arange(1.0, len(stack.names) + 1)
        found = dict(zip(stack.names, stack.coordinates(theta), strict=True))
        assert found["arm"] == theta[stack.names.index("arm")]  # in the year 0
        assert found["Intercept"] != theta[0]
        assert "means" not in stack.describe()["arm"] and "means" in stack.describe()["Intercept"]

    def test_an_intercept_s_sd_is_of_the_level_at_the_user_s_origin(self):
        """The density, integrated, is that of the user's own parametrisation."""
        spec = LMM("y ~ t + (t | id)", cohort())
        given = {"sd(Intercept|id)": pr.HalfNormal(1.0)}
        kernel, stack = spec.sampled_under(given), spec.prior_stack(given)
        np.testing.assert_array_equal(kernel.to[0], np.eye(2))
        assert not stack.centred
        assert spec.prior_stack(None).centred == ("sd(Intercept|id)",)
        # A slope's SD is the same whatever the origin: the block stays centred.
        of_slopes = {"sd(t|id)": pr.HalfNormal(1.0)}
        assert spec.prior_stack(of_slopes).centred == ("sd(Intercept|id)",)
        assert spec.sampled_under(of_slopes) is spec.sampled


def test_shown_variances_are_of_the_user_s_effects():
    """SDs and correlations of the draws, carried back: those of J b."""
    spec = LMM("y ~ t * arm + (t | id)", cohort())
    post = spec.sample(draws=50, tune=100, chains=1, seed=1)
    theta = post.draws.theta[0]
    p, to = spec.sampled.data.p, spec.sampled.to[0]
    for s in (0, 25):
        tau, r = np.exp(theta[s, p + 1 : p + 3]), np.tanh(theta[s, p + 3])
        back = np.linalg.inv(to)
        D = back @ (np.outer(tau, tau) * [[1, r], [r, 1]]) @ back.T
        sd = np.sqrt(np.diag(D))
        assert post.samples["sd(Intercept|id)"][0, s] == pytest.approx(sd[0])
        assert post.samples["sd(t|id)"][0, s] == pytest.approx(sd[1])
        assert post.samples["cor(Intercept,t|id)"][0, s] == pytest.approx(D[0, 1] / sd.prod())


@pytest.mark.parametrize("shift", ["calendar years", "coding", "covariate"])
def test_a_linear_model_s_posterior(shift):
    data = cohort().drop_duplicates("id")
    data["t"] = np.random.default_rng(1).normal(size=len(data))
    specs = [Linear("y ~ t * arm + age", d, "id") for d in (data, SHIFTS[shift](data))]
    draws = [s.sample(draws=4000, chains=1, seed=3).samples for s in specs]
    k = 88.4 if shift == "covariate" else 1.0
    for name, scale in (("t:arm", 1.0), ("age", k), ("sigma", 1.0)):
        a, b = draws[0][name], draws[1][name] * scale
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-7)
