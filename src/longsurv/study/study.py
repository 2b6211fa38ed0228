"""A study: a cohort, the models to fit to it and how to sample them, and its run.

Every model is fitted by both engines. A model that cannot be fitted becomes a row with its reason;
it never stops the rest of the study.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from longsurv.arguments import checked
from longsurv.cohort.settings import read_study
from longsurv.cohort.subgroups import subgroup_problem
from longsurv.errors import DataError
from longsurv.study.formulas import covariate_problems, formula_problems
from longsurv.study.plan import Plan
from longsurv.tables.styles import style_of

if TYPE_CHECKING:
    from longsurv.study.progress import Progress
    from longsurv.study.results import StudyResults
    from longsurv.study.stages import Stage
    from longsurv.study.store import FitStore


@checked
@dataclass(frozen=True)
class Study(Plan):
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
    aims : Aims
        The primary and secondary outcomes; the report calls every other exploratory.
    priors : tuple of PublishedRatio
        Published effects of the treatment, as priors of its hazard ratio beside the usual ones.
    target_trial : TrialSettings, optional
        A trial to emulate, of a treatment that begins after time zero.
    style : {"plain", "nejm", "jama"}
        How the report writes the table of patients at baseline.
    subgroups : tuple of str
        Covariates in whose levels the treatment's effect on the event is told.
    """

    def __post_init__(self) -> None:
        style_of(self.style)  # refuses an unknown one
        problems = self.aims.problems([*self.cohort.markers, self.cohort.event_name])
        treatment = self.cohort.schema.treatment
        problems += [
            text
            for name in self.subgroups
            if (text := subgroup_problem(self.cohort.patients, name, treatment))
        ]
        if problems:
            raise DataError(problems)

    @classmethod
    def from_toml(cls, path: str | Path) -> Study:
        """Read a study file and its tables.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        Study

        Raises
        ------
        DataError
            Listing everything wrong with the file or the data.
        """
        read = read_study(path)
        return cls(
            read.cohort,
            read.models,
            read.sampling,
            read.files,
            read.show_patients,
            read.aims,
            read.priors,
            read.target_trial,
            read.style,
            read.subgroups,
        )

    def formula_problems(self) -> list[str]:
        """What is wrong with the formulas, held against the data but without fitting."""
        return formula_problems(self)

    def run(
        self,
        *,
        progress: bool | Progress = True,
        quick: bool = False,
        store: FitStore | None = None,
        stages: tuple[Stage, ...] | None = None,
        n_jobs: int = 1,
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
        stages : tuple of Stage, optional
            What to do, in order; all of `longsurv.study.STAGES` by default.
        n_jobs : int
            Processes to run stages in, at most; -1 for one a processor. The numbers do not depend
            on it. A study of a few seconds has one.

        Returns
        -------
        StudyResults

        Raises
        ------
        DataError
            If a formula has the outcome, or the mortality formula a marker measured after patients
            entered, as a covariate; the message says what to do instead.
        """
        # A study that is only read and checked needs nothing of what fits and draws.
        from longsurv.study.bench import Bench
        from longsurv.study.helpers import helping, processes
        from longsurv.study.progress import Progress
        from longsurv.study.provenance import data_hash, software_versions
        from longsurv.study.results import StudyResults
        from longsurv.study.stages import STAGES
        from longsurv.study.store import FitStore

        problems = covariate_problems(self)
        if problems:
            raise DataError(problems)

        began = time.perf_counter()
        study = self.quickened() if quick else self
        chosen = [s for s in (STAGES if stages is None else stages) if s.quick or not quick]
        plan = [(stage.title, stage.seconds(study)) for stage in chosen]
        shown = progress if isinstance(progress, Progress) else Progress(quiet=not progress)
        shown.expect(plan)
        store = FitStore(None) if store is None else store
        failures: dict[str, str] = {}
        before = store.computed, store.reused
        with helping(study, store, chosen, processes(n_jobs), quick=quick) as helpers:
            bench = Bench(study, store, shown, quick=quick, turn=helpers.turn)
            for stage in chosen:
                computed, reused = store.computed, store.reused
                shown.begin()
                helpers.take(stage)
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
