"""Marginal likelihood of the joint model of one marker and an event.

    y_i = X_i beta + Z_i b_i + e_i,   b_i ~ N(0, D),   e_i ~ N(0, sigma^2 I)
    log h_i(t) = B(t)' gamma + w_i' omega + sum_k alpha_k f_k(t; beta, b_i)

where every link f_k is linear in (beta, b_i): the marker's current value, its slope, its area. The
likelihood of a patient is that of the marker alone, which is exact, times the mean of p(T_i, d_i |
b_i) over b_i given the marker, a normal distribution:

    b_i | y_i = m_i + T_i v,   v ~ N(0, I),   T_i = F C_i^-T,   m_i = T_i T_i' Z_i'r_i / sigma^2,

with D = F F' and C_i C_i' = I + F' Z_i'Z_i F / sigma^2. Only that mean needs quadrature
(`longsurv.likelihood.joint_factor`), and its integrand is well scaled whatever the units.

Rizopoulos (2012), Joint Models for Longitudinal and Time-to-Event Data; Henderson, Diggle & Dobson
(2000), Biostatistics 1:465-480.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from longsurv.likelihood import lmm
from longsurv.likelihood.joint_kernel import kernel
from longsurv.likelihood.lanes import LANES, in_lanes


@dataclass(frozen=True)
class JointData:
    """Arrays of the joint model.

    Each patient has a block of points in time: the first is the time of exit, the others are those
    of the quadrature over (entry, exit].

    Attributes
    ----------
    marker : LMMData
        Sufficient statistics of the marker, N patients.
    event : ndarray, shape (N,)
        1.0 for an event at exit.
    covariates : ndarray, shape (N, c)
        w_i.
    start : ndarray of int, shape (N + 1,)
        Points start[i] to start[i + 1] - 1 are those of patient i.
    weight : ndarray, shape (G,)
        Quadrature weights; 0 at exits.
    basis : ndarray, shape (m, G)
        B(t).
    link_x : ndarray, shape (K, p, G)
    link_z : ndarray, shape (K, q, G)
        f_k = beta'link_x[k] + b'link_z[k] - link_centre[k], b in natural units.
    link_centre : ndarray, shape (K, G)
        Constants taken off the links, so that the baseline is that of a typical marker.
    nodes, index, log_weight : ndarray
        Gauss-Hermite rule in q dimensions (`longsurv.design.quadrature.normal_grid`).
    """

    marker: lmm.LMMData
    event: np.ndarray
    covariates: np.ndarray
    start: np.ndarray
    weight: np.ndarray
    basis: np.ndarray
    link_x: np.ndarray
    link_z: np.ndarray
    link_centre: np.ndarray
    nodes: np.ndarray
    index: np.ndarray
    log_weight: np.ndarray

    @property
    def n_marker(self) -> int:
        """Number of parameters of the marker, the first of theta."""
        p, q = self.marker.p, self.marker.q
        return p + 1 + q + q * (q - 1) // 2

    @property
    def n_theta(self) -> int:
        """Length of the parameter vector."""
        n_event = self.basis.shape[0] + self.covariates.shape[1] + self.link_x.shape[0]
        return self.n_marker + n_event

    @cached_property
    def _order(self) -> np.ndarray:
        """Patients by their number of points, so that those side by side have about as many."""
        return np.argsort(np.diff(self.start), kind="stable")

    @cached_property
    def _arguments(self) -> tuple:
        """What the compiled kernel takes, patients in lanes."""
        d, order, counts = self.marker, self._order, np.diff(self.start)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        last = np.append(np.arange(LANES - 1, len(order), LANES), len(order) - 1)
        longest = counts[order][np.unique(last)]
        blocks = np.concatenate([[0], np.cumsum(longest)])
        K = len(self.link_x)
        flat = [self.weight[None], self.basis]
        for k in range(K):
            flat += [self.link_centre[k : k + 1], self.link_x[k], self.link_z[k]]
        owner = np.repeat(np.arange(len(order)), counts)
        to = blocks[place[owner] // LANES] + np.arange(len(owner)) - self.start[owner]
        rows = np.zeros((blocks[-1], sum(map(len, flat)), LANES))
        rows[to, :, place[owner] % LANES] = np.concatenate(flat).T
        patients = (
            in_lanes(self.event, order),
            in_lanes(self.covariates, order),
            in_lanes(d.ztz, order),
            in_lanes(d.ztw, order),
        )
        sizes = (len(self.basis), K, d.p, self.n_marker, self.n_theta - K)
        grid = (self.nodes, self.index, self.log_weight)
        scales = (d.r, d.beta_ols, d.z_scale)
        return d.q, scales, patients, blocks, rows, sizes, grid

    def _run(
        self, theta: np.ndarray, want: int
    ) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        """Value and gradient of the kernel, and what it writes for each patient, in their order."""
        q, _, patients, *_ = self._arguments
        blocks, lanes = patients[0].shape
        out = np.empty((blocks, lanes))
        moments = np.empty((blocks if want == 2 else 0, 1 + q, q, lanes))
        arguments = (theta, *self._arguments, want, out, moments)
        value, gradient = kernel(*arguments)
        return value, gradient, self._by_patient(out), self._by_patient(moments)

    def _by_patient(self, values: np.ndarray) -> np.ndarray:
        """Undo `in_lanes`."""
        flat = np.moveaxis(values, -1, 1).reshape(-1, *values.shape[1:-1])[: len(self._order)]
        out = np.empty_like(flat)
        out[self._order[: len(flat)]] = flat
        return out


def loglik(data: JointData, theta: np.ndarray) -> tuple[float, np.ndarray]:
    """Marginal log-likelihood and its gradient.

    Parameters
    ----------
    data : JointData
    theta : ndarray, shape (d,)
        beta (p); log sigma; log tau (q, standard deviations of the random effects); unconstrained
        correlations; gamma (baseline); omega (covariates of the hazard); alpha (links).

    Returns
    -------
    value : float
        Not finite where it overflows.
    gradient : ndarray, shape (d,)
        Exact for the quadrature sum, whatever the number of nodes.
    """
    value, gradient, _, _ = data._run(theta, 1)
    end = data.n_marker
    marker, slope = lmm.loglik(data.marker, theta[:end])
    gradient[:end] += slope
    return value + marker, gradient


def log_survival_factors(data: JointData, theta: np.ndarray) -> np.ndarray:
    """log of E[p(T_i, d_i | b_i) | y_i] of each patient, shape (N,)."""
    return data._run(theta, 0)[2]


def random_effects(data: JointData, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means (N, q) and covariances (N, q, q) of the random effects given marker and event."""
    moments = data._run(theta, 2)[3]
    return moments[:, 0], moments[:, 1:]
