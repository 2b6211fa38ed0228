"""Results of the Cox model, put together from what the kernel and the inference returned."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg.lapack import dposv

from longsurv.errors import LongsurvError
from longsurv.inference import Draws, Optimum
from longsurv.inference.profile import Profile, lacking_curvature
from longsurv.likelihood import cox
from longsurv.likelihood.cox_draws import event_logliks
from longsurv.priors import PriorStack
from longsurv.results.assemble import design_flags, sampling_flags
from longsurv.results.contrasts import label
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
    robust = design.cluster is not None or not whole(design.weights)
    if robust:
        from longsurv.diagnostics.cox_residuals import robust_covariance

        cov = robust_covariance(data, optimum.x, naive, design.weights, design.cluster)
        reference = NormalReference(cov, method="robust")
    if robust and intervals == "profile":
        raise LongsurvError(
            "profile intervals take the rows for independent; with cluster() or weights that are "
            "not whole numbers intervals are 'wald', from the robust covariance"
        )
    if intervals is None:
        intervals = "profile" if penalty == "firth" and not robust else "wald"
    profile = _profile(data, optimum, penalty) if intervals == "profile" and names else None
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
        *_separation(names, separated),
        *(few_events_flag(design) if profile is None else _unbounded(fit)),
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


def _profile(data: cox.CoxData, optimum: Optimum, penalty: str | None) -> Profile:
    if penalty is None:
        lacking = np.zeros_like(optimum.hessian)
        return Profile(lambda b: cox.value_gradient_information(data, b), optimum, lacking)

    def penalised(b: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        return cox.firth_value_gradient_information(data, b)

    return Profile(penalised, optimum, lacking_curvature(penalised, optimum))


def whole(weights: np.ndarray | None) -> bool:
    """Whether the weights may be counts of patients."""
    return weights is None or bool((weights == np.round(weights)).all())


def weightless_flag(design: Any) -> tuple[str, ...]:
    """What to say of rows that weigh nothing."""
    if not design.n_weightless:
        return ()
    return (f"{design.n_weightless} rows of weight 0 were left out.",)


def _separation(names: tuple[str, ...], direction: np.ndarray | None) -> tuple[str, ...]:
    if direction is None:
        return ()
    moving = np.flatnonzero(direction)
    if len(moving) == 1:
        way = "rises" if direction[moving[0]] > 0 else "falls"
        what = f"the coefficient of {names[moving[0]]} {way}"
    else:
        what = f"the coefficients move along {label(np.round(direction, 3), names)}"
    return (
        f"Separated groups: the partial likelihood has no maximum, it keeps increasing as {what} "
        "without end. Firth's penalised likelihood was maximised instead, which has one.",
    )


def _unbounded(fit: SurvivalEstimate) -> tuple[str, ...]:
    flags = []
    for term, row in zip(fit.names, np.eye(len(fit.names)), strict=True):
        for limit, side in zip(("lower", "upper"), fit.profile_limits(row), strict=True):
            if np.isinf(side):
                flags.append(
                    f"The data set no {limit} limit to the coefficient of {term}: the profile "
                    "likelihood never falls far enough."
                )
    return tuple(flags)


def few_events_flag(design: Any) -> tuple[str, ...]:
    """What to say of fewer than ten events a coefficient."""
    events, p = design.n_events, max(len(design.fixed.names), 1)
    if events >= 10 * p:
        return ()
    return (
        f"There are {events} events for {p} coefficient{'s' if p > 1 else ''}: normal intervals "
        "and p values are unreliable below about 10 events a coefficient.",
    )


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
            *powered(design),
            *sampling_flags(draws),
        ),
        data=data,
    )


def powered(design: Any) -> tuple[str, ...]:
    """What to say of weights and clusters in a posterior."""
    if design.weights is None and design.cluster is None:
        return ()
    return (
        "Case weights act as powers of the likelihood, and rows of one cluster count as "
        "independent: the posterior has no robust covariance.",
    )
