"""The posterior of the joint model against its PyMC twin: the density exactly, then the draws."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from longsurv.likelihood import joint
from longsurv.models import GLMM, LMM, CoxPH, JointModel, area, joint_start, slope, value
from longsurv.models.joint_smoothing import Smoothing
from longsurv.models.twin_parameters import at


def tiny(random: str = "1", n: int = 2, several: bool = False, **more) -> JointModel:
    """A few patients, three or four visits each; `several` adds a marker and a cause."""
    rng = np.random.default_rng(8)
    patient = np.repeat(np.arange(n) + 11, rng.integers(3, 5, n))
    t = rng.uniform(0, 2, len(patient))
    b = rng.normal(size=(n, 2)) * [0.7, 0.3]
    who = patient - 11
    y = 2 + 0.3 * t + b[who, 0] + b[who, 1] * t + 0.5 * rng.normal(size=len(t))
    rows = pd.DataFrame({"y": y, "t": t, "id": patient})
    event = np.arange(n) % 2 == 0
    patients = pd.DataFrame(
        {"id": np.arange(n) + 11, "stop": rng.uniform(2, 4, n), "event": event.astype(int)}
    ).assign(x=rng.normal(size=n))
    marker: LMM | list[LMM | GLMM] = LMM(f"y ~ t + ({random} | id)", data=rows)
    cause: CoxPH | list[CoxPH] = CoxPH("Surv(stop, event) ~ x", data=patients)
    if several:
        low, high = rows["y"].quantile([0.3, 0.8])
        other = rows.assign(z=rows["y"].clip(low, high))
        other["seen"] = np.select(
            [other["z"] == low, other["z"] == high], ["left", "right"], "none"
        )
        assert set(other["seen"]) == {"left", "right", "none"}
        censored = GLMM("z ~ 1 + (1 | id)", other, family="censored", censored="seen")
        left = CoxPH("Surv(stop, left) ~ 1", patients.assign(left=1 - patients["event"]))
        marker, cause = [marker, censored], [cause, left]
    return JointModel(marker, cause, time="t", **more)


def density_at_many(model):
    """The twin's log density at many values of its raw effects, shape (m, patients, q), at once."""
    import pytensor
    from pytensor.graph.replace import vectorize_graph
    from pytensor.tensor import tensor3

    raw, many = model.rvs_to_values[model["raw"]], tensor3("many")
    others = [variable for variable in model.value_vars if variable is not raw]
    density = vectorize_graph(model.logp(jacobian=False), {raw: many})
    compiled = pytensor.function(
        [many, *others], density, mode="FAST_COMPILE", on_unused_input="ignore"
    )
    return lambda point, values: compiled(values, *[point[other.name] for other in others])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS")  # as installed by pip
@pytest.mark.parametrize(
    "more",
    [
        {"baseline": "weibull"},
        {"baseline": "spline", "n_knots": 1, "link": value() + slope()},
        {"random": "t", "baseline": "exponential", "link": value(by="x")},
        {
            "several": True,
            "baseline": "exponential",
            "link": {"event": value(), "left": [None, area()]},
        },
    ],
    ids=["weibull", "spline", "slopes", "several"],
)
def test_density_is_the_twin_s_integrated(more):
    """log p(y, T, theta), but for the smoothing's constant; the twin is summed over its b."""
    spec = tiny(**more, nodes=21)
    model = spec.to_pymc()
    logp = density_at_many(model)
    stack, names = spec.prior_stack(None, 2.0, Smoothing()), spec.design.theta_names
    q, rng = len(spec.design.effect_names), np.random.default_rng(0)
    # The trapezoidal rule: for a density that has died away at both ends there is no better one.
    x, step = np.linspace(-5.0, 5.0, 33, retstep=True)
    nodes = np.array(list(itertools.product(x, repeat=q)))
    gaps = []
    for _ in range(2):
        theta = 0.3 * rng.normal(size=len(names))
        theta[: len(spec.design.coefficient_names)] += [2.0, 0.3, 2.0][: spec.statistics.p]
        n, m = len(stack.marker.names), len(stack.hazard.names)
        point = at(stack.marker, theta[:n], stack.moved) | at(stack.hazard, theta[-m:])
        jacobian = 0.0
        for name, u in zip(names, theta, strict=True):
            if name.startswith("cor("):
                r = np.tanh(u)
                jacobian += np.log(1 - r * r)
                factor = model.rvs_to_values[model["correlation_cholesky"]].name
                point[factor] = np.array([r / np.sqrt(1 - r * r)])
                continue
            jacobian += u if name.endswith("sigma") or name.startswith("sd(") else 0.0
        # Patients are independent given theta: integrate one, the other's effects held at 0.
        at_zero = float(logp(point, np.zeros((1, 2, q)))[0])
        total = at_zero
        for i in range(2):
            raw = np.zeros((len(nodes), 2, q))
            raw[:, i] = nodes
            total += np.logaddexp.reduce(logp(point, raw) + q * np.log(step)) - at_zero
        ours = joint.own_loglik(spec.statistics, theta)[0] + stack.of_own(theta)[0]
        gaps.append(ours - jacobian - total)
    assert gaps[0] == pytest.approx(gaps[1], abs=1e-6)
    if more["baseline"] != "spline":
        assert gaps[0] == pytest.approx(0.0, abs=1e-6)


def test_smoothing_is_a_density_of_the_second_differences():
    from scipy.stats import multivariate_t

    rng = np.random.default_rng(1)
    gamma, smoothing = rng.normal(size=6), Smoothing(4.0, 0.3)
    value_, gradient = smoothing.value_and_gradient(gamma)
    expected = multivariate_t(np.zeros(4), 0.09 * np.eye(4), df=4.0).logpdf(np.diff(gamma, 2))
    assert value_ == pytest.approx(expected)
    for j, e in enumerate(1e-6 * np.eye(6)):
        up, down = (smoothing.value_and_gradient(g)[0] for g in (gamma + e, gamma - e))
        assert gradient[j] == pytest.approx((up - down) / 2e-6, abs=1e-7)


@pytest.fixture(scope="module")
def pbc_posterior(table):
    visits = table("pbc")
    patients = visits.drop_duplicates("id").drop(columns=["year", "bili"])
    patients["event"] = (patients["status"] != "censored").astype(int)
    growth = LMM(
        "log(bili) ~ year * drug + (year | id)", data=visits[["id", "year", "bili", "drug"]]
    )
    death = CoxPH("Surv(years, event) ~ drug + age", data=patients)
    return JointModel(growth, death, time="year").sample(draws=500, tune=200, seed=1, chains=2)


@pytest.mark.slow
def test_pbc_against_jmbayes2(pbc_posterior):
    """JMbayes2: association 1.3234 (0.0918), 95 % 1.149 to 1.509."""
    post = pbc_posterior
    row = post.tidy().set_index("term").loc["assoc.value"]
    assert row["estimate"] == pytest.approx(1.3234, abs=0.03)
    assert row["std_error"] == pytest.approx(0.0918, rel=0.1)
    assert row["ess_bulk"] > 1000
    table = post.tidy(component="all")
    assert table["r_hat"].max() < 1.02 and not post.draws.stats["diverging"].any()
    assert post.idata["log_likelihood"]["y"].shape == (2, 500, 312)
    # The log-likelihoods of the patients add up to the kernel's.
    theta = post.draws.theta[1, 7]
    whole = joint.loglik(post.data, theta)[0]
    parts = float(post.idata["log_likelihood"]["y"][1, 7].sum())
    assert parts == pytest.approx(whole, abs=1e-6)


@pytest.mark.slow
def test_posterior_predictions(pbc_posterior):
    post, spec = pbc_posterior, pbc_posterior.spec
    fit = spec.fit()
    visits = spec.marker.data.merge(spec.event.data[["id", "age"]], on="id")
    person = visits[visits["id"] == 12]
    mine = post.predict_survival(person, at=2.0, times=[3.0, 6.0])
    other = fit.predict_survival(person, at=2.0, times=[3.0, 6.0])
    gap = (mine["estimate"] - other["estimate"]).abs()
    assert (gap < other["std_error"]).all()
    curve, mean = post.predict(visits.head(4)), fit.predict(visits.head(4))
    assert ((curve["estimate"] - mean["estimate"]).abs() < 0.3 * mean["std_error"]).all()
    words = post.association()["words"].str.cat()
    assert "A doubling of bili multiplies the hazard by 2.4" in words


@pytest.mark.slow
def test_posterior_of_two_markers_and_two_causes():
    """Draws whose log-likelihoods of patients add up, and whose means are near the maximum."""
    rng = np.random.default_rng(2)
    n = 120
    b = rng.multivariate_normal([0, 0], [[0.5, -0.3], [-0.3, 0.5]], n)
    stop = np.minimum(rng.exponential(4 * np.exp(-0.8 * b[:, 0])), 6.0)
    what = np.where(stop < 6.0, np.where(rng.random(n) < 0.6, 1, 2), 0)
    patients = pd.DataFrame(
        {"id": np.arange(n), "stop": stop, "dead": what == 1, "home": what == 2}
    ).astype({"dead": int, "home": int})
    visits = [np.arange(0, s, 0.5) for s in stop]
    who = np.repeat(np.arange(n), [len(v) for v in visits])
    rows = pd.DataFrame({"id": who, "t": np.concatenate(visits)})
    for k, name in enumerate(("a", "b")):
        rows[name] = b[who, k] + 0.4 * rng.normal(size=len(rows))
    rows["seen"] = np.where(rows["b"] < -0.6, "left", "none")
    rows["b"] = rows["b"].clip(lower=-0.6)
    spec = JointModel(
        [
            LMM("a ~ 1 + (1 | id)", rows),
            GLMM("b ~ 1 + (1 | id)", rows, family="censored", censored="seen"),
        ],
        [CoxPH("Surv(stop, dead) ~ 1", patients), CoxPH("Surv(stop, home) ~ 1", patients)],
        time="t",
        baseline="exponential",
    )
    post, fit = spec.sample(draws=1000, tune=200, seed=1, chains=2), spec.fit()
    table, exact = post.tidy(component="all").set_index("term"), fit.tidy(component="all")
    assert table["r_hat"].max() < 1.02 and not post.draws.stats["diverging"].any()
    exact = exact.set_index("term")
    gap = (table["estimate"] - exact["estimate"]).abs() / table["std_error"]
    assert gap.max() < 0.7
    theta = post.draws.theta[0, 5]
    parts = float(post.idata["log_likelihood"]["y"][0, 5].sum())
    assert parts == pytest.approx(joint.loglik(post.data, theta)[0], abs=1e-7)
    incidence = post.predict_incidence(rows[rows["id"] < 2], at=0.5, times=[2.0], draws=30)
    survival = post.predict_survival(rows[rows["id"] < 2], at=0.5, times=[2.0], draws=30)
    total = incidence.groupby("id")["estimate"].sum().to_numpy() + survival["estimate"]
    assert total.to_numpy() == pytest.approx(1.0, abs=1e-5)


def test_the_level_of_few_events_is_sampled_as_the_log_of_those_expected(monkeypatch):
    """Against the sum written out; with many events the coordinates are the parameters."""
    spec = tiny(n=8, several=True, baseline="exponential")
    of = joint_start.expected_events(spec.alone, spec.design, spec.statistics)
    names, theta = list(spec.design.theta_names), spec.start
    x, curves = of.inward(theta), joint_start.predicted(spec.alone, spec.design)
    for cause in spec.design.causes:
        at = dict(zip(names, theta, strict=True))
        eta = sum(
            at[term] * values
            for term, values in zip(
                cause.association_names, cause.link_values(*curves), strict=True
            )
        )
        who = np.repeat(np.arange(8), np.diff(cause.points.start))
        for term, column in zip(cause.covariate_names, cause.covariates.T, strict=True):
            eta = eta + at[term] * column[who]
        (level,) = cause.baseline_names
        expected = cause.points.weight @ np.exp(at[level] + eta)
        np.testing.assert_allclose(x[names.index(level)], np.log(expected), rtol=1e-12)
    monkeypatch.setattr(joint_start, "FEW_EVENTS", 4)  # as many as there are of each cause
    assert not joint_start.expected_events(spec.alone, spec.design, spec.statistics).causes
