"""Draws as an ArviZ DataTree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from longsurv.inference import Draws

if TYPE_CHECKING:
    from xarray import DataTree


@dataclass(frozen=True, eq=False)
class Pointwise:
    """The log-likelihood of each independent unit, such as a patient, at each draw.

    Attributes
    ----------
    values : ndarray, shape (chains, draws, units)
    unit : str
        What a unit is.
    labels : sequence
        Of the units.
    observed : ndarray
        The response, which the units need not be of one for one.
    """

    values: np.ndarray
    unit: str
    labels: Sequence[object]
    observed: np.ndarray


def to_datatree(
    samples: Mapping[str, np.ndarray],
    draws: Draws,
    log_prior: Mapping[str, np.ndarray],
    likelihood: Pointwise,
) -> DataTree:
    """Put draws into ArviZ's groups.

    Parameters
    ----------
    samples : mapping of str to ndarray, shape (chains, draws)
    draws : Draws
    log_prior : mapping of str to ndarray, shape (chains, draws)
    likelihood : Pointwise

    Returns
    -------
    DataTree
        posterior, sample_stats, log_likelihood, log_prior, observed_data.
    """
    import arviz_base

    dimension = f"{likelihood.unit}_unit"
    tree = arviz_base.from_dict(
        {
            "posterior": _named(samples),
            "sample_stats": dict(draws.stats),
            "log_prior": _named(log_prior),
            "observed_data": {"y": likelihood.observed},
        },
        attrs={"/": {"inference_library": "longsurv"}},
    )
    # Apart from the rest, as its units need not be the observations of the same name.
    pointwise = arviz_base.from_dict(
        {"log_likelihood": {"y": likelihood.values}},
        coords={dimension: [str(v) for v in likelihood.labels]},
        dims={"y": [dimension]},
    )
    return tree.assign({"log_likelihood": pointwise["log_likelihood"]})


def _named(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By names a DataTree can hold, where a slash separates groups: I(t / 7) becomes I(t \\ 7)."""
    return {name.replace("/", "\\"): value for name, value in values.items()}
