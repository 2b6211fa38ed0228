"""The stages about mortality: what they return, what they cannot do, and that they are stored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import longsurv as ls
from longsurv.cohort import Cohort, Marker, Phase, Schema
from longsurv.cohort.settings import ModelSettings, SamplingSettings
from longsurv.errors import DataError, LongsurvError
from longsurv.estimands.adjusted_curves import weighted_survival
from longsurv.estimands.changes import adjusted_p_values
from longsurv.estimands.weighting import propensity_weights
from longsurv.models import CoxPH
from longsurv.report.sections.answer import mortality_sentences
from longsurv.study import MORTALITY, STAGES, Study
from longsurv.study.adjusted_curves import CURVES
from longsurv.study.comparisons import of_each
from longsurv.study.deaths import adjustment, question
from longsurv.study.store import FitStore

KEYS = ("methods", "priors", "competing", "tipping")
ALONE = tuple(stage for stage in STAGES if stage.key in KEYS)


def patients(deaths: tuple[int, ...], per_group: int = 12) -> pd.DataFrame:
    """So many deaths in groups a, b, ...; two of every group go home before the end."""
    rows = []
    for k, dead in enumerate(deaths):
        for i in range(per_group):
            status = "dead" if i < dead else "home" if i >= per_group - 2 else "alive"
            day = {"dead": 5.0 + 3 * i + k, "home": 14.0 + i - k, "alive": 28.0}[status]
            rows.append((f"{'abc'[k]}{i}", "abc"[k], day, status, 50.0 + 3 * ((7 * i + k) % 11)))
    return pd.DataFrame(rows, columns=["id", "arm", "days", "status", "age"])


def study(
    deaths: tuple[int, ...] = (4, 2), mortality: str = "arm", horizon: float | None = 28.0
) -> Study:
    schema = Schema(
        patient="id", treatment="arm", reference="a", levels=tuple("abc"[: len(deaths)]),
        exit="days", status="status", event="dead", censored="alive",
        competing={"discharge": "home"}, horizon=horizon, covariates=("age",),
    )  # fmt: skip
    cohort = Cohort(patients(deaths), None, schema)
    return Study(cohort, ModelSettings("", mortality), SamplingSettings(100, 2, 1))


@pytest.fixture(scope="module")
def results():
    return study().run(progress=False, stages=ALONE)


def hastened(deaths: tuple[int, ...], alive: float = 28.0) -> Study:
    """The same with every death and discharge before day 24, the others followed to `alive`."""
    given = study(deaths)
    people = patients(deaths)
    sooner = np.where(people["status"] == "alive", alive, 0.6 * people["days"])
    cohort = Cohort(people.assign(days=sooner), None, given.cohort.schema)
    return replace(given, cohort=cohort)


def test_every_stage_is_one_of_the_run() -> None:
    assert [stage.key for stage in ALONE] == list(KEYS)
    assert all(stage.quick for stage in ALONE)
    assert all(0 < stage.seconds(study()) < 10 for stage in ALONE)


def test_counts_are_of_the_group_and_then_of_the_reference(results) -> None:
    assert not results.failures
    for key in KEYS:
        part = results.parts[key]
        assert part["counts"] == (2, 12, 4, 12), key
        assert (part["group"], part["reference"], part["horizon"]) == ("b", "a", 28.0)


def test_one_prior_has_one_posterior_wherever_it_is_shown(results) -> None:
    methods = results.parts["methods"]["table"].query("quantity == 'hazard ratio'")
    grid = results.parts["priors"]["table"]
    for row in grid.to_dict("records"):
        same = methods[methods["method"].str.contains(f", {row['prior']} ", regex=False)]
        assert same["estimate"].tolist() == [row["hr"]]
    draws = results.parts["priors"]["draws"]
    assert list(draws.columns) == grid["prior"].tolist()
    assert np.exp(draws.median()).to_numpy() == pytest.approx(grid["hr"].to_numpy())


def test_the_weak_prior_is_that_of_the_mortality_model(results) -> None:
    whole = study().run(progress=False, stages=(*[s for s in STAGES if s.key == MORTALITY],))
    post = whole.mortality.post
    assert post is not None
    shown = results.parts["priors"]["draws"]["weak"].to_numpy()
    np.testing.assert_array_equal(np.ravel(post.draw("arm[T.b]")), shown)


def test_a_second_run_computes_nothing_and_finds_the_same(tmp_path) -> None:
    first = study().run(progress=False, stages=ALONE, store=FitStore(tmp_path))
    again = study().run(progress=False, stages=ALONE, store=FitStore(tmp_path))
    assert (first.computed, again.computed, again.reused) == (4, 0, 4)
    for key, name in (
        ("methods", "table"), ("priors", "table"), ("priors", "draws"), ("competing", "table"),
        ("tipping", "grid"), ("tipping", "points"),
    ):  # fmt: skip
        one, two = first.parts[key][name], again.parts[key][name]
        pd.testing.assert_frame_equal(one, two, check_exact=True, check_column_type=False)
        assert again.parts[key]["counts"] == first.parts[key]["counts"]


def test_other_data_are_another_answer(tmp_path) -> None:
    tipping = ALONE[-1:]
    for given, computed in ((study(), 1), (study((5, 2)), 1), (study(mortality="arm + age"), 1),
                            (study(), 0)):  # fmt: skip
        results = given.run(progress=False, stages=tipping, store=FitStore(tmp_path))
        assert results.computed == computed


@pytest.mark.parametrize(
    ("mortality", "adjust"),
    [
        ("arm", ""), ("arm + age", "age"), ("age + arm", "age"), ("np.log(age) + arm",
        "np.log(age)"), ("arm + age + I(age ** 2)", "age + I(age ** 2)"), ("age", "age"),
        ("arm + strata(sex)", "strata(sex)"), ("arm + `day one`", "`day one`"),
    ],
)  # fmt: skip
def test_the_covariates_are_the_formula_without_the_treatment(mortality: str, adjust: str) -> None:
    assert adjustment(study(mortality=mortality)) == adjust


@pytest.mark.parametrize("mortality", ["arm * age", "C(arm) + age", "age + arm:age"])
def test_an_effect_that_is_not_one_number_is_a_reason(mortality: str) -> None:
    with pytest.raises(LongsurvError, match="depends on something else"):
        adjustment(study(mortality=mortality))


def test_a_column_whose_name_holds_that_of_the_treatment_is_a_covariate() -> None:
    assert adjustment(study(mortality="arm + arm_length")) == "arm_length"


def test_covariates_reach_the_methods() -> None:
    asked = question(study(mortality="arm + age"))
    assert isinstance(asked.cox_adjusted, CoxPH)
    assert list(asked.cox_adjusted.design.fixed.names) == ["arm[T.b]", "age"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (study(horizon=None), "name a horizon"),
        (study(mortality="arm * age"), "depends on something else"),
    ],
)
def test_what_cannot_be_asked_is_a_reason_of_every_stage(given: Study, words: str) -> None:
    results = given.run(progress=False, stages=ALONE)
    assert set(results.failures) == set(KEYS)
    assert all(words in reason for reason in results.failures.values())


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    given = replace(study((4, 2, 6)), sampling=SamplingSettings(50, 4, 1))
    store = tmp_path_factory.mktemp("store")
    chosen = tuple(s for s in STAGES if s.key in (*KEYS, "markers", MORTALITY, CURVES))
    return given.run(progress=False, stages=chosen, store=FitStore(store))


def test_each_of_several_arms_is_compared_with_the_reference(three) -> None:
    assert not three.failures and not three.missing
    assert [one.name for one in three.compared] == ["b - a", "c - a"]
    for (one, its), dead in zip(three.compared.items(), (2, 6), strict=True):
        for key in (*KEYS, CURVES):
            part = its.parts[key]
            assert (part["group"], part["reference"]) == (one.group, "a"), key
        assert its.parts["tipping"]["counts"] == (dead, 12, 4, 12)
        curves = its.parts[CURVES]["table"].query("way == 'observed'")
        assert sorted(curves["group"].unique()) == sorted(["a", str(one.group)])
        last = curves.groupby("group")["estimate"].last()
        assert last[one.group] < 1.0 and (last[one.group] < last["a"]) == (dead > 4)
    table = three.tables["mortality_methods"]
    assert list(table.columns[:3]) == ["comparison", "quantity", "method"]
    wald = table[table["method"] == "Cox, Wald"].set_index("comparison")
    ratios = three.tables["hazard_ratios"].query("engine == 'ml'").set_index("term")
    for name in "bc":  # the headline's model of all arms
        assert wald.loc[f"{name} - a", "estimate"] == pytest.approx(
            ratios.loc[f"arm[T.{name}]", "estimate"]
        )
    np.testing.assert_allclose(
        wald["p_holm"], adjusted_p_values(wald["p_value"].to_numpy(), "holm")
    )
    assert set(three.tables["tipping"]["comparison"]) == {"b - a", "c - a"}
    assert "p_holm" in three.tables["cumulative_incidence"]


def test_curves_of_several_arms_made_alike_are_about_the_same_patients(three) -> None:
    """So the curve of the reference is one, whatever it is compared with."""
    parts = [its.parts[CURVES] for its in three.compared.values()]
    tables = [part["table"].query("group == 'a'").set_index(["way", "time"]) for part in parts]
    one, other = (table.loc[["weighted", "standardised"], "estimate"] for table in tables)
    assert set(one.index.get_level_values("way")) == {"weighted", "standardised"}
    pd.testing.assert_series_equal(one, other)
    data = three.cohort.survival_data()
    weights = propensity_weights(data, "arm", "age", target="overlap")
    expected = weighted_survival(weights, data, [20.0]).set_index("group")
    assert parts[0]["effective"].keys() == {"a", "b", "c"}
    for part, name in zip(parts, "bc", strict=True):
        assert part["arms"] == 3
        found = part["table"].query("way == 'weighted' and time <= 20").groupby("group").last()
        for group in ("a", name):
            assert found.loc[group, "estimate"] == pytest.approx(expected.loc[group, "estimate"])


def test_every_pair_of_arms_is_compared_where_the_study_says_so(three) -> None:
    models = replace(three.study.models, compare_arms="pairwise")
    chosen = tuple(s for s in STAGES if s.key in ("methods", "tipping", "markers", MORTALITY))
    pairs = replace(three.study, models=models).run(progress=False, stages=chosen)
    assert [one.name for one in pairs.compared] == ["b - a", "c - a", "c - b"]
    (*_, last) = pairs.compared.values()
    assert last.parts["tipping"]["counts"] == (6, 12, 2, 12)
    table = pairs.tables["arm_ratios"].set_index("comparison")
    assert list(table.index) == ["b - a", "c - a", "c - b"]
    wald = pairs.tables["mortality_methods"].query("method == 'Cox, Wald'").set_index("comparison")
    for name in ("estimate", "conf_low", "conf_high", "p_value", "p_holm"):
        np.testing.assert_allclose(table[name], wald[name], rtol=1e-6)
    fewer = three.tables["arm_ratios"].set_index("comparison")  # fewer comparisons, narrower
    for name in fewer.index:
        assert fewer.loc[name, "simultaneous_low"] > table.loc[name, "simultaneous_low"]
        assert fewer.loc[name, "estimate"] == pytest.approx(table.loc[name, "estimate"])
    start = "These are 3 comparisons of two groups;"
    (said,) = (text for text in mortality_sentences(pairs) if text.startswith(start))
    assert "c against b" in said


def test_the_usual_prior_of_several_arms_is_that_of_the_mortality_model(three) -> None:
    for name, its in zip("bc", three.compared.values(), strict=True):
        shown = its.parts["priors"]["draws"]["weak"].to_numpy()
        np.testing.assert_array_equal(np.ravel(three.mortality.post.draw(f"arm[T.{name}]")), shown)


def test_an_arm_without_an_answer_leaves_the_other_its_own(three) -> None:

    def answer(one):
        if one.group == "b":
            raise LongsurvError("no")
        return {"table": pd.DataFrame({"p_value": [0.2]}), "group": one.group}

    part = of_each(three.study, answer)
    assert dict(part.reasons) == {"b - a": "no"} and list(part.answers) == ["c - a"]
    found = replace(three, parts={**three.parts, "priors": part})
    assert found.missing == {"priors, b - a": "no"}
    b, c = found.compared.values()
    assert dict(b.failures) == {"priors": "no"} and "priors" not in b.parts
    assert c.parts["priors"]["group"] == "c" and not c.failures
    with pytest.raises(LongsurvError, match="compares two groups, and this study has a, b and c"):
        question(three.study)


def test_a_group_without_deaths_has_its_answers() -> None:
    results = study((4, 0)).run(progress=False, stages=ALONE)
    assert not results.failures
    hazards = results.parts["methods"]["table"].query("quantity == 'hazard ratio'")
    wald = hazards.set_index("method").loc["Cox, Wald"]
    assert "no event in b" in wald["note"]
    assert np.isnan(wald["estimate"])
    assert results.parts["priors"]["table"]["prob_positive"].lt(0.7).all()


def test_no_deaths_at_all_are_refused_before_any_stage() -> None:
    with pytest.raises(DataError, match="no patient has the status"):
        study((0, 0))


def test_equal_risks_have_no_tipping_point() -> None:
    results = study((3, 3)).run(progress=False, stages=ALONE[-1:])
    assert results.parts["tipping"]["points"].empty
    assert len(results.parts["tipping"]["grid"]) == 81
    assert results.parts["tipping"]["e_value"] == 1.0


def test_tipping_points_are_those_of_counting_by_hand(results) -> None:
    # 2 of 12 against 4 of 12: (2 + k) / (12 + k) first reaches 1/3 at k = 3.
    points = results.parts["tipping"]["points"]
    assert points["to_reverse"].iloc[0] == 3
    assert points["better_arm"].eq("group").all()


def marker_study(mortality: str) -> Study:
    """A study from files' tables in which a column holds the marker of day 5."""
    table = patients((4, 2))
    rng = np.random.default_rng(3)
    rows = [(i, day, "crp", rng.uniform(1, 200)) for i in table["id"] for day in (1.0, 5.0)]
    measured = pd.DataFrame(rows, columns=["id", "day", "marker", "value"])
    late = measured[measured["day"] == 5].set_index("id")["value"]
    schema = Schema(
        patient="id", treatment="arm", reference="a", exit="days", status="status",
        event="dead", censored="alive", competing={"discharge": "home"},
        horizon=28.0, time="day", entry=2, phases=(Phase("before", 1, 1), Phase("after", 4, 7)),
    )  # fmt: skip
    table = table.assign(crp_after=table["id"].map(late), crp_day5=table["id"].map(late))
    cohort = Cohort(table, measured, schema, [Marker("crp", "CRP")])
    return Study(cohort, ModelSettings("phase * arm + (1 | id)", mortality), SamplingSettings(50))


@pytest.mark.parametrize("covariate", ["crp_after", "crp_day5", "crp"])
def test_a_marker_measured_after_entry_is_refused_with_advice(covariate: str) -> None:
    given = marker_study(f"arm + {covariate}")
    (problem,) = given.formula_problems()
    assert f'"{covariate}"' in problem
    assert ("landmark" in problem) == (covariate != "crp")
    with pytest.raises(DataError, match=covariate):
        given.run(progress=False)


def test_a_study_file_with_such_a_formula_is_refused(tmp_path) -> None:
    given = marker_study("arm")
    given.cohort.patients.to_csv(tmp_path / "p.csv", index=False)
    given.cohort.measurements[["id", "day", "marker", "value"]].to_csv(
        tmp_path / "m.csv", index=False
    )
    (tmp_path / "study.toml").write_text(
        '[patients]\nfile = "p.csv"\npatient = "id"\ntreatment = "arm"\nreference = "a"\n'
        '[outcome]\nexit = "days"\nstatus = "status"\nevent = "dead"\ncensored = "alive"\n'
        'entry = 2\nhorizon = 28\n[outcome.competing]\ndischarge = "home"\n'
        '[measurements]\nfile = "m.csv"\npatient = "id"\ntime = "day"\nmarker = "marker"\n'
        'value = "value"\n[phases]\nbefore = [1, 1]\nafter = [4, 7]\n[markers.crp]\nlabel = "CRP"\n'
        '[models]\ntrajectory = "phase * arm + (1 | id)"\nmortality = "arm + crp_after"\n'
        "[sampling]\ndraws = 50\nchains = 2\nseed = 1\n"
    )
    read = ls.Study.from_toml(tmp_path / "study.toml")
    assert "Instead: start the clock later" in read.formula_problems()[0]
    with pytest.raises(DataError, match="landmark"):
        read.run(progress=False)
    good = replace(read, models=replace(read.models, mortality="arm + age"))
    assert good.formula_problems() == []


class TestWhatTheDataSayNothingOf:
    """A stage whose data leave out a part of its answer gives the rest, and why; none fails."""

    @pytest.mark.parametrize(
        ("deaths", "alive", "followed", "baseline"),
        [((12, 5), 28.0, True, True), ((10, 10), 28.0, False, False), ((5, 4), 25.0, False, False)],
        ids=["all of the reference", "all", "nobody so long"],
    )  # fmt: skip
    def test_no_stage_fails(self, deaths, alive, followed, baseline) -> None:
        some = tuple(stage for stage in ALONE if stage.key in ("priors", "tipping"))
        found = hastened(deaths, alive).run(progress=False, stages=some)
        assert not found.failures
        part = found.parts["priors"]
        assert part["table"][["hr", "hr_low", "hr_high", "prior_share"]].notna().all(axis=None)
        assert np.isfinite(part["baseline_risk"]) == baseline
        risks = part["table"].filter(regex="^(risk_difference|prob_benefit)")
        assert risks.shape[1] == 6 and risks.notna().all(axis=None) == followed
        assert risks.isna().all(axis=None) != followed
        before = part["table"].filter(regex="^prior_risk")
        assert before.shape[1] == 6 and before.notna().all(axis=None) == baseline
        reason = "" if followed else "nobody was followed to 28"
        assert part["no_risks"].startswith(reason) and bool(part["no_risks"]) != followed

    def test_where_all_of_a_group_died_no_unseen_death_reverses_that(self) -> None:
        found = hastened((12, 5)).run(progress=False, stages=ALONE[-1:])
        points = found.parts["tipping"]["points"]
        assert not found.failures and np.isinf(points["to_reverse"]).all()
        grid = found.parts["tipping"]["grid"]
        assert not grid["reverses"].any()
        assert points["to_unconvince"].iloc[0] > 0


def test_a_study_of_one_group_compares_nothing_and_says_so() -> None:
    alone = study((4,)).run(progress=False, stages=ALONE[-1:])
    assert not alone.compared and alone.each[0] is alone
    assert alone.failures == {"tipping": "this compares two groups, and this study has a"}
