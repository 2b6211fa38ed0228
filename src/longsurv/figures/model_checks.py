"""Figures of how models fit: quantiles, residuals over fitted values, replicates, bent lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from longsurv.figures.axes import padded
from longsurv.figures.place import Where, panels, width_in
from longsurv.figures.style import (
    ALARM,
    BAYES,
    GROUP_COLOURS,
    INK,
    LABEL_SIZE,
    MUTED,
    NARROWEST,
    RULE,
    shorten,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH = 560.0
_BAND: dict[str, Any] = {  # any: keywords of matplotlib
    "facecolor": RULE, "edgecolor": "none", "alpha": 0.7,
}  # fmt: skip


def _across(width: float, count: int) -> int:
    """Panels side by side."""
    return min(count, 2 if width < NARROWEST else 4)


@styled
def quantile_panels(
    tables: Mapping[str, pd.DataFrame], *, points: bool = True, width: float = _WIDTH,
    ax: Where = None,
) -> Axes:  # fmt: skip
    """Ordered residuals against normal quantiles with their simultaneous band, a panel a model.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        By title: theoretical, observed, low, high, in order.
    points : bool
        Marks of the values; otherwise a line through them.
    width : float
        In CSS pixels, of a figure of its own.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.
    """
    width = width_in(ax, width)
    across = _across(width, len(tables))
    axes = list(panels(width, len(tables), across, left=40, right=12, top=22, bottom=24,
                       panel=110 if len(tables) > 1 else 240, gap=4, key=16, ax=ax))  # fmt: skip
    for place, (title, table) in zip(axes, tables.items(), strict=True):
        x = table["theoretical"].to_numpy(dtype=float)
        out = (table["observed"] < table["low"]) | (table["observed"] > table["high"])
        place.fill_between(x, table["low"], table["high"], **_BAND)
        y = table["observed"].to_numpy(dtype=float)
        if points:
            place.plot(x[~out], y[~out], "o", color=INK, markersize=2.4)
        else:
            place.plot(x, y, color=INK, linewidth=1.3)
        place.plot(x[out], y[out], "s", color=ALARM, markersize=3.2)
        place.set_title(shorten(title, int(width / across / 9)), loc="left", fontsize=LABEL_SIZE)
        _few_ticks(place)
    axes[0].annotate(
        "Residuals in SDs by normal quantile", (0, 1), (-36, 24), "axes fraction",
        "offset points", color=MUTED, annotation_clip=False,
    )  # fmt: skip
    return axes[0]


@styled
def residual_panels(
    tables: Mapping[str, pd.DataFrame], *, width: float = _WIDTH, ax: Where = None
) -> Axes:
    """Mean and spread of studentised residuals over fitted values, with bands, a panel a model.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        By title: of ("mean", "spread"), fitted, observed, low, high.
    width : float
        In CSS pixels, of a figure of its own.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.
    """
    width = width_in(ax, width)
    across = _across(width, len(tables))
    axes = list(panels(width, len(tables), across, left=40, right=12, top=22, bottom=24,
                       panel=110 if len(tables) > 1 else 240, gap=4, key=16, ax=ax))  # fmt: skip
    for place, (title, table) in zip(axes, tables.items(), strict=True):
        for colour, mark, of in (
            (GROUP_COLOURS[0], "o", "mean"), (GROUP_COLOURS[1], "s", "spread"),
        ):  # fmt: skip
            part = table[table["of"] == of]
            x = part["fitted"].to_numpy(dtype=float)
            place.fill_between(x, part["low"], part["high"], **_BAND)
            place.plot(x, part["observed"], color=colour, marker=mark, markersize=3, linewidth=1.2)
        place.set_title(shorten(title, int(width / across / 9)), loc="left", fontsize=LABEL_SIZE)
        _few_ticks(place)
    axes[0].annotate(
        "Mean (dots) and spread (squares) by fitted value", (0, 1),
        (-36, 24), "axes fraction", "offset points", color=MUTED, annotation_clip=False,
    )  # fmt: skip
    return axes[0]


@styled
def replicated(table: pd.DataFrame, *, width: float = _WIDTH, ax: Where = None) -> Axes:
    """Where statistics of the data lie among those of replicates, in panels of rows.

    The interval of the replicates goes from -1 to 1 in every row.

    Parameters
    ----------
    table : DataFrame
        panel, row, observed, conf_low, conf_high.
    width : float
        In CSS pixels, of a figure of its own.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.
    """
    width = width_in(ax, width)
    rows, kinds = list(dict.fromkeys(table["row"])), list(dict.fromkeys(table["panel"]))
    across = min(len(kinds), 1 if width < NARROWEST else 2)
    left, each = 160.0, width / across
    axes = list(panels(width, len(kinds), across, left=left, right=10, top=28, bottom=26,
                       panel=18.0 * len(rows), ax=ax))  # fmt: skip
    letters = int((each - left) / 6.5)
    for place, kind in zip(axes, kinds, strict=True):
        part = table[table["panel"] == kind]
        y = np.array([rows.index(row) for row in part["row"]])
        at = positions(part)
        place.axvspan(-1, 1, **_BAND)
        out = np.abs(at) > 1
        place.plot(np.clip(at, -2, 2)[~out], y[~out], "o", color=BAYES, markersize=5)
        place.plot(np.clip(at, -2, 2)[out], y[out], "D", color=ALARM, markersize=5)
        place.set_xlim(-2.15, 2.15)
        place.set_ylim(len(rows) - 0.4, -0.6)
        place.set_xticks([-1, 1], ["low", "high"])
        place.set_yticks(range(len(rows)), [shorten(row, 25) for row in rows])
        place.tick_params(axis="y", length=0)
        place.set_title(shorten(kind, letters), loc="left", fontsize=LABEL_SIZE)
    return axes[0]


def positions(table: pd.DataFrame) -> np.ndarray:
    """The observed statistic where the interval of the replicates goes from -1 to 1.

    Parameters
    ----------
    table : DataFrame
        observed, conf_low, conf_high.

    Returns
    -------
    ndarray
    """
    low, high = table["conf_low"].to_numpy(dtype=float), table["conf_high"].to_numpy(dtype=float)
    observed = table["observed"].to_numpy(dtype=float)
    half = (high - low) / 2
    away = observed - (low + high) / 2
    places: np.ndarray = np.where(
        half > 0, away / np.where(half > 0, half, 1.0), 3.0 * np.sign(away)
    )
    return places


@styled
def bends(curves: pd.DataFrame, *, width: float = _WIDTH, ax: Where = None) -> Axes:
    """Straight and bent effects of covariates, the latter with their band, a panel a covariate.

    Parameters
    ----------
    curves : DataFrame
        term, x, straight, bent, conf_low, conf_high.
    width : float
        In CSS pixels, of a figure of its own.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.
    """
    width = width_in(ax, width)
    parts: Sequence[tuple[object, pd.DataFrame]] = list(curves.groupby("term", sort=False))
    across = _across(width, len(parts))
    axes = list(panels(width, len(parts), across, left=42, right=12, top=22, bottom=24,
                       panel=110 if len(parts) > 1 else 240, gap=4, key=16,
                       ax=ax))  # fmt: skip
    for place, (term, part) in zip(axes, parts, strict=True):
        x = part["x"].to_numpy(dtype=float)
        place.fill_between(x, part["conf_low"], part["conf_high"], **_BAND)
        place.plot(x, part["straight"], color=INK, linewidth=1.2)
        place.plot(x, part["bent"], color=GROUP_COLOURS[1], linewidth=1.6, linestyle=(0, (5, 2)))
        shown = part[["straight", "bent", "conf_low", "conf_high"]].to_numpy(dtype=float)
        place.set_ylim(*padded(shown.ravel()))
        place.set_title(
            shorten(str(term), int(width / across / 9)), loc="left", fontsize=LABEL_SIZE
        )
        _few_ticks(place)
    axes[0].annotate(
        "Effect: straight (full) and bent (dashed)", (0, 1), (-38, 24),
        "axes fraction", "offset points", color=MUTED, annotation_clip=False,
    )  # fmt: skip
    return axes[0]


def _few_ticks(place: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    place.xaxis.set_major_locator(MaxNLocator(4))
    place.yaxis.set_major_locator(MaxNLocator(4))
