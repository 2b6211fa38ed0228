"""Priors and a trial to emulate that a study file names: read, run and shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import longsurv as ls
from longsurv import priors as pr
from longsurv.errors import DataError
from longsurv.report.sections.answer import caution
from longsurv.report.sections.headline import headline
from longsurv.report.sections.mortality_priors import priors_part
from longsurv.report.sections.mortality_target import target_part
from longsurv.report.sections.paragraph import paragraph
from longsurv.study import Study, stages
from longsurv.study.deaths import named_priors

STAGES = tuple(stage for stage in stages.STAGES if stage.key in ("mortality", "priors", "target"))
NAME = "trials at low risk of bias"


@pytest.fixture(scope="module")
def sepsis():
    study = Study.from_toml(ls.example_path("ivig_sepsis") / "study.toml").quickened()
    return study.run(progress=False, stages=STAGES)


@pytest.fixture(scope="module")
def admissions():
    study = Study.from_toml(ls.example_path("icu_admissions") / "study.toml")
    return study.run(progress=False, stages=STAGES[2:])


def test_a_published_ratio_is_a_prior_of_the_report(sepsis):
    prior = named_priors(sepsis.study)[NAME]
    trials = pr.from_interval(0.97, 0.81, 1.15, outcome="risk_ratio", baseline_risk=0.18)
    assert prior == pr.Mixture((trials, pr.Normal(0.0, 1.0)), (0.8, 0.2))
    row = sepsis.parts["priors"]["table"].set_index("prior").loc[NAME]
    assert row["density"] == str(prior) and row["diagnosis"] == "mostly prior"
    tables = [item for item in priors_part(sepsis).items if hasattr(item, "rows")]
    assert any(cells[0] == "Trials at low risk of bias" for cells in tables[0].rows)


def test_without_robustness_it_is_the_interval(sepsis):
    (one,) = sepsis.study.priors
    plain = replace(sepsis.study, priors=(replace(one, robust=0.0, outcome="hazard_ratio"),))
    assert named_priors(plain)[NAME] == pr.from_interval(0.97, 0.81, 1.15)


def test_nothing_to_emulate_where_risk_begins_late(sepsis):
    part = target_part(sepsis)
    assert part.title == "A trial emulated"
    assert "risk begins at 7 days after ICU admission" in part.items[0]
    assert "never enrolled" in part.items[0]


def test_the_trial_that_the_file_names(admissions):
    found = admissions.parts["target"]
    table = found["table"].set_index(["method", "quantity"])
    clones = table.loc[("clones, censored and weighted", "risk difference")]
    naive = table.loc[("as they turned out", "risk difference")]
    assert abs(clones["estimate"]) < 0.05 < abs(naive["estimate"])
    part = target_part(admissions)
    assert "immortal" in part.items[0]
    answers = part.items[-1]
    assert answers.rows[0][0] == "Clones, censored and weighted" and len(answers.rows) == 7
    assert np.isfinite(found["curves"]["estimate"]).all()
    assert part.more[0].rows[0][0] == "Eligibility"


def test_the_first_screen_concludes_by_the_trial_and_says_what_time_did(admissions):
    """The groups as they turned out differ beyond chance; that is not what may be concluded."""
    rest = tuple(stage for stage in stages.STAGES if stage.key in ("mortality", "methods"))
    ran = admissions.study.quickened().run(progress=False, stages=rest)
    plain = replace(ran, parts={**ran.parts, "markers": {}})
    results = replace(plain, parts={**plain.parts, **admissions.parts})
    said = headline(results)
    assert "12 fewer (2 to 21)" in said.risks
    assert "hance hardly explains" not in " ".join(said.sentences)
    assert said.conclusion.startswith("An emulated trial of beginning within 2")
    assert "per 100: 1 fewer (11 fewer to 8 more)" in said.conclusion
    assert "delayed treatment" in said.doubts
    assert "makes begun look better whatever treatment does" in caution(results)
    assert said.conclusion in paragraph(results)
    assert "no trial from time zero was emulated" in headline(plain).conclusion


def test_a_study_that_asks_for_none_has_none(admissions):
    plain = replace(admissions.study, target_trial=None)
    results = plain.run(progress=False, stages=STAGES[2:])
    assert target_part(results) is None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("[priors.x]\nratio = 0.9\ninterval = [0.8, 1.1]", 'the key "source" is missing'),
        ('[priors.x]\nratio = 0.9\ninterval = [0.95, 1.1]\nsource = "a"', "0 < low < ratio < high"),
        ('[priors.x]\nratio = 0.9\ninterval = [0.8, 1.1]\nsource = " "', "source must say"),
        (
            '[priors.x]\nratio = 0.9\ninterval = [0.8, 1.1]\nsource = "a"\noutcome = "odds_ratio"',
            "name it, as baseline_risk = 0.2",
        ),
        (
            '[priors.x]\nratio = 0.9\ninterval = [0.8, 3]\nsource = "a"\noutcome = "risk_ratio"\n'
            "baseline_risk = 0.5",
            "is a risk above 1",
        ),
        (
            '[priors.x]\nratio = 0.9\ninterval = [0.8, 1.1]\nsource = "a"\nrobust = 1.0',
            "robust is a probability",
        ),
        ("[priors]\nx = 3", "must be a table of its own"),
        ('[target_trial]\nbegun = "day"', 'the key "grace" is missing'),
        ('[target_trial]\nbegun = "day"\ngrace = 2\nmarker = "x"', "unknown key"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, more, words):
    folder = ls.example_path("icu_admissions")
    text = (folder / "study.toml").read_text(encoding="utf-8").split("[target_trial]")[0]
    for name in ("patients.csv", "measurements.csv"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "study.toml").write_text(f"{text}\n{more}\n", encoding="utf-8")
    with pytest.raises(DataError, match=words):
        Study.from_toml(tmp_path / "study.toml")
