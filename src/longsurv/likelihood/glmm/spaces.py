"""Spaces that columns span."""

from __future__ import annotations

import numpy as np

ROUNDING = 1e-9
"""Singular values below this share of the largest are rounding."""


def null_space(A: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the x with A x = 0, in columns."""
    if len(A) == 0:
        return np.eye(A.shape[1])
    # Of the triangle, as a whole basis of the many rows is never needed.
    _, size, right = np.linalg.svd(np.linalg.qr(A, mode="r"), full_matrices=True)
    rank = int((size > ROUNDING * size.max(initial=0.0)).sum())
    return right[rank:].T
