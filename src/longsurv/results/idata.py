"""Draws as an ArviZ DataTree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from longsurv.inference import Draws


def to_datatree(
    samples: Mapping[str, np.ndarray],
    draws: Draws,
    *,
    log_likelihood: np.ndarray,
    log_prior: Mapping[str, np.ndarray],
    unit: tuple[str, Sequence[Any]],
    observed: np.ndarray,
) -> Any:
    """Put draws into ArviZ's groups.

    Parameters
    ----------
    samples : mapping of str to ndarray, shape (chains, draws)
    draws : Draws
    log_likelihood : ndarray, shape (chains, draws, units)
        Of each independent unit (a patient).
    log_prior : mapping of str to ndarray, shape (chains, draws)
    unit : (name, labels)
        Dimension of the log-likelihood and its coordinates.
    observed : ndarray

    Returns
    -------
    DataTree
        posterior, sample_stats, log_likelihood, log_prior, observed_data.
    """
    import arviz_base

    name, labels = unit
    tree = arviz_base.from_dict(
        {
            "posterior": _named(samples),
            "sample_stats": dict(draws.stats),
            "log_prior": _named(log_prior),
            "observed_data": {"y": observed},
        },
        attrs={"/": {"inference_library": "longsurv"}},
    )
    # Apart from the rest, as its units need not be the observations of the same name.
    pointwise = arviz_base.from_dict(
        {"log_likelihood": {"y": log_likelihood}},
        coords={f"{name}_unit": [str(v) for v in labels]},
        dims={"y": [f"{name}_unit"]},
    )
    return tree.assign({"log_likelihood": pointwise["log_likelihood"]})


def _named(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By names a DataTree can hold, where a slash separates groups: I(t / 7) becomes I(t \\ 7)."""
    return {name.replace("/", "\\"): value for name, value in values.items()}
