"""Marginal means and slopes, asked of every fitted mixed model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from longsurv.results.arithmetic import ArithmeticMeans, LogMeans, Patients
    from longsurv.results.averaged import MeansAnswer
    from longsurv.results.log_scale import Logarithm
    from longsurv.results.means import Means
    from longsurv.results.reference_grid import Weights


class AveragingMethods:
    """Methods of estimates and posteriors, of linear and of generalised models."""

    def means(
        self,
        specs: str | Sequence[str],
        at: Mapping[str, object] | None = None,
        *,
        weights: Weights = "equal",
    ) -> Means:
        """Estimated marginal means, and from them changes and differences.

        Of a generalised model they are means of the linear predictor, of a patient whose random
        effects are zero; those of an ordinal response leave out the thresholds, which differences
        do not need.

        Parameters
        ----------
        specs : str or sequence of str
            Variables of the fixed effects to have a mean for each value of.
        at : mapping of str to value or sequence of values, optional
            Hold a variable at a value, or give the means at several. Numeric variables are
            otherwise held at their mean over the rows used, and factors averaged over their levels.
        weights : {"equal", "proportional", "cells"}
            What the levels of the factors averaged over count for: the same; as often as they (and
            their combinations) occur in the rows used; or as often as they occur in each mean's own
            cell, as the averages of the data do.

        Returns
        -------
        Means
            With `table`, `contrast`, `combination` and `test`. Its
            ``contrast(..., ratio=True)`` gives odds ratios for a binary or ordinal response, and
            ratios of geometric means for a marker that the formula takes the logarithm of.

        Raises
        ------
        LongsurvError
            For a variable the fixed effects do not have, or a numeric one without values.
        """
        from longsurv.results.means import means

        return means(cast("MeansAnswer", self), specs, at, weights)

    def slopes(
        self,
        variable: str,
        by: str | Sequence[str] = (),
        at: Mapping[str, object] | None = None,
        *,
        weights: Weights = "equal",
    ) -> Means:
        """Slopes of the marginal mean along a numeric variable, by group, and their differences.

        Parameters
        ----------
        variable : str
            Along which. Where the mean is no straight line, the slope is that at one value of the
            variable (given in `at`, otherwise its mean over the rows used), by central differences.
        by : str or sequence of str
            Variables to have a slope for each value of.
        at, weights
            As for `means`; several values of the variable give the slope at each.

        Returns
        -------
        Means
            Of slopes: ``slopes("day", by="treatment").contrast("treatment")`` is the difference in
            slope.

        Raises
        ------
        LongsurvError
            For a variable the fixed effects do not have, or one that is a factor.
        """
        from longsurv.results.means import slopes

        return slopes(cast("MeansAnswer", self), variable, by, at, weights)


class LoggedMethods(AveragingMethods):
    """Of linear models, whose response may be a logarithm."""

    @abstractmethod
    def _log_means(self, of: Means, base: float, patients: Patients) -> LogMeans:
        """Natural logarithms of the arithmetic means, base being that of the response's base."""

    def response_means(
        self,
        specs: str | Sequence[str],
        at: Mapping[str, object] | None = None,
        *,
        patients: Patients = "population",
        logarithm: Logarithm | Literal[True] = True,
        weights: Weights = "equal",
    ) -> ArithmeticMeans:
        """Arithmetic marginal means of a response that the model takes the logarithm of.

        What other programs call a back-transformation with bias adjustment: the mean of the values
        themselves, where ``means(...).tidy(ratio=True)`` gives their geometric mean, or median. It
        is exp(m + v / 2), of the mean m of the logarithm and its variance v; it rests on values
        that are log-normal.

        Parameters
        ----------
        specs, at, weights
            As for `means`. Factors not named are averaged over on the scale of the logarithm.
        patients : {"population", "typical"}
            With v the variance of a value of any patient (random effects and residual, that of the
            group, visit or row of weight 1 it belongs to), or of the values of a patient whose
            random effects are zero (residual alone).
        logarithm : True or {"log", "log2", "log10"}
            Which one to undo: True reads it off the formula; name it if the column holds values
            already transformed, as `Cohort.marker_data` gives those of a marker with ``log``.

        Returns
        -------
        ArithmeticMeans
            With `table` and `contrast`.

        Raises
        ------
        LongsurvError
            For a response that is no logarithm, or residuals that spread by a variable which the
            fixed effects do not have.
        """
        from longsurv.results.arithmetic import arithmetic_means

        found = self.means(specs, at, weights=weights)
        logs = partial(self._log_means, patients=patients)
        return arithmetic_means(cast("MeansAnswer", self), found, logs, patients, logarithm)
