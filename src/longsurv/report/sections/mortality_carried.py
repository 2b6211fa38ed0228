"""Mortality adjusted for as many covariates as the events carry, or the reason why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longsurv.report import sentences_mortality
from longsurv.report.sections.mortality_part import Part
from longsurv.report.sentences import Answer
from longsurv.study.deaths import CARRIED
from longsurv.study.terms import covariates_of, treatment_terms

if TYPE_CHECKING:
    from longsurv.study import StudyResults

TITLE = "Adjusted for what the events carry"


def carried_part(results: StudyResults) -> Part | None:
    """The adjusted hazard ratio, or why there is none.

    None if that stage did not run, the model is adjusted, or the study names no covariates.
    """
    part, named = results.parts.get(CARRIED), results.cohort.schema.covariates
    if part is None or not named or covariates_of(results.mortality, results.cohort):
        return None
    if part["reason"]:
        return Part(TITLE, (sentences_mortality.not_carried(part["reason"]),))
    table, cohort = part["table"], results.cohort
    items = []
    for level, term in treatment_terms(results.mortality, cohort).items():
        answers = {
            row["engine"]: Answer(
                row["estimate"], row["conf_low"], row["conf_high"], True, row["p_value"],
                row["prob_positive"],
            )
            for row in table[table["term"] == term].to_dict("records")
        }  # fmt: skip
        items.append(
            sentences_mortality.carried(
                level, str(cohort.groups[0]), cohort.event_name, part["covariates"],
                part["left_out"], part["events"], answers,
            )
        )  # fmt: skip
    return Part(TITLE, tuple(items))
