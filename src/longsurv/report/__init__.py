"""Figures, tables, sentences and the page that holds them: shows what a study found.

`write` writes the report; `export.py` writes all of it and the numbers and draws into a folder.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.simulate.characteristics import Simulation
    from longsurv.study import StudyResults
    from longsurv.tables.summary import Summary


def write(results: StudyResults, path: str | Path = "report.html") -> Path:
    """Write the report, one self-contained HTML file.

    Parameters
    ----------
    results : StudyResults
    path : str or Path
        The file to write; its folder must exist.

    Returns
    -------
    Path
        Of the file written. Where something failed unexpectedly, its traceback is in a file of
        the same name with the ending .log.

    Raises
    ------
    LongsurvError
        If the file cannot be written there.
    """
    from longsurv.files import writable, write_text
    from longsurv.report.page import render_page

    target = write_text(writable(path), render_page(results))
    results.faults.write_log(target.with_suffix(".log"))
    return target


def answer_html(results: StudyResults) -> str:
    """The short answer of a study, for a notebook."""
    from longsurv.report.sections.answer import short_answer

    answer = short_answer(results)
    items = "".join(f"<li>{html.escape(s)}</li>" for s in answer.sentences if s)
    return f"<div><strong>{html.escape(answer.question)}</strong><ul>{items}</ul></div>"


def answer_summary(results: StudyResults) -> Summary:
    """The short answer of a study as a summary: question, sentences and the table of both."""
    from longsurv.report.sections.answer import short_answer
    from longsurv.tables.summary import Summary

    answer = short_answer(results)
    return Summary(
        title=results.cohort.title or "A study",
        words=(answer.question, *(s for s in answer.sentences if s)),
        tables=(answer.table,),
    )


def answer_plot(results: StudyResults, ax: object) -> Axes:
    """The report's first figure: every marker's difference in change, or else survival."""
    from longsurv.figures.place import described, place_of
    from longsurv.report.sections import markers, mortality

    where = place_of(ax)
    forest = markers.forest_picture(results, where) if results.markers else None
    picture = forest or mortality.survival_picture(results, where)
    from longsurv.report.sections.answer import short_answer

    answer = short_answer(results)
    said = answer.markers if forest else answer.mortality
    return described(picture.draw(760), " ".join((picture.label, *said)))


def simulation_html(simulation: Simulation) -> str:
    """The words and the table of a simulation, for a notebook."""
    from longsurv.report import simulation as shown

    return shown.simulation_html(simulation)
