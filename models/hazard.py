"""Proportional-hazards model with a parametric or spline baseline, on the full likelihood.

    h_i(t) = h_0(t) exp(x_i' b + z_i' g log(t / u))

log L = sum_i d_i log h_i(t_i) - (H_i(exit_i) - H_i(entry_i)). z_i are the columns, if any, whose
hazard ratio changes with log time, less their means over the time at risk, u a typical event time.
The baseline h_0, at average covariates:

    exponential   constant
    weibull       cumulative hazard exp(a) (t / u)^k
    piecewise     constant between knots
    mspline       sum_k c_k M_k(t): cubic M-splines, of weights c / sum(c) on the simplex

An event that is known to lie between l and r has exp(-H(l)) - exp(-H(r)) in place of its density.

M-splines of the hazard and not splines of its logarithm, because their cumulative hazard is known
in closed form: nothing is integrated numerically unless hazards are not proportional. Their weights
are shrunk towards a constant hazard by a random walk over time (see `likelihood.hazard`); how much
is estimated: by Laplace-approximate marginal likelihood in `fit`, with a prior in `sample`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Self

import pandas as pd

from longsurv import priors as pr
from longsurv.arguments import choice
from longsurv.design import SurvivalDesign, survival_design
from longsurv.design.centred import CentredDesign
from longsurv.design.expression import Functions
from longsurv.design.hazard import HazardDesign, hazard_design
from longsurv.design.owned import owned, read_whole
from longsurv.design.scanned.scan import Scan
from longsurv.design.statement import of_table
from longsurv.inference import Draws, Optimum, drawn
from longsurv.inference.specification import holding
from longsurv.likelihood.cox.frailty import SITE_EFFECTS
from longsurv.likelihood.hazard.sites import SiteHazards
from longsurv.models import hazard_priors, hazard_sites, hazard_start
from longsurv.models.hazard_twin import twin
from longsurv.results.options import Intervals, Penalty, SiteDistribution
from longsurv.results.survival.hazard import HazardEstimate
from longsurv.results.survival.hazard_posterior import HazardPosterior
from longsurv.results.survival.hazard_sites import HazardSitesEstimate
from longsurv.results.survival.hazard_sites_posterior import HazardSitesPosterior
from longsurv.results.survival.sites import check_plain

if TYPE_CHECKING:
    from pymc import Model


@dataclass(frozen=True, eq=False)
class Hazard:
    """Parametric proportional-hazards model.

    Parameters
    ----------
    formula : str
        As in ``"Surv(time, event) ~ drug + age"`` or ``"Surv(entry, exit, event) ~ drug"``; at risk
        over (entry, exit]. ``Surv(left, right, type="interval2")``: the event was after the last
        time seen without it and by the first seen with it, at that time if the two are one; a
        `left` of 0 or missing is before `right`, a missing or infinite `right` not yet. Then
        everybody is followed from 0. ``cluster(id)`` makes the covariance robust to dependence
        within id, ``offset(z)`` is a known part of the log hazard. ``(1 | site)``, or
        ``frailty(site)``, gives every site an effect of its own on the log hazard, of a common
        distribution; the answers are then a `HazardSitesEstimate` and a `HazardSitesPosterior`.
    data : DataFrame or Scan
        One row a patient (or a row an interval). Rows with a missing value in a column of the
        formula are left out, and the result says how many. Of a `longsurv.scan` of Parquet files
        the columns of the formula, `weights` and `patient` are read whole.
    baseline : {"mspline", "exponential", "weibull", "piecewise"}
    knots : sequence of float, optional
        Interior knots of splines, or where pieces meet; by default at quantiles of the event times.
    n_knots : int, optional
        How many; by default chosen from the number of events (see `hazard_baseline`).
    time_varying : sequence of str
        Variables of the formula whose log hazard ratio is linear in log time.
    weights : str, optional
        Column of case weights. With weights that are not whole numbers the covariance is robust.
    patient : str, optional
        Column of the patient where one has several rows; their times at risk must not overlap.
    functions : mapping of str to callable, optional
        Functions of your own that the formula may call by name, as ``{"f": f}`` for ``f(age)``;
        each row's value may depend on that row only.
    frailty : {"gaussian", "gamma"}
        Distribution of site effects: normal on the log hazard, or gamma on the hazard.

    Raises
    ------
    FormulaError, DataError, LongsurvError
        When the design is first needed.
    """

    formula: str
    data: pd.DataFrame | Scan = field(repr=False)
    baseline: str = "mspline"
    knots: Sequence[float] | None = None
    n_knots: int | None = None
    time_varying: Sequence[str] = ()
    weights: str | None = None
    patient: str | None = None
    functions: Functions | None = None
    frailty: SiteDistribution = "gaussian"

    def __post_init__(self) -> None:
        own = owned(read_whole(self.data, self.formula, self.weights, self.patient),
                    self.formula, self.weights, self.patient)  # fmt: skip
        object.__setattr__(self, "data", own)

    def __repr__(self) -> str:
        return of_table(self, (self.patient,))

    @cached_property
    def design(self) -> SurvivalDesign:
        """Times, events and covariates."""
        return survival_design(
            self.formula, self.data,
            weights=self.weights, patient=self.patient, functions=self.functions, sites=True,
            between=True,
        )  # fmt: skip

    @cached_property
    def hazard(self) -> HazardDesign:
        """The baseline, and the arrays of the likelihood."""
        return hazard_design(
            self.design, self.baseline,
            knots=self.knots, n_knots=self.n_knots, time_varying=self.time_varying,
        )  # fmt: skip

    @cached_property
    def _sites(self) -> SiteHazards:
        """The same with the sites of ``(1 | site)``."""
        choice("frailty", self.frailty, SITE_EFFECTS)
        return hazard_sites.site_hazards(self.formula, self.hazard, SITE_EFFECTS[self.frailty])

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
        self, penalty: Penalty | None = None, intervals: Intervals | None = None,
        smoothing: float | None = None,
    ) -> HazardEstimate | HazardSitesEstimate:  # fmt: skip
        """Maximise the likelihood, that of splines with the penalty of their smoothing.

        Where the likelihood has no maximum (a group without events), Firth's penalised one is
        maximised and the result says so. Site effects are integrated out: normal ones numerically,
        to about 1e-10, gamma ones in closed form.

        Parameters
        ----------
        penalty : "firth", optional
            Add half the log determinant of the information on coefficients and level, the
            baseline's shape being given: finite with a single event, and less biased with few.
        intervals : {"wald", "profile"}, optional
            Of `tidy`, with its p values. By default profile (penalised) likelihood for Firth's
            penalty, Wald otherwise and with a robust covariance.
        smoothing : float, optional
            Of splines: standard deviation of the change of the log hazard over follow-up. By
            default estimated; 0 is a constant hazard.
        """
        return self.estimate(self.find(penalty, smoothing), intervals)

    def find(self, penalty: Penalty | None = None, smoothing: float | None = None) -> Optimum:
        """Climb the (penalised) likelihood; options are those of `fit`.

        Parameters
        ----------
        penalty : "firth", optional
        smoothing : float, optional
            As for `fit`.
        """
        if self.design.sites is not None:
            check_plain(self.formula, penalty)
            return hazard_sites.maximum(self.formula, self.hazard, self._sites, smoothing)
        return hazard_start.maximum(self.formula, self.hazard, penalty, smoothing)

    def estimate(
        self, optimum: Optimum, intervals: Intervals | None = None
    ) -> HazardEstimate | HazardSitesEstimate:
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
            without = hazard_start.climb(
                self.hazard, optimum.smoothing or 0.0, hazard_start.start(self.hazard)
            )
            return HazardSitesEstimate.of(self, self.hazard, self._sites, optimum, without)
        return HazardEstimate.at(self, self.hazard, optimum, intervals)

    def default_priors(self) -> dict[str, pr.Prior]:
        """Weakly informative priors of every parameter.

        Log hazard ratios: Normal(0, 1) per standard deviation of a number, or between the two
        values of a variable or any two levels of a factor, where the other variables are at their
        means over the time at risk;
        their change with log time Normal(0, 0.5). Level: Normal(that of a constant hazard, 5).
        log_shape of a Weibull hazard: Normal(0, 0.5). Splines: Normal(0, 1) shapes, times
        the SD of the log hazard's change over follow-up, "sd(log hazard)", Exponential(1). The
        standard deviation of site effects: HalfNormal(0.5).
        """
        return hazard_priors.default_priors(self.hazard, self.centred)

    @cached_property
    def centred(self) -> CentredDesign:
        """The covariates in variables centred before their products are formed."""
        return hazard_priors.centred_covariates(self.hazard, self.data)

    def prior_stack(
        self, given: Mapping[str, pr.Prior] | None = None, smoothing: float | None = None
    ) -> pr.PriorStack:
        """The priors in the order of the parameters, the user's in place of the defaults.

        The user's are of the coefficients as named.

        Parameters
        ----------
        given : mapping of str to Prior, optional
            By term or variable.
        smoothing : float, optional
            Of splines: in place of a prior of "sd(log hazard)".
        """
        return hazard_priors.prior_stack(self.hazard, self.centred, given, smoothing)

    def sample(
        self, *, draws: int = 1000, tune: int = 300, chains: int = 4, seed: int = 1,
        priors: Mapping[str, pr.Prior] | None = None, smoothing: float | None = None,
    ) -> HazardPosterior | HazardSitesPosterior:  # fmt: skip
        """Draw from the posterior.

        Parameters
        ----------
        draws, tune, chains, seed : int
            Kept and warm-up iterations a chain, number of chains, one seed for all.
        priors : mapping of str to Prior, optional
            By term or variable, as ``{"drug": priors.Normal(0, 0.355)}``.
        smoothing : float, optional
            Of splines: hold "sd(log hazard)" at this value instead of giving it a prior.
        """
        found = self.draw(
            draws=draws, tune=tune, chains=chains, seed=seed, priors=priors, smoothing=smoothing
        )
        return self.posterior(found, priors, smoothing)

    def draw(
        self, *, draws: int = 1000, tune: int = 300, chains: int = 4, seed: int = 1,
        priors: Mapping[str, pr.Prior] | None = None, smoothing: float | None = None,
    ) -> Draws:  # fmt: skip
        """Draw the parameters from their posterior; options are those of `sample`.

        Parameters
        ----------
        draws, tune, chains, seed : int
            Kept and warm-up iterations a chain, number of chains, one seed for all.
        priors : mapping of str to Prior, optional
            By term or variable.
        smoothing : float, optional
            Of splines: hold "sd(log hazard)" at this value.
        """
        stack = self.prior_stack(priors, smoothing)
        if self.design.sites is not None:
            draw = partial(hazard_sites.draw, self.hazard, self._sites)
        else:
            draw = partial(hazard_start.draw, self.hazard)
        found = draw(
            stack, self.centred, smoothing, draws=draws, tune=tune, chains=chains, seed=seed
        )
        return drawn(self.formula, found)

    def posterior(
        self, draws: Draws, priors: Mapping[str, pr.Prior] | None = None,
        smoothing: float | None = None,
    ) -> HazardPosterior | HazardSitesPosterior:  # fmt: skip
        """Put the posterior of `draw` together; the options are those of the draws.

        Parameters
        ----------
        draws : Draws
            From `draw`.
        priors : mapping of str to Prior, optional
        smoothing : float, optional
            Those of the draws.
        """
        stack = self.prior_stack(priors, smoothing)
        if self.design.sites is not None:
            return HazardSitesPosterior.of(self, self.hazard, self._sites, stack, draws, smoothing)
        return HazardPosterior.from_draws(self, self.hazard, stack, draws, smoothing)

    def to_pymc(
        self, priors: Mapping[str, pr.Prior] | None = None, smoothing: float | None = None
    ) -> Model:
        """The same likelihood and priors in PyMC, written out from the times.

        Parameters
        ----------
        priors : mapping of str to Prior, optional
            By term or variable.
        smoothing : float, optional
            Of splines: in place of a prior of "sd(log hazard)".
        """
        return twin(self.hazard, self.prior_stack(priors, smoothing), smoothing, self.frailty)
