"""Imputed values: means by visit, and an answer over what is added to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from longsurv.figures.place import Where, described, legend_above, new_axes, width_in
from longsurv.figures.style import GROUP_COLOURS, INK, MUTED, PAPER, group_style, shorten, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 16.0, 40.0, 50.0
_HEIGHT = 320.0


@styled
def over_delta(
    table: pd.DataFrame,
    *,
    name: str,
    xlabel: str,
    said: str,
    null: float = 0.0,
    tips: Sequence[float] = (),
    log: bool = False,
    width: float = 640.0,
    ax: Where = None,
) -> Axes:
    """Draw an answer and its interval over what is added to imputed values.

    Parameters
    ----------
    table : DataFrame
        delta, estimate, conf_low, conf_high.
    name, xlabel : str
        Of the answer, and of delta.
    said : str
        What the figure shows, in a sentence.
    null : float
        No effect.
    tips : sequence of float
        Deltas to mark.
    log : bool
        A logarithmic axis of the answer.
    width : float
        In CSS pixels.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.
    """
    width = width_in(ax, width)
    ax = new_axes(
        width, _HEIGHT, left=_LEFT, right=_RIGHT, top=_TOP, bottom=_BOTTOM, ax=ax
    )  # fmt: skip
    if log:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter("{x:g}")
    ax.axhline(null, color=INK, linewidth=1.0)
    at = table["delta"].to_numpy(dtype=float)
    low, high = (table[c].to_numpy(dtype=float) for c in ("conf_low", "conf_high"))
    ax.fill_between(at, low, high, color=GROUP_COLOURS[0], alpha=0.18, linewidth=0)
    ax.plot(at, table["estimate"], color=GROUP_COLOURS[0], marker="o", markersize=5)
    for tip in tips:
        ax.axvline(tip, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
    ax.set_xlabel(xlabel, labelpad=6)
    ax.set_title(shorten(name, int(width / 8)), fontsize=11.5)
    return described(ax, said)


@styled
def imputed_means(
    table: pd.DataFrame,
    visit: str,
    group: str | None,
    response: str,
    *,
    width: float = 640.0,
    ax: Where = None,
) -> Axes:
    """Draw means by visit: filled marks of all values, hollow ones of those that were seen.

    Parameters
    ----------
    table : DataFrame
        Of `Imputation.imputed_means`.
    visit : str
        Column of the visits.
    group : str, optional
        Column of the groups.
    response : str
        What was measured.
    width : float
        In CSS pixels.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.
    """
    width = width_in(ax, width)
    ax = new_axes(width, _HEIGHT, left=_LEFT, right=_RIGHT, top=_TOP, bottom=_BOTTOM, ax=ax)
    visits = list(dict.fromkeys(table[visit]))
    groups = [("", table)] if group is None else list(table.groupby(group, observed=True))
    said = []
    for k, (name, part) in enumerate(groups):
        style, at = group_style(k), [visits.index(v) for v in part[visit]]
        label = shorten(f"{name}, with imputed" if group else "with imputed values", 40)
        ax.plot(at, part["mean_all"], **style, markersize=6, label=label)
        seen = {**style, "linestyle": "", "markerfacecolor": PAPER}
        ax.plot(at, part["mean_seen"], **seen, markersize=8, zorder=1)
        last = part.iloc[-1]
        who = f"{name}: " if group else ""
        said.append(
            f"{who}{last['mean_seen']:.3g} seen, {last['mean_all']:.3g} with imputed values"
        )
    ax.set_xticks(range(len(visits)), [str(v) for v in visits])
    ax.set_xlabel(visit)
    ax.set_ylabel(shorten(f"Mean of {response}", 34))
    legend_above(ax, _LEFT, _TOP - 6, ncols=len(groups), handles=ax.get_legend_handles_labels()[0])
    text = f"Mean of {response} by {visit}; hollow: values seen. At the last: {'; '.join(said)}."
    return described(ax, text)
