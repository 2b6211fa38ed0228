"""A simulation in words, as a table on the terminal, and as a file."""

from __future__ import annotations

import html
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from longsurv.files import write_text
from longsurv.numbers import number
from longsurv.records import Record
from longsurv.report.spreadsheet import spreadsheet_csv
from longsurv.simulate.worlds import Effect
from longsurv.study import MORTALITY
from longsurv.words import listed, plural

if TYPE_CHECKING:
    from longsurv.simulate.characteristics import Simulation

ENOUGH_POWER = 0.8
KEYS = ["label", "estimand", "level"]


def simulation_sentences(simulation: Simulation) -> list[str]:
    """What the simulation says, from its own table."""
    table = simulation.table
    sentences = [
        f"{simulation.cohorts:,} cohorts with the patients, visits and gaps of this one were"
        " simulated from the models fitted to it, with true effects of several sizes, and each was"
        " analysed as the study is. An effect counts as found where its 95 % interval is clear of"
        " no effect."
    ]
    markers = table[table["name"] != MORTALITY]
    hazard = table[table["estimand"] == "hazard ratio"]
    for effect in dict.fromkeys(markers.loc[~markers["truth_is_null"], "effect"]):
        sentences.append(_of_markers(markers[markers["effect"] == effect], str(effect)))
    for row in hazard[~hazard["truth_is_null"]].to_dict("records"):
        sentences.append(_of_hazard(row))
    null = table[table["truth_is_null"]]
    if len(null):
        low, high = null["power"].min(), null["power"].max()
        sentences.append(
            f"With no true effect, one is found nevertheless in {_percent(low)} to"
            f" {_percent(high)} of the cohorts, depending on what is estimated; 5 % are meant"
            f" (Monte Carlo standard error up to {_percent(null['power_mcse'].max())})."
        )
    short = table[table["coverage"] + 3 * table["coverage_mcse"] < 0.95]
    if len(short):
        named = listed([f"{r['label']} ({r['effect']})" for r in short.to_dict("records")])
        sentences.append(
            "Intervals hold the truth less often than in 95 % of the cohorts, by more than chance,"
            f" for {named}."
        )
    lost = table[table["estimated"] < table["cohorts"]]
    if len(lost):
        most = int((lost["cohorts"] - lost["estimated"]).max())
        sentences.append(
            f"In up to {plural(most, 'cohort')} the estimate could not be had (no events, say);"
            " these count as cohorts in which no effect was found."
        )
    if "fitted" in set(table["effect"]):
        sentences.append(
            "Power at the fitted effect only says again what the p value of the study says; the"
            " other sizes, chosen without looking at the result, are the ones to plan with."
        )
    return sentences + [f"{what} was not simulated: {why}." for what, why in
                        simulation.failures.items()]  # fmt: skip


def _of_markers(rows: pd.DataFrame, effect: str) -> str:
    enough = rows.loc[rows["power"] >= ENOUGH_POWER, "label"].tolist()
    least = rows.sort_values("power").iloc[0]
    which = f" ({listed(enough)})" if enough else ""
    words = (
        f"Were the differences in change {_size(effect)}, {len(enough) or 'none'} of {len(rows)}"
        f" would be found in at least 80 % of such cohorts{which}; the least often found is"
        f" {least['label']}, in {_percent(least['power'])}."
    )
    worst = rows[rows["type_m"] == rows["type_m"].max()]
    if len(worst) and worst.iloc[0]["type_m"] > 1.5:
        row = worst.iloc[0]
        words += (
            f" In the cohorts that find {row['label']}, its size (on the scale of the model) is"
            f" {row['type_m']:.1f} times too large on average and its sign is wrong in"
            f" {_percent(row['type_s'])}."
        )
    return words


def _of_hazard(row: Record) -> str:
    words = (
        f"Were the hazard ratio of {row['level']} {number(row['truth'])}, it would be found in"
        f" {_percent(row['power'])} of such cohorts."
    )
    if not math.isnan(row["type_m"]):
        words += (
            f" In those its logarithm is {row['type_m']:.1f} times too large on average and its"
            f" direction is wrong in {_percent(row['type_s'])}."
        )
    return words


def _size(effect: str) -> str:
    """An effect's label after "were the differences in change"."""
    given = Effect.parse(effect)
    if given.kind == "sd":
        return f"{given.size:g} standard deviations of the marker at baseline"
    known = {"half": "half as large as fitted", "fitted": "as large as fitted",
             "double": "twice as large as fitted"}  # fmt: skip
    return known.get(effect, f"{effect} times as large as fitted")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def power_table(simulation: Simulation) -> pd.DataFrame:
    """Power in percent, a row an estimand and a column a size of the effect."""
    table = simulation.table
    wide = table.assign(power=100 * table["power"]).pivot_table(
        index=KEYS, columns="effect", values="power", sort=False
    )
    return wide.reindex(columns=list(dict.fromkeys(table["effect"]))).reset_index()


def simulation_lines(simulation: Simulation) -> list[str]:
    """The words and the power of each estimand for the terminal."""
    from textwrap import fill

    lines = [f"{simulation.title or 'Study'}: what a cohort like this one could show"]
    if simulation.note:
        lines.append(fill(simulation.note, 96, initial_indent="  ", subsequent_indent="  "))
    lines.append("")
    for sentence in simulation_sentences(simulation):
        lines.append(fill(sentence, 96, initial_indent="  ", subsequent_indent="  "))
    wide = power_table(simulation)
    if wide["level"].nunique() == 1:
        wide = wide.drop(columns="level")
    lines.append("\nPower, % of cohorts, by the true effect\n")
    lines.append(wide.to_string(index=False, float_format=lambda v: f"{v:.0f}", na_rep="-"))
    return lines


def write_simulation(simulation: Simulation, path: Path) -> Path:
    """Write the table as CSV, or everything as one HTML page, by the end of the file's name."""
    if path.suffix.lower() == ".csv":
        text = spreadsheet_csv(simulation.table)
    else:
        text = simulation_page(simulation)
    return write_text(path, text)


def simulation_page(simulation: Simulation) -> str:
    """The words, the figure and the table as one self-contained HTML page."""
    from importlib.resources import files

    from markupsafe import Markup

    from longsurv.figures.simulation import simulation_axes
    from longsurv.figures.svg import to_svg
    from longsurv.report.page import _environment

    axes = simulation_axes(simulation.table)
    label = "Power of each estimand by the size of the true effect; the numbers are in the table."
    css = files("longsurv.report").joinpath("templates/page.css").read_text(encoding="utf-8")
    page = (
        _environment()
        .get_template("simulation.html.j2")
        .render(
            title=simulation.title or "Simulation",
            note=simulation.note,
            sentences=simulation_sentences(simulation),
            css=Markup(css),
            figure=Markup(to_svg(axes.figure, "power", label)),
            table=Markup(_table_html(simulation)),
            footer=f"Seed {simulation.seed}; {simulation.cohorts:,} cohorts.",
        )
    )
    return re.sub(r"(\d) %", "\\1\N{NO-BREAK SPACE}%", page)


def simulation_html(simulation: Simulation) -> str:
    """For notebooks: the words and the table."""
    words = "".join(f"<p>{html.escape(s)}</p>" for s in simulation_sentences(simulation))
    return f"<div>{words}{_table_html(simulation)}</div>"


def _table_html(simulation: Simulation) -> str:
    table = simulation.table
    shown = pd.DataFrame(
        {
            "": table["label"],
            "estimand": table["estimand"],
            "group": table["level"],
            "true effect": table["effect"],
            "truth": table["truth"].map(number),
            "power, %": _with_error(table["power"], table["power_mcse"]),
            "coverage, %": _with_error(table["coverage"], table["coverage_mcse"]),
            "bias": table["bias"].map(number),
            "SD": table["spread"].map(number),
            "type S, %": (100 * table["type_s"]).map(lambda v: number(v, 2)),
            "type M": table["type_m"].map(lambda v: number(v, 2)),
        }
    )
    body = shown.to_html(index=False, border=0, escape=True)
    return f'<div class="table" tabindex="0">{body}</div>'


def _with_error(share: pd.Series, error: pd.Series) -> list[str]:
    return [
        f"{100 * s:.1f} ({100 * e:.1f})" if not math.isnan(s) else number(s)
        for s, e in zip(share, error, strict=True)
    ]
