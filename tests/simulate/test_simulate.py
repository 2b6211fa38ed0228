"""Simulated cohorts: against closed forms, brute force, and what must not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import longsurv as ls
from longsurv.cohort.settings import ModelSettings
from longsurv.errors import LongsurvError
from longsurv.figures.simulation import simulation_axes
from longsurv.models import LMM
from longsurv.report.simulation import (
    power_table,
    simulation_page,
    simulation_sentences,
    write_simulation,
)
from longsurv.results.simulated import simulator
from longsurv.simulate.characteristics import (
    Simulation,
    operating_characteristics,
    outcomes_of,
    performance,
    study_worlds,
)
from longsurv.simulate.deaths import CumulativeHazard, SurvivalWorld
from longsurv.simulate.worlds import Effect, MarkerWorld
from longsurv.study import Study
from longsurv.study.store import FitStore

EFFECTS = [Effect.parse(text) for text in ("null", "fitted", "hr=0.5", "sd=0.8")]


@pytest.fixture(scope="module")
def study() -> Study:
    """The example study with one marker that has a detection limit and one that has none."""
    whole = Study.from_toml(ls.example_path("ivig_sepsis") / "study.toml")
    cohort, names = whole.cohort, ("crp", "il6")
    values = cohort.measurements.drop(columns="phase")
    small = ls.Cohort(
        cohort.patients, values[values["marker"].isin(names)], cohort.schema,
        [cohort.markers[name] for name in names], title=cohort.title, reconstructed=True,
    )  # fmt: skip
    return replace(whole, cohort=small)


@pytest.fixture(scope="module")
def worlds(study: Study) -> dict:
    return {world.name: world for world in study_worlds(study)[0]}


@pytest.fixture(scope="module")
def simulation(study: Study) -> Simulation:
    return operating_characteristics(study, EFFECTS, cohorts=40)


@pytest.mark.parametrize(
    ("text", "effect"),
    [
        ("null", Effect("no effect", "times", 0.0)),
        ("half", Effect("half", "times", 0.5)),
        (" double ", Effect("double", "times", 2.0)),
        ("1.5", Effect("1.5", "times", 1.5)),
        ("hr=0.5", Effect("hr=0.5", "hr", 0.5)),
        ("sd=-0.8", Effect("sd=-0.8", "sd", -0.8)),
    ],
)
def test_effects_are_read(text: str, effect: Effect) -> None:
    assert Effect.parse(text) == effect


@pytest.mark.parametrize("text", ["", "big", "hr=0", "hr=-1", "or=2", "inf", "sd=", "=2x"])
def test_other_effects_are_refused(text: str) -> None:
    with pytest.raises(LongsurvError, match="an effect is null"):
        Effect.parse(text)


def test_performance_by_hand() -> None:
    answers = np.array(
        [[1.0, 0.5, 1.5], [3.0, 2.0, 4.0], [-2.0, -3.0, -1.0], [0.5, -1.0, 2.0], [np.nan] * 3]
    )
    found = performance(answers, 1.0)
    assert found["power"] == 3 / 5  # the one that could not be estimated is not clear of 0
    assert found["estimated"] == 4
    assert found["coverage"] == 2 / 4
    assert found["bias"] == pytest.approx(2.5 / 4 - 1)
    assert found["type_s"] == 1 / 3
    assert found["type_m"] == pytest.approx((1 + 3 + 2) / 3)
    assert found["power_mcse"] == pytest.approx(np.sqrt(0.6 * 0.4 / 5))
    null = performance(answers, 0.0)
    assert null["power"] == 3 / 5 and np.isnan(null["type_s"]) and np.isnan(null["type_m"])


def test_type_s_and_m_are_those_of_a_normal_estimate() -> None:
    """Closed forms, for Gelman and Carlin's case: true effect 0.1, standard error 3.28."""
    truth, se, z = 0.1, 3.28, 1.959964
    estimate = np.random.default_rng(1).normal(truth, se, 400_000)
    found = performance(np.column_stack([estimate, estimate - z * se, estimate + z * se]), truth)
    mu = truth / se
    above, below = stats.norm.sf(z - mu), stats.norm.cdf(-z - mu)
    size = stats.norm.pdf(z - mu) + stats.norm.pdf(z + mu) + mu * (above - below)
    assert found["power"] == pytest.approx(above + below, abs=0.002)
    assert found["type_s"] == pytest.approx(below / (above + below), abs=0.015)
    assert found["type_m"] == pytest.approx(size / (above + below) / mu, rel=0.01)


def test_one_fit_for_every_effect_is_a_fit_of_every_effect(worlds: dict) -> None:
    world: MarkerWorld = worlds["crp"]
    assert np.isneginf(world.limit)
    rngs = [np.random.default_rng(5) for _ in range(2)]
    short = world.replicates(rngs[:1], EFFECTS)[0]
    y = simulator(world.fit)(rngs[1])
    fitted = world.weights @ world.fit.coefficients
    design = world.fit.design
    column = design.fixed.names.index("phase[T.after]:treatment[T.ivig]")
    for i, effect in enumerate(EFFECTS):
        truth = world.truth(effect)
        if np.isnan(truth).any():
            assert np.isnan(short[i]).all()
            continue
        moved = y + design.fixed.X[:, column] * (truth - fitted)
        data = world.fit.spec.data.assign(y=moved)
        row = LMM(world.fit.spec.formula, data).fit().contrast(design.fixed.names[column]).iloc[0]
        expected = row[["estimate", "conf_low", "conf_high"]].to_numpy(dtype=float)
        np.testing.assert_allclose(short[i, 0], expected, rtol=1e-5)


def test_a_detection_limit_cuts_the_simulated_values_too(worlds: dict) -> None:
    world: MarkerWorld = worlds["il6"]
    assert np.isfinite(world.limit)
    data = world.fit.spec.data
    assert world.limit == pytest.approx(data.loc[data["censored"] == "left", "y"].max())
    (answers,) = world.replicates([np.random.default_rng(5)], EFFECTS[:2])
    y = np.maximum(simulator(world.fit)(np.random.default_rng(5)), world.limit)
    assert (y == world.limit).any()
    again = LMM(world.fit.spec.formula, data.assign(y=y)).fit().tidy().set_index("term")
    row = again.loc["phase[T.after]:treatment[T.ivig]"]
    np.testing.assert_allclose(
        answers[1, 0], row[["estimate", "conf_low", "conf_high"]].to_numpy(float), rtol=1e-5
    )


def test_truths_are_the_sizes_asked_for(worlds: dict) -> None:
    marker, death = worlds["crp"], worlds["mortality"]
    fitted = marker.fit.tidy().set_index("term")["estimate"]["phase[T.after]:treatment[T.ivig]"]
    expected = [0.0, fitted, np.nan, 0.8 * marker.spread]
    np.testing.assert_allclose([marker.truth(e)[0] for e in EFFECTS], expected)
    ratios = [death.truth(e)[0] for e in EFFECTS]
    log_hr = death.spec.fit(penalty="firth").coefficients[0]
    np.testing.assert_allclose(ratios, [0.0, log_hr, np.log(0.5), np.nan])
    assert death.truth(EFFECTS[0])[1] == 0.0, "no difference of the hazards, none of the risks"


def test_the_true_risk_difference_is_what_many_cohorts_show(study: Study) -> None:
    """The integral over both hazards against counting, with covariates and late entry."""
    adjusted = replace(study, models=replace(study.models, mortality="treatment + age"))
    world = SurvivalWorld.from_study(adjusted)
    effect = Effect.parse("hr=0.4")
    streams = (np.random.default_rng([7, k]) for k in range(1500))
    shown = np.array([_crude(world, rng, effect) for rng in streams])
    error = shown.std(ddof=1) / np.sqrt(len(shown))
    assert abs(shown.mean() - world.truth(effect)[1]) < 3.5 * error
    assert error < 0.005


def _crude(world: SurvivalWorld, rng: np.random.Generator, effect: Effect) -> float:
    """Difference of the observed risks in one cohort, without fitting anything."""
    seen = {}

    class Spy(SurvivalWorld):
        def _analyse(self, exit: np.ndarray, died: np.ndarray) -> np.ndarray:
            assert ((exit > self.spec.design.entry) & (exit <= self.end)).all()
            seen["died"] = died
            return np.zeros((2, 3))

    Spy(**{name: getattr(world, name) for name in world.__dataclass_fields__}).replicates(
        [rng], [effect]
    )
    return seen["died"][world.arm == 1].mean() - seen["died"][world.arm == 0].mean()


def test_the_hazard_of_simulated_deaths_is_the_one_put_in() -> None:
    """Times drawn through `reached` have the cumulative hazard `at`: uniform when transformed."""
    rng = np.random.default_rng(2)
    exit = np.sort(rng.exponential(10.0, 60))
    hazard = CumulativeHazard.of(np.zeros(60), exit, rng.random(60) < 0.7, np.ones(60))
    assert (np.diff(hazard.total) > 0).all() and hazard.total[0] == 0.0
    drawn = hazard.reached(rng.standard_exponential(4000))
    known = drawn[np.isfinite(drawn)]
    assert known.max() <= hazard.time[-1]
    assert np.isinf(drawn).mean() == pytest.approx(np.exp(-hazard.total[-1]), abs=0.02)
    probability = -np.expm1(-hazard.at(known)) / -np.expm1(-hazard.total[-1])
    assert stats.kstest(probability, "uniform").pvalue > 0.001


def test_simulated_deaths_are_analysed_at_their_own_times(worlds: dict) -> None:
    world, rng = worlds["mortality"], np.random.default_rng(5)
    d = world.spec.design
    exit = d.entry + rng.permutation(d.exit - d.entry) * rng.uniform(0.5, 1.0, len(d.exit))
    died = rng.random(len(exit)) < 0.4
    *_, time, event = d.formula.surv
    data = world.spec.data.iloc[d.rows].assign(**{time: exit, event: died.astype(int)})
    again = world.spec.with_data(data).fit(penalty="firth")
    found = world._analyse(exit, died)[0::2, 0]
    np.testing.assert_allclose(found, world.weights @ again.coefficients, rtol=1e-9)
    assert np.abs(found - world.weights @ world.coefficients).min() > 1e-3


def test_neither_jobs_nor_other_markers_nor_their_number_matter(
    study: Study, worlds: dict, simulation: Simulation
) -> None:
    two = operating_characteristics(study, EFFECTS, cohorts=40, jobs=2)
    pd.testing.assert_frame_equal(two.table, simulation.table, check_exact=True)
    alone = outcomes_of([worlds["crp"]], EFFECTS, 1, 10, 12)["crp"]
    beside = outcomes_of(list(worlds.values())[::-1], EFFECTS, 1, 0, 12)["crp"]
    np.testing.assert_array_equal(alone, beside[10:12])
    other = operating_characteristics(study.with_seed(2), EFFECTS, cohorts=40)
    assert not np.allclose(other.table["bias"], simulation.table["bias"])


def test_an_interrupted_simulation_goes_on(study: Study, simulation: Simulation, tmp_path) -> None:
    operating_characteristics(study, EFFECTS, cohorts=25, store=FitStore(tmp_path))
    store = FitStore(tmp_path)
    whole = operating_characteristics(study, EFFECTS, cohorts=40, store=store)
    assert (store.reused, store.computed) == (1, 1), "the first 25 cohorts are the same"
    pd.testing.assert_frame_equal(whole.table, simulation.table, check_exact=True)


def test_the_table_has_a_row_for_what_applies(simulation: Simulation) -> None:
    table = simulation.table
    pairs = set(zip(table["name"], table["effect"], strict=True))
    assert ("crp", "hr=0.5") not in pairs and ("mortality", "sd=0.8") not in pairs
    assert ("crp", "sd=0.8") in pairs and ("mortality", "hr=0.5") in pairs
    shares = table[["power", "coverage"]]
    assert shares.stack().between(0, 1).all()
    assert table.query("name == 'crp'")["coverage"].min() > 0.8
    ratio = table.query("estimand == 'hazard ratio' and effect == 'hr=0.5'")["truth"]
    assert ratio.tolist() == pytest.approx([0.5])


def test_words_table_page_and_figure_agree(simulation: Simulation, tmp_path) -> None:
    words = " ".join(simulation_sentences(simulation))
    row = simulation.table.query("estimand == 'hazard ratio' and effect == 'hr=0.5'").iloc[0]
    assert f"hazard ratio of ivig 0.500, it would be found in {100 * row['power']:.0f} %" in words
    fitted = simulation.table.query("effect == 'fitted' and estimand.str.startswith('diff')")
    enough = int((fitted["power"] >= 0.8).sum())
    assert f"as large as fitted, {enough or 'none'} of 2 would be found" in words
    wide = power_table(simulation).set_index("label")
    assert wide.loc["Mortality", "hr=0.5"].iloc[0] == pytest.approx(100 * row["power"])
    axes = simulation_axes(simulation.table)
    drawn = {x for line in axes.lines for x in np.atleast_1d(line.get_xdata())}
    assert set(simulation.table["power"]) <= drawn
    assert len(axes.get_yticks()) == 4
    page = write_simulation(simulation, tmp_path / "s.html").read_text(encoding="utf-8")
    assert page == simulation_page(simulation)
    assert "<svg" in page and "http-equiv" in page and "Reconstructed" in page
    assert simulation._repr_html_().startswith("<div>")
    table = pd.read_csv(write_simulation(simulation, tmp_path / "s.csv"))
    pd.testing.assert_frame_equal(table, simulation.table)


def test_names_do_no_harm_in_the_page(simulation: Simulation) -> None:
    hostile = '<script>alert("x")</script>'
    table = simulation.table.assign(label=hostile)
    page = simulation_page(replace(simulation, table=table, title=hostile))
    assert "<script" not in page


def test_what_cannot_be_simulated_is_said(study: Study) -> None:
    none = replace(study, models=ModelSettings("phase * treatment + (1 | patient)", "age"))
    found = operating_characteristics(none, EFFECTS[:2], cohorts=2)
    assert "does not have 'treatment'" in found.failures["Mortality"]
    assert "Mortality was not simulated" in simulation_sentences(found)[-1]
    nothing = replace(study, models=ModelSettings("nobody + (1 | patient)", "nobody"))
    with pytest.raises(LongsurvError, match="nothing can be simulated"):
        operating_characteristics(nothing, EFFECTS, cohorts=2)
    with pytest.raises(LongsurvError, match="at least 2 cohorts"):
        operating_characteristics(study, EFFECTS, cohorts=1)
