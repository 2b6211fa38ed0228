from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import longsurv as ls
from longsurv import cli
from longsurv.cli import main


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A copy of the example study with two markers and few draws."""
    folder = tmp_path / "study"
    shutil.copytree(ls.example_path("ivig_sepsis"), folder)
    text = (folder / "study.toml").read_text(encoding="utf-8")
    head, *markers = re.split(r"(?=^\[markers\.)", text, flags=re.M)
    kept = [m for m in markers if m.startswith(("[markers.crp]", "[markers.il6]"))]
    tail = "[models]" + text.partition("[models]")[2].replace("draws = 1000", "draws = 200")
    head = head.replace('value = "value"', 'value = "value"\nexclude_other_markers = true')
    (folder / "study.toml").write_text(head + "".join(kept) + tail, encoding="utf-8")
    return folder / "study.toml"


def test_version(capsys) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"longsurv {ls.__version__}\n"


@pytest.mark.parametrize("command", [[], ["report"], ["check"], ["demo"]])
def test_help_has_an_example(command: list[str], capsys) -> None:
    assert main([*command, "--help"]) == 0
    assert "longsurv " + "".join(command) in capsys.readouterr().out.split("\nexample")[1]


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["report"], ["report", "s.toml", "--seed", "-1"], ["check", "a", "b"],
     ["report", "s.toml", "--quik"]],
)  # fmt: skip
def test_wrong_usage_is_two(arguments: list[str], capsys) -> None:
    assert main(arguments) == 2
    assert "usage: longsurv" in capsys.readouterr().err


def test_check_shows_flow_and_models(small: Path, capsys) -> None:
    assert main(["check", str(small)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "41 patients: 22 control (reference), 19 ivig" in out
    assert "Measurements, from file to model" in out
    assert "y ~ phase * treatment + (1 | patient)" in out


def test_check_lists_every_problem_on_stderr(small: Path, capsys) -> None:
    patients = small.parent / "patients.csv"
    text = patients.read_text(encoding="utf-8")
    patients.write_text(text.replace("P01,control", "P01,placebo"), encoding="utf-8")
    values = small.parent / "measurements.csv"
    text = values.read_text(encoding="utf-8")
    values.write_text(text.replace("P02,1,crp,", "P99,1,crp,"), encoding="utf-8")
    assert main(["check", str(small)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "placebo" in err and "P99" in err
    assert "Traceback" not in err


def test_check_refuses_a_formula_that_cannot_be_read(small: Path, capsys) -> None:
    text = small.read_text(encoding="utf-8")
    small.write_text(text.replace('mortality = "treatment"', 'mortality = "treatmint"'), "utf-8")
    assert main(["check", str(small)]) == 1
    assert "Did you mean 'treatment'" in capsys.readouterr().err


def test_a_missing_file_is_a_plain_message(tmp_path: Path, capsys) -> None:
    assert main(["report", str(tmp_path / "no.toml")]) == 1
    assert capsys.readouterr().err.startswith("longsurv: there is no study file")


def test_report_writes_the_file_it_names(small: Path, tmp_path: Path, capsys) -> None:
    target = tmp_path / "out.html"
    assert main(["report", str(small), "-o", str(target), "--seed", "7", "--no-progress"]) == 0
    out = capsys.readouterr().out
    assert str(target) in out
    assert "Reconstructed data" in out
    assert "Seed 7;" in target.read_text(encoding="utf-8")


@pytest.mark.parametrize("where", ["", "missing/report.html"])
def test_report_asks_where_before_it_works(
    small: Path, tmp_path: Path, where: str, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(cli, "_run", lambda *a: pytest.fail("fitted before looking"))
    assert main(["report", str(small), "-o", str(tmp_path / where)]) == 1
    err = capsys.readouterr().err
    assert "is a folder" in err or "does not exist" in err


def test_demo_runs_both_examples(tmp_path: Path, monkeypatch, capsys) -> None:
    done = []
    monkeypatch.setattr(cli, "_run", lambda study, target, _: done.append((study, target)))
    folder = tmp_path / "deep" / "reports"
    assert main(["demo", "--quick", "--out", str(folder)]) == 0
    assert folder.is_dir()
    assert [target.name for _, target in done] == ["ivig_sepsis.html", "pbc.html"]
    assert [len(study.cohort.patients) for study, _ in done] == [41, 312]


def test_demo_into_a_file_is_refused(tmp_path: Path, capsys) -> None:
    (tmp_path / "taken").write_text("")
    assert main(["demo", "--out", str(tmp_path / "taken")]) == 1
    assert "is a file" in capsys.readouterr().err
    assert main(["demo", "--out", str(tmp_path / "taken" / "below")]) == 1
    assert "cannot be made" in capsys.readouterr().err


def test_an_interrupt_is_not_a_traceback(small: Path, monkeypatch, capsys) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupt)
    assert main(["report", str(small)]) == 130
    assert "interrupted" in capsys.readouterr().err
