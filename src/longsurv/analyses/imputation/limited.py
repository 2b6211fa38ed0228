"""Values that are missing, and values known by limits only, given all that was seen of a patient.

The model is that of a response of which some values lie beyond a limit of detection (`GLMM` of the
family "censored"):

    y_ij = x_ij' beta + z_ij' b_i + e_ij,   b_i ~ N(0, D),   e_ij ~ N(0, sigma^2)

Given the parameters b_i is drawn from its distribution given the patient's values and limits; then
y_ij is independent of the others: normal where it is missing, and where it is known by a limit
normal within that limit. So the values drawn of a patient are drawn together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import ndtr, ndtri

from longsurv.analyses.imputation.arrays import check_means
from longsurv.analyses.imputation.rows import ImputedRows
from longsurv.analyses.imputation.strategies import Strategy
from longsurv.analyses.imputation.values import composed
from longsurv.diagnostics.quantile_residuals import drawn_effects
from longsurv.errors import LongsurvError
from longsurv.likelihood.glmm import to_factor
from longsurv.likelihood.glmm.data import GLMMData
from longsurv.models.glmm import GLMM
from longsurv.results.generalised.estimate import GeneralisedEstimate
from longsurv.results.generalised.posterior import GeneralisedPosterior
from longsurv.results.generalised.quantities import conditional, factor
from longsurv.words import plural


def check_limited(model: GLMM) -> None:
    """Refuse a generalised model that values are not imputed from.

    Raises
    ------
    LongsurvError
    """
    if model.family != "censored":
        raise LongsurvError(
            f"values are imputed from an LMM, or of a response with limits from a GLMM of family"
            f" 'censored'; this one is {model.family!r}"
        )
    if model.design.offset_term:
        raise LongsurvError(
            f"{model.formula!r} has an offset; subtract it from the response instead"
        )


@dataclass(frozen=True, eq=False)
class LimitedRows:
    """What a censored model has of the rows seen and to impute.

    Attributes
    ----------
    X : ndarray, shape (k, p)
    Z : ndarray, shape (k, q)
        As the user has them.
    home : ndarray of int, shape (k,)
        The patient's place among those of the fit; -1 of one without any value.
    y, extent : ndarray, shape (k,)
        A value lies between y and y + extent; NaN where it is missing.
    fitted : ndarray of int, shape (n,)
        Of the rows of the kernel, which of these they are.
    """

    X: np.ndarray
    Z: np.ndarray
    home: np.ndarray
    y: np.ndarray
    extent: np.ndarray
    fitted: np.ndarray

    @classmethod
    def of(cls, model: GLMM, rows: ImputedRows) -> LimitedRows:
        """The arrays of the rows under a model.

        Parameters
        ----------
        model : GLMM
        rows : ImputedRows

        Raises
        ------
        DataError
            If the rows that were seen do not determine the mean of one to impute.
        """
        design, frame = model.design, rows.frame
        check_means(design, frame, rows)
        place = np.full(len(model.data), -1)
        place[rows.at] = np.arange(len(rows.at))
        own = place[design.rows]
        y, extent = np.full((2, len(rows.at)), np.nan)
        y[own], extent[own] = design.y, design.extent
        home = np.full(len(rows.at), -1)
        home[own] = design.group
        known = np.full(int(rows.patient.max()) + 1, -1)
        known[rows.patient[own]] = design.group
        if design.outer and (known < 0).any():
            raise LongsurvError(
                f"{model.formula!r} has random effects of sites, and"
                f" {plural(int((known < 0).sum()), 'patient')} without any value: their own effects"
                " and their site's are not drawn together yet; leave these patients out"
            )
        fitted = own[np.argsort(design.group, kind="stable")]
        return cls(
            design.fixed.rebuild(frame), design.effects.rebuild(frame), known[rows.patient],
            y, extent, fitted,
        )  # fmt: skip

    @property
    def limited(self) -> np.ndarray:
        """Values known by limits only, shape (k,) of bool."""
        found: np.ndarray = np.isfinite(self.y) & (self.extent != 0.0)
        return found

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Between which a value lies, shape (k,) each; all numbers where it is missing."""
        other = self.y + self.extent
        low, high = np.minimum(self.y, other), np.maximum(self.y, other)
        seen = np.isfinite(self.y)
        return np.where(seen, low, -np.inf), np.where(seen, high, np.inf)


@dataclass(frozen=True, eq=False)
class LimitedConditional:
    """Distribution of what is missing or known by limits given what was seen.

    Attributes
    ----------
    rows : ImputedRows
    arrays : LimitedRows
    strategy : Strategy
    reference : ndarray, shape (k, p), optional
        X with everybody in the reference group; None where the strategy needs none.
    other : ndarray of bool, shape (k,)
        Rows of patients of another group than the reference.
    """

    rows: ImputedRows
    arrays: LimitedRows
    strategy: Strategy
    reference: np.ndarray | None
    other: np.ndarray

    @cached_property
    def places(self) -> np.ndarray:
        """Rows that are imputed, in the order of what `draws` and `means` return."""
        return np.flatnonzero(self.rows.asked | self.arrays.limited)

    def from_posterior(
        self, posterior: object, chosen: Sequence[int], rng: np.random.Generator
    ) -> np.ndarray:
        """A draw at each chosen draw of the parameters, shape (S, a).

        Parameters
        ----------
        posterior : GeneralisedPosterior
        chosen : sequence of int
        rng : numpy.random.Generator
        """
        assert isinstance(posterior, GeneralisedPosterior)
        data, flat = posterior.data, posterior.draws.flat
        return self.draws(data, [to_factor(data, flat[k]) for k in chosen], rng)

    def from_estimate(self, fit: object) -> np.ndarray:
        """Conditional means at an estimate, shape (a,).

        Parameters
        ----------
        fit : GeneralisedEstimate
        """
        assert isinstance(fit, GeneralisedEstimate)
        return self.means(fit.data, fit.theta)

    def draws(
        self, data: GLMMData, thetas: Iterable[np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """A draw at each value of the parameters, shape (S, a).

        Parameters
        ----------
        data : GLMMData
        thetas : iterable of ndarray, shape (d,)
            As for `loglik_factor`.
        rng : numpy.random.Generator
        """
        low, high = (end[self.places] for end in self.arrays.bounds)
        out = []
        for theta in thetas:
            mean, moved = self._means(data, theta)
            root = factor(data, theta)
            b = drawn_effects(moved, theta, rng).of_patients(moved) @ data.effects.T
            new = rng.standard_normal((self._new.max(initial=-1) + 1, len(root))) @ root.T
            at = mean + self._random_part(b, new)
            sigma = float(np.exp(theta[data.p]))
            share = rng.random(len(self.places))
            out.append(within(at[self.places], sigma, low, high, share))
        return np.array(out)

    def means(self, data: GLMMData, theta: np.ndarray) -> np.ndarray:
        """Conditional means, shape (a,).

        Parameters
        ----------
        data : GLMMData
        theta : ndarray, shape (d,)
        """
        mean, moved = self._means(data, theta)
        nodes, weights = conditional(moved, theta)
        sigma = float(np.exp(theta[data.p]))
        places, home = self.places, self.arrays.home[self.places]
        known = np.maximum(home, 0)
        shift = np.einsum("aq,akq->ak", self.arrays.Z[places], nodes[known])
        shift = np.where(home[:, None] >= 0, shift, 0.0)
        low, high = (end[places][:, None] for end in self.arrays.bounds)
        values = mean_within(mean[places][:, None] + shift, sigma, low, high)
        found: np.ndarray = np.einsum("ak,ak->a", weights[known], values)
        return found

    @cached_property
    def _new(self) -> np.ndarray:
        """The place of each row's patient among those without any value, or -1, shape (k,)."""
        lost = self.arrays.home < 0
        found = np.full(len(lost), -1)
        found[lost] = np.unique(self.rows.patient[lost], return_inverse=True)[1]
        return found

    def _random_part(self, b: np.ndarray, new: np.ndarray) -> np.ndarray:
        home = self.arrays.home
        own = b[np.maximum(home, 0)]
        if len(new):
            own = np.where(home[:, None] >= 0, own, new[np.maximum(self._new, 0)])
        found: np.ndarray = np.einsum("kq,kq->k", self.arrays.Z, own)
        return found

    def _means(self, data: GLMMData, theta: np.ndarray) -> tuple[np.ndarray, GLMMData]:
        """Means of the rows without random effects, shape (k,), and the rows that were seen with
        those that the assumption gives them."""
        beta = theta[: data.p]
        plain = self.arrays.X @ beta
        if self.reference is None:
            return plain, data
        mean = composed(
            plain[None, :], (self.reference @ beta)[None, :], self.rows.patient, self.rows.after,
            self.other, self.strategy,
        )[0]  # fmt: skip
        fitted = self.arrays.fitted
        return mean, replace(data, offset=data.offset + (mean - plain)[fitted])


def within(
    mean: np.ndarray, sigma: float, low: np.ndarray, high: np.ndarray, share: np.ndarray
) -> np.ndarray:
    """Quantiles of normal variables between their bounds.

    Parameters
    ----------
    mean : ndarray, shape (a,)
    sigma : float
    low, high : ndarray, shape (a,)
    share : ndarray, shape (a,)
        Of the probability between the bounds.

    Returns
    -------
    ndarray, shape (a,)
    """
    a, b, turned = _from_the_lower_tail(mean, sigma, low, high)
    share = np.where(turned, 1.0 - share, share)
    at_a, at_b = ndtr(a), ndtr(b)
    z = ndtri(at_a + share * (at_b - at_a))
    z = np.where(np.isfinite(z), z, b)  # so far out that the nearer bound is all there is
    found: np.ndarray = np.clip(mean + sigma * np.where(turned, -z, z), low, high)
    return found


def mean_within(mean: np.ndarray, sigma: float, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Means of normal variables between their bounds; arguments as for `within`, of any shape."""
    a, b, turned = _from_the_lower_tail(mean, sigma, low, high)
    mass = ndtr(b) - ndtr(a)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (_density(a) - _density(b)) / mass
    z = np.where(mass > 0.0, z, b)
    found: np.ndarray = np.clip(mean + sigma * np.where(turned, -z, z), low, high)
    return found


def _density(z: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
    return found


def _from_the_lower_tail(
    mean: np.ndarray, sigma: float, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bounds in standard deviations, turned where both are above the mean, and where they are."""
    a, b = (low - mean) / sigma, (high - mean) / sigma
    turned = a > 0.0
    first, last = np.where(turned, -b, a), np.where(turned, -a, b)
    return first, last, turned
