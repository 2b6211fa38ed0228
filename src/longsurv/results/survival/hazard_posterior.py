"""The answer of a parametric hazard model by Bayes: ratios, baseline and survival."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.design.hazard import HazardDesign
from longsurv.inference import Draws
from longsurv.likelihood import hazard as hz
from longsurv.priors import PriorStack
from longsurv.results.assemble import design_flags, sampling_flags
from longsurv.results.columns import beside, draw_columns
from longsurv.results.idata import Pointwise
from longsurv.results.survival import hazard_curves as curves
from longsurv.results.survival.cox_curves import check_times, people
from longsurv.results.survival.flags import changing_flag, powers_flag, weightless_flag
from longsurv.results.survival.ratios import RatioPosterior, exponentiated
from longsurv.results.survival.specification import SurvivalSpecification
from longsurv.words import plural

if TYPE_CHECKING:
    from longsurv.design.survival import SurvivalDesign


@dataclass(frozen=True, repr=False, eq=False)
class HazardPosterior(RatioPosterior):
    """Posterior of a hazard model (see `Posterior`); coefficients are log hazard ratios.

    Attributes
    ----------
    hazard : HazardDesign
        The baseline and the arrays of the likelihood.
    smoothing : float or None
        Of a spline, where it was given and not drawn.
    """

    spec: SurvivalSpecification
    design: SurvivalDesign
    hazard: HazardDesign
    smoothing: float | None

    @classmethod
    def from_draws(
        cls,
        spec: SurvivalSpecification,
        hazard: HazardDesign,
        stack: PriorStack,
        draws: Draws,
        smoothing: float | None = None,
    ) -> HazardPosterior:
        """The posterior of Hazard `spec` under the priors of `stack`, which the draws are from;
        `smoothing` where it was given.

        Parameters
        ----------
        spec : Hazard
        hazard : HazardDesign
        stack : PriorStack
        draws : Draws
        smoothing : float, optional

        Returns
        -------
        HazardPosterior
        """
        design = spec.design
        words = ["NUTS on the full likelihood", curves.describe(hazard)]
        return cls(
            spec=spec,
            design=design,
            names=hazard.names,
            samples=drawn_parameters(hazard, stack, draws, smoothing),
            stack=stack,
            draws=draws,
            log_prior=stack.log_prior(draws.theta),
            method=", ".join([*words, plural(design.n_events, "event")]),
            flags=(
                *design_flags(design),
                *weightless_flag(design),
                *powers_flag(design),
                *changing_flag(hazard),
                *sampling_flags(draws),
            ),
            hazard=hazard,
            smoothing=smoothing,
        )

    def _logliks(self) -> np.ndarray:
        """Log-likelihood by row of the data, shape (draws, n)."""
        return hz.logliks(self.hazard.data, self.natural)

    def _pointwise(self) -> Pointwise:
        design, (chains, kept, _) = self.design, self.draws.theta.shape
        values = self._logliks()
        unit, labels = "row", list(self.spec.data.index[design.rows])
        if design.patient is not None:
            patients = np.zeros((len(values), design.patient.max() + 1))
            np.add.at(patients.T, design.patient, values.T)
            values, unit, labels = patients, "patient", list(range(patients.shape[1]))
        windows = design.windows
        observed = design.exit if windows is None else np.stack([windows.left, windows.right], 1)
        return Pointwise(values.reshape(chains, kept, -1), unit, labels, observed)

    @cached_property
    def natural(self) -> np.ndarray:
        """Draws of coefficients and baseline in the kernel's coordinates, shape (draws, d)."""
        theta = self.draws.flat
        return hz.natural(self.hazard.data, theta, self.smoothing)

    def hazard_ratio(self, times: Sequence[float], level: float = 0.95) -> pd.DataFrame:
        """Hazard ratio of every term at each of these times.

        Parameters
        ----------
        times : sequence of float
            Above 0 where a hazard ratio changes with log time.
        level : float
            Of the intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            term, time, hazard_ratio (exp of the posterior mean), conf_low, conf_high,
            prob_positive (that it is above 1).
        """
        L, labels, grid = curves.ratio_rows(self.hazard, times)
        values = self.natural[:, : len(self.names)] @ L.T
        table = pd.DataFrame({"term": labels, **draw_columns(values, level)})
        found = exponentiated(table, prob_positive=(values > 0).mean(axis=0))
        found.insert(1, "time", grid)
        return found

    def survival_draws(self, newdata: pd.DataFrame | None, times: Sequence[float]) -> np.ndarray:
        """Draws of survival.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict, with the columns of the formula; by default those of the fit.
        times : sequence of float

        Returns
        -------
        ndarray, shape (draws of all chains, rows, times)
        """
        who, grid = people(self, newdata), check_times(times)
        return np.exp(-curves.drawn_cumulative(self.hazard, self.natural, who, grid))

    def area_rule(self, horizon: float) -> tuple[np.ndarray, np.ndarray]:
        """Times and weights with which a weighted sum of survival is its area to a horizon.

        Parameters
        ----------
        horizon : float

        Returns
        -------
        times, weights : ndarray, shape (T,)
            From the first entry on.
        """
        return curves.area_rule(self.hazard, horizon)

    def baseline(self, times: Sequence[float] | None = None, level: float = 0.95) -> pd.DataFrame:
        """Hazard and cumulative hazard of average covariates.

        Where the coefficient of a covariate changes with time, it is that of its value 0.

        Parameters
        ----------
        times : sequence of float, optional
            By default 25 from the first entry to the last exit.
        level : float
            Of the intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            time; hazard and cumulative_hazard (from the first entry on), each with _low and _high.
        """
        grid, who = curves.baseline_grid(self.hazard, times), curves.typical(self.hazard)
        return curves.hazard_table(
            grid,
            *(
                curves.drawn_columns(self.hazard, self.natural, who, grid, kind, level)
                for kind in ("hazard", "cumulative_hazard")
            ),
        )

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        times: Sequence[float] | None = None,
        kind: curves.Kind = "survival",
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Posterior of the log relative hazard or, with `times`, of survival, risk or hazards.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict, with the columns of the formula; by default those of the fit.
        times : sequence of float, optional
            With entry times survival is that of somebody alive at the first entry. After the last
            exit the hazard of splines and pieces stays what it was.
        kind : {"survival", "risk", "cumulative_hazard", "hazard"}
        level : float
            Of the intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            `newdata` (repeated for each time, with a column "time") with estimate (posterior mean),
            std_error (its SD), conf_low, conf_high. Without times it is x'b (plus the offset, less
            its median), the log hazard relative to covariates of 0.
        """
        who = people(self, newdata)
        if times is None:
            beta = self.natural[:, : len(self.names)]
            values = beta @ curves.linear_predictor(self.hazard, who).T + who.offset
            return beside(who.frame, draw_columns(values, level))
        grid = check_times(times)
        curves.check_kind(kind, grid)
        columns = curves.drawn_columns(self.hazard, self.natural, who, grid, kind, level)
        return curves.on_grid(who, grid, columns)

    def survival_curve(self, newdata: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
        """Survival at every event time, or end of a window that an event lies in.

        Parameters
        ----------
        newdata : DataFrame
            Rows to predict, with the columns of the formula.
        level : float
            Of the intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            `newdata` repeated for each time, with time, estimate, std_error, conf_low, conf_high.
        """
        return self.predict(newdata, times=list(self.design.event_times), level=level)


def drawn_parameters(
    hazard: HazardDesign, stack: PriorStack, draws: Draws, smoothing: float | None
) -> dict[str, np.ndarray]:
    """Draws by parameter, shape (chains, draws), the shape of a spline as its weights."""
    chains, kept, d = draws.theta.shape
    values, p = stack.constrain(draws.theta), len(hazard.names)
    samples = {
        name: values[..., j] for j, name in enumerate(stack.names) if not name.startswith("shape[")
    }
    if hazard.data.constant is not None:
        natural = hz.natural(hazard.data, draws.theta.reshape(-1, d), smoothing)
        weights = np.exp(natural[:, p:])
        weights = (weights / weights.sum(axis=1, keepdims=True)).reshape(chains, kept, -1)
        samples |= {f"weight[{k + 1}]": weights[..., k] for k in range(weights.shape[-1])}
    return samples
