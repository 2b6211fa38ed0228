"""Studies that give a report little to stand on, and labels that try to break it.

Whatever the study, there is a page: balanced, harmless, and saying what could not be estimated and
why. Each study is run with the stages its difficulty is about, and few draws.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from browser import NO_BROWSER, Browser, find_browser
from outline import Outline

from longsurv import cli
from longsurv.cohort import Cohort, Marker, Phase, Schema
from longsurv.cohort.settings import ModelSettings, SamplingSettings
from longsurv.errors import DataError
from longsurv.report.export import export
from longsurv.report.page import render_page
from longsurv.report.word import png
from longsurv.study import Study, StudyResults
from longsurv.study.stages import STAGES

pytestmark = pytest.mark.slow

GROUPS = ("control", "active")
PHASES = (Phase("before", 1, 1), Phase("after", 4, 7))
OF_MARKERS = ("markers", "adjustments", "panel", "mortality")
FEWEST = ("markers", "mortality")
NO_VALUE = re.compile(r"\b(nan|inf|None(?! of))\b")
ALL = tuple(stage.key for stage in STAGES)


def make_patients(n: int = 24, groups: Sequence[str] = GROUPS, end: float = 28.0) -> pd.DataFrame:
    """Patients in turn in each group; about a third of them die before `end`."""
    rng = np.random.default_rng(1)
    died = rng.random(n) < 0.3
    return pd.DataFrame({
        "id": [f"P{k:03d}" for k in range(n)], "arm": [groups[k % len(groups)] for k in range(n)],
        "age": rng.normal(60, 10, n).round(),
        "days": np.where(died, rng.uniform(5, end - 1, n).round(1), end),
        "status": np.where(died, "dead", "alive"),
    })  # fmt: skip


def make_values(
    patients: pd.DataFrame, markers: Sequence[str], days: Sequence[float] = (1.0, 4.0)
) -> pd.DataFrame:
    """A value of each marker, patient and day."""
    rng, n, rows = np.random.default_rng(2), len(patients), []
    treated = (patients["arm"] != patients["arm"].iloc[0]).to_numpy()
    for name in markers:
        level = rng.normal(10, 2, n)
        for day in days:
            value = level - 0.5 * treated * (day > 1) + rng.normal(0, 1, n)
            rows.append(
                pd.DataFrame({"id": patients["id"], "day": day, "marker": name, "value": value})
            )
    return pd.concat(rows, ignore_index=True)


def make_markers(names: Sequence[str]) -> list[Marker]:
    return [Marker(n, n.upper(), "mg/L", direction="lower", family="all") for n in names]


SCHEMA = Schema(
    patient="id", treatment="arm", reference="control", exit="days", status="status",
    event="dead", censored="alive", horizon=28.0, time="day", phases=PHASES,
    covariates=("age",),
)  # fmt: skip


def make_study(
    patients: pd.DataFrame,
    values: pd.DataFrame | None,
    markers: Sequence[Marker] = (),
    *,
    trajectory: str = "phase * arm + (1 | id)",
    mortality: str = "arm",
    draws: int = 60,
    note: str = "",
    title: str = "A hard study",
    **schema: Any,
) -> Study:
    cohort = Cohort(patients, values, replace(SCHEMA, **schema), markers, title=title, note=note)
    return Study(cohort, ModelSettings(trajectory, mortality), SamplingSettings(draws, 2, 3))


def run(study: Study, keys: Sequence[str] = ALL) -> StudyResults:
    stages = tuple(stage for stage in STAGES if stage.key in keys)
    return study.run(progress=False, stages=stages)


def read(page: str) -> tuple[Outline, str]:
    """The page's elements, and its text with every space a plain one."""
    outline = Outline()
    outline.feed(page)
    assert not outline.open
    return outline, re.sub(r"\s+", " ", " ".join(outline.text))


def assert_harmless(page: str, outline: Outline) -> None:
    """Nothing runs but the page's own script, and nothing is fetched."""
    tags = [tag for tag, _ in outline.elements]
    scripts = [attrs.get("type") for tag, attrs in outline.elements if tag == "script"]
    # The last copies a paragraph; those before redraw an effect under another prior.
    assert scripts in ([None], ["application/json", None, None])
    assert not {"link", "iframe", "object", "embed", "base", "form", "img"} & set(tags)
    for _, attrs in outline.elements:
        assert not any(name.startswith("on") for name in attrs), attrs
        for name in ("src", "href", "xlink:href", "action"):
            assert (attrs.get(name) or "#").startswith("#"), attrs
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)


def flat_among_five() -> Study:
    patients, names = make_patients(), ["m1", "m2", "m3", "m4", "flat"]
    values = make_values(patients, names)
    values.loc[values["marker"] == "flat", "value"] = 2.0
    return make_study(patients, values, make_markers(names))


def single_visit() -> Study:
    patients, names = make_patients(), ["crp", "plt"]
    return make_study(patients, make_values(patients, names, days=(1.0,)), make_markers(names))


def many_markers(count: int) -> Study:
    patients, names = make_patients(12), [f"m{k:02d}" for k in range(count)]
    return make_study(patients, make_values(patients, names), make_markers(names), draws=25)


def one_marker_and_one_treated() -> Study:
    patients = make_patients()
    patients["arm"] = ["active"] + ["control"] * (len(patients) - 1)
    return make_study(patients, make_values(patients, ["crp"]), make_markers(["crp"]))


def no_deaths_in_a_group() -> Study:
    patients = make_patients()
    treated = patients["arm"] == "active"
    patients = patients.assign(
        status=patients["status"].where(~treated, "alive"),
        days=patients["days"].where(~treated, 28.0),
    )
    return make_study(patients, None, trajectory="", phases=())


def three_groups() -> Study:
    groups, names = ("control", "low", "high"), ["crp", "plt"]
    patients = make_patients(30, groups)
    return make_study(
        patients, make_values(patients, names), make_markers(names), levels=groups
    )  # fmt: skip


def all_censored_early() -> Study:
    return make_study(make_patients(end=6.0), None, trajectory="", phases=())


def covariate_missing() -> Study:
    patients = make_patients()
    patients["age"] = patients["age"].where(np.arange(len(patients)) % 4 != 0)
    return make_study(
        patients, make_values(patients, ["crp"]), make_markers(["crp"]), mortality="arm + age",
        trajectory="phase * arm + age + (1 | id)",
    )  # fmt: skip


def late_entry(**rules: Any) -> Study:
    """Every third patient leaves on day 2, before the risk is counted from day 3."""
    patients = make_patients()
    patients["days"] = np.where(np.arange(len(patients)) % 3 == 0, 2.0, patients["days"])
    patients.loc[patients["days"] == 2, "status"] = "alive"
    return make_study(patients, None, trajectory="", phases=(), entry=3, **rules)


NO_SECOND = "no patient has a second value: there is no change to estimate"
STUDIES: dict[str, tuple[Callable[[], Study], Sequence[str], tuple[str, ...]]] = {
    "a marker that does not vary": (flat_among_five, OF_MARKERS, (
        "every value is the same: nothing varies that a model could explain",
        "After correction for 4 comparisons",
    )),
    "a single visit": (single_visit, OF_MARKERS, (
        "The difference in change could not be estimated for any marker.", NO_SECOND,
        "No change within a group could be tested", "No adjusted difference in change could be",
        "No marker has an answer from both engines.",
    )),
    "twenty markers": (partial(many_markers, 20), FEWEST, (
        "the change over time of 20 markers", "the 20 comparisons in this table", "M19 (mg/L)",
    )),
    "sixty markers": (partial(many_markers, 60), FEWEST, (
        "the change over time of 60 markers", "the 60 comparisons in this table", "M59 (mg/L)",
    )),
    "one marker, one treated patient": (one_marker_and_one_treated, OF_MARKERS, (
        "active has 1 patient with a value at both before and after; at least 2 are needed",
        "With one marker there is nothing to correct for and nothing to shrink towards.",
    )),
    "no deaths in a group, no markers": (no_deaths_in_a_group, ALL, (
        "The study has no markers.", "0 of 12 (0.0 %) in active",
        "The partial likelihood has no maximum (no death in active)",
        "Maximum (Firth's penalised partial) likelihood with a profile confidence interval",
        "Do the groups control and active differ in death?",
    )),
    "three groups": (three_groups, ALL, (
        "Do the groups control, low and high differ in death", "2 comparisons with control",
        "Every method: low against control", "Every method: high against control",
        "How much is the prior's: high against control", "What was not seen: low against control",
        "Corrected by Holm's method, p of the hazard ratios is", "two comparisons",
        "All comparisons together", "Dunnett's, of all groups against the reference",
        "low against control, before to after: 95 % confidence intervals",
        "After correction for 4 comparisons",
    )),
    "all censored early": (all_censored_early, ALL, (
        "Not estimated: the risk of death by 28 days under any prior.",
        "follow-up ends at 6 with patients at risk, so the risk by 28 is not known",
    )),
    "a covariate missing for some": (covariate_missing, OF_MARKERS, (
        "12 of 48 rows were left out: a value the formula needs is missing",
        "6 patients left out for a missing covariate",
    )),
    "entry after some have left": (partial(late_entry, exclude_before_entry=True), FEWEST, (
        "8 removed", "16 in the analysis",
    )),
}  # fmt: skip


LONG_STUDIES = ("sixty markers",)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.study] if name in LONG_STUDIES else [])
        for name in STUDIES
    ],
)
def test_there_is_a_report_and_it_says_what_is_missing(name: str) -> None:
    make, keys, words = STUDIES[name]
    page = render_page(run(make(), keys))
    outline, text = read(page)
    assert_harmless(page, outline)
    assert len(page) < 5_000_000
    assert not NO_VALUE.search(text)
    tables = re.findall(r'role="region" aria-label="([^"]*)"', page)
    assert len(tables) == len(set(tables)), tables  # a reader hears which one it is
    for said in words:
        assert said in text, said


def test_a_study_that_cannot_be_asked_is_refused_with_the_reason() -> None:
    nobody = make_patients().assign(status="alive", days=3.0)
    with pytest.raises(DataError, match='no patient has the status "dead" by 28 days'):
        make_study(nobody, None, trajectory="", phases=())
    with pytest.raises(DataError, match="set exclude_before_entry = true"):
        late_entry()


# Labels that try to break a page, a document, a figure, a format string or a formula.

ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)>"
BREAKOUT = "dead</script><svg onload=alert(3)>"
COVARIATE = 'age "é" <u>{{ x }}</u> %s $a$'
ARABIC = "مجموعة العلاج $x_1^2$ {{ 7*7 }} %s"
JAPANESE = "対照群 <b>"
LONG = ("Interleukin " * 25)[:300]
WORD = "u" * 300
LABELS = (
    f"{ATTACK} & \x00\x1b[31m$\\frac{{1$", LONG, "検査" * 10 + "{{ config }}",
    "בדיקה \u202e$reverse %d", "\"quoted\" 'it' `tick` \\ %(x)s",
)  # fmt: skip


@cache
def hostile() -> StudyResults:
    patients = make_patients(30, (JAPANESE, ARABIC)).rename(columns={"age": COVARIATE})
    patients["id"] = [f'{name} "q" <i>\x07' for name in patients["id"]]
    patients["status"] = patients["status"].replace("dead", BREAKOUT)
    patients.loc[:5, "status"] = "home <script>"
    patients.loc[:5, "days"] = 10.0
    names = ["a<script>", "b", "c", "d", "e"]
    units = ("<b>mg</b>/$x", WORD, "μ^9/L", "%", "")
    markers = [
        Marker(name, label, unit, direction="lower", family=ATTACK)
        for name, label, unit in zip(names, LABELS, units, strict=True)
    ]
    study = make_study(
        patients, make_values(patients, names), markers, note=f"{ATTACK} {{{{ note }}}} \x01 %s $",
        title=f"{ATTACK} {LONG}\x0b", reference=JAPANESE, levels=(JAPANESE, ARABIC),
        event=BREAKOUT, competing={f"discharge {{% raw %}} {ATTACK}": "home <script>"},
        phases=(
            Phase("before <base href=//x>", 1, 1), Phase("after {{ 1/0 }} %(x)s $\\frac{$", 4, 7),
        ),
        covariates=(COVARIATE,),
    )  # fmt: skip
    return run(study)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The hostile study as files, its pictures small for speed."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("word", "painting"):
            patch.setattr(f"longsurv.report.{module}.png", partial(png, dpi=20))
        yield export(hostile(), tmp_path_factory.mktemp("out") / "results")


def test_hostile_labels_are_text_and_nothing_else(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    outline, text = read(page)
    assert_harmless(page, outline)
    for label in (ATTACK, BREAKOUT, COVARIATE, ARABIC, JAPANESE, LONG.strip(), WORD, *LABELS[2:3]):
        assert label in text, label
    assert "49" not in text.split("{{ 7*7 }}")[0][-20:], "a template inside a label was run"
    assert "בדיקה �$reverse %d" in text, "a turn of the writing direction reaches past its label"
    assert not NO_VALUE.search(text)


def test_hostile_labels_leave_documents_and_file_names_whole(folder: Path) -> None:
    from docx import Document

    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", path.name) for path in files)
    document = Document(str(folder / "report.docx"))
    said = " ".join(paragraph.text for paragraph in document.paragraphs)
    assert ATTACK in said
    assert ARABIC in said


@pytest.mark.skipif(find_browser() is None, reason=NO_BROWSER)
@pytest.mark.parametrize("width", [1100, 390])
def test_hostile_labels_in_a_browser(folder: Path, tmp_path: Path, width: int) -> None:
    file = folder / "report.html"
    with Browser(tmp_path / "profile") as browser:
        browser.open(file, width)
        assert browser.problems == []
        assert browser.requests == [file.resolve().as_uri()]
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run("document.querySelectorAll('section').length") > 8


STUDY_FILE = """
[study]
title = "From a file"

[patients]
file = "patients.csv"
patient = "id"
treatment = "arm"
reference = "control"

[outcome]
exit = "days"
status = "status"
event = "dead"
censored = "alive"
horizon = 28

[models]
mortality = "arm"
trajectory = "phase * arm + (1 | id)"

[sampling]
draws = 60
"""
MEASURED = """
[measurements]
file = "visits.csv"
patient = "id"
time = "day"

[phases]
before = [1, 1]
after = [4, 7]

[markers.flat]
label = "Flat \\u001b[31m"
"""


@pytest.mark.parametrize(
    ("tables", "code"), [("", cli.DONE), (MEASURED, cli.INCOMPLETE)], ids=["whole", "incomplete"]
)
def test_the_exit_code_tells_whether_something_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tables: str, code: int
) -> None:
    patients = make_patients()
    patients.to_csv(tmp_path / "patients.csv", index=False)
    make_values(patients, ["flat"]).assign(value=2.0).to_csv(tmp_path / "visits.csv", index=False)
    file, target = tmp_path / "study.toml", tmp_path / "report.html"
    file.write_text(STUDY_FILE + tables, encoding="utf-8")
    arguments = ["report", str(file), "--quick", "--quiet", "--no-store", "-o", str(target)]
    assert cli.main(arguments) == code
    said = capsys.readouterr().out
    missing = "Flat �[31m, Bayes: every value is the same"
    assert (missing in said) == (code == cli.INCOMPLETE)
    assert target.is_file()
