"""Cox's partial likelihood."""

from longsurv.likelihood.cox.loglik import (
    CoxData,
    baseline_hazard,
    firth_start,
    firth_value_and_gradient,
    firth_value_gradient_information,
    loglik,
    pointwise,
    prepare,
    separation,
    value_and_gradient,
    value_gradient_information,
)

__all__ = [
    "CoxData",
    "baseline_hazard",
    "firth_start",
    "firth_value_and_gradient",
    "firth_value_gradient_information",
    "loglik",
    "pointwise",
    "prepare",
    "separation",
    "value_and_gradient",
    "value_gradient_information",
]
