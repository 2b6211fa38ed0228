"""Scores with a cut-off: the share beyond it and the score's own categories."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from longsurv import numbers
from longsurv.figures.scores import score_shares
from longsurv.report import sentences_markers as sentences
from longsurv.report.sections.common import ENGINE_NAMES, Picture
from longsurv.report.tables.scores import differences_display, shares_display
from longsurv.study.marker_stages import SCORES, ScorePart, ScoreResult
from longsurv.study.tables.scores import MEAN, MODELS, scores_table
from longsurv.tables.display import Column, DisplayTable, display

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.estimands.changes import Change
    from longsurv.study import StudyResults

TITLE = "Scores with a cut-off"


def build(results: StudyResults) -> dict[str, object]:
    """What the template shows: text, then figure and tables of each score."""
    part: ScorePart = results.part_of(SCORES, ScorePart())
    if part.reason:
        return {"title": TITLE, "text": [part.reason], "scores": []}
    opening = (
        "Two models of each score: a binary one of being at the cut-off or beyond it, which uses"
        " nothing else of the score, and an ordinal one (cumulative logit), which uses all its"
        " categories and so usually says more."
        " Both have a level of its own for each patient; shares are averaged over all patients, as"
        " a proportion in a table is."
    )
    return {
        "title": TITLE,
        "text": [opening],
        "scores": [_score(results, score, k) for k, score in enumerate(part.scores)],
    }


def _score(results: StudyResults, score: ScoreResult, k: int) -> dict[str, object]:
    table = scores_table(results, score)
    marker = score.marker
    share = f"{marker.label} of {numbers.plain(score.cutoff)} or more"
    several = len(results.parts[SCORES].scores) > 1
    first, *more = summary(results, score, table) or [""]
    return {
        "text": ([f"{marker.label}."] if several else []) + [first],
        "more": more,
        "picture": _picture(results, table, share, k),
        "shares": shares_display(table, f"Share with {share}"),
        "changes": differences_display(table, marker.unit),
        "failed": failed(score),
    }


def summary(results: StudyResults, score: ScoreResult, table: pd.DataFrame) -> list[str]:
    """The shares, and what is to be known of the models; the differences stand in the table."""
    found = [_shares(score, table, change) for change in results.study.contrasts]
    found.extend(score.merged)
    for model, result in score.models.items():
        for engine, answer in result.answers.items():
            verdict = answer.diagnose()
            if not verdict.ok:
                found.append(f"{MODELS[model].capitalize()}, {ENGINE_NAMES[engine]}: {verdict}")
    return [text for text in found if text]


def _shares(score: ScoreResult, table: pd.DataFrame, change: Change) -> str:
    """The shares in a sentence, from the first model and engine that has them."""
    means = table[(table["what"] == MEAN) & (table["quantity"] == "share")]
    ends = (str(change.start), str(change.end))
    for _, part in means.groupby(["model", "engine"], sort=False):
        at = part.set_index(["level", "phase"])["estimate"]
        groups = (str(change.reference), str(change.level))
        if all((group, end) in at.index for group in groups for end in ends):
            shares = {g: (float(at[g, ends[0]]), float(at[g, ends[1]])) for g in groups}
            return sentences.score_shares(score.marker.label, score.cutoff, ends, shares)
    return ""


def _picture(results: StudyResults, table: pd.DataFrame, share: str, k: int) -> Picture | None:
    shown = table[(table["what"] == MEAN) & (table["quantity"] == "share")]
    if shown.empty:
        return None
    titles = {"binary": "Binary model", "ordinal": "Ordinal model"}
    shown = shown.assign(model=shown["model"].map(titles))
    draw = partial(_draw, shown, tuple(map(str, results.cohort.groups)), f"Share with {share}")
    caption = (
        f"Share of patients with {share}, expected over all patients, with 95 % intervals. Short"
        " lines: observed."
    )
    said = [
        f"{row['level']}, {row['phase']} {100 * row['estimate']:.0f} %"
        for row in shown.drop_duplicates(["level", "phase"]).to_dict("records")
    ]
    return Picture(f"score-{k}", draw, f"Share with {share}: {'; '.join(said)}.", caption)


def _draw(shown: pd.DataFrame, groups: tuple[str, ...], ylabel: str, width: float) -> Axes:
    return score_shares(shown, groups=groups, ylabel=ylabel, width=min(width, 680.0))


def failed(score: ScoreResult) -> DisplayTable:
    """The models without an answer, and why."""
    rows = [
        (MODELS[model], ENGINE_NAMES[engine], reason)
        for model, result in score.models.items()
        for engine, reason in result.reasons.items()
    ]
    columns = [
        Column("Model", "model", numeric=False),
        Column("Engine", "engine", numeric=False),
        Column("Why there is no answer", "reason", numeric=False, prose=True),
    ]
    frame = pd.DataFrame(rows, columns=["model", "engine", "reason"])
    return display(frame, f"{score.marker.label}: not estimated", columns)
