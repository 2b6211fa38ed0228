"""Posterior of cumulative incidence and restricted mean survival from cause-specific hazards.

In each group the hazard of each cause k is constant in each of many short pieces of time, with the
conjugate prior of a gamma process: in a piece that is a share w of the time from the start to the
horizon,

    h_k ~ Gamma(w / 2, width / 2),
    h_k | data ~ Gamma(w / 2 + events, width / 2 + time at risk).

The prior is worth half an event of each cause in half a patient who is followed to the horizon,
however many the pieces: it lets a cumulative hazard to the horizon be chi-squared with one degree
of freedom, and a group in which nobody died has a posterior too. Given the hazards the incidence is
known in closed form,

    F_k = sum over pieces of S(start) h_k / h (1 - exp(-h width)),   h the sum over causes.

Nothing is shared between groups and nothing is adjusted for.

Kalbfleisch JD. Non-parametric Bayesian analysis of survival time data. J R Stat Soc B
1978;40:214-221, for gamma processes.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.errors import DataError, LongsurvError
from longsurv.estimands.follow_up import FollowUp, two_groups

PRIOR_PATIENTS = 0.5
"""Patients followed to the horizon that the prior of a group is worth, and events of each cause."""

_PIECES = 24
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class HazardDraws:
    """Draws of piecewise-constant hazards of every cause in one group.

    Attributes
    ----------
    edges : ndarray, shape (m + 1,)
        Where the pieces begin and end: the start, the cuts and the horizon.
    causes : tuple of int
        Statuses.
    hazard : ndarray, shape (draws, m, causes)
    """

    edges: np.ndarray
    causes: tuple[int, ...]
    hazard: np.ndarray = field(repr=False)

    @property
    def _pieces(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Hazard of any cause, cumulative hazard of each piece, survival at its start."""
        total = self.hazard.sum(axis=2)
        within = total * np.diff(self.edges)
        return total, within, np.exp(-(np.cumsum(within, axis=1) - within))

    def incidence(self, cause: int) -> np.ndarray:
        """Draws of the probability to leave by a cause by the horizon, shape (draws,).

        Parameters
        ----------
        cause : int

        Returns
        -------
        ndarray, shape (draws,)
        """
        total, within, start = self._pieces
        gone = start * -np.expm1(-within)
        mine = self.hazard[:, :, self.causes.index(cause)]
        share = np.divide(mine, total, where=total > 0, out=np.zeros_like(total))
        return (gone * share).sum(axis=1)

    def restricted_mean(self) -> np.ndarray:
        """Draws of the mean time free of every cause until the horizon, shape (draws,)."""
        total, within, start = self._pieces
        width = np.diff(self.edges)
        mean = np.broadcast_to(width, total.shape).copy()  # its limit at a hazard of 0
        np.divide(-np.expm1(-within), total, where=within > 1e-12, out=mean)
        return (start * mean).sum(axis=1)


def hazard_draws(
    follow_up: FollowUp,
    edges: np.ndarray,
    causes: tuple[int, ...],
    draws: int,
    rng: np.random.Generator,
) -> HazardDraws:
    """Draw the hazards of one group from their posterior.

    Parameters
    ----------
    follow_up : FollowUp
    edges : ndarray, shape (m + 1,)
    causes : tuple of int
    draws : int
    rng : Generator

    Raises
    ------
    DataError
        If nobody is at risk in a piece, so that its hazards are not known.
    """
    time, leave = _time_at_risk(follow_up, edges), follow_up.exit[:, None]
    if (time <= 0).any():
        k = int(np.argmax(time <= 0))
        raise DataError(
            f"nobody is at risk between {edges[k]:g} and {edges[k + 1]:g}, so nothing is known of "
            "the hazards there"
        )
    reach = (
        edges + _ROUNDING * np.abs(edges).max()
    )  # an event at an edge is before it, just after too
    within = (leave > reach[:-1]) & (leave <= reach[1:])
    events = np.stack(
        [(within & (follow_up.status == c)[:, None]).sum(axis=0) for c in causes], axis=1
    )
    width = np.diff(edges)
    shape = events + PRIOR_PATIENTS * width[:, None] / width.sum()
    rate = time + PRIOR_PATIENTS * width
    hazard = rng.gamma(shape, size=(draws, *events.shape)) / rate[:, None]
    return HazardDraws(edges, causes, hazard)


@checked
def incidence_posterior(
    data: pd.DataFrame,
    group: str,
    time: float,
    *,
    cause: int = 1,
    level: float = 0.95,
    draws: int = 20_000,
    seed: int = 1,
) -> pd.DataFrame:
    """Posterior of the cumulative incidence of two groups by a time, and of their comparison.

    Parameters
    ----------
    data : DataFrame
        As `Cohort.survival_data()`: "exit", "status" or "event", "entry" if delayed, `group`.
    group : str
    time : float
        The horizon.
    cause : int
    level : float
        Of the equal-tailed intervals.
    draws, seed : int

    Returns
    -------
    DataFrame
        Rows "risk of" each group, "risk difference" (group minus reference), "risk ratio" and,
        without competing events, "restricted mean difference" (time alive from the first entry to
        the horizon). Columns quantity, time, estimate (median), std_error (of the ratio: of its
        logarithm), conf_low, conf_high, prob_positive (that the group's risk is the higher, or
        its mean time the longer), note.

    Raises
    ------
    DataError
        For data that cannot be follow-up; if follow-up ends before the horizon with patients alive,
        or nobody is under observation at some time before others enter.
    """
    if not 0 < level < 1:
        raise LongsurvError(f"level must be between 0 and 1, not {level}")
    asked, sides = time, two_hazards(data, group, time, cause=cause, draws=draws, seed=seed)
    (name, a), (reference_name, b) = sides.items()
    p, q = a.incidence(cause), b.incidence(cause)
    higher = float((p > q).mean())
    note = "gamma-process prior worth half a patient and half an event of each cause"
    rows = [
        _row(f"risk of {name}", p, level),
        _row(f"risk of {reference_name}", q, level),
        _row("risk difference", p - q, level, higher),
        _row("risk ratio", np.log(p) - np.log(q), level, higher, back=True),
    ]
    if len(a.causes) == 1:
        longer = a.restricted_mean() - b.restricted_mean()
        rows.append(_row("restricted mean difference", longer, level, float((longer > 0).mean())))
    return pd.DataFrame(rows).assign(time=float(asked), note=note)[
        ["quantity", "time", "estimate", "std_error", "conf_low", "conf_high", "prob_positive",
         "note"]
    ]  # fmt: skip


def two_hazards(
    data: pd.DataFrame, group: str, time: float, *, cause: int, draws: int, seed: int
) -> dict[Hashable, HazardDraws]:
    """Draws of the hazards of two groups, the reference last; arguments and refusals are those of
    `incidence_posterior`."""
    name, treated, reference_name, reference = two_groups(data, group)
    causes = tuple(sorted({cause, *treated.causes, *reference.causes}))
    if not np.isfinite(time):
        raise LongsurvError(f"time is a time by which to have had the event, not {time}")
    time = float(reference.on_clock(treated.on_clock(np.array(time))))
    edges = _edges(treated, reference, time)
    rng = np.random.default_rng(seed)
    sides = {}
    for label, follow_up in ((name, treated), (reference_name, reference)):
        gap = follow_up.since(float(edges[0])).gap
        if gap is not None and gap[0] < time:
            raise DataError(
                f"group {label}: nobody was under observation between {gap[0]:g} and {gap[1]:g}"
            )
        end = follow_up.exit.max()
        if end < time and (follow_up.status[follow_up.exit == end] == 0).any():
            raise DataError(f"group {label}: follow-up ends at {end:g} with patients at risk")
        sides[label] = hazard_draws(follow_up, edges, causes, draws, rng)
    return sides


def _edges(treated: FollowUp, reference: FollowUp, time: float) -> np.ndarray:
    """Pieces of equal length, those in which a group has nobody joined to the one before.

    So where the last of a group has left before the horizon, its hazards are taken to go on.
    """
    start = max(treated.entry.min(), reference.entry.min())
    if not start < time:
        raise LongsurvError(f"the horizon ({time:g}) must come after the first entry ({start:g})")
    grid = np.linspace(start, time, _PIECES + 1)
    someone = np.ones(_PIECES, dtype=bool)
    for side in (treated, reference):
        someone &= _time_at_risk(side, grid) > 0
    if not someone.any():
        raise DataError("the two groups are never at risk at the same time")
    first = int(np.argmax(someone))  # what is before it joins the first piece with someone in both
    return np.array([start, *grid[1:-1][someone[1:] & (np.arange(1, _PIECES) > first)], time])


def _time_at_risk(follow_up: FollowUp, edges: np.ndarray) -> np.ndarray:
    """Time at risk of all patients in each piece, shape (m,)."""
    stay = np.minimum(follow_up.exit[:, None], edges[1:])
    stay = stay - np.maximum(follow_up.entry[:, None], edges[:-1])
    return np.maximum(stay, 0.0).sum(axis=0)


def _row(
    quantity: str, drawn: np.ndarray, level: float, positive: float = np.nan, *, back: bool = False
) -> dict[str, object]:
    low, middle, high = np.quantile(drawn, [0.5 - level / 2, 0.5, 0.5 + level / 2])
    turn = np.exp if back else float
    return {
        "quantity": quantity, "estimate": float(turn(middle)), "std_error": float(drawn.std()),
        "conf_low": float(turn(low)), "conf_high": float(turn(high)), "prob_positive": positive,
    }  # fmt: skip
