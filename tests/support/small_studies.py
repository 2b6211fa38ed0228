"""Small studies written to a folder, for the tests of how files are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from longsurv.cohort import Cohort, read_study
from longsurv.errors import DataError

PATIENTS = """id,arm,days,died
1,a,28,0
2,b,9,1
3,a,28,0
4,b,12,1
"""
VISITS = """id,day,marker,value
1,0,crp,12
1,4,crp,8
2,0,crp,30
2,5,crp,40
3,1,crp,5
4,2,crp,7
"""
STUDY = """
[patients]
file = "patients.csv"
patient = "id"
treatment = "arm"
reference = "a"

[outcome]
exit = "days"
status = "died"

[measurements]
file = "visits.csv"
time = "day"

[markers.crp]
unit = "mg/L"
"""


class Folder:
    """A folder with a study that is right; `change` spoils or adds to a file of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("patients.csv", PATIENTS)
        self.write("visits.csv", VISITS)
        self.write("study.toml", STUDY)

    def write(self, name: str, text: str | bytes) -> Folder:
        raw = text if isinstance(text, bytes) else text.encode()
        (self.path / name).write_bytes(raw)
        return self

    def change(self, name: str, *pairs: tuple[str, str]) -> Folder:
        text = (self.path / name).read_text(encoding="utf-8")
        for old, new in pairs:
            assert old in text, old
            text = text.replace(old, new, 1)
        return self.write(name, text)

    def keys(self, table: str, lines: str) -> Folder:
        """Add lines to a table of the study file."""
        return self.change("study.toml", (f"[{table}]\n", f"[{table}]\n{lines}\n"))

    def cohort(self) -> Cohort:
        return read_study(self.path / "study.toml").cohort

    def problems(self) -> str:
        with pytest.raises(DataError) as caught:
            self.cohort()
        return "\n".join(caught.value.problems)


def reasons(cohort: Cohort) -> dict[str, tuple[int, str]]:
    """What was removed and why, by step."""
    rows = cohort.flow.itertuples()
    return {row.step: (int(row.removed), row.reason) for row in rows}


def values(cohort: Cohort) -> list[tuple[object, float, float]]:
    """Patient, time and value of each measurement."""
    found = cohort.measurements
    schema = cohort.schema
    return list(zip(found[schema.patient], found[schema.time], found["value"], strict=True))
