"""The parts of the summaries of fits and of posteriors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import pandas as pd

from longsurv.results.counts import counts
from longsurv.tables.display import DisplayTable
from longsurv.tables.frame import framed

COEFFICIENTS, RATIOS, VARIANCES = "Coefficients", "Hazard ratios", "Variance parameters"
POSTERIOR = {"estimate": "mean", "std_error": "SD"}
"""What a posterior's columns are called."""


@runtime_checkable
class OfHazards(Protocol):
    """A result whose coefficients are logarithms of hazard ratios."""

    def hazard_ratios(self, level: float = 0.95) -> pd.DataFrame:
        """Hazard ratios with their limits, one row a coefficient."""


def title(formula: str) -> str:
    """A formula on one line."""
    return " ".join(formula.split())


def data_facts(design: object, nobs: int) -> list[tuple[str, str]]:
    """How much data there is, in names and values."""
    named = [("Observations", nobs), *counts(design)]
    return [(name, f"{number:,}") for name, number in named]


def tables(
    result: object,
    table: pd.DataFrame,
    names: Sequence[str],
    level: float,
    headers: Mapping[str, str] | None = None,
) -> tuple[DisplayTable, ...]:
    """Coefficients, what they are as ratios if they are logarithms of such, and the variances.

    Parameters
    ----------
    result : Estimate or Posterior
    table : DataFrame
        Its `tidy` of everything.
    names : sequence of str
        Coefficients.
    level : float
        Of the intervals.
    headers : mapping of str to str, optional
        Of columns that are called otherwise than usual.
    """
    fixed = table["term"].isin(names)
    found = [framed(table[fixed], COEFFICIENTS, level=level, headers=headers)]
    if isinstance(result, OfHazards) and fixed.any():
        ratios = result.hazard_ratios(level)
        ratios = ratios[["term", "hazard_ratio", "conf_low", "conf_high"]]
        found.append(framed(ratios, RATIOS, level=level))
    if (~fixed).any():
        rest = table[~fixed].drop(columns=["prob_positive"], errors="ignore")  # it is 1 of an SD
        found.append(framed(rest, VARIANCES, level=level, headers=headers))
    return tuple(found)


def priors(described: Mapping[str, str]) -> DisplayTable:
    """The prior of each parameter."""
    table = pd.DataFrame(described.items(), columns=["term", "prior"])
    return framed(table, "Priors", headers={"prior": ""})


def text_table(table: pd.DataFrame) -> str:
    """A table as plain text, numbers to four significant digits."""
    return table.to_string(index=False, float_format=lambda v: f"{v:.4g}")
