"""Intervals with the last value carried forward: by hand, and what must hold for any data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.errors import DataError
from longsurv.estimands.start_stop import start_stop

NAMES = {"patient": "id", "time": "day", "exit": "last", "event": "died"}


def labs(*rows):
    return pd.DataFrame(rows, columns=["id", "day", "crp"])


def people(*rows):
    return pd.DataFrame(rows, columns=["id", "first", "last", "died", "arm"])


def test_by_hand():
    measured = labs(
        ("a", 0, 5.0), ("a", 3, 7.0), ("a", 8, 9.0),
        ("b", 2, 1.0), ("b", 4, np.nan), ("b", 6, 2.0),
        ("d", 1, 3.0), ("d", 4, 4.0), ("d", 7, 6.0), ("e", 10, 1.0),
    )  # fmt: skip
    survival = people(
        ("a", 0, 8, 1, "x"), ("b", 0, 7, 0, "y"), ("c", 0, 5, 1, "x"), ("d", 5, 9, 1, "y"),
        ("e", 0, 10, 0, "x"),
    )  # fmt: skip
    got = start_stop(measured, survival, ["crp"], entry="first", **NAMES)
    expected = [
        ("a", 0, 3, 0, 5.0, "x"), ("a", 3, 8, 1, 7.0, "x"),  # a's last value is of the last moment
        ("b", 2, 6, 0, 1.0, "y"), ("b", 6, 7, 0, 2.0, "y"),  # from the first measurement
        ("d", 5, 7, 0, 4.0, "y"), ("d", 7, 9, 1, 6.0, "y"),  # the last value by entry at 5
    ]  # fmt: skip
    columns = ["id", "start", "stop", "event", "crp", "arm"]
    assert got.data[columns].to_records(index=False).tolist() == expected
    left_out = got.left_out.to_records(index=False).tolist()
    assert left_out == [
        ("b", "at risk before the first measurement", 2.0, 0, 0),
        ("c", "no measurement before the end of follow-up", 5.0, 1, 0),
        ("e", "no measurement before the end of follow-up", 10.0, 0, 0),
        ("b", "measurement without a value", 0.0, 0, 1),
    ]


def test_every_problem_is_named_with_its_patients():
    measured = labs(("a", 9, 5.0), ("b", 1, 1.0), ("b", 1, 2.0), ("z", 1, 1.0))
    survival = people(("a", 0, 8, 1, "x"), ("b", 0, 7, 0, "y"))
    with pytest.raises(DataError) as caught:
        start_stop(measured, survival, ["crp"], **NAMES)
    said = "\n".join(caught.value.problems)
    assert "id z have measurements but no row" in said
    assert "id a have measurements after their event" in said
    assert "id b have two measurements at one time" in said
    with pytest.raises(DataError, match="no column 'il6'"):
        start_stop(measured, survival, ["il6"], **NAMES)
    with pytest.raises(DataError, match=r"rename the columns \['start'\]"):
        start_stop(measured, survival.assign(start=0), ["crp"], **NAMES)


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=40, deadline=None)
def test_time_at_risk_and_events_are_accounted_for(seed, late):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    first = rng.integers(0, 4, n) if late else np.zeros(n, dtype=int)
    survival = pd.DataFrame(
        {"id": np.arange(n), "first": first, "last": first + rng.integers(1, 9, n),
         "died": rng.integers(0, 2, n)}
    )  # fmt: skip
    grid = [(i, day) for i in range(n) for day in range(int(survival["last"][i]) + 1)]
    some = [pair for pair in grid if rng.uniform() < 0.4] or [(0, 0)]
    measured = pd.DataFrame(some, columns=["id", "day"]).assign(crp=rng.normal(size=len(some)))
    measured = measured.sample(frac=1.0, random_state=int(seed))
    got = start_stop(measured, survival, ["crp"], entry="first" if late else None, **NAMES)
    data, left_out = got.data, got.left_out
    at_risk = (survival["last"] - survival["first"]).sum()
    assert (data["stop"] - data["start"]).sum() + left_out["time"].sum() == at_risk
    assert data["event"].sum() + left_out["events"].sum() == survival["died"].sum()
    assert (data["stop"] > data["start"]).all()
    for row in data.itertuples():  # the value is the last one by the start
        known = measured[(measured["id"] == row.id) & (measured["day"] <= row.start)]
        assert row.crp == known.sort_values("day")["crp"].iloc[-1]
