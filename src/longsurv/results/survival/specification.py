"""What answers about survival ask of their specification, beyond what every one has."""

from __future__ import annotations

from typing import Any, Protocol

import pandas as pd

from longsurv.inference.specification import Specification


class SurvivalSpecification(Specification[Any, Any], Protocol):
    """A model of one table of follow-up: CoxPH or Hazard."""

    @property
    def data(self) -> pd.DataFrame:
        """The table, one row a stretch of follow-up."""


class CoxSpecification(SurvivalSpecification, Protocol):
    """A Cox model."""

    @property
    def ties(self) -> str:
        """How deaths at one time are handled."""
