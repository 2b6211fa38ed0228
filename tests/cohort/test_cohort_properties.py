"""What must not matter does not, for any cohort hypothesis can think of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.cohort import Cohort, Marker, Phase, Schema, read_cohort

LIMIT = 0.5
MARKERS = [Marker("crp", transform="log", lower_limit=LIMIT), Marker("plt")]
SCHEMA = Schema(
    patient="id",
    treatment="arm",
    reference=0,
    exit="days",
    status="status",
    horizon=20,
    competing={"home": 2},
    time="day",
    phases=(Phase("first", 0, 1), Phase("later", 2, 6)),
    exclude_incomplete=True,
    exclude_before_entry=True,
    entry=1.0,
)
STUDY = """
[patients]
file = "patients{suffix}"
patient = "id"
treatment = "arm"
reference = 0
exclude_incomplete = true
[outcome]
exit = "days"
status = "status"
entry = 1
horizon = 20
exclude_before_entry = true
[outcome.competing]
home = 2
[measurements]
file = "visits{suffix}"
time = "day"
[phases]
first = [0, 1]
later = [2, 6]
[markers.crp]
transform = "log"
lower_limit = 0.5
[markers.plt]
"""
quick = settings(max_examples=25, deadline=None)


@st.composite
def tables(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A valid pair of tables: gaps, late and early ends of follow-up, shuffled rows."""
    n = draw(st.integers(8, 15))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ids = rng.permutation(1000)[:n]
    patients = pd.DataFrame(
        {
            "id": ids,
            "arm": np.where(rng.random(n) < 0.1, np.nan, rng.integers(0, 2, n)),
            "days": np.round(rng.uniform(0, 30, n), 2),
            "status": rng.integers(0, 3, n).astype(float),
            "age": np.round(rng.normal(60, 9, n), 1),
        }
    )
    patients.loc[:3, "arm"] = [0, 1, 0, 1]
    patients.loc[:3, "days"] = [5, 9, 25, 30]
    patients.loc[:3, "status"] = [1, 1, 2, 0]
    patients.loc[4:5, "status"] = [np.nan, 2]
    days = np.arange(0, 30, 2.5)
    visits = pd.DataFrame(
        [(p, d, m) for p in ids for d in days for m in ("crp", "plt")],
        columns=["id", "day", "marker"],
    )
    visits["value"] = np.round(rng.lognormal(0, 1, len(visits)), 3) + 0.001
    visits.loc[rng.random(len(visits)) < 0.1, "value"] = np.nan
    end = visits["id"].map(patients.set_index("id")["days"])
    visits = visits[(visits["day"] <= end) & (rng.random(len(visits)) < 0.7)]
    seen = pd.DataFrame(
        {  # so that both markers are always there
            "id": ids[[0, 1]],
            "day": 0.25,
            "marker": ["crp", "plt"],
            "value": 2.0,
        }
    )
    return patients, pd.concat([visits, seen], ignore_index=True)


def make(patients: pd.DataFrame, visits: pd.DataFrame, schema: Schema = SCHEMA) -> Cohort:
    return Cohort(patients, visits, schema, MARKERS)


def assert_same(one: Cohort, other: Cohort, *, flow: bool = True) -> None:
    pd.testing.assert_frame_equal(one.patients, other.patients)
    pd.testing.assert_frame_equal(one.measurements, other.measurements)
    pd.testing.assert_frame_equal(one.survival_data(), other.survival_data())
    if flow:
        pd.testing.assert_frame_equal(one.flow, other.flow)


@quick
@given(tables(), st.integers(0, 2**32 - 1))
def test_row_order_does_not_matter(pair: tuple[pd.DataFrame, pd.DataFrame], seed: int) -> None:
    patients, visits = pair
    shuffled = make(
        patients.sample(frac=1, random_state=seed), visits.sample(frac=1, random_state=seed)
    )
    assert_same(make(patients, visits), shuffled)


@quick
@given(tables())
def test_labels_of_patients_do_not_matter(pair: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    patients, visits = pair
    # Names that sort as the numbers do, so that only the label can differ.
    named = make(
        patients.assign(id=patients["id"].map("patient {:05d}".format)),
        visits.assign(id=visits["id"].map("patient {:05d}".format)),
    )
    plain = make(patients, visits)
    for a, b in (
        (plain.patients, named.patients),
        (plain.measurements, named.measurements),
        (plain.survival_data(), named.survival_data()),
    ):
        assert list(a["id"].map("patient {:05d}".format)) == list(b["id"])
        pd.testing.assert_frame_equal(a.drop(columns="id"), b.drop(columns="id"))


@quick
@given(tables())
def test_wide_and_long_give_the_same_cohort(pair: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    patients, visits = pair
    wide = visits.pivot(index=["id", "day"], columns="marker", values="value").reset_index()
    assert_same(
        make(patients, visits), make(patients, wide, replace(SCHEMA, wide=True)), flow=False
    )


@quick
@given(tables(), st.sampled_from([1e-3, 0.1, 2.0, 1000.0]))
def test_units_do_not_matter(pair: tuple[pd.DataFrame, pd.DataFrame], k: float) -> None:
    patients, visits = pair
    scaled = [replace(m, lower_limit=m.lower_limit and m.lower_limit * k) for m in MARKERS]
    one = make(patients, visits)
    other = Cohort(patients, visits.assign(value=visits["value"] * k), SCHEMA, scaled)
    crp, crp_k = one.marker_data("crp"), other.marker_data("crp")
    np.testing.assert_allclose(crp_k["y"], crp["y"] + np.log(k), atol=1e-12)
    np.testing.assert_allclose(crp_k["value"], crp["value"] * k)
    assert list(crp["censored"]) == list(crp_k["censored"])
    np.testing.assert_allclose(other.marker_data("plt")["y"], one.marker_data("plt")["y"] * k)


@quick
@given(tables())
def test_text_limits_and_marker_limits_agree(pair: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    patients, visits = pair
    low = (visits["value"] < LIMIT) & (visits["marker"] == "crp")
    text = visits["value"].astype(object).mask(low, f"<{LIMIT}")
    written = Cohort(
        patients,
        visits.assign(value=text),
        SCHEMA,
        [replace(MARKERS[0], lower_limit=None), MARKERS[1]],
    )
    assert_same(make(patients, visits), written)


@settings(max_examples=8, deadline=None)
@given(tables())
def test_csv_and_parquet_round_trip(pair: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    patients, visits = pair
    with TemporaryDirectory() as folder:
        path = Path(folder)
        patients.to_csv(path / "patients.csv", index=False)
        visits.to_csv(path / "visits.csv", index=False)
        patients.to_parquet(path / "patients.parquet", index=False)
        visits.to_parquet(path / "visits.parquet", index=False)
        for suffix in (".csv", ".parquet"):
            (path / "study.toml").write_text(STUDY.format(suffix=suffix))
            assert_same(make(patients, visits), read_cohort(path / "study.toml"), flow=False)


@quick
@given(tables())
def test_the_flow_balances(pair: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    patients, visits = pair
    cohort = make(patients, visits)
    ends = {"patients": (patients, cohort.patients), "measurements": (visits, cohort.measurements)}
    for unit, (given_, kept) in ends.items():
        flow = cohort.flow[cohort.flow["unit"] == unit]
        assert flow["kept"].iloc[0] == len(given_)
        assert flow["kept"].iloc[-1] == len(kept)
        steps = flow["kept"].to_numpy()
        np.testing.assert_array_equal(steps[:-1] - flow["removed"].to_numpy()[1:], steps[1:])
        assert (flow["removed"] >= 0).all()


@quick
@given(tables())
def test_who_is_kept_by_a_count_of_its_own(pair: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    patients, visits = pair
    cohort = make(patients, visits)
    whole = patients.dropna(subset=["arm", "status"])
    at_risk = whole[whole["days"] > 1]
    assert set(cohort.patients["id"]) == set(at_risk["id"])
    used = visits.dropna()
    used = used[used["id"].isin(at_risk["id"]) & (used["day"] <= 20)]
    assert len(cohort.measurements) == len(used)
    low = (used["marker"] == "crp") & (used["value"] < LIMIT)
    assert (cohort.measurements["censored"] == "left").sum() == low.sum()
    survival = cohort.survival_data()
    expected = at_risk["days"].clip(upper=20).to_numpy()[np.argsort(at_risk["id"].to_numpy())]
    np.testing.assert_array_equal(survival["exit"], expected)
    assert survival["event"].sum() == ((at_risk["status"] == 1) & (at_risk["days"] <= 20)).sum()
