"""Hazard ratios of several arms in one model, with intervals that hold for all of them together.

The log hazard ratios of a Cox model of all arms are jointly normal, with the correlations of its
covariance. Intervals of every arm against the reference that hold together are then Dunnett's, of
all pairs Tukey's: single-step, of the largest absolute statistic (Hothorn T, Bretz F, Westfall P.
Simultaneous inference in general parametric models. Biom J 2008;50:346-363).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from longsurv.analyses.mortality.arms import Compare, comparisons_of
from longsurv.analyses.mortality.effect import coefficient
from longsurv.errors import EstimationError
from longsurv.estimands.changes import adjusted_p_values
from longsurv.results.simultaneous import hold_together

if TYPE_CHECKING:
    from longsurv.models import CoxPH
    from longsurv.results import Estimate

COLUMNS = [
    "comparison", "estimate", "conf_low", "conf_high", "simultaneous_low", "simultaneous_high",
    "p_value", "p_holm", "p_simultaneous",
]  # fmt: skip


def arm_ratios(
    fit: Estimate,
    treatment: str,
    arms: Sequence[Hashable],
    kind: Compare = "reference",
    level: float = 0.95,
) -> pd.DataFrame:
    """Hazard ratios of the comparisons of several arms, by themselves and together.

    Parameters
    ----------
    fit : Estimate
        Of a Cox model with the treatment's main effect and no product of it.
    treatment : str
        Column of the arms.
    arms : sequence of hashable
        The reference of the model first.
    kind : {"reference", "pairwise"}
        Every other arm with the first; or every arm with every earlier one.
    level : float
        Of the intervals: of each by itself, and of all together.

    Returns
    -------
    DataFrame
        A row a comparison, `COLUMNS`; NaN where the data do not determine it, which is then no part
        of the family.

    Raises
    ------
    EstimationError
        If the likelihood has no maximum, as of an arm without events: intervals are then of the
        penalised profile likelihood, and those of one comparison alone.
    """
    if fit.optimum.penalty is not None:
        raise EstimationError(
            "the model of all arms has Firth's penalty, and intervals that hold together are normal"
            " ones, of an unpenalised fit; see the intervals of each comparison"
        )
    spec = cast("CoxPH", fit.spec)
    weights = pd.DataFrame(0.0, index=[], columns=fit.params.index)
    for one in comparisons_of(arms, kind):
        for arm, sign in ((one.group, 1.0), (one.reference, -1.0)):
            if arm != arms[0]:
                weights.loc[one.name, coefficient(spec, treatment, arm)] = sign
    weights = weights.fillna(0.0)
    alone = fit.contrast(weights, level=level)
    together = alone.assign(df=np.inf)
    L = weights.to_numpy()
    cov = L @ fit.cov_params().loc[weights.columns, weights.columns].to_numpy() @ L.T
    hold_together(together, cov, [np.arange(len(L))], 0, "mvt", level)
    return pd.DataFrame({
        "comparison": weights.index,
        "estimate": np.exp(alone["estimate"]),
        **{name: np.exp(alone[name]) for name in ("conf_low", "conf_high")},
        "simultaneous_low": np.exp(together["conf_low"]),
        "simultaneous_high": np.exp(together["conf_high"]),
        "p_value": alone["p_value"],
        "p_holm": adjusted_p_values(alone["p_value"], "holm"),
        "p_simultaneous": together["p_adjusted"],
    })  # fmt: skip
