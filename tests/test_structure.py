"""The house as CONTRIBUTING.md draws it: floors, and no circle among files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ((ROOT / "src/longsurv", "longsurv"), (ROOT / "models", "longsurv.models"))

type Graph = dict[str, set[str]]


def modules() -> dict[str, Path]:
    """Every module of the package, a package by its own name, and its file."""
    found = {}
    for folder, name in FOLDERS:
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join((name, *parts)).removesuffix(".__init__")] = path
    return found


def imported(name: str, source: str, known: Mapping[str, object]) -> Iterator[str]:
    """The modules of the package that one imports, those for the type checker too."""
    is_package = any(other.startswith(f"{name}.") for other in known)
    package = name if is_package else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                module = ".".join([*above, module] if module else above)
            for alias in node.names:
                full = f"{module}.{alias.name}"
                target = full if full in known else module
                if target in known:
                    yield target


def graph(sources: Mapping[str, str]) -> Graph:
    """Who imports whom."""
    return {name: set(imported(name, text, sources)) - {name} for name, text in sources.items()}


def circles(edges: Graph) -> list[list[str]]:
    """Groups of modules each of which leads to all others of its group.

    Whoever is on a circle can come back to itself; two are on one if each leads to the other.
    """
    reach = {name: _reachable(edges, name) for name in edges}
    on = {name for name in edges if name in reach[name]}
    groups = {tuple(sorted(o for o in on & reach[n] if n in reach[o])) for n in on}
    return sorted(map(list, groups))


def _reachable(edges: Graph, start: str) -> set[str]:
    seen: set[str] = set()
    todo = list(edges[start])
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += edges[name]
    return seen


def floors(text: str) -> dict[str, int]:
    """The floor of each part in the picture, the ground having the lowest number."""
    picture = text.split("<!-- floors -->")[1]
    lines = [line for line in picture.splitlines() if line.startswith("    ")]
    return {
        part: height
        for height, line in enumerate(reversed(lines))
        for part in re.findall(r"[a-z_]+", line.split(" - ")[0])
    }


def part_of(module: str) -> str:
    """The folder, or the file at the top, that a module is in."""
    return module.split(".")[1]


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    return {name: path.read_text(encoding="utf-8") for name, path in modules().items()}


def test_no_circle_among_files(sources: dict[str, str]) -> None:
    found = graph(sources)
    assert found["longsurv.study.study"] >= {"longsurv.study.plan", "longsurv.study.store"}
    assert circles(found) == []


def test_every_import_leads_to_a_lower_floor_of_the_picture(sources: dict[str, str]) -> None:
    drawn = floors((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    parts = {part_of(name) for name in sources if name != "longsurv"}
    assert set(drawn) == parts
    upward = {
        f"{name} imports {target}"
        for name, targets in graph(sources).items()
        for target in targets
        if "longsurv" not in (name, target) and part_of(name) != part_of(target)
        if drawn[part_of(name)] <= drawn[part_of(target)]
    }
    assert upward == set()


def test_a_circle_is_seen_wherever_it_is_imported() -> None:
    apart = {
        "longsurv": "",
        "longsurv.a": "from longsurv.b import x\nfrom longsurv.b.c import z",
        "longsurv.b": "",
        "longsurv.b.c": "from longsurv import d",
        "longsurv.d": "",
    }
    assert circles(graph(apart)) == []
    for last in (
        "def f():\n    from longsurv.a import y",
        "if TYPE_CHECKING:\n    from longsurv import a",
        "import longsurv.a",
        "from .a import y",
        "from . import a",
    ):
        found = circles(graph(apart | {"longsurv.d": last}))
        assert found == [["longsurv.a", "longsurv.b.c", "longsurv.d"]]


def test_a_circle_leaves_out_what_only_leads_to_it() -> None:
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"a"}}
    assert circles(edges) == [["a", "b", "c"]]


def test_the_picture_is_read_from_the_ground_up() -> None:
    text = "x\n<!-- floors -->\n\n    roof - shows\n    left  right\n    ground\n\n<!-- floors -->"
    assert floors(text) == {"ground": 0, "left": 1, "right": 1, "roof": 2}


def test_a_public_class_has_a_name_of_its_own(sources: dict[str, str]) -> None:
    homes: dict[str, list[str]] = {}
    for module, text in sources.items():
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(module)
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


def unknown_types(source: str) -> list[int]:
    """Lines that say `Any`, but for imports and for those that say why: `# any: ...`."""
    tree, lines = ast.parse(source), source.splitlines()
    named = {
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == "Any")
        or (isinstance(node, ast.Attribute) and node.attr == "Any")
    }
    return sorted(line for line in named if not re.search(r"#.*\bany: \w", lines[line - 1]))


def test_a_type_is_said_or_why_it_cannot_be(sources: dict[str, str]) -> None:
    silent = {f"{name}:{line}" for name, text in sources.items() for line in unknown_types(text)}
    assert silent == set()


def test_few_types_cannot_be_said(sources: dict[str, str]) -> None:
    said = [line for text in sources.values() for line in text.splitlines() if "# any: " in line]
    assert 0 < len(said) < 40


def test_an_unknown_type_is_seen_wherever_it_is() -> None:
    for text in (
        "from typing import Any\ndef f(x: Any) -> int: ...",
        "import typing\nx: dict[str, typing.Any]",
        "from typing import Any\ntype X = Callable[..., Any]",
        "from typing import Any\nx: Any  # anything",
    ):
        assert unknown_types(text) == [2]
        assert unknown_types(f"{text.rpartition(chr(35))[0] or text}  # any: JSON") == []
