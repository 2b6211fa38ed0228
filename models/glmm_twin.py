"""The generalised mixed model stated in PyMC, with explicit random effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from longsurv.likelihood.glmm.families import FAMILIES
from longsurv.priors import PriorStack

if TYPE_CHECKING:
    from pymc import Model

    from longsurv.design.generalised import GeneralisedDesign
    from longsurv.design.random_columns import RandomColumns


def twin(
    d: GeneralisedDesign, df: float | None, random: RandomColumns, stack: PriorStack, eta: float
) -> Model:
    """A PyMC model of a design and its priors: b ~ N(0, D), y ~ family(X beta + Z b).

    df is that of Student's t where it is fixed.

    Where a prior is of something at the means of the other variables, that has the parameter's name
    with " (centred)" after it (" (levels alike)" for a combination of differences between levels of
    a factor), and the parameter follows from it.
    """
    import pymc as pm

    effects = np.linalg.inv(random.to)
    p, q, several = len(d.fixed.names), len(d.effects.names), len(d.random.names)
    coords = {"term": d.fixed.names, "effect": d.random.names, "patient": d.labels, "row": d.rows}
    coords |= {site.name: site.labels for site in d.outer}
    with pm.Model(coords=coords) as model:
        own = {
            name: prior.to_pymc(label)
            for name, label, prior in zip(stack.names, stack.labels, stack.priors, strict=True)
        }
        if stack.basis is not None:
            k = len(stack.basis)
            values = np.linalg.inv(stack.basis) @ pm.math.stack([own[n] for n in stack.names[:k]])
            for j, (name, label) in enumerate(zip(stack.names[:k], stack.labels[:k], strict=True)):
                own[name] = values[j] if name == label else pm.Deterministic(name, values[j])
        sd = pm.math.stack([own[name] for name in stack.names[-q:]])
        raw, mean = pm.Normal("raw", dims=("patient", "effect")), d.offsets
        for site in d.outer:
            of_sites = pm.Normal("raw_1", dims=site.name) * sd[-1]
            pm.Deterministic("b_1", of_sites, dims=site.name)
            mean = mean + (d.effects.X @ effects)[:, -1] * of_sites[site.group]
        parts, factors, first = [], [], 0
        for k, size in enumerate(d.effects.blocks):
            at, factor = slice(first, first + size), np.eye(size)
            if size > 1:
                # PyMC's LKJCorr is the Cholesky factor of the correlation matrix.
                name = "correlation_cholesky" + (f"_{k}" if k else "")
                factor = pm.LKJCorr(name, n=size, eta=eta)
            if first < several:  # the site's effect is by itself
                parts.append(raw[:, at] @ factor.T if size > 1 else raw[:, at])
            factors.append(effects[at, at] @ (sd[at][:, None] * factor))
            first += size
        to = effects[:several, :several]
        centred = pm.math.concatenate(parts, axis=1) * sd[:several]
        b = centred @ to.T
        pm.Deterministic("b", b, dims=("patient", "effect"))
        spreads = pm.math.concatenate([pm.math.sqrt((f**2).sum(axis=1)) for f in factors])
        for j, (name, label) in enumerate(zip(stack.names[-q:], stack.labels[-q:], strict=True)):
            if name != label:
                pm.Deterministic(name, spreads[j])
        mean = mean + ((d.random.X @ to) * centred[d.group]).sum(axis=-1)
        for j, name in enumerate(d.fixed.names):
            mean = mean + own[name] * d.fixed.X[:, j]
        parameters = [own[name] for name in stack.names[p:-q]]
        FAMILIES[d.family].twin(mean, parameters, d.y, d.extent, df)
    return model
