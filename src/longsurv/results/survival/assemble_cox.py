"""Results of the Cox model, put together from what the kernel and the inference returned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from scipy.linalg.lapack import dposv

from longsurv.inference import Draws, Flat, Optimum, identify
from longsurv.inference.identify import LOADS
from longsurv.likelihood import cox
from longsurv.likelihood.cox.draws import event_logliks
from longsurv.likelihood.cox.existence import columns, within_risk_sets
from longsurv.priors import PriorStack
from longsurv.results.assemble import design_flags, sampling_flags, undetermined_flag
from longsurv.results.idata import to_datatree
from longsurv.results.reference import NormalReference
from longsurv.results.survival.cox import SurvivalEstimate, SurvivalPosterior
from longsurv.results.survival.flags import (
    few_events_flag,
    interval_kind,
    limits_flag,
    needs_robust,
    powers_flag,
    profile_of,
    separation_flag,
    weightless_flag,
)
from longsurv.words import plural

ALONE = "Those still at risk at each event do not differ in it."


def cox_estimate(
    spec: Any,
    data: cox.CoxData,
    optimum: Optimum,
    *,
    penalty: str | None = None,
    intervals: str | None = None,
    separated: np.ndarray | None = None,
) -> SurvivalEstimate:
    """The fitted Cox model.

    Parameters
    ----------
    spec : CoxPH
    data : CoxData
    optimum : Optimum
        Its Hessian is minus the information of the unpenalised partial likelihood, in the `free`
        coefficients; the others, which the data do not determine, were held at 0.
    penalty : "firth" or None
    intervals : "wald", "profile" or None
        None means profile for Firth's penalty, unless the covariance is robust.
    separated : ndarray, shape (p,), optional
        Direction of monotone likelihood, for which Firth's penalty was put in.
    """
    design, names, kept = spec.design, spec.design.fixed.names, optimum.free
    part, top, flat = data, optimum, None
    if len(kept) < len(names):
        part, flat = columns(data, kept), flat_directions(data)
        top = replace(optimum, x=optimum.x[kept], gradient=optimum.gradient[kept],
                      free=np.arange(len(kept)))  # fmt: skip
    naive = _inverse(-top.hessian)
    cov, method = naive, "normal"
    robust = needs_robust(design)
    if robust:
        from longsurv.diagnostics.cox_residuals import robust_covariance

        cov = robust_covariance(part, top.x, naive, design.weights, design.cluster)
        method = "robust"
    reference = NormalReference(_among_all(cov, kept, len(names)), method, flat)
    profile = None
    if interval_kind(intervals, penalty, robust) == "profile" and names:
        firth = penalty == "firth"
        function = cox.firth_value_gradient_information if firth else cox.value_gradient_information
        profile = profile_of(partial(function, part), top, penalty)
    method = (
        f"partial likelihood, {spec.ties.capitalize()} ties, {plural(design.n_events, 'event')}"
    )
    if penalty == "firth":
        method = "Firth's penalised " + method
    if profile is not None:
        method += ", profile intervals"
    if robust:
        method += ", robust covariance"
    fit = SurvivalEstimate(
        spec=spec,
        design=design,
        names=names,
        coefficients=optimum.x,
        reference=reference,
        llf=cox.loglik(data, optimum.x) if penalty == "firth" else optimum.value,
        nobs=len(design.rows),
        n_params=len(kept),
        optimum=optimum,
        method=method,
        flags=(),
        data=data,
        penalty=penalty,
        naive_cov=_among_all(naive, kept, len(names)),
        profile=profile,
    )
    flags = (
        *design_flags(design),
        *weightless_flag(design),
        *separation_flag(names, separated, "partial likelihood", fit.undetermined),
        *undetermined_flag(fit.undetermined, _why(flat)),
        *limits_flag(fit),
    )
    object.__setattr__(fit, "flags", flags)  # the profile's own flags need the fit
    return fit


def flat_directions(data: cox.CoxData) -> Flat:
    """Directions of the coefficients in which those at risk at an event never differ."""
    information, rounding = within_risk_sets(data)
    return identify(information, rounding=rounding).flat


def nothing(spec: Any, names: Sequence[str]) -> str:
    """Why a model of which nothing can be estimated has no estimate."""
    events = spec.design.n_events
    when = "the only event" if events == 1 else f"each of the {events} events"
    return f"those still at risk at {when} do not differ in {', '.join(names)}"


def _why(flat: Flat | None) -> str:
    if flat is None or not flat:
        return ""
    scaled = np.abs(flat.directions / flat.scale[:, None])
    alone = bool(((scaled > LOADS * scaled.max(axis=0)).sum(axis=0) == 1).all())
    if alone:
        return ALONE
    return "Those still at risk at each event differ in them only in step, or not at all."


def _among_all(cov: np.ndarray, kept: np.ndarray, p: int) -> np.ndarray:
    """A covariance of some coefficients among all p, 0 for the others."""
    if len(kept) == p:
        return cov
    out = np.zeros((p, p))
    out[np.ix_(kept, kept)] = cov
    return out


def _inverse(information: np.ndarray) -> np.ndarray:
    """Inverse by Cholesky's factor, whatever the units; by what is determined if there is none."""
    if len(information):
        # not dpotri, of which OpenBLAS makes threads however small the matrix
        _, inverse, singular = dposv(information, np.eye(len(information)))
        if not singular:
            return 0.5 * (inverse + inverse.T)
    return identify(information).cov


def cox_posterior(
    spec: Any, data: cox.CoxData, stack: PriorStack, mode: Optimum, draws: Draws
) -> SurvivalPosterior:
    """The posterior of the Cox model."""
    design = spec.design
    chains, kept, d = draws.theta.shape
    events = np.flatnonzero(design.event)
    log_lik = event_logliks(data, draws.theta.reshape(-1, d), events).reshape(chains, kept, -1)
    samples = {name: draws.theta[..., j] for j, name in enumerate(stack.names)}
    return SurvivalPosterior(
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
            log_prior=stack.log_prior(draws.theta),
            unit=("event", spec.data.index[design.rows[events]]),
            observed=design.exit[events],
        ),
        method=f"NUTS on the partial likelihood, {spec.ties.capitalize()} ties, "
        f"{plural(design.n_events, 'event')}",
        flags=(
            *design_flags(design),
            *weightless_flag(design),
            *few_events_flag(design),
            *powers_flag(design),
            *_prior_flags(spec, data),
            *sampling_flags(draws),
        ),
        data=data,
    )


def _prior_flags(spec: Any, data: cox.CoxData) -> tuple[str, ...]:
    """Which part of a posterior is its prior, because the likelihood is flat or monotone there."""
    names, flat = spec.design.fixed.names, flat_directions(data)
    lost = [name for name, known in zip(names, flat.determined, strict=True) if not known]
    if not lost:
        return _unbounded_flag(names, data)
    what, its = ", ".join(lost), "its posterior is its prior"
    if _why(flat) != ALONE:
        what, its = f"a combination of {what}", "there the posterior is the prior"
    return (f"The data say nothing about {what}: {its}. {_why(flat)}",)


def _unbounded_flag(names: tuple[str, ...], data: cox.CoxData) -> tuple[str, ...]:
    direction = cox.separation(data)
    if direction is None:
        return ()
    moving = ", ".join(names[j] for j in np.flatnonzero(direction))
    return (
        f"Separated groups: the likelihood sets no limit to {moving} on one side, where the "
        "posterior ends by its prior alone.",
    )
