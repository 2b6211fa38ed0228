"""The hazard's ingredients over time: baseline, and what each link says of a marker's curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.design.fixed import FixedDesign
from longsurv.design.links import Link, constant_under, link_rows
from longsurv.design.log_hazards import Baseline
from longsurv.design.mixed import MixedDesign
from longsurv.design.quadrature import time_points


@dataclass(frozen=True)
class LinkPoints:
    """One association: f = x'beta + z'b - centre at every point.

    Attributes
    ----------
    marker : int
        Which of the markers.
    x, z : ndarray, shapes (p, G) and (q, G)
    centre : ndarray, shape (G,)
        The link of a curve that stays at the marker's mean.
    """

    marker: int
    x: np.ndarray
    z: np.ndarray
    centre: np.ndarray


@dataclass(frozen=True)
class HazardPoints:
    """A hazard's ingredients at each patient's exit and quadrature points, patient by patient.

    Attributes
    ----------
    start : ndarray of int, shape (N + 1,)
        Points start[i] to start[i + 1] - 1 are those of patient i, the exit first.
    weight : ndarray, shape (G,)
        Of the quadrature; 0 at an exit.
    basis : ndarray, shape (m, G)
        Of the log baseline hazard.
    links : tuple of LinkPoints
        One an association.
    """

    start: np.ndarray
    weight: np.ndarray
    basis: np.ndarray
    links: tuple[LinkPoints, ...]


@dataclass(frozen=True)
class Curve:
    """What links need to know of a marker's curve.

    Attributes
    ----------
    design : MixedDesign
    mean : float
        Mean of the response.
    patients : DataFrame, N rows
        What the formula needs of each patient besides time.
    """

    design: MixedDesign
    mean: float
    patients: pd.DataFrame


def hazard_points(
    curves: Sequence[Curve],
    baseline: Baseline,
    links: Sequence[tuple[int, Link, FixedDesign | None]],
    events: pd.DataFrame,
    time: str,
    entry: np.ndarray,
    exit: np.ndarray,
) -> HazardPoints:
    """The points of N patients.

    Parameters
    ----------
    curves : sequence of Curve
    baseline : Baseline
    links : sequence of (marker, Link, columns it interacts with)
    events : DataFrame, N rows
        With the variables that links interact with.
    time : str
        Name of the time in the markers' formulas.
    entry, exit : ndarray, shape (N,)
    """
    n = len(exit)
    inner = time_points(entry, exit, baseline.breaks, baseline.power)
    owner = np.concatenate([np.arange(n), inner.owner])
    order = np.argsort(owner, kind="stable")  # so that each exit comes first
    owner = owner[order]
    t = np.concatenate([exit, inner.time])[order]
    weight = np.concatenate([np.zeros(n), inner.weight])[order]
    out = []
    for marker, link, by in links:
        curve = curves[marker]
        rows_x = link_rows(link.kind, curve.design.fixed, curve.patients, time, owner, t)
        rows_z = link_rows(link.kind, curve.design.random, curve.patients, time, owner, t)
        constant = curve.mean * constant_under(link.kind, t)
        out.append(LinkPoints(marker, rows_x.T, rows_z.T, constant))
        for factor in [] if by is None else by.rebuild(events).T:
            each = factor[owner]
            out.append(LinkPoints(marker, rows_x.T * each, rows_z.T * each, constant * each))
    return HazardPoints(
        start=np.searchsorted(owner, np.arange(n + 1)),
        weight=weight,
        basis=np.ascontiguousarray(baseline.basis(t).T),
        links=tuple(out),
    )
