"""The maximum of a Cox model's penalised likelihood for any spread of the site effects."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from longsurv.inference.scoring import ascend
from longsurv.likelihood.cox.frailty import SiteData, SiteEffects, SitesPeak


@dataclass(frozen=True, eq=False)
class SiteClimb:
    """The penalised maximum for any standard deviation of the effects."""

    sites: SiteData
    effects: SiteEffects
    _found: dict[float, SitesPeak] = field(default_factory=dict)

    def at(self, s: float) -> SitesPeak:
        """The maximum for one spread, climbed to from that of the nearest before.

        Parameters
        ----------
        s : float
            Standard deviation, above 0.

        Returns
        -------
        SitesPeak
        """
        if s not in self._found:
            start = np.zeros(self.sites.data.n_columns)
            if self._found:
                near = min(self._found, key=lambda known: abs(np.log(known / s)))
                start = self._found[near].x
            density = partial(self.effects.penalised, self.sites, s)
            top = ascend(density, start, exact=True)
            self._found[s] = SitesPeak(s, top.x, top.value, -top.hessian)
        return self._found[s]

    def value(self, s: float) -> float:
        """The log-likelihood of a spread, the effects integrated out.

        Parameters
        ----------
        s : float
            Standard deviation, above 0.
        """
        return self.effects.integrated(self.sites, self.at(s))

    def slope(self, s: float) -> float:
        """The derivative of that by the spread.

        Parameters
        ----------
        s : float
            Standard deviation, above 0.
        """
        return self.effects.slope(self.sites, self.at(s))
