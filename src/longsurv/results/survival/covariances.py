"""Covariances of a Cox model's coefficients, from an information that may be singular."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dposv

from longsurv.inference import identify


def among_all(cov: np.ndarray, kept: np.ndarray, p: int) -> np.ndarray:
    """A covariance of some coefficients among all p, 0 for the others."""
    if len(kept) == p:
        return cov
    out = np.zeros((p, p))
    out[np.ix_(kept, kept)] = cov
    return out


def inverse(information: np.ndarray) -> np.ndarray:
    """Inverse by Cholesky's factor, whatever the units; by what is determined if there is none."""
    if len(information):
        # not dpotri, of which OpenBLAS makes threads however small the matrix
        _, found, singular = dposv(information, np.eye(len(information)))
        if not singular:
            return 0.5 * (found + found.T)
    return identify(information).cov


def quadratic_form(x: np.ndarray, V: np.ndarray) -> float:
    """x' V^-1 x; NaN where V is singular."""
    found = identify(V)
    return np.nan if found.flat else float(x @ found.cov @ x)
