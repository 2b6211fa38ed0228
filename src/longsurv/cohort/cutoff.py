"""Which values are at or above a cut-off, of which some are known by a limit only."""

from __future__ import annotations

import numpy as np

LEFT, RIGHT = 1, 2
"""Codes of `Numbers.censored`."""


def at_or_above(value: np.ndarray, censored: np.ndarray, cutoff: float) -> np.ndarray:
    """Whether a value reaches the cut-off, shape (n,): one below its limit, which is no more than
    the cut-off, does not.

    Parameters
    ----------
    value : ndarray, shape (n,)
        Or the limit.
    censored : ndarray of int, shape (n,)
        0, `LEFT` or `RIGHT`.
    cutoff : float
    """
    return (value >= cutoff) & (censored != LEFT)


def undecided(value: np.ndarray, censored: np.ndarray, cutoff: float) -> np.ndarray:
    """Where nobody can say which, shape (n,); arguments as of `at_or_above`."""
    below, above = (censored == LEFT) & (value > cutoff), (censored == RIGHT) & (value < cutoff)
    return below | above
