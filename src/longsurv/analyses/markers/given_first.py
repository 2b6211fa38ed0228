"""The difference later given the first value, read off a model of both.

An analysis of covariance takes the first value y0 as known. One beyond a limit of detection is not;
but a mixed model of all visits has the joint distribution of y0 and a later y1, censored or not,
and with it the regression of the one on the other in either group:

    E(y1 | y0, z) = E(y1 | z) + s (y0 - E(y0 | z)),    s = cov(y1, y0) / var(y0)

so that two patients with the same first value, one in each group, are expected to differ later by

    d = (difference between the groups later) - s (difference at first)

with s from the variances of the patients' random effects and of the residuals. Without limits, and
with as much scatter later as at first, this is the estimate of the analysis of covariance.

Senn (2006), Stat Med 25:4334-4344.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from longsurv.errors import EstimationError
from longsurv.estimands.changes import Change, contrast_weights, start_weights
from longsurv.results.columns import wald_columns
from longsurv.results.estimate import TIDY
from longsurv.results.generalised.estimate import GeneralisedEstimate
from longsurv.results.generalised.posterior import GeneralisedPosterior
from longsurv.results.generalised.quantities import factor, spread
from longsurv.results.posterior import summarise
from longsurv.results.reference import t_p_value

type Joint = GeneralisedEstimate | GeneralisedPosterior

TERM = "difference later given the first value"


@dataclass(frozen=True, eq=False)
class GivenFirst:
    """The difference later given the first value.

    Attributes
    ----------
    result : GeneralisedEstimate or GeneralisedPosterior
        Of a model of all visits, of normal values known or beyond limits.
    change, start : ndarray, shape (p,)
        Weights of the coefficients in the difference in change, and in that at first.
    first, later : ndarray, shape (q,)
        Columns of the random effects there.
    count : int
        Values of a patient at first, whose mean is given.
    """

    result: Joint
    change: np.ndarray
    start: np.ndarray
    first: np.ndarray
    later: np.ndarray
    count: int

    @classmethod
    def of(cls, result: Joint, change: Change, data: pd.DataFrame) -> GivenFirst:
        """That of one change.

        Parameters
        ----------
        result : GeneralisedEstimate or GeneralisedPosterior
        change : Change
            Between two phases.
        data : DataFrame
            The rows of the model, with the columns phase, y and those of the change.

        Raises
        ------
        EstimationError
            If the model does not have the difference in change, or random effects that vary within
            a phase.
        """
        design, names = result.design, list(result.design.fixed.names)
        rows = data.iloc[design.rows]
        phase = rows[change.variable].to_numpy()

        def row(weights: Mapping[str, float]) -> np.ndarray:
            return np.array([weights.get(name, 0.0) for name in names])

        first, later = (_same(design.Z[phase == end], end) for end in (change.start, change.end))
        # Some patients may have several values at first: as many as is usual.
        count = np.bincount(design.group[phase == change.start])
        return cls(
            result,
            row(contrast_weights(design.fixed, change, data)),
            row(start_weights(design.fixed, change, data)),
            first,
            later,
            int(np.median(count[count > 0])),
        )

    def slope_at(self, theta: np.ndarray) -> float:
        """Of the later value on the first.

        Parameters
        ----------
        theta : ndarray, shape (d,)
            As for `likelihood.glmm.loglik_factor`.
        """
        data = self.result.data
        # Of one site, if the model has sites: what differs between them is no regression.
        Lam = factor(data, theta)[: data.q_own, : data.q_own]
        first, later = self.first @ Lam, self.later @ Lam
        sigma = data.family.natural(theta[data.p : data.p + data.n_family])[0]
        return float(first @ later / (first @ first + sigma**2 / self.count))

    def difference_at(self, theta: np.ndarray) -> float:
        """The difference later given the first value.

        Parameters
        ----------
        theta : ndarray, shape (d,)
            As for `slope_at`.
        """
        beta = theta[: self.result.data.p]
        return float(self.change @ beta + (1.0 - self.slope_at(theta)) * (self.start @ beta))

    @cached_property
    def slope(self) -> float:
        """The estimate of the slope, or its posterior mean."""
        if isinstance(self.result, GeneralisedEstimate):
            return self.slope_at(self.result.theta)
        return float(self._slopes.mean())

    @cached_property
    def _slopes(self) -> np.ndarray:
        """Of every draw of the posterior, shape (chains * draws,)."""
        assert isinstance(self.result, GeneralisedPosterior)
        return np.array([self.slope_at(theta) for theta in self.result.thetas()])

    @cached_property
    def _draws(self) -> np.ndarray:
        """Of the posterior, shape (chains, draws)."""
        assert isinstance(self.result, GeneralisedPosterior)
        chains, kept, _ = self.result.draws.theta.shape
        beta = self.result.draws.flat[:, : self.result.data.p]
        values = beta @ self.change + (1.0 - self._slopes) * (beta @ self.start)
        return np.asarray(values).reshape(chains, kept)

    def row(self, level: float) -> pd.DataFrame:
        """One row in the grammar of `Estimate.tidy` or `Posterior.tidy`.

        By the delta method, on the degrees of freedom of the difference with the slope as known.

        Parameters
        ----------
        level : float
            Of the interval.

        Returns
        -------
        DataFrame

        Raises
        ------
        EstimationError
            If the data do not determine the slope.
        """
        if isinstance(self.result, GeneralisedPosterior):
            return summarise({TERM: self._draws}, level)
        fit = self.result
        if not np.isfinite(fit.random_cov.to_numpy()).all():
            raise EstimationError("the data do not determine how much patients differ")
        weights = self.change + (1.0 - self.slope) * self.start
        error = spread(lambda at: np.array([self.difference_at(at)]), fit.theta, fit.half)
        estimate = np.array([self.difference_at(fit.theta)])
        columns = wald_columns(weights[None], estimate, error, fit.reference, level)
        row = {name: float(values[0]) for name, values in columns.items()}
        df, statistic = fit.reference.df(weights), row["estimate"] / row["std_error"]
        row |= {"statistic": statistic, "df": df, "p_value": t_p_value(statistic, df)}
        return pd.DataFrame([{"term": TERM, **row}], columns=TIDY)


def _same(Z: np.ndarray, end: object) -> np.ndarray:
    """The columns of the random effects in a phase, shape (q,), where all rows have the same."""
    if np.ptp(Z, axis=0).any():
        raise EstimationError(
            f"the random effects vary within {end!r}, so that there is no one regression on the"
            " first value; take (1 | patient) or (phase | patient)"
        )
    same: np.ndarray = Z[0]
    return same
