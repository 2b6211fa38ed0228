"""Whether an answer is on a log scale, and of which base."""

from __future__ import annotations

from typing import Literal, Protocol, cast

import numpy as np
import pandas as pd

from longsurv.design.expression import logarithm_of
from longsurv.design.formula import Formula
from longsurv.design.hazard import HazardDesign
from longsurv.design.survival import SurvivalDesign
from longsurv.errors import LongsurvError

type Logarithm = Literal["log", "log2", "log10"]

LOG_BASES = {"log": np.e, "log2": 2.0, "log10": 10.0}
SCALED = ["estimate", "conf_low", "conf_high"]


class OnAScale(Protocol):
    """The arrays of a model of a response."""

    @property
    def formula(self) -> Formula:
        """The model."""


def log_base(design: OnAScale, ratio: bool | str = True) -> float:
    """The natural logarithm of the base that coefficients are logarithms to.

    Parameters
    ----------
    design : OnAScale
        The arrays of the model.
    ratio : True or {"log", "log2", "log10"}
        True reads it off the formula or the link.

    Raises
    ------
    LongsurvError
        If the coefficients are not on a log scale, or the logarithm is another word, or another
        one than the formula takes.
    """
    if isinstance(design, SurvivalDesign | HazardDesign):
        return 1.0  # logarithms of hazard ratios
    if isinstance(ratio, str) and ratio not in LOG_BASES:
        raise LongsurvError(f"ratio is True, False or one of {list(LOG_BASES)}, not {ratio!r}")
    taken, what = _known(design)
    if isinstance(ratio, str):
        if taken not in (None, ratio):
            raise LongsurvError(
                f"{what} are logarithms to the base of {taken}, and {ratio} would make other"
                " numbers of them; True undoes the logarithm that it is"
            )
        return float(np.log(LOG_BASES[ratio]))
    if taken is None:
        raise LongsurvError(
            "this needs a response on a log scale, the logarithm of a column, and the formula's is "
            f"{design.formula.response!r}; if that holds logarithms already, name it: 'log' "
            "(or 'log2', 'log10') in place of True"
        )
    return float(np.log(LOG_BASES[taken]))


def _known(design: OnAScale) -> tuple[str | None, str]:
    """The logarithm that a model takes by its link or its formula, and what are logarithms."""
    if any(getattr(design, f"family_is_{link}", False) for link in ("logit", "log")):
        return "log", "coefficients of this family"
    found = logarithm_of(design.formula.response)
    return (None, "") if found is None else (found[0], f"values of {design.formula.response!r}")


def coefficient_base(design: object, component: str, exponentiate: bool | Logarithm) -> float:
    """`log_base` of a table of coefficients; what is no difference is refused."""
    if component != "fixed":
        raise LongsurvError(
            "exponentiate= is for coefficients; ask for component='fixed', and for the others"
            " in a table of their own"
        )
    return log_base(cast("OnAScale", design), exponentiate)


def ratios(table: pd.DataFrame, base: float) -> pd.DataFrame:
    """A tidy table with estimates and limits exponentiated; std_error stays the logarithm's.

    Parameters
    ----------
    table : DataFrame
    base : float
        Natural logarithm of the base (`log_base`).
    """
    found = table.copy()
    found[SCALED] = np.exp(found[SCALED] * base)
    found.attrs |= table.attrs
    return found
