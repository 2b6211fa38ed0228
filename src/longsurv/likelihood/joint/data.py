"""Arrays of the joint model's parts: markers, and causes of the event with their links."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_triangular

from longsurv.likelihood import lmm


@dataclass(frozen=True)
class MarkerData:
    """A marker: sufficient statistics of its measured values, and its censored ones.

    X = Q r with Q orthonormal over all rows, y is replaced by its least-squares residual, and the
    columns of Z are those of to @ b, b the random effects, scaled to unit root mean square, so that
    units and offsets cost no digits.

    Attributes
    ----------
    r, beta_ols, z_scale : ndarray, shapes (p, p), (p,) and (q,)
        These coordinates.
    to : ndarray, shape (q, q)
        The kernel's random effects are to @ b.
    ztz, ztw : ndarray, shapes (N, q, q) and (N, q, p + 1)
        Z'Z and Z'W of each patient's measured values, W = (Q, y - Q Q'y).
    cross : ndarray, shape (p + 1, p + 1)
        W'W of all measured values.
    nobs : int
        Measured values.
    censored : CensoredRows or None
    """

    r: np.ndarray
    beta_ols: np.ndarray
    z_scale: np.ndarray
    ztz: np.ndarray
    ztw: np.ndarray
    cross: np.ndarray
    nobs: int
    to: np.ndarray
    censored: CensoredRows | None = None

    @property
    def p(self) -> int:
        """Number of fixed-effects coefficients."""
        return len(self.r)

    @property
    def q(self) -> int:
        """Number of random effects a patient."""
        return len(self.z_scale)

    def own(self, Z: np.ndarray) -> np.ndarray:
        """Rows of Z, shape (n, q), as the kernel has them but for their scale."""
        return np.linalg.solve(self.to.T, Z.T).T if len(Z) else Z

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
        scaled = self.own(Z[exact]) / self.z_scale
        np.add.at(ztz, group[exact], scaled[:, :, None] * scaled[:, None, :])
        np.add.at(ztw, group[exact], scaled[:, :, None] * W[:, None, :])
        rows = np.flatnonzero(~exact)
        rows = rows[np.argsort(group[rows], kind="stable")]
        censored = CensoredRows(
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
class CensoredRows:
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
    to: np.ndarray | None = None,
) -> MarkerData:
    """Reduce the rows of a marker.

    Parameters
    ----------
    X, y, Z, group, n_groups
        As for `longsurv.likelihood.lmm.prepare`; patients may be without rows.
    kind : ndarray of int, shape (n,), optional
        0 for a measured value; 1 and 2 for one below and above the limit y.
    to : ndarray, shape (q, q), optional
        By default the identity.
    """
    to = np.eye(Z.shape[1]) if to is None else to
    own = np.linalg.solve(to.T, Z.T).T
    whole = lmm.prepare(X, y, own, group, n_groups)
    data = MarkerData(
        r=whole.r,
        beta_ols=whole.beta_ols,
        z_scale=whole.z_scale,
        ztz=whole.ztz,
        ztw=whole.ztw,
        cross=whole.cross,
        nobs=whole.nobs,
        to=to,
    )
    if kind is None or not kind.any():
        return data
    return data.of(X, y, Z, group, n_groups, kind)


def marker_parameters(markers: tuple[MarkerData, ...]) -> int:
    """Number of parameters of the markers: coefficients, sigmas, SDs and correlations."""
    q = sum(marker.q for marker in markers)
    return sum(marker.p for marker in markers) + len(markers) + q + q * (q - 1) // 2


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
