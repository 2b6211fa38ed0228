"""Site effects in the likelihood of a hazard model, integrated out site by site.

With A_i the log hazard of row i at its event and H_i its cumulative hazard, both without an effect,
and D_j and H_j the sums of events and of cumulative hazards over the rows of site j,

    log L(theta, s) = sum_i d_i A_i + sum_j log E[exp(D_j b - H_j e^b)],

the mean being over the distribution of the effects b. Its derivative by theta is that of the
likelihood of rows whose effects are known, with the mean of e^b given the data of the site in place
of e^b. Weights count rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from longsurv.likelihood.cox.frailty import SiteEffects, SiteIntegrals
from longsurv.likelihood.hazard import loglik as hz
from longsurv.likelihood.hazard.data import HazardData
from longsurv.likelihood.hazard.kernel import Floats


@dataclass(frozen=True, eq=False)
class SiteHazards:
    """A hazard model's arrays, the sites of its rows and how their effects are distributed.

    Attributes
    ----------
    data : HazardData
    site : ndarray of int, shape (units,)
        Of each row of the data.
    events : ndarray, shape (J,)
        Weighted events of each site.
    effects : SiteEffects
    """

    data: HazardData
    site: np.ndarray
    events: Floats
    effects: SiteEffects

    def hazards(self, natural: Floats) -> Floats:
        """Cumulative hazards of the sites without an effect, shape (draws, J), for draws of the
        kernel's coordinates (draws, p + K)."""
        stretches = self.data.stretches
        owned = stretches._replace(owner=self.site[stretches.owner])
        return self.data.form.expected(owned, np.ascontiguousarray(natural), len(self.events))

    def with_factors(self, factor: Floats) -> HazardData:
        """The data with the hazards of each site multiplied by factors (J,)."""
        stretches = self.data.stretches
        own = stretches.weight * factor[self.site[stretches.owner]]
        return replace(self.data, stretches=stretches._replace(weight=own))

    def _integrals(
        self, theta: Floats, s: float, smoothing: float | None
    ) -> tuple[SiteIntegrals, float]:
        """The sites' integrals, and what the likelihood has more than one of known factors."""
        natural = hz.natural(self.data, theta[None, :], smoothing)
        H = self.hazards(natural)[0]
        found = self.effects.of_sites(self.events, H, s)
        return found, float(found.value.sum() + found.factor @ H)

    def value_and_gradient(
        self, theta: Floats, s: float, smoothing: float | None = None
    ) -> tuple[float, Floats, float]:
        """Log-likelihood, its gradient at theta, as of `loglik`, and its derivative by log s."""
        with np.errstate(over="ignore", invalid="ignore"):
            found, more = self._integrals(theta, s, smoothing)
            if not (np.isfinite(more) and np.isfinite(found.factor).all()):
                return -np.inf, np.zeros(len(theta)), 0.0
            data = self.with_factors(found.factor)
            value, gradient = hz.value_and_gradient(data, theta, smoothing)
        return value + more, gradient, float(found.by_s.sum())

    def value_gradient_information(
        self, theta: Floats, s: float, smoothing: float = 0.0
    ) -> hz.Scored:
        """The objective of maximum likelihood for one standard deviation s above 0, as of `loglik`,
        the penalty of a spline included."""
        found, more = self._integrals(theta, s, smoothing)
        data = self.with_factors(found.factor)
        value, gradient, information = hz.value_gradient_information(data, theta, smoothing)
        if not np.isfinite(value + more):
            return -np.inf, gradient, information
        slope = self.slopes(theta, smoothing)
        return value + more, gradient, information - (slope.T * found.spread) @ slope

    def slopes(self, theta: Floats, smoothing: float = 0.0) -> Floats:
        """Derivatives of the sites' cumulative hazards by theta, shape (J, d)."""
        natural = hz.natural(self.data, theta[None, :], smoothing)[0]
        return self.natural_slopes(natural) @ hz.derivative(self.data, theta, smoothing)

    def natural_slopes(self, natural: Floats) -> Floats:
        """The same by the kernel's coordinates (p + K,)."""
        stretches, J = self.data.stretches, len(self.events)
        by_natural = hz.increments(self.data, stretches, natural)[1]
        site = self.site[stretches.owner]
        return np.column_stack(
            [np.bincount(site, weights=column, minlength=J) for column in by_natural.T]
        )

    def with_spread(self, theta: Floats, s: float, smoothing: float = 0.0) -> tuple[Floats, Floats]:
        """Gradient and information of theta and s together, shapes (d + 1,) and (d + 1, d + 1)."""
        _, gradient, information = self.value_gradient_information(theta, s, smoothing)
        found, _ = self._integrals(theta, s, smoothing)
        d = len(theta)
        whole = np.zeros((d + 1, d + 1))
        whole[:d, :d] = information
        whole[d, :d] = whole[:d, d] = -(found.by_Hs / s) @ self.slopes(theta, smoothing)
        by_s = float(found.by_s.sum())
        whole[d, d] = -(float(found.by_ss.sum()) - by_s) / s**2
        return np.append(gradient, by_s / s), whole

    def logliks(self, natural: Floats, b: Floats) -> Floats:
        """Log-likelihood by row of the data, shape (draws, units), given draws of the kernel's
        coordinates (draws, p + K) and of the effects (draws, J)."""
        data, effect = self.data, b[:, self.site]
        natural = np.ascontiguousarray(natural)
        out = data.form.event_log_hazards(data.events, natural, data.units)
        out -= np.exp(effect) * data.form.expected(data.stretches, natural, data.units)
        weight = np.bincount(data.events.owner, weights=data.events.weight, minlength=data.units)
        return out + weight * effect
