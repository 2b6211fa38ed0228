"""Answers of parametric hazard models: hazard ratios, baseline and survival curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from longsurv.design.hazard import HazardDesign
from longsurv.errors import EstimationError, LongsurvError
from longsurv.inference import identify
from longsurv.inference.profile import Profile
from longsurv.likelihood import hazard as hz
from longsurv.results.columns import beside, draw_columns, normal_columns
from longsurv.results.estimate import TIDY, Estimate, check_level
from longsurv.results.posterior import Posterior
from longsurv.results.reference import estimable, t_quantile
from longsurv.results.survival import hazard_curves as curves
from longsurv.results.survival.cox import exponentiated
from longsurv.results.survival.cox_curves import check_times, people


@dataclass(frozen=True, repr=False, eq=False)
class HazardEstimate(Estimate):
    """A fitted hazard model (see `Estimate`); coefficients are log hazard ratios.

    Attributes
    ----------
    hazard : HazardDesign
        The baseline and the arrays of the likelihood.
    penalty : "firth" or None
    smoothing : float or None
        Of a spline: standard deviation of the change of the log hazard over follow-up.
    natural : ndarray, shape (d,)
        Coefficients and the baseline in the kernel's coordinates.
    natural_cov : ndarray, shape (d, d)
        Their covariance, given the smoothing.
    theta_cov : ndarray, shape (d, d)
        Covariance of the parameters of `optimum`.
    edf : float
        Parameters, a smoothed one counting as the part that the data determine.
    profile : Profile or None
        Where intervals and p values come from the profile of the (penalised) likelihood. `tidy` and
        `contrast` then hold the signed root of the likelihood-ratio chi-squared as the statistic.
    """

    hazard: HazardDesign
    penalty: str | None
    smoothing: float | None
    natural: np.ndarray
    natural_cov: np.ndarray
    theta_cov: np.ndarray
    edf: float
    profile: Profile | None

    @property
    def aic(self) -> float:
        """Akaike's criterion, -2 llf + 2 edf."""
        return -2.0 * self.llf + 2.0 * self.edf

    @property
    def bic(self) -> float:
        """Bayesian criterion, -2 llf + log(events) edf (Volinsky & Raftery 2000, Biometrics
        56:256)."""
        return -2.0 * self.llf + float(np.log(self.design.n_events)) * self.edf

    def hazard_ratios(self, level: float = 0.95) -> pd.DataFrame:
        """term, hazard_ratio, conf_low, conf_high, p_value.

        Of a product with log time: the factor by which the hazard ratio changes when time is
        multiplied by e.
        """
        table = self.tidy(level)
        return exponentiated(table, p_value=table["p_value"])

    def hazard_ratio(self, times: Sequence[float], level: float = 0.95) -> pd.DataFrame:
        """Hazard ratio of every term at each of these times.

        Returns
        -------
        DataFrame
            term, time, hazard_ratio, conf_low, conf_high, p_value.
        """
        check_level(level)
        L, labels, grid = curves.ratio_rows(self.hazard, times)
        table = self._rows(L, labels, level)
        found = exponentiated(table, p_value=table["p_value"])
        found.insert(1, "time", grid)
        return found

    def _rows(self, L: np.ndarray, labels: list[str], level: float) -> pd.DataFrame:
        table = super()._rows(L, labels, level)
        known = estimable(self.reference, L)
        if self.profile is None or not known.any():
            return table
        from scipy.special import chdtrc

        fall, limits = np.full(len(L), np.nan), np.full((len(L), 2), np.nan)
        for i in np.flatnonzero(known):
            fall[i] = self.profile.fall(self._padded(L[i]))
            limits[i] = self.profile_limits(L[i], level)
        return table.assign(
            statistic=np.sign(table["estimate"]) * np.sqrt(fall),
            p_value=chdtrc(1.0, fall),
            conf_low=limits[:, 0],
            conf_high=limits[:, 1],
        )

    def _padded(self, row: np.ndarray) -> np.ndarray:
        return np.concatenate([row, np.zeros(len(self.natural) - len(row))])

    def profile_limits(self, row: np.ndarray, level: float = 0.95) -> tuple[float, float]:
        """Profile-likelihood limits of one combination of coefficients, weights of shape (p,)."""
        if self.profile is None:
            raise LongsurvError("fit with intervals='profile' for profile limits")
        z = t_quantile(level, np.inf)
        c = self._padded(np.asarray(row, dtype=float))
        return self.profile.limit(c, -1, z * z), self.profile.limit(c, 1, z * z)

    def variance_table(self, level: float = 0.95) -> pd.DataFrame:
        """The baseline's parameters in the grammar of `tidy`; nothing is tested."""
        names, p = self.hazard.baseline.names, len(self.names)
        at = slice(p, p + len(names))
        # What moves with coefficients that the data do not determine is not determined either.
        known = identify(-self.optimum.hessian).flat.determined[at]
        value = np.where(known, self.optimum.x[at], np.nan)
        se = np.where(known, np.sqrt(np.diag(self.theta_cov))[at], np.nan)
        table = pd.DataFrame({"term": names, **normal_columns(value, se, level)})
        if self.smoothing is not None:
            table.loc[len(table)] = ["sd(log hazard)", self.smoothing, np.nan, np.nan, np.nan]
        return table.reindex(columns=TIDY)

    def baseline(self, times: Sequence[float] | None = None, level: float = 0.95) -> pd.DataFrame:
        """Hazard and cumulative hazard of average covariates.

        Where the coefficient of a covariate changes with time, it is that of its value 0.

        Returns
        -------
        DataFrame
            time; hazard and cumulative_hazard (from the first entry on), each with _low and _high.
        """
        check_level(level)
        self._refuse_undetermined()
        grid, who = curves.baseline_grid(self.hazard, times), curves.typical(self.hazard)
        return _baseline_table(
            grid,
            *(
                curves.estimated_columns(
                    self.hazard, self.natural, self.natural_cov, who, grid, kind, level
                )
                for kind in ("hazard", "cumulative_hazard")
            ),
        )

    def residuals(self, kind: str = "martingale") -> pd.DataFrame:
        """Residuals of each row: martingale (event less cumulative hazard), deviance, cox_snell.

        Returns
        -------
        DataFrame
            One column named `kind`, indexed as the rows of the data that were used.
        """
        if kind not in ("martingale", "deviance", "cox_snell"):
            raise LongsurvError(f"kind is martingale, deviance or cox_snell, not {kind!r}")
        d, data = self.design, self.hazard.data
        theta = np.ascontiguousarray(self.natural[None, :])
        H = data.form.expected(data.stretches, theta, data.units)[0]
        H /= 1.0 if d.weights is None else d.weights
        M = d.event - H
        value = {"martingale": M, "cox_snell": H}.get(kind)
        if value is None:
            deviance = -2.0 * (M + d.event * np.log(np.maximum(H, 1e-300)))
            value = np.sign(M) * np.sqrt(np.maximum(deviance, 0.0))
        return pd.DataFrame({kind: value}, index=self.spec.data.index[d.rows])

    def mean_survival(
        self, frames: Sequence[pd.DataFrame], time: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Survival to `time` averaged over the rows of each frame, and the covariance of the means.

        Delta method, in coefficients and baseline; the rows themselves count as given.

        Parameters
        ----------
        frames : sequence of DataFrame, length A
        time : float

        Returns
        -------
        mean : ndarray, shape (A,)
        cov : ndarray, shape (A, A)
        """
        mean, cov = self.mean_survival_at(frames, [time])
        return mean[:, 0], cov[:, 0, :, 0]

    def mean_survival_at(
        self, frames: Sequence[pd.DataFrame], times: Sequence[float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same at several times: mean (A, T) and covariance (A, T, A, T)."""
        grid = check_times(times)
        self._refuse_undetermined()
        mean = np.zeros((len(frames), len(grid)))
        slope = np.zeros((len(frames), len(grid), len(self.natural)))
        for a, frame in enumerate(frames):
            who = people(self, frame)
            for t in range(len(grid)):
                H, J = curves.cumulative(self.hazard, self.natural, who, grid[t : t + 1])
                S = np.exp(-H)
                mean[a, t], slope[a, t] = S.mean(), -(S @ J) / len(S)
        return mean, np.einsum("atj,jk,bsk->atbs", slope, self.natural_cov, slope)

    def area_rule(self, horizon: float) -> tuple[np.ndarray, np.ndarray]:
        """Times and weights with which a weighted sum of survival is its area to the horizon."""
        return curves.area_rule(self.hazard, horizon)

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        times: Sequence[float] | None = None,
        kind: str = "survival",
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
        check_level(level)
        self._refuse_undetermined()
        who = people(self, newdata)
        if times is None:
            X, V = curves.linear_predictor(self.hazard, who), self.reference.cov
            se = np.sqrt(np.einsum("ij,jk,ik->i", X, V, X))
            estimate = X @ self.coefficients + who.offset
            return beside(who.frame, normal_columns(estimate, se, level))
        grid = check_times(times)
        curves.check_kind(kind, grid)
        columns = curves.estimated_columns(
            self.hazard, self.natural, self.natural_cov, who, grid, kind, level
        )
        return curves.on_grid(who, grid, columns)

    def _refuse_undetermined(self) -> None:
        """Raise where a curve would hold coefficients without an estimate."""
        if self.undetermined:
            raise EstimationError(
                "hazards and survival of this model depend on coefficients that the data do not "
                f"determine: {', '.join(self.undetermined)}; fit.flags says why"
            )

    def survival_curve(self, newdata: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
        """Survival at every event time; columns of `predict` with times."""
        times = np.unique(self.design.exit[self.design.event == 1])
        return self.predict(newdata, times=list(times), level=level)


@dataclass(frozen=True, repr=False, eq=False)
class HazardPosterior(Posterior):
    """Posterior of a hazard model (see `Posterior`); coefficients are log hazard ratios.

    Attributes
    ----------
    hazard : HazardDesign
        The baseline and the arrays of the likelihood.
    smoothing : float or None
        Of a spline, where it was given and not drawn.
    """

    hazard: HazardDesign
    smoothing: float | None

    @cached_property
    def natural(self) -> np.ndarray:
        """Draws of coefficients and baseline in the kernel's coordinates, shape (draws, d)."""
        theta = self.draws.theta.reshape(-1, self.draws.theta.shape[-1])
        return hz.natural(self.hazard.data, theta, self.smoothing)

    def hazard_ratios(self, level: float = 0.95) -> pd.DataFrame:
        """term, hazard_ratio (exp of the posterior mean), conf_low, conf_high, prob_below_1."""
        table = self.tidy(level)
        return exponentiated(table, prob_below_1=1.0 - table["prob_positive"])

    def hazard_ratio(self, times: Sequence[float], level: float = 0.95) -> pd.DataFrame:
        """Hazard ratio of every term at each of these times.

        Returns
        -------
        DataFrame
            term, time, hazard_ratio (exp of the posterior mean), conf_low, conf_high, prob_below_1.
        """
        check_level(level)
        L, labels, grid = curves.ratio_rows(self.hazard, times)
        values = self.natural[:, : len(self.names)] @ L.T
        table = pd.DataFrame({"term": labels, **draw_columns(values, level)})
        found = exponentiated(table, prob_below_1=(values < 0).mean(axis=0))
        found.insert(1, "time", grid)
        return found

    def survival_draws(self, newdata: pd.DataFrame | None, times: Sequence[float]) -> np.ndarray:
        """Draws of survival, shape (draws of all chains, rows, times)."""
        who, grid = people(self, newdata), check_times(times)
        return np.exp(-curves.drawn_cumulative(self.hazard, self.natural, who, grid))

    def area_rule(self, horizon: float) -> tuple[np.ndarray, np.ndarray]:
        """Times and weights with which a weighted sum of survival is its area to the horizon."""
        return curves.area_rule(self.hazard, horizon)

    def baseline(self, times: Sequence[float] | None = None, level: float = 0.95) -> pd.DataFrame:
        """Hazard and cumulative hazard of average covariates; see `HazardEstimate.baseline`."""
        check_level(level)
        grid, who = curves.baseline_grid(self.hazard, times), curves.typical(self.hazard)
        return _baseline_table(
            grid,
            *(
                curves.drawn_columns(self.hazard, self.natural, who, grid, kind, level)
                for kind in ("hazard", "cumulative_hazard")
            ),
        )

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        times: Sequence[float] | None = None,
        kind: str = "survival",
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Posterior of the log relative hazard or of survival; see `HazardEstimate.predict`."""
        check_level(level)
        who = people(self, newdata)
        if times is None:
            beta = self.natural[:, : len(self.names)]
            values = beta @ curves.linear_predictor(self.hazard, who).T + who.offset
            return beside(who.frame, draw_columns(values, level))
        grid = check_times(times)
        curves.check_kind(kind, grid)
        columns = curves.drawn_columns(self.hazard, self.natural, who, grid, kind, level)
        return curves.on_grid(who, grid, columns)

    def survival_curve(self, newdata: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
        """Survival at every event time; columns of `predict` with times."""
        times = np.unique(self.design.exit[self.design.event == 1])
        return self.predict(newdata, times=list(times), level=level)


def _baseline_table(
    grid: np.ndarray, hazard: dict[str, np.ndarray], cumulative: dict[str, np.ndarray]
) -> pd.DataFrame:
    table = {"time": grid}
    for name, columns in (("hazard", hazard), ("cumulative_hazard", cumulative)):
        table[name] = columns["estimate"]
        table |= {f"{name}_{end}": columns[f"conf_{end}"] for end in ("low", "high")}
    return pd.DataFrame(table)
