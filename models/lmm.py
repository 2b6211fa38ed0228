"""Linear mixed-effects model of a marker's trajectory.

    y_i = X_i beta + Z_i b_i + e_i,    b_i ~ N(0, D),    e_i ~ N(0, sigma^2 I)

y_i are the measurements of patient i, X_i beta the mean curve of the patient's group, Z_i b_i the
patient's own departure from it. `fit` maximises the (restricted) likelihood, `sample` draws from the
posterior; both use the likelihood with the b_i integrated out (`longsurv.likelihood.lmm`).

Laird & Ware (1982), Biometrics 38:963-974; Bates et al. (2015), J Stat Softw 67(1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from longsurv import priors as pr
from longsurv.design import MixedDesign, mixed_design
from longsurv.errors import EstimationError, LongsurvError
from longsurv.inference import hessian, maximise, sample, whiten
from longsurv.likelihood import lmm
from longsurv.likelihood.covariance import partial_correlations
from longsurv.likelihood.lmm_blocks import BlockKernel
from longsurv.results.assemble_mixed import DF_METHODS, mixed_estimate, mixed_posterior
from longsurv.results.mixed import MixedEstimate, MixedPosterior


@dataclass(frozen=True, eq=False)
class LMM:
    """Linear mixed-effects model.

    Parameters
    ----------
    formula : str
        As in ``"log(bili) ~ year * drug + (year | id)"``.
    data : DataFrame
        One row a measurement. Rows with a missing value in a column of the formula are left out, and
        the result says how many.

    Raises
    ------
    FormulaError, DataError
        When the design is first needed.
    """

    formula: str
    data: pd.DataFrame

    @cached_property
    def design(self) -> MixedDesign:
        """The arrays of the model."""
        return mixed_design(self.formula, self.data)

    @cached_property
    def statistics(self) -> lmm.LMMData:
        """Per-patient sufficient statistics."""
        d = self.design
        return lmm.prepare(d.fixed.X, d.y, d.Z, d.group, len(d.labels))

    @cached_property
    def kernel(self) -> BlockKernel:
        """The likelihood of the free parameters."""
        return BlockKernel(self.statistics, self.design.random.blocks)

    def fit(self, method: str = "REML", df: str = "auto") -> MixedEstimate:
        """Maximise the restricted likelihood or the likelihood.

        Parameters
        ----------
        method : {"REML", "ML"}
        df : {"auto", "kenward-roger", "satterthwaite", "normal"}
            Reference distribution of tests and intervals of the coefficients. "auto" is Kenward-Roger
            below 200 patients, Satterthwaite from there on, and normal for ML.
        """
        if method not in ("REML", "ML"):
            raise LongsurvError(f"method is 'REML' or 'ML', not {method!r}")
        if df not in DF_METHODS or (method == "ML" and df == "kenward-roger"):
            raise LongsurvError(
                f"df is one of {DF_METHODS} (Kenward-Roger with REML only), not {df!r}"
            )
        kernel, reml = self.kernel, method == "REML"

        def criterion(x: np.ndarray) -> tuple[float, np.ndarray]:
            return kernel.criterion(x, reml)

        start = max(kernel.starts, key=lambda x: criterion(x)[0])
        optimum = maximise(criterion, start, names=kernel.names, lower=kernel.lower)
        if not np.isfinite(optimum.value):
            raise EstimationError(f"{self.formula!r} cannot be fitted: {optimum.status}")
        return mixed_estimate(self, kernel, optimum, method, df)

    def default_priors(self) -> dict[str, pr.Prior]:
        """Weakly informative priors, per standard deviation of the data.

        A coefficient is Normal(0, 2.5 SD(y) / SD(x)); the intercept is centred at the mean of y, as
        wide as y and the centring of the other columns together; standard deviations are Exponential
        with mean SD(y), over the root mean square of the random effect's column.
        """
        d, stats = self.design, self.statistics
        spread = float(np.std(d.y, ddof=1)) or 1.0
        X = d.fixed.X
        sd_x, mean_x = X.std(axis=0), X.mean(axis=0)
        varying = sd_x > 1e-12 * np.abs(X).max(axis=0)
        scale = 2.5 * spread / np.where(varying, sd_x, 1.0)
        offset = np.sqrt((2.5 * spread) ** 2 + np.sum((scale * mean_x)[varying] ** 2))
        out: dict[str, pr.Prior] = {}
        for j, name in enumerate(d.fixed.names):
            constant = not varying[j]
            out[name] = (
                pr.Normal(float(d.y.mean()), float(offset))
                if constant
                else pr.Normal(0.0, float(scale[j]))
            )
        out["sigma"] = pr.Exponential(spread)
        for name, z in zip(d.variance_names[1:], stats.z_scale, strict=False):
            out[name] = pr.Exponential(spread / float(z))
        return out

    def prior_stack(self, given: Mapping[str, pr.Prior] | None, eta: float = 2.0) -> pr.PriorStack:
        """The priors in the order of the parameter vector, the user's in place of the defaults."""
        defaults = self.default_priors()
        names = tuple(defaults)
        chosen = pr.choose(names, defaults, given, self.design.fixed.variables)
        blocks = self.design.random.blocks
        return pr.PriorStack(names, chosen, pr.LKJ(eta), max(blocks), blocks)

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
        kernel, stack = self.kernel, self.prior_stack(priors, eta)

        def log_posterior(theta: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = kernel.loglik(theta)
            prior, slope = stack.value_and_gradient(theta)
            return value + prior, gradient + slope

        mode = maximise(log_posterior, self._start())
        if not np.isfinite(mode.value):
            raise EstimationError(f"{self.formula!r} cannot be sampled: {mode.status}")
        whitening = whiten(mode.x, hessian(log_posterior, mode.x))
        drawn = sample(log_posterior, whitening, draws=draws, tune=tune, chains=chains, seed=seed)
        return mixed_posterior(self, kernel, stack, mode, drawn)

    def _start(self) -> np.ndarray:
        """Parameter vector near the REML estimate, away from any boundary."""
        fit = self.fit()
        q = self.statistics.q
        D = fit.random_cov.to_numpy() + np.diag((0.1 * fit.sigma / self.statistics.z_scale) ** 2)
        tau = np.sqrt(np.diag(D))
        z = partial_correlations(D / np.outer(tau, tau)) if q > 1 else np.empty(0)
        theta = np.concatenate([fit.coefficients, [np.log(fit.sigma)], np.log(tau), z])
        return theta[self.kernel.free]

    def to_pymc(self, priors: Mapping[str, pr.Prior] | None = None, eta: float = 2.0) -> Any:
        """The same model, data and priors in PyMC, with explicit random effects."""
        import pymc as pm

        d, stack = self.design, self.prior_stack(priors, eta)
        p = len(d.fixed.names)
        by_name = dict(zip(stack.names, stack.priors, strict=True))
        coords = {
            "term": d.fixed.names,
            "effect": d.random.names,
            "patient": d.labels,
            "row": d.rows,
        }
        with pm.Model(coords=coords) as model:
            beta = pm.math.stack([by_name[name].to_pymc(name) for name in d.fixed.names])
            sigma = by_name["sigma"].to_pymc("sigma")
            sd = pm.math.stack([by_name[name].to_pymc(name) for name in stack.names[p + 1 :]])
            raw = pm.Normal("raw", dims=("patient", "effect"))
            parts, start = [], 0
            for k, size in enumerate(d.random.blocks):
                part = raw[:, start : start + size]
                if size > 1:
                    # PyMC's LKJCorr is the Cholesky factor of the correlation matrix.
                    name = "correlation_cholesky" + (f"_{k}" if k else "")
                    part = part @ pm.LKJCorr(name, n=size, eta=eta).T
                parts.append(part)
                start += size
            raw = pm.math.concatenate(parts, axis=1)
            b = pm.Deterministic("b", raw * sd, dims=("patient", "effect"))
            mean = d.fixed.X @ beta + (d.Z * b[d.group]).sum(axis=-1)
            pm.Normal("y", mean, sigma, observed=d.y, dims="row")
        return model
