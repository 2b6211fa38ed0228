"""A marker's difference in change, adjusted in several ways for where patients began.

    unadjusted  the study's own mixed model, as y ~ phase * treatment + (1 | patient)
    baseline    y_later = a + b y_start + d treated + e                   (analysis of covariance;
                with values beyond a limit the same d, read off the unadjusted model)
    overlap     sum w (y_end - y_start) / sum w, treated minus others;    w = 1 - e(x) or e(x)
    clda        y ~ phase + treated in the later phases, no difference at the start

e(x) is the probability of treatment given baseline covariates and the marker's own baseline. Every
one is on the same scale and answers another question
(`longsurv.estimands.baseline_adjusted` says which, and when each is biased). With several later
values a patient, `baseline` and `clda` correlate them (`covariance_of`). All but the overlap
weights have a random effect of the site where a cohort has sites.

`fit` maximises restricted likelihoods with Kenward-Roger intervals and gives the weighted
difference its sandwich variance; `sample` draws from the posteriors of the same models under their
default priors, and from Rubin's Bayesian bootstrap for the weighted difference.

Laird (1983), Am Stat 37:329-330; Senn (2006), Stat Med 25:4334-4344 (change and covariance);
Li, Morgan & Zaslavsky (2018), JASA 113:390-400 (overlap weights); Liang & Zeger (2000), Sankhya B
62:134-148 (constrained baseline).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
import pandas as pd

from longsurv.analyses.markers.adjustment_parts import (
    AnswerParts,
    given_first_parts,
    model_parts,
    weighted_parts,
)
from longsurv.analyses.markers.contrasts import (
    AdjustedChange,
    AdjustedChanges,
    ModelContrast,
    WeightedContrast,
)
from longsurv.analyses.markers.given_first import GivenFirst, Joint
from longsurv.analyses.markers.responses import MarkerModel, MarkerResponse, response_of
from longsurv.analyses.markers.sites import with_site
from longsurv.arguments import checked
from longsurv.cohort import Cohort
from longsurv.cohort.schema import BeyondLimit
from longsurv.design.expression import Functions
from longsurv.design.names import quoted
from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.baseline_adjusted import (
    ADJUSTMENTS,
    TREATED,
    ComparedRows,
    later_phases,
    propensity_table,
)
from longsurv.estimands.bayesian_bootstrap import bayesian_bootstrap
from longsurv.estimands.changes import Change, baseline_sd, contrast_weights
from longsurv.estimands.propensity_result import PropensityWeights
from longsurv.estimands.weighting import overlap_weights
from longsurv.models.linear import Linear
from longsurv.results.estimate import Estimate
from longsurv.results.linear import LinearPosterior
from longsurv.results.nested import of_same_rows
from longsurv.results.posterior import Posterior


@checked
@dataclass(frozen=True, eq=False)
class BaselineAdjustment:
    """One marker's difference in change under each adjustment.

    Parameters
    ----------
    cohort : Cohort
    marker : str
    change : Change
        Between two phases.
    trajectory : str, optional
        Right-hand side of the unadjusted model; by default "phase * treatment + (1 | patient)" with
        the cohort's own columns, and a random effect of the site where the cohort has sites.
    covariates : str, optional
        Right-hand side of the propensity model, as "age + log(apache2) + baseline"; by default the
        study's baseline covariates and "baseline", the marker's own value at the start on its
        analysis scale.
    adjustments : tuple of str, optional
        Among "unadjusted", "baseline", "overlap", "clda"; by default all that apply.
    functions : mapping of str to callable, optional
        Functions of your own that trajectory and covariates may call by name (see `LMM`).
    beyond_limit : {"censored", "at the limit"}
        What a value beyond a limit of detection counts as; overlap weights take it at the limit.

    Raises
    ------
    LongsurvError
        For an unknown marker or adjustment, a change that is not between two phases and groups of
        the cohort, and for "clda" in a study not declared randomised.
    """

    cohort: Cohort
    marker: str
    change: Change
    trajectory: str | None = None
    covariates: str | None = None
    adjustments: tuple[str, ...] | None = None
    functions: Functions | None = None
    beyond_limit: BeyondLimit = "censored"

    def __post_init__(self) -> None:
        asked, known = self.adjustments or (), self.cohort.markers
        if self.marker not in known:
            raise LongsurvError(f"the cohort has no marker {self.marker!r}; it has {list(known)}")
        unknown = [name for name in asked if name not in ADJUSTMENTS]
        if unknown:
            raise LongsurvError(f"adjustments are among {list(ADJUSTMENTS)}, not {unknown}")
        if "clda" in asked and not self.cohort.randomised:
            raise LongsurvError(
                "a common mean at baseline (clda) may be assumed only where treatment was allocated"
                " at random, and this study does not say so: if it was, write `randomised = true`"
                " under [study] in the study file; if not, use 'baseline' or 'overlap'"
            )
        later_phases(self.cohort, self.change)  # refuses a change that is not there
        if self.adjustments is None:
            kept = [k for k in ADJUSTMENTS if k != "clda" or self.cohort.randomised]
            object.__setattr__(self, "adjustments", tuple(kept))

    @cached_property
    def compared(self) -> ComparedRows:
        """The marker's values in the two groups."""
        return ComparedRows.of(self.cohort, self.marker, self.change)

    def spec(self, adjustment: str) -> tuple[MarkerModel | Linear, dict[str, float]]:
        """The model of an adjustment, and its answer as weights of the coefficients.

        Parameters
        ----------
        adjustment : str
            One of `adjustments`, but for "overlap", which is no model.

        Returns
        -------
        tuple of LMM, GLMM or Linear, and dict of str to float
        """
        if adjustment == "unadjusted":
            schema, data = self.cohort.schema, self._rows
            treatment, patient = quoted(schema.treatment), quoted(schema.patient)
            trajectory = self.trajectory or f"phase * {treatment} + (1 | {patient})"
            if not self.trajectory:
                trajectory = with_site(trajectory, self.cohort)
            model = self.response.model(trajectory, data, functions=self.functions)
            return model, contrast_weights(model.design.fixed, self.change, data)
        if adjustment == "baseline" and not self.response.first_known:
            raise LongsurvError(
                f"some values of {self.marker} lie beyond a limit, so that the first cannot be a"
                " covariate: `fit` and `sample` read the answer off the unadjusted model"
            )
        c = self.compared
        formula, rows = c.baseline_adjusted() if adjustment == "baseline" else c.constrained()
        return self.response.of_visits(formula, rows), {TREATED: 1.0}

    @cached_property
    def response(self) -> MarkerResponse:
        """How the marker's values enter its models."""
        return response_of(self._rows, self.beyond_limit)

    @cached_property
    def _rows(self) -> pd.DataFrame:
        """The marker's values within a phase."""
        data = self.cohort.marker_data(self.marker)
        return data[data["phase"].notna()].reset_index(drop=True)

    @cached_property
    def weighting(self) -> tuple[PropensityWeights, np.ndarray]:
        """Overlap weights of the patients with both values, and their changes."""
        table, right = propensity_table(self.cohort, self.compared, self.covariates)
        weights = overlap_weights(table, self.change.treatment, right, functions=self.functions)
        columns, fewer = weights.X.shape[1], min(weights.treated.sum(), (~weights.treated).sum())
        if columns >= fewer:
            raise EstimationError(
                f"the propensity model has {columns} coefficients for {fewer} patients in the"
                " smaller group; name fewer covariates, as covariates='baseline'"
            )
        return weights, table["change"].to_numpy(dtype=float)

    def fit(self, *, unadjusted: Estimate | None = None) -> AdjustedChanges:
        """Every adjustment by restricted likelihood or sandwich variance.

        Parameters
        ----------
        unadjusted : Estimate, optional
            Of the unadjusted model, if it has been fitted already.
        """

        def model(name: str, spec: MarkerModel | Linear) -> Estimate:
            if unadjusted and name == "unadjusted":
                _check_own(spec, unadjusted.design)
                return unadjusted
            return spec.fit()

        return self._answers("ml", model, WeightedContrast)

    def sample(
        self,
        *,
        draws: int = 1000,
        tune: int = 300,
        chains: int = 4,
        seed: int = 1,
        unadjusted: Posterior | None = None,
    ) -> AdjustedChanges:
        """Every adjustment's posterior, under the models' default priors.

        Parameters
        ----------
        draws, tune, chains, seed : int
            As for `LMM.sample`; the bootstrap has as many draws, and needs no warm-up.
        unadjusted : Posterior, optional
            Of the unadjusted model, if it has been sampled already.
        """
        sequence = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(self.marker.encode()),))
        states = (sequence.generate_state(len(ADJUSTMENTS)) >> 1).tolist()
        seeds = dict(zip(ADJUSTMENTS, states, strict=True))

        def model(name: str, spec: MarkerModel | Linear) -> Posterior | LinearPosterior:
            if unadjusted and name == "unadjusted":
                _check_own(spec, unadjusted.design)
                return unadjusted
            if isinstance(spec, Linear):
                return spec.sample(draws=draws, chains=chains, seed=seeds[name])
            return spec.sample(draws=draws, tune=tune, chains=chains, seed=seeds[name])

        def weighted(weights: PropensityWeights, outcome: np.ndarray) -> WeightedContrast:
            drawn = bayesian_bootstrap(
                weights, outcome, draws=draws * chains, seed=seeds["overlap"]
            )
            return WeightedContrast(weights, outcome, drawn.reshape(chains, draws))

        return self._answers("bayes", model, weighted)

    def _answers(
        self,
        engine: str,
        model: Callable[[str, MarkerModel | Linear], Estimate | Posterior | LinearPosterior],
        weighted: Callable[[PropensityWeights, np.ndarray], WeightedContrast],
    ) -> AdjustedChanges:
        """Each adjustment by one engine; one without an answer says why."""
        schema, marker = self.cohort.schema, self.cohort.markers[self.marker]
        data = self.cohort.marker_data(self.marker)
        spread = baseline_sd(data, schema.patient, schema.time)
        answers = []
        found: AnswerParts
        for name in self.adjustments or ():
            try:
                if self.compared.problem:
                    raise EstimationError(self.compared.problem)
                if name == "overlap":
                    if self.compared.unmeasured and not self.response.first_known:
                        raise EstimationError(self.compared.unmeasured)
                    source = weighted(*self.weighting)
                    found = weighted_parts(self.compared, source, self.cohort.labels)
                elif name == "baseline" and not self.response.first_known:
                    spec, _ = self.spec("unadjusted")
                    joint = cast("Joint", model("unadjusted", spec))
                    given = GivenFirst.of(joint, self.change, self._rows)
                    found = given_first_parts(self.compared, given, schema.patient)
                else:
                    spec, weights = self.spec(name)
                    contrast = ModelContrast(model(name, spec), weights)
                    column = schema.patient if name == "unadjusted" else "patient"
                    found = model_parts(self.compared, contrast, column)
            except LongsurvError as error:
                found = {"reason": str(error)}
            answers.append(AdjustedChange(marker, self.change, spread, name, engine, **found))
        return AdjustedChanges(tuple(answers))


@checked
def adjusted_changes(
    cohort: Cohort,
    change: Change,
    markers: Iterable[str] | None = None,
    *,
    trajectory: str | None = None,
    covariates: str | None = None,
    functions: Functions | None = None,
    engines: Iterable[str] = ("ml", "bayes"),
    draws: int = 1000,
    tune: int = 300,
    chains: int = 4,
    seed: int = 1,
) -> AdjustedChanges:
    """Every adjustment of every marker's difference in change, by both engines.

    Parameters
    ----------
    cohort, change, trajectory, covariates, functions
        As for `BaselineAdjustment`.
    markers : iterable of str, optional
        All of the cohort's except the components of scores, unless given.
    engines : iterable of {"ml", "bayes"}
    draws, tune, chains, seed : int
        As for `BaselineAdjustment.sample`.
    """
    wanted = list(engines)
    if not wanted or set(wanted) - {"ml", "bayes"}:
        raise LongsurvError(f"engines are 'ml' and 'bayes', not {wanted}")
    names = list(markers) if markers is not None else list(cohort.endpoints)
    specs = [
        BaselineAdjustment(cohort, n, change, trajectory, covariates, functions=functions)
        for n in names
    ]
    parts = [spec.fit() for spec in specs] if "ml" in wanted else []
    if "bayes" in wanted:
        parts += [s.sample(draws=draws, tune=tune, chains=chains, seed=seed) for s in specs]
    return AdjustedChanges.joined(parts)


def _check_own(spec: MarkerModel | Linear, design: object) -> None:
    """Refuse an unadjusted answer that is of other rows than the model's."""
    if not of_same_rows(spec.design, design):
        raise LongsurvError(
            f"unadjusted= is an answer of the unadjusted model, {spec.formula!r} of this cohort's"
            " rows, and this one is of others"
        )
