"""One model of a study by both engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from longsurv.results import Estimate, Posterior

MORTALITY = "mortality"

type Parts = Mapping[str, Any]  # any: what a stage found, by its key, is of a class of its own


@dataclass(frozen=True)
class ModelResult:
    """One model by both engines.

    Attributes
    ----------
    name : str
        A marker's name, or "mortality".
    formula : str
    data : DataFrame
        The rows the model was given.
    fit : Estimate or None
    post : Posterior or None
    reasons : mapping of str to str
        Engine ("ml", "bayes") to why it has no answer.
    seconds : mapping of str to float
        Engine to the time it took, when it was first run if it came from the store.
    """

    name: str
    formula: str
    data: pd.DataFrame
    fit: Estimate | None = None
    post: Posterior | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def answers(self) -> dict[str, Estimate | Posterior]:
        """Engine to Estimate or Posterior, only those there are."""
        both: dict[str, Estimate | Posterior | None] = {"ml": self.fit, "bayes": self.post}
        return {engine: result for engine, result in both.items() if result is not None}
