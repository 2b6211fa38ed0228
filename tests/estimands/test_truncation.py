"""A marker and death as one outcome: who counts as what, and the bounds for the survivors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from support.truncated import CHANGE, LAST, truncated_cohort, truncated_tables

from longsurv.errors import LongsurvError
from longsurv.estimands.truncation import Composite, deaths_of, survivor_bounds

NAN = np.nan


@pytest.fixture(scope="module")
def composite() -> Composite:
    return Composite.of(truncated_cohort(), "m", CHANGE)


def test_everybody_is_dead_measured_or_left_out(composite: Composite) -> None:
    people, visits = truncated_tables()
    dead = (people["status"] == "dead") & (people["exit"] <= LAST)
    logs = visits.assign(y=np.log(visits["value"]), later=visits["day"] > 1)
    means = logs.groupby(["id", "later"])["y"].mean().unstack()
    change = (means[True] - means[False]).reindex(people["id"])
    table = composite.patients.set_index("patient").loc[people["id"]]
    assert (table["died"].notna().to_numpy() == dead.to_numpy()).all()
    assert table["died"].dropna().tolist() == people.loc[dead, "exit"].tolist()
    alive = ~dead.to_numpy()
    assert table["value"].to_numpy()[alive] == pytest.approx(change.to_numpy()[alive], nan_ok=True)
    absent = int(change[alive].isna().sum())
    assert absent > 0 and composite.n == len(people) - absent
    assert composite.deaths == int(dead.sum())
    note = next(note for note in composite.notes if note.startswith("left out"))
    counted = [int(word) for word in note.split() if word.isdigit()]
    assert sum(counted) == absent
    measured = int((dead.to_numpy() & change.notna().to_numpy()).sum())
    assert measured > 0 and any(n.startswith(f"{measured} of the dead") for n in composite.notes)


def test_later_deaths_count_where_asked(composite: Composite) -> None:
    longer = Composite.of(truncated_cohort(), "m", CHANGE, until=28.0)
    people, _ = truncated_tables()
    assert longer.deaths == int((people["status"] == "dead").sum()) > composite.deaths


def test_the_value_in_place_of_the_change(composite: Composite) -> None:
    value = Composite.of(truncated_cohort(), "m", CHANGE, outcome="value")
    assert value.n >= composite.n
    one = value.used.dropna(subset="value").iloc[0]
    _, visits = truncated_tables()
    own = visits[(visits["id"] == one["patient"]) & (visits["day"] > 1)]
    assert one["value"] == pytest.approx(np.log(own["value"]).mean())


def test_the_clock_and_the_unit_do_not_matter(composite: Composite) -> None:
    people, visits = truncated_tables()
    moved = (
        people.assign(exit=people["exit"] * 24 + 1000.0),
        visits.assign(day=visits["day"] * 24 + 1000.0, value=visits["value"] * 88.4),
    )
    from longsurv.cohort import Phase

    phases = (Phase("first", 1024, 1024), Phase("later", 1096, 1000 + 24 * LAST))
    cohort = truncated_cohort(moved, phases=phases, horizon=1672.0, entry=1000.0)
    again = Composite.of(cohort, "m", CHANGE)
    assert (again.ranks("lower") == composite.ranks("lower")).all()


def test_which_outcome_is_death() -> None:
    people, visits = truncated_tables()
    assert deaths_of(truncated_cohort()) == (1,)
    relapse = people.assign(status=people["status"].replace("dead", "relapse"))
    cohort = truncated_cohort((relapse, visits), event="relapse")
    with pytest.raises(LongsurvError, match=r"which outcome is death.*deaths="):
        Composite.of(cohort, "m", CHANGE)
    assert Composite.of(cohort, "m", CHANGE, deaths=("relapse",)).deaths > 0
    with pytest.raises(LongsurvError, match="deaths are among"):
        deaths_of(cohort, ("discharge",))
    some = people["status"].where(people["exit"] != 3.0, "relapse")
    competing = truncated_cohort((people.assign(status=some), visits), event="relapse",
                                 competing={"death": "dead"})  # fmt: skip
    assert deaths_of(competing) == (2,)
    assert deaths_of(competing, ("relapse", "death")) == (1, 2)


@pytest.mark.parametrize("until", [2.0, 40.0])
def test_deaths_are_counted_within_follow_up_and_not_before_the_phase(until: float) -> None:
    with pytest.raises(LongsurvError, match="until="):
        Composite.of(truncated_cohort(), "m", CHANGE, until=until)


def late_only(people: pd.DataFrame) -> pd.DataFrame:
    """Nobody dies before the last day."""
    return people.assign(exit=28.0)


def test_nobody_dead_is_said() -> None:
    people, visits = truncated_tables()
    cohort = truncated_cohort((late_only(people), visits))
    found = Composite.of(cohort, "m", CHANGE)
    assert found.deaths == 0 and "no death up to 7 is in the data" in found.notes


class TestSurvivors:
    value = np.array([1.0, 2.0, 3.0, 4.0, NAN, NAN, 5.0, 1.0, NAN, 3.0])
    alive = np.array([1, 1, 1, 1, 1, 0, 1, 1, 0, 1], dtype=bool)
    treated = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0], dtype=bool)

    def test_by_hand(self) -> None:
        low, high = survivor_bounds(
            self.value, self.alive, self.treated, np.ones((1, 10)), kept=True
        )
        # 5 of 6 and 3 of 4 live: of the four measured 0.9 are of the kind, 3.6 patients.
        share = (3 / 4) / (5 / 6) * 4
        assert low[0] == pytest.approx((1 + 2 + 3 + 4 * (share - 3)) / share - 3.0)
        assert high[0] == pytest.approx((4 + 3 + 2 + 1 * (share - 3)) / share - 3.0)

    def test_the_other_group_kept_is_the_mirror(self) -> None:
        w = np.ones((1, 10))
        low, high = survivor_bounds(self.value, self.alive, self.treated, w, kept=True)
        other = survivor_bounds(self.value, self.alive, ~self.treated, w, kept=False)
        assert (-other[1], -other[0]) == (pytest.approx(low), pytest.approx(high))

    def test_without_deaths_the_bounds_meet_at_the_difference(self) -> None:
        w = np.random.default_rng(0).gamma(1.0, size=(3, 10))
        alive = np.ones(10, dtype=bool)
        low, high = survivor_bounds(np.arange(10.0), alive, self.treated, w, kept=True)
        means = [(w[:, g] @ np.arange(10.0)[g]) / w[:, g].sum(axis=1)
                 for g in (self.treated, ~self.treated)]  # fmt: skip
        assert low == pytest.approx(means[0] - means[1]) and high == pytest.approx(low)

    def test_nobody_alive_is_refused(self) -> None:
        with pytest.raises(LongsurvError, match="no survivors"):
            survivor_bounds(self.value, self.alive & self.treated, self.treated, np.ones((1, 10)),
                            kept=True)  # fmt: skip

    def test_the_truth_lies_within_where_the_assumption_holds(self) -> None:
        """Everybody who would die in the group would die in the reference too."""
        rng = np.random.default_rng(3)
        n = 200_000
        frailty, treated = rng.normal(size=n), rng.uniform(size=n) < 0.5
        in_group, in_reference = frailty < 1.3, frailty < 0.8
        value = 0.5 * frailty - 0.3 * treated + rng.normal(size=n)
        alive = np.where(treated, in_group, in_reference)
        low, high = survivor_bounds(np.where(alive, value, NAN), alive, treated, np.ones((1, n)),
                                    kept=True)  # fmt: skip
        assert low[0] < -0.3 < high[0]
        naive = value[alive & treated].mean() - value[alive & ~treated].mean()
        assert naive > -0.28  # the living of the group are frailer


def test_the_table_does_not_depend_on_the_order_of_its_rows(composite: Composite) -> None:
    people, visits = truncated_tables()
    mixed = truncated_cohort(
        (people.sample(frac=1, random_state=1), visits.sample(frac=1, random_state=2))
    )
    again = Composite.of(mixed, "m", CHANGE)
    pd.testing.assert_frame_equal(
        again.patients.sort_values("patient", ignore_index=True),
        composite.patients.sort_values("patient", ignore_index=True),
    )
