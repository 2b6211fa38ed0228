"""Estimated marginal means, and what is made of them: changes, differences, differences in change.

A mean is the model's answer for a typical patient: the fixed effects averaged over a reference grid
in which every level of the other factors counts alike and numeric covariates stand at their means
(Searle, Speed & Milliken 1980, Am Stat 34:216-221). So it does not depend on how many patients each
group happens to have, and it is a linear combination of the coefficients, tested as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from longsurv.arguments import check_methods
from longsurv.design import FixedDesign
from longsurv.design.expression import logarithm_of
from longsurv.design.formula import Formula
from longsurv.errors import LongsurvError
from longsurv.estimands.answered import ByBayes, ByLikelihood
from longsurv.estimands.changes import Correction, adjusted_p_values
from longsurv.inference.specification import TableSpecification
from longsurv.results import plots
from longsurv.results.columns import beside_variables
from longsurv.results.differences import Kind, each_difference, steps_along, together
from longsurv.results.reference_grid import reference_grid
from longsurv.results.simultaneous import (
    Simultaneous,
    families_of,
    hold_together,
    insert_adjusted,
)
from longsurv.tables.frame import framed
from longsurv.tables.notebook import Readable
from longsurv.tables.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOG_BASES = {"log": np.e, "log2": 2.0, "log10": 10.0}
SCALED = ["estimate", "conf_low", "conf_high"]


class FixedEffects(Protocol):
    """Arrays of a model of measurements."""

    @property
    def formula(self) -> Formula:
        """The model."""

    @property
    def fixed(self) -> FixedDesign:
        """Its fixed effects."""

    @property
    def rows(self) -> np.ndarray:
        """Positions of the used rows in the data, shape (n,)."""


class Averaged(Protocol):
    """What means are made of: an answer of a model of measurements."""

    @property
    def spec(self) -> TableSpecification[object, object]:
        """The model."""

    @property
    def design(self) -> FixedEffects:
        """Its arrays."""

    @property
    def contrast(self) -> Callable[..., pd.DataFrame]:
        """Linear combinations of coefficients."""


class AveragedFit(Averaged, ByLikelihood, Protocol):
    """An estimate."""

    @property
    def cov_params(self) -> Callable[..., pd.DataFrame]:
        """Covariance of the coefficients."""

    @property
    def test(self) -> Callable[..., pd.DataFrame]:
        """Joint F test."""


class AveragedDraws(Averaged, ByBayes, Protocol):
    """A posterior."""


type MeansAnswer = AveragedFit | AveragedDraws


@check_methods
@dataclass(frozen=True, eq=False, repr=False)
class Means(Readable):
    """Marginal means of a fitted model.

    Attributes
    ----------
    result : Estimate or Posterior
    levels : mapping of str to list
        The variables the means are by, and their values, in order.
    cells : DataFrame, k rows
        Every combination of them, the last varying fastest.
    L : ndarray, shape (k, p)
        Weights of the coefficients in each mean.
    lost : ndarray, shape (k, a)
        Zero where the data determine the combination; a is the number of aliased columns.
    grid : DataFrame
        The rows averaged over, as many for each cell, cell after cell.
    """

    result: MeansAnswer
    levels: Mapping[str, list[Hashable]]
    cells: pd.DataFrame
    L: np.ndarray
    lost: np.ndarray
    grid: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """The means with 95 % intervals (see `tidy`)."""
        return self.tidy()

    def tidy(self, level: float = 0.95, ratio: bool | str = False) -> pd.DataFrame:
        """One row a mean: the variables, then the columns of the result's `tidy`.

        Parameters
        ----------
        level : float
        ratio : bool or {"log", "log2", "log10"}
            Undo the logarithm of the response: geometric means. See `contrast`.

        Returns
        -------
        DataFrame
            NaN where the data do not determine a mean (an empty cell).
        """
        return self._rows(self.cells, np.eye(len(self.cells)), self.labels, level, ratio)

    @property
    def labels(self) -> list[str]:
        """The cells in words."""
        return [
            ", ".join(f"{name}={value}" for name, value in zip(self.levels, row, strict=True))
            for row in self.cells.itertuples(index=False)
        ]

    def contrast(
        self,
        *along: str,
        kind: Kind = "pairwise",
        level: float = 0.95,
        adjust: Correction | Simultaneous | None = None,
        ratio: bool | str = False,
    ) -> pd.DataFrame:
        """Differences along one variable, or differences of differences along several.

        Of the means by phase and treatment, ``contrast("phase")`` is the change within each
        treatment, ``contrast("treatment")`` the difference between treatments in each phase, and
        ``contrast("phase", "treatment")`` the difference in change. Differences are taken within
        each combination of the variables not named.

        Parameters
        ----------
        *along : str
        kind : {"pairwise", "reference", "consecutive"}
            Every later value minus every earlier one; each minus the first; each minus the one
            before.
        level : float
            Of the intervals: of each by itself, or of a family of them together, see `adjust`.
        adjust : {"holm", "fdr_bh", "bonferroni", "tukey", "mvt"}, optional
            Add the column p_adjusted. With the first two all rows of the table are one family, and
            the intervals stay as they are. The others adjust the intervals too, in families of the
            rows that share the values of the variables not named: "tukey" for all pairs along one
            variable, "mvt" (multivariate t, with the correlations of the estimates; its
            integral has an error below about 1e-4) for any comparisons; with kind="reference" it is
            Dunnett's. Estimates only.
        ratio : bool or {"log", "log2", "log10"}
            Report ratios of geometric means: estimate and interval are exponentiated, std_error
            stays that of the logarithm. True needs a response written as a logarithm in the
            formula; name the logarithm if the column holds values already transformed. For a
            binary or ordinal response True gives odds ratios.

        Returns
        -------
        DataFrame
            The variables, then the columns of the result's `tidy`. The estimate of a ratio from a
            posterior is the exponential of the posterior mean; prob_positive is then the
            probability of a ratio above 1.
        """
        frame, weights, labels = self.differences(along, kind)
        result, table = self.result, self._plain(weights, labels, level)
        if adjust is not None:
            if result.engine == "bayes":
                raise LongsurvError("adjust corrects p values, and a posterior has none")
            if adjust == "holm" or adjust == "fdr_bh":
                insert_adjusted(table, adjusted_p_values(table["p_value"], adjust))
            else:
                means = len(self.levels[along[0]]) if len(along) == 1 and kind == "pairwise" else 0
                families = families_of(frame, [name for name in self.levels if name not in along])
                cov = self._of_coefficients(weights)
                cov = cov @ result.cov_params().loc[cov.columns, cov.columns] @ cov.T
                hold_together(table, cov.to_numpy(), families, means, adjust, level)
        return self._shown(frame, table, ratio)

    def differences(
        self, along: tuple[str, ...], kind: Kind
    ) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
        """The variables, weights of the means (rows, k) and words of the rows of `contrast`.

        Parameters
        ----------
        along : tuple of str
        kind : {"pairwise", "reference", "consecutive"}
            As for `contrast`.

        Returns
        -------
        tuple of DataFrame, ndarray and list of str
        """
        return each_difference(self.levels, self.cells, steps_along(self.levels, along, kind))

    def test(self, *along: str) -> pd.DataFrame:
        """Joint F test of all differences along the variables, in each combination of the others.

        Along all variables it is the test of their interaction.

        Parameters
        ----------
        *along : str
            Variables of the means.

        Returns
        -------
        DataFrame
            The variables not named, then statistic, df_num, df_den, p_value, method; NaN where the
            data do not determine every difference.
        """
        if self.result.engine == "bayes":
            raise LongsurvError("a posterior has no F test; look at the intervals of contrast()")
        rows = []
        for values, weights in together(
            self.levels, steps_along(self.levels, along, "consecutive")
        ):
            row = self.result.test(self._of_coefficients(weights)).drop(columns="term")
            if self.undetermined(weights).any():
                row[["statistic", "df_num", "df_den", "p_value"]] = np.nan
            rows.append(values | row.iloc[0].to_dict())
        return pd.DataFrame(rows)

    def _rows(
        self,
        frame: pd.DataFrame,
        weights: np.ndarray,
        labels: list[str],
        level: float,
        ratio: bool | str,
    ) -> pd.DataFrame:
        return self._shown(frame, self._plain(weights, labels, level), ratio)

    def _plain(self, weights: np.ndarray, labels: list[str], level: float) -> pd.DataFrame:
        """Combinations of the means, in the grammar of `tidy`."""
        table = self.result.contrast(self._of_coefficients(weights, labels), level)
        table.loc[self.undetermined(weights), [c for c in table.columns if c != "term"]] = np.nan
        return table

    def _shown(self, frame: pd.DataFrame, table: pd.DataFrame, ratio: bool | str) -> pd.DataFrame:
        if ratio:
            table[SCALED] = np.exp(table[SCALED] * _log_scale(self.result, ratio))
        return beside_variables(frame.reset_index(drop=True), table)

    def _of_coefficients(
        self, weights: np.ndarray, labels: list[str] | None = None
    ) -> pd.DataFrame:
        """Weights of the fixed effects; thresholds, where a model has them, have none."""
        columns = list(self.result.design.fixed.names)
        return pd.DataFrame(weights @ self.L, index=labels, columns=columns)

    def undetermined(self, weights: np.ndarray) -> np.ndarray:
        """Which combinations of the means, weights (rows, k), the data do not determine.

        Parameters
        ----------
        weights : ndarray, shape (rows, k)

        Returns
        -------
        ndarray of bool, shape (rows,)
        """
        return (np.abs(weights @ self.lost) > 1e-8).any(axis=1)

    def summary(self) -> Summary:
        """The means as a reader sees them, with 95 % intervals.

        Returns
        -------
        Summary
            Prints as text and shows itself in a notebook.
        """
        return Summary("Marginal means", (framed(self.table.drop(columns="term")),))

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
        return plots.rows(self.labels, self.tidy(level), "Marginal mean", level, ax)

    def __repr__(self) -> str:
        shown = self.table.drop(columns="term").to_string(index=False)
        return f"Marginal means, 95 % intervals\n{shown}"


def means(
    result: MeansAnswer,
    specs: str | Sequence[str],
    at: Mapping[str, object] | None = None,
) -> Means:
    """Estimated marginal means.

    Parameters
    ----------
    result : Estimate or Posterior
    specs : str or sequence of str
        Variables of the fixed effects to have a mean for each value of.
    at : mapping of str to value or sequence of values, optional
        Hold a variable at a value, or give the means at several. Numeric variables are otherwise
        held at their mean over the rows used, and factors averaged over their levels.

    Returns
    -------
    Means

    Raises
    ------
    LongsurvError
        For a variable the fixed effects do not have, or a numeric one without values.
    """
    grid = reference_grid(result.design.fixed, result.spec.data.iloc[result.design.rows], specs, at)
    return Means(result, grid.levels, grid.cells, grid.L, grid.lost, grid.rows)


def _log_scale(result: Averaged, ratio: bool | str) -> float:
    """The natural logarithm of the base of the response's logarithm."""
    if isinstance(ratio, str):
        if ratio not in LOG_BASES:
            raise LongsurvError(f"ratio is True, False or one of {list(LOG_BASES)}, not {ratio!r}")
        return float(np.log(LOG_BASES[ratio]))
    if any(getattr(result.design, f"family_is_{link}", False) for link in ("logit", "log")):
        return 1.0
    response = result.design.formula.response
    logarithm = logarithm_of(response)
    if logarithm is not None:
        return float(np.log(LOG_BASES[logarithm[0]]))
    raise LongsurvError(
        "ratios need a response on a log scale, the logarithm of a column, and the formula's is "
        f"{response!r}; if that holds logarithms already, say ratio='log' (or 'log2', 'log10')"
    )
