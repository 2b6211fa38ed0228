"""Designs of mixed models whose rows are read in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import numpy as np

from longsurv.design.expression import Functions, expression
from longsurv.design.fixed import response
from longsurv.design.formula import Formula, parse
from longsurv.design.groupings import RandomDesign
from longsurv.design.mixed import MixedDesign
from longsurv.design.scanned.columns import ScannedColumns, Triangle
from longsurv.design.scanned.elsewhere import RowsElsewhere
from longsurv.design.scanned.scan import Scan
from longsurv.design.scanned.survey import Looked, ScanQuestion, Survey, check_by_row
from longsurv.design.terms import columns_of, terms
from longsurv.errors import DataError, FormulaError
from longsurv.words import plural, shortened


class MixedRows(NamedTuple):
    """Some rows: X (m, p), y (m,), Z (m, q) and patient (m,)."""

    X: np.ndarray
    y: np.ndarray
    Z: np.ndarray
    group: np.ndarray


@dataclass(frozen=True, eq=False)
class MixedPlan:
    """How rows become those of a mixed model.

    Attributes
    ----------
    formula : Formula
    found : Survey
        Of the rows that are meant.
    fixed, random : ScannedColumns, tuple of ScannedColumns
        Those of X, and of Z.
    """

    formula: Formula
    found: Survey
    fixed: ScannedColumns
    random: tuple[ScannedColumns, ...]

    def of(self, scan: Scan, looked: Looked) -> MixedPlan:
        """The same of some of the files, whose groups are counted from 0."""
        return replace(self, found=replace(self.found, scan=scan, codes=looked.codes))

    def rows(self) -> Iterator[MixedRows]:
        """All rows, in pieces."""
        first, formula = 0, self.formula
        for frame in self.found.frames():
            if first == 0:
                check_by_row(expression(formula.response), frame, formula.functions)
            y = response(formula.response, frame, functions=formula.functions)
            Z = [columns.of(frame) for columns in self.random]
            group = self.found.codes[first : first + len(frame)]
            first += len(frame)
            yield MixedRows(self.fixed.of(frame), y, Z[0] if len(Z) == 1 else np.hstack(Z), group)

    def triangles(self) -> tuple[Triangle, Triangle]:
        """Of (X, y) and of Z, from a pass over the rows."""
        outer = Triangle(len(self.fixed.names) + 1)
        inner = Triangle(sum(len(of.names) for of in self.random))
        for rows in self.rows():
            outer.add(np.column_stack([rows.X, rows.y]))
            inner.add(rows.Z)
        return outer, inner


@dataclass(frozen=True, eq=False)
class ScannedMixed:
    """A design, and the way to its rows.

    Attributes
    ----------
    design : MixedDesign
        Without rows.
    plan : MixedPlan
    triangle : ndarray, shape (p + 1, p + 1)
        R of the rows (X, y), of a QR.
    random_triangle : ndarray, shape (q, q)
        R of the rows Z.
    """

    design: MixedDesign
    plan: MixedPlan
    triangle: np.ndarray
    random_triangle: np.ndarray


def mixed_question(formula: str, functions: Functions | None = None) -> ScanQuestion:
    """What a mixed model's formula asks of a scan.

    Parameters
    ----------
    formula : str
        With one grouping.
    functions : mapping of str to callable, optional
        The user's own, which the formula may call.

    Raises
    ------
    FormulaError
        For a formula that cannot be read, or has several groupings.
    """
    parsed = parse(formula, functions)
    group = _one_grouping(parsed)
    sides = (parsed.fixed, *(term.effects for term in parsed.random))
    columns = [c for side in sides for c in columns_of(terms(side))]
    columns += expression(parsed.response).columns
    return ScanQuestion(tuple(dict.fromkeys([*columns, group])), sides, functions, group)


def mixed_plan(formula: str, found: Survey, functions: Functions | None = None) -> MixedPlan:
    """The columns of a mixed model, none of them left out yet."""
    parsed = parse(formula, functions)
    fixed = ScannedColumns.read(parsed.fixed, found, functions)
    random = tuple(ScannedColumns.read(t.effects, found, functions) for t in parsed.random)
    return MixedPlan(parsed, found, fixed, random)


def scanned_mixed(plan: MixedPlan, outer: Triangle, inner: Triangle) -> ScannedMixed:
    """The design, from the triangles of all rows.

    Raises
    ------
    FormulaError
        For random effects that are there twice.
    DataError
        If there are not more rows than coefficients.
    """
    parsed, found, p = plan.formula, plan.found, len(plan.fixed.names)
    functions = parsed.functions or None
    fixed = plan.fixed.without_dependent(outer.products[:p, :p], found, functions, constant=False)
    random, kept = _independent(plan.random, inner, found, functions)
    names = tuple(n for of in random for n in of.design(0).names)
    _check_names(parsed, names)
    if found.rows <= int(fixed.keep.sum()):
        raise DataError(
            f"{shortened(parsed.text)!r} has {plural(int(fixed.keep.sum()), 'coefficient')} but "
            f"only {plural(found.rows, 'complete row')}; a simpler formula is needed"
        )
    missing = cast("np.ndarray", RowsElsewhere("the rows of the fit", found.rows))
    blocks = [
        size
        for term, of in zip(parsed.random, random, strict=True)
        for size in ([int(of.keep.sum())] if term.correlated else [1] * int(of.keep.sum()))
    ]
    ends = np.vstack([inner.low, inner.high, inner.nearest])[:, kept]
    design = MixedDesign(
        formula=parsed,
        y=missing,
        fixed=fixed.design(found.rows),
        random=ScannedEffects(
            tuple(of.design(found.rows) for of in random), missing, names, tuple(blocks), ends
        ),
        group=missing,
        labels=found.labels,
        group_name=parsed.random[0].name,
        rows=missing,
        n_excluded=found.excluded,
    )
    return ScannedMixed(
        design,
        replace(plan, fixed=fixed, random=random),
        outer.of(np.append(fixed.keep, True)),
        inner.of(kept),
    )


@dataclass(frozen=True)
class ScannedEffects(RandomDesign):
    """Columns of random effects without their rows.

    Attributes
    ----------
    ends : ndarray, shape (3, q)
        Least and largest value of each, and the least absolute one.
    """

    ends: np.ndarray

    @property
    def extremes(self) -> np.ndarray:
        """Values of each column, shape (m, q), its extremes and that nearest to 0 among them."""
        near = np.where(self.ends[0] > 0.0, self.ends[2], -self.ends[2])
        return np.vstack([self.ends[:2], near])


def _one_grouping(parsed: Formula) -> str:
    names = list(dict.fromkeys(term.group for term in parsed.random))
    columns = parsed.random[0].columns if len(names) == 1 else ()
    if parsed.surv or len(columns) != 1:
        raise FormulaError(
            f"of a scan a mixed model has one grouping of one column, such as (1 | id); "
            f"{parsed.text!r} has {names or 'none'}. Others need a table in memory"
        )
    return columns[0]


def _independent(
    random: tuple[ScannedColumns, ...],
    inner: Triangle,
    found: Survey,
    functions: Functions | None,
) -> tuple[tuple[ScannedColumns, ...], np.ndarray]:
    """The columns of each term that are not determined by the others of the term, and which of all
    columns those are, shape (q,) of bool."""
    out, start = [], 0
    for of in random:
        at = slice(start, start + len(of.names))
        start = at.stop
        crossed = inner.products[at, at]
        out.append(of.without_dependent(crossed, found, functions, constant=False))
    return tuple(out), np.concatenate([of.keep for of in out])


def _check_names(formula: Formula, names: tuple[str, ...]) -> None:
    group = formula.random[0].name
    if not names:
        raise FormulaError(
            f"the random term of {formula.text!r} has no columns; (1 | {group}) has one"
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FormulaError(
            f"{formula.text!r} gives {group} the random effect {twice[0]} twice; leave the "
            "intercept out of a term with 0, as in (1 | id) + (0 + time | id)"
        )
