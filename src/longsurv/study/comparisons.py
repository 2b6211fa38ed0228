"""A question about two arms, asked of every comparison of a study.

A study of two arms has one comparison, and what a stage found of it stands for itself. One of
several arms has an answer for each other arm against the reference; if the study file asks for it,
for every pair of arms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.records import Record
from longsurv.words import listed

if TYPE_CHECKING:
    from longsurv.analyses.mortality.arms import Comparison
    from longsurv.study.plan import Plan


@dataclass(frozen=True, eq=False)
class ByComparison:
    """What a stage found of each of several comparisons.

    Attributes
    ----------
    answers : mapping of str to mapping
        By the comparison's name ("active - control"), as of a study of its two arms.
    reasons : mapping of str to str
        Why the others have none.
    """

    answers: Mapping[str, Record]
    reasons: Mapping[str, str]

    def table(self, name: str, within: Sequence[str] = ()) -> pd.DataFrame:
        """One table of every comparison, with its name in the column `comparison`.

        Parameters
        ----------
        name : str
            Of the table.
        within : sequence of str
            Columns that tell the rows of one comparison apart, where p-values are corrected for
            the number of comparisons.
        """
        from longsurv.analyses.mortality.arms import stacked

        return stacked({key: part[name] for key, part in self.answers.items()}, within)


def comparisons(study: Plan) -> list[Comparison]:
    """Those of a study's arms: every other with the reference, or with every earlier one.

    Parameters
    ----------
    study : Plan
    """
    from longsurv.analyses.mortality.arms import comparisons_of

    return comparisons_of(study.cohort.groups, study.models.compare_arms)


def only_comparison(study: Plan) -> Comparison:
    """The comparison of a study of two arms.

    Parameters
    ----------
    study : Plan

    Raises
    ------
    LongsurvError
        If there are more, or none.
    """
    found, named = comparisons(study), listed(list(map(str, study.cohort.groups)))
    if len(found) != 1:
        instead = ": name two of them as arms in the study file" if found else ""
        raise LongsurvError(f"this compares two groups, and this study has {named}{instead}")
    return found[0]


def of_each(study: Plan, answer: Callable[[Comparison], Record]) -> Record | ByComparison:
    """What is found of every comparison; of a study of two arms what is found of the one.

    Parameters
    ----------
    study : Plan
    answer : callable
        Takes a comparison.

    Returns
    -------
    mapping or ByComparison

    Raises
    ------
    LongsurvError
        If no comparison has an answer.
    """
    asked = comparisons(study)
    if len(asked) < 2:
        return answer(only_comparison(study))
    answers: dict[str, Record] = {}
    reasons: dict[str, str] = {}
    for one in asked:
        try:
            answers[one.name] = answer(one)
        except LongsurvError as error:
            reasons[one.name] = str(error)
    if not answers:
        raise LongsurvError("; ".join(dict.fromkeys(reasons.values())))
    return ByComparison(answers, reasons)
