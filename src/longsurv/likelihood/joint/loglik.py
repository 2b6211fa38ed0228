"""Marginal likelihood of the joint model of markers and the time to an event.

    y_im = X_im beta_m + Z_im b_im + e_im,   b_i = (b_i1, b_i2, ...) ~ N(0, D),
    e_im ~ N(0, sigma_m^2 I)
    log h_ic(t) = B_c(t)' gamma_c + w_ic' omega_c + sum_k alpha_ck f_ck(t; beta, b_i)

of markers m and causes c of the event, where every link f_ck is linear in (beta, b_i): a marker's
current value, its slope, its area. The likelihood of a patient is that of the measured values
alone, which is exact, times the mean of p(T_i, d_i, censored values | b_i) over b_i given the
measured values, a normal distribution (`longsurv.likelihood.joint.conditional`). Only that mean
needs quadrature (`longsurv.likelihood.joint.factor`), and its integrand is well scaled whatever
the units. Of a value below a detection limit that mean knows P(y < limit | b).

Rizopoulos (2012), Joint Models for Longitudinal and Time-to-Event Data; Henderson, Diggle & Dobson
(2000), Biostatistics 1:465-480; Hughes (1999), Biometrics 55:625-629, for values below a limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from scipy.linalg import block_diag

from longsurv.likelihood.joint.data import (
    CauseData,
    CensoredRows,
    LinkData,
    MarkerData,
    marker_data,
    marker_parameters,
)
from longsurv.likelihood.joint.effects import derivative, mapped
from longsurv.likelihood.joint.kernel import kernel
from longsurv.likelihood.joint.layout import KernelData, kernel_data
from longsurv.likelihood.threads import MANY, Threads

__all__ = [
    "CauseData",
    "CensoredRows",
    "JointData",
    "LinkData",
    "MarkerData",
    "Truncation",
    "log_survival_factors",
    "loglik",
    "marker_data",
    "modes",
    "own_loglik",
    "random_effects",
    "within_patients",
]

LOG_2PI = math.log(2.0 * math.pi)
PART = 64
"""Blocks of patients whose sums are taken together where there are `MANY`."""
VALUES, GRADIENT, MOMENTS, MODES = 0, 1, 2, 3


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
        return marker_parameters(self.markers)

    @cached_property
    def n_theta(self) -> int:
        """Length of the parameter vector."""
        return self.n_marker + sum(sum(cause.sizes) for cause in self.causes)

    @cached_property
    def to(self) -> np.ndarray:
        """The kernel's random effects are to @ b, shape (q, q)."""
        return block_diag(*(marker.to for marker in self.markers))

    @cached_property
    def is_plain(self) -> bool:
        """Whether they are b."""
        return np.array_equal(self.to, np.eye(self.q))

    @property
    def effects(self) -> slice:
        """Where the random effects' SDs and correlations are in theta."""
        return slice(self.p + len(self.markers), self.n_marker)

    def own(self, theta: np.ndarray) -> np.ndarray:
        """The parameter vector of the kernel, shape (..., d), from the user's."""
        return self._mapped(theta, self.to)

    def plain(self, psi: np.ndarray) -> np.ndarray:
        """The user's parameter vector, shape (..., d), from that of the kernel."""
        return psi if self.is_plain else self._mapped(psi, np.linalg.inv(self.to))

    def _mapped(self, theta: np.ndarray, to: np.ndarray) -> np.ndarray:
        if self.is_plain:
            return theta
        out = np.array(theta, dtype=float)
        out[..., self.effects] = mapped(out[..., self.effects], to)
        return out

    def derivative(self, psi: np.ndarray) -> np.ndarray:
        """Of `plain`, shape (d, d)."""
        out = np.eye(self.n_theta)
        if not self.is_plain:
            out[self.effects, self.effects] = derivative(psi[self.effects], np.linalg.inv(self.to))
        return out

    @cached_property
    def kernel(self) -> KernelData:
        """What the compiled kernel takes."""
        return kernel_data(self.markers, self.causes, (self.nodes, self.index, self.log_weight))


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


def _residual_map(data: JointData, theta: np.ndarray) -> np.ndarray:
    """u, shape (markers, most + 1): the residuals of marker m are (Q, y - Q Q'y) u[m]."""
    u, start = np.zeros((len(data.markers), 1 + max(m.p for m in data.markers))), 0
    for row, marker in zip(u, data.markers, strict=True):
        row[: marker.p] = marker.r @ (marker.beta_ols - theta[start : start + marker.p])
        row[marker.p] = 1.0
        start += marker.p
    return u


def _run(
    data: JointData, theta: np.ndarray, u: np.ndarray, want: int, near: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of the kernel in theta and u, and what it writes of each patient, in lanes."""
    q, laid_out = data.q, data.kernel
    blocks, _, lanes = laid_out.patients[0].shape
    out = np.empty((2, blocks, lanes))
    moments = np.empty((blocks if want >= MOMENTS else 0, 1 + q, q, lanes))
    if near is None:
        near = np.zeros((blocks, q, lanes))
    if blocks * lanes < MANY:
        arguments = (theta, u, *laid_out.arguments, near, want, out, moments)
        gradient, u_bar = kernel(*arguments)
        return gradient, u_bar, out, moments

    def of_part(at: slice) -> tuple[np.ndarray, np.ndarray]:
        written = np.ascontiguousarray(out[:, at])
        own = laid_out.part(at).arguments
        arguments = (theta, u, *own, near[at], want, written, moments[at])
        found: tuple[np.ndarray, np.ndarray] = kernel(*arguments)
        out[:, at] = written
        return found

    parts = [slice(at, at + PART) for at in range(0, blocks, PART)]
    gradients, u_bars = zip(*Threads().each(of_part, parts), strict=True)
    return sum(gradients[1:], gradients[0]), sum(u_bars[1:], u_bars[0]), out, moments


def modes(data: JointData, psi: np.ndarray) -> np.ndarray:
    """Modes of the patients' integrands, in lanes: ndarray, shape (blocks, q, lanes).

    From these Newton's method has a shorter way to the modes at parameter vectors nearby. Takes
    the parameters of the kernel.
    """
    found = _run(data, psi, _residual_map(data, psi), MODES)[3]
    return np.ascontiguousarray(found[:, 0])


def loglik(
    data: JointData, theta: np.ndarray, near: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Marginal log-likelihood and its gradient.

    Parameters
    ----------
    data : JointData
    theta : ndarray, shape (d,)
        beta of each marker; log sigma of each marker; log tau (standard deviations of all random
        effects); their unconstrained correlations (`longsurv.likelihood.arithmetic.covariance`);
        then, cause by cause, gamma (baseline), omega (covariates of the hazard) and alpha (links).
    near : ndarray, optional
        `modes` at a parameter vector nearby: the same result, but for rounding, sooner.

    Returns
    -------
    value : float
        Not finite where it overflows.
    gradient : ndarray, shape (d,)
        Exact for the quadrature sum, whatever the number of nodes.
    """
    if data.is_plain:
        return own_loglik(data, theta, near)
    psi = data.own(theta)
    value, gradient = own_loglik(data, psi, near)
    return value, np.linalg.solve(data.derivative(psi).T, gradient)


def own_loglik(
    data: JointData, psi: np.ndarray, near: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """The same of the kernel's parameters: log tau and correlations are those of `JointData.to` b.

    This is what is climbed and sampled.
    """
    theta = psi
    u = _residual_map(data, theta)
    gradient, u_bar, out, _ = _run(data, theta, u, GRADIENT, near)
    value, start = float(out.sum()), 0
    for m, marker in enumerate(data.markers):
        own = _own_squares(theta[data.p + m], u[m], u_bar[m], marker.cross, marker.r, marker.nobs)
        value += own[0]
        gradient[data.p + m] += own[1]
        gradient[start : start + marker.p] += own[2]
        start += marker.p
    if data.truncation is not None:
        before, slope = own_loglik(data.truncation.data, theta)
        return value - before, gradient - slope
    return value, gradient


@njit(cache=True, nogil=True, error_model="numpy")
def _own_squares(log_sigma, u, u_bar, cross, r, nobs):
    """What is the same at any random effects: the likelihood of a marker's residuals W u alone.

    Returns it and its derivative in log sigma; and in beta, that of the random effects' part, of
    which u_bar is the derivative in u, included.
    """
    p = r.shape[0]
    precision, quad = math.exp(-2.0 * log_sigma), 0.0
    pull = np.empty(p + 1)
    for k in range(p + 1):
        s = 0.0
        for j in range(p + 1):
            s += cross[k, j] * u[j]
        pull[k] = precision * s
        quad += u[k] * pull[k]
    in_beta = np.zeros(p)
    for k in range(p):
        for j in range(p):
            in_beta[j] += (pull[k] - u_bar[k]) * r[k, j]
    return -0.5 * (nobs * (LOG_2PI + 2.0 * log_sigma) + quad), quad - nobs, in_beta


def _values(data: JointData, theta: np.ndarray, near: np.ndarray | None = None) -> np.ndarray:
    """`out` of the kernel, shape (2, N)."""
    psi = data.own(theta)
    out = _run(data, psi, _residual_map(data, psi), VALUES, near)[2]
    return np.stack([data.kernel.by_patient(part) for part in out])


def log_survival_factors(data: JointData, theta: np.ndarray) -> np.ndarray:
    """log E[p(T_i, d_i, censored values | b_i) | measured values] of each patient, shape (N,)."""
    return _values(data, theta)[0]


def within_patients(
    data: JointData, theta: np.ndarray, near: np.ndarray | None = None
) -> np.ndarray:
    """Each patient's log-likelihood but for log p(measured values | b = 0), shape (N,).

    `near` as for `loglik`.
    """
    out = _values(data, theta, near).sum(axis=0)
    if data.truncation is not None:
        out[data.truncation.who] -= within_patients(data.truncation.data, theta)
    return out


def random_effects(data: JointData, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means (N, q) and covariances (N, q, q) of the random effects given markers and event."""
    psi = data.own(theta)
    moments = data.kernel.by_patient(_run(data, psi, _residual_map(data, psi), MOMENTS)[3])
    mean, cov = moments[:, 0], moments[:, 1:]
    if data.is_plain:
        return mean, cov
    back = np.linalg.inv(data.to)
    return mean @ back.T, back @ cov @ back.T
