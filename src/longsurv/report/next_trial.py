"""The assurance of a next trial in words, as a table on the terminal, and as a file."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from longsurv.files import write_text
from longsurv.numbers import number
from longsurv.report.spreadsheet import spreadsheet_csv

if TYPE_CHECKING:
    from longsurv.simulate.next_trial import NextTrial

ENOUGH = 0.8


def next_trial_sentences(found: NextTrial) -> list[str]:
    """What the simulation says, from its own table."""
    table = found.table
    sizes = sorted(set(table["n"]))
    sentences = [
        f"Randomised trials of {found.group} against {found.reference}, {sizes[0]:,} to"
        f" {sizes[-1]:,} patients in two equal groups, followed to {found.horizon:g}, were"
        f" simulated: the hazard ratio is drawn from this study's posterior under each prior, the"
        f" risk of {found.reference} from its own (median {100 * found.risk:.0f} %). Assurance is"
        " the share of trials that end with P(hazard ratio < 1) > 0.95 under a Normal(0, 1) prior,"
        " or with p < 0.05 in favour."
    ]
    for name, part in table.groupby("prior", sort=False):
        enough = part.loc[part["assurance"] >= ENOUGH, "n"]
        largest = part.sort_values("n").iloc[-1]
        ceiling = (
            f"the more patients, the nearer it comes to {_percent(largest['prob_benefit'])}, the"
            " probability of a hazard ratio below 1 after this study"
        )
        reached = (
            f"{int(enough.min()):,} patients have an assurance of 80 %"
            if len(enough)
            else f"no size tried has an assurance of 80 % ({_percent(largest['assurance'])} with"
            f" {int(largest['n']):,})"
        )
        sentences.append(f"Under the {name} prior {reached}; {ceiling}.")
    worst = table.loc[table["type_m"].idxmax()] if table["type_m"].notna().any() else None
    if worst is not None and worst["type_m"] > 1.2:
        sentences.append(
            f"Significant trials overstate the effect most under the {worst['prior']} prior with"
            f" {int(worst['n']):,} patients, {worst['type_m']:.1f} times, and"
            f" {_percent(worst['type_s'])} of them have the wrong sign."
        )
    return sentences


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.0f} %"


def next_trial_table(found: NextTrial) -> pd.DataFrame:
    """The table as a reader sees it."""
    table = found.table
    return pd.DataFrame({
        "prior": table["prior"], "patients": table["n"], "deaths": table["events"].round(1),
        "P(HR < 1) believed, %": (100 * table["prob_benefit"]).round(0),
        "assurance, %": _with_error(table["assurance"], table["assurance_mcse"]),
        "assurance by p, %": _with_error(table["assurance_p"], table["assurance_p_mcse"]),
        "upper / lower limit": table["interval"].map(lambda v: number(v, 2)),
        "type S, %": (100 * table["type_s"]).map(lambda v: number(v, 2)),
        "type M": table["type_m"].map(lambda v: number(v, 2)),
    })  # fmt: skip


def _with_error(share: pd.Series, error: pd.Series) -> list[str]:
    return [f"{100 * s:.1f} ({100 * e:.1f})" for s, e in zip(share, error, strict=True)]


def next_trial_lines(found: NextTrial) -> list[str]:
    """The words and the table for the terminal."""
    from textwrap import fill

    lines = [f"{found.title or 'Study'}: what a next trial would show"]
    if found.note:
        lines.append(fill(found.note, 96, initial_indent="  ", subsequent_indent="  "))
    lines.append("")
    for sentence in next_trial_sentences(found):
        lines.append(fill(sentence, 96, initial_indent="  ", subsequent_indent="  "))
    return [*lines, "", next_trial_table(found).to_string(index=False)]


def write_next_trial(found: NextTrial, path: Path) -> Path:
    """Write the table as CSV, or everything as one HTML page, by the end of the file's name."""
    if path.suffix.lower() == ".csv":
        return write_text(path, spreadsheet_csv(found.table))
    return write_text(path, next_trial_page(found))


def next_trial_page(found: NextTrial) -> str:
    """The words, the figure and the table as one self-contained HTML page."""
    from importlib.resources import files

    from markupsafe import Markup

    from longsurv.figures.next_trial import next_trial_axes
    from longsurv.figures.svg import to_svg
    from longsurv.report.page import _environment

    label = "Assurance by the size of the next trial; the numbers are in the table."
    css = files("longsurv.report").joinpath("templates/page.css").read_text(encoding="utf-8")
    figure = to_svg(next_trial_axes(found.table).figure, "assurance", label)
    page = (
        _environment()
        .get_template("simulation.html.j2")
        .render(
            title=f"{found.title or 'Study'}: a next trial",
            note=found.note,
            sentences=next_trial_sentences(found),
            css=Markup(css),
            figure=Markup(figure),
            table=Markup(_table_html(found)),
            footer=f"Seed {found.seed}; {int(found.table['trials'].iloc[0]):,} trials a row.",
        )
    )
    return re.sub(r"(\d) %", "\\1\N{NO-BREAK SPACE}%", page)


def _table_html(found: NextTrial) -> str:
    body = next_trial_table(found).to_html(index=False, border=0, escape=True)
    return f'<div class="table" tabindex="0">{body}</div>'
