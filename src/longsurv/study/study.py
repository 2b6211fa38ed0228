"""A study: a cohort, the models to fit to it and how to sample them.

Every model is fitted by both engines. A model that cannot be fitted becomes a row with its reason;
it never stops the rest of the study.
"""

from __future__ import annotations

import re
import time
import zlib
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.cohort import Cohort
from longsurv.cohort.settings import ModelSettings, SamplingSettings, read_study
from longsurv.errors import DataError
from longsurv.estimands.changes import Change
from longsurv.store import FitStore
from longsurv.study.bench import Bench
from longsurv.study.formulas import covariate_problems, formula_problems
from longsurv.study.progress import Progress
from longsurv.study.results import StudyResults
from longsurv.study.stages import STAGES, Stage

QUICK_DRAWS = 500


@checked
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
    files : tuple of Path
        The study was read from these; no report is written over one of them.
    show_patients : bool
        Let the report show single patients: identifiers, and what was measured of each. Without
        it a report holds groups only (counts, quartiles of five patients or more, survival curves)
        and answers, so that it can be handed on; `check` always names patients to who has the data.
    """

    cohort: Cohort
    models: ModelSettings
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    files: tuple[Path, ...] = ()
    show_patients: bool = False

    @classmethod
    def from_toml(cls, path: str | Path) -> Study:
        """Read a study file and its tables.

        Raises
        ------
        DataError
            Listing everything wrong with the file or the data.
        """
        read = read_study(path)
        return cls(read.cohort, read.models, read.sampling, read.files, read.show_patients)

    def with_seed(self, seed: int) -> Study:
        """The same study with another seed."""
        return replace(self, sampling=replace(self.sampling, seed=seed))

    def quickened(self) -> Study:
        """The same study with few posterior draws, for a first look."""
        draws = min(QUICK_DRAWS, self.sampling.draws)
        return replace(self, sampling=replace(self.sampling, draws=draws))

    @property
    def trajectory_formula(self) -> str:
        """Of every marker's model; `y` is the marker, transformed as its settings say."""
        return f"y ~ {self.models.trajectory}"

    @property
    def mortality_formula(self) -> str:
        """Of the mortality model."""
        return f"Surv(entry, exit, event) ~ {self.models.mortality}"

    def marker_data(self, name: str) -> pd.DataFrame:
        """The rows a marker's model is given: with phases, those inside one."""
        data = self.cohort.marker_data(name)
        if self.change_variable == "phase":
            data = data[data["phase"].notna()].reset_index(drop=True)
        return data

    @property
    def change_variable(self) -> str:
        """What a marker changes along: "phase" if the trajectory model has it, else its time."""
        has_phase = re.search(r"\bphase\b", self.models.trajectory) is not None
        return "phase" if has_phase else self.cohort.schema.time

    @property
    def first_time(self) -> float:
        """Where a unit of time begins at which every marker is measured: 0 if they are then."""
        values, names = self.cohort.measurements, list(self.cohort.endpoints)
        if not names or not values["marker"].isin(names).any():
            return 0.0
        of_each = values[values["marker"].isin(names)].groupby("marker", observed=True)
        return max(0.0, float(of_each[self.cohort.schema.time].min().max()))

    @property
    def contrasts(self) -> list[Change]:
        """The differences in change to estimate: each later phase, or one unit of time."""
        schema = self.cohort.schema
        reference, *levels = self.cohort.groups
        if self.change_variable == "phase":
            names = [phase.name for phase in schema.phases]
            ends: list[tuple[Any, Any]] = [(names[0], name) for name in names[1:]]
        else:
            ends = [(self.first_time, self.first_time + 1.0)]
        return [
            Change(self.change_variable, start, end, schema.treatment, level, reference)
            for level in levels
            for start, end in ends
        ]

    def formula_problems(self) -> list[str]:
        """What is wrong with the formulas, held against the data but without fitting."""
        return formula_problems(self)

    def run(
        self,
        *,
        progress: bool | Progress = True,
        quick: bool = False,
        store: FitStore | None = None,
        stages: tuple[Stage, ...] = STAGES,
    ) -> StudyResults:
        """Fit every model by both engines.

        Parameters
        ----------
        progress : bool or Progress
            Say on standard error which stage is done and how much time is left.
        quick : bool
            Fewer posterior draws and fewer extras, for a first look.
        store : FitStore, optional
            Where finished fits are kept and taken from, so that an interrupted run goes on where
            it stopped; none by default.
        stages : tuple of Stage
            What to do, in order.

        Returns
        -------
        StudyResults

        Raises
        ------
        DataError
            If a formula has the outcome, or the mortality formula a marker measured after patients
            entered, as a covariate; the message says what to do instead.
        """
        from longsurv.report.provenance import data_hash, software_versions

        problems = covariate_problems(self)
        if problems:
            raise DataError(problems)

        began = time.perf_counter()
        study = self.quickened() if quick else self
        chosen = [stage for stage in stages if stage.quick or not quick]
        plan = [(stage.title, stage.seconds(study)) for stage in chosen]
        shown = progress if isinstance(progress, Progress) else Progress(quiet=not progress)
        shown.expect(plan)
        store = FitStore(None) if store is None else store
        bench = Bench(study, store, shown, quick=quick)
        failures: dict[str, str] = {}
        before = store.computed, store.reused
        for stage in chosen:
            computed, reused = store.computed, store.reused
            shown.begin()
            value, reason = bench.faults.attempt(stage.title, partial(stage.run, bench))
            if reason:
                failures[stage.key] = reason
                value = stage.instead(study, reason)
            if value is not None:
                bench.finish(stage.key, value)
            computed, reused = store.computed - computed, store.reused - reused
            note = f"{reused} of {computed + reused} results reused" if reused else ""
            shown.end(note, reused=bool(reused and not computed))
        return StudyResults(
            study=study,
            parts=bench.parts,
            failures=MappingProxyType(failures),
            quick=quick,
            versions=MappingProxyType(software_versions()),
            data_hash=data_hash(study.cohort),
            seconds=time.perf_counter() - began,
            computed=store.computed - before[0],
            reused=store.reused - before[1],
            faults=bench.faults,
        )


def model_seed(seed: int, name: str) -> int:
    """A seed for one model that depends on the study's seed and the model's name, not its place."""
    sequence = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(name.encode()),))
    return int(sequence.generate_state(1)[0] >> 1)  # below 2**31, which every sampler takes
