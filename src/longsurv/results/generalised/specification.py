"""What answers of generalised mixed models ask of their specification."""

from __future__ import annotations

from typing import Protocol

from longsurv.design.generalised import GeneralisedDesign
from longsurv.inference.specification import TableSpecification


class GeneralisedSpecification(TableSpecification[object, object], Protocol):
    """A generalised mixed model."""

    @property
    def design(self) -> GeneralisedDesign:
        """Its arrays."""

    @property
    def quadrature_nodes(self) -> int:
        """Points of the quadrature over the random effects, in each direction."""

    @property
    def df(self) -> float | None:
        """Degrees of freedom of Student residuals, where they are given."""
