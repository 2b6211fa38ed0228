"""Designs of mixed-effects models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.design.fixed import FixedDesign, fixed_design, response
from longsurv.design.formula import Formula, parse
from longsurv.errors import DataError, FormulaError


@dataclass(frozen=True)
class MixedDesign:
    """Arrays of a mixed-effects model, complete rows only.

    Attributes
    ----------
    formula : Formula
    y : ndarray, shape (n,)
    fixed : FixedDesign
        With X of shape (n, p).
    random : FixedDesign
        With X, here called Z, of shape (n, q).
    group : ndarray of int, shape (n,)
        Index into `labels`.
    labels : Index, length N
        Patients, sorted.
    rows : ndarray of int, shape (n,)
        Positions of the used rows in the data.
    n_excluded : int
        Rows left out for a missing value.
    """

    formula: Formula
    y: np.ndarray
    fixed: FixedDesign
    random: FixedDesign
    group: np.ndarray
    labels: pd.Index
    rows: np.ndarray
    n_excluded: int

    @property
    def Z(self) -> np.ndarray:
        """Random-effects design, shape (n, q)."""
        return self.random.X

    @property
    def group_name(self) -> str:
        """Column that identifies patients."""
        return self.formula.random[0].group

    @property
    def variance_names(self) -> tuple[str, ...]:
        """Residual SD, random-effects SDs, then their correlations, row by row."""
        z, g = self.random.names, self.group_name
        sds = tuple(f"sd({name}|{g})" for name in z)
        cors = tuple(f"cor({z[j]},{z[i]}|{g})" for i in range(len(z)) for j in range(i))
        return ("sigma", *sds, *cors)


def mixed_design(formula: str, data: pd.DataFrame) -> MixedDesign:
    """Build the design of ``y ~ fixed + (effects | group)``.

    Raises
    ------
    FormulaError
        For a formula that cannot be read or names a column the data do not have.
    DataError
        If no complete row is left, or there are not more rows than coefficients.
    """
    parsed = parse(formula)
    if parsed.surv or len(parsed.random) != 1:
        raise FormulaError(
            f"a mixed model needs one random term such as (1 | id); {formula!r} has {len(parsed.random)}"
        )
    term = parsed.random[0]
    if term.group not in data:
        raise FormulaError(f"{formula!r}: the data have no column {term.group!r} to group rows by")
    y = response(parsed.response, data)
    fixed, fixed_complete = fixed_design(parsed.fixed, data)
    random, random_complete = fixed_design(term.effects, data)
    group = data[term.group]
    complete = fixed_complete & random_complete & ~np.isnan(y) & group.notna().to_numpy()
    if not complete.any():
        raise DataError(f"no row of the data has all of the values that {formula!r} needs")
    if not complete.all():
        # Rank and factor levels must come from the rows that are used.
        used = data.loc[complete].reset_index(drop=True)
        fixed, _ = fixed_design(parsed.fixed, used)
        random, _ = fixed_design(term.effects, used)
        y, group = y[complete], group[complete]
    if not random.names:
        raise FormulaError(f"the random term of {formula!r} has no columns; (1 | {term.group}) has one")
    if len(y) <= len(fixed.names):
        raise DataError(
            f"{formula!r} has {len(fixed.names)} coefficients but only {len(y)} complete rows; "
            "a simpler formula is needed"
        )
    codes, labels = pd.factorize(group, sort=True)
    if len(labels) < 2:
        raise DataError(f"column {term.group!r} has one value only; random effects need several patients")
    return MixedDesign(
        formula=parsed,
        y=y,
        fixed=fixed,
        random=random,
        group=codes.astype(np.int64),
        labels=pd.Index(labels),
        rows=np.flatnonzero(complete),
        n_excluded=int((~complete).sum()),
    )
