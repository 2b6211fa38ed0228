"""Arithmetic means of a measurement that a generalised mixed model takes the logarithm of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from longsurv.design.expression import logarithm_of
from longsurv.errors import LongsurvError
from longsurv.likelihood.glmm.families import FAMILIES
from longsurv.results.arithmetic import DrawnLogs, LogMeans, Patients, Undone
from longsurv.results.estimate import t_rows
from longsurv.results.generalised.answers import degrees_of_predictors
from longsurv.results.generalised.quantities import factor, spread

if TYPE_CHECKING:
    from longsurv.design.generalised import GeneralisedDesign
    from longsurv.likelihood.glmm.data import GLMMData
    from longsurv.results.generalised.answers import FittedGeneralised, GeneralisedAnswer
    from longsurv.results.log_scale import Logarithm


def logarithm_undone(
    design: GeneralisedDesign, logarithm: bool | Logarithm
) -> Logarithm | Literal[True] | None:
    """The logarithm to undo; None where there is none, or it is to stay.

    Raises
    ------
    LongsurvError
        For one named of a response that is no measurement, or values of which the exponential has
        no mean.
    """
    family, response = FAMILIES[design.family], design.formula.response
    named = logarithm if isinstance(logarithm, str) else None
    if not family.measured and named is not None:
        raise LongsurvError(
            f"logarithm={named!r} is for a measurement; the response of family {family.name!r} is "
            "none"
        )
    if not logarithm or not family.measured or (named is None and logarithm_of(response) is None):
        return None
    if not family.log_normal:
        raise LongsurvError(
            f"with residuals of family {family.name!r} the exponential of {response} has no mean: "
            "its tails are too heavy; logarithm=False gives the mean of the logarithm"
        )
    return named or True


@dataclass(frozen=True, eq=False)
class LogsAt:
    """Natural logarithms of arithmetic means as a function of the parameters.

    Attributes
    ----------
    data : GLMMData
    L : ndarray, shape (k, p)
    Z : ndarray, shape (k, q)
        Columns of the random effects; zero for a typical patient.
    base : float
    """

    data: GLMMData
    L: np.ndarray
    Z: np.ndarray
    base: float

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        """Shape (k,), at a vector of `likelihood.glmm.loglik_factor`."""
        data, p = self.data, self.data.p
        sigma = data.family.natural(theta[p : p + data.n_family])[0]
        variance = sigma**2 + ((self.Z @ factor(data, theta)) ** 2).sum(axis=1)
        logs: np.ndarray = self.base * (self.L @ theta[:p] + 0.5 * self.base * variance)
        return logs


@dataclass(frozen=True, eq=False)
class FittedLogsAt:
    """Of an estimate, by the delta method in all its parameters together.

    Attributes
    ----------
    fit : GeneralisedEstimate
    at : LogsAt
    """

    fit: FittedGeneralised
    at: LogsAt

    def summary(
        self, weights: np.ndarray, labels: list[str], level: float, measure: Undone
    ) -> pd.DataFrame:
        """Weighted sums in the grammar of `tidy`, on the degrees of freedom of the coefficients.

        Parameters
        ----------
        weights : ndarray, shape (rows, k)
        labels : list of str
        level : float
            Of the intervals.
        measure : {"difference", "ratio"}
            Sums of the means, or of their logarithms.

        Returns
        -------
        DataFrame
        """
        fit = self.fit

        def asked(theta: np.ndarray) -> np.ndarray:
            logs = self.at(theta)
            return weights @ (np.exp(logs) if measure == "difference" else logs)

        se = spread(asked, fit.theta, fit.half)
        slope = self.at.base * self.at.L
        if measure == "difference":
            slope = np.exp(self.at(fit.theta))[:, None] * slope
        df = degrees_of_predictors(fit, weights @ slope)
        table = t_rows(labels, asked(fit.theta), se, df, level)
        lost = ~fit.estimable(self.at.L, link=False)
        table.loc[(weights[:, lost] != 0.0).any(axis=1), table.columns != "term"] = np.nan
        return table


def generalised_logs(
    result: GeneralisedAnswer, L: np.ndarray, Z: np.ndarray, base: float, patients: Patients
) -> LogMeans:
    """Logarithms of the arithmetic means of cells.

    Parameters
    ----------
    result : GeneralisedEstimate or GeneralisedPosterior
    L : ndarray, shape (k, p)
    Z : ndarray, shape (k, q)
    base : float
        Natural logarithm of the base that the response is a logarithm to.
    patients : {"population", "typical"}
    """
    at = LogsAt(result.data, L, Z if patients == "population" else np.zeros_like(Z), base)
    if result.engine == "ml":
        return FittedLogsAt(result, at)
    chains, kept = result.draws.theta.shape[:2]
    return DrawnLogs(np.array([at(theta) for theta in result.thetas()]).reshape(chains, kept, -1))
