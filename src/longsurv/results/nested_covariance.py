"""Whether the covariance of one mixed model's measurements is a case of another's."""

from __future__ import annotations

import numpy as np

from longsurv.design import MixedDesign
from longsurv.design.rank import within
from longsurv.design.residual import ResidualDesign

_FREE = {
    "toeplitz": ("cs", "ar1", "exponential"),
    "unstructured": ("cs", "ar1", "exponential", "toeplitz"),
}
"""Kinds of correlation that one with a parameter for each kind of pair can be, where its kinds of
pairs tell those of the other apart."""


def not_nested(smaller: MixedDesign, larger: MixedDesign) -> str:
    """Why the covariance of the smaller model is no case of that of the larger; empty if it is.

    Both are of the same rows. What is fixed, as weights, has to be the same; effects that a model
    has correlated lie in correlated ones of the larger; and of residuals the larger tells every
    standard deviation and every correlation apart that the smaller does.
    """
    if not np.array_equal(_weights(smaller), _weights(larger)):
        return "the rows have other weights"
    for mine in smaller.groupings:
        theirs = [g for g in larger.groupings if g.name == mine.name]
        blocks = [block for g in theirs for block in _blocks(g.random.X, g.random.blocks)]
        for block in _blocks(mine.random.X, mine.random.blocks):
            if not any(within(block, other) for other in blocks):
                return f"random effects of {mine.name} are correlated with others"
    if smaller.residual is None or smaller.residual.spec.trivial:
        return ""
    if larger.residual is None:
        return "residuals are alike in the larger model"
    return _residuals(smaller, larger, smaller.residual, larger.residual)


def _weights(design: MixedDesign) -> np.ndarray:
    return np.ones(len(design.y)) if design.weights is None else design.weights.values


def _blocks(Z: np.ndarray, sizes: tuple[int, ...]) -> list[np.ndarray]:
    return np.split(Z, np.cumsum(sizes)[:-1], axis=1) if sizes else []


def _residuals(
    smaller: MixedDesign, larger: MixedDesign, a: ResidualDesign, b: ResidualDesign
) -> str:
    if not _told_apart(_cells(a), _cells(b)):
        return "residual standard deviations differ between other rows"
    if not a.spec.correlated:
        return ""
    if not np.array_equal(smaller.group, larger.group):
        return "residuals are correlated within other groups"
    if a.spec.apart and not (b.spec.apart and b.spec.by == a.spec.by):
        return "groups have correlations of their own"
    known = a.spec.kind == b.spec.kind or a.spec.kind in _FREE.get(b.spec.kind, ())
    if known and _told_apart(_correlations(a), _correlations(b)):
        return ""
    return f"residual correlations {a.spec.kind!r} are no case of {b.spec.kind!r}"


def _cells(design: ResidualDesign) -> np.ndarray:
    """Which standard deviation each row has, shape (n,)."""
    own = design.kind[design.lag[design.kind] == 0.0]  # of each row with itself
    visit = design.first[own] if design.spec.heterogeneous else np.zeros_like(own)
    group = np.zeros_like(own) if design.groups is None else design.groups.first[own]
    cells = np.empty_like(own)
    cells[design.order] = group * len(design.levels) + visit
    return cells


def _correlations(design: ResidualDesign) -> np.ndarray:
    """Which correlation each ordered pair of a patient's rows has, patient by patient."""
    if design.spec.correlation.by_pair:
        m = len(design.levels)
        low, high = np.minimum(design.first, design.second), np.maximum(design.first, design.second)
        return (low * m + high)[design.kind]
    if design.spec.kind == "cs":
        return np.minimum(design.lag, 1.0)[design.kind]
    return design.lag[design.kind]


def _told_apart(mine: np.ndarray, theirs: np.ndarray) -> bool:
    """Whether what differs in mine differs in theirs too."""
    both = np.unique(np.column_stack([mine, theirs]), axis=0)
    return len(np.unique(both[:, 1])) == len(both)
