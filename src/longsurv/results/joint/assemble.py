"""Results of joint models, put together from what the kernel and the inference returned."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from longsurv.design.joint import JointDesign
from longsurv.inference import Affine, Draws, Identified, Optimum
from longsurv.likelihood import joint
from longsurv.likelihood.arithmetic.covariance import covariance
from longsurv.likelihood.hazard.separation import recession
from longsurv.likelihood.joint.coordinates import ENDLESS
from longsurv.results.assemble import design_flags, sampling_flags, undetermined_flag
from longsurv.results.idata import to_datatree
from longsurv.results.joint.estimate import (
    JointEstimate,
    JointPosterior,
    component_terms,
    with_nodes,
)
from longsurv.results.mixed.estimate import VarianceEstimate
from longsurv.results.reference import NormalReference
from longsurv.words import plural, verb

FEW_EVENTS = 10
LARGEST_CHECK = 2000


def _flags(design: JointDesign) -> tuple[str, ...]:
    flags: list[str] = []
    several = len(design.markers) > 1
    for marker in design.markers:
        own = [*design_flags(marker.design), *getattr(marker.design, "notes", ())]
        flags += [f"{marker.name}: {flag}" if several else flag for flag in own]
    for cause in design.causes:
        which = f"{cause.name}: " if cause.suffix else ""
        flags += [which + flag for flag in design_flags(cause.event)]
    flags += design.flags
    for cause in design.causes:
        events = int(cause.status.sum())
        n = len(cause.covariate_names) + len(cause.association_names)
        if events < FEW_EVENTS * n:
            whose = f" of {cause.name!r}" if cause.suffix else ""
            flags.append(
                f"There {verb(events, 'is', 'are')} {plural(events, 'event')}{whose} for "
                f"{plural(n, 'coefficient')} of the hazard: the association is weakly identified "
                f"below about {FEW_EVENTS} events a coefficient."
            )
    return tuple(flags)


def _laplace(data: joint.JointData, theta: np.ndarray) -> tuple[str, ...]:
    """What Laplace's approximation costs, if that is what was used."""
    if len(data.nodes) > 1:
        return ()
    text = "The random effects were integrated out by Laplace's approximation (one node)"
    if 3**data.q > LARGEST_CHECK:
        return (f"{text}; node_convergence() shows what more nodes change.",)
    few, more = (joint.loglik(d, theta)[0] for d in (data, with_nodes(data, 3)))
    return (
        f"{text}; with 3 nodes a random effect the log-likelihood at the estimate is "
        f"{abs(more - few):.2g} {'higher' if more > few else 'lower'}.",
    )


def _coefficients(design: Any) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the coefficients and their positions in theta."""
    blocks = component_terms(design)
    names = blocks["fixed"] + blocks["baseline"]
    return names, np.array([design.theta_names.index(name) for name in names])


def _method(spec: Any, data: joint.JointData, head: str) -> str:
    counts = [(c.name if c.suffix else "events", int(c.status.sum())) for c in spec.design.causes]
    words = ", ".join(f"{n} {name}" for name, n in counts)
    kinds = sorted({cause.baseline.kind for cause in spec.design.causes})
    return (
        f"{head}, {' and '.join(kinds)} baseline, {len(data.nodes)} Gauss-Hermite nodes a random "
        f"effect, {plural(data.n_patients, 'patient')}, {words}"
    )


def joint_estimate(spec: Any, data: joint.JointData, optimum: Optimum) -> JointEstimate:
    """The fitted joint model."""
    design = spec.design
    names, at = _coefficients(design)
    theta = optimum.x
    psi = data.own(theta)
    to_theta = Affine(theta, data.derivative(psi) @ spec.coordinates.factor)
    found = to_theta.identify(optimum.hessian)
    cov, flat = found.cov, found.flat
    phi = slice(data.p, data.n_marker)
    values, known, se = _variances(theta[phi], data, found, _on_boundary(optimum, design))
    lost = _lost(optimum, design, flat.determined)
    endless = _endless(spec, theta, lost)
    flat_ones = [name for name in lost if name not in endless]
    if endless:
        status = f"there is no maximum: {', '.join(endless)} can grow without end"
        optimum = replace(optimum, status=status)
    elif flat_ones:
        optimum = replace(optimum, status=f"the data do not determine {', '.join(flat_ones)}")
    return JointEstimate(
        spec=spec,
        design=design,
        names=names,
        coefficients=theta[at],
        reference=NormalReference(cov[np.ix_(at, at)], flat=flat.of(at) if flat else None),
        llf=optimum.value,
        nobs=len(design.rows),
        n_params=len(theta),
        optimum=optimum,
        method=_method(spec, data, "maximum likelihood"),
        flags=(
            *_flags(design),
            *_laplace(data, theta),
            *undetermined_flag(flat_ones, _reasons(design)),
            *endless.values(),
            *_boundary_flag(optimum),
            *(() if optimum.converged or lost else (f"Not a maximum: {optimum.status}.",)),
        ),
        variance=VarianceEstimate(
            design.variance_names,
            np.where(known, values, np.nan),
            np.where(known & (se > 0.0), se, np.nan),
        ),
        theta=theta,
        cov_theta=cov,
        data=data,
        link_sd=spec.link_sd,
    )


def _on_boundary(optimum: Optimum, design: JointDesign) -> np.ndarray:
    """Which of the variance parameters sit on their boundary, shape of `variance_names`."""
    return np.array([name in optimum.at_boundary for name in design.variance_names])


def _lost(optimum: Optimum, design: JointDesign, determined: np.ndarray) -> list[str]:
    """Parameters the data do not determine, without what only a boundary leaves so."""
    on_boundary = set(optimum.at_boundary)
    if any(name.startswith("sd(") for name in on_boundary):
        on_boundary |= {name for name in design.variance_names if name.startswith("cor(")}
    named = zip(design.theta_names, determined, strict=True)
    return [name for name, known in named if not known and name not in on_boundary]


def _endless(spec: Any, theta: np.ndarray, lost: list[str]) -> dict[str, str]:
    """Of coefficients of the hazard without a maximum, what can be said of them, by name."""
    at = spec.coordinates.inward(spec.statistics.own(theta))
    u = dict(zip(spec.design.theta_names, at, strict=True))
    for cause in spec.design.causes if lost else ():
        away = recession(cause.covariates, cause.covariates[cause.status == 1])
        if away is not None:  # the level of average covariates goes with them
            u |= dict(zip(cause.covariate_names, np.sign(away) * ENDLESS, strict=True))
            u |= {n: ENDLESS * np.sign(u[n]) for n in cause.baseline_names if n in lost}
    out = {}
    for name in lost:
        if abs(u[name]) > ENDLESS - 1.0:
            way = "larger" if u[name] > 0.0 else "smaller"
            out[name] = (
                f"The likelihood rises without end as {name} gets {way} (as where a group or a "
                "stretch of time has no events): there is no estimate of it, only that direction. "
                "The other estimates are those at that end."
            )
    return out


def _boundary_flag(optimum: Optimum) -> tuple[str, ...]:
    if not optimum.at_boundary:
        return ()
    listed = ", ".join(optimum.at_boundary)
    return (
        f"On the boundary: {listed}. A standard deviation there is 0, a correlation -1 or 1; it "
        "has no standard error, and those of the others take it as given.",
    )


def _variances(
    phi: np.ndarray, data: joint.JointData, found: Identified, on_boundary: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Natural variance parameters, which of them are known, and standard errors.

    Those on the boundary are exactly there, and the correlations of what is 0 are not known.
    """
    at = slice(data.p, data.n_marker)
    jacobian, values = _jacobian(phi, data), _natural(phi, data)
    whole = np.zeros((len(values), len(found.cov)))
    whole[:, at] = jacobian
    known = found.flat.mapped(whole).determined | on_boundary
    se = np.sqrt(np.maximum(np.diag(jacobian @ found.cov[at, at] @ jacobian.T), 0.0))
    n, q = len(data.markers), data.q
    zero = np.zeros(q, dtype=bool)
    zero[:] = on_boundary[n : n + q]
    values[: n + q][on_boundary[: n + q]] = 0.0
    i, j = np.tril_indices(q, -1)
    near = np.abs(values[n + q :]) > 1.0 - 1e-6
    values[n + q :][near] = np.sign(values[n + q :][near])
    known[n + q :] = (known[n + q :] | near) & ~(zero[i] | zero[j])
    se[on_boundary] = np.nan
    se[n + q :][near] = np.nan
    return values, known, se


def _reasons(design: JointDesign) -> str:
    """What may leave a direction of a joint model undetermined."""
    out = ["The likelihood is the same along a line of these parameters."]
    for cause in design.causes:
        for one in cause.associations:
            marker = design.markers[one.marker]
            if one.kind == "slope" and not _differs(marker.design.random.X):
                out.append(
                    f"The random effects of {marker.name} do not change its slope: patients of "
                    "one group all have the same, which the hazard can't be told to depend on."
                )
    return " ".join(dict.fromkeys(out))


def _differs(Z: np.ndarray) -> bool:
    """Whether any column of the random effects changes between rows."""
    return bool((np.ptp(Z, axis=0) > 0.0).any())


def _natural(phi: np.ndarray, data: joint.JointData) -> np.ndarray:
    """SDs and correlations, row by row, from log sigmas, log tau and unconstrained correlations."""
    n, q = len(data.markers) + data.q, data.q
    correlation = covariance(np.ones(q), phi[n:])
    return np.concatenate([np.exp(phi[:n]), correlation[np.tril_indices(q, -1)]])


def _jacobian(phi: np.ndarray, data: joint.JointData) -> np.ndarray:
    """Derivative of the natural variance parameters in the unconstrained ones."""
    columns = []
    for j in range(len(phi)):
        step = np.zeros_like(phi)
        step[j] = 1e-5
        columns.append((_natural(phi + step, data) - _natural(phi - step, data)) / 2e-5)
    return np.column_stack(columns)


def log_likelihoods(design: JointDesign, data: joint.JointData, thetas: np.ndarray) -> np.ndarray:
    """Log-likelihood of each patient at each parameter vector, shape (S, N)."""
    measured = []
    for marker in design.markers:
        d, kind = marker.design, marker.kind
        exact = np.ones(len(d.y), dtype=bool) if kind is None else kind == 0
        measured.append((d.fixed.X[exact], d.y[exact], marker.group[exact]))

    near = joint.modes(data, data.own(thetas.mean(axis=0)))

    def each(theta: np.ndarray) -> np.ndarray:
        out, start = joint.within_patients(data, theta, near), 0
        for m, (X, y, group) in enumerate(measured):
            stop, log_sigma = start + X.shape[1], theta[data.p + m]
            r = (y - X @ theta[start:stop]) * np.exp(-log_sigma)
            logs = -0.5 * (r * r + joint.LOG_2PI) - log_sigma
            out += np.bincount(group, weights=logs, minlength=len(out))
            start = stop
        return out

    with ThreadPoolExecutor(2) as pool:
        return np.array(list(pool.map(each, thetas)))


def joint_posterior(
    spec: Any, data: joint.JointData, stack: Any, mode: Optimum, draws: Draws
) -> JointPosterior:
    """The posterior of the joint model."""
    design = spec.design
    chains, kept, d = draws.theta.shape
    flat = draws.theta.reshape(-1, d)
    names, at = _coefficients(design)
    samples = {name: draws.theta[..., j] for name, j in zip(names, at, strict=True)}
    natural = np.array([_natural(row, data) for row in flat[:, data.p : data.n_marker]])
    for j, name in enumerate(design.variance_names):
        samples[name] = natural[:, j].reshape(chains, kept)
    return JointPosterior(
        spec=spec,
        design=design,
        names=names,
        samples=samples,
        stack=stack,
        draws=draws,
        idata=to_datatree(
            samples,
            draws,
            log_likelihood=log_likelihoods(design, data, flat).reshape(chains, kept, -1),
            log_prior=stack.log_prior(draws.theta),
            unit=(design.group_name, design.labels),
            observed=np.concatenate([marker.design.y for marker in design.markers]),
        ),
        method=_method(spec, data, "NUTS on the marginal likelihood"),
        flags=(*_flags(design), *_laplace(data, mode.x), *sampling_flags(draws)),
        data=data,
        link_sd=spec.link_sd,
    )
