"""Baseline hazards of joint models, log-linear in their coefficients, a file each."""

from longsurv.design.log_hazards.baseline import Baseline
from longsurv.design.log_hazards.exponential import ExponentialLogHazard
from longsurv.design.log_hazards.piecewise import PiecewiseLogHazard
from longsurv.design.log_hazards.spline import Spline
from longsurv.design.log_hazards.weibull import WeibullLogHazard

__all__ = ["LOG_HAZARDS", "Baseline"]

LOG_HAZARDS: dict[str, type[Baseline]] = {
    one.kind: one for one in (Spline, WeibullLogHazard, PiecewiseLogHazard, ExponentialLogHazard)
}
"""What `JointModel` calls them; a further one is a file and a name here."""
