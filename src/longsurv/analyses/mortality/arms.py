"""Which two arms of a study are compared, and which comparisons a study of several arms has.

A study of k arms has k - 1 comparisons with its reference. A comparison is called as a difference
of means is: "active - control", the later arm minus the earlier one.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.errors import DataError, LongsurvError
from longsurv.estimands.changes import adjusted_p_values
from longsurv.estimands.follow_up import by_group, follow_up, two_groups
from longsurv.estimands.treatments import Compare, pairs_of
from longsurv.words import listed


@dataclass(frozen=True)
class Comparison:
    """An arm, and the one that it is compared with.

    Attributes
    ----------
    group, reference : hashable
        Levels of the treatment. A ratio is the group's relative to the reference, a difference the
        group's minus the reference's.
    """

    group: Hashable
    reference: Hashable

    @property
    def name(self) -> str:
        """As a difference of means is called: "active - control"."""
        return f"{self.group} - {self.reference}"

    @property
    def words(self) -> str:
        """As it is told: "active against control"."""
        return f"{self.group} against {self.reference}"


def comparisons_of(levels: Sequence[Hashable], kind: Compare = "reference") -> list[Comparison]:
    """The comparisons of the arms of a study.

    Parameters
    ----------
    levels : sequence of hashable
        The arms, the reference first.
    kind : {"reference", "pairwise"}
        Every other arm with the first; or every arm with every earlier one.
    """
    return [Comparison(levels[j], levels[i]) for i, j in pairs_of(len(levels), kind)]


def chosen_comparison(
    levels: Sequence[Hashable], group: Hashable | None, reference: Hashable | None, treatment: str
) -> Comparison:
    """The comparison that is named, or the only one there is.

    Parameters
    ----------
    levels : sequence of hashable
        The arms, the reference first.
    group, reference : hashable, optional
        As named; by default the reference is the first arm, and the group the other of two.
    treatment : str
        Their column, for the message.

    Raises
    ------
    LongsurvError
        For an arm that there is not, or if the names leave open which two are compared.
    """
    for name in (group, reference):
        if name is not None and name not in levels:
            raise LongsurvError(f"{treatment!r} has no arm {name!r}; it has {_listed(levels)}")
    if group is None and reference is None:
        reference = levels[0]
    left = [level for level in levels if level not in (group, reference)]
    if reference is None and (levels[0] != group or len(left) == 1):
        reference = left[0]
    elif group is None and len(left) == 1:
        group = left[0]
    if group is None or reference is None or group == reference:
        raise LongsurvError(
            f"{treatment!r} has {len(levels)} arms, {_listed(levels)}, and this compares two: name"
            " them with group= and reference=, or ask every comparison of each()"
        )
    return Comparison(group, reference)


def followed_arms(
    data: pd.DataFrame,
    treatment: str,
    horizon: float,
    *,
    group: Hashable | None = None,
    reference: Hashable | None = None,
) -> pd.DataFrame:
    """Follow-up of all arms, one row a patient, ended at the horizon, the reference first.

    Parameters
    ----------
    data : DataFrame
        As `Cohort.survival_data()`.
    treatment : str
        Its column of the arms.
    horizon : float
    group, reference : hashable, optional
        The arms that are named; see `chosen_comparison`.

    Raises
    ------
    DataError
        If there are not two arms, or patients enter at or after the horizon.
    """
    arms = list(by_group(data, treatment))
    if len(arms) < 2:
        two_groups(data, treatment)  # says what is wrong with them
    whole = follow_up(data)
    end = float(whole.on_clock(np.array(horizon)))
    late = whole.entry >= end
    if late.any():
        rows = ", ".join(map(str, data.index[late][:5])) + (", ..." if late.sum() > 5 else "")
        raise DataError(
            f"entry at or after the horizon ({horizon:g}) in {int(late.sum())} rows "
            f"({rows}): these patients are never at risk before it; leave them out"
        )
    status = np.where(whole.exit > end, 0, whole.status)
    of = data[treatment]
    if isinstance(of.dtype, pd.CategoricalDtype):
        of = of.cat.remove_unused_categories()
    elif pd.api.types.is_numeric_dtype(of) and (
        len(arms) > 2 or float(np.ptp(of.to_numpy(float))) != 1.0
    ):
        of = of.astype("category")  # one group against the other, not per unit of a code
    if len(arms) > 2 or group is not None or reference is not None:
        first = reference
        if group is not None:
            first = chosen_comparison(arms, group, reference, treatment).reference
        ordered = arms if first is None else [first, *(arm for arm in arms if arm != first)]
        of = of.astype("category").cat.reorder_categories(ordered)
    return data.assign(
        entry=whole.entry,
        exit=np.where(whole.exit >= end, horizon, whole.exit),
        status=status,
        event=(status == 1).astype(np.int64),
        **{treatment: of},
    )


def patients_of(data: pd.DataFrame, treatment: str, comparison: Comparison) -> pd.DataFrame:
    """The patients of the two arms compared, the reference first.

    Parameters
    ----------
    data : DataFrame
        A categorical treatment where it has more arms.
    treatment : str
    comparison : Comparison
    """
    two = [comparison.reference, comparison.group]
    rows = data[data[treatment].isin(two)]
    if len(rows) == len(data):
        return data
    left = rows[treatment].cat.set_categories(two)
    return rows.assign(**{treatment: left})


def stacked(tables: Mapping[str, pd.DataFrame], within: Sequence[str] = ()) -> pd.DataFrame:
    """The tables of several comparisons as one, each row with the name of its comparison.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        By the comparison's name.
    within : sequence of str
        Columns that tell the rows of one comparison apart: p_holm, after p_value, is then corrected
        for the number of comparisons by Holm's method.
    """
    parts = []
    for name, rows in tables.items():
        part = rows.copy()
        part.insert(0, "comparison", name)
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    if within:
        same = table.groupby(list(within), sort=False)["p_value"]
        corrected = same.transform(lambda p: adjusted_p_values(p.to_numpy(dtype=float), "holm"))
        table.insert(list(table.columns).index("p_value") + 1, "p_holm", corrected)
    return table


def _listed(levels: Sequence[Hashable]) -> str:
    return listed(list(map(str, levels)))
