"""What a study is to do: the cohort, the formulas, the sampling, and what follows from them."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from longsurv.analyses.markers.sites import with_site
from longsurv.cohort import Cohort
from longsurv.cohort.aims import Aims
from longsurv.cohort.questions import PublishedRatio, TrialSettings
from longsurv.cohort.settings import ModelSettings, SamplingSettings
from longsurv.estimands.changes import Change

if TYPE_CHECKING:
    from longsurv.analyses.markers.responses import MarkerModel, MarkerResponse
    from longsurv.design import Residual
    from longsurv.models import LMM

QUICK_DRAWS = 250


@dataclass(frozen=True)
class Plan:
    """What every stage of a run sees of a `Study`, which can be run; its fields are said there."""

    cohort: Cohort
    models: ModelSettings
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    files: tuple[Path, ...] = ()
    show_patients: bool = False
    aims: Aims = field(default_factory=Aims)
    priors: tuple[PublishedRatio, ...] = ()
    target_trial: TrialSettings | None = None
    style: str = "plain"
    subgroups: tuple[str, ...] = ()

    def with_seed(self, seed: int) -> Self:
        """The same study with another seed.

        Parameters
        ----------
        seed : int

        Returns
        -------
        Plan
        """
        return replace(self, sampling=replace(self.sampling, seed=seed))

    def quickened(self) -> Self:
        """The same study with few posterior draws, for a first look."""
        draws = min(QUICK_DRAWS, self.sampling.draws)
        return replace(self, sampling=replace(self.sampling, draws=draws))

    @property
    def trajectory_formula(self) -> str:
        """Of every marker's model; `y` is the marker, transformed as its settings say."""
        return f"y ~ {self.trajectory}"

    @property
    def trajectory(self) -> str:
        """Right-hand side of the markers' mixed models, with a random effect of the site."""
        return with_site(self.models.trajectory, self.cohort)

    def response(self, data: pd.DataFrame) -> MarkerResponse:
        """How a marker's values enter its model in this study.

        Parameters
        ----------
        data : DataFrame
            Its rows, as `marker_data` gives them.
        """
        from longsurv.analyses.markers.responses import response_of

        return response_of(data, self.models.beyond_limit)

    @property
    def taken(self) -> str:
        """Where a value beyond a limit is taken to lie, in words."""
        from longsurv.analyses.markers.responses import RESPONSES

        return RESPONSES[self.models.beyond_limit].words

    def trajectory_model(
        self, data: pd.DataFrame, response: MarkerResponse | None = None
    ) -> MarkerModel:
        """A marker's mixed model.

        Parameters
        ----------
        data : DataFrame
            Its rows, as `marker_data` gives them.
        response : Response, optional
            How its values enter; by default as the study has it.

        Returns
        -------
        LMM or GLMM
        """
        chosen = response or self.response(data)
        return chosen.model(self.trajectory, data, self.residual_of(chosen))

    def linear_model(self, data: pd.DataFrame) -> LMM:
        """A marker's linear mixed model, any value beyond a limit at the limit.

        Parameters
        ----------
        data : DataFrame
            Its rows, as `marker_data` gives them.
        """
        from longsurv.analyses.markers.responses import AT_THE_LIMIT

        return AT_THE_LIMIT.model(self.trajectory, data, self.residual)

    def residual_of(self, response: MarkerResponse) -> Residual | None:
        """How a marker's residuals spread; None where its model has one spread only.

        Parameters
        ----------
        response : Response
        """
        return self.residual if response.spreads else None

    @property
    def residual(self) -> Residual:
        """How the residuals of the markers' mixed models spread."""
        from longsurv.design import Residual

        return Residual(by=self.models.residual_by or None)

    @property
    def mortality_formula(self) -> str:
        """Of the mortality model."""
        return f"Surv(entry, exit, event) ~ {self.models.mortality}"

    def marker_data(self, name: str) -> pd.DataFrame:
        """The rows a marker's model is given: with phases, those inside one.

        Parameters
        ----------
        name : str
            Of the marker.

        Returns
        -------
        DataFrame
        """
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
            ends: list[tuple[object, object]] = [(names[0], name) for name in names[1:]]
        else:
            ends = [(self.first_time, self.first_time + 1.0)]
        return [
            Change(self.change_variable, start, end, schema.treatment, level, reference)
            for level in levels
            for start, end in ends
        ]


def model_seed(seed: int, name: str) -> int:
    """A seed for one model that depends on the study's seed and the model's name, not its place."""
    sequence = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(name.encode()),))
    return int(sequence.generate_state(1)[0] >> 1)  # below 2**31, which every sampler takes
