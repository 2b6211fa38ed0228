"""Results, put together from what a kernel and the inference returned."""

from __future__ import annotations

from typing import Any

import numpy as np

from longsurv.inference import Draws, Optimum
from longsurv.likelihood import cox, lmm
from longsurv.likelihood.covariance import count_correlations
from longsurv.likelihood.lmm_curvature import variance_curvature
from longsurv.likelihood.lmm_patients import pointwise
from longsurv.priors import PriorStack
from longsurv.results.idata import to_datatree
from longsurv.results.mixed import (
    MixedEstimate,
    MixedPosterior,
    estimate_variances,
    natural_variances,
)
from longsurv.results.reference import NormalReference, Reference
from longsurv.results.small_sample import kenward_roger, satterthwaite
from longsurv.results.survival import SurvivalEstimate, SurvivalPosterior


def design_flags(design: Any) -> tuple[str, ...]:
    """What the design left out, in words."""
    flags = []
    if design.n_excluded:
        total = design.n_excluded + len(design.rows)
        flags.append(
            f"{design.n_excluded} of {total} rows were left out: a value the formula needs is missing."
        )
    if design.fixed.aliased:
        flags.append(
            f"Left out because other columns determine them: {', '.join(design.fixed.aliased)}."
        )
    return tuple(flags)


SMALL_SAMPLE = 200
"""Below this many patients "auto" means Kenward-Roger."""

DF_METHODS = ("auto", "kenward-roger", "satterthwaite", "normal")


def mixed_estimate(
    spec: Any, data: lmm.LMMData, lam: np.ndarray, optimum: Optimum, method: str, df: str
) -> MixedEstimate:
    """The fitted mixed model at the relative covariance factor lam (q, q)."""
    reml = method == "REML"
    design, at = spec.design, lmm.profile(data, lam, reml)
    sigma = float(np.sqrt(at.sigma2))
    half = sigma * lam / data.z_scale[:, None]
    curvature = variance_curvature(data, lam, at.sigma2, at.gamma, reml)
    # D in natural units is D in scaled units over the product of two scales.
    rows, columns = np.tril_indices(data.q)
    unit = np.append(data.z_scale[rows] * data.z_scale[columns], 1.0)
    information = curvature.observed * np.outer(unit, unit)
    variance = estimate_variances(design.variance_names, half @ half.T, sigma, information)
    to_beta = np.linalg.inv(data.r)
    if df == "auto":
        few = reml and len(design.labels) < SMALL_SAMPLE
        df = "kenward-roger" if few else "satterthwaite" if reml else "normal"
    reference: Reference
    if df == "kenward-roger":
        reference = kenward_roger(curvature, to_beta)
    elif df == "satterthwaite":
        reference = satterthwaite(curvature, to_beta)
    else:
        reference = NormalReference(to_beta @ curvature.phi @ to_beta.T)
    return MixedEstimate(
        spec=spec,
        design=design,
        names=design.fixed.names,
        coefficients=lmm.coefficients(data, at.gamma),
        reference=reference,
        llf=-0.5 * at.deviance(at.sigma2),
        nobs=data.nobs,
        n_params=data.p + 1 + data.q * (data.q + 1) // 2,
        optimum=optimum,
        method=method,
        flags=(*design_flags(design), *_boundary_flags(design, variance.values, data.q)),
        variance=variance,
        lam=lam,
        sigma=sigma,
        data=data,
    )


def _boundary_flags(design: Any, values: np.ndarray, q: int) -> tuple[str, ...]:
    flags = []
    for name, value in zip(design.random.names, values[1 : 1 + q], strict=True):
        if value == 0.0:
            flags.append(
                f"Boundary: the variance of {name} between {design.group_name} is estimated as exactly 0; "
                "the data show no more variation there than the residual explains."
            )
    for name, value in zip(design.variance_names[1 + q :], values[1 + q :], strict=True):
        if abs(value) > 1.0 - 1e-6:
            flags.append(
                f"Boundary: {name} is estimated as {value:+.0f}; the random effects have fewer "
                "dimensions than the formula gives them."
            )
    return tuple(flags)


def mixed_posterior(
    spec: Any, data: lmm.LMMData, stack: PriorStack, mode: Optimum, draws: Draws
) -> MixedPosterior:
    """The posterior of the mixed model from draws on the unconstrained scale."""
    design, q = spec.design, data.q
    chains, kept, d = draws.theta.shape
    natural = stack.constrain(draws.theta)
    samples = {name: natural[..., j] for j, name in enumerate(stack.names)}
    if count_correlations(q):
        phi = draws.theta.reshape(-1, d)[:, data.p :]
        below = np.array([natural_variances(row, q)[1 + q :] for row in phi])
        for j, name in enumerate(design.variance_names[1 + q :]):
            samples[name] = below[:, j].reshape(chains, kept)
    log_lik = pointwise(
        draws.theta.reshape(-1, d),
        design.fixed.X,
        design.y,
        design.Z,
        design.group,
        len(design.labels),
    ).reshape(chains, kept, -1)
    flags = design_flags(design)
    if draws.whitening.regularised:
        flags += (
            "The curvature at the posterior mode was not positive definite and was regularised.",
        )
    return MixedPosterior(
        spec=spec,
        design=design,
        names=design.fixed.names,
        samples=samples,
        stack=stack,
        mode=mode,
        draws=draws,
        idata=to_datatree(
            samples,
            draws,
            log_likelihood=log_lik,
            log_prior=stack.log_prior(draws.theta),
            unit=(design.group_name, design.labels),
            observed=design.y,
        ),
        method="NUTS on the marginal likelihood",
        flags=flags,
        data=data,
    )


def cox_estimate(spec: Any, data: cox.CoxData, optimum: Optimum) -> SurvivalEstimate:
    """The fitted Cox model."""
    design = spec.design
    return SurvivalEstimate(
        spec=spec,
        design=design,
        names=design.fixed.names,
        coefficients=optimum.x,
        reference=NormalReference(np.linalg.pinv(-optimum.hessian, hermitian=True)),
        llf=optimum.value,
        nobs=len(design.rows),
        n_params=len(optimum.x),
        optimum=optimum,
        method=f"partial likelihood, {spec.ties.capitalize()} ties, {design.n_events} events",
        flags=(*design_flags(design), *_few_events(design)),
        data=data,
    )


def _few_events(design: Any) -> tuple[str, ...]:
    events, p = design.n_events, max(len(design.fixed.names), 1)
    if events >= 10 * p:
        return ()
    return (
        f"There are {events} events for {p} coefficient{'s' if p > 1 else ''}: normal intervals and p values "
        "are unreliable below about 10 events a coefficient.",
    )


def cox_posterior(
    spec: Any, data: cox.CoxData, stack: PriorStack, mode: Optimum, draws: Draws
) -> SurvivalPosterior:
    """The posterior of the Cox model."""
    design = spec.design
    chains, kept, d = draws.theta.shape
    events = np.flatnonzero(design.event)
    flat = draws.theta.reshape(-1, d)
    log_lik = np.stack([cox.pointwise(data, b)[events] for b in flat]).reshape(chains, kept, -1)
    labels = spec.data.index[design.rows[events]]
    return SurvivalPosterior(
        spec=spec,
        design=design,
        names=design.fixed.names,
        samples={name: draws.theta[..., j] for j, name in enumerate(stack.names)},
        stack=stack,
        mode=mode,
        draws=draws,
        idata=to_datatree(
            {name: draws.theta[..., j] for j, name in enumerate(stack.names)},
            draws,
            log_likelihood=log_lik,
            log_prior=stack.log_prior(draws.theta),
            unit=("event", labels),
            observed=design.exit[events],
        ),
        method=f"NUTS on the partial likelihood, {spec.ties.capitalize()} ties, {design.n_events} events",
        flags=(*design_flags(design), *_few_events(design)),
        data=data,
    )
