"""Every public answer has a summary, and a figure or the reason why it has none."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import is_protocol

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

import longsurv as ls
from longsurv import estimands as es
from longsurv.diagnostics import concordance
from longsurv.errors import MissingNameError
from longsurv.estimands.follow_up import by_group
from longsurv.estimands.kaplan_meier import kaplan_meier
from longsurv.tables.result import Result
from longsurv.tables.summary import Summary

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "site"))
from public import ROOMS, names

ROOT = Path(__file__).parents[2]
ANSWERS = (
    "analyses",
    "compare",
    "diagnostics",
    "estimands",
    "results",
    "simulate",
    "study.results",
)
"""Where answers live; models, designs, priors and schemas are what is put in."""
INPUTS = {
    "BaselineAdjustment", "DeathInMarkers", "Panel", "Mortality", "TargetTrial",  # specifications
    "Change", "Counts", "FollowUp", "Extent", "Histories", "Unseen",  # what estimands are asked of
    "HistoricalPrior",  # a prior
    "Conditional", "ImputedRows", "RowArrays", "Strategy",  # what an imputation is made of
    "LimitedConditional", "LimitedRows",  # the same where values lie beyond a limit
    "Comparison",  # which two arms a question is about
    "ComparedRows", "Regression",  # the rows two models share, and the line through them
    "Composite",  # a marker and death as one outcome
    "ProfilePath",  # what a profile walks along
}  # fmt: skip


def classes() -> dict[str, type]:
    """Classes of the modules that are imported, by name; public names are unique."""
    return {
        value.__name__: value
        for name, module in list(sys.modules.items())
        if name.startswith("longsurv.")
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == name
    }


def returned(function: object) -> list[type]:
    """The classes of longsurv that a function says it returns."""
    hint = getattr(inspect.unwrap(function), "__annotations__", {}).get("return", "")
    words = re.findall(r"\w+", hint if isinstance(hint, str) else str(hint))
    found = [KNOWN[word] for word in words if word in KNOWN]
    return [kind for kind in found if not is_protocol(kind)]  # that only says what is used


def answers() -> dict[str, type]:
    """Every class that a public function, or a method of what it returns, hands out."""
    todo: list[object] = []
    for room in ROOMS:
        for path in names(room).values():
            home, _, name = path.rpartition(".")
            todo.append(getattr(import_module(home), name))
    KNOWN.update(classes())
    seen: dict[type, None] = {}
    while todo:
        one = todo.pop()
        if not isinstance(one, type):
            todo += [c for c in returned(one) if c not in seen] if callable(one) else []
            continue
        if one in seen:
            continue
        seen[one] = None
        for name, member in inspect.getmembers(one):
            function = getattr(member, "fget", None) or getattr(member, "func", member)
            if not name.startswith("_") and inspect.isfunction(function):
                todo += returned(function)
    rooms = tuple(f"longsurv.{room}" for room in ANSWERS)
    return {
        c.__name__: c for c in seen
        if c.__module__.startswith(rooms) and c.__name__ not in INPUTS
    }  # fmt: skip


KNOWN: dict[str, type] = {}
FOUND = answers()


def test_answers_are_found():
    some = {"SurvivalCurve", "CumulativeIncidence", "LogRank", "PredictionQuality", "Influence",
            "MixedEstimate", "JointPosterior", "StudyResults", "PriorGrid"}  # fmt: skip
    assert some <= set(FOUND)


@pytest.mark.parametrize("name", sorted(FOUND))
def test_a_summary_and_a_figure_or_why_not(name):
    kind = FOUND[name]
    assert callable(kind.summary)
    drawn = [n for n in dir(kind) if n == "plot" or n.startswith("plot_")]
    assert drawn or len(kind.no_plot) > 20, "neither plot() nor no_plot"
    if drawn:
        assert not hasattr(kind, "no_plot")
        assert "ax" in inspect.signature(getattr(kind, drawn[0])).parameters


PEOPLE = pd.DataFrame({
    "entry": [0.0] * 8, "exit": [2.0, 4, 5, 9, 3, 6, 9, 9], "status": [1, 2, 1, 0, 1, 0, 2, 0],
    "arm": ["a"] * 4 + ["b"] * 4,
})  # fmt: skip


@pytest.fixture(scope="module")
def asked() -> dict[str, object]:
    rng = np.random.default_rng(3)
    mine, theirs = by_group(PEOPLE, "arm").values()
    mixed = pd.DataFrame({"arm": ["a", "b"] * 20, "age": rng.normal(60, 9, 40)})
    rows = pd.DataFrame({"id": np.repeat(range(12), 3), "t": [0.0, 1, 2] * 12})
    rows["y"] = rng.normal(size=36) + rng.normal(size=12)[rows["id"]]
    lmm = ls.models.LMM("y ~ t + (1 | id)", rows).fit()
    cox = pd.DataFrame({"t": rng.exponential(5, 40), "d": 1, "x": rng.normal(size=40)})
    return {
        "survival": kaplan_meier(mine),
        "incidence": es.cumulative_incidence(mine, 1),
        "log-rank": es.log_rank(mine, theirs),
        "permutation": es.permutation_test(mine, theirs),
        "Gray": es.gray_test(PEOPLE, "arm"),
        "mean": es.restricted_mean(mine, 9.0),
        "E-value": es.e_value(2.0, 1.2, 3.1),
        "needed": es.number_needed_to_treat(0.1, 0.02, 0.2),
        "beta": es.BetaBinomial(es.Counts(3, 20, 8, 21)),
        "weights": es.overlap_weights(mixed, "arm", "age"),
        "concordance": concordance(np.arange(5.0), np.array([5.0, 4, 3, 2, 1]), np.ones(5)),
        "influence": lmm.influence(),
        "zph": ls.models.CoxPH("Surv(t, d) ~ x", cox).fit().proportional_hazards(),
        "verdict": lmm.diagnose(),
    }


NAMES = ("survival", "incidence", "log-rank", "permutation", "Gray", "mean", "E-value", "needed",
         "beta", "weights", "concordance", "influence", "zph", "verdict")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_each_is_read_and_drawn(name, asked):
    answer = asked[name]
    shown = answer.summary()
    assert isinstance(shown, Summary) and len(str(shown).splitlines()) > 3
    assert "<" in answer._repr_html_() and answer.to_markdown() and answer.to_latex()
    if hasattr(type(answer), "no_plot"):
        with pytest.raises(MissingNameError, match=r"has no plot; .*(summary|model)"):
            _ = answer.plot
        return
    figure, place = plt.subplots()
    try:
        drawn = answer.plot(ax=place)
        assert drawn is place and len(drawn.get_label()) > 30
        figure.canvas.draw()
    finally:
        plt.close("all")


def fields_printed(owner: type) -> list[str]:
    """Fields that the `repr` which dataclasses make would print, and that may be tables."""
    made = getattr(owner.__repr__, "__wrapped__", None) is not None
    return [
        field.name
        for field in (dataclasses.fields(owner) if made and dataclasses.is_dataclass(owner) else ())
        if field.repr and "DataFrame" in str(field.type)
    ]


def test_no_answer_and_no_question_prints_a_whole_table_as_a_field(asked):
    """Answers print their words, or a table as a table; specifications do not print their data."""
    from longsurv import analyses, models

    specifications = [getattr(of, name) for of in (models, analyses) for name in of.__all__]
    shown = [*(found for found in classes().values() if issubclass(found, Result)), *specifications]
    owners = [owner for owner in shown if not owner.__module__.startswith("longsurv.study.")]
    assert {owner.__name__: f for owner in owners if (f := fields_printed(owner))} == {}
    made = dataclasses.make_dataclass("Made", [("table", pd.DataFrame)])
    assert fields_printed(made) == ["table"]
    assert str(asked["verdict"]) == repr(asked["verdict"]) == asked["verdict"].words


def test_what_curves_say(asked):
    table = asked["survival"].table()
    assert list(table["estimate"]) == pytest.approx([1, 0.75, 0.75, 0.375, 0.375])
    assert list(table["n_risk"]) == [0, 4, 3, 2, 1]  # none before the first entry
    assert list(asked["incidence"].table()["estimate"]) == pytest.approx([0, 0.25, 0.25, 0.5, 0.5])
    assert "Survival at 9: 0.375" in _label(asked["survival"])
    assert "status 1 at 9: 0.5" in _label(asked["incidence"])


def _label(answer: object) -> str:
    label: str = answer.plot().get_label()
    plt.close("all")
    return label


SOURCES = [*(ROOT / "src" / "longsurv").rglob("*.py"), *(ROOT / "models").glob("*.py")]
DRAWS = {"axhline", "axvline", "barh", "errorbar", "fill_between", "scatter", "set_xlim"}


def test_one_code_path_draws_for_the_report_and_for_plot():
    """Whatever is drawn is drawn in longsurv/figures, from plain tables, for whoever asks."""
    for path in SOURCES:
        if "figures" in path.parts:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        called = {n.func.attr for n in ast.walk(tree)
                  if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)}  # fmt: skip
        assert not called & DRAWS, path
        typed = {
            inner for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }  # fmt: skip
        modules = {
            node.module or "" for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node not in typed
        }  # fmt: skip
        assert not any(name.startswith("matplotlib") for name in modules - ALLOWED), path


ALLOWED = {"matplotlib"}
"""`from matplotlib import ...` of what closes or saves figures, such as pyplot."""


@cache
def plots() -> dict[str, ast.FunctionDef]:
    """Every public method that draws, by class."""
    found = {}
    for path in SOURCES:
        for kind in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(kind, ast.ClassDef):
                for part in kind.body:
                    if isinstance(part, ast.FunctionDef) and re.fullmatch(
                        r"plot(_\w+)?", part.name
                    ):
                        found[f"{path.stem}.{kind.name}.{part.name}"] = part
    return found


@pytest.fixture(scope="module")
def calls() -> dict[str, set[str]]:
    """By the name of a function: the names of what it calls, in all that are called so."""
    found: dict[str, set[str]] = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                found.setdefault(node.name, set()).update(_called(node))
    return found


def _called(function: ast.FunctionDef) -> set[str]:
    return {
        n.func.attr if isinstance(n.func, ast.Attribute) else getattr(n.func, "id", "")
        for n in ast.walk(function) if isinstance(n, ast.Call)
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(plots()))
def test_every_figure_of_plot_has_a_text_alternative(name, calls):
    """`described` puts it into the label, in the method or in what that calls to draw."""
    reached = level = _called(plots()[name])
    for _ in range(3):
        level = {n for one in level - {"plot", "summary"} for n in calls.get(one, ())}
        reached = reached | level
    assert "described" in reached
