"""A guess about a table: what was taken for what, why, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Sureness = Literal["sure", "likely", "doubtful"]


@dataclass(frozen=True)
class Guess:
    """One thing that was read out of the tables.

    Parameters
    ----------
    about : str
        What it is about, in the words of the study file: "patient", "treatment", "status", ...
    value : str
        What it is taken for.
    reason : str
        What in the tables says so.
    sureness : {"sure", "likely", "doubtful"}
        "sure": the tables leave no other reading; "likely": one reading is much better than the
        others; "doubtful": the reader must choose, and the study file has it commented out.
    choices : tuple of str
        What else it may be.
    """

    about: str
    value: str
    reason: str
    sureness: Sureness
    choices: tuple[str, ...] = ()

    def sentence(self) -> str:
        """Say the guess in one line, as the study file and the terminal do."""
        others = f"; or {', '.join(self.choices)}" if self.choices else ""
        return f"{self.sureness}: {self.reason}{others}"
