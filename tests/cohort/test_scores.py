"""The rows of the published score tables, one test a row, with their boundaries."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.cohort import scores
from longsurv.errors import DataError

# A row of each score that earns no point, so that one component can be moved at a time.
NO_JAAM = {"sirs": 0, "platelets": 250, "pt_ratio": 1.0, "fdp": 2}
NO_ISTH = {"platelets": 250, "fdp": 2, "pt_prolongation": 0, "fibrinogen": 3}
NO_SIC = {"pt_inr": 1.0, "platelets": 250, "sofa4": 0}


def one(score, row: dict[str, float], **changed: float) -> pd.Series:
    return score(pd.DataFrame([row | changed])).iloc[0]


@pytest.mark.parametrize(
    ("component", "value", "points"),
    [
        ("sirs", 2, 0), ("sirs", 3, 1), ("sirs", 4, 1),
        ("platelets", 120, 0), ("platelets", 119.9, 1), ("platelets", 80, 1),
        ("platelets", 79.9, 3), ("pt_ratio", 1.19, 0), ("pt_ratio", 1.2, 1), ("pt_ratio", 2.5, 1),
        ("fdp", 9.9, 0), ("fdp", 10, 1), ("fdp", 24.9, 1), ("fdp", 25, 3), ("fdp", 400, 3),
    ],
)  # fmt: skip
def test_jaam_rows(component, value, points):
    assert one(scores.jaam_dic, NO_JAAM, **{component: value})["score"] == points
    if component != "sirs":
        row = {key: NO_JAAM[key] for key in ("platelets", "pt_ratio", "fdp")}
        assert one(scores.jaam2, row, **{component: value})["score"] == points


@pytest.mark.parametrize(
    ("fall", "points"), [(-20, 0), (29.9, 0), (30, 1), (50, 1), (50.1, 3), (100, 3)]
)
def test_jaam_platelet_fall_within_24_hours(fall, points):
    table = pd.DataFrame([NO_JAAM | {"fall": fall}])
    assert scores.jaam_dic(table, platelet_fall="fall")["score"].item() == points
    assert scores.jaam2(table, platelet_fall="fall")["score"].item() == points


def test_jaam_takes_the_worse_of_count_and_fall():
    table = pd.DataFrame([NO_JAAM] * 3).assign(platelets=[70, 100, 100], fall=[0, 60, 10])
    found = scores.jaam_dic(table, platelet_fall="fall")
    assert found["platelet_points"].tolist() == [3, 3, 1]


def test_the_misprint_of_two_points_is_not_followed():
    """Open papers print 2 points for platelets < 80 and for FDP >= 25; the JAAM gives 3 each."""
    assert one(scores.jaam_dic, NO_JAAM, platelets=60)["platelet_points"] == 3
    assert one(scores.jaam_dic, NO_JAAM, fdp=60)["fibrin_points"] == 3
    worst = one(scores.jaam_dic, NO_JAAM, sirs=4, platelets=20, pt_ratio=2, fdp=80)
    assert worst["score"] == 8  # 6 with the misprint


@pytest.mark.parametrize(
    ("changed", "score", "positive"),
    [
        ({"platelets": 79}, 3, False),
        ({"platelets": 79, "sirs": 3}, 4, True),
        ({"fdp": 25, "pt_ratio": 1.2}, 4, True),
        ({"fdp": 10, "pt_ratio": 1.2, "platelets": 80}, 3, False),
    ],
)
def test_jaam_verdict_from_four(changed, score, positive):
    found = one(scores.jaam_dic, NO_JAAM, **changed)
    assert (found["score"], found["positive"]) == (score, positive)


def test_jaam2_verdict_from_three():
    table = pd.DataFrame({"platelets": [100, 70], "pt_ratio": [1.3, 1.0], "fdp": [5, 5]})
    assert scores.jaam2(table)["score"].tolist() == [2, 3]
    assert scores.jaam2(table)["positive"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("component", "value", "points"),
    [
        ("platelets", 100, 0), ("platelets", 99.9, 1), ("platelets", 50, 1), ("platelets", 49.9, 2),
        ("fdp", 9.9, 0), ("fdp", 10, 2), ("fdp", 25, 2), ("fdp", 25.1, 3),
        ("pt_prolongation", -1, 0), ("pt_prolongation", 2.9, 0), ("pt_prolongation", 3, 1),
        ("pt_prolongation", 5.9, 1), ("pt_prolongation", 6, 2),
        ("fibrinogen", 1, 0), ("fibrinogen", 0.99, 1),
    ],
)  # fmt: skip
def test_isth_rows(component, value, points):
    assert one(scores.isth_overt_dic, NO_ISTH, **{component: value})["score"] == points


def test_isth_verdict_from_five():
    four = one(scores.isth_overt_dic, NO_ISTH, platelets=40, fdp=20)
    five = one(scores.isth_overt_dic, NO_ISTH, platelets=40, fdp=30)
    assert (four["score"], four["positive"]) == (4, False)
    assert (five["score"], five["positive"]) == (5, True)


@pytest.mark.parametrize(
    ("d_dimer", "points"), [(0.9, 0), (1.0, 2), (2.0, 2), (2.1, 3)]
)  # upper limit 0.5: moderate from 1.0, strong above 2.0
def test_isth_d_dimer_against_twice_and_four_times_the_users_limit(d_dimer, points):
    table = pd.DataFrame([NO_ISTH | {"d_dimer": d_dimer}])
    found = scores.isth_overt_dic(table, fdp=None, d_dimer="d_dimer", d_dimer_upper_limit=0.5)
    assert found["fibrin_points"].item() == points


@pytest.mark.parametrize(
    ("component", "value", "points"),
    [
        ("pt_inr", 1.2, 0), ("pt_inr", 1.21, 1), ("pt_inr", 1.4, 1), ("pt_inr", 1.41, 2),
        ("platelets", 150, 0), ("platelets", 149.9, 1), ("platelets", 100, 1),
        ("platelets", 99.9, 2), ("sofa4", 0, 0), ("sofa4", 1, 1), ("sofa4", 2, 2), ("sofa4", 16, 2),
    ],
)  # fmt: skip
def test_sic_rows(component, value, points):
    assert one(scores.sic, NO_SIC, **{component: value})["score"] == points


@pytest.mark.parametrize(
    ("inr", "platelets", "sofa4", "score", "positive"),
    [
        (1.3, 120, 5, 4, False),  # four points, but only two of them from coagulation
        (1.5, 120, 1, 4, True),
        (1.5, 120, 0, 3, False),
        (1.5, 90, 0, 4, True),
        (1.5, 90, 2, 6, True),
    ],
)
def test_sic_needs_more_than_two_points_from_coagulation(inr, platelets, sofa4, score, positive):
    found = one(scores.sic, NO_SIC, pt_inr=inr, platelets=platelets, sofa4=sofa4)
    assert (found["score"], found["positive"]) == (score, positive)


@pytest.mark.parametrize(
    ("score", "row"),
    [(scores.jaam_dic, NO_JAAM), (scores.isth_overt_dic, NO_ISTH), (scores.sic, NO_SIC)],
)
def test_a_missing_component_is_never_guessed(score, row):
    for component in row:
        found = one(score, row, **{component: np.nan})
        assert np.isnan(found["score"])
        assert found["positive"] is pd.NA
        assert found["reason"] == f"missing: {component}"


def test_a_score_the_other_components_would_decide_is_refused_too():
    found = one(scores.jaam_dic, NO_JAAM, platelets=20, fdp=100, pt_ratio=2, sirs=np.nan)
    assert np.isnan(found["score"])
    assert found["positive"] is pd.NA
    assert found["platelet_points"] == 3


def test_the_reason_names_every_missing_component_and_complete_rows_have_none():
    table = pd.DataFrame([NO_JAAM, NO_JAAM | {"sirs": None, "fdp": None}])
    assert scores.jaam_dic(table)["reason"].tolist() == ["", "missing: sirs, fdp"]


def test_a_missing_fall_matters_unless_the_count_has_all_points():
    table = pd.DataFrame([NO_JAAM] * 3)
    table = table.assign(platelets=[79, 100, np.nan], fall=[np.nan, np.nan, 60])
    found = scores.jaam_dic(table, platelet_fall="fall")
    assert found["score"].tolist()[0] == 3
    assert found["score"].isna().tolist() == [False, True, True]
    assert found["reason"].tolist() == ["", "missing: platelet_fall", "missing: platelets"]


def test_d_dimer_stands_in_only_with_the_users_cutoffs():
    table = pd.DataFrame([NO_JAAM] * 4).assign(d_dimer=[4.9, 5, 14.9, 15])
    found = scores.jaam_dic(table, fdp=None, d_dimer="d_dimer", d_dimer_cutoffs=(5, 15))
    assert found["fibrin_points"].tolist() == [0, 1, 1, 3]
    with pytest.raises(DataError, match="give d_dimer_cutoffs for your assay"):
        scores.jaam_dic(table, fdp=None, d_dimer="d_dimer")
    with pytest.raises(DataError, match="give d_dimer_upper_limit for your assay"):
        scores.isth_overt_dic(table, fdp=None, d_dimer="d_dimer")
    with pytest.raises(DataError, match="FDP is required"):
        scores.jaam2(table, fdp=None)
    with pytest.raises(DataError, match="give fdp=None with it"):
        scores.jaam_dic(table, d_dimer="d_dimer", d_dimer_cutoffs=(5, 15))
    with pytest.raises(DataError, match="positive and rising"):
        scores.jaam_dic(table, fdp=None, d_dimer="d_dimer", d_dimer_cutoffs=(15, 5))
    with pytest.raises(DataError, match="without d_dimer"):
        scores.jaam_dic(table, d_dimer_cutoffs=(5, 15))


def test_impossible_values_are_all_reported_with_their_rows():
    table = pd.DataFrame(
        {
            "sirs": [5, 2.5, 3],
            "platelets": [182_000, 200, -1],
            "pt_ratio": ["1.2", "<1", 1.0],
            "fdp": [np.inf, 3, 3],
        },
        index=["a", "b", "c"],
    )
    with pytest.raises(DataError) as caught:
        scores.jaam_dic(table)
    starts = [problem.split(" is not")[0] for problem in caught.value.problems]
    assert starts == [
        "sirs, row a: 5.0", "sirs, row b: 2.5", "platelets, row a: 182000", "platelets, row c: -1",
        "pt_ratio, row b: '<1'", "fdp, row a: inf",
    ]  # fmt: skip


def test_a_column_that_is_not_there_and_rows_that_do_not_match():
    with pytest.raises(DataError, match=r"no column 'platelets'.*name it"):
        scores.sic(pd.DataFrame({"plt": [1], "pt_inr": [1], "sofa4": [1]}))
    with pytest.raises(DataError, match="rows are not the same"):
        scores.sic(pt_inr=[1.0, 1.1], platelets=[100], sofa4=[1, 1])
    with pytest.raises(DataError, match="there is no table"):
        scores.sic(pt_inr=[1.0])


def test_series_keep_their_index_and_nullable_columns_work():
    index = pd.Index(["P07", "P02"], name="patient")
    found = scores.sic(
        pt_inr=pd.Series([1.5, None], index, dtype="Float64"),
        platelets=pd.Series([90, 90], index, dtype="Int64"),
        sofa4=pd.Series([2, 2], index),
    )
    assert found.index.equals(index)
    assert found["score"].tolist()[0] == 6
    assert found["positive"].dtype == "boolean"
    assert found["positive"].isna().tolist() == [False, True]


def test_an_empty_table_gives_an_empty_result():
    found = scores.jaam_dic(pd.DataFrame({key: pd.Series(dtype=float) for key in NO_JAAM}))
    assert len(found) == 0
    assert list(found.columns)[-3:] == ["score", "positive", "reason"]


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 4), st.floats(0, 600), st.floats(0.8, 5), st.floats(0, 300)
        ),
        min_size=1,
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_rows_are_scored_one_by_one_whatever_their_order(rows, random):
    table = pd.DataFrame(rows, columns=list(NO_JAAM))
    order = list(range(len(rows)))
    random.shuffle(order)
    found = scores.jaam_dic(table)
    shuffled = scores.jaam_dic(table.iloc[order])
    pd.testing.assert_frame_equal(shuffled, found.iloc[order])
    assert found["score"].between(0, 8).all()
    assert found["score"].tolist() == [one(scores.jaam_dic, NO_JAAM, **dict(row))["score"]
                                       for _, row in table.iterrows()]  # fmt: skip
    worse = scores.jaam_dic(table.assign(platelets=table["platelets"] / 2, fdp=table["fdp"] * 2))
    assert (worse["score"] >= found["score"]).all()
