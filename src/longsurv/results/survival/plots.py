"""Survival as a fitted model says it is, over Kaplan and Meier's curves and the numbers at risk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from longsurv import numbers
from longsurv.design.windows import check_known
from longsurv.estimands.standardised import SurvivalResult
from longsurv.estimands.survival_by_group import numbers_at_risk, risk_times, survival_curves
from longsurv.estimands.treatments import levels_of
from longsurv.figures import kaplan_meier
from longsurv.figures.place import described, place_of, warned
from longsurv.results.groupings import group_variable
from longsurv.results.survival.by_group import follow_up_of, standardised_curves, times_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def survival(
    result: SurvivalResult, by: str | None, horizon: float | None, level: float, ax: object
) -> Axes:
    """Mean survival of the patients under each level of a variable."""
    design, data = result.design, result.spec.data
    check_known(design.windows, "Kaplan and Meier's curves need")
    patients = data.iloc[design.rows[design.first_rows]]
    by = group_variable(by, design.fixed, patients)
    levels = ["all"] if by is None else levels_of(patients[by])
    times = times_of(design, horizon)
    fitted = standardised_curves(result, by, levels, times, level)
    followed = follow_up_of(design, data, by)
    groups, end = [str(one) for one in levels], float(times[-1])
    observed = survival_curves(followed, "group", groups)
    observed = observed[observed["time"] <= end]
    ticks = risk_times(float(times[0]), end, "")
    if len(ticks) > 2 and ticks[0] != float(f"{ticks[0]:.3g}"):
        ticks = ticks[1:]  # nobody reads a first entry to all its digits
    at_risk = numbers_at_risk(followed, "group", groups, ticks)
    drawn = kaplan_meier(
        observed, at_risk, groups=groups, xlabel=design.formula.surv[-2], fitted=fitted,
        ax=place_of(ax),
    )  # fmt: skip
    warned(drawn, result.headings)
    return described(drawn, _sentence(result, fitted, end))


def _sentence(result: SurvivalResult, fitted: pd.DataFrame, end: float) -> str:
    last = fitted.groupby("group", sort=False)["estimate"].last()
    said = "; ".join(f"{group} {numbers.number(value)}" for group, value in last.items())
    warnings = "".join(f" {text}." for text in result.headings)
    return (
        f"Mean survival of the patients as the model says, at {end:g}: {said}. Faint steps are"
        f" Kaplan and Meier's estimate.{warnings}"
    )
