"""Natural cubic splines with the columns of R: ``ns`` (splines) and ``rcs`` (rms).

Both are linear beyond their boundary knots. ``ns(x, df=4)`` has its inner knots at quantiles and
its boundary knots at the range of the first data, and the columns of a B-spline basis with the
second derivative at the boundaries taken out; ``rcs(x, 4)`` has Harrell's knots and a truncated
power basis whose first column is x.

Hastie (1992), in Chambers & Hastie, Statistical Models in S, ch. 7; Harrell (2015), Regression
Modeling Strategies, 2nd ed., sec. 2.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from longsurv.errors import FormulaError

if TYPE_CHECKING:
    from formulaic.materializers.types import FactorValues

ORDER = 4
FRACTIED = 0.05
"""Share of ties at an extreme from which on Harrell's outer knot is moved inside them."""


def natural_spline(
    x: np.ndarray,
    df: float | None = None,
    knots: Sequence[float] | float | None = None,
    intercept: bool = False,
    Boundary_knots: Sequence[float] | None = None,
    *,
    _state: dict[str, np.ndarray],
) -> FactorValues:
    """Natural cubic splines as R's ns: df columns, or one more than there are inner knots."""
    from formulaic.materializers.types import FactorValues

    x = _checked("ns", x)
    if not _state:
        ends = np.array([x.min(), x.max()] if Boundary_knots is None else Boundary_knots, float)
        inner = np.atleast_1d(np.array([] if knots is None else knots, dtype=float))
        if knots is None and df is not None:
            count = int(df) - 1 - int(intercept)
            if count < 0 or df != int(df):
                raise FormulaError(f"ns(..., df={df}): a whole number of at least 1 + intercept")
            inside = x[(x >= ends[0]) & (x <= ends[1])]
            inner = np.quantile(inside, np.linspace(0.0, 1.0, count + 2)[1:-1])
        _state |= {"ends": ends, "inner": inner}
    ends, inner = _state["ends"], _state["inner"]
    all_knots = np.concatenate([np.repeat(ends[0], ORDER), inner, np.repeat(ends[1], ORDER)])
    if (np.diff(all_knots[ORDER - 1 : -ORDER + 1]) <= 0).any():
        raise FormulaError(f"ns(): the knots {list(inner)} within {list(ends)} are not distinct")
    first = 0 if intercept else 1
    inside = np.clip(x, *ends)
    basis = _derivatives(all_knots, inside, 0) + (x - inside)[:, None] * _derivatives(
        all_knots, inside, 1
    )
    constraint = _derivatives(all_knots, ends, 2)[:, first:]
    q = np.linalg.qr(constraint.T, mode="complete")[0]
    return _named(FactorValues, (basis[:, first:] @ q)[:, 2:])


def _derivatives(knots: np.ndarray, at: np.ndarray, derivative: int) -> np.ndarray:
    """All cubic B-splines or their derivatives, shape (len(at), number of splines)."""
    from scipy.interpolate import BSpline

    count = len(knots) - ORDER
    spline = BSpline(knots, np.eye(count), ORDER - 1)
    return (spline if derivative == 0 else spline.derivative(derivative))(at)


def bsplines(knots: np.ndarray, at: np.ndarray, degree: int) -> np.ndarray:
    """All B-splines of a degree at points within the knots, shape (len(at), number of splines)."""
    from scipy.interpolate import BSpline

    if not len(at):
        return np.zeros((0, len(knots) - degree - 1))
    return BSpline.design_matrix(at, knots, degree).toarray()


def restricted_spline(
    x: np.ndarray, knots: Sequence[float] | float = 5, *, _state: dict[str, np.ndarray]
) -> FactorValues:
    """Restricted cubic splines as rms's rcs: x, and a column for each knot but two."""
    from formulaic.materializers.types import FactorValues

    x = _checked("rcs", x)
    if not _state:
        if isinstance(knots, int | float | np.number):
            _state["knots"] = harrell_knots(x, int(knots))
        else:
            _state["knots"] = np.unique(np.array(knots, dtype=float))
    t = _state["knots"]
    if len(t) < 3:
        raise FormulaError(f"rcs() needs three knots or more, not {list(t)}")
    scale = (t[-1] - t[0]) ** 2

    def cube(at: float) -> np.ndarray:
        return np.maximum(x - at, 0.0) ** 3

    curved = [
        (cube(s) + ((t[-2] - s) * cube(t[-1]) - (t[-1] - s) * cube(t[-2])) / (t[-1] - t[-2]))
        / scale
        for s in t[:-2]
    ]
    return _named(FactorValues, np.column_stack([x, *curved]))


def harrell_knots(x: np.ndarray, count: int) -> np.ndarray:
    """Where `Hmisc::rcspline.eval` puts its knots by default."""
    n, distinct = len(x), np.unique(x)
    if count < 3:
        raise FormulaError(f"rcs() needs three knots or more, not {count}")
    if n < 6 or len(distinct) < 5:
        raise FormulaError(f"rcs() with {count} knots needs more than {len(distinct)} values")
    if len(distinct) - 2 <= count:
        return distinct[1:-1]
    outer = 0.1 if count == 3 else 0.025 if count > 6 else 0.05
    share = np.unique(x, return_counts=True)[1] / n
    low: list[float] = []
    high: list[float] = []
    inside = x
    if share[1:-1].max() < FRACTIED:
        if share[0] >= FRACTIED:
            low = [inside[inside > inside.min()].min()]
            inside = inside[inside > low[0]]
        if share[-1] >= FRACTIED:
            high = [inside[inside < inside.max()].max()]
            inside = inside[inside < high[0]]
    left = count - len(low) - len(high)
    if left == 1:
        middle = np.array([np.median(inside)])
    else:
        start = 0.5 if left == 2 else outer
        middle = np.quantile(inside, np.linspace(start, 1.0 - outer, left))
        if len(np.unique(middle)) < min(left, 3):
            middle = np.quantile(inside, np.linspace(outer, 1.0 - outer, 2 * left))
    if left > 1 and len(inside) < 100:
        ordered = np.sort(inside)
        if not low:
            middle[0] = ordered[4]
        if not high:
            middle[-1] = ordered[-5]
    found = np.unique(np.concatenate([low, middle, high]))
    if len(found) < 3:
        raise FormulaError(
            f"rcs() finds fewer than three distinct knots among {len(distinct)} values with many "
            "ties; name them, as in rcs(x, [1, 2, 5])"
        )
    return found


def _checked(name: str, x: object) -> np.ndarray:
    if not isinstance(x, np.ndarray) or x.ndim != 1:
        raise FormulaError(f"{name}() needs one column of numbers")
    return x.astype(float)


def _named(kind: type[FactorValues], columns: np.ndarray) -> FactorValues:
    return kind(
        {str(k + 1): columns[:, k] for k in range(columns.shape[1])},
        kind="numerical",
        spans_intercept=False,
        format="{name}[{field}]",
        encoded=False,
    )
