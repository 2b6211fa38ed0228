"""Whether a draft is right: compared with the truth an export was written from."""

from __future__ import annotations

import tomllib

import numpy as np
import pandas as pd
from exports import Answer

from longsurv.draft import Draft
from longsurv.draft.units import tidy_unit


def verdict(draft: Draft, right: Answer) -> list[str]:
    """Everything that is wrong with a draft, in words; empty if it is right."""
    if not right.sure:
        return [] if not draft.complete else ["what cannot be known is taken for granted"]
    if not draft.complete:
        open_ = [g.sentence() for g in draft.guesses if g.sureness == "doubtful"]
        return [f"not complete: {open_}"]
    cohort = draft.cohort()
    schema = cohort.schema
    found = cohort.survival_data()
    people = cohort.patients
    wrong = []
    ids = found[schema.patient].astype(str)
    index = pd.Index(ids)
    expected = right.patients.set_index("id")
    if sorted(index) != sorted(expected.index):
        return [f"patients are {list(index[:4])}, not {list(expected.index[:4])}"]
    expected = expected.loc[index]
    arms = people.set_index(people[schema.patient].astype(str))[schema.treatment].loc[index]
    labels = tomllib.loads(draft.to_toml()).get("study", {}).get("labels", {})
    named = [labels.get(group, group) for group in expected["group"]]
    if list(arms.astype(str)) != named:
        wrong.append(f"groups {list(arms[:3])}, not {named[:3]}")
    if not np.allclose(found["exit"], expected["exit"], atol=1e-3):
        wrong.append(f"exits {list(found['exit'][:4])}, not {list(expected['exit'][:4])}")
    if not np.array_equal(found["event"].astype(bool), expected["event"].astype(bool)):
        wrong.append("the events differ")
    return [*wrong, *_measurements(cohort, right)]


def _measurements(cohort, right: Answer) -> list[str]:  # type: ignore[no-untyped-def]
    schema = cohort.schema
    found = cohort.measurements
    wrong = []
    names = {}
    for name in cohort.markers:
        match = [m for m in right.measurements["marker"].unique() if name.startswith(m)]
        names[name] = max(match, key=len, default=name)
    made = pd.DataFrame(
        {
            "id": found[schema.patient].astype(str),
            "time": found[schema.time].astype(float).round(3),
            "marker": found["marker"].astype(str).map(names),
            "value": found["value"].astype(float),
            "censored": found["censored"].astype(str),
        }
    )
    want = right.measurements.assign(time=right.measurements["time"].round(3))
    keys = ["id", "time", "marker"]
    both = made.merge(want, on=keys, how="outer", suffixes=("", "_want"), indicator=True)
    apart = both[both["_merge"] != "both"]
    if len(apart):
        wrong.append(
            f"{len(apart)} of {len(want)} measurements differ, e.g. {apart.iloc[0].to_dict()}"
        )
    same = both[both["_merge"] == "both"]
    if not np.allclose(same["value"], same["value_want"]):
        wrong.append("values differ")
    if not (same["censored"] == same["censored_want"]).all():
        wrong.append("limits of detection differ")
    for name, marker in cohort.markers.items():
        unit = right.units.get(names[name])
        if unit is not None and tidy_unit(marker.unit) != tidy_unit(unit):
            wrong.append(f"the unit of {name} is {marker.unit!r}, not {unit!r}")
    return wrong
