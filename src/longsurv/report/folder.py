"""The tables of the folder: everything found as raw numbers, one name for one thing, each in words.

A probability has one of two names, here as in every table of the package: `prob_positive`, of a
quantity above no difference (0, or a ratio of 1), and `prob_benefit`, of a difference in the better
direction: that of a marker, or fewer or later deaths.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from longsurv.report.words_of_columns import OF_TABLES, WORDS
from longsurv.study.adjusted_curves import CURVES
from longsurv.study.criticism import CRITICISM, Criticism
from longsurv.study.independent import INDEPENDENT
from longsurv.study.joint_stage import JointPart
from longsurv.study.marker_stages import PANEL, ShrunkenPart
from longsurv.study.subgroup_stage import SUBGROUPS
from longsurv.study.tables.mortality import stage_table
from longsurv.study.tables.shrinkage import FAMILIES, families_table, shrunken_table

if TYPE_CHECKING:
    from longsurv.study import StudyResults

JOINT = "joint"


def folder_tables(results: StudyResults) -> dict[str, pd.DataFrame]:
    """Every table of the results, and those of the parts, under the names of the dictionary.

    Parameters
    ----------
    results : StudyResults

    Returns
    -------
    dict of str to DataFrame
    """
    return {
        **results.tables, **_of_subgroups(results), **_of_joint_models(results),
        **_of_checks(results), "families": _families(results),
    }  # fmt: skip


def _of_subgroups(results: StudyResults) -> dict[str, pd.DataFrame]:
    """The effect in subgroups, its tests and its counts, where the study names any."""
    if not results.parts.get(SUBGROUPS):
        return {}
    tables = {"subgroups": "table", "subgroup_tests": "tests", "subgroup_counts": "counts"}
    return {name: stage_table(results, SUBGROUPS, key) for name, key in tables.items()}


def _of_joint_models(results: StudyResults) -> dict[str, pd.DataFrame]:
    """Associations, terms and predictions of every joint model, the marker before each row."""
    part: JointPart = results.part_of(JOINT, JointPart({}))
    parts: dict[str, list[pd.DataFrame]] = {"association": [], "joint_terms": [], "predictions": []}
    for marker, result in part.results.items():
        tables = {
            "association": result.association and result.association.table,
            "joint_terms": result.slopes,
            "predictions": result.prediction and result.prediction.table,
        }
        for name, table in tables.items():
            if table is not None:
                parts[name].append(table.assign(marker=marker))
    return {
        name: pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["marker"])
        for name, tables in parts.items()
    }


def _of_checks(results: StudyResults) -> dict[str, pd.DataFrame]:
    """What models and answers were held against, and the curves of groups made alike."""
    found: Criticism = results.parts.get(CRITICISM) or Criticism()
    tables = {
        "predictive_checks": found.replicates, "residual_bands": found.residuals,
        "proportional_hazards": found.hazards, "linearity": found.lines,
    }  # fmt: skip
    if INDEPENDENT in results.parts:
        tables[INDEPENDENT] = results.parts[INDEPENDENT]
    if results.parts.get(CURVES) is not None:
        tables["adjusted_curves"] = stage_table(results, CURVES, "table")
    return {name: table for name, table in tables.items() if len(table)}


def _families(results: StudyResults) -> pd.DataFrame:
    """What the markers of each family have in common."""
    part: ShrunkenPart = results.part_of(PANEL, ShrunkenPart())
    tables = [families_table(one, shrunken_table(results, one)) for one in part.changes]
    tables = [table for table in tables if len(table)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=FAMILIES)


def dictionary(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Each column of each table in words.

    Parameters
    ----------
    tables : mapping of str to DataFrame

    Returns
    -------
    DataFrame
        Columns table, column, words.
    """
    rows = []
    for name, table in tables.items():
        own = OF_TABLES.get(name, {})
        for column in map(str, table.columns):
            rows.append((name, column, own.get(column) or WORDS.get(column, "")))
    return pd.DataFrame(rows, columns=["table", "column", "words"])
