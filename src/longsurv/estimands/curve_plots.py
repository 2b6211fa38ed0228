"""Curves of one group as figures; the drawings are the report's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv import numbers
from longsurv.estimands.follow_up import FollowUp
from longsurv.figures import incidence, kaplan_meier
from longsurv.figures.axes import risk_times
from longsurv.figures.place import described, place_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIMITS = ["estimate", "conf_low", "conf_high"]


def survival(table: pd.DataFrame, follow_up: FollowUp, level: float, ax: object) -> Axes:
    """Survival of one group in steps, with its band, what was censored and who was at risk.

    Parameters
    ----------
    table : DataFrame
        Columns time, estimate, conf_low, conf_high.
    follow_up : FollowUp
    level : float
        Of the band.
    ax : Axes, optional
    """
    start, end = float(follow_up.entry.min()), float(follow_up.exit.max())
    times = table["time"].to_numpy(dtype=float)
    lost = [int(np.sum((follow_up.exit == t) & (follow_up.status != 1))) for t in times]
    curves = table.assign(group="all", censored=lost)
    ticks = risk_times(start, end, "")
    at_risk = pd.DataFrame(
        {
            "group": "all",
            "time": ticks,
            "at_risk": [_under_observation(follow_up, t) for t in ticks],
        }
    )
    drawn = kaplan_meier(curves, at_risk, groups=["all"], xlabel="Time", ax=place_of(ax))
    return described(drawn, _sentence("Survival", table, level))


def cumulative_incidence(table: pd.DataFrame, cause: int, level: float, ax: object) -> Axes:
    """Cumulative incidence of one cause in one group, with its band."""
    times = table["time"].to_numpy(dtype=float)
    ticks = risk_times(float(times[0]), float(times[-1]), "")
    curves = table.assign(group="all", cause=f"Status {cause}")
    drawn = incidence(curves, groups=["all"], xlabel="Time", ticks=ticks, ax=place_of(ax))
    return described(drawn, _sentence(f"Cumulative incidence of status {cause}", table, level))


def _under_observation(follow_up: FollowUp, time: float) -> int:
    return int(np.sum((follow_up.entry <= time) & (follow_up.exit >= time)))


def _sentence(what: str, table: pd.DataFrame, level: float) -> str:
    last = table.dropna(subset=["estimate"]).iloc[-1]
    said = numbers.difference(*(float(last[name]) for name in LIMITS))
    return f"{what} at {last['time']:g}: {said} ({level:.0%} interval)."
