"""The maximum of a hazard model's likelihood for any spread of the site effects."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from longsurv.inference import Optimum
from longsurv.inference.scoring import ascend
from longsurv.likelihood.hazard.sites import SiteHazards


def climb_at(sites: SiteHazards, s: float, smoothing: float, start: np.ndarray) -> Optimum:
    """The maximum for one spread and one smoothing.

    Parameters
    ----------
    sites : SiteHazards
    s : float
        Standard deviation, above 0.
    smoothing : float
    start : ndarray, shape (d,)
    """
    density = partial(sites.value_gradient_information, s=s, smoothing=smoothing)
    return ascend(density, start, exact=True)


@dataclass(frozen=True, eq=False)
class HazardSiteClimb:
    """The maximum for any standard deviation of the effects, which are integrated out.

    Attributes
    ----------
    sites : SiteHazards
    start : ndarray, shape (d,)
        Where the first climb begins: the maximum without site effects.
    smoothing : float
        Of a spline.
    """

    sites: SiteHazards
    start: np.ndarray
    smoothing: float = 0.0
    _found: dict[float, Optimum] = field(default_factory=dict)

    def at(self, s: float) -> Optimum:
        """The maximum for one spread, climbed to from that of the nearest before.

        Parameters
        ----------
        s : float
            Standard deviation, above 0.

        Returns
        -------
        Optimum
        """
        if s not in self._found:
            start = self.start
            if self._found:
                near = min(self._found, key=lambda known: abs(np.log(known / s)))
                start = self._found[near].x
            self._found[s] = climb_at(self.sites, s, self.smoothing, start)
        return self._found[s]

    @property
    def evaluations(self) -> int:
        """Of all climbs so far."""
        return sum(found.evaluations for found in self._found.values())

    def value(self, s: float) -> float:
        """The log-likelihood of a spread, with the penalty of a spline.

        Parameters
        ----------
        s : float
            Standard deviation, above 0.
        """
        return self.at(s).value

    def slope(self, s: float) -> float:
        """The derivative of that by the spread.

        Parameters
        ----------
        s : float
            Standard deviation, above 0.
        """
        return self.sites.value_and_gradient(self.at(s).x, s, self.smoothing)[2] / s
