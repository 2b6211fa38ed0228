"""The climb of a joint model's likelihood: kept where parameters mean something, judged where it
ended.

In unit-free coordinates a log hazard ratio of 25 per standard deviation, or a baseline hazard
e^25 times the mean rate, is no estimate but a likelihood that rises without end. A weak fence keeps
the climb this side of such places, where the quadrature has broken down too. What rests on it in
the end has no maximum; a random effect whose standard deviation may as well be 0 has a maximum
there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from longsurv.design.joint import JointDesign
from longsurv.errors import EstimationError
from longsurv.inference import (
    Affine,
    Draws,
    Optimum,
    added,
    hessian,
    identify,
    maximise,
    outward,
    sample_posterior,
    whiten,
)
from longsurv.inference.coordinates import DIFFERENCES
from longsurv.inference.curvature import rough_hessian
from longsurv.inference.density import LogDensity, guarded, remembered
from longsurv.inference.maximise import DECREMENT_TOLERANCE, SecondOrder
from longsurv.likelihood import joint
from longsurv.likelihood.hazard.separation import recession
from longsurv.likelihood.joint.coordinates import ENDLESS
from longsurv.likelihood.joint.loglik import JointData
from longsurv.likelihood.joint.separable import inseparable
from longsurv.models.joint_expected import ExpectedEvents
from longsurv.models.joint_priors import JointPriors
from longsurv.results.joint.nodes import with_nodes

DEVIATION, CORRELATION = 14.0, 9.0
"""Limits of the fence for logs of SDs and unconstrained correlations."""
NEAR = {ENDLESS: 8.0, DEVIATION: 4.0, CORRELATION: 3.0}
"""From here on a parameter is asked whether it may as well be at its limit."""
LOST = 1e-3
"""Log-likelihood that a parameter at its limit may lose."""
VAGUE = 2.0
"""Standard error of a log hazard ratio per SD of a link, from which on, beside other coefficients
that rise without end, nothing is known of it."""
UNFINISHED = 0.01
"""Newton decrement of a climb that is worth no answer."""
FAR = 5.0
"""Coefficients of the hazard, per SD, from which on the quadrature is looked at."""
NODES_APART = 2.0
"""Difference of log-likelihoods with more nodes from which on the quadrature has broken down."""


def limits(data: JointData) -> np.ndarray:
    """The fence in the coordinates of the climb, shape (d,); none for the markers' coefficients."""
    deviations = len(data.markers) + data.q
    correlations = data.n_marker - data.p - deviations
    sizes = [data.p, deviations, correlations, data.n_theta - data.n_marker]
    return np.repeat([np.inf, DEVIATION, CORRELATION, ENDLESS], sizes)


def fenced(density: LogDensity, limit: np.ndarray) -> LogDensity:
    """A density that falls beyond the fence."""

    def evaluate(u: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = density(u)
        over = np.sign(u) * np.maximum(np.abs(u) - limit, 0.0)
        return value - 0.5 * float(over @ over), gradient - over

    return evaluate


def climb(
    of_theta: LogDensity, theta: np.ndarray, names: Sequence[str], coordinates: Affine
) -> Optimum:
    """Quasi-Newton in coordinates whitened by the curvature at the start, then Newton steps."""
    return coordinates.optimum(
        _climb(coordinates.density(of_theta), coordinates.inward(theta), names)
    )


def _climb(density: LogDensity, start: np.ndarray, names: Sequence[str]) -> Optimum:
    safe, x = remembered(guarded(density)), start
    if np.isfinite(safe(start)[0]):
        from scipy.optimize import minimize

        at = whiten(start, rough_hessian(safe, start))

        def negative(z: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = safe(at.centre + at.factor @ z)
            return (-value, -at.factor.T @ gradient) if np.isfinite(value) else (1e300, 0.0 * z)

        # So far that the first Newton step finds nothing more to gain: another takes a Hessian.
        enough = math.sqrt(DECREMENT_TOLERANCE / len(start))
        options = {"maxiter": 200, "ftol": 1e-15, "gtol": enough}
        found = minimize(negative, 0.0 * start, jac=True, method="L-BFGS-B", options=options)
        x = at.centre + at.factor @ found.x
    return maximise(safe, x, names, second_order=_with_hessian(safe))


def _with_hessian(density: LogDensity) -> SecondOrder:
    def second_order(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        value, gradient = density(x)
        return value, gradient, hessian(density, x)

    return second_order


def near(data: JointData, psi: np.ndarray) -> LogDensity:
    """The log-likelihood of the kernel's parameters, fastest close to psi."""
    return partial(joint.own_loglik, data, near=joint.modes(data, psi))


def draw(
    start: np.ndarray,
    data: JointData,
    stack: JointPriors,
    coordinates: Affine,
    expected: ExpectedEvents,
    names: Sequence[str],
    *,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
    target_accept: float,
) -> tuple[Optimum, Draws | None]:
    """Mode and draws of the kernel's parameters, from a `start` in the user's; None for draws where
    there is no mode."""
    psi = data.own(start)
    top = climb(added(near(data, psi), stack.of_own), psi, names, coordinates).x
    mode, drawn = sample_posterior(
        expected.density(added(near(data, top), stack.of_own)), expected.inward(top),
        deviations=stack.marker.deviations, coordinates=coordinates,
        draws=draws, tune=tune, chains=chains, seed=seed, target_accept=target_accept,
    )  # fmt: skip
    return mode, drawn if drawn is None else outward(drawn, expected.outward)


def maximum(
    start: np.ndarray, design: JointDesign, data: JointData, coordinates: Affine
) -> Optimum:
    """The maximum of the likelihood, parameters without one at the end of their line.

    Climbed in the kernel's parameters psi, recorded in the user's.

    Raises
    ------
    EstimationError
        Where nothing can be estimated by maximum likelihood, with the reason.
    """
    psi = data.own(start)
    of_psi = near(data, psi)
    for marker, arrays in zip(design.markers, data.markers, strict=True):
        if lost := inseparable(arrays):
            raise EstimationError(
                f"{marker.name}: the measurements cannot tell its residual standard deviation from "
                f"its random effects' ({lost}); how the hazard depends on the curve, and not on "
                "the measurement error, cannot be estimated. Measure patients more often, leave "
                "out random effects, or put the measured value into a CoxPH model"
            )
    names, limit = design.theta_names, limits(data)
    begin, lower = _at_the_end(coordinates.inward(psi), design, data, coordinates)
    coordinates = replace(coordinates, centre=coordinates.outward(lower))
    density = guarded(coordinates.density(of_psi))
    found = _climb(fenced(density, limit), begin - lower, names)
    if np.isfinite(found.value):
        found = _judged(density, found, limit, names)
    _refuse(found, limit, design, data, coordinates)
    found = coordinates.optimum(found)
    own = Affine(data.plain(found.x), data.derivative(found.x))
    return replace(own.optimum(found), x=own.centre)


def _at_the_end(
    u: np.ndarray, design: JointDesign, data: JointData, coordinates: Affine
) -> tuple[np.ndarray, np.ndarray]:
    """Where to begin, and by how much levels of the baseline are lower than without separation.

    Covariates that separate those with events from others begin at their end: whatever the curves,
    the likelihood rises for ever along that direction, on which the level of average covariates
    falls with them. A fence around that level, in the way, would look like a maximum.
    """
    u, lower, start = u.copy(), np.zeros_like(u), data.n_marker
    for cause in design.causes:
        events = cause.covariates[cause.status == 1]
        away = recession(cause.covariates, events) if len(events) else None
        level = slice(start, start + len(cause.baseline_names))
        of = slice(level.stop, level.stop + len(cause.covariate_names))
        start = of.stop + len(cause.association_names)
        if away is None:
            continue
        along = np.linalg.solve(coordinates.factor[of, of], away)
        size = ENDLESS / np.abs(along).max()
        u[of] += size * along - along * (along @ u[of]) / (along @ along)
        lower[level] = cause.constant(-size * float(events[0] @ away))
    return u + lower, lower


def _judged(
    density: LogDensity, found: Optimum, limit: np.ndarray, names: Sequence[str]
) -> Optimum:
    """The optimum without the fence; parameters that may as well be at their limit are there."""
    u, value = found.x.copy(), density(found.x)[0]
    moved = []
    for j in np.flatnonzero(np.isfinite(limit)).tolist():
        if abs(u[j]) < NEAR[limit[j]]:
            continue
        trial = u.copy()
        trial[j] = np.sign(u[j]) * max(limit[j], abs(u[j]))
        at_limit = density(trial)[0]
        if at_limit >= value - LOST:
            u, value = trial, at_limit
            moved.append(j)
    if not moved:
        return found
    value, gradient = density(u)
    H = hessian(density, u)
    H[moved] = H[:, moved] = 0.0  # they are where they are: the others' errors take that as given
    boundary = [j for j in moved if limit[j] != ENDLESS]
    rising = [names[int(j)] for j in moved if limit[j] == ENDLESS]
    status = found.status
    if rising:
        status = f"there is no maximum: {', '.join(rising)} can grow without end"
    elif found.newton_decrement < UNFINISHED:
        status = "converged"
    return replace(
        found,
        x=u,
        value=value,
        gradient=gradient,
        hessian=H,
        status=status,
        at_boundary=tuple(names[int(j)] for j in boundary),
    )


def _vague(found: Optimum, names: Sequence[str], wanted: set[str]) -> list[str]:
    """Those of the wanted of which the information, in the coordinates of the climb, is small."""
    cov = identify(-found.hessian, flat=DIFFERENCES, rounding=np.full(len(names), DIFFERENCES)).cov
    return [n for n, v in zip(names, np.diag(cov), strict=True) if n in wanted and v > VAGUE**2]


def _refuse(
    found: Optimum, limit: np.ndarray, design: JointDesign, data: JointData, coordinates: Affine
) -> None:
    """Raise where the climb ended at no answer."""
    u, names = found.x, design.theta_names
    why = ""
    at_end = np.abs(u) >= limit - 1.0
    sigmas = range(data.p, data.p + len(data.markers))
    harmful = {t for c in design.causes for t in c.association_names}
    baseline = {t for c in design.causes for t in c.baseline_names}
    if not np.isfinite(found.value):
        why = found.status
    elif gone := [names[j] for j in sigmas if at_end[j] and u[j] < 0.0]:
        why = f"{', '.join(gone)} falls to 0: the curves reproduce every measurement"
    elif gone := [
        names[j]
        for j in np.flatnonzero(at_end).tolist()
        if names[j] in harmful or (names[j] in baseline and u[j] > 0.0)
    ]:
        why = f"the likelihood rises without end along {', '.join(gone)}"
    elif not found.newton_decrement < UNFINISHED:
        why = found.status
    elif "without end" in found.status and (gone := _vague(found, names, harmful)):
        why = f"{found.status}, and nothing is known of {', '.join(gone)}"
    elif np.abs(u[data.n_marker :]).max() > FAR and len(data.nodes) > 1 and data.q <= 3:
        psi = coordinates.outward(u)
        more = joint.own_loglik(with_nodes(data, len(data.nodes) + 2), psi)[0]
        if not abs(more - found.value) < NODES_APART:
            why = "the integral over the random effects broke down where the climb ended"
    if not why:
        return
    events = int(design.status.sum())
    coefficients = len(design.event_names) + len(design.baseline_names)
    raise EstimationError(
        f"no maximum of the likelihood was found ({why}): {events} "
        f"event{'' if events == 1 else 's'} for {coefficients} coefficients of the hazard. Leave "
        "out covariates or links, choose a simpler baseline such as 'exponential', or sample(), "
        "whose priors say what the data do not"
    )
