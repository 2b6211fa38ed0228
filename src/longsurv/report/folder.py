"""The tables of the folder: everything found as raw numbers, one name for one thing, each in words.

`results.tables` keep the names of the analyses they come from. Here a probability has one of two
names: `prob_positive`, of a quantity above no difference (0, or a ratio of 1), and `prob_benefit`,
of a difference in the direction that the study calls better.
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
from longsurv.study.tables.shrinkage import FAMILIES, families_table, shrunken_table

if TYPE_CHECKING:
    from longsurv.study import StudyResults

JOINT = "joint"
BELOW = {
    "cumulative_incidence": {"prob_lower": "prob_positive"},
    "mortality_methods": {"prob_benefit": "prob_positive"},
    "prior_grid": {"prob_below_1": "prob_positive", "prior_prob_below_1": "prior_prob_positive"},
    "tipping": {"prob_benefit": "prob_positive"},
}
"""By table the columns that hold the probability of *less*, and what their complement is called."""
LONGER = "restricted mean difference"
"""The one quantity of the methods that is more where a group fares better."""


def folder_tables(results: StudyResults) -> dict[str, pd.DataFrame]:
    """Every table of the results, and those of the parts, under the names of the dictionary.

    Parameters
    ----------
    results : StudyResults

    Returns
    -------
    dict of str to DataFrame
    """
    found = {name: renamed(name, table) for name, table in results.tables.items()}
    return {
        **found, **_of_joint_models(results), **_of_checks(results), "families": _families(results),
    }  # fmt: skip


def renamed(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """A table in which a probability of less is the complementary one, of more.

    Parameters
    ----------
    name : str
    table : DataFrame

    Returns
    -------
    DataFrame
    """
    columns = {old: new for old, new in BELOW.get(name, {}).items() if old in table}
    more = {old: 1.0 - table[old] for old in columns}
    if name == "mortality_methods" and "prob_benefit" in table:
        longer = table["quantity"] == LONGER
        more["prob_benefit"] = more["prob_benefit"].where(~longer, table["prob_benefit"])
    return table.assign(**more).rename(columns=columns)


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
    curves = results.parts.get(CURVES)
    if curves is not None:
        tables["adjusted_curves"] = curves["table"]
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
