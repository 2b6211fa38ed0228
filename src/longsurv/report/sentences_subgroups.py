"""Sentences about subgroups: whether they differ, and how not to read them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from longsurv import numbers
from longsurv.report.sentences_mortality import Compared

CAUTION = (
    "No subgroup is to be read alone: of several, one looks different by chance. Shrunken estimates"
    " are drawn towards their mean by as much as the data allow."
)


def compared(event: str, column: str, levels: int, p_value: float, note: str) -> str:
    """Whether the hazard ratio differs between the levels of a column.

    Parameters
    ----------
    event, column : str
    levels : int
        Compared.
    p_value : float
        NaN without a test.
    note : str
        Why there is none; who was left out.

    Returns
    -------
    str
    """
    if math.isnan(p_value):
        return f"{column}: the hazard ratio of {event} is not compared. Reason: {note}."
    text = numbers.p_value(p_value)
    said = f"p {text}" if text[0] in "<>" else f"p = {text}"
    head = f"{column}: the test of one hazard ratio of {event} in all {levels} levels has {said}"
    left = f" ({note})" if note else ""
    if p_value < numbers.SIGNIFICANT:
        return f"{head}{left}."
    return f"{head}{left}, which does not show that they differ, nor that they are alike."


def of_figure(group: str, reference: str) -> str:
    """The caption of the forest figure.

    Parameters
    ----------
    group, reference : str

    Returns
    -------
    str
    """
    return (
        f"Hazard ratios of {group} against {reference}. Line and band: all patients. Faint: each"
        " subgroup alone. Solid: shrunken, which is what to read. One row is no answer."
    )


def of_table(asked: Compared, adjust: str, notes: Sequence[str]) -> str:
    """What stands under the table.

    Parameters
    ----------
    asked : Compared
    adjust : str
        Covariates.
    notes : sequence of str
        Why levels have no answer.

    Returns
    -------
    str
    """
    adjusted = f", adjusted for {adjust}" if adjust else ""
    more = "".join(f" {note.rstrip('.')}." for note in notes)
    return (
        f"{asked.group} against {asked.reference}{adjusted}; risk differences {asked.when} in"
        f" percentage points, averaged over the patients of the level.{more}"
    )
