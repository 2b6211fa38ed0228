"""Generalised mixed-effects model: binary, ordinal, counted, censored or heavy-tailed responses.

    eta_ij = o_ij + x_ij' beta + z_ij' b_i,    b_i ~ N(0, D)

with, where there are sites, + c_site(ij), c ~ N(0, s^2):

    bernoulli   P(y = 1) = F(eta), F(x) = 1 / (1 + exp(-x))
    ordinal     P(y <= k) = F(c_k - eta), thresholds c_1 < c_2 < ...
    censored    y ~ N(eta, sigma^2); rows count as P(y < limit) below it, P(y > limit) above, and
                P(lower < y < upper) between two
    student     y = eta + sigma t_nu
    poisson     y ~ Poisson(mu), mu = exp(eta)
    negative_binomial, nbinom1
                counts of mean mu and variance mu + mu^2 / theta, and mu (1 + phi)

`fit` maximises the likelihood, `sample` draws from the posterior; both use the likelihood with the
b_i integrated out by adaptive Gauss-Hermite quadrature (`longsurv.likelihood.glmm`). Around it
`fit` integrates out the c, by a rule where patients belong to one site each
(`longsurv.likelihood.glmm.sites`) and by Laplace's approximation where they are seen at several
(`longsurv.likelihood.glmm.crossed`); `sample` draws them.

McCulloch & Searle (2001), Generalized, Linear, and Mixed Models; Hughes (1999), Biometrics 55:625
(censoring); Lange, Little & Taylor (1989), JASA 84:881 (t); Hardin & Hilbe (2018), Generalized
Linear Models and Extensions (the two negative binomials).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv import priors as pr
from longsurv.design.centred import CentredDesign, centred, unit_weights
from longsurv.design.expression import Functions
from longsurv.design.generalised import GeneralisedDesign, check_options, generalised_design
from longsurv.design.merging import Merge
from longsurv.design.owned import owned
from longsurv.design.random_columns import RandomColumns
from longsurv.design.statement import of_table
from longsurv.inference import Draws, Optimum, drawn, sample_posterior
from longsurv.inference.specification import holding
from longsurv.likelihood import glmm
from longsurv.likelihood.glmm.coordinates import for_climbing
from longsurv.models.glmm_climb import arrays, climb
from longsurv.models.glmm_degrees import degrees_of
from longsurv.models.glmm_priors import columns_of_priors, default_priors, prior_stack, sampling
from longsurv.models.glmm_twin import twin
from longsurv.results.generalised.estimate import GeneralisedEstimate
from longsurv.results.generalised.posterior import GeneralisedPosterior

if TYPE_CHECKING:
    from pymc import Model

DEFAULT_NODES = {1: 15, 2: 9}


@dataclass(frozen=True, eq=False)
class GLMM:
    """Generalised mixed-effects model.

    Parameters
    ----------
    formula : str
        As in ``"positive ~ phase * treatment + (1 | patient)"``. ``(1 | site)`` beside it gives
        sites, items or raters a random effect each, whether every patient belongs to one, as in
        ``(1 | site/patient)``, or has rows of several; no slopes by site, no third grouping.
        ``offset(log(days))`` adds its values to the predictor as they are: of counts over unequal
        times it makes a model of the count per day. Rows to predict need that column too, and
        predictions are of the count over the days that they say; means and `response_means` are
        per one day, the offset being 0.
    data : DataFrame
        One row a measurement. Rows with a missing value in a column of the formula are left out,
        and the result says how many.
    family : str
        "bernoulli", "ordinal", "censored", "student", "poisson", "negative_binomial" or "nbinom1".
        "bernoulli" needs a response of 0/1 or True/False, "ordinal" numbers or an ordered
        categorical, the last three counts. "negative_binomial" has the variance mu + mu^2 / theta
        (glmmTMB's nbinom2, and the theta of glmer.nb and MASS), "nbinom1" the variance
        mu (1 + phi) (glmmTMB's nbinom1). Where every mean is the same mu they are one model, with
        phi = mu / theta; otherwise large counts vary more by the first. Both are Poisson's where
        theta is infinite or phi is 0; an estimate there is flagged as on its boundary. Counts in
        the millions are for the first: phi, which grows with them, is then refused. A count that
        is bounded, as days alive of 28, is none of these: take "ordinal", with death the worst.
    nodes : int, optional
        Quadrature nodes for each random effect; 1 is Laplace's approximation. By default 15 for one
        random effect, 9 for two and 1 for more. Few measurements a patient, a large spread between
        patients, much censoring or several outliers in one patient need more; the result says so.
    censored : str, optional
        For family "censored": the column that says of each row "none", "left" (below its limit),
        "right" (above it) or "interval" (between two). Where it is not "none", the response's
        column holds the limit, of an interval the lower one, and the formula transforms it as the
        values. Under ``-y`` or ``1 / y``, which fall where the column rises, sides change places;
        what both rises and falls, or is of several columns, is refused.
    df : float, optional
        For family "student": fixed degrees of freedom; estimated if not given.
    functions : mapping of str to callable, optional
        Functions of your own that the formula may call by name, as ``{"f": f}`` for ``f(age)``;
        each row's value may depend on that row only.
    upper : str, optional
        For rows that say "interval": the column of their upper limits, in the unit of the
        response's column; whatever the formula does to that is done to them. An infinite one is
        that of a value above the lower limit.
    merge : int, or sequence of sequences, optional
        Categories of an ordinal response to take as one: neighbours by name, as ``[[3, 4]]``, or a
        least number of rows: the rarest category goes to its neighbour with fewer rows (the lower
        of equals) until each has so many. Coefficients mean the same; a threshold is gone. The
        result says what was merged. Without it every category that occurs has its own.

    Raises
    ------
    LongsurvError
        For options that do not fit together.
    FormulaError, DataError
        When the design is first needed.
    """

    formula: str
    data: pd.DataFrame = field(repr=False)
    family: str = "bernoulli"
    nodes: int | None = None
    censored: str | None = None
    df: float | None = None
    functions: Functions | None = None
    upper: str | None = None
    merge: Merge | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", owned(self.data, self.formula, self.censored, self.upper))
        check_options(self.family, self.censored, self.df, self.nodes, self.upper, self.merge)

    def __repr__(self) -> str:
        return of_table(self)

    @cached_property
    def design(self) -> GeneralisedDesign:
        """The arrays of the model."""
        return generalised_design(
            self.formula, self.data, self.family, self.censored, self.df, self.functions,
            self.upper, self.merge,
        )  # fmt: skip

    @property
    def quadrature_nodes(self) -> int:
        """Nodes for each random effect."""
        return self.nodes or DEFAULT_NODES.get(len(self.design.random.names), 1)

    @cached_property
    def centred(self) -> CentredDesign:
        """The fixed effects in variables centred at their means, every patient counting once."""
        d = self.design
        weights = unit_weights(d.group)
        return centred(d.fixed, self._rows, weights, intercept=not d.levels)

    @property
    def _rows(self) -> pd.DataFrame:
        return self.data.iloc[self.design.rows].reset_index(drop=True)

    def random_columns(self, priors: Mapping[str, pr.Prior] | None = None) -> RandomColumns:
        """The columns whose standard deviations and correlations have the priors.

        Parameters
        ----------
        priors : mapping of str to Prior, optional
            Of the user's own: where one is of a random effect that moves, all stay as they are
            written.
        """
        return columns_of_priors(self.design, self._rows, priors)

    def arrays_for(self, priors: Mapping[str, pr.Prior] | None = None) -> glmm.GLMMData:
        """Rows sorted by patient, with the quadrature rule, and `random_columns` for Z.

        Parameters
        ----------
        priors : mapping of str to Prior, optional
            As for `random_columns`.
        """
        effects = np.linalg.inv(self.random_columns(priors).to)
        return arrays(self.design, effects, self.quadrature_nodes, self.df)

    @cached_property
    def arrays(self) -> glmm.GLMMData:
        """The rows as default priors see them."""
        return self.arrays_for()

    def fit(self) -> GeneralisedEstimate:
        """Maximise the likelihood.

        Intervals and tests of coefficients are normal, but for the family "censored" below 200
        patients: there Student's t on the degrees of freedom that Kenward and Roger give the
        linear mixed model with limits in place of values, whose coverage was simulated
        (docs/detection_limits_coverage.md).

        Raises
        ------
        EstimationError
            If the likelihood has no maximum because covariates or patients separate the values of
            a binary or ordinal response, or a group is wholly beyond its detection limit or has
            only counts of 0; `sample`
            has an answer even then, through its priors. If the response does not vary, or the data
            determine no coefficient.
        """
        return self.estimate(self.find())

    def find(self) -> Optimum:
        """Climb the likelihood, in its own coordinates; raises as `fit`."""
        return climb(self.formula, self.design, self.arrays)

    def estimate(self, optimum: Optimum) -> GeneralisedEstimate:
        """The fitted model where `find` ended.

        Parameters
        ----------
        optimum : Optimum
            From `find`.
        """
        of = for_climbing(self.arrays)
        degrees = degrees_of(self.formula, self.data, self.design)
        nodes = self.quadrature_nodes
        return GeneralisedEstimate.at(self, self.arrays, optimum, of, nodes, degrees)

    def default_priors(self) -> dict[str, pr.Prior]:
        """Weakly informative priors, which depend on no unit and no origin.

        Slopes are Normal(0, 2.5 s / SD(x)), with s = 1 on the logit and the log scale and SD(y) for
        measurements, of variables centred at their means (every patient counting once) before their
        products are formed: the prior of ``treated`` in ``time * treated`` is one of its effect at
        the mean time. Any two levels of a factor with three or more differ by the same normal, its
        SD(x) the root mean square of the levels'. The intercept (for an ordinal response the first
        threshold), of a patient at those means, is Normal with an SD of 5 s around 0, the mean of y
        or, of counts, the logarithm of their sum over that of exp(offset); gaps between thresholds
        are Exponential with mean 2. Random-effects SDs are Exponential with mean s over the root
        mean square of their column, sigma Exponential with mean SD(y), nu and theta Gamma(2, 0.1),
        phi Exponential with mean 1; SDs and correlations of correlated random effects are those at
        the means of their variables.

        A prior that you give is of the coefficient or SD as it is named, in your own coordinates.
        """
        return default_priors(self.design, self.centred, self.random_columns())

    def prior_stack(self, given: Mapping[str, pr.Prior] | None, eta: float = 2.0) -> pr.PriorStack:
        """The priors in the order of the parameter vector, the user's in place of the defaults.

        Parameters
        ----------
        given : mapping of str to Prior or None
            By term or variable.
        eta : float
            Of the LKJ prior of the random effects' correlations.
        """
        return prior_stack(self.design, self.centred, self.random_columns(given), given, eta)

    def sample(
        self, *, draws: int = 1000, tune: int = 300, chains: int = 4, seed: int = 1,
        priors: Mapping[str, pr.Prior] | None = None, eta: float = 2.0,
    ) -> GeneralisedPosterior:  # fmt: skip
        """Draw from the posterior.

        Parameters
        ----------
        draws, tune, chains, seed : int
            Kept and warm-up iterations a chain, number of chains, one seed for all.
        priors : mapping of str to Prior, optional
            By term ("phase[T.after]", "1|2", "gap(2|3)", "sigma", "nu", "theta", "phi",
            "sd(Intercept|id)") or variable ("phase"), of the parameter as it is named: that of
            ``treated`` in ``time * treated`` is of its effect at time 0. See `default_priors` for
            the others.
        eta : float
            Of the LKJ prior of the random effects' correlations, at the means of their variables.
        """
        found = self.draw(draws=draws, tune=tune, chains=chains, seed=seed, priors=priors, eta=eta)
        return self.posterior(found, priors, eta)

    def draw(
        self, *, draws: int = 1000, tune: int = 300, chains: int = 4, seed: int = 1,
        priors: Mapping[str, pr.Prior] | None = None, eta: float = 2.0,
    ) -> Draws:  # fmt: skip
        """Draw from the posterior of the kernel's parameters; options as for `sample`.

        Parameters
        ----------
        draws, tune, chains, seed : int
            Kept and warm-up iterations a chain, number of chains, one seed for all.
        priors : mapping of str to Prior, optional
            By term or variable.
        eta : float
            Of the LKJ prior of the random effects' correlations.
        """
        posterior = sampling(self.arrays_for(priors), self.prior_stack(priors, eta))
        found = sample_posterior(
            posterior.density, posterior.begin, deviations=posterior.deviations,
            draws=draws, tune=tune, chains=chains, seed=seed,
        )  # fmt: skip
        return posterior.outward(drawn(self.formula, found))

    def posterior(
        self, draws: Draws, priors: Mapping[str, pr.Prior] | None = None, eta: float = 2.0
    ) -> GeneralisedPosterior:
        """The posterior from what `draw` returned under these priors; options as for `sample`.

        Parameters
        ----------
        draws : Draws
            From `draw`.
        priors : mapping of str to Prior, optional
        eta : float
            Those of the draws.
        """
        data, stack = self.arrays_for(priors), self.prior_stack(priors, eta)
        nodes = self.quadrature_nodes
        return GeneralisedPosterior.from_draws(self, data, stack, draws, nodes)

    def with_data(self, data: pd.DataFrame) -> GLMM:
        """The same specification of other rows, the categories of which are merged as those here.

        Parameters
        ----------
        data : DataFrame
            One row a measurement.
        """
        merge = self.merge if self.merge is None else self.design.merged
        return replace(self, data=data, merge=merge)

    def with_design(self, design: GeneralisedDesign) -> GLMM:
        """The same specification with another design in place of that of its data.

        Parameters
        ----------
        design : GeneralisedDesign
        """
        return holding(self, design=design)

    def to_pymc(self, priors: Mapping[str, pr.Prior] | None = None, eta: float = 2.0) -> Model:
        """The same model, data and priors in PyMC, with explicit random effects.

        Parameters
        ----------
        priors : mapping of str to Prior, optional
            By term or variable.
        eta : float
            Of the LKJ prior of the random effects' correlations.
        """
        random, stack = self.random_columns(priors), self.prior_stack(priors, eta)
        return twin(self.design, self.df, random, stack, eta)
