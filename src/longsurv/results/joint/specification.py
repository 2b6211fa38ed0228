"""What answers of joint models ask of their specification, beyond what every one has."""

from __future__ import annotations

from typing import Any, Protocol

from longsurv.inference import Affine
from longsurv.inference.specification import Specification


class LinkedSpecification(Specification[Any, Any], Protocol):
    """A joint model, whose markers are linked to hazards."""

    @property
    def link_sd(self) -> dict[str, float]:
        """SD across patients of the link behind each association parameter."""

    @property
    def coordinates(self) -> Affine:
        """Unit-free coordinates to climb and sample in."""
