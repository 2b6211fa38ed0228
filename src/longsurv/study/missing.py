"""What a study could not estimate, by name and with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from longsurv.cohort import Cohort
from longsurv.results import Estimate
from longsurv.results.posterior import Posterior
from longsurv.results.prior_share import all_prior_flag
from longsurv.study.bench import HOW
from longsurv.study.comparisons import ByComparison
from longsurv.study.imputed_stage import IMPUTED, ImputedPart
from longsurv.study.joint_stage import JOINT, JointPart
from longsurv.study.marker_stages import ADJUSTMENTS, AdjustedPart
from longsurv.study.model_result import ModelResult, Parts
from longsurv.study.truncated_stage import TRUNCATED, WORST, TruncatedPart
from longsurv.words import listed


def missing(
    cohort: Cohort,
    models: Iterable[tuple[str, ModelResult]],
    changes: pd.DataFrame,
    parts: Parts,
    failures: Mapping[str, str],
) -> dict[str, str]:
    """Every answer that was asked for and is none, as a reader would call it, and why.

    Parameters
    ----------
    cohort : Cohort
    models : iterable of (str, ModelResult)
        Every model after what a reader calls it.
    changes : DataFrame
        `StudyResults.changes`.
    parts : mapping of str to object
        What each stage found, by its key.
    failures : mapping of str to str
        Stage to why it found nothing.
    """
    found: dict[str, str] = {}
    for label, model in models:
        for engine in HOW:
            reason = model.reasons.get(engine) or _no_answer(model.answers.get(engine))
            if reason:
                found[f"{label}, {HOW[engine]}"] = reason
    found |= _changes(changes, found)
    adjusted = _adjusted(cohort, parts.get(ADJUSTMENTS))
    worst = _worst(parts.get(TRUNCATED))
    joint = _joint(cohort, parts.get(JOINT))
    imputed = _imputed(parts.get(IMPUTED))
    return found | adjusted | imputed | joint | worst | _of_mortality(parts) | dict(failures)


def _no_answer(result: Estimate | Posterior | None) -> str:
    """Why a fit that there is has no answer, or none for some coefficients; empty if it has.

    What only shapes a baseline is asked by nobody: it may run away over a stretch of time without
    events, and the page says so beside the answers, which stand.
    """
    if isinstance(result, Posterior) and result.all_prior:
        return all_prior_flag(result.stack, result.all_prior)
    if isinstance(result, Estimate) and not (result.arrived and _every_term(result)):
        return "; ".join(result.headings)
    return ""


def _every_term(result: Estimate) -> bool:
    """Whether every coefficient that is shown has an estimate."""
    return bool(result.tidy()["estimate"].notna().all())


def _changes(changes: pd.DataFrame, models: Mapping[str, str]) -> dict[str, str]:
    """Differences in change without an answer although their model has one: of which group, where
    it is not every one."""
    found: dict[str, str] = {}
    for (label, engine, reason), lost in changes[changes["reason"] != ""].groupby(
        ["label", "engine", "reason"], sort=False
    ):
        levels = [str(level) for level in lost["level"].unique()]
        some = len(levels) < changes["level"].nunique()
        if (model := f"{label}, {HOW[engine]}") not in models:
            found.setdefault(f"{model}{f', {listed(levels)}' * some}", reason)
    return found


def _adjusted(cohort: Cohort, part: AdjustedPart | None) -> dict[str, str]:
    """Adjusted changes without an answer, those of one marker and reason once."""
    found: dict[tuple[str, str, str], list[str]] = {}
    tables = part.tables if part else ()
    for change, table in tables:
        if "reason" not in table:
            continue
        for row in table[table["estimate"].isna()].to_dict("records"):
            label, how = cohort.markers[row["marker"]].label, str(row["adjustment_label"])
            of = f", {change.level} against {change.reference}" if len(tables) > 1 else ""
            named = found.setdefault((label, of, str(row["reason"])), [])
            named += [how] * (how not in named)  # of both engines
    return {
        f"{label}, {listed([how[:1].lower() + how[1:] for how in named])}{of}": reason
        for (label, of, reason), named in found.items()
    }


def _of_mortality(parts: Parts) -> dict[str, str]:
    """What stages about mortality were asked and could not answer, beside what they did."""
    priors, trial = parts.get("priors") or {}, parts.get("target") or {}
    each = priors.answers if isinstance(priors, ByComparison) else {"": priors}
    found = {
        f"Risks under several priors{f', {name}' * bool(name)}": part.get("no_risks", "")
        for name, part in each.items()
    }
    found["The emulated trial"] = trial.get("no_answer", "")
    for key, part in parts.items():
        if isinstance(part, ByComparison):
            found |= {f"{key}, {name}": reason for name, reason in part.reasons.items()}
    return {what: reason for what, reason in found.items() if reason}


def _worst(part: TruncatedPart | None) -> dict[str, str]:
    """Markers that could not be compared with death as the worst outcome."""
    table = TruncatedPart().table if part is None else part.table
    rows = table[table["estimate"].isna() & (table["estimand"] == WORST)]
    return {
        f"{row['label']}, {row['quantity']}, {HOW[row['engine']]}": str(row["reason"])
        for row in rows.to_dict("records")
    }


def _imputed(part: ImputedPart | None) -> dict[str, str]:
    """Markers whose missing values should have been imputed."""
    table = ImputedPart().table if part is None else part.table
    rows = table[table["reason"] != ""]
    return {
        f"{row['label']}, missing values imputed": str(row["reason"])
        for row in rows.to_dict("records")
    }


def _joint(cohort: Cohort, part: JointPart | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, result in part.results.items() if part else ():
        for what, reason in result.missing.items():
            found[f"{cohort.markers[name].label} and outcome, {what}"] = reason
    return found
