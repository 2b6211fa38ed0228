"""The example study where the only event falls when one group alone is still at risk.

All controls are discharged alive by day 24, one of the treated dies on day 26: the data say nothing
about the hazard ratio, and everything that shows a result has to say so.
"""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import longsurv as ls
from longsurv.cli import main

NO_VALUE = re.compile(r"\b(nan|inf|None(?! of))\b")


def apart(folder: Path, markers: tuple[str, ...], draws: int) -> Path:
    """A copy of the example study with its patients' table edited."""
    shutil.copytree(ls.example_path("ivig_sepsis"), folder)
    file = folder / "patients.csv"
    patients = pd.read_csv(file)
    control = patients["treatment"] == "control"
    patients.loc[control, "followup_day"] = patients.loc[control, "followup_day"].clip(upper=24)
    patients.loc[control, "status"] = "discharged"
    patients.loc[~control, "status"] = patients.loc[~control, "status"].replace("dead", "alive")
    first = patients.index[~control][0]
    patients.loc[first, ["followup_day", "status"]] = [26, "dead"]
    patients.to_csv(file, index=False)
    text = (folder / "study.toml").read_text(encoding="utf-8")
    head, *parts = re.split(r"(?=^\[markers\.)", text, flags=re.M)
    kept = [part for part in parts if part.startswith(tuple(f"[markers.{m}]" for m in markers))]
    tail = "[models]" + text.partition("[models]")[2].replace(
        "draws = 1000\nchains = 4", f"draws = {draws}\nchains = 2"
    )
    head = head.replace('value = "value"', 'value = "value"\nexclude_other_markers = true')
    (folder / "study.toml").write_text(head + "".join(kept) + tail, encoding="utf-8")
    return folder / "study.toml"


def text_of(page: Path) -> str:
    """What a reader sees, without the figures."""
    source = re.sub(r"<(style|script|svg).*?</\1>", "", page.read_text("utf-8"), flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", source)))


def assert_said(report: Path, out: str) -> None:
    """The page and the terminal name what there is no answer to, and nothing is a number for it."""
    assert "Mortality, maximum likelihood: " in out and "Mortality, Bayes: " in out
    assert "Traceback" not in out and not report.with_suffix(".log").exists()
    text = text_of(report)
    assert "could not be made" not in text and not NO_VALUE.search(text)
    answer = text.partition("The short answer")[2]
    answer = answer.partition("Patients, from file to model")[0]
    first = answer.partition("The two answers in brief")[0]
    assert "Doubts: few events, no hazard ratio" in first
    assert "The hazard ratio of ivig against control could not be estimated." in answer
    assert "By maximum likelihood the hazard" not in text
    assert "By Bayes the hazard ratio" not in text
    assert "Nothing but prior" in answer
    assert "Mortality , Maximum likelihood: not passed" in text
    assert "Mortality , Bayes: not passed" in text


def test_a_quick_report(tmp_path: Path, capsys) -> None:
    study, report = apart(tmp_path / "study", ("pct",), 400), tmp_path / "r.html"
    assert main(["check", str(study)]) == 0
    capsys.readouterr()
    folder = tmp_path / "all"
    arguments = ["report", str(study), "--quick", "--no-store", "--quiet", "-o", str(report)]
    assert main([*arguments, "--folder", str(folder)]) == 3
    assert_said(report, capsys.readouterr().out)
    table = pd.read_csv(folder / "tables" / "hazard_ratios.csv")
    assert (table["remark"].str.len() > 0).all()
    table = pd.read_csv(folder / "tables" / "comparison.csv")
    rows = table[table["model"] == "mortality"]
    assert len(rows) == 0 or (rows["verdict"] == "no answer").all()
    named = pd.read_csv(folder / "tables" / "not_estimated.csv")
    assert named["what"].str.startswith("Mortality").any()


@pytest.mark.study
def test_the_whole_report(tmp_path: Path) -> None:
    """As a user runs it, with the joint model, and nothing but longsurv's lines on the console."""
    study, report = apart(tmp_path / "study", ("pct", "jaam"), 300), tmp_path / "r.html"
    command = [sys.executable, "-m", "longsurv.cli", "report", str(study), "-o", str(report)]
    done = subprocess.run([*command, "--no-store"], capture_output=True, text=True)
    assert done.returncode == 3
    assert_said(report, done.stdout)
    stages = re.compile(r"\[\d+/\d+\] [^\n]*\d:\d\d[^\n]*")
    assert all(stages.fullmatch(line) for line in done.stderr.splitlines()), done.stderr
