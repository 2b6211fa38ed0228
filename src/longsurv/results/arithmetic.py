"""Arithmetic means of a response that a model takes the logarithm of.

The exponential of a mean of logarithms is a geometric mean, half of a group lying above it. Where
log y is normal with mean m and variance v over the patients and their measurements, the arithmetic
mean of y is exp(m + v / 2): it depends on how much patients and measurements vary, and is larger.
Its interval is made on the logarithmic scale and takes the uncertainty of v into account, by the
delta method; of single means v has its own interval, by the chi-squared distribution with
Satterthwaite's degrees of freedom, and the two are put together as in Zou, Huo & Taleban (2009,
Environmetrics 20:172-180), because that of v is far from symmetric in small samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import numpy as np
import pandas as pd

from longsurv.arguments import check_methods
from longsurv.design.expression import logarithm_of
from longsurv.errors import LongsurvError
from longsurv.results import plots
from longsurv.results.averaged import MeansAnswer
from longsurv.results.columns import beside_variables
from longsurv.results.differences import Kind
from longsurv.results.estimate import TIDY
from longsurv.results.log_scale import Logarithm, log_base, ratios
from longsurv.results.means import Means
from longsurv.results.posterior import summarise
from longsurv.results.reference import (
    Reference,
    covariance_of,
    degrees,
    estimable,
    t_p_value,
    t_quantile,
)
from longsurv.tables.notebook import Readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROUNDING = 1e-9
"""Share of a sum of slopes that rounding may leave where they cancel."""

type Patients = Literal["population", "typical"]
type Undone = Literal["difference", "ratio"]

NO_DIFFERENCES = (
    "a difference of arithmetic means has no posterior mean to rely on, as its draws have too heavy"
    " a tail; measure='ratio' compares them"
)


class LogMeans(Protocol):
    """Logarithms of arithmetic means."""

    def summary(
        self, weights: np.ndarray, labels: list[str], level: float, measure: Undone
    ) -> pd.DataFrame:
        """Weighted sums, weights (rows, k), of the means or of their logarithms.

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


class Spread(NamedTuple):
    """How much values vary in each cell, and how uncertain that is.

    Attributes
    ----------
    variance : ndarray, shape (k,)
        Of the response as the model has it.
    slopes : ndarray, shape (k, m)
        In independent directions of the parameters of the variances, a standard error long each;
        NaN where the data do not say.
    """

    variance: np.ndarray
    slopes: np.ndarray


@dataclass(frozen=True, eq=False)
class FittedLogs:
    """From coefficients and variances.

    Attributes
    ----------
    L : ndarray, shape (k, p)
        Weights of the coefficients in each mean of the logarithm.
    coefficients : ndarray, shape (p,)
    reference : Reference
    spread : Spread
    base : float
        Natural logarithm of the base that the response is a logarithm to.
    """

    L: np.ndarray
    coefficients: np.ndarray
    reference: Reference
    spread: Spread
    base: float

    @property
    def values(self) -> np.ndarray:
        """Natural logarithms of the arithmetic means, shape (k,)."""
        return self.base * (self.L @ self.coefficients + 0.5 * self.base * self.spread.variance)

    def summary(
        self, weights: np.ndarray, labels: list[str], level: float, measure: Undone
    ) -> pd.DataFrame:
        """Weighted sums in the grammar of `tidy`, with the t distribution of the coefficients.

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
        logs, of_logs = self.values, weights
        estimate = weights @ logs
        if measure == "difference":
            of_logs = weights * np.exp(logs)
            estimate = of_logs.sum(axis=1)
        L = self.base * of_logs @ self.L
        known = estimable(self.reference, L)
        fixed = np.diag(covariance_of(self.reference, L))
        slopes = 0.5 * self.base**2 * of_logs @ self.spread.slopes
        # Where the variances cancel, rounding is left of them.
        size = 0.5 * self.base**2 * np.abs(of_logs) @ np.abs(self.spread.slopes)
        slopes = np.where(np.abs(slopes) > ROUNDING * size, slopes, 0.0) + 0.0 * size
        of_spread = (slopes**2).sum(axis=1)
        se = np.sqrt(np.maximum(fixed, 0.0) + of_spread)
        df = degrees(self.reference, L)
        quantile = np.array([t_quantile(level, d) for d in df])
        down = up = quantile * se
        if measure == "ratio" and (weights.sum(axis=1) > 0.5).all():
            own = 0.5 * self.base**2 * weights @ self.spread.variance
            below, above = _of_variance(own, of_spread, level)
            down, up = (
                np.where(np.isnan(se), np.nan, np.hypot(quantile * np.sqrt(fixed), away))
                for away in (below, above)
            )
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = np.where(se > 0.0, estimate / se, np.nan)
        p = [t_p_value(s, d) for s, d in zip(statistic, df, strict=True)]
        columns = [labels, estimate, se, statistic, df, p, estimate - down, estimate + up]
        table = pd.DataFrame(dict(zip(TIDY, columns, strict=True)))
        table.loc[~known, table.columns != "term"] = np.nan
        return table


def _of_variance(
    value: np.ndarray, variance: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """How far the limits of an estimated variance lie below and above it; `variance` is its own."""
    from scipy.special import chdtri

    known = variance <= 0.0
    df = 2.0 * value**2 / np.where(known, 1.0, variance)
    low, high = (value * df / chdtri(df, 0.5 + k * level / 2.0) for k in (-1.0, 1.0))
    return np.where(known, 0.0, value - low), np.where(known, 0.0, high - value)


@dataclass(frozen=True, eq=False)
class DrawnLogs:
    """From draws.

    Attributes
    ----------
    values : ndarray, shape (chains, draws, k)
        Natural logarithms of the arithmetic means.
    """

    values: np.ndarray

    def summary(
        self, weights: np.ndarray, labels: list[str], level: float, measure: Undone
    ) -> pd.DataFrame:
        """Weighted sums of the logarithms in the grammar of a posterior's `tidy`.

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
        if measure == "difference":
            raise LongsurvError(NO_DIFFERENCES)
        drawn = self.values @ weights.T
        return summarise({name: drawn[..., k] for k, name in enumerate(labels)}, level)


@check_methods
@dataclass(frozen=True, eq=False, repr=False)
class ArithmeticMeans(Readable):
    """Arithmetic marginal means of a response that the model takes the logarithm of.

    Attributes
    ----------
    means : Means
        Of the logarithm.
    logs : LogMeans
        Logarithms of the arithmetic means.
    patients : {"population", "typical"}
        Averaged over the random effects, or with random effects of zero.
    quantity : str
        What the mean is, as in "mean crp".
    """

    means: Means
    logs: LogMeans
    patients: str
    quantity: str

    @property
    def table(self) -> pd.DataFrame:
        """The means with 95 % intervals (see `tidy`)."""
        return self.tidy()

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row a mean: the variables, quantity, patients, then the columns of the result's
        `tidy`.

        The estimate of a posterior is the exponential of the mean of the logarithm. There is no
        test.

        Parameters
        ----------
        level : float
            Of the intervals.

        Returns
        -------
        DataFrame
            std_error is that of the logarithm. NaN where the data do not determine a mean.
        """
        table = self._summary(np.eye(len(self.means.cells)), self.means.labels, level, "ratio")
        tests = [c for c in ("statistic", "p_value", "prob_positive") if c in table]
        table[tests] = np.nan
        return self._framed(self.means.cells, table)

    def contrast(
        self,
        *along: str,
        kind: Kind = "pairwise",
        measure: Undone = "ratio",
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Ratios or differences along one variable, or of those along several.

        The ratio of two arithmetic means is that of the geometric ones where the values of both
        groups vary as much; where they do not, it is another question.

        Parameters
        ----------
        *along, kind, level
            As for `Means.contrast`.
        measure : {"ratio", "difference"}
            Ratios (std_error is that of the logarithm; along several variables, the ratio of
            ratios), or, of estimates, differences.

        Returns
        -------
        DataFrame
            The variables, quantity, patients, measure, then the columns of the result's `tidy`.

        Raises
        ------
        LongsurvError
            For differences of a posterior.
        """
        frame, weights, labels = self.means.differences(along, kind)
        return self._framed(frame, self._summary(weights, labels, level, measure), measure)

    def _summary(
        self, weights: np.ndarray, labels: list[str], level: float, measure: Undone
    ) -> pd.DataFrame:
        table = self.logs.summary(weights, labels, level, measure)
        if measure == "ratio":
            table = ratios(table, 1.0)
        table.loc[self.means.undetermined(weights), table.columns != "term"] = np.nan
        return table

    def _framed(
        self, frame: pd.DataFrame, table: pd.DataFrame, measure: str | None = None
    ) -> pd.DataFrame:
        return beside_cells(frame, table, self.quantity, self.patients, measure)

    def plot(self, *, level: float = 0.95, ax: Axes | None = None) -> Axes:
        """Draw the means with their intervals.

        Parameters
        ----------
        level : float
            Of the intervals, between 0 and 1.
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.
        """
        return plots.rows(self.means.labels, self.tidy(level), self.quantity, level, ax)

    def __repr__(self) -> str:
        return shown(self.table, self.quantity, self.patients)


def beside_cells(
    frame: pd.DataFrame, table: pd.DataFrame, quantity: str, patients: str, measure: str | None
) -> pd.DataFrame:
    """A table of means of the response beside the variables, with what it is of."""
    said = {"quantity": quantity, "patients": patients}
    if measure is not None:
        said["measure"] = measure
    for place, (name, value) in enumerate(said.items()):
        table.insert(place, name, value)
    return beside_variables(frame.reset_index(drop=True), table)


def shown(table: pd.DataFrame, quantity: str, patients: str) -> str:
    """Means of the response as text."""
    who = "all patients" if patients == "population" else "a patient with b = 0"
    rows = table.drop(columns=["term", "quantity", "patients"]).to_string(index=False)
    return f"{quantity} of {who}, 95 % intervals\n{rows}"


def undone(response: str, logarithm: Logarithm | Literal[True]) -> str:
    """The name of an arithmetic mean of a response."""
    found = logarithm_of(response)
    if found is not None:
        return f"mean {found[1]}"
    undoes = {"log2": "2^", "log10": "10^"}
    return f"mean {undoes.get(str(logarithm), 'exp')}({response})"


def arithmetic_means(
    result: MeansAnswer,
    means: Means,
    logs: Callable[[Means, float], LogMeans],
    patients: Patients,
    logarithm: Logarithm | Literal[True],
) -> ArithmeticMeans:
    """Arithmetic means, from those of the logarithm."""
    base = log_base(result.design, logarithm)
    quantity = undone(result.design.formula.response, logarithm)
    return ArithmeticMeans(means, logs(means, base), patients, quantity)
