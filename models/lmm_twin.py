"""The linear mixed model stated in PyMC, with explicit random effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from longsurv.design import MixedDesign
from longsurv.likelihood.lmm.dense.kernel import DenseKernel
from longsurv.models.lmm_climb import LMMKernel
from longsurv.priors import PriorStack

if TYPE_CHECKING:
    from pymc import Model
    from pytensor.tensor import TensorVariable


def twin(d: MixedDesign, kernel: LMMKernel, stack: PriorStack, eta: float) -> Model:
    """A PyMC model of a design and its priors.

    b ~ N(0, D) for each grouping; y ~ N(X beta + Z b, sigma^2), or for each patient a multivariate
    normal distribution with the covariance of the residual structure. Where a prior is of something
    at the means of the other variables, that has the parameter's name with " (centred)" after it
    (" (levels alike)" for a combination of differences between levels of a factor), and the
    parameter follows from it.
    """
    import pymc as pm

    label = dict(zip(stack.names, stack.labels, strict=True))
    by_name = dict(zip(stack.names, stack.priors, strict=True))
    maps = kernel.to if d.random.names else kernel.to[1:]
    coords = {"term": d.fixed.names, "row": d.rows}
    several = len(d.groupings) > 1
    for k, g in enumerate(d.groupings):
        coords[f"effect_{k}" if several else "effect"] = g.random.names
        coords[g.name if several else "patient"] = g.labels
    with pm.Model(coords=coords) as model:
        beta = pm.math.stack([by_name[name].to_pymc(label[name]) for name in d.fixed.names])
        if stack.basis is not None:
            beta = np.linalg.inv(stack.basis) @ beta
            for j, name in enumerate(d.fixed.names):
                if label[name] != name:
                    pm.Deterministic(name, beta[j])
        sigma = by_name["sigma"].to_pymc("sigma")
        mean = d.fixed.X @ beta
        for k, g in enumerate(d.groupings):
            dims = (g.name, f"effect_{k}") if several else ("patient", "effect")
            suffix = f"_{k}" if several else ""
            sds, _ = g.random.parameter_names(g.name)
            sd = pm.math.stack([by_name[name].to_pymc(label[name]) for name in sds])
            raw = pm.Normal(f"raw{suffix}", dims=dims)
            raw, factor = _correlated(raw, g.random.blocks, suffix, eta)
            back, own = np.linalg.inv(maps[k]), raw * sd
            pm.Deterministic(f"b{suffix}", own @ back.T, dims=dims)
            half = back @ (sd[:, None] * factor)
            for j, name in enumerate(sds):
                if label[name] != name:
                    pm.Deterministic(name, pm.math.sqrt((half[j] ** 2).sum()))
            mean = mean + ((g.random.X @ back) * own[g.group]).sum(axis=-1)
        if d.residual is None or not isinstance(kernel, DenseKernel):
            spread = sigma if d.weights is None else sigma / d.weights.root
            pm.Normal("y", mean, spread, observed=d.y, dims="row")
        else:
            psi = [by_name[name].to_pymc(name) for name in kernel.residual_names]
            _residuals(kernel, mean, sigma, psi, d, eta)
    return model


def _correlated(
    raw: TensorVariable, blocks: tuple[int, ...], suffix: str, eta: float
) -> tuple[TensorVariable, TensorVariable]:
    """Independent effects made correlated within blocks, and the factor that does it."""
    import pymc as pm
    import pytensor.tensor as pt

    parts, start, whole = [], 0, pt.eye(sum(blocks))
    for k, size in enumerate(blocks):
        part = raw[:, start : start + size]
        if size > 1:
            # PyMC's LKJCorr is the Cholesky factor of the correlation matrix.
            name = f"correlation_cholesky{suffix}" + (f"_{k}" if k else "")
            factor = pm.LKJCorr(name, n=size, eta=eta)
            part = part @ factor.T
            at = slice(start, start + size)
            whole = pt.set_subtensor(whole[at, at], factor)
        parts.append(part)
        start += size
    return pm.math.concatenate(parts, axis=1), whole


def _residuals(
    kernel: DenseKernel,
    mean: TensorVariable,
    sigma: TensorVariable,
    psi: list[TensorVariable],
    d: MixedDesign,
    eta: float,
) -> None:
    """y of all patients with the same number of rows, as multivariate normal."""
    import pymc as pm

    kinds, rows, first_kind, *_ = kernel.data.indices
    covariance = sigma**2 * _values(kernel, psi, eta)
    counts = np.diff(rows)
    for n in np.unique(counts):
        chosen = np.flatnonzero(counts == n)
        index = kernel.data.order[rows[chosen][:, None] + np.arange(n)]
        kind = kinds[first_kind[chosen][:, None] + np.arange(n * n)].reshape(-1, n, n)
        cov = covariance[kind]
        if d.weights is not None:
            root = d.weights.root[index]
            cov = cov / (root[:, :, None] * root[:, None, :])
        pm.MvNormal(f"y_{n}", mean[index], cov=cov, observed=d.y[index])


def _values(kernel: DenseKernel, psi: list[TensorVariable], eta: float) -> TensorVariable:
    """Residual covariance over sigma^2 of each kind of pair of rows, as in `Structure.values`."""
    import pymc as pm
    import pytensor.tensor as pt

    s = kernel.data.structure
    ratios, rest = psi[: s.n_ratios], psi[s.n_ratios :]
    size = len(rest) // s.n_blocks
    if s.n_blocks == 1:
        correlation = s.kind.twin(rest, s, eta)
    else:
        parts = []
        for b in range(s.n_blocks):
            with pm.Model(name=f"group_{b}"):  # so that each matrix has a name of its own
                own = s.kind.twin(rest[b * size : (b + 1) * size], s, eta)
            parts.append(own * s.chosen(b))
        correlation = sum(parts[1:], parts[0])
    if not s.n_ratios:
        return correlation
    first, second = s.cells
    log_sd = pt.stack([pt.zeros(()), *ratios])
    sd = pt.exp(log_sd if s.groups is None else log_sd - log_sd.mean())
    return correlation * (sd[first] * sd[second])
