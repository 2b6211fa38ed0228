"""Linear mixed models, random effects integrated out."""

from longsurv.likelihood.lmm.loglik import (
    LMMData,
    coefficients,
    loglik,
    prepare,
    profile,
    profiled_deviance,
    relative_factor,
)

__all__ = [
    "LMMData",
    "coefficients",
    "loglik",
    "prepare",
    "profile",
    "profiled_deviance",
    "relative_factor",
]
