"""Missing values of a study's markers: which rows lack one, and what moving them does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from longsurv.cohort import Cohort, Marker, Phase, Schema
from longsurv.cohort.aims import Aims
from longsurv.cohort.settings import ModelSettings, SamplingSettings
from longsurv.report.sections.imputed import build
from longsurv.study import STAGES, Study, StudyResults
from longsurv.study.imputed_stage import AT_RANDOM, IMPUTED, STEPS, with_holes
from longsurv.tables.display import EMPTY

N = 40
ONLY = tuple(stage for stage in STAGES if stage.key in ("markers", IMPUTED, "mortality"))


def cohort(
    *,
    randomised: bool = False,
    site: str | None = None,
    limit: float | None = None,
    early: bool = True,
) -> Cohort:
    """Forty patients with two visits; of every fifth the last is missing, of two of them since they
    had died, unless that was late. A second marker is complete."""
    rng = np.random.default_rng(2)
    treated = np.arange(N) % 2 == 1
    late, dead = np.arange(N) % 5 == 4, np.isin(np.arange(N), [4, 9])
    patients = pd.DataFrame({
        "id": [f"P{k:02d}" for k in range(N)], "arm": np.where(treated, "new", "old"),
        "ward": np.array(["a", "b", "c", "d"])[np.arange(N) // 2 % 4],
        "days": np.where(dead, 3.0 if early else 20.0, 28.0),
        "status": np.where(dead, "dead", "alive"),
    })  # fmt: skip
    level, rows = rng.normal(3.0, 0.5, N), []
    for k in range(N):
        for visit, day in enumerate((1.0, 4.0)):
            noise = rng.normal(0.0, 0.3, 2)
            if not (late[k] and visit):
                crp = np.exp(level[k] - 0.4 * visit * treated[k] + noise[0])
                rows.append((f"P{k:02d}", day, "crp", crp))
            if not (early and dead[k] and visit):
                rows.append((f"P{k:02d}", day, "plt", 150.0 + 20.0 * noise[1]))
    values = pd.DataFrame(rows, columns=["id", "day", "marker", "value"])
    text = values["value"].map("{:.6f}".format)
    if limit is not None:
        low = (values["marker"] == "crp") & (values["value"] < limit)
        text = text.where(~low, f"<{limit}")
    schema = Schema(
        patient="id", treatment="arm", reference="old", exit="days", status="status",
        event="dead", censored="alive", horizon=28.0, time="day", site=site,
        phases=(Phase("before", 1, 1), Phase("after", 3, 5)),
    )  # fmt: skip
    markers = [
        Marker("crp", "CRP", "mg/L", transform="log", direction="lower"),
        Marker("plt", "Platelets", "10^9/L", direction="higher"),
    ]
    return Cohort(patients, values.assign(value=text), schema, markers, randomised=randomised)


def run(of: Cohort, aims: Aims | None = None) -> StudyResults:
    study = Study(
        of,
        ModelSettings(trajectory="phase * arm + (1 | id)", mortality="arm"),
        SamplingSettings(draws=100, chains=2, seed=3),
    )
    study = study if aims is None else replace(study, aims=aims)
    return study.run(progress=False, stages=ONLY)


@pytest.fixture(scope="module")
def ran() -> StudyResults:
    return run(cohort(early=False))


def test_rows_without_a_value_are_of_the_living() -> None:
    study = Study(cohort(), ModelSettings(trajectory="phase * arm + (1 | id)", mortality="arm"))
    holes = with_holes(study, "crp")
    lacking = holes[holes["y"].isna()]
    assert list(lacking["id"]) == [f"P{k:02d}" for k in range(N) if k % 5 == 4 and k not in (4, 9)]
    assert set(lacking["phase"]) == {"after"} and (lacking["day"] == 4.0).all()
    assert not with_holes(study, "plt")["y"].isna().any()  # those who died lack nothing


def test_moving_them_moves_the_difference_by_their_share(ran: StudyResults) -> None:
    """With every value there the difference in change is that of the means of the groups."""
    table = ran.parts[IMPUTED].table
    assert set(table["marker"]) == {"crp"} and list(table["steps"]) == list(STEPS)
    holes = with_holes(ran.study, "crp")
    later = holes[(holes["phase"] == "after") & (holes["arm"] == "new")]
    share = later["y"].isna().mean()
    slope = np.diff(np.log(table["estimate"])) / np.diff(np.log(table["moved"]))
    np.testing.assert_allclose(slope, share, rtol=1e-6)


def test_missing_at_random_is_the_mixed_model(ran: StudyResults) -> None:
    table, changes = ran.parts[IMPUTED].table, ran.changes
    random = table[table["steps"] == 0.0].iloc[0]
    main = changes[(changes["marker"] == "crp") & (changes["engine"] == "ml")].iloc[0]
    width = np.log(main["conf_high"] / main["conf_low"])
    assert abs(np.log(random["estimate"] / main["estimate"])) < 0.05 * width
    assert np.log(random["conf_high"] / random["conf_low"]) == pytest.approx(width, rel=0.15)


def test_the_text_says_what_the_table_has(ran: StudyResults) -> None:
    built, table = build(ran), ran.parts[IMPUTED].table
    first, second = built["text"]
    assert first == (
        "CRP lacks 8 of 80 values, the most of any marker: 4 at after in old and 4 at after in new."
    )
    by = table.set_index("steps")
    for step in (-2.0, 0.0, 2.0):
        assert f"{by.loc[step, 'estimate']:.3f}"[:4] in second
    clear = (by["conf_high"] < 1.0) | (by["conf_low"] > 1.0)
    assert ("at every shift" in second) == (clear.nunique() == 1) == by["tip"].isna().all()
    assert len(built["table"].rows) == len(STEPS)
    assert built["picture"].draw(600.0).get_label() == " ".join(built["text"])
    assert not ran.missing


def test_a_randomised_study_of_several_sites_has_the_reference_too() -> None:
    ran = run(cohort(randomised=True, site="ward"), Aims(primary="crp"))
    rows = ran.parts[IMPUTED].table.set_index("assumption")
    assert (rows["reason"] == "").all()
    methods = ["jump_to_reference", "copy_increments", "copy_reference"]
    assert list(dict.fromkeys(rows.index)) == [AT_RANDOM, *methods]
    moved = rows.loc[AT_RANDOM].set_index("steps")
    assert all(moved.loc[0.0, "estimate"] < rows.loc[method, "estimate"] < 1 for method in methods)
    clear, tip = (moved["conf_high"] < 1.0) | (moved["conf_low"] > 1.0), moved["tip"].iloc[0]
    if np.isfinite(tip):
        assert clear[clear.index < tip].iloc[-1] != clear[clear.index > tip].iloc[0]
    else:
        assert clear.nunique() == 1
    text = build(ran)["text"]
    assert text[0] == "CRP lacks 6 of 78 values: 3 at after in old and 3 at after in new."
    assert [one.split(":")[0] for one in text[2:]] == [
        "By jump to reference", "By copy increments", "By copy reference",
    ]  # fmt: skip


@pytest.mark.parametrize("site", [None, "ward"])
def test_values_beyond_a_limit_are_drawn_within_it(site: str | None) -> None:
    """The answer at random is that of the censored model, which the others move away from."""
    of = cohort(limit=11.0, early=False, site=site)
    ran = run(of)
    table = ran.parts[IMPUTED].table
    limited = int((of.marker_data("crp")["censored"] == "left").sum())
    assert limited > 5
    assert (table["limited"] == limited).all() and (table["reason"] == "").all()
    assert not ran.missing
    text = build(ran)["text"]
    assert text[1] == (
        f"With them {limited} values known by a limit only are drawn within it, from the same"
        " model."
    )
    random = table[table["steps"] == 0.0].iloc[0]
    changes = ran.changes
    main = changes[(changes["marker"] == "crp") & (changes["engine"] == "ml")].iloc[0]
    width = np.log(main["conf_high"] / main["conf_low"])
    assert abs(np.log(random["estimate"] / main["estimate"])) < 0.15 * width
    assert np.log(random["conf_high"] / random["conf_low"]) == pytest.approx(width, rel=0.25)


def test_values_taken_at_their_limit_are_not_drawn() -> None:
    of = cohort(limit=11.0, early=False)
    models = ModelSettings("phase * arm + (1 | id)", "arm", beyond_limit="at the limit")
    study = Study(of, models, SamplingSettings(draws=100, chains=2, seed=3))
    ran = study.run(progress=False, stages=ONLY)
    table = ran.parts[IMPUTED].table
    assert (table["limited"] == 0).all() and (table["reason"] == "").all()
    assert not any("known by a limit" in one for one in build(ran)["text"])


def test_nothing_where_nothing_is_missing(ran: StudyResults) -> None:
    complete = ran.cohort.measurements.query("marker == 'plt'")
    only = Cohort(
        ran.cohort.patients, complete, ran.cohort.schema, [Marker("plt", "Platelets", "10^9/L")]
    )
    again = run(only)
    assert again.parts[IMPUTED].table.empty and again.parts[IMPUTED].reason
    assert build(again)["text"] == [] and build(again)["table"] is EMPTY
