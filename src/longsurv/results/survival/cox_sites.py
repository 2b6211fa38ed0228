"""The answer of a Cox model with site effects by maximum likelihood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd

from longsurv.inference import Optimum
from longsurv.inference.scoring import ascend
from longsurv.likelihood.cox.frailty import SiteData, SiteEffects
from longsurv.likelihood.cox.loglik import CoxData, value_gradient_information
from longsurv.results.assemble import design_flags
from longsurv.results.columns import beside, normal_columns
from longsurv.results.reference import NormalReference, t_quantile
from longsurv.results.survival.covariances import inverse
from longsurv.results.survival.cox_curves import (
    CoxKnown,
    People,
    area_rule,
    check_times,
    event_times,
    hazards,
    mean_survival,
    people,
    repeated,
    survival_limits,
)
from longsurv.results.survival.flags import few_events_flag, weightless_flag
from longsurv.results.survival.ratios import RatioEstimate
from longsurv.results.survival.site_climb import SiteClimb
from longsurv.results.survival.sites import WithSpread, effects_table, site_flags
from longsurv.results.survival.specification import CoxSpecification
from longsurv.words import plural

if TYPE_CHECKING:
    from longsurv.design.survival import SurvivalDesign


@dataclass(frozen=True, repr=False, eq=False)
class SitesEstimate(WithSpread, RatioEstimate):
    """A fitted Cox model with site effects (see `Estimate`); coefficients are log hazard ratios
    between patients of one site.

    `llf` is the partial likelihood with the effects integrated out.

    Attributes
    ----------
    sites : SiteData
        Sorted arrays of the partial likelihood, with a column for each site.
    effects : SiteEffects
        Their distribution.
    sd : float
        Standard deviation of the effects on the log hazard; of gamma effects that of the factor on
        the hazard.
    whole : ndarray, shape (p + J,)
        Coefficients, then site effects.
    whole_cov : ndarray, shape (p + J, p + J)
        Their covariance, given `sd`.
    null_loglik : float
        Log-likelihood without site effects.
    climb : SiteClimb
        The penalised maximum for any standard deviation.
    """

    spec: CoxSpecification
    design: SurvivalDesign
    sites: SiteData
    effects: SiteEffects
    sd: float
    whole: np.ndarray
    whole_cov: np.ndarray
    null_loglik: float
    climb: SiteClimb

    @classmethod
    def at(
        cls,
        spec: CoxSpecification,
        sites: SiteData,
        effects: SiteEffects,
        optimum: Optimum,
        plain: CoxData,
    ) -> SitesEstimate:
        """The fitted model where its climb ended.

        Parameters
        ----------
        spec : CoxPH
        sites : SiteData
        effects : SiteEffects
        optimum : Optimum
            Of coefficients, site effects and their standard deviation.
        plain : CoxData
            Of the covariates alone.
        """
        design, p, s = spec.design, sites.p, float(optimum.x[-1])
        assert design.sites is not None
        cov = np.zeros((len(optimum.x) - 1, len(optimum.x) - 1))
        known = p if s == 0.0 else len(cov)
        cov[:known, :known] = inverse(-optimum.hessian[:known, :known])
        return cls(
            spec=spec,
            design=design,
            names=design.fixed.names,
            coefficients=optimum.x[:p],
            reference=NormalReference(cov[:p, :p]),
            llf=optimum.value,
            nobs=len(design.rows),
            n_params=p + 1,
            optimum=optimum,
            method=f"partial likelihood, {spec.ties.capitalize()} ties, {effects.words}, "
            f"{plural(design.n_events, 'event')}",
            flags=(
                *design_flags(design),
                *weightless_flag(design),
                *few_events_flag(design),
                *site_flags(design, s),
            ),
            profile=None,
            sites=sites,
            effects=effects,
            sd=s,
            whole=optimum.x[:-1],
            whole_cov=cov,
            null_loglik=ascend(
                partial(value_gradient_information, plain), np.zeros(p), exact=True
            ).value,
            climb=SiteClimb(sites, effects),
        )

    def _profiled(self, row: np.ndarray) -> np.ndarray:
        return row

    @property
    def bic(self) -> float:
        """Bayesian criterion; it counts events, which a partial likelihood is made of."""
        return -2.0 * self.llf + float(np.log(self.design.counted_events)) * self.n_params

    def variance_table(self, level: float = 0.95) -> pd.DataFrame:
        """The standard deviation of the site effects, with its test and its profile interval.

        Parameters
        ----------
        level : float
            Of the interval, between 0 and 1.

        Returns
        -------
        DataFrame
            In the columns of `tidy`; statistic and p_value are those of `variance_test`.
        """
        se = np.nan if self.sd == 0.0 else float(-self.optimum.hessian[-1, -1]) ** -0.5
        return self._spread_row(se, level)

    def ranef(self, level: float = 0.95) -> pd.DataFrame:
        """Best predictions of the site effects on the log hazard.

        Parameters
        ----------
        level : float
            Of the normal intervals.

        Returns
        -------
        DataFrame
            The site's column, estimate, std_error (of the coefficients too, given the standard
            deviation), conf_low, conf_high. All 0 where that is 0.
        """
        b, p = self.whole[self.sites.p :], self.sites.p
        columns = normal_columns(b, np.sqrt(np.diag(self.whole_cov)[p:]), level)
        return effects_table(self._of, *columns.values())

    @cached_property
    def _known(self) -> CoxKnown:
        return CoxKnown(self.sites.data, self.whole, NormalReference(self.whole_cov), ())

    def _people(self, newdata: pd.DataFrame | None, by_site: bool) -> People:
        """Rows with a column for each site: their own, or none, which is the median one."""
        who, sites = people(self, newdata), self._of
        own = np.zeros((len(who.X), len(sites.labels)))
        if by_site:
            own[np.arange(len(own)), sites.codes(who.frame)] = 1.0
        return replace(who, X=np.hstack([who.X, own]))

    def _left(self, H: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log of survival averaged over sites, and minus its derivative by the median site's
        hazard."""
        return (-H, np.ones(H.shape)) if self.sd == 0.0 else self.effects.left(H, self.sd)

    def _averaged(self, H: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Survival averaged over sites, and minus its derivative by the median site's hazard."""
        log, factor = self._left(H)
        return np.exp(log), np.exp(log) * factor

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
            Of the means, by the delta method; the rows themselves and the standard deviation of
            the site effects count as given.
        """
        who = self._people(pd.concat(frames, ignore_index=True), by_site=False)
        sizes = [len(frame) for frame in frames]
        at = check_times(times)
        return mean_survival(self._known, who, sizes, at, self._averaged, weights)

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
        """Log relative hazard or, with `times`, survival probabilities.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict; by default the rows the model was fitted to.
        times : sequence of float, optional
            Give survival to each of these times; none after the last exit, unless all who were
            left had the event then.
        level : float
            Of the intervals, between 0 and 1: of survival on the scale of log(-log S).
        by_site : bool
            Of the row's own site; otherwise survival is averaged over the distribution of sites,
            and the relative hazard is that of the median one.

        Returns
        -------
        DataFrame
            `newdata` (repeated for each time, with a column "time") with estimate, std_error,
            conf_low, conf_high. The standard deviation of the site effects counts as given.
        """
        if times is not None:
            grid = check_times(times)
            return self._curves(newdata, lambda _: grid, level, by_site)
        who = self._people(newdata, by_site)
        estimate = who.X @ self.whole + who.offset
        se = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", who.X, self.whole_cov, who.X), 0.0))
        return beside(who.frame, normal_columns(estimate, se, level))

    def survival_curve(
        self, newdata: pd.DataFrame, *, level: float = 0.95, by_site: bool = False
    ) -> pd.DataFrame:
        """Survival at every event time of each row's stratum.

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
        return self._curves(newdata, lambda s: event_times(self.sites.data, s), level, by_site)

    def _curves(
        self,
        newdata: pd.DataFrame | None,
        times_of: Callable[[int], np.ndarray],
        level: float,
        by_site: bool,
    ) -> pd.DataFrame:
        who, z = self._people(newdata, by_site), t_quantile(level, np.inf)
        parts: list[pd.DataFrame] = [pd.DataFrame()] * len(who.frame)
        for stratum, rows in who.of_stratum():
            times = times_of(stratum)
            found = hazards(self.sites.data, self.whole, who, rows, stratum, times)
            H = found.value
            log, factor = (-H, np.ones(H.shape)) if by_site else self._left(H)
            S, error = np.exp(log), factor * np.sqrt(found.total_variance(self.whole_cov))
            se = S * error
            # before the first event no interval is known, but for the start itself
            se[(H == 0.0) & (times > self.design.entry.min())] = np.nan
            low, high = survival_limits(-log, error, z, "log-log")
            low, high = (np.where(np.isnan(se), np.nan, limit) for limit in (low, high))
            after = self.design.after_follow_up(stratum, times)
            for k, i in enumerate(rows):
                own = {"estimate": S[k], "std_error": se[k], "conf_low": low[k],
                       "conf_high": high[k]}  # fmt: skip
                own = {name: np.where(after, np.nan, values) for name, values in own.items()}
                parts[i] = beside(repeated(who.frame, i, times), own)
        return pd.concat(parts, ignore_index=True)
