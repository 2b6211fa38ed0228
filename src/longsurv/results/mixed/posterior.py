"""Posteriors of mixed-effects models: random effects and predictions, draw by draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.design.random_columns import origin_flags
from longsurv.inference import Draws
from longsurv.likelihood.lmm.crossed.kernel import CrossedKernel
from longsurv.likelihood.lmm.kernel import MixedData, MixedKernel, Point
from longsurv.priors import PriorStack
from longsurv.results.assemble import crossing_flags, design_flags, sampling_flags
from longsurv.results.columns import beside, draw_columns
from longsurv.results.criticism import Replicated
from longsurv.results.idata import Pointwise, to_datatree
from longsurv.results.mixed.fitted import MixedSpecification
from longsurv.results.mixed.methods import MixedPosteriorMethods
from longsurv.results.mixed.rows import (
    check_random,
    fixed_rows,
    random_rows,
    ranef,
    spread_of_new,
    unseen_rows,
)
from longsurv.results.options import Interval, NewGroups
from longsurv.results.posterior import Posterior
from longsurv.results.predictive import Predictive

if TYPE_CHECKING:
    from arviz_stats.utils import ELPDData

    from longsurv.design.mixed import MixedDesign
    from longsurv.results.arithmetic import LogMeans, Patients
    from longsurv.results.means import Means


@dataclass(frozen=True, repr=False, eq=False)
class MixedPosterior(MixedPosteriorMethods, Replicated, Predictive, Posterior):
    """Posterior of a mixed-effects model (see `Posterior`).

    Attributes
    ----------
    kernel : MixedKernel
        The likelihood that was sampled.
    """

    spec: MixedSpecification
    design: MixedDesign
    kernel: MixedKernel

    @classmethod
    def from_draws(
        cls, spec: MixedSpecification, kernel: MixedKernel, stack: PriorStack, draws: Draws
    ) -> MixedPosterior:
        """The posterior from draws of the kernel's parameters.

        Parameters
        ----------
        spec : LMM
        kernel : MixedKernel
            In the columns of Z whose SDs and correlations have the priors.
        stack : PriorStack
        draws : Draws
        """
        design, log_prior = spec.design, stack.log_prior(draws.theta)
        draws = replace(draws, theta=kernel.expand(draws.theta))
        chains, kept, _ = draws.theta.shape
        thetas = draws.flat
        samples = {name: draws.theta[..., j] for j, name in enumerate(design.fixed.names)}
        natural = kernel.natural(thetas)
        for j, name in enumerate(design.variance_names):
            samples[name] = natural[:, j].reshape(chains, kept)
        return cls(
            spec=spec,
            design=design,
            names=design.fixed.names,
            samples=samples,
            stack=stack,
            draws=draws,
            log_prior=log_prior,
            method="NUTS on the marginal likelihood",
            flags=(
                *design_flags(design),
                *crossing_flags(design),
                *origin_flags(design),
                *sampling_flags(draws),
            ),
            kernel=kernel,
        )

    def _pointwise(self) -> Pointwise:
        design, (chains, kept, _) = self.design, self.draws.theta.shape
        values = self.kernel.pointwise(self.draws.flat).reshape(chains, kept, -1)
        if design.crossed:  # no rows are independent of the others
            name = ":".join(grouping.name for grouping in design.terms)
            return Pointwise(values, name, ["all"], design.y)
        unit = design.terms[-1]
        return Pointwise(values, unit.name, unit.labels, design.y)

    def loo(self, *, pointwise: bool = False) -> ELPDData:
        """Leave-one-out cross-validation by Pareto-smoothed importance sampling (ArviZ).

        What is left out are all rows of a patient, or of a group of the coarsest grouping that
        patients are nested in. Where groupings cross it is the density of a patient's rows given
        all other rows (Buerkner, Gabry & Vehtari 2021, Comput Stat 36:1243-1261).

        Parameters
        ----------
        pointwise : bool
            Whether to keep what each unit that is left out adds, and its Pareto k.
        """
        kernel, design = self.kernel, self.design
        if not design.crossed or not isinstance(kernel, CrossedKernel):
            return super().loo(pointwise=pointwise)
        import arviz as az

        chains, kept, _ = self.draws.theta.shape
        values = kernel.left_out(self.draws.flat).reshape(chains, kept, -1)
        units = Pointwise(values, design.group_name, design.labels, design.y)
        tree = to_datatree(self.samples, self.draws, self.log_prior, units)
        return az.loo(tree, pointwise=pointwise)

    @property
    def data(self) -> MixedData:
        """The arrays that the kernel works on."""
        return self.kernel.data

    def _points(self) -> Iterator[Point]:
        """The values of the parameters draw by draw, chain after chain."""
        theta = self.draws.theta
        yield from map(self.kernel.point, theta.reshape(-1, theta.shape[-1]))

    def _log_means(self, of: Means, base: float, patients: Patients) -> LogMeans:
        from longsurv.results.mixed.logs import drawn_logs

        return drawn_logs(self, of, base, patients)

    def ranef(self, level: float = 0.95) -> pd.DataFrame:
        """Posterior means and SDs of the random effects, from the draws' exact conditionals.

        Parameters
        ----------
        level : float
            Of the normal intervals.

        Returns
        -------
        DataFrame
            The patient's column (with several groupings or correlated residuals: grouping and
            group), effect, estimate, std_error, conf_low, conf_high.

        Raises
        ------
        LongsurvError
            If the model has no random effects.
        """
        check_random(self)
        count = self.samples[self.names[0]].size
        totals = [np.zeros((3, len(g.labels), len(g.random.names))) for g in self.design.groupings]
        for point in self._points():
            for total, b in zip(totals, self.kernel.effects(point), strict=True):
                total += np.stack([b.mean, b.mean**2, np.diagonal(b.cov, axis1=1, axis2=2)]) / count
        found = [
            (mean, np.sqrt(np.maximum(square - mean**2, 0.0) + np.maximum(within, 0.0)))
            for mean, square, within in totals
        ]
        return ranef(self.design, found, level)

    def predict(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        level: float = 0.95,
        by_patient: bool = False,
        new_groups: NewGroups = "error",
        interval: Interval = "mean",
    ) -> pd.DataFrame:
        """Posterior of the mean response on the scale of the formula's left-hand side.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict; by default the rows the model was fitted to.
        level : float
            Of the equal-tailed interval.
        by_patient : bool
            Add the random effects of the row's patient and of all it is nested in, at each draw
            drawn from their distribution given the data.
        new_groups : {"error", "population"}
            What to do for a patient, or another group, the model has not seen: refuse, or draw its
            effects from the distribution of the population.
        interval : {"mean", "prediction"}
            Of the mean, or of one new measurement: with `by_patient` of the row's own patient,
            otherwise of a patient (and a group of every other grouping) that nobody has seen.

        Returns
        -------
        DataFrame
            `newdata` with estimate (the mean), std_error (the SD), conf_low, conf_high.

        Raises
        ------
        LongsurvError
            If the model has no random effects and `by_patient` asks for them, for an unseen group,
            or for a new measurement where residuals are correlated.
        """
        frame, X = fixed_rows(self, newdata)
        values = self.coefficients.reshape(-1, len(self.names)) @ X.T
        new = interval == "prediction"
        spread = spread_of_new(self, newdata, self.kernel) if new else None
        if by_patient:
            check_random(self)
            rows = random_rows(self.design, newdata, new_groups)
        elif new:
            rows = unseen_rows(self.design, newdata)
        if by_patient or new:
            rng = np.random.default_rng(self.draws.seed)
            for value, point in zip(values, self._points(), strict=True):
                value += self.kernel.draw_rows(point, *rows, rng)
                if spread is not None:
                    value += np.sqrt(spread(point)) * rng.standard_normal(len(value))
        return beside(frame, draw_columns(values, level))

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
            near 0 or 1 where the model misses something).
        """
        from longsurv.diagnostics.replicates import mixed_checks

        return mixed_checks(self, draws, seed, level)

    def r2(self, level: float = 0.95) -> pd.DataFrame:
        """Share of the variance explained by the fixed effects, and by all effects together.

        Parameters
        ----------
        level : float
            Of the equal-tailed intervals.

        Returns
        -------
        DataFrame
            Rows "marginal" and "conditional", in the grammar of `tidy`.

        Raises
        ------
        LongsurvError
            With several groupings or correlated residuals.
        """
        from longsurv.results.mixed.measures import r2

        return r2(self, level)
