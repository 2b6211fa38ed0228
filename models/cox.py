"""Cox proportional-hazards model of survival.

    h_i(t) = h_0(t) exp(x_i' b)

h_0 is left unspecified: `fit` maximises the partial likelihood, `sample` draws from the posterior
on the partial likelihood, which is the limit of a full Bayesian analysis with a vague gamma-process
prior on the cumulative baseline hazard (Kalbfleisch 1978, J R Stat Soc B 40:214-221; Sinha, Ibrahim
& Chen 2003, Biometrika 90:629-641).

Cox (1972), J R Stat Soc B 34:187-220; Efron (1977), J Am Stat Assoc 72:557-565, for ties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from longsurv import priors as pr
from longsurv.arguments import choice
from longsurv.design import SurvivalDesign, survival_design
from longsurv.design.centred import CentredDesign
from longsurv.design.expression import Functions
from longsurv.design.owned import owned
from longsurv.design.scanned.scan import Scan
from longsurv.design.statement import of_table
from longsurv.errors import EstimationError
from longsurv.inference import (
    MOST_PARAMETERS,
    Draws,
    Optimum,
    added,
    draw_by_quadrature,
    drawn,
    sample_posterior,
)
from longsurv.inference.specification import holding
from longsurv.likelihood import cox
from longsurv.likelihood.cox.frailty import SITE_EFFECTS, SiteData, SiteEffects
from longsurv.models import cox_priors, cox_sites
from longsurv.models.cox_climb import check_covariates, maximum, statistics
from longsurv.models.cox_pieces import read_in_pieces
from longsurv.models.cox_twin import twin
from longsurv.results.options import Intervals, Penalty, SiteDistribution, Ties
from longsurv.results.survival.cox import SurvivalEstimate
from longsurv.results.survival.cox_posterior import SurvivalPosterior
from longsurv.results.survival.cox_sites import SitesEstimate
from longsurv.results.survival.cox_sites_posterior import SitesPosterior
from longsurv.results.survival.sites import check_plain

if TYPE_CHECKING:
    from pymc import Model


@dataclass(frozen=True, eq=False)
class CoxPH:
    """Cox model.

    Parameters
    ----------
    formula : str
        As in ``"Surv(time, event) ~ drug + age"`` or ``"Surv(entry, exit, event) ~ drug"``; at risk
        over (entry, exit]. ``strata(site)`` gives every site a baseline hazard of its own,
        ``cluster(id)`` a covariance robust to dependence within id, ``offset(z)`` a known part of
        the log hazard. ``(1 | site)``, or ``frailty(site)``, gives every site an effect of its own
        on the log hazard, of a common distribution; the answers are then a `SitesEstimate` and a
        `SitesPosterior`.
    data : DataFrame or Scan
        One row a patient (or a row an interval). Rows with a missing value in a column of the
        formula are left out, and the result says how many. Of a `longsurv.scan` of Parquet files
        the covariates are read in pieces, and are in memory once; it has no site effects.
    ties : {"efron", "breslow"}
    weights : str, optional
        Column of case weights. With weights that are not whole numbers the covariance is robust.
    patient : str, optional
        Column of the patient where one has several rows; their times at risk must not overlap.
    functions : mapping of str to callable, optional
        Functions of your own that the formula may call by name, as ``{"f": f}`` for ``f(age)``;
        each row's value may depend on that row only.
    frailty : {"gaussian", "gamma"}
        Distribution of site effects: normal on the log hazard, or gamma on the hazard. `sample` has
        the first.

    Raises
    ------
    FormulaError, DataError
        When the design is first needed.
    """

    formula: str
    data: pd.DataFrame | Scan = field(repr=False)
    ties: Ties = "efron"
    weights: str | None = None
    patient: str | None = None
    functions: Functions | None = None
    frailty: SiteDistribution = "gaussian"

    def __post_init__(self) -> None:
        own = owned(self.data, self.formula, self.weights, self.patient)
        object.__setattr__(self, "data", own)

    def __repr__(self) -> str:
        return of_table(self, (self.patient,))

    @cached_property
    def design(self) -> SurvivalDesign:
        """The arrays of the model."""
        if isinstance(self.data, Scan):
            return self._scanned[0]
        return survival_design(
            self.formula, self.data,
            weights=self.weights, patient=self.patient, functions=self.functions, sites=True,
        )  # fmt: skip

    @cached_property
    def statistics(self) -> cox.CoxData:
        """Sorted arrays of the partial likelihood."""
        if isinstance(self.data, Scan):
            return self._scanned[1]
        return statistics(self.formula, self.design, self.ties)

    @cached_property
    def _scanned(self) -> tuple[SurvivalDesign, cox.CoxData]:
        return read_in_pieces(
            self.formula, self.data, self.ties,
            weights=self.weights, patient=self.patient, functions=self.functions,
        )  # fmt: skip

    @property
    def _effects(self) -> SiteEffects:
        choice("frailty", self.frailty, SITE_EFFECTS)
        return SITE_EFFECTS[self.frailty]

    @cached_property
    def _sites(self) -> SiteData:
        """The same with a column for each site of ``(1 | site)``."""
        return cox_sites.site_data(self.formula, self.design, self.ties)

    def with_data(self, data: pd.DataFrame | Scan) -> Self:
        """The same model of other rows, with the columns of the formula.

        Parameters
        ----------
        data : DataFrame or Scan
            One row a patient, or a row an interval.
        """
        return replace(self, data=data)

    def with_design(self, design: SurvivalDesign) -> Self:
        """The same model of the arrays given, such as other times, in place of those of `data`.

        Parameters
        ----------
        design : SurvivalDesign
        """
        return holding(self, design=design)

    def fit(
        self, penalty: Penalty | None = None, intervals: Intervals | None = None
    ) -> SurvivalEstimate | SitesEstimate:
        """Maximise the partial likelihood, or Firth's penalised one.

        Where the partial likelihood has no maximum (separated groups), Firth's is maximised and the
        result says so. With site effects it is the partial likelihood penalised by their
        distribution, whose variance maximises the likelihood that has them integrated out.

        Parameters
        ----------
        penalty : "firth", optional
            Add half the log determinant of the information (Heinze & Schemper 2001, Biometrics
            57:114-119): finite with a single death, and less biased with few.
        intervals : {"wald", "profile"}, optional
            Of `tidy`, with its p values. By default profile (penalised) likelihood for Firth's
            penalty, Wald otherwise and with a robust covariance.
        """
        return self.estimate(self.find(penalty), intervals)

    def find(self, penalty: Penalty | None = None) -> Optimum:
        """Climb the (penalised) likelihood; the option is that of `fit`.

        Parameters
        ----------
        penalty : "firth", optional
            As for `fit`.
        """
        check_covariates(self.formula, self.design)
        if self.design.sites is not None:
            check_plain(self.formula, penalty)
            return cox_sites.maximum(
                self.formula, self.design, self._sites, self._effects, self.ties
            )
        return maximum(self.formula, self.design, self.statistics, penalty)

    def estimate(
        self, optimum: Optimum, intervals: Intervals | None = None
    ) -> SurvivalEstimate | SitesEstimate:
        """Put the estimate at an optimum of `find` together; the option is that of `fit`.

        Parameters
        ----------
        optimum : Optimum
            From `find`.
        intervals : {"wald", "profile"}, optional
            As for `fit`.
        """
        if self.design.sites is not None:
            check_plain(self.formula, intervals)
            return SitesEstimate.at(self, self._sites, self._effects, optimum, self.statistics)
        return SurvivalEstimate.at(self, self.statistics, optimum, intervals)

    @cached_property
    def centred(self) -> CentredDesign:
        """The covariates in variables centred before their products are formed.

        Means and standard deviations are over risk sets: each row counts as often as it is at risk
        at an event. So cutting follow-up into rows changes nothing, nor does another clock.
        """
        return cox_priors.centred_covariates(
            self.design, self.data, self.statistics, self.functions
        )

    def default_priors(self) -> dict[str, pr.Prior]:
        """Normal(0, 1) of a log hazard ratio, between the two values of a variable that has two,
        and per standard deviation of others (see `centred`).

        95 % of that prior is on hazard ratios between 0.14 and 7.1. Beside products it is that of
        the effect where the other variables are at their means. Of a factor with three or more
        levels it is the prior of the difference between any two, whichever is the reference.
        The standard deviation of site effects: HalfNormal(0.5).
        """
        return cox_priors.default_priors(self.design, self.centred)

    def prior_stack(self, given: Mapping[str, pr.Prior] | None = None) -> pr.PriorStack:
        """The priors in the order of the coefficients, the user's in place of the defaults.

        A default is of a coefficient in centred variables, the user's of the coefficient as named:
        where the variables that it is multiplied with are 0.

        Parameters
        ----------
        given : mapping of str to Prior, optional
            By term or variable.
        """
        return cox_priors.prior_stack(self.design, self.centred, given)

    def sample(
        self, *, draws: int = 1000, tune: int = 300, chains: int = 4, seed: int = 1,
        priors: Mapping[str, pr.Prior] | None = None,
    ) -> SurvivalPosterior | SitesPosterior:  # fmt: skip
        """Draw from the posterior.

        With one or two coefficients the posterior is known by quadrature: its draws are points of
        equal probability in random order, exact up to about one over their number, and no chain has
        to converge (`tune` is not used). With more, the no-U-turn sampler draws.

        Parameters
        ----------
        draws, tune, chains, seed : int
            Kept and warm-up iterations a chain, number of chains, one seed for all.
        priors : mapping of str to Prior, optional
            Of log hazard ratios, by term or variable, as ``{"drug": priors.Normal(0, 0.355)}``.
        """
        found = self.draw(draws=draws, tune=tune, chains=chains, seed=seed, priors=priors)
        return self.posterior(found, priors)

    def draw(
        self, *, draws: int = 1000, tune: int = 300, chains: int = 4, seed: int = 1,
        priors: Mapping[str, pr.Prior] | None = None,
    ) -> Draws:  # fmt: skip
        """Draw log hazard ratios from their posterior; options are those of `sample`.

        Parameters
        ----------
        draws, tune, chains, seed : int
            Kept and warm-up iterations a chain, number of chains, one seed for all.
        priors : mapping of str to Prior, optional
            By term or variable.
        """
        check_covariates(self.formula, self.design)
        data, stack = self.statistics, self.prior_stack(priors)
        if self.design.sites is not None:
            return cox_sites.draw(
                self.formula, self._sites, self._effects, stack, self.centred,
                draws=draws, tune=tune, chains=chains, seed=seed,
            )  # fmt: skip
        if not stack.names:
            raise EstimationError(
                f"{self.formula!r} has no covariates, so there is nothing to sample"
            )
        d = len(stack.names)
        likelihood = partial(cox.value_and_gradient, data)
        if d <= MOST_PARAMETERS:
            parts = [added(likelihood, part) for part in stack.unmixed()]
            draw = partial(draw_by_quadrature, parts=parts)
        else:
            draw = partial(sample_posterior, tune=tune)
        found = draw(
            added(likelihood, stack.value_and_gradient),
            np.zeros(d), names=stack.names,
            coordinates=cox_priors.climbed_in(self.centred, d),
            draws=draws, chains=chains, seed=seed,
        )  # fmt: skip
        return drawn(self.formula, found)

    def posterior(
        self, draws: Draws, priors: Mapping[str, pr.Prior] | None = None
    ) -> SurvivalPosterior | SitesPosterior:
        """Put the posterior of `draw` together; the priors are those of the draws.

        Parameters
        ----------
        draws : Draws
            From `draw`.
        priors : mapping of str to Prior, optional
            Those of the draws.
        """
        stack = self.prior_stack(priors)
        if self.design.sites is not None:
            return SitesPosterior.from_draws(self, self._sites, self._effects, stack, draws)
        return SurvivalPosterior.from_draws(self, self.statistics, stack, draws)

    def to_pymc(self, priors: Mapping[str, pr.Prior] | None = None) -> Model:
        """The same partial likelihood and priors in PyMC, stated over explicit risk sets.

        Parameters
        ----------
        priors : mapping of str to Prior, optional
            By term or variable.
        """
        return twin(self.design, self.prior_stack(priors), self.ties)
