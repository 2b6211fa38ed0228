"""Arrays of the joint model, as they are stated and as the compiled kernel takes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import solve_triangular

from longsurv.likelihood import lmm
from longsurv.likelihood.lanes import LANES, in_lanes


@dataclass(frozen=True)
class MarkerData:
    """A marker: sufficient statistics of its measured values, and its censored ones.

    X = Q r with Q orthonormal over all rows, y is replaced by its least-squares residual, and the
    columns of Z are scaled to unit root mean square, so that units and offsets cost no digits.

    Attributes
    ----------
    r, beta_ols, z_scale : ndarray, shapes (p, p), (p,) and (q,)
        These coordinates.
    ztz, ztw : ndarray, shapes (N, q, q) and (N, q, p + 1)
        Z'Z and Z'W of each patient's measured values, W = (Q, y - Q Q'y).
    cross : ndarray, shape (p + 1, p + 1)
        W'W of all measured values.
    nobs : int
        Measured values.
    censored : Censored or None
    """

    r: np.ndarray
    beta_ols: np.ndarray
    z_scale: np.ndarray
    ztz: np.ndarray
    ztw: np.ndarray
    cross: np.ndarray
    nobs: int
    censored: Censored | None = None

    @property
    def p(self) -> int:
        """Number of fixed-effects coefficients."""
        return len(self.r)

    @property
    def q(self) -> int:
        """Number of random effects a patient."""
        return len(self.z_scale)

    def of(
        self,
        X: np.ndarray,
        y: np.ndarray,
        Z: np.ndarray,
        group: np.ndarray,
        n_groups: int,
        kind: np.ndarray,
    ) -> MarkerData:
        """Other rows in the same coordinates; arguments as for `marker_data`."""
        exact = kind == 0
        ztz = np.zeros((n_groups, self.q, self.q))
        ztw = np.zeros((n_groups, self.q, self.p + 1))
        Q = solve_triangular(self.r, X[exact].T, trans="T", lower=False).T
        W = np.column_stack([Q, y[exact] - X[exact] @ self.beta_ols])
        scaled = Z[exact] / self.z_scale
        np.add.at(ztz, group[exact], scaled[:, :, None] * scaled[:, None, :])
        np.add.at(ztw, group[exact], scaled[:, :, None] * W[:, None, :])
        rows = np.flatnonzero(~exact)
        rows = rows[np.argsort(group[rows], kind="stable")]
        censored = Censored(
            start=np.searchsorted(group[rows], np.arange(n_groups + 1)),
            limit=y[rows],
            sign=np.where(kind[rows] == 1, 1.0, -1.0),
            x=X[rows].T,
            z=Z[rows].T,
        )
        return replace(
            self,
            ztz=ztz,
            ztw=ztw,
            cross=W.T @ W,
            nobs=int(exact.sum()),
            censored=censored if len(rows) else None,
        )

    def without_values(self, n_groups: int) -> MarkerData:
        """Patients of whom nothing is known, in the same coordinates."""
        none = np.empty(0)
        X, Z = np.empty((0, self.p)), np.empty((0, self.q))
        rows = none.astype(np.int64)
        return self.of(X, none, Z, rows, n_groups, rows)


@dataclass(frozen=True)
class Censored:
    """Marker values of which only a limit is known, sorted by patient.

    Attributes
    ----------
    start : ndarray of int, shape (N + 1,)
        Rows start[i] to start[i + 1] - 1 are those of patient i.
    limit : ndarray, shape (n,)
    sign : ndarray, shape (n,)
        1 where the value is below its limit, -1 where it is above.
    x, z : ndarray, shapes (p, n) and (q, n)
    """

    start: np.ndarray
    limit: np.ndarray
    sign: np.ndarray
    x: np.ndarray
    z: np.ndarray


def marker_data(
    X: np.ndarray,
    y: np.ndarray,
    Z: np.ndarray,
    group: np.ndarray,
    n_groups: int,
    kind: np.ndarray | None = None,
) -> MarkerData:
    """Reduce the rows of a marker.

    Parameters
    ----------
    X, y, Z, group, n_groups
        As for `longsurv.likelihood.lmm.prepare`; patients may be without rows.
    kind : ndarray of int, shape (n,), optional
        0 for a measured value; 1 and 2 for one below and above the limit y.
    """
    whole = lmm.prepare(X, y, Z, group, n_groups)
    data = MarkerData(
        whole.r, whole.beta_ols, whole.z_scale, whole.ztz, whole.ztw, whole.cross, whole.nobs
    )
    if kind is None or not kind.any():
        return data
    return data.of(X, y, Z, group, n_groups, kind)


@dataclass(frozen=True)
class LinkData:
    """One link of a marker to a hazard: f = x'beta + z'b - centre at every point.

    Attributes
    ----------
    marker : int
    x, z : ndarray, shapes (p, G) and (q, G)
        With the p and q of this marker; b in natural units.
    centre : ndarray, shape (G,)
        Taken off, so that the baseline is that of a typical marker.
    """

    marker: int
    x: np.ndarray
    z: np.ndarray
    centre: np.ndarray


@dataclass(frozen=True)
class CauseData:
    """One cause of the event.

    Each patient has a block of points in time: the first is the time of exit, the others are those
    of the quadrature over (entry, exit].

    Attributes
    ----------
    event : ndarray, shape (N,)
        1.0 where this is what happened at exit.
    covariates : ndarray, shape (N, c)
    start : ndarray of int, shape (N + 1,)
        Points start[i] to start[i + 1] - 1 are those of patient i.
    weight : ndarray, shape (G,)
        Quadrature weights; 0 at exits.
    basis : ndarray, shape (m, G)
        Of the log baseline hazard.
    links : tuple of LinkData
    """

    event: np.ndarray
    covariates: np.ndarray
    start: np.ndarray
    weight: np.ndarray
    basis: np.ndarray
    links: tuple[LinkData, ...]

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Numbers of parameters: of the baseline, the covariates and the links."""
        return len(self.basis), self.covariates.shape[1], len(self.links)


@dataclass(frozen=True)
class JointData:
    """Arrays of the joint model of N patients.

    Attributes
    ----------
    markers : tuple of MarkerData
    causes : tuple of CauseData
    nodes, index, log_weight : ndarray
        Gauss-Hermite rule in as many dimensions as there are random effects
        (`longsurv.design.quadrature.normal_grid`).
    truncation : Truncation or None
        Patients whose likelihood is that given survival to their entry.
    """

    markers: tuple[MarkerData, ...]
    causes: tuple[CauseData, ...]
    nodes: np.ndarray
    index: np.ndarray
    log_weight: np.ndarray
    truncation: Truncation | None = None

    @cached_property
    def p(self) -> int:
        """Fixed effects of all markers."""
        return sum(marker.p for marker in self.markers)

    @cached_property
    def q(self) -> int:
        """Random effects a patient."""
        return sum(marker.q for marker in self.markers)

    @cached_property
    def n_patients(self) -> int:
        """Number of patients."""
        return len(self.causes[0].event)

    @cached_property
    def n_marker(self) -> int:
        """Number of parameters of the markers, the first of theta."""
        return self.p + len(self.markers) + self.q + self.q * (self.q - 1) // 2

    @cached_property
    def n_theta(self) -> int:
        """Length of the parameter vector."""
        return self.n_marker + sum(sum(cause.sizes) for cause in self.causes)

    @cached_property
    def kernel(self) -> KernelData:
        """What the compiled kernel takes."""
        return kernel_data(self)


@dataclass(frozen=True)
class Truncation:
    """Patients who came under observation late.

    Attributes
    ----------
    who : ndarray of int, shape (L,)
        Their positions.
    data : JointData
        Of L patients without measured values, followed without event from 0 to their entry.
    """

    who: np.ndarray
    data: JointData


@dataclass(frozen=True)
class KernelData:
    """Arguments of `longsurv.likelihood.joint_kernel.kernel`, patients in lanes.

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

    def by_patient(self, values: np.ndarray) -> np.ndarray:
        """Undo the lanes: (blocks, ..., lanes) to (N, ...), in the patients' own order."""
        flat = np.moveaxis(values, -1, 1).reshape(-1, *values.shape[1:-1])[: len(self.order)]
        out = np.empty_like(flat)
        out[self.order[: len(flat)]] = flat
        return out


@dataclass(frozen=True)
class _Points:
    """Points of one kind: how many each patient has, and their rows of numbers."""

    count: np.ndarray
    rows: np.ndarray


def kernel_data(data: JointData) -> KernelData:
    """Lay the arrays out for the kernel."""
    markers, causes, n = data.markers, data.causes, data.n_patients
    at_z = np.cumsum([0, *(m.q for m in markers)])
    most = max(m.p for m in markers) + 1
    ztz, ztw = np.zeros((n, data.q, data.q)), np.zeros((n, data.q, most))
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
        layout=_layout(data),
        grid=(data.nodes, data.index, data.log_weight),
    )


def _layout(data: JointData) -> tuple:
    """Kinds of points and links, and where the links' alpha are in theta."""
    at_x = np.cumsum([0, *(m.p for m in data.markers)])
    at_z = np.cumsum([0, *(m.q for m in data.markers)])
    kinds: list[tuple[int, ...]] = []
    links: list[tuple[int, ...]] = []
    alpha: list[int] = []
    inverted: list[bool] = []
    place, covariate = data.n_marker, 0

    def link(m: int) -> tuple[int, int, int, int]:
        return at_x[m], data.markers[m].p, at_z[m], data.markers[m].q

    for cause in data.causes:
        m, c, k = cause.sizes
        kinds.append((m, place, c, place + m, covariate, len(links), len(links) + k))
        alpha += range(place + m + c, place + m + c + k)
        inverted += [False] * k
        links += [link(one.marker) for one in cause.links]
        place, covariate = place + m + c + k, covariate + c
    for j, marker in enumerate(data.markers):
        if marker.censored is not None:
            kinds.append((0, 0, 0, 0, 0, len(links), len(links) + 1))
            links.append(link(j))
            alpha.append(data.p + j)
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
    chosen = exit if at_exit else ~exit
    flat = [cause.weight[None], cause.basis]
    for link in cause.links:
        flat += [link.centre[None], link.x, link.z / markers[link.marker].z_scale[:, None]]
    count = np.ones(len(cause.event), dtype=np.int64)
    if not at_exit:
        count = np.diff(cause.start) - 1
    return _Points(count, np.concatenate(flat)[:, chosen].T)


def _censored_points(marker: MarkerData) -> _Points:
    """P(y < limit) = Phi(f / sigma), f = limit - x'beta - z'b; above a limit f is turned."""
    known = marker.censored
    assert known is not None
    parts = [
        np.ones((1, len(known.limit))),
        -known.limit[None] * known.sign,
        -known.x * known.sign,
        -known.z * known.sign / marker.z_scale[:, None],
    ]
    return _Points(np.diff(known.start), np.concatenate(parts).T)


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
    rows = np.zeros((blocks[-1, -1], max(kind.rows.shape[1] for kind in kinds), LANES))
    for k, kind in enumerate(kinds):
        owner = np.repeat(place, kind.count)
        nth = np.arange(len(owner)) - np.repeat(np.cumsum(kind.count) - kind.count, kind.count)
        at = blocks[owner // LANES, k] + nth
        rows[at, : kind.rows.shape[1], owner % LANES] = kind.rows
    return blocks, rows
