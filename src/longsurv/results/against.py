"""An answer of this package held against a fit of another."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from longsurv.errors import ArgumentError, LongsurvError
from longsurv.results.adapters import READABLE, OtherFit, matched, read
from longsurv.results.comparison import ComparedAnswers, close, distance, side_by_side
from longsurv.results.drawable import Drawable
from longsurv.results.summaries import OfHazards

OURS = "longsurv"
NONE = dict.fromkeys(("estimate", "std_error", "conf_low", "conf_high"), math.nan)


def against(
    own: Drawable, other: object, level: float, names: Mapping[str, str] | None = None
) -> ComparedAnswers:
    """Compare an answer with a fit of another library, term by term.

    Parameters
    ----------
    own : Estimate or Posterior
    other : object
        What `longsurv.results.adapters.read` reads.
    level : float
        Of both intervals.
    names : mapping of str to str, optional
        Names of the other's terms to names of ours, where they are not called alike.

    Returns
    -------
    ComparedAnswers
        As `longsurv.compare` gives it.

    Raises
    ------
    LongsurvError
        If the other is nothing that can be read, is of another quantity, or no term has the same
        name.
    """
    found = read(other, level)
    if found is None:
        raise ArgumentError(
            f"compare: what is compared is a Posterior, {READABLE}; not {type(other).__name__}"
        )
    _same_quantity(own, found)
    ours = own.tidy(level).set_index("term")
    theirs = found.table.set_index("term")
    pairs = matched(list(ours.index), list(theirs.index), names)
    if not pairs:
        raise LongsurvError(
            f"no term is called alike: ours are {list(ours.index)[:10]}, those of the"
            f" {found.name} {list(theirs.index)[:10]}; say which are the same, as"
            " names={theirs: ours}"
        )
    rows = []
    for term in ours.index:
        a = ours.loc[term]
        b = theirs.loc[pairs[term]] if term in pairs else pd.Series(NONE)
        verdict, reason = _verdict(a, b, found, term in pairs)
        row = side_by_side(term, a, b, OURS, found.library)
        rows.append(row | {"verdict": verdict, "reason": reason})
    table = ComparedAnswers(rows)
    alone = tuple(name for name in theirs.index if name not in pairs.values())
    table.attrs["not_compared"] = alone
    return table


def _same_quantity(own: Drawable, found: OtherFit) -> None:
    """Refuse log hazard ratios against coefficients of a response."""
    here = isinstance(own, OfHazards)
    if found.kind and here != (found.kind == "hazard"):
        mine = "log hazard ratios" if here else "no log hazard ratios"
        raise LongsurvError(
            f"these are not the same quantity: the coefficients here are {mine}, those of the"
            f" {found.name} are {'log hazard ratios' if found.kind == 'hazard' else 'none'}"
        )


def _verdict(a: pd.Series, b: pd.Series, found: OtherFit, there: bool) -> tuple[str, str]:
    if not there:
        return "no answer", f"the {found.name} has no term of this name"
    if not np.isfinite([a["estimate"], a["std_error"]]).all():
        return "no answer", "longsurv has no estimate, or no standard error"
    shift, ratio = distance(a, b)
    if not math.isfinite(shift) or not math.isfinite(ratio):
        return "no answer", f"the {found.name} has no estimate, or no interval"
    how = f"centres differ by {abs(shift):.2f} standard errors, widths by {ratio - 1:+.0%}"
    return ("agree" if close(shift, ratio) else "differ"), how
