"""The difference in change under each adjustment: one row a marker and adjustment."""

from __future__ import annotations

import pandas as pd

_KEYS = ["marker", "adjustment"]


def adjustments_table(table: pd.DataFrame) -> pd.DataFrame:
    """One row a marker and adjustment, both engines beside each other.

    Parameters
    ----------
    table : DataFrame
        `AdjustedChanges.table`.

    Returns
    -------
    DataFrame
        marker, label, unit, adjustment, adjustment_label, scale, n, n_effective; estimate,
        conf_low, conf_high, reason of each engine with _ml and _bayes; p_value, p_fdr,
        prob_benefit, mcse, notes. An engine that was not run gives missing values.
    """
    shared = ["label", "unit", "adjustment_label", "scale", "n", "n_effective"]
    numeric = ["estimate", "conf_low", "conf_high"]
    rows = table.drop_duplicates(_KEYS)[_KEYS].reset_index(drop=True)
    # An engine without an answer has used no patients: take the numbers from the one that has.
    best = table.sort_values("n", ascending=False, kind="stable").drop_duplicates(_KEYS)
    rows = rows.merge(best[[*_KEYS, *shared, "notes"]], on=_KEYS, how="left")
    own = {"ml": ["p_value", "p_fdr"], "bayes": ["prob_benefit", "mcse"]}
    for engine, extra in own.items():
        part = table.loc[table["engine"] == engine, [*_KEYS, *numeric, "reason", *extra]]
        part = part.rename(columns={name: f"{name}_{engine}" for name in [*numeric, "reason"]})
        rows = rows.merge(part, on=_KEYS, how="left")
    return rows


def questions_table(table: pd.DataFrame) -> pd.DataFrame:
    """What each adjustment asks and assumes: adjustment, label, question, assumes."""
    # A score's covariates are known only where it was estimated; those rows have used patients.
    best = table.sort_values("n", ascending=False, kind="stable").drop_duplicates("adjustment")
    order = list(dict.fromkeys(table["adjustment"]))
    out = best.set_index("adjustment").loc[order].reset_index()
    return out[["adjustment", "adjustment_label", "question", "assumes"]].rename(
        columns={"adjustment_label": "label"}
    )
