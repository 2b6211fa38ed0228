"""Limits of a response under transformations that keep and that turn its order."""

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import DataError, FormulaError
from longsurv.estimands.new_patients import _kind
from longsurv.models import GLMM, CoxPH, JointModel

RIGHT_SIDE = " ~ t + (1 | id)"
OTHER = {"none": "none", "left": "right", "right": "left", "interval": "interval"}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Positive values with limits of every kind, and logarithms of the same."""
    rng = np.random.default_rng(4)
    t, group = np.tile(np.arange(4.0), 25), np.repeat(np.arange(25), 4)
    logs = 0.2 * t + rng.normal(size=25)[group] + 0.5 * rng.normal(size=100)
    which = [logs < -0.6, logs > 1.6, (logs > 0.2) & (logs < 0.5)]
    kind = np.select(which, list(OTHER)[1:], "none")
    lower = np.select(which, [-0.6, 1.6, 0.2], logs)
    upper = np.where(kind == "interval", 0.5, np.nan)
    upper[np.flatnonzero(kind == "interval")[0]] = np.inf
    return pd.DataFrame(
        {"id": group, "t": t, "kind": kind, "log": lower, "log_upper": upper,
         "value": np.exp(lower), "upper": np.exp(upper)}
    )  # fmt: skip


def made(response: str, rows: pd.DataFrame, upper: str = "upper") -> GLMM:
    return GLMM(response + RIGHT_SIDE, rows, "censored", censored="kind", upper=upper, nodes=9)


@pytest.mark.parametrize(
    ("falling", "rising"),
    [("-value", "value"), ("-log(value)", "log(value)"), ("log(1 / value)", "log(value)"),
     ("3 - 2 * log(value)", "2 * log(value) - 3"), ("-(value ** 2)", "value ** 2")],
)  # fmt: skip
def test_what_falls_is_the_mirror_of_what_rises(rows, falling, rising):
    ours, theirs = made(falling, rows), made(rising, rows)
    assert ours.design.falling and not theirs.design.falling
    swapped = [note.replace("below its", "above its") for note in theirs.design.notes]
    assert len(swapped) == len(ours.design.notes) == 3
    fit, same = ours.fit(), theirs.fit()
    assert fit.llf == pytest.approx(same.llf, abs=1e-6)
    np.testing.assert_allclose(fit.coefficients, -same.coefficients, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(fit.variance.values, same.variance.values, rtol=1e-4)


def test_a_reciprocal_is_the_same_as_one_made_by_hand(rows):
    ours = made("1 / value", rows).design
    between, endless = rows["kind"] == "interval", np.isinf(rows["upper"])
    hand = rows.assign(
        value=np.where(between & ~endless, 1 / rows["upper"], 1 / rows["value"]),
        upper=np.where(between & ~endless, 1 / rows["value"], np.nan),
        kind=rows["kind"].map(OTHER).mask(endless, "left"),
    )
    theirs = made("value", hand).design
    np.testing.assert_allclose(ours.y, theirs.y)
    np.testing.assert_allclose(ours.extent, theirs.extent, rtol=1e-12)
    assert ours.notes == theirs.notes


@pytest.mark.parametrize("response", ["log(value)", "sqrt(value)", "value ** 2", "log(value / 3)"])
def test_what_rises_keeps_its_sides(rows, response):
    design = made(response, rows).design
    assert not design.falling
    one_sided = rows["kind"].isin(["left", "right"])
    expected = rows.loc[one_sided, "kind"].map({"left": -np.inf, "right": np.inf})
    np.testing.assert_array_equal(design.extent[one_sided], expected)


@pytest.mark.parametrize("response", ["abs(log)", "log ** 2", "1 / (log + 0.65)", "sin(log)"])
def test_what_rises_and_falls_is_refused(rows, response):
    with pytest.raises(FormulaError, match=r"both rises and falls where 'log' rises"):
        _ = made(response, rows, "log_upper").design


def test_several_columns_are_refused_only_where_there_are_limits(rows):
    left = rows[rows["kind"] != "interval"]
    with pytest.raises(FormulaError, match="is of several columns, so that nothing says"):
        _ = made("value - t", left).design
    measured = rows[rows["kind"] == "none"]
    assert not made("value - t", measured).design.falling
    assert not made("abs(log)", measured, "log_upper").design.falling


def test_upper_bounds_below_the_lower_ones_of_a_response_that_falls(rows):
    with pytest.raises(DataError, match="is not above the lower one, 'value'"):
        _ = made("-value", rows.assign(upper=0.01)).design


def test_joint_models_and_their_new_measurements(rows):
    one_sided = rows[rows["kind"] != "interval"].assign(minus=lambda d: -d["log"])
    people = pd.DataFrame({"id": np.arange(25), "stop": 4.0 + np.arange(25) % 7, "dead": 1})
    event = CoxPH("Surv(stop, dead) ~ 1", people)

    def joint(response: str, data: pd.DataFrame) -> JointModel:
        marker = GLMM(response + RIGHT_SIDE, data, "censored", censored="kind")
        return JointModel(marker, event, "t", baseline="exponential")

    ours = joint("-log", one_sided).design.markers[0]
    theirs = joint("minus", one_sided.assign(kind=one_sided["kind"].map(OTHER))).design.markers[0]
    np.testing.assert_array_equal(ours.kind, theirs.kind)
    new = pd.DataFrame({"kind": ["none", "left", "right"]})
    np.testing.assert_array_equal(_kind(ours, new), [0, 2, 1])
    np.testing.assert_array_equal(_kind(theirs, new), [0, 1, 2])
    with pytest.raises(DataError, match="must hold none, left or right"):
        _kind(ours, new.replace("left", "interval"))
