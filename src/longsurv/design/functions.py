"""The functions a formula may call. Nothing else runs, whoever wrote the formula.

Each is elementwise, or a transform that remembers what it learnt from the first data (knots, means,
levels). Functions of a whole column such as a mean are left out on purpose: they would give new
rows another value.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.design.splines import natural_spline, restricted_spline
from longsurv.errors import FormulaError

if TYPE_CHECKING:
    from formulaic import ModelSpec
    from formulaic.materializers.types import FactorValues
    from numpy.typing import ArrayLike

LARGEST_BASIS = 200
"""Columns that one transform may make: also of `poly`, whose cost grows with its square."""


@dataclass(frozen=True)
class Function:
    """A function of a formula.

    Attributes
    ----------
    call : callable
    arguments : tuple of str
        Names of its arguments in order.
    rows : int
        How many of the first arguments are values of rows; the others are constants.
    remembers : bool
        Whether it takes a dict called _state, filled with the first data.
    """

    call: Callable[..., object]
    arguments: tuple[str, ...]
    rows: int = 1
    remembers: bool = False


ONE = (
    "log", "log10", "log2", "log1p", "exp", "exp2", "expm1", "sqrt", "cbrt", "abs", "absolute",
    "fabs", "square", "sign", "floor", "ceil", "trunc", "rint", "sin", "cos", "tan", "arcsin",
    "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "isnan",
    "isfinite", "logical_not", "reciprocal", "negative", "deg2rad", "rad2deg",
)  # fmt: skip
TWO = (
    "minimum", "maximum", "power", "hypot", "arctan2", "fmod", "mod", "logical_and", "logical_or",
    "add", "subtract", "multiply", "divide",
)  # fmt: skip
RENAMED = {"ceiling": "ceil", "pmin": "minimum", "pmax": "maximum"}
"""R's names of functions."""
CONSTANTS = {"pi": np.pi, "e": np.e, "euler_gamma": np.euler_gamma}
"""Of NumPy, as in np.pi."""

INSTEAD = {
    "frailty": "a frailty is a random effect, (1 | site); for standard errors alone, cluster(site)",
    "lag": "a lag would cross from one patient into the next; compute it within patients, as "
    "data.groupby('id')['x'].shift()",
    "hashed": "a column of hashed levels has no meaning of its own; use the levels",
    "s": "write ns(x, df=4), bs(x, df=5) or rcs(x, 4) for a smooth curve",
    "te": "write ns(x, df=4) * ns(z, df=4) for a smooth surface",
    "pspline": "write ns(x, df=4) or rcs(x, 4) for a smooth curve",
    "tt": "for an effect that changes with time use Hazard(..., time_varying=['x'])",
    "ordered": "make the column an ordered pandas Categorical",
    "relevel": "name the reference as C(x, contr.treatment('b'))",
    "cut": "cut the column in the data first, in the file or with pd.cut",
    "cluster": "cluster() is a term of its own, of survival models",
    "strata": "strata() is a term of its own, of survival models",
    "offset": "an offset is a term of GLMM, CoxPH and Hazard, as in '+ offset(z)'; of measurements "
    "subtract it on the left, as in y - z ~ x",
    "Surv": "Surv() stands left of '~', and only there",
    **dict.fromkeys(
        ("mean", "std", "var", "sd", "median", "sum", "min", "max", "quantile", "rank", "cumsum",
         "diff", "percentile", "nanmean", "average"),
        "it depends on all rows, so new rows would get another value; use center(x) or scale(x), "
        "or compute the column in the data first",
    ),
}  # fmt: skip
"""What to write in place of names that people know from elsewhere."""


def refuse(name: str, known: Mapping[str, object]) -> FormulaError:
    """Why a formula may not call a name."""
    bare = name.removeprefix("np.")
    if bare in INSTEAD:
        return FormulaError(f"{name}(): {INSTEAD[bare]}")
    own = f", and {sorted(known)} of your own" if known else ""
    return FormulaError(
        f"name {name!r} is not defined: a formula may call {', '.join(sorted(table()))}{own}. Hand "
        f"in another as functions={{{bare!r}: ...}}, or compute the column in the data first"
    )


@lru_cache(maxsize=1)
def table() -> Mapping[str, Function]:
    """All functions by name; those of NumPy also as np.name."""
    from formulaic.transforms import TRANSFORMS

    numeric = {name: Function(getattr(np, name), ("x",)) for name in ONE}
    numeric |= {name: Function(getattr(np, name), ("x1", "x2"), 2) for name in TWO}
    numeric["round"] = Function(_round, ("x", "decimals"))
    numeric["where"] = Function(np.where, ("condition", "x", "y"), 3)
    numeric["clip"] = Function(np.clip, ("a", "a_min", "a_max"), 3)
    numeric["isin"] = Function(_isin, ("element", "test_elements"))
    short = {name: numeric[of] for name, of in RENAMED.items()} | {"ifelse": numeric["where"]}
    short["exp10"] = Function(lambda x: np.power(10.0, x), ("x",))
    spline = ("x", "df", "knots", "lower_bound", "upper_bound")
    cubic = (*spline, "constraints", "extrapolation")
    bspline = ("x", "df", "knots", "degree", "include_intercept", "lower_bound", "upper_bound",
               "extrapolation")  # fmt: skip
    remembering = {
        "bs": (TRANSFORMS["bs"], bspline),
        "cr": (TRANSFORMS["cr"], cubic),
        "cs": (TRANSFORMS["cs"], cubic),
        "cc": (TRANSFORMS["cc"], cubic),
        "ns": (natural_spline, ("x", "df", "knots", "intercept", "Boundary_knots")),
        "rcs": (restricted_spline, ("x", "knots")),
        "poly": (TRANSFORMS["poly"], ("x", "degree", "raw")),
        "scale": (TRANSFORMS["scale"], ("x", "center", "scale", "ddof")),
        "standardize": (TRANSFORMS["standardize"], ("x", "center", "rescale", "ddof")),
        "center": (TRANSFORMS["center"], ("x",)),
    }
    levels = Function(categories, ("x", "contrasts", "levels"))
    return {
        **numeric,
        **{f"np.{name}": of for name, of in numeric.items()},
        **short,
        **{name: Function(call, of, 1, True) for name, (call, of) in remembering.items()},
        "I": Function(lambda x: x, ("x",)),
        "C": levels,
        "factor": levels,
    }


@lru_cache(maxsize=1)
def codings() -> Mapping[str, Callable[..., object]]:
    """Contrasts of C(), by name."""
    from formulaic.transforms import TRANSFORMS, ContrastsRegistry

    own = {f"contr.{name}": getattr(ContrastsRegistry, name)
           for name in ("treatment", "sum", "helmert", "poly", "diff", "SAS")}  # fmt: skip
    return own | {
        name: TRANSFORMS[name] for name in ("Treatment", "Sum", "Helmert", "Poly", "Diff")
    }


def check_options(name: str, options: Mapping[str, object]) -> None:
    """Refuse options whose cost has no bound.

    Raises
    ------
    FormulaError
    """
    for option in ("df", "degree", "knots"):
        value = options.get(option)
        size = len(value) if isinstance(value, list) else value
        if isinstance(size, str) or (
            size is not None and not 0 <= np.asarray(size, dtype=float) <= LARGEST_BASIS
        ):
            raise FormulaError(
                f"{name}(..., {option}={value!r}): a number of at most {LARGEST_BASIS} columns"
            )


def categories(
    values: pd.Categorical, contrasts: object = None, levels: Collection[Hashable] | None = None
) -> FactorValues:
    """Values as a factor with the levels that occur, in the order of `levels` if that is given."""
    from formulaic.materializers.types import FactorValues
    from formulaic.transforms import encode_contrasts

    present = list(values.categories)
    if levels is not None:
        unknown = [level for level in present if level not in levels]
        if unknown:
            raise FormulaError(f"C(..., levels={levels}) leaves out the levels {unknown}")
        present = [level for level in levels if level in present]

    def encoder(
        values: pd.Categorical | FactorValues,
        reduced_rank: bool,
        drop_rows: list[int],
        encoder_state: dict[str, object],
        model_spec: ModelSpec,
    ) -> FactorValues:
        return encode_contrasts(
            pd.Series(values.__wrapped__ if isinstance(values, FactorValues) else values),
            contrasts=contrasts,
            levels=encoder_state.get("categories", present),
            reduced_rank=reduced_rank,
            _state=encoder_state,
            _spec=model_spec,
        )

    return FactorValues(
        pd.Series(values), kind="categorical", spans_intercept=True, encoder=encoder
    )


def _round(x: np.ndarray, decimals: float = 0) -> np.ndarray:
    return np.round(x, int(decimals))


def _isin(element: ArrayLike | pd.Categorical, test_elements: ArrayLike) -> np.ndarray:
    if isinstance(element, pd.Categorical):
        return np.isin(element.astype(object), np.array(test_elements, dtype=object))
    return np.isin(element, test_elements)
