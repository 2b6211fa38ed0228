"""What a result draws is what it says, in the place it is given, with what is wrong of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from longsurv.errors import LongsurvError
from longsurv.models import GLMM, LMM, CoxPH, Hazard, JointModel, value


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def visits() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    who = np.repeat(np.arange(60), 4)
    arm = np.array(["a", "b"])[who % 2]
    frame = pd.DataFrame({"id": who, "day": np.tile([0.0, 1.0, 2.0, 4.0], 60), "arm": arm})
    level = 2.0 + rng.normal(0, 0.5, 60)[who] - 0.3 * frame["day"] * (arm == "b")
    frame["crp"] = np.exp(level + rng.normal(0, 0.4, 240))
    frame["high"] = (frame["crp"] > 7).astype(int)
    return frame


@pytest.fixture(scope="module")
def patients(visits: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(6)
    once = visits.drop_duplicates("id")[["id", "arm"]]
    until = rng.exponential(12, 60).clip(4.2, 28.0)
    return once.assign(until=until, died=(until < 28).astype(int), age=rng.normal(60, 9, 60))


@pytest.fixture(scope="module")
def growth(visits: pd.DataFrame) -> LMM:
    return LMM("log(crp) ~ day * arm + (1 | id)", visits)


@pytest.fixture(scope="module")
def death(patients: pd.DataFrame) -> CoxPH:
    return CoxPH("Surv(until, died) ~ arm + age", patients)


def drawn(ax: Axes, colour: str | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
    """The lines in axes, as numbers."""
    lines = [line for line in ax.lines if colour is None or line.get_color() == colour]
    return [(np.asarray(x.get_xdata(), float), np.asarray(x.get_ydata(), float)) for x in lines]


def holds(ax: Axes, value: float) -> bool:
    return any(np.isclose(x, value).any() for x, _ in drawn(ax))


def test_coefficients_stand_where_tidy_has_them(growth: LMM, death: CoxPH) -> None:
    for result in (growth.fit(df="normal"), growth.sample(draws=60, chains=2, seed=1)):
        ax = result.plot()
        rows = result.tidy().set_index("term").drop("Intercept")
        for number in rows[["estimate", "conf_low", "conf_high"]].to_numpy().ravel():
            assert holds(ax, number)
        assert not holds(ax, result.tidy()["estimate"].iloc[0])
        assert "Coefficient" in ax.get_label() and "day:arm[T.b]" in ax.get_label()
    hazards = death.fit()
    ax = hazards.plot(["age"], level=0.9)
    row = hazards.hazard_ratios(0.9).set_index("term").loc["age"]
    assert (
        ax.get_xscale() == "log" and holds(ax, row["hazard_ratio"]) and holds(ax, row["conf_low"])
    )
    with pytest.raises(LongsurvError, match="agee"):
        hazards.plot(["agee"])


def test_it_takes_the_place_of_the_axes_given_and_no_more(growth: LMM) -> None:
    fit, figure = growth.fit(df="normal"), Figure(figsize=(12, 5))
    left, right = figure.subplots(1, 2)
    before = left.get_position(), right.get_position()
    assert fit.plot(ax=right) is right and fit.plot_trajectories(ax=left) is left
    assert left.get_position().bounds == before[0].bounds
    inside, box = right.get_position(), before[1]
    assert box.x0 < inside.x0 and inside.x1 <= box.x1 and inside.y0 >= box.y0
    assert plt.get_fignums() == []
    assert fit.plot().figure.number in plt.get_fignums()
    with pytest.raises(LongsurvError, match="ax is Axes of matplotlib, not Figure"):
        fit.plot(ax=figure)


def test_a_fit_that_failed_says_so_over_its_figure(growth: LMM) -> None:
    fit = growth.fit(df="normal")
    stuck = replace(fit, optimum=replace(fit.optimum, status="stopped", newton_decrement=3.0))
    for ax in (stuck.plot(), stuck.plot_trajectories()):
        assert any("NOT CONVERGED: stopped" in text.get_text() for text in ax.texts)
        assert "NOT CONVERGED: stopped" in ax.get_label()
    assert "NOT" not in fit.plot().get_label()


def test_trajectories_are_the_means_over_the_data(growth: LMM, visits: pd.DataFrame) -> None:
    fit = growth.fit(df="normal")
    ax = fit.plot_trajectories()
    means = fit.means("arm", at={"day": [0.0, 4.0]}).tidy().set_index(["day", "arm"])
    curves = [y for x, y in drawn(ax) if len(x) == 40]
    assert len(curves) == 2
    for curve, arm in zip(curves, ("a", "b"), strict=True):
        assert curve[[0, -1]] == pytest.approx(means["estimate"].loc[[(0.0, arm), (4.0, arm)]])
    shown = np.concatenate([y for x, y in drawn(ax) if len(x) > 40])
    assert np.sort(shown[~np.isnan(shown)]) == pytest.approx(np.sort(np.log(visits["crp"])))
    with pytest.raises(LongsurvError, match="along='when' is not in the fixed effects"):
        fit.plot_trajectories("when")
    with pytest.raises(LongsurvError, match="what the curves are along"):
        fit.plot_trajectories(by="day")


def test_probabilities_are_drawn_of_a_binary_response(visits: pd.DataFrame) -> None:
    fit = GLMM("high ~ day + arm + (1 | id)", visits).fit()
    ax = fit.plot_trajectories()
    found = fit.response_means("arm", at={"day": [0.0]}).tidy()["estimate"]
    starts = [y[0] for x, y in drawn(ax) if len(x) == 40]
    assert starts == pytest.approx(list(found))
    assert ax.get_title(loc="left") == "P(high = 1)"


@pytest.mark.parametrize("baseline", [None, "weibull"])
def test_survival_is_that_of_everybody_in_either_group(
    death: CoxPH, patients: pd.DataFrame, baseline: str | None
) -> None:
    model = death if baseline is None else Hazard(death.formula, patients, baseline="weibull")
    fit = model.fit()
    ax = fit.plot_survival(horizon=20.0)
    ends = [y[-1] for x, y in drawn(ax) if len(x) > 60]
    each = [
        fit.predict(patients.assign(arm=arm), times=[20.0])["estimate"].mean() for arm in ("a", "b")
    ]
    assert ends == pytest.approx(each, abs=1e-6)
    at_risk = [text.get_text() for text in ax.texts]
    assert str(int((patients.loc[patients["arm"] == "a", "until"] >= 10).sum())) in at_risk
    with pytest.raises(LongsurvError, match="by='age' has more than 6 values"):
        fit.plot_survival("age")


def test_survival_of_a_posterior_and_of_rows_of_one_patient(
    death: CoxPH, patients: pd.DataFrame
) -> None:
    post = death.sample(draws=60, chains=2, seed=1)
    ends = [y[-1] for x, y in drawn(post.plot_survival("arm", horizon=20.0)) if len(x) > 60]
    alive = post.survival_draws(patients.assign(arm="a"), [20.0]).mean()
    assert ends[0] == pytest.approx(alive, abs=0.02)
    halves = [patients.assign(start=0.0, until=2.0, died=0), patients.assign(start=2.0)]
    rows = pd.concat(halves).sort_values(["id", "start"], ignore_index=True)
    spec = CoxPH("Surv(start, until, died) ~ arm + age + cluster(id)", rows)
    split, whole = spec.fit().plot_survival("arm"), death.fit().plot_survival("arm")
    counts = [[text.get_text() for text in ax.texts] for ax in (split, whole)]
    assert counts[0] == counts[1]  # nobody counts twice


def test_a_posterior_is_drawn_with_its_prior(growth: LMM) -> None:
    post = growth.sample(draws=60, chains=2, seed=1)
    ax = post.plot_priors(["sigma", "arm[T.b]"])
    panels = ax.figure.axes
    assert [panel.texts[0].get_text() for panel in panels] == ["sigma", "arm[T.b]"]
    (x, posterior), (_, prior) = drawn(panels[0])[:2]
    rate = 1.0 / post.priors["sigma"].scale
    assert prior == pytest.approx(rate * np.exp(-rate * x), rel=1e-6)
    step = x[1] - x[0]
    assert step * posterior.sum() == pytest.approx(1.0, abs=0.03)
    assert step * (x * posterior).sum() == pytest.approx(post.samples["sigma"].mean(), rel=0.02)


def test_dynamic_prediction_is_drawn_of_who_is_asked(
    growth: LMM, patients: pd.DataFrame, visits: pd.DataFrame
) -> None:
    death = CoxPH("Surv(until, died) ~ arm", patients)
    joint = JointModel(growth, death, time="day", link=value(), baseline="weibull").fit()
    two = visits[visits["id"] < 2]
    ax = joint.plot_prediction(two, at=2.0, horizon=12.0)
    measured = drawn(ax)[0]
    first = two[(two["id"] == 0) & (two["day"] <= 2.0)]
    assert measured[1] == pytest.approx(first["crp"]) and ax.get_yscale() == "log"
    survival = next(other for other in ax.figure.axes if other.get_ylim()[1] == 1.04)
    said = joint.predict_survival(two, at=2.0, times=[12.0])["estimate"].iloc[0]
    assert drawn(survival)[0][1][[0, -1]] == pytest.approx([1.0, said], abs=0.02)
    with pytest.raises(LongsurvError, match="1 to 4 patients"):
        joint.plot_prediction(visits, at=2.0)
    with pytest.raises(LongsurvError, match="after 2 and up to the last exit"):
        joint.plot_prediction(two, at=2.0, horizon=1.0)
    effects = joint.joint_effects("arm", 12.0, draws=20)
    parts = effects.table.set_index("term").loc[["direct", "through the marker", "overall"]]
    ax = effects.plot()
    assert all(holds(ax, number) for number in parts["estimate"])
    assert "through the marker" in ax.get_label() and "differs by" in str(effects.summary())
    check = joint.association_check(draws=20, chains=1)
    ratios = check.table.query("scale == 'doubling'")["hazard_ratio"]
    assert all(holds(check.plot(), number) for number in ratios.dropna())
