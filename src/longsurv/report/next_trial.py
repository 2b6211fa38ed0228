"""The assurance of a next trial in words, as a table on the terminal, and as a file."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from longsurv.files import write_text
from longsurv.numbers import number
from longsurv.report.spreadsheet import spreadsheet_csv
from longsurv.words import capital

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


def next_trial_lines(found: Sequence[NextTrial]) -> list[str]:
    """The words and the tables of one study's next trials, one a comparison, for the terminal."""
    from textwrap import fill

    first = found[0]
    lines = [f"{first.title or 'Study'}: what a next trial would show"]
    if first.note:
        lines.append(fill(first.note, 96, initial_indent="  ", subsequent_indent="  "))
    for one in found:
        lines += ["", *([] if one is found[-1] and one is first else [_against(one)])]
        for sentence in next_trial_sentences(one):
            lines.append(fill(sentence, 96, initial_indent="  ", subsequent_indent="  "))
        lines += ["", next_trial_table(one).to_string(index=False)]
    return lines


def _against(found: NextTrial) -> str:
    return f"{capital(found.group)} against {found.reference}"


def write_next_trial(found: Sequence[NextTrial], path: Path) -> Path:
    """Write the tables as one CSV, or everything as one HTML page, by the end of the file's name.

    Of several comparisons the CSV has their names in its first column, `comparison`.
    """
    if path.suffix.lower() == ".csv":
        tables = [one.table for one in found]
        if len(found) > 1:
            names = (f"{one.group} - {one.reference}" for one in found)
            tables = [
                pd.concat({name: table}, names=["comparison"]).reset_index("comparison")
                for name, table in zip(names, tables, strict=True)
            ]
        return write_text(path, spreadsheet_csv(pd.concat(tables, ignore_index=True)))
    return write_text(path, next_trial_page(found))


def next_trial_page(found: Sequence[NextTrial]) -> str:
    """The words, the figures and the tables as one self-contained HTML page."""
    from importlib.resources import files

    from markupsafe import Markup

    from longsurv.report.page import _environment

    first = found[0]
    css = files("longsurv.report").joinpath("templates/page.css").read_text(encoding="utf-8")
    page = (
        _environment()
        .get_template("next_trial.html.j2")
        .render(
            title=f"{first.title or 'Study'}: a next trial",
            note=first.note,
            css=Markup(css),
            parts=[
                {
                    "heading": _against(one) if len(found) > 1 else "",
                    "sentences": next_trial_sentences(one),
                    "figure": Markup(_figure(one, place)),
                    "table": Markup(_table_html(one)),
                }
                for place, one in enumerate(found)
            ],
            footer=f"Seed {first.seed}; {int(first.table['trials'].iloc[0]):,} trials a row.",
        )
    )
    return re.sub(r"(\d) %", "\\1\N{NO-BREAK SPACE}%", page)


def _figure(found: NextTrial, place: int) -> str:
    from longsurv.figures.next_trial import next_trial_axes
    from longsurv.figures.svg import to_svg

    label = "Assurance by the size of the next trial; the numbers are in the table."
    return to_svg(next_trial_axes(found.table).figure, f"assurance{place or ''}", label)


def _table_html(found: NextTrial) -> str:
    body = next_trial_table(found).to_html(index=False, border=0, escape=True)
    return f'<div class="table" tabindex="0">{body}</div>'
