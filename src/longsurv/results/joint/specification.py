"""What answers of joint models ask of their specification, beyond what every one has."""

from __future__ import annotations

from typing import Protocol

from longsurv.design.joint import JointDesign
from longsurv.inference import Affine
from longsurv.inference.specification import Specification


class LinkedSpecification(Specification[object, object], Protocol):
    """A joint model, whose markers are linked to hazards."""

    @property
    def design(self) -> JointDesign:
        """Its arrays."""

    @property
    def link_sd(self) -> dict[str, float]:
        """SD across patients of the link behind each association parameter."""

    @property
    def coordinates(self) -> Affine:
        """Unit-free coordinates to climb and sample in."""
