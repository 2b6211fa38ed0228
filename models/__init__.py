"""The scientific models, one file each."""

from longsurv.models.cox import CoxPH
from longsurv.models.glmm import GLMM
from longsurv.models.joint import JointModel, area, slope, value
from longsurv.models.lmm import LMM
from longsurv.models.panel import Panel

__all__ = ["GLMM", "LMM", "CoxPH", "JointModel", "Panel", "area", "slope", "value"]
