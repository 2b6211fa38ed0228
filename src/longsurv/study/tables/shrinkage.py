"""Every marker's difference in change on its own and drawn towards its family, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from longsurv.study.found import Found
    from longsurv.study.marker_stages import ShrunkenChange

KEYS = ["level", "start", "end", "marker", "label", "family", "better"]
KINDS = ("ml", "bayes", "shrunken")
COLUMNS = [
    *KEYS,
    *(f"{name}_{kind}" for kind in KINDS for name in ("estimate", "conf_low", "conf_high")),
    "p_value", "p_holm", "p_fdr", "prob_benefit_bayes", "prob_benefit_shrunken", "reason",
]  # fmt: skip
FAMILIES = ["level", "start", "end", "family", "markers", "mean", "mean_low", "mean_high",
            "prob_benefit", "mcse", "spread", "spread_low", "spread_high",
            "spread_mcse"]  # fmt: skip


def shrunken_table(results: Found, one: ShrunkenChange) -> pd.DataFrame:
    """One row a marker: its effect in baseline SDs towards benefit, three times.

    Returns
    -------
    DataFrame
        `COLUMNS`: the comparison, the marker, its family and better direction; estimate and 95 %
        interval by REML, by Bayes on its own and shrunken (missing where it is not); p-values with
        the corrections of `StudyResults.changes`; probability of benefit; why it is not shrunken.
    """
    changes, change = results.changes, one.change
    same = (changes["level"] == str(change.level)) & (changes["end"] == change.end)
    p_values = changes[same & (changes["engine"] == "ml")].set_index("marker")
    names = list(results.markers)
    table = one.effects.set_index("marker").reindex(names)
    for column in ("p_value", "p_holm", "p_fdr"):
        table[column] = p_values[column].reindex(names)
    markers = results.cohort.markers
    table = table.assign(
        level=str(change.level),
        start=str(change.start),
        end=str(change.end),
        marker=names,
        label=[markers[name].label for name in names],
        family=[markers[name].family for name in names],
        better=[markers[name].direction or "" for name in names],
        reason=[one.left_out.get(name, "") for name in names],
    )
    return table[COLUMNS].reset_index(drop=True)


def families_table(one: ShrunkenChange, table: pd.DataFrame) -> pd.DataFrame:
    """One row a family: mean and spread of its effects with 95 % intervals (`FAMILIES`)."""
    if one.families.empty:
        return pd.DataFrame(columns=FAMILIES)
    hyper = one.families.set_index("term")
    shrunken = table[table["estimate_shrunken"].notna()]
    rows = []
    for family, part in shrunken.groupby("family", sort=False):
        mean, spread = hyper.loc[f"mu({family})"], hyper.loc[f"sd({family})"]
        rows.append(
            (
                str(one.change.level), str(one.change.start), str(one.change.end), family,
                len(part), mean["estimate"], mean["conf_low"], mean["conf_high"],
                mean["prob_positive"], mean["mcse_mean"], spread["estimate"], spread["conf_low"],
                spread["conf_high"], spread["mcse_mean"],
            )
        )  # fmt: skip
    return pd.DataFrame(rows, columns=FAMILIES)
