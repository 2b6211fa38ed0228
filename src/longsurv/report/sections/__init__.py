"""The sections of the report, one file each: from study results to what the template shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import longsurv.report.sections.answer as answer
import longsurv.report.sections.checks as checks
import longsurv.report.sections.cohort as cohort
import longsurv.report.sections.comparison as comparison
import longsurv.report.sections.explorer as explorer
import longsurv.report.sections.joint as joint
import longsurv.report.sections.markers as markers
import longsurv.report.sections.methods as methods
import longsurv.report.sections.mortality as mortality
import longsurv.report.sections.simple as simple

if TYPE_CHECKING:
    from longsurv.study import StudyResults


@dataclass(frozen=True)
class Section:
    """One section: its id names its template, and the variable the template reads."""

    id: str
    title: str
    build: Callable[[StudyResults], Any]


SECTIONS = (
    Section("answer", "The question and the short answer", answer.build),
    Section("cohort", "The cohort", cohort.build),
    Section("simple", "Simple comparisons", simple.build),
    Section("markers", "Markers: trajectories and difference in change", markers.build),
    Section("mortality", "Mortality", mortality.build),
    Section("joint", "Markers and outcome together", joint.build),
    Section("explorer", "Another prior", explorer.build),
    Section("comparison", "The two answers compared", comparison.build),
    Section("checks", "Can the fits be trusted?", checks.build),
    Section("methods", "Methods and how to repeat this", methods.build),
)
