"""Linear model of one value a patient, as the analysis of covariance.

    y_i = x_i' beta + e_i,    e_i ~ N(0, sigma^2)

`fit` is least squares with Student's t on n - p degrees of freedom; `sample` draws exactly from the
posterior under the priors of `LMM` (`longsurv.inference.linear`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from longsurv import priors as pr
from longsurv.design import MixedDesign, Residual, mixed_design
from longsurv.inference.linear import sample_linear
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
    """

    formula: str
    data: pd.DataFrame
    patient: str

    @cached_property
    def design(self) -> MixedDesign:
        """The arrays of the model."""
        alone = Residual(patient=self.patient)
        return mixed_design(self.formula, self.data, alone, structured=True)

    def default_priors(self) -> dict[str, pr.Prior]:
        """Those of the coefficients and of sigma in the mixed model of the same formula."""
        given = LMM(f"{self.formula} + (1 | {self.patient})", self.data).default_priors()
        return {name: given[name] for name in (*self.design.fixed.names, "sigma")}

    def fit(self) -> LinearEstimate:
        """Least squares."""
        return least_squares(self, self.design)

    def sample(self, *, draws: int = 1000, chains: int = 2, seed: int = 1) -> LinearPosterior:
        """Independent draws from the posterior, in as many parts as there would be chains."""
        d, priors = self.design, self.default_priors()
        normal = [prior for prior in priors.values() if isinstance(prior, pr.Normal)]

        def log_prior(sigma: np.ndarray) -> np.ndarray:
            return np.array([pr.log_density(priors["sigma"], float(s))[0] for s in sigma])

        beta, sigma = sample_linear(
            d.fixed.X, d.y, np.array([p.mean for p in normal]), np.array([p.sd for p in normal]),
            log_prior, draws=draws * chains, seed=seed,
        )  # fmt: skip
        drawn = dict(zip(priors, [*beta.T, sigma], strict=True))
        return LinearPosterior(
            spec=self, design=d, names=d.fixed.names,
            samples={name: values.reshape(chains, draws) for name, values in drawn.items()},
            priors=priors, method="exact posterior draws", flags=self.fit().flags,
        )  # fmt: skip
