"""The answer of a Cox model by Bayes: hazard ratios and survival curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd

from longsurv.errors import EstimationError
from longsurv.inference import Draws
from longsurv.likelihood import cox
from longsurv.likelihood.cox.draws import event_logliks
from longsurv.priors import PriorStack
from longsurv.results.assemble import design_flags, sampling_flags
from longsurv.results.columns import beside, draw_columns
from longsurv.results.idata import Pointwise
from longsurv.results.survival.cox_curves import area_rule, check_times, people
from longsurv.results.survival.cox_drawn_curves import drawn_curves, drawn_hazards
from longsurv.results.survival.determined import prior_flags
from longsurv.results.survival.flags import few_events_flag, powers_flag, weightless_flag
from longsurv.results.survival.ratios import RatioPosterior
from longsurv.results.survival.specification import CoxSpecification
from longsurv.words import plural

if TYPE_CHECKING:
    from arviz_stats.utils import ELPDData

    from longsurv.design.survival import SurvivalDesign


@dataclass(frozen=True, repr=False, eq=False)
class SurvivalPosterior(RatioPosterior):
    """Posterior of a Cox model (see `Posterior`); coefficients are log hazard ratios.

    Attributes
    ----------
    data : CoxData
        Sorted arrays of the partial likelihood.
    """

    spec: CoxSpecification
    design: SurvivalDesign
    data: cox.CoxData

    @classmethod
    def from_draws(
        cls, spec: CoxSpecification, data: cox.CoxData, stack: PriorStack, draws: Draws
    ) -> SurvivalPosterior:
        """The posterior of CoxPH `spec` under the priors of `stack`, which the draws are from.

        Parameters
        ----------
        spec : CoxPH
        data : CoxData
        stack : PriorStack
        draws : Draws

        Returns
        -------
        SurvivalPosterior
        """
        design = spec.design
        samples = {name: draws.theta[..., j] for j, name in enumerate(stack.names)}
        return cls(
            spec=spec,
            design=design,
            names=design.fixed.names,
            samples=samples,
            stack=stack,
            draws=draws,
            log_prior=stack.log_prior(draws.theta),
            method=f"{draws.way} on the partial likelihood, {spec.ties.capitalize()} ties, "
            f"{plural(design.n_events, 'event')}",
            flags=(
                *design_flags(design),
                *weightless_flag(design),
                *few_events_flag(design),
                *powers_flag(design),
                *prior_flags(design.fixed.names, data),
                *sampling_flags(draws),
            ),
            data=data,
        )

    def _pointwise(self) -> Pointwise:
        design, (chains, kept, _) = self.design, self.draws.theta.shape
        events = np.flatnonzero(design.event)
        values = event_logliks(self.data, self.draws.flat, events)
        return Pointwise(
            values.reshape(chains, kept, -1),
            "event",
            self.spec.data.index[design.rows[events]],
            observed=design.exit[events],
        )

    def loo(self, *, pointwise: bool = False) -> ELPDData:
        """Leave-one-event-out cross-validation (see `Posterior.loo`).

        Parameters
        ----------
        pointwise : bool
            Whether to keep what each unit that is left out adds, and its Pareto k.

        Raises
        ------
        EstimationError
            With a single event: without it there is no partial likelihood.
        """
        if self.design.n_events < 2:
            raise EstimationError("there is one event: leaving it out leaves nothing to compare")
        return super().loo(pointwise=pointwise)

    def survival_draws(
        self,
        newdata: pd.DataFrame | None,
        times: Sequence[float],
        *,
        baseline: bool = True,
    ) -> np.ndarray:
        """Draws of survival.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict, with the columns of the formula; by default those of the fit.
        times : sequence of float
        baseline : bool
            Draw the baseline hazard too, from its posterior given the coefficients under a vague
            gamma-process prior; otherwise it is the partial likelihood's own estimate at each draw,
            and its uncertainty is left out.

        Returns
        -------
        ndarray, shape (draws of all chains, rows, times)
        """
        beta = self.coefficients.reshape(-1, len(self.names))
        rng = np.random.default_rng([self.draws.seed, 1]) if baseline else None
        who = people(self, newdata)
        return np.exp(-drawn_hazards(self.data, beta, who, check_times(times), rng))

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
        return area_rule(self.data, float(self.design.entry.min()), horizon)

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        times: Annotated[Sequence[float] | None, None] = None,
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Posterior of the log relative hazard or, with `times`, of survival.

        Survival carries the uncertainty of the coefficients and of the baseline hazard (see
        `survival_draws`).

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict, with the columns of the formula; by default those of the fit.
        times : sequence of float, optional
            Give survival to each of these times; none after the last exit, unless all who were
            left had the event then.
        level : float
            Of the intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            `newdata` (repeated for each time, with a column "time") with estimate (posterior mean),
            std_error (its SD), conf_low, conf_high. Without times it is x'b (plus the offset, less
            its median), the log hazard relative to covariates of 0.
        """
        if times is None:
            who = people(self, newdata)
            beta = self.coefficients.reshape(-1, len(self.names))
            return beside(who.frame, draw_columns(beta @ who.X.T + who.offset, level))
        return self._curves(newdata, check_times(times), level)

    def survival_curve(self, newdata: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
        """Survival at every event time of the model.

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
        return self._curves(newdata, np.unique(self.data.times), level)

    def _curves(
        self, newdata: pd.DataFrame | None, times: np.ndarray, level: float
    ) -> pd.DataFrame:
        draws = self.survival_draws(newdata, list(times))
        return drawn_curves(self.design, people(self, newdata), draws, times, level)
