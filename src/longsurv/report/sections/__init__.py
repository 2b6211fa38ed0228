"""The sections of the report, one file each: from study results to what the template shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import longsurv.report.sections.answer as answer
import longsurv.report.sections.checks as checks
import longsurv.report.sections.cohort as cohort
import longsurv.report.sections.comparison as comparison
import longsurv.report.sections.explorer as explorer
import longsurv.report.sections.guidelines as guidelines
import longsurv.report.sections.joint as joint
import longsurv.report.sections.markers as markers
import longsurv.report.sections.methods as methods
import longsurv.report.sections.mortality as mortality
import longsurv.report.sections.simple as simple
from longsurv.report.guidelines import Location
from longsurv.report.sections.titles import TITLES

if TYPE_CHECKING:
    from longsurv.study import StudyResults


@dataclass(frozen=True)
class Section:
    """One section: its id names its template, and the variable the template reads."""

    id: str
    title: str
    build: Callable[[StudyResults, Mapping[str, Location]], object]
    """From the results, and what the sections before it show (see `content.shown`)."""


def _of_results(build: Callable[[StudyResults], object]) -> Callable[..., object]:
    """A section that does not ask what the others show."""
    return lambda results, _: build(results)


_OF_RESULTS: dict[str, Callable[[StudyResults], object]] = {
    "answer": answer.build,
    "cohort": cohort.build,
    "simple": simple.build,
    "markers": markers.build,
    "mortality": mortality.build,
    "joint": joint.build,
    "explorer": explorer.build,
    "comparison": comparison.build,
    "checks": checks.build,
    "methods": methods.build,
}
_BUILD = {key: _of_results(build) for key, build in _OF_RESULTS.items()}
_BUILD["guidelines"] = guidelines.build
Builder = Callable[[Section, Mapping[str, Location]], object]
"""From a section and what those before it show to what its template shows."""


def builder(results: StudyResults) -> Builder:
    """Builds a section once for all documents that show it, unless it asks what they show."""
    built: dict[str, object] = {}

    def build(section: Section, places: Mapping[str, Location]) -> object:
        if section.id not in _OF_RESULTS or section.id not in built:
            built[section.id] = section.build(results, places)
        return built[section.id]

    return build


SECTIONS = tuple(Section(key, title, _BUILD[key]) for key, title in TITLES.items())
