"""Neighbouring categories of an ordinal response that are taken together, because somebody asked.

A cumulative model of fewer cuts is the same model: its coefficients mean what they meant, and only
the thresholds between what is merged are gone.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np

from longsurv.errors import LongsurvError
from longsurv.words import plural

type Merge = int | Sequence[Sequence[Hashable]] | Merged


@dataclass(frozen=True)
class Merged:
    """Which categories are one, from the lowest to the highest in each.

    Attributes
    ----------
    groups : tuple of tuple of str
        Categories in each; those that a table does not have are no mistake.
    """

    groups: tuple[tuple[str, ...], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.groups)

    def of(self, category: str) -> tuple[str, ...]:
        """What a category is one with, itself among them.

        Parameters
        ----------
        category : str

        Returns
        -------
        tuple of str
        """
        return next((group for group in self.groups if category in group), (category,))

    def label(self, category: str) -> str:
        """What a category is called: "3 or 4", of more than two "3 to 5".

        Parameters
        ----------
        category : str

        Returns
        -------
        str
        """
        group = self.of(category)
        if len(group) == 1:
            return category
        return f"{group[0]} {'or' if len(group) == 2 else 'to'} {group[-1]}"

    @classmethod
    def asked(cls, merge: Merge, labels: Sequence[str], counts: Sequence[int]) -> Self:
        """What is merged of categories that occur, in order, with their counts.

        Parameters
        ----------
        merge : int, sequence of sequences or Merged
            The least count of a category; or the categories that are one.
        labels : sequence of str
        counts : sequence of int

        Returns
        -------
        Merged

        Raises
        ------
        LongsurvError
            For a category there is not, one named twice, or some that are not neighbours.
        """
        if isinstance(merge, Merged):
            return cls(merge.groups)
        if isinstance(merge, int):
            return cls(_rare(merge, labels, counts))
        return cls(_named(merge, labels))

    def codes(self, labels: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
        """The merged category of each category by number, and the names of those.

        Parameters
        ----------
        labels : sequence of str
            Categories that occur, in order.

        Returns
        -------
        tuple of ndarray of int and tuple of str
        """
        named = [self.label(label) for label in labels]
        kept = tuple(dict.fromkeys(named))
        return np.array([kept.index(name) for name in named]), kept

    def words(self, name: str, labels: Sequence[str], counts: Sequence[int]) -> list[str]:
        """What was merged, in a sentence each.

        Parameters
        ----------
        name : str
            Of the response.
        labels : sequence of str
        counts : sequence of int

        Returns
        -------
        list of str
        """
        found = []
        for group in self.groups:
            inside = [(label, n) for label, n in zip(labels, counts, strict=True) if label in group]
            listed = " and ".join(f"{label} ({plural(int(n), 'row')})" for label, n in inside)
            found.append(
                f"Merged as asked: {name} = {listed} as one category, {self.label(group[0])!r}."
            )
        return found


NOTHING = Merged()


def check_merge(merge: object) -> None:
    """Refuse what names no categories and no count.

    Raises
    ------
    LongsurvError
    """
    if merge is None or isinstance(merge, Merged):
        return
    if isinstance(merge, int) and not isinstance(merge, bool) and merge >= 1:
        return
    if isinstance(merge, Sequence) and not isinstance(merge, str):
        groups = [list(g) for g in merge if isinstance(g, Sequence) and not isinstance(g, str)]
        if len(groups) == len(merge) > 0 and all(len(group) > 1 for group in groups):
            return
    raise LongsurvError(
        "merge is the least number of rows of a category, as 5, or which categories are one, two or"
        f" more in each, as [[3, 4]]; not {merge!r}"
    )


def _rare(least: int, labels: Sequence[str], counts: Sequence[int]) -> tuple[tuple[str, ...], ...]:
    """The rarest category goes to the neighbour with fewer rows, the lower one of equals, until
    none has fewer than the least or one is left."""
    groups, sizes = [[label] for label in labels], [int(n) for n in counts]
    while len(groups) > 1 and min(sizes) < least:
        k = int(np.argmin(sizes))
        beside = [j for j in (k - 1, k + 1) if 0 <= j < len(groups)]
        low = min(k, min(beside, key=lambda j: sizes[j]))
        groups[low : low + 2] = [groups[low] + groups[low + 1]]
        sizes[low : low + 2] = [sizes[low] + sizes[low + 1]]
    return tuple(tuple(group) for group in groups if len(group) > 1)


def _named(
    merge: Sequence[Sequence[Hashable]], labels: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    seen: list[str] = []
    groups = []
    for given in merge:
        names = [label_of(category) for category in given]
        unknown = [name for name in names if name not in labels]
        if unknown:
            raise LongsurvError(
                f"merge names the category {unknown[0]!r}, which does not occur; those that do are "
                f"{', '.join(labels)}"
            )
        seen += names
        twice = [name for name in names if seen.count(name) > 1]
        if twice:
            raise LongsurvError(f"merge names the category {twice[0]!r} twice")
        places = sorted(list(labels).index(name) for name in names)
        if any(b - a > 1 for a, b in pairwise(places)):
            raise LongsurvError(
                f"merge: {', '.join(names)} are not neighbours; the categories in order are "
                f"{', '.join(labels)}"
            )
        groups.append(tuple(labels[k] for k in places))
    return tuple(groups)


def label_of(category: Hashable) -> str:
    """A category as text: 4 of 4.0."""
    return f"{category:g}" if isinstance(category, int | float) else str(category)
