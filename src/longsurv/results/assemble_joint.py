"""Results of joint models, put together from what the kernel and the inference returned."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from longsurv.inference import Draws, Optimum
from longsurv.likelihood import joint
from longsurv.likelihood.lmm_patients import pointwise
from longsurv.results.assemble import design_flags, sampling_flags
from longsurv.results.idata import to_datatree
from longsurv.results.joint import JointEstimate, JointPosterior, component_terms
from longsurv.results.mixed import VarianceEstimate, natural_variances
from longsurv.results.reference import NormalReference

FEW_EVENTS = 10


def _flags(design: Any) -> tuple[str, ...]:
    flags = [*design_flags(design.marker), *design_flags(design.event), *design.flags]
    events = int(design.status.sum())
    n = len(design.covariate_names) + len(design.association_names)
    if events < FEW_EVENTS * n:
        flags.append(
            f"There are {events} events for {n} coefficients of the hazard: the association is "
            f"weakly identified below about {FEW_EVENTS} events a coefficient."
        )
    return tuple(flags)


def _coefficients(design: Any) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the coefficients and their positions in theta."""
    blocks = component_terms(design)
    names = blocks["fixed"] + blocks["baseline"]
    return names, np.array([design.theta_names.index(name) for name in names])


def _method(spec: Any, data: joint.JointData, head: str) -> str:
    events = int(data.event.sum())
    return (
        f"{head}, {spec.baseline} baseline, {len(data.nodes)} Gauss-Hermite nodes a random effect, "
        f"{len(data.event)} patients, {events} events"
    )


def joint_estimate(spec: Any, data: joint.JointData, optimum: Optimum) -> JointEstimate:
    """The fitted joint model."""
    design = spec.design
    names, at = _coefficients(design)
    theta, p, q = optimum.x, data.marker.p, data.marker.q
    cov = np.linalg.pinv(-optimum.hessian, hermitian=True)
    phi = slice(p, data.n_marker)
    jacobian = _jacobian(theta[phi], q)
    se = np.sqrt(np.maximum(np.diag(jacobian @ cov[phi, phi] @ jacobian.T), 0.0))
    return JointEstimate(
        spec=spec,
        design=design,
        names=names,
        coefficients=theta[at],
        reference=NormalReference(cov[np.ix_(at, at)]),
        llf=optimum.value,
        nobs=data.marker.nobs,
        n_params=len(theta),
        optimum=optimum,
        method=_method(spec, data, "maximum likelihood"),
        flags=_flags(design),
        variance=VarianceEstimate(
            design.marker.variance_names, natural_variances(theta[phi], q), se
        ),
        theta=theta,
        cov_theta=cov,
        data=data,
        link_sd=spec.link_sd,
    )


def _jacobian(phi: np.ndarray, q: int) -> np.ndarray:
    """Derivative of the natural variance parameters in the unconstrained ones."""
    columns = []
    for j in range(len(phi)):
        step = np.zeros_like(phi)
        step[j] = 1e-5
        columns.append((natural_variances(phi + step, q) - natural_variances(phi - step, q)) / 2e-5)
    return np.column_stack(columns)


def log_likelihoods(design: Any, data: joint.JointData, thetas: np.ndarray) -> np.ndarray:
    """Log-likelihood of each patient at each parameter vector, shape (S, N)."""
    m = design.marker
    marker = pointwise(
        np.ascontiguousarray(thetas[:, : data.n_marker]),
        m.fixed.X, m.y, m.Z, design.group, len(design.labels),
    )  # fmt: skip
    with ThreadPoolExecutor(2) as pool:
        factors = list(pool.map(lambda theta: joint.log_survival_factors(data, theta), thetas))
    return marker + np.array(factors)


def joint_posterior(
    spec: Any, data: joint.JointData, stack: Any, mode: Optimum, draws: Draws
) -> JointPosterior:
    """The posterior of the joint model."""
    design, q = spec.design, data.marker.q
    chains, kept, d = draws.theta.shape
    flat = draws.theta.reshape(-1, d)
    names, at = _coefficients(design)
    samples = {name: draws.theta[..., j] for name, j in zip(names, at, strict=True)}
    natural = np.array(
        [natural_variances(row, q) for row in flat[:, data.marker.p : data.n_marker]]
    )
    for j, name in enumerate(design.marker.variance_names):
        samples[name] = natural[:, j].reshape(chains, kept)
    return JointPosterior(
        spec=spec,
        design=design,
        names=names,
        samples=samples,
        stack=stack,
        mode=mode,
        draws=draws,
        idata=to_datatree(
            samples,
            draws,
            log_likelihood=log_likelihoods(design, data, flat).reshape(chains, kept, -1),
            log_prior=stack.log_prior(draws.theta),
            unit=(design.marker.group_name, design.labels),
            observed=design.marker.y,
        ),
        method=_method(spec, data, "NUTS on the marginal likelihood"),
        flags=(*_flags(design), *sampling_flags(draws)),
        data=data,
        link_sd=spec.link_sd,
    )
