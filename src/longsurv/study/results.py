"""What came of a study: the models by both engines, and the tables made from them."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from longsurv.arguments import check_methods
from longsurv.cohort import Cohort
from longsurv.faults import Faults

if TYPE_CHECKING:
    from longsurv.diagnostics import Verdict
    from longsurv.results import Estimate, Posterior
    from longsurv.study.study import Study

MORTALITY = "mortality"


@dataclass(frozen=True)
class ModelResult:
    """One model by both engines.

    Attributes
    ----------
    name : str
        A marker's name, or "mortality".
    formula : str
    data : DataFrame
        The rows the model was given.
    fit : Estimate or None
    post : Posterior or None
    reasons : mapping of str to str
        Engine ("ml", "bayes") to why it has no answer.
    seconds : mapping of str to float
        Engine to the time it took, when it was first run if it came from the store.
    """

    name: str
    formula: str
    data: pd.DataFrame
    fit: Estimate | None = None
    post: Posterior | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def answers(self) -> dict[str, Any]:
        """Engine to Estimate or Posterior, only those there are."""
        both = {"ml": self.fit, "bayes": self.post}
        return {engine: result for engine, result in both.items() if result is not None}


@check_methods
@dataclass(frozen=True)
class StudyResults:
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

    study: Study
    parts: Mapping[str, Any]
    failures: Mapping[str, str]
    quick: bool
    versions: Mapping[str, str]
    data_hash: str
    seconds: float
    computed: int = 0
    reused: int = 0
    faults: Faults = field(default_factory=Faults)

    @property
    def cohort(self) -> Cohort:
        """The cohort the study was run on."""
        return self.study.cohort

    @property
    def markers(self) -> Mapping[str, ModelResult]:
        """The trajectory models by marker."""
        return self.parts["markers"]

    @property
    def mortality(self) -> ModelResult:
        """The mortality model."""
        return self.parts[MORTALITY]

    @property
    def models(self) -> dict[str, ModelResult]:
        """Every model, mortality last."""
        return {**self.markers, MORTALITY: self.mortality}

    @property
    def all_models(self) -> tuple[tuple[str, ModelResult], ...]:
        """Those, the models of scores and the joint models, each with what a reader calls it."""
        markers = self.cohort.markers
        found = [(markers[name].label, model) for name, model in self.markers.items()]
        for score in getattr(self.parts.get("scores"), "scores", ()):
            found += [(f"{score.marker.label}, {k}", model) for k, model in score.models.items()]
        found.append(("Mortality", self.mortality))
        for name, result in getattr(self.parts.get("joint"), "results", {}).items():
            found.append((f"{markers[name].label} and outcome, joint", result.model))
        return tuple(found)

    @cached_property
    def verdicts(self) -> dict[tuple[str, str], Verdict]:
        """Whether each fit can be trusted, by the model's name and its engine."""
        return {
            (model.name, engine): result.diagnose()
            for _, model in self.all_models
            for engine, result in model.answers.items()
        }

    @cached_property
    def missing(self) -> dict[str, str]:
        """What could not be estimated, as a reader would call it, and why."""
        from longsurv.study.missing import missing

        return missing(self)

    @cached_property
    def changes(self) -> pd.DataFrame:
        """The difference in change of every marker by both engines, one row an answer.

        Columns `marker`, `label`, `unit`, `direction`, `level`, `start`, `end`, `engine`,
        `scale` ("difference" or "ratio"), `estimate`, `conf_low`, `conf_high` on that scale;
        `std_estimate`, `std_low`, `std_high` in standard deviations of the marker at baseline
        (of its logarithm for a ratio); `p_value`, `p_holm`, `p_fdr` (maximum likelihood),
        `prob_positive` (Bayes); `reason` why there is no answer.
        """
        from longsurv.report.tables.changes import changes_table

        return changes_table(self)

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table of the report as a DataFrame."""
        from longsurv.report.tables.study import study_tables

        return study_tables(self)

    def report(self, path: str | Path = "report.html") -> Path:
        """Write the report, one self-contained HTML file.

        Parameters
        ----------
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
        from longsurv.report.files import writable, write_text
        from longsurv.report.page import render_page

        target = write_text(writable(path), render_page(self))
        self.faults.write_log(target.with_suffix(".log"))
        return target

    def __repr__(self) -> str:
        failed = [name for name, model in self.models.items() if model.reasons]
        return (
            f"StudyResults({self.cohort.title!r}: {len(self.markers)} markers and mortality,"
            f" {len(failed)} without an answer from both engines; seed {self.study.sampling.seed})"
        )

    def _repr_html_(self) -> str:
        from longsurv.report.sections.answer import short_answer

        answer = short_answer(self)
        items = "".join(f"<li>{html.escape(s)}</li>" for s in answer.sentences if s)
        return f"<div><strong>{html.escape(answer.question)}</strong><ul>{items}</ul></div>"
