"""What can be asked of every fitted mixed model; each answer is computed in a module of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pandas as pd

from longsurv.results.averaging import LoggedMethods
from longsurv.results.contrasts import ContrastLike
from longsurv.results.criticism import StraightLines, WithResiduals
from longsurv.results.mixed.fitted import FittedLMM
from longsurv.results.simulating import Simulating
from longsurv.results.terms import TermTests

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.diagnostics.influence import Estimand, Influence
    from longsurv.results.trajectories import WithMeans


class MixedPosteriorMethods(LoggedMethods):
    """Methods of posteriors of linear mixed models, and of estimates too."""

    def plot_trajectories(
        self,
        along: str | None = None,
        by: str | None = None,
        *,
        level: float = 0.95,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw the measurements, a line a patient, with the mean curves and their bands over them.

        On the scale of the formula's left-hand side. Of each group 60 patients at most are drawn.

        Parameters
        ----------
        along : str, optional
            Variable of the fixed effects that the curves are along; by default the only one that
            changes within patients.
        by : str, optional
            Variable of the fixed effects whose values have a curve each; by default the only one
            with a few values. Others are averaged over, as in `means`.
        level : float
            Of the pointwise intervals, between 0 and 1.
        ax : matplotlib Axes, optional
            To draw in; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.

        Raises
        ------
        LongsurvError
            For a variable that the fixed effects do not have, or if none of its own is plain.
        """
        from longsurv.results import trajectories

        return trajectories.linear(cast("WithMeans", self), along, by, level, ax)


class MixedMethods(MixedPosteriorMethods, WithResiduals, StraightLines, Simulating, TermTests):
    """Methods of estimates of linear mixed models."""

    def r2(self: FittedLMM) -> pd.DataFrame:
        """Share of the variance explained by the fixed effects, and by all effects together.

        Returns
        -------
        DataFrame
            Rows "marginal" and "conditional" (Nakagawa & Schielzeth): term, estimate.
        """
        from longsurv.results.mixed.measures import r2

        return r2(self)

    def profile(
        self: FittedLMM, of: ContrastLike | None = None, level: float = 0.95
    ) -> pd.DataFrame:
        """Profile-likelihood intervals, of the full likelihood (ML) however the model was fitted.

        Parameters
        ----------
        of : str, mapping, array or DataFrame, optional
            A coefficient or variance parameter by name, or linear combinations of coefficients as
            for `contrast`. By default all parameters; with several groupings or correlated
            residuals, all coefficients.
        level : float

        Returns
        -------
        DataFrame
            term, estimate (by ML), conf_low, conf_high.

        Raises
        ------
        LongsurvError
            For a variance parameter of a model with several groupings or correlated residuals.
        EstimationError
            If the likelihood does not fall far enough to give a limit.
        """
        from longsurv.results.mixed.profile import profile_intervals

        return profile_intervals(self, of, level)

    def influence(
        self: FittedLMM,
        estimand: Estimand | None = None,
        *,
        by: str | None = None,
        level: float = 0.95,
    ) -> Influence:
        """Exact refits without each patient, or each site.

        Parameters
        ----------
        estimand : callable or contrast, optional
            A function of a fit that gives a table in the grammar of `tidy`, a number or several
            named numbers, or weights as `contrast` takes them; the coefficients by default.
        by : str, optional
            Leave out each group of an outer grouping, such as each site, instead of each patient.
        level : float
            Of the intervals that verdicts rest on.

        Returns
        -------
        Influence
            With `patients` (Cook's distance, the verdicts that would change), `terms`, `words`.
        """
        from longsurv.diagnostics.influence import influence, tidy

        return influence(self, tidy if estimand is None else estimand, by=by, level=level)
