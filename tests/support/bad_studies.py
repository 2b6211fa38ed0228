"""A small good study as text, and ways to spoil it."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path

STUDY = """\
[study]
title = "A study"
randomised = false
[patients]
file = "patients.csv"
patient = "patient"
treatment = "treatment"
reference = "control"
covariates = ["age", "sex"]
[outcome]
exit = "days"
status = "status"
event = "dead"
censored = "alive"
entry = 0
horizon = 28
time_unit = "days"
[outcome.competing]
"discharge alive" = "discharged"
[measurements]
file = "measurements.csv"
patient = "patient"
time = "day"
marker = "marker"
value = "value"
[phases]
baseline = [1, 1]
after = [4, 7]
[markers.crp]
label = "CRP"
transform = "log"
lower_limit = 0.1
direction = "lower"
[markers.plt]
label = "Platelets"
direction = "higher"
[models]
trajectory = "phase * treatment + (1 | patient)"
mortality = "treatment + age"
joint = ["crp"]
joint_trajectory = "day * treatment + (1 | patient)"
[sampling]
draws = 100
chains = 2
seed = 1
"""


@dataclass(frozen=True)
class Files:
    """The three texts of a study."""

    study: str
    patients: str
    measurements: str

    def write(self, folder: Path) -> Path:
        """Write them, and return the study file's path."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (
            ("study.toml", self.study),
            ("patients.csv", self.patients),
            ("measurements.csv", self.measurements),
        ):
            (folder / name).write_bytes(text.encode("utf-8", "replace"))
        return folder / "study.toml"

    def toml(self, old: str, new: str) -> Files:
        """The study file with one piece of it, which must be there, replaced."""
        assert old in self.study, old
        return replace(self, study=self.study.replace(old, new, 1))


def good() -> Files:
    """Sixteen patients, three visits, two markers."""
    patients = ["patient,treatment,days,status,age,sex"]
    visits = ["patient,day,marker,value"]
    for i in range(1, 17):
        status = ("alive", "dead", "discharged")[(i * 7) % 3]
        arm, sex = "control" if i % 2 else "ivig", "m" if i % 3 else "f"
        patients.append(f"{i},{arm},{8 + (i * 5) % 20},{status},{50 + i},{sex}")
        for day in (1, 4, 7):
            visits += [f"{i},{day},crp,{10 + i - day}", f"{i},{day},plt,{150 + 3 * i + day}"]
    return Files(STUDY, "\n".join(patients) + "\n", "\n".join(visits) + "\n")


CELLS = (
    "", "NA", "-1", "0", "1e308", "1e-320", "-0", "nan", "inf", "-inf", "<0.02", "<500", ">1000",
    "<", "x", "75,5", "=cmd()", "9" * 400, "13.8E1854893908283", "é", "\x00", "\ufeff", '"', "'",
    "1_000", "0x10", "TRUE", "2020-01-01", "1 2", "12 mg/L", "١٢", "½", "\uff11\uff12", "[1]", "{}",
    "None",
)  # fmt: skip
SETTINGS = (
    '""', '"x"', "0", "-1", "1e308", "[]", '["a"]', "{}", "true", "[1, 2]", '"age"', '"patient"',
    '"treatment"', "nan", "inf", '"1"', '"0"', '"status"', "[[1]]", "1979-05-27", '"a b"', '"y"',
    '"phase"', '"log"', '"' + "(" * 200 + '"', "9" * 400, "9" * 5000, "[" * 3000,
)  # fmt: skip
HEADERS = (
    "y", "phase", "event", "exit", "entry", "Intercept", "log", "patient", "age", "", "time",
    "value", "marker", "censored", "treatment", "np", "a b", "é",
)  # fmt: skip
MARKS = (",", "\n", '"', ";", "\t", "\r", "é", "0", "x")


def spoilt(seed: int) -> Files:
    """The good study with one thing wrong, or not wrong, chosen by the seed."""
    r, files = random.Random(seed), good()
    kind = r.choice(("line", "setting", "twice", "cell", "cell", "column", "header", "marks"))
    if kind in ("line", "setting", "twice"):
        lines = files.study.split("\n")
        at = r.choice([i for i, line in enumerate(lines) if kind != "setting" or "=" in line])
        if kind == "line":
            del lines[at]
        elif kind == "setting":
            lines[at] = f"{lines[at].split('=')[0]}= {r.choice(SETTINGS)}"
        else:
            lines.insert(at, lines[at])
        return replace(files, study="\n".join(lines))
    table = r.choice(("patients", "measurements"))
    text = getattr(files, table)
    if kind == "marks":
        letters = list(text)
        for _ in range(r.randrange(1, 6)):
            letters[r.randrange(len(letters))] = r.choice(MARKS)
        return replace(files, **{table: "".join(letters)})
    rows = [line.split(",") for line in text.strip().split("\n")]
    column = r.randrange(len(rows[0]))
    if kind == "header":
        rows[0][column] = r.choice(HEADERS)
    elif kind == "cell":
        rows[r.randrange(len(rows))][column] = r.choice(CELLS)
    else:
        value = r.choice(CELLS)
        rows = [rows[0], *([*row[:column], value, *row[column + 1 :]] for row in rows[1:])]
    return replace(files, **{table: "\n".join(map(",".join, rows)) + "\n"})
