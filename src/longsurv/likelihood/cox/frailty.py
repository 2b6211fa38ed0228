"""Site effects in Cox's partial likelihood: penalised, and integrated over them.

Where the baseline hazard is a parameter too, each site's effect is integrated out by itself: there
its events and cumulative hazard are all that matters (`SiteEffects.of_sites`).

The columns of the data are p covariates and J indicators of sites, x = (beta, b) their
coefficients. Of a kind of effect with standard deviation s,

    penalised(x) = log L(beta, b) + log density of b up to what does not depend on b,

and its maximum for a given s leads to the likelihood of s with the effects integrated out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from longsurv.likelihood.arithmetic.site_integrals import (
    gamma_integrals,
    normal_draws,
    normal_integrals,
)
from longsurv.likelihood.cox.data import CoxData, Floats, Integers
from longsurv.likelihood.cox.site_sums import value_gradient_information


@dataclass(frozen=True, eq=False)
class SiteData:
    """Rows of a Cox model with sites.

    Attributes
    ----------
    data : CoxData
        Of the covariates and then an indicator of each site.
    p : int
        Covariates.
    site : ndarray of int, shape (n,)
        Site of each row of `data.arrays`.
    events : ndarray, shape (J,)
        Weighted events of each site.
    """

    data: CoxData
    p: int
    site: Integers
    events: Floats

    def value_gradient_information(self, x: Floats) -> tuple[float, Floats, Floats]:
        """Log partial likelihood at x (p + J,), its gradient and minus its Hessian."""
        return value_gradient_information(self.data, self.site, self.p, x)


@dataclass(frozen=True, eq=False)
class SitesPeak:
    """The maximum of the penalised likelihood for one standard deviation s above 0.

    Attributes
    ----------
    s : float
    x : ndarray, shape (p + J,)
    value : float
        Of the penalised log partial likelihood.
    information : ndarray, shape (p + J, p + J)
        Minus its Hessian.
    """

    s: float
    x: Floats
    value: float
    information: Floats


class SiteIntegrals(NamedTuple):
    """Of sites with given events and cumulative hazards H, their effects b integrated out.

    Attributes
    ----------
    value : ndarray, shape (J,)
        Log of the mean of exp(events b - H e^b) over the distribution of effects.
    factor, spread : ndarray, shape (J,)
        Mean and variance of e^b given the data: minus the derivative by H, and the second.
    by_s, by_ss, by_Hs : ndarray, shape (J,)
        Derivatives by the log standard deviation, once and twice, and by H and that.
    """

    value: Floats
    factor: Floats
    spread: Floats
    by_s: Floats
    by_ss: Floats
    by_Hs: Floats


class SitePredictions(NamedTuple):
    """Effects b of sites given their events and cumulative hazards H.

    Attributes
    ----------
    mean, variance : ndarray, shape (J,)
    by_H, by_s : ndarray, shape (J,)
        Derivatives of the mean by H and by the log standard deviation.
    """

    mean: Floats
    variance: Floats
    by_H: Floats
    by_s: Floats


class SiteEffects(ABC):
    """A distribution of the sites' effects on the log hazard."""

    kind: ClassVar[str]
    words: ClassVar[str]

    @abstractmethod
    def penalty(self, b: Floats, s: float) -> tuple[float, Floats, Floats]:
        """Log density of b (J,) up to what does not depend on it, its gradient, and minus its
        second derivatives, shapes (J,)."""

    @abstractmethod
    def integrated(self, sites: SiteData, peak: SitesPeak) -> float:
        """Log partial likelihood of s, the effects integrated out."""

    @abstractmethod
    def slope(self, sites: SiteData, peak: SitesPeak) -> float:
        """Derivative of `integrated` by s, the coefficients following."""

    @abstractmethod
    def left(self, H: Floats, s: Floats | float) -> tuple[Floats, Floats]:
        """Log of the mean of exp(-H exp(b)) over sites, and minus its derivative by H: the mean of
        exp(b) among patients who are left."""

    def survival(self, H: Floats, s: Floats | float) -> tuple[Floats, Floats]:
        """Mean of exp(-H exp(b)) over sites, and minus its derivative by H."""
        log, factor = self.left(H, s)
        return np.exp(log), np.exp(log) * factor

    @abstractmethod
    def of_sites(self, events: Floats, H: Floats, s: float) -> SiteIntegrals:
        """Of sites with so many events and such cumulative hazards, shape (J,) each."""

    @abstractmethod
    def predicted(self, events: Floats, H: Floats, s: float) -> SitePredictions:
        """Effects of such sites."""

    @abstractmethod
    def drawn(self, events: Floats, H: Floats, s: Floats, rng: np.random.Generator) -> Floats:
        """Draws of the effects given the data, shape (draws, J), one for each of H (draws, J) and s
        (draws,)."""

    def penalised(self, sites: SiteData, s: float, x: Floats) -> tuple[float, Floats, Floats]:
        """Penalised log partial likelihood at x (p + J,), its gradient and information."""
        value, gradient, information = sites.value_gradient_information(x)
        added, slope, curvature = self.penalty(x[sites.p :], s)
        gradient, information = gradient.copy(), information.copy()
        gradient[sites.p :] += slope
        at = np.arange(sites.p, len(x))
        information[at, at] += curvature
        return value + added, gradient, information


class NormalSites(SiteEffects):
    """Normal effects, integrated out by Laplace's approximation around the penalised maximum
    (Ripatti & Palmgren 2000, Biometrics 56:1016-1022)."""

    kind = "gaussian"
    words = "normal site effects on the log hazard"

    def penalty(self, b: Floats, s: float) -> tuple[float, Floats, Floats]:
        """As of `SiteEffects`."""
        precision = s**-2
        return -0.5 * precision * float(b @ b), -precision * b, np.full(len(b), precision)

    def integrated(self, sites: SiteData, peak: SitesPeak) -> float:
        """As of `SiteEffects`: penalised value less half the log determinant of I + s^2 I_bb."""
        own = peak.information[sites.p :, sites.p :]
        return peak.value - 0.5 * float(np.linalg.slogdet(peak.s**2 * own)[1])

    def slope(self, sites: SiteData, peak: SitesPeak) -> float:
        """As of `SiteEffects`. The information moves with the coefficients, which move with s:
        its derivative along their path is a difference of two."""
        p, s, x = sites.p, peak.s, peak.x
        b, J = x[p:], len(x) - p
        right = np.zeros(len(x))
        right[p:] = 2.0 * b / s**3
        path = np.linalg.solve(peak.information, right)
        step = 1e-4 / max(np.abs(path).max(), 1e-8)
        ahead, behind = (
            sites.value_gradient_information(x + sign * step * path)[2] for sign in (1, -1)
        )
        moved = ((ahead - behind) / (2.0 * step))[p:, p:] - 2.0 / s**3 * np.eye(J)
        by_curvature = np.trace(np.linalg.solve(peak.information[p:, p:], moved))
        return float(b @ b) / s**3 - 0.5 * (2.0 * J / s + float(by_curvature))

    def left(self, H: Floats, s: Floats | float) -> tuple[Floats, Floats]:
        """As of `SiteEffects`, by the trapezoidal rule, whose error falls as exp(-25 / s)."""
        density = np.exp(-0.5 * NODES**2)
        H, lowest = np.minimum(H, LARGEST), np.exp(NODES[0] * np.asarray(s))
        shape = np.broadcast(H, s).shape
        S, slope = np.zeros(shape), np.zeros(shape)
        # In units of exp(-H lowest): some node is left where survival itself underflows.
        for node, weight in zip(NODES, density / density.sum(), strict=True):
            factor = np.exp(node * np.asarray(s))
            own = weight * np.exp(-H * (factor - lowest))
            S += own
            slope += own * factor
        return np.log(S) - H * lowest, slope / S

    def of_sites(self, events: Floats, H: Floats, s: float) -> SiteIntegrals:
        """As of `SiteEffects`."""
        return SiteIntegrals(*normal_integrals(events, H, s)[:6])

    def predicted(self, events: Floats, H: Floats, s: float) -> SitePredictions:
        """As of `SiteEffects`."""
        mean, variance, shared, by_s = normal_integrals(events, H, s)[6:]
        return SitePredictions(mean, variance, -shared, by_s)

    def drawn(self, events: Floats, H: Floats, s: Floats, rng: np.random.Generator) -> Floats:
        """As of `SiteEffects`."""
        return normal_draws(events, H, s, rng.random(H.shape))


NODES = 0.4 * np.arange(-16, 17)
"""Effects, in standard deviations, of the sites that are averaged over."""
LARGEST = 1e300
"""Cumulative hazard that larger ones count as: nobody is left."""


class GammaSites(SiteEffects):
    """Effects whose exponential has a gamma distribution of mean 1 and variance s^2, integrated
    out exactly (Klein 1992, Biometrics 48:795-806; Therneau & Grambsch 2000, section 9.3).

    With nu = 1 / s^2 the penalty is nu sum (b - exp b). The integrated likelihood is scaled to that
    of no sites at s = 0; with Efron's ties its formula is that of Breslow's, as in R's survival.
    """

    kind = "gamma"
    words = "gamma site effects on the hazard"

    def penalty(self, b: Floats, s: float) -> tuple[float, Floats, Floats]:
        """As of `SiteEffects`."""
        nu, factor = s**-2, np.exp(b)
        return nu * float((b - factor).sum()), nu * (1.0 - factor), nu * factor

    def integrated(self, sites: SiteData, peak: SitesPeak) -> float:
        """As of `SiteEffects`."""
        from scipy.special import gammaln

        nu, d = peak.s**-2, sites.events
        added = nu - nu * np.log1p(d / nu) - d * np.log(nu + d) + d
        return peak.value + float((added + gammaln(nu + d) - gammaln(nu)).sum())

    def slope(self, sites: SiteData, peak: SitesPeak) -> float:
        """As of `SiteEffects`."""
        from scipy.special import digamma

        nu, d, b = peak.s**-2, sites.events, peak.x[sites.p :]
        by_nu = b - np.exp(b) + 1.0 - np.log1p(d / nu) + digamma(nu + d) - digamma(nu)
        return -2.0 * peak.s**-3 * float(by_nu.sum())

    def left(self, H: Floats, s: Floats | float) -> tuple[Floats, Floats]:
        """As of `SiteEffects`."""
        H, v = np.minimum(H, LARGEST), np.asarray(s, dtype=float) ** 2
        return -np.log1p(v * H) / v, 1.0 / (1.0 + v * H)

    def of_sites(self, events: Floats, H: Floats, s: float) -> SiteIntegrals:
        """As of `SiteEffects`."""
        return SiteIntegrals(*gamma_integrals(events, H, s))

    def predicted(self, events: Floats, H: Floats, s: float) -> SitePredictions:
        """As of `SiteEffects`: e^b has a gamma distribution given the data too."""
        from scipy.special import polygamma, psi

        nu = s**-2
        shape, rate = nu + events, nu + H
        variance = polygamma(1, shape)
        by_s = -2.0 * nu * (variance - 1.0 / rate)
        return SitePredictions(psi(shape) - np.log(rate), variance, -1.0 / rate, by_s)

    def drawn(self, events: Floats, H: Floats, s: Floats, rng: np.random.Generator) -> Floats:
        """As of `SiteEffects`."""
        nu = s[:, None] ** -2
        return np.log(rng.gamma(nu + events) / (nu + H))


SITE_EFFECTS: dict[str, SiteEffects] = {one.kind: one for one in (NormalSites(), GammaSites())}
"""By the name that users give."""


def effects_of(sites: SiteData, theta: Floats) -> Floats:
    """Coefficients and site effects (..., p + J) of draws (..., p + 1 + J) of the coefficients, the
    log standard deviation and the effects in units of it."""
    p = sites.p
    b = np.exp(theta[..., p : p + 1]) * theta[..., p + 1 :]
    return np.concatenate([theta[..., :p], b], axis=-1)
