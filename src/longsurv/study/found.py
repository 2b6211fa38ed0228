"""What a run found, and what is read off it before any table of it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

import pandas as pd

from longsurv.cohort import Cohort
from longsurv.faults import Faults
from longsurv.study.comparisons import ByComparison, comparisons
from longsurv.study.missing import missing
from longsurv.study.model_result import MORTALITY, ModelResult, Parts
from longsurv.study.plan import Plan
from longsurv.study.tables.changes import changes_table

if TYPE_CHECKING:
    from longsurv.analyses.mortality.arms import Comparison
    from longsurv.diagnostics import Verdict


class Unasked(Protocol):
    """What a stage leaves where its question does not arise."""

    __dataclass_fields__: ClassVar[dict[str, Field[object]]]

    @property
    def reason(self) -> str:
        """Why; empty if it does arise."""


@dataclass(frozen=True)
class Found:
    """What the tables are made of: `StudyResults` without them; its fields are said there."""

    study: Plan
    parts: Parts
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
        markers: Mapping[str, ModelResult] = self.parts["markers"]
        return markers

    @property
    def mortality(self) -> ModelResult:
        """The mortality model."""
        model: ModelResult = self.parts[MORTALITY]
        return model

    @property
    def models(self) -> dict[str, ModelResult]:
        """Every model, mortality last."""
        return {**self.markers, MORTALITY: self.mortality}

    @cached_property
    def compared(self) -> Mapping[Comparison, Self]:
        """What was found, by the comparison of two arms that its answers about the event are of.

        Of two arms these results themselves. Of several, results whose `parts` about two arms are
        those of one comparison, as of a study of its two arms; models are of all arms.
        """
        asked = comparisons(self.study)
        if len(asked) < 2:
            return MappingProxyType(dict.fromkeys(asked, self))
        return MappingProxyType({one: self._of(one.name) for one in asked})

    @property
    def each(self) -> tuple[Self, ...]:
        """The results of each comparison; of a study that compares nothing these themselves."""
        return tuple(self.compared.values()) or (self,)

    def _of(self, name: str) -> Self:
        parts, failures = {}, {}
        for key, part in self.parts.items():
            if not isinstance(part, ByComparison):
                parts[key] = part
            elif name in part.answers:
                parts[key] = part.answers[name]
            else:
                failures[key] = part.reasons[name]
        return replace(self, parts=MappingProxyType(parts), failures=MappingProxyType(failures))

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

    def part_of[P: Unasked](self, key: str, empty: P) -> P:
        """What a stage found, or `empty` with the reason it found nothing.

        Parameters
        ----------
        key : {"adjustments", "panel", "scores"}
        empty : AdjustedPart, ShrunkenPart or ScorePart
        """
        if key in self.parts:
            part: P = self.parts[key]
            return part
        absent = "A quick run leaves it out." if self.quick else "It was not part of this run."
        return replace(empty, reason=self.failures.get(key, absent))

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
        return missing(self.cohort, self.all_models, self.changes, self.parts, self.failures)

    @cached_property
    def changes(self) -> pd.DataFrame:
        """The difference in change of every marker by both engines, one row an answer.

        Columns `marker`, `label`, `unit`, `direction`, `level`, `start`, `end`, `engine`,
        `scale` ("difference" or "ratio"), `estimate`, `conf_low`, `conf_high` on that scale;
        `std_estimate`, `std_low`, `std_high` in standard deviations of the marker at baseline
        (of its logarithm for a ratio); `p_value`, `p_holm`, `p_fdr` (maximum likelihood),
        `prob_positive` (Bayes); `reason` why there is no answer.
        """
        return changes_table(self.study, self.markers, self.faults)
