"""The answer of a hazard model with site effects by Bayes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
import pandas as pd

from longsurv.design.hazard import HazardDesign
from longsurv.inference import Draws
from longsurv.likelihood import hazard as hz
from longsurv.likelihood.hazard.sites import SiteHazards
from longsurv.priors import PriorStack
from longsurv.results.assemble import design_flags, sampling_flags
from longsurv.results.columns import beside, draw_columns
from longsurv.results.survival import hazard_curves as curves
from longsurv.results.survival import hazard_site_curves as site_curves
from longsurv.results.survival.cox_curves import check_times, people
from longsurv.results.survival.flags import changing_flag, powers_flag, weightless_flag
from longsurv.results.survival.hazard_posterior import HazardPosterior, drawn_parameters
from longsurv.results.survival.sites import HazardWithEffects, effects_table, site_flags
from longsurv.results.survival.specification import SurvivalSpecification
from longsurv.words import plural


@dataclass(frozen=True, repr=False, eq=False)
class HazardSitesPosterior(HazardWithEffects, HazardPosterior):
    """Posterior of a hazard model with site effects (see `Posterior`); coefficients are log hazard
    ratios between patients of one site.

    The effects are integrated out of the density that is drawn from, and drawn last, from their
    distribution given the data and the parameters. What `baseline` gives is of a site whose effect
    is 0.

    Attributes
    ----------
    sites : SiteHazards
        Arrays of the likelihood, with the site of each row.
    """

    sites: SiteHazards

    @classmethod
    def of(
        cls,
        spec: SurvivalSpecification,
        hazard: HazardDesign,
        sites: SiteHazards,
        stack: PriorStack,
        draws: Draws,
        smoothing: float | None = None,
    ) -> HazardSitesPosterior:
        """The posterior of Hazard `spec` under the priors of `stack`, which the draws are from.

        Parameters
        ----------
        spec : Hazard
        hazard : HazardDesign
        sites : SiteHazards
        stack : PriorStack
        draws : Draws
            Of the parameters and, last, the log standard deviation of the effects.
        smoothing : float, optional
            Of a spline, where it was given.

        Returns
        -------
        HazardSitesPosterior
        """
        design = spec.design
        assert design.sites is not None
        words = ["NUTS on the full likelihood", curves.describe(hazard), sites.effects.words]
        return cls(
            spec=spec,
            design=design,
            names=hazard.names,
            samples=drawn_parameters(hazard, stack, draws, smoothing),
            stack=stack,
            draws=draws,
            log_prior=stack.log_prior(draws.theta),
            method=", ".join([*words, plural(design.n_events, "event")]),
            flags=(
                *design_flags(design),
                *weightless_flag(design),
                *powers_flag(design),
                *changing_flag(hazard),
                *site_flags(design, None),
                *sampling_flags(draws),
            ),
            hazard=hazard,
            smoothing=smoothing,
            sites=sites,
        )

    @cached_property
    def natural(self) -> np.ndarray:
        """Draws of coefficients and baseline in the kernel's coordinates, shape (draws, d)."""
        theta = np.ascontiguousarray(self.draws.flat[:, :-1])
        return hz.natural(self.hazard.data, theta, self.smoothing)

    @property
    def spread(self) -> np.ndarray:
        """Draws of the standard deviation of the effects, shape (draws,)."""
        return np.exp(self.draws.flat[:, -1])

    @cached_property
    def site_effects(self) -> np.ndarray:
        """Draws of the effects on the log hazard, shape (draws, J): given the parameters they are
        independent of one another."""
        H, rng = self.sites.hazards(self.natural), np.random.default_rng([self.draws.seed, 2])
        return self.sites.effects.drawn(self.sites.events, H, self.spread, rng)

    def _logliks(self) -> np.ndarray:
        return self.sites.logliks(self.natural, self.site_effects)

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
        return effects_table(self._of, *draw_columns(self.site_effects, level).values())

    def survival_draws(
        self,
        newdata: pd.DataFrame | None,
        times: Sequence[float],
        *,
        by_site: bool = False,
    ) -> np.ndarray:
        """Draws of survival.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict, with the columns of the formula; by default those of the fit.
        times : sequence of float
        by_site : bool
            Of the row's own site; otherwise averaged over the distribution of sites at each draw.

        Returns
        -------
        ndarray, shape (draws of all chains, rows, times)
        """
        who, grid = people(self, newdata), check_times(times)
        return site_curves.drawn(self, who, grid, "survival", by_site)

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        times: Annotated[Sequence[float] | None, None] = None,
        kind: curves.Kind = "survival",
        level: float = 0.95,
        by_site: bool = False,
    ) -> pd.DataFrame:
        """Posterior of the log relative hazard or, with `times`, of survival, risk or hazards.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict, with the columns of the formula; by default those of the fit.
        times : sequence of float, optional
            With entry times survival is that of somebody alive at the first entry. After the last
            exit the hazard of splines and pieces stays what it was.
        kind : {"survival", "risk", "cumulative_hazard", "hazard"}
            Over sites, the cumulative hazard is minus the log of their average survival, and the
            hazard that of those still alive.
        level : float
            Of the intervals, between 0 and 1.
        by_site : bool
            Of the row's own site; otherwise averaged over the distribution of sites, and the
            relative hazard is that of a site whose effect is 0.

        Returns
        -------
        DataFrame
            `newdata` (repeated for each time, with a column "time") with estimate (posterior mean),
            std_error (its SD), conf_low, conf_high. Without times it is x'b (plus the offset, less
            its median), the log hazard relative to covariates of 0.
        """
        who = people(self, newdata)
        if times is not None:
            grid = check_times(times)
            curves.check_kind(kind, grid)
            values = site_curves.drawn(self, who, grid, kind, by_site)
            columns = draw_columns(values.reshape(len(values), -1), level)
            return curves.on_grid(who, grid, columns)
        beta = self.natural[:, : len(self.names)]
        values = beta @ curves.linear_predictor(self.hazard, who).T + who.offset
        if by_site:
            values = values + self.site_effects[:, self.site_codes(who.frame)]
        return beside(who.frame, draw_columns(values, level))
