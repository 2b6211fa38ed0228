"""One marker of a panel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from longsurv.analyses.markers.responses import MarkerModel


@dataclass(frozen=True)
class PanelMarker:
    """One marker of a panel.

    Attributes
    ----------
    spec : LMM or GLMM
    weights : mapping of str to float
        The difference in change as a combination of coefficients.
    spread : float
        Standard deviation between patients of the first measured value.
    direction : float
        -1 where lower is better, +1 where higher is better, 0 where neither is said.
    family : str
    ratio : bool
        The response is a logarithm, so that exp(c_k) is a ratio of geometric means.
    """

    spec: MarkerModel
    weights: Mapping[str, float]
    spread: float
    direction: float
    family: str
    ratio: bool

    @property
    def unit(self) -> float:
        """The contrast that makes one unit of d, a standard deviation towards benefit; without a
        direction, upwards."""
        return self.spread * (self.direction or 1.0)
