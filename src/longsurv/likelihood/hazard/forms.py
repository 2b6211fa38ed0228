"""How a hazard follows from the parameters of its baseline: by sums of bases, or Weibull's way.

g are the parameters of the baseline, the last of theta; see `longsurv.likelihood.hazard.kernel`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from longsurv.likelihood.hazard.kernel import (
    additive,
    event_log_hazards,
    expected,
    weibull,
)
from longsurv.likelihood.hazard.rows import Events, Stretches

Floats = np.ndarray


@dataclass(frozen=True)
class Form(ABC):
    """A likelihood of events and of stretches of time at risk.

    Attributes
    ----------
    is_weibull : bool
        Which of the two compiled sums over draws is meant.
    of_stretches : bool
        Whether a stretch holds cumulative hazards, so that a point of quadrature is another thing.
    """

    is_weibull: ClassVar[bool]
    of_stretches: ClassVar[bool]

    @abstractmethod
    def value_and_gradient(
        self, events: Events, stretches: Stretches, theta: Floats
    ) -> tuple[float, Floats]:
        """Log-likelihood and its gradient at theta, shape (p + K,)."""

    @abstractmethod
    def increments(self, stretches: Stretches, level: Floats, g: Floats) -> tuple[Floats, Floats]:
        """Cumulative hazards (r,) of stretches with relative hazards `level`, and their derivative
        in g, shape (r, K)."""

    @abstractmethod
    def log_hazards(self, events: Events, eta: Floats, g: Floats) -> tuple[Floats, Floats]:
        """Log hazards at events of log relative hazards eta (e,), and their derivative in g, shape
        (e, K)."""

    @abstractmethod
    def curvature_at_events(self, events: Events, slopes: Floats, g: Floats) -> Floats:
        """Second derivative in g of the weighted sum of log hazards of those slopes, (K, K)."""

    @abstractmethod
    def curvature(
        self, stretches: Stretches, mu: Floats, slopes: Floats, total: Floats, g: Floats
    ) -> Floats:
        """Second derivative in g of the sum of cumulative hazards mu, with slopes of sum `total`,
        shape (K, K)."""

    def expected(self, stretches: Stretches, theta: Floats, units: int) -> Floats:
        """Weighted cumulative hazards summed by owner, shape (draws, units), for theta (draws,
        d)."""
        return expected(stretches, theta, self.is_weibull, units)

    def event_log_hazards(self, events: Events, theta: Floats, units: int) -> Floats:
        """Weighted log hazards at events summed by owner, shape (draws, units)."""
        return event_log_hazards(events, theta, self.is_weibull, units)


@dataclass(frozen=True)
class AdditiveForm(Form):
    """sum_k exp(g_k) M_k(t)."""

    is_weibull: ClassVar[bool] = False
    of_stretches: ClassVar[bool] = False

    def value_and_gradient(
        self, events: Events, stretches: Stretches, theta: Floats
    ) -> tuple[float, Floats]:
        """Log-likelihood and its gradient at theta, shape (p + K,)."""
        return additive(events, stretches, theta)

    def increments(self, stretches: Stretches, level: Floats, g: Floats) -> tuple[Floats, Floats]:
        """Cumulative hazards (r,), and their derivative in g, shape (r, K)."""
        tail = level[:, None] * np.exp(g) * stretches.Q
        return tail @ np.ones(tail.shape[1]), tail

    def log_hazards(self, events: Events, eta: Floats, g: Floats) -> tuple[Floats, Floats]:
        """Log hazards at events (e,), and their derivative in g, shape (e, K)."""
        parts = np.exp(g) * events.M
        hazard = parts.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return eta + np.log(hazard), parts / hazard[:, None]

    def curvature_at_events(self, events: Events, slopes: Floats, g: Floats) -> Floats:
        """Second derivative in g of the weighted sum of log hazards, shape (K, K)."""
        w = events.weight
        return np.diag(w @ slopes) - (w[:, None] * slopes).T @ slopes

    def curvature(
        self, stretches: Stretches, mu: Floats, slopes: Floats, total: Floats, g: Floats
    ) -> Floats:
        """Second derivative in g of the sum of cumulative hazards, shape (K, K)."""
        return np.diag(total)


@dataclass(frozen=True)
class WeibullForm(Form):
    """Log cumulative hazard a + k v, with g = (a, log k) and v = log(time / unit)."""

    is_weibull: ClassVar[bool] = True
    of_stretches: ClassVar[bool] = True

    def value_and_gradient(
        self, events: Events, stretches: Stretches, theta: Floats
    ) -> tuple[float, Floats]:
        """Log-likelihood and its gradient at theta, shape (p + 2,)."""
        return weibull(events, stretches, theta)

    def increments(self, stretches: Stretches, level: Floats, g: Floats) -> tuple[Floats, Floats]:
        """Cumulative hazards (r,), and their derivative in g, shape (r, 2)."""
        k, v = np.exp(g[1]), stretches.Q[:, 0]
        mu = level * np.exp(g[0] + k * v) * (k if stretches.density else 1.0)
        return mu, np.column_stack([mu, mu * (k * v + stretches.density)])

    def log_hazards(self, events: Events, eta: Floats, g: Floats) -> tuple[Floats, Floats]:
        """Log hazards at events (e,), and their derivative in g, shape (e, 2)."""
        k, v = np.exp(g[1]), events.M[:, 0]
        value = eta + g[0] + g[1] + k * v - events.log_time
        return value, np.column_stack([np.ones(len(v)), 1.0 + k * v])

    def curvature_at_events(self, events: Events, slopes: Floats, g: Floats) -> Floats:
        """Second derivative in g of the weighted sum of log hazards, shape (2, 2)."""
        bend = np.exp(g[1]) * (events.weight @ events.M[:, 0])
        return np.array([[0.0, 0.0], [0.0, bend]])

    def curvature(
        self, stretches: Stretches, mu: Floats, slopes: Floats, total: Floats, g: Floats
    ) -> Floats:
        """Second derivative in g of the sum of cumulative hazards, shape (2, 2)."""
        # slopes / mu is (1, k v), plus 1 for a point; its only derivative is that of k v
        k_v = np.exp(g[1]) * stretches.Q[:, 0]
        bend = (k_v + stretches.density) @ slopes[:, 1] + k_v @ mu
        return np.array([[total[0], total[1]], [total[1], bend]])


ADDITIVE, WEIBULL = AdditiveForm(), WeibullForm()
