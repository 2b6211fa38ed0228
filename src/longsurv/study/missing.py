"""What a study could not estimate, by name and with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longsurv.results.prior_share import all_prior_flag
from longsurv.study.bench import HOW
from longsurv.study.marker_stages import ADJUSTMENTS

if TYPE_CHECKING:
    from longsurv.study.results import StudyResults


def missing(results: StudyResults) -> dict[str, str]:
    """Every answer that was asked for and is none, as a reader would call it, and why."""
    found: dict[str, str] = {}
    for label, model in results.all_models:
        for engine in HOW:
            reason = model.reasons.get(engine) or _no_answer(model.answers.get(engine))
            if reason:
                found[f"{label}, {HOW[engine]}"] = reason
    changes = results.changes
    for row in changes[changes["reason"] != ""].to_dict("records"):
        found.setdefault(f"{row['label']}, {HOW[row['engine']]}", row["reason"])
    return found | _adjusted(results) | _joint(results) | dict(results.failures)


def _no_answer(result: Any) -> str:
    """Why a fit that there is has no answer, or none for some coefficients; empty if it has.

    What only shapes a baseline is asked by nobody: it may run away over a stretch of time without
    events, and the page says so beside the answers, which stand.
    """
    if getattr(result, "all_prior", ()):
        return all_prior_flag(result.stack, result.all_prior)
    if hasattr(result, "arrived") and not (result.arrived and _every_term(result)):
        return "; ".join(result.headings)
    return ""


def _every_term(result: Any) -> bool:
    """Whether every coefficient that is shown has an estimate."""
    return bool(result.tidy()["estimate"].notna().all())


def _adjusted(results: StudyResults) -> dict[str, str]:
    """Adjusted changes without an answer, those of one marker and reason once."""
    part = results.parts.get(ADJUSTMENTS)
    found: dict[str, str] = {}
    for _, table in getattr(part, "tables", ()):
        if "reason" not in table:
            continue
        for row in table[table["estimate"].isna()].to_dict("records"):
            label = results.cohort.markers[row["marker"]].label
            found.setdefault(f"{label}, adjusted for the baseline value", str(row["reason"]))
    return found


def _joint(results: StudyResults) -> dict[str, str]:
    markers = results.cohort.markers
    found: dict[str, str] = {}
    for name, result in getattr(results.parts.get("joint"), "results", {}).items():
        for what, reason in result.missing.items():
            found[f"{markers[name].label} and outcome, {what}"] = reason
    return found
