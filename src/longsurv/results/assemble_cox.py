"""Results of the Cox model, put together from what the kernel and the inference returned."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from scipy.linalg.lapack import dposv

from longsurv.inference import Draws, Optimum
from longsurv.likelihood import cox
from longsurv.likelihood.cox_draws import event_logliks
from longsurv.priors import PriorStack
from longsurv.results.assemble import design_flags, sampling_flags
from longsurv.results.assemble_survival import (
    few_events_flag,
    interval_kind,
    limits_flag,
    needs_robust,
    powers_flag,
    profile_of,
    separation_flag,
    weightless_flag,
)
from longsurv.results.idata import to_datatree
from longsurv.results.reference import NormalReference
from longsurv.results.survival import SurvivalEstimate, SurvivalPosterior


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
        Its Hessian is minus the information of the unpenalised partial likelihood.
    penalty : "firth" or None
    intervals : "wald", "profile" or None
        None means profile for Firth's penalty, unless the covariance is robust.
    separated : ndarray, shape (p,), optional
        Direction of monotone likelihood, for which Firth's penalty was put in.
    """
    design, names = spec.design, spec.design.fixed.names
    naive = _inverse(-optimum.hessian)
    reference = NormalReference(naive)
    robust = needs_robust(design)
    if robust:
        from longsurv.diagnostics.cox_residuals import robust_covariance

        cov = robust_covariance(data, optimum.x, naive, design.weights, design.cluster)
        reference = NormalReference(cov, method="robust")
    profile = None
    if interval_kind(intervals, penalty, robust) == "profile" and names:
        firth = penalty == "firth"
        function = cox.firth_value_gradient_information if firth else cox.value_gradient_information
        profile = profile_of(partial(function, data), optimum, penalty)
    method = f"partial likelihood, {spec.ties.capitalize()} ties, {design.n_events} events"
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
        n_params=len(optimum.x),
        optimum=optimum,
        method=method,
        flags=(),
        data=data,
        penalty=penalty,
        naive_cov=naive,
        profile=profile,
    )
    flags = (
        *design_flags(design),
        *weightless_flag(design),
        *separation_flag(names, separated, "partial likelihood"),
        *limits_flag(fit),
    )
    object.__setattr__(fit, "flags", flags)  # the profile's own flags need the fit
    return fit


def _inverse(information: np.ndarray) -> np.ndarray:
    """Inverse by Cholesky's factor, whatever the units; a pseudo-inverse if there is none."""
    if len(information):
        # not dpotri, of which OpenBLAS makes threads however small the matrix
        _, inverse, singular = dposv(information, np.eye(len(information)))
        if not singular:
            return 0.5 * (inverse + inverse.T)
    return np.linalg.pinv(information, hermitian=True)


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
        mode=mode,
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
        f"{design.n_events} events",
        flags=(
            *design_flags(design),
            *weightless_flag(design),
            *few_events_flag(design),
            *powers_flag(design),
            *sampling_flags(draws),
        ),
        data=data,
    )
