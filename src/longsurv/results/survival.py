"""Answers of survival models: hazard ratios and survival curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.likelihood import cox
from longsurv.results.estimate import Estimate, check_level
from longsurv.results.posterior import Posterior
from longsurv.results.reference import t_quantile


@dataclass(frozen=True, repr=False, eq=False)
class SurvivalEstimate(Estimate):
    """A fitted Cox model (see `Estimate`); coefficients are log hazard ratios.

    Attributes
    ----------
    data : CoxData
        Sorted arrays of the partial likelihood.
    """

    data: cox.CoxData

    def hazard_ratios(self, level: float = 0.95) -> pd.DataFrame:
        """term, hazard_ratio, conf_low, conf_high, p_value."""
        table = self.tidy(level)
        return _exponentiated(table, p_value=table["p_value"])

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        times: Sequence[float] | None = None,
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Log relative hazard or, with `times`, survival probabilities.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict; by default the rows the model was fitted to.
        times : sequence of float, optional
            Give survival to each of these times, with intervals on the log(-log) scale. With entry
            times this is survival given alive at the first time anyone was at risk.
        level : float

        Returns
        -------
        DataFrame
            `newdata` (repeated for each time, with a column "time") with estimate, std_error,
            conf_low, conf_high. Without times the estimate is x'b, the log hazard relative to
            covariates of 0.
        """
        check_level(level)
        frame, X = _rows(self, newdata)
        z = t_quantile(level, np.inf)
        V = self.reference.cov
        if times is None:
            estimate = X @ self.coefficients
            se = np.sqrt(np.einsum("ij,jk,ik->i", X, V, X))
            return frame.assign(
                estimate=estimate,
                std_error=se,
                conf_low=estimate - z * se,
                conf_high=estimate + z * se,
            )
        grid = _grid(times)
        parts = []
        for i, x in enumerate(X):
            base = cox.baseline_hazard(self.data, self.coefficients, at=x)
            at = np.searchsorted(base.times, grid, side="right")
            Q = np.cumsum(base.tilt, axis=0)
            variance = np.cumsum(base.variance) + np.einsum("kj,jl,kl->k", Q, V, Q)
            H = np.append(0.0, base.cumulative)[at]
            se_H = np.sqrt(np.append(0.0, variance)[at])
            with np.errstate(divide="ignore", invalid="ignore"):
                spread = np.where(H > 0, np.exp(z * se_H / H), 1.0)
            row = frame.iloc[[i] * len(grid)].assign(time=grid)
            parts.append(
                row.assign(
                    estimate=np.exp(-H),
                    std_error=np.exp(-H) * se_H,
                    conf_low=np.exp(-H * spread),
                    conf_high=np.exp(-H / spread),
                )
            )
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

    def hazard_ratios(self, level: float = 0.95) -> pd.DataFrame:
        """term, hazard_ratio (exp of the posterior mean), conf_low, conf_high, prob_below_1."""
        table = self.tidy(level)
        return _exponentiated(table, prob_below_1=1.0 - table["prob_positive"])

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        times: Sequence[float] | None = None,
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Posterior of the log relative hazard or of survival; see `SurvivalEstimate.predict`.

        The baseline hazard is the partial likelihood's own at each draw, so the intervals of survival
        carry the uncertainty of the coefficients but not that of the baseline.
        """
        check_level(level)
        frame, X = _rows(self, newdata)
        beta = self.coefficients.reshape(-1, len(self.names))
        if times is None:
            return _summary(frame, beta @ X.T, level)
        grid = _grid(times)
        centre = X.mean(axis=0)
        H = np.empty((len(beta), len(grid)))
        for s, b in enumerate(beta):
            base = cox.baseline_hazard(self.data, b, at=centre)
            at = np.searchsorted(base.times, grid, side="right")
            H[s] = np.append(0.0, base.cumulative)[at]
        relative = np.exp(beta @ (X - centre).T)
        parts = [
            _summary(
                frame.iloc[[i] * len(grid)].assign(time=grid), np.exp(-H * relative[:, [i]]), level
            )
            for i in range(len(X))
        ]
        return pd.concat(parts, ignore_index=True)


def _exponentiated(table: pd.DataFrame, **last: pd.Series) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "term": table["term"],
            "hazard_ratio": np.exp(table["estimate"]),
            "conf_low": np.exp(table["conf_low"]),
            "conf_high": np.exp(table["conf_high"]),
            **last,
        }
    )


def _summary(frame: pd.DataFrame, values: np.ndarray, level: float) -> pd.DataFrame:
    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    return frame.assign(
        estimate=values.mean(axis=0),
        std_error=values.std(axis=0, ddof=1),
        conf_low=low,
        conf_high=high,
    )


def _rows(result, newdata: pd.DataFrame | None) -> tuple[pd.DataFrame, np.ndarray]:
    if newdata is None:
        return result.spec.data.iloc[result.design.rows], result.design.fixed.X
    return newdata.copy(), result.design.fixed.rebuild(newdata)


def _grid(times: Sequence[float]) -> np.ndarray:
    grid = np.asarray(times, dtype=float)
    if grid.ndim != 1 or not np.isfinite(grid).all() or (grid < 0).any():
        raise LongsurvError(f"times must be finite numbers of at least 0, got {times!r}")
    return grid
