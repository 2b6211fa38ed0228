"""The public names, module by module, and what the reference says of each group."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import NamedTuple

from longsurv.results import Estimate, Posterior


class Room(NamedTuple):
    """A module with public names, as the reference shows it."""

    folder: str
    title: str
    about: str
    module: str


ROOMS = (
    Room("top", "longsurv", "Data in, two answers compared, a whole study run.", "longsurv"),
    Room(
        "models", "longsurv.models",
        "The statistical models. Each is a frozen specification: `fit` maximises its likelihood,"
        " `sample` draws from its posterior, `to_pymc` states it again.",
        "longsurv.models",
    ),
    Room(
        "results", "What fit and sample return",
        "Nobody makes these; a model does. Estimates and posteriors have the same grammar.",
        "longsurv.results",
    ),
    Room(
        "analyses", "longsurv.analyses", "Questions that take several models.", "longsurv.analyses"
    ),
    Room(
        "estimands", "longsurv.estimands",
        "Quantities, from data or from a fitted model, and what could bias them.",
        "longsurv.estimands",
    ),
    Room(
        "diagnostics", "longsurv.diagnostics", "Can the answer be trusted?", "longsurv.diagnostics"
    ),
    Room("priors", "longsurv.priors", "Prior distributions.", "longsurv.priors"),
    Room("scores", "longsurv.scores", "Scores from their components.", "longsurv.cohort.scores"),
)  # fmt: skip


OTHERS = {
    "ArithmeticMeans": "longsurv.results.arithmetic",
    "LinearPosterior": "longsurv.results.linear",
    "Means": "longsurv.results.means",
    "StudyResults": "longsurv.study",
}
"""Answers that are neither an estimate nor a posterior of one model's own parameters."""


def answers() -> dict[str, type]:
    """The classes of answers, by name."""
    import_module("longsurv.models")

    def below(kind: type) -> Iterator[type]:
        for one in kind.__subclasses__():
            yield one
            yield from below(one)

    found = {c.__name__: c for base in (Estimate, Posterior) for c in below(base)}
    # One that another extends is an answer too, where it says how it is made.
    made = ("at", "from_draws")
    leaves = {
        name: c
        for name, c in found.items()
        if not c.__subclasses__() or any(how in vars(c) for how in made)
    }
    leaves |= {name: getattr(import_module(module), name) for name, module in OTHERS.items()}
    return dict(sorted(leaves.items()))


def names(room: Room) -> dict[str, str]:
    """The public names of a room, and what Sphinx is to import for each."""
    if room.folder == "results":
        return {name: f"{c.__module__}.{name}" for name, c in answers().items()}
    module = import_module(room.module)
    listed = getattr(module, "__all__", None)
    if listed is None:
        listed = [
            name for name, value in inspect.getmembers(module, callable)
            if not name.startswith("_") and value.__module__ == room.module
            and inspect.isfunction(value)
        ]  # fmt: skip
    public = [n for n in listed if n != "__version__" and not inspect.ismodule(getattr(module, n))]
    return {name: f"{room.module}.{name}" for name in public}
