"""The joint model's arrays as the compiled kernel takes them, patients side by side in lanes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from longsurv.likelihood.arithmetic.lanes import LANES, in_lanes
from longsurv.likelihood.joint.data import CauseData, MarkerData, marker_parameters

type Grid = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class KernelData:
    """Arguments of `longsurv.likelihood.joint.kernel.kernel`, patients in lanes.

    Attributes
    ----------
    order : ndarray of int, shape (N,)
        Patients as they stand in the lanes: those side by side have about as many points.
    markers, patients, blocks, rows, layout, grid
        See the kernel.
    """

    order: np.ndarray
    markers: tuple
    patients: tuple
    blocks: np.ndarray
    rows: np.ndarray
    layout: tuple
    grid: tuple

    @property
    def arguments(self) -> tuple:
        """In the order of the kernel's."""
        return self.markers, self.patients, self.blocks, self.rows, self.layout, self.grid

    def part(self, at: slice) -> Self:
        """The same of some blocks of patients."""
        patients = tuple(array[at] for array in self.patients)
        return replace(self, patients=patients, blocks=self.blocks[at])

    def by_patient(self, values: np.ndarray) -> np.ndarray:
        """Undo the lanes: (blocks, ..., lanes) to (N, ...), in the patients' own order."""
        flat = np.moveaxis(values, -1, 1).reshape(-1, *values.shape[1:-1])[: len(self.order)]
        out = np.empty_like(flat)
        out[self.order[: len(flat)]] = flat
        return out


AT_ONCE = 131_072
"""Points whose numbers are put into lanes at a time."""


@dataclass(frozen=True)
class _Points:
    """Points of one kind: how many each patient has, their numbers, each part of shape (r, G), and
    which of the G points they are."""

    count: np.ndarray
    parts: list[np.ndarray]
    chosen: np.ndarray

    @property
    def size(self) -> int:
        """Numbers of a point."""
        return sum(len(part) for part in self.parts)


def kernel_data(
    markers: tuple[MarkerData, ...], causes: tuple[CauseData, ...], grid: Grid
) -> KernelData:
    """Lay the arrays out for the kernel; `grid` is the nodes, their index and log weights."""
    n, at_z = len(causes[0].event), np.cumsum([0, *(m.q for m in markers)])
    most, q = max(m.p for m in markers) + 1, at_z[-1]
    ztz, ztw = np.zeros((n, q, q)), np.zeros((n, q, most))
    for k, m in enumerate(markers):
        ztz[:, at_z[k] : at_z[k + 1], at_z[k] : at_z[k + 1]] = m.ztz
        ztw[:, at_z[k] : at_z[k + 1], : m.p + 1] = m.ztw

    exits = [_cause_points(cause, markers, at_exit=True) for cause in causes]
    points = [_cause_points(cause, markers, at_exit=False) for cause in causes]
    points += [_censored_points(m) for m in markers if m.censored is not None]
    order = np.argsort(sum(kind.count for kind in points), kind="stable")
    blocks, rows = _in_blocks(exits + points, order)
    chosen = np.r_[0, len(exits) : len(exits) + len(points) + 1]
    return KernelData(
        order=order,
        markers=(
            np.array([m.p for m in markers]),
            np.repeat(np.arange(len(markers)), [m.q for m in markers]),
            np.concatenate([m.z_scale for m in markers]),
        ),
        patients=(
            in_lanes(np.column_stack([cause.event for cause in causes]), order),
            in_lanes(np.column_stack([cause.covariates for cause in causes]), order),
            in_lanes(ztz, order),
            in_lanes(ztw, order),
        ),
        blocks=np.ascontiguousarray(blocks[:, chosen]),
        rows=rows,
        layout=_layout(markers, causes),
        grid=grid,
    )


def _layout(markers: tuple[MarkerData, ...], causes: tuple[CauseData, ...]) -> tuple:
    """Kinds of points and links, and where the links' alpha are in theta."""
    at_x = np.cumsum([0, *(m.p for m in markers)])
    at_z = np.cumsum([0, *(m.q for m in markers)])
    kinds: list[tuple[int, ...]] = []
    links: list[tuple[int, ...]] = []
    alpha: list[int] = []
    inverted: list[bool] = []
    place, covariate = marker_parameters(markers), 0

    def link(m: int) -> tuple[int, int, int, int]:
        return at_x[m], markers[m].p, at_z[m], markers[m].q

    for cause in causes:
        m, c, k = cause.sizes
        kinds.append((m, place, c, place + m, covariate, len(links), len(links) + k))
        alpha += range(place + m + c, place + m + c + k)
        inverted += [False] * k
        links += [link(one.marker) for one in cause.links]
        place, covariate = place + m + c + k, covariate + c
    for j, marker in enumerate(markers):
        if marker.censored is not None:
            kinds.append((0, 0, 0, 0, 0, len(links), len(links) + 1))
            links.append(link(j))
            alpha.append(at_x[-1] + j)
            inverted.append(True)
    return (
        np.array(kinds, dtype=np.int64),
        np.array(links, dtype=np.int64).reshape(-1, 4),
        np.array(alpha, dtype=np.int64),
        np.array(inverted, dtype=bool),
    )


def _cause_points(cause: CauseData, markers: tuple[MarkerData, ...], *, at_exit: bool) -> _Points:
    exit = np.zeros(len(cause.weight), dtype=bool)
    exit[cause.start[:-1]] = True
    flat = [cause.weight[None], cause.basis]
    for link in cause.links:
        of = markers[link.marker]
        flat += [link.centre[None], link.x, of.own(link.z.T).T / of.z_scale[:, None]]
    count = np.ones(len(cause.event), dtype=np.int64)
    if not at_exit:
        count = np.diff(cause.start) - 1
    return _Points(count, flat, np.flatnonzero(exit if at_exit else ~exit))


def _censored_points(marker: MarkerData) -> _Points:
    """P(y < limit) = Phi(f / sigma), f = limit - x'beta - z'b; above a limit f is turned."""
    known = marker.censored
    assert known is not None
    parts = [
        np.ones((1, len(known.limit))),
        -known.limit[None] * known.sign,
        -known.x * known.sign,
        -marker.own(known.z.T).T * known.sign / marker.z_scale[:, None],
    ]
    return _Points(np.diff(known.start), parts, np.arange(len(known.limit)))


def _in_blocks(kinds: list[_Points], order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points side by side in lanes, (points, R, lanes), and where each kind starts in a block.

    A patient with fewer points of a kind than others of the block gets some without weight.
    """
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    n_blocks = -(-len(order) // LANES)
    longest = np.zeros((n_blocks, len(kinds)), dtype=np.int64)
    for k, kind in enumerate(kinds):
        np.maximum.at(longest[:, k], place // LANES, kind.count)
    ends = np.cumsum(longest).reshape(longest.shape)
    blocks = np.column_stack([np.concatenate([[0], ends[:-1, -1]]), ends])
    rows = np.zeros((blocks[-1, -1], max(kind.size for kind in kinds), LANES))
    for k, kind in enumerate(kinds):
        owner = np.repeat(place, kind.count)
        nth = np.arange(len(owner)) - np.repeat(np.cumsum(kind.count) - kind.count, kind.count)
        at = blocks[owner // LANES, k] + nth
        for start in range(0, len(owner), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            numbers = np.concatenate([part[:, kind.chosen[some]] for part in kind.parts])
            rows[at[some], : kind.size, owner[some] % LANES] = numbers.T
    return blocks, rows
