"""Every specification has the same small protocol, and nobody goes around it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from longsurv.design.residual import Residual
from longsurv.inference.specification import Specification
from longsurv.models import GLMM, LMM, CoxPH, FineGray, Hazard, JointModel, Linear

ROOT = Path(__file__).resolve().parents[2]
SPECIFICATIONS = (LMM, GLMM, Linear, CoxPH, Hazard, JointModel)
PATIENTS = pd.DataFrame(
    {
        "t": [3.0, 5.0, 2.0, 8.0, 7.0, 4.0, 6.0, 9.0],
        "event": [1, 0, 1, 1, 0, 1, 1, 0],
        "z": [0.1, 0.5, -0.3, 0.9, 0.2, 0.0, 0.7, -0.4],
    }
)


def _options(method, after: int = 1) -> dict[str, object]:
    """Name and default of each option, after self and the like."""
    found = [*inspect.signature(method).parameters.values()][after:]
    return {one.name: one.default for one in found}


@pytest.mark.parametrize("family", SPECIFICATIONS)
def test_a_family_has_every_member(family) -> None:
    for name in Specification.__protocol_attrs__:
        assert hasattr(family, name) or name in family.__dataclass_fields__, name


@pytest.mark.parametrize("family", SPECIFICATIONS)
def test_the_two_steps_take_the_options_of_the_whole(family) -> None:
    for whole, first, second in (
        (family.fit, family.find, family.estimate),
        (family.sample, family.draw, family.posterior),
    ):
        of_steps = _options(first) | _options(second, after=2)
        assert of_steps == _options(whole)
        for one, two in ((first, 1), (second, 2)):
            assert _options(one, two).items() <= _options(whole).items()


@pytest.mark.parametrize("family", [CoxPH, Hazard])
def test_other_rows_and_other_times(family) -> None:
    spec = family("Surv(t, event) ~ z", PATIENTS)
    fit = spec.fit()
    assert isinstance(spec, Specification)
    np.testing.assert_array_equal(spec.estimate(spec.find()).coefficients, fit.coefficients)
    fewer = spec.with_data(PATIENTS.iloc[1:])
    assert fewer.fit().nobs == fit.nobs - 1 and spec.fit().nobs == fit.nobs
    longer = spec.with_design(_later(spec.design))
    np.testing.assert_allclose(longer.fit().coefficients, fit.coefficients, rtol=1e-6)
    assert longer.design.exit[0] == 2.0 * spec.design.exit[0]


def _later(design):
    from dataclasses import replace

    return replace(design, exit=2.0 * design.exit, entry=2.0 * design.entry)


def _calls(where: tuple[str, ...]) -> Iterator[tuple[Path, str, ast.AST]]:
    """File, function and node of all the code in folders."""
    for folder in where:
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield from _within(file, "", ast.parse(file.read_text(encoding="utf-8")))


def _within(file: Path, inside: str, node: ast.AST) -> Iterator[tuple[Path, str, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        name = child.name if isinstance(child, ast.FunctionDef) else inside
        yield file, name, child
        yield from _within(file, name, child)


def _is_call_of(node: ast.AST, *words: str) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in words


def _writes_to_vars(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):
        targets = [t for t in node.targets if isinstance(t, ast.Subscript)]
        return any(_is_call_of(t.value, "vars") for t in targets)
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("update", "setdefault", "pop")
        and _is_call_of(node.func.value, "vars")
    )


def test_nothing_that_is_frozen_is_changed() -> None:
    # A copy's cached parts; a module's table of names; numba's own settings; a picture's cached
    # drawings, which another process made.
    allowed = {"specification.py", "lazy.py", "compiling.py", "common.py"}
    for file, inside, node in _calls(("src/longsurv", "models")):
        if _is_call_of(node, "object.__setattr__"):
            assert inside == "__post_init__", f"{file}: {inside}"
        if _writes_to_vars(node):
            assert file.name in allowed, f"{file}: {inside}"


def test_which_engine_an_answer_is_of_is_asked_of_the_answer() -> None:
    """`result.engine` says it; other questions are for a Protocol or a type."""
    asking = [file for file, _, node in _calls(("src/longsurv", "models"))
              if _is_call_of(node, "hasattr")]  # fmt: skip
    # which see what is not longsurv's own
    at_the_door = {"arguments.py", "frames.py", "hints.py", "adapters.py", "place.py", "threads.py"}
    of_names = {"elsewhere.py", "result.py"}  # which answer for names that a class has not
    assert {file.name for file in asking} <= at_the_door | of_names


VISITS = pd.DataFrame({
    "id": np.repeat(np.arange(8), 2), "time": np.tile([0.0, 1.0], 8), "y": np.arange(16.0) % 5 + 1,
    "site": np.repeat([0, 0, 1, 1, 2, 2, 3, 3], 2), "high": np.tile([0, 1], 8),
})  # fmt: skip
MARKER = LMM("log(y) ~ time + (1 | id)", VISITS)
EVENT = PATIENTS.assign(id=np.arange(8), site=[0, 0, 1, 1, 2, 2, 3, 3])
STATED = [
    (MARKER, "LMM('log(y) ~ time + (1 | id)', rows=16, groups={'id': 8})"),
    (
        LMM("y ~ time + (1 | site/id)", VISITS),
        "LMM('y ~ time + (1 | site/id)', rows=16, groups={'site': 4, 'site:id': 8})",
    ),
    (
        LMM("y ~ time", VISITS, Residual("unstructured", visit="time", patient="site:id")),
        "rows=16, groups={'site:id': 8})",
    ),
    (
        GLMM("high ~ time + (1 | id)", VISITS, nodes=5),
        "GLMM('high ~ time + (1 | id)', nodes=5, rows=16, groups={'id': 8})",
    ),
    (
        Linear("y ~ time", VISITS, "id"),
        "Linear('y ~ time', patient='id', rows=16, groups={'id': 8})",
    ),
    (CoxPH("Surv(t, event) ~ z", PATIENTS), "CoxPH('Surv(t, event) ~ z', rows=8)"),
    (
        CoxPH("Surv(t, event) ~ f(z) + strata(site)", EVENT, "breslow", functions={"f": np.tanh}),
        "CoxPH('Surv(t, event) ~ f(z) + strata(site)', ties='breslow', functions=['f'], rows=8, "
        "groups={'site': 4})",
    ),
    (
        Hazard("Surv(t, event) ~ z", EVENT, "weibull", patient="id"),
        "Hazard('Surv(t, event) ~ z', baseline='weibull', patient='id', rows=8, groups={'id': 8})",
    ),
    (
        JointModel(MARKER, CoxPH("Surv(t, event) ~ z", EVENT), time="time"),
        "time='time', rows={'y': 16, 'event': 8}, groups={'id': 8})",
    ),
    (CoxPH("Surv(t ~ z", PATIENTS), "CoxPH('Surv(t ~ z', rows=8)"),
]


@pytest.mark.parametrize(("spec", "end"), STATED)
def test_it_is_shown_by_formula_rows_and_groups(spec, end) -> None:
    assert repr(spec).endswith(end)
    assert repr(spec).startswith(f"{type(spec).__name__}({spec.formula!r}, ")
    assert "\n" not in repr(spec)


def test_every_specification_is_shown_so() -> None:
    assert {type(spec) for spec, _ in STATED} == set(SPECIFICATIONS)
    assert all("__repr__" in vars(family) for family in (*SPECIFICATIONS, FineGray))
