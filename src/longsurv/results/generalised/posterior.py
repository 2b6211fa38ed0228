"""Posteriors of generalised mixed models: random effects and predictions, draw by draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from longsurv.design.random_columns import origin_flags
from longsurv.diagnostics.replicates import near_effects
from longsurv.inference import Draws
from longsurv.likelihood import glmm
from longsurv.likelihood.glmm.crossed_given import Points
from longsurv.likelihood.glmm.drawn import DrawnEffects, given_data
from longsurv.priors import PriorStack
from longsurv.results.assemble import crossing_flags, design_flags, sampling_flags
from longsurv.results.columns import draw_columns
from longsurv.results.criticism import Replicated
from longsurv.results.generalised.flags import (
    dispersion_flags,
    quadrature_flags,
    quadrature_name,
    site_flags,
)
from longsurv.results.generalised.methods import GeneralisedPosteriorMethods
from longsurv.results.generalised.quantities import (
    AskedRows,
    effect_moments,
    factor,
    mean_response,
    moments_at,
    natural_draws,
    population_means,
)
from longsurv.results.generalised.rows import by_category, rows_of
from longsurv.results.generalised.specification import GeneralisedSpecification
from longsurv.results.generalised.undetermined import prior_words
from longsurv.results.idata import Pointwise
from longsurv.results.mixed.rows import ranef
from longsurv.results.options import NewGroups
from longsurv.results.posterior import Posterior
from longsurv.results.predictive import Predictive

if TYPE_CHECKING:
    from longsurv.design.generalised import GeneralisedDesign


@dataclass(frozen=True, repr=False, eq=False)
class GeneralisedPosterior(GeneralisedPosteriorMethods, Replicated, Predictive, Posterior):
    """Posterior of a generalised mixed model (see `Posterior`).

    Attributes
    ----------
    data : GLMMData
    """

    spec: GeneralisedSpecification
    design: GeneralisedDesign
    data: glmm.GLMMData

    @classmethod
    def from_draws(
        cls,
        spec: GeneralisedSpecification,
        data: glmm.GLMMData,
        stack: PriorStack,
        draws: Draws,
        nodes: int,
    ) -> GeneralisedPosterior:
        """The posterior from draws on the unconstrained scale.

        Parameters
        ----------
        spec : GLMM
        data : GLMMData
            With the columns of Z whose SDs and correlations have the priors.
        stack : PriorStack
        draws : Draws
        nodes : int
            Quadrature nodes for each random effect.
        """
        design = spec.design
        chains, kept, _ = draws.theta.shape
        flat = draws.flat
        natural = natural_draws(data, flat)
        names = (*design.coefficient_names, *design.variance_names)
        samples = {name: natural[:, j].reshape(chains, kept) for j, name in enumerate(names)}
        flags = (
            *design_flags(design),
            *crossing_flags(design),
            *design.notes,
            *origin_flags(design),
            *site_flags(design),
            *sampling_flags(draws),
        )
        flags += prior_words(design, data, stack, flat)
        assert draws.mode is not None  # NUTS starts from one
        top = draws.mode.x
        at = glmm.to_factor(data, top)
        flags += quadrature_flags(data, at, glmm.loglik(data, top)[0], nodes)
        flags += dispersion_flags(data, at)
        density = "patients' marginal" if data.shared else "marginal"
        rule = quadrature_name(design, nodes, drawn=True)
        return cls(
            spec=spec,
            design=design,
            names=design.coefficient_names,
            samples=samples,
            stack=stack,
            draws=draws,
            log_prior=stack.log_prior(draws.theta),
            method=f"NUTS on the {density} likelihood, {rule}",
            flags=flags,
            data=data,
        )

    def _pointwise(self) -> Pointwise:
        design, (chains, kept, _) = self.design, self.draws.theta.shape
        if design.crossed:
            # Given the effects of the sites, which are drawn, patients are independent.
            drawn = zip(self.draws.flat, self._sites(), strict=True)
            values = np.array([self._patients(theta, z) for theta, z in drawn])
            return Pointwise(
                values.reshape(chains, kept, -1), design.group_name, design.labels, design.y
            )
        values = glmm.pointwise(self.data, self.draws.flat)
        units = design.units
        return Pointwise(values.reshape(chains, kept, -1), units.name, units.labels, design.y)

    def _sites(self) -> np.ndarray:
        """The effects of sites, in units of their standard deviation, as they were drawn beside the
        parameters, shape (draws, J)."""
        assert self.draws.effects is not None
        return self.draws.effects.reshape(-1, self.data.n_sites)

    def _patients(self, theta: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Log-likelihood of each patient given the effects of the sites, shape (N,)."""
        at = glmm.to_factor(self.data, theta)
        alone = self.data.given_sites(at[-1] * z)
        own = np.delete(theta, self.data.p + self.data.n_family + self.data.q - 1)
        return glmm.pointwise(alone, own[None])[0]

    def thetas(self) -> Iterator[np.ndarray]:
        """The draws as vectors of `likelihood.glmm.loglik_factor`, chain after chain."""
        for theta in self.draws.flat:
            yield glmm.to_factor(self.data, theta)

    def ranef(self, level: float = 0.95) -> pd.DataFrame:
        """Posterior means and SDs of the random effects, over the draws' conditional distributions.

        Parameters
        ----------
        level : float
            Of the normal intervals.

        Returns
        -------
        DataFrame
            The patient's column (with sites: grouping and group), effect, estimate, std_error,
            conf_low, conf_high.
        """
        if self.data.shared:
            each = [
                moments_at(self.data, at, Points(at[-1] * z[None], np.ones(1)))
                for at, z in zip(self.thetas(), self._sites(), strict=True)
            ]
        else:
            each = [effect_moments(self.data, theta) for theta in self.thetas()]
        found = []
        for of_group in zip(*each, strict=True):
            centre = np.stack([mean for mean, _ in of_group])
            within = np.mean([variance for _, variance in of_group], axis=0)
            found.append((centre.mean(axis=0), np.sqrt(centre.var(axis=0) + within)))
        return ranef(self.design, found, level)

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        level: float = 0.95,
        by_patient: bool = False,
        new_groups: NewGroups = "error",
        type: Literal["link", "response"] = "link",
    ) -> pd.DataFrame:
        """Posterior of the linear predictor, or of the mean response averaged over patients.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict; by default the rows the model was fitted to.
        level : float
            Of the equal-tailed interval of the mean.
        by_patient : bool
            Use the random effects of the patient, drawn from the normal distribution with the mean
            and the covariance they have at each draw of the parameters, and of the site of the row.
        new_groups : {"error", "population"}
            What to do for a patient, or a site, the model has not seen: refuse, or draw its random
            effects from the distribution of the population. A new patient of a known site has the
            site's effect.
        type : {"link", "response"}
            "link" is x'beta (without the thresholds of an ordinal response); "response" the mean
            over the distribution of the random effects, for an ordinal response one row a category.

        Returns
        -------
        DataFrame
            `newdata` with estimate (the mean), std_error (the SD), conf_low, conf_high.
        """
        frame, rows = rows_of(self, newdata, by_patient, new_groups)
        X, Z, group, offset, site = rows
        data, link, rng = self.data, type == "link", np.random.default_rng(self.draws.seed)
        known = np.flatnonzero(group >= 0)
        unseen = np.flatnonzero(group < 0) if by_patient else np.empty(0, dtype=np.int64)
        person = -1 - group[unseen]
        thetas = np.array(list(self.thetas()))
        values = (
            offset + thetas[:, : data.p] @ X.T if link else population_means(data, thetas, rows)
        )
        if by_patient and self.design.crossed:
            for theta, value, z in zip(thetas, values, self._sites(), strict=True):
                eta = X @ theta[: data.p] + offset + self._random_part(theta, z, rng, rows)
                value[:] = eta if link else mean_response(data, theta, eta)
            return by_category(frame, self.design, draw_columns(values, level))
        effects = self._sites() if data.shared else [None] * len(thetas)
        for theta, value, z in zip(thetas, values, effects, strict=True):
            parts = []
            if len(known):
                parts.append((known, self._known_effects(theta, z, rng)[group[known]]))
            if len(unseen):
                home = None if site is None else site[unseen]
                parts.append((unseen, self._new_effects(theta, z, rng, person, home)))
            for own, b in parts:
                eta = X[own] @ theta[: data.p] + np.einsum("mq,mq->m", Z[own], b) + offset[own]
                value[own] = eta if link else mean_response(data, theta, eta)
        columns = draw_columns(values, level)
        return by_category(frame, self.design, columns)

    def predictive_checks(
        self, *, draws: int = 200, seed: int = 1, level: float = 0.95
    ) -> pd.DataFrame:
        """Statistics of the data against those of data replicated from the posterior.

        Replicates are the same patients measured again at the same visits, with random effects
        drawn given their data.

        Parameters
        ----------
        draws : int
            Replicates, one for each of so many evenly spaced draws.
        seed : int
            Of the replicates.
        level : float
            Of the equal-tailed intervals of the replicates.

        Returns
        -------
        DataFrame
            part, of ("values"), statistic, observed, replicated (mean), conf_low, conf_high,
            p_value (share of replicates with at least the observed statistic, ties counted half:
            near 0 or 1 where the model misses something). A value known by limits only is drawn
            between them for each replicate; observed is the mean over these.
        """
        from longsurv.diagnostics.replicates import generalised_checks

        return generalised_checks(self, draws, seed, level)

    def _random_part(
        self, theta: np.ndarray, z: np.ndarray, rng: np.random.Generator, rows: AskedRows
    ) -> np.ndarray:
        """Of the predictors of rows (m,) whose patients cross the sites, of effects z (J,)."""
        _, Z, group, _, site = rows
        assert site is not None
        data, Lam, k = self.data, factor(self.data, theta), self.data.q_own
        drawn = given_data(data, theta, rng, near_effects, z)
        own, of_sites = drawn.own @ data.effects[:k, :k].T, data.effects[-1, -1] * drawn.sites
        new = rng.standard_normal((max(-int(group.min()), 0), k)) @ Lam[:k, :k].T
        elsewhere = Lam[-1, -1] * rng.standard_normal(max(-int(site.min()), 0))
        person = np.where(group >= 0, group, len(own) - 1 - group)
        place = np.where(site >= 0, site, len(of_sites) - 1 - site)
        both = DrawnEffects(np.concatenate([own, new]), np.concatenate([of_sites, elsewhere]))
        return both.of_rows(Z, person, place)

    def _known_effects(
        self, theta: np.ndarray, z: np.ndarray | None, rng: np.random.Generator
    ) -> np.ndarray:
        """Random effects of the patients given their data, and of the sites they are nested in,
        shape (N, q)."""
        data = self.data
        drawn = given_data(data, theta, rng, near_effects, z)
        return drawn.of_patients(data) @ data.effects.T

    def _new_effects(
        self, theta: np.ndarray, z: np.ndarray | None, rng: np.random.Generator,
        person: np.ndarray, site: np.ndarray | None,
    ) -> np.ndarray:  # fmt: skip
        """Random effects of rows (m,) of new patients, by number, and of their sites: an index into
        the labels, or -1 - k for the k-th of those not seen; z (J,) are those that were drawn."""
        data, (count, q) = self.data, (int(person.max()) + 1, self.data.q)
        b = (rng.standard_normal((count, q)) @ factor(data, theta).T)[person]
        if site is not None:
            assert z is not None  # drawn beside the parameters wherever there are sites
            scale = abs(factor(data, theta)[-1, -1])
            new = scale * rng.standard_normal(max(-int(site.min()), 0))
            seen = data.effects[-1, -1] * theta[-1] * z
            at = np.where(site >= 0, site, len(seen) - 1 - site)
            b[:, -1] = np.concatenate([seen, new])[at]
        return b
