"""Columns of outcomes: every dtype read alike, R's codes never taken for longsurv's."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from longsurv.analyses.mortality.mortality import Mortality
from longsurv.design.outcome import event_problem, read_numbers, status_problem
from longsurv.errors import DataError
from longsurv.estimands.competing import incidence_table
from longsurv.estimands.follow_up import by_group
from longsurv.estimands.kaplan_meier import survival_table
from longsurv.models import CoxPH, Hazard

EVENTS = [1, 0, 0, 1, 1, 0, 1, 0]
WRITTEN = {
    "int64": lambda e: pd.Series(e),
    "int8": lambda e: pd.Series(e, dtype="int8"),
    "float": lambda e: pd.Series(e, dtype=float),
    "bool": lambda e: pd.Series(e).astype(bool),
    "Int8": lambda e: pd.Series(e, dtype="Int8"),
    "boolean": lambda e: pd.Series(e).astype("boolean"),
    "text": lambda e: pd.Series(list(map(str, e))),
    "arrow text": lambda e: pd.Series(list(map(str, e)), dtype="string[pyarrow]"),
    "arrow": lambda e: pd.Series(e, dtype="int64[pyarrow]"),
    "categories": lambda e: pd.Series(pd.Categorical(e)),
    "text categories": lambda e: pd.Series(pd.Categorical(list(map(str, e)))),
    "Decimal": lambda e: pd.Series([Decimal(v) for v in e]),
    "object": lambda e: pd.Series(e, dtype=object),
}


def frame(events) -> pd.DataFrame:
    arm = np.tile(["a", "b"], 4)
    return pd.DataFrame({"exit": [3.0, 5, 6, 8, 9, 11, 12, 12], "event": events, "arm": arm})


@pytest.mark.parametrize("how", WRITTEN)
def test_every_dtype_of_an_event_is_read_alike(how):
    expected = survival_table(frame(EVENTS), "arm", [4, 9, 12])
    data = frame(EVENTS).assign(event=WRITTEN[how](EVENTS))
    pd.testing.assert_frame_equal(survival_table(data, "arm", [4, 9, 12]), expected)
    status = data.rename(columns={"event": "status"})
    pd.testing.assert_frame_equal(survival_table(status, "arm", [4, 9, 12]), expected)
    mortality = Mortality(data, "arm", 12.0)
    assert mortality.counts == Mortality(frame(EVENTS), "arm", 12.0).counts
    assert mortality.cox.fit().params.to_numpy() == pytest.approx(
        Mortality(frame(EVENTS), "arm", 12.0).cox.fit().params.to_numpy(), abs=1e-12
    )


def test_what_is_no_number_is_refused_by_name():
    for column in (
        pd.Series(["dead", "alive"]),
        pd.Series(pd.Categorical(["dead", "alive"])),
        pd.Series(pd.to_datetime(["2020-01-01", "2020-01-02"])),
        pd.Series(pd.to_timedelta([1, 2], unit="D")),
    ):
        with pytest.raises(DataError, match="column 'died' must hold numbers"):
            read_numbers(column, "died")
    assert np.isnan(read_numbers(pd.Series([1, None], dtype="Int8"), "x")[1])


@pytest.mark.parametrize("how", WRITTEN)
def test_codes_of_r_are_refused_however_written(how):
    coded = [e + 1 for e in EVENTS]
    if how in ("bool", "boolean"):
        return
    data = frame(EVENTS).drop(columns="event").assign(status=WRITTEN[how](coded))
    for ask in (
        lambda: survival_table(data, "arm", [9]),
        lambda: incidence_table(data, "arm", [9]),
        lambda: Mortality(data, "arm", 12.0).counts,
    ):
        with pytest.raises(DataError, match="1 = alive and 2 = dead"):
            ask()
    with pytest.raises(DataError, match="have to be recoded to 0 and 1"):
        by_group(frame(EVENTS).assign(event=WRITTEN[how](coded)), "arm")


@pytest.mark.parametrize("model", [CoxPH, Hazard])
def test_codes_of_r_in_a_formula(model):
    data = frame([e + 1 for e in EVENTS])
    with pytest.raises(DataError, match=r"'event' is not 0 or 1; 1 and 2, as R's"):
        model("Surv(exit, event) ~ arm", data).fit()


def test_only_2_is_ambiguous_and_only_1_or_a_third_code_is_not():
    assert status_problem(pd.Series([2, 2]), "status")
    for codes in ([1, 1], [1, 2, 3], [0, 1, 2], [0, 2]):
        assert not status_problem(pd.Series(codes), "status")
    assert "row 1" in event_problem(pd.Series([0, 3, 1]), "died")
    assert not event_problem(pd.Series([1, 0, 1]), "died")


def test_who_has_no_censored_patient_says_so():
    status = [e + 1 for e in EVENTS]
    data = frame([s == 1 for s in status]).assign(status=status)
    labelled = data.drop(columns="event").assign(status=pd.Categorical(status, [0, 1, 2]))
    expected = incidence_table(data, "arm", [9])
    pd.testing.assert_frame_equal(incidence_table(labelled, "arm", [9]), expected)
    assert expected["estimate"].notna().all()


def test_a_status_that_contradicts_the_event_is_refused():
    data = frame(EVENTS).assign(status=EVENTS)
    assert len(by_group(data, "arm")) == 2
    with pytest.raises(DataError, match="'status' contradicts 'event' in rows 1, 3"):
        by_group(data.assign(status=[1, 1, 0, 0, 1, 2, 1, 0]), "arm")
    r_codes = data.assign(status=[e + 1 for e in EVENTS])
    with pytest.raises(DataError, match="contradicts"):
        Mortality(r_codes, "arm", 12.0).methods()
