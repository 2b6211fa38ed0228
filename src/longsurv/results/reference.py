"""Reference distributions for Wald tests of linear combinations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

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

    def df(self, row: np.ndarray) -> float:
        """Denominator degrees of freedom of one combination, weights of shape (p,)."""
        ...

    def f_test(self, params: np.ndarray, L: np.ndarray) -> tuple[float, float, float]:
        """F statistic, numerator and denominator degrees of freedom of L params = 0."""
        ...


@dataclass(frozen=True)
class NormalReference:
    """Large-sample reference: z for one combination, chi-squared over its rank for several.

    Attributes
    ----------
    cov : ndarray, shape (p, p)
    method : str
    flat : Flat, optional
    """

    cov: np.ndarray
    method: str = "normal"
    flat: Flat | None = None

    def df(self, row: np.ndarray) -> float:
        """Infinite."""
        return np.inf

    def f_test(self, params: np.ndarray, L: np.ndarray) -> tuple[float, float, float]:
        """Wald chi-squared divided by its degrees of freedom, on infinite denominator df."""
        return wald_f(params, self.cov, L), float(np.linalg.matrix_rank(L)), np.inf


def estimable(reference: Reference, L: np.ndarray) -> np.ndarray:
    """Which combinations, rows of L with shape (m, p), the data determine, shape (m,) of bool."""
    if reference.flat is None:
        return np.ones(len(L), dtype=bool)
    return reference.flat.estimable(L)


def wald_f(params: np.ndarray, cov: np.ndarray, L: np.ndarray) -> float:
    """(L b)' (L V L')^- (L b) / rank(L)."""
    estimate = L @ params
    return float(estimate @ np.linalg.pinv(L @ cov @ L.T) @ estimate / np.linalg.matrix_rank(L))


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
