"""The joint model stated in PyMC, with explicit random effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from longsurv.design.joint import JointCause, JointDesign, JointMarker
from longsurv.models.joint_priors import JointPriors
from longsurv.models.twin_parameters import parameters

if TYPE_CHECKING:
    from pymc import Model
    from pytensor.tensor import TensorVariable


def twin(design: JointDesign, stack: JointPriors, eta: float) -> Model:
    """A PyMC model of a design and its priors: y given b, the events given b, and b ~ N(0, D)."""
    import pymc as pm

    q = len(design.effect_names)
    coords = {"patient": design.labels, "effect": design.effect_names}
    with pm.Model(coords=coords) as model:
        free = parameters(stack.marker, stack.moved) | parameters(stack.hazard)
        names = [f"sd({z}|{design.group_name})" for z in design.effect_names]
        # PyMC's LKJCorr is the Cholesky factor of the correlation matrix.
        correlation = pm.LKJCorr("correlation_cholesky", n=q, eta=eta) if q > 1 else np.eye(q)
        # The priors are of the effects of centred columns, to @ b.
        sds = pm.math.stack([free[name] for name in names])
        factor = np.linalg.inv(stack.to) @ (sds[:, None] * correlation)
        b = pm.Normal("raw", dims=("patient", "effect")) @ factor.T
        b = pm.Deterministic("b", b, dims=("patient", "effect"))
        for j, name in enumerate(names):
            if name in stack.moved:
                pm.Deterministic(name, pm.math.sqrt((factor[j] ** 2).sum()))
        betas, own, at = [], [], 0
        for marker in design.markers:
            betas.append(pm.math.stack([free[name] for name in marker.coefficient_names]))
            own.append(b[:, at : at + len(marker.effect_names)])
            _values(marker, betas[-1], own[-1], free[f"{marker.prefix}sigma"])
            at += len(marker.effect_names)
        for cause in design.causes:
            _events(cause, stack, free, betas, own)
    return model


def _values(
    marker: JointMarker, beta: TensorVariable, b: TensorVariable, sigma: TensorVariable
) -> None:
    """The marker's measurements; of some only a limit may be known."""
    import pymc as pm

    d, kind = marker.design, marker.kind
    mean = d.fixed.X @ beta + (d.Z * b[marker.group]).sum(axis=-1)
    kind = np.zeros(len(d.y), dtype=int) if kind is None else kind
    pm.Normal(f"{marker.prefix}y", mean[kind == 0], sigma, observed=d.y[kind == 0])
    for name, code, sign in (("below", 1, 1.0), ("above", 2, -1.0)):
        rows = np.flatnonzero(kind == code)
        if len(rows):
            latent = pm.Normal.dist(sign * mean[rows], sigma)
            logs = pm.logcdf(latent, sign * d.y[rows])
            pm.Potential(f"{marker.prefix}{name}", logs.sum())


def _events(
    cause: JointCause,
    stack: JointPriors,
    free: dict[str, TensorVariable],
    betas: list[TensorVariable],
    own: list[TensorVariable],
) -> None:
    """Hazards at the events and their integrals over the time at risk."""
    import pymc as pm
    import pytensor.tensor as pt

    points = cause.points
    owner = np.repeat(np.arange(len(cause.status)), np.diff(points.start))
    gamma, omega = (
        pm.math.stack([free[name] for name in names]) if names else pt.zeros(0)
        for names in (cause.baseline_names, cause.covariate_names)
    )
    if stack.smoothing is not None and cause.baseline.smoothed:
        pm.Potential(f"smoothing{cause.suffix}", stack.smoothing.to_pymc(gamma))
    eta = points.basis.T @ gamma + (cause.covariates @ omega)[owner]
    for term, link in zip(cause.association_names, points.links, strict=True):
        mine = (link.z.T * own[link.marker][owner]).sum(axis=-1)
        eta += free[term] * (link.x.T @ betas[link.marker] + mine - link.centre)
    pm.Potential(f"events{cause.suffix}", (cause.status * eta[points.start[:-1]]).sum())
    pm.Potential(f"survival{cause.suffix}", -(points.weight * pm.math.exp(eta)).sum())
