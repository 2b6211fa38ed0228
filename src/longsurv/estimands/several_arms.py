"""The rows of a table of several weighted arms, told by their comparisons."""

from __future__ import annotations

import numpy as np
import pandas as pd

from longsurv.estimands.changes import adjusted_p_values
from longsurv.estimands.propensity_result import PropensityWeights
from longsurv.estimands.treatments import Compare


def compared(
    table: pd.DataFrame, weights: PropensityWeights, compare: Compare, quantities: list[str]
) -> pd.DataFrame:
    """The rows of several arms with the names of their comparisons, and p values corrected.

    Parameters
    ----------
    table : DataFrame
        Where rows of one quantity stand in the order of `PropensityWeights.pairs`.
    weights : PropensityWeights
    compare : {"reference", "pairwise"}
    quantities : list of str
        Which have a row a comparison.
    """
    labels = [label for label, _ in weights.sides]
    names = [f"{labels[i]} - {labels[j]}" for i, j in weights.pairs(compare)]
    comparison, corrected = pd.Series("", index=table.index), pd.Series(np.nan, index=table.index)
    for quantity in quantities:
        mine = table["quantity"] == quantity
        comparison[mine] = names
        corrected[mine] = adjusted_p_values(table.loc[mine, "p_value"].to_numpy(float), "holm")
    table = table.copy()
    table.insert(0, "comparison", comparison)
    table.insert(list(table.columns).index("p_value") + 1, "p_holm", corrected)
    return table
