"""Results of mixed models, put together from what a kernel and the inference returned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from longsurv.design import MixedDesign
from longsurv.design.random_columns import origin_flags
from longsurv.errors import LongsurvError
from longsurv.inference import Draws, Optimum
from longsurv.likelihood import lmm
from longsurv.likelihood.arithmetic.covariance import covariance
from longsurv.likelihood.lmm.blocks import BlockKernel
from longsurv.likelihood.lmm.curvature import VarianceCurvature, variance_curvature
from longsurv.likelihood.lmm.patients import pointwise
from longsurv.priors import PriorStack
from longsurv.results.assemble import design_flags, sampling_flags
from longsurv.results.idata import to_datatree
from longsurv.results.mixed.estimate import MixedEstimate, MixedPosterior, VarianceEstimate
from longsurv.results.mixed.small_sample import kenward_roger, satterthwaite
from longsurv.results.mixed.undetermined import constant_rows, undetermined
from longsurv.results.mixed.variances import RandomTerm, carried, variance_estimate
from longsurv.results.reference import Reference, normal_reference

SMALL_SAMPLE = 200
"""Below this many patients "auto" means Kenward-Roger."""

DF_METHODS = ("auto", "kenward-roger", "kenward-roger-linear", "satterthwaite", "normal")


def check_options(method: str, df: str = "auto") -> None:
    """Refuse a method of fitting that does not exist, and degrees of freedom that it has not."""
    if method not in ("REML", "ML"):
        raise LongsurvError(f"method is 'REML' or 'ML', not {method!r}")
    if df not in DF_METHODS or (method == "ML" and df.startswith("kenward")):
        raise LongsurvError(f"df is one of {DF_METHODS} (Kenward-Roger with REML only), not {df!r}")


def mixed_estimate(
    spec: Any, kernel: BlockKernel, optimum: Optimum, method: str, df: str
) -> MixedEstimate:
    """The fitted mixed model at an optimum of the free elements of Lam."""
    reml, data, lam = method == "REML", kernel.data, kernel.factor(optimum.x)
    design, at = spec.design, lmm.profile(data, lam, reml)
    sigma = float(np.sqrt(at.sigma2))
    curvature = _of_free(variance_curvature(data, lam, at.sigma2, at.gamma, reml), kernel)
    term = RandomTerm(at.sigma2 * lam @ lam.T, data.z_basis, kernel.elements)
    information = curvature.observed if term.inner.all() else None
    to_beta = np.linalg.inv(data.r)
    lost = undetermined(curvature, to_beta)
    variance = variance_estimate(
        design.variance_names, [term], np.array([at.sigma2]), np.sqrt, information, lost.variances
    )
    df = resolve_df(df, reml, len(design.labels))
    reference: Reference
    if df in ("kenward-roger", "kenward-roger-linear"):
        reference = kenward_roger(curvature, to_beta)
    elif df == "satterthwaite":
        reference = satterthwaite(curvature, to_beta)
    else:
        reference = normal_reference(curvature.phi, to_beta)
    fit = MixedEstimate(
        spec=spec,
        design=design,
        names=design.fixed.names,
        coefficients=lmm.coefficients(data, at.gamma),
        reference=replace(reference, flat=lost.coefficients),
        llf=-0.5 * at.deviance(at.sigma2),
        nobs=data.nobs,
        n_params=data.p + 1 + len(optimum.x),
        optimum=lost.optimum(optimum, variance.undetermined),
        method=method,
        flags=(
            *design_flags(design),
            *origin_flags(design),
            *constant_rows(design),
            *boundary_flags(design, variance, [term]),
        ),
        variance=variance,
        lam=lam,
        sigma=sigma,
        data=data,
    )
    return replace(fit, flags=(*fit.flags, *lost.flags(fit.undetermined, variance.undetermined)))


def resolve_df(df: str, reml: bool, patients: int) -> str:
    """What "auto" means for a fit."""
    if df != "auto":
        return df
    if not reml:
        return "normal"
    return "kenward-roger" if patients < SMALL_SAMPLE else "satterthwaite"


def _of_free(curvature: VarianceCurvature, kernel: BlockKernel) -> VarianceCurvature:
    """The curvature in the free elements of D and sigma^2."""
    rows, columns = kernel.elements
    free = np.append(rows * (rows + 1) // 2 + columns, len(curvature.P) - 1)
    if len(free) == len(curvature.P):
        return curvature
    pairs = np.ix_(free, free)
    return replace(
        curvature,
        P=curvature.P[free],
        Q=curvature.Q[pairs],
        expected=curvature.expected[pairs],
        observed=curvature.observed[pairs],
        total=curvature.total[free],
        shift=curvature.shift[free],
    )


def boundary_flags(
    design: MixedDesign, variance: VarianceEstimate, terms: Sequence[RandomTerm]
) -> tuple[str, ...]:
    """Variances of exactly 0 and correlations of exactly 1, in words.

    Whether a covariance matrix is singular is asked in the kernel's columns: far from the origin of
    time any intercept and slope have a correlation close to 1.
    """
    found = dict(zip(variance.names, variance.values, strict=True))
    flags = []
    for grouping, term in zip(design.groupings, terms, strict=True):
        sds, correlations = grouping.random.parameter_names(grouping.name)
        for effect, name in zip(grouping.random.names, sds, strict=True):
            if found[name] == 0.0:
                flags.append(
                    f"Boundary: the variance of {effect} between {grouping.name} is estimated as "
                    "exactly 0; the data show no more variation there than the residual explains."
                )
        for name in correlations:
            if not term.some.all() and abs(found[name]) > 1.0 - 1e-6:
                flags.append(
                    f"Boundary: {name} is estimated as {found[name]:+.0f}; the random effects "
                    "have fewer dimensions than the formula gives them."
                )
    return tuple(flags)


def mixed_posterior(
    spec: Any, kernel: BlockKernel, stack: PriorStack, draws: Draws
) -> MixedPosterior:
    """The posterior of the mixed model from draws on the unconstrained scale."""
    design, data, q = spec.design, kernel.data, kernel.data.q
    log_prior = stack.log_prior(draws.theta)
    draws = replace(draws, theta=kernel.expand(draws.theta))
    chains, kept, d = draws.theta.shape
    natural = stack.constrain(draws.theta)
    samples = {name: natural[..., j] for j, name in enumerate(stack.names)}
    sds, correlations = design.random.parameter_names(design.group_name)
    if correlations:
        phi = draws.theta.reshape(-1, d)[:, data.p :]
        C = np.array([covariance(np.ones(q), row[1 + q :]) for row in phi])
        tau, C = carried(np.exp(phi[:, 1 : 1 + q]), C, kernel.to[0])
        samples |= {name: tau[:, k].reshape(chains, kept) for k, name in enumerate(sds)}
        for (i, j), name in zip(design.random.pairs, correlations, strict=True):
            samples[name] = C[:, i, j].reshape(chains, kept)
    log_lik = pointwise(
        draws.theta.reshape(-1, d),
        design.fixed.X,
        design.y,
        design.Z @ np.linalg.inv(kernel.to[0]),  # the columns whose SDs are in theta
        design.group,
        len(design.labels),
    ).reshape(chains, kept, -1)
    return MixedPosterior(
        spec=spec,
        design=design,
        names=design.fixed.names,
        samples=samples,
        stack=stack,
        draws=draws,
        idata=to_datatree(
            samples,
            draws,
            log_likelihood=log_lik,
            log_prior=log_prior,
            unit=(design.group_name, design.labels),
            observed=design.y,
        ),
        method="NUTS on the marginal likelihood",
        flags=(*design_flags(design), *origin_flags(design), *sampling_flags(draws)),
        data=data,
    )
