"""What each prior says and what the data make of it: a panel a prior."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.figures.axes import log_ticks
from longsurv.figures.style import (
    BAYES,
    MUTED,
    is_wide,
    panels,
    plain_ticks,
    shorten,
    styled,
)
from longsurv.words import capital

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDE, _TOP, _BOTTOM, _KEY = 17.0, 52.0, 44.0, 28.0
_PANEL = 110.0


@styled
def prior_grid(
    densities: pd.DataFrame,
    *,
    subtitles: Mapping[str, str] | None = None,
    xlabel: str = "Hazard ratio",
    width: float = 760,
) -> Axes:
    """Draw the posterior of a log ratio with its prior over it, for every prior, on one scale.

    Parameters
    ----------
    densities : DataFrame
        Columns `prior` (its name), `log_ratio`, `prior_density`, `posterior_density`, both per unit
        of the log ratio.
    subtitles : mapping of str to str, optional
        Prior to the line under its name.
    xlabel : str
    width : float
        In CSS pixels; five panels side by side on a desk, two on a phone.

    Returns
    -------
    Axes
        Of the first prior; the others are in its figure.
    """
    names = list(dict.fromkeys(densities["prior"]))
    axes = list(panels(
        width, len(names), min(len(names), 5) if is_wide(width) else 2, left=_SIDE, right=_SIDE,
        top=_TOP, bottom=_BOTTOM, panel=_PANEL, key=_KEY,
    ))  # fmt: skip
    top = 1.05 * float(densities[["prior_density", "posterior_density"]].to_numpy().max())
    low, high = (float(densities["log_ratio"].agg(f)) for f in ("min", "max"))
    ticks = log_ticks(math.exp(low), math.exp(high), most=4)
    for ax, name in zip(axes, names, strict=True):
        _draw(ax, densities[densities["prior"] == name].sort_values("log_ratio"))
        ax.set_xlim(low, high)
        ax.set_ylim(0, top)
        ax.set_xticks(np.log(ticks), plain_ticks(ticks))
        ax.set_xlabel(xlabel, labelpad=3)
        ax.spines["left"].set_visible(False)
        ax.yaxis.set_visible(False)
        title = shorten(name, 20)
        ax.text(
            0, 1.2, capital(title), transform=ax.transAxes, fontweight="bold",
            fontsize=11.5,
        )  # fmt: skip
        ax.text(
            0, 1.05, (subtitles or {}).get(name, ""), transform=ax.transAxes, fontsize=10,
            color=MUTED,
        )  # fmt: skip
    _key(axes[0])
    return axes[0]


def _draw(ax: Axes, curve: pd.DataFrame) -> None:
    x = curve["log_ratio"].to_numpy()
    posterior = curve["posterior_density"].to_numpy()
    ax.fill_between(x, posterior, where=x <= 0, color=BAYES, alpha=0.34, linewidth=0)
    ax.fill_between(x, posterior, where=x >= 0, color=BAYES, alpha=0.12, linewidth=0)
    ax.plot(x, posterior, color=BAYES, linewidth=1.7)
    ax.plot(x, curve["prior_density"], color=MUTED, linewidth=1.4, linestyle=(0, (4, 2.5)))
    ax.axvline(0.0, color=MUTED, linewidth=0.9, zorder=0)


def _key(ax: Axes) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color=MUTED, linewidth=1.4, linestyle=(0, (4, 2.5)), label="Prior"),
        Line2D([], [], color=BAYES, linewidth=1.7, label="Posterior"),
        Patch(color=BAYES, alpha=0.34, linewidth=0, label="Ratio below 1"),
    ]
    ax.figure.legend(
        handles=handles, loc="upper left", ncols=3, frameon=False, handlelength=2.2,
        columnspacing=1.4, borderaxespad=0.1, fontsize=11,
    )  # fmt: skip
