"""Results of generalised mixed models, put together from what kernel and inference returned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from longsurv.inference import Draws, Optimum
from longsurv.likelihood import glmm
from longsurv.priors import PriorStack
from longsurv.results.assemble import design_flags, sampling_flags
from longsurv.results.generalised import GeneralisedEstimate, GeneralisedPosterior
from longsurv.results.generalised_quantities import (
    natural_coefficients,
    natural_draws,
    natural_variances,
    spread,
    with_rule,
)
from longsurv.results.idata import to_datatree
from longsurv.results.mixed import VarianceEstimate
from longsurv.results.reference import NormalReference

QUADRATURE_TOLERANCE = 0.01
"""Log-likelihood by which a finer rule may differ before the result says so."""


def generalised_estimate(
    spec: Any, data: glmm.GLMMData, optimum: Optimum, T: np.ndarray, nodes: int
) -> GeneralisedEstimate:
    """The fitted model at theta = T @ optimum.x."""
    design, theta = spec.design, T @ optimum.x
    values, vectors = np.linalg.eigh(-optimum.hessian)
    usable = np.where(values > 1e-12 * max(values.max(initial=0.0), 1e-300), values, np.inf)
    half = T[:, optimum.free] @ (vectors / np.sqrt(usable))
    variances = natural_variances(data, theta)
    with np.errstate(invalid="ignore"):
        se = spread(lambda t: natural_variances(data, t), theta, half)
        # Nothing is known about the precision of a parameter on its boundary, or of one that
        # depends on it.
        se = np.where(
            (variances > 0.0) & (variances < np.inf) | _is_correlation(design), se, np.nan
        )
    p = len(design.coefficient_names)
    jacobian = np.empty((p, half.shape[1]))
    for k, direction in enumerate(half.T):
        up, down = (natural_coefficients(data, theta + s * direction) for s in (1e-3, -1e-3))
        jacobian[:, k] = (up - down) / 2e-3
    return GeneralisedEstimate(
        spec=spec,
        design=design,
        names=design.coefficient_names,
        coefficients=natural_coefficients(data, theta),
        reference=NormalReference(jacobian @ jacobian.T),
        llf=optimum.value,
        nobs=len(data.y),
        n_params=len(theta),
        optimum=optimum,
        method=f"maximum likelihood, {quadrature_name(nodes, data.q)}",
        flags=(
            *design_flags(design),
            *design.notes,
            *_boundary_flags(design, variances),
            *_quadrature_flags(data, theta, optimum.value, nodes),
        ),
        variance=VarianceEstimate(design.variance_names, variances, se),
        theta=theta,
        half=half,
        data=data,
    )


def generalised_posterior(
    spec: Any, data: glmm.GLMMData, stack: PriorStack, mode: Optimum, draws: Draws, nodes: int
) -> GeneralisedPosterior:
    """The posterior from draws on the unconstrained scale."""
    design = spec.design
    chains, kept, d = draws.theta.shape
    flat = draws.theta.reshape(-1, d)
    natural = natural_draws(data, flat)
    names = (*design.coefficient_names, *design.variance_names)
    samples = {name: natural[:, j].reshape(chains, kept) for j, name in enumerate(names)}
    flags = (*design_flags(design), *design.notes, *sampling_flags(draws))
    value = glmm.loglik(data, mode.x)[0]
    flags += _quadrature_flags(data, glmm.to_factor(data, mode.x), value, nodes)
    return GeneralisedPosterior(
        spec=spec,
        design=design,
        names=design.coefficient_names,
        samples=samples,
        stack=stack,
        mode=mode,
        draws=draws,
        idata=to_datatree(
            samples,
            draws,
            log_likelihood=glmm.pointwise(data, flat).reshape(chains, kept, -1),
            log_prior=stack.log_prior(draws.theta),
            unit=(design.group_name, design.labels),
            observed=design.y,
        ),
        method=f"NUTS on the marginal likelihood, {quadrature_name(nodes, data.q)}",
        flags=flags,
        data=data,
    )


def quadrature_name(nodes: int, q: int) -> str:
    """How the random effects are integrated out, in words."""
    if nodes == 1:
        return "Laplace's approximation"
    return f"adaptive Gauss-Hermite quadrature with {nodes}{f'^{q}' if q > 1 else ''} nodes"


def _is_correlation(design: Any) -> np.ndarray:
    return np.array([name.startswith("cor(") for name in design.variance_names], dtype=bool)


def _boundary_flags(design: Any, values: np.ndarray) -> Iterator[str]:
    for name, value in zip(design.variance_names, values, strict=True):
        if name.startswith("sd(") and value == 0.0:
            yield (
                f"Boundary: {name} is estimated as exactly 0; the data show no more variation "
                f"between {design.group_name} than chance explains."
            )
        if name.startswith("cor(") and abs(value) > 1.0 - 1e-6:
            yield (
                f"Boundary: {name} is estimated as {value:+.0f}; the random effects have fewer "
                "dimensions than the formula gives them."
            )
        if name == "nu" and np.isinf(value):
            yield (
                "Boundary: nu is estimated as infinite; the residuals' tails are no heavier than "
                "normal."
            )


def _quadrature_flags(
    data: glmm.GLMMData, theta: np.ndarray, value: float, nodes: int
) -> tuple[str, ...]:
    finer = nodes + 6 if data.q == 1 else nodes + 4 if data.q == 2 else max(3, nodes + 2)
    if finer**data.q > 1000:
        return ("The number of nodes was not checked: a finer rule would be too large.",)
    change = glmm.loglik_factor(with_rule(data, finer), theta)[0] - value
    if abs(change) <= QUADRATURE_TOLERANCE:
        return ()
    return (
        f"With {finer} quadrature nodes a dimension instead of {nodes} the log-likelihood here is "
        f"{change:+.2g} different: raise nodes.",
    )
