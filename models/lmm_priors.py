"""Default priors of linear mixed models, and the variables they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from longsurv import priors as pr
from longsurv.design import MixedDesign
from longsurv.design.centred import CentredDesign, unit_weights
from longsurv.design.random_columns import RandomColumns, random_columns

if TYPE_CHECKING:
    import pandas as pd


def columns_of_priors(
    design: MixedDesign, data: pd.DataFrame, given: Mapping[str, pr.Prior] | None
) -> tuple[RandomColumns, ...]:
    """The centred columns of each grouping with random effects, whose SDs have the priors."""
    rows, weights = data.iloc[design.rows], unit_weights(design.group)
    return tuple(random_columns(g, rows, weights, tuple(given or ())) for g in design.groupings)


def default_priors(
    design: MixedDesign,
    fixed: CentredDesign,
    random: Sequence[RandomColumns],
    residual_names: Sequence[str],
) -> dict[str, pr.Prior]:
    """Weakly informative priors; see `LMM.default_priors`.

    Parameters
    ----------
    design : MixedDesign
    fixed : CentredDesign
        Of its fixed effects.
    random : sequence of RandomColumns
        Of each grouping that has random effects.
    residual_names : sequence of str
        Parameters of the residual structure on unconstrained scales.
    """
    spread = float(np.std(design.y, ddof=1)) or 1.0
    mean = fixed.level * float(design.y.mean()) + 0.0  # no "-0"
    out: dict[str, pr.Prior] = {}
    for name, sd, at in zip(design.fixed.names, fixed.sd, mean, strict=True):
        out[name] = pr.Normal(float(at), 2.5 * spread / float(sd or 1.0))
    out["sigma"] = pr.Exponential(spread)
    for grouping, columns in zip(design.groupings, random, strict=True):
        sds, _ = grouping.random.parameter_names(grouping.name)
        for name, size in zip(sds, columns.size, strict=True):
            out[name] = pr.Exponential(spread / float(size))
    return out | {name: pr.Normal(0.0, 1.0) for name in residual_names}


def prior_stack(
    design: MixedDesign,
    fixed: CentredDesign,
    random: Sequence[RandomColumns],
    defaults: Mapping[str, pr.Prior],
    given: Mapping[str, pr.Prior] | None,
    correlation: pr.LKJ,
    sizes: tuple[int, ...],
) -> pr.PriorStack:
    """The priors in the order of the parameter vector, the user's in place of the defaults.

    Parameters
    ----------
    design, fixed, random
        As for `default_priors`; `random` where the user's priors leave the columns.
    defaults, given : mapping of str to Prior
    correlation : LKJ
    sizes : tuple of int
        Of the correlation matrices.
    """
    names, aliases = tuple(defaults), design.fixed.variables
    moved = tuple(
        name
        for grouping, columns in zip(design.groupings, random, strict=True)
        for name, other in zip(
            grouping.random.parameter_names(grouping.name)[0], columns.moved, strict=True
        )
        if other
    )
    basis, alike = pr.centred_basis(fixed.to, design.fixed.names, given, aliases, fixed.alike)
    return pr.PriorStack(
        names,
        pr.choose(names, defaults, given, aliases),
        correlation,
        max(sizes, default=0),
        sizes,
        basis=basis,
        centred=moved,
        alike=alike,
    )
