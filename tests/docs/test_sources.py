"""The sources of the documentation: every public name has its page, and no reference is broken.

Building the pages executes them and follows their links (`make docs`); here is what is quick.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
MADE = (
    "api/", "validation/references", "validation/benchmarks", "reference/command_line", "changelog",
)  # fmt: skip
"""Pages that the build writes."""


@pytest.fixture(scope="module")
def site() -> dict[str, ModuleType]:
    """The modules of docs/site that need no package of the documentation's own."""
    found = {}
    for name in ("public", "examples", "links", "commands", "validation"):
        spec = importlib.util.spec_from_file_location(name, DOCS / "site" / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        found[name] = module
    return found


def pages() -> dict[str, str]:
    """Every page that is written by hand, by its name in the site."""
    found = {
        path.relative_to(DOCS).with_suffix("").as_posix(): path.read_text(encoding="utf-8")
        for path in DOCS.rglob("*.md")
        if not {"_build", "site"} & set(path.relative_to(DOCS).parts)
    }
    for path in (ROOT / "examples" / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        found[f"tutorials/{path.stem}"] = "\n\n".join("".join(c["source"]) for c in cells)
    return found


def listed(page: str, text: str) -> list[str]:
    """The pages that a page's tables of contents list."""
    entries = []
    for block in re.findall(r"```\{toctree\}\n(.*?)```", text, flags=re.DOTALL):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        entries += [line.removesuffix(".md") for line in lines]
    folder = page.rpartition("/")[0]
    return [e[1:] if e.startswith("/") else f"{folder}/{e}".strip("/") for e in entries]


def test_every_public_name_has_a_page_and_an_example(site) -> None:
    assert site["examples"].gaps() == []


def test_a_name_without_an_example_is_missed(site, monkeypatch) -> None:
    room = site["public"].ROOMS[0]
    have = site["examples"].of(room)
    have.pop("compare")
    monkeypatch.setattr(site["examples"], "of", lambda one: have if one is room else {})
    assert "top.compare has no example" in site["examples"].gaps()


def test_every_example_can_be_read_as_code(site) -> None:
    for room in site["public"].ROOMS:
        for name, (_, code) in site["examples"].of(room).items():
            compile(code, name, "exec")
            used = re.search(rf"\b{name}\b", code)
            assert used or room.folder == "results", f"the example of {name} is without it"


def test_every_page_is_in_a_table_of_contents() -> None:
    written = pages()
    contents = {entry for page, text in written.items() for entry in listed(page, text)}
    assert sorted(set(written) - contents - {"index"}) == []
    unwritten = sorted(e for e in contents - set(written) if not e.startswith(MADE))
    assert unwritten == []


def test_every_link_between_pages_leads_to_one() -> None:
    written = pages()
    for page, text in written.items():
        for link in re.findall(r"\]\(([^)\s#:]+\.(?:md|ipynb))(?:#[^)]*)?\)", text):
            target = (DOCS / page).parent.joinpath(link).resolve().relative_to(DOCS.resolve())
            name = target.with_suffix("").as_posix()
            assert name in written or name.startswith(MADE), f"{page}: {link}"


def test_every_command_is_in_the_page_of_the_command_line(site, tmp_path) -> None:
    site["commands"].write(tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    for command in ("demo", "init", "check", "report", "simulate", "schema"):
        assert f"\n## {command}\n" in text


def test_every_file_of_references_has_a_title(site) -> None:
    assert set(site["validation"].files()) == set(site["validation"].TITLES)


def test_broken_links_are_found(site, tmp_path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here">1</a><a href="b.html#there">2</a><a href="c.html">3</a>'
        '<a href="https://example.org">4</a><img src="b.html">'
    )
    (tmp_path / "b.html").write_text('<p id="here"></p>')
    assert site["links"].broken(tmp_path) == [
        "a.html: b.html#there has no such place", "a.html: c.html is not there",
        "a.html: the image b.html has no text",
    ]  # fmt: skip
