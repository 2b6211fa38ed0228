"""The simulated admissions are those of their generator, and show what their README says."""

from __future__ import annotations

from importlib import import_module

import pandas as pd
import pytest

import longsurv as ls
from longsurv.analyses import TargetTrial
from longsurv.analyses.mortality.target_answer import METHOD, NAIVE


@pytest.fixture(scope="module")
def folder():
    return ls.example_path("icu_admissions")


def test_tables_are_those_of_the_generator(folder):
    generate = import_module("longsurv.examples.icu_admissions.generate")
    for name, table in zip(
        ("patients", "measurements"), generate.simulate(generate.N, generate.SEED), strict=True
    ):
        text = table.to_csv(index=False, lineterminator="\n")
        assert (folder / f"{name}.csv").read_text(encoding="utf-8") == text


def test_the_naive_difference_is_gone_in_the_emulated_trial(folder):
    cohort = ls.read_cohort(folder / "study.toml")
    assert cohort.flow is not None and len(cohort.patients) == 400
    found = TargetTrial(
        cohort, "treatment_day", grace=2.0, adjust="age", markers=["lactate"]
    ).estimate(resamples=100)
    naive, emulated = (found.of(method, "risk difference") for method in (NAIVE, METHOD))
    assert naive["estimate"] < -0.06 and naive["conf_high"] < 0.01
    assert abs(emulated["estimate"]) < 0.05
    died = (pd.read_csv(folder / "patients.csv")["status"] == "dead").mean()
    assert 0.3 < died < 0.5
