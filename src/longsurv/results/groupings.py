"""Which variables a curve can be drawn along, and by which groups: read off the data of a fit."""

from __future__ import annotations

import numpy as np
import pandas as pd

from longsurv.design import FixedDesign
from longsurv.errors import LongsurvError
from longsurv.estimands.treatments import levels_of
from longsurv.words import listed

MOST = 6
"""Groups in one figure."""


def variables(fixed: FixedDesign, data: pd.DataFrame) -> list[str]:
    """Columns of the data that the fixed effects are made of."""
    return [str(name) for name in data.columns if name in fixed.recipe.required_variables]


def group_variable(
    by: str | None, fixed: FixedDesign, data: pd.DataFrame, apart: str = ""
) -> str | None:
    """The variable whose values have a curve each; by default the only one that can.

    Parameters
    ----------
    by : str, optional
    fixed : FixedDesign
    data : DataFrame
        The rows used.
    apart : str
        The variable that the curves are along.

    Raises
    ------
    LongsurvError
        If the fixed effects do not have it, or it has too many values.
    """
    have = [name for name in variables(fixed, data) if name != apart]
    few = [name for name in have if len(levels_of(data[name])) <= MOST]
    if by is None:
        return few[0] if len(few) == 1 else None
    if by not in few:
        why = f"has more than {MOST} values" if by in have else "is not in the fixed effects"
        among = listed(few) or "none"
        raise LongsurvError(f"by={by!r} {why}; what can have a curve each: {among}")
    return by


def time_variable(
    along: str | None, fixed: FixedDesign, data: pd.DataFrame, patient: np.ndarray
) -> str:
    """The variable that curves are along; by default the only one that changes within patients.

    Parameters
    ----------
    along : str, optional
    fixed : FixedDesign
    data : DataFrame
        The rows used.
    patient : ndarray, shape (n,)
        Of each row.

    Raises
    ------
    LongsurvError
        If the fixed effects do not have it, or several change.
    """
    have = variables(fixed, data)
    if along is not None:
        if along not in have:
            raise LongsurvError(
                f"along={along!r} is not in the fixed effects, which have {listed(have) or 'none'}"
            )
        return along
    moving = [name for name in have if (data.groupby(patient)[name].nunique() > 1).any()]
    if len(moving) != 1:
        raise LongsurvError(
            "say along which variable the curves are, as along='day'; "
            + (f"within patients change {listed(moving)}" if moving else "none changes within them")
        )
    return moving[0]
