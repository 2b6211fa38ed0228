"""The scientific models, one file each."""

from longsurv.arguments import checked
from longsurv.inference.specification import Specification
from longsurv.models.cox import CoxPH
from longsurv.models.fine_gray import FineGray
from longsurv.models.glmm import GLMM
from longsurv.models.hazard import Hazard
from longsurv.models.joint import JointModel, area, slope, value
from longsurv.models.linear import Linear
from longsurv.models.lmm import LMM

__all__ = [
    "GLMM", "LMM", "CoxPH", "FineGray", "Hazard", "JointModel", "Linear", "area", "slope", "value",
]  # fmt: skip

_SPECIFICATIONS: tuple[type[Specification[object, object]], ...] = (
    LMM, GLMM, Linear, CoxPH, Hazard, JointModel,
)  # fmt: skip
for _spec in _SPECIFICATIONS:
    checked(_spec)
checked(FineGray)

# What was here before it got a room of its own.
_MOVED = {"BaselineAdjustment", "Mortality", "Panel", "adjusted_changes"}


def __getattr__(name: str) -> object:
    """Say where a name went that used to be here."""
    if name in _MOVED:
        raise AttributeError(
            f"{name} is in longsurv.analyses now: from longsurv.analyses import {name}", name=name
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
