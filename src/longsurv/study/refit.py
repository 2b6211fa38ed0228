"""Answers that can be stored and put together again without fitting.

What is expensive in an answer is small: where the climb ended (an `Optimum`), or the draws. The
rest is arithmetic on the design, which every specification does with `estimate` and `posterior`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature

from longsurv.inference.specification import AnySpecification, Specification, held
from longsurv.study.store import FitStore, Kept, environment, fingerprint

Options = Mapping[str, object]


def stored_fit[E](
    store: FitStore, spec: Specification[E, object], options: Options | None = None
) -> Kept[E]:
    """`spec.fit(**options)`, from the store where it holds that fit.

    Parameters
    ----------
    store : FitStore
    spec : Specification
        One that was given a design, and anything else with a method `fit`, is fitted every time.
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


def stored_sample[P](
    store: FitStore, spec: Specification[object, P], options: Options | None = None
) -> Kept[P]:
    """`spec.sample(**options)`, from the store where it holds those draws; see `stored_fit`."""
    given = options or {}
    if isinstance(spec, Specification):
        return _stored(store, spec, given, spec.sample, spec.draw, spec.posterior)
    return _unstored(lambda: spec.sample(**given))


def _unstored[T](compute: Callable[[], T]) -> Kept[T]:
    return FitStore(None).get_or_compute("", "", compute)


def _stored[F, T](
    store: FitStore, spec: AnySpecification, options: Options,
    whole: Callable[..., T], first: Callable[..., F], second: Callable[..., T],
) -> Kept[T]:  # fmt: skip
    """What `whole` answers, which is `second` of what `first` finds; that is stored."""
    signature(whole).bind(**options)  # refuses what is no option
    if held(spec):
        return _unstored(lambda: whole(**options))
    verb, how = whole.__name__, _taken(second, options, after=1)
    answers: list[T] = []

    def compute() -> F:
        found = first(**_taken(first, options))
        answers.append(second(found, **how))
        return found

    key = fingerprint(verb, spec, options, environment())
    kept = store.get_or_compute(key, f"{type(spec).__name__} {spec.formula} ({verb})", compute)
    return Kept(answers[0] if answers else second(kept.value, **how), kept.seconds, kept.reused)


def _taken(method: Callable[..., object], options: Options, after: int = 0) -> Options:
    """Those of the options that a method has, after its first arguments."""
    return {k: options[k] for k in [*signature(method).parameters][after:] if k in options}
