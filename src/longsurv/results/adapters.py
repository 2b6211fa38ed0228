"""Fits of other libraries, read: what each estimated, with its interval, under which name.

Nothing of these libraries is imported; whoever has a fit of one has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, cast

import numpy as np
import pandas as pd

from longsurv.errors import ArgumentError, LongsurvError
from longsurv.tables.notebook import Readable

if TYPE_CHECKING:
    import xarray as xr

READABLE = (
    "a CoxPHFitter or CoxTimeVaryingFitter of lifelines, results of statsmodels (MixedLM, OLS, GLM,"
    " GEE, Logit, PHReg), or draws for ArviZ (of PyMC or bambi)"
)
MOST = 1000
"""Elements of one quantity beyond which it is no coefficient, as effects of patients are not."""

type Kind = Literal["hazard", "response", ""]
"""What coefficients are of: a log hazard, the response, or what nobody can tell."""


@dataclass(frozen=True, eq=False, repr=False)
class OtherFit(Readable):
    """What a fit of another library says.

    Attributes
    ----------
    library : str
    name : str
        What it is, as "CoxPHFitter of lifelines".
    kind : {"hazard", "response", ""}
        What its coefficients are of.
    table : DataFrame
        term, estimate, std_error, conf_low, conf_high.
    """

    read_as: ClassVar[tuple[str, ...]] = ("name", "table")

    library: str
    name: str
    kind: Kind
    table: pd.DataFrame


class _Cox(Protocol):
    params_: pd.Series
    standard_errors_: pd.Series


class _Model(Protocol):
    exog_names: list[str]


class _Results(Protocol):
    model: _Model
    params: np.ndarray | pd.Series
    bse: np.ndarray | pd.Series

    def conf_int(self, alpha: float) -> np.ndarray | pd.DataFrame: ...


def read(other: object, level: float) -> OtherFit | None:
    """A fit of another library; None if it is of none that can be read.

    Parameters
    ----------
    other : object
    level : float
        Of the intervals, between 0 and 1.

    Raises
    ------
    LongsurvError
        If it is of such a library, but no fit whose coefficients can be held against others.
    """
    library, kind = type(other).__module__.partition(".")[0], type(other).__name__
    name = f"{kind} of {library}"
    if library == "lifelines":
        return OtherFit(library, name, "hazard", _of_lifelines(other, name, level))
    if library == "statsmodels":
        hazards = kind.startswith("PHReg")
        table = _of_statsmodels(other, name, level)
        return OtherFit(library, name, "hazard" if hazards else "response", table)
    draws = _posterior_of(other)
    if draws is None:
        return None
    return OtherFit("arviz", f"draws in a {kind}", "", _of_draws(draws, level))


def matched(ours: list[str], theirs: list[str], names: Mapping[str, str] | None) -> dict[str, str]:
    """The name there of each name here that has one.

    Parameters
    ----------
    ours, theirs : list of str
    names : mapping of str to str, optional
        Theirs to ours, where they are not called alike.

    Raises
    ------
    ArgumentError
        For a name that there is not.
    """
    given = dict(names or {})
    for other, own in given.items():
        if other not in theirs or own not in ours:
            raise ArgumentError(
                f"names: from one of theirs, {theirs[:10]}, to one of ours, {ours[:10]};"
                f" got {other!r}: {own!r}"
            )
    alike: dict[str, list[str]] = {}
    for name in theirs:
        if name not in given:
            alike.setdefault(_plain(name), []).append(name)
    found = {own: other for other, own in given.items()}
    for name in ours:
        same = alike.get(_plain(name), [])
        if name not in found and len(same) == 1:
            found[name] = same[0]
    return found


def _plain(name: str) -> str:
    """A name without what only one library writes: "C(arm)[T.b]:age" is "age:arm[b]"."""
    text = re.sub(r"\s+", "", name).replace("np.", "")
    if text.lower() in ("const", "intercept", "(intercept)"):
        return "Intercept"
    text = re.sub(r"\bC\((\w+)(?:,[^()]*(?:\([^()]*\))?)?\)", r"\1", text).replace("[T.", "[")
    return ":".join(sorted(text.split(":")))


def _table(
    terms: list[str], estimate: np.ndarray, error: np.ndarray, limits: np.ndarray
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "term": terms, "estimate": estimate, "std_error": error,
            "conf_low": limits[:, 0], "conf_high": limits[:, 1],
        }
    )  # fmt: skip


def _of_lifelines(other: object, name: str, level: float) -> pd.DataFrame:
    if type(other).__name__ not in ("CoxPHFitter", "CoxTimeVaryingFitter"):
        raise LongsurvError(
            f"the coefficients of a {name} are none of a proportional hazard, and cannot be held"
            f" against others; what can be read: {READABLE}"
        )
    if not hasattr(other, "params_"):
        raise LongsurvError(f"this {name} is not fitted yet; call its fit() first")
    from scipy.special import ndtri

    fit = cast("_Cox", other)
    if isinstance(fit.params_.index, pd.MultiIndex):
        raise LongsurvError(f"this {name} has a parametric baseline, which cannot be read")
    estimate, error = fit.params_.to_numpy(float), fit.standard_errors_.to_numpy(float)
    width = float(ndtri(0.5 + level / 2)) * error
    limits = np.column_stack([estimate - width, estimate + width])
    return _table([str(term) for term in fit.params_.index], estimate, error, limits)


def _of_statsmodels(other: object, name: str, level: float) -> pd.DataFrame:
    if not all(hasattr(other, part) for part in ("model", "params", "bse", "conf_int")):
        raise LongsurvError(f"a {name} has no coefficients; give the results of a model's fit()")
    fit = cast("_Results", other)
    terms = [str(term) for term in fit.model.exog_names]
    k = len(terms)  # of a mixed model the coefficients come first, and variances after them
    limits = np.asarray(fit.conf_int(alpha=1.0 - level), dtype=float)
    parts = [np.asarray(part, dtype=float) for part in (fit.params, fit.bse)]
    if limits.ndim != 2 or min(len(limits), *map(len, parts)) < k:
        raise LongsurvError(f"the coefficients of a {name} have other names than its covariates")
    return _table(terms, parts[0][:k], parts[1][:k], limits[:k])


def _posterior_of(other: object) -> xr.Dataset | None:
    """The draws in what ArviZ reads: a tree or InferenceData with a group, or the group."""
    found = getattr(other, "posterior", other)
    found = getattr(found, "dataset", found)  # of a node of a tree
    dims = getattr(found, "dims", ())
    if "chain" not in dims or "draw" not in dims or not hasattr(found, "data_vars"):
        return None
    return cast("xr.Dataset", found)


def _of_draws(draws: xr.Dataset, level: float) -> pd.DataFrame:
    rows = []
    for term, values in _scalars(draws):
        low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
        rows.append((term, values.mean(), values.std(ddof=1), low, high))
    return pd.DataFrame(rows, columns=["term", "estimate", "std_error", "conf_low", "conf_high"])


def _scalars(draws: xr.Dataset) -> Iterator[tuple[str, np.ndarray]]:
    """Every quantity by its name, those with dimensions by name and coordinates."""
    for name, variable in draws.data_vars.items():
        if "chain" not in variable.dims or "draw" not in variable.dims:
            continue
        rest = [dim for dim in variable.dims if dim not in ("chain", "draw")]
        values = variable.transpose("chain", "draw", *rest).to_numpy()
        flat = values.reshape(*values.shape[:2], -1)
        if flat.shape[-1] > MOST or not np.issubdtype(flat.dtype, np.number):
            continue
        labels = product(*(variable[dim].to_numpy() for dim in rest))
        for k, label in enumerate(labels):
            at = f"[{','.join(map(str, label))}]" if rest else ""
            yield f"{name}{at}", flat[..., k].astype(float).ravel()
