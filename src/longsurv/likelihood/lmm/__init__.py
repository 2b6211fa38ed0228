"""Linear mixed models, random effects integrated out."""

from longsurv.likelihood.lmm.loglik import (
    ProfiledLikelihood,
    coefficients,
    loglik,
    profile,
    profiled_deviance,
    relative_factor,
)
from longsurv.likelihood.lmm.statistics import LMMData, prepare

__all__ = [
    "LMMData",
    "ProfiledLikelihood",
    "coefficients",
    "loglik",
    "prepare",
    "profile",
    "profiled_deviance",
    "relative_factor",
]
