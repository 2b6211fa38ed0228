"""What fits and posteriors with site effects say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from longsurv.design.sites import Sites, reproduced
from longsurv.errors import LongsurvError
from longsurv.inference import Optimum
from longsurv.results import plots
from longsurv.results.assemble import few_sites_flag
from longsurv.results.estimate import TIDY
from longsurv.results.reference import no_variance_test, t_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from longsurv.design.survival import SurvivalDesign

FARTHEST = 50.0
"""Standard deviation of site effects beyond which a limit counts as infinite."""


def site_flags(design: SurvivalDesign, s: float | None) -> tuple[str, ...]:
    """What a reader must know: conditional ratios, few sites, a variance of 0 or of priors alone.

    Parameters
    ----------
    design : SurvivalDesign
        With sites.
    s : float, optional
        The estimated standard deviation; None in a posterior.
    """
    assert design.sites is not None
    sites, flags = design.sites, []
    if s is None and reproduced(sites, design.fixed.X, design.stratum):
        flags.append(
            f"Not determined by the data: {sites.deviation}, and coefficients of covariates that "
            f"make every difference between the values of {sites.name} (with one in each arm, say)."
            " The priors say how far these may differ."
        )
    if s == 0.0:
        flags.append(
            f"Boundary: the variance between {sites.name} is estimated as exactly 0; the data show "
            "no more difference between them than chance. Coefficients are those without sites."
        )
    else:
        flags.append(
            f"Hazard ratios are between patients of the same {sites.name}; between patients of any "
            "two they are nearer to 1. Survival and risks are averaged over the distribution of "
            "sites."
        )
    return (*flags, *few_sites_flag(sites.name, len(sites.labels)))


def effects_table(
    sites: Sites, mean: np.ndarray, std_error: np.ndarray, low: np.ndarray, high: np.ndarray
) -> pd.DataFrame:
    """Site effects on the log hazard, a row each: estimate, std_error, conf_low, conf_high."""
    return pd.DataFrame(
        {
            sites.name: np.asarray(sites.labels), "estimate": mean, "std_error": std_error,
            "conf_low": low, "conf_high": high,
        }
    )  # fmt: skip


def plot_effects(sites: Sites, table: pd.DataFrame, level: float, ax: object) -> Axes:
    """Draw site effects in the order of their size."""
    table = table.sort_values("estimate", ascending=False)
    labels = [str(label) for label in table[sites.name]]
    what = f"Log hazard ratio of a {sites.name} to the median one"
    return plots.rows(labels, table, what, level, ax)


def check_plain(formula: str, asked: str | None) -> None:
    """Refuse Firth's penalty and profile intervals of coefficients."""
    if asked not in (None, "wald"):
        raise LongsurvError(
            f"{formula!r}: with site effects there is no {asked!r}; coefficients have Wald "
            "intervals, the variance between sites one by its profile"
        )


class SpreadClimb(Protocol):
    """The log-likelihood for any standard deviation of the effects, which are integrated out."""

    def value(self, s: float) -> float:
        """The log-likelihood of a spread above 0."""

    def slope(self, s: float) -> float:
        """Its derivative by the spread."""


class WithEffects:
    """What fits and posteriors with site effects show alike."""

    design: SurvivalDesign

    @property
    def _of(self) -> Sites:
        assert self.design.sites is not None
        return self.design.sites

    def ranef(self, level: float = 0.95) -> pd.DataFrame:
        """The site effects on the log hazard.

        Parameters
        ----------
        level : float
            Of the intervals.

        Returns
        -------
        DataFrame
            The site's column, estimate, std_error, conf_low, conf_high.
        """
        raise NotImplementedError

    def plot_ranef(self, *, level: float = 0.95, ax: Axes | None = None) -> Axes:
        """Draw the site effects with their intervals.

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
        return plot_effects(self._of, self.ranef(level), level, ax)


class PredictsBySite(Protocol):
    """An answer of a hazard with site effects."""

    design: SurvivalDesign

    def predict(
        self, newdata: pd.DataFrame, *, times: Sequence[float], level: float, by_site: bool
    ) -> pd.DataFrame:
        """Survival to each of several times."""


class HazardWithEffects(WithEffects):
    """What fits and posteriors of a whole hazard with site effects have alike."""

    def site_codes(self, frame: pd.DataFrame) -> np.ndarray:
        """Number of the site of each row, shape (m,).

        Parameters
        ----------
        frame : DataFrame
            With the site's column.
        """
        return self._of.codes(frame)

    def survival_curve(
        self: PredictsBySite,
        newdata: pd.DataFrame,
        *,
        level: float = 0.95,
        by_site: bool = False,
    ) -> pd.DataFrame:
        """Survival at every event time.

        Parameters
        ----------
        newdata : DataFrame
            Rows to predict, with the columns of the formula.
        level : float
            Of the intervals, between 0 and 1.
        by_site : bool
            As for `predict`.

        Returns
        -------
        DataFrame
            `newdata` repeated for each time, with time, estimate, std_error, conf_low, conf_high.
        """
        times = self.design.event_times
        return self.predict(newdata, times=list(times), level=level, by_site=by_site)


class WithSpread(WithEffects):
    """What fits by maximum likelihood say of the spread of site effects.

    Attributes
    ----------
    sd : float
        Standard deviation of the effects.
    null_loglik : float
        Log-likelihood without site effects; `optimum.value` is that with them.
    climb : SpreadClimb
    """

    optimum: Optimum
    sd: float
    null_loglik: float
    climb: SpreadClimb

    def variance_test(self) -> pd.DataFrame:
        """Test of no variance between sites, by the ratio of the integrated likelihoods.

        0 is the least a variance can be, so the p value is half that of chi-squared on one degree
        of freedom (Self & Liang 1987, J Am Stat Assoc 82:605-610).

        Returns
        -------
        DataFrame
            One row: term, statistic, p_value (1 where the estimate is 0), method.
        """
        statistic = max(2.0 * (self.optimum.value - self.null_loglik), 0.0)
        return no_variance_test(self._of.deviation, statistic, self.sd == 0.0)

    def variance_limits(self, level: float = 0.95) -> tuple[float, float]:
        """Limits of the standard deviation by the profile of the integrated likelihood.

        Parameters
        ----------
        level : float
            Of the interval, between 0 and 1.

        Returns
        -------
        low, high : float
            0 where the profile does not fall far enough above it, infinite where it never does;
            NaN where the climb did not end at a maximum, as a flag says.
        """
        from scipy.optimize import brentq

        floor = self.optimum.value - 0.5 * t_quantile(level, np.inf) ** 2

        def excess(s: float) -> float:
            return (self.climb.value(s) if s > 0.0 else self.null_loglik) - floor

        if not self.optimum.converged:
            return np.nan, np.nan
        low = 0.0
        if self.sd > 0.0 and excess(0.0) < 0.0:
            low = float(brentq(excess, 0.0, self.sd, xtol=1e-9))
        high = max(2.0 * self.sd, 0.2)
        while excess(high) > 0.0:
            high *= 2.0
            if high > FARTHEST:
                return low, np.inf
        return low, float(brentq(excess, max(self.sd, 1e-3), high, xtol=1e-9))

    def _spread_row(self, std_error: float, level: float) -> pd.DataFrame:
        """The standard deviation with its test and profile interval, a row in the columns of
        `tidy`.

        Parameters
        ----------
        std_error : float
            NaN where the estimate is 0.
        level : float
            Of the interval.
        """
        test, (low, high) = self.variance_test().iloc[0], self.variance_limits(level)
        p, statistic = test["p_value"], test["statistic"]
        row = (test["term"], self.sd, std_error, statistic, np.nan, p, low, high)
        return pd.DataFrame([row], columns=TIDY)
