"""Methods that ask whether the model describes the data, which several families share."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, cast

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.diagnostics.linearity import Linearity, LineFit
    from longsurv.results.drawable import Headed


class StraightLines:
    """An estimate whose covariates may enter as straight lines."""

    def linearity(self, level: float = 0.95) -> Linearity:
        """Test each covariate that enters as a straight line against a bend: its square besides.

        Parameters
        ----------
        level : float
            Of the band of the bent curve.

        Returns
        -------
        Linearity
            With `table`, `curves`, `words`, `plot`; empty where no number enters as a straight
            line.
        """
        from longsurv.diagnostics.linearity import linearity

        return linearity(cast("LineFit", self), level)


class Replicated:
    """A posterior from which data like those it was fitted to can be drawn."""

    @abstractmethod
    def predictive_checks(
        self, *, draws: int = 200, seed: int = 1, level: float = 0.95
    ) -> pd.DataFrame:
        """Statistics of the data against those of data replicated from the posterior.

        Parameters
        ----------
        draws : int
            Replicates, one for each of so many evenly spaced draws.
        seed : int
            Of the replicates.
        level : float
            Of the equal-tailed intervals of the replicates.

        Returns
        -------
        DataFrame
            part, of ("values" or "events"), statistic, observed, replicated (mean), conf_low,
            conf_high, p_value (near 0 or 1 where the model misses something).
        """

    def plot_predictive_checks(
        self, *, draws: int = 200, seed: int = 1, level: float = 0.95, ax: Axes | None = None
    ) -> Axes:
        """Draw where the data lie among data replicated from the posterior, statistic by statistic.

        Parameters
        ----------
        draws, seed, level
            As for `predictive_checks`.
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.
        """
        from longsurv.results.plots import replicates

        table = self.predictive_checks(draws=draws, seed=seed, level=level)
        return replicates(cast("Headed", self), table, ax)
