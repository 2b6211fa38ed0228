"""Baseline hazards on the full likelihood, a file each."""

from longsurv.design.hazards.baseline import Additive, HazardBaseline
from longsurv.design.hazards.exponential import ExponentialHazard
from longsurv.design.hazards.mspline import MSpline
from longsurv.design.hazards.piecewise import PiecewiseHazard
from longsurv.design.hazards.weibull import WeibullHazard

__all__ = ["HAZARDS", "Additive", "HazardBaseline"]

HAZARDS: dict[str, type[HazardBaseline]] = {
    one.kind: one for one in (MSpline, ExponentialHazard, WeibullHazard, PiecewiseHazard)
}
"""What `Hazard` calls them; a further one is a file and a name here."""
