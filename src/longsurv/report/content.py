"""What the report says, in reading order, for documents that are not the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import TYPE_CHECKING

from longsurv.report.guidelines import Location
from longsurv.report.sections import SECTIONS, Builder, Section, builder
from longsurv.report.sections.common import Line, Picture
from longsurv.tables.display import DisplayTable

if TYPE_CHECKING:
    from longsurv.study import StudyResults

# Parts of a section that only a page can use, by the section's id.
ON_THE_PAGE_ONLY = {"explorer"}


@dataclass(frozen=True)
class Heading:
    """Of a section (level 1) or of a part of one (level 2)."""

    text: str
    level: int


Item = Heading | str | DisplayTable | Picture


def content(results: StudyResults, build: Builder | None = None) -> Iterator[Item]:
    """Headings, paragraphs, tables and figures in the order of the sections.

    Parameters
    ----------
    results : StudyResults
    build : callable, optional
        Of the sections, where other documents show them too.
    """
    build = build or builder(results)
    places: dict[str, Location] = {}
    for section in SECTIONS:
        if section.id not in ON_THE_PAGE_ONLY:
            yield Heading(section.title, 1)
            found, reason = results.faults.attempt(
                f"Section {section.title!r}", partial(_made, section, build, places)
            )
            yield from found or [f"This section could not be made. {reason.rstrip('.')}."]


def _made(section: Section, build: Builder, places: dict[str, Location]) -> list[Item]:
    built = build(section, places)
    places |= shown(section, built)
    return _without_empty_parts(list(_items(built)))


def _without_empty_parts(items: list[Item]) -> list[Item]:
    """Leave out headings under which nothing stands."""
    following = [*items[1:], Heading("", 1)]
    return [
        item
        for item, after in zip(items, following, strict=True)
        if not (isinstance(item, Heading) and isinstance(after, Heading))
    ]


def shown(section: Section, built: object) -> dict[str, Location]:
    """What a section as built holds, each with where it stands.

    Parameters
    ----------
    section : Section
    built : object
        What its `build` gave.

    Returns
    -------
    dict of str to Location
        The section by its id; each of its fields that is not empty by "id.field"; its tables and
        figures by their names.
    """
    found = {section.id: Location(section.title)}
    for name, value in _fields(built).items():
        if any(True for _ in _items(value)):
            found[f"{section.id}.{name}"] = Location(section.title)
    part = ""
    for item in _items(built):
        if isinstance(item, Heading):
            part = item.text
        elif isinstance(item, DisplayTable) and item.name:
            found.setdefault(item.name, Location(section.title, item.caption))
        elif isinstance(item, Picture):
            found.setdefault(item.name, Location(section.title, part))
    return found


def pictures(built: object) -> list[Picture]:
    """The figures of a section as built, in order.

    Parameters
    ----------
    built : object
        What its `build` gave.
    """
    return [item for item in _items(built) if isinstance(item, Picture)]


def _fields(part: object) -> dict[str, object]:
    """The named parts of a mapping or dataclass."""
    if isinstance(part, Mapping):
        return {str(key): value for key, value in part.items()}
    assert is_dataclass(part)
    return {f.name: getattr(part, f.name) for f in fields(part)}


def _items(part: object) -> Iterator[Item]:
    """What a section's value holds, its mappings, lists and dataclasses opened in order."""
    if isinstance(part, str):
        if part:
            yield part
    elif isinstance(part, Line):
        yield part.text
    elif isinstance(part, Picture):
        yield part
    elif isinstance(part, DisplayTable):
        if part.rows:
            yield part
    elif isinstance(part, Mapping):
        for key, value in part.items():
            if key == "title" or str(key).endswith("_title"):
                yield Heading(str(value), 2)
            else:
                yield from _items(value)
    elif is_dataclass(part):
        yield from _items(_fields(part))
    elif isinstance(part, tuple | list):
        for value in part:
            yield from _items(value)
