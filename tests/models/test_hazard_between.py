"""Hazard models of events between two times: R, special cases, both engines, wrong input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from few_clusters import made_up

import longsurv as ls
from longsurv import priors as pr
from longsurv.errors import DataError, EstimationError, FormulaError, LongsurvError
from longsurv.estimands.standardised import risk_difference
from longsurv.likelihood import hazard as hz
from longsurv.models import CoxPH, FineGray, Hazard
from longsurv.models.twin_parameters import at

KINDS = ("exponential", "weibull", "piecewise", "mspline")
RIGHT = "trt + karno + age"
BETWEEN = f"Surv(left, right, type='interval2') ~ {RIGHT}"


@pytest.fixture(scope="module")
def seen(table):
    return table("windows")


@pytest.fixture(scope="module")
def exact(table):
    """Every death at its time, as two columns."""
    rows = table("veteran")
    return rows.assign(left=rows["time"], right=rows["time"].where(rows["status"] == 1))


@pytest.mark.parametrize("kind", ["exponential", "weibull"])
@pytest.mark.parametrize("how", ["", "_weighted", "_clustered"])
def test_against_survreg(seen, r_results, kind, how):
    name, more = f"{kind}{how}", " + cluster(celltype)" if how == "_clustered" else ""
    weights = "twice" if how == "_weighted" else None
    fit = Hazard(BETWEEN + more, seen, kind, weights=weights).fit()
    r = {q: r_results("hazard_windows", name, q) for q in ("coef", "se", "loglik")}
    np.testing.assert_allclose(fit.params, list(r["coef"].values()), rtol=1e-6)
    few = made_up(fit)
    np.testing.assert_allclose(fit.bse, list(r["se"].values()) * np.sqrt(few), rtol=1e-6)
    assert fit.llf == pytest.approx(r["loglik"][""], abs=1e-6)
    assert fit.converged and fit.diagnose().ok
    assert ("robust" in fit.method) == (how == "_clustered")
    if kind == "weibull":
        row = fit.tidy(component="all").set_index("term").loc["log_shape"]
        shape = r_results("hazard_windows", name, "log_shape")[""]
        assert row["estimate"] == pytest.approx(shape, rel=1e-6, abs=1e-7)
        se = r_results("hazard_windows", name, "log_shape_se")[""]
        assert row["std_error"] == pytest.approx(se * np.sqrt(few.max()), rel=1e-6)
    if not how:
        assert "110 events between two times, 128 events" in fit.method


def test_patients_seen_once(seen, r_results):
    """Current status: the event by the one visit, or not yet."""
    when = 40.0 + 10.0 * (np.arange(1, len(seen) + 1) % 9)
    dead = seen["right"] <= when
    once = seen.assign(left=np.where(dead, np.nan, when), right=np.where(dead, when, np.inf))
    fit = Hazard(BETWEEN, once, "weibull").fit()
    theirs = list(r_results("hazard_windows", "weibull_once", "coef").values())
    np.testing.assert_allclose(fit.params, theirs, rtol=1e-6)
    expected = r_results("hazard_windows", "weibull_once", "loglik")[""]
    assert fit.llf == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_known_times_are_the_ordinary_model(exact, kind):
    """Exact and right-censored rows alone are what Surv(time, event) says, in all it can do."""
    knots = (30.0, 110.0) if kind in ("piecewise", "mspline") else None
    ours = Hazard(BETWEEN, exact, kind, knots=knots)
    ordinary = Hazard(f"Surv(time, status) ~ {RIGHT}", exact, kind, knots=knots)
    theta = np.random.default_rng(1).normal(size=3 + ours.hazard.baseline.size) * 0.3
    for one, other in zip(
        hz.kernel(ours.hazard.data, theta), hz.kernel(ordinary.hazard.data, theta), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    fit, other = ours.fit(), ordinary.fit()
    np.testing.assert_allclose(fit.params, other.params, rtol=1e-7)
    np.testing.assert_allclose(fit.cov_params(), other.cov_params(), rtol=1e-6)
    pd.testing.assert_frame_equal(fit.residuals(), other.residuals(), rtol=1e-6)


def test_narrow_windows_come_to_the_known_times(exact):
    """The chance of a window is about its density times its width."""
    width = 1e-4
    died = exact["status"] == 1
    narrow = exact.assign(
        left=exact["time"] - np.where(died, width / 2, 0.0),
        right=(exact["time"] + width / 2).where(died),
    )  # fmt: skip
    fit, other = Hazard(BETWEEN, narrow, "weibull").fit(), Hazard(BETWEEN, exact, "weibull").fit()
    np.testing.assert_allclose(fit.params, other.params, rtol=1e-5)
    density = other.llf + died.sum() * np.log(width)
    assert fit.llf == pytest.approx(density, rel=1e-6)


def test_wider_windows_say_less(seen, exact):
    known, between = (Hazard(BETWEEN, rows, "weibull").fit() for rows in (exact, seen))
    blind = seen.assign(left=np.nan, right=np.where(seen["right"].notna(), 500.0, np.nan))
    blind["left"] = blind["left"].where(blind["right"].notna(), seen["left"])
    nothing = Hazard(BETWEEN, blind, "exponential").fit()
    assert (known.bse < between.bse * 1.01).all() and (between.bse < nothing.bse).all()


@pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS")  # as installed by pip
@pytest.mark.parametrize("kind", KINDS)
def test_density_is_the_twin_s(seen, kind):
    spec = Hazard(BETWEEN, seen.iloc[::4], kind, weights="twice")
    priors = {"trt": pr.TREATMENT["sceptical"]}
    logp = spec.to_pymc(priors).compile_logp(mode="FAST_COMPILE")
    stack, rng = spec.prior_stack(priors), np.random.default_rng(0)
    for _ in range(3):
        theta = rng.normal(size=len(stack.names)) * 0.3
        ours = hz.value_and_gradient(spec.hazard.data, theta)[0]
        ours += stack.value_and_gradient(theta)[0]
        assert ours == pytest.approx(float(logp(at(stack, theta))), rel=1e-9)


def test_posterior_and_likelihood_agree(seen):
    spec = Hazard(BETWEEN, seen, "weibull")
    fit, post = spec.fit(), spec.sample(draws=500, chains=2, seed=3)
    assert post.diagnose().ok and "110 events between two times" in post.method
    gap = np.abs(post.tidy()["estimate"].to_numpy() - fit.params.to_numpy())
    assert (gap < 0.25 * fit.bse.to_numpy()).all()
    assert (ls.compare(fit, post)["verdict"] == "agree").all()
    assert post.idata["observed_data"]["y"].shape == (len(seen), 2)
    S = fit.predict(seen.head(2), times=[60.0, 180.0])["estimate"]
    drawn = post.predict(seen.head(2), times=[60.0, 180.0])["estimate"]
    np.testing.assert_allclose(S, drawn, atol=0.03)


def test_posterior_by_sums_over_a_grid(seen):
    """A constant hazard: two parameters."""
    few = seen.iloc[::4]
    spec = Hazard("Surv(left, right, type='interval2') ~ trt", few, "exponential")
    post = spec.sample(draws=2000, chains=2, seed=1, priors={"trt": pr.TREATMENT["sceptical"]})
    b, a = np.meshgrid(np.linspace(-2, 2, 161), np.linspace(-7, -3, 161), indexing="ij")
    arm = few["trt"].to_numpy(dtype=float) - few["trt"].mean()
    left, right = few["left"].fillna(0.0).to_numpy(), few["right"].fillna(np.inf).to_numpy()
    log_post = -0.5 * (b / 0.355) ** 2
    level = post.stack.describe()[spec.hazard.baseline.names[0]]
    mean = float(level.split("(")[1].split(",")[0])
    log_post = log_post - 0.5 * ((a - mean) / 5.0) ** 2
    for i in range(len(few)):
        rate = np.exp(a + b * arm[i])
        if left[i] == right[i]:
            log_post += np.log(rate) - rate * left[i]
        else:
            log_post += np.log(np.exp(-rate * left[i]) - np.exp(-rate * right[i]))
    mass = np.exp(log_post - log_post.max())
    mass /= mass.sum()
    centre = float((mass * b).sum())
    sd = float(np.sqrt((mass * (b - centre) ** 2).sum()))
    found = post.tidy().set_index("term").loc["trt"]
    assert found["estimate"] == pytest.approx(centre, abs=0.08 * sd)
    assert found["std_error"] == pytest.approx(sd, rel=0.06)


def test_curves_and_risks_go_to_the_end_of_the_windows(seen):
    fit = Hazard(BETWEEN, seen, "weibull").fit()
    assert fit.design.last == max(seen["left"].max(), seen["right"].max())
    times = fit.survival_curve(seen.head(1))["time_newdata" if "time" in seen else "time"]
    ends = pd.concat([seen.loc[seen["right"].notna(), "left"], seen["right"]]).dropna().unique()
    np.testing.assert_allclose(times, np.sort(ends))
    # a risk by a time after the middle of every window, not after their ends
    late = fit.design.last - 1.0
    assert late > fit.design.exit.max() or fit.design.exit.max() == fit.design.last
    table = risk_difference(fit, "trt", late, treated=2, reference=1)
    assert np.isfinite(table["estimate"]).all()
    with pytest.raises(LongsurvError, match="nobody was followed"):
        risk_difference(fit, "trt", fit.design.last + 1.0, treated=2, reference=1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"left": 5.0, "right": 3.0}, "'left', the last time without the event, is after 'right'"),
        ({"left": 0.0, "right": np.nan}, "'left' is 0 or missing and 'right' infinite or missing"),
        ({"left": -3.0}, "'left' is negative in 1 row"),
        ({"left": 0.0, "right": 0.0}, "'right' is 0 or less"),
        ({"left": np.inf}, "'left' is infinite"),
    ],
)
def test_wrong_times_are_said_with_their_rows(seen, change, words):
    wrong = seen.astype({"left": float, "right": float})
    for name, value in change.items():
        wrong.loc[4, name] = value
    with pytest.raises(DataError, match=words) as error:
        Hazard(BETWEEN, wrong, "weibull").fit()
    assert "index 4" in str(error.value)


def test_open_ends_are_written_in_several_ways(seen):
    fit = Hazard(BETWEEN, seen, "weibull").fit()
    for left, right in ((0.0, np.inf), (-np.inf, np.inf)):
        other = seen.assign(left=seen["left"].fillna(left), right=seen["right"].fillna(right))
        found = Hazard(BETWEEN, other, "weibull").fit()
        np.testing.assert_allclose(found.params, fit.params, rtol=1e-10)
    nothing = seen.astype({"left": float, "right": float})
    nothing.loc[[2, 7], ["left", "right"]] = np.nan
    found = Hazard(BETWEEN, nothing, "weibull").fit()
    assert found.nobs == len(seen) - 2 and "2 of 137 rows were left out" in found.flags[0]


def test_what_nothing_is_known_of_is_refused(seen):
    died = seen["right"].notna()
    for rows, words in (
        (seen.assign(right=np.nan), "has no time by which an event had happened"),
        (seen.assign(left=np.nan)[died], "every event happened by 'right'"),
    ):
        with pytest.raises(DataError, match=words):
            Hazard(BETWEEN, rows, "weibull").fit()
    one_visit = seen.assign(left=np.where(died, np.nan, 60.0), right=np.where(died, 60.0, np.nan))
    assert Hazard(BETWEEN, one_visit, "exponential").fit().converged
    for kind in ("weibull", "piecewise"):
        with pytest.raises(EstimationError, match=r"no event was in|do not determine the"):
            Hazard(BETWEEN, one_visit, kind, knots=(30.0,) if kind == "piecewise" else None).fit()
    with pytest.raises(EstimationError, match=r"no event was in \(200, 210\]"):
        Hazard(BETWEEN, seen, "piecewise", knots=(200, 210, 900)).fit()
    apart = seen.assign(right=seen["right"].where(seen["trt"] == 2), left=seen["left"].fillna(1.0))
    with pytest.raises(EstimationError, match=r"no maximum in trt.*sample"):
        Hazard(BETWEEN, apart, "weibull").fit()
    assert (
        Hazard(BETWEEN, apart, "exponential").sample(draws=100, chains=2).tidy()["estimate"][0] > 0
    )


def test_what_needs_known_times_is_refused(seen):
    fit = Hazard(BETWEEN, seen, "weibull").fit()
    for ask in (
        fit.residuals, lambda: fit.plot_survival("trt"),
        lambda: Hazard(BETWEEN, seen, "weibull").fit(penalty="firth"),
        lambda: Hazard(BETWEEN, seen, "weibull", time_varying=("trt",)).fit(),
    ):  # fmt: skip
        with pytest.raises(LongsurvError, match="the time of every event, and 110 events"):
            ask()
    for wrong in (CoxPH(BETWEEN, seen), FineGray(BETWEEN, seen)):
        with pytest.raises(FormulaError, match="are for Hazard"):
            wrong.fit()
    with pytest.raises(FormulaError, match="random effect of 'celltype'"):
        Hazard(BETWEEN + " + (1 | celltype)", seen).fit()
    with pytest.raises(FormulaError, match="a patient has one row"):
        Hazard(BETWEEN, seen, patient="celltype").fit()


def test_one_column_for_both_ends_is_refused(seen):
    with pytest.raises(FormulaError, match="'left' for both ends"):
        Hazard("Surv(left, left, type='interval2') ~ trt", seen).fit()


@pytest.mark.parametrize(
    "response",
    [
        "Surv(left, right, type='interval')",
        "Surv(entry, left, right, type='interval2')",
        "Surv(left, type='interval2')",
        "Surv(left, right, type='left')",
    ],
)
def test_other_types_of_response_are_refused(response, seen):
    with pytest.raises(FormulaError, match="type of Surv that has to be named"):
        Hazard(f"{response} ~ trt", seen).fit()
