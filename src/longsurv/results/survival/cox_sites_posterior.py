"""The answer of a Cox model with site effects by Bayes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd

from longsurv.inference import Draws
from longsurv.likelihood.cox.draws import event_logliks
from longsurv.likelihood.cox.frailty import SiteData, SiteEffects, effects_of
from longsurv.priors import PriorStack
from longsurv.results.assemble import design_flags, sampling_flags
from longsurv.results.columns import beside, draw_columns
from longsurv.results.idata import Pointwise
from longsurv.results.survival.cox_curves import area_rule, check_times, people
from longsurv.results.survival.cox_drawn_curves import drawn_curves, drawn_hazards
from longsurv.results.survival.flags import few_events_flag, powers_flag, weightless_flag
from longsurv.results.survival.ratios import RatioPosterior
from longsurv.results.survival.sites import WithEffects, effects_table, site_flags
from longsurv.results.survival.specification import CoxSpecification
from longsurv.words import plural

if TYPE_CHECKING:
    from longsurv.design.survival import SurvivalDesign


@dataclass(frozen=True, repr=False, eq=False)
class SitesPosterior(WithEffects, RatioPosterior):
    """Posterior of a Cox model with site effects (see `Posterior`); coefficients are log hazard
    ratios between patients of one site.

    Attributes
    ----------
    sites : SiteData
        Sorted arrays of the partial likelihood, with a column for each site.
    effects : SiteEffects
        Their distribution.
    whole : ndarray, shape (draws, p + J)
        Draws of coefficients and site effects, of all chains.
    """

    spec: CoxSpecification
    design: SurvivalDesign
    sites: SiteData
    effects: SiteEffects
    whole: np.ndarray

    @classmethod
    def from_draws(
        cls,
        spec: CoxSpecification,
        sites: SiteData,
        effects: SiteEffects,
        stack: PriorStack,
        draws: Draws,
    ) -> SitesPosterior:
        """The posterior of CoxPH `spec` under the priors of `stack`, which the draws are from.

        Parameters
        ----------
        spec : CoxPH
        sites : SiteData
        effects : SiteEffects
        stack : PriorStack
        draws : Draws

        Returns
        -------
        SitesPosterior
        """
        design = spec.design
        assert design.sites is not None
        values = stack.constrain(draws.theta)
        return cls(
            spec=spec,
            design=design,
            names=design.fixed.names,
            samples={name: values[..., j] for j, name in enumerate(stack.names)},
            stack=stack,
            draws=draws,
            log_prior=stack.log_prior(draws.theta),
            method=f"{draws.way} on the partial likelihood, {spec.ties.capitalize()} ties, "
            f"{effects.words}, {plural(design.n_events, 'event')}",
            flags=(
                *design_flags(design),
                *weightless_flag(design),
                *few_events_flag(design),
                *powers_flag(design),
                *site_flags(design, None),
                *sampling_flags(draws),
            ),
            sites=sites,
            effects=effects,
            whole=effects_of(sites, draws.flat),
        )

    def _pointwise(self) -> Pointwise:
        design, (chains, kept, _) = self.design, self.draws.theta.shape
        events = np.flatnonzero(design.event)
        values = event_logliks(self.sites.data, self.whole, events)
        return Pointwise(
            values.reshape(chains, kept, -1),
            "event",
            self.spec.data.index[design.rows[events]],
            observed=design.exit[events],
        )

    @cached_property
    def _sd(self) -> np.ndarray:
        return self.samples[self._of.deviation].reshape(-1)

    def ranef(self, level: float = 0.95) -> pd.DataFrame:
        """Posterior of the site effects on the log hazard.

        Parameters
        ----------
        level : float
            Of the equal-tailed intervals.

        Returns
        -------
        DataFrame
            The site's column, estimate (posterior mean), std_error (its SD), conf_low, conf_high.
        """
        columns = draw_columns(self.whole[:, self.sites.p :], level)
        return effects_table(self._of, *columns.values())

    def survival_draws(
        self,
        newdata: pd.DataFrame | None,
        times: Sequence[float],
        *,
        baseline: bool = True,
        by_site: bool = False,
    ) -> np.ndarray:
        """Draws of survival.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict, with the columns of the formula; by default those of the fit.
        times : sequence of float
        baseline : bool
            Draw the baseline hazard too, from its posterior given the coefficients under a vague
            gamma-process prior; otherwise it is the partial likelihood's own estimate at each draw,
            and its uncertainty is left out.
        by_site : bool
            Of the row's own site; otherwise averaged over the distribution of sites at each draw.

        Returns
        -------
        ndarray, shape (draws of all chains, rows, times)
        """
        rng = np.random.default_rng([self.draws.seed, 1]) if baseline else None
        who, sites = people(self, newdata), self._of
        own = np.zeros((len(who.X), len(sites.labels)))
        if by_site:
            own[np.arange(len(own)), sites.codes(who.frame)] = 1.0
        who = replace(who, X=np.hstack([who.X, own]))
        H = drawn_hazards(self.sites.data, self.whole, who, check_times(times), rng)
        return np.exp(-H) if by_site else self.effects.survival(H, self._sd[:, None, None])[0]

    def area_rule(self, horizon: float) -> tuple[np.ndarray, np.ndarray]:
        """Times and weights with which a weighted sum of survival is its area to a horizon.

        Parameters
        ----------
        horizon : float

        Returns
        -------
        times, weights : ndarray, shape (T,)
            From the first entry on.
        """
        return area_rule(self.sites.data, float(self.design.entry.min()), horizon)

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        times: Annotated[Sequence[float] | None, None] = None,
        level: float = 0.95,
        by_site: bool = False,
    ) -> pd.DataFrame:
        """Posterior of the log relative hazard or, with `times`, of survival.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict, with the columns of the formula; by default those of the fit.
        times : sequence of float, optional
            Give survival to each of these times; none after the last exit, unless all who were
            left had the event then.
        level : float
            Of the intervals, between 0 and 1.
        by_site : bool
            Of the row's own site; otherwise survival is averaged over the distribution of sites,
            and the relative hazard is that of the median one.

        Returns
        -------
        DataFrame
            `newdata` (repeated for each time, with a column "time") with estimate (posterior mean),
            std_error (its SD), conf_low, conf_high.
        """
        who, p = people(self, newdata), self.sites.p
        if times is None:
            eta = self.whole[:, :p] @ who.X.T + who.offset
            if by_site:
                eta += self.whole[:, p + self._of.codes(who.frame)]
            return beside(who.frame, draw_columns(eta, level))
        grid = check_times(times)
        draws = self.survival_draws(newdata, list(grid), by_site=by_site)
        return drawn_curves(self.design, who, draws, grid, level)

    def survival_curve(
        self, newdata: pd.DataFrame, *, level: float = 0.95, by_site: bool = False
    ) -> pd.DataFrame:
        """Survival at every event time of the model.

        Parameters
        ----------
        newdata : DataFrame
            Rows to predict, with the columns of the formula.
        level : float
            Of the intervals, between 0 and 1.
        by_site : bool
            As for `predict`.

        Returns
        -------
        DataFrame
            `newdata` repeated for each time, with time, estimate, std_error, conf_low, conf_high.
        """
        times = [float(t) for t in np.unique(self.sites.data.times)]
        return self.predict(newdata, times=times, level=level, by_site=by_site)
