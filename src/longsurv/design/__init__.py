"""From a formula and a table to frozen arrays, with the recipe to rebuild them for new data."""

from longsurv.design.fixed import FixedDesign
from longsurv.design.formula import Formula, RandomTerm, parse
from longsurv.design.mixed import MixedDesign, check_variation, mixed_design
from longsurv.design.residual import Residual
from longsurv.design.survival import SurvivalDesign, survival_design

__all__ = [
    "FixedDesign",
    "Formula",
    "MixedDesign",
    "RandomTerm",
    "Residual",
    "SurvivalDesign",
    "check_variation",
    "mixed_design",
    "parse",
    "survival_design",
]
