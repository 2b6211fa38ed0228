"""Generalised mixed-effects model: binary, ordinal, censored or heavy-tailed measurements.

    eta_ij = x_ij' beta + z_ij' b_i,    b_i ~ N(0, D)

    bernoulli   P(y = 1) = F(eta), F(x) = 1 / (1 + exp(-x))
    ordinal     P(y <= k) = F(c_k - eta), thresholds c_1 < c_2 < ...
    censored    y ~ N(eta, sigma^2); rows count as P(y < limit) below it, P(y > limit) above
    student     y = eta + sigma t_nu

`fit` maximises the likelihood, `sample` draws from the posterior; both use the likelihood with the
b_i integrated out by adaptive Gauss-Hermite quadrature (`longsurv.likelihood.glmm`).

McCulloch & Searle (2001), Generalized, Linear, and Mixed Models; Hughes (1999), Biometrics 55:625
(censoring); Lange, Little & Taylor (1989), JASA 84:881 (t).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from longsurv import priors as pr
from longsurv.design.generalised import GeneralisedDesign, check_options, generalised_design
from longsurv.design.quadrature import normal_grid
from longsurv.errors import EstimationError, LongsurvError
from longsurv.inference import added, maximise, sample_posterior
from longsurv.likelihood import glmm
from longsurv.likelihood import glmm_start as start
from longsurv.results.assemble_glmm import generalised_estimate, generalised_posterior
from longsurv.results.generalised import GeneralisedEstimate, GeneralisedPosterior

DEFAULT_NODES = {1: 15, 2: 9}


@dataclass(frozen=True, eq=False)
class GLMM:
    """Generalised mixed-effects model.

    Parameters
    ----------
    formula : str
        As in ``"positive ~ phase * treatment + (1 | patient)"``.
    data : DataFrame
        One row a measurement. Rows with a missing value in a column of the formula are left out,
        and the result says how many.
    family : {"bernoulli", "ordinal", "censored", "student"}
        "bernoulli" needs a response of 0/1 or True/False, "ordinal" numbers or an ordered
        categorical.
    nodes : int, optional
        Quadrature nodes for each random effect; 1 is Laplace's approximation. By default 15 for one
        random effect, 9 for two and 1 for more. Few measurements a patient, a large spread between
        patients, much censoring or several outliers in one patient need more; the result says so.
    censored : str, optional
        For family "censored": the column that says of each row "none", "left" or "right". Where it
        is not "none", the response holds the limit, transformed as the values are.
    df : float, optional
        For family "student": fixed degrees of freedom; estimated if not given.

    Raises
    ------
    LongsurvError
        For options that do not fit together.
    FormulaError, DataError
        When the design is first needed.
    """

    formula: str
    data: pd.DataFrame
    family: str = "bernoulli"
    nodes: int | None = None
    censored: str | None = None
    df: float | None = None

    def __post_init__(self) -> None:
        check_options(self.family, self.censored, self.df, self.nodes)

    @cached_property
    def design(self) -> GeneralisedDesign:
        """The arrays of the model."""
        return generalised_design(self.formula, self.data, self.family, self.censored, self.df)

    @property
    def quadrature_nodes(self) -> int:
        """Nodes for each random effect."""
        return self.nodes or DEFAULT_NODES.get(len(self.design.random.names), 1)

    @cached_property
    def arrays(self) -> glmm.GLMMData:
        """Rows sorted by patient, with the quadrature rule."""
        d = self.design
        grid = normal_grid(self.quadrature_nodes, len(d.random.names))
        return glmm.prepare(
            self.family, d.y, d.fixed.X, d.Z, d.group, len(d.labels),
            nodes=grid.nodes[grid.index], log_weights=grid.log_weight, blocks=d.random.blocks,
            kind=d.kind, df=self.df,
        )  # fmt: skip

    def fit(self) -> GeneralisedEstimate:
        """Maximise the likelihood.

        Raises
        ------
        EstimationError
            If the likelihood of a binary or ordinal response has no maximum because covariates or
            patients separate its values; `sample` has an answer even then, through its priors.
        """
        data, names = self.arrays, self.design.coefficient_names
        if self.design.family_is_logit and (why := start.no_maximum(data, names)):
            raise EstimationError(
                f"{self.formula!r} has no maximum-likelihood estimate: {why}. sample() has an "
                "answer, as its priors keep the estimates finite"
            )
        climb = start.climb(data)
        family = ["1/nu" if name == "nu" else name for name in self.design.family_names]
        parameters = [*self.design.fixed.names, *family, *climb.factor_names]
        optimum = maximise(climb.log_likelihood, climb.begin, parameters, climb.lower)
        if not np.isfinite(optimum.value):
            raise EstimationError(f"{self.formula!r} cannot be fitted: {optimum.status}")
        return generalised_estimate(self, data, optimum, climb.T, self.quadrature_nodes)

    def default_priors(self) -> dict[str, pr.Prior]:
        """Weakly informative priors.

        Slopes are Normal(0, 2.5 s / SD(x)), with s = 1 on the logit scale and SD(y) for
        measurements. The intercept (for an ordinal response the first threshold) is Normal with an
        SD of 5 s and the centring of the other columns together, around 0 or the mean of y; gaps
        between thresholds are Exponential with mean 2. Random-effects SDs are Exponential with mean
        s over the root mean square of their column, sigma Exponential with mean SD(y), nu
        Gamma(2, 0.1).
        """
        d = self.design
        logit = d.family_is_logit
        spread = 1.0 if logit else float(np.std(d.y, ddof=1)) or 1.0
        X = d.fixed.X
        sd, mean = X.std(axis=0), X.mean(axis=0)
        varying = sd > 1e-12 * np.abs(X).max(axis=0, initial=0.0)
        scale = 2.5 * spread / np.where(varying, sd, 1.0)
        offset = float(np.sqrt((5.0 * spread) ** 2 + np.sum((scale * mean)[varying] ** 2)))
        level = pr.Normal(0.0 if logit else float(d.y.mean()), offset)
        out: dict[str, pr.Prior] = {}
        for j, name in enumerate(d.fixed.names):
            out[name] = pr.Normal(0.0, float(scale[j])) if varying[j] else level
        for k, name in enumerate(d.family_names):
            if d.levels:
                out[f"gap({name})" if k else name] = pr.Exponential(2.0) if k else level
            else:
                out[name] = pr.Gamma(2.0, 0.1) if name == "nu" else pr.Exponential(spread)
        sds = [name for name in d.variance_names if name.startswith("sd(")]
        for name, z in zip(sds, start.random_scale(self.arrays), strict=True):
            out[name] = pr.Exponential(spread / float(z))
        return out

    def prior_stack(self, given: Mapping[str, pr.Prior] | None, eta: float = 2.0) -> pr.PriorStack:
        """The priors in the order of the parameter vector, the user's in place of the defaults."""
        defaults = self.default_priors()
        names, gaps = tuple(defaults), self.design.levels and self.design.family_names[1:]
        if wrong := set(given or ()) & set(gaps):
            raise LongsurvError(f"a prior goes on the gap below a threshold: gap({wrong.pop()})")
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
    ) -> GeneralisedPosterior:
        """Draw from the posterior.

        Parameters
        ----------
        draws, tune, chains, seed : int
            Kept and warm-up iterations a chain, number of chains, one seed for all.
        priors : mapping of str to Prior, optional
            By term ("phase[T.after]", "1|2", "gap(2|3)", "sigma", "nu", "sd(Intercept|id)") or
            variable ("phase").
        eta : float
            Of the LKJ prior of the random effects' correlation.
        """
        data, stack = self.arrays, self.prior_stack(priors, eta)
        begin = start.to_unconstrained(data, start.starting_point(data)[0])
        mode, drawn = sample_posterior(
            added(partial(glmm.loglik, data), stack.value_and_gradient),
            begin,
            deviations=stack.deviations,
            draws=draws,
            tune=tune,
            chains=chains,
            seed=seed,
        )
        if drawn is None:
            raise EstimationError(f"{self.formula!r} cannot be sampled: {mode.status}")
        return generalised_posterior(self, data, stack, mode, drawn, self.quadrature_nodes)

    def to_pymc(self, priors: Mapping[str, pr.Prior] | None = None, eta: float = 2.0) -> Any:
        """The same model, data and priors in PyMC, with explicit random effects."""
        from longsurv.models.glmm_twin import twin

        return twin(self, self.prior_stack(priors, eta), eta)
