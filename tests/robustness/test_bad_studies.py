"""Study files and tables with something wrong: an answer in words, never a traceback."""

from __future__ import annotations

import dataclasses
import os
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from bad_studies import Files, good, spoilt
from lengths import lengths

from longsurv.cli import BAD_DATA, DONE, main

Change = Callable[[Files], Files]


def check(files: Files, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code of `longsurv check`, and what it said on standard error."""
    code = main(["check", str(files.write(folder))])
    return code, capsys.readouterr().err


def measured(old: str, new: str) -> Change:
    return lambda f: dataclasses.replace(f, measurements=f.measurements.replace(old, new))


def people(old: str, new: str) -> Change:
    return lambda f: dataclasses.replace(f, patients=f.patients.replace(old, new))


def toml(old: str, new: str) -> Change:
    return lambda f: f.toml(old, new)


def mortality(right: str) -> Change:
    return toml('mortality = "treatment + age"', f'mortality = "{right}"')


def no_marker(f: Files) -> Files:
    start, stop = f.study.index("[markers.crp]"), f.study.index("[models]")
    return f.toml(f.study[start:stop], "").toml('joint = ["crp"]\n', "")


def commas(f: Files) -> Files:
    rows = [line.split(",") for line in f.patients.strip().split("\n")]
    rows = [rows[0], *([*row[:4], f"{row[4]},5", row[5]] for row in rows[1:])]
    spoilt = dataclasses.replace(f, patients="\n".join(map(";".join, rows)) + "\n")
    return spoilt.toml('patient = "patient"', 'patient = "patient"\nseparator = ";"')


REFUSED: dict[str, tuple[Change, list[str]]] = {
    "a marker without a name, below a limit": (
        lambda f: dataclasses.replace(f, measurements=f.measurements + "1,2,xyz,<500\n"),
        ["does not name", '"xyz" (patient 1, row 98)', "exclude_other_markers"],
    ),
    "measurements without a marker": (no_marker, ["no marker is described", "measurements.csv"]),
    "one label for two": (toml('"Platelets"', '"CRP"'), ['"crp" and "plt"', "one label"]),
    "one phase": (toml("after = [4, 7]\n", ""), ["compares phases", "has 1", '"day"']),
    "a phase without values": (
        toml("after = [4, 7]", "after = [4, 7]\nlate = [20, 25]"),
        ['nothing was measured in the phase "late" (20 to 25)', "1 to 7"],
    ),
    "a limit above all": (
        toml("lower_limit = 0.1", "lower_limit = 1000"),
        ['every value of the marker "crp" is beyond a limit', "unit"],
    ),
    "a code under a logarithm": (
        measured("3,4,crp,9", "3,4,crp,-1"),
        ["not above 0", "crp -1 (patient 3, row 16)", 'missing = ["-1"]'],
    ),
    "zero under a logarithm": (measured("3,4,crp,9", "3,4,crp,0"), ['missing = ["0"]']),
    "no treatment in the hazard": (mortality("age"), ["mortality", "does not have the treatment"]),
    "nothing in the hazard": (mortality("0"), ["does not have the treatment"]),
    "the event as a covariate": (mortality("treatment + event"), ['"event"', "the outcome itself"]),
    "the status as a covariate": (mortality("treatment + status"), ['"status"']),
    "the end as a covariate": (mortality("treatment + log(exit)"), ['"exit"']),
    "the follow-up as a covariate": (mortality("treatment + days"), ['"days"', "itself"]),
    "no treatment in the trajectory": (
        toml('"phase * treatment + (1', '"phase + (1'),
        ["trajectory", "does not have the treatment"],
    ),
    "the outcome in the trajectory": (
        toml('"phase * treatment + (1', '"phase * treatment + status + (1'),
        ["trajectory", '"status"', "the outcome itself"],
    ),
    "a misspelt joint trajectory": (
        toml('"day * treatment', '"dya * treatment'),
        ["'dya'", "Did you mean 'day'?"],
    ),
    "phases in a joint trajectory": (
        toml('"day * treatment', '"phase * treatment'),
        ["joint_trajectory", "use the time"],
    ),
    "decimal commas": (
        lambda f: commas(f).toml('patient = "patient"', 'patient = "patient"\ndecimal = "."'),
        ['"51,5" (patient 1, row 2)', 'decimal = ","'],
    ),
    "nested brackets": (lambda f: f.toml("seed = 1", "seed = " + "[" * 5000), ["too deep"]),
    "a number without end": (toml("seed = 1", "seed = " + "9" * 400), ["seed", "(400 characters)"]),
    "digits without end": (toml("seed = 1", "seed = " + "9" * 5000), ["not valid TOML"]),
    "a horizon without end": (toml("horizon = 28", "horizon = " + "9" * 400), ["horizon"]),
    "too large to square": (measured(",crp,9", ",crp,1e308"), ["no measurement has", "1e+308"]),
    "too small to square": (measured(",crp,9", ",crp,1e-320"), ["no measurement has"]),
    "an absurd exponent, patients": (people(",51,", ",13.8E1854893908283,"), ["patient 1, row 2"]),
    "an absurd exponent, values": (
        measured(",crp,9", ",crp,13.8E1854893908283"),
        ['"13.8E1854893908283" (patient 3, row 16)'],
    ),
    "a file name too long": (
        toml('"patients.csv"', f'"{"a" * 5000}.csv"'),
        ["no file can have this name"],
    ),
    "a competing event called event": (
        toml('"discharge alive"', '"event"'),
        ["cannot be called", '"event"'],
    ),
    "no patients": (lambda f: dataclasses.replace(f, patients=f.patients[:38]), ["no patients"]),
}


def test_the_good_study_is_good(tmp_path, capsys):
    assert check(good(), tmp_path, capsys) == (DONE, "")


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_said_before_anything_is_fitted(case, tmp_path, capsys):
    change, words = REFUSED[case]
    code, said = check(change(good()), tmp_path, capsys)
    assert code == BAD_DATA
    assert [word for word in words if word not in said] == [], said


def test_the_decimal_mark_can_be_a_comma(tmp_path, capsys):
    files = commas(good()).toml('patient = "patient"', 'patient = "patient"\ndecimal = ","')
    files = files.toml('value = "value"', 'value = "value"\nseparator = ";"\ndecimal = ","')
    values = files.measurements.replace(",crp,9", ",crp,<0.3").replace(",", ";").replace(".", ",")
    assert (
        main(["check", str(dataclasses.replace(files, measurements=values).write(tmp_path))]) == 0
    )
    said = capsys.readouterr().out
    assert "age: number, 51.5 to 66.5" in said
    assert "CRP: 2" in said  # two values below a limit of 0.3


def test_check_says_how_each_covariate_was_read(tmp_path, capsys):
    files = good()
    files = dataclasses.replace(files, patients=files.patients.replace(",52,f", ",,f"))
    assert main(["check", str(files.write(tmp_path))]) == DONE
    said = capsys.readouterr().out
    assert "age: number, 51 to 66" in said and 'sex: 2 levels: "f", "m"' in said


@pytest.mark.parametrize("start", range(0, 400, 100))
@lengths("count", 40, 100)
def test_no_study_ends_in_a_traceback(start, count, tmp_path, capsys):
    search(range(start, start + count), tmp_path, capsys)


@pytest.mark.study
def test_no_study_of_thousands_ends_in_a_traceback(tmp_path, capsys):
    search(range(1000, 6000), tmp_path, capsys)


def search(seeds: range, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Check spoilt studies: done, or refused in words that name a file or a table of it."""
    for seed in seeds:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            code, said = check(spoilt(seed), folder, capsys)
        assert code in (DONE, BAD_DATA), (seed, code)
        assert (code == DONE) == (said == ""), (seed, said)
        assert "unexpected error" not in said and "Traceback" not in said, (seed, said)


def workbook(folder: Path, kind: str) -> None:
    """A file that calls itself a workbook and is none, each for another reason."""
    path = folder / "patients.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["patient"])
    if kind == "chart":
        book.create_chartsheet("c")
        book.remove(book.worksheets[0])
    book.save(path)
    if kind == "text":
        path.write_text("patient,treatment")
    elif kind == "cut short":
        path.write_bytes(path.read_bytes()[:2000])
    elif kind in ("another archive", "broken sheet", "broken contents"):
        with zipfile.ZipFile(path) as book:
            parts = {name: book.read(name) for name in book.namelist()}
        if kind == "another archive":
            parts = {"a.txt": b"x"}
        else:
            last = "sheet1.xml" if kind == "broken sheet" else "[Content_Types].xml"
            parts[next(name for name in parts if name.endswith(last))] = b"<broken"
        with zipfile.ZipFile(path, "w") as book:
            for name, content in parts.items():
                book.writestr(name, content)


@pytest.mark.parametrize(
    "kind", ["text", "cut short", "another archive", "broken sheet", "broken contents", "chart"]
)
def test_a_broken_workbook(kind, tmp_path, capsys):
    workbook(tmp_path, kind)
    code, said = check(good().toml('"patients.csv"', '"patients.xlsx"'), tmp_path, capsys)
    assert code == BAD_DATA and "patients.xlsx: the file cannot be read: " in said
    assert "unexpected error" not in said


@pytest.mark.parametrize("value", [{"a": 1}, [1, 2], b"\xff\x00"])
@pytest.mark.parametrize(
    ("table", "column"),
    [("patients", c) for c in ("patient", "treatment", "days", "status", "age")]
    + [("measurements", c) for c in ("patient", "day", "marker", "value")],
)
def test_parquet_columns_of_more_than_one_value_a_cell(table, column, value, tmp_path, capsys):
    good().write(tmp_path)
    frame = pd.read_csv(tmp_path / f"{table}.csv").astype({column: object})
    frame[column] = [value] * len(frame)
    frame.to_parquet(tmp_path / f"{table}.parquet")
    files = good().toml(f'"{table}.csv"', f'"{table}.parquet"')
    code, said = check(files, tmp_path, capsys)
    assert code == BAD_DATA
    assert f'{table}.parquet, column "{column}": no single value in {len(frame)} rows: ' in said


@pytest.mark.parametrize("cell", ["1e400", "9" * 400])
def test_an_infinite_covariate_is_named_by_its_cell(cell, tmp_path, capsys):
    code, said = check(people(",51,", f",{cell},")(good()), tmp_path, capsys)
    assert code == BAD_DATA and 'patients.csv, column "age": infinite value in 1 row' in said
    assert "(patient 1, row 2)" in said


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
@pytest.mark.parametrize("name", ["study.toml", "patients.csv", "measurements.csv"])
def test_a_link_to_itself(name, tmp_path, capsys):
    path = good().write(tmp_path)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to(name)
    assert main(["check", str(path)]) == BAD_DATA
    said = capsys.readouterr().err
    assert name in said and "unexpected error" not in said


def test_a_device_is_no_report(tmp_path, capsys):
    path = good().write(tmp_path)
    device = Path(os.devnull)
    assert main(["report", str(path), "-o", str(device)]) == BAD_DATA
    assert "is a device or a pipe" in capsys.readouterr().err
    assert not device.is_file()


@pytest.mark.parametrize("option", ["-o", "--folder", "--store"])
def test_a_name_too_long_is_known_before_the_fitting(option, tmp_path, capsys):
    path = good().write(tmp_path)
    command = ["report", str(path), "-q", "--no-store", "-o", str(tmp_path / "r.html")]
    assert main([*command, option, str(tmp_path / ("a" * 300))]) == BAD_DATA
    said = capsys.readouterr().err
    assert "aaa" in said and "too long" in said and "unexpected" not in said
