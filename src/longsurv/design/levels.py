"""Factors of three or more levels, whose columns are of differences from one of them.

The coefficients of a factor are differences from its reference. Independent priors on these say
that two levels differ more from each other than from the reference, and so depend on which level
that is. Level effects a_1 ... a_K that are exchangeable, independent N(0, s^2 / 2), make every
difference a_k - a_ref N(0, s^2), with covariance s^2 (I + 11') / 2 between those that share the
reference: the same prior of the same model whichever level is left out. With L L' = (I + 11') / 2
the elements of L^-1 b are independent N(0, s^2). For two levels that is the usual prior.

Levels' effects that vary between patients, as in ``(C(visit) | id)``, keep the prior of what is
written: of the standard deviations of differences from the reference.

Other contrasts b = G a have L L' = G G' / 2, and a product of factors the Kronecker product of
theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import product

import numpy as np

type Alike = tuple[tuple[int, ...], np.ndarray]
"""Positions of the k columns of a term's contrasts, and L, shape (k, k)."""

FEWEST = 3
"""Levels from which on it matters which one is the reference."""


@dataclass(frozen=True, eq=False)
class Coding:
    """The columns of one factor of a formula.

    Attributes
    ----------
    reduced : mapping of str to ndarray, shape (n,)
        By name, beside an intercept: contrasts of a category.
    full : mapping of str to ndarray, shape (n,)
        Without one: an indicator of each level.
    """

    reduced: dict[str, np.ndarray]
    full: dict[str, np.ndarray]

    @cached_property
    def indicators(self) -> bool:
        """Whether this is a category, with a row for every level."""
        if len(self.reduced) != len(self.full) - 1:
            return False
        full = np.column_stack(list(self.full.values()))
        ones = ((full == 0.0) | (full == 1.0)).all() and (full.sum(axis=1) == 1.0).all()
        return bool(ones and full.any(axis=0).all())

    @cached_property
    def root(self) -> np.ndarray | None:
        """L of the contrasts, shape (K - 1, K - 1); None for what is no category of at least three
        levels."""
        size = len(self.full)
        if size < FEWEST or not self.indicators:
            return None
        full, reduced = (np.column_stack(list(c.values())) for c in (self.full, self.reduced))
        contrasts = reduced[full.argmax(axis=0)]
        if not (full @ contrasts == reduced).all():
            return None
        differences = np.linalg.inv(np.column_stack([np.ones(size), contrasts]))[1:]
        return np.linalg.cholesky(0.5 * differences @ differences.T)


@dataclass(frozen=True, eq=False)
class Levels:
    """The contrasts of one term.

    Attributes
    ----------
    alike : (tuple of int, ndarray)
    every : ndarray, shape (n, m)
        The column of each level, or combination of levels, the reference among them.
    """

    alike: Alike
    every: np.ndarray


def levels_alike(
    terms: Sequence[Sequence[str]],
    codings: Mapping[str, Coding],
    names: Sequence[str],
    movable: Callable[[frozenset[str]], frozenset[str]],
    w: np.ndarray,
) -> list[Levels]:
    """Contrasts of factors of three or more levels, alone or multiplied with something.

    Where a column of them was left out, as in an empty cell of a product, what the others are
    differences from is no one level, and they are left as they are.

    Parameters
    ----------
    terms : sequence of sequence of str
        Their factors, in the order in which the names of columns have them.
    codings : mapping of str to Coding
    names : sequence of str
        The columns of the design.
    movable : callable
        Of a term's factors those that are centred.
    w : ndarray, shape (n,)
        Weights of the rows in the means.
    """
    place = {name: j for j, name in enumerate(names)}
    found = []
    for factors in terms:
        moved = movable(frozenset(factors))
        options = [_options(codings[factor]) for factor in factors]
        for choice in product(*options):
            roots = [root for _, _, root in choice if len(root) > 1]
            if not roots:
                continue
            columns = [":".join(parts) for parts in product(*(part for part, _, _ in choice))]
            if not all(column in place for column in columns):
                continue
            whole = reduce(np.kron, [root for _, _, root in choice])
            values = [
                every - w @ every
                if factor in moved and part[0] in codings[factor].reduced
                else every
                for factor, (part, every, _) in zip(factors, choice, strict=True)
            ]
            combined = reduce(_products, values)
            found.append(Levels((tuple(place[c] for c in columns), whole), combined))
    return found


type _Option = tuple[tuple[str, ...], np.ndarray, np.ndarray]


def _options(coding: Coding) -> list[_Option]:
    """What a factor may contribute to a column's name: all of its contrasts together, with the
    indicators of all levels and L, or one column alone."""
    root, out = coding.root, []
    if root is not None:
        out.append((tuple(coding.reduced), np.column_stack(list(coding.full.values())), root))
    alone = coding.full if root is not None else coding.reduced | coding.full
    for name, values in alone.items():
        out.append(((name,), values[:, None], np.eye(1)))
    return out


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Every column of one times every column of the other."""
    return (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)
