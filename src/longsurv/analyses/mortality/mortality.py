"""Mortality by treatment group at a horizon: one question, asked of every method.

The estimand is the event by the horizon in two groups, given entry into the study (a study of
patients with more than seven days in intensive care is about those who lived to day seven). The
models behind it are Cox's,

    h_i(t) = h_0(t) exp(x_i' b),

with the treatment only, and with the covariates of `adjust`. Competing events are censoring to a
hazard; a cumulative incidence counts those who left by them as without the event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from longsurv import priors as pr
from longsurv.analyses.mortality.competing import CompetingEvents, competing_events
from longsurv.analyses.mortality.methods import MortalityMethods, mortality_methods
from longsurv.analyses.mortality.prior_grid import PriorGrid, prior_grid
from longsurv.analyses.mortality.subgroup_split import Trial
from longsurv.analyses.mortality.subgroups import SubgroupEffects, subgroup_effects
from longsurv.cohort import Cohort
from longsurv.cohort.covariates import late_covariates
from longsurv.design.expression import Functions
from longsurv.design.names import quoted
from longsurv.errors import DataError, LongsurvError
from longsurv.estimands.counts import Counts
from longsurv.estimands.follow_up import follow_up, two_groups
from longsurv.estimands.landmark import Landmark, landmark
from longsurv.estimands.tipping import Unseen, tipping_points
from longsurv.models.cox import CoxPH
from longsurv.results.options import Ties


@dataclass(frozen=True, eq=False)
class Mortality:
    """The event by a horizon in two treatment groups.

    Parameters
    ----------
    source : Cohort or DataFrame
        A DataFrame has one row a patient: "exit", "status" (0 censored, 1 the event, 2 and above
        competing events) or "event", "entry" if delayed, the treatment and covariates.
    treatment : str, optional
        Column of two levels, the reference first; of a cohort its own.
    horizon : float, optional
        Of a cohort its own.
    adjust : str
        Covariates known at entry, a right-hand side as ``"age + log(crp)"``.
    markers : mapping of str to str or float
        Markers of the cohort to have as covariates: name to phase or day, not after entry.
    ties : {"efron", "breslow"}
    functions : mapping of str to callable, optional
        Functions of your own that `adjust` may call by name (see `CoxPH`).

    Raises
    ------
    LongsurvError
        If the treatment or the horizon is missing.
    DataError
        When the data are first needed: if a covariate of `adjust` was measured after entry, which
        only patients who lived until then can have; the message says what to do instead.
    """

    source: Cohort | pd.DataFrame = field(repr=False)
    treatment: str | None = None
    horizon: float | None = None
    adjust: str = ""
    markers: Mapping[str, str | float] = field(default_factory=dict)
    ties: Ties = "efron"
    functions: Functions | None = None

    def __post_init__(self) -> None:
        if isinstance(self.source, Cohort):
            schema = self.source.schema
            object.__setattr__(self, "treatment", self.treatment or schema.treatment)
            if self.horizon is None:
                object.__setattr__(self, "horizon", schema.horizon)
        elif self.markers:
            raise LongsurvError("markers= needs a cohort; a DataFrame has them as columns already")
        if self.treatment is None or self.horizon is None:
            raise LongsurvError("name treatment= and horizon=; a cohort may have both")

    @cached_property
    def data(self) -> pd.DataFrame:
        """Follow-up, one row a patient, ended at the horizon."""
        if isinstance(self.source, Cohort):
            problems = late_covariates(self.source, self.adjust, known=self.markers)
            if problems:
                raise DataError(problems)
            data = self.source.survival_data(markers=self.markers)
        else:
            data = self.source
        two_groups(data, self._treatment)  # says what is wrong with them
        whole = follow_up(data)
        horizon = float(whole.on_clock(np.array(self._horizon)))
        late = whole.entry >= horizon
        if late.any():
            rows = ", ".join(map(str, data.index[late][:5])) + (", ..." if late.sum() > 5 else "")
            raise DataError(
                f"entry at or after the horizon ({self._horizon:g}) in {int(late.sum())} rows "
                f"({rows}): these patients are never at risk before it; leave them out"
            )
        status = np.where(whole.exit > horizon, 0, whole.status)
        group = data[self._treatment]
        if isinstance(group.dtype, pd.CategoricalDtype):
            group = group.cat.remove_unused_categories()
        elif pd.api.types.is_numeric_dtype(group) and float(np.ptp(group.to_numpy(float))) != 1.0:
            group = group.astype("category")  # one group against the other, not per unit of a code
        return data.assign(
            entry=whole.entry,
            exit=np.where(whole.exit >= horizon, self._horizon, whole.exit),
            status=status,
            event=(status == 1).astype(np.int64),
            **{self._treatment: group},
        )

    @cached_property
    def counts(self) -> Counts:
        """Events and patients of both groups."""
        _, mine, _, others = two_groups(self.data, self._treatment)
        events = [int((side.status == 1).sum()) for side in (mine, others)]
        return Counts(events[0], len(mine), events[1], len(others))

    @cached_property
    def cox(self) -> CoxPH:
        """The Cox model with the treatment only."""
        return self._cox("")

    @cached_property
    def cox_adjusted(self) -> CoxPH | None:
        """The Cox model with the covariates of `adjust`."""
        return self._cox(f" + {self.adjust}") if self.adjust else None

    def methods(
        self,
        *,
        priors: Mapping[str, pr.Prior] = pr.TREATMENT,
        draws: int = 1000,
        seed: int = 1,
        level: float = 0.95,
    ) -> MortalityMethods:
        """Every method's answer side by side; see
        `longsurv.analyses.mortality.methods.mortality_methods`.

        Parameters
        ----------
        priors : mapping of str to Prior
            Of the log hazard ratio, by name.
        draws, seed : int
            Of the posteriors.
        level : float
            Of all intervals.

        Returns
        -------
        MortalityMethods
        """
        return mortality_methods(
            self.data, self._treatment, self._horizon, self.cox, adjusted=self.cox_adjusted,
            adjust=self.adjust, priors=priors, draws=draws, seed=seed, level=level,
            unit=self._unit,
        )  # fmt: skip

    def standardised(
        self, prior: pr.Prior | None = None, *, draws: int = 1000, seed: int = 1,
        level: float = 0.95,
    ) -> pd.DataFrame:  # fmt: skip
        """Risks standardised over the cohort, competing events taken into account; see
        `longsurv.analyses.mortality.standardised_incidence`.

        Parameters
        ----------
        prior : Prior, optional
            Of the treatment's log hazard ratio; the weak one by default.
        draws, seed : int
            Of the posteriors.
        level : float
            Of the intervals.

        Returns
        -------
        DataFrame
            A row an engine and quantity, with its estimate, interval and, where there is none, the
            reason.
        """
        from longsurv.analyses.mortality.standardised_incidence import standardised_risks

        right = f" + {self.adjust}" if self.adjust else ""
        return standardised_risks(
            [self._cox(right, cause=k) for k in self._happened()], self._treatment, self._horizon,
            pr.TREATMENT["weak"] if prior is None else prior, draws=draws, seed=seed, level=level,
        )  # fmt: skip

    def prior_grid(
        self,
        priors: Mapping[str, pr.Prior] = pr.TREATMENT,
        *,
        baseline_risk: float | None = None,
        draws: int = 1000,
        chains: int = 4,
        seed: int = 1,
        level: float = 0.95,
    ) -> PriorGrid:
        """Posteriors under named priors, adjusted if there is `adjust`; see
        `longsurv.analyses.mortality.prior_grid`.

        Parameters
        ----------
        priors : mapping of str to Prior
            Of the log hazard ratio, by name.
        baseline_risk : float, optional
            Risk of the reference at which the priors' risk differences are told; by default that of
            the cohort.
        draws, chains, seed : int
            Of the posteriors.
        level : float
            Of the intervals.

        Returns
        -------
        PriorGrid
        """
        return prior_grid(
            self.cox_adjusted or self.cox, self._treatment, priors, horizon=self._horizon,
            baseline_risk=baseline_risk, draws=draws, chains=chains, seed=seed, level=level,
        )  # fmt: skip

    def tipping(
        self, most: int = 8, *, threshold: float = 0.8, unseen: Unseen | None = None
    ) -> pd.DataFrame:
        """The fewest unseen deaths that change the answer; see `estimands.tipping`.

        Parameters
        ----------
        most : int
            Unseen deaths in the other arm that are tried: 0 to this many.
        threshold : float
            Probability below which the observed direction of the effect no longer convinces.
        unseen : Unseen, optional
            Patients outside the cohort, whose deaths are not known.

        Returns
        -------
        DataFrame
        """
        return tipping_points(self.counts, most, threshold=threshold, unseen=unseen)

    def competing(
        self, *, level: float = 0.95, draws: int = 20_000, seed: int = 1
    ) -> CompetingEvents:
        """Cumulative incidence of every cause by both engines, with Gray's test, beside its
        cause-specific and subdistribution (Fine and Gray's) hazard ratios.

        Parameters
        ----------
        level : float
            Of all intervals.
        draws, seed : int
            Of the posterior.

        Returns
        -------
        CompetingEvents
        """
        return competing_events(
            self.data, self._treatment, self._horizon, self._causes(),
            adjust=self.adjust, level=level, draws=draws, seed=seed,
        )  # fmt: skip

    def subgroups(
        self,
        columns: Sequence[str],
        *,
        draws: int = 1000,
        chains: int = 4,
        seed: int = 1,
        level: float = 0.95,
    ) -> SubgroupEffects:
        """Whether the effect differs between subgroups: hazard ratios and risk differences of each
        level of each column, the test of no difference between levels, and the same shrunken.

        With fewer than five events a coefficient the model of a column has Firth's penalty. A level
        without an answer has the reason. See `longsurv.analyses.mortality.subgroups`.

        Parameters
        ----------
        columns : sequence of str
            Of at most ten levels each; what is continuous has to be cut beforehand.
        draws, chains, seed : int
            Of the posteriors.
        level : float
            Of all intervals.

        Returns
        -------
        SubgroupEffects

        Raises
        ------
        DataError
            For a column that there is not, or that has no subgroups.
        """
        group, _, reference, _ = two_groups(self.data, self._treatment)
        rows = (self.cox_adjusted or self.cox).design.rows
        trial = Trial(
            self.data.iloc[rows], self._treatment, reference, group, self._horizon, self.adjust,
            self._happened(), self.ties, self.functions,
        )  # fmt: skip
        return subgroup_effects(
            trial, columns, draws=draws, chains=chains, seed=seed, level=level,
            excluded=len(self.data) - len(rows),
        )  # fmt: skip

    def landmark(
        self, day: float, *, markers: Sequence[str] | None = None, since: float | None = None
    ) -> Landmark:
        """Who is still at risk at a day, with the markers known by then; see `landmark`.

        Parameters
        ----------
        day : float
            On the clock of the event.
        markers : sequence of str, optional
            By default all of the cohort.
        since : float, optional
            Leave out values measured before this time.

        Returns
        -------
        Landmark
        """
        if not isinstance(self.source, Cohort):
            raise LongsurvError("a landmark data set needs a cohort with its measurements")
        return landmark(self.source, day, markers=markers, since=since)

    @property
    def _treatment(self) -> str:
        assert self.treatment is not None
        return self.treatment

    @property
    def _unit(self) -> str:
        return self.source.schema.time_unit if isinstance(self.source, Cohort) else ""

    @property
    def _horizon(self) -> float:
        assert self.horizon is not None
        return float(self.horizon)

    def _cox(self, more: str, cause: int = 1) -> CoxPH:
        formula = f"Surv(entry, exit, event) ~ {quoted(self._treatment)}{more}"
        data = self.data
        if cause != 1:
            data = data.assign(event=(data["status"] == cause).astype(np.int64))
        return CoxPH(formula, data=data, ties=self.ties, functions=self.functions)

    def _causes(self) -> dict[str, int]:
        labels = list(self.source.schema.competing) if isinstance(self.source, Cohort) else []
        seen = [int(s) for s in np.unique(self.data["status"]) if s > 1]
        named = {label: k for k, label in enumerate(labels, 2)}
        extra = {f"cause {s}": s for s in seen if s not in named.values()}
        return {"event": 1, **named, **extra}

    def _happened(self) -> tuple[int, ...]:
        """Statuses of the event and of what else happened."""
        happened = set(self.data["status"])
        return tuple(k for k in self._causes().values() if k == 1 or k in happened)
