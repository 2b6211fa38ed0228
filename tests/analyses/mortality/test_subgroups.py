"""Subgroups of the treatment effect: against R, dense computations, and data that do not say."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from invariance.reading import around_the_mode

import longsurv as ls
from longsurv.analyses import Mortality
from longsurv.analyses.mortality.arms import Comparison
from longsurv.analyses.mortality.standardised_incidence import standardised_incidence
from longsurv.analyses.mortality.subgroup_shrinkage import Shrinkage, shrink
from longsurv.analyses.mortality.subgroup_split import Split, Trial
from longsurv.analyses.mortality.subgroups import SubgroupEffects
from longsurv.errors import DataError, LongsurvError
from longsurv.models import CoxPH

REFERENCE = Path(__file__).parents[2] / "reference"
LIMITS = ["estimate", "conf_low", "conf_high"]


def quickly(asked: Mortality, columns: list[str]) -> SubgroupEffects:
    """With points around the posterior's mode in the place of draws."""
    with around_the_mode():
        return asked.subgroups(columns, draws=50, chains=2)


def veteran() -> pd.DataFrame:
    data = pd.read_csv(REFERENCE / "veteran.csv")
    return data.assign(exit=data["time"].astype(float), event=data["status"]).drop(
        columns=["time", "status"]
    )


def lung() -> pd.DataFrame:
    data = pd.read_csv(REFERENCE / "lung.csv")
    data = data[data["ecog"] < 3]
    return pd.DataFrame(
        {
            "exit": data["time"].astype(float),
            "event": data["status"],
            "arm": data["sex"] - 1,
            "ecog": data["ecog"].astype(float),
        }
    )


@pytest.fixture(scope="module")
def found() -> dict[str, SubgroupEffects]:
    return {
        "veteran": quickly(Mortality(veteran(), "trt", 200.0, adjust="karno"), ["celltype"]),
        "lung": quickly(Mortality(lung(), "arm", 365.0), ["ecog"]),
    }


def of(result: SubgroupEffects, quantity: str, engine: str = "frequentist") -> pd.DataFrame:
    table = result.of(quantity)
    return table[table["engine"] == engine].set_index("level")


@pytest.mark.parametrize("name", ["veteran", "lung"])
def test_against_r(found, r_results: Callable[..., dict[str, float]], name: str) -> None:
    result = found[name]

    def expected(quantity: str) -> dict[str, float]:
        return r_results("subgroups", name, quantity)

    hazards = of(result, "hazard ratio")
    coefficients = expected("coef") | {"all patients": expected("overall_coef")[""]}
    errors = expected("se") | {"all patients": expected("overall_se")[""]}
    assert set(hazards.index) == set(coefficients)
    for level, coefficient in coefficients.items():
        row = np.log(hazards.loc[level, LIMITS].to_numpy(float))
        assert row[0] == pytest.approx(coefficient, abs=1e-7)
        assert row[2] - row[0] == pytest.approx(1.959963984540054 * errors[level], rel=1e-6)
    risks = of(result, "risk difference")
    for level, risk in expected("risk_difference").items():
        assert risks.loc[level, "estimate"] == pytest.approx(risk, abs=1e-7)
    (test,) = result.tests.to_dict("records")
    assert test["statistic"] == pytest.approx(expected("chisq")[""], rel=1e-7)
    assert (test["df"], test["levels"]) == (expected("df")[""], expected("df")[""] + 1)
    assert test["p_value"] == pytest.approx(expected("p")[""], rel=1e-6)


def test_shrunken_effects_lie_closer_together(found) -> None:
    result = found["veteran"]
    alone, drawn = (
        np.log(of(result, "hazard ratio", engine).drop("all patients")["estimate"].astype(float))
        for engine in ("frequentist", "bayes")
    )
    assert np.ptp(drawn) < 0.8 * np.ptp(alone)
    assert np.corrcoef(drawn, alone[drawn.index])[0, 1] > 0.95
    spread = result.spread.set_index("term")
    assert 0.0 < spread.loc["sd", "conf_low"] <= spread.loc["sd", "conf_high"] < 1.2


def small(seed: int = 5, n: int = 26) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    arm, level = rng.integers(0, 2, n), np.tile(["a", "b"], n // 2)
    rate = np.exp(0.5 * arm - 1.2 * arm * (level == "b"))
    exit_ = rng.exponential(1.0 / rate)
    data = {"exit": exit_.round(4), "event": (rng.random(n) < 0.7).astype(int), "arm": arm}
    return pd.DataFrame({**data, "level": level})


def log_partial(data: pd.DataFrame, X: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Log partial likelihood at each column of `beta`, by the risk set of every event; no ties."""
    eta, exit_ = X @ beta, data["exit"].to_numpy()
    total = np.zeros(beta.shape[1])
    for i in np.flatnonzero(data["event"]):
        at_risk = exit_ >= exit_[i]
        total += eta[i] - np.log(np.exp(eta[at_risk]).sum(axis=0))
    return total


def split_of(data: pd.DataFrame) -> Split:
    """The patients by their level, as `Mortality.subgroups` splits them."""
    data = Mortality(data.assign(status=data["event"]), "arm", 100.0).data
    asked = (Comparison(1, 0),)
    return Trial(data, "arm", (0, 1), asked, 100.0, "", (1,), "efron", None).split("level")


def columns_of(data: pd.DataFrame) -> np.ndarray:
    """The level's own hazard, and the arm (minus or plus a half) in either level."""
    half, second = data["arm"].to_numpy() - 0.5, (data["level"] == "b").to_numpy()
    return np.column_stack([second, half * ~second, half * second]).astype(float)


def test_the_hierarchical_posterior_against_dense_quadrature() -> None:
    from scipy.interpolate import RectBivariateSpline
    from scipy.stats import halfnorm, norm

    data = small()
    result = Mortality(data, "arm", 100.0).subgroups(["level"], draws=1000, chains=2, seed=3)
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    weights /= weights.sum()
    middle, half = np.linspace(-5.0, 5.0, 81), np.linspace(-5.0, 5.0, 61)
    gamma, m, d = (a.ravel() for a in np.meshgrid(nodes, middle, half, indexing="ij"))
    likelihood = np.exp(log_partial(data, columns_of(data), np.stack([gamma, m + d, m - d])))
    known = np.tensordot(weights, likelihood.reshape(41, 81, 61), 1)  # over gamma's N(0, 1)
    smooth = RectBivariateSpline(middle, half, np.log(known))
    s, widths = np.polynomial.legendre.leggauss(40)
    s, widths = 1.5 * (s + 1.0), widths * halfnorm.pdf(1.5 * (s + 1.0), scale=0.5)
    # given s the effects' mean is N(0, 1 + s^2 / 2) and half their difference N(0, s^2 / 2)
    at = (s[:, None] * nodes / np.sqrt(2.0)).ravel()
    inside = np.clip(at, -5.0, 5.0)
    density = norm.pdf(middle[:, None], scale=np.sqrt(1.0 + np.repeat(s, 41) ** 2 / 2.0))
    mass = np.exp(smooth(middle, np.sort(inside)))[:, np.argsort(np.argsort(inside))]
    mass *= density * np.outer(widths, weights).ravel()
    mass /= mass.sum()
    drawn = result.shrunken["level"]
    assert result.diagnose()["level"].ok
    for label, sign in (("a", 1.0), ("b", -1.0)):
        values = middle[:, None] + sign * at
        table = drawn.tidy().set_index("term").loc[label]
        mean = float((mass * values).sum())
        sd = float(np.sqrt((mass * (values - mean) ** 2).sum()))
        assert table["estimate"] == pytest.approx(mean, abs=4.0 * table["mcse_mean"])
        assert table["std_error"] == pytest.approx(sd, rel=0.08)
        assert table["prob_positive"] == pytest.approx(float(mass[values > 0].sum()), abs=0.04)


def test_its_density_against_the_definition_and_its_gradients(numeric_gradient) -> None:
    from scipy.stats import halfnorm, norm

    data = small()
    split = split_of(data)
    shrinkage = Shrinkage.of(split, 1)
    names, effects = shrinkage.each.design.fixed.names, split.terms
    (own,) = set(names) - set(effects)  # the level's own hazard
    place = [names.index(name) for name in (own, *effects)]

    def definition(theta: np.ndarray) -> float:
        mean, log_sd, beta = theta[0], theta[1], theta[2:][place]
        likelihood = log_partial(data, columns_of(data), beta[:, None])[0]
        effects = norm.logpdf(beta[1:], mean, np.exp(log_sd)).sum()
        prior = norm.logpdf(beta[0]) + norm.logpdf(mean)
        return likelihood + effects + prior + halfnorm.logpdf(np.exp(log_sd), scale=0.5) + log_sd

    coordinates = shrinkage.coordinates
    rng, constants = np.random.default_rng(4), []
    for _ in range(4):
        x = coordinates.start() + rng.normal(size=5)
        theta = coordinates.outward(x)
        constants.append(shrinkage.density(theta)[0] - definition(theta))
        recentred = coordinates.density(shrinkage.density)
        jacobian = recentred(x)[0] - shrinkage.density(theta)[0]
        assert jacobian == pytest.approx(coordinates.log_jacobian(x))
        for density, at in ((shrinkage.density, theta), (recentred, x)):
            numeric = numeric_gradient(lambda v, f=density: f(v)[0], at)
            assert density(at)[1] == pytest.approx(numeric, rel=1e-5, abs=1e-5)
    assert constants == pytest.approx([constants[0]] * 4, abs=1e-8)


@pytest.mark.parametrize("n", [26, 200])
def test_its_chains_agree_whatever_the_levels_say(n: int) -> None:
    """Few patients, whose levels say little, and many: the same steps do for both."""
    data = small(7, n).assign(level=lambda d: np.arange(len(d)) % 4)
    drawn = shrink(split_of(data), draws=400, chains=4, seed=2)
    assert drawn.diagnose().ok
    assert not drawn.draws.stats["diverging"].any()
    assert drawn.draws.stats["n_steps"].mean() < 9.0


def firth(data: pd.DataFrame, X: np.ndarray, beta: np.ndarray) -> float:
    """Log partial likelihood and half the log determinant of its information, written out."""
    eta, exit_ = X @ beta, data["exit"].to_numpy()
    value, information = 0.0, np.zeros((X.shape[1],) * 2)
    for i in np.flatnonzero(data["event"]):
        at_risk = exit_ >= exit_[i]
        weight = np.exp(eta[at_risk])
        value += eta[i] - np.log(weight.sum())
        rows, share = X[at_risk], weight / weight.sum()
        centred = rows - share @ rows
        information += (centred * share[:, None]).T @ centred
    return value + 0.5 * float(np.linalg.slogdet(information)[1])


def test_few_events_have_firths_penalty_and_its_test() -> None:
    from scipy.optimize import minimize
    from scipy.stats import chi2

    data = small(8, 22)
    data["event"] = np.where(data["event"].cumsum() > 9, 0, data["event"])
    result = quickly(Mortality(data, "arm", 100.0), ["level"])
    X = columns_of(data)
    whole = minimize(lambda b: -firth(data, X, b), np.zeros(3), tol=1e-10)
    alike = minimize(lambda b: -firth(data, X, b[[0, 1, 1]]), np.zeros(2), tol=1e-10)
    (test,) = result.tests.to_dict("records")
    assert "Firth" in test["method"]
    assert test["statistic"] == pytest.approx(2.0 * (alike.fun - whole.fun), abs=1e-6)
    assert test["p_value"] == pytest.approx(float(chi2.sf(test["statistic"], 1)))
    hazards = of(result, "hazard ratio")
    np.testing.assert_allclose(
        np.log(hazards.loc[["a", "b"], "estimate"].to_numpy(float)), whole.x[1:], atol=1e-4
    )
    assert hazards.loc[["a", "b"], "method"].str.contains("Firth").all()


def test_all_patients_are_those_of_the_mortality_analysis() -> None:
    cohort = ls.read_cohort(ls.example_path("ivig_sepsis") / "study.toml")
    asked = Mortality(cohort, adjust="apache2")
    result = quickly(asked, ["sex"])
    row = of(result, "risk difference").loc["all patients"]
    home = asked.data.assign(event=asked.data["status"] == 2)
    fits = [
        asked.cox_adjusted.fit(penalty="firth"),
        CoxPH("Surv(entry, exit, event) ~ treatment + apache2", home).fit(),
    ]
    theirs = standardised_incidence(fits, "treatment", 28.0).set_index("term")
    assert row[LIMITS].to_numpy(float) == pytest.approx(
        theirs.loc["risk difference", LIMITS].to_numpy(float), abs=1e-7
    )
    fit = asked.cox_adjusted.fit(penalty="firth").tidy().set_index("term")
    (term,) = [name for name in fit.index if "treatment" in name]
    hazard = of(result, "hazard ratio").loc["all patients", LIMITS].to_numpy(float)
    assert np.log(hazard) == pytest.approx(fit.loc[term, LIMITS].to_numpy(float), abs=1e-5)
    events = result.counts[result.counts["column"] == "sex"][["patients", "events"]].sum()
    assert tuple(events) == (41, asked.counts.events + asked.counts.reference_events)


def test_which_arm_is_the_reference_and_the_order_of_levels_do_not_matter() -> None:
    data = veteran().drop(columns="karno")
    turned = data.assign(
        trt=pd.Categorical(data["trt"], [2, 1]),
        celltype=pd.Categorical(data["celltype"], sorted(set(data["celltype"]), reverse=True)),
    )
    one, other = (quickly(Mortality(d, "trt", 200.0), ["celltype"]) for d in (data, turned))
    for engine, near in (("frequentist", 1e-7), ("bayes", 0.25)):
        mine, theirs = (of(r, "hazard ratio", engine)[LIMITS].astype(float) for r in (one, other))
        assert list(theirs.index[1:]) == list(mine.index[1:])[::-1]
        theirs = 1.0 / theirs.loc[mine.index, ["estimate", "conf_high", "conf_low"]]
        np.testing.assert_allclose(np.log(mine), np.log(theirs), atol=near)
    assert one.tests["statistic"].tolist() == pytest.approx(other.tests["statistic"].tolist())


def test_a_level_that_does_not_say_has_its_reason_and_stops_nothing() -> None:
    data = veteran()
    data.loc[data["celltype"] == "large", "event"] = 0
    data.loc[data["celltype"] == "adeno", "trt"] = 1
    data["known"] = np.where(data["prior"] > 0, "yes", None)
    result = quickly(Mortality(data, "trt", 200.0), ["celltype", "known"])
    table = result.table.set_index(["column", "level"])
    for level, why in (("large", "no event in its 27 patients"), ("adeno", "are all in 1")):
        rows = table.loc[("celltype", level)]
        assert not rows["answered"].any() and rows["note"].str.contains(why).all()
        assert rows[LIMITS].isna().all(axis=None)
    for level in ("smallcell", "squamous"):
        assert table.loc[("celltype", level), "answered"].all()
    assert result.tests.set_index("column").loc["celltype", "df"] == 1
    assert "one level" in result.tests.set_index("column").loc["known", "note"] or np.isnan(
        result.tests.set_index("column").loc["known", "p_value"]
    )
    known = table.loc[("known", "yes")]
    assert known.loc[known["engine"] == "frequentist", "answered"].all()
    assert not known.loc[known["engine"] == "bayes", "answered"].any()
    # without an event a level adds nothing: the others are as if it were not there
    without = quickly(Mortality(data[data["celltype"] != "large"], "trt", 200.0), ["celltype"])
    for engine in ("frequentist", "bayes"):
        mine, theirs = (of(r, "hazard ratio", engine) for r in (result, without))
        for level in ("smallcell", "squamous"):
            assert mine.loc[level, "estimate"] == pytest.approx(theirs.loc[level, "estimate"])


def test_patients_in_no_level_are_counted() -> None:
    data = veteran()
    data["celltype"] = data["celltype"].where(data.index >= 3)
    result = quickly(Mortality(data, "trt", 200.0), ["celltype", "prior"])
    notes = result.tests.set_index("column")["note"]
    assert notes["celltype"] == "3 patients without a level left out" and notes["prior"] == ""
    assert notes["celltype"] in str(result.summary())
    counts = result.counts.groupby("column")["patients"].sum()
    assert counts["celltype"] == counts[""] - 3


def test_where_nobody_died_there_is_nothing_to_tell() -> None:
    with pytest.raises(DataError, match="no events among 137 rows"):
        quickly(Mortality(veteran().assign(event=0), "trt", 200.0), ["celltype"])


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("karno", r"'karno' has 12 different numbers, which are no subgroups.*pd\.cut"),
        ("half", "'half' has 2 different numbers"),
        ("trt", "'trt' is the treatment"),
        ("nothing", "there is no column 'nothing'"),
        ("empty", "'empty' is missing in every patient"),
        ("name", "'name' has 137 different values"),
    ],
)
def test_what_has_no_subgroups_is_refused(column: str, message: str) -> None:
    data = veteran()
    data = data.assign(empty=None, half=data["prior"] / 4, name=[f"p{k}" for k in range(len(data))])
    with pytest.raises(DataError, match=message):
        quickly(Mortality(data, "trt", 200.0), ["celltype", column])


def test_an_adjustment_that_is_the_treatment_leaves_reasons() -> None:
    data = veteran().assign(again=lambda d: 3 * d["trt"])
    result = quickly(Mortality(data, "trt", 200.0, adjust="again"), ["celltype"])
    assert not result.table["answered"].any()
    assert result.table["note"].str.contains("cannot be told from what is adjusted for").all()


def test_what_else_is_in_a_column_is_a_level(found) -> None:
    data = lung()
    kinds = [data["ecog"], data["ecog"].astype(int), data["ecog"].map("ecog {:.0f}".format)]
    answers = [
        quickly(Mortality(data.assign(ecog=kind), "arm", 365.0), ["ecog"]).of(
            "hazard ratio", "ecog"
        )
        for kind in kinds
    ]  # fmt: skip
    assert answers[0]["level"].unique().tolist() == ["0", "1", "2"]
    for one, other in itertools.pairwise(answers):
        np.testing.assert_allclose(one[LIMITS], other[LIMITS])
    both = data.assign(old=data["ecog"] > 1)
    result = quickly(Mortality(both, "arm", 365.0), ["old", "old"])
    assert result.columns == ["old"]
    assert result.of("hazard ratio", "old")["level"].unique().tolist() == ["False", "True"]


def test_the_figure_and_the_words(found) -> None:
    from matplotlib import pyplot as plt

    result = found["veteran"]
    for quantity in ("hazard ratio", "risk difference"):
        ax = result.plot(quantity)
        table = result.of(quantity)
        by = 100.0 if quantity == "risk difference" else 1.0
        drawn = np.concatenate([np.atleast_1d(np.asarray(x.get_xdata(), float)) for x in ax.lines])
        for value in by * table["estimate"].astype(float):
            assert np.isclose(drawn, value).any()
        assert len(ax.patches) == 1  # the band of all patients
        assert "celltype smallcell, shrunken" in ax.get_label()
    plt.close("all")
    text = str(result.summary())
    assert "No row is to be read alone" in text and "p" in text
    assert "HalfNormal" in text and "squamous" in result._repr_html_()
    assert "p_value" not in result.table
    with pytest.raises(LongsurvError, match="quantity is one of"):
        result.of("hazzard")


def test_the_same_seed_gives_the_same_draws() -> None:
    asked = Mortality(small(), "arm", 100.0)
    one, other = (asked.subgroups(["level"], draws=50, chains=1, seed=4).table for _ in range(2))
    pd.testing.assert_frame_equal(one, other)


def test_shrinking_needs_two_levels() -> None:
    split = split_of(small().assign(level="a"))
    with pytest.raises(LongsurvError, match="1 level of level can have an effect"):
        shrink(split, draws=10, seed=1)
    assert isinstance(split.separate[0], CoxPH)
