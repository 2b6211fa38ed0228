"""Curves of weighted patients: risks of an event, mean times free of it, and how they move.

Aalen and Johansen's estimate with every patient counted w times,

    F(t) = sum over s <= t of S(s-) a(s),    a(s) = d_1(s) / Y(s),  b(s) = d(s) / Y(s),

d_1 and d the weights of who leaves by the event and by any, Y of who is at risk, S(s-) the product
of 1 - b before s. Without competing events 1 - F is Kaplan and Meier's curve. Everything here is a
function of the weights, and comes with its derivative in the logarithm of each of them: of a sum

    sum over s of alpha(s) da(s) + beta(s) db(s),

a patient's is w times the alpha and beta of the time at which they left, less what the hazards took
of both while they were at risk, over Y.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from longsurv.estimands.follow_up import FollowUp


@dataclass(frozen=True, eq=False)
class WeightedRisks:
    """The incidence of one cause in one group of weighted patients.

    Attributes
    ----------
    follow_up : FollowUp
    weight : ndarray, shape (n,)
        Not negative; their scale does not matter.
    cause : int
        Status of the event; every other above 0 competes with it.
    """

    follow_up: FollowUp
    weight: np.ndarray
    cause: int = 1

    @cached_property
    def time(self) -> np.ndarray:
        """Distinct times of an event of any cause, shape (m,)."""
        return self.follow_up.times(*self.follow_up.causes)

    @cached_property
    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each patient the first time at risk, and the first after leaving, as places."""
        f = self.follow_up
        return np.searchsorted(self.time, f.entry, "right"), np.searchsorted(
            self.time, f.exit, "right"
        )

    @cached_property
    def at_risk(self) -> np.ndarray:
        """Weight of who is at risk just before each time, shape (m,)."""
        # From the end, where few are left: nothing large is taken from anything large.
        later = [
            np.cumsum(np.bincount(place, self.weight, len(self.time) + 1)[::-1])[::-1][1:]
            for place in self._rows
        ]
        return later[1] - later[0]

    def _leaving(self, which: np.ndarray) -> np.ndarray:
        """Weight of those of the patients who leave at each time, shape (m,)."""
        place = self._rows[1][which] - 1
        return np.bincount(place, self.weight[which], len(self.time))

    @cached_property
    def hazard(self) -> np.ndarray:
        """Share that leaves by any cause at each time, shape (m,); 1 where all do."""
        share = self._leaving(self.follow_up.status > 0) / self.at_risk
        all_left = self.follow_up.at_risk(self.time) == self.follow_up.happening(
            self.time, *self.follow_up.causes
        )
        return np.where(all_left, 1.0, share)

    @cached_property
    def cause_hazard(self) -> np.ndarray:
        """Share that leaves by the cause, shape (m,)."""
        mine = self._leaving(self.follow_up.status == self.cause)
        return self.hazard * mine / self._leaving(self.follow_up.status > 0)

    @cached_property
    def before(self) -> np.ndarray:
        """Free of every event just before each time, shape (m,)."""
        return np.cumprod(np.concatenate([[1.0], 1 - self.hazard]))[:-1]

    @cached_property
    def incidence(self) -> np.ndarray:
        """Just after each time, shape (m,)."""
        return np.cumsum(self.before * self.cause_hazard)

    def risk(self, t: float) -> tuple[float, np.ndarray]:
        """Return the risk by a time and its derivative in each log weight, shape (n,).

        Parameters
        ----------
        t : float
        """
        m = int(np.searchsorted(self.time, t, "right"))
        if m == 0:
            return 0.0, np.zeros(len(self.weight))
        value = self.incidence[m - 1]
        beta = -_share(value - self.incidence[:m], 1 - self.hazard[:m])
        return float(value), self._derivative(self.before[:m], beta)

    def mean_time(self, start: float, horizon: float) -> tuple[float, np.ndarray]:
        """Return the mean time free of every event between two times, and its derivative.

        Parameters
        ----------
        start : float
            Not after the first event.
        horizon : float
        """
        m = int(np.searchsorted(self.time, horizon, "left"))
        ends = np.append(self.time[1:m], horizon) if m else np.zeros(0)
        after = self.before[:m] * (1 - self.hazard[:m])
        areas = after * (ends - self.time[:m])
        remaining = np.cumsum(areas[::-1])[::-1]  # from each time on
        value = (self.time[0] if m else horizon) - start + areas.sum()
        return float(value), self._derivative(np.zeros(m), -_share(remaining, 1 - self.hazard[:m]))

    def _derivative(self, alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
        """Of a sum with these coefficients at the first times; see the top of this file."""
        m, (first, last) = len(alpha), self._rows
        y = self.at_risk[:m]
        spent = (alpha * self.cause_hazard[:m] + beta * self.hazard[:m]) / y
        cumulated = np.concatenate([[0.0], np.cumsum(spent)])
        total = cumulated[np.minimum(first, m)] - cumulated[np.minimum(last, m)]
        status = self.follow_up.status
        left = (status > 0) & (last <= m)
        place = last[left] - 1
        total[left] += (alpha[place] * (status[left] == self.cause) + beta[place]) / y[place]
        return self.weight * total


def _share(values: np.ndarray, of: np.ndarray) -> np.ndarray:
    """A ratio; 0 where nobody is left for it to matter to."""
    return np.where(of > 0, values / np.where(of > 0, of, 1.0), 0.0)
