"""What every result says of the design it was fitted to, and every posterior of its draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from longsurv.design.mixed import MixedDesign
from longsurv.inference import Draws
from longsurv.words import plural, verb


def design_flags(design: Any) -> tuple[str, ...]:
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


def origin_flags(design: MixedDesign) -> tuple[str, ...]:
    """Random slopes whose meaning depends on an origin that is far outside the data.

    ``(t || id)`` makes a patient's slope independent of his level where t is 0, and
    ``(0 + t | id)`` gives him no level there; with calendar years both say something of the year 0.
    Effects that are correlated with a level are the same wherever t begins.
    """
    flags = []
    for grouping in design.groupings:
        start, random = 0, grouping.random
        for size in random.blocks:
            Z, own = random.X[:, start : start + size], random.names[start : start + size]
            start += size
            scale = np.abs(Z).max(axis=0)
            Z, names = Z[:, scale > 0.0], [n for n, s in zip(own, scale, strict=True) if s > 0.0]
            ones = np.ones(len(Z))
            level = np.linalg.lstsq(Z / scale[scale > 0.0], ones, rcond=None)[0]
            if np.abs(Z / scale[scale > 0.0] @ level - ones).max() < 1e-8:
                continue
            for name, low, high in zip(names, Z.min(axis=0), Z.max(axis=0), strict=True):
                if max(low, -high) > high - low:
                    flags.append(
                        f"The random effect of {name} is not correlated with a level of one "
                        f"{grouping.name}, so the answer depends on where {name} is 0, far from "
                        f"its values ({low:g} to {high:g}): measure {name} from a point among "
                        f"them, or write ({name} | {grouping.name})."
                    )
    return tuple(flags)


def sampling_flags(draws: Draws) -> tuple[str, ...]:
    """What a reader must know of the way the draws were made."""
    if not draws.whitening.regularised:
        return ()
    return ("The curvature at the posterior mode was not positive definite and was regularised.",)


def undetermined_flag(names: Sequence[str], why: str) -> tuple[str, ...]:
    """That the data do not determine some coefficients, and why; nothing where there are none."""
    if not names:
        return ()
    listed = ", ".join(names)
    return (f"Not determined by the data: {listed}. {why} There is no estimate of it.",)
