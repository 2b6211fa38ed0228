"""Linear mixed-effects model of a marker's trajectory.

    y_i = X_i beta + Z_i b_i + e_i,    b_i ~ N(0, D),    e_i ~ N(0, sigma^2 R_i)

y_i are the measurements of patient i, X_i beta the mean curve of the patient's group, Z_i b_i the
patient's own departure from it, and that of the site the patient is nested in; R_i, the identity
unless a residual structure says otherwise, correlates what is left over. `fit` maximises the
(restricted) likelihood, `sample` draws from the posterior; both use the likelihood with the b_i
integrated out (`longsurv.likelihood.lmm`, `lmm_dense` for nesting and correlated residuals).

Laird & Ware (1982), Biometrics 38:963-974; Bates et al. (2015), J Stat Softw 67(1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from longsurv import priors as pr
from longsurv.design import MixedDesign, Residual, check_variation, mixed_design
from longsurv.design.expression import Functions
from longsurv.design.owned import owned
from longsurv.errors import EstimationError, LongsurvError
from longsurv.inference import added, maximise, sample_posterior
from longsurv.likelihood import lmm, lmm_dense
from longsurv.likelihood.lmm_blocks import BlockKernel
from longsurv.likelihood.lmm_dense_kernel import DenseKernel
from longsurv.likelihood.lmm_dense_residual import Structure
from longsurv.results.assemble_mixed import DF_METHODS, mixed_estimate, mixed_posterior
from longsurv.results.assemble_structured import structured_estimate, structured_posterior
from longsurv.results.mixed import MixedEstimate, MixedPosterior

LARGEST_RATIO = 1e6
"""Of a random effect's SD to the residual one: beyond, rounding is all there is of a residual."""


@dataclass(frozen=True, eq=False)
class LMM:
    """Linear mixed-effects model.

    Parameters
    ----------
    formula : str
        As in ``"log(bili) ~ year * drug + (year | id)"``; ``(year || id)`` for uncorrelated random
        effects, ``(1 | site/id)`` for patients within sites.
    data : DataFrame
        One row a measurement. Rows with a missing value in a column of the formula are left out,
        and the result says how many.
    residual : Residual, optional
        Correlation of a patient's residuals; independent by default. With one, the formula needs no
        random term: Residual("unstructured", "visit", "id") makes a mixed model for repeated
        measures (MMRM).
    functions : mapping of str to callable, optional
        Functions of your own that the formula may call by name, as ``{"f": f}`` for ``f(age)``;
        each row's value may depend on that row only.

    Raises
    ------
    FormulaError, DataError
        When the design is first needed.
    """

    formula: str
    data: pd.DataFrame = field(repr=False)
    residual: Residual = field(default_factory=Residual)
    functions: Functions | None = None

    def __post_init__(self) -> None:
        of = self.residual
        own = owned(self.data, self.formula, *of.patient_columns, of.visit)
        object.__setattr__(self, "data", own)

    @cached_property
    def design(self) -> MixedDesign:
        """The arrays of the model."""
        return mixed_design(
            self.formula, self.data, self.residual, structured=True, functions=self.functions
        )

    @cached_property
    def statistics(self) -> lmm.LMMData:
        """Per-patient sufficient statistics (of a model without nesting and residual structure)."""
        d = self.design
        if d.structured:
            raise LongsurvError(f"{self.formula!r} has nested groups or correlated residuals")
        return lmm.prepare(d.fixed.X, d.y, d.Z, d.group, len(d.labels), d.random.blocks)

    @cached_property
    def kernel(self) -> BlockKernel | DenseKernel:
        """The likelihood that is climbed, in orthogonal columns of Z."""
        if self.design.structured:
            return self._dense(orthogonal=True)
        return BlockKernel(self.statistics, self.design.random.blocks)

    @cached_property
    def sampled(self) -> BlockKernel | DenseKernel:
        """The likelihood that is sampled, of the SDs and correlations that have priors."""
        d = self.design
        if d.structured:
            return self._dense(orthogonal=False)
        return BlockKernel(
            lmm.prepare(d.fixed.X, d.y, d.Z, d.group, len(d.labels)), d.random.blocks
        )

    def _dense(self, orthogonal: bool) -> DenseKernel:
        d, pairs = self.design, self.design.pairs
        terms = [lmm_dense.Term(g.random.X, g.group, g.random.blocks) for g in d.terms]
        return DenseKernel(
            lmm_dense.prepare(
                d.fixed.X, d.y, d.group, terms, Structure(*pairs.structure),
                pairs.order, pairs.kind, orthogonal=orthogonal,
            )
        )  # fmt: skip

    def fit(self, method: str = "REML", df: str = "auto") -> MixedEstimate:
        """Maximise the restricted likelihood or the likelihood.

        Parameters
        ----------
        method : {"REML", "ML"}
        df : {"auto", "kenward-roger", "kenward-roger-linear", "satterthwaite", "normal"}
            Reference distribution of the coefficients. "auto" is Kenward-Roger below 200 patients,
            Satterthwaite from there on, and normal for ML. Kenward-Roger keeps the second
            derivatives of a covariance that is not linear in its parameters, as SAS does;
            "kenward-roger-linear" drops them.
        """
        if method not in ("REML", "ML"):
            raise LongsurvError(f"method is 'REML' or 'ML', not {method!r}")
        if df not in DF_METHODS or (method == "ML" and df.startswith("kenward")):
            raise LongsurvError(
                f"df is one of {DF_METHODS} (Kenward-Roger with REML only), not {df!r}"
            )
        kernel, reml = self.kernel, method == "REML"
        check_variation(self.design, kernel.data.beta_ols)

        def criterion(x: np.ndarray) -> tuple[float, np.ndarray]:
            return kernel.criterion(x, reml)

        start = max(kernel.starts, key=lambda x: criterion(x)[0])
        optimum = maximise(criterion, start, names=kernel.names, lower=kernel.lower)
        exhausted = np.abs(optimum.x).max(initial=0.0) > LARGEST_RATIO
        if exhausted or not np.isfinite(optimum.value):
            why = optimum.status
            if exhausted or optimum.converged:
                why = "the random effects reproduce every measurement, leaving no residual variance"
            raise EstimationError(f"{self.formula!r} cannot be fitted: {why}")
        if isinstance(kernel, BlockKernel):
            return mixed_estimate(self, kernel, optimum, method, df)
        return structured_estimate(self, kernel, optimum, method, df)

    def default_priors(self) -> dict[str, pr.Prior]:
        """Weakly informative priors, per standard deviation of the data.

        A coefficient is Normal(0, 2.5 SD(y) / SD(x)); the intercept is centred at the mean of y, as
        wide as y and the centring of the other columns together; standard deviations are
        Exponential with mean SD(y), over the root mean square of the random effect's column.
        Parameters of a residual structure are Normal(0, 1) on their unconstrained scales.
        """
        d = self.design
        spread = float(np.std(d.y, ddof=1)) or 1.0
        X = d.fixed.X
        sd_x, mean_x = X.std(axis=0), X.mean(axis=0)
        varying = sd_x > 1e-12 * np.abs(X).max(axis=0)
        scale = 2.5 * spread / np.where(varying, sd_x, 1.0)
        offset = np.sqrt((2.5 * spread) ** 2 + np.sum((scale * mean_x)[varying] ** 2))
        out: dict[str, pr.Prior] = {}
        constant = pr.Normal(float(d.y.mean()), float(offset))
        for name, varies, width in zip(d.fixed.names, varying, scale, strict=True):
            out[name] = pr.Normal(0.0, float(width)) if varies else constant
        out["sigma"] = pr.Exponential(spread)
        sds = [name for g in d.groupings for name in g.random.parameter_names(g.name)[0]]
        for name, z in zip(sds, self.sampled.z_scales, strict=True):
            out[name] = pr.Exponential(spread / float(z))
        return out | {name: pr.Normal(0.0, 1.0) for name in self.kernel.residual_names}

    def prior_stack(self, given: Mapping[str, pr.Prior] | None, eta: float = 2.0) -> pr.PriorStack:
        """The priors in the order of the parameter vector, the user's in place of the defaults."""
        defaults = self.default_priors()
        names = tuple(defaults)
        chosen = pr.choose(names, defaults, given, self.design.fixed.variables)
        sizes = self.sampled.correlated
        return pr.PriorStack(names, chosen, pr.LKJ(eta), max(sizes, default=0), sizes)

    @cached_property
    def start(self) -> np.ndarray:
        """Parameter vector near the REML estimate, away from any boundary."""
        fit = self.fit(df="normal")
        return self.kernel.interior(fit.coefficients, fit.sigma, fit.optimum.x)

    def sample(
        self,
        *,
        draws: int = 1000,
        tune: int = 300,
        chains: int = 2,
        seed: int = 1,
        priors: Mapping[str, pr.Prior] | None = None,
        eta: float = 2.0,
    ) -> MixedPosterior:
        """Draw from the posterior.

        Parameters
        ----------
        draws, tune, chains, seed : int
            Kept and warm-up iterations a chain, number of chains, one seed for all.
        priors : mapping of str to Prior, optional
            By term ("year:drug[T.active]", "sigma", "sd(year|id)") or variable ("drug").
        eta : float
            Of the LKJ prior of the random effects' correlation.
        """
        kernel, stack = self.sampled, self.prior_stack(priors, eta)
        mode, drawn = sample_posterior(
            added(kernel.loglik, stack.value_and_gradient),
            self.start,
            deviations=stack.deviations,
            draws=draws,
            tune=tune,
            chains=chains,
            seed=seed,
        )
        if drawn is None:
            raise EstimationError(f"{self.formula!r} cannot be sampled: {mode.status}")
        if isinstance(kernel, BlockKernel):
            return mixed_posterior(self, kernel, stack, mode, drawn)
        return structured_posterior(self, kernel, stack, mode, drawn)

    def to_pymc(self, priors: Mapping[str, pr.Prior] | None = None, eta: float = 2.0) -> Any:
        """The same model, data and priors in PyMC, with explicit random effects."""
        from longsurv.models.lmm_twin import twin

        return twin(self, self.prior_stack(priors, eta), eta)
