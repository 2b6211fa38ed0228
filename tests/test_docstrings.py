"""Every public method says by itself what it takes, as `help` shows it."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from longsurv.tables.notebook import Readable

ROOT = Path(__file__).resolve().parents[1]
# Kernels, climbs, designs and the distributions, whose base class says what each method is for.
WITHIN = {
    "inference", "likelihood", "design", "priors.density", "priors.families", "priors.prior",
    "priors.stack", "faults", "cli",
}  # fmt: skip


def modules() -> Iterator[str]:
    for folder, name in ((ROOT / "src/longsurv", "longsurv"), (ROOT / "models", "longsurv.models")):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            if not WITHIN & {parts[0], ".".join(parts[:2])} and not parts[-1].startswith("__main"):
                yield ".".join((name, *parts)).removesuffix(".__init__")


def methods(module: str) -> dict[str, object]:
    """The public methods of the classes that a module defines, protocols apart."""
    found = {}
    for owner in vars(importlib.import_module(module)).values():
        if not inspect.isclass(owner) or owner.__module__ != module or owner.__name__[0] == "_":
            continue
        if getattr(owner, "_is_protocol", False):
            continue
        for name, given in vars(owner).items():
            method = getattr(given, "__func__", given)
            if inspect.isfunction(method) and not name.startswith("_"):
                found[f"{module}.{owner.__name__}.{name}"] = inspect.unwrap(method)
    return found


def answers(module: str) -> Iterator[type]:
    """The classes of a module that say something as a table or, at the end, in words."""
    for owner in vars(importlib.import_module(module)).values():
        if not inspect.isclass(owner) or owner.__module__ != module or owner.__name__[0] == "_":
            continue
        fields = {name for base in owner.__mro__ for name in getattr(base, "__annotations__", {})}
        table = {"tidy", "table"} & (fields | set(dir(owner)))
        if table and not getattr(owner, "_is_protocol", False):
            yield owner


def unsaid(method: object) -> list[str]:
    """The parameters of a method that its docstring does not describe."""
    names = [name for name in inspect.signature(method).parameters if name not in ("self", "cls")]
    _, _, said = (inspect.getdoc(method) or "").partition("Parameters\n----------\n")
    heads = " ".join(line for line in said.splitlines() if line[:1] not in ("", " ", "-"))
    return [name for name in names if not re.search(rf"(^|[\s,*]){name}\b", heads)]


@pytest.fixture(scope="module")
def public() -> dict[str, object]:
    return {name: method for module in modules() for name, method in methods(module).items()}


def test_every_public_method_says_what_it_takes(public: dict[str, object]) -> None:
    assert len(public) > 300
    lacking = {name: missing for name, method in public.items() if (missing := unsaid(method))}
    assert lacking == {}


def test_every_public_method_says_what_it_is(public: dict[str, object]) -> None:
    assert [name for name, method in public.items() if not inspect.getdoc(method)] == []


def test_every_answer_is_shown_in_a_notebook() -> None:
    rooms = tuple(
        f"longsurv.{room}" for room in ("results", "analyses", "estimands", "diagnostics")
    )
    found = [owner for name in modules() if name.startswith(rooms) for owner in answers(name)]
    plain = {owner.__name__ for owner in found if not hasattr(owner, "_repr_html_")}
    assert len(found) > 25
    assert plain == {"Counts"}  # four numbers, given by the user


def test_a_notebook_shows_sentences_and_tables_and_no_markup_of_names() -> None:
    class Answer(Readable):
        read_as = ("words", "tidy")
        words = "a < b"

        def tidy(self) -> pd.DataFrame:
            return pd.DataFrame({"term": ["<b>"], "estimate": [0.123456]})

    page = Answer()._repr_html_()
    assert page.index("<p>a &lt; b</p>") < page.index("<table>")
    assert "&lt;b&gt;" in page and "<b><" not in page and ">0.1235</td>" in page


def test_a_parameter_that_is_not_said_is_seen() -> None:
    def some(self, level, *along, draws=1):
        """It takes a level.

        Parameters
        ----------
        draws : int
            Of `level`.
        *along : str
        """

    assert unsaid(some) == ["level"]
