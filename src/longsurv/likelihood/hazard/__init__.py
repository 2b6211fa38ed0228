"""Proportional hazards with a parametric or spline baseline."""

from longsurv.likelihood.hazard.loglik import (
    derivative,
    kernel,
    logliks,
    natural,
    scores,
    value_and_gradient,
    value_gradient_information,
)
from longsurv.likelihood.hazard.slopes import increments, log_hazards

__all__ = [
    "derivative",
    "increments",
    "kernel",
    "log_hazards",
    "logliks",
    "natural",
    "scores",
    "value_and_gradient",
    "value_gradient_information",
]
