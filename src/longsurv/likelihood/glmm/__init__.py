"""Generalised mixed models, random effects integrated out by quadrature."""

from longsurv.likelihood.glmm.crossed import Trail
from longsurv.likelihood.glmm.data import GLMMData, prepare
from longsurv.likelihood.glmm.families import STUDENT
from longsurv.likelihood.glmm.loglik import (
    conditional,
    loglik,
    loglik_factor,
    loglik_with_effects,
    pointwise,
    random_factor,
    site_effects,
    to_factor,
)

__all__ = [
    "STUDENT",
    "GLMMData",
    "Trail",
    "conditional",
    "loglik",
    "loglik_factor",
    "loglik_with_effects",
    "pointwise",
    "prepare",
    "random_factor",
    "site_effects",
    "to_factor",
]
