"""Answers that can be stored and put together again without fitting.

What is expensive in an answer is small: where the climb ended (an `Optimum`) and, for a posterior,
the draws. The rest is arithmetic on the design. For every model there are two functions below that
do that arithmetic as the model's own `fit` and `sample` do it; the tests hold the two against each
other. A model without them is fitted every time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from longsurv.inference import Draws, Optimum
from longsurv.store import FitStore, Kept, environment, fingerprint

Options = Mapping[str, Any]


def stored_fit(store: FitStore, spec: Any, options: Options | None = None) -> Kept:
    """`spec.fit(**options)`, from the store where it holds that fit.

    Parameters
    ----------
    store : FitStore
    spec : a model specification
    options : mapping of str to object, optional
        Arguments of `fit`.

    Returns
    -------
    Kept
        Its value is the Estimate, its seconds those of the first fit.
    """
    return _stored(store, spec, "fit", options or {}, _estimates())


def stored_sample(store: FitStore, spec: Any, options: Options | None = None) -> Kept:
    """`spec.sample(**options)`, from the store where it holds those draws; see `stored_fit`."""
    return _stored(store, spec, "sample", options or {}, _posteriors())


def _stored(
    store: FitStore, spec: Any, verb: str, options: Options, makers: dict[type, Callable[..., Any]]
) -> Kept:
    make = makers.get(type(spec))
    if make is None:
        return FitStore(None).get_or_compute("", "", lambda: getattr(spec, verb)(**options))
    key = fingerprint(verb, spec, options, environment())
    title = f"{type(spec).__name__} {spec.formula} ({verb})"
    answers = []

    def compute() -> dict[str, Any]:
        answers.append(getattr(spec, verb)(**options))
        return _essence(answers[0])

    kept = store.get_or_compute(key, title, compute)
    answer = answers[0] if answers else make(spec, options, **kept.value)
    return replace(kept, value=answer)


def _essence(answer: Any) -> dict[str, Any]:
    if hasattr(answer, "draws"):
        return {"mode": answer.mode, "draws": answer.draws}
    return {"optimum": answer.optimum, "penalty": getattr(answer, "penalty", None)}


def _estimates() -> dict[type, Callable[..., Any]]:
    from longsurv.models import GLMM, LMM, CoxPH, JointModel

    return {LMM: _mixed, CoxPH: _cox, GLMM: _generalised, JointModel: _joint}


def _posteriors() -> dict[type, Callable[..., Any]]:
    from longsurv.models import GLMM, LMM, CoxPH, JointModel

    return {
        LMM: _mixed_draws,
        CoxPH: _cox_draws,
        GLMM: _generalised_draws,
        JointModel: _joint_draws,
    }


def _mixed(spec: Any, options: Options, optimum: Optimum, penalty: None) -> Any:
    from longsurv.likelihood.lmm.blocks import BlockKernel
    from longsurv.results.mixed.assemble import mixed_estimate
    from longsurv.results.mixed.assemble_structured import structured_estimate

    make: Any = mixed_estimate if isinstance(spec.kernel, BlockKernel) else structured_estimate
    method, df = options.get("method", "REML"), options.get("df", "auto")
    return make(spec, spec.kernel, optimum, method, df)


def _mixed_draws(spec: Any, options: Options, mode: Optimum, draws: Draws) -> Any:
    from longsurv.likelihood.lmm.blocks import BlockKernel
    from longsurv.results.mixed.assemble import mixed_posterior
    from longsurv.results.mixed.assemble_structured import structured_posterior

    priors = options.get("priors")
    kernel, stack = spec.sampled_under(priors), spec.prior_stack(priors, options.get("eta", 2.0))
    if not isinstance(kernel, BlockKernel):
        return structured_posterior(spec, kernel, stack, replace(draws, mode=mode))
    # The posterior holds draws of every parameter, those fixed at zero too.
    draws = replace(draws, theta=draws.theta[..., kernel.free], mode=mode)
    return mixed_posterior(spec, kernel, stack, draws)


def _cox(spec: Any, options: Options, optimum: Optimum, penalty: str | None) -> Any:
    from longsurv.likelihood import cox
    from longsurv.results.survival.assemble_cox import cox_estimate

    unasked = penalty == "firth" and options.get("penalty") is None
    return cox_estimate(
        spec,
        spec.statistics,
        optimum,
        penalty=penalty,
        intervals=options.get("intervals"),
        separated=cox.separation(spec.statistics) if unasked else None,
    )


def _cox_draws(spec: Any, options: Options, mode: Optimum, draws: Draws) -> Any:
    from longsurv.results.survival.assemble_cox import cox_posterior

    stack = spec.prior_stack(options.get("priors"))
    return cox_posterior(spec, spec.statistics, stack, mode, draws)


def _generalised(spec: Any, options: Options, optimum: Optimum, penalty: None) -> Any:
    from longsurv.likelihood.glmm.coordinates import for_climbing
    from longsurv.results.generalised.assemble import generalised_estimate

    data = spec.arrays
    return generalised_estimate(spec, data, optimum, for_climbing(data), spec.quadrature_nodes)


def _generalised_draws(spec: Any, options: Options, mode: Optimum, draws: Draws) -> Any:
    from longsurv.results.generalised.assemble import generalised_posterior

    priors = options.get("priors")
    data, stack = spec.arrays_for(priors), spec.prior_stack(priors, options.get("eta", 2.0))
    draws = replace(draws, mode=mode)
    return generalised_posterior(spec, data, stack, draws, spec.quadrature_nodes)


def _joint(spec: Any, options: Options, optimum: Optimum, penalty: None) -> Any:
    from longsurv.results.joint.assemble import joint_estimate

    return joint_estimate(spec, spec.statistics, optimum)


def _joint_draws(spec: Any, options: Options, mode: Optimum, draws: Draws) -> Any:
    from longsurv.models.joint import USUAL_SMOOTHING
    from longsurv.results.joint.assemble import joint_posterior

    smoothing = options.get("smoothing", USUAL_SMOOTHING)
    stack = spec.prior_stack(options.get("priors"), options.get("eta", 2.0), smoothing)
    return joint_posterior(spec, spec.arrays(options.get("priors")), stack, mode, draws)
