"""Designs of mixed-effects models."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd

from longsurv.design.expression import Functions
from longsurv.design.fixed import FixedDesign, fixed_design, response
from longsurv.design.formula import Formula, RandomTerm, parse
from longsurv.design.groupings import (
    Grouping,
    RandomDesign,
    check_finest,
    crossing,
    groups_of,
    random_design,
    with_patients,
)
from longsurv.design.offset import offset_values
from longsurv.design.residual import Residual, ResidualDesign
from longsurv.design.scanned.elsewhere import RowsElsewhere
from longsurv.design.specials import take_out_specials
from longsurv.design.variables import absent, present
from longsurv.design.weights import Weights
from longsurv.errors import DataError, EstimationError, FormulaError
from longsurv.own_order import own_order
from longsurv.words import cannot_be_fitted, plural, shortened

FEW_ROWS, MANY_NESTED = 500, 1000
"""Nested groups are taken cluster by cluster, row by row, if no cluster has more rows or they have
more effects; otherwise by sums over patients, all clusters together."""
MOST_CROSSED = 3000
"""Effects of all groupings but the one with the most groups, if they cross."""
REPRODUCED = 1e-13
"""Of the largest response, the largest residual of one that is reproduced to rounding."""
REPRODUCES = "the fixed effects reproduce every measurement exactly, so no variance is left over"
NEST = (
    "If one label stands for different patients, write the nesting out: (1 | site/id), or "
    "patient='site:id' of a residual structure"
)


@dataclass(frozen=True)
class MixedDesign:
    """Arrays of a mixed-effects model, complete rows only.

    Attributes
    ----------
    formula : Formula
    y : ndarray, shape (n,)
    fixed : FixedDesign
        With X of shape (n, p).
    random : RandomDesign
        Of the patients, with X, here called Z, of shape (n, q).
    group : ndarray of int, shape (n,)
        Patient: index into `labels`.
    labels : Index, length N
        Patients, sorted.
    group_name : str
        Column that identifies patients, or several joined by a colon.
    rows : ndarray of int, shape (n,)
        Positions of the used rows in the data.
    n_excluded : int
        Rows left out for a missing value.
    outer : tuple of Grouping
        All other groupings, those with the most groups first.
    residual : ResidualDesign, optional
        Correlation of the residuals of a patient; None for independent ones.
    row_pairs : ResidualDesign, optional
        Kinds of pairs of a patient's rows, where the likelihood is of patients row by row; None
        where sums over their rows are enough.
    crossed : bool
        Whether some group has rows in several groups of a coarser grouping; otherwise patients are
        nested in the other groupings, each in the next.
    weights : Weights, optional
        Precision weights of the rows, where they differ.
    offset : ndarray, shape (n,), optional
        Added to the linear predictor.
    offset_term : str
        What the formula has in offset(); "" without.
    """

    formula: Formula
    y: np.ndarray
    fixed: FixedDesign
    random: RandomDesign
    group: np.ndarray
    labels: pd.Index
    group_name: str
    rows: np.ndarray
    n_excluded: int
    outer: tuple[Grouping, ...] = ()
    residual: ResidualDesign | None = None
    row_pairs: ResidualDesign | None = None
    crossed: bool = False
    weights: Weights | None = None
    offset: np.ndarray | None = None
    offset_term: str = ""

    def with_values(self, y: np.ndarray) -> Self:
        """The same design of other responses.

        Parameters
        ----------
        y : ndarray, shape (n,)
        """
        return replace(self, y=y)

    @property
    def in_memory(self) -> bool:
        """Whether the rows are here, and were not read in pieces."""
        return not isinstance(self.y, RowsElsewhere)

    @property
    def Z(self) -> np.ndarray:
        """Random-effects design, shape (n, q)."""
        return self.random.X

    @property
    def structured(self) -> bool:
        """Whether there is more than independent residuals and the random effects of patients."""
        return bool(self.outer) or self.row_pairs is not None

    @property
    def groupings(self) -> tuple[Grouping, ...]:
        """Patients and all other groupings where they have random effects."""
        return self.terms if self.random.names else self.outer

    @property
    def terms(self) -> tuple[Grouping, ...]:
        """Patients, even without random effects, and all other groupings."""
        patients = Grouping(self.group_name, self.random, self.group, self.labels)
        return (patients, *self.outer)

    @property
    def own_order(self) -> np.ndarray:
        """Rows by their groups and what is known of them, whatever their order in the table."""
        groups = [grouping.group for grouping in self.terms]
        effects = [grouping.random.X for grouping in self.terms]
        return own_order(*groups, self.fixed.X, *effects, self.y)

    @property
    def variance_names(self) -> tuple[str, ...]:
        """Residual SD, random-effects SDs, then their correlations, row by row.

        For a structured design the residual's parameters, then those of each grouping.
        """
        named = [g.random.parameter_names(g.name) for g in self.groupings]
        first = self.residual.names if self.residual is not None else ("sigma",)
        return (*first, *(name for sds, cors in named for name in (*sds, *cors)))


def check_variation(design: MixedDesign, beta: np.ndarray) -> None:
    """Refuse a response that the least-squares coefficients beta (p,) reproduce to rounding.

    Raises
    ------
    EstimationError
        Such a response has no residual variance, and the likelihood no maximum.
    """
    if not design.in_memory:
        return  # the pass that made its statistics has looked
    y = design.y
    if np.abs(y - design.fixed.X @ beta).max() > REPRODUCED * np.abs(y).max():
        return
    what = REPRODUCES
    if (y == y[0]).all():
        what = f"the response is {y[0]:g} in every row, so there is no variation to model"
    raise EstimationError(cannot_be_fitted(design.formula.text, what))


def mixed_design(
    formula: str,
    data: pd.DataFrame,
    residual: Residual | None = None,
    *,
    structured: bool = False,
    functions: Functions | None = None,
    weights: str | None = None,
    offsets: bool = False,
) -> MixedDesign:
    """Build the design of ``y ~ fixed + (effects | group)``.

    Parameters
    ----------
    formula : str
    data : DataFrame
    residual : Residual, optional
        Correlation of the residuals; only with `structured`.
    structured : bool
        Whether several groupings and correlated residuals are welcome.
    functions : mapping of str to callable, optional
        The user's own, which the formula may call.
    weights : str, optional
        Column of precision weights.
    offsets : bool
        Whether ``offset(column or expression)`` is welcome, as a term of its own.

    Raises
    ------
    FormulaError
        For a formula that cannot be read, names a column the data do not have, or has random terms
        that the model cannot take.
    DataError
        If no complete row is left, there are not more rows than coefficients, groups cross where
        residuals are correlated or have too many effects, a patient has two residuals at one visit,
        or a weight is not a number above 0.
    """
    parsed, offset_term = parse(formula, functions), ""
    if offsets:
        parsed, special = take_out_specials(parsed, ("offset",))
        offset_term = "".join(special["offset"])
    structure = residual is not None and not residual.trivial
    terms: dict[str, list[RandomTerm]] = {}
    for term in parsed.random:
        terms.setdefault(term.group, []).append(term)
    if parsed.surv or (not structured and len(terms) != 1):
        raise FormulaError(
            f"a mixed model needs one random term such as (1 | id); {formula!r} has "
            f"{len(parsed.random)}"
        )
    if not terms and not (residual is not None and residual.patient):
        raise FormulaError(
            f"{formula!r} has no random term such as (1 | id); without one, the residual "
            "structure must name the patients, as in Residual('unstructured', visit='visit', "
            "patient='id')"
        )
    columns = [c for term in parsed.random for c in term.columns]
    if residual is not None:
        columns += residual.columns
    missing = [c for c in dict.fromkeys(columns) if c not in data]
    if missing:
        raise FormulaError(
            f"{formula!r}: the data have no column {missing[0]!r} to group rows by: it needs "
            f"{absent(missing[0], data)}"
        )
    y = response(parsed.response, data, functions=functions)
    offset = offset_values(data, offset_term, functions) if offset_term else None
    fixed, complete = fixed_design(parsed.fixed, data, functions=functions)
    complete = complete & ~np.isnan(y) & present(data, columns)
    if offset is not None:
        complete &= ~np.isnan(offset)
    random = {}
    for name, of_group in terms.items():
        random[name], known = random_design(of_group, data, parsed)
        complete &= known
    if not complete.any():
        raise DataError(f"no row of the data has all of the values that {formula!r} needs")
    used = data
    if not complete.all():
        # Rank and factor levels must come from the rows that are used.
        used = data.loc[complete].reset_index(drop=True)
        fixed, _ = fixed_design(parsed.fixed, used, functions=functions)
        random = {name: random_design(of, used, parsed)[0] for name, of in terms.items()}
        y = y[complete]
    if len(y) <= len(fixed.names):
        raise DataError(
            f"{shortened(formula)!r} has {plural(len(fixed.names), 'coefficient')} but only "
            f"{plural(len(y), 'complete row')}; "
            "a simpler formula is needed"
        )
    groupings = [
        Grouping(of[0].name, random[name], *groups_of(of[0].columns, used, of[0].name))
        for name, of in terms.items()
    ]
    if residual is not None and residual.patient:
        groupings = with_patients(groupings, residual, used)
    groupings.sort(key=lambda g: len(g.labels), reverse=True)
    patients, *outer = groupings
    crossed = crossing(groupings)
    if residual is not None and residual.patient:
        check_finest(patients, residual, used)
    pairs, by_row = None, structure or not patients.random.names
    if crossed and by_row:
        raise DataError(
            f"{formula!r}: {crossed.example}. Residuals that are correlated or differ in spread "
            f"need nested groups. {NEST}"
        )
    effects = sum(len(g.labels) * len(g.random.names) for g in outer)
    if crossed and effects > MOST_CROSSED:
        raise DataError(
            f"{formula!r}: {crossed.example}. The groupings beside {patients.name} have {effects} "
            f"random effects; where groups cross, {MOST_CROSSED} are the most that can be fitted. "
            f"{NEST}"
        )
    if outer and not crossed:
        largest = int(np.bincount(outer[-1].group).max())
        by_row = by_row or largest <= FEW_ROWS or effects > MANY_NESTED
    if by_row:
        pairs = (residual or Residual()).design(used, patients.group)
    return MixedDesign(
        formula=parsed,
        y=y,
        fixed=fixed,
        random=patients.random,
        group=patients.group,
        labels=patients.labels,
        group_name=patients.name,
        rows=np.flatnonzero(complete),
        n_excluded=int((~complete).sum()),
        outer=tuple(outer),
        residual=pairs if structure else None,
        row_pairs=pairs,
        crossed=crossed is not None,
        weights=None if weights is None else Weights.of(weights, used),
        offset=None if offset is None else offset[complete],
        offset_term=offset_term,
    )
