"""What the parts of the mortality section are made of, and what was asked."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from longsurv import numbers
from longsurv.records import Record
from longsurv.report import sentences
from longsurv.report.sections.common import Picture
from longsurv.report.sentences import Answer
from longsurv.report.sentences_mortality import Compared
from longsurv.study.tables.survival import event_counts
from longsurv.tables.display import DisplayTable

if TYPE_CHECKING:
    from longsurv.analyses.mortality.arms import Comparison
    from longsurv.study import StudyResults


OF_COMPARISON = "--"
"""In the name of a figure, before the number of the comparison that it is of."""


@dataclass(frozen=True)
class Part:
    """A part of a section: its title, and sentences, figures and tables in order.

    Parameters
    ----------
    title : str
    items : tuple of str, Picture or DisplayTable
    more : tuple of Picture or DisplayTable
        Behind a fold on the page.
    aside : bool
        Whether all of it stands behind one there, by its title.
    """

    title: str
    items: tuple[str | Picture | DisplayTable, ...]
    more: tuple[Picture | DisplayTable, ...] = ()
    aside: bool = False

    def of_comparison(self, one: Comparison, place: int) -> Part:
        """The part of one of several comparisons: named in the title and above each table, its
        figures apart.

        Parameters
        ----------
        one : Comparison
        place : int
            Among the comparisons, from 0, whose figures keep their names.
        """

        def own[I: str | Picture | DisplayTable](item: I) -> I:
            if isinstance(item, Picture) and place:
                return replace(item, name=f"{item.name}{OF_COMPARISON}{place + 1}")
            if isinstance(item, DisplayTable):
                return item.of(one.words)
            return item

        title = f"{self.title}: {one.words}"
        items, more = tuple(map(own, self.items)), tuple(map(own, self.more))
        return replace(self, title=title, items=items, more=more)


def prior_text(text: str) -> str:
    """A prior as it is printed, on one line and with a true minus sign."""
    return text.replace(", ", ",\N{NO-BREAK SPACE}").replace("(-", f"({numbers.MINUS}")


def comparison(results: StudyResults, part: Record) -> Compared:
    """Whom a stage compared, in the report's words."""
    when = sentences.by_when(part["horizon"], results.cohort.schema.time_unit)
    return Compared(part["group"], part["reference"], results.cohort.event_name, when)


def is_penalised(results: StudyResults) -> bool:
    """Whether the mortality model had to be fitted with Firth's penalty."""
    return getattr(results.mortality.fit, "penalty", None) == "firth"


def penalty_sentence(results: StudyResults) -> str:
    """Why it had to be; empty if not."""
    if not is_penalised(results):
        return ""
    cohort = results.cohort
    groups = [str(g) for g in cohort.groups]
    counts = event_counts(cohort.survival_data(), cohort.schema.treatment, groups)
    without = counts.loc[counts["events"] == 0, "group"].tolist()
    return sentences.penalised(without, cohort.event_name)


def answer_of(row: Record, *, ratio: bool) -> Answer:
    """The answer in a row of a table of methods; a difference of risks in percentage points."""
    by = 1.0 if ratio else 100.0
    low, high = float(row["conf_low"]), float(row["conf_high"])
    higher = 1.0 - row["prob_benefit"] if "prob_benefit" in row else row.get("prob_positive")
    return Answer(
        by * float(row["estimate"]), by * low, by * high, ratio,
        float(row.get("p_value", math.nan)), math.nan if higher is None else float(higher),
    )  # fmt: skip
