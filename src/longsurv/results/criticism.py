"""Methods that ask whether the model describes the data, which several families share."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, cast

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.diagnostics.clusters import FittedMixed
    from longsurv.diagnostics.linearity import Linearity, LineFit
    from longsurv.diagnostics.residuals import Of
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


class WithResiduals:
    """An estimate of measurements whose residuals are normal if the model is right."""

    def residuals(self) -> pd.DataFrame:
        """Residuals of every measurement.

        Returns
        -------
        DataFrame
            One row a measurement used, indexed as the data: the patient; fitted (with the patient's
            own random effects); residual (conditional); standardised (over sigma); studentised
            (over its own standard deviation); marginal; scaled (marginal, uncorrelated and of unit
            variance).
        """
        from longsurv.diagnostics.residuals import residuals

        return residuals(cast("FittedMixed", self))

    def qq(
        self,
        of: Of = "scaled",
        *,
        level: float = 0.95,
        simulations: int = 999,
        seed: int = 1,
    ) -> pd.DataFrame:
        """Quantile-quantile data with a simultaneous band.

        Parameters
        ----------
        of : {"studentised", "scaled", "random effects"}
            Conditional residuals over their standard deviation; scaled marginal residuals; or
            predictions of the random effects.
        level : float
            With which the band holds the whole ordered sample if the model is right.
        simulations, seed : int
            Number of samples simulated for the band.

        Returns
        -------
        DataFrame
            of (the effect's name for random effects), unit (index of the measurement, or the
            patient), theoretical (standard normal quantile), observed, low, high.
        """
        from longsurv.diagnostics.residuals import qq

        return qq(cast("FittedMixed", self), of, level=level, simulations=simulations, seed=seed)

    def plot_qq(
        self,
        of: Of = "scaled",
        *,
        level: float = 0.95,
        simulations: int = 999,
        seed: int = 1,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw residuals or random effects against normal quantiles, with a simultaneous band.

        Parameters
        ----------
        of, level, simulations, seed
            As for `qq`.
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.
        """
        from longsurv.results.plots import quantiles

        table = self.qq(of, level=level, simulations=simulations, seed=seed)
        return quantiles(cast("Headed", self), table, ax)

    def residual_bands(
        self,
        *,
        bins: int | None = None,
        level: float = 0.95,
        simulations: int = 999,
        seed: int = 1,
    ) -> pd.DataFrame:
        """Mean and spread of the studentised residuals over the fitted values, with bands.

        Parameters
        ----------
        bins : int, optional
            Of the fitted values; by default one for every ten measurements, from three to ten.
        level : float
            With which the bands hold both curves whole if the model is right.
        simulations, seed : int
            Number of samples simulated for the bands.

        Returns
        -------
        DataFrame
            of ("mean", "spread": the root mean square), fitted (mean of the bin), n, observed, low,
            high.
        """
        from longsurv.diagnostics.residuals import residual_bands

        return residual_bands(
            cast("FittedMixed", self), bins=bins, level=level, simulations=simulations, seed=seed
        )

    def plot_residuals(
        self,
        *,
        bins: int | None = None,
        level: float = 0.95,
        simulations: int = 999,
        seed: int = 1,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw mean and spread of the residuals over the fitted values, with their bands.

        Parameters
        ----------
        bins, level, simulations, seed
            As for `residual_bands`.
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.
        """
        from longsurv.results.plots import bands

        table = self.residual_bands(bins=bins, level=level, simulations=simulations, seed=seed)
        return bands(cast("Headed", self), table, ax)


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
