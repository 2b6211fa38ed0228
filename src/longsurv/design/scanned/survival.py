"""Designs of survival models whose covariates are read in pieces.

Times, events, strata and what else is one number a row are read whole; the covariates, which are
most of a large table, are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pandas as pd

from longsurv.design.expression import Functions, expression
from longsurv.design.fixed import check_fewer
from longsurv.design.formula import parse
from longsurv.design.names import quoted
from longsurv.design.rank import clearly_independent
from longsurv.design.scanned.columns import ScannedColumns, Triangle
from longsurv.design.scanned.elsewhere import RowsElsewhere
from longsurv.design.scanned.scan import Scan
from longsurv.design.scanned.survey import ScanQuestion, Survey, pieces, survey
from longsurv.design.specials import take_out_specials
from longsurv.design.survival import SurvivalDesign, survival_design
from longsurv.design.terms import columns_of, terms
from longsurv.errors import DataError, FormulaError

ROUNDING = 1e-9
"""Share of a column's largest value below which it does not vary within a stratum."""


@dataclass(frozen=True, eq=False)
class ScannedSurvival:
    """A design, and the way to its covariates.

    Attributes
    ----------
    design : SurvivalDesign
        Without covariates.
    found : Survey
    columns : ScannedColumns
    used : ndarray of int, shape (n,)
        Positions of the rows of the design among the complete ones.
    mean : ndarray, shape (strata, p)
        Of the covariates, by stratum.
    sd : ndarray, shape (p,)
        About these means.
    """

    design: SurvivalDesign
    found: Survey
    columns: ScannedColumns
    used: np.ndarray
    mean: np.ndarray
    sd: np.ndarray

    def rows(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Covariates (m, p) of all complete rows, and where those stand, in pieces."""
        return _rows(self.found, self.columns)


def _rows(found: Survey, columns: ScannedColumns) -> Iterator[tuple[slice, np.ndarray]]:
    first = 0
    for frame in found.frames():
        at, first = slice(first, first + len(frame)), first + len(frame)
        yield at, columns.of(frame)


def scanned_survival(
    formula: str,
    scan: Scan,
    *,
    weights: str | None = None,
    patient: str | None = None,
    functions: Functions | None = None,
) -> ScannedSurvival:
    """Build the design of ``Surv(time, event) ~ ...`` in a few passes over a scan.

    Parameters
    ----------
    formula, weights, patient, functions
        As for `survival_design`; without site effects.
    scan : Scan

    Raises
    ------
    FormulaError
        For a formula that cannot be read, names a column the files do not have, or has a random
        effect.
    DataError
        As from `survival_design`, and for columns that strata determine.
    """
    parsed, special = take_out_specials(parse(formula, functions))
    if parsed.random or not parsed.surv:
        raise FormulaError(
            "of a scan a survival formula starts with Surv(time, event) and has no random effect; "
            f"{formula!r} needs a table in memory"
        )
    single = [*parsed.surv, *special["strata"], *special["cluster"]]
    single += [name for name in (weights, patient) if name]
    for term in special["offset"]:
        single += expression(term).columns
    single = list(dict.fromkeys(single))
    every = tuple(dict.fromkeys([*single, *columns_of(terms(parsed.fixed))]))
    found = survey(scan, ScanQuestion(every, (parsed.fixed,), functions, weights=weights))
    parts = pieces(scan, every, single, found.levels, weights)
    narrow = pd.concat([piece.frame for piece in parts])
    weightless = 0
    if weights is not None:
        weightless = sum(len(piece.batch) for piece in pieces(scan, every, ())) - found.rows
    named = [f"strata({', '.join(map(quoted, special['strata']))})"] if special["strata"] else []
    named += [f"cluster({quoted(name)})" for name in special["cluster"]]
    named += [f"offset({term})" for term in special["offset"]]
    left = formula[: formula.index("~")]
    bare = survival_design(
        f"{left}~ {' + '.join(['1', *named])}", narrow, weights=weights, patient=patient,
        functions=functions,
    )  # fmt: skip
    del narrow
    bare = replace(
        bare, formula=parsed, n_weightless=weightless, n_excluded=found.excluded - weightless
    )
    return _whole(bare, found, functions, bare.rows)


def _whole(
    bare: SurvivalDesign, found: Survey, functions: Functions | None, used: np.ndarray
) -> ScannedSurvival:
    """The design with its covariates, from a pass over them; two where there are strata."""
    columns = ScannedColumns.read(bare.formula.fixed, found, functions, intercept=False)
    taken = np.zeros(found.rows, dtype=bool)
    taken[used] = True
    triangle = Triangle(1 + len(columns.names))
    strata = 1 if bare.strata is None else len(bare.strata.labels)
    sums = np.zeros((strata, len(columns.names)))
    code = np.zeros(0, dtype=int) if bare.stratum is None else _at(bare.stratum, taken)
    for at, X in _rows(found, columns):
        X = X[taken[at]]
        if len(X):
            triangle.add(np.column_stack([np.ones(len(X)), X]))
            if strata > 1:
                np.add.at(sums, code[at][taken[at]], X)
    columns = columns.without_dependent(triangle.products, found, functions, constant=True)
    n, kept = len(used), np.append(True, columns.keep)
    products = triangle.of(kept)
    mean, about = (products[0] / products[0, 0])[None, 1:], products[1:, 1:]
    if bare.stratum is not None and strata > 1:
        counts = np.bincount(bare.stratum, minlength=strata)[:, None]
        mean = sums[:, columns.keep] / counts
        about = _within(found, columns, mean, code, taken, triangle)
    fixed = columns.design(n)
    check_fewer(fixed, n, bare.formula.text)
    missing = cast("np.ndarray", RowsElsewhere("the rows of the fit", n))
    design = replace(bare, fixed=fixed, rows=missing)
    return ScannedSurvival(design, found, columns, used, mean, np.sqrt((about**2).sum(axis=0) / n))


def _at(stratum: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """The stratum of each complete row; 0 for those that are not taken."""
    code = np.zeros(len(taken), dtype=stratum.dtype)
    code[taken] = stratum
    return code


def _within(
    found: Survey,
    columns: ScannedColumns,
    mean: np.ndarray,
    code: np.ndarray,
    taken: np.ndarray,
    whole: Triangle,
) -> np.ndarray:
    """The triangle of the covariates less their means by stratum.

    Raises
    ------
    DataError
        If strata may determine one.
    """
    largest = np.maximum(np.abs(whole.low), np.abs(whole.high))[1:][columns.keep]
    triangle = Triangle(int(columns.keep.sum()))
    for at, X in _rows(found, columns):
        own = taken[at]
        within = X[own] - mean[code[at][own]]
        within[np.abs(within) < ROUNDING * largest] = 0.0
        if len(within):
            triangle.add(within)
    if not clearly_independent(triangle.products):
        raise DataError(
            f"a column of '{columns.right}' does not vary within the strata, or others determine "
            "it there, and a scan does not look which: leave such a term out"
        )
    return triangle.r
