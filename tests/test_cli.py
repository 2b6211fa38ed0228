from __future__ import annotations

import io
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from support.terminal import as_in_a_terminal

import longsurv as ls
from longsurv import cli
from longsurv.cli import main, running
from longsurv.simulate import characteristics
from longsurv.study import MORTALITY, STAGES, Study, StudyResults


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A copy of the example study with two markers and few draws: nothing hangs on how many."""
    return small_study(tmp_path / "study")


def small_study(folder: Path) -> Path:
    shutil.copytree(ls.example_path("ivig_sepsis"), folder)
    text = (folder / "study.toml").read_text(encoding="utf-8")
    head, *markers = re.split(r"(?=^\[markers\.)", text, flags=re.M)
    kept = [m for m in markers if m.startswith(("[markers.crp]", "[markers.il6]"))]
    tail = "[models]" + text.partition("[models]")[2].replace(
        "draws = 1000\nchains = 4", "draws = 60\nchains = 2"
    )
    tail = re.sub(r"^joint.*\n", "", tail, flags=re.M)
    head = head.replace('value = "value"', 'value = "value"\nexclude_other_markers = true')
    (folder / "study.toml").write_text(head + "".join(kept) + tail, encoding="utf-8")
    return folder / "study.toml"


@dataclass(frozen=True)
class Finished:
    """A report that was written, its fits kept."""

    command: list[str]
    said: str
    page: str
    store: Path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The small study with all its stages, from a command that nothing interrupted."""
    folder, said = tmp_path_factory.mktemp("finished"), io.StringIO()
    target, store = folder / "r.html", folder / "fits"
    command = ["report", str(small_study(folder / "study")), "-o", str(target)]
    command += ["--store", str(store)]
    with redirect_stdout(said), redirect_stderr(io.StringIO()):
        assert main(command) == 0
    return Finished(command, said.getvalue(), target.read_text(encoding="utf-8"), store)


@pytest.fixture
def few_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of the markers and of mortality only: the other stages have no part in the test."""
    few, run = tuple(s for s in STAGES if s.key in ("markers", MORTALITY)), Study.run
    monkeypatch.setattr(Study, "run", lambda *given, **how: run(*given, **how, stages=few))


def test_version(capsys) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"longsurv {ls.__version__}\n"


@pytest.mark.parametrize("command", [[], ["report"], ["check"], ["demo"], ["simulate"]])
def test_help_has_an_example(command: list[str], capsys) -> None:
    assert main([*command, "--help"]) == 0
    out = capsys.readouterr().out
    examples, codes = out.split("\nexample")[1].split("\nexit codes:\n")
    assert "longsurv " + "".join(command) in examples
    listed = [int(line.split()[0]) for line in codes.splitlines() if line.strip()]
    assert listed == [cli.DONE, cli.BAD_DATA, cli.BAD_USAGE, cli.INCOMPLETE, cli.INTERRUPTED]


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["report"], ["report", "s.toml", "--seed", "-1"], ["check", "a", "b"],
     ["report", "s.toml", "--quik"], ["simulate"], ["simulate", "s.toml", "--cohorts", "0"],
     ["simulate", "s.toml", "--jobs", "x"]],
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


@pytest.mark.usefixtures("few_stages")
def test_report_writes_the_file_it_names(small: Path, tmp_path: Path, capsys) -> None:
    target = tmp_path / "out.html"
    assert main(["report", str(small), "-o", str(target), "--seed", "7", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert str(target) in out
    assert "Reconstructed data" in out
    assert "Seed 7;" in target.read_text(encoding="utf-8")


@pytest.mark.parametrize("where", ["", "missing/report.html"])
def test_report_asks_where_before_it_works(
    small: Path, tmp_path: Path, where: str, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(running, "run_study", lambda *a: pytest.fail("fitted before looking"))
    assert main(["report", str(small), "-o", str(tmp_path / where)]) == 1
    err = capsys.readouterr().err
    assert "is a folder" in err or "does not exist" in err


def test_demo_runs_every_example(tmp_path: Path, monkeypatch, capsys) -> None:
    done = []
    monkeypatch.setattr(
        running, "run_study", lambda study, target, *_: done.append((study, target)) or 0
    )
    folder = tmp_path / "deep" / "reports"
    assert main(["demo", "--quick", "--out", str(folder)]) == 0
    assert folder.is_dir()
    assert [target.name for _, target in done] == [
        "ivig_sepsis.html", "pbc.html", "icu_admissions.html"
    ]  # fmt: skip
    assert [len(study.cohort.patients) for study, _ in done] == [41, 312, 400]


def test_demo_into_a_file_is_refused(tmp_path: Path, capsys) -> None:
    (tmp_path / "taken").write_text("")
    assert main(["demo", "--out", str(tmp_path / "taken")]) == 1
    assert "is a file" in capsys.readouterr().err
    assert main(["demo", "--out", str(tmp_path / "taken" / "below")]) == 1
    assert "cannot be made" in capsys.readouterr().err


def test_an_interrupt_is_not_a_traceback(small: Path, monkeypatch, capsys) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "run_study", interrupt)
    assert main(["report", str(small)]) == 130
    err = capsys.readouterr().err
    assert "interrupted; nothing was written" in err


@pytest.mark.usefixtures("few_stages")
def test_an_interrupt_says_how_to_go_on(small: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    def interrupt(results: StudyResults, path: Path, folder: Path, *, n_jobs: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("longsurv.report.export.write_all", interrupt)
    command = ["report", str(small), "-o", str(tmp_path / "r.html"), "--quiet"]
    assert main(command) == 130
    err = capsys.readouterr().err
    assert re.search(rf"\d+ finished results are in {re.escape(str(tmp_path / '.longsurv'))}", err)
    assert "Run the same command again to go on from there" in err
    assert main([*command, "--fresh"]) == 130
    assert "again without --fresh to go on" in capsys.readouterr().err
    assert main([*command, "--no-store"]) == 130
    assert "nothing was written" in capsys.readouterr().err


def test_a_second_report_says_what_it_reused(finished: Finished, capsys) -> None:
    assert "Reused" not in finished.said
    assert main(finished.command) == 0
    out, err = capsys.readouterr()
    stored = re.escape(str(finished.store))
    assert re.search(rf"Reused (\d+) of \1 results stored in {stored}", out)
    assert re.search(r"\[1/\d+\] Trajectories of the markers: .*\(4 of 4 results reused\)", err)
    assert not (finished.store.parent / ".longsurv").exists()


@pytest.mark.usefixtures("few_stages")
def test_a_folder_of_everything(small: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    written = []

    def write(results: StudyResults, path: Path, folder: Path, *, n_jobs: int) -> Path:
        written.append((results, folder))
        return path

    monkeypatch.setattr("longsurv.report.export.write_all", write)
    folder, target = tmp_path / "all", tmp_path / "r.html"
    command = ["report", str(small), "-o", str(target), "--quiet", "--no-store"]
    assert main([*command, "--folder", str(folder)]) == 0
    ((results, to),) = written
    assert to == folder and len(results.markers) == 2
    assert str(folder) in capsys.readouterr().out
    monkeypatch.setattr(running, "run_study", lambda *a: pytest.fail("fitted before looking"))
    for wrong in (target, tmp_path / "no" / "all"):
        assert main([*command, "--folder", str(wrong)]) == 1
    assert "does not exist; make it first" in capsys.readouterr().err


@pytest.mark.usefixtures("few_stages")
def test_a_report_with_something_missing_is_three(small: Path, tmp_path: Path, capsys) -> None:
    values = small.parent / "measurements.csv"
    text = re.sub(r"(,crp,).*", r"\g<1>5.0", values.read_text(encoding="utf-8"))
    values.write_text(text, encoding="utf-8")
    target = tmp_path / "r.html"
    assert main(["report", str(small), "-o", str(target), "--quiet", "--no-store"]) == 3
    assert "C-reactive protein, Bayes: every value is the same" in capsys.readouterr().out
    assert target.exists()


def test_a_store_that_is_a_file_is_refused(small: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "taken").write_text("")
    target = ["-o", str(tmp_path / "r.html")]
    assert main(["report", str(small), *target, "--store", str(tmp_path / "taken")]) == 1
    assert "give --store a folder" in capsys.readouterr().err


def without_times(page: str) -> str:
    """A report without how long things took, which is all that may differ between two runs."""
    page, count = re.subn(r"(?<![\d.])(\d+ min )?\d[\d.]* (ms|s)\b", "TIME", page)
    assert count
    return page


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_run_goes_on_where_it_stopped(
    small: Path, finished: Finished, tmp_path: Path, capsys
) -> None:
    store, target = tmp_path / "fits", tmp_path / "r.html"
    command = ["report", str(small), "-o", str(target), "--store", str(store), "--jobs", "1"]
    process = subprocess.Popen(  # helpers would go on writing for a moment
        [sys.executable, "-m", "longsurv.cli", *command],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while len(list(store.glob("*.npz"))) < 3:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    process.kill()
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in store.glob("*.npz")}
    assert not target.exists()
    assert len(kept) >= 3

    assert main(command) == 0
    reused, total = re.search(r"Reused (\d+) of (\d+) results", capsys.readouterr().out).groups()
    assert int(reused) == len(kept) < int(total)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "none was made again"
    resumed = target.read_text(encoding="utf-8")
    assert without_times(finished.page) == without_times(resumed)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_control_c_while_fitting(small: Path, tmp_path: Path) -> None:
    command = ["report", str(small), "-o", str(tmp_path / "r.html")]
    process = subprocess.Popen(
        [sys.executable, "-m", "longsurv.cli", *command], stderr=subprocess.PIPE, text=True,
        preexec_fn=as_in_a_terminal,
    )  # fmt: skip
    while not list((tmp_path / ".longsurv").glob("*.npz")):
        assert process.poll() is None, "it ended before it could be interrupted"
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Run the same command again to go on from there" in err
    assert "Traceback" not in err


def test_simulate_writes_words_and_files(small: Path, tmp_path: Path, capsys) -> None:
    target = tmp_path / "s.csv"
    command = ["simulate", str(small), "--cohorts", "6", "--jobs", "1", "--quiet"]
    assert main([*command, "--out", str(target), "--effect", "null", "--effect", "hr=0.5"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "Reconstructed data" in out and "6 cohorts" in out
    assert "Were the hazard ratio of ivig 0.500" in out
    table = pd.read_csv(target)
    assert set(table["effect"]) == {"no effect", "hr=0.5"}
    assert (table["cohorts"] == 6).all()


@pytest.mark.parametrize(
    ("more", "complaint"),
    [(["--effect", "huge"], "got 'huge'"), (["--effect", "hr=-1"], "got 'hr=-1'"),
     (["--out", "s.pdf"], "a .csv or .html file"),
     (["--scheduler", "tcp://localhost:8786"], "pip install 'dask[distributed]'")],
)  # fmt: skip
def test_simulate_refuses_in_words(
    small: Path, tmp_path: Path, more: list[str], complaint: str, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["simulate", str(small), *more]) == 1
    assert complaint in capsys.readouterr().err


def test_the_command_line_and_the_function_have_the_same_defaults() -> None:
    assert (cli.COHORTS, cli.EFFECTS) == (characteristics.COHORTS, characteristics.STANDARD_EFFECTS)
