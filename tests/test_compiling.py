"""Kernels are compiled at -O1, what others compile as before; `longsurv warm` keeps nothing."""

from __future__ import annotations

import ast
from pathlib import Path

import numba
import pytest
from numba.core import config, event

import longsurv
import longsurv.likelihood  # whose import asks for the lighter level
import longsurv.models
from longsurv.cli.program import main
from longsurv.compiling import _LightCompilation
from longsurv.study import Study
from longsurv.study.store import FitStore


class Levels(event.Listener):
    """The level while each function is compiled, by its name."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def on_start(self, event: event.Event) -> None:
        self.seen[event.data["dispatcher"].py_func.__name__] = int(config.OPT)

    def on_end(self, event: event.Event) -> None:
        pass


def compiled(module: str | None) -> dict[str, int]:
    """The levels at which a function of a module and one that it calls are compiled."""

    def inner(x: float) -> float:
        return x + 1.0

    inner.__module__ = "somebody.elses"
    callee = numba.njit(inner)

    def outer(x: float) -> float:
        return callee(x)

    outer.__module__ = module  # type: ignore[assignment]
    levels = Levels()
    with event.install_listener("numba:compile", levels):
        assert numba.njit(outer)(1.0) == 2.0
    return levels.seen


def test_a_kernel_and_what_it_calls_are_compiled_lightly() -> None:
    before = int(config.OPT)
    assert compiled("longsurv.likelihood.of_a_test") == {"outer": 1, "inner": 1}
    assert int(config.OPT) == before


def test_what_others_compile_is_as_it_was() -> None:
    assert compiled("somebody.elses") == {"outer": 3, "inner": 3}
    assert compiled(None) == {"outer": 3, "inner": 3}  # made by a program, as PyMC's are


def test_what_began_before_anybody_listened_may_end() -> None:
    """As where a function is being compiled while this package is imported."""
    before = int(config.OPT)
    listener = _LightCompilation()
    listener.on_end(event.Event("numba:compile", event.EventStatus.END))
    assert int(config.OPT) == before


def test_the_level_is_put_back_where_compiling_fails() -> None:
    before = int(config.OPT)

    def wrong(x: float) -> float:
        return x + "one"  # type: ignore[operator]

    wrong.__module__ = "longsurv.likelihood.of_a_test"
    with pytest.raises(numba.TypingError):
        numba.njit(wrong)(1.0)
    assert int(config.OPT) == before


def test_warming_runs_a_whole_study_and_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, object] = {}

    def run(study: Study, **how: object) -> None:
        asked.update(how, draws=study.sampling.draws)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Study, "run", run)
    assert main(["warm", "--quiet", "--jobs", "2"]) == 0
    store = asked["store"]
    assert isinstance(store, FitStore)
    assert store.folder is None
    assert asked["n_jobs"] == 2
    assert asked["draws"] == 250
    assert "is compiled" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


SCALARS = (ast.Constant, ast.UnaryOp, ast.Attribute)
"""What a slice may be set to: a number as it is written, or one of a module's (`np.nan`)."""


def slices_set_to_arrays(text: str) -> list[str]:
    """Assignments to a slice in the compiled functions of a file, but for those of a number."""
    found = []
    for function in ast.walk(ast.parse(text)):
        if not isinstance(function, ast.FunctionDef):
            continue
        if not any("njit" in ast.unparse(decorator) for decorator in function.decorator_list):
            continue
        for line in ast.walk(function):
            if not isinstance(line, ast.Assign):
                continue
            values = [line.value]
            if isinstance(line.value, ast.IfExp):
                values = [line.value.body, line.value.orelse]
            sliced = any(
                isinstance(target, ast.Subscript)
                and any(isinstance(part, ast.Slice) for part in ast.walk(target.slice))
                for target in line.targets
            )
            if sliced and not all(isinstance(value, SCALARS) for value in values):
                found.append(f"{function.name}: {ast.unparse(line)}")
    return found


def test_no_kernel_sets_a_slice_to_an_array() -> None:
    """numba compiles a sentence about unequal shapes for it, which takes a second or two."""
    assert slices_set_to_arrays("@njit(cache=True)\ndef f(a, b):\n    a[1:] = b\n    a[:] = 0.0")
    homes = [Path(longsurv.__file__).parent, Path(longsurv.models.__file__).parent]
    files = [path for home in homes for path in home.rglob("*.py")]
    found = {path.name: slices_set_to_arrays(path.read_text("utf-8")) for path in files}
    assert not {name: lines for name, lines in found.items() if lines}
