"""The effect in subgroups as a row a level, every estimate in words."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from longsurv.numbers import difference, ratio
from longsurv.words import NO_ANSWER

LIMITS = ("estimate", "conf_low", "conf_high")


def side_by_side(table: pd.DataFrame, counts: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """A row a level, with its events by arm and every estimate in words.

    Parameters
    ----------
    table, counts : DataFrame
        Of `longsurv.analyses.mortality.subgroups.SubgroupEffects`.
    arms : sequence of str, length 2
        The reference first.

    Returns
    -------
    DataFrame
        subgroups, level, "events, ARM" of each arm, and a column a quantity and way, as "hazard
        ratio, alone" and "risk difference, shrunken" (in percentage points).
    """
    seen = counts.set_index(["column", "level", "arm"])
    rows = []
    for (column, level), part in table.groupby(["column", "level"], sort=False):
        row: dict[str, object] = {"subgroups": column, "level": level}
        for arm in arms:
            one = seen.loc[(column, level, arm)]
            row[f"events, {arm}"] = f"{one['events']}/{one['patients']}"
        for found in part.to_dict("records"):
            risk = found["quantity"] == "risk difference"
            ends = [float(found[name]) * (100.0 if risk else 1.0) for name in LIMITS]
            said = (difference if risk else ratio)(*ends) if found["answered"] else NO_ANSWER
            way = "shrunken" if found["engine"] == "bayes" else "alone"
            row[f"{found['quantity']}, {way}"] = said
        rows.append(row)
    return pd.DataFrame(rows)
