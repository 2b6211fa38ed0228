"""Rows of the likelihood of a hazard model: events, and stretches of time at risk."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Stretches(NamedTuple):
    """Stretches of time at risk.

    Attributes
    ----------
    X : ndarray, shape (r, p)
        Covariates.
    offset : ndarray, shape (r,)
    weight : ndarray, shape (r,)
        Negative where what happened before entry is taken off.
    Q : ndarray, shape (r, K)
        Integrated basis; for a Weibull hazard the one column v.
    owner : ndarray of int, shape (r,)
        Row of the data.
    density : bool
        Weibull only: a stretch is a point, and its hazard, not its cumulative hazard, is summed.
    """

    X: np.ndarray
    offset: np.ndarray
    weight: np.ndarray
    Q: np.ndarray
    owner: np.ndarray
    density: bool


class Between(NamedTuple):
    """Events between two times.

    Attributes
    ----------
    stretches : Stretches
        From the earlier to the later time; their owners are positions among these events, and
        weights are not those of the rows.
    weight : ndarray, shape (m,)
        Of each event's row.
    owner : ndarray of int, shape (m,)
        Row of the data.
    """

    stretches: Stretches
    weight: np.ndarray
    owner: np.ndarray


class Events(NamedTuple):
    """Events.

    Attributes
    ----------
    X : ndarray, shape (e, p)
    offset : ndarray, shape (e,)
    weight : ndarray, shape (e,)
    M : ndarray, shape (e, K)
        Hazard basis; for a Weibull hazard the one column v.
    log_time : ndarray, shape (e,)
    owner : ndarray of int, shape (e,)
    """

    X: np.ndarray
    offset: np.ndarray
    weight: np.ndarray
    M: np.ndarray
    log_time: np.ndarray
    owner: np.ndarray
