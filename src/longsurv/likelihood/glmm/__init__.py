"""Generalised mixed models, random effects integrated out by quadrature."""

from longsurv.likelihood.glmm.loglik import (
    STUDENT,
    GLMMData,
    conditional,
    loglik,
    loglik_factor,
    pointwise,
    prepare,
    random_factor,
    to_factor,
)

__all__ = [
    "STUDENT",
    "GLMMData",
    "conditional",
    "loglik",
    "loglik_factor",
    "pointwise",
    "prepare",
    "random_factor",
    "to_factor",
]
