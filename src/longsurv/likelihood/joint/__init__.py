"""Joint models of markers and the time to an event."""

from longsurv.likelihood.joint.loglik import (
    LOG_2PI,
    CauseData,
    JointData,
    LinkData,
    MarkerData,
    Truncation,
    log_survival_factors,
    loglik,
    marker_data,
    modes,
    own_loglik,
    random_effects,
    within_patients,
)

__all__ = [
    "LOG_2PI",
    "CauseData",
    "JointData",
    "LinkData",
    "MarkerData",
    "Truncation",
    "log_survival_factors",
    "loglik",
    "marker_data",
    "modes",
    "own_loglik",
    "random_effects",
    "within_patients",
]
