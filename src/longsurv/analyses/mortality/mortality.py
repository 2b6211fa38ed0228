"""Mortality by treatment group at a horizon: one question, asked of every method.

The estimand is the event by the horizon in two groups, or in each of several arms against another
one, given entry into the study (a study of
patients with more than seven days in intensive care is about those who lived to day seven). The
models behind it are Cox's,

    h_i(t) = h_0(t) exp(x_i' b),

with the treatment only, and with the covariates of `adjust`. Competing events are censoring to a
hazard; a cumulative incidence counts those who left by them as without the event. Of several arms
one model has all, with one baseline hazard; methods without a model see the two arms compared.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from longsurv import priors as pr
from longsurv.analyses.markers.sites import named_in
from longsurv.analyses.mortality.arm_ratios import arm_ratios
from longsurv.analyses.mortality.arms import (
    Compare,
    Comparison,
    chosen_comparison,
    comparisons_of,
    followed_arms,
    patients_of,
)
from longsurv.analyses.mortality.competing import CompetingEvents, competing_events
from longsurv.analyses.mortality.failure_times import Kind, failure_time_curves
from longsurv.analyses.mortality.methods import mortality_methods
from longsurv.analyses.mortality.methods_table import MortalityMethods, together
from longsurv.analyses.mortality.prior_grid import PriorGrid, prior_grid
from longsurv.analyses.mortality.subgroup_split import Trial
from longsurv.analyses.mortality.subgroups import SubgroupEffects, subgroup_effects
from longsurv.arguments import checked
from longsurv.cohort import Cohort
from longsurv.cohort.covariates import late_covariates
from longsurv.design.expression import Functions
from longsurv.design.names import quoted
from longsurv.errors import DataError, LongsurvError
from longsurv.estimands.counts import Counts
from longsurv.estimands.follow_up import by_group, two_groups
from longsurv.estimands.landmark import Landmark, landmark
from longsurv.estimands.tipping import Unseen, tipping_points
from longsurv.models.cox import CoxPH
from longsurv.results.options import Ties


@checked
@dataclass(frozen=True, eq=False)
class Mortality:
    """The event by a horizon in two treatment groups, or in each of several against another.

    Parameters
    ----------
    source : Cohort or DataFrame
        A DataFrame has one row a patient: "exit", "status" (0 censored, 1 the event, 2 and above
        competing events) or "event", "entry" if delayed, the treatment and covariates.
    treatment : str, optional
        Column of two levels or more, the reference first; of a cohort its own.
    horizon : float, optional
        Of a cohort its own.
    adjust : str
        Covariates known at entry, a right-hand side as ``"age + log(crp)"``.
    markers : mapping of str to str or float
        Markers of the cohort to have as covariates: name to phase or day, not after entry.
    ties : {"efron", "breslow"}
    functions : mapping of str to callable, optional
        Functions of your own that `adjust` may call by name (see `CoxPH`).
    group, reference : hashable, optional
        The two arms to compare, where there are several, or which of two is compared with the
        other. With neither, `methods` compares every other arm with the first, and what answers one
        comparison asks for them; `each` has every comparison.
    site : str, optional
        Column of the site a patient belongs to, of a cohort its own: `methods` then has a Cox model
        with an effect of it, too.

    Raises
    ------
    LongsurvError
        If the treatment or the horizon is missing; when it is asked, if there are several arms and
        the answer is about two, or there is no such arm.
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
    group: Hashable | None = None
    reference: Hashable | None = None
    site: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.source, Cohort):
            schema = self.source.schema
            object.__setattr__(self, "treatment", self.treatment or schema.treatment)
            if self.horizon is None:
                object.__setattr__(self, "horizon", schema.horizon)
            object.__setattr__(self, "site", self.site or schema.site)
        elif self.markers:
            raise LongsurvError("markers= needs a cohort; a DataFrame has them as columns already")
        if self.treatment is None or self.horizon is None:
            raise LongsurvError("name treatment= and horizon=; a cohort may have both")

    @cached_property
    def data(self) -> pd.DataFrame:
        """Follow-up of all arms, one row a patient, ended at the horizon; the reference first."""
        if isinstance(self.source, Cohort):
            problems = late_covariates(self.source, self.adjust, known=self.markers)
            if problems:
                raise DataError(problems)
            data = self.source.survival_data(markers=self.markers)
        else:
            data = self.source
        return followed_arms(
            data, self._treatment, self._horizon, group=self.group, reference=self.reference
        )

    @property
    def arms(self) -> list[Hashable]:
        """The arms, the reference first."""
        return list(by_group(self.data, self._treatment))

    @cached_property
    def comparison(self) -> Comparison:
        """The two arms that are compared."""
        return chosen_comparison(self.arms, self.group, self.reference, self._treatment)

    def each(self, kind: Compare = "reference") -> dict[str, Mortality]:
        """The question of every comparison by itself, where there are several arms.

        Parameters
        ----------
        kind : {"reference", "pairwise"}
            Every other arm with the reference, or every arm with every earlier one.

        Returns
        -------
        dict of str to Mortality
            By the comparison, as "active - control": the group, and what it is compared with.
        """
        return {
            one.name: replace(self, group=one.group, reference=one.reference)
            for one in comparisons_of(self.arms, kind)
        }

    def arm_ratios(self, kind: Compare = "reference", *, level: float = 0.95) -> pd.DataFrame:
        """Hazard ratios of several arms, with intervals that hold for all comparisons together;
        see `longsurv.analyses.mortality.arm_ratios`.

        Of one Cox model of all arms, adjusted if there is `adjust`.

        Parameters
        ----------
        kind : {"reference", "pairwise"}
            Every other arm with the first (Dunnett's intervals), or every arm with every earlier
            one (Tukey's).
        level : float
            Of the intervals: of each by itself, and of all together.

        Returns
        -------
        DataFrame
            comparison, estimate (hazard ratio), conf_low and conf_high (of each alone),
            simultaneous_low and simultaneous_high (of all together), p_value, p_holm (corrected by
            Holm's method), p_simultaneous (below 1 - level just where the simultaneous interval
            leaves out 1).

        Raises
        ------
        EstimationError
            If an arm has no events.
        """
        fit = (self.cox_adjusted or self.cox).fit()
        return arm_ratios(fit, self._treatment, self.arms, kind, level)

    @cached_property
    def pair(self) -> pd.DataFrame:
        """Of `data` the patients of the two arms compared."""
        return patients_of(self.data, self._treatment, self.comparison)

    @cached_property
    def counts(self) -> Counts:
        """Events and patients of both groups."""
        _, mine, _, others = two_groups(self.pair, self._treatment)
        events = [int((side.status == 1).sum()) for side in (mine, others)]
        return Counts(events[0], len(mine), events[1], len(others))

    @cached_property
    def cox(self) -> CoxPH:
        """The Cox model with the treatment only, of all arms."""
        return self._cox("")

    @cached_property
    def cox_adjusted(self) -> CoxPH | None:
        """The Cox model with the covariates of `adjust`."""
        return self._cox(f" + {self.adjust}") if self.adjust else None

    @cached_property
    def cox_sites(self) -> CoxPH | None:
        """The Cox model of `cox_adjusted`, or of `cox`, with an effect of the site.

        None without a site, or where `adjust` has it already.
        """
        if self.site is None or named_in(self.adjust, self.site):
            return None
        if self.site not in self.data:
            raise DataError(f"the data have no column {self.site!r} of sites")
        adjusting = f" + {self.adjust}" if self.adjust else ""
        return self._cox(f"{adjusting} + (1 | {quoted(self.site)})")

    def methods(
        self,
        *,
        priors: Mapping[str, pr.Prior] = pr.TREATMENT,
        draws: int = 1000,
        seed: int = 1,
        level: float = 0.95,
        kind: Compare = "reference",
    ) -> MortalityMethods:
        """Every method's answer side by side; see
        `longsurv.analyses.mortality.methods.mortality_methods`.

        Of several arms, with none named by `group` and `reference`, the answers of every
        comparison, with its name in the column `comparison`. Models of the hazard and of the time
        are of all arms, and weights make all of them alike; every other method is of the two
        compared.

        Parameters
        ----------
        priors : mapping of str to Prior
            Of the log hazard ratio, by name.
        draws, seed : int
            Of the posteriors.
        level : float
            Of all intervals.
        kind : {"reference", "pairwise"}
            Of several arms every other with the reference, or every arm with every earlier one.

        Returns
        -------
        MortalityMethods
        """
        if len(self.arms) > 2 and self.group is None:
            return together([
                one.methods(priors=priors, draws=draws, seed=seed, level=level)
                for one in self.each(kind).values()
            ])  # fmt: skip
        return mortality_methods(
            self.pair, self._treatment, self._horizon, self.cox, adjusted=self.cox_adjusted,
            adjust=self.adjust, priors=priors, draws=draws, seed=seed, level=level,
            unit=self._unit, with_sites=self.cox_sites, all_arms=self.data,
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
            pr.TREATMENT["weak"] if prior is None else prior, treated=self.comparison.group,
            reference=self.comparison.reference, draws=draws, seed=seed, level=level,
        )  # fmt: skip

    def failure_time_curves(
        self, times: Sequence[float], *, kind: Kind = "Weibull", level: float = 0.95
    ) -> pd.DataFrame:
        """Survival had all patients been in each arm, by an accelerated failure time model.

        For readers who do not believe in proportional hazards: the logarithm of the time is linear
        in treatment and covariates. Competing events are censoring. Fitted by lifelines.

        Parameters
        ----------
        times : sequence of float
            From the first entry to the last exit, which the horizon ends.
        kind : {"Weibull", "log-normal", "log-logistic"}
        level : float
            Of the intervals.

        Returns
        -------
        DataFrame
            A row an arm and time, the reference first: group, time, estimate, std_error, conf_low,
            conf_high, note; averaged over the patients of all arms, as `standardised_survival`.

        Raises
        ------
        EstimationError
            If the data do not determine the model, as where nobody of an arm has the event.
        """
        spec = self.cox_adjusted or self.cox
        return failure_time_curves(spec, self._treatment, self.arms, times, kind, level)

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
            baseline_risk=baseline_risk, group=self.comparison.group, draws=draws, chains=chains,
            seed=seed, level=level,
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
            self.pair, self._treatment, self._horizon, self._causes(),
            adjust=self.adjust, level=level, draws=draws, seed=seed, all_arms=self.data,
            group=self.comparison.group,
        )  # fmt: skip

    def subgroups(
        self,
        columns: Sequence[str],
        *,
        draws: int = 1000,
        chains: int = 4,
        seed: int = 1,
        level: float = 0.95,
        kind: Compare = "reference",
    ) -> SubgroupEffects:
        """Whether the effect differs between subgroups: hazard ratios and risk differences of each
        level of each column, the test of no difference between levels, and the same shrunken.

        With fewer than five events a coefficient the model of a column has Firth's penalty. A level
        without an answer has the reason. See `longsurv.analyses.mortality.subgroups`.

        Of several arms one model has all. With none named by `group` and `reference`, the answers
        are of every comparison, with its name in the column `comparison`.

        Parameters
        ----------
        columns : sequence of str
            Of at most ten levels each; what is continuous has to be cut beforehand.
        draws, chains, seed : int
            Of the posteriors.
        level : float
            Of all intervals.
        kind : {"reference", "pairwise"}
            Of several arms every other with the reference, or every arm with every earlier one.

        Returns
        -------
        SubgroupEffects

        Raises
        ------
        DataError
            For a column that there is not, or that has no subgroups.
        """
        named = len(self.arms) == 2 or self.group is not None or self.reference is not None
        asked = [self.comparison] if named else comparisons_of(self.arms, kind)
        rows = self._cox(f" + {self.adjust}" if self.adjust else "").design.rows
        trial = Trial(
            self.data.iloc[rows], self._treatment, tuple(self.arms), tuple(asked), self._horizon,
            self.adjust, self._happened(), self.ties, self.functions,
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

    def _cox(self, more: str, cause: int = 1, data: pd.DataFrame | None = None) -> CoxPH:
        formula = f"Surv(entry, exit, event) ~ {quoted(self._treatment)}{more}"
        data = self.data if data is None else data
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
