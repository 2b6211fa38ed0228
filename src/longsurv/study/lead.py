"""Which analysis of the markers answers the study's question, and what it found.

Groups that were not formed at random need not begin alike, and the one that began further off falls
back further (regression to the mean): there the difference adjusted for the baseline value leads,
always. No test of the baseline chooses. In a randomised study what the trajectories say leads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.study.marker_stages import ADJUSTMENTS, AdjustedPart

if TYPE_CHECKING:
    from longsurv.estimands.changes import Change
    from longsurv.study.found import Found

UNADJUSTED, BASELINE = "unadjusted", "baseline"
FDR = 0.05


@dataclass(frozen=True, eq=False)
class Lead:
    """The analysis of one comparison that leads, and those beside it.

    Attributes
    ----------
    change : Change
    kind : str
        Of the one that leads: "unadjusted", "baseline".
    tables : mapping of str to DataFrame
        Every analysis there is, that one first: a row a marker and engine, with marker, label,
        unit, direction, engine, scale, estimate, conf_low, conf_high, p_value, p_fdr,
        prob_positive, reason.
    reason : str
        Why none adjusted leads where it ought to; else empty.
    """

    change: Change
    kind: str
    tables: Mapping[str, pd.DataFrame] = field(repr=False)
    reason: str = ""

    @property
    def table(self) -> pd.DataFrame:
        """Of the analysis that leads."""
        return self.tables[self.kind]

    @property
    def adjusted(self) -> bool:
        """Whether it is adjusted for where the groups began."""
        return self.kind != UNADJUSTED

    def surviving(self, kind: str) -> list[str]:
        """Labels of the markers that keep p < 0.05 by the false discovery rate.

        Parameters
        ----------
        kind : str
            Of the analysis.
        """
        return _labels(self.tables[kind], lambda table: table["p_fdr"] < FDR)

    def clear(self, kind: str) -> list[str]:
        """Labels of the markers whose 95 % confidence interval is clear of no difference.

        Parameters
        ----------
        kind : str
            Of the analysis.
        """
        return _labels(self.tables[kind], clear_of_none)

    def answered(self, kind: str, engine: str = "ml") -> int:
        """How many markers have an answer.

        Parameters
        ----------
        kind, engine : str
        """
        return self._known(kind, engine)[0]

    def unanswered(self, kind: str, engine: str = "ml") -> int:
        """How many markers have none.

        Parameters
        ----------
        kind, engine : str
        """
        return self._known(kind, engine)[1]

    def _known(self, kind: str, engine: str) -> tuple[int, int]:
        table = self.tables[kind]
        known = table.loc[table["engine"] == engine, "estimate"].notna()
        return int(known.sum()), int((~known).sum())

    @property
    def dropped(self) -> list[str]:
        """Markers clear of no difference unadjusted, and no longer in the analysis that leads."""
        held = set(self.clear(self.kind))
        return [label for label in self.clear(UNADJUSTED) if label not in held]

    @property
    def gained(self) -> list[str]:
        """Markers clear of no difference in the analysis that leads, and not unadjusted."""
        before = set(self.clear(UNADJUSTED))
        return [label for label in self.clear(self.kind) if label not in before]


def clear_of_none(table: pd.DataFrame) -> pd.Series:
    """Whether the interval of each row is clear of no difference: 1 for a ratio, else 0."""
    null = np.where(table["scale"] == "ratio", 1.0, 0.0)
    found: pd.Series = (table["conf_low"] > null) | (table["conf_high"] < null)
    return found


def _labels(table: pd.DataFrame, chosen: Callable[[pd.DataFrame], pd.Series]) -> list[str]:
    ml = table[table["engine"] == "ml"]
    return list(ml.loc[chosen(ml), "label"])


def leads(results: Found) -> tuple[Lead, ...]:
    """The leading analysis of each comparison of the markers.

    Parameters
    ----------
    results : Found
    """
    if not results.markers or results.changes.empty:
        return ()
    part: AdjustedPart = results.part_of(ADJUSTMENTS, AdjustedPart())
    if part.reason or not part.tables:
        why = "" if results.cohort.randomised else part.reason or "nothing was adjusted"
        return tuple(
            Lead(change, UNADJUSTED, MappingProxyType({UNADJUSTED: _plain(results, change)}), why)
            for change in results.study.contrasts
        )
    found = []
    for change, table in part.tables:
        tables = {str(kind): rows for kind, rows in table.groupby("adjustment", sort=False)}
        known = tables.get(BASELINE, pd.DataFrame({"estimate": []}))["estimate"].notna().any()
        lead = UNADJUSTED if results.cohort.randomised or not known else BASELINE
        why = "" if results.cohort.randomised or known else "no adjusted answer could be had"
        order = {lead: tables[lead], **{k: t for k, t in tables.items() if k != lead}}
        found.append(Lead(change, lead, MappingProxyType(order), why))
    return tuple(found)


def _plain(results: Found, change: Change) -> pd.DataFrame:
    """What the trajectories say of one comparison."""
    table = results.changes
    chosen = (table["level"] == str(change.level)) & (table["end"] == change.end)
    return table[chosen & (table["start"] == change.start)].reset_index(drop=True)


def began_apart(table: pd.DataFrame, change: Change) -> tuple[list[str], list[str]]:
    """Labels of the markers that began higher, and lower, in the group than in the reference.

    With p < 0.05 by a test of ranks; by the means of the ranks, as the test is: medians of coarse
    values are often equal.

    Parameters
    ----------
    table : DataFrame
        "simple_baseline" of the study's tables.
    change : Change
    """
    if "p_value" not in table or table.empty:
        return [], []
    table = table[(table["group"].astype(str) == str(change.level)) & (table["p_value"] < 0.05)]
    middle = table["n_group"] * table["n_reference"] / 2
    higher = table.loc[table["statistic"] > middle, "label"].tolist()
    return higher, table.loc[table["statistic"] < middle, "label"].tolist()
