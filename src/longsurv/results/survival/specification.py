"""What answers about survival ask of their specification, beyond what every one has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from longsurv.design.survival import SurvivalDesign
from longsurv.estimands.standardised import FittedSurvival
from longsurv.inference.specification import TableSpecification

if TYPE_CHECKING:
    import pandas as pd


class SurvivalSpecification(TableSpecification[FittedSurvival, object], Protocol):
    """A model of one table of follow-up, a row a stretch of it: CoxPH or Hazard."""

    @property
    def design(self) -> SurvivalDesign:
        """Its arrays."""


class SitesSpecification(SurvivalSpecification, Protocol):
    """One that may have site effects."""

    @property
    def frailty(self) -> str:
        """The distribution of site effects, where there are any."""


class CoxSpecification(SitesSpecification, Protocol):
    """A Cox model."""

    @property
    def ties(self) -> str:
        """How deaths at one time are handled."""


class OfTable(Protocol):
    """A model of one table."""

    @property
    def data(self) -> pd.DataFrame:
        """The table."""


class AnsweredSurvival(Protocol):
    """What is used of a fit and of a posterior."""

    @property
    def spec(self) -> OfTable:
        """The model."""

    @property
    def design(self) -> SurvivalDesign:
        """Its arrays."""
