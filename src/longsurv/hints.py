"""What a type hint asks of a value: a test, and what to call such values."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import numbers
import sys
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

Test = Callable[[object], bool]


type Kind = tuple[Test, str]
type Hint = Any  # any: a class, a form of typing, or None where it cannot be read


def _whole(low: int, high: int) -> Kind:
    words = f"a whole number, {low} or more"
    return (lambda v: _is_whole(v) and low <= v <= high), words


def or_default(kind: Kind, default: object) -> Kind:
    """None and NaN are right where they are what an argument is if it is not given."""
    if default is None:
        return (lambda v: v is None or kind[0](v)), kind[1]
    if default != default:
        return (lambda v: kind[0](v) or (isinstance(v, float) and v != v)), kind[1]
    return kind


def each_of(kind: Kind) -> Kind:
    """The kind of several values that are each of a kind."""
    return (lambda values: all(map(kind[0], values))), f"each {kind[1]}"


_COUNT = _whole(1, 10**9)


RANGES: dict[str, Kind] = {
    "level": (
        lambda v: _is_number(v) and 0.0 < v < 1.0,  # type: ignore[operator]
        "a probability between 0 and 1, such as 0.95",
    ),
    "seed": _whole(0, 2**63 - 1),
    **dict.fromkeys(("draws", "tune", "chains", "cores", "simulations", "replicates"), _COUNT),
    **dict.fromkeys(("resamples", "bootstrap"), _whole(0, 10**9)),
    "cohorts": _whole(1, 10**7),
    "jobs": _whole(1, 10_000),
    "n_jobs": (
        lambda v: _is_whole(v) and (v == -1 or 1 <= v <= 10_000),  # type: ignore[operator]
        "a number of processes, or -1 for one a processor",
    ),
    **dict.fromkeys(
        ("most", "most_reference"),
        (lambda v: _is_whole(v) and v <= 1000, "a whole number, 0 to 1000"),  # type: ignore[operator]
    ),
    "nodes": _whole(1, 1000),
    "horizon": (
        lambda v: _is_number(v) and abs(v) < float("inf"),  # type: ignore[arg-type]
        "a time above 0",  # whoever takes it knows when its own time begins
    ),
    **dict.fromkeys(
        ("patient", "weights"),
        (lambda v: isinstance(v, str) and bool(v.strip()), "the name of a column"),
    ),
}
"""Arguments that mean the same wherever they occur."""


def read_hint(annotation: Hint, scope: Mapping[str, object]) -> Hint:
    """The type that an annotation stands for; None if it cannot be said here."""
    if annotation is inspect.Parameter.empty:
        return None
    if not isinstance(annotation, str):
        return annotation
    known: dict[str, object] = dict(scope)
    while True:
        try:
            return eval(annotation, known)  # the package's own source, never data
        except NameError as error:
            name = str(error.name)
            home = _imported_for_types(str(known.get("__name__"))).get(name)
            if home is None:
                return None
            known[name] = getattr(importlib.import_module(home), name)
        except (AttributeError, TypeError):  # of a module that only a type checker imports
            return None


@functools.cache
def _imported_for_types(module: str) -> dict[str, str]:
    """Names of longsurv that a module imports for the type checker alone, and where they live."""
    if module not in sys.modules:
        return {}
    blocks = [
        node
        for node in ast.parse(inspect.getsource(sys.modules[module])).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    imports = [line for block in blocks for line in block.body if isinstance(line, ast.ImportFrom)]
    return {
        alias.name: str(line.module)
        for line in imports
        for alias in line.names
        if str(line.module).startswith("longsurv") and alias.asname is None
    }


def is_plain(hint: Hint) -> bool:
    """Whether a type is that of text or of a number, or either of them and None."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    parts = typing.get_args(hint) if union else (hint,)
    return all(part in (int, float, str, types.NoneType) for part in parts)


def may_be_frame(hint: Hint) -> bool:
    """Whether a type is that of a data frame, or one of several of which that is one."""
    if isinstance(hint, typing.TypeAliasType):
        return may_be_frame(hint.__value__)
    if typing.get_origin(hint) in (typing.Union, types.UnionType, typing.Annotated):
        return any(map(may_be_frame, typing.get_args(hint)))
    return _is_frame(hint)


def _is_frame(hint: Hint) -> bool:
    return getattr(hint, "__name__", "") == "DataFrame" and hint.__module__.startswith("pandas")


def may_be_none(hint: Hint) -> bool:
    """Whether a type is one of several of which None is one."""
    return types.NoneType in typing.get_args(hint)


def kind_of(hint: Hint) -> Kind | None:
    """How to test a value against a type, and what to call such values; None to let all pass."""
    if hint == getattr(sys.modules.get("numpy.typing"), "ArrayLike", NotImplemented):
        return _is_array, "an array of numbers"
    if isinstance(hint, typing.TypeAliasType):
        return kind_of(hint.__value__)
    if hint in (None, Any, object) or isinstance(hint, TypeVar):  # any: none to test
        return None
    if hint is types.NoneType:
        return (lambda v: v is None), "None"
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _described(*inner)
    if origin is typing.Literal:
        words = ("one of " if len(inner) > 1 else "") + ", ".join(map(str, inner))
        return (lambda v: isinstance(v, (str, int, type(None))) and v in inner), words
    if origin in (typing.Union, types.UnionType):
        parts = [kind_of(types.NoneType if part is None else part) for part in inner]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        tests = [test for test, _ in known]
        words = " or ".join(words for _, words in known)
        if len(tests) == 2:
            first, second = tests
            return (lambda v: first(v) or second(v)), words
        return (lambda v: any(test(v) for test in tests)), words
    if origin is tuple and Ellipsis not in inner:
        return _several(inner)
    if origin in (Sequence, list, tuple, Iterable):
        return _sequence(inner, ordered=origin is not Iterable)
    if origin in (Mapping, dict):
        return _mapping(inner)
    if origin is type or origin is Callable:
        return (lambda v: callable(v) and not isinstance(v, type)), "a function"
    if origin is not None:
        return kind_of(origin)
    return _plain(hint)


def _described(hint: Hint, words: object, *_: object) -> Kind | None:
    """A type with words of its own, `Annotated[type, "what to give"]`: of a protocol, whether its
    members are there. None for words leaves the value to whoever takes it."""
    if words is None:
        return None
    kind = kind_of(hint)
    if isinstance(hint, typing.TypeAliasType):
        hint = hint.__value__
    protocols = [p for p in typing.get_args(hint) or (hint,) if getattr(p, "_is_protocol", False)]
    if kind is None and protocols:
        members = [sorted(protocol.__protocol_attrs__) for protocol in protocols]
        kind = (lambda v: any(all(_has(v, member) for member in of) for of in members)), ""
    return kind and (kind[0], str(words))


def _has(value: object, member: str) -> bool:
    """Whether an object has an attribute; no property is computed."""
    try:
        inspect.getattr_static(value, member)
    except AttributeError:
        return False
    return not isinstance(value, type)


def _plain(hint: Hint) -> Kind | None:
    if hint is bool:
        return _is_bool, "True or False"
    if hint is int:
        return _is_whole, "a whole number"
    if hint is float:
        return _is_number, "a number"
    if hint is str:
        return (lambda v: isinstance(v, str)), "text"
    if hint is Hashable:
        return _is_value, "a value of a column, such as a text or a number"
    if not isinstance(hint, type) or getattr(hint, "_is_protocol", False):
        return None
    if _is_frame(hint):
        return (lambda v: isinstance(v, hint)), "a pandas DataFrame"
    if hint.__name__ == "ndarray":
        return _is_array, "an array of numbers"
    module = hint.__module__.partition(".")[0]
    owner = f"{module}." if module in ("pandas", "numpy") else ""
    name = f"{owner}{hint.__name__}"
    return (lambda v: isinstance(v, hint)), f"{article(name)} {name}"


def _several(inner: tuple[Hint, ...]) -> Kind:
    """As many values as a tuple has types."""
    kinds = [kind_of(each) for each in inner]

    def test(value: object) -> bool:
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Sequence):
            return False
        if len(value) != len(kinds):
            return False
        return all(k is None or k[0](v) for k, v in zip(kinds, value, strict=True))

    each = kinds[0] if kinds else None
    of = f" (each {each[1]})" if each is not None else ""
    return test, f"{len(kinds)} values{of}"


def _sequence(inner: tuple[Hint, ...], ordered: bool) -> Kind:
    of = kind_of(inner[0]) if inner else None

    def test(value: object) -> bool:
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
            return False
        if ordered and isinstance(value, (set, frozenset)):
            return False
        if hasattr(value, "ndim") and value.ndim != 1:
            return False
        return of is None or all(of[0](item) for item in value)

    return test, f"a list (each item {of[1]})" if of is not None else "a list"


def _mapping(inner: tuple[Hint, ...]) -> Kind:
    key, of = (kind_of(inner[0]), kind_of(inner[1])) if len(inner) == 2 else (None, None)
    if isinstance(inner[-1], type) and inner[-1].__module__ != "builtins":
        of = None  # whoever takes it says which of them is wrong

    def test(value: object) -> bool:
        if not isinstance(value, Mapping):
            return False
        keys = key is None or all(key[0](k) for k in value)
        return keys and (of is None or all(of[0](v) for v in value.values()))

    return test, f"a dict (each value {of[1]})" if of is not None else "a dict"


def article(name: str) -> str:
    """The article that a noun takes."""
    return "an" if name[0].lower() in "aeio" else "a"


def _is_bool(value: object) -> bool:
    return isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")


def _is_value(value: object) -> bool:
    plain = isinstance(value, Hashable) and not isinstance(value, (tuple, type))
    plain = plain and not callable(value)
    return plain and type(value) is not object and value == value  # not NaN


def _is_whole(value: object) -> bool:
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    return whole and abs(value) < 2**63  # type: ignore[arg-type]  # as NumPy holds them


def _is_number(value: object) -> bool:
    if isinstance(value, numbers.Integral):
        return _is_whole(value)
    return isinstance(value, numbers.Real) and value == value  # not NaN


def _is_array(value: object) -> bool:
    import numpy as np

    if value is None or isinstance(value, (str, bytes, Mapping, type)):
        return False
    try:
        found = np.asarray(value)
        if found.dtype.kind == "c":
            return False
        found.astype(float)
    except (TypeError, ValueError):
        return False
    return found.ndim > 0
