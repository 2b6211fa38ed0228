"""The tables of the markers' further questions, over all comparisons and scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from longsurv.study.imputed_stage import IMPUTED, ImputedPart
from longsurv.study.marker_stages import (
    ADJUSTMENTS,
    PANEL,
    SCORES,
    AdjustedPart,
    ScorePart,
    ShrunkenPart,
)
from longsurv.study.tables.scores import COLUMNS as SCORE_COLUMNS
from longsurv.study.tables.scores import scores_table
from longsurv.study.tables.shrinkage import COLUMNS as SHRUNKEN_COLUMNS
from longsurv.study.tables.shrinkage import shrunken_table
from longsurv.study.truncated_stage import TRUNCATED, TruncatedPart

if TYPE_CHECKING:
    from longsurv.study.found import Found


def adjusted_changes_table(results: Found) -> pd.DataFrame:
    """`AdjustedChanges.table` of every comparison, after its level, start and end."""
    part: AdjustedPart = results.part_of(ADJUSTMENTS, AdjustedPart())
    tables = []
    for change, table in part.tables:
        table = table.copy()
        for place, name in enumerate(("level", "start", "end")):
            table.insert(place, name, str(getattr(change, name)))
        tables.append(table)
    return _joined(tables, ["level", "start", "end", "marker", "adjustment", "engine"])


def shrunken_effects_table(results: Found) -> pd.DataFrame:
    """`shrunken_table` of every comparison."""
    part: ShrunkenPart = results.part_of(PANEL, ShrunkenPart())
    return _joined([shrunken_table(results, one) for one in part.changes], SHRUNKEN_COLUMNS)


def all_scores_table(results: Found) -> pd.DataFrame:
    """`scores_table` of every score."""
    part: ScorePart = results.part_of(SCORES, ScorePart())
    return _joined([scores_table(results, score) for score in part.scores], SCORE_COLUMNS)


def truncated_table(results: Found) -> pd.DataFrame:
    """`TruncatedPart.table`: every marker by every estimand, where patients died."""
    part: TruncatedPart = results.part_of(TRUNCATED, TruncatedPart())
    return part.table


def imputed_table(results: Found) -> pd.DataFrame:
    """`ImputedPart.table`: markers under several assumptions on what is missing of them."""
    part: ImputedPart = results.part_of(IMPUTED, ImputedPart())
    return part.table


def _joined(tables: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
