"""A message about a column says on which line of the study file the column is named."""

from __future__ import annotations

import pytest
from small_studies import PATIENTS, STUDY, VISITS, Folder

WIDE = STUDY.replace('time = "day"', 'time = "day"\nwide = true')


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def line(text: str, start: str) -> int:
    """The number of the first line that begins so."""
    return next(k for k, row in enumerate(text.splitlines(), 1) if row.startswith(start))


@pytest.mark.parametrize(
    "name, old, new, key",
    [
        ("patients.csv", "id,arm", "id,group", "treatment ="),
        ("patients.csv", "\n3,a,28", "\n3,a,soon", "exit ="),
        ("patients.csv", "\n3,a,28,0", "\n3,a,28,maybe", "status ="),
        ("patients.csv", "\n3,", "\n1,", "patient ="),
        ("visits.csv", "\n3,1,", "\n3,late,", 'time = "day"'),
        ("visits.csv", "\n3,1,", "\n33,1,", "patient ="),
        ("visits.csv", "id,day", "who,day", "patient ="),
    ],
)
def test_the_line_that_names_a_column(folder, name, old, new, key):
    text = {"patients.csv": PATIENTS, "visits.csv": VISITS}[name]
    assert old in text
    folder.write(name, text.replace(old, new))
    assert f"(study.toml, line {line(STUDY, key)})" in folder.problems()


def test_a_column_of_a_marker(folder):
    folder.write("visits.csv", "id,day,crp\n1,0,12\n2,0,much\n")
    folder.write("study.toml", WIDE)
    assert f"(study.toml, line {line(WIDE, 'unit =')})" in folder.problems()


def test_one_table_for_both(folder):
    one = STUDY.replace('file = "visits.csv"\n', "").replace(
        'time = "day"', 'time = "day"\nwide = true'
    )
    folder.write("study.toml", one)
    folder.write("patients.csv", "id,arm,days,died,day,crp\n1,a,9,0,0,12\n2,b,9,1,x,3\n")
    assert f"(study.toml, line {line(one, 'time = "day"')})" in folder.problems()
    folder.write("patients.csv", "id,arm,days,died,day,crp\n1,a,9,0,0,12\n2,b,9,maybe,1,3\n")
    assert f"(study.toml, line {line(one, 'status =')})" in folder.problems()


def test_a_key_behind_a_sign_of_a_comment_names_nothing(folder):
    """Where a column is used without being named, no line is made up."""
    folder.write("visits.csv", VISITS.replace(",value", ",result"))
    folder.write("study.toml", STUDY.replace('time = "day"', 'time = "day"\n# value = "result"'))
    assert "study.toml, line" not in folder.problems()
