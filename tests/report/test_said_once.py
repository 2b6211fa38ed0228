"""What finds sentences in two places, columns of one value and tables that stand twice.

The demos are held to it in `test_first_screen.py`, a study with everything awkward in it in
`test_checks.py`, and studies drawn at random in `test_studies_at_random.py`.
"""

from __future__ import annotations

from support.said_once import said_twice

from longsurv.tables.display import Column, DisplayTable


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
