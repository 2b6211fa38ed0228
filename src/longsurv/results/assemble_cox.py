"""Results of the Cox model, put together from what the kernel and the inference returned."""

from __future__ import annotations

from typing import Any

import numpy as np

from longsurv.inference import Draws, Optimum
from longsurv.likelihood import cox
from longsurv.priors import PriorStack
from longsurv.results.assemble import design_flags
from longsurv.results.idata import to_datatree
from longsurv.results.reference import NormalReference
from longsurv.results.survival import SurvivalEstimate, SurvivalPosterior


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
