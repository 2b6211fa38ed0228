"""Linear combinations of coefficients, and how they are asked for."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError

type ContrastLike = str | Mapping[str, float] | Sequence[float] | np.ndarray | pd.DataFrame


def contrast_matrix(
    asked: ContrastLike, names: Sequence[str], of: str = "the model has no coefficient"
) -> tuple[np.ndarray, list[str]]:
    """Rows of weights over the coefficients.

    Parameters
    ----------
    asked : str, mapping of str to float, array of shape (p,) or (r, p), or DataFrame
        One coefficient by name; weights by name (others 0); plain weights; or a DataFrame with
        coefficients as columns and one labelled row a contrast.
    names : sequence of str
        The coefficients, in order.
    of : str
        What is said of a name that is none of them.

    Returns
    -------
    L : ndarray, shape (r, p)
    labels : list of str, length r

    Raises
    ------
    LongsurvError
        For a name the model does not have, or weights of the wrong length or not finite.
    """
    L, labels = _rows(asked, names, of)
    if not np.isfinite(L).all():
        raise LongsurvError(f"the weights of a contrast must be finite numbers, got {asked!r}")
    if not len(L):
        raise LongsurvError("a contrast needs at least one row of weights")
    return L, labels


def _rows(asked: ContrastLike, names: Sequence[str], of: str) -> tuple[np.ndarray, list[str]]:
    if isinstance(asked, str):
        asked = {asked: 1.0}
    if isinstance(asked, pd.DataFrame):
        twice = asked.columns[asked.columns.duplicated()]
        if len(twice):
            raise LongsurvError(f"the table of weights has two columns of {twice[0]!r}")
        L = np.zeros((len(asked), len(names)))
        for column in asked.columns:
            L[:, position(str(column), names, of)] = asked[column].to_numpy(dtype=float)
        return L, [str(label) for label in asked.index]
    if isinstance(asked, Mapping):
        row = np.zeros(len(names))
        for name, weight in asked.items():
            row[position(name, names, of)] = float(weight)
        return row[None, :], [label(row, names)]
    try:
        L = np.atleast_2d(np.asarray(asked, dtype=float))
    except (TypeError, ValueError):
        L = np.empty((0, 0, 0))
    if L.ndim != 2 or L.shape[1] != len(names):
        raise LongsurvError(f"a contrast needs {len(names)} weights, one for each of {list(names)}")
    return L, [label(row, names) for row in L]


def position(name: str, names: Sequence[str], of: str = "the model has no coefficient") -> int:
    """Index of a coefficient, with the nearest name in the error if there is none."""
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise LongsurvError(f"{of} {name!r}; it has {list(names)}.{hint}")
    return list(names).index(name)


def label(row: np.ndarray, names: Sequence[str]) -> str:
    """A contrast in words, as in ``year + 2*drug``."""
    parts = []
    for weight, name in zip(row, names, strict=True):
        if weight:
            size = "" if abs(weight) == 1 else f"{abs(weight):g}*"
            parts.append(("- " if weight < 0 else "+ ") + size + name)
    text = " ".join(parts) or "0"
    return (
        text.removeprefix("+ ").replace("- ", "-", 1)
        if text.startswith("-")
        else text.removeprefix("+ ")
    )
