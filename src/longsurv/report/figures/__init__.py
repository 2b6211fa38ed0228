"""Every figure of the report: a function from plain DataFrames to matplotlib Axes."""

from longsurv.report.figures.forest import forest, method_forest
from longsurv.report.figures.incidence import incidence
from longsurv.report.figures.kaplan_meier import kaplan_meier
from longsurv.report.figures.prior_grid import prior_grid
from longsurv.report.figures.svg import to_svg
from longsurv.report.figures.tipping import tipping
from longsurv.report.figures.trajectories import trajectories, trajectory

__all__ = [
    "forest",
    "incidence",
    "kaplan_meier",
    "method_forest",
    "prior_grid",
    "tipping",
    "to_svg",
    "trajectories",
    "trajectory",
]
