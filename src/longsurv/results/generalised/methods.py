"""What can be asked of every fitted generalised mixed model; computed in modules of their own."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from longsurv.diagnostics.influence import Fitted
from longsurv.results.averaging import AveragingMethods
from longsurv.results.criticism import StraightLines
from longsurv.results.simulating import Simulating
from longsurv.results.terms import TermTests

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from longsurv.diagnostics.influence import Found, Influence
    from longsurv.results.arithmetic import ArithmeticMeans, Patients
    from longsurv.results.contrasts import ContrastLike
    from longsurv.results.generalised.answers import GeneralisedAnswer
    from longsurv.results.generalised.means import ResponseMeans
    from longsurv.results.generalised.profile import ProfiledGeneralised
    from longsurv.results.generalised.proportional_odds import FittedOrdinal, ProportionalOdds
    from longsurv.results.generalised.sites import FittedWithSites
    from longsurv.results.log_scale import Logarithm
    from longsurv.results.reference_grid import Weights
    from longsurv.results.simulated import SimulatedGLMM
    from longsurv.results.trajectories import WithProbabilities


class GeneralisedPosteriorMethods(AveragingMethods):
    """Methods of posteriors, and of estimates too."""

    def plot_trajectories(
        self,
        along: str | None = None,
        by: str | None = None,
        *,
        level: float = 0.95,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw the mean curves with their bands, over the measurements where they are numbers.

        Of a binary or ordinal response the curves are of the probability or the mean score over all
        patients, without the measurements.

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

        answer = cast("WithProbabilities", self)
        return trajectories.generalised(answer, along, by, level, ax)

    def response_means(
        self,
        specs: str | Sequence[str],
        at: Mapping[str, object] | None = None,
        *,
        patients: Patients = "population",
        at_least: Hashable | None = None,
        logarithm: bool | Logarithm = True,
        weights: Weights = "equal",
    ) -> ResponseMeans | ArithmeticMeans:
        """Marginal probabilities, mean scores, counts or measurements, of all patients or a typical
        one.

        Parameters
        ----------
        specs, at, weights
            As for `means`. Factors not named are averaged over on the scale of the predictor.
        patients : {"population", "typical"}
            Average over the distribution of the random effects, or set them to zero.
        at_least : number or str, optional
            For an ordinal response: the probability of this category or a higher one. By default
            the mean score, which needs categories that are numbers.
        logarithm : bool or {"log", "log2", "log10"}
            Of a measurement, whether to undo the logarithm that the formula takes of it: the
            arithmetic mean of the values themselves, which rests on their being log-normal. Name
            the logarithm if the column holds values already transformed.

        Returns
        -------
        ResponseMeans, or ArithmeticMeans where a logarithm is undone
            With `table` and `contrast`.

        Raises
        ------
        LongsurvError
            For a category that does not occur, or one asked of another family, or Student
            residuals, whose exponential has no mean.
        """
        from longsurv.results.generalised.means import response_means

        answer = cast("GeneralisedAnswer", self)
        return response_means(
            answer, specs, at, patients=patients, at_least=at_least, logarithm=logarithm,
            weights=weights,
        )  # fmt: skip


class GeneralisedMethods(GeneralisedPosteriorMethods, StraightLines, Simulating, TermTests):
    """Methods of estimates."""

    def influence(
        self: Fitted,
        estimand: Callable[..., Found] | None = None,
        *,
        level: float = 0.95,
    ) -> Influence:
        """Exact refits without each patient.

        Parameters
        ----------
        estimand : callable, optional
            A function of a fit that gives a table in the grammar of `tidy`, a number or several
            named numbers; the coefficients by default.
        level : float
            Of the intervals that verdicts rest on.

        Returns
        -------
        Influence
            With `patients` (Cook's distance, the verdicts that would change), `terms`, `words`.
        """
        from longsurv.diagnostics.influence import influence, tidy

        return influence(self, tidy if estimand is None else estimand, level=level)

    def profile(
        self: ProfiledGeneralised, of: ContrastLike | None = None, level: float = 0.95
    ) -> pd.DataFrame:
        """Profile-likelihood intervals of fixed effects.

        Parameters
        ----------
        of : str, mapping, array or DataFrame, optional
            A coefficient by name, or linear combinations as for `contrast`. By default all fixed
            effects; thresholds have none.
        level : float

        Returns
        -------
        DataFrame
            term, estimate, conf_low, conf_high; NaN where the data do not determine one.

        Raises
        ------
        LongsurvError
            For a threshold of an ordinal response.
        EstimationError
            If the likelihood does not fall far enough to give a limit.
        """
        from longsurv.results.generalised.profile import profile_intervals

        return profile_intervals(self, of, level)

    def residuals(self: SimulatedGLMM, *, seed: int = 1) -> pd.DataFrame:
        """Residuals of every response.

        Parameters
        ----------
        seed : int
            Of the random effects and of the place within a step, which quantile residuals take.

        Returns
        -------
        DataFrame
            One row a response used, indexed as the data: the patient; fitted (the mean response
            given the patient's data) and residual (the response less that), neither of an ordinal
            response, and no residual of a value known by limits only; quantile (randomised
            quantile residual: standard normal and independent of the others if the model is right,
            whatever its family).

        Raises
        ------
        LongsurvError
            If there is no estimate of some variance, or the fit has not converged.
        """
        from longsurv.results.generalised.residuals import residuals

        return residuals(self, seed)

    def qq(
        self: SimulatedGLMM, *, level: float = 0.95, simulations: int = 999, seed: int = 1
    ) -> pd.DataFrame:
        """Quantile-quantile data of the quantile residuals, with a simultaneous band.

        The band is that of independent standard normal values: that coefficients and variances are
        estimated is not in it, which makes it a little wide in small data.

        Parameters
        ----------
        level : float
            With which the band holds the whole ordered sample if the model is right.
        simulations, seed : int
            Samples simulated for the band; the seed is also that of the residuals.

        Returns
        -------
        DataFrame
            of ("quantile"), unit (index of the response), theoretical (standard normal quantile),
            observed, low, high; ordered by observed.

        Raises
        ------
        LongsurvError
            If there is no estimate of some variance, or the fit has not converged.
        """
        from longsurv.results.generalised.residuals import qq

        return qq(self, level, simulations, seed)

    def residual_bands(
        self: SimulatedGLMM,
        *,
        bins: int | None = None,
        level: float = 0.95,
        simulations: int = 999,
        seed: int = 1,
    ) -> pd.DataFrame:
        """Mean and spread of the quantile residuals over the predictor, with bands.

        The predictor has the random effects that the residuals were drawn with, of which they are
        independent if the model is right; the bands are made as for `qq`.

        Parameters
        ----------
        bins : int, optional
            Of the predictor; by default one for every ten responses, from three to ten.
        level : float
            With which the bands hold both curves whole if the model is right.
        simulations, seed : int
            Samples simulated for the bands; the seed is also that of the residuals.

        Returns
        -------
        DataFrame
            of ("mean", "spread": the root mean square), fitted (mean of the bin), n, observed, low,
            high.

        Raises
        ------
        LongsurvError
            If there is no estimate of some variance, or the fit has not converged.
        """
        from longsurv.results.generalised.residuals import residual_bands

        return residual_bands(self, bins, level, simulations, seed)

    def proportional_odds(
        self: FittedOrdinal, *, level: float = 0.95, seed: int = 1
    ) -> ProportionalOdds:
        """Test whether the odds ratios of an ordinal response are the same at every cut.

        The score test of partial proportional odds (Peterson & Harrell 1990, Applied Statistics
        39:205-217) in the marginal likelihood: of every variable, with all its columns and
        interactions, given that the others may differ between the cuts too; and of all together.
        With few patients it sees large differences only.

        Parameters
        ----------
        level : float
            Of the intervals of `cuts`, between 0 and 1.
        seed : int
            Of the responses drawn for the expected information, about 40,000 patients': another
            changes a statistic by a few per cent at most.

        Returns
        -------
        ProportionalOdds
            `table` has the tests, `cuts` the log odds ratios by a binary model of each cut, `words`
            the verdict.

        Raises
        ------
        LongsurvError
            For another family, two categories, a model without covariates or patients at several
            sites, if there is no estimate of some variance, or the fit has not converged.
        """
        from longsurv.results.generalised.proportional_odds import proportional_odds

        return proportional_odds(self, level, seed)

    def r2(self: SimulatedGLMM) -> pd.DataFrame:
        """Share of the variance explained by the fixed effects, and by all effects together.

        On the scale of the predictor. A response varies around it by pi^2 / 3 on the logit scale; a
        count by log(1 + 1 / m), log(1 + 1 / m + 1 / theta) or log(1 + (1 + phi) / m), m being the
        expected count of the same model without fixed effects but an intercept, which is fitted for
        it, over all patients (at the mean of an offset); a measurement by its residual variance.

        Returns
        -------
        DataFrame
            Rows "marginal" and "conditional" (Nakagawa, Johnson & Schielzeth 2017, J R Soc
            Interface 14:20170213): term, estimate. NaN of Student residuals of infinite variance.

        Raises
        ------
        LongsurvError
            If there is no estimate of some variance, or the fit has not converged.
        """
        from longsurv.results.generalised.measures import r2

        return r2(self)

    def variance_test(self: FittedWithSites) -> pd.DataFrame:
        """Test of no variance between sites, by the ratio of the likelihoods with and without it.

        0 is the least a variance can be, so the p value is half that of chi-squared on one degree
        of freedom (Self & Liang 1987, J Am Stat Assoc 82:605-610). The model without sites is
        fitted for it.

        Returns
        -------
        DataFrame
            One row: term, statistic, p_value (1 where the estimate is 0), method.

        Raises
        ------
        LongsurvError
            For a model without sites.
        """
        from longsurv.results.generalised.sites import variance_test

        return variance_test(self)
