"""Every figure of the report: a function from plain DataFrames to matplotlib Axes."""

from longsurv.report.figures.forest import forest
from longsurv.report.figures.kaplan_meier import kaplan_meier
from longsurv.report.figures.svg import to_svg
from longsurv.report.figures.trajectories import trajectories, trajectory

__all__ = ["forest", "kaplan_meier", "to_svg", "trajectories", "trajectory"]
