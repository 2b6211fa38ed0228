"""Whatever fails in a stage or a section, there is a report, and it says what failed and why."""

from __future__ import annotations

import inspect
import logging
import re
import shutil
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import longsurv as ls
from longsurv.cli import main
from longsurv.cohort.settings import SamplingSettings
from longsurv.errors import EstimationError
from longsurv.faults import HEAD, Faults
from longsurv.report import content, page
from longsurv.report.sections import SECTIONS
from longsurv.study import STAGES, Bench, Progress, Stage, Study
from longsurv.study import bench as bench_module
from longsurv.study.store import FitStore, environment, fingerprint


def broken(stage: Stage) -> Stage:
    def run(bench: Bench) -> None:
        raise ZeroDivisionError(f"thrown in {stage.key}")

    return replace(stage, run=run)


def broken_stages(keys: Sequence[str]) -> tuple[Stage, ...]:
    return tuple(broken(stage) if stage.key in keys else stage for stage in STAGES)


EVERY = tuple(stage.key for stage in STAGES)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A copy of the example study with one marker and few draws."""
    folder = tmp_path / "study"
    shutil.copytree(ls.example_path("ivig_sepsis"), folder)
    text = (folder / "study.toml").read_text(encoding="utf-8")
    head, *markers = re.split(r"(?=^\[markers\.)", text, flags=re.M)
    kept = [m for m in markers if m.startswith("[markers.pct]")]
    tail = "[models]" + text.partition("[models]")[2].replace(
        "draws = 1000\nchains = 4", "draws = 60\nchains = 2"
    )
    head = head.replace('value = "value"', 'value = "value"\nexclude_other_markers = true')
    (folder / "study.toml").write_text(head + "".join(kept) + tail, encoding="utf-8")
    return folder / "study.toml"


@pytest.fixture
def as_for_users() -> Iterator[None]:
    """Warnings as Python shows them, not as errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        yield


def test_an_error_in_every_stage(small, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(inspect.unwrap(Study.run).__kwdefaults__, "stages", broken_stages(EVERY))
    target, folder = tmp_path / "r.html", tmp_path / "all"
    arguments = ["report", str(small), "-o", str(target), "--folder", str(folder)]
    assert main([*arguments, "--quiet", "--no-store"]) == 3
    out = capsys.readouterr().out
    text, log = target.read_text(encoding="utf-8"), (tmp_path / "r.log").read_text("utf-8")
    assert log.startswith(HEAD) and str(tmp_path / "r.log") in out
    for stage in STAGES:
        said = f"ZeroDivisionError: thrown in {stage.key}"
        assert said in out and said in log and "in run\n" in log
        assert said in text, stage.key
    assert "This section could not be made" not in text
    assert (folder / "report.docx").exists() and (folder / "report.log").exists()
    missing = (folder / "tables" / "not_estimated.csv").read_text(encoding="utf-8")
    assert "thrown in mortality" in missing and "thrown in markers" in missing


@pytest.mark.study
@pytest.mark.parametrize("key", EVERY)
def test_an_error_in_one_stage(key: str, small, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(inspect.unwrap(Study.run).__kwdefaults__, "stages", broken_stages([key]))
    target = tmp_path / "r.html"
    assert main(["report", str(small), "-o", str(target), "--quiet", "--no-store"]) == 3
    said = f"ZeroDivisionError: thrown in {key}"
    assert said in capsys.readouterr().out and said in target.read_text(encoding="utf-8")
    assert "This section could not be made" not in target.read_text(encoding="utf-8")
    assert said in (tmp_path / "r.log").read_text("utf-8")


def test_an_error_in_every_section(monkeypatch) -> None:
    study = Study.from_toml(ls.example_path("ivig_sepsis") / "study.toml")
    results = study.run(progress=False, stages=broken_stages(EVERY))

    def fail(*given: object) -> None:
        raise KeyError("thrown in a section")

    for module in (page, content):
        sections = tuple(replace(section, build=fail) for section in SECTIONS)
        monkeypatch.setattr(module, "SECTIONS", sections)
    text = page.render_page(results)
    assert text.count("This section could not be made") == len(SECTIONS)
    words = [item for item in content.content(results) if isinstance(item, str)]
    assert len(words) == len(SECTIONS) - 1  # the explorer is for the page only
    assert all("thrown in a section" in item for item in words)
    assert {f"Section {s.title!r}" for s in SECTIONS} <= set(results.faults.traces)


def test_warnings_of_libraries_stay_off_the_console(
    small, tmp_path, monkeypatch, capfd, as_for_users
) -> None:
    def loud(bench: Bench) -> None:
        warnings.warn("overflow in a library", RuntimeWarning, stacklevel=1)
        logging.getLogger("a.library").warning("a library speaks")

    stages = (*broken_stages(EVERY), Stage("loud", "Loud", loud, seconds=lambda _: 0.1))
    monkeypatch.setitem(inspect.unwrap(Study.run).__kwdefaults__, "stages", stages)
    main(["report", str(small), "-o", str(tmp_path / "r.html"), "--quiet", "--no-store"])
    assert capfd.readouterr().err == ""


def test_the_record_keeps_what_nobody_expected(tmp_path) -> None:
    faults, log = Faults(), tmp_path / "report.log"

    def expected() -> None:
        raise EstimationError("no events")

    assert faults.attempt("a", lambda: 1) == (1, "")
    assert faults.attempt("b", expected) == (None, "no events")
    assert not faults.traces and faults.write_log(log) is None and not log.exists()
    _, reason = faults.attempt("c", lambda: 1 / 0)
    assert "ZeroDivisionError: division by zero" in reason and set(faults.traces) == {"c"}
    assert faults.write_log(log) == log and "ZeroDivisionError" in log.read_text("utf-8")
    assert Faults().write_log(log) is None and not log.exists()  # of an earlier run
    log.write_text("somebody's own", encoding="utf-8")
    assert Faults().write_log(log) is None and log.read_text("utf-8") == "somebody's own"
    with pytest.raises(KeyboardInterrupt):
        faults.attempt("d", lambda: (_ for _ in ()).throw(KeyboardInterrupt))


@pytest.mark.parametrize("name", ["study.toml", "patients.csv", "measurements.csv"])
def test_no_input_is_overwritten(name: str, small: Path, capsys) -> None:
    file = small.parent / name
    before = file.read_bytes()
    assert main(["report", str(small), "-o", str(file), "--quiet", "--no-store"]) == 1
    assert f"{name} is an input of this study" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_no_input_is_overwritten_by_a_folder(small: Path, tmp_path, capsys) -> None:
    assert main(["report", str(small), "-o", str(tmp_path / "r.html"), "--folder",
                 str(small.parent)]) == 1  # fmt: skip
    assert "is an input of this study" in capsys.readouterr().err


def test_the_key_of_a_stored_table_covers_the_settings(tmp_path, monkeypatch) -> None:
    """A setting that a stage reads, whichever, makes its table anew; so does the code of study/."""
    study = Study.from_toml(ls.example_path("ivig_sepsis") / "study.toml")
    keys: list[str] = []

    class Spy(FitStore):
        def get_or_compute(self, key, title, compute):
            keys.append(key)
            return super().get_or_compute("", title, lambda: 1)

    cohort = study.cohort
    other = ls.Cohort(
        cohort.patients, cohort.measurements.drop(columns="phase"),
        replace(cohort.schema, horizon=27.0), list(cohort.markers.values()),
    )  # fmt: skip
    for changed in (
        study,
        replace(study, cohort=other),
        replace(study, models=replace(study.models, mortality="treatment + age")),
        replace(study, sampling=SamplingSettings(draws=99, chains=2, seed=1)),
    ):
        Bench(changed, Spy(None), Progress(quiet=True)).keep("rows", 1, lambda: 1)
    assert len(set(keys)) == 4
    folder = tmp_path / "longsurv"
    source = Path(bench_module.__file__).parents[1]
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__", "*.nb?"))
    monkeypatch.setattr("longsurv.study.store.__file__", str(folder / "study" / "store.py"))
    environment.cache_clear()
    before = fingerprint(environment())
    deaths = folder / "study" / "deaths.py"
    deaths.write_text(deaths.read_text("utf-8").replace("TIPPING = 8", "TIPPING = 9"), "utf-8")
    environment.cache_clear()
    after = fingerprint(environment())
    environment.cache_clear()
    assert before != after
