"""A generalised mixed model is the same whatever the clock, the units and the coding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from longsurv import priors as pr
from longsurv.inference import hessian, maximise
from longsurv.models import GLMM
from longsurv.models.glmm_priors import sampling

FAMILIES = ["bernoulli", "ordinal", "censored", "student"]
FORMULA = "y ~ t * arm + age + (t | id)"


@cache
def simulated(family: str) -> pd.DataFrame:
    """40 patients, five visits."""
    rng = np.random.default_rng(3)
    ids, t = np.repeat(np.arange(40), 5), np.tile(np.arange(5.0), 40)
    b = rng.normal(size=(40, 2)) @ [[1.0, 0.2], [0.0, 0.3]]
    age = rng.normal(60, 10, 40)[ids]
    eta = 0.5 * t * (ids % 2) + b[ids, 0] + b[ids, 1] * t + 0.02 * (age - 60)
    data = pd.DataFrame({"id": ids, "t": t, "arm": ids % 2, "age": age, "kind": "none"})
    if family == "bernoulli":
        return data.assign(y=(rng.random(200) < expit(eta - 1.0)).astype(int))
    if family == "ordinal":
        return data.assign(y=np.searchsorted([0.0, 1.0, 2.5], eta + rng.logistic(size=200)))
    y = 1.0 + eta + 0.5 * rng.standard_t(4, size=200)
    if family == "censored":
        between = (y > 1.0) & (y < 1.5)
        kind = np.where(y < 0.0, "left", np.where(between, "interval", "none"))
        return data.assign(y=np.where(between, 1.0, y.clip(0.0)), kind=kind, upper=1.5)
    return data.assign(y=y)


@dataclass(frozen=True)
class Move:
    """New units and origins: a column becomes origin + unit * column."""

    t: tuple[float, float] = (0.0, 1.0)
    arm: tuple[float, float] = (0.0, 1.0)
    age: tuple[float, float] = (0.0, 1.0)
    y: tuple[float, float] = (0.0, 1.0)

    def data(self, family: str) -> pd.DataFrame:
        data = simulated(family)
        measured = family in ("censored", "student")
        moved = {"t": self.t, "arm": self.arm, "age": self.age} | (
            {"y": self.y} if measured else {}
        )
        moved |= {"upper": self.y} if family == "censored" else {}
        return data.assign(**{name: a + k * data[name] for name, (a, k) in moved.items()})


MOVES = {
    "calendar years": Move(t=(2015.0, 1.0)),
    "days from a far origin": Move(t=(40_000.0, 365.25)),
    "coding": Move(arm=(10.0, 0.5)),
    "age in days, centred": Move(age=(-60 * 365.25, 365.25)),
    "response": Move(y=(1000.0, 1e-3)),
    "all": Move(t=(2015.0, 0.01), arm=(1.0, -1.0), age=(3.0, 1e4), y=(-7.0, 1e5)),
}


def model(family: str, move: Move | None = None, formula: str = FORMULA) -> GLMM:
    data = (move or Move()).data(family)
    limits = {"censored": "kind", "upper": "upper"} if family == "censored" else {}
    return GLMM(formula, data, family=family, nodes=3, **limits)


@cache
def plain(family: str):
    return model(family).fit()


def jacobian(family: str, move: Move) -> float:
    """What the log-likelihood loses by the response's unit."""
    data = simulated(family)
    measured = (data["kind"] == "none").sum() if family in ("censored", "student") else 0
    return float(measured * np.log(abs(move.y[1])))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", MOVES)
def test_fits_are_the_same(family, name):
    move, fit = MOVES[name], plain(family)
    moved = model(family, move).fit()
    (_, t), (_, arm), (_, age) = move.t, move.arm, move.age
    origin, unit = move.y if family in ("censored", "student") else (0.0, 1.0)
    assert moved.converged and fit.converged
    assert moved.llf == pytest.approx(fit.llf - jacobian(family, move), abs=1e-6)
    for term, scale in (("t:arm", t * arm), ("age", age)):
        assert moved.params[term] == pytest.approx(unit / scale * fit.params[term], rel=1e-5)
        assert moved.bse[term] == pytest.approx(abs(unit / scale) * fit.bse[term], rel=1e-5)
    # What is asked of rows does not depend on how they are written.
    rows = [0, 7, 33, 199]
    for options in ({}, {"by_patient": True}, {"type": "response"}):
        ours, theirs = (
            f.predict(f.spec.data.iloc[rows], **options)[["estimate", "std_error"]].to_numpy()
            for f in (moved, fit)
        )
        if family != "ordinal" or "type" in options:
            shown = theirs * [unit, abs(unit)] + [origin, 0.0]
            np.testing.assert_allclose(ours, shown, rtol=2e-5, atol=1e-9 * abs(origin))
        else:  # without its thresholds a predictor has no level
            np.testing.assert_allclose(np.diff(ours[:, 0]), np.diff(theirs[:, 0]), rtol=1e-5)
    slope, level = fit.random_cov.loc["t", "t"], moved.random_cov.loc["t", "t"]
    assert level == pytest.approx((unit / t) ** 2 * slope, rel=1e-4)
    np.testing.assert_allclose(
        level_at(moved, move.t[0] + 2 * t),
        unit * level_at(fit, 2.0),
        rtol=1e-4,
        atol=1e-5 * abs(unit),
    )


def level_at(fit, t: float) -> np.ndarray:
    """Each patient's deviation from the mean at a time."""
    effects = fit.ranef().pivot_table(index="id", columns="effect", values="estimate")
    return (effects["Intercept"] + t * effects["t"]).to_numpy()


def test_the_means_and_ratios_of_a_calendar_are_those_of_the_clock():
    fit, moved = plain("bernoulli"), model("bernoulli", MOVES["calendar years"]).fit()
    ours, theirs = (
        f.response_means([], at={"arm": [0, 1], "t": [x, x + 3.0]}).tidy()[
            ["estimate", "std_error"]
        ]
        for f, x in ((moved, 2015.0), (fit, 0.0))
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_the_order_of_rows_columns_and_patients_does_not_matter():
    data = simulated("student").sample(frac=1.0, random_state=4)
    data = data.assign(id=(data["id"] * 17 + 3) % 40)
    fit = GLMM("y ~ age + arm * t + (1 + t | id)", data, family="student", nodes=3).fit()
    assert fit.llf == pytest.approx(plain("student").llf, abs=1e-7)
    assert fit.params["arm:t"] == pytest.approx(plain("student").params["t:arm"], rel=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["calendar years", "coding", "all"])
def test_log_density_gradient_and_curvature_of_the_posterior_are_the_same(family, name):
    """In the sampler's coordinates, which have no units, up to one constant."""
    first, second = (
        sampling(spec.arrays, spec.prior_stack(None))
        for spec in (model(family), model(family, MOVES[name]))
    )
    # A column that was turned round is turned round.
    sign = np.sign(np.diag(_signs(first, second, family, name)))
    rng, difference = np.random.default_rng(1), []
    for _ in range(3):
        u = first.begin + 0.2 * rng.normal(size=len(first.begin))
        (a, g), (b, h) = first.density(u), second.density(sign * u)
        difference.append(a - b)
        np.testing.assert_allclose(sign * h, g, rtol=1e-6, atol=1e-6 * np.abs(g).max())
    assert difference[1:] == pytest.approx([difference[0]] * 2, abs=1e-6)
    H = hessian(first.density, u)
    turned = hessian(second.density, sign * u) * np.outer(sign, sign)
    np.testing.assert_allclose(turned, H, rtol=1e-5, atol=1e-5 * np.abs(H).max())


def _signs(first, second, family: str, name: str) -> np.ndarray:
    """Of each coordinate: the arm coded downwards turns its column and the product's."""
    out = np.eye(len(first.begin))
    if name == "all":
        names = list(model(family).design.fixed.names)
        for term in ("arm", "t:arm"):
            out[names.index(term)] *= -1.0
    return out


def test_the_mode_is_the_same_point():
    modes = []
    for move in (Move(), MOVES["days from a far origin"]):
        spec = model("student", move)
        posterior = sampling(spec.arrays, spec.prior_stack(None))
        modes.append(maximise(posterior.density, posterior.begin))
    np.testing.assert_allclose(modes[0].x, modes[1].x, rtol=1e-5, atol=1e-6)


def test_a_prior_that_is_given_keeps_its_plain_meaning():
    spec = model("bernoulli", MOVES["calendar years"])
    stack = spec.prior_stack({"arm": pr.Normal(0.3, 0.1), "sd(Intercept|id)": pr.Exponential(9.0)})
    theta = np.random.default_rng(2).normal(size=len(stack.names))
    values = dict(zip(stack.names, stack.coordinates(theta), strict=True))
    assert values["arm"] == pytest.approx(theta[spec.design.fixed.names.index("arm")])
    assert stack.labels[stack.names.index("sd(Intercept|id)")] == "sd(Intercept|id)"
    np.testing.assert_array_equal(
        spec.arrays_for({"sd(Intercept|id)": pr.Exponential(9.0)}).effects, np.eye(2)
    )
    # A slope is the same slope wherever time begins, so its block stays centred.
    assert spec.arrays_for({"sd(t|id)": pr.Exponential(9.0)}).effects[0, 1] == pytest.approx(-2017)
    words = spec.prior_stack(None).describe()
    assert words["arm"].endswith("with the other variables at their means")
    assert words["t:arm"] == words["t:arm"].removesuffix("at their means")


def test_draws_of_a_calendar_are_those_of_the_clock():
    """Within Monte Carlo error, as rounding sends chains different ways."""
    clock, years = (
        model("bernoulli", move, "y ~ t * arm + (1 | id)")
        .sample(draws=250, tune=150, seed=4, chains=2)
        .tidy()
        for move in (Move(), MOVES["calendar years"])
    )
    for term in ("t:arm", "t"):
        ours, theirs = (table.set_index("term").loc[term] for table in (years, clock))
        error = ours["std_error"] * np.hypot(ours["ess_bulk"] ** -0.5, theirs["ess_bulk"] ** -0.5)
        assert abs(ours["estimate"] - theirs["estimate"]) < 4.0 * error
        assert ours["std_error"] == pytest.approx(theirs["std_error"], rel=0.2)
    assert years["ess_bulk"].min() > 0.5 * clock["ess_bulk"].min()
