"""Cumulative hazards and survival curves of Cox models, of draws of their coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.design.survival import SurvivalDesign
from longsurv.likelihood.cox.draws import baseline_jumps
from longsurv.likelihood.cox.loglik import CoxData
from longsurv.results.columns import beside, draw_columns
from longsurv.results.survival.cox_curves import People, repeated
from longsurv.times import snapped


def drawn_curves(
    design: SurvivalDesign, who: People, draws: np.ndarray, times: np.ndarray, level: float
) -> pd.DataFrame:
    """Survival of rows from draws of it, without numbers after the end of follow-up.

    Parameters
    ----------
    design : SurvivalDesign
    who : People
    draws : ndarray, shape (S, m, T)
    times : ndarray, shape (T,)
    level : float

    Returns
    -------
    DataFrame
        The rows repeated for each time, with estimate, std_error, conf_low, conf_high.
    """
    parts: list[pd.DataFrame] = [pd.DataFrame()] * len(who.frame)
    for stratum, rows in who.of_stratum():
        after = design.after_follow_up(stratum, times)
        for i in rows:
            values = np.where(after, np.nan, draws[:, i])
            parts[i] = beside(repeated(who.frame, i, times), draw_columns(values, level))
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True, eq=False)
class DrawnHazards:
    """Draws of the cumulative hazards of m people: products of two factors.

    Attributes
    ----------
    relative : ndarray, shape (draws, m)
        Hazards relative to the baseline's.
    baseline : tuple of ((m_s,) ndarray of int, (draws, T) ndarray)
        Of each stratum the positions of its people, and its cumulative baseline hazard.
    """

    relative: np.ndarray
    baseline: tuple[tuple[np.ndarray, np.ndarray], ...]

    def cumulative(self) -> np.ndarray:
        """The cumulative hazards, shape (draws, m, T)."""
        out = np.empty((*self.relative.shape, self.baseline[0][1].shape[-1]))
        for rows, baseline in self.baseline:
            out[:, rows] = self.relative[:, rows, None] * baseline[:, None]
        return out


def drawn_hazards(
    data: CoxData,
    beta: np.ndarray,
    who: People,
    times: np.ndarray,
    rng: np.random.Generator | None,
) -> np.ndarray:
    """Cumulative hazards at `times` for each draw of the coefficients, shape (draws, m, T).

    Parameters and draws are those of `drawn_factors`.
    """
    return drawn_factors(data, beta, who, times, rng).cumulative()


def drawn_factors(
    data: CoxData,
    beta: np.ndarray,
    who: People,
    times: np.ndarray,
    rng: np.random.Generator | None,
) -> DrawnHazards:
    """Cumulative hazards at `times` for each draw of the coefficients.

    Parameters
    ----------
    data : CoxData
    beta : ndarray, shape (draws, p)
    who : People
    times : ndarray, shape (T,)
    rng : Generator or None
        Draws the jumps of the baseline hazard from their posterior given the coefficients: Gamma
        with the number of events as shape and the jump's estimate as mean, the limit of a
        gamma-process prior without information (Kalbfleisch 1978, J R Stat Soc B 40:214-221).
        None takes the estimate itself.
    """
    centre = who.X.mean(axis=0)
    jumps = baseline_jumps(data, beta, centre)
    if rng is not None:
        events = data.arrays.death_weight
        jumps *= rng.gamma(events, size=jumps.shape) / events
    relative = np.exp(beta @ (who.X - centre).T + who.offset)
    baseline = []
    for stratum, rows in who.of_stratum():
        mine = data.time_stratum == np.searchsorted(data.strata, stratum)
        total = np.zeros((len(beta), mine.sum() + 1))
        np.cumsum(jumps[:, mine], axis=1, out=total[:, 1:])
        at = np.searchsorted(data.times[mine], snapped(times, data.times[mine]), side="right")
        baseline.append((rows, total[:, at]))
    return DrawnHazards(relative, tuple(baseline))
