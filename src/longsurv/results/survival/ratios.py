"""What the answers of Cox and hazard models share: hazard ratios, and profile limits of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.inference.profile import Profile
from longsurv.results.criticism import StraightLines
from longsurv.results.estimate import Estimate
from longsurv.results.posterior import Posterior
from longsurv.results.reference import estimable, t_quantile
from longsurv.results.survival.clustered import df_of_all

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.estimands.standardised import SurvivalResult


class SurvivalCurves:
    """What estimates and posteriors of survival draw alike."""

    def plot_survival(
        self,
        by: str | None = None,
        *,
        horizon: float | None = None,
        level: float = 0.95,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw the model's survival over Kaplan and Meier's curves, with the numbers at risk.

        Each curve is the mean over all patients of the fit, were all of them of one group.

        Parameters
        ----------
        by : str, optional
            Variable of the formula whose values have a curve each; by default the only one with a
            few values.
        horizon : float, optional
            Time at which the curves end; by default the last exit.
        level : float
            Of the pointwise bands, between 0 and 1.
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.

        Raises
        ------
        LongsurvError
            For a variable that the formula does not have, or what the data do not determine.
        """
        from longsurv.results.survival.plots import survival

        return survival(cast("SurvivalResult", self), by, horizon, level, ax)


@dataclass(frozen=True, repr=False, eq=False)
class RatioEstimate(SurvivalCurves, StraightLines, Estimate):
    """A fitted model (see `Estimate`) whose coefficients are log hazard ratios.

    Attributes
    ----------
    penalty : "firth" or None
    profile : Profile or None
        Where intervals and p values come from the profile of the (penalised) likelihood. `tidy` and
        `contrast` then hold the signed root of the likelihood-ratio chi-squared as the statistic.
    """

    profile: Profile | None

    @property
    def penalty(self) -> str | None:
        """ "firth" where the likelihood was penalised, asked for or because it has no maximum."""
        return self.optimum.penalty

    @property
    def df_of_curves(self) -> float:
        """Degrees of freedom of survival and risks: infinite but with few clusters."""
        return df_of_all(self.reference)

    @property
    def interval_method(self) -> str:
        """What the intervals rest on, in words."""
        return self.reference.method if self.profile is None else "profile likelihood"

    def hazard_ratios(self, level: float = 0.95) -> pd.DataFrame:
        """Hazard ratios: the exponentials of `tidy`.

        Of a product with log time: the factor by which the hazard ratio changes when time is
        multiplied by e.

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

    @abstractmethod
    def _profiled(self, row: np.ndarray) -> np.ndarray:
        """Weights of the coefficients, shape (p,), as weights of what the profile is of."""

    def _rows(self, L: np.ndarray, labels: list[str], level: float) -> pd.DataFrame:
        table = super()._rows(L, labels, level)
        known = estimable(self.reference, L)
        if self.profile is None or not known.any():
            return table
        from scipy.special import chdtrc

        fall, limits = np.full(len(L), np.nan), np.full((len(L), 2), np.nan)
        for i in np.flatnonzero(known):
            fall[i] = self.profile.fall(self._profiled(L[i]))
            limits[i] = self.profile_limits(L[i], level)
        columns = {name: table[name].to_numpy() for name in table}
        columns |= {
            "statistic": np.sign(columns["estimate"]) * np.sqrt(fall),
            "p_value": chdtrc(1.0, fall),
            "conf_low": limits[:, 0],
            "conf_high": limits[:, 1],
        }
        return pd.DataFrame(columns)

    def profile_limits(self, row: np.ndarray, level: float = 0.95) -> tuple[float, float]:
        """Profile-likelihood limits of one combination of coefficients.

        Parameters
        ----------
        row : ndarray, shape (p,)
            Weights of the coefficients.
        level : float
            Of the interval, between 0 and 1.

        Returns
        -------
        low, high : float
            Infinite where the profile never falls far enough, NaN where the data do not determine
            the combination.

        Raises
        ------
        LongsurvError
            If the model was fitted without profile intervals.
        """
        if self.profile is None:
            raise LongsurvError("fit with intervals='profile' for profile limits")
        row = np.asarray(row, dtype=float)
        if not estimable(self.reference, row[None, :])[0]:
            return np.nan, np.nan
        z, c = t_quantile(level, np.inf), self._profiled(row)
        return self.profile.limit(c, -1, z * z), self.profile.limit(c, 1, z * z)

    def mean_survival(
        self, frames: Sequence[pd.DataFrame], time: float, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Survival to a time averaged over the rows of each frame, and the covariance of the means.

        Delta method, in the coefficients (with `cov_params`) and the baseline hazard; the rows
        themselves count as given.

        Parameters
        ----------
        frames : sequence of DataFrame, length A
            Rows with the columns of the formula.
        time : float
        weights : ndarray, shape (m,), optional
            For how many each row counts, in every frame; by default for one.

        Returns
        -------
        mean : ndarray, shape (A,)
        cov : ndarray, shape (A, A)
        """
        mean, cov = self.mean_survival_at(frames, [time], weights)
        return mean[:, 0], cov[:, 0, :, 0]

    @abstractmethod
    def mean_survival_at(
        self,
        frames: Sequence[pd.DataFrame],
        times: Sequence[float],
        weights: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Survival to each of several times averaged over the rows of each frame.

        Parameters
        ----------
        frames : sequence of DataFrame, length A
            Rows with the columns of the formula.
        times : sequence of float, length T
        weights : ndarray, shape (m,), optional
            For how many each row counts, in every frame; by default for one.

        Returns
        -------
        mean : ndarray, shape (A, T)
        cov : ndarray, shape (A, T, A, T)
            Of the means, by the delta method; the rows themselves count as given.
        """


@dataclass(frozen=True, repr=False, eq=False)
class RatioPosterior(SurvivalCurves, Posterior):
    """Posterior of a model (see `Posterior`) whose coefficients are log hazard ratios."""

    def hazard_ratios(self, level: float = 0.95) -> pd.DataFrame:
        """Hazard ratios: the exponentials of `tidy`.

        Parameters
        ----------
        level : float
            Of the intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            One row a coefficient: term, hazard_ratio (exponential of the posterior mean), conf_low,
            conf_high, prob_positive (that it is above 1).
        """
        table = self.tidy(level)
        return exponentiated(table, prob_positive=table["prob_positive"])


def exponentiated(table: pd.DataFrame, **last: object) -> pd.DataFrame:
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
