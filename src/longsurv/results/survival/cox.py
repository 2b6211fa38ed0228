"""Answers of survival models: hazard ratios and survival curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd

from longsurv.errors import EstimationError, LongsurvError
from longsurv.inference import identify
from longsurv.inference.profile import Profile
from longsurv.likelihood import cox
from longsurv.likelihood.cox.existence import columns
from longsurv.results.columns import beside, draw_columns, normal_columns
from longsurv.results.estimate import Estimate, check_level
from longsurv.results.posterior import Posterior
from longsurv.results.reference import estimable, t_quantile
from longsurv.results.survival.cox_curves import (
    Hazards,
    check_kind,
    check_times,
    drawn_hazards,
    event_times,
    hazards,
    people,
    repeated,
    survival_limits,
)
from longsurv.words import plural, verb

if TYPE_CHECKING:
    from longsurv.diagnostics.concordance import Concordance
    from longsurv.diagnostics.proportional_hazards import ProportionalHazards

MOVES = 1e-6
"""Share of a cumulative hazard by which it may move along a flat direction, for rounding."""


@dataclass(frozen=True, repr=False, eq=False)
class SurvivalEstimate(Estimate):
    """A fitted Cox model (see `Estimate`); coefficients are log hazard ratios.

    Attributes
    ----------
    data : CoxData
        Sorted arrays of the partial likelihood.
    penalty : "firth" or None
    naive_cov : ndarray, shape (p, p)
        Inverse information of the partial likelihood. `cov_params` differs from it when the
        covariance is the robust one.
    profile : Profile or None
        Where intervals and p values come from the profile of the (penalised) likelihood. `tidy` and
        `contrast` then hold the signed root of the likelihood-ratio chi-squared as the statistic.
    """

    data: cox.CoxData
    penalty: str | None
    naive_cov: np.ndarray
    profile: Profile | None

    def hazard_ratios(self, level: float = 0.95) -> pd.DataFrame:
        """term, hazard_ratio, conf_low, conf_high, p_value."""
        table = self.tidy(level)
        return exponentiated(table, p_value=table["p_value"])

    def _rows(self, L: np.ndarray, labels: list[str], level: float) -> pd.DataFrame:
        table = super()._rows(L, labels, level)
        known = estimable(self.reference, L)
        if self.profile is None or not known.any():
            return table
        from scipy.special import chdtrc

        kept = self.optimum.free  # the profile's coefficients
        fall, limits = np.full(len(L), np.nan), np.full((len(L), 2), np.nan)
        for i in np.flatnonzero(known):
            fall[i] = self.profile.fall(np.ascontiguousarray(L[i][kept]))
            limits[i] = self.profile_limits(L[i], level)
        return table.assign(
            statistic=np.sign(table["estimate"]) * np.sqrt(fall),
            p_value=chdtrc(1.0, fall),
            conf_low=limits[:, 0],
            conf_high=limits[:, 1],
        )

    def profile_limits(self, row: np.ndarray, level: float = 0.95) -> tuple[float, float]:
        """Profile-likelihood limits of one combination of coefficients, weights of shape (p,)."""
        if self.profile is None:
            raise LongsurvError("fit with intervals='profile' for profile limits")
        if not estimable(self.reference, row[None, :])[0]:
            return np.nan, np.nan
        z, row = t_quantile(level, np.inf), row[self.optimum.free]
        return self.profile.limit(row, -1, z * z), self.profile.limit(row, 1, z * z)

    @property
    def bic(self) -> float:
        """Bayesian criterion; it counts events, which a partial likelihood is made of."""
        return -2.0 * self.llf + float(np.log(self.design.n_events)) * self.n_params

    @cached_property
    def null_loglik(self) -> float:
        """Log partial likelihood with every coefficient 0."""
        return cox.loglik(self.data, np.zeros(len(self.names)))

    def global_tests(self) -> pd.DataFrame:
        """Tests of all coefficients being 0: likelihood ratio, Wald and score.

        Of those that the data determine; NaN where a covariance is singular, as that of fewer
        clusters than coefficients is.
        The likelihood ratio is that of the penalised likelihood under Firth's penalty, the Wald
        test uses `cov_params` (robust if that is), the score test the unpenalised likelihood at 0.

        Returns
        -------
        DataFrame
            test, statistic (chi-squared), df, p_value.
        """
        from scipy.stats import chi2

        kept, zero = self.optimum.free, np.zeros(len(self.names))
        null, gradient, information = cox.value_gradient_information(self.data, zero)
        ratio = self.llf - null
        if self.penalty == "firth":
            part = columns(self.data, kept)
            ratio = self.optimum.value - cox.firth_value_and_gradient(part, zero[kept])[0]
        p, own = len(kept), np.ix_(kept, kept)
        statistics = [
            2.0 * ratio,
            _quadratic_form(self.coefficients[kept], self.reference.cov[own]),
            _quadratic_form(gradient[kept], information[own]),
        ]
        tests = ["likelihood ratio", "Wald", "score"]
        return pd.DataFrame(
            {"test": tests, "statistic": statistics, "df": p, "p_value": chi2.sf(statistics, p)}
        )

    def concordance(self) -> Concordance:
        """Harrell's C of the linear predictor; see `longsurv.diagnostics.concordance`."""
        from longsurv.diagnostics.concordance import concordance

        d, who = self.design, people(self, None)
        entry = d.entry if len(d.formula.surv) == 3 else None
        eta = who.X @ self.coefficients + who.offset
        cluster = d.patient if d.cluster is None else d.cluster  # rows of a patient are one
        return concordance(eta, d.exit, d.event, entry, d.weights, d.stratum, cluster)

    def proportional_hazards(self, transform: str = "km") -> ProportionalHazards:
        """Test proportional hazards; see `longsurv.diagnostics.proportional_hazards.cox_zph`."""
        from longsurv.diagnostics.proportional_hazards import cox_zph

        return cox_zph(self, transform)

    def residuals(self, kind: str = "martingale") -> pd.DataFrame:
        """Residuals; see `longsurv.diagnostics.cox_residuals.residuals`."""
        from longsurv.diagnostics.cox_residuals import residuals

        return residuals(self, kind)

    def mean_survival(
        self, frames: Sequence[pd.DataFrame], time: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Survival to `time` averaged over the rows of each frame, and the covariance of the means.

        Delta method, in the coefficients (with `cov_params`) and the baseline hazard; the rows
        themselves count as given.

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
        sizes = [len(frame) for frame in frames]
        who, at = people(self, pd.concat(frames, ignore_index=True)), check_times(times)
        share = np.zeros((len(frames), sum(sizes)))
        share[np.repeat(np.arange(len(frames)), sizes), np.arange(sum(sizes))] = 1.0
        share /= share.sum(axis=1, keepdims=True)
        A, T = len(frames), len(at)
        mean, slope = np.zeros((A, T)), np.zeros((A, T, len(self.names)))
        cov, moved = np.zeros((A, T, A, T)), np.zeros((A, T))
        for stratum, rows in who.of_stratum():
            found = hazards(self.data, self.coefficients, who, rows, stratum, at)
            self._check_known(found)
            S = np.exp(-found.value)
            mean += share[:, rows] @ S
            moved += share[:, rows] @ (found.value > 0.0)
            for t in range(T):
                slope[:, t] -= share[:, rows] @ (S[:, t, None] * found.derivative(t))
            baseline = share[:, rows] @ (S * found.relative[:, None])
            # increments of the baseline are independent: two times share the earlier's variance
            common = np.minimum.outer(found.variance, found.variance)
            cov += np.einsum("at,ts,bs->atbs", baseline, common, baseline)
        cov += np.einsum("atj,jk,bsk->atbs", slope, self.reference.cov, slope)
        unseen = (moved == 0.0).ravel()  # before the first event: nothing to take a variance from
        cov.reshape(A * T, A * T)[np.logical_or.outer(unseen, unseen)] = np.nan
        return mean, cov

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        times: Annotated[Sequence[float] | None, None] = None,
        level: float = 0.95,
        kind: str = "log-log",
    ) -> pd.DataFrame:
        """Log relative hazard or, with `times`, survival probabilities.

        Before the first event survival is 1, and has no standard error and no interval.

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
        check_level(level)
        check_kind(kind)
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
        return beside(who.frame, normal_columns(estimate, se, level))

    def survival_curve(
        self, newdata: pd.DataFrame, *, level: float = 0.95, kind: str = "log-log"
    ) -> pd.DataFrame:
        """Survival at every event time of each row's stratum; columns of `predict` with times."""
        check_level(level)
        check_kind(kind)
        return self._curves(newdata, lambda s: event_times(self.data, s), level, kind)

    def _check_known(self, found: Hazards) -> None:
        """Refuse survival that moves along directions which the data do not determine.

        Raises
        ------
        EstimationError
        """
        flat = self.reference.flat
        if flat is None or not flat:
            return
        size = np.abs(self.data.arrays.X @ (flat.directions * self.data.scale[:, None])).max(axis=0)
        directions = flat.directions / np.where(size > 0.0, size, 1.0)
        for t in range(found.value.shape[1]):
            if (np.abs(found.derivative(t) @ directions) > MOVES * found.value[:, t, None]).any():
                raise EstimationError(
                    "survival is not known for some of these rows: it depends on "
                    f"{', '.join(self.undetermined)}, which the data do not determine; fit.flags "
                    "says why"
                )

    def _curves(
        self,
        newdata: pd.DataFrame | None,
        times_of: Callable[[int], np.ndarray],
        level: float,
        kind: str,
    ) -> pd.DataFrame:
        who, z = people(self, newdata), t_quantile(level, np.inf)
        parts: list[pd.DataFrame] = [pd.DataFrame()] * len(who.frame)
        for stratum, rows in who.of_stratum():
            times = times_of(stratum)
            found = hazards(self.data, self.coefficients, who, rows, stratum, times)
            self._check_known(found)
            se_H = np.sqrt(found.total_variance(self.reference.cov))
            # before the first event no interval is known, but for the start itself
            unseen = (found.value == 0.0) & (times > self.design.entry.min())
            se_H[unseen] = np.nan
            for i, H, se in zip(rows, found.value, se_H, strict=True):
                low, high = (
                    np.where(np.isnan(se), np.nan, limit)
                    for limit in survival_limits(H, se, z, kind)
                )
                S = np.exp(-H)
                own = {"estimate": S, "std_error": S * se, "conf_low": low, "conf_high": high}
                parts[i] = beside(repeated(who.frame, i, times), own)
        return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True, repr=False, eq=False)
class SurvivalPosterior(Posterior):
    """Posterior of a Cox model (see `Posterior`); coefficients are log hazard ratios.

    Attributes
    ----------
    data : CoxData
        Sorted arrays of the partial likelihood.
    """

    data: cox.CoxData

    def loo(self) -> Any:
        """Leave-one-event-out cross-validation (see `Posterior.loo`).

        Raises
        ------
        EstimationError
            With a single event: without it there is no partial likelihood.
        """
        if self.design.n_events < 2:
            raise EstimationError("there is one event: leaving it out leaves nothing to compare")
        return super().loo()

    def hazard_ratios(self, level: float = 0.95) -> pd.DataFrame:
        """term, hazard_ratio (exp of the posterior mean), conf_low, conf_high, prob_below_1."""
        table = self.tidy(level)
        return exponentiated(table, prob_below_1=1.0 - table["prob_positive"])

    def survival_draws(
        self,
        newdata: pd.DataFrame | None,
        times: Sequence[float],
        *,
        baseline: bool = True,
    ) -> np.ndarray:
        """Draws of survival, shape (draws of all chains, rows, times).

        Parameters
        ----------
        newdata : DataFrame, optional
        times : sequence of float
        baseline : bool
            Draw the baseline hazard too, from its posterior given the coefficients under a vague
            gamma-process prior; otherwise it is the partial likelihood's own estimate at each draw,
            and its uncertainty is left out.
        """
        beta = self.coefficients.reshape(-1, len(self.names))
        rng = np.random.default_rng([self.draws.seed, 1]) if baseline else None
        who = people(self, newdata)
        return np.exp(-drawn_hazards(self.data, beta, who, check_times(times), rng))

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        times: Annotated[Sequence[float] | None, None] = None,
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Posterior of the log relative hazard or of survival; see `SurvivalEstimate.predict`.

        Survival carries the uncertainty of the coefficients and of the baseline hazard (see
        `survival_draws`).
        """
        check_level(level)
        if times is None:
            who = people(self, newdata)
            beta = self.coefficients.reshape(-1, len(self.names))
            return beside(who.frame, draw_columns(beta @ who.X.T + who.offset, level))
        return self._curves(newdata, check_times(times), level)

    def survival_curve(self, newdata: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
        """Survival at every event time of the model; columns as in `predict` with times."""
        check_level(level)
        return self._curves(newdata, np.unique(self.data.times), level)

    def _curves(
        self, newdata: pd.DataFrame | None, times: np.ndarray, level: float
    ) -> pd.DataFrame:
        draws = self.survival_draws(newdata, list(times))
        frame = people(self, newdata).frame
        parts = [
            beside(repeated(frame, i, times), draw_columns(draws[:, i], level))
            for i in range(len(frame))
        ]
        return pd.concat(parts, ignore_index=True)


def _quadratic_form(x: np.ndarray, V: np.ndarray) -> float:
    """x' V^-1 x; NaN where V is singular."""
    found = identify(V)
    return np.nan if found.flat else float(x @ found.cov @ x)


def exponentiated(table: pd.DataFrame, **last: Any) -> pd.DataFrame:
    """Hazard ratios with their limits from a tidy table of logarithms, and what comes last."""
    found = pd.DataFrame(
        {
            "term": table["term"],
            "hazard_ratio": np.exp(table["estimate"]),
            "conf_low": np.exp(table["conf_low"]),
            "conf_high": np.exp(table["conf_high"]),
            **last,
        }
    )
    found.attrs |= table.attrs  # what a reader must know of these numbers
    return found
