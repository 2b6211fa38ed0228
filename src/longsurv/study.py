"""A study file, everything it asks for, and the results in one object.

Every model is fitted by both engines. A model that cannot be fitted becomes a row with its reason;
it never stops the rest of the study.
"""

from __future__ import annotations

import hashlib
import html
import platform
import re
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from longsurv.cohort import Cohort, Marker
from longsurv.cohort.settings import ModelSettings, SamplingSettings, read_study
from longsurv.errors import LongsurvError
from longsurv.estimands.changes import Change, adjusted_p_values, difference_in_change

if TYPE_CHECKING:
    from longsurv.results import Estimate, Posterior

ENGINES = ("ml", "bayes")
MORTALITY = "mortality"
COMPONENT = "component"
PACKAGES = ("longsurv", "numpy", "scipy", "pandas", "numba", "formulaic", "nutpie", "pymc",
            "arviz", "lifelines", "statsmodels", "matplotlib")
QUICK_DRAWS = 250


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
    sampling: SamplingSettings = SamplingSettings()

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
    def endpoints(self) -> dict[str, Marker]:
        """The markers that are modelled: all but those of the family "component".

        Components are measured to compute a score and are not endpoints of their own.
        """
        markers = self.cohort.markers
        return {name: marker for name, marker in markers.items() if marker.family != COMPONENT}

    @property
    def change_variable(self) -> str:
        """What a marker changes along: "phase" if the trajectory model has it, else its time."""
        has_phase = re.search(r"\bphase\b", self.models.trajectory) is not None
        return "phase" if has_phase else self.cohort.schema.time

    def changes_of(self, data: pd.DataFrame) -> list[Change]:
        """The differences in change to estimate: each later phase, or one unit of time."""
        schema = self.cohort.schema
        reference, *levels = self.cohort.groups
        if self.change_variable == "phase":
            names = [phase.name for phase in schema.phases]
            ends: list[tuple[Any, Any]] = [(names[0], name) for name in names[1:]]
        else:
            ends = [(0.0, 1.0)]
        return [Change(self.change_variable, start, end, schema.treatment, level, reference)
                for level in levels for start, end in ends]

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

        study = self
        if quick:
            draws = min(QUICK_DRAWS, self.sampling.draws)
            study = replace(self, sampling=replace(self.sampling, draws=draws))
        began = time.perf_counter()
        stages = study._stages()
        models: dict[str, ModelResult] = {}
        with tqdm(total=len(stages), disable=None if progress else True, unit="model",
                  bar_format="{desc:<28} {bar} {n_fmt}/{total_fmt}  {remaining} left") as bar:
            for name, label, fit in stages:
                bar.set_description_str(label[:28])
                models[name] = fit()
                bar.update()
        markers = {name: models[name] for name in study.endpoints}
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
            (name, marker.label, lambda name=name: self._fit_marker(name))  # type: ignore[misc]
            for name, marker in self.endpoints.items()
        ]
        return [*stages, (MORTALITY, "Mortality", self._fit_mortality)]

    def _fit_marker(self, name: str) -> ModelResult:
        from longsurv.models import LMM

        data = self.cohort.marker_data(name)
        if self.change_variable == "phase":
            data = data[data["phase"].notna()].reset_index(drop=True)
        return self._fit(name, f"y ~ {self.models.trajectory}", data, LMM)

    def _fit_mortality(self) -> ModelResult:
        from longsurv.models import CoxPH

        data = self.cohort.survival_data()
        return self._fit(MORTALITY, f"Surv(entry, exit, event) ~ {self.models.mortality}", data, CoxPH)

    def _fit(self, name: str, formula: str, data: pd.DataFrame, family: Any) -> ModelResult:
        sampling = self.sampling
        tasks: dict[str, Callable[[], Any]] = {
            "ml": lambda: family(formula, data=data).fit(),
            "bayes": lambda: family(formula, data=data).sample(
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
        return ModelResult(name, formula, data, answers.get("ml"), answers.get("bayes"),
                           MappingProxyType(reasons), MappingProxyType(seconds))


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

        Columns `marker`, `label`, `unit`, `direction`, `level`, `start`, `end`, `engine`, `scale`
        ("difference" or "ratio"), `estimate`, `conf_low`, `conf_high` on that scale; `std_estimate`,
        `std_low`, `std_high` in standard deviations of the marker at baseline (of its logarithm for
        a ratio); `p_value`, `p_holm`, `p_fdr` (maximum likelihood), `prob_positive` (Bayes);
        `reason` why there is no answer.
        """
        rows = [row for name in self.markers for row in self._change_rows(name)]
        table = pd.DataFrame(rows, columns=_CHANGE_COLUMNS)
        ml = table["engine"] == "ml"
        for column, method in (("p_holm", "holm"), ("p_fdr", "fdr_bh")):
            table.loc[ml, column] = adjusted_p_values(table.loc[ml, "p_value"].tolist(), method)
        return table

    def _change_rows(self, name: str) -> list[dict[str, Any]]:
        marker, model = self.cohort.markers[name], self.markers[name]
        spread = baseline_sd(model.data, self.cohort.schema.patient, self.cohort.schema.time)
        log = marker.transform == "log"
        rows = []
        for change in self.study.changes_of(model.data):
            for engine in ENGINES:
                row: dict[str, Any] = {
                    "marker": name, "label": marker.label, "unit": marker.unit,
                    "direction": marker.direction, "level": str(change.level),
                    "start": change.start, "end": change.end, "engine": engine,
                    "scale": "ratio" if log else "difference",
                    "reason": model.reasons.get(engine, ""),
                }
                result = model.answers.get(engine)
                if result is not None:
                    try:
                        tidy = difference_in_change(result, change, model.data).iloc[0]
                    except LongsurvError as error:
                        row["reason"] = str(error)
                    else:
                        row |= _change_values(tidy, spread, log)
                rows.append(row)
        return rows

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
        return (f"StudyResults({self.cohort.title!r}: {len(self.markers)} markers and mortality,"
                f" {len(failed)} with an engine that gave no answer; seed {self.study.sampling.seed})")

    def _repr_html_(self) -> str:
        from longsurv.report.sections.answer import short_answer

        answer = short_answer(self)
        items = "".join(f"<li>{html.escape(s)}</li>" for s in answer.sentences if s)
        return f"<div><strong>{html.escape(answer.question)}</strong><ul>{items}</ul></div>"


_CHANGE_COLUMNS = [
    "marker", "label", "unit", "direction", "level", "start", "end", "engine", "scale", "estimate",
    "conf_low", "conf_high", "std_estimate", "std_low", "std_high", "p_value", "p_holm", "p_fdr",
    "prob_positive", "reason",
]


def _change_values(tidy: pd.Series, spread: float, log: bool) -> dict[str, float]:
    """One tidy contrast on the scale readers see, and in standard deviations."""
    raw = {"estimate": tidy["estimate"], "conf_low": tidy["conf_low"], "conf_high": tidy["conf_high"]}
    shown = {key: float(np.exp(v) if log else v) for key, v in raw.items()}
    standard = {
        "std_" + key.removeprefix("conf_"): float(v) / spread if spread > 0 else np.nan
        for key, v in raw.items()
    }
    return {**shown, **standard, "p_value": float(tidy.get("p_value", np.nan)),
            "prob_positive": float(tidy.get("prob_positive", np.nan))}


def baseline_sd(data: pd.DataFrame, patient: str, time: str) -> float:
    """Standard deviation between patients of the first measured `y`."""
    first = data.sort_values([patient, time]).drop_duplicates(patient)["y"]
    return float(first.std()) if len(first) > 1 else np.nan


def model_seed(seed: int, name: str) -> int:
    """A seed for one model that depends on the study's seed and the model's name, not its place."""
    sequence = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(name.encode()),))
    return int(sequence.generate_state(1)[0] >> 1)  # below 2**31, which every sampler takes


def data_hash(cohort: Cohort) -> str:
    """SHA-256 of the patient and measurement tables, whatever the order of their columns."""
    digest = hashlib.sha256()
    for table in (cohort.patients, cohort.measurements):
        text = table[sorted(table.columns)].to_csv(index=False, lineterminator="\n")
        digest.update(text.encode())
    return digest.hexdigest()


def software_versions() -> dict[str, str]:
    """Python and the packages whose numbers the report holds."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
