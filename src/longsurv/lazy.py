"""Packages whose public names are imported when they are first asked for."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType


class LazyPackage(ModuleType):
    """A package that lists its public names and imports each the first time it is used.

    A name stays what it was declared to be, also where a module of the package is called the same
    and is imported first, which would otherwise put the module in its place.
    """

    _homes: Mapping[str, str]

    def __getattr__(self, name: str) -> object:
        """Import a public name."""
        if name not in self._homes:
            near = get_close_matches(name, self._homes, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise AttributeError(f"{self.__name__} has no {name!r}.{hint}", name=name)
        value = _found(self._homes[name])
        super().__setattr__(name, value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        """Keep a public name where the module it is in is called the same."""
        home = self._homes.get(name, "")
        if isinstance(value, ModuleType) and ":" in home:
            value = _found(home)
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        """List the public names, whether imported yet or not."""
        return sorted(vars(self)["__all__"])


def lazily(package: str, homes: Mapping[str, str]) -> None:
    """Let a package import its public names when they are first used.

    Parameters
    ----------
    package : str
        Its `__name__`; it has its names in `__all__`.
    homes : mapping of str to str
        Where each name lives: "module" for a module, "module:name" for what is in one.
    """
    module = sys.modules[package]
    vars(module)["_homes"] = homes
    module.__class__ = LazyPackage


def _found(home: str) -> object:
    module, _, attribute = home.partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found
