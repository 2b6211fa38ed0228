"""What fits and posteriors with site effects say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.design.sites import Sites
from longsurv.results import plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 10
"""Sites below which their variance is said to be hardly known."""


def site_flags(sites: Sites, s: float | None) -> tuple[str, ...]:
    """What a reader must know: conditional ratios, few sites, a variance of 0.

    Parameters
    ----------
    sites : Sites
    s : float, optional
        The estimated standard deviation; None in a posterior.
    """
    flags, J = [], len(sites.labels)
    if s == 0.0:
        flags.append(
            f"Boundary: the variance between {sites.name} is estimated as exactly 0; the data show "
            "no more difference between them than chance. Coefficients are those without sites."
        )
    else:
        flags.append(
            f"Hazard ratios are between patients of the same {sites.name}; between patients of any "
            "two they are nearer to 1. Survival and risks are averaged over the distribution of "
            "sites."
        )
    if J < FEW:
        flags.append(
            f"There are {J} values of {sites.name}: a variance between so few is hardly known."
        )
    return tuple(flags)


def effects_table(
    sites: Sites, mean: np.ndarray, std_error: np.ndarray, low: np.ndarray, high: np.ndarray
) -> pd.DataFrame:
    """Site effects on the log hazard, a row each: estimate, std_error, conf_low, conf_high."""
    return pd.DataFrame(
        {
            sites.name: np.asarray(sites.labels), "estimate": mean, "std_error": std_error,
            "conf_low": low, "conf_high": high,
        }
    )  # fmt: skip


def plot_effects(sites: Sites, table: pd.DataFrame, level: float, ax: object) -> Axes:
    """Draw site effects in the order of their size."""
    table = table.sort_values("estimate", ascending=False)
    labels = [str(label) for label in table[sites.name]]
    what = f"Log hazard ratio of a {sites.name} to the median one"
    return plots.rows(labels, table, what, level, ax)
