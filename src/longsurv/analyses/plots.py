"""Figures of what analyses found, from their tables; the drawings are the report's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv import numbers
from longsurv.errors import EstimationError
from longsurv.estimands.densities import ratio_densities
from longsurv.figures import forest, incidence, method_forest, prior_grid
from longsurv.figures.adjustments import adjustments
from longsurv.figures.place import described, place_of
from longsurv.figures.subgroups import subgroup_forest, subgroup_rows
from longsurv.priors import Prior
from longsurv.words import capital

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INTERVAL = ["estimate", "conf_low", "conf_high"]
ENGINES = {"frequentist": "Frequentist", "ml": "Maximum likelihood", "bayes": "Bayes"}
ENGINES |= {"shrunken": "Shrunken"}
APPROACHES = {"simple": "Simple", "exact": "Exact", "model": "Models"}


def adjusted_changes(table: pd.DataFrame, scale: str, ax: object) -> Axes:
    """Every marker's difference in change under each adjustment."""
    drawn = adjustments(table, scale=scale, ax=place_of(ax))
    said = [
        f"{row['label']}, {row['adjustment_label']}, {ENGINES[row['engine']]} {_text(row, False)}"
        for row in table.to_dict("records")
    ]
    return described(drawn, f"Difference in change: {'; '.join(said)}.")


def methods(table: pd.DataFrame, quantity: str, level: float, ax: object) -> Axes:
    """One quantity by every method."""
    ratio = bool((table["scale"] == "ratio").any())
    shown = table.assign(
        row=table["method"], section=table["approach"].map(APPROACHES),
        series=table["engine"].map(ENGINES), text=[_text(r, ratio) for _, r in table.iterrows()],
    )  # fmt: skip
    shown = shown.drop_duplicates(["section", "row"])
    drawn = method_forest(
        shown, xlabel=capital(quantity) + (" (logarithmic axis)" if ratio else ""), log=ratio,
        text_heading=f"Estimate ({100 * level:g} % interval)", ax=place_of(ax),
    )  # fmt: skip
    said = [f"{row['row']} {row['text']}" for row in shown.to_dict("records")]
    return described(drawn, f"{capital(quantity)} by every method: {'; '.join(said)}.")


def hazard_ratio_under(
    table: pd.DataFrame, draws: Mapping[str, np.ndarray], priors: Mapping[str, Prior], ax: object
) -> Axes:
    """The posterior of a hazard ratio under every prior, with the prior over it."""
    below = 1.0 - table.set_index("prior")["prob_positive"]
    under = {name: f"P(HR < 1) = {numbers.probability(below[name])}" for name in draws}
    drawn = prior_grid(ratio_densities(draws, priors), subtitles=under, ax=place_of(ax))
    said = [
        f"{row['prior']} prior "
        f"{numbers.ratio(row['prior_hr'], row['prior_hr_low'], row['prior_hr_high'])} before, "
        f"{numbers.ratio(row['hr'], row['hr_low'], row['hr_high'])} after"
        for row in table.to_dict("records")
    ]
    return described(drawn, f"Hazard ratio before and after the data: {'; '.join(said)}.")


def incidences(
    curves: pd.DataFrame, groups: Sequence[str], ticks: Sequence[float], xlabel: str, ax: object
) -> Axes:
    """Cumulative incidence of every cause by group."""
    drawn = incidence(curves, groups=groups, xlabel=xlabel, ticks=ticks, ax=place_of(ax))
    last = curves.sort_values("time").groupby(["cause", "group"], sort=False)["estimate"].last()
    said = [f"{cause}, {group}: {100 * v:.1f} %" for (cause, group), v in last.items()]
    return described(drawn, f"Cumulative incidence at the end: {'; '.join(said)}.")


def subgroups(table: pd.DataFrame, quantity: str, level: float, ax: object) -> Axes:
    """The effect in every subgroup, alone and shrunken, over that in all patients."""
    drawn = subgroup_forest(
        table, quantity, text_heading=f"Estimate ({100 * level:g} % interval)", ax=place_of(ax)
    )
    said = [
        f"{row['section']} {row['level']}, {row['series'].lower()} {row['text']}".strip()
        for row in subgroup_rows(table, quantity).to_dict("records")
    ]
    return described(drawn, f"{capital(quantity)} in subgroups: {'; '.join(said)}.")


def markers(effects: Mapping[str, pd.DataFrame], families: Mapping[str, str], ax: object) -> Axes:
    """Effects of many markers in SDs at baseline, by engine, in families.

    Parameters
    ----------
    effects : mapping of str to DataFrame
        By engine: estimate, conf_low, conf_high, one row a marker.
    families : mapping of str to str
        Of each marker.
    ax : Axes, optional
    """
    parts = [
        table.assign(
            row=table.index, series=ENGINES[engine], section=[families[n] for n in table.index],
            text=[_text(row, False) for _, row in table.iterrows()],
        )
        for engine, table in effects.items()
    ]  # fmt: skip
    shown = pd.concat(parts, ignore_index=True)
    if shown["estimate"].isna().all():
        raise EstimationError("no marker has an answer to draw")
    shown = shown.sort_values("section", kind="stable", ignore_index=True)
    drawn = forest(
        shown, xlabel="Difference in change, baseline SD", text_heading="SD (95 % interval)",
        left_label="harm", right_label="benefit", ax=place_of(ax),
    )  # fmt: skip
    said = [f"{row['row']}, {row['series']} {row['text']}" for row in shown.to_dict("records")]
    return described(drawn, f"Difference in change in SDs at baseline: {'; '.join(said)}.")


def _text(row: Mapping[str, object] | pd.Series, ratio: bool) -> str:
    values = [float(str(row[name])) for name in INTERVAL]
    return (numbers.ratio if ratio else numbers.difference)(*values)
