"""Which functions a test's code comes to, by the names in it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib import import_module
from types import CodeType, FunctionType, ModuleType
from typing import Any

OURS = ("longsurv", "invariance")


def _names(code: CodeType) -> Iterator[str]:
    """Names that a piece of code and those within it look up."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _functions(value: Any) -> Iterator[FunctionType]:
    """Those that a function, a partial one, a property, a class or an object of ours has."""
    if isinstance(value, partial):
        for part in (value.func, *value.args, *value.keywords.values()):
            yield from _functions(part)
    elif isinstance(value, FunctionType):
        yield inspect.unwrap(value)
    elif isinstance(value, (staticmethod, classmethod)):
        yield from _functions(value.__func__)
    elif isinstance(value, type) and value.__module__.startswith(OURS):
        for part in vars(value).values():
            if isinstance(part, (FunctionType, staticmethod, classmethod)):
                yield from _functions(part)
            else:
                yield from _functions(getattr(part, "fget", None) or getattr(part, "func", None))
    elif type(value).__module__.startswith("longsurv"):  # a kind: an object whose methods are used
        yield from _functions(type(value))


def reached(begin: Iterable[Callable[..., Any]]) -> set[str]:
    """Functions that these come to by names alone, as "longsurv.module.function"."""
    waiting = [f for one in begin for f in _functions(one)]
    seen: set[FunctionType] = set()
    while waiting:
        function = waiting.pop()
        if function in seen or not function.__module__.startswith(OURS):
            continue
        seen.add(function)
        names = set(_names(function.__code__))
        found = [function.__globals__[n] for n in names if n in function.__globals__]
        # Imported where it is used:
        found += [import_module(n) for n in names if n.startswith("longsurv.")]
        found += [cell.cell_contents for cell in function.__closure__ or ()]
        modules = [m for m in found if isinstance(m, ModuleType) and m.__name__.startswith(OURS)]
        # Asked for, not looked up: a package that is lazy has no name until somebody used it.
        found += [getattr(m, n) for m in modules for n in names if n in dir(m)]
        waiting += [f for one in found for f in _functions(one)]
    return {f"{f.__module__}.{f.__name__}" for f in seen}
