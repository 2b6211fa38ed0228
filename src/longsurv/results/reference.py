"""Reference distributions for Wald tests of linear combinations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from longsurv.inference import Flat


class Reference(Protocol):
    """How uncertain the coefficients are, and against which distribution a statistic is held."""

    @property
    def method(self) -> str:
        """Its name, as printed."""
        ...

    @property
    def cov(self) -> np.ndarray:
        """Covariance of the coefficients, shape (p, p)."""
        ...

    @property
    def flat(self) -> Flat | None:
        """Directions of the coefficients that the data do not determine; None where there are
        none. Combinations that move along one have no estimate."""
        ...

    @property
    def root(self) -> np.ndarray | None:
        """A root of `cov` that has its digits, where there is one; see `combination_variances`."""
        ...

    def df(self, row: np.ndarray) -> float:
        """Denominator degrees of freedom of one combination, weights of shape (p,)."""
        ...

    def f_test(self, params: np.ndarray, L: np.ndarray) -> tuple[float, float, float]:
        """F statistic, numerator and denominator degrees of freedom of L params = 0."""
        ...


@dataclass(frozen=True)
class NormalReference:
    """Large-sample reference: z for one combination, chi-squared over its rank for several.

    With residual degrees of freedom it is the exact one of least squares: Student's t, and F.

    Attributes
    ----------
    cov : ndarray, shape (p, p)
    method : str
    flat : Flat, optional
    root : ndarray, shape (p, k), optional
        With cov = root @ root.T, of the coordinates in which the model was fitted; see
        `combination_variances`.
    residual_df : float
    """

    cov: np.ndarray
    method: str = "normal"
    flat: Flat | None = None
    root: np.ndarray | None = None
    residual_df: float = np.inf

    def df(self, row: np.ndarray) -> float:
        """The residual degrees of freedom, which are infinite in large samples.

        Parameters
        ----------
        row : ndarray, shape (p,)
            Weights of the coefficients.

        Returns
        -------
        float
        """
        return self.residual_df

    def f_test(self, params: np.ndarray, L: np.ndarray) -> tuple[float, float, float]:
        """F statistic, numerator and denominator degrees of freedom of L params = 0.

        Parameters
        ----------
        params : ndarray, shape (p,)
        L : ndarray, shape (r, p)

        Returns
        -------
        tuple of float
        """
        statistic, rank = wald_f(L @ params, covariance_of(self, L))
        return statistic, rank, self.residual_df


@dataclass(frozen=True)
class DegreesOf:
    """The degrees of freedom of another model of the same rows and columns.

    Attributes
    ----------
    reference : Reference
        Of that model.
    least : float
        Degrees of freedom where it has none.
    """

    reference: Reference
    least: float

    def df(self, row: np.ndarray) -> float:
        """Of one combination, weights of shape (p,).

        Parameters
        ----------
        row : ndarray, shape (p,)

        Returns
        -------
        float
        """
        return self._or_least(self.reference.df(row)) if np.any(row) else np.nan

    def joint(self, L: np.ndarray) -> float:
        """Denominator degrees of freedom of several, rows of L with shape (r, p).

        Parameters
        ----------
        L : ndarray, shape (r, p)

        Returns
        -------
        float
        """
        return self._or_least(self.reference.f_test(np.zeros(L.shape[1]), L)[2])

    def _or_least(self, found: float) -> float:
        return found if np.isfinite(found) and found > 0.0 else self.least


class Degrees(Protocol):
    """Degrees of freedom, which may be worked out when they are first asked for."""

    @property
    def method(self) -> str:
        """What they are, in words."""

    def df(self, row: np.ndarray) -> float:
        """Of one combination, weights of shape (p,)."""

    def joint(self, L: np.ndarray) -> float:
        """Denominator degrees of freedom of several, rows of L with shape (r, p)."""


@dataclass(frozen=True)
class StudentReference:
    """Student's t and F on the degrees of freedom of another model.

    Attributes
    ----------
    cov : ndarray, shape (p, p)
    degrees : Degrees
    flat : Flat, optional
    root : ndarray, optional
        See `NormalReference`.
    """

    cov: np.ndarray
    degrees: Degrees
    flat: Flat | None = None
    root: np.ndarray | None = None

    @property
    def method(self) -> str:
        """What the degrees of freedom are, in words."""
        return self.degrees.method

    def df(self, row: np.ndarray) -> float:
        """Degrees of freedom of one combination, weights of shape (p,).

        Parameters
        ----------
        row : ndarray, shape (p,)

        Returns
        -------
        float
        """
        return self.degrees.df(row)

    def f_test(self, params: np.ndarray, L: np.ndarray) -> tuple[float, float, float]:
        """F statistic, numerator and denominator degrees of freedom of L params = 0.

        Parameters
        ----------
        params : ndarray, shape (p,)
        L : ndarray, shape (r, p)

        Returns
        -------
        tuple of float
        """
        statistic, rank = wald_f(L @ params, covariance_of(self, L))
        return statistic, rank, self.degrees.joint(L)


def normal_reference(inner: np.ndarray, to: np.ndarray) -> NormalReference:
    """Of coefficients `to` (p, k) times those with covariance `inner` (k, k)."""
    root = root_of(inner, to)
    return NormalReference(root @ root.T, root=root)


def estimable(reference: Reference, L: np.ndarray) -> np.ndarray:
    """Which combinations, rows of L with shape (m, p), the data determine, shape (m,) of bool."""
    if reference.flat is None:
        return np.ones(len(L), dtype=bool)
    return reference.flat.estimable(L)


def degrees(reference: Reference, L: np.ndarray) -> np.ndarray:
    """Degrees of freedom of combinations, rows of L with shape (m, p), shape (m,); NaN for those
    that the data do not determine."""
    known = estimable(reference, L)
    df = [reference.df(row) if k else np.nan for row, k in zip(L, known, strict=True)]
    return np.array(df, dtype=float)


def root_of(inner: np.ndarray, to: np.ndarray) -> np.ndarray:
    """A root of to @ inner @ to.T, from a covariance matrix (k, k) and a map (p, k)."""
    values, vectors = np.linalg.eigh(inner)
    return to @ (vectors * np.sqrt(np.maximum(values, 0.0)))


def covariance_of(reference: Reference, L: np.ndarray) -> np.ndarray:
    """Covariance (m, m) of combinations, rows of L with shape (m, p).

    By the root where there is one: far from the origin (a curve in calendar years) the elements of
    the covariance matrix are so large that their sums have no digits left.
    """
    if reference.root is None:
        return L @ reference.cov @ L.T
    half = L @ reference.root
    return half @ half.T


def combination_variances(reference: Reference, L: np.ndarray) -> np.ndarray:
    """Variances of combinations, rows of L with shape (m, p); shape (m,). See `covariance_of`."""
    if reference.root is None:
        return np.maximum(np.einsum("ij,jk,ik->i", L, reference.cov, L), 0.0)
    return ((L @ reference.root) ** 2).sum(axis=1)


def wald_f(estimate: np.ndarray, cov: np.ndarray) -> tuple[float, float]:
    """b' V^- b / rank(V) and the rank, of combinations b (m,) with covariance V (m, m).

    V is scaled to unit diagonal first, so that no unit decides which of them are the same.
    """
    scale = np.sqrt(np.diag(cov))
    scale = np.where(scale > 0.0, scale, 1.0)
    values, vectors = np.linalg.eigh(cov / np.outer(scale, scale))
    kept = values > 1e-10 * values[-1]
    rank = float(kept.sum())
    parts = (vectors[:, kept].T @ (estimate / scale)) ** 2 / values[kept]
    return float(parts.sum() / rank), rank


def t_quantile(level: float, df: float) -> float:
    """Two-sided quantile of Student's t (normal for infinite df)."""
    from scipy.special import ndtri, stdtrit

    p = 0.5 + level / 2.0
    return float(ndtri(p)) if np.isinf(df) else float(stdtrit(df, p))


def t_p_value(statistic: float, df: float) -> float:
    """Two-sided p value of Student's t (normal for infinite df)."""
    from scipy.special import ndtr, stdtr

    if np.isnan(statistic):
        return np.nan
    return float(2.0 * (ndtr(-abs(statistic)) if np.isinf(df) else stdtr(df, -abs(statistic))))


def no_variance_test(term: str, statistic: float, at_zero: bool) -> pd.DataFrame:
    """The likelihood-ratio test of a variance that cannot be below 0 (Self & Liang 1987).

    Parameters
    ----------
    term : str
        Its standard deviation.
    statistic : float
        Twice the difference of the log-likelihoods.
    at_zero : bool
        Whether 0 is the estimate.

    Returns
    -------
    DataFrame
        One row: term, statistic, p_value, method.
    """
    p = 1.0 if at_zero else 0.5 * float(chi2_p_value(statistic, 1.0))
    method = "0.5 chi-squared(0) + 0.5 chi-squared(1)"
    return pd.DataFrame([{"term": term, "statistic": statistic, "p_value": p, "method": method}])


def chi2_p_value(
    statistic: float | np.ndarray | pd.Series, df: float | np.ndarray | pd.Series
) -> np.ndarray:
    """Upper tail of the chi-squared distribution; 1 below 0, which is rounding, and NaN without
    degrees of freedom."""
    from scipy.special import chdtrc

    with np.errstate(invalid="ignore"):
        above = np.asarray(chdtrc(df, np.maximum(statistic, 0.0)), dtype=float)
        p: np.ndarray = np.where(np.asarray(df) > 0, above, np.nan)
    return p
