"""Baseline hazards on the full likelihood, a file each."""

from longsurv.design.hazards.baseline import Additive, HazardBaseline
from longsurv.design.hazards.exponential import Exponential
from longsurv.design.hazards.mspline import MSpline
from longsurv.design.hazards.piecewise import Piecewise
from longsurv.design.hazards.weibull import Weibull

__all__ = ["HAZARDS", "Additive", "HazardBaseline"]

HAZARDS: dict[str, type[HazardBaseline]] = {
    one.kind: one for one in (MSpline, Exponential, Weibull, Piecewise)
}
"""What `Hazard` calls them; a further one is a file and a name here."""
