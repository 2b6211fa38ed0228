"""Figures drawn by several processes, before the page and the document ask for them.

A figure that could not be drawn ahead is drawn, or fails, where it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from longsurv.faults import Faults, libraries_silenced
from longsurv.report.content import pictures, shown
from longsurv.report.guidelines import Location
from longsurv.report.sections import SECTIONS, Builder
from longsurv.report.sections.common import Picture
from longsurv.report.word import png
from longsurv.study.helpers import Shared, at_hand

if TYPE_CHECKING:
    from longsurv.study import StudyResults

type Paint = Callable[[Picture], bytes]


class Drawing(NamedTuple):
    """A figure as SVG at both widths, a panel at one, and as PNG if that is asked for."""

    wide: str
    narrow: str | None
    png: bytes | None


def draw_ahead(
    results: StudyResults, build: Builder, jobs: int = 1, *, painted: bool = False
) -> Paint:
    """Draw every figure of the report, in as many processes as there are.

    Parameters
    ----------
    results : StudyResults
    build : callable
        Of the sections, which keep their figures.
    jobs : int
        Processes at once, this one among them.
    painted : bool
        As PNG too.

    Returns
    -------
    callable
        From a figure to its PNG, each drawn once.
    """
    paints: dict[int, bytes] = {}

    def paint(picture: Picture) -> bytes:
        if id(picture) not in paints:
            paints[id(picture)] = png(picture)
        return paints[id(picture)]

    if jobs < 2:
        return paint
    with at_hand(jobs) as workers:
        shared: Shared[Drawing | None] = Shared(workers)
        found = []
        for picture in _pictures(results, build):
            shared.add(partial(_drawn, picture, painted))
            found.append(picture)
        for picture, drawing in zip(found, shared.done(), strict=True):
            if drawing is not None:
                picture.keep(drawing.wide, drawing.narrow)
                if drawing.png is not None:
                    paints[id(picture)] = drawing.png
    return paint


def _pictures(results: StudyResults, build: Builder) -> Iterator[Picture]:
    """The figures of the sections, in order; a section that cannot be built has none."""
    places: dict[str, Location] = {}
    for section in SECTIONS:
        built, reason = Faults().attempt(section.title, partial(build, section, places))
        if not reason:
            places |= shown(section, built)
            yield from pictures(built)


def _drawn(picture: Picture, painted: bool) -> Drawing | None:
    """The drawings of a figure; None if it cannot be drawn, which is told where it is asked for."""
    with libraries_silenced(lambda _: None):
        return Faults().attempt(picture.name, partial(_draw, picture, painted))[0]


def _draw(picture: Picture, painted: bool) -> Drawing:
    narrow = None if picture.panel else str(picture.narrow)
    return Drawing(str(picture.wide), narrow, png(picture) if painted else None)
