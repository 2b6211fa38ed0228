"""Linear model of one value a patient, as the analysis of covariance.

    y_i = x_i' beta + e_i,    e_i ~ N(0, sigma^2)

`fit` is least squares with Student's t on n - p degrees of freedom; `sample` draws exactly from the
posterior under the priors of `LMM` (`longsurv.inference.linear`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np
import pandas as pd

from longsurv import priors as pr
from longsurv.design import MixedDesign, Residual, mixed_design
from longsurv.design.expression import Functions
from longsurv.design.names import quoted
from longsurv.design.owned import owned
from longsurv.design.statement import of_table
from longsurv.errors import DataError
from longsurv.inference import Draws, Optimum
from longsurv.inference.linear import sample_linear
from longsurv.inference.specification import holding
from longsurv.models.lmm import LMM
from longsurv.results.linear import LinearEstimate, LinearPosterior, least_squares


@dataclass(frozen=True, eq=False)
class Linear:
    """Linear model of one value a patient.

    Parameters
    ----------
    formula : str
        Without random terms.
    data : DataFrame
        One row a patient.
    patient : str
        Column of the patients.
    functions : mapping of str to callable, optional
        Functions of your own that the formula may call by name, as ``{"f": f}`` for ``f(age)``;
        each row's value may depend on that row only.

    Raises
    ------
    FormulaError, DataError
        When the design is first needed; also if a patient has several rows, which are dependent.
    """

    formula: str
    data: pd.DataFrame = field(repr=False)
    patient: str
    functions: Functions | None = None

    def __post_init__(self) -> None:
        own = owned(self.data, self.formula, *self._alone.patient_columns)
        object.__setattr__(self, "data", own)

    def __repr__(self) -> str:
        return of_table(self, (self.patient,))

    @property
    def _alone(self) -> Residual:
        named = self.patient in self.data  # else several, joined by a colon
        return Residual(patient=quoted(self.patient) if named else self.patient)

    @cached_property
    def design(self) -> MixedDesign:
        """The arrays of the model."""
        design = mixed_design(
            self.formula, self.data, self._alone, structured=True, functions=self.functions
        )
        if len(design.labels) < len(design.y):
            most = design.labels[np.bincount(design.group).argmax()]
            raise DataError(
                f"Linear is for one row a patient: {len(design.y)} rows are of "
                f"{len(design.labels)} values of {design.group_name!r}, {most!s} with the most. "
                "Rows of one patient are alike; an LMM with "
                f"(1 | {quoted(design.group_name)}) allows for that"
            )
        return design

    def default_priors(self) -> dict[str, pr.Prior]:
        """Those of the coefficients, of centred variables, and of sigma in the mixed model of the
        same formula."""
        given = self._mixed.default_priors()
        return {name: given[name] for name in (*self.design.fixed.names, "sigma")}

    @cached_property
    def _mixed(self) -> LMM:
        group = ":".join(map(quoted, self._alone.patient_columns))
        return LMM(f"{self.formula} + (1 | {group})", self.data, functions=self.functions)

    def fit(self) -> LinearEstimate:
        """Least squares, with the reference distribution Student's t on n - p degrees of freedom.

        Raises
        ------
        EstimationError
            If the model fits every value exactly, which leaves no variance to estimate.
        """
        return self.estimate(self.find())

    def find(self) -> Optimum:
        """The least-squares coefficients; raises as `fit`."""
        return least_squares(self.formula, self.design)

    def estimate(self, optimum: Optimum) -> LinearEstimate:
        """The fitted model at what `find` returned.

        Parameters
        ----------
        optimum : Optimum
            From `find`.
        """
        return LinearEstimate.at(self, self.design, optimum)

    def sample(self, *, draws: int = 1000, chains: int = 4, seed: int = 1) -> LinearPosterior:
        """Independent draws from the posterior, in as many parts as there would be chains.

        Parameters
        ----------
        draws, chains, seed : int
            Draws of each part, their number, one seed for all.
        """
        return self.posterior(self.draw(draws=draws, chains=chains, seed=seed))

    def draw(self, *, draws: int = 1000, chains: int = 4, seed: int = 1) -> Draws:
        """Coefficients and sigma drawn independently; options as for `sample`.

        Parameters
        ----------
        draws, chains, seed : int
            Draws of each part, their number, one seed for all.
        """
        d, priors = self.design, self.default_priors()
        normal = [prior for prior in priors.values() if isinstance(prior, pr.Normal)]

        # The priors are of coefficients in centred variables, the levels of factors alike.
        p, basis = len(d.fixed.names), self._mixed.prior_stack(None).basis
        back = np.eye(p) if basis is None else np.linalg.inv(basis)
        means = np.array([p.mean for p in normal])
        sds = np.array([p.sd for p in normal])
        began = time.perf_counter()
        phi, sigma = sample_linear(
            d.fixed.X @ back,
            d.y,
            means,
            sds,
            partial(pr.log_densities, priors["sigma"]),
            draws=draws * chains,
            seed=seed,
        )
        theta = np.column_stack([phi @ back.T, sigma]).reshape(chains, draws, p + 1)
        seconds = time.perf_counter() - began
        return Draws(theta, {}, seconds, tune=0, whitening=None, seed=seed)

    def posterior(self, draws: Draws) -> LinearPosterior:
        """The posterior from what `draw` returned.

        Parameters
        ----------
        draws : Draws
            From `draw`.
        """
        priors = self.default_priors()
        samples = {name: draws.theta[..., j] for j, name in enumerate(priors)}
        return LinearPosterior(
            spec=self, design=self.design, names=self.design.fixed.names,
            samples=samples, priors=priors, draws=draws, method="exact posterior draws",
            flags=self.fit().flags,
        )  # fmt: skip

    def with_data(self, data: pd.DataFrame) -> Linear:
        """The same specification of other rows.

        Parameters
        ----------
        data : DataFrame
            One row a patient.
        """
        return replace(self, data=data)

    def with_design(self, design: MixedDesign) -> Linear:
        """The same specification with another design in place of that of its data.

        Parameters
        ----------
        design : MixedDesign
        """
        return holding(self, design=design)
