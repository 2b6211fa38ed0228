"""The generalised mixed model stated in PyMC, with explicit random effects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from longsurv.priors import PriorStack

if TYPE_CHECKING:
    from longsurv.models.glmm import GLMM


def twin(spec: GLMM, stack: PriorStack, eta: float) -> Any:
    """A PyMC model of a specification and its priors: b ~ N(0, D), y ~ family(X beta + Z b)."""
    import pymc as pm

    d = spec.design
    p, q = len(d.fixed.names), len(d.random.names)
    coords = {"term": d.fixed.names, "effect": d.random.names, "patient": d.labels, "row": d.rows}
    with pm.Model(coords=coords) as model:
        own = {
            name: prior.to_pymc(name) for name, prior in zip(stack.names, stack.priors, strict=True)
        }
        sd = pm.math.stack([own[name] for name in stack.names[-q:]])
        raw = pm.Normal("raw", dims=("patient", "effect"))
        parts, first = [], 0
        for k, size in enumerate(d.random.blocks):
            part = raw[:, first : first + size]
            if size > 1:
                # PyMC's LKJCorr is the Cholesky factor of the correlation matrix.
                name = "correlation_cholesky" + (f"_{k}" if k else "")
                part = part @ pm.LKJCorr(name, n=size, eta=eta).T
            parts.append(part)
            first += size
        b = pm.math.concatenate(parts, axis=1) * sd
        b = pm.Deterministic("b", b, dims=("patient", "effect"))
        mean = (d.Z * b[d.group]).sum(axis=-1)
        for j, name in enumerate(d.fixed.names):
            mean = mean + own[name] * d.fixed.X[:, j]
        _response(spec, mean, own, stack.names[p:-q])
    return model


def _response(spec: GLMM, mean: Any, own: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """The family's distribution around the linear predictor, in the PyMC model in context."""
    import pymc as pm

    d = spec.design
    if spec.family == "bernoulli":
        pm.Bernoulli("y", logit_p=mean, observed=d.y.astype(int), dims="row")
    elif spec.family == "ordinal":
        cuts = pm.math.cumsum(pm.math.stack([own[name] for name in names]))
        pm.OrderedLogistic("y", mean, cuts, observed=d.y.astype(int), dims="row")
    elif spec.family == "student":
        nu = own["nu"] if spec.df is None else spec.df
        pm.StudentT("y", nu=nu, mu=mean, sigma=own["sigma"], observed=d.y, dims="row")
    else:
        exact = d.kind == 0
        pm.Normal("y", mean[exact], own["sigma"], observed=d.y[exact])
        # P(y > limit) is P(-y < -limit).
        for name, code, sign in (("below", 1, 1.0), ("above", 2, -1.0)):
            rows = np.flatnonzero(d.kind == code)
            if len(rows):
                latent = pm.Normal.dist(sign * mean[rows], own["sigma"])
                pm.Potential(name, pm.logcdf(latent, sign * d.y[rows]).sum())
