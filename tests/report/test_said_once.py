"""A report says a thing once: no sentence in two places, no column of one value, no table twice."""

from __future__ import annotations

import pytest
from support.demos import demo
from support.said_once import said_twice

from longsurv.report.content import content
from longsurv.report.sections.answer import short_answer
from longsurv.study import StudyResults
from longsurv.tables.display import Column, DisplayTable


@pytest.mark.parametrize("name", ["ivig_sepsis", "pbc"])
def test_the_demos_say_a_thing_once(name: str) -> None:
    assert said_twice(content(demo(name)), [short_answer(demo(name)).paragraph]) == []


def test_so_does_a_study_with_everything_awkward_in_it(results: StudyResults) -> None:
    assert said_twice(content(results), [short_answer(results).paragraph]) == []


def test_what_is_said_twice_is_found() -> None:
    columns = (Column("Marker", "a"), Column("Patients", "b"))
    rows = (("x", "41"), ("y", "41"), ("z", "41"))
    long = "The interval of the difference includes nothing that a reader has not read before."
    table = DisplayTable("Of patients", columns, rows, long)
    again = DisplayTable("Of patients, again", columns, rows)
    found = said_twice([f"First. {long}", table, again])
    assert found == [
        "Of patients: every row has '41'", "Of patients, again: every row has '41'",
        "Of patients, again has the rows of Of patients", f"2 times: {long}",
    ]  # fmt: skip
