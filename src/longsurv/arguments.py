"""Arguments of public functions, held against their type hints before anything is computed.

A hint already says what an argument may be; `checked` makes that hold, so that a wrong one is
answered in words that name it, and not by whatever NumPy or pandas says three calls further down.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import numbers
import sys
import typing
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping

from longsurv.errors import ArgumentError, LongsurvError
from longsurv.frames import as_pandas
from longsurv.hints import (
    RANGES,
    Kind,
    article,
    each_of,
    is_plain,
    kind_of,
    may_be_frame,
    may_be_none,
    or_default,
    read_hint,
)

ELSEWHERE = {
    "REML": 'method="REML" or method="ML"',
    "reml": 'method="REML" or method="ML"',
    "random_seed": "seed=",
    "random_state": "seed=",
    "rng": "seed=",
    "n_samples": "draws=",
    "iter": "draws=",
    "warmup": "tune=",
    "burnin": "tune=",
    "n_tune": "tune=",
    "num_chains": "chains=",
    "n_chains": "chains=",
    "prior": "priors=",
    "alpha": "level= (alpha = 0.05 is level=0.95)",
    "conf_level": "level=",
    "ci": "level=",
    "new_data": "newdata=",
    "mu": "mean=",
    "sigma": "sd=",
    "penalizer": 'penalty="firth"',
    "firth": 'penalty="firth"',
    "groups": "(1 | group) in the formula",
    "re_formula": "(time | group) in the formula",
    "duration_col": "Surv(time, event) in the formula",
    "event_col": "Surv(time, event) in the formula",
    "strata": "strata(name) in the formula",
    "cluster_col": "cluster(name) in the formula",
}
"""Names that users of R and of other Python packages type, and what to write here."""


def checked[T](target: T) -> T:
    """Let a public function, or a specification and its public methods, check its arguments.

    Parameters
    ----------
    target : function or dataclass

    Returns
    -------
    function or class
        The class itself, changed; or a function that checks and then calls.
    """
    if not isinstance(target, type):
        return typing.cast(T, _checking(typing.cast(Callable[..., object], target)))
    if "__init__" in vars(target):
        # Fields of a dataclass have the hints of the module that each is written in.
        names = ChainMap(*(vars(sys.modules[part.__module__]) for part in target.__mro__))
        made = _checking(vars(target)["__init__"], names)
        made.__name__ = target.__name__
        target.__init__ = made  # type: ignore[misc]
    check_methods(target)
    return target


def checked_last[C: type](owner: C) -> C:
    """Let a class that checks its own values do so first, and its hints answer for the rest."""
    make = vars(owner)["__init__"]
    hinted = _checking(make, vars(sys.modules[owner.__module__]))
    hinted.__name__ = owner.__name__

    @functools.wraps(make)
    def made(self: object, *args: object, **kwargs: object) -> None:
        try:
            make(self, *args, **kwargs)
        except (AttributeError, TypeError, ValueError) as error:
            if not isinstance(error, LongsurvError):
                hinted(self, *args, **kwargs)  # says in words what is wrong, if it can
            raise

    owner.__init__ = made  # type: ignore[misc]
    return check_methods(owner)


def check_methods[C: type](owner: C) -> C:
    """Let the public methods of a class, and of those of longsurv it is made of, check theirs."""
    for part in owner.__mro__:
        if not part.__module__.startswith("longsurv."):
            continue
        for name, member in list(vars(part).items()):
            if name.startswith("_"):
                continue
            if inspect.isfunction(member):
                setattr(part, name, _checking(member))
            elif isinstance(member, (classmethod, staticmethod)):
                setattr(part, name, type(member)(_checking(member.__func__)))
    return owner


def choice(name: str, given: object, allowed: Iterable[str]) -> None:
    """Refuse a text that is none of those allowed, where no type hint can list them.

    Raises
    ------
    ArgumentError
        Naming the argument and what it may be.
    """
    allowed = tuple(allowed)
    if given not in allowed:
        raise ArgumentError(f"{name} is one of {', '.join(allowed)}, not {_shown(given)}")


def _checking(
    function: Callable[..., object], scope: Mapping[str, object] | None = None
) -> Callable[..., object]:
    if hasattr(function, "__checked__"):
        return function
    signature = inspect.signature(function)
    names = scope if scope is not None else function.__globals__

    @functools.cache
    def kinds() -> dict[str, Kind]:
        """Test and words of each parameter, read when they are first needed."""
        found = {}
        for name, parameter in signature.parameters.items():
            hint = read_hint(parameter.annotation, names)
            kind = RANGES[name] if name in RANGES and is_plain(hint) else kind_of(hint)
            if kind is not None and parameter.kind is parameter.VAR_POSITIONAL:
                kind = each_of(kind)
            if kind is not None:
                nothing = None if may_be_none(hint) else parameter.default
                found[name] = or_default(kind, nothing)
        return found

    @functools.cache
    def tables() -> frozenset[str]:
        """Parameters that may be a data frame: any library's is made one."""
        hints = {n: read_hint(p.annotation, names) for n, p in signature.parameters.items()}
        return frozenset(name for name, hint in hints.items() if may_be_frame(hint))

    sound = _sound(signature, kinds)

    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        if sound(args, kwargs):
            return function(*args, **kwargs)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            _refuse_unknown(call.__name__, signature, kwargs)
            raise
        made: dict[int, object] = {}  # one table given twice stays one
        for name, given in bound.arguments.items():
            if name not in kinds() or kinds()[name][0](given):
                continue
            frame = made.get(id(given))
            if frame is None and name in tables():
                frame = made[id(given)] = as_pandas(given)
            if frame is None:
                wanted = kinds()[name][1]
                raise ArgumentError(f"{call.__name__}: {name} is {wanted}, not {_shown(given)}")
            bound.arguments[name] = frame
        return function(*bound.args, **bound.kwargs) if made else function(*args, **kwargs)

    call.__checked__ = True  # type: ignore[attr-defined]
    return call


def _sound(
    signature: inspect.Signature, kinds: Callable[[], Mapping[str, Kind]]
) -> Callable[[tuple[object, ...], Mapping[str, object]], bool]:
    """Tells that a call is right in every way; False leaves it to a closer look, which takes longer
    than the whole of a short fit."""
    parameters = signature.parameters.values()
    spread = any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)
    places = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
    only = {p.name for p in parameters if p.kind is p.POSITIONAL_ONLY}
    place = {p.name: i for i, p in enumerate(parameters) if p.name not in only}
    required = [(p.name, i) for i, p in enumerate(parameters) if p.default is p.empty]

    def sound(args: tuple[object, ...], kwargs: Mapping[str, object]) -> bool:
        count, tests = len(args), kinds()
        if spread or count > len(places):
            return False
        for name, given in zip(places, args, strict=False):
            if name in tests and not tests[name][0](given):
                return False
        for name, given in kwargs.items():
            if place.get(name, -1) < count or (name in tests and not tests[name][0](given)):
                return False
        return all(i < count or name in kwargs for name, i in required)

    return sound


def _refuse_unknown(word: str, signature: inspect.Signature, given: Iterable[str]) -> None:
    known = [name for name in signature.parameters if name != "self"]
    for name in given:
        if name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1)
        if name in ELSEWHERE and _is_here(ELSEWHERE[name], known):
            advice = f"write {ELSEWHERE[name]}"
        elif near:
            advice = f"did you mean {near[0]}=?"
        else:
            advice = f"its arguments are {', '.join(known) or 'none'}"
        raise ArgumentError(f"{word} has no argument {name}=; {advice}")


def _is_here(advice: str, known: Iterable[str]) -> bool:
    """Whether the argument that an advice begins with, if it does, is one of a function's."""
    argument, equals, _ = advice.partition("=")
    return not equals or not argument.isidentifier() or argument in known


def _shown(given: object) -> str:
    if given is None or isinstance(given, (bool, numbers.Number)):
        return str(given)
    if isinstance(given, str):
        return repr(given if len(given) < 60 else given[:57] + "...")
    kind = type(given)
    if isinstance(given, type):
        return f"the type {given.__name__}"
    module = kind.__module__.partition(".")[0]
    name = kind.__name__ if module == "builtins" else f"{module}.{kind.__name__}"
    return f"{article(name)} {name}{_frame_advice(module, kind.__name__)}"


def _frame_advice(module: str, kind: str) -> str:
    if kind == "dict":
        return " (as a table it has columns of one length)"
    if module in ("polars", "pyarrow") and kind in ("DataFrame", "LazyFrame", "Table"):
        return " (its to_pandas() makes one)"
    return ""
