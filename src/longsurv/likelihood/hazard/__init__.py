"""Proportional hazards with a parametric or spline baseline."""

from longsurv.likelihood.hazard.loglik import (
    derivative,
    increments,
    kernel,
    log_hazards,
    logliks,
    natural,
    scores,
    value_and_gradient,
    value_gradient_information,
)

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
