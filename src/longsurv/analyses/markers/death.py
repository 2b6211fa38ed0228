"""A marker that deaths cut short, by every estimand and both engines, side by side.

    alive      the study's own mixed model, as y ~ phase * treatment + (1 | patient)
    worst      P(better) + P(same) / 2 and the proportional odds, death being the worst
    joint      the mean curve of a joint model of the marker and death
    survivors  bounds of the difference in means among who would live in either group

`longsurv.estimands.truncation` says what each asks and assumes. `fit` has Kenward-Roger intervals,
the rank test, the profile likelihood of the odds ratio and the bootstrap of the bounds; `sample`
posteriors: of the same mixed model, of the index and the bounds by the Bayesian bootstrap, of the
odds ratio under a normal prior.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from longsurv.analyses.markers.adjustment import BaselineAdjustment
from longsurv.analyses.markers.contrasts import AdjustedChanges
from longsurv.analyses.markers.death_answers import (
    INDEX,
    LOWER,
    ODDS,
    UPPER,
    DeathAnswer,
    DeathAnswers,
)
from longsurv.arguments import checked
from longsurv.cohort import Cohort
from longsurv.cohort.schema import BeyondLimit
from longsurv.design.expression import Functions
from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.changes import Change, contrast_weights
from longsurv.estimands.proportional_odds import odds_posterior, proportional_odds
from longsurv.estimands.truncation import Composite, Outcome, survivor_bounds
from longsurv.estimands.worst_rank import index_draws, rank_comparison
from longsurv.numbers import exponential
from longsurv.own_order import in_own_order, own_order
from longsurv.results.estimate import Estimate
from longsurv.results.posterior import Posterior

if TYPE_CHECKING:
    from longsurv.results.joint.estimate import JointEstimate
    from longsurv.results.joint.posterior import JointPosterior

BOOTSTRAP = (
    "Bayesian bootstrap: the prior of the patients' probabilities is the product of pi^(-1 - 1/m)"
)
RESAMPLES = 2000
_CELLS = 2_000_000  # draws x patients held at once
NO_JOINT = (
    "no joint model of the marker and death was given; in a study file name the marker under"
    " [models], as joint = [{name!r}]"
)


@checked
@dataclass(frozen=True, eq=False)
class DeathInMarkers:
    """One marker of two groups, some of whose patients die before it can be measured.

    Parameters
    ----------
    cohort : Cohort
    marker : str
    change : Change
        Between two phases.
    deaths : tuple of str, optional
        Which outcomes are death: the event by its name, or competing events by theirs; by default
        those that are called death.
    outcome : {"change", "value"}
        What the living are ranked by: the change from the start, or the value at the end.
    until : float, optional
        Deaths up to this time count; by default those up to the end of the change's last phase.
    trajectory : str, optional
        Right-hand side of the model while alive; by default "phase * treatment + (1 | patient)"
        with the cohort's own columns.
    functions : mapping of str to callable, optional
        Functions of your own that the trajectory may call by name (see `LMM`).
    beyond_limit : {"censored", "at the limit"}
        What a value beyond a limit of detection counts as in the model while alive; ranks and
        bounds have it at the limit.

    Attributes
    ----------
    composite : Composite
        The marker and death as one outcome of each patient.

    Raises
    ------
    LongsurvError
        For an unknown marker, a change that is not between two phases and groups of the cohort, or
        where no outcome is known to be death.
    """

    cohort: Cohort
    marker: str
    change: Change
    deaths: tuple[str, ...] | None = None
    outcome: Outcome = "change"
    until: float | None = None
    trajectory: str | None = None
    functions: Functions | None = None
    beyond_limit: BeyondLimit = "censored"
    composite: Composite = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._while_alive()  # refuses a marker or a change that is not there
        made = Composite.of(
            self.cohort, self.marker, self.change, deaths=self.deaths, outcome=self.outcome,
            until=self.until,
        )  # fmt: skip
        object.__setattr__(self, "composite", made)

    def _while_alive(self) -> BaselineAdjustment:
        return BaselineAdjustment(
            self.cohort, self.marker, self.change, self.trajectory,
            adjustments=("unadjusted",), functions=self.functions, beyond_limit=self.beyond_limit,
        )  # fmt: skip

    def fit(
        self,
        *,
        unadjusted: Estimate | None = None,
        joint: JointEstimate | None = None,
        seed: int = 1,
    ) -> DeathAnswers:
        """Every estimand by maximum likelihood, ranks and the bootstrap.

        Parameters
        ----------
        unadjusted : Estimate, optional
            Of the model while alive, if it has been fitted already.
        joint : JointEstimate, optional
            Of the marker and death together, the marker on its analysis scale.
        seed : int
            Of the bootstrap of the bounds.
        """
        worst = self._worst("ml", self._index_by_ranks, self._odds_by_likelihood)
        return self._answers(
            "ml", self._while_alive().fit(unadjusted=unadjusted), worst, joint, seed
        )

    def sample(
        self,
        *,
        draws: int = 1000,
        tune: int = 300,
        chains: int = 4,
        seed: int = 1,
        unadjusted: Posterior | None = None,
        joint: JointPosterior | None = None,
    ) -> DeathAnswers:
        """Every estimand's posterior.

        Parameters
        ----------
        draws, tune, chains, seed : int
            As for `LMM.sample`; the bootstraps have as many draws.
        unadjusted : Posterior, optional
            Of the model while alive, if it has been sampled already.
        joint : JointPosterior, optional
            Of the marker and death together, the marker on its analysis scale.
        """
        alive = self._while_alive().sample(
            draws=draws, tune=tune, chains=chains, seed=seed, unadjusted=unadjusted
        )

        def index() -> DeathAnswer:
            found = index_draws(*self._ranked, draws=draws * chains, seed=self._seed(seed))
            low, high = np.quantile(found, [0.025, 0.975])
            above = float((found > 0.5).mean())
            return self._of_worst(
                INDEX, "bayes", BOOTSTRAP, float(found.mean()), low, high, prob_benefit=above
            )

        worst = self._worst("bayes", index, self._odds_by_prior)
        return self._answers("bayes", alive, worst, joint, self._seed(seed), draws * chains)

    def _seed(self, seed: int) -> int:
        sequence = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(self.marker.encode()),))
        return int(sequence.generate_state(1)[0] >> 1)

    def _answers(
        self,
        engine: Literal["ml", "bayes"],
        alive: AdjustedChanges,
        worst: Sequence[DeathAnswer],
        joint: JointEstimate | JointPosterior | None,
        seed: int,
        draws: int = RESAMPLES,
    ) -> DeathAnswers:
        rows = [self._of_the_living(alive, engine), *worst, self._as_if_nobody_died(joint, engine)]
        rows += self._survivors(engine, draws, seed)
        marker = self.cohort.markers[self.marker]
        return DeathAnswers(marker, self.change, self.outcome, tuple(rows))

    @property
    def _quantity(self) -> str:
        log = self.cohort.markers[self.marker].transform == "log"
        return "ratio" if log else "difference"

    def _shown(self, value: float) -> float:
        """A difference on the analysis scale as it is told: for logarithms a ratio."""
        return exponential(value) if self._quantity == "ratio" else float(value)

    def _of_the_living(self, found: AdjustedChanges, engine: str) -> DeathAnswer:
        row = found.table.iloc[0].to_dict()
        numbers = ("estimate", "conf_low", "conf_high", "p_value", "prob_benefit", "n")
        notes = tuple(note for note in found.answers[0].notes if note)
        return DeathAnswer(
            "alive", self._quantity, engine, row["method"], **{k: row[k] for k in numbers},
            notes=notes, reason=row["reason"],
        )  # fmt: skip

    # ---- death as the worst outcome -------------------------------------------------------------

    @cached_property
    def _ranked(self) -> tuple[np.ndarray, np.ndarray]:
        """Places of the outcomes, and who is in the group; refused where they cannot be had."""
        marker, composite = self.cohort.markers[self.marker], self.composite
        if marker.direction is None:
            raise EstimationError(
                f"the study does not say which values of {marker.label} are better, and so which"
                f' are next to death; write direction = "lower" or "higher" under'
                f" [markers.{marker.name}], or Marker({marker.name!r}, direction=...)"
            )
        if composite.outcome == "change" and composite.unmeasured:
            raise EstimationError(f"{composite.unmeasured}; outcome='value' ranks the values")
        for mine, group in ((True, self.change.level), (False, self.change.reference)):
            own = composite.patients[composite.patients["treated"] == mine]
            living = own[own["died"].isna()]
            if own.empty or (len(living) and living["value"].isna().all()):
                raise EstimationError(
                    f"nobody of {group} is alive with a value of {marker.label}, so that where the"
                    " living stand is not known"
                )
        return composite.ranks(marker.direction), composite.used["treated"].to_numpy()

    def _worst(
        self, engine: str, index: Callable[[], DeathAnswer], odds: Callable[[], DeathAnswer]
    ) -> list[DeathAnswer]:
        found = []
        for quantity, work in ((INDEX, index), (ODDS, odds)):
            blank = self._of_worst(quantity, engine, "", np.nan, np.nan, np.nan)
            try:
                found.append(work())
            except LongsurvError as error:
                found.append(replace(blank, reason=str(error)))
        return found

    def _of_worst(
        self, quantity: str, engine: str, method: str, estimate: float, low: float, high: float,
        *, p_value: float = np.nan, prob_benefit: float = np.nan,
    ) -> DeathAnswer:  # fmt: skip
        c = self.composite
        return DeathAnswer(
            "worst", quantity, engine, method, float(estimate), float(low), float(high), p_value,
            prob_benefit, n=c.n, deaths=c.deaths, notes=c.notes,
        )  # fmt: skip

    def _index_by_ranks(self) -> DeathAnswer:
        r = rank_comparison(*self._ranked)
        how = {"brunner-munzel": "logit, Brunner and Munzel's t", "newcombe": "Newcombe's method 5"}
        test = "Wilcoxon's rank sum, " + ("exact" if r.exact else "normal, corrected for ties")
        method = f"{test}; interval: {how[r.interval]}"
        return self._of_worst(
            INDEX, "ml", method, r.probability, r.conf_low, r.conf_high, p_value=r.p_value
        )  # fmt: skip

    def _odds_by_likelihood(self) -> DeathAnswer:
        o = proportional_odds(*self._ranked)
        method = "proportional odds, profile likelihood"
        return self._of_worst(
            ODDS, "ml", method, o.estimate, o.conf_low, o.conf_high, p_value=o.p_value
        )  # fmt: skip

    def _odds_by_prior(self) -> DeathAnswer:
        o = odds_posterior(*self._ranked)
        method = (
            "proportional odds, profile posterior; prior of the log odds ratio Normal(0, 2.5 / SD"
            " of the group)"
        )
        return self._of_worst(
            ODDS, "bayes", method, o.estimate, o.conf_low, o.conf_high,
            prob_benefit=o.prob_positive,
        )  # fmt: skip

    # ---- the joint model, and the survivors -----------------------------------------------------

    def _as_if_nobody_died(
        self, joint: JointEstimate | JointPosterior | None, engine: str
    ) -> DeathAnswer:
        blank = DeathAnswer("joint", self._quantity, engine)
        if joint is None:
            return replace(blank, reason=NO_JOINT.format(name=self.marker))
        try:
            return self._of_curve(joint, blank)
        except LongsurvError as error:
            return replace(blank, reason=str(error))

    def _of_curve(self, joint: JointEstimate | JointPosterior, blank: DeathAnswer) -> DeathAnswer:
        """The difference in change between the mean times of the two phases, from the curve."""
        if len(joint.design.markers) > 1:
            raise EstimationError("the joint model is of several markers; give one of this marker")
        schema, change, one = self.cohort.schema, self.change, joint.design.markers[0]
        rows = one.measurements.iloc[one.design.rows]
        own = self.cohort.marker_data(self.marker)
        start, end = (
            float(own.loc[own["phase"] == phase, schema.time].mean())
            for phase in (change.start, change.end)
        )
        along = replace(change, variable=schema.time, start=start, end=end)
        fixed = one.design.fixed
        named = dict(zip(fixed.names, one.coefficient_names, strict=True))
        weights = {named[n]: w for n, w in contrast_weights(fixed, along, rows).items()}
        row = joint.contrast(weights).iloc[0]
        if not np.isfinite(row["estimate"]):
            raise EstimationError("the joint model does not determine the difference in change")
        better = {"lower": -1.0, "higher": 1.0}.get(
            self.cohort.markers[self.marker].direction or "", np.nan
        )
        positive = float(row.get("prob_positive", np.nan))
        unit = schema.time_unit
        return replace(
            blank, method=str(joint.method), estimate=self._shown(row["estimate"]),
            conf_low=self._shown(row["conf_low"]), conf_high=self._shown(row["conf_high"]),
            p_value=float(row.get("p_value", np.nan)),
            prob_benefit=0.5 + better * (positive - 0.5), n=int(rows[schema.patient].nunique()),
            notes=(f"read off the curve at {start:.3g} and {end:.3g} {unit}, the mean times of"
                   f" {change.start} and {change.end}", *joint.flags),
        )  # fmt: skip

    def _survivors(self, engine: str, draws: int, seed: int) -> list[DeathAnswer]:
        """Bounds for who would live in either group, with the interval of each."""
        c, change = self.composite, self.change
        table = c.patients
        treated, alive = table["treated"].to_numpy(), table["died"].isna().to_numpy()
        blanks = [DeathAnswer("survivors", q, engine) for q in (LOWER, UPPER)]
        try:
            share = [float(alive[treated == mine].mean()) for mine in (True, False)
                     if (treated == mine).any()]  # fmt: skip
            kept = len(share) < 2 or share[0] >= share[1]
            value = table["value"].to_numpy()
            if c.outcome == "value":
                raise EstimationError("bounds are of the change; take outcome='change'")
            if c.unmeasured:
                raise EstimationError(c.unmeasured)
            ask = partial(survivor_bounds, value, alive, treated, kept=kept)
            once = ask(np.ones((1, len(table))))
            order, rng = own_order(treated, alive, value), np.random.default_rng(seed)
            resamples = _weights(treated[order], draws, rng, engine)
            drawn = np.concatenate([ask(in_own_order(w, order)) for w in resamples], axis=1)
        except LongsurvError as error:
            return [replace(blank, reason=str(error)) for blank in blanks]
        measured = alive & np.isfinite(value)
        better = self.cohort.markers[self.marker].direction
        found = []
        for blank, estimate, values in zip(blanks, once, drawn, strict=True):
            values = values[np.isfinite(values)]
            low, high = np.quantile(values, [0.025, 0.975]) if len(values) else (np.nan, np.nan)
            below = float((values < 0).mean()) if engine == "bayes" else np.nan
            benefit = {"lower": below, "higher": 1.0 - below}.get(better or "", np.nan)
            middle = float(values.mean()) if engine == "bayes" else float(estimate[0])
            found.append(
                replace(
                    blank, method="bootstrap of the patients" if engine == "ml" else BOOTSTRAP,
                    estimate=self._shown(middle), conf_low=self._shown(low),
                    conf_high=self._shown(high), prob_benefit=benefit,
                    n=int(measured.sum() + (~alive).sum()), deaths=int((~alive).sum()),
                    kept=str(change.level if kept else change.reference), notes=c.notes,
                )
            )  # fmt: skip
        return found


def _weights(
    treated: np.ndarray, draws: int, rng: np.random.Generator, engine: str
) -> Iterator[np.ndarray]:
    """Of the patients, within each group: resampled, or Dirichlet; some rows at a time."""
    sizes = {mine: int((treated == mine).sum()) for mine in (True, False)}
    for m in sizes.values():
        if m < 2:
            raise EstimationError(f"a group has {m} patients; at least 2 are needed to compare")
    most, done = max(1, _CELLS // len(treated)), 0
    while done < draws:
        rows = min(draws - done, most)
        weights = np.zeros((rows, len(treated)))
        for mine, m in sizes.items():
            weights[:, treated == mine] = (
                rng.multinomial(m, np.full(m, 1.0 / m), size=rows)
                if engine == "ml"
                else rng.standard_gamma((m - 1.0) / m, size=(rows, m))
            )
        yield weights
        done += rows
