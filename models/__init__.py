"""The scientific models, one file each."""

from longsurv.arguments import checked
from longsurv.models.adjustment import BaselineAdjustment, adjusted_changes
from longsurv.models.cox import CoxPH
from longsurv.models.glmm import GLMM
from longsurv.models.hazard import Hazard
from longsurv.models.joint import JointModel, area, slope, value
from longsurv.models.linear import Linear
from longsurv.models.lmm import LMM
from longsurv.models.mortality import Mortality
from longsurv.models.panel import Panel

__all__ = [
    "GLMM",
    "LMM",
    "BaselineAdjustment",
    "CoxPH",
    "Hazard",
    "JointModel",
    "Linear",
    "Mortality",
    "Panel",
    "adjusted_changes",
    "area",
    "slope",
    "value",
]

for _spec in (LMM, GLMM, Linear, CoxPH, Hazard, JointModel, Panel, BaselineAdjustment, Mortality):
    checked(_spec)
