"""Sufficient statistics of patients whose rows come in pieces, in any order.

As `statistics.prepare`, for more rows than memory holds: the triangle of (X, y) is known from a
pass before, and this one adds each row to its patient's sums.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from tempfile import TemporaryFile

import numpy as np
from numba import njit
from scipy.linalg import solve_triangular

from longsurv.likelihood.lmm.statistics import LMMData, random_basis
from longsurv.likelihood.lmm.sums import LANES

SPILLED = 4 * 2**30
"""Bytes of statistics from which on they are in a file, which the system keeps in memory as far as
there is some."""

type Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""X (m, p), y (m,), Z (m, q) and patient (m,)."""


def prepare_streamed(
    pieces: Iterable[Rows],
    triangle: np.ndarray,
    random_triangle: np.ndarray,
    n_rows: int,
    n_groups: int,
    blocks: tuple[int, ...],
    spilled: int = SPILLED,
) -> tuple[LMMData, float]:
    """Reduce rows that come in pieces to sufficient statistics.

    Parameters
    ----------
    pieces : iterable of (X, y, Z, group)
        Shapes (m, p), (m,), (m, q) and (m,) each.
    triangle : ndarray, shape (p + 1, p + 1)
        R of a QR decomposition of all rows (X, y).
    random_triangle : ndarray, shape (q, q)
        That of all rows Z.
    n_rows, n_groups : int
        Rows and patients.
    blocks : tuple of int
        How many neighbouring columns of Z each block of correlated effects has.
    spilled : int
        Bytes from which on the statistics are in a temporary file.

    Returns
    -------
    data : LMMData
    rest : float
        Largest absolute residual of the least-squares fit over the largest absolute response.
    """
    p = len(triangle) - 1
    signs = np.where(np.diag(triangle)[:p] < 0.0, -1.0, 1.0)[:, None]
    r, fit = triangle[:p, :p] * signs, triangle[:p, p] * signs[:, 0]
    beta = solve_triangular(r, fit, lower=False)
    z_basis, z_scale = random_basis(random_triangle, blocks, rows=n_rows)
    to_own, q, full = np.linalg.inv(z_basis), len(z_basis), -(-n_groups // LANES)
    ztz, ztw = _room((full, q, q, LANES), spilled), _room((full, q, p + 1, LANES), spilled)
    cross, largest, rest = np.zeros((p + 1, p + 1)), 0.0, 0.0
    for X, y, Z, group in pieces:
        W = np.empty((len(y), p + 1))
        W[:, :p] = solve_triangular(r, X.T, trans="T").T
        W[:, p] = y - X @ beta
        cross += W.T @ W
        rest, largest = max(rest, np.abs(W[:, p]).max()), max(largest, np.abs(y).max())
        _add(ztz, ztw, np.ascontiguousarray(Z @ to_own), W, group)
    data = LMMData(
        blocks=(ztz, ztw), cross=cross, r=r, beta_ols=beta, z_basis=z_basis, z_scale=z_scale,
        nobs=n_rows, log_weights=np.zeros(n_groups),
    )  # fmt: skip
    return data, float(rest / largest) if largest else 0.0


def _room(shape: tuple[int, ...], spilled: int) -> np.ndarray:
    """Zeros; in a file that nobody else sees, if they are many."""
    size = 8 * int(np.prod(shape))
    if size < spilled:
        return np.zeros(shape)
    with TemporaryFile() as file:
        file.truncate(size)
        # The mapping keeps the file, which has no name, as long as the array lives.
        return np.frombuffer(mmap.mmap(file.fileno(), size)).reshape(shape)


@njit(cache=True, nogil=True, error_model="numpy")
def _add(ztz, ztw, own, W, group):
    n, q = own.shape
    k = W.shape[1]
    for i in range(n):
        block, lane = divmod(group[i], LANES)
        for a in range(q):
            z = own[i, a]
            for b in range(q):
                ztz[block, a, b, lane] += z * own[i, b]
            for b in range(k):
                ztw[block, a, b, lane] += z * W[i, b]
