"""A joint model's answer is asked as the functions are."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from joint_cohorts import joint, simulated

from longsurv.results.joint.questions import JointEstimateQuestions, JointPosteriorQuestions

HOMES = {
    "joint_effects": "estimands.joint_effects:joint_effects",
    "prediction_quality": "estimands.prediction_quality:prediction_quality",
    "marker_residuals": "diagnostics.joint_checks:marker_residuals",
    "event_residuals": "diagnostics.joint_checks:event_residuals",
    "association_check": "results.joint.association_check:association_check",
    "influence": "diagnostics.joint_influence:joint_influence",
    "predictive_checks": "diagnostics.joint_replicates:predictive_checks",
}


def function(name: str) -> Callable[..., object]:
    module, _, attribute = HOMES[name].partition(":")
    return getattr(import_module(f"longsurv.{module}"), attribute)


def test_every_question_is_a_method() -> None:
    asked = {
        name
        for owner in (JointEstimateQuestions, JointPosteriorQuestions)
        for name, _ in inspect.getmembers(owner, inspect.isfunction)
        if not name.startswith("plot_")  # which draws what others answer
    }
    assert asked == set(HOMES)


@pytest.mark.parametrize("name", HOMES)
def test_a_method_takes_what_its_function_takes(name: str) -> None:
    owner = JointEstimateQuestions if name == "influence" else JointPosteriorQuestions
    method = getattr(owner, name)
    own = list(inspect.signature(method).parameters.values())[1:]
    wanted = list(inspect.signature(function(name)).parameters.values())[1:]
    kept = [p for p in wanted if p.name != "refit"]  # in the folds by maximum likelihood
    assert [(p.name, p.kind, p.default) for p in own] == [(p.name, p.kind, p.default) for p in kept]
    described = inspect.getdoc(method) or ""
    assert all(p.name in described for p in own)


def test_the_answers_are_the_functions() -> None:
    fit = joint(*simulated(np.random.default_rng(3), 40)).fit()
    for name in ("marker_residuals", "event_residuals"):
        pd.testing.assert_frame_equal(getattr(fit, name)(), function(name)(fit))
    options = {"treatment": "treated", "horizon": 3.0, "draws": 5}
    mine, theirs = fit.joint_effects(**options), function("joint_effects")(fit, **options)
    pd.testing.assert_frame_equal(mine.table, theirs.table)
