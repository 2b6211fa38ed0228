"""A study file, everything it asks for, and the results in one object.

Every model is fitted by both engines. A model that cannot be fitted becomes a row with its reason;
it never stops the rest of the study.
"""

from __future__ import annotations

import html
import re
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from longsurv.cohort import Cohort
from longsurv.cohort.settings import ModelSettings, SamplingSettings, read_study
from longsurv.errors import FormulaError, LongsurvError
from longsurv.estimands.changes import Change

if TYPE_CHECKING:
    from longsurv.results import Estimate, Posterior

MORTALITY = "mortality"
QUICK_DRAWS = 500


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
        Engine to the time it took.
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


@dataclass(frozen=True)
class Study:
    """A cohort, the models to fit to it and how to sample them.

    Parameters
    ----------
    cohort : Cohort
    models : ModelSettings
        Right-hand sides of the trajectory and mortality formulas.
    sampling : SamplingSettings
        Draws per chain, chains, seed.
    """

    cohort: Cohort
    models: ModelSettings
    sampling: SamplingSettings = field(default_factory=SamplingSettings)

    @classmethod
    def from_toml(cls, path: str | Path) -> Study:
        """Read a study file and its tables.

        Raises
        ------
        DataError
            Listing everything wrong with the file or the data.
        """
        read = read_study(path)
        return cls(read.cohort, read.models, read.sampling)

    def with_seed(self, seed: int) -> Study:
        """The same study with another seed."""
        return replace(self, sampling=replace(self.sampling, seed=seed))

    @property
    def change_variable(self) -> str:
        """What a marker changes along: "phase" if the trajectory model has it, else its time."""
        has_phase = re.search(r"\bphase\b", self.models.trajectory) is not None
        return "phase" if has_phase else self.cohort.schema.time

    @property
    def contrasts(self) -> list[Change]:
        """The differences in change to estimate: each later phase, or one unit of time."""
        schema = self.cohort.schema
        reference, *levels = self.cohort.groups
        if self.change_variable == "phase":
            names = [phase.name for phase in schema.phases]
            ends: list[tuple[Any, Any]] = [(names[0], name) for name in names[1:]]
        else:
            ends = [(0.0, 1.0)]
        return [
            Change(self.change_variable, start, end, schema.treatment, level, reference)
            for level in levels
            for start, end in ends
        ]

    def formula_problems(self) -> list[str]:
        """What is wrong with the two formulas, held against the data but without fitting."""
        from longsurv.models import LMM, CoxPH

        specs: list[Any] = [CoxPH(self._mortality_formula, data=self.cohort.survival_data())]
        for name in list(self.cohort.endpoints)[:1]:  # the formula is the same for all
            specs.append(LMM(self._trajectory_formula, data=self._marker_data(name)))
        found = []
        for spec in specs:
            try:
                _ = spec.design
            except FormulaError as error:
                found.append(str(error))
        return found

    def run(self, *, progress: bool = True, quick: bool = False) -> StudyResults:
        """Fit every model by both engines.

        Parameters
        ----------
        progress : bool
            Show a bar with the stage and the time left, if there is a terminal to show it on.
        quick : bool
            Fewer posterior draws, for a first look.

        Returns
        -------
        StudyResults
        """
        from tqdm import tqdm

        from longsurv.report.provenance import data_hash, software_versions

        study = self
        if quick:
            draws = min(QUICK_DRAWS, self.sampling.draws)
            study = replace(self, sampling=replace(self.sampling, draws=draws))
        began = time.perf_counter()
        stages = study._stages()
        models: dict[str, ModelResult] = {}
        with tqdm(
            total=len(stages),
            disable=None if progress else True,
            unit="model",
            bar_format="{desc:<28} {bar} {n_fmt}/{total_fmt}  {remaining} left",
        ) as bar:
            for name, label, fit in stages:
                bar.set_description_str(label[:28])
                models[name] = fit()
                bar.update()
        markers = {name: models[name] for name in study.cohort.endpoints}
        return StudyResults(
            study=study,
            markers=MappingProxyType(markers),
            mortality=models[MORTALITY],
            quick=quick,
            versions=MappingProxyType(software_versions()),
            data_hash=data_hash(study.cohort),
            seconds=time.perf_counter() - began,
        )

    def _stages(self) -> list[tuple[str, str, Callable[[], ModelResult]]]:
        stages: list[tuple[str, str, Callable[[], ModelResult]]] = [
            (name, marker.label, partial(self._fit_marker, name))
            for name, marker in self.cohort.endpoints.items()
        ]
        return [*stages, (MORTALITY, "Mortality", self._fit_mortality)]

    @property
    def _trajectory_formula(self) -> str:
        return f"y ~ {self.models.trajectory}"

    @property
    def _mortality_formula(self) -> str:
        return f"Surv(entry, exit, event) ~ {self.models.mortality}"

    def _marker_data(self, name: str) -> pd.DataFrame:
        """The rows a marker's model is given: with phases, those inside one."""
        data = self.cohort.marker_data(name)
        if self.change_variable == "phase":
            data = data[data["phase"].notna()].reset_index(drop=True)
        return data

    def _fit_marker(self, name: str) -> ModelResult:
        from longsurv.models import LMM

        formula, data = self._trajectory_formula, self._marker_data(name)
        reason = self._unusable(data)
        if reason:
            return ModelResult(name, formula, data, reasons={"ml": reason, "bayes": reason})
        return self._fit(name, formula, data, LMM)

    def _unusable(self, data: pd.DataFrame) -> str:
        """Why no trajectory model can say anything about these rows; empty if one may."""
        if data.empty:
            return "there are no values"
        if data["y"].nunique() == 1:
            return "every value is the same: nothing varies that a model could explain"
        if not data[self.cohort.schema.patient].duplicated().any():
            return "no patient has a second value: there is no change to estimate"
        return ""

    def _fit_mortality(self) -> ModelResult:
        from longsurv.models import CoxPH

        return self._fit(MORTALITY, self._mortality_formula, self.cohort.survival_data(), CoxPH)

    def _fit(self, name: str, formula: str, data: pd.DataFrame, family: Any) -> ModelResult:
        sampling, spec = self.sampling, family(formula, data=data)
        tasks: dict[str, Callable[[], Any]] = {
            "ml": spec.fit,
            "bayes": lambda: spec.sample(
                draws=sampling.draws, chains=sampling.chains, seed=model_seed(sampling.seed, name)
            ),
        }
        answers, reasons, seconds = {}, {}, {}
        for engine, task in tasks.items():
            began = time.perf_counter()
            try:
                answers[engine] = task()
            except LongsurvError as error:
                reasons[engine] = str(error)
            seconds[engine] = time.perf_counter() - began
        return ModelResult(
            name,
            formula,
            data,
            answers.get("ml"),
            answers.get("bayes"),
            MappingProxyType(reasons),
            MappingProxyType(seconds),
        )


@dataclass(frozen=True)
class StudyResults:
    """Everything a study found: the models by both engines, and the tables made from them.

    Attributes
    ----------
    study : Study
        As it was run (with fewer draws if quick).
    markers : mapping of str to ModelResult
    mortality : ModelResult
    quick : bool
    versions : mapping of str to str
        Package to version.
    data_hash : str
        SHA-256 of the two tables in canonical order.
    seconds : float
        How long the whole run took.
    """

    study: Study
    markers: Mapping[str, ModelResult]
    mortality: ModelResult
    quick: bool
    versions: Mapping[str, str]
    data_hash: str
    seconds: float

    @property
    def cohort(self) -> Cohort:
        """The cohort the study was run on."""
        return self.study.cohort

    @property
    def models(self) -> dict[str, ModelResult]:
        """Every model, mortality last."""
        return {**self.markers, MORTALITY: self.mortality}

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
            Of the file written.

        Raises
        ------
        LongsurvError
            If the file cannot be written there.
        """
        from longsurv.report.page import render_page, writable

        target = writable(path)
        target.write_text(render_page(self), encoding="utf-8", newline="\n")
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


def model_seed(seed: int, name: str) -> int:
    """A seed for one model that depends on the study's seed and the model's name, not its place."""
    sequence = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(name.encode()),))
    return int(sequence.generate_state(1)[0] >> 1)  # below 2**31, which every sampler takes
