"""Innovations of a joint model: the hazard as it was foreseen at each time, added up.

From one visit to the next nothing is learned of a patient but that nothing happened. So between two
visits, at v and w, with all causes together

    int_v^w E[h(t | b) | y until v, T > t] dt = -log P(T > w | T > v, y until v)

and of one cause c of several

    int_v^w E[h_c(t | b) | y until v, T > t] dt,   E[h_c | ...] = E[h_c(t | b) S(t | b) | y until v]
                                                                  / E[S(t | b) | y until v]

Every mean is a factor of the joint likelihood (`longsurv.likelihood.joint`): of a patient with the
measurements until v who is censored, or has an event of the cause, at t. The random effects are
integrated out by its quadrature and time by Gauss-Legendre; the causes add up to the first line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.design.joint import JointMarker
from longsurv.design.quadrature import normal_grid, time_points
from longsurv.likelihood import joint

if TYPE_CHECKING:
    from longsurv.design.joint import JointDesign
    from longsurv.design.mixed import MixedDesign

LEAST_NODES = 7
PATIENTS_AT_ONCE = 1000
PATIENTS_AT_ONCE_BY_CAUSE = 100
"""Each has copies at every point of the integral over time."""


def innovations(design: JointDesign, data: joint.JointData, theta: np.ndarray) -> np.ndarray:
    """Of all causes together, from each patient's entry to exit, shape (N,)."""
    return np.concatenate(
        [
            _Copies.of(design, data, theta, some).all_causes()
            for some in _in_turn(len(design.labels), PATIENTS_AT_ONCE)
        ]
    )


def cause_innovations(design: JointDesign, data: joint.JointData, theta: np.ndarray) -> np.ndarray:
    """Of each cause, from each patient's entry to exit, shape (causes, N)."""
    return np.concatenate(
        [
            _Copies.of(design, data, theta, some).by_cause()
            for some in _in_turn(len(design.labels), PATIENTS_AT_ONCE_BY_CAUSE)
        ],
        axis=1,
    )


def _in_turn(n: int, at_once: int) -> list[np.ndarray]:
    return [np.arange(first, min(first + at_once, n)) for first in range(0, n, at_once)]


@dataclass(frozen=True)
class _Copies:
    """Some patients, and the stretches from one visit to the next of each.

    Attributes
    ----------
    some : ndarray of int, shape (n,)
        Their positions among all.
    rows : list of _Rows
        By marker.
    owner : ndarray of int, shape (k,)
        Of each stretch, the position among those chosen.
    start, stop : ndarray, shape (k,)
    """

    design: JointDesign
    data: joint.JointData
    theta: np.ndarray
    some: np.ndarray
    rows: list[_Rows]
    owner: np.ndarray
    start: np.ndarray
    stop: np.ndarray

    @classmethod
    def of(
        cls, design: JointDesign, data: joint.JointData, theta: np.ndarray, some: np.ndarray
    ) -> _Copies:
        """The stretches of the patients at these positions."""
        n = len(some)
        place = np.full(len(design.labels), -1)
        place[some] = np.arange(n)
        rows = [_Rows.of(design, marker, place) for marker in design.markers]
        entry, exit = design.entry[some], design.exit[some]
        starts = pd.DataFrame({"owner": np.arange(n), "start": entry})
        visits = [pd.DataFrame({"owner": one.owner, "start": one.time}) for one in rows]
        starts = pd.concat([starts, *visits]).drop_duplicates().sort_values(["owner", "start"])
        owner, start = starts["owner"].to_numpy(), starts["start"].to_numpy()
        inside = (start >= entry[owner]) & (start < exit[owner])
        owner, start = owner[inside], start[inside]
        last = np.r_[owner[1:] != owner[:-1], True]
        stop = np.where(last, exit[owner], np.r_[start[1:], 0.0])
        return cls(design, data, theta, some, rows, owner, start, stop)

    def all_causes(self) -> np.ndarray:
        """-log P(T > visit k + 1 | T > visit k, y until visit k), summed over visits: (n,)."""
        k, n = len(self.owner), len(self.some)
        log = self._log_factors(
            np.r_[self.owner, self.owner],
            np.r_[self.start, self.start],
            np.r_[self.start, self.stop],
        )()
        steps = np.maximum(log[:k] - log[k:], 0.0)
        return np.bincount(self.owner, weights=steps, minlength=n)

    def by_cause(self) -> np.ndarray:
        """The integrals of the foreseen hazards, shape (causes, n)."""
        causes, n = self.design.causes, len(self.some)
        knots = [t for one in causes for t in one.baseline.knots]
        power = max(one.baseline.power for one in causes)
        points = time_points(self.start, self.stop, knots, power)
        owner = self.owner[points.owner]
        log = self._log_factors(owner, self.start[points.owner], points.time)
        alive = log()
        return np.array(
            [
                np.bincount(owner, points.weight * np.exp(log(k) - alive), minlength=n)
                for k in range(len(causes))
            ]
        )

    def _log_factors(
        self, owner: np.ndarray, known: np.ndarray, end: np.ndarray
    ) -> Callable[..., np.ndarray]:
        """Log factors, (c,), of copies with the measurements until `known` that leave at `end`.

        They are censored then, or have an event of the cause whose position is given.
        """
        design, n, patient = self.design, len(self.some), self.some[owner]
        origin = np.zeros(n) if design.from_zero else design.entry[self.some]
        # The hazard has no value at its origin, where survival is 1.
        there = end > origin[owner]
        exits = np.where(there, end, design.exit[patient])
        curves = [marker.curve.patients.iloc[patient] for marker in design.markers]
        points = [
            design.points(cause, curves, cause.rows.iloc[patient], origin[owner], exits)
            for cause in design.causes
        ]
        markers = tuple(
            one.until(known, owner, n, marker.design, whole)
            for one, marker, whole in zip(self.rows, design.markers, self.data.markers, strict=True)
        )
        grid = normal_grid(max(LEAST_NODES, len(self.data.nodes)), self.data.q)

        def log_factors(event: int = -1) -> np.ndarray:
            causes = tuple(
                joint.CauseData(
                    np.full(len(owner), float(k == event)), cause.covariates[patient], **vars(at)
                )
                for k, (cause, at) in enumerate(zip(design.causes, points, strict=True))
            )
            copies = joint.JointData(markers, causes, **vars(grid))
            return np.where(there, joint.log_survival_factors(copies, self.theta), 0.0)

        return log_factors


@dataclass(frozen=True)
class _Rows:
    """Measurements of some patients by one marker, patient by patient in time.

    Attributes
    ----------
    row : ndarray of int, shape (r,)
        Their positions in the marker's design.
    owner : ndarray of int, shape (r,)
        Position of the patient among those chosen.
    time : ndarray, shape (r,)
    """

    row: np.ndarray
    owner: np.ndarray
    time: np.ndarray

    @classmethod
    def of(cls, design: JointDesign, marker: JointMarker, place: np.ndarray) -> _Rows:
        """Those of the patients with a place, shape (N,), of at least 0."""
        used = marker.measurements.iloc[marker.design.rows]
        time, owner = used[design.time].to_numpy(dtype=float), place[marker.group]
        row = np.flatnonzero(owner >= 0)
        row = row[np.lexsort((time[row], owner[row]))]
        return cls(row, owner[row], time[row])

    def until(
        self,
        known: np.ndarray,
        owner: np.ndarray,
        n: int,
        design: MixedDesign,
        whole: joint.MarkerData,
    ) -> joint.MarkerData:
        """Of copies of the patients `owner`, (c,), the measurements until `known`, (c,)."""
        counts = np.bincount(self.owner, minlength=n)
        each = counts[owner]
        copy = np.repeat(np.arange(len(owner)), each)
        nth = np.arange(len(copy)) - np.repeat(np.cumsum(each) - each, each)
        at = (np.cumsum(counts) - counts)[owner[copy]] + nth
        seen = self.time[at] <= known[copy]
        copy, row = copy[seen], self.row[at[seen]]
        exact = np.zeros(len(row), dtype=np.int64)
        X, y, Z = design.fixed.X[row], design.y[row], design.Z[row]
        return whole.of(X, y, Z, copy, len(owner), exact)
