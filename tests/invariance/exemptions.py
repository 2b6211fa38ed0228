"""Cells of the table whose answers do move, and why; a test shows that they do."""

from __future__ import annotations

from fnmatch import fnmatchcase

EXEMPTIONS = (
    # family, transformation, reason
    ("Hazard, weibull*", "shift follow-up", "a Weibull hazard is a power of the time since 0"),
    ("standardised, weibull", "shift follow-up", "a Weibull hazard is a power of time since 0"),
    ("Hazard between visits*", "shift follow-up", "everybody is followed from 0"),
    ("JointModel, *", "shift time", "the hazard is one over the time since 0, where risk begins"),
    ("JointModel of *", "shift time", "the hazard is one over the time since 0"),
    ("JointModel of all before entry*", "shift follow-up",
     "everybody is followed from 0, if not seen from there"),
    ("checks of JointModel", "shift time", "as the joint model's: risk begins at 0"),
    ("start_stop", "shift time", "without a column of entry follow-up begins at 0"),
)  # fmt: skip


def exemption(family: str, transformation: str) -> str:
    """Why a cell's answers move; empty if they must not."""
    reasons = (
        reason
        for of, change, reason in EXEMPTIONS
        if change == transformation and fnmatchcase(family, of)
    )
    return next(reasons, "")
