"""Which columns of a design the ones before them already determine.

Columns beside a constant are judged by what varies in them: neither the unit nor the origin of a
column changes the verdict. One is determined by others where they leave no more of it than the
rounding of them all, or less than a ten-millionth of what varies in it (two ages a second apart):
the data cannot tell such columns apart. What only a far origin makes look alike, as the powers of a
calendar year, is judged again in centred variables.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

ALIKE = 1e-7
"""Share of a column's variation below which what others leave of it counts as nothing."""
ROUNDINGS = 16.0
"""How many roundings of its largest value a column is off by at most."""
CLEARLY = 1e-8
"""Smallest eigenvalue of the correlation-like cross products above which no column is close to a
combination of others."""
SMALL = 1e-140
"""Columns of such length have cross products that lose digits to underflow."""


def independent_columns(
    X: np.ndarray,
    beside_constant: bool = False,
    centred: Callable[[], np.ndarray | None] | None = None,
) -> np.ndarray:
    """Columns not determined by those before them, shape (p,) of bool.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    beside_constant : bool
        A column of ones, which X does not have, comes before all of them.
    centred : callable, optional
        Gives the same columns made of centred variables, or None where there are none; asked only
        if columns are nearly alike.
    """
    if X.shape[1] == 0 or len(X) == 0:
        return np.ones(X.shape[1], dtype=bool)
    crossed = X.T @ X
    if beside_constant:
        sums = np.ones(len(X)) @ X  # takes a fraction of the time of X.sum(axis=0)
        crossed = np.block([[np.full((1, 1), len(X)), sums[None]], [sums[:, None], crossed]])
    if clearly_independent(crossed):
        return np.ones(X.shape[1], dtype=bool)
    left, rounding = _left(X, beside_constant, np.zeros(X.shape[1], dtype=bool))
    keep = (left > rounding) & (left > ALIKE)
    doubtful = (left > rounding) & ~keep
    again = centred() if doubtful.any() and centred is not None else None
    if again is None or again.shape != X.shape or not _spans(again, X):
        return keep
    share, noise = _left(again, beside_constant, np.zeros(X.shape[1], dtype=bool))
    spared = doubtful & (share > noise) & (share > ALIKE)
    if not spared.any():
        return keep
    left, rounding = _left(X, beside_constant, spared)
    return (left > rounding) & ((left > ALIKE) | spared)


def clearly_independent(crossed: np.ndarray) -> bool:
    """Whether cross products of columns, shape (p, p), leave no doubt that each adds to the others.

    Parameters
    ----------
    crossed : ndarray, shape (p, p)
    """
    size = np.sqrt(np.diag(crossed))
    sizes = np.outer(size, size)
    sound = np.isfinite(size).all() and (size > SMALL).all()
    return bool(sound and np.linalg.eigvalsh(crossed / sizes)[0] > CLEARLY)


def combination(columns: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Weights with which columns (n, p) come closest to a target (n,) or (n, m), shape (p, ...).

    Solved in units in which every column's largest value is 1, so that a column in small units
    counts for as much as one in large units.
    """
    size = np.abs(columns).max(axis=0, initial=0.0)
    size = np.where(size > 0.0, size, 1.0)
    found = np.linalg.lstsq(columns / size, target, rcond=None)[0]
    return np.asarray((found.T / size).T)


def _spans(columns: np.ndarray, target: np.ndarray) -> bool:
    """Whether columns, with a constant, make others of the same scale up to rounding."""
    columns = np.column_stack([np.ones(len(columns)), columns])
    columns = columns / np.maximum(np.sqrt((columns**2).mean(axis=0)), SMALL)
    target = target / np.maximum(np.abs(target).max(axis=0), SMALL)
    rest = target - columns @ np.linalg.lstsq(columns, target, rcond=None)[0]
    return bool(np.abs(rest).max() <= ALIKE * ALIKE + 1e3 * np.finfo(float).eps)


def _left(
    X: np.ndarray, beside_constant: bool, spared: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What the columns kept before it leave of each, and how much of that is rounding, (p,) each.

    Both are shares of the column's variation, or of the column where no constant comes first.
    `spared` columns are kept whatever is left of them above rounding.
    """
    p = X.shape[1]
    largest = np.abs(X).max(axis=0)
    scaled = X / np.where(largest > 0.0, largest, 1.0)
    left, rounding = np.zeros(p), np.ones(p)
    eps = ROUNDINGS * np.finfo(float).eps
    flat = np.ptp(scaled, axis=0) <= eps
    start = 0
    if beside_constant or (flat[0] and largest[0] > 0.0):
        if not beside_constant:
            left[0], rounding[0], start = 1.0, 0.0, 1
        scaled = scaled - scaled.mean(axis=0)
        scaled = scaled - scaled.mean(axis=0)
    size = np.sqrt((scaled**2).sum(axis=0))
    noise = np.sqrt(len(X)) * eps / np.where(size > 0.0, size, 1.0)  # a share of the column
    alive = (largest > 0.0) & (size > np.sqrt(len(X)) * eps)
    units = scaled / np.where(size > 0.0, size, 1.0)
    basis = np.empty((len(X), 0))
    within = np.empty((0, 0))  # the kept columns are basis @ within
    kept: list[int] = []
    for j in range(start, p):
        if not alive[j]:
            continue
        along = basis.T @ units[:, j]
        rest = units[:, j] - basis @ along
        more = basis.T @ rest
        rest, along = rest - basis @ more, along + more
        weights = np.linalg.solve(within, along) if kept else np.empty(0)
        left[j] = np.sqrt(rest @ rest)
        rounding[j] = noise[j] + np.abs(weights) @ noise[kept]
        if left[j] > rounding[j] and (left[j] > ALIKE or spared[j]):
            grown = np.zeros((len(kept) + 1, len(kept) + 1))
            grown[:-1, :-1], grown[:-1, -1], grown[-1, -1] = within, along, left[j]
            basis, within = np.column_stack([basis, rest / left[j]]), grown
            kept.append(j)
    return left, rounding


def within(A: np.ndarray, B: np.ndarray) -> bool:
    """Whether the columns of B span those of A."""
    if B.shape[1] == 0:
        return A.shape[1] == 0
    left = np.abs(A - B @ combination(B, A)).max(axis=0, initial=0.0)
    # Against the spread: far from the origin every smooth curve is nearly a straight line.
    rounding = 1e3 * np.finfo(float).eps * np.abs(A).max(axis=0, initial=0.0)
    return bool((left <= 1e-8 * np.ptp(A, axis=0) + rounding).all())
