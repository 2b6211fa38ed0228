"""What can be asked of a joint model's answer: the functions of estimands and diagnostics."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import pandas as pd

from longsurv.results.criticism import Replicated

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.diagnostics.joint_influence import JointInfluence
    from longsurv.estimands.joint_effects import JointEffects
    from longsurv.estimands.joint_rows import DrawnJoint, FittedJoint, JointResult
    from longsurv.estimands.prediction_quality import PredictionQuality
    from longsurv.priors import Prior
    from longsurv.results.joint.association_check import AssociationCheck
    from longsurv.results.joint.association_methods import JointDraws, JointFit
    from longsurv.results.joint.plots import Predicts


class JointQuestions:
    """Questions to an estimate or a posterior alike."""

    def joint_effects(
        self,
        treatment: str,
        horizon: float,
        *,
        treated: Hashable | None = None,
        reference: Hashable | None = None,
        draws: int = 400,
        level: float = 0.95,
        seed: int = 1,
        cause: str | None = None,
    ) -> JointEffects:
        """Direct, mediated and overall effect of treatment on survival to a horizon.

        Parameters
        ----------
        treatment : str
            Column of the event's data; the marker's formula may have it too.
        horizon : float
            On the clock of the event, after every entry and within follow-up.
        treated, reference : hashable, optional
            The levels compared; by default the only two, in the order of the categories.
        draws : int
            Parameter vectors that carry the uncertainty.
        level : float
            Of the equal-tailed intervals.
        seed : int
            Of the draws for an estimate.
        cause : str, optional
            The cause whose incidence it is instead; needed if there are several.

        Returns
        -------
        JointEffects
            `table` has the effects, `words` the finding. See
            `longsurv.estimands.joint_effects`.
        """
        from longsurv.estimands.joint_effects import joint_effects

        return joint_effects(
            cast("JointResult", self), treatment, horizon, treated=treated, reference=reference,
            draws=draws, level=level, seed=seed, cause=cause,
        )  # fmt: skip

    def prediction_quality(
        self,
        landmarks: Sequence[float],
        window: float,
        *,
        folds: int = 5,
        seed: int = 1,
        groups: int = 4,
        resamples: int = 200,
        level: float = 0.95,
        cause: str | None = None,
    ) -> PredictionQuality:
        """AUC, Brier score and calibration of dynamic predictions, corrected for optimism.

        Parameters
        ----------
        landmarks : sequence of float
            Times at which predictions start, on the clock of the event.
        window : float
            How far they reach.
        folds : int
            Of the cross-validation over patients, in which the model is fitted by maximum
            likelihood; 0 for none.
        seed : int
            Of folds and resampling.
        groups : int
            Of predicted risk in the calibration table.
        resamples : int
            Of patients, for the intervals.
        level : float
            Of the intervals.
        cause : str, optional
            The cause whose incidence is judged; needed if there are several.

        Returns
        -------
        PredictionQuality
            See `longsurv.estimands.prediction_quality`.
        """
        from longsurv.estimands.prediction_quality import prediction_quality

        return prediction_quality(
            cast("JointResult", self), landmarks, window, folds=folds, seed=seed, groups=groups,
            resamples=resamples, level=level, cause=cause,
        )  # fmt: skip

    def association_check(
        self,
        *,
        posterior: JointDraws | None = None,
        priors: Mapping[str, Prior] | None = None,
        draws: int = 1000,
        chains: int = 4,
        seed: int = 1,
        level: float = 0.95,
        unit: str = "",
    ) -> AssociationCheck:
        """The association of the marker's current value by four methods.

        By the last value carried forward, in two stages, and jointly by maximum likelihood and from
        the posterior; and how much of the posterior is prior.

        Parameters
        ----------
        posterior : JointPosterior, optional
            If there is one already; of a posterior this is itself.
        priors : mapping of str to Prior, optional
            As for `JointModel.sample`, where the posterior is still to be drawn.
        draws, chains, seed : int
            Of that posterior.
        level : float
            Of all intervals.
        unit : str
            Of time, as in "days", for the sentences.

        Returns
        -------
        AssociationCheck
            `table` has the hazard ratios, `words` the finding. See
            `longsurv.results.joint.association_check`.

        Raises
        ------
        LongsurvError
            For several markers, competing causes, or another link than the current value alone.
        """
        from longsurv.results.joint.association_check import association_check

        return association_check(
            cast("JointFit | JointDraws", self), posterior=posterior, priors=priors, draws=draws,
            chains=chains, seed=seed, level=level, unit=unit,
        )  # fmt: skip

    def plot_prediction(
        self,
        newdata: pd.DataFrame,
        *,
        at: float,
        horizon: float | None = None,
        marker: str | None = None,
        level: float = 0.95,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw what was measured of patients until a time, and their predicted survival after it.

        Parameters
        ----------
        newdata : DataFrame
            Measurements with the columns of all formulas, of one to four patients; they need not be
            among those of the fit.
        at : float
            Time until which the patients are known to be alive and were measured.
        horizon : float, optional
            Where the prediction ends; by default the last exit.
        marker : str, optional
            Which one to draw, if there are several; by default the first.
        level : float
            Of the bands, between 0 and 1.
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Of the first patient. Its label (`get_label`) says in a sentence what is shown.

        Raises
        ------
        LongsurvError
            For more patients than can be drawn, or a horizon that nobody reached.
        """
        from longsurv.results.joint.plots import dynamic_prediction

        answer = cast("Predicts", self)
        return dynamic_prediction(answer, newdata, at, horizon, marker, level, ax)

    def marker_residuals(self) -> pd.DataFrame:
        """Residuals of every measurement; a posterior's are those at its mean.

        Returns
        -------
        DataFrame
            The patient, marker, time, observed, fitted (with the random effects), residual,
            standardised, marginal (from the mean curve), marginal_standardised.
        """
        from longsurv.diagnostics.joint_checks import marker_residuals

        return marker_residuals(cast("JointResult", self))

    def event_residuals(self) -> pd.DataFrame:
        """Martingale, Cox-Snell and deviance residuals; a posterior's are those at its mean.

        Returns
        -------
        DataFrame
            A row a patient, and a cause of several: entry, exit, event, expected (number of
            events), martingale, cox_snell, deviance.
        """
        from longsurv.diagnostics.joint_checks import event_residuals

        return event_residuals(cast("JointResult", self))


class JointEstimateQuestions(JointQuestions):
    """Those to an estimate alone."""

    def influence(self: FittedJoint, terms: Sequence[str] | None = None) -> JointInfluence:
        """Refit the model without each patient.

        Parameters
        ----------
        terms : sequence of str, optional
            By default the coefficients of the hazard: covariates and associations.

        Returns
        -------
        JointInfluence
            See `longsurv.diagnostics.joint_influence`.
        """
        from longsurv.diagnostics.joint_influence import joint_influence

        return joint_influence(self, terms)


class JointPosteriorQuestions(JointQuestions, Replicated):
    """Those to a posterior alone."""

    def predictive_checks(
        self: DrawnJoint, *, draws: int = 200, seed: int = 1, level: float = 0.95
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
        from longsurv.diagnostics.joint_replicates import predictive_checks

        return predictive_checks(self, draws=draws, seed=seed, level=level)
