from __future__ import annotations

import sys
from collections import namedtuple

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.lent import kept, lent, only_read

Rows = namedtuple("Rows", "y first")
Pair = namedtuple("Pair", "room other")  # of one type
Own = namedtuple("Own", "rows pair")


@njit
def _sums(y, first, out):
    """Sums of the rows of each group, by way of slices of arrays of its own."""
    own = Own(Rows(y.copy(), first), Pair(np.zeros(len(y)), np.zeros(1)))
    rows, (room, _) = lent(own)
    out = lent(out)
    for i in range(len(rows.first) - 1):
        part = rows.y[rows.first[i] : rows.first[i + 1]]
        room[: len(part)] = part
        np.full(len(y), np.nan)  # takes the place of anything that was let go
        out[i] = room[: len(part)].sum()
    kept(own)
    return own.pair.room


def test_lent_arrays_hold_what_their_owners_hold() -> None:
    y, first = np.arange(1000.0), np.array([0, 300, 301, 1000])
    out = np.zeros(3)
    _sums(y, first, out)  # compiled
    before = [sys.getrefcount(a) for a in (y, first, out)]
    for _ in range(200):
        room = _sums(y, first, out)
    np.testing.assert_array_equal(out, np.add.reduceat(y, first[:-1]))
    np.testing.assert_array_equal(room[:699], y[301:])
    assert [sys.getrefcount(a) for a in (y, first, out)] == before


@njit
def _total(x):
    total = 0.0
    for value in x:
        total += value
    return total


@njit
def _of_both(given):
    own = given + 1.0
    return _total(given) + _total(only_read(own)), own


def test_what_is_only_read_is_compiled_once_and_held_once() -> None:
    given = np.arange(1000.0)
    given.flags.writeable = False
    _of_both(given)  # compiled
    before = sys.getrefcount(given)
    for _ in range(200):
        total, own = _of_both(given)
    assert sys.getrefcount(given) == before
    assert total == 2 * given.sum() + 1000.0
    own[0] = 5.0  # it is the caller's, as writable as it was
    assert len(_total.signatures) == 1
