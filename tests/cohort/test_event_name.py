"""What the event is called: a death only where the data say so."""

from __future__ import annotations

import pandas as pd
import pytest

from longsurv import Cohort, Schema


@pytest.mark.parametrize(
    "column, levels, name",
    [
        ("died", (1, 0), "death"),
        ("status", (1, 0), "event"),
        ("infection", (True, False), "event"),
        ("relapse", ("yes", "no"), "event"),
        ("hospital_expire_flag", (1, 0), "death"),
        ("verstorben", ("ja", "nein"), "death"),
        ("alive", ("no", "yes"), "death"),
        ("status", ("dead", "alive"), "death"),
        ("status", ("Relapse", "none"), "relapse"),
        ("status", (2, 1), "event"),
        ("転帰", ("死亡", "生存"), "death"),
        ("Ausgang", ("verstorben", "entlassen"), "death"),
        ("Issue", ("Décédé", "vivant"), "death"),
    ],
)
def test_the_event_is_called_what_the_data_call_it(
    column: str, levels: tuple[object, object], name: str
) -> None:
    event, censored = levels
    frame = pd.DataFrame(
        {"id": [1, 2, 3, 4], "arm": ["a", "b", "a", "b"], "days": [3, 4, 5, 6],
         column: [event, event, censored, censored]}
    )  # fmt: skip
    schema = Schema(
        patient="id", treatment="arm", reference="a", exit="days", status=column,
        event=event, censored=censored,
    )  # fmt: skip
    assert Cohort(frame, None, schema, []).event_name == name
