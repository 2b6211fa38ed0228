"""Tables in, a checked cohort out."""

from __future__ import annotations

from longsurv.cohort.aims import Aims
from longsurv.cohort.cohort import Cohort
from longsurv.cohort.phases import Phase
from longsurv.cohort.schema import Marker, Schema
from longsurv.cohort.settings import (
    ModelSettings,
    SamplingSettings,
    StudyFile,
    read_cohort,
    read_study,
)

__all__ = [
    "Aims",
    "Cohort",
    "Marker",
    "ModelSettings",
    "Phase",
    "SamplingSettings",
    "Schema",
    "StudyFile",
    "read_cohort",
    "read_study",
]
