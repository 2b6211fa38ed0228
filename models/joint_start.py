"""Where the climb of a joint model starts: from the mixed model alone and a constant hazard."""

from __future__ import annotations

import numpy as np

from longsurv.design.joint import JointDesign
from longsurv.inference import Optimum, hessian, maximise
from longsurv.inference.density import LogDensity
from longsurv.inference.maximise import SecondOrder
from longsurv.likelihood.joint import JointData
from longsurv.results.mixed import MixedEstimate


def link_sd(alone: MixedEstimate, design: JointDesign) -> dict[str, float]:
    """SD of each link across patients at their exit, as the mixed model alone predicts them."""
    effects = alone.ranef().pivot(
        index=design.marker.group_name, columns="effect", values="estimate"
    )
    b = effects.reindex(design.labels)[list(design.marker.random.names)].fillna(0.0)
    spread = design.links_at_exit(alone.coefficients, b.to_numpy()).std(axis=1)
    return {name: float(s) or 1.0 for name, s in zip(design.link_names, spread, strict=True)}


def start(alone: MixedEstimate, design: JointDesign, data: JointData) -> np.ndarray:
    """Parameter vector of the mixed model alone and a constant hazard, away from any boundary."""
    marker = alone.spec.kernel.interior(alone.coefficients, alone.sigma, alone.optimum.x)
    theta = np.zeros(data.n_theta)
    theta[: len(marker)] = marker
    for j, name in enumerate(design.baseline.names, start=len(marker)):
        theta[j] = 0.0 if name == "shape_minus_1" else np.log(design.rate)
    return theta


def climb(density: LogDensity, theta: np.ndarray, design: JointDesign, n_marker: int) -> Optimum:
    """Newton steps: in the hazard's parameters given the marker's first, then in all."""

    def of_hazard(part: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = density(np.concatenate([theta[:n_marker], part]))
        return value, gradient[n_marker:]

    hazard = maximise(of_hazard, theta[n_marker:], second_order=_with_hessian(of_hazard))
    first = np.concatenate([theta[:n_marker], hazard.x])
    return maximise(density, first, design.theta_names, second_order=_with_hessian(density))


def _with_hessian(density: LogDensity) -> SecondOrder:
    def second_order(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        value, gradient = density(x)
        return value, gradient, hessian(density, x)

    return second_order
