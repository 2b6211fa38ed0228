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
    return arviz_base.from_dict(
        {
            "posterior": dict(samples),
            "sample_stats": dict(draws.stats),
            "log_likelihood": {"y": log_likelihood},
            "log_prior": dict(log_prior),
            "observed_data": {"y": observed},
        },
        coords={f"{name}_unit": [str(v) for v in labels]},
        dims={"y": [f"{name}_unit"]} if len(observed) == len(labels) else None,
        attrs={"/": {"inference_library": "longsurv"}},
    )
