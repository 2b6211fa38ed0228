"""Times of each patient that are not the end of follow-up, and patients who come under it late."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from longsurv import read_cohort
from longsurv.draft import Draft, Guess, draft_files

FOLLOWED = (
    "time", "futime", "rfstime", "dtime", "survtime", "surv.time", "Follow-up (days)", "days",
    "days_in_study", "days to death", "time_to_event", "timeWeeks", "survival_months", "OS",
    "Days to last contact", "months until death or censoring", "Tage bis Tod",
    "Beobachtungszeit_Tage", "time to recurrence", "days_followed", "observed_days",
    "days from surgery to death", "days from admission until discharge or death",
)  # fmt: skip
SOMETHING_ELSE = (
    "diag.time", "waittime", "yearsSmoking", "years of education", "days since onset",
    "ventilation days", "operation_time", "ischemia time", "time to antibiotics", "cooktime",
    "symptom days", "ICU days", "procedure time (minutes)", "months of chemotherapy",
)  # fmt: skip


def people(more: dict[str, object], n: int = 40, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": [f"P{k:03d}" for k in range(n)],
            "arm": np.where(np.arange(n) % 2, "drug", "placebo"),
            **more,
            "recurrence": np.arange(n) % 3 // 2,
        }
        | ({"died": rng.integers(0, 2, n)} if "recurrence" not in str(more) else {})
    )


def drafted(folder: Path, frame: pd.DataFrame) -> Draft:
    frame.to_csv(folder / "t.csv", index=False)
    return draft_files([folder / "t.csv"])


def guess(draft: Draft, about: str) -> Guess:
    return next(g for g in draft.guesses if g.about == about)


def days(n: int = 40) -> np.ndarray:
    return np.random.default_rng(5).integers(2, 400, n)


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_time_of_follow_up_is_taken(name: str, tmp_path: Path) -> None:
    time = guess(drafted(tmp_path, people({name: days()})), "time")
    assert time.value == name and time.sureness != "doubtful", time.sentence()


@pytest.mark.parametrize("name", SOMETHING_ELSE)
def test_another_time_is_left_to_choose(name: str, tmp_path: Path) -> None:
    draft = drafted(tmp_path, people({name: days()}))
    assert guess(draft, "time").sureness == "doubtful" and not draft.complete


@pytest.mark.parametrize("name", SOMETHING_ELSE)
@pytest.mark.parametrize("follow", ["futime", "time", "days to death"])
def test_another_time_never_goes_before_that_of_follow_up(
    name: str, follow: str, tmp_path: Path
) -> None:
    time = guess(drafted(tmp_path, people({name: days(), follow: days()})), "time")
    assert time.value == follow


@pytest.mark.parametrize("name", ["entry", "tstart", "delayed_entry"])
def test_patients_under_observation_from_later_on_are_not_at_risk_before(
    name: str, tmp_path: Path
) -> None:
    ends = days() + 30
    begins = np.arange(40) % 20
    draft = drafted(tmp_path, people({name: begins, "futime": ends}))
    assert guess(draft, "entry").value == name
    cohort = read_cohort(draft.write(tmp_path / "study.toml")[0])
    np.testing.assert_array_equal(cohort.survival_data()["entry"], begins)


def test_an_entry_that_is_only_alluded_to_is_left_to_choose(tmp_path: Path) -> None:
    begins = np.arange(40) % 20
    frame = people({"left truncation age group": begins, "entry_score": begins, "futime": days()})
    draft = drafted(tmp_path, frame.assign(futime=frame["futime"] + 30))
    assert guess(draft, "entry").sureness == "doubtful"
    assert '\n# entry = "' in draft.to_toml()


def test_no_entry_is_made_of_a_column_that_begins_after_the_end(tmp_path: Path) -> None:
    draft = drafted(tmp_path, people({"entry": days() + 500, "futime": days()}))
    assert all(g.about != "entry" for g in draft.guesses)


def episodes(late: bool, extra: dict[str, list[object]]) -> pd.DataFrame:
    rows = []
    for k in range(20):
        begins = 5 * late
        for stop, event in ((20 + k, k % 2), (60 + k, 0)):
            more = {name: values[event] for name, values in extra.items()}
            rows.append({"id": k, "trt": "ab"[k % 2], "tstart": begins, "tstop": stop,
                         "status": event, **more})  # fmt: skip
            begins = stop
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("late", "extra", "open_"),
    [
        (False, {}, []),
        (False, {"dose": [1, 2]}, []),
        (True, {}, ["time"]),
        (False, {"etype": [1, 2]}, ["status"]),
        (False, {"from": [1, 2], "to": [2, 3]}, ["status"]),
        (True, {"transition": ["1-2", "1-3"]}, ["time", "status"]),
    ],
)
def test_episodes_say_what_nobody_can_know(
    late: bool, extra: dict[str, list[object]], open_: list[str], tmp_path: Path
) -> None:
    draft = drafted(tmp_path, episodes(late, extra))
    found = [g.about for g in draft.guesses if g.about in ("time", "status")
             and g.sureness == "doubtful"]  # fmt: skip
    assert found == open_
