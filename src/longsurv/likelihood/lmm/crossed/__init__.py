"""Mixed models with several groupings, nested or crossed, and independent residuals."""

from longsurv.likelihood.lmm.crossed.data import CrossedData, prepare

__all__ = ["CrossedData", "prepare"]
