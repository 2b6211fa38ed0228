"""The scientific models, one file each."""

from longsurv.models.cox import CoxPH
from longsurv.models.lmm import LMM

__all__ = ["LMM", "CoxPH"]
