"""Every figure, for the report and `plot()`: a function from plain DataFrames to Axes."""

from longsurv.figures.forest import forest, method_forest
from longsurv.figures.incidence import incidence
from longsurv.figures.kaplan_meier import kaplan_meier
from longsurv.figures.prior_grid import prior_grid
from longsurv.figures.svg import to_svg
from longsurv.figures.tipping import tipping
from longsurv.figures.trajectories import trajectory

__all__ = [
    "forest",
    "incidence",
    "kaplan_meier",
    "method_forest",
    "prior_grid",
    "tipping",
    "to_svg",
    "trajectory",
]
