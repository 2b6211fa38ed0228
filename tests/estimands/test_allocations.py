"""Sums of scores under every allocation, against enumeration."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from longsurv.estimands import allocations
from longsurv.estimands.allocations import _too_many, allocated


def enumerated(scores: np.ndarray, n: int) -> dict[tuple[int, ...], float]:
    """Every choice of n rows, one by one."""
    sums = [tuple(scores[list(one)].sum(axis=0)) for one in combinations(range(len(scores)), n)]
    return {value: sums.count(value) / len(sums) for value in set(sums)}


@pytest.mark.parametrize("K", [1, 3])
@pytest.mark.parametrize("n", [0, 1, 4, 9])
def test_the_distribution_is_that_of_enumeration(K: int, n: int) -> None:
    rng = np.random.default_rng(7)
    scores = rng.integers(-3, 4, (5, K))[rng.integers(0, 5, 9)]
    found = allocated(scores, n)
    as_named = {tuple(t): p for t, p in zip(found.total, found.probability, strict=True)}
    assert len(as_named) == len(found.total)
    assert as_named == pytest.approx(enumerated(scores, n))


def test_independent_sums_add() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.integers(0, 3, (6, 2)), rng.integers(0, 3, (5, 2))
    found = allocated(one, 2).plus(allocated(other, 3))
    wanted: dict[tuple[int, ...], float] = {}
    for a, p in enumerated(one, 2).items():
        for b, q in enumerated(other, 3).items():
            total = tuple(np.add(a, b))
            wanted[total] = wanted.get(total, 0.0) + p * q
    as_named = {tuple(t): p for t, p in zip(found.total, found.probability, strict=True)}
    assert as_named == pytest.approx(wanted)


def test_what_is_too_large_is_not_written_down(monkeypatch) -> None:
    scores = np.arange(12)[:, None] ** np.array([[1, 2]])
    whole = allocated(scores, 6)
    monkeypatch.setattr(allocations, "MOST_STATES", 50)
    assert allocated(scores, 6) is None and allocated(scores[:, :1] ** 3, 6) is None
    assert whole.plus(whole) is None


@pytest.mark.parametrize(("times", "n"), [((1, 3, 2), 3), ((4, 1), 2), ((1,) * 8, 6), ((2, 5), 7)])
def test_choices_are_counted(monkeypatch, times: tuple[int, ...], n: int) -> None:
    """By writing them out."""
    written = sum(sum(one) == n for one in product(*(range(m + 1) for m in times)))
    for most in (written - 1, written):
        monkeypatch.setattr(allocations, "MOST_STATES", most)
        assert _too_many(np.array(times), n) == (most < written)


def test_many_patients_are_told_at_once_not_to_be_written_down() -> None:
    scores = np.random.default_rng(1).integers(0, 10**9, (100_000, 2))
    assert allocated(scores, 40_000) is None
