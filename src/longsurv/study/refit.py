"""Answers that can be stored and put together again without fitting.

What is expensive in an answer is small: where the climb ended (an `Optimum`), or the draws. The
rest is arithmetic on the design, which every specification does with `estimate` and `posterior`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from inspect import signature
from typing import Any

from longsurv.inference.specification import AnySpecification, Specification
from longsurv.study.store import FitStore, Kept, environment, fingerprint

Options = Mapping[str, Any]


def stored_fit(store: FitStore, spec: AnySpecification, options: Options | None = None) -> Kept:
    """`spec.fit(**options)`, from the store where it holds that fit.

    Parameters
    ----------
    store : FitStore
    spec : Specification
        Anything else with a method `fit` is fitted every time.
    options : mapping of str to object, optional
        Arguments of `fit`.

    Returns
    -------
    Kept
        Its value is the Estimate, its seconds those of the first fit.
    """
    given = options or {}
    if isinstance(spec, Specification):
        return _stored(store, spec, given, spec.fit, spec.find, spec.estimate)
    return _unstored(lambda: spec.fit(**given))


def stored_sample(store: FitStore, spec: AnySpecification, options: Options | None = None) -> Kept:
    """`spec.sample(**options)`, from the store where it holds those draws; see `stored_fit`."""
    given = options or {}
    if isinstance(spec, Specification):
        return _stored(store, spec, given, spec.sample, spec.draw, spec.posterior)
    return _unstored(lambda: spec.sample(**given))


def _unstored(compute: Callable[[], Any]) -> Kept:
    return FitStore(None).get_or_compute("", "", compute)


def _stored(
    store: FitStore,
    spec: Specification[Any, Any],
    options: Options,
    whole: Callable[..., Any],
    first: Callable[..., Any],
    second: Callable[..., Any],
) -> Kept:
    """What `whole` answers, which is `second` of what `first` finds; that is stored."""
    signature(whole).bind(**options)  # refuses what is no option
    verb, how, answers = whole.__name__, _taken(second, options, after=1), []

    def compute() -> Any:
        found = first(**_taken(first, options))
        answers.append(second(found, **how))
        return found

    key = fingerprint(verb, spec, options, environment())
    kept = store.get_or_compute(key, f"{type(spec).__name__} {spec.formula} ({verb})", compute)
    return replace(kept, value=answers[0] if answers else second(kept.value, **how))


def _taken(method: Callable[..., Any], options: Options, after: int = 0) -> Options:
    """Those of the options that a method has, after its first arguments."""
    names = [*signature(method).parameters][after:]
    return {name: options[name] for name in names if name in options}
