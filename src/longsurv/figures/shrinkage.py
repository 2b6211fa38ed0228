"""Every marker's effect on its own and drawn towards the mean of its family."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from longsurv.figures.forest import forest
from longsurv.figures.place import Where
from longsurv.numbers import in_sds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OWN, SHRUNKEN = "On its own", "Shrunken"
MEAN = "Mean of the family"


def shrinkage(
    table: pd.DataFrame,
    families: pd.DataFrame,
    *,
    width: float = 760,
    left_label: str = "",
    right_label: str = "",
    ax: Where = None,
) -> Axes:
    """Draw the posterior effects of the markers of each family, and the family's mean below them.

    Parameters
    ----------
    table : DataFrame
        `longsurv.study.tables.shrinkage.shrunken_table`; markers that are not shrunken are left
        out.
    families : DataFrame
        `families_table` of it.
    width : float
        In CSS pixels.
    left_label, right_label : str
        What lies to either side of no difference.
    ax : Axes or "window", optional
        Whose place to take; a figure of its own otherwise.
    """
    parts = []
    for family in families.to_dict("records"):
        part = table[(table["family"] == family["family"]) & table["estimate_shrunken"].notna()]
        for record in part.to_dict("records"):
            for series, kind in ((OWN, "bayes"), (SHRUNKEN, "shrunken")):
                values = [record[f"{c}_{kind}"] for c in ("estimate", "conf_low", "conf_high")]
                parts.append((family["family"], record["label"], series, *values))
        mean = [family[c] for c in ("mean", "mean_low", "mean_high")]
        parts.append((family["family"], MEAN, SHRUNKEN, *mean))
    columns = ["section", "row", "series", "estimate", "conf_low", "conf_high"]
    shown = pd.DataFrame(parts, columns=columns)
    shown["text"] = [
        in_sds(*row) for row in shown[["estimate", "conf_low", "conf_high"]].itertuples(index=False)
    ]
    drawn = forest(
        shown,
        xlabel="Difference in change, baseline SD",
        width=width,
        text_heading="SD (95 % interval)",
        left_label=left_label,
        right_label=right_label,
        ax=ax,
    )
    low, high = drawn.get_xlim()
    drawn.set_xticks([tick for tick in drawn.get_xticks() if low <= tick <= high])
    return drawn
