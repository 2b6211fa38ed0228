"""Subgroups of several arms in one model: against R, the hierarchy written out, and what a level
without an arm can say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from invariance.reading import around_the_mode

from longsurv.analyses import Mortality
from longsurv.analyses.mortality.arms import Comparison, comparisons_of
from longsurv.analyses.mortality.subgroup_shrinkage import Shrinkage, shrink
from longsurv.analyses.mortality.subgroup_split import LevelEffects, Split, Trial, arm_contrasts
from longsurv.analyses.mortality.subgroups import SubgroupEffects
from longsurv.errors import LongsurvError

REFERENCE = Path(__file__).parents[2] / "reference"
ARMS = ["control", "high", "low"]
LIMITS = ["estimate", "conf_low", "conf_high"]


def log_partial(data: pd.DataFrame, X: np.ndarray, beta: np.ndarray) -> float:
    """Log partial likelihood by the risk set of every event; no ties."""
    eta, exit_ = X @ beta, data["exit"].to_numpy()
    at_events = np.flatnonzero(data["event"])
    return sum(eta[i] - np.log(np.exp(eta[exit_ >= exit_[i]]).sum()) for i in at_events)


def quickly(asked: Mortality, columns: list[str], kind: str = "pairwise") -> SubgroupEffects:
    with around_the_mode():
        return asked.subgroups(columns, draws=50, chains=2, kind=kind)


def trial() -> pd.DataFrame:
    data = pd.read_csv(REFERENCE / "three_arms.csv")
    cut = pd.cut(data["crp"], [0, 14, 30, np.inf], right=False, labels=["low", "middle", "high"])
    return data.assign(
        arm=pd.Categorical(data["arm"], ARMS), event=(data["status"] == 1) * 1,
        marker=cut.map({"low": "1 low", "middle": "2 middle", "high": "3 high"}),
    ).drop(columns="status")  # fmt: skip


@pytest.fixture(scope="module")
def found() -> SubgroupEffects:
    return quickly(Mortality(trial(), "arm", 20.0, adjust="age"), ["marker"])


def test_every_pair_in_each_level_against_r(found, r_results) -> None:
    def expected(quantity: str) -> dict[str, float]:
        return r_results("subgroups", "three arms", quantity)

    assert [one.name for one in found.comparisons] == [
        "high - control", "low - control", "low - high",
    ]  # fmt: skip
    alone = found.table[found.table["engine"] == "frequentist"]
    assert alone["answered"].all() and not alone["method"].str.contains("Firth").any()
    rows = alone.set_index(["quantity", "comparison", "level"])
    errors, risks = expected("se"), expected("risk_difference")
    for name, coefficient in expected("coef").items():
        one, level = name.split(", ")
        ratio = np.log(rows.loc[("hazard ratio", one, level), LIMITS].to_numpy(float))
        assert ratio[0] == pytest.approx(coefficient, abs=1e-7)
        assert ratio[2] - ratio[0] == pytest.approx(1.959963984540054 * errors[name], rel=1e-6)
        risk = rows.loc[("risk difference", one, level), "estimate"]
        assert risk == pytest.approx(risks[name], abs=1e-7)
    tests = found.tests.set_index("comparison")
    assert set(tests.index) == {"high - control", "low - control", "low - high", "all arms"}
    for name, statistic in expected("chisq").items():
        assert tests.loc[name, "statistic"] == pytest.approx(statistic, rel=1e-6)
        assert tests.loc[name, "df"] == expected("df")[name]
        assert tests.loc[name, "p_value"] == pytest.approx(expected("p")[name], rel=1e-6)


def test_a_comparison_that_is_named_is_that_of_all(found) -> None:
    """Named or not, and whichever arm is the reference of the model."""
    asked = Mortality(trial(), "arm", 20.0, adjust="age", group="high", reference="low")
    one = quickly(asked, ["marker"])
    assert "comparison" not in one.table and (one.group, one.reference) == ("high", "low")
    for quantity in ("hazard ratio", "risk difference"):
        mine, theirs = (
            r[r["engine"] == "frequentist"][LIMITS].to_numpy(float)
            for r in (one.of(quantity), found.of(quantity, comparison="low - high"))
        )
        turned = 1.0 / theirs if quantity == "hazard ratio" else -theirs
        np.testing.assert_allclose(mine, turned[:, [0, 2, 1]], rtol=1e-5)
    test = found.tests.set_index("comparison").loc["low - high"]
    assert one.tests["statistic"].tolist() == pytest.approx([test["statistic"]])
    drawn, other = (
        np.log(r[r["engine"] == "bayes"]["estimate"].to_numpy(float))
        for r in (one.of("hazard ratio"), found.of("hazard ratio", comparison="low - high"))
    )
    np.testing.assert_allclose(drawn, -other, atol=0.25)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_contrasts_treat_all_arms_alike(count: int) -> None:
    codes = arm_contrasts(count)
    assert codes.sum(axis=0) == pytest.approx(0.0)
    assert codes.T @ codes == pytest.approx(np.eye(count - 1) / 2)
    for i in range(count):
        for j in range(i):  # every log hazard ratio has the variance of the coefficients
            assert ((codes[i] - codes[j]) ** 2).sum() == pytest.approx(1.0)
    if count == 2:
        assert codes.tolist() == [[-0.5], [0.5]]


def test_effects_alike_in_all_levels_are_so_where_an_arm_is_missing() -> None:
    every, some = (LevelEffects.of("x", there, "abcd") for there in ("abcd", "bd"))
    alike = np.array([0.3, -1.0, 2.0])
    d_less_b = Comparison("d", "b")
    ratio = every.weights(d_less_b) @ every.shares @ alike
    assert some.weights(d_less_b) @ some.shares @ alike == pytest.approx(ratio)
    assert not some.has(Comparison("c", "b"))


def small(seed: int = 5, n: int = 36) -> pd.DataFrame:
    """No patient of arm 2 in level b."""
    rng = np.random.default_rng(seed)
    level, arm = np.tile(["a", "b", "c"], n // 3), rng.integers(0, 3, n)
    arm = np.where((level == "b") & (arm == 2), 0, arm)
    exit_ = rng.exponential(np.exp(-0.5 * (arm == 1))).round(4) + 1e-3
    event = (rng.random(n) < 0.8).astype(int)
    return pd.DataFrame({"exit": exit_, "event": event, "arm": arm, "level": level})


def split_of(data: pd.DataFrame) -> Split:
    data = Mortality(data.assign(status=data["event"]), "arm", 100.0).data
    asked = tuple(comparisons_of([0, 1, 2], "pairwise"))
    return Trial(data, "arm", (0, 1, 2), asked, 100.0, "", (1,), "efron", None).split("level")


def test_its_density_against_the_definition_and_its_gradients(numeric_gradient) -> None:
    """Log hazard ratios to the first arm are normal about a mean, each pair's variance sd^2."""
    from scipy.stats import halfnorm, multivariate_normal, norm

    data = small()
    split = split_of(data)
    shrinkage = Shrinkage.of(split, 1)
    names = shrinkage.each.design.fixed.names
    assert (shrinkage.sd, len(split.terms)) == (2, 5)
    share = (np.eye(2) + 1.0) / 2.0
    every = LevelEffects.of("", (0, 1, 2), (0, 1, 2))
    to_first = [every.weights(Comparison(j, 0)) for j in (1, 2)]

    def definition(theta: np.ndarray) -> float:
        mean, log_sd, beta = to_first @ theta[:2], theta[2], theta[3:]
        value = multivariate_normal.logpdf(mean, cov=share)
        columns, coefficients = [], []
        for label, found in split.effects.items():
            inside = (data["level"] == label).to_numpy()
            phi = beta[[names.index(term) for term in found.terms]]
            others = [j for j in (1, 2) if j in found.arms]
            ratios = [found.weights(Comparison(j, 0)) @ phi for j in others]
            at = [j - 1 for j in others]
            value += multivariate_normal.logpdf(
                ratios, mean[at], np.exp(2 * log_sd) * share[np.ix_(at, at)]
            )
            middle = sum(ratios) / len(found.arms)  # the level's own hazard is that halfway
            for j, ratio in zip(others, ratios, strict=True):
                columns.append(inside & (data["arm"] == j).to_numpy())
                coefficients.append(ratio)
            columns.append(inside)
            own = [n for n in names if n.endswith(f"[T.{label}]")]
            gamma = beta[names.index(own[0])] if own else 0.0
            coefficients.append(gamma - middle)
        X = np.column_stack(columns).astype(float)
        value += log_partial(data, X, np.array(coefficients))
        return value + halfnorm.logpdf(np.exp(log_sd), scale=0.5) + log_sd

    def own_hazards(theta: np.ndarray) -> float:
        """The prior of the levels' own hazards, which is the model's."""
        prior = shrinkage.stack.value_and_gradient(theta[shrinkage.places])[0]
        return (
            prior
            - norm.logpdf(theta[:2]).sum()
            - (halfnorm.logpdf(np.exp(theta[2]), scale=0.5) + theta[2])
        )

    coordinates = shrinkage.coordinates
    rng, constants = np.random.default_rng(4), []
    for _ in range(4):
        x = coordinates.start() + rng.normal(size=len(coordinates.start()))
        theta = coordinates.outward(x)
        constants.append(shrinkage.density(theta)[0] - definition(theta) - own_hazards(theta))
        recentred = coordinates.density(shrinkage.density)
        jacobian = recentred(x)[0] - shrinkage.density(theta)[0]
        assert jacobian == pytest.approx(coordinates.log_jacobian(x))
        for density, at in ((shrinkage.density, theta), (recentred, x)):
            numeric = numeric_gradient(lambda v, f=density: f(v)[0], at)
            assert density(at)[1] == pytest.approx(numeric, rel=1e-5, abs=1e-5)
    assert constants == pytest.approx([constants[0]] * 4, abs=1e-8)


def test_its_chains_agree_and_a_missing_arm_is_told() -> None:
    drawn = shrink(split_of(small(n=90)), draws=400, chains=4, seed=2)
    assert drawn.diagnose().ok
    assert not drawn.draws.stats["diverging"].any()
    terms = set(drawn.tidy()["term"])
    assert {"a, 1 - 0", "b, 1 - 0", "c, 2 - 1", "mean, 2 - 1", "sd"} <= terms
    assert "b, 2 - 1" not in terms


def test_a_level_without_an_arm_answers_the_others() -> None:
    data = small(n=120)
    result = quickly(Mortality(data, "arm", 100.0), ["level"])
    hazards = result.table[result.table["quantity"] == "hazard ratio"]
    rows = hazards.set_index(["level", "comparison", "engine"])
    for engine in ("frequentist", "bayes"):
        assert rows.loc[("b", "1 - 0", engine), "answered"]
        for name in ("2 - 0", "2 - 1"):
            row = rows.loc[("b", name, engine)]
            assert not row["answered"] and "none of its patients is in 2" in row["note"]
            assert row[LIMITS].isna().all()
            assert rows.loc[("a", name, engine), "answered"]
    tests = result.tests.set_index("comparison")
    assert tests["df"].tolist() == [2, 1, 1, 3]
    assert tests["levels"].tolist() == [3, 2, 2, 3]
    counts = result.counts[result.counts["column"] == "level"]
    assert counts["patients"].sum() == 120 and set(counts["arm"]) == {"0", "1", "2"}


def test_an_arm_that_only_levels_without_events_have_stops_nothing() -> None:
    data = small(n=120)
    data.loc[data["arm"] == 2, "level"] = "d"
    data.loc[data["level"] == "d", "event"] = 0
    result = quickly(Mortality(data, "arm", 0.5), ["level"])
    rows = result.table[result.table["column"] == "level"].set_index(["comparison", "level"])
    assert rows.loc[("1 - 0", "a"), "answered"].all()
    assert not rows.loc["2 - 0", "answered"].any()
    assert rows.loc[("2 - 0", "d"), "note"].str.contains("no event in its").all()
    two = quickly(Mortality(data[data["arm"] < 2], "arm", 0.5), ["level"])
    mine = rows.loc["1 - 0"].query("engine == 'frequentist' and quantity == 'hazard ratio'")
    theirs = two.of("hazard ratio", "level").query("engine == 'frequentist'").set_index("level")
    for level in "abc":
        assert mine.loc[level, "estimate"] == pytest.approx(theirs.loc[level, "estimate"])


def test_several_comparisons_are_named_to_be_drawn_or_told(found) -> None:
    from matplotlib import pyplot as plt

    with pytest.raises(LongsurvError, match="name the comparison to draw"):
        found.plot()
    with pytest.raises(LongsurvError, match="there are several comparisons"):
        assert found.group
    with pytest.raises(LongsurvError, match="comparison is one of"):
        found.of("hazard ratio", comparison="high")
    ax = found.plot(comparison="low - high")
    assert "marker 1 low" in ax.get_label()
    plt.close("all")
    text = str(found.summary())
    assert "low against high" in text.lower() and "all arms" in text
