"""Kernels are compiled at -O1, what others compile as before; `longsurv warm` keeps nothing."""

from __future__ import annotations

from pathlib import Path

import numba
import pytest
from numba.core import config, event

import longsurv.likelihood  # noqa: F401 - whose import asks for the lighter level
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
