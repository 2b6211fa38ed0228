"""Marginal means against emmeans, and against averages done by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import LongsurvError
from longsurv.models import LMM
from longsurv.results.means import means

QUANTITIES = {
    "estimate": ("estimate", "emmean"),
    "std_error": ("SE",),
    "df": ("df",),
    "statistic": ("t.ratio",),
    "p_value": ("p.value",),
    "conf_low": ("lower.CL",),
    "conf_high": ("upper.CL",),
}
LEVELS = {
    "twoarm": {"phase": ["baseline", "after"], "group": ["control", "ivig"]},
    "visits_categorical": {"visit": [1, 2, 3, 4, 5], "arm": ["control", "active"]},
}
LEVELS["twoarm_age"] = LEVELS["twoarm"]
FORMULAS = {
    "twoarm": "y ~ phase * group + (1 | patient)",
    "twoarm_age": "y ~ phase * group + age + (1 | patient)",
    "visits_categorical": "y ~ visit * arm + (1 | patient)",
}


@pytest.fixture(scope="module")
def fit(table):
    """Fits by (model, df method)."""
    made = {}

    def get(model: str, df: str):
        if (model, df) not in made:
            data = table(model.split("_")[0]).copy()
            for name, levels in LEVELS[model].items():
                data[name] = pd.Categorical(data[name], categories=levels)
            made[model, df] = LMM(FORMULAS[model], data).fit(df=df)
        return made[model, df]

    return get


def against(reference, result: pd.DataFrame, labels: list[str]) -> None:
    for ours, theirs in QUANTITIES.items():
        expected = next(e for e in map(reference, theirs) if e is not None)
        assert set(labels) == set(expected)
        # p values go down to 1e-35, where df's seventh digit is their fifth.
        rtol = 1e-5 if ours == "p_value" else 1e-6
        np.testing.assert_allclose(
            result[ours].to_numpy(float), [expected[k] for k in labels], rtol=rtol, err_msg=ours
        )


@pytest.mark.parametrize("df", ["kenward-roger", "satterthwaite"])
@pytest.mark.parametrize("model", list(FORMULAS))
def test_means_and_contrasts_are_those_of_emmeans(fit, r_results, model, df):
    a, b = LEVELS[model]
    m = means(fit(model, df), [a, b])

    def reference(what: str):
        def get(quantity: str):
            try:
                return r_results("lmm_kr", model, f"{df} {what} {quantity}")
            except KeyError:
                return None

        return get

    def labels(table: pd.DataFrame, first: str, second: str) -> list[str]:
        clean = table[[first, second]].astype(str)
        if not clean[second].str.contains(" - ").any():  # emmeans puts numbers as visit2 - visit1
            clean[first] = clean[first].str.replace(
                r"(\d) - (\d)", r"visit\1 - visit\2", regex=True
            )
        return list(clean[first] + " : " + clean[second])

    table = m.tidy()
    against(reference("mean"), table, labels(table, a, b))
    within = m.contrast(a)
    against(reference(f"{a} within {b}"), within, labels(within, a, b))
    between = m.contrast(b)
    against(reference(f"{b} within {a}"), between, labels(between, b, a))
    change = m.contrast(a, b)
    against(reference("difference in change"), change, labels(change, a, b))


def test_interaction_test_is_the_joint_test_of_its_coefficients(fit, r_results):
    found = means(fit("visits_categorical", "kenward-roger"), ["visit", "arm"]).test("visit", "arm")
    for ours, theirs in [
        ("statistic", "Fstat"),
        ("df_num", "ndf"),
        ("df_den", "ddf"),
        ("p_value", "p.value"),
    ]:
        expected = r_results("lmm_kr", "visits_categorical", f"kr_joint_{theirs}")["interaction"]
        np.testing.assert_allclose(found[ours].item(), expected, rtol=1e-6)


def test_a_test_within_each_level_is_a_squared_t(fit):
    m = means(fit("twoarm", "kenward-roger"), ["phase", "group"])
    one, table = m.test("phase"), m.contrast("phase")
    assert list(one["group"]) == ["control", "ivig"]
    np.testing.assert_allclose(one["statistic"], table["statistic"] ** 2)
    np.testing.assert_allclose(one["p_value"], table["p_value"])


def test_factors_not_named_are_averaged_equally_whatever_their_numbers(fit):
    result = fit("twoarm", "kenward-roger")
    cells = means(result, ["phase", "group"]).tidy().set_index(["phase", "group"])["estimate"]
    alone = means(result, "phase").tidy().set_index("phase")["estimate"]
    for phase in ("baseline", "after"):
        assert alone[phase] == pytest.approx(cells[phase].mean())


def test_order_of_the_variables_does_not_matter(fit):
    result = fit("twoarm_age", "kenward-roger")
    one = means(result, ["phase", "group"]).contrast("phase").set_index("group")["estimate"]
    other = means(result, ["group", "phase"]).contrast("phase").set_index("group")["estimate"]
    np.testing.assert_allclose(one, other[one.index])


def test_numeric_variables_stand_at_the_values_given(fits, fit):
    sleep = fits("sleepstudy")
    m = means(sleep, [], at={"Days": [1, 7]})
    expected = sleep.predict(pd.DataFrame({"Days": [1, 7]}))
    np.testing.assert_allclose(m.tidy()["estimate"], expected["estimate"])
    change = m.contrast("Days").iloc[0]
    days = sleep.tidy().set_index("term").loc["Days"]
    assert change["Days"] == "7 - 1"
    assert change["estimate"] == pytest.approx(6 * days["estimate"])
    assert change["p_value"] == pytest.approx(days["p_value"])
    aged = fit("twoarm_age", "kenward-roger")
    old = means(aged, "group", at={"age": 80}).tidy()
    grid = pd.DataFrame({"phase": ["baseline", "after"], "group": "ivig", "age": 80})
    assert old.set_index("group")["estimate"]["ivig"] == pytest.approx(
        aged.predict(grid)["estimate"].mean()
    )


def test_a_number_coded_as_a_factor_has_levels(table):
    result = LMM("y ~ C(visit) * arm + (1 | patient)", table("visits")).fit()
    assert list(means(result, "visit").tidy()["visit"]) == [1, 2, 3, 4, 5]


def test_kinds_of_contrast(fit):
    m = means(fit("visits_categorical", "satterthwaite"), ["visit"])
    assert list(m.contrast("visit", kind="reference")["visit"]) == [
        "2 - 1",
        "3 - 1",
        "4 - 1",
        "5 - 1",
    ]
    steps = m.contrast("visit", kind="consecutive")
    assert list(steps["visit"]) == ["2 - 1", "3 - 2", "4 - 3", "5 - 4"]
    whole = m.contrast("visit").set_index("visit")["estimate"]["5 - 1"]
    assert steps["estimate"].sum() == pytest.approx(whole)


def test_holm_and_fdr_by_hand(fit):
    m = means(fit("visits_categorical", "satterthwaite"), ["visit"])
    table = m.contrast("visit", kind="reference", adjust="holm")
    p = np.sort(table["p_value"])
    holm = np.minimum(np.maximum.accumulate(p * np.arange(len(p), 0, -1)), 1.0)
    np.testing.assert_allclose(np.sort(table["p_adjusted"]), holm)
    table = m.contrast("visit", kind="reference", adjust="fdr_bh")
    fdr = np.minimum.accumulate((p * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1]
    np.testing.assert_allclose(np.sort(table["p_adjusted"]), fdr)


def test_ratios_undo_the_logarithm_whatever_its_base(table):
    data = table("twoarm").copy()
    logged = {}
    for name in ("log", "log2", "log10"):
        fit = LMM(f"{name}(y) ~ phase * group + (1 | patient)", data).fit()
        logged[name] = means(fit, ["phase", "group"])
    ratios = logged["log"].contrast("phase", ratio=True)
    plain = logged["log"].contrast("phase")
    np.testing.assert_allclose(ratios["estimate"], np.exp(plain["estimate"]))
    np.testing.assert_allclose(ratios["conf_low"], np.exp(plain["conf_low"]))
    np.testing.assert_allclose(ratios["p_value"], plain["p_value"])
    for name in ("log2", "log10"):
        other = logged[name].contrast("phase", ratio=True)
        np.testing.assert_allclose(
            other[["estimate", "conf_low"]], ratios[["estimate", "conf_low"]]
        )
    named = LMM(
        "marker ~ phase * group + (1 | patient)", data.assign(marker=np.log(data["y"]))
    ).fit()
    m = means(named, ["phase", "group"])
    np.testing.assert_allclose(m.contrast("phase", ratio="log")["estimate"], ratios["estimate"])
    with pytest.raises(LongsurvError, match=r"log scale.*'marker'"):
        m.contrast("phase", ratio=True)


def test_an_empty_cell_is_missing_and_the_rest_is_not(table):
    data = table("twoarm")
    data = data[~((data["group"] == "ivig") & (data["phase"] == "after"))]
    result = LMM("y ~ phase * group + (1 | patient)", data).fit()
    assert result.design.fixed.aliased
    m = means(result, ["phase", "group"])
    cells = m.tidy().set_index(["phase", "group"])
    assert np.isnan(cells.loc[("after", "ivig"), "estimate"])
    assert cells.drop(("after", "ivig"))["estimate"].notna().all()
    assert np.isnan(m.contrast("phase", "group")["estimate"].item())
    changes = m.contrast("phase", adjust="holm").set_index("group")
    assert changes["estimate"].notna().to_dict() == {"control": True, "ivig": False}
    assert changes.loc["control", "p_adjusted"] == changes.loc["control", "p_value"]
    assert m.test("phase").set_index("group")["p_value"].notna().to_dict() == {
        "control": True,
        "ivig": False,
    }


def test_posterior_means_are_summaries_of_the_draws(table):
    spec = LMM("y ~ phase * group + (1 | patient)", table("twoarm"))
    post = spec.sample(draws=200, tune=200, chains=2, seed=1)
    m = means(post, ["phase", "group"])
    change = m.contrast("phase", "group")
    drawn = post.draw(next(n for n in post.names if ":" in n))
    # Levels of plain text are in the order of the alphabet.
    assert change["phase"].item() == "baseline - after"
    assert change["estimate"].item() == pytest.approx(drawn.mean())
    assert change["conf_low"].item() == pytest.approx(np.quantile(drawn, 0.025))
    ratio = m.contrast("phase", "group", ratio="log")
    assert ratio["conf_high"].item() == pytest.approx(np.exp(np.quantile(drawn, 0.975)))
    with pytest.raises(LongsurvError, match="posterior"):
        m.contrast("phase", adjust="holm")
    with pytest.raises(LongsurvError, match="posterior"):
        m.test("phase")


def test_what_cannot_be_asked_is_refused_in_words(fit, fits):
    result = fit("twoarm_age", "kenward-roger")
    with pytest.raises(LongsurvError, match=r"no variable.*grup"):
        means(result, ["phase", "grup"])
    with pytest.raises(LongsurvError, match="'age' is a number: say at which values"):
        means(result, ["age"])
    with pytest.raises(LongsurvError, match="has the levels"):
        means(result, "phase", at={"group": "placebo"})
    with pytest.raises(LongsurvError, match="different values"):
        means(result, "phase", at={"age": [50, 50]})
    with pytest.raises(LongsurvError, match="take differences along"):
        means(result, "phase").contrast("group")
    with pytest.raises(LongsurvError, match="one value"):
        means(result, "phase", at={"age": 50}).contrast("age")
    with pytest.raises(LongsurvError, match="kind"):
        means(result, "phase").contrast("phase", kind="all")
    with pytest.raises(LongsurvError, match="ratio"):
        means(result, "phase").contrast("phase", ratio="ln")
