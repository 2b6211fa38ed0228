"""Results of mixed models with nested groups or correlated residuals, put together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from longsurv.design.random_columns import origin_flags
from longsurv.errors import LongsurvError
from longsurv.inference import Draws, Flat, Optimum
from longsurv.likelihood.arithmetic.covariance import covariance
from longsurv.likelihood.lmm.dense.clusters import largest_cluster
from longsurv.likelihood.lmm.dense.curvature import DenseCurvature, dense_curvature
from longsurv.likelihood.lmm.dense.kernel import DenseKernel
from longsurv.likelihood.lmm.dense.loglik import profile
from longsurv.likelihood.lmm.dense.patients import pointwise
from longsurv.priors import PriorStack
from longsurv.results.assemble import design_flags, sampling_flags
from longsurv.results.idata import to_datatree
from longsurv.results.mixed.assemble import boundary_flags, resolve_df
from longsurv.results.mixed.small_sample import (
    KenwardRoger,
    Satterthwaite,
    kenward_roger,
    satterthwaite,
)
from longsurv.results.mixed.structured import (
    StructuredEstimate,
    StructuredPosterior,
    StructuredVariance,
)
from longsurv.results.mixed.undetermined import Undetermined, constant_rows, undetermined
from longsurv.results.mixed.variances import RandomTerm, carried, variance_estimate
from longsurv.results.reference import NormalReference, normal_reference

type MixedReference = NormalReference | KenwardRoger | Satterthwaite

LARGEST_CLUSTER = 3000
"""Rows of a cluster up to which small-sample inference works with its whole covariance matrix."""


def structured_estimate(
    spec: Any, kernel: DenseKernel, optimum: Optimum, method: str, df: str
) -> StructuredEstimate:
    """The fitted model at an optimum of the kernel's criterion."""
    reml, data, design = method == "REML", kernel.data, spec.design
    factors, psi = kernel.split(optimum.x)
    at = profile(data, factors, psi, reml)
    sigma = float(np.sqrt(at.sigma2))
    D = tuple(at.sigma2 * lam @ lam.T for lam in factors)
    eta = data.structure.covariance_parameters(sigma, psi)
    to_beta = np.linalg.inv(data.r)
    flags: tuple[str, ...] = (
        *design_flags(design),
        *origin_flags(design),
        *constant_rows(design),
    )
    small = largest_cluster(data) <= LARGEST_CLUSTER
    if not small and df not in ("auto", "normal"):
        raise LongsurvError(
            f"df={df!r} works with the covariance of all rows of a cluster, here "
            f"{largest_cluster(data)} rows; more than {LARGEST_CLUSTER} are too many. Use "
            "df='normal'"
        )
    df = resolve_df(df, reml, len(design.labels)) if small else "normal"
    reference: MixedReference
    information = None
    lost = Undetermined(Flat.none(0), None)
    if small:
        curvature = dense_curvature(data, D, eta, at.gamma, reml)
        lost = undetermined(curvature, to_beta)
        information = curvature.observed
        reference = _reference(df, curvature, to_beta)
    else:
        reference = normal_reference((at.spread @ at.spread.T * at.sigma2), to_beta)
        flags += (
            "Clusters are too large for standard errors of the variances and for small-sample "
            "degrees of freedom; tests are normal.",
        )
    pieces = zip(D, data.bases, kernel.elements, strict=True)
    terms = [RandomTerm(*piece) for piece in pieces if len(piece[0])]
    shown = data.structure.shown
    variance = variance_estimate(
        design.variance_names, terms, eta, shown, information, lost.variances
    )
    variance = StructuredVariance(**vars(variance))
    fit = StructuredEstimate(
        spec=spec,
        design=design,
        names=design.fixed.names,
        coefficients=data.coefficients(at.gamma),
        reference=replace(reference, flat=lost.coefficients),
        llf=-0.5 * at.deviance(at.sigma2),
        nobs=data.nobs,
        n_params=data.p + 1 + len(optimum.x),
        optimum=lost.optimum(optimum, variance.undetermined),
        method=method,
        flags=(*flags, *boundary_flags(design, variance, terms), *kernel.data.structure.flags(psi)),
        variance=variance,
        lam=factors[0],
        sigma=sigma,
        data=data,
        scaled_cov=D,
        residual_cov=data.structure.covariance(eta),
        kernel=kernel,
    )
    return replace(fit, flags=(*fit.flags, *lost.flags(fit.undetermined, variance.undetermined)))


def _reference(df: str, curvature: DenseCurvature, to_beta: np.ndarray) -> MixedReference:
    if df == "kenward-roger":
        return kenward_roger(curvature, to_beta, curvature.R)
    if df == "kenward-roger-linear":
        return replace(kenward_roger(curvature, to_beta), method="Kenward-Roger-linear")
    if df == "satterthwaite":
        return satterthwaite(curvature, to_beta)
    return normal_reference(curvature.phi, to_beta)


def structured_posterior(
    spec: Any, kernel: DenseKernel, stack: PriorStack, draws: Draws
) -> StructuredPosterior:
    """The posterior from draws on the unconstrained scale."""
    design = spec.design
    chains, kept, d = draws.theta.shape
    thetas = draws.theta.reshape(-1, d)
    samples = {name: draws.theta[..., j] for j, name in enumerate(design.fixed.names)}
    natural = np.array([_natural(kernel, theta) for theta in thetas])
    for j, name in enumerate(design.variance_names):
        samples[name] = natural[:, j].reshape(chains, kept)
    clusters = design.groupings[-1] if design.outer else None
    labels = clusters.labels if clusters is not None else design.labels
    return StructuredPosterior(
        spec=spec,
        design=design,
        names=design.fixed.names,
        samples=samples,
        stack=stack,
        draws=draws,
        idata=to_datatree(
            samples,
            draws,
            log_likelihood=pointwise(kernel, thetas).reshape(chains, kept, -1),
            log_prior=stack.log_prior(draws.theta),
            unit=(clusters.name if clusters is not None else design.group_name, labels),
            observed=design.y,
        ),
        method="NUTS on the marginal likelihood",
        flags=(*design_flags(design), *origin_flags(design), *sampling_flags(draws)),
        data=kernel.data,
        kernel=kernel,
    )


def _natural(kernel: DenseKernel, theta: np.ndarray) -> np.ndarray:
    """Variance parameters on their natural scales, in the order of the design's names."""
    _, log_tau, z, psi = kernel.unpack(theta)
    parts = [kernel.data.structure.report(float(np.exp(theta[kernel.data.p])), psi)]
    for log_sd, zt, (rows, columns), to in zip(log_tau, z, kernel.elements, kernel.to, strict=True):
        tau, below = np.exp(log_sd), rows > columns
        if below.any():
            tau, C = carried(tau, covariance(np.ones(len(tau)), zt), to)
            parts += [tau, C[rows[below], columns[below]]]
        else:
            parts.append(tau)
    return np.concatenate(parts)
