"""Results of hazard models, put together from what the likelihood and the inference returned."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from longsurv.design.hazard import HazardDesign
from longsurv.inference import Draws, Optimum, identify
from longsurv.likelihood import hazard as hz
from longsurv.priors import PriorStack
from longsurv.results.assemble import design_flags, sampling_flags, undetermined_flag
from longsurv.results.idata import to_datatree
from longsurv.results.reference import NormalReference
from longsurv.results.survival.flags import (
    interval_kind,
    limits_flag,
    needs_robust,
    powers_flag,
    profile_of,
    separation_flag,
    weightless_flag,
)
from longsurv.results.survival.hazard import HazardEstimate, HazardPosterior
from longsurv.results.survival.hazard_curves import describe
from longsurv.words import plural


def hazard_estimate(
    spec: Any,
    hazard: HazardDesign,
    optimum: Optimum,
    *,
    smoothing: float | None,
    penalty: str | None = None,
    intervals: str | None = None,
    separated: np.ndarray | None = None,
) -> HazardEstimate:
    """The fitted hazard model.

    Parameters
    ----------
    spec : Hazard
    hazard : HazardDesign
    optimum : Optimum
        Its Hessian is minus the information without Firth's penalty, that of a spline included.
    smoothing : float or None
        Of a spline.
    penalty : "firth" or None
    intervals : "wald", "profile" or None
        None means profile for Firth's penalty, unless the covariance is robust.
    separated : ndarray, shape (p,), optional
        Direction along which the likelihood rises for ever, for which Firth's penalty was put in.
    """
    design, data, theta = spec.design, hazard.data, optimum.x
    s, p = smoothing or 0.0, len(hazard.names)
    found = identify(-optimum.hessian)
    inverse, flat = found.cov, found.flat.of(np.arange(p))
    lost = [n for n, known in zip(hazard.names, flat.determined, strict=True) if not known]
    if lost and optimum.converged:
        optimum = replace(optimum, status=f"the data do not determine {', '.join(lost)}")
    jacobian = hz.derivative(data, theta, s)
    natural = hz.natural(data, theta[None, :], s)[0]
    robust = needs_robust(design)
    edf = float(len(theta))
    if smoothing is not None:
        edf -= float(np.trace(inverse[p + 1 :, p + 1 :]))  # what the penalty alone would hold
    if robust:
        score = hz.scores(data, natural) @ jacobian @ inverse
        if design.cluster is not None:
            total = np.zeros((design.cluster.max() + 1, len(theta)))
            np.add.at(total, design.cluster, score)
            score = total
        inverse = score.T @ score
    profile = None
    if interval_kind(intervals, penalty, robust) == "profile" and p:
        density = partial(
            hz.value_gradient_information, data, smoothing=s, firth=penalty == "firth"
        )
        profile = profile_of(density, optimum, penalty)
    cov = jacobian @ inverse @ jacobian.T
    fit = HazardEstimate(
        spec=spec,
        design=design,
        names=hazard.names,
        coefficients=theta[:p],
        reference=NormalReference(
            cov[:p, :p],
            method="robust" if robust else "normal",
            flat=flat if lost else None,
        ),
        llf=float(hz.kernel(data, natural)[0]),
        nobs=len(design.rows),
        n_params=len(theta),
        optimum=optimum,
        method="",
        flags=(),
        hazard=hazard,
        penalty=penalty,
        smoothing=smoothing,
        natural=natural,
        natural_cov=cov,
        theta_cov=inverse,
        edf=edf,
        profile=profile,
    )
    words = ["Firth's penalised likelihood" if penalty == "firth" else "maximum likelihood"]
    words += [describe(fit), f"{plural(design.n_events, 'event')}"]
    words += ["profile intervals"] * (profile is not None) + ["robust covariance"] * robust
    object.__setattr__(fit, "method", ", ".join(words))
    flags = (
        *design_flags(design),
        *weightless_flag(design),
        *separation_flag(hazard.names, separated, "likelihood"),
        *_changing(hazard),
        *_shape(smoothing),
        *limits_flag(fit),
        *undetermined_flag(lost, "The likelihood is the same along a line of coefficients."),
        *(() if optimum.converged or lost else (f"Not a maximum: {optimum.status}.",)),
    )
    object.__setattr__(fit, "flags", flags)  # the profile's own flags need the fit
    return fit


def _changing(hazard: HazardDesign) -> tuple[str, ...]:
    if not hazard.varying:
        return ()
    terms = ", ".join(hazard.survival.fixed.names[j] for j in hazard.varying)
    return (
        f"The log hazard ratio of {terms} changes with log time: the coefficient is that at time "
        f"{hazard.baseline.unit:g}; hazard_ratio(times) gives others.",
    )


def _shape(smoothing: float | None) -> tuple[str, ...]:
    if smoothing is None:
        return ()
    if smoothing == 0.0:
        return (
            "The smoothing left nothing of the spline: the data do not tell the baseline hazard "
            "from a constant one.",
        )
    return (
        "Standard errors take the smoothing of the baseline (SD of the change of the log hazard "
        f"over follow-up {smoothing:.3g}) as given.",
    )


def hazard_posterior(
    spec: Any,
    hazard: HazardDesign,
    stack: PriorStack,
    mode: Optimum,
    draws: Draws,
    smoothing: float | None,
) -> HazardPosterior:
    """The posterior of the hazard model."""
    design, data, theta = spec.design, hazard.data, draws.theta
    chains, kept, d = theta.shape
    natural = hz.natural(data, theta.reshape(-1, d), smoothing)
    log_lik = hz.logliks(data, natural)
    unit, index = "row", spec.data.index[design.rows]
    if design.patient is not None:
        patients = np.zeros((len(log_lik), design.patient.max() + 1))
        np.add.at(patients.T, design.patient, log_lik.T)
        log_lik, unit, index = patients, "patient", range(patients.shape[1])
    values = stack.constrain(theta)
    p = len(hazard.names)
    samples = {
        name: values[..., j] for j, name in enumerate(stack.names) if not name.startswith("shape[")
    }
    if data.constant is not None:
        weights = np.exp(natural[:, p:])
        weights = (weights / weights.sum(axis=1, keepdims=True)).reshape(chains, kept, -1)
        samples |= {f"weight[{k + 1}]": weights[..., k] for k in range(weights.shape[-1])}
    post = HazardPosterior(
        spec=spec,
        design=design,
        names=hazard.names,
        samples=samples,
        stack=stack,
        draws=draws,
        idata=to_datatree(
            samples,
            draws,
            log_likelihood=log_lik.reshape(chains, kept, -1),
            log_prior=stack.log_prior(theta),
            unit=(unit, list(index)),
            observed=design.exit,
        ),
        method="",
        flags=(
            *design_flags(design),
            *weightless_flag(design),
            *powers_flag(design),
            *_changing(hazard),
            *sampling_flags(draws),
        ),
        hazard=hazard,
        smoothing=smoothing,
    )
    words = f"NUTS on the full likelihood, {describe(post)}, {plural(design.n_events, 'event')}"
    object.__setattr__(post, "method", words)
    return post
