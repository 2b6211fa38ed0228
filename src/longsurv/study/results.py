"""What came of a study: the models by both engines, and the tables made from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pandas as pd

from longsurv import views
from longsurv.arguments import check_methods
from longsurv.study.found import Found
from longsurv.study.tables.study import study_tables
from longsurv.tables.result import Written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.tables.styles import StyleName
    from longsurv.tables.summary import Summary


@check_methods
@dataclass(frozen=True)
class StudyResults(Found, Written):
    """Everything a study found.

    Attributes
    ----------
    study : Study
        As it was run (with fewer draws if quick).
    parts : mapping of str to object
        What each stage found, by the stage's key: "markers", "mortality", ...
    failures : mapping of str to str
        Stage to why it found nothing.
    quick : bool
    versions : mapping of str to str
        Package to version.
    data_hash : str
        SHA-256 of the two tables in canonical order.
    seconds : float
        How long the whole run took.
    computed, reused : int
        Results made in this run, and taken from the store.
    faults : Faults
        What failed unexpectedly, in the run and since then in its report.
    """

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table of the report as a DataFrame."""
        return study_tables(self)

    def report(self, path: str | Path = "report.html", *, style: StyleName | None = None) -> Path:
        """Write the report, one self-contained HTML file.

        Parameters
        ----------
        path : str or Path
            The file to write; its folder must exist.
        style : {"plain", "nejm", "jama"}, optional
            How the table of patients at baseline is written; as the study says by default.

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
        return views.report().write(self if style is None else self.in_style(style), path)

    def in_style(self, style: StyleName) -> StudyResults:
        """The same results, with another style of the table of patients at baseline.

        Parameters
        ----------
        style : {"plain", "nejm", "jama"}

        Returns
        -------
        StudyResults
        """
        return replace(self, study=replace(self.study, style=style))

    def summary(self) -> Summary:
        """The short answer: the question, the sentences and the table of both engines.

        Returns
        -------
        Summary
            Prints as text and shows itself in a notebook; `to_markdown`, `to_latex` and `to_docx`
            write it for elsewhere. The whole is what `report` writes.
        """
        return cast("Summary", views.report().answer_summary(self))

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the report's first figure: the change of every marker, or survival without markers.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Whose place to take; a new figure otherwise.

        Returns
        -------
        Axes
            Its label says in words what it shows.
        """
        return views.report().answer_plot(self, ax)

    def __repr__(self) -> str:
        failed = [name for name, model in self.models.items() if model.reasons]
        return (
            f"StudyResults({self.cohort.title!r}: {len(self.markers)} markers and mortality,"
            f" {len(failed)} without an answer from both engines; seed {self.study.sampling.seed})"
        )

    def _repr_html_(self) -> str:
        return views.report().answer_html(self)
