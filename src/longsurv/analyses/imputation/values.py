"""Missing values given those seen: their mean, and draws, at values of a mixed model's parameters.

    y_missing | y_seen ~ N(mu_m + V_ms V_ss^-1 (y_s - mu_s),  V_mm - V_ms V_ss^-1 V_sm)

with mu composed by the assumption about what is missing, and V = Z D Z' + R.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from longsurv.analyses.imputation.arrays import RowArrays, by_patient
from longsurv.analyses.imputation.rows import ImputedRows
from longsurv.analyses.imputation.strategies import Strategy
from longsurv.likelihood.lmm.kernel import MixedKernel, Point
from longsurv.results.mixed.estimate import MixedEstimate
from longsurv.results.mixed.posterior import MixedPosterior


@dataclass(frozen=True, eq=False)
class GivenValues:
    """Values of a model's parameters, S of them.

    Attributes
    ----------
    beta : ndarray, shape (S, p)
    D : tuple of ndarray, shape (S, q_t, q_t)
        Of the random effects as the user has them.
    by_kind : ndarray, shape (S, K)
        Residual covariance of each kind of pair of the rows.
    """

    beta: np.ndarray
    D: tuple[np.ndarray, ...]
    by_kind: np.ndarray

    @classmethod
    def of(cls, kernel: MixedKernel, points: Sequence[Point], arrays: RowArrays) -> GivenValues:
        """From points of a kernel.

        Parameters
        ----------
        kernel : MixedKernel
        points : sequence of Point
        arrays : RowArrays
        """
        D = []
        for t, basis in enumerate(kernel.bases):
            back = np.linalg.inv(basis)
            D.append(np.array([back @ point.D[t] @ back.T for point in points]))
        if arrays.residual is None:
            by_kind = np.array([[point.sigma**2] for point in points])
        else:
            own = kernel.data.structure  # type: ignore[attr-defined]  # of residuals with one
            rows = arrays.of_residuals(own)
            by_kind = np.array(
                [rows.covariance(own.covariance_parameters(p.sigma, p.psi)) for p in points]
            )
        return cls(np.array([point.beta for point in points]), tuple(D), by_kind)


@dataclass(frozen=True, eq=False)
class Conditional:
    """Distribution of what is missing given what was seen.

    Attributes
    ----------
    rows : ImputedRows
    arrays : RowArrays
    strategy : Strategy
    reference : ndarray, shape (k, p), optional
        X with everybody in the reference group; None where the strategy needs none.
    other : ndarray of bool, shape (k,)
        Rows of patients of another group than the reference.
    """

    rows: ImputedRows
    arrays: RowArrays
    strategy: Strategy
    reference: np.ndarray | None
    other: np.ndarray

    @cached_property
    def places(self) -> np.ndarray:
        """Rows that are imputed, in the order of what `means` and `draws` return."""
        return np.flatnonzero(self.rows.asked)

    def from_posterior(
        self, posterior: object, chosen: Sequence[int], rng: np.random.Generator
    ) -> np.ndarray:
        """A draw at each chosen draw of the parameters, shape (S, a).

        Parameters
        ----------
        posterior : MixedPosterior
        chosen : sequence of int
        rng : numpy.random.Generator
        """
        assert isinstance(posterior, MixedPosterior)
        kernel, flat = posterior.kernel, posterior.draws.flat
        points = [kernel.point(flat[k]) for k in chosen]
        return self.draws(GivenValues.of(kernel, points, self.arrays), rng)

    def from_estimate(self, fit: object) -> np.ndarray:
        """Conditional means at an estimate, shape (a,).

        Parameters
        ----------
        fit : MixedEstimate
        """
        assert isinstance(fit, MixedEstimate)
        found: np.ndarray = self.means(GivenValues.of(fit.kernel, [fit.point], self.arrays))[0]
        return found

    def means(self, given: GivenValues) -> np.ndarray:
        """Conditional means, shape (S, a).

        Parameters
        ----------
        given : GivenValues
        """
        return self._values(given, None)

    def draws(self, given: GivenValues, rng: np.random.Generator) -> np.ndarray:
        """A draw at each value of the parameters, shape (S, a).

        Parameters
        ----------
        given : GivenValues
        rng : numpy.random.Generator
        """
        return self._values(given, rng.standard_normal((len(given.beta), len(self.places))))

    def _values(self, given: GivenValues, noise: np.ndarray | None) -> np.ndarray:
        out = np.empty((len(given.beta), len(self.places)))
        column = np.cumsum(self.rows.asked) - 1
        for of in self.rows.units:
            V = self.arrays.covariance(of, given.D, given.by_kind)
            mean, asked = self._mean(of, given.beta), self.rows.asked[of]
            cross, own = V[:, asked][:, :, ~asked], V[:, asked][:, :, asked]
            found = mean[:, asked]
            if not asked.all():
                solved = np.linalg.solve(V[:, ~asked][:, :, ~asked], np.swapaxes(cross, 1, 2))
                weights = np.swapaxes(solved, 1, 2)
                rest = self.rows.y[of][~asked] - mean[:, ~asked]
                found = found + (weights @ rest[:, :, None])[:, :, 0]
                own = own - cross @ solved
            where = column[of[asked]]
            if noise is not None:
                root = np.linalg.cholesky(0.5 * (own + np.swapaxes(own, 1, 2)))
                found = found + (root @ noise[:, where][:, :, None])[:, :, 0]
            out[:, where] = found
        return out

    def _mean(self, of: np.ndarray, beta: np.ndarray) -> np.ndarray:
        """Means of the rows of a unit, shape (S, m)."""
        mean: np.ndarray = beta @ self.arrays.X[of].T
        if self.reference is None:
            return mean
        reference = beta @ self.reference[of].T
        rows = self.rows
        return composed(
            mean, reference, rows.patient[of], rows.after[of], self.other[of], self.strategy
        )


def composed(
    own: np.ndarray,
    reference: np.ndarray,
    patient: np.ndarray,
    after: np.ndarray,
    other: np.ndarray,
    strategy: Strategy,
) -> np.ndarray:
    """Means of sorted rows under an assumption about what is missing, shape (S, m).

    Parameters
    ----------
    own, reference : ndarray, shape (S, m)
        Under each patient's own group, and under the reference group.
    patient : ndarray of int, shape (m,)
    after : ndarray of bool, shape (m,)
        After the patient's last value.
    other : ndarray of bool, shape (m,)
        Rows of patients of another group than the reference.
    strategy : Strategy
    """
    mean = own.copy()
    for _, rows in by_patient(patient):
        if other[rows].any():
            mean[:, rows] = strategy.mean(own[:, rows], reference[:, rows], after[rows])
    return mean
