"""What every answer of a model says of itself, as estimands see it."""

from __future__ import annotations

from typing import Literal, Protocol


class ByLikelihood(Protocol):
    """An estimate."""

    @property
    def engine(self) -> Literal["ml"]:
        """By which it is told from a posterior."""


class ByBayes(Protocol):
    """A posterior."""

    @property
    def engine(self) -> Literal["bayes"]:
        """By which it is told from an estimate."""


class Qualified(Protocol):
    """An answer that says how far it can be relied on."""

    @property
    def headings(self) -> tuple[str, ...]:
        """What is wrong with it."""

    @property
    def flags(self) -> tuple[str, ...]:
        """What a reader must know."""

    @property
    def converged(self) -> bool:
        """Whether it can be relied on."""
