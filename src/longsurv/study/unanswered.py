"""Numbers that are no answer, which no sentence and no figure of a report may take for one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from longsurv.compare import LOST_R_HAT

if TYPE_CHECKING:
    from longsurv.results import Estimate, Posterior


def unanswered(result: Estimate | Posterior, row: pd.Series) -> str:
    """Why one row of a result's table is no answer; empty if it is one.

    Parameters
    ----------
    result : Estimate or Posterior
    row : Series
        Of `tidy` or `contrast`.
    """
    headings = "; ".join(getattr(result, "headings", ()))
    if not math.isfinite(row["estimate"]):
        return headings or "the data do not determine it"
    if not getattr(result, "arrived", True):
        return headings
    if "r_hat" in row and row["r_hat"] >= LOST_R_HAT:
        return headings or f"the chains do not agree: R-hat is {row['r_hat']:.3g}"
    if row.get("term") in getattr(result, "all_prior", ()):
        return headings
    return ""
