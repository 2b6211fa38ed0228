"""Linear mixed-effects model of a marker's trajectory.

    y_i = X_i beta + Z_i b_i + e_i,    b_i ~ N(0, D),    e_i ~ N(0, sigma^2 R_i)

y_i are the measurements of patient i, X_i beta the mean curve of the patient's group, Z_i b_i the
patient's own departure from it, and that of the site, rater or device that a row belongs to besides
(nested or crossed); R_i, the identity unless a residual structure says otherwise, correlates what
is left over. `fit` maximises the (restricted) likelihood, `sample` draws from the posterior; both
use the likelihood with the b_i integrated out (`longsurv.likelihood.lmm`, its rooms `crossed` for
several groupings and `dense` for correlated residuals).

Laird & Ware (1982), Biometrics 38:963-974; Bates et al. (2015), J Stat Softw 67(1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv import priors as pr
from longsurv.design import MixedDesign, Residual, mixed_design
from longsurv.design.centred import CentredDesign, centred, unit_weights
from longsurv.design.expression import Functions
from longsurv.design.owned import owned
from longsurv.design.random_columns import RandomColumns
from longsurv.design.scanned.scan import Scan
from longsurv.design.statement import of_table
from longsurv.errors import LongsurvError
from longsurv.inference import Affine, Draws, Optimum, added, drawn, sample_posterior
from longsurv.inference.specification import holding
from longsurv.likelihood import lmm
from longsurv.likelihood.lmm.blocks import BlockKernel
from longsurv.likelihood.lmm.parted import block_kernel_of
from longsurv.models.lmm_climb import LMMKernel, climb, scaled_kernel, statistics, term_kernel
from longsurv.models.lmm_pieces import read_in_pieces
from longsurv.models.lmm_priors import columns_of_priors, default_priors, prior_stack
from longsurv.models.lmm_twin import twin
from longsurv.results.mixed.estimate import MixedEstimate
from longsurv.results.mixed.posterior import MixedPosterior
from longsurv.results.mixed.small_sample import DF, Method, check_options

if TYPE_CHECKING:
    from pymc import Model


@dataclass(frozen=True, eq=False)
class LMM:
    """Linear mixed-effects model.

    Parameters
    ----------
    formula : str
        As in ``"log(bili) ~ year * drug + (year | id)"``; ``(year || id)`` for uncorrelated random
        effects, ``(1 | site/id)`` for patients within sites, ``(1 | id) + (1 | rater)`` for
        groupings that cross.
    data : DataFrame or Scan
        One row a measurement. Rows with a missing value in a column of the formula are left out,
        and the result says how many. A `longsurv.scan` of Parquet files is read in pieces; then
        there are one grouping, independent residuals, no weights, and `fit`.
    residual : Residual, optional
        Correlation of a patient's residuals, and their spread by visit or by group; independent of
        one spread by default. With one, the formula needs no random term: Residual("unstructured",
        "visit", "id") makes a mixed model for repeated measures (MMRM).
    functions : mapping of str to callable, optional
        Functions of your own that the formula may call by name, as ``{"f": f}`` for ``f(age)``;
        each row's value may depend on that row only.
    weights : str, optional
        Column of precision weights w, such as the number of readings that a value is the mean of:
        the residual variance of a row is sigma^2 / w, as with ``weights`` of lme4 and the inverse
        of the variance covariate of nlme's ``varFixed``. sigma is of a row of weight 1. They are
        neither frequency nor sampling weights.

    Raises
    ------
    FormulaError, DataError
        When the design is first needed.
    """

    formula: str
    data: pd.DataFrame | Scan = field(repr=False)
    residual: Residual = field(default_factory=Residual)
    functions: Functions | None = None
    weights: str | None = None

    def __post_init__(self) -> None:
        own = owned(self.data, self.formula, *self.residual.columns, self.weights)
        object.__setattr__(self, "data", own)

    def __repr__(self) -> str:
        return of_table(self, self.residual.patient_columns)

    @cached_property
    def design(self) -> MixedDesign:
        """The arrays of the model."""
        if isinstance(self.data, Scan):
            return self._scanned[0]
        return mixed_design(
            self.formula, self.data, self.residual, structured=True, functions=self.functions,
            weights=self.weights,
        )  # fmt: skip

    @cached_property
    def statistics(self) -> lmm.LMMData:
        """Per-patient sufficient statistics (of one grouping and independent residuals)."""
        if isinstance(self.data, Scan):
            return self._scanned[1].data
        d = self.design
        if d.structured:
            raise LongsurvError(f"{self.formula!r} has several groupings or correlated residuals")
        return statistics(d)

    @cached_property
    def _scanned(self) -> tuple[MixedDesign, BlockKernel]:
        if not self.residual.trivial or self.weights is not None:
            raise LongsurvError(
                "a scan is fitted without residual= and weights=; with them a model needs a table "
                "in memory"
            )
        return read_in_pieces(self.formula, self.data, self.functions)

    @cached_property
    def kernel(self) -> LMMKernel:
        """The likelihood that is climbed, in orthogonal columns of Z."""
        if isinstance(self.data, Scan):
            return self._scanned[1]
        if self.design.structured:
            return term_kernel(self.design)
        return block_kernel_of(self.statistics, self.design.random.blocks)

    @cached_property
    def sampled(self) -> LMMKernel:
        """The likelihood that is sampled under default priors; see `sampled_under`."""
        return scaled_kernel(self.design, self.columns())

    def sampled_under(self, given: Mapping[str, pr.Prior] | None) -> LMMKernel:
        """The likelihood of the SDs and correlations that have priors: of the effects of centred
        columns, except where the user's own priors leave them as they are written.

        Parameters
        ----------
        given : mapping of str to Prior or None
            The user's own, by name.
        """
        columns, usual = self.columns(given), self.columns()
        same = all(np.array_equal(a.to, b.to) for a, b in zip(columns, usual, strict=True))
        return self.sampled if same else scaled_kernel(self.design, columns)

    def columns(self, given: Mapping[str, pr.Prior] | None = None) -> tuple[RandomColumns, ...]:
        """The centred columns of the random effects of each grouping that has some.

        Parameters
        ----------
        given : mapping of str to Prior, optional
            Of the user's own: where one is of an effect that moves, those of its grouping stay as
            written.
        """
        return columns_of_priors(self.design, self.data, given)

    @cached_property
    def centred(self) -> CentredDesign:
        """The fixed effects in centred variables, every patient counting once."""
        d = self.design
        return centred(d.fixed, self.data.iloc[d.rows], unit_weights(d.group))

    def fit(self, method: Method = "REML", df: DF = "auto") -> MixedEstimate:
        """Maximise the restricted likelihood or the likelihood.

        Parameters
        ----------
        method : {"REML", "ML"}
        df : {"auto", "kenward-roger", "kenward-roger-linear", "satterthwaite", "normal"}
            Reference distribution of the coefficients. "auto" is Kenward-Roger below 200 patients
            (or fewer than 200 groups of any other grouping), Satterthwaite from there on, and
            normal for ML. Kenward-Roger keeps the second
            derivatives of a covariance that is not linear in its parameters, as SAS does;
            "kenward-roger-linear" drops them.
        """
        check_options(method, df)
        return self.estimate(self.find(method), method, df)

    def find(self, method: Method = "REML") -> Optimum:
        """Climb the restricted likelihood or the likelihood; `method` as for `fit`.

        Parameters
        ----------
        method : {"REML", "ML"}
        """
        return climb(self.formula, self.design, self.kernel, method == "REML")

    def estimate(self, optimum: Optimum, method: Method = "REML", df: DF = "auto") -> MixedEstimate:
        """The fitted model where `find` ended, under the same method; options as for `fit`.

        Parameters
        ----------
        optimum : Optimum
            From `find` under the same method.
        method : {"REML", "ML"}
        df : {"auto", "kenward-roger", "kenward-roger-linear", "satterthwaite", "normal"}
            As for `fit`.
        """
        check_options(method, df)
        return MixedEstimate.at(self, self.kernel, optimum, method, df)

    def default_priors(self) -> dict[str, pr.Prior]:
        """Weakly informative priors, per standard deviation of the data.

        They are of *variables* centred at their means, every patient counting once, before products
        are formed: the coefficient of a treatment is its effect where the other variables are at
        their means, whatever the origin of time. A coefficient is Normal(0, 2.5 SD(y) / SD(x)), the
        intercept Normal(mean(y), 2.5 SD(y)); standard deviations are Exponential with mean SD(y),
        over the SD of the random effect's column, and those of correlated effects are of the
        columns centred alike. A factor's levels are alike: any two of three or more differ by
        Normal(0, s), whichever is the reference. A prior of the user's own is of the parameter as
        the formula has it: of the coefficient at the user's origin, or of a patient's intercept
        there, in which case the SDs and correlations of that random term are all left at the user's
        origin, or of one level's difference from the reference, beside which those of the factor's
        other levels are independent. Parameters of a residual structure are Normal(0, 1) on their
        unconstrained scales; where groups of rows have residual SDs, that of sigma is of their
        geometric mean, and of two groups neither is the first.
        """
        names = self.sampled.residual_names
        return default_priors(self.design, self.centred, self.columns(), names)

    def prior_stack(self, given: Mapping[str, pr.Prior] | None, eta: float = 2.0) -> pr.PriorStack:
        """The priors in the order of the parameter vector, the user's in place of the defaults.

        Parameters
        ----------
        given : mapping of str to Prior or None
            By term or variable.
        eta : float
            Of the LKJ prior of the random effects' correlation.
        """
        return prior_stack(
            self.design, self.centred, self.columns(given), self.default_priors(), given,
            pr.LKJ(eta), self.sampled.correlated,
        )  # fmt: skip

    @cached_property
    def start(self) -> np.ndarray:
        """Vector of `sampled` near the REML estimate, away from any boundary."""
        return self._start(self.sampled)

    def _start(self, kernel: LMMKernel) -> np.ndarray:
        fit = self.fit(df="normal")
        return self.kernel.interior(fit.coefficients, fit.sigma, fit.optimum.x, kernel.to)

    def sample(
        self, *, draws: int = 1000, tune: int = 300, chains: int = 4, seed: int = 1,
        priors: Mapping[str, pr.Prior] | None = None, eta: float = 2.0,
    ) -> MixedPosterior:  # fmt: skip
        """Draw from the posterior.

        Parameters
        ----------
        draws, tune, chains, seed : int
            Kept and warm-up iterations a chain, number of chains, one seed for all.
        priors : mapping of str to Prior, optional
            By term ("year:drug[T.active]", "sigma", "sd(year|id)") or variable ("drug"), of the
            parameter as the formula has it; see `default_priors` for those not named.
        eta : float
            Of the LKJ prior of the random effects' correlation.
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
            Of the LKJ prior of the random effects' correlation.
        """
        kernel, stack = self.sampled_under(priors), self.prior_stack(priors, eta)
        found = sample_posterior(
            added(kernel.loglik, stack.value_and_gradient), self._start(kernel),
            deviations=stack.deviations, coordinates=Affine(*kernel.coordinates),
            draws=draws, tune=tune, chains=chains, seed=seed,
        )  # fmt: skip
        return drawn(self.formula, found)

    def posterior(
        self, draws: Draws, priors: Mapping[str, pr.Prior] | None = None, eta: float = 2.0
    ) -> MixedPosterior:
        """The posterior from what `draw` returned under these priors; options as for `sample`.

        Parameters
        ----------
        draws : Draws
            From `draw`.
        priors : mapping of str to Prior, optional
        eta : float
            Those of the draws.
        """
        kernel, stack = self.sampled_under(priors), self.prior_stack(priors, eta)
        return MixedPosterior.from_draws(self, kernel, stack, draws)

    def with_data(self, data: pd.DataFrame | Scan) -> LMM:
        """The same specification of other rows.

        Parameters
        ----------
        data : DataFrame or Scan
            One row a measurement.
        """
        return replace(self, data=data)

    def with_design(self, design: MixedDesign, statistics: lmm.LMMData | None = None) -> LMM:
        """The same specification with another design in place of that of its data.

        Parameters
        ----------
        design : MixedDesign
        statistics : LMMData, optional
            Of that design, where they are known without going over its rows.
        """
        made = {"design": design} | ({} if statistics is None else {"statistics": statistics})
        return holding(self, **made)

    def to_pymc(self, priors: Mapping[str, pr.Prior] | None = None, eta: float = 2.0) -> Model:
        """The same model, data and priors in PyMC, with explicit random effects.

        Parameters
        ----------
        priors : mapping of str to Prior, optional
            By term or variable.
        eta : float
            Of the LKJ prior of the random effects' correlation.
        """
        return twin(self.design, self.sampled_under(priors), self.prior_stack(priors, eta), eta)
