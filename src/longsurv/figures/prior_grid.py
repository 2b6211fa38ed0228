"""What each prior says and what the data make of it: a panel a prior."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.figures.axes import log_ticks
from longsurv.figures.place import Where, legend_above, panels, warned, width_in
from longsurv.figures.style import BAYES, MUTED, is_wide, plain_ticks, shorten, styled
from longsurv.words import capital

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDE, _TOP, _BOTTOM, _KEY, _LINE = 17.0, 52.0, 44.0, 28.0, 16.0
_PANEL = 110.0


@styled
def prior_grid(
    densities: pd.DataFrame,
    *,
    subtitles: Mapping[str, str] | None = None,
    xlabel: str = "Hazard ratio",
    log: bool = True,
    together: bool = True,
    warnings: Sequence[str] = (),
    width: float = 760,
    ax: Where = None,
) -> Axes:
    """Draw a posterior with its prior over it, a panel each.

    Parameters
    ----------
    densities : DataFrame
        Columns `prior` (the name of the panel), `log_ratio`, `prior_density`, `posterior_density`,
        both per unit of the log ratio.
    subtitles : mapping of str to str, optional
        Prior to the line under its name.
    xlabel : str
    log : bool
        The axis has ratios; without, the numbers as they are.
    together : bool
        One scale for all panels, as of one quantity under several priors; else each its own.
    warnings : sequence of str
        What is wrong with the posteriors.
    width : float
        In CSS pixels; five panels side by side on a desk, two on a phone.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.

    Returns
    -------
    Axes
        Of the first prior; the others are in its figure.
    """
    width = width_in(ax, width)
    key = _KEY + (_LINE if warnings else 0.0)
    names = list(dict.fromkeys(densities["prior"]))
    axes = list(panels(
        width, len(names), min(len(names), 5) if is_wide(width) else 2, left=_SIDE, right=_SIDE,
        top=_TOP, bottom=_BOTTOM, panel=_PANEL, key=key, ax=ax,
    ))  # fmt: skip
    all_of_them = densities[["log_ratio", "prior_density", "posterior_density"]]
    for panel, name in zip(axes, names, strict=True):
        own = densities[densities["prior"] == name].sort_values("log_ratio")
        _draw(panel, own)
        scale = all_of_them if together else own
        low, high = float(scale["log_ratio"].min()), float(scale["log_ratio"].max())
        panel.set_xlim(low, high)
        panel.set_ylim(0, 1.05 * float(scale[["prior_density", "posterior_density"]].max().max()))
        if log:
            ticks = log_ticks(math.exp(low), math.exp(high), most=4)
            panel.set_xticks(np.log(ticks), plain_ticks(ticks))
        else:
            panel.locator_params(axis="x", nbins=4)
        panel.set_xlabel(xlabel, labelpad=3)
        panel.spines["left"].set_visible(False)
        panel.yaxis.set_visible(False)
        title = capital(shorten(name, 20)) if together else shorten(name, 22)
        panel.text(
            0, 1.2, title, transform=panel.transAxes, fontweight="bold",
            fontsize=11.5,
        )  # fmt: skip
        panel.text(
            0, 1.05, (subtitles or {}).get(name, ""), transform=panel.transAxes, fontsize=10,
            color=MUTED,
        )  # fmt: skip
    _key(axes[0], log, _TOP + key)
    warned(axes[0], warnings, _TOP + 4.0, width)
    return axes[0]


def _draw(ax: Axes, curve: pd.DataFrame) -> None:
    x = curve["log_ratio"].to_numpy()
    posterior = curve["posterior_density"].to_numpy()
    ax.fill_between(x, posterior, where=x <= 0, color=BAYES, alpha=0.34, linewidth=0)
    ax.fill_between(x, posterior, where=x >= 0, color=BAYES, alpha=0.12, linewidth=0)
    ax.plot(x, posterior, color=BAYES, linewidth=1.7)
    ax.plot(x, curve["prior_density"], color=MUTED, linewidth=1.4, linestyle=(0, (4, 2.5)))
    ax.axvline(0.0, color=MUTED, linewidth=0.9, zorder=0)


def _key(ax: Axes, log: bool, above: float) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color=MUTED, linewidth=1.4, linestyle=(0, (4, 2.5)), label="Prior"),
        Line2D([], [], color=BAYES, linewidth=1.7, label="Posterior"),
        Patch(color=BAYES, alpha=0.34, linewidth=0, label="Ratio below 1" if log else "Below 0"),
    ]
    legend_above(
        ax, _SIDE, above, handles=handles, ncols=3, handlelength=2.2,
        columnspacing=1.4, borderaxespad=0.1, fontsize=11,
    )  # fmt: skip
