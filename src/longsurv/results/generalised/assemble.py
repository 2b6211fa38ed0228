"""Results of generalised mixed models, put together from what kernel and inference returned."""

from __future__ import annotations

from typing import Any

import numpy as np

from longsurv.design.random_columns import origin_flags
from longsurv.errors import EstimationError
from longsurv.inference import Draws, Optimum, identify
from longsurv.likelihood import glmm
from longsurv.likelihood.glmm.coordinates import Coordinates
from longsurv.priors import PriorStack
from longsurv.results.assemble import design_flags, sampling_flags, undetermined_flag
from longsurv.results.generalised.estimate import GeneralisedEstimate, GeneralisedPosterior
from longsurv.results.generalised.quantities import (
    coefficient_jacobian,
    natural_coefficients,
    natural_draws,
    natural_variances,
    spread,
    with_rule,
)
from longsurv.results.generalised.undetermined import prior_words, undetermined
from longsurv.results.idata import to_datatree
from longsurv.results.mixed.estimate import VarianceEstimate
from longsurv.results.reference import NormalReference

QUADRATURE_TOLERANCE = 0.01
"""Log-likelihood by which a finer rule may differ before the result says so."""

DIFFERENCES = 1e-6
"""Scaled eigenvalues below this are not told from the error of a Hessian by differences."""


def generalised_estimate(
    spec: Any, data: glmm.GLMMData, optimum: Optimum, coordinates: Coordinates, nodes: int
) -> GeneralisedEstimate:
    """The fitted model of `data` where its climb, in `coordinates`, ended."""
    design, theta = spec.design, coordinates.outward(optimum.x)
    found = identify(
        -optimum.hessian, rounding=np.full(len(optimum.free), DIFFERENCES), flat=DIFFERENCES
    )
    half = coordinates.T[:, optimum.free] @ _root(found.cov)
    lost = undetermined(design, data, coordinates, theta, found, optimum.free)
    if lost and not lost.flat.determined.any():
        raise EstimationError(f"{spec.formula!r} has no coefficient to estimate. {lost.why}")
    names, jacobian = design.coefficient_names, coefficient_jacobian(data, theta) @ half
    variances = natural_variances(data, theta)
    with np.errstate(invalid="ignore"):
        se = spread(lambda t: natural_variances(data, t), theta, half)
    boundary = _boundaries(design, data, theta, variances)
    # Nothing is known about the precision of a parameter on its boundary.
    inside = [name not in boundary for name in design.variance_names] & ~lost.variances
    shown = np.where(lost.variances, np.nan, variances)
    return GeneralisedEstimate(
        spec=spec,
        design=design,
        names=names,
        coefficients=natural_coefficients(data, theta),
        reference=NormalReference(jacobian @ jacobian.T, flat=lost.flat if lost.flat else None),
        llf=optimum.value,
        nobs=len(data.y),
        n_params=len(theta),
        optimum=lost.record(optimum),
        method=f"maximum likelihood, {quadrature_name(nodes, data.q)}",
        flags=(
            *design_flags(design),
            *design.notes,
            *origin_flags(design),
            *undetermined_flag(lost.names, lost.why),
            *(words for name, words in boundary.items() if name not in lost.names),
            *_quadrature_flags(data, theta, optimum.value, nodes),
        ),
        variance=VarianceEstimate(design.variance_names, shown, np.where(inside, se, np.nan)),
        theta=theta,
        half=half,
        data=data,
    )


def _root(cov: np.ndarray) -> np.ndarray:
    """A square root of a covariance matrix that may be singular."""
    scale = np.sqrt(np.diag(cov))
    scale = np.where(scale > 0.0, scale, 1.0)
    values, vectors = np.linalg.eigh(cov / np.outer(scale, scale))
    return scale[:, None] * vectors * np.sqrt(np.maximum(values, 0.0))


def generalised_posterior(
    spec: Any, data: glmm.GLMMData, stack: PriorStack, draws: Draws, nodes: int
) -> GeneralisedPosterior:
    """The posterior from draws on the unconstrained scale."""
    design = spec.design
    chains, kept, d = draws.theta.shape
    flat = draws.theta.reshape(-1, d)
    natural = natural_draws(data, flat)
    names = (*design.coefficient_names, *design.variance_names)
    samples = {name: natural[:, j].reshape(chains, kept) for j, name in enumerate(names)}
    flags = (*design_flags(design), *design.notes, *origin_flags(design), *sampling_flags(draws))
    flags += prior_words(design, data, stack, flat)
    assert draws.mode is not None  # NUTS starts from one
    top = draws.mode.x
    flags += _quadrature_flags(data, glmm.to_factor(data, top), glmm.loglik(data, top)[0], nodes)
    return GeneralisedPosterior(
        spec=spec,
        design=design,
        names=design.coefficient_names,
        samples=samples,
        stack=stack,
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


def _boundaries(
    design: Any, data: glmm.GLMMData, theta: np.ndarray, values: np.ndarray
) -> dict[str, str]:
    """Variance parameters on their boundary, with what to say about them."""
    rows, columns = data.entries
    diagonal = np.diag(glmm.random_factor(data, theta))
    block = np.repeat(np.arange(len(data.blocks)), data.blocks)
    singular = {int(block[k]) for k in np.flatnonzero(diagonal == 0.0)}
    in_block = iter(int(block[i]) for i, j in zip(rows, columns, strict=True) if i > j)
    out: dict[str, str] = {}
    for name, value in zip(design.variance_names, values, strict=True):
        if name.startswith("sd(") and value == 0.0:
            out[name] = (
                f"Boundary: {name} is estimated as exactly 0; the data show no more variation "
                f"between {design.group_name} than chance explains."
            )
        # Far from the origin a correlation can be all but 1 although the effects are two.
        elif name.startswith("cor("):
            fewer = next(in_block) in singular
            if np.isnan(value):
                out[name] = f"Boundary: {name} does not exist, as one of its effects is 0."
            elif fewer and abs(value) > 1.0 - 1e-6:
                out[name] = (
                    f"Boundary: {name} is estimated as {value:+.0f}; the random effects have fewer "
                    "dimensions than the formula gives them."
                )
        elif name == "nu" and np.isinf(value):
            out[name] = (
                "Boundary: nu is estimated as infinite; the residuals' tails are no heavier than "
                "normal."
            )
    return out


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
