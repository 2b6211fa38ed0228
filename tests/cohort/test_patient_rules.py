"""Outcomes as yes and no, arms that are kept, and cohorts in which nobody is censored."""

from __future__ import annotations

import pytest
from small_studies import PATIENTS, VISITS, Folder, reasons, values


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.mark.parametrize(
    ("no", "yes"),
    [("no", "yes"), ("No", "Yes"), ("false", "true"), ("FALSE", "TRUE"), ("n", "y"), ("0", "1"),
     ("nein", "ja"), ("0.0", "1.0")],
)  # fmt: skip
@pytest.mark.parametrize(
    "key", ["", "event = true\ncensored = false", 'event = "yes"\ncensored = "no"']
)
def test_an_outcome_is_yes_or_no(folder, no, yes, key):
    text = PATIENTS.replace(",0\n", f",{no}\n").replace(",1\n", f",{yes}\n")
    cohort = folder.write("patients.csv", text).keys("outcome", key).cohort()
    assert list(cohort.survival_data()["status"]) == [0, 1, 0, 1]


def test_other_words_are_no_outcome(folder):
    folder.write("patients.csv", PATIENTS.replace(",1\n", ",dead\n"))
    assert '"dead" (patient 2, row 3)' in folder.problems()


def test_arms_are_kept_and_the_others_counted(folder):
    folder.write("patients.csv", PATIENTS + "5,c,3,1\n6,c,,\n7,d,4,0\n")
    folder.write("visits.csv", VISITS + "5,1,crp,9\n")
    assert "arms = [...]" in folder.problems()
    cohort = folder.keys("patients", 'arms = ["b", "a"]').cohort()
    assert cohort.groups == ["a", "b"]
    assert cohort.n_by_group == {"a": 2, "b": 2}
    found = reasons(cohort)
    assert found["in an arm of the study"] == (3, "in another, c: 2, d: 1")
    assert found["patient in the cohort"] == (1, "of excluded patients: 1")
    assert len(values(cohort)) == 6


def test_arms_and_the_reference(folder):
    folder.keys("patients", 'arms = ["b", "c"]')
    assert 'reference "a" is not among the arms "b", "c"' in folder.problems()
    folder.change("study.toml", ('arms = ["b", "c"]', 'arms = ["a", "c"]'))
    assert 'the treatment level "c" has no patients' in folder.problems()
    folder.keys("patients", 'levels = ["a", "b"]')
    assert "not both" in folder.problems()


def test_everybody_dies(folder):
    cohort = folder.write("patients.csv", PATIENTS.replace(",0\n", ",1\n")).cohort()
    assert list(cohort.survival_data()["status"]) == [1, 1, 1, 1]


@pytest.mark.parametrize("key", ["", "censored = []\n"])
def test_everybody_dies_or_leaves(folder, key):
    text = PATIENTS.replace(",0\n", ",home\n").replace(",1\n", ",dead\n")
    key += 'event = "dead"\n[outcome.competing]\ndischarge = "home"\n'
    cohort = (
        folder.write("patients.csv", text)
        .keys("outcome", "")
        .change("study.toml", ('status = "died"', f'status = "died"\n{key}'))
        .cohort()
    )
    assert list(cohort.survival_data()["status"]) == [2, 1, 2, 1]
    assert "0 censored" in cohort.describe()
