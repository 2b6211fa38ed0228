"""The answer of a Cox model by maximum likelihood: hazard ratios and survival curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd

from longsurv.design import SurvivalDesign
from longsurv.errors import EstimationError
from longsurv.inference import Optimum
from longsurv.likelihood import cox
from longsurv.likelihood.cox.existence import columns
from longsurv.results.assemble import design_flags, undetermined_flag
from longsurv.results.columns import beside, wald_columns
from longsurv.results.reference import NormalReference, chi2_p_value, estimable, t_quantile
from longsurv.results.survival.clustered import FewClusters, in_few_clusters
from longsurv.results.survival.covariances import among_all, inverse, quadratic_form
from longsurv.results.survival.cox_curves import (
    CoxKnown,
    Kind,
    area_rule,
    check_known,
    check_times,
    event_times,
    hazards,
    mean_survival,
    people,
    repeated,
    survival_limits,
)
from longsurv.results.survival.determined import (
    INDEPENDENT,
    flat_directions,
    seen_by_robust,
    why_flat,
)
from longsurv.results.survival.flags import (
    fitted_by,
    interval_kind,
    limits_flag,
    needs_robust,
    profile_of,
    separation_flag,
    weightless_flag,
)
from longsurv.results.survival.ratios import RatioEstimate
from longsurv.results.survival.specification import CoxSpecification
from longsurv.words import plural, verb

if TYPE_CHECKING:
    from longsurv.design.survival import SurvivalDesign
    from longsurv.diagnostics.concordance import Concordance
    from longsurv.diagnostics.cox_residuals import ResidualKind
    from longsurv.diagnostics.proportional_hazards import ProportionalHazards, Transform


@dataclass(frozen=True, repr=False, eq=False)
class SurvivalEstimate(RatioEstimate):
    """A fitted Cox model (see `Estimate`); coefficients are log hazard ratios.

    Attributes
    ----------
    penalty : "firth" or None
    profile : Profile or None
        Where intervals and p values come from the profile of the (penalised) likelihood. `tidy` and
        `contrast` then hold the signed root of the likelihood-ratio chi-squared as the statistic.
    data : CoxData
        Sorted arrays of the partial likelihood.
    naive_cov : ndarray, shape (p, p)
        Inverse information of the partial likelihood. `cov_params` differs from it when the
        covariance is the robust one.
    """

    spec: CoxSpecification
    design: SurvivalDesign
    data: cox.CoxData
    naive_cov: np.ndarray

    @classmethod
    def at(
        cls,
        spec: CoxSpecification,
        data: cox.CoxData,
        optimum: Optimum,
        intervals: str | None = None,
    ) -> SurvivalEstimate:
        """The fitted model where its climb ended.

        Parameters
        ----------
        spec : CoxPH
        data : CoxData
        optimum : Optimum
            Its Hessian is minus the information of the unpenalised partial likelihood, in the
            `free` coefficients; the others, which the data do not determine, were held at 0.
        intervals : {"wald", "profile"}, optional
            By default profile for Firth's penalty, unless the covariance is robust.
        """
        design, names, kept = spec.design, spec.design.fixed.names, optimum.free
        part, top, flat, p = data, optimum, None, len(names)
        if len(kept) < p:
            part, flat = columns(data, kept), flat_directions(data)
            top = replace(optimum, x=optimum.x[kept], gradient=optimum.gradient[kept],
                          free=np.arange(len(kept)))  # fmt: skip
        naive = inverse(-top.hessian)
        cov, robust, firth = naive, needs_robust(design), optimum.penalty == "firth"
        if robust:
            from longsurv.diagnostics.cox_residuals import robust_covariance

            cov = robust_covariance(part, top.x, naive, design.weights, design.cluster)
        method, profile = "robust" if robust else "normal", None
        if interval_kind(intervals, optimum.penalty, robust) == "profile" and names:
            climbed = (
                cox.firth_value_gradient_information if firth else cox.value_gradient_information
            )
            profile = profile_of(partial(climbed, part), top, optimum.penalty)
        fit = cls(
            spec=spec,
            design=design,
            names=names,
            coefficients=optimum.x,
            reference=NormalReference(among_all(cov, kept, p), method, flat),
            llf=cox.loglik(data, optimum.x) if firth else optimum.value,
            nobs=len(design.rows),
            n_params=len(kept),
            optimum=optimum,
            method=fitted_by(design, spec.ties, firth, profile is not None, robust),
            flags=(*design_flags(design), *weightless_flag(design)),
            data=data,
            naive_cov=among_all(naive, kept, p),
            profile=profile,
        )
        lost = fit.undetermined
        more = (
            *separation_flag(names, optimum.separated, "partial likelihood", lost),
            *undetermined_flag(lost, why_flat(flat)),
            *limits_flag(fit),
        )
        fit = replace(fit, flags=(*fit.flags, *more)) if more else fit
        fit = seen_by_robust(fit, lambda: flat_directions(data), INDEPENDENT)
        return in_few_clusters(fit, design)

    def _profiled(self, row: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(row[self.optimum.free])

    @property
    def bic(self) -> float:
        """Bayesian criterion; it counts events, which a partial likelihood is made of."""
        return -2.0 * self.llf + float(np.log(self.design.counted_events)) * self.n_params

    @cached_property
    def null_loglik(self) -> float:
        """Log partial likelihood with every coefficient 0."""
        return cox.loglik(self.data, np.zeros(len(self.names)))

    def global_tests(self) -> pd.DataFrame:
        """Tests of all coefficients being 0: likelihood ratio, Wald and score.

        Of those that the data determine; NaN where a covariance is singular, as that of fewer
        clusters than coefficients is.
        The likelihood ratio is that of the penalised likelihood under Firth's penalty, the Wald
        test uses `cov_params` (robust if that is; of few clusters by the F distribution), the score
        test the unpenalised likelihood at 0. Likelihood ratio and score take the rows for
        independent: where the covariance is robust, as with cluster(), they have no p value.

        Returns
        -------
        DataFrame
            test, statistic (chi-squared), df, p_value.
        """
        kept, zero = self.optimum.free, np.zeros(len(self.names))
        null, gradient, information = cox.value_gradient_information(self.data, zero)
        ratio = self.llf - null
        if self.penalty == "firth":
            part = columns(self.data, kept)
            ratio = self.optimum.value - cox.firth_value_and_gradient(part, zero[kept])[0]
        p, own = len(kept), np.ix_(kept, kept)
        statistics = [
            2.0 * ratio,
            quadratic_form(self.coefficients[kept], self.reference.cov[own]),
            quadratic_form(gradient[kept], information[own]),
        ]
        p_values = chi2_p_value(np.array(statistics), p)
        if self.reference.method == "robust":
            p_values[[0, 2]] = np.nan
        if isinstance(self.reference, FewClusters):
            p_values[1] = self.reference.wald_p_value(statistics[1], kept)
        tests = ["likelihood ratio", "Wald", "score"]
        return pd.DataFrame({"test": tests, "statistic": statistics, "df": p, "p_value": p_values})

    def anova(self) -> pd.DataFrame:
        """Likelihood-ratio test of every term, given the terms before it in the formula.

        The order matters: to test one term given all others, put it last, or compare two fits by
        `longsurv.lrt`.

        Returns
        -------
        DataFrame
            One row a term, after that of the model without covariates: term, loglik (with it and
            all before it), statistic (chi-squared), df, p_value.

        Raises
        ------
        LongsurvError
            For a penalised fit or one with a robust covariance.
        EstimationError
            If the data do not determine a coefficient.
        """
        from longsurv.results.survival.deviance import anova

        return anova(self)

    def hazard_ratio_over_time(
        self,
        term: str,
        *,
        cuts: Sequence[float] | None = None,
        times: Sequence[float] | None = None,
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Let the hazard ratio of a term change over time, and test whether it does.

        With `cuts` it is constant between them; with `times` its logarithm is linear in that of
        time, and it is told at those times. All other terms stay as they are.

        Parameters
        ----------
        term : str
            A coefficient.
        cuts, times : sequence of float
            One of them.
        level : float
            Of the intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            start, end, events (or time), hazard_ratio, conf_low, conf_high, p_value (Wald). Its
            `attrs` have the test of no change: "statistic" (chi-squared of the likelihood ratio, or
            Wald's with a robust covariance), "df", "p_value"; and "coefficients", those that
            change first.

        Raises
        ------
        LongsurvError
            For a term that there is not, or cuts beyond the events.
        EstimationError
            If a stretch says nothing of the ratio: nobody of one group has the event in it.
        """
        from longsurv.results.survival.over_time import over_time

        return over_time(self, term, cuts, times, level)

    def concordance(self) -> Concordance:
        """Harrell's C: how often, of two patients, the one of higher hazard has the event first.

        Pairs are of one stratum. For its standard error a row is one patient, whatever its weight.

        Returns
        -------
        Concordance
            c, between 0 and 1, with its std_error, and the numbers of pairs.
        """
        from longsurv.diagnostics.concordance import concordance

        d, who = self.design, people(self, None)
        entry = d.entry if len(d.formula.surv) == 3 else None
        eta = who.X @ self.coefficients + who.offset
        cluster = d.patient if d.cluster is None else d.cluster  # rows of a patient are one
        return concordance(eta, d.exit, d.event, entry, d.weights, d.stratum, cluster)

    def proportional_hazards(self, transform: Transform = "km") -> ProportionalHazards:
        """Test whether each log hazard ratio changes over time, by scaled Schoenfeld residuals.

        Parameters
        ----------
        transform : {"km", "rank", "identity", "log"}
            Of time, against which a change is looked for; "km" is one less Kaplan and Meier's
            survival.

        Returns
        -------
        ProportionalHazards
            With a table of tests, one row a term and one of all together.
        """
        from longsurv.diagnostics.proportional_hazards import cox_zph

        return cox_zph(self, transform)

    def residuals(self, kind: ResidualKind = "martingale") -> pd.DataFrame:
        """Residuals of the rows used, or of the events.

        Parameters
        ----------
        kind : str
            One of "martingale", "deviance", "score", "dfbeta", "dfbetas" (in standard errors),
            "schoenfeld" and "scaled_schoenfeld".

        Returns
        -------
        DataFrame
            Martingale and deviance: one column of that name. Score, dfbeta, dfbetas: one a
            coefficient. Schoenfeld: one row an event, with "time" before the coefficients.
        """
        from longsurv.diagnostics.cox_residuals import residuals

        return residuals(self, kind)

    def mean_survival_at(
        self,
        frames: Sequence[pd.DataFrame],
        times: Sequence[float],
        weights: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Survival to each of several times averaged over the rows of each frame.

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
        known = CoxKnown(self.data, self.coefficients, self.reference, self.undetermined)
        who = people(self, pd.concat(frames, ignore_index=True))
        sizes = [len(frame) for frame in frames]
        return mean_survival(known, who, sizes, check_times(times), weights=weights)

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
        return area_rule(self.data, float(self.design.entry.min()), horizon)

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        times: Annotated[Sequence[float] | None, None] = None,
        level: float = 0.95,
        kind: Kind = "log-log",
    ) -> pd.DataFrame:
        """Log relative hazard or, with `times`, survival probabilities.

        Before the first event survival is 1, and has no standard error and no interval.
        After the last exit it is not known, and there is no number, unless all who were left had
        the event then.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict; by default the rows the model was fitted to. They need the columns of
            strata() and offset() too.
        times : sequence of float, optional
            Give survival to each of these times. With entry times this is survival given alive at
            the first time anyone was at risk.
        level : float
        kind : {"log-log", "log", "plain"}
            Scale of the intervals of survival: log(-log S), log S or S itself.

        Returns
        -------
        DataFrame
            `newdata` (repeated for each time, with a column "time"; a column "time" of its own is
            then called "time_newdata") with estimate, std_error, conf_low, conf_high. Without times
            the estimate is x'b (plus the offset, less its median), the log hazard relative to
            covariates of 0.

        Raises
        ------
        EstimationError
            For rows whose answer depends on coefficients that the data do not determine.
        """
        if times is not None:
            grid = check_times(times)
            return self._curves(newdata, lambda _: grid, level, kind)
        who = people(self, newdata)
        moving = ~estimable(self.reference, who.X)
        if moving.any():
            raise EstimationError(
                f"{int(moving.sum())} of {plural(len(moving), 'row')} "
                f"{verb(int(moving.sum()), 'has', 'have')} no log relative hazard: the "
                f"data do not determine {', '.join(self.undetermined)}; fit.flags says why"
            )
        estimate = who.X @ self.coefficients + who.offset
        V = self.reference.cov
        se = np.sqrt(np.einsum("ij,jk,ik->i", who.X, V, who.X))
        return beside(who.frame, wald_columns(who.X, estimate, se, self.reference, level))

    def survival_curve(
        self, newdata: pd.DataFrame, *, level: float = 0.95, kind: Kind = "log-log"
    ) -> pd.DataFrame:
        """Survival at every event time of each row's stratum.

        Parameters
        ----------
        newdata : DataFrame
            Rows to predict, with the columns of the formula.
        level : float
            Of the intervals, between 0 and 1.
        kind : {"log-log", "log", "plain"}
            Scale of the intervals: log(-log S), log S or S itself.

        Returns
        -------
        DataFrame
            `newdata` repeated for each time, with time, estimate, std_error, conf_low, conf_high.
        """
        return self._curves(newdata, lambda s: event_times(self.data, s), level, kind)

    def _curves(
        self,
        newdata: pd.DataFrame | None,
        times_of: Callable[[int], np.ndarray],
        level: float,
        kind: str,
    ) -> pd.DataFrame:
        who, z = people(self, newdata), t_quantile(level, self.df_of_curves)
        parts: list[pd.DataFrame] = [pd.DataFrame()] * len(who.frame)
        for stratum, rows in who.of_stratum():
            times = times_of(stratum)
            found = hazards(self.data, self.coefficients, who, rows, stratum, times)
            check_known(found, self.data, self.reference.flat, self.undetermined)
            se_H = np.sqrt(found.total_variance(self.reference.cov))
            # before the first event no interval is known, but for the start itself
            unseen = (found.value == 0.0) & (times > self.design.entry.min())
            se_H[unseen] = np.nan
            after = self.design.after_follow_up(stratum, times)
            for i, H, se in zip(rows, found.value, se_H, strict=True):
                low, high = (
                    np.where(np.isnan(se), np.nan, limit)
                    for limit in survival_limits(H, se, z, kind)
                )
                S = np.exp(-H)
                own = {"estimate": S, "std_error": S * se, "conf_low": low, "conf_high": high}
                own = {name: np.where(after, np.nan, values) for name, values in own.items()}
                parts[i] = beside(repeated(who.frame, i, times), own)
        return pd.concat(parts, ignore_index=True)
