"""Dynamic prediction: what was measured of a patient until now, and survival from now on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.figures.axes import padded, set_log_axis
from longsurv.figures.place import Where, new_axes, panels, width_in
from longsurv.figures.style import BAYES, INK, MUTED, RULE, is_wide, plain_ticks, shorten, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT, _RIGHT, _TOP, _BOTTOM, _PANEL = 56.0, 44.0, 30.0, 46.0, 190.0


@styled
def prediction(
    table: pd.DataFrame,
    measured: pd.DataFrame,
    *,
    at: float,
    ylabel: str,
    xlabel: str,
    log: bool,
    ticks: Sequence[float],
    width: float = 760,
    ax: Where = None,
) -> Axes:
    """Draw one panel a patient: measurements before the landmark, predicted survival after it.

    Parameters
    ----------
    table : DataFrame
        Columns `title` (of the panel), `patient`, `time`, `estimate`, `conf_low`, `conf_high`.
    measured : DataFrame
        Columns `patient`, `time`, `value`; without rows the survival alone is drawn.
    at : float
        The landmark.
    ylabel, xlabel : str
        Of the marker, and of time.
    log : bool
        The marker on a logarithmic axis.
    ticks : sequence of float
        Of the time axis.
    width : float
        In CSS pixels; below 480 the panels stand one under the other.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.

    Returns
    -------
    Axes
        Of the first patient's marker; the others are in its figure.
    """
    width = width_in(ax, width)
    patients = list(dict.fromkeys(table["patient"]))
    if not patients:
        empty = new_axes(width, _PANEL, left=_LEFT, right=_RIGHT, top=_TOP, bottom=_BOTTOM, ax=ax)
        empty.text(0.5, 0.5, "no patient to show", ha="center", color=MUTED)
        return empty
    across = len(patients) if is_wide(width) else 1
    axes = panels(
        width, len(patients), across, left=_LEFT, right=_RIGHT, top=_TOP, bottom=_BOTTOM,
        panel=_PANEL, ax=ax,
    )  # fmt: skip
    values = measured["value"].to_numpy(dtype=float)
    span = padded(values, log=log, by=0.12) if len(values) else (0.0, 1.0)
    drawn = []
    for k, (marker, patient) in enumerate(zip(axes, patients, strict=True)):
        drawn.append(marker)
        survival = marker.twinx()
        mine = table[table["patient"] == patient]
        points = measured[measured["patient"] == patient]
        marker.plot(points["time"], points["value"], "o-", color=INK, markersize=5, linewidth=1)
        if measured.empty:
            marker.set_yticks([])
        elif log:
            set_log_axis(marker, "y", *span, most=4)
        else:
            marker.set_ylim(*span)
        survival.fill_between(
            mine["time"], mine["conf_low"], mine["conf_high"], color=BAYES, alpha=0.2, linewidth=0
        )
        survival.plot(mine["time"], mine["estimate"], color=BAYES, linewidth=1.8)
        survival.set_ylim(0, 1.04)
        survival.spines["right"].set_visible(True)
        survival.spines["right"].set_color(BAYES)
        survival.set_yticks([0, 0.5, 1], plain_ticks([0, 0.5, 1]), color=BAYES)
        marker.axvline(at, color=RULE, linewidth=1, zorder=0)
        marker.set_xlim(0, float(mine["time"].max()))
        marker.set_xticks(ticks, plain_ticks(ticks))
        marker.set_xlabel(xlabel)
        if k % across == 0 and not measured.empty:
            marker.set_ylabel(ylabel)
        if k % across == across - 1 or across == 1:
            survival.set_ylabel("Survival", color=BAYES)
        marker.set_title(shorten(str(mine["title"].iloc[0]), 34), fontsize=11)
    return drawn[0]


def time_ticks(end: float, most: int = 4) -> list[float]:
    """Round times from 0 to `end`."""
    steps = (1, 2, 5, 7, 10, 14, 20, 25, 50, 100)
    step = next((s for s in steps if end / s <= most), end / most)
    return [float(t) for t in np.arange(0, end + step / 1e6, step)]
