"""Default priors of the joint model.

Each marker has the priors of its mixed model. Covariates of the hazard have those of the Cox model,
and all levels of a factor are alike.
The association is Normal(0, 1) per standard deviation of the link: of its values across patients
at the end of their follow-up, as the mixed model predicts them. The log baseline hazard of a
typical patient is normal around that of a constant hazard (events over time at risk), and a
spline's second differences are kept small.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from longsurv import priors as pr
from longsurv.design.centred import CentredDesign, centred
from longsurv.design.joint import JointCause, JointDesign, JointMarker
from longsurv.likelihood.arithmetic.covariance import count_correlations
from longsurv.likelihood.joint.effects import derivative, mapped
from longsurv.models.glmm import GLMM
from longsurv.models.joint_parts import effect_columns
from longsurv.models.joint_smoothing import Smoothing
from longsurv.models.lmm import LMM

BASELINE_SD = 5.0
SHAPE_SD = 0.5


@dataclass(frozen=True)
class JointPriors:
    """The priors of a joint model, in the order of its parameter vector.

    Attributes
    ----------
    marker : PriorStack
        Of the markers' parameters, the first of theta.
    hazard : PriorStack
        Of each cause's baseline, covariates and associations, the rest of theta.
    to : ndarray, shape (q, q)
        The priors of the random effects' SDs and correlations are those of to @ b.
    smoothing : Smoothing or None
    splines : tuple of slice
        Of the hazards' part, the spline coefficients of each cause, which `smoothing` is for.
    """

    marker: pr.PriorStack
    hazard: pr.PriorStack
    to: np.ndarray
    smoothing: Smoothing | None
    splines: tuple[slice, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Scalar parameters with a prior of their own."""
        return self.marker.names + self.hazard.names

    @property
    def priors(self) -> tuple[pr.Prior, ...]:
        """Their priors."""
        return self.marker.priors + self.hazard.priors

    @property
    def whole_basis(self) -> np.ndarray:
        """What the scalar priors are of, from the scalars themselves, shape (m, m)."""
        n, m = len(self.marker.names), len(self.names)
        out = np.zeros((m, m))
        out[:n, :n], out[n:, n:] = self.marker.whole_basis, self.hazard.whole_basis
        return out

    @property
    def alike(self) -> tuple[pr.Alike, ...]:
        """Coefficients of factors whose levels are alike (`PriorStack.alike`)."""
        n = len(self.marker.names)
        later = ((tuple(n + j for j in columns), root) for columns, root in self.hazard.alike)
        return (*self.marker.alike, *later)

    @property
    def correlation(self) -> pr.LKJ | None:
        """Prior of the random effects' correlation matrix."""
        return self.marker.correlation

    @property
    def size(self) -> int:
        """Dimension of that matrix."""
        return self.marker.size

    def smoothed_with(self, term: str) -> tuple[str, ...]:
        """The spline coefficients that share one prior of second differences with this one.

        Parameters
        ----------
        term : str
        """
        blocks = [self.hazard.names[spline] for spline in self.splines]
        return next((names for names in blocks if self.smoothing and term in names), ())

    @property
    def effects(self) -> slice:
        """Where the random effects' SDs and correlations are in theta."""
        k = len(self.marker.names)
        return slice(k - len(self.to), k + count_correlations(len(self.to)))

    @property
    def moved(self) -> tuple[str, ...]:
        """Random effects' SDs whose priors are of another effect than the formula's."""
        sds = [name for name in self.marker.names if name.startswith("sd(")]
        several = np.count_nonzero(self.to, axis=1) > 1
        return tuple(name for name, m in zip(sds, several, strict=True) if m)

    def own(self, theta: np.ndarray) -> np.ndarray:
        """The vector that the priors are of, shape (..., d), from the user's parameters.

        Parameters
        ----------
        theta : ndarray, shape (..., d)
            The user's parameters.
        """
        out = np.array(theta, dtype=float)
        out[..., self.effects] = mapped(out[..., self.effects], self.to)
        return out

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density at the user's theta, shape (d,), and its gradient: without the Jacobian of
        `own`, which is the same for likelihood and prior.

        Parameters
        ----------
        theta : ndarray, shape (d,)
            The user's parameters.
        """
        value, gradient = self.of_own(self.own(theta))
        jacobian = derivative(theta[self.effects], self.to)
        gradient[self.effects] = jacobian.T @ gradient[self.effects]
        return value, gradient

    def of_own(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Log prior density of the vector the priors are of, shape (d,), and its gradient.

        Parameters
        ----------
        theta : ndarray, shape (d,)
            The vector that the priors are of.
        """
        end = len(theta) - len(self.hazard.names)
        one, slope_one = self.marker.value_and_gradient(theta[:end])
        two, slope_two = self.hazard.value_and_gradient(theta[end:])
        value = one + two
        if self.smoothing is not None:
            for spline in self.splines:
                more, slope = self.smoothing.value_and_gradient(theta[end:][spline])
                value += more
                slope_two[spline] += slope
        return value, np.concatenate([slope_one, slope_two])

    def log_prior(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Log prior of each parameter on its natural scale, by name; theta (chains, draws, d).

        Parameters
        ----------
        theta : ndarray, shape (chains, draws, d)
        """
        theta = self.own(theta)
        end = theta.shape[-1] - len(self.hazard.names)
        out = self.marker.log_prior(theta[..., :end]) | self.hazard.log_prior(theta[..., end:])
        if self.smoothing is not None:
            for k, spline in enumerate(self.splines):
                gamma = theta[..., end:][..., spline]
                flat = gamma.reshape(-1, gamma.shape[-1])
                smooth = [self.smoothing.value_and_gradient(g)[0] for g in flat]
                name = "baseline smoothing" + (f" {k + 1}" if len(self.splines) > 1 else "")
                out[name] = np.reshape(smooth, gamma.shape[:-1])
        return out

    def describe(self) -> dict[str, str]:
        """Each prior in words, by parameter name."""
        out = self.marker.describe() | self.hazard.describe()
        for name in self.moved:
            out[name] += " with the other variables at their means"
        if self.smoothing is None or not self.splines:
            return out
        return out | {"baseline": str(self.smoothing)}


def joint_priors(
    design: JointDesign,
    markers: Iterable[LMM | GLMM],
    link_sd: Mapping[str, float],
    given: Mapping[str, pr.Prior] | None,
    eta: float,
    smoothing: Smoothing | None,
) -> JointPriors:
    """All priors of a joint model, the user's in place of the defaults.

    Parameters
    ----------
    design : JointDesign
    markers : iterable of LMM or GLMM
        In the order of the design.
    link_sd : mapping of str to float
        By association, the SD of its link across patients at their exit.
    given : mapping of str to Prior, optional
        The user's, by parameter or variable.
    eta : float
        Of the LKJ prior of the random effects' correlation.
    smoothing : Smoothing or None
    """
    defaults: dict[str, pr.Prior] = {}
    own = [
        one.with_data(marker.measurements).default_priors()
        for one, marker in zip(markers, design.markers, strict=True)
    ]
    aliases: dict[str, Sequence[str]] = {}
    spread = [pr.moments(priors["sigma"])[0] for priors in own]
    fixed = [_centred_marker(m) for m in design.markers]
    for m, columns, size in zip(design.markers, fixed, spread, strict=True):
        for name, sd in zip(m.coefficient_names, columns.sd, strict=True):
            mean = 0.0 if sd > 0.0 else m.curve.mean
            defaults[name] = pr.Normal(mean, float(2.5 * size / (sd or 1.0)))
        variables = m.design.fixed.variables
        aliases |= {m.prefix + v: [m.prefix + n for n in names] for v, names in variables.items()}
    for priors, name in zip(own, design.sigma_names, strict=True):
        defaults[name] = priors["sigma"]
    effects = effect_columns(design, given or ())
    for m, of, size in zip(design.markers, effects, spread, strict=True):
        for effect, unit in zip(m.effect_names, of.size, strict=True):
            defaults[f"sd({effect}|{design.group_name})"] = pr.Exponential(float(size / unit))
    first = tuple(defaults)
    splines, at, to_hazard = [], 0, []
    for cause in design.causes:
        level = math.log(cause.rate)
        for k, name in enumerate(cause.baseline_names):
            shape = k >= cause.baseline.levels
            defaults[name] = pr.Normal(0.0, SHAPE_SD) if shape else pr.Normal(level, BASELINE_SD)
        of_covariates = centred(cause.event.fixed, cause.rows, intercept=False)
        for term, unit in zip(cause.covariate_names, of_covariates.unit, strict=True):
            defaults[term] = pr.Normal(0.0, float(1.0 / unit))
        to_links, units, between = _of_links(cause)
        own_sd = np.array([link_sd[one.base] for one in cause.associations])
        for term, size in zip(cause.association_names, own_sd * units, strict=True):
            defaults[term] = pr.Normal(0.0, float(1.0 / size))
        to_hazard += [
            (np.eye(len(cause.baseline_names)), ()),
            (of_covariates.to, of_covariates.alike),
            (to_links, between),
        ]
        aliases |= cause.aliases
        if cause.baseline.smoothed:
            splines.append(slice(at, at + len(cause.baseline_names)))
        at = len(defaults) - len(first)
    names = tuple(defaults)
    chosen, n, q = pr.choose(names, defaults, given, aliases), len(first), len(design.effect_names)
    to_markers = [(columns.to, columns.alike) for columns in fixed]
    hazard, levels = _basis(to_hazard, names[n:], given, aliases)
    marker, alike = _basis(to_markers, design.coefficient_names, given, aliases)
    return JointPriors(
        marker=pr.PriorStack(first, chosen[:n], pr.LKJ(eta), q, basis=marker, alike=alike),
        hazard=pr.PriorStack(names[n:], chosen[n:], basis=hazard, alike=levels),
        to=block_diag(*(of.to for of in effects)),
        smoothing=smoothing if splines else None,
        splines=tuple(splines),
    )


def _basis(
    parts: Sequence[tuple[np.ndarray, tuple[pr.Alike, ...]]],
    names: Sequence[str],
    given: Mapping[str, pr.Prior] | None,
    aliases: Mapping[str, Sequence[str]],
) -> tuple[np.ndarray | None, tuple[pr.Alike, ...]]:
    """The coordinates of the defaults of several blocks of coefficients (`PriorStack.basis`,
    `PriorStack.alike`)."""
    parts, alike, start = [part for part in parts if len(part[0])], [], 0
    if not parts:
        return None, ()
    for to, levels in parts:
        alike += [(tuple(start + j for j in columns), root) for columns, root in levels]
        start += len(to)
    return pr.centred_basis(block_diag(*(to for to, _ in parts)), names, given, aliases, alike)


def _centred_marker(marker: JointMarker) -> CentredDesign:
    """A marker's fixed effects in variables centred at their means, every patient counting once."""
    rows = marker.measurements.iloc[marker.design.rows]
    return centred(marker.design.fixed, rows, marker.weights)


def _of_links(cause: JointCause) -> tuple[np.ndarray, np.ndarray, tuple[pr.Alike, ...]]:
    """Associations at the mean of what they interact with, from those at 0, and the units of that:
    shapes (K, K) and (K,). And those that are differences between levels of a factor."""
    to, units, alike = [], [], []
    for _, _, by in cause.links:
        if by is None:
            to.append(np.eye(1))
            units.append(np.ones(1))
            continue
        columns, first = centred(by, cause.rows, intercept=False), 1 + sum(map(len, to))
        alike += [(tuple(first + j for j in of), root) for of, root in columns.alike]
        part = np.eye(1 + len(by.names))
        part[0, 1:] = by.X.mean(axis=0)
        to.append(part)
        units.append(np.concatenate([[1.0], columns.unit]))
    if not to:
        return np.empty((0, 0)), np.empty(0), ()
    return block_diag(*to), np.concatenate(units), tuple(alike)
