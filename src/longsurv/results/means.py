"""Estimated marginal means, and what is made of them: changes, differences, differences in change.

A mean is the model's answer for a typical patient: the fixed effects averaged over a reference grid
in which every level of the other factors counts alike and numeric covariates stand at their means
(Searle, Speed & Milliken 1980, Am Stat 34:216-221). So it does not depend on how many patients each
group happens to have, and it is a linear combination of the coefficients, tested as any other.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from longsurv.arguments import check_methods
from longsurv.errors import LongsurvError
from longsurv.estimands.changes import Correction, adjusted_p_values
from longsurv.results import plots
from longsurv.results.averaged import MeansAnswer
from longsurv.results.columns import beside_variables
from longsurv.results.contrasts import ContrastLike, contrast_matrix
from longsurv.results.differences import Kind, each_difference, steps_along, together
from longsurv.results.log_scale import log_base, ratios
from longsurv.results.reference_grid import ReferenceGrid, Weights, reference_grid, slope_grid
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

MEAN = "Marginal mean"


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
        Zero where the data determine the combination.
    grid : DataFrame
        The rows averaged over, as many for each cell, cell after cell.
    weights : ndarray, shape (k, rows of each cell)
        What each of them counts for.
    what : str
        What they are means of: "Marginal mean", or "Slope of day".
    """

    result: MeansAnswer
    levels: Mapping[str, list[Hashable]]
    cells: pd.DataFrame
    L: np.ndarray
    lost: np.ndarray
    grid: pd.DataFrame
    weights: np.ndarray
    what: str = MEAN

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
    def heading(self) -> str:
        """What the table is of."""
        return f"{MEAN}s" if self.what == MEAN else self.what

    @property
    def labels(self) -> list[str]:
        """The cells in words."""
        if not self.levels:
            return [self.what]
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
        pairs = len(self.levels[along[0]]) if len(along) == 1 and kind == "pairwise" else 0
        others = frame[[name for name in self.levels if name not in along]]
        table = self._corrected(others, weights, labels, pairs, adjust, level)
        return self._shown(frame, table, ratio)

    def _corrected(
        self,
        others: pd.DataFrame,
        weights: np.ndarray,
        labels: list[str],
        pairs: int,
        adjust: Correction | Simultaneous | None,
        level: float,
    ) -> pd.DataFrame:
        """Combinations of the means; families share a row of `others`, and are all pairs of as many
        means (or of none)."""
        result, table = self.result, self._plain(weights, labels, level)
        if adjust is None:
            return table
        if result.engine == "bayes":
            raise LongsurvError("adjust corrects p values, and a posterior has none")
        if adjust == "holm" or adjust == "fdr_bh":
            insert_adjusted(table, adjusted_p_values(table["p_value"], adjust))
            return table
        cov = self._of_coefficients(weights)
        cov = cov @ result.cov_params().loc[cov.columns, cov.columns] @ cov.T
        families = families_of(others, list(others.columns))
        hold_together(table, cov.to_numpy(), families, pairs, adjust, level)
        return table

    def combination(
        self,
        of: ContrastLike,
        *,
        level: float = 0.95,
        adjust: Correction | Literal["bonferroni", "mvt"] | None = None,
        ratio: bool | str = False,
    ) -> pd.DataFrame:
        """Weighted sums of the means, as asked.

        Parameters
        ----------
        of : mapping, array or DataFrame
            Weights by mean (see `labels`; one not named has 0), as
            ``{"visit=3, arm=active": 1, "visit=1, arm=active": -1}``; an array of shape (k,) or
            (r, k); or a DataFrame with a column a mean and a labelled row a combination.
        level, ratio
            As for `contrast`.
        adjust : {"holm", "fdr_bh", "bonferroni", "mvt"}, optional
            As for `contrast`; all rows are one family.

        Returns
        -------
        DataFrame
            The columns of the result's `tidy`.

        Raises
        ------
        LongsurvError
            For a mean there is not, or weights that are not finite.
        """
        weights, labels = contrast_matrix(of, self.labels, "there is no mean")
        nothing = pd.DataFrame(index=range(len(labels)))
        table = self._corrected(nothing, weights, labels, 0, adjust, level)
        return self._shown(nothing, table, ratio)

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
            table = ratios(table, log_base(self.result.design, ratio))
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
        return Summary(self.heading, (framed(self.table.drop(columns="term")),))

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
        return plots.rows(self.labels, self.tidy(level), self.what, level, ax)

    def __repr__(self) -> str:
        shown = self.table.drop(columns="term").to_string(index=False)
        return f"{self.heading}, 95 % intervals\n{shown}"


def means(
    result: MeansAnswer,
    specs: str | Sequence[str],
    at: Mapping[str, object] | None = None,
    weights: Weights = "equal",
) -> Means:
    """Estimated marginal means; see `AveragingMethods.means`."""
    used = result.spec.data.iloc[result.design.rows]
    grid = reference_grid(result.design.fixed, used, specs, at, weights)
    return _made(result, grid, MEAN)


def slopes(
    result: MeansAnswer,
    variable: str,
    by: str | Sequence[str] = (),
    at: Mapping[str, object] | None = None,
    weights: Weights = "equal",
) -> Means:
    """Slopes of the marginal mean; see `AveragingMethods.slopes`."""
    used = result.spec.data.iloc[result.design.rows]
    grid = slope_grid(result.design.fixed, used, variable, by, at, weights)
    return _made(result, grid, f"Slope of {variable}")


def _made(result: MeansAnswer, grid: ReferenceGrid, what: str) -> Means:
    return Means(
        result, grid.levels, grid.cells, grid.L, grid.lost, grid.rows, grid.weights, what
    )  # fmt: skip
