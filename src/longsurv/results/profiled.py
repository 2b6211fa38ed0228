"""A parameter held while the others are fitted, and where its profile likelihood has fallen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from longsurv.errors import EstimationError
from longsurv.inference import maximise

type Criterion = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""Log-likelihood of the other parameters and its gradient."""


@dataclass(frozen=True)
class ProfilePath:
    """A parameter that can be held while the others are fitted.

    Attributes
    ----------
    estimate, scale : float
        Where the parameter is best, and roughly how uncertain it is.
    bounds : tuple of float
        Between which it is possible.
    hold : callable
        Value to (log-likelihood criterion of the other parameters).
    start, lower : ndarray
        The other parameters at the best fit, and their lower bounds.
    """

    estimate: float
    scale: float
    bounds: tuple[float, float]
    hold: Callable[[float], Criterion]
    start: np.ndarray
    lower: np.ndarray


def limit_of(path: ProfilePath, minimum: float, cut: float, side: int, name: str) -> float:
    """Where the root of the deviance's rise crosses the root of a quantile of it.

    Parameters
    ----------
    path : ProfilePath
    minimum : float
        The deviance at the best fit.
    cut : float
        The quantile.
    side : int
        -1 for the lower limit, 1 for the upper one.
    name : str
        Of the parameter, for messages.

    Raises
    ------
    EstimationError
        If the likelihood does not fall far enough.
    """
    if np.isnan(path.estimate):
        return np.nan
    bound = path.bounds[(side + 1) // 2]
    start = [path.start]

    from scipy.optimize import brentq

    def excess(value: float) -> float:
        found = maximise(path.hold(value), start[0], lower=path.lower)
        if not np.isfinite(found.value):
            raise EstimationError(
                f"the profile of {name} cannot be computed at {value:.6g}: {found.status}"
            )
        start[0] = found.x
        return float(np.sqrt(max(-2.0 * found.value - minimum, 0.0)) - np.sqrt(cut))

    inside, step = path.estimate, side * path.scale * np.sqrt(cut)
    for _ in range(40):
        beyond = inside + step
        if side * (beyond - bound) >= 0:
            if inside == bound or excess(bound) <= 0.0:
                return bound
            beyond = bound
        if excess(beyond) > 0.0:
            return float(brentq(excess, inside, beyond, xtol=1e-8 * path.scale, rtol=1e-12))
        inside, step = beyond, 2.0 * step
    raise EstimationError(f"the likelihood does not bound {name} on one side")
