"""The answer of Fine and Gray's model: subdistribution hazard ratios and cumulative incidences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from longsurv.design.subdistribution import Subdistribution
from longsurv.diagnostics.censoring_influence import censoring_influence
from longsurv.diagnostics.cox_residuals import crossed, dfbeta, summed
from longsurv.inference import Optimum
from longsurv.likelihood import cox
from longsurv.results.assemble import design_flags, undetermined_flag
from longsurv.results.columns import beside
from longsurv.results.criticism import StraightLines
from longsurv.results.estimate import Estimate
from longsurv.results.reference import NormalReference, t_quantile
from longsurv.results.survival.clustered import FewClusters, df_of_all, in_few_clusters
from longsurv.results.survival.covariances import among_all, inverse
from longsurv.results.survival.cox_curves import (
    check_known,
    check_times,
    hazards,
    people,
    repeated,
)
from longsurv.results.survival.determined import flat_directions, seen_by_robust, why_flat
from longsurv.results.survival.flags import few_events_flag, separation_flag, weightless_flag
from longsurv.results.survival.ratios import exponentiated
from longsurv.times import snapped
from longsurv.words import plural

if TYPE_CHECKING:
    from longsurv.design.survival import SurvivalDesign


class FineGraySpecification(Protocol):
    """What is used of `FineGray`."""

    @property
    def formula(self) -> str:
        """The model in one line."""

    @property
    def data(self) -> pd.DataFrame:
        """The table."""

    @property
    def design(self) -> SurvivalDesign:
        """Its arrays, a row a patient."""

    @property
    def status(self) -> np.ndarray:
        """Of each row used."""

    @property
    def cause(self) -> int:
        """Status of the event."""

    @property
    def ties(self) -> str:
        """How events at one time are handled."""

    @property
    def made(self) -> Subdistribution:
        """The rows of the weighted Cox model."""

    @property
    def stretched(self) -> SurvivalDesign:
        """Its arrays."""


@dataclass(frozen=True, repr=False, eq=False)
class FineGrayEstimate(StraightLines, Estimate):
    """A fitted model of Fine and Gray (see `Estimate`).

    Coefficients are logs of subdistribution hazard ratios: positive where the cumulative incidence
    is higher. There is no likelihood, so `llf` is the pseudo-likelihood's and `aic` and `bic` are
    NaN.

    Attributes
    ----------
    data : CoxData
        Sorted arrays of the weighted partial likelihood.
    """

    spec: FineGraySpecification  # type: ignore[assignment]  # without a posterior
    design: SurvivalDesign
    data: cox.CoxData

    @classmethod
    def at(
        cls, spec: FineGraySpecification, data: cox.CoxData, optimum: Optimum, known: bool
    ) -> FineGrayEstimate:
        """The fitted model where its climb ended.

        Parameters
        ----------
        spec : FineGray
        data : CoxData
        optimum : Optimum
        known : bool
            Whether the curve of censoring counts as known.
        """
        design, made, names = spec.design, spec.made, spec.design.fixed.names
        kept, p = optimum.free, len(spec.design.fixed.names)
        naive = among_all(inverse(-optimum.hessian), kept, p)
        own = dfbeta(data, optimum.x, naive, made.weight)
        moves = summed(own, made.source, len(design.rows))
        late = len(design.formula.surv) == 3
        if not known and not late:
            weight = np.ones(len(design.rows)) if design.weights is None else design.weights
            whose = np.zeros(len(weight), dtype=int) if design.stratum is None else design.stratum
            added = censoring_influence(
                made, design.fixed.X, optimum.x, whose, design.exit, spec.status, weight,
                design.entry,
            )  # fmt: skip
            moves += added @ naive
        cluster = design.patient if design.cluster is None else design.cluster
        flat = flat_directions(data) if len(kept) < p else None
        fit = cls(
            spec=spec, design=design, names=names, coefficients=optimum.x,
            reference=NormalReference(crossed(moves, cluster), "robust", flat),
            llf=cox.loglik(data, optimum.x), nobs=len(design.rows), n_params=len(kept),
            optimum=optimum, method=_method(spec, optimum.penalty, known or late),
            flags=(*design_flags(design), *weightless_flag(design)), data=data,
        )  # fmt: skip
        lost = fit.undetermined
        more = (
            *separation_flag(names, optimum.separated, "pseudo-likelihood", lost),
            *undetermined_flag(lost, why_flat(flat)),
            *few_events_flag(design),
        )
        fit = replace(fit, flags=(*fit.flags, *more)) if more else fit
        instead = "incidence_difference and gray_test compare such groups."
        fit = seen_by_robust(fit, lambda: flat_directions(data), instead)
        return in_few_clusters(fit, design)

    @property
    def penalty(self) -> str | None:
        """ "firth" where the pseudo-likelihood was penalised, because it has no maximum."""
        return self.optimum.penalty

    @property
    def aic(self) -> float:
        """NaN: there is no likelihood."""
        return math.nan

    @property
    def bic(self) -> float:
        """NaN: there is no likelihood."""
        return math.nan

    def hazard_ratios(self, level: float = 0.95) -> pd.DataFrame:
        """Subdistribution hazard ratios: the exponentials of `tidy`.

        Parameters
        ----------
        level : float
            Of the intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            One row a coefficient: term, hazard_ratio, conf_low, conf_high, p_value.
        """
        table = self.tidy(level)
        return exponentiated(table, p_value=table["p_value"])

    def incidence(
        self, newdata: pd.DataFrame, times: Sequence[float], *, level: float = 0.95
    ) -> pd.DataFrame:
        """Cumulative incidence of the cause, predicted for patients with given covariates.

        Parameters
        ----------
        newdata : DataFrame
            Rows to predict, with the columns of the formula.
        times : sequence of float
            None after the last exit, unless all who were left had an event then.
        level : float
            Of the intervals, on the scale of log(-log(1 - F)). They take the curve of censoring
            as known, and count each patient's influence on coefficients and baseline together.

        Returns
        -------
        DataFrame
            `newdata` repeated for each time, with time, estimate, std_error, conf_low, conf_high.

        Raises
        ------
        EstimationError
            For rows whose answer depends on coefficients that the data do not determine.
        """
        who, grid = people(self, newdata), check_times(times)
        z = t_quantile(level, df_of_all(self.reference))
        parts: list[pd.DataFrame] = [pd.DataFrame()] * len(who.frame)
        for stratum, rows in who.of_stratum():
            found = hazards(self.data, self.coefficients, who, rows, stratum, grid)
            check_known(found, self.data, self.reference.flat, self.undetermined)
            after = self._after_follow_up(stratum, grid)
            errors = self._errors(who.X[rows], who.offset[rows], stratum, grid, found.value)
            for i, H, se in zip(rows, found.value, errors, strict=True):
                with np.errstate(divide="ignore", invalid="ignore"):  # before the first event
                    se = np.where(H > 0, se, np.nan)
                    step = np.exp(z * se / H)
                own = {
                    "estimate": -np.expm1(-H), "std_error": np.exp(-H) * se,
                    "conf_low": -np.expm1(-H / step), "conf_high": -np.expm1(-H * step),
                }  # fmt: skip
                own = {name: np.where(after, np.nan, values) for name, values in own.items()}
                parts[i] = beside(repeated(who.frame, i, grid), own)
        return pd.concat(parts, ignore_index=True)

    def _after_follow_up(self, stratum: int, times: np.ndarray) -> np.ndarray:
        """Times after the last exit of a stratum, if somebody was left then without any event."""
        censoring = self.spec.made.censoring[stratum]
        last = self.design.exit[censoring.rows].max()
        lost = bool((censoring.time == last).any())
        return (snapped(times, self.design.exit[censoring.rows]) > last) & lost

    def _errors(
        self, X: np.ndarray, offset: np.ndarray, stratum: int, times: np.ndarray, H: np.ndarray
    ) -> np.ndarray:
        """Standard errors of cumulative subdistribution hazards, shape (m, T)."""
        d, made = self.spec.stretched, self.spec.made
        own = np.zeros(len(d.entry), dtype=int) if d.stratum is None else d.stratum
        mine = own == stratum
        x0 = d.fixed.X[mine].mean(axis=0)
        eta = (d.fixed.X - x0) @ self.coefficients + (0.0 if d.offset is None else d.offset)
        omega = made.weight * np.exp(eta) * mine
        died = (d.event == 1) & mine
        steps = np.unique(d.exit[died])
        deaths = np.bincount(np.searchsorted(steps, d.exit[died]), made.weight[died], len(steps))
        first = np.searchsorted(steps, d.entry, "right")
        last = np.searchsorted(steps, d.exit, "right")

        def at_risk(values: np.ndarray) -> np.ndarray:
            ahead = [np.bincount(place, values, len(steps) + 1) for place in (last, first)]
            return np.cumsum((ahead[0] - ahead[1])[::-1])[::-1][1:]

        total = at_risk(omega)
        jump = deaths / total
        mean = np.column_stack([at_risk(omega * c) for c in (d.fixed.X - x0).T])
        tilt = np.vstack(
            [np.zeros(X.shape[1]), np.cumsum(mean / total[:, None] * jump[:, None], 0)]
        )
        square = np.concatenate([[0.0], np.cumsum(jump / total)])
        naive = inverse(-self.optimum.hessian)
        naive = among_all(naive, self.optimum.free, len(self.names))
        n = len(self.design.rows)
        own_beta = dfbeta(self.data, self.coefficients, naive, made.weight)
        beta = summed(own_beta, made.source, n)
        cluster = self.design.patient if self.design.cluster is None else self.design.cluster
        cumulated = np.concatenate([[0.0], np.cumsum(jump)])
        out = np.zeros_like(H)
        for t, time in enumerate(times):
            m = int(np.searchsorted(steps, time, "right"))
            inside = died & (d.exit <= time)
            moves = -omega * (square[np.minimum(last, m)] - square[np.minimum(first, m)])
            place = np.searchsorted(steps, d.exit[inside])
            moves[inside] += made.weight[inside] / total[place]
            base = np.bincount(made.source, moves, n)[:, None] - beta @ tilt[m][:, None]
            relative = np.exp((X - x0) @ self.coefficients + offset)
            phi = relative * (base + cumulated[m] * (beta @ (X - x0).T))
            out[:, t] = np.sqrt(np.diag(crossed(phi, cluster)))
        if isinstance(self.reference, FewClusters):
            out /= np.sqrt(self.reference.share)
        return out


def _method(spec: FineGraySpecification, penalty: str | None, known: bool) -> str:
    """How a model was fitted, in words."""
    words = (
        f"weighted partial likelihood of Fine and Gray, {spec.ties.capitalize()} ties,"
        f" {plural(spec.design.n_events, 'event')} of cause {spec.cause}, robust covariance"
    )
    if penalty == "firth":
        words = words.replace("weighted", "Firth's penalised weighted", 1)
    return words + (
        " with the curve of censoring taken as known" if known else " with that of censoring in it"
    )
