"""What every result says of the design it was fitted to, and every posterior of its draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from longsurv.design.fixed import FixedDesign
from longsurv.design.groupings import crossing
from longsurv.design.mixed import MixedDesign
from longsurv.inference import Draws
from longsurv.words import plural, verb

FEW_SITES = 10
"""Sites below which their variance is said to be hardly known."""


class TableDesign(Protocol):
    """The arrays of a model of one table."""

    @property
    def rows(self) -> np.ndarray:
        """Positions of the used rows in the data, shape (n,)."""

    @property
    def n_excluded(self) -> int:
        """Rows left out for a missing value."""

    @property
    def fixed(self) -> FixedDesign:
        """The fixed effects."""


def design_flags(design: TableDesign) -> tuple[str, ...]:
    """What the design left out, in words."""
    flags = []
    if design.n_excluded:
        total = design.n_excluded + len(design.rows)
        flags.append(
            f"{design.n_excluded} of {plural(total, 'row')} "
            f"{verb(design.n_excluded, 'was', 'were')} left out: a value the formula needs is "
            "missing."
        )
    if design.fixed.aliased:
        flags.append(
            f"Left out because other columns determine them: {', '.join(design.fixed.aliased)}."
        )
    return tuple(flags)


def crossing_flags(design: MixedDesign) -> tuple[str, ...]:
    """That groupings cross, which labels that stand for different patients do by mistake."""
    found = crossing(design.terms) if design.crossed else None
    if found is None:
        return ()
    return (
        f"Crossed groupings, whose effects are added: {found.words}. If one label stands for "
        "different patients, write the nesting out, as in (1 | site/id).",
    )


def sampling_flags(draws: Draws) -> tuple[str, ...]:
    """What a reader must know of the way the draws were made."""
    if draws.whitening is None or not draws.whitening.regularised:
        return ()
    return ("The curvature at the posterior mode was not positive definite and was regularised.",)


def few_sites_flag(name: str, count: int) -> tuple[str, ...]:
    """That the variance between so many values of a column of sites is hardly known, if few."""
    if count >= FEW_SITES:
        return ()
    return (f"There are {count} values of {name}: a variance between so few is hardly known.",)


def undetermined_flag(names: Sequence[str], why: str) -> tuple[str, ...]:
    """That the data do not determine some coefficients, and why; nothing where there are none."""
    if not names:
        return ()
    listed = ", ".join(names)
    return (f"Not determined by the data: {listed}. {why} There is no estimate of it.",)
