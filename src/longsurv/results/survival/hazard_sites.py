"""The answer of a hazard model with site effects by maximum likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pandas as pd

from longsurv.design.hazard import HazardDesign
from longsurv.inference import Optimum, identify
from longsurv.likelihood import hazard as hz
from longsurv.likelihood.hazard.sites import SiteHazards
from longsurv.results.assemble import design_flags
from longsurv.results.columns import beside, normal_columns
from longsurv.results.reference import NormalReference
from longsurv.results.survival import hazard_curves as curves
from longsurv.results.survival import hazard_site_curves as site_curves
from longsurv.results.survival.cox_curves import check_times, people
from longsurv.results.survival.flags import (
    changing_flag,
    few_events_flag,
    smoothing_flag,
    weightless_flag,
)
from longsurv.results.survival.hazard import HazardEstimate
from longsurv.results.survival.hazard_site_climb import HazardSiteClimb
from longsurv.results.survival.sites import (
    HazardWithEffects,
    WithSpread,
    effects_table,
    site_flags,
)
from longsurv.results.survival.specification import SurvivalSpecification
from longsurv.words import plural


@dataclass(frozen=True, repr=False, eq=False)
class HazardSitesEstimate(WithSpread, HazardWithEffects, HazardEstimate):
    """A fitted hazard model with site effects (see `Estimate`); coefficients are log hazard ratios
    between patients of one site.

    `llf` has the effects integrated out. What `baseline` gives is of a site whose effect is 0.

    Attributes
    ----------
    sites : SiteHazards
        Arrays of the likelihood, with the site of each row.
    sd : float
        Standard deviation of the effects on the log hazard; of gamma effects that of the factor on
        the hazard.
    whole_cov : ndarray, shape (d + 1, d + 1)
        Covariance of the kernel's coordinates and `sd`.
    null_loglik : float
        Log-likelihood without site effects, with the penalty of a spline.
    climb : HazardSiteClimb
        The maximum for any standard deviation.
    """

    sites: SiteHazards
    sd: float
    whole_cov: np.ndarray
    null_loglik: float
    climb: HazardSiteClimb

    @classmethod
    def of(
        cls,
        spec: SurvivalSpecification,
        hazard: HazardDesign,
        sites: SiteHazards,
        optimum: Optimum,
        without: Optimum,
    ) -> HazardSitesEstimate:
        """The fitted model where its climb ended.

        Parameters
        ----------
        spec : Hazard
        hazard : HazardDesign
        sites : SiteHazards
        optimum : Optimum
            Of the parameters and, last, the standard deviation of the effects.
        without : Optimum
            Of the parameters without site effects.
        """
        design, p, d = spec.design, len(hazard.names), len(optimum.x) - 1
        assert design.sites is not None
        theta, s = optimum.x[:d], float(optimum.x[-1])
        given, smoothing = optimum.smoothing or 0.0, optimum.smoothing
        cov = np.zeros((d + 1, d + 1))
        free = np.ix_(optimum.free, optimum.free)
        cov[free] = identify(-optimum.hessian).cov
        jacobian = np.eye(d + 1)
        jacobian[:d, :d] = hz.derivative(hazard.data, theta, given)
        natural = hz.natural(hazard.data, theta[None, :], given)[0]
        whole = jacobian @ cov @ jacobian.T
        llf = float(hz.kernel(hazard.data, natural)[0])
        if s > 0.0:
            llf = sites.value_and_gradient(theta, s, given)[0]
        edf = float(d + 1)
        if smoothing is not None:
            edf -= float(np.trace(cov[p + 1 : d, p + 1 : d]))
        words = ["maximum likelihood", curves.describe(hazard), sites.effects.words]
        return cls(
            spec=spec,
            design=design,
            names=hazard.names,
            coefficients=theta[:p],
            reference=NormalReference(whole[:p, :p]),
            llf=llf,
            nobs=len(design.rows),
            n_params=d + 1,
            optimum=optimum,
            method=", ".join([*words, plural(design.n_events, "event")]),
            flags=(
                *design_flags(design),
                *weightless_flag(design),
                *changing_flag(hazard),
                *smoothing_flag(smoothing),
                *few_events_flag(design),
                *site_flags(design, s),
                *(() if optimum.converged else (f"Not a maximum: {optimum.status}.",)),
            ),
            profile=None,
            hazard=hazard,
            natural=natural,
            natural_cov=whole[:d, :d],
            theta_cov=cov,
            edf=edf,
            sites=sites,
            sd=s,
            whole_cov=whole,
            null_loglik=without.value,
            climb=HazardSiteClimb(sites, without.x, given),
        )

    def variance_table(self, level: float = 0.95) -> pd.DataFrame:
        """The baseline's parameters, of which nothing is tested, and the standard deviation of the
        site effects with its test and its profile interval.

        Parameters
        ----------
        level : float
            Of the intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            In the columns of `tidy`; statistic and p_value are those of `variance_test`.
        """
        se = np.nan if self.sd == 0.0 else float(self.theta_cov[-1, -1]) ** 0.5
        rows = [super().variance_table(level), self._spread_row(se, level)]
        return pd.concat([rows[0].astype(rows[1].dtypes), rows[1]], ignore_index=True)

    def predicted_effects(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Site effects given the data and the estimates.

        Returns
        -------
        mean : ndarray, shape (J,)
        slope : ndarray, shape (J, d + 1)
            Its derivative by the kernel's coordinates and the standard deviation.
        variance : ndarray, shape (J,)
            Of the effects, the estimates being given.
        """
        J, width = len(self.sites.events), len(self.whole_cov)
        if self.sd == 0.0:
            return np.zeros(J), np.zeros((J, width)), np.zeros(J)
        H = self.sites.hazards(self.natural[None, :])[0]
        found = self.sites.effects.predicted(self.sites.events, H, self.sd)
        slope = np.zeros((J, width))
        slope[:, :-1] = found.by_H[:, None] * self.sites.natural_slopes(self.natural)
        slope[:, -1] = found.by_s / self.sd
        return found.mean, slope, found.variance

    def ranef(self, level: float = 0.95) -> pd.DataFrame:
        """Best predictions of the site effects on the log hazard: their means given the data.

        Parameters
        ----------
        level : float
            Of the normal intervals.

        Returns
        -------
        DataFrame
            The site's column, estimate, std_error (of effects given the estimates, and of the
            estimates: Booth & Hobert 1998, J Am Stat Assoc 93:262-272), conf_low, conf_high. All 0
            where the standard deviation is 0.
        """
        b, slope, variance = self.predicted_effects()
        se = np.sqrt(variance + np.einsum("ij,jk,ik->i", slope, self.whole_cov, slope))
        return effects_table(self._of, *normal_columns(b, se, level).values())

    def _expected(self) -> np.ndarray:
        if self.sd == 0.0:
            return super()._expected()
        H = self.sites.hazards(self.natural[None, :])[0]
        factor = self.sites.effects.of_sites(self.sites.events, H, self.sd).factor
        return super()._expected() * factor[self.sites.site]

    def mean_survival_at(
        self,
        frames: Sequence[pd.DataFrame],
        times: Sequence[float],
        weights: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Survival to each of several times, averaged over sites and over the rows of each frame.

        Parameters
        ----------
        frames : sequence of DataFrame, length A
            Rows with the columns of the formula.
        times : sequence of float, length T
        weights : ndarray, shape (m,), optional
            For how many each row counts, in every frame; by default for one.

        Returns
        -------
        mean : ndarray, shape (A, T)
        cov : ndarray, shape (A, T, A, T)
            Of the means, by the delta method; the rows themselves count as given.
        """
        grid, effects = check_times(times), self.sites.effects
        mean = np.zeros((len(frames), len(grid)))
        slope = np.zeros((len(frames), len(grid), len(self.whole_cov)))
        for a, frame in enumerate(frames):
            who = people(self, frame)
            for t in range(len(grid)):
                H, J = curves.cumulative(self.hazard, self.natural, who, grid[t : t + 1])
                log, factor = site_curves.averaged(effects, H, self.sd)
                S = np.exp(log)
                share = curves.shares(len(S), weights)
                mean[a, t], slope[a, t, :-1] = share @ S, -((share * S * factor) @ J)
                slope[a, t, -1] = share @ (S * site_curves.by_spread(effects, H, self.sd))
        return mean, np.einsum("atj,jk,bsk->atbs", slope, self.whole_cov, slope)

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        times: Annotated[Sequence[float] | None, None] = None,
        kind: curves.Kind = "survival",
        level: float = 0.95,
        by_site: bool = False,
    ) -> pd.DataFrame:
        """Log relative hazard or, with `times`, survival, risk or hazards.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict; by default the rows the model was fitted to.
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
            `newdata` (repeated for each time, with a column "time") with estimate, std_error,
            conf_low, conf_high. Without times the estimate is x'b (plus the offset, less its
            median), the log hazard relative to covariates of 0.
        """
        who = people(self, newdata)
        if times is not None:
            grid = check_times(times)
            curves.check_kind(kind, grid)
            columns = site_curves.estimated(self, who, grid, kind, level, by_site)
            return curves.on_grid(who, grid, columns)
        X, p = curves.linear_predictor(self.hazard, who), len(self.names)
        rows, extra = np.zeros((len(X), len(self.whole_cov))), np.zeros(len(X))
        rows[:, :p], value = X, X @ self.coefficients + who.offset
        if by_site:
            site = self.site_codes(who.frame)
            b, slope, variance = (part[site] for part in self.predicted_effects())
            value, rows, extra = value + b, rows + slope, variance
        se = np.sqrt(np.einsum("ij,jk,ik->i", rows, self.whole_cov, rows) + extra)
        return beside(who.frame, normal_columns(value, se, level))
