"""Whether the models describe the data: a line each, the figures behind folds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv import numbers
from longsurv.estimands.changes import adjusted_p_values
from longsurv.figures.checks import residuals_over_time
from longsurv.figures.model_checks import (
    bends,
    positions,
    quantile_panels,
    replicated,
    residual_panels,
)
from longsurv.report import sentences_checks
from longsurv.report.sections.common import Picture
from longsurv.report.sections.mortality_part import Part
from longsurv.report.sections.trajectories import FEWEST
from longsurv.study.beyond import counted_beyond
from longsurv.study.criticism import CRITICISM, TRAJECTORY, Criticism
from longsurv.study.terms import level_of, treatment_terms
from longsurv.tables.display import Column, DisplayTable, display

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.study import StudyResults

TITLE = "Do the models describe the data?"
MOST_TOLD = 4
BANDED = ["theoretical", "observed", "low", "high"]


def build(results: StudyResults) -> Part | None:
    """The lines, and figures and tables behind folds; None where nothing was checked."""
    found: Criticism | None = results.parts.get(CRITICISM)
    if found is None:
        why = results.failures.get(CRITICISM, "")
        return Part(TITLE, (sentences_checks.not_criticised(why),)) if why else None
    lines: list[str] = []
    more: list[Picture | DisplayTable] = []
    for make in (_residuals, _replicates, _hazards, _lines):
        line, folded = make(results, found)
        lines += [line] if line else []
        more += folded
    more += [_missing(found)] if len(found.missing) else []
    return Part(TITLE, tuple(lines), tuple(more))


type Made = tuple[str, list[Picture | DisplayTable]]


def _residuals(results: StudyResults, found: Criticism) -> Made:
    if found.residuals.empty:
        return "", []
    bands = found.residuals
    out = (bands["observed"] < bands["low"]) | (bands["observed"] > bands["high"])
    text = sentences_checks.residuals(
        len(bands.groupby(["model", "label"])), _of_models(found.quantiles["out"], found.quantiles),
        _of_models(out, bands), MOST_TOLD,
    )  # fmt: skip
    pictures: list[Picture | DisplayTable] = []
    for model, part in bands.groupby("model", sort=False):
        quantiles = found.quantiles[found.quantiles["model"] == model]
        pictures += _drawn_residuals(results, str(model), quantiles, part, text)
    return text, pictures


def _of_models(out: pd.Series, table: pd.DataFrame) -> list[str]:
    """Models of which anything is out, in words."""
    return [
        label if model == TRAJECTORY else f"{label}, adjusted"
        for (model, label), part in out.groupby([table["model"], table["label"]], sort=False)
        if part.any()
    ]


def _drawn_residuals(
    results: StudyResults, model: str, quantiles: pd.DataFrame, bands: pd.DataFrame, text: str
) -> list[Picture]:
    """Both figures of one kind of model, a panel a marker."""
    named = results.study.show_patients
    curves = {
        str(label): part if named else averaged(part)
        for label, part in quantiles.groupby("label", sort=False)
    }
    spread = {str(label): part for label, part in bands.groupby("label", sort=False)}

    def draw_quantiles(width: float) -> Axes:
        return quantile_panels(curves, points=named, width=width)

    def draw_residuals(width: float) -> Axes:
        return residual_panels(spread, width=width)

    each = "" if named else f" Each point is the mean of {FEWEST} neighbours."
    if model == TRAJECTORY and counted_beyond(results):
        each += " Where values lie beyond a limit, residuals are randomised quantile ones."
    if model != TRAJECTORY:
        names, more = ("quantiles-adjusted", "residual-bands-adjusted"), ", adjusted"
        captions = [
            "As for the trajectories, of each marker's change adjusted for its baseline value."
            f"{each}",
            "As for the trajectories, of the adjusted changes; the bands need no shrinkage.",
        ]
    else:
        names, more = ("quantiles", "residual-bands"), ""
        captions = [
            "Scaled residuals of each marker's model by maximum likelihood, in order, against"
            " normal quantiles. Grey: the band that holds all of them with probability 95 % if the"
            f" model is right; red: outside it.{each}",
            "Studentised residuals over the fitted values, in bins: their mean (dots) and spread"
            " (squares). Grey: bands that hold both curves with probability 95 % if the model is"
            " right, shrinkage included.",
        ]
    return [
        Picture(
            names[0], draw_quantiles, f"Quantiles of scaled residuals{more}. {text}", captions[0],
            f"Quantiles of residuals{more}",
        ),
        Picture(
            names[1], draw_residuals, f"Mean and spread of residuals{more}. {text}", captions[1],
            f"Residuals over the fitted values{more}",
        ),
    ]  # fmt: skip


def averaged(part: pd.DataFrame, size: int = FEWEST) -> pd.DataFrame:
    """Means of so many neighbours each: no value of one patient.

    Parameters
    ----------
    part : DataFrame
        theoretical, observed, low, high, in order.
    size : int
        The last group takes what is left over.

    Returns
    -------
    DataFrame
    """
    groups = np.minimum(np.arange(len(part)) // size, max(len(part) // size - 1, 0))
    return part[BANDED].groupby(groups).mean().reset_index(drop=True)


def _replicates(results: StudyResults, found: Criticism) -> Made:
    if found.replicates.empty:
        return "", []
    table = found.replicates_in(results.cohort.schema.time_unit)
    out = table[np.abs(positions(table)) > 1]
    names = [f"{row['label']}: {row['statistic']}" for row in out.to_dict("records")]
    text = sentences_checks.replicates(table["label"].nunique(), len(table), names, MOST_TOLD)
    measured = _of_many(found.measured)
    shown = measured.assign(row=measured["label"], panel=measured["statistic"])

    def draw(width: float) -> Axes:
        return replicated(shown, width=width)

    columns = [
        Column("Statistic", "statistic", numeric=False),
        Column("Models", "models"),
        Column("Furthest out in", "label", numeric=False),
        Column("Observed", lambda row: numbers.number(row["observed"])),
        Column(
            "Replicated (95 %)",
            lambda row: numbers.difference(row["replicated"], row["conf_low"], row["conf_high"]),
        ),
        Column("p", lambda row: numbers.probability(row["p_value"])),
    ]
    note = (
        "A row for each statistic, of the model whose data lie furthest from the middle of their"
        " replicates, and for every other that lies outside; on the scale of analysis. p: share of"
        " replicates with at least the observed value; near 0 or 1 where the model misses"
        " something."
    )
    caption = "Data replicated from every posterior, the furthest"
    return text, [
        Picture(
            "replicates", draw, text,
            "Statistics of the data among those of replicates (posterior predictive check). Grey:"
            " where 95 % of the replicates lie; dot: the data; red: outside. Replicates are the"
            " same patients measured again at the same times. Statistics of few models are in the"
            " table only.",
            "Data replicated from every posterior",
        ),
        display(furthest(table), caption, columns, note, name="replicated"),
    ]  # fmt: skip


def _of_many(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of statistics that at least half as many models have as of any other."""
    models = table.groupby("statistic")["statistic"].transform("size")
    return table[2 * models >= models.max()]


def furthest(table: pd.DataFrame) -> pd.DataFrame:
    """Of each statistic the row furthest out, and all others outside their interval.

    Parameters
    ----------
    table : DataFrame
        `Criticism.replicates`.

    Returns
    -------
    DataFrame
        Its rows and columns, with `models`: of how many rows the statistic is.
    """
    away = np.abs(positions(table))
    by = table.groupby("statistic", sort=False)["statistic"]
    ranked = table.assign(away=away, models=by.transform("size"), order=by.ngroup())
    first = ~ranked.sort_values("away", ascending=False, kind="stable").duplicated("statistic")
    chosen = ranked[first.sort_index() | (away > 1)]
    return chosen.sort_values(["order", "away"], ascending=[True, False], kind="stable").drop(
        columns=["away", "order"]
    )


def _hazards(results: StudyResults, found: Criticism) -> Made:
    table = found.hazards
    if table.empty:
        return "", []
    events, trend = len(found.trend), found.trend
    whole = table.iloc[-1]
    named = {row["term"]: _term(results, row["term"]) for row in table.to_dict("records")}
    low = [named[row["term"]] for row in table.iloc[:-1].to_dict("records")
           if row["p_value"] < sentences_checks.LOW]  # fmt: skip
    text = sentences_checks.proportional(float(whole["p_value"]), events, len(table) - 1, low)
    terms = [name for name in trend if name not in ("time", "label")]
    schema = results.cohort.schema
    points = results.study.show_patients

    def draw(width: float) -> Axes:
        return residuals_over_time(
            trend["time"].to_numpy(dtype=float),
            {_term(results, name): trend[name].to_numpy(dtype=float) for name in terms},
            xlabel=schema.time_unit.capitalize(), points=points, width=width,
        )  # fmt: skip

    columns = [
        Column("Comparison", lambda row: named[row["term"]], numeric=False),
        Column("Chi-squared", lambda row: numbers.number(row["statistic"])),
        Column("df", lambda row: f"{row['df']:.0f}"),
        Column("p", lambda row: numbers.p_value(row["p_value"])),
    ]
    note = "Grambsch and Therneau's score test against one minus the Kaplan-Meier estimate."
    # One coefficient is all of them together.
    rows = table if len(table) > 2 else table.iloc[:1]
    shown = display(rows, "Test of proportional hazards", columns, note, name="proportional")
    if not points and events < 2 * FEWEST:
        return text, [shown]
    picture = Picture(
        "hazards-over-time", draw, text,
        "Scaled Schoenfeld residuals of each coefficient with their running mean over a quarter of"
        " the events: level where the hazard ratio stays the same.",
        "Hazard ratios over time",
    )  # fmt: skip
    return text, [picture, shown]


def _lines(results: StudyResults, found: Criticism) -> Made:
    table = found.lines
    if table.empty:
        return sentences_checks.no_lines(), []
    names = [f"{row['label']}, {row['covariate']}" for row in table.to_dict("records")]
    table = table.assign(name=names, p_holm=adjusted_p_values(table["p_value"], "holm"))
    tested = table[table["p_value"].notna()].sort_values("p_value", kind="stable")
    text = sentences_checks.straight(
        [(row["name"], row["p_value"], row["p_holm"]) for row in tested.to_dict("records")]
    )
    curves = found.curves
    if len(curves):
        one = curves["covariate"].nunique() == 1 and not curves.duplicated(["label", "x"]).any()
        named = curves["label"] if one else curves["label"] + ", " + curves["covariate"]
        curves = curves.assign(term=named)

    def draw(width: float) -> Axes:
        return bends(curves, width=width)

    columns = [
        Column("Model, covariate", "name", numeric=False),
        Column("Statistic of the square", lambda row: numbers.number(row["statistic"])),
        Column("p", lambda row: numbers.p_value(row["p_value"])),
        Column("p, Holm", lambda row: numbers.p_value(row["p_holm"])),
        Column("Remark", "reason", numeric=False, prose=True),
    ]
    shown = display(table, "Straight lines against bends", columns, name="linearity")
    if curves.empty:
        return text, [shown]
    picture = Picture(
        "bends", draw, text,
        "Effect of each covariate against that in the middle of its range, between its 5 % and 95 %"
        " quantiles: as the model has it (full), and with its square besides (dashed, 95 % band).",
        "Straight lines and bends, drawn",
    )  # fmt: skip
    return text, [picture, shown]


def _missing(found: Criticism) -> DisplayTable:
    columns = [
        Column("Model", "label", numeric=False),
        Column("Check", "check", numeric=False),
        Column("Why it was not made", "reason", numeric=False, prose=True),
    ]
    return display(found.missing, "Checks that could not be made", columns, name="unchecked")


def _term(results: StudyResults, term: str) -> str:
    """A coefficient as a reader would say it."""
    if term == "GLOBAL":
        return "All together"
    for level, name in treatment_terms(results.mortality, results.cohort).items():
        if name == term:
            return f"{level} against {results.cohort.groups[0]}"
    compared = level_of(term)
    return ": ".join(compared) if compared else term
