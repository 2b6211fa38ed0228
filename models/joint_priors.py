"""Default priors of the joint model.

The marker has the priors of the mixed model. Covariates of the hazard have those of the Cox model.
The association is Normal(0, 1) per standard deviation of the link: of its values across patients
at the end of their follow-up, as the mixed model predicts them. The log baseline hazard of a
typical patient is normal around that of a constant hazard (events over time at risk), and a
spline's second differences are kept small.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from longsurv import priors as pr
from longsurv.design.joint import JointDesign

BASELINE_SD = 5.0
SHAPE_SD = 0.5


@dataclass(frozen=True)
class Smoothing:
    """Prior of the second differences of a spline's coefficients.

    They are normal around 0 with one common variance, which has an inverse-gamma prior and is
    integrated out: a multivariate Student's t, without the funnel that sampling the variance would
    bring (the scale mixture of Lang & Brezger 2004, J Comput Graph Stat 13:183-212).

    Attributes
    ----------
    df : float
    scale : float
        Typical size of a second difference of the log hazard from knot to knot.
    """

    df: float = 5.0
    scale: float = 0.5

    def value_and_gradient(self, gamma: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density of the second differences of gamma, shape (m,), and its gradient."""
        d = np.diff(gamma, 2)
        k, spread = len(d), self.df * self.scale**2
        constant = math.lgamma(0.5 * (self.df + k)) - math.lgamma(0.5 * self.df)
        constant -= 0.5 * k * math.log(math.pi * spread)
        value = constant - 0.5 * (self.df + k) * math.log1p(d @ d / spread)
        slope = -(self.df + k) / (spread + d @ d) * d
        gradient = np.zeros_like(gamma)
        gradient[:-2] += slope
        gradient[1:-1] -= 2.0 * slope
        gradient[2:] += slope
        return value, gradient

    def to_pymc(self, gamma: Any) -> Any:
        """The same log density, of a PyMC vector."""
        import pymc as pm

        d = gamma[2:] - 2.0 * gamma[1:-1] + gamma[:-2]
        k, spread = d.shape[0], self.df * self.scale**2
        return -0.5 * (self.df + k) * pm.math.log1p((d**2).sum() / spread)

    def __str__(self) -> str:
        return f"second differences ~ multivariate StudentT({self.df:g}, 0, {self.scale:g})"


@dataclass(frozen=True)
class JointPriors:
    """The priors of a joint model, in the order of its parameter vector.

    Attributes
    ----------
    marker : PriorStack
        Of the marker's parameters, the first of theta.
    hazard : PriorStack
        Of the baseline, the covariates and the associations, the rest of theta.
    smoothing : Smoothing or None
        Of the first `n_baseline` of these.
    n_baseline : int
    """

    marker: pr.PriorStack
    hazard: pr.PriorStack
    smoothing: Smoothing | None
    n_baseline: int

    @property
    def names(self) -> tuple[str, ...]:
        """Scalar parameters with a prior of their own."""
        return self.marker.names + self.hazard.names

    @property
    def priors(self) -> tuple[pr.Prior, ...]:
        """Their priors."""
        return self.marker.priors + self.hazard.priors

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Log prior density of theta, shape (d,), and its gradient."""
        end = len(theta) - len(self.hazard.names)
        one, slope_one = self.marker.value_and_gradient(theta[:end])
        two, slope_two = self.hazard.value_and_gradient(theta[end:])
        gradient = np.concatenate([slope_one, slope_two])
        if self.smoothing is None:
            return one + two, gradient
        stop = end + self.n_baseline
        three, slope_three = self.smoothing.value_and_gradient(theta[end:stop])
        gradient[end:stop] += slope_three
        return one + two + three, gradient

    def log_prior(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Log prior of each parameter on its natural scale, by name; theta (chains, draws, d)."""
        end = theta.shape[-1] - len(self.hazard.names)
        out = self.marker.log_prior(theta[..., :end]) | self.hazard.log_prior(theta[..., end:])
        if self.smoothing is not None:
            gamma = theta[..., end : end + self.n_baseline]
            flat = gamma.reshape(-1, self.n_baseline)
            smooth = [self.smoothing.value_and_gradient(g)[0] for g in flat]
            out["baseline smoothing"] = np.reshape(smooth, gamma.shape[:-1])
        return out

    def describe(self) -> dict[str, str]:
        """Each prior in words, by parameter name."""
        out = self.marker.describe() | self.hazard.describe()
        return out if self.smoothing is None else out | {"baseline": str(self.smoothing)}


def joint_priors(
    design: JointDesign,
    marker: pr.PriorStack,
    covariates: Mapping[str, pr.Prior],
    link_sd: Mapping[str, float],
    given: Mapping[str, pr.Prior],
    smoothing: Smoothing | None,
) -> JointPriors:
    """All priors of a joint model, the user's in place of the defaults.

    Parameters
    ----------
    design : JointDesign
    marker : PriorStack
        Of the mixed model.
    covariates : mapping of str to Prior
        Defaults of the hazard's covariates, by the names of the event's design.
    link_sd : mapping of str to float
        Standard deviation of each link.
    given : mapping of str to Prior
        The user's, of the hazard's parameters.
    smoothing : Smoothing or None
    """
    defaults: dict[str, pr.Prior] = {}
    for name in design.baseline_names:
        shape = name.endswith("shape_minus_1")
        level = math.log(design.rate)
        defaults[name] = pr.Normal(0.0, SHAPE_SD) if shape else pr.Normal(level, BASELINE_SD)
    defaults |= {f"event.{name}": prior for name, prior in covariates.items()}
    defaults |= {f"assoc.{name}": pr.Normal(0.0, 1.0 / sd) for name, sd in link_sd.items()}
    aliases = hazard_aliases(design)
    hazard = pr.PriorStack(tuple(defaults), pr.choose(tuple(defaults), defaults, given, aliases))
    smooth = smoothing if design.baseline.kind == "spline" else None
    return JointPriors(marker, hazard, smooth, len(design.baseline_names))


def hazard_aliases(design: JointDesign) -> dict[str, list[str]]:
    """ "event." and a variable to the terms it stands for."""
    variables = design.event.fixed.variables
    return {f"event.{v}": [f"event.{n}" for n in names] for v, names in variables.items()}
