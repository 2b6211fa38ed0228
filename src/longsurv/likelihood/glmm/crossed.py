"""Effects of sites that patients cross, by Laplace's approximation around the patients' quadrature.

With the effect s z_j of site j, z ~ N(0, I), an offset of the rows at it, and L_i the likelihood of
patient i (`quadrature`), patients are independent given z, and

    log E[prod_i L_i(s z)] ~ g(m) - log |H| / 2,    g(z) = sum_i log L_i(s z) - z'z / 2,

m being where g is largest and H = -g'' there (Tierney & Kadane 1986, J Am Stat Assoc 81:82-86). It
is exact where log L_i is quadratic in z, as of normal measurements.

The derivatives of g are those of the quadrature itself; H = I + s^2 K has the differences of its
gradient between two places, patient by patient, so that they take as many as one patient has sites.
So do the derivatives of log |H|: with B = H^-1, and B = C C' among the sites of a patient, they are
second differences of the gradient along the columns of C, and m moves with the parameters as the
theorem of the implicit function has it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from longsurv.likelihood.glmm.data import CrossedRows, GLMMData
from longsurv.likelihood.glmm.parameters import (
    full_phi,
    natural,
    triangle,
    triangle_gradient,
    unconstrained_gradient,
)
from longsurv.likelihood.glmm.quadrature import marginal

STEP, WIDE_STEP = 1e-3, 4e-3
"""Of first and of second differences, in units of what makes a difference to one response."""
ARRIVED = 1e-20
NEAR = 1e-14
"""Twice what g has left to rise, at its top and where rounding may be all that is left."""
RENEWED, MOST_STEPS = 25, 300
"""Steps after which the curvature is computed anew, and after which there is no answer."""
NONE = np.empty(0)


class Slope(NamedTuple):
    """A gradient of the patients' log-likelihood: in beta, phi, their own Lam, effects of sites."""

    beta: np.ndarray
    phi: np.ndarray
    Lam: np.ndarray
    b: np.ndarray

    def plus(self, other: Slope, times: float = 1.0) -> Slope:
        """The sum with so many times another one."""
        return Slope(*(mine + times * own for mine, own in zip(self, other, strict=True)))


@dataclass(frozen=True, eq=False)
class Patients:
    """The patients' likelihood at values of the parameters, as a function of the sites' effects.

    Attributes
    ----------
    data : GLMMData
    beta, phi, Lam : ndarray, shape (p,), (m,), (q - 1, q - 1)
        As for `quadrature.marginal`: Lam is the patients' own.
    s : float
        The standard deviation of the sites.
    """

    data: GLMMData
    beta: np.ndarray
    phi: np.ndarray
    Lam: np.ndarray
    s: float

    @property
    def rows(self) -> CrossedRows:
        """The rows."""
        return self.data.crossed

    @cached_property
    def count(self) -> int:
        """Number of sites."""
        return self.data.n_sites

    @cached_property
    def modes(self) -> np.ndarray:
        """Of the patients where they were last computed, shape (N, q - 1)."""
        return np.zeros((len(self.rows.many), self.rows.Z.shape[1]))

    @property
    def unit(self) -> float:
        """What makes a difference to one response, in sites' effects."""
        size = float(np.abs(self.rows.by).max(initial=0.0)) or 1.0
        return (math.exp(self.phi[0]) if self.data.family.measured else 1.0) / size

    def shifts(self, b: np.ndarray) -> np.ndarray:
        """What effects b (J,) add to the predictors, shape (n,)."""
        return self.rows.by * b[self.rows.site]

    def values(self, shift: np.ndarray) -> np.ndarray:
        """Log-likelihood of each patient at shifts (n,) of the predictors, shape (N,)."""
        return self._at(shift, len(self.rows.many), False)[0]

    def at(self, shift: np.ndarray, first: int | None = None) -> tuple[float, np.ndarray, Slope]:
        """Of the first so many patients, by default all: the log-likelihood, its gradient in the
        shift of each row, and that in the parameters and the effects of sites."""
        count = len(self.rows.many) if first is None else first
        values, by_row, by_beta, by_phi, by_Lam = self._at(shift, count, True)
        value = float(values.sum())
        if not math.isfinite(value):
            value = -math.inf
        n = len(by_row)
        by_b = np.bincount(
            self.rows.site[:n], weights=by_row * self.rows.by[:n], minlength=self.count
        )
        return value, by_row, Slope(by_beta, by_phi, by_Lam, by_b)

    def _at(
        self, shift: np.ndarray, count: int, want: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        r, d = self.rows, self.data
        n, values = int(r.first[count]), np.empty(count)
        slopes = np.zeros(n) if want else NONE
        by_beta, by_phi, by_Lam = marginal(
            self.beta, self.phi, self.Lam, d.code, r.y[:n], r.extent[:n],
            r.offset[:n] + shift[:n], r.X[:n], r.Z[:n], r.first[: count + 1], d.levels, d.nodes,
            d.log_weights, values, slopes, self.modes, want,
        )  # fmt: skip
        return values, slopes, by_beta, by_phi, by_Lam

    def rounds(self) -> Iterator[tuple[int, int, int]]:
        """The k-th sites of patients: k, how many patients have so many, and their rows."""
        for k in range(self.rows.seen.shape[1]):
            count = int((self.rows.many > k).sum())
            yield k, count, int(self.rows.first[count])

    def curvature(self, b: np.ndarray) -> np.ndarray:
        """K, minus the second derivatives in the effects of sites at b (J,), shape (J, J)."""
        r, J, shift, step = self.rows, self.count, self.shifts(b), STEP * self.unit
        group = np.repeat(np.arange(len(r.many)), np.diff(r.first))
        flat = np.zeros(J * J)
        for k, count, n in self.rounds():
            moved = np.where(r.own == k, step * r.by, 0.0)
            up, down = (self.at(shift + sign * moved, count)[1] for sign in (1.0, -1.0))
            cell = r.seen[group[:n], k] * J + r.site[:n]
            flat += np.bincount(cell, (down - up) * r.by[:n] / (2.0 * step), J * J)
        K = flat.reshape(J, J)
        return 0.5 * (K + K.T)

    def bend(self, b: np.ndarray, B: np.ndarray) -> Slope:
        """The gradient of the trace of B times the second derivatives in the effects at b (J,)."""
        r, shift = self.rows, self.shifts(b)
        h = WIDE_STEP * self.unit / math.sqrt(float(np.diag(B).max()))
        along = self._directions(B)
        total = Slope(*(np.zeros_like(a) for a in (self.beta, self.phi, self.Lam, b)))
        last, here = -1, total
        for k, count, n in self.rounds():
            if count != last:
                last, here = count, self.at(shift, count)[2]
            moved = np.zeros(len(shift))
            moved[:n] = h * r.by[:n] * along[:n, k]
            for sign in (1.0, -1.0):
                total = total.plus(self.at(shift + sign * moved, count)[2])
            total = total.plus(here, -2.0)
        return Slope(*(part / (h * h) for part in total))

    def _directions(self, B: np.ndarray) -> np.ndarray:
        """Of each row its line of the factor of B among its patient's sites, shape (n, D)."""
        r = self.rows
        out = np.zeros((len(r.y), r.seen.shape[1]))
        for d in np.unique(r.many):
            chosen = np.flatnonzero(r.many == d)
            seen = r.seen[chosen, :d]
            C = np.linalg.cholesky(B[seen[:, :, None], seen[:, None, :]])
            start, end = r.first[chosen[0]], r.first[chosen[-1] + 1]
            place = np.repeat(np.arange(len(chosen)), np.diff(r.first)[chosen])
            out[start:end, :d] = C[place, r.own[start:end]]
        return out


class Top(NamedTuple):
    """Where g is largest.

    Attributes
    ----------
    z : ndarray, shape (J,)
    value : float
        g there.
    slope : Slope
        Of the patients there.
    K : ndarray, shape (J, J)
        See `Patients.curvature`.
    root : ndarray, shape (J, J)
        Lower triangle with root root' = I + s^2 K.
    """

    z: np.ndarray
    value: float
    slope: Slope
    K: np.ndarray
    root: np.ndarray

    @property
    def B(self) -> np.ndarray:
        """The inverse of I + s^2 K."""
        return cho_solve((self.root, True), np.eye(len(self.z)))


@dataclass
class Trail:
    """Of a walk through the parameters, where g was largest at the last of them: a search that
    begins there has less to go. Where it ends is the same.

    Attributes
    ----------
    last : Top, optional
    """

    last: Top | None = None


def top(of: Patients, trail: Trail | None = None) -> Top | None:
    """By steps of Broyden, Fletcher, Goldfarb and Shanno from z = 0 and the curvature there, or
    from where the trail ends; None if it is not reached."""
    s, J = of.s, of.count
    last = None if trail is None or s == 0.0 else trail.last
    found = _climbed(of, last.z, last.K) if last else None
    if found is None:
        found = _climbed(of, np.zeros(J), None)
    if trail is not None and s > 0.0:
        trail.last = found
    return found


def _climbed(of: Patients, z: np.ndarray, K: np.ndarray | None) -> Top | None:
    """From z (J,), with about the curvature K (J, J) or with that of the place."""
    s, J = of.s, of.count
    value, _, slope = of.at(of.shifts(s * z))
    value -= 0.5 * float(z @ z)
    if not math.isfinite(value):
        return None
    if s == 0.0:
        return Top(z, value, slope, np.zeros((J, J)), np.eye(J))
    H = np.eye(J) + s * s * (of.curvature(s * z) if K is None else K)
    up, left = s * slope.b - z, math.inf
    for step in range(MOST_STEPS):
        move = _newton(H, up)
        decrement = float(up @ move)
        # Below the first only rounding is left, where another step does not halve it.
        if not math.isfinite(decrement):
            return None
        if decrement < ARRIVED or (decrement < NEAR and decrement > 0.25 * left):
            break
        size = 1.0
        while True:
            to = z + size * move
            new, _, there = of.at(of.shifts(s * to))
            new -= 0.5 * float(to @ to)
            if new >= value + 1e-4 * size * decrement or decrement < 1e-8 or size < 1e-10:
                break
            size *= 0.5
        value, slope, before, left = new, there, up, decrement
        z, up = to, s * slope.b - to
        if step % RENEWED == RENEWED - 1:
            H = np.eye(J) + s * s * of.curvature(s * z)
        else:
            H = _updated(H, size * move, before - up)
    else:
        return None
    K = of.curvature(s * z)
    try:
        root = np.tril(cho_factor(np.eye(J) + s * s * K, lower=True)[0])
    except (LinAlgError, ValueError):
        return None
    return Top(z, value, slope, K, root)


def _updated(H: np.ndarray, move: np.ndarray, fell: np.ndarray) -> np.ndarray:
    """The curvature H (J, J), as a step by which the slope fell shows it."""
    along, through = float(fell @ move), H @ move
    before = float(move @ through)
    if not (along > 1e-3 * abs(before) and before > 0.0):
        return H
    return np.asarray(H + np.outer(fell, fell) / along - np.outer(through, through) / before)


def _newton(H: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Newton's step by the curvature H, or where that is not positive definite, by its size."""
    try:
        return np.asarray(cho_solve(cho_factor(H, lower=True), up))
    except (LinAlgError, ValueError):
        if not np.isfinite(H).all():
            return np.full(len(up), math.nan)
        values, vectors = np.linalg.eigh(H)
        return np.asarray(vectors @ ((vectors.T @ up) / np.maximum(np.abs(values), 1.0)))


def laplace(
    of: Patients, trail: Trail | None = None, want: bool = True
) -> tuple[float, Slope, float]:
    """The log-likelihood, its gradient in the patients' parameters, and that in s."""
    none = Slope(np.zeros_like(of.beta), np.zeros_like(of.phi), np.zeros_like(of.Lam), NONE)
    found = top(of, trail)
    if found is None:
        return -math.inf, none, 0.0
    value = found.value - float(np.log(np.diag(found.root)).sum())
    if of.s == 0.0 or not want:
        return value, found.slope, 0.0
    s, z, B, K, g = of.s, found.z, found.B, found.K, found.slope
    bent = of.bend(s * z, s * s * B)
    # In z: s times half of bent.b; m moves by B times the change of the slope of g.
    pull = B @ (0.5 * s * bent.b)
    h = STEP * of.unit / max(float(np.abs(s * pull).max()), 1e-300)
    up, down = (of.at(of.shifts(s * (z + sign * h * pull)))[2] for sign in (1.0, -1.0))
    moves = up.plus(down, -1.0)
    total = g.plus(bent, 0.5).plus(moves, 1.0 / (2.0 * h))
    by_s = float(z @ g.b) - s * float((B * K).sum()) + 0.5 * float(z @ bent.b)
    by_s += float(pull @ (g.b - s * (K @ z)))
    return value, total, by_s


def _patients(data: GLMMData, beta: np.ndarray, phi: np.ndarray, Lam: np.ndarray) -> Patients:
    q = data.q
    own = np.ascontiguousarray(Lam[: q - 1, : q - 1])
    return Patients(data, beta, phi, own, float(Lam[q - 1, q - 1]))


def _whole(slope: Slope, by_s: float) -> np.ndarray:
    """The gradient in Lam with the sites' in its last place."""
    q = len(slope.Lam) + 1
    out = np.zeros((q, q))
    out[: q - 1, : q - 1], out[-1, -1] = slope.Lam, by_s
    return out


def in_factor(
    data: GLMMData, theta: np.ndarray, trail: Trail | None = None
) -> tuple[float, np.ndarray]:
    """Value and gradient at a vector with the whole lower triangle of Lam."""
    value, slope, by_s = laplace(at_factor(data, theta), trail)
    return value, triangle_gradient(data.n_family, slope.beta, slope.phi, _whole(slope, by_s))


def at_factor(data: GLMMData, theta: np.ndarray) -> Patients:
    """The patients at such a vector."""
    p, m = data.p, data.n_family
    phi = full_phi(theta[p : p + m], data.code, data.kappa)
    return _patients(data, theta[:p], phi, triangle(theta, p, data.q, m))


def unconstrained(data: GLMMData, theta: np.ndarray) -> tuple[float, np.ndarray]:
    """Value and gradient at an unconstrained vector."""
    phi, Lam = natural(theta, data.p, data.q, data.n_family, data.kappa, data.code)
    value, slope, by_s = laplace(_patients(data, theta[: data.p], phi, Lam))
    return value, unconstrained_gradient(
        theta, data.n_family, data.code, phi, Lam, slope.beta, slope.phi, _whole(slope, by_s)
    )


def with_effects(
    data: GLMMData, theta: np.ndarray, z: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Log density of the data and the sites' z (J,), up to a constant, at an unconstrained vector,
    and its gradient in both: patients alone are integrated out."""
    phi, Lam = natural(theta, data.p, data.q, data.n_family, data.kappa, data.code)
    of = _patients(data, theta[: data.p], phi, Lam)
    value, _, slope = of.at(of.shifts(of.s * z))
    gradient = unconstrained_gradient(
        theta, data.n_family, data.code, phi, Lam, slope.beta, slope.phi,
        _whole(slope, float(z @ slope.b)),
    )  # fmt: skip
    return value - 0.5 * float(z @ z), gradient, of.s * slope.b - z
