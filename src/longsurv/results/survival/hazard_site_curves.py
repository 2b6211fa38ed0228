"""Hazards and survival where sites differ: of the own site, or averaged over their distribution.

Averaged over the distribution of the effects b, survival is S = E exp(-H e^b), the cumulative
hazard -log S, and the hazard h E[e^b exp(-H e^b)] / S: that of those still alive, among whom
patients of sites with a low hazard are more and more.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pandas as pd

from longsurv.design.hazard import HazardDesign
from longsurv.likelihood import hazard as hz
from longsurv.likelihood.cox.frailty import SiteEffects
from longsurv.likelihood.hazard.sites import SiteHazards
from longsurv.results.survival import hazard_curves as curves
from longsurv.results.survival.cox_curves import People

STEP = 1e-5
"""Of differences, relative to the size of what they are in."""


class OfSites(Protocol):
    """What is used of a fit and of a posterior."""

    @property
    def hazard(self) -> HazardDesign:
        """The baseline."""

    @property
    def natural(self) -> np.ndarray:
        """The kernel's coordinates (d,), or draws of them (draws, d)."""

    @property
    def sites(self) -> SiteHazards:
        """The sites of the rows, and how their effects are distributed."""

    def site_codes(self, frame: pd.DataFrame) -> np.ndarray:
        """Number of the site of each row, shape (m,)."""


class FittedSites(OfSites, Protocol):
    """What is used of a fit."""

    @property
    def sd(self) -> float:
        """Standard deviation of the effects."""

    @property
    def whole_cov(self) -> np.ndarray:
        """Covariance of the kernel's coordinates and that, shape (d + 1, d + 1)."""

    def predicted_effects(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Means of the effects (J,), their slopes (J, d + 1) and variances (J,)."""


class DrawnSites(OfSites, Protocol):
    """What is used of a posterior."""

    @property
    def spread(self) -> np.ndarray:
        """Draws of the standard deviation of the effects, shape (draws,)."""

    @property
    def site_effects(self) -> np.ndarray:
        """Draws of the effects, shape (draws, J)."""


def averaged(
    effects: SiteEffects, H: np.ndarray, s: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Log of survival averaged over sites, and minus its derivative by the hazard H without an
    effect."""
    if np.ndim(s) == 0 and s == 0.0:
        return -H, np.ones(np.shape(H))
    return effects.left(H, s)


def by_spread(effects: SiteEffects, H: np.ndarray, s: float) -> np.ndarray:
    """Derivative of the log of averaged survival by the standard deviation."""
    if s == 0.0:
        return np.zeros(np.shape(H))
    ahead, behind = (effects.left(H, s * (1.0 + k * STEP))[0] for k in (1, -1))
    return np.asarray((ahead - behind) / (2.0 * s * STEP))


def estimated(
    fit: FittedSites, who: People, grid: np.ndarray, kind: str, level: float, by_site: bool
) -> dict[str, np.ndarray]:
    """Predictions (m * T,) by the delta method, in the coordinates, the spread and the effects."""
    H, J = curves.cumulative(fit.hazard, fit.natural, who, grid)
    J = np.column_stack([J, np.zeros(len(J))])
    log_h = jump = None
    if kind == "hazard":
        log_h, jump = hz.log_hazards(fit.hazard.data, curves.at(fit.hazard, who, grid), fit.natural)
        jump = np.column_stack([jump, np.zeros(len(jump))])
    if by_site:
        site = np.repeat(fit.site_codes(who.frame), len(grid))
        b, slope, variance = (part[site] for part in fit.predicted_effects())
        if log_h is not None and jump is not None:
            value, rows, extra = log_h + b, jump + slope, variance
        else:
            value = H * np.exp(b)
            rows = np.exp(b)[:, None] * J + value[:, None] * slope
            extra = value**2 * variance
    else:
        effects, s = fit.sites.effects, fit.sd
        log, factor = averaged(effects, H, s)
        rows, extra = factor[:, None] * J, np.zeros(len(H))
        rows[:, -1] -= by_spread(effects, H, s)
        value = -log
        if log_h is not None and jump is not None:
            value, rows = log_h + np.log(factor), jump + _ratio_slopes(effects, H, s, J)
    se = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", rows, fit.whole_cov, rows) + extra, 0.0))
    return curves.columns_of(value, se, kind, level)


def _ratio_slopes(effects: SiteEffects, H: np.ndarray, s: float, J: np.ndarray) -> np.ndarray:
    """Derivatives (r, d + 1) of the log of the averaged hazard over that without an effect."""
    if s == 0.0:
        return np.zeros(J.shape)

    def log_ratio(H: np.ndarray, s: float) -> np.ndarray:
        return np.log(effects.left(H, s)[1])

    h = STEP * (H + STEP)
    by_H = (log_ratio(H + h, s) - log_ratio(H - h, s)) / (2.0 * h)
    rows = by_H[:, None] * J
    k = STEP * s
    rows[:, -1] += (log_ratio(H, s + k) - log_ratio(H, s - k)) / (2.0 * k)
    return rows


def drawn(post: DrawnSites, who: People, grid: np.ndarray, kind: str, by_site: bool) -> np.ndarray:
    """Draws of predictions, shape (draws, m, T)."""
    H = curves.drawn_cumulative(post.hazard, post.natural, who, grid)
    if by_site:
        factor = np.exp(post.site_effects[:, post.site_codes(who.frame)])[:, :, None]
        total = H * factor
    else:
        log, factor = averaged(post.sites.effects, H, post.spread[:, None, None])
        total = -log
    if kind == "hazard":
        return factor * np.exp(curves.drawn_log_hazards(post.hazard, post.natural, who, grid))
    return curves.of_kind(total, kind)
