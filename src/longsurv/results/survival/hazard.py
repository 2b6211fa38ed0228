"""The answer of a parametric hazard model by maximum likelihood: ratios, baseline and survival."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from longsurv.design.hazard import HazardDesign
from longsurv.design.windows import check_known
from longsurv.diagnostics.cox_residuals import crossed
from longsurv.errors import EstimationError
from longsurv.inference import Optimum, identify
from longsurv.likelihood import hazard as hz
from longsurv.results.assemble import design_flags, undetermined_flag
from longsurv.results.columns import beside, normal_columns, wald_columns
from longsurv.results.estimate import TIDY
from longsurv.results.reference import NormalReference
from longsurv.results.survival import hazard_curves as curves
from longsurv.results.survival.clustered import FewClusters, in_few_clusters
from longsurv.results.survival.cox_curves import People, check_times, people
from longsurv.results.survival.determined import INDEPENDENT, seen_by_robust
from longsurv.results.survival.flags import (
    changing_flag,
    interval_kind,
    limits_flag,
    needs_robust,
    profile_of,
    separation_flag,
    smoothing_flag,
    weightless_flag,
)
from longsurv.results.survival.ratios import RatioEstimate, exponentiated
from longsurv.results.survival.specification import SurvivalSpecification
from longsurv.words import plural

if TYPE_CHECKING:
    from longsurv.design.survival import SurvivalDesign


@dataclass(frozen=True, repr=False, eq=False)
class HazardEstimate(RatioEstimate):
    """A fitted hazard model (see `Estimate`); coefficients are log hazard ratios.

    Attributes
    ----------
    penalty : "firth" or None
    smoothing : float or None
        Of a spline: standard deviation of the change of the log hazard over follow-up.
    profile : Profile or None
        Where intervals and p values come from the profile of the (penalised) likelihood. `tidy` and
        `contrast` then hold the signed root of the likelihood-ratio chi-squared as the statistic.
    hazard : HazardDesign
        The baseline and the arrays of the likelihood.
    natural : ndarray, shape (d,)
        Coefficients and the baseline in the kernel's coordinates.
    natural_cov : ndarray, shape (d, d)
        Their covariance, given the smoothing.
    theta_cov : ndarray, shape (d, d)
        Covariance of the parameters of `optimum`.
    edf : float
        Parameters, a smoothed one counting as the part that the data determine.
    """

    spec: SurvivalSpecification
    design: SurvivalDesign
    hazard: HazardDesign
    natural: np.ndarray
    natural_cov: np.ndarray
    theta_cov: np.ndarray
    edf: float

    @classmethod
    def at(
        cls,
        spec: SurvivalSpecification,
        hazard: HazardDesign,
        optimum: Optimum,
        intervals: str | None = None,
    ) -> HazardEstimate:
        """The fitted model where its climb ended.

        Parameters
        ----------
        spec : Hazard
        hazard : HazardDesign
        optimum : Optimum
            Its Hessian is minus the information without Firth's penalty, that of a spline included.
        intervals : {"wald", "profile"}, optional
            By default profile for Firth's penalty, unless the covariance is robust.
        """
        design, data, theta = spec.design, hazard.data, optimum.x
        smoothing, firth = optimum.smoothing, optimum.penalty == "firth"
        s, p = smoothing or 0.0, len(hazard.names)
        found = identify(-optimum.hessian)
        inverse, flat = found.cov, found.flat.of(np.arange(p))
        lost = [n for n, known in zip(hazard.names, flat.determined, strict=True) if not known]
        if lost and optimum.converged:
            optimum = replace(optimum, status=f"the data do not determine {', '.join(lost)}")
        jacobian = hz.derivative(data, theta, s)
        natural = hz.natural(data, theta[None, :], s)[0]
        robust = needs_robust(design)
        edf = float(len(theta))
        if smoothing is not None:
            edf -= float(np.trace(inverse[p + 1 :, p + 1 :]))  # what the penalty alone would hold
        if robust:
            score = hz.scores(data, natural) @ jacobian @ inverse
            inverse = crossed(score, design.cluster)
        profile = None
        if interval_kind(intervals, optimum.penalty, robust) == "profile" and p:
            climbed = partial(hz.value_gradient_information, data, smoothing=s, firth=firth)
            profile = profile_of(climbed, optimum, optimum.penalty)
        cov = jacobian @ inverse @ jacobian.T
        words = ["Firth's penalised likelihood" if firth else "maximum likelihood"]
        words += [curves.describe(hazard), plural(design.n_events, "event")]
        words += ["profile intervals"] * (profile is not None) + ["robust covariance"] * robust
        fit = cls(
            spec=spec,
            design=design,
            names=hazard.names,
            coefficients=theta[:p],
            reference=NormalReference(
                cov[:p, :p],
                method="robust" if robust else "normal",
                flat=flat if lost else None,
            ),
            llf=float(hz.kernel(data, natural)[0]),
            nobs=len(design.rows),
            n_params=len(theta),
            optimum=optimum,
            method=", ".join(words),
            flags=(
                *design_flags(design),
                *weightless_flag(design),
                *separation_flag(hazard.names, optimum.separated, "likelihood"),
                *changing_flag(hazard),
                *smoothing_flag(smoothing),
            ),
            hazard=hazard,
            natural=natural,
            natural_cov=cov,
            theta_cov=inverse,
            edf=edf,
            profile=profile,
        )
        more = (
            *limits_flag(fit),
            *undetermined_flag(lost, "The likelihood is the same along a line of coefficients."),
            *(() if optimum.converged or lost else (f"Not a maximum: {optimum.status}.",)),
        )
        fit = replace(fit, flags=(*fit.flags, *more))
        fit = seen_by_robust(fit, lambda: flat, INDEPENDENT)
        fit = in_few_clusters(fit, design)
        if isinstance(fit.reference, FewClusters):
            share = fit.reference.share
            fit = replace(fit, natural_cov=cov / share, theta_cov=inverse / share)
        return fit

    @property
    def smoothing(self) -> float | None:
        """Of a spline: standard deviation of the change of the log hazard over follow-up."""
        return self.optimum.smoothing

    @property
    def aic(self) -> float:
        """Akaike's criterion, -2 llf + 2 edf."""
        return -2.0 * self.llf + 2.0 * self.edf

    @property
    def bic(self) -> float:
        """Bayesian criterion, -2 llf + log(events) edf (Volinsky & Raftery 2000, Biometrics
        56:256)."""
        return -2.0 * self.llf + float(np.log(self.design.counted_events)) * self.edf

    def hazard_ratio(self, times: Sequence[float], level: float = 0.95) -> pd.DataFrame:
        """Hazard ratio of every term at each of these times.

        Parameters
        ----------
        times : sequence of float
            Above 0 where a hazard ratio changes with log time.
        level : float
            Of the intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            term, time, hazard_ratio, conf_low, conf_high, p_value.
        """
        L, labels, grid = curves.ratio_rows(self.hazard, times)
        table = self._rows(L, labels, level)
        found = exponentiated(table, p_value=table["p_value"])
        found.insert(1, "time", grid)
        return found

    def _profiled(self, row: np.ndarray) -> np.ndarray:
        return np.concatenate([row, np.zeros(len(self.natural) - len(row))])

    def variance_table(self, level: float = 0.95) -> pd.DataFrame:
        """The baseline's parameters, of which nothing is tested.

        Parameters
        ----------
        level : float
            Of the intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            In the columns of `tidy`; NaN where the data do not determine a parameter. A spline has
            its level and its smoothing, "sd(log hazard)".
        """
        names, p = self.hazard.baseline.names, len(self.names)
        at = slice(p, p + len(names))
        # What moves with coefficients that the data do not determine is not determined either.
        known = identify(-self.optimum.hessian).flat.determined[at]
        value = np.where(known, self.optimum.x[at], np.nan)
        se = np.where(known, np.sqrt(np.diag(self.theta_cov))[at], np.nan)
        table = pd.DataFrame({"term": names, **normal_columns(value, se, level, self.df_of_curves)})
        if self.smoothing is not None:
            table.loc[len(table)] = ["sd(log hazard)", self.smoothing, np.nan, np.nan, np.nan]
        return table.reindex(columns=TIDY)

    def baseline(self, times: Sequence[float] | None = None, level: float = 0.95) -> pd.DataFrame:
        """Hazard and cumulative hazard of average covariates.

        Where the coefficient of a covariate changes with time, it is that of its value 0.

        Parameters
        ----------
        times : sequence of float, optional
            By default 25 from the first entry to the last exit.
        level : float
            Of the intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            time; hazard and cumulative_hazard (from the first entry on), each with _low and _high.
        """
        self._refuse_undetermined()
        grid, who = curves.baseline_grid(self.hazard, times), curves.typical(self.hazard)
        return curves.hazard_table(
            grid,
            *(self._columns(who, grid, kind, level) for kind in ("hazard", "cumulative_hazard")),
        )

    def residuals(
        self, kind: Literal["martingale", "deviance", "cox_snell"] = "martingale"
    ) -> pd.DataFrame:
        """Residuals of each row.

        Parameters
        ----------
        kind : {"martingale", "deviance", "cox_snell"}
            Event less cumulative hazard; that made symmetric; the cumulative hazard itself.

        Returns
        -------
        DataFrame
            One column named `kind`, indexed as the rows of the data that were used.

        Raises
        ------
        LongsurvError
            Where events are only known to lie between two times.
        """
        check_known(self.design.windows, "residuals need")
        d, H = self.design, self._expected()
        M = d.event - H
        value = {"martingale": M, "cox_snell": H}.get(kind)
        if value is None:
            deviance = -2.0 * (M + d.event * np.log(np.maximum(H, 1e-300)))
            value = np.sign(M) * np.sqrt(np.maximum(deviance, 0.0))
        return pd.DataFrame({kind: value}, index=self.spec.data.index[d.rows])

    def _expected(self) -> np.ndarray:
        """Cumulative hazard of each row, shape (n,)."""
        d, data = self.design, self.hazard.data
        theta = np.ascontiguousarray(self.natural[None, :])
        H = data.form.expected(data.stretches, theta, data.units)[0]
        return H / (1.0 if d.weights is None else d.weights)

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
        grid = check_times(times)
        self._refuse_undetermined()
        mean = np.zeros((len(frames), len(grid)))
        slope = np.zeros((len(frames), len(grid), len(self.natural)))
        for a, frame in enumerate(frames):
            who = people(self, frame)
            for t in range(len(grid)):
                H, J = curves.cumulative(self.hazard, self.natural, who, grid[t : t + 1])
                S = np.exp(-H)
                share = curves.shares(len(S), weights)
                mean[a, t], slope[a, t] = share @ S, -((share * S) @ J)
        return mean, np.einsum("atj,jk,bsk->atbs", slope, self.natural_cov, slope)

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
        return curves.area_rule(self.hazard, horizon)

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        times: Sequence[float] | None = None,
        kind: curves.Kind = "survival",
        level: float = 0.95,
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
        level : float

        Returns
        -------
        DataFrame
            `newdata` (repeated for each time, with a column "time") with estimate, std_error,
            conf_low, conf_high. Without times the estimate is x'b (plus the offset, less its
            median), the log hazard relative to covariates of 0.
        """
        self._refuse_undetermined()
        who = people(self, newdata)
        if times is None:
            X, V = curves.linear_predictor(self.hazard, who), self.reference.cov
            se = np.sqrt(np.einsum("ij,jk,ik->i", X, V, X))
            estimate = X @ self.coefficients + who.offset
            return beside(who.frame, wald_columns(X, estimate, se, self.reference, level))
        grid = check_times(times)
        curves.check_kind(kind, grid)
        columns = self._columns(who, grid, kind, level)
        return curves.on_grid(who, grid, columns)

    def _columns(
        self, who: People, grid: np.ndarray, kind: str, level: float
    ) -> dict[str, np.ndarray]:
        cov, df = self.natural_cov, self.df_of_curves
        return curves.estimated_columns(self.hazard, self.natural, cov, who, grid, kind, level, df)

    def _refuse_undetermined(self) -> None:
        """Raise where a curve would hold coefficients without an estimate."""
        if self.undetermined:
            raise EstimationError(
                "hazards and survival of this model depend on coefficients that the data do not "
                f"determine: {', '.join(self.undetermined)}; fit.flags says why"
            )

    def survival_curve(self, newdata: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
        """Survival at every event time, or end of a window that an event lies in.

        Parameters
        ----------
        newdata : DataFrame
            Rows to predict, with the columns of the formula.
        level : float
            Of the intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            `newdata` repeated for each time, with time, estimate, std_error, conf_low, conf_high.
        """
        return self.predict(newdata, times=list(self.design.event_times), level=level)
