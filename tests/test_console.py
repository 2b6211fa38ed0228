"""The command line in hostile consoles, and when something of its own goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from longsurv import cli
from longsurv.cohort.examples import example_path

STUDY = example_path("ivig_sepsis") / "study.toml"


def run(*words: str, folder: Path, encoding: str = "utf-8") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "longsurv.cli", *words],
        cwd=folder,
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_console_that_cannot_show_a_character_gets_a_question_mark(tmp_path, encoding):
    for name in ("patients.csv", "measurements.csv"):
        text = (STUDY.parent / name).read_text(encoding="utf-8").replace("pneumonia", "肺炎")
        (tmp_path / name).write_text(text, encoding="utf-8")
    study = STUDY.read_text(encoding="utf-8").replace('title = "', 'title = "敗血症 ')
    (tmp_path / "study.toml").write_text(study, encoding="utf-8")
    done = run("check", "study.toml", folder=tmp_path, encoding=encoding)
    assert done.returncode == 0, done.stderr.decode()
    assert b"???" in done.stdout and b"Traceback" not in done.stderr


def test_a_reader_who_leaves_is_no_error(tmp_path):
    command = [sys.executable, "-m", "longsurv.cli", "check", str(STUDY)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        started.stdout.close()
        errors = started.stderr.read()
    assert started.returncode == 0 and errors == b""


def test_a_fault_of_our_own_is_one_sentence_and_a_log(tmp_path, monkeypatch, capsys):
    def broken(_path: Path) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("longsurv.study.Study.from_toml", broken)
    assert cli.main(["check", "study.toml"]) == cli.BAD_DATA
    said = capsys.readouterr().err
    assert "ZeroDivisionError: of all things" in said and "Traceback" not in said
    assert "in broken" in (tmp_path / "longsurv-error.log").read_text(encoding="utf-8")
