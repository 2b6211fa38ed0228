"""Marginal likelihood of the Gaussian mixed model with correlated residuals and nested groups.

    y_i = X_i beta + sum_t Z_it b_t(i) + e_i,    b_t ~ N(0, D_t),    e_i ~ N(0, sigma^2 R_i(psi))

i is a patient, b_t(i) the random effects of the patient's group in grouping t (the patient itself, the
site), R_i the structure of `longsurv.likelihood.lmm_dense_residual`. beta and sigma are profiled out as in
`longsurv.likelihood.lmm`, whose inner coordinates (orthonormal X, scaled Z) are used here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import solve_triangular

from longsurv.likelihood.covariance import correlation_cholesky, correlation_pullback
from longsurv.likelihood.lmm import LOG_2PI, Profile
from longsurv.likelihood.lmm_blocks import free_elements, interior, packed
from longsurv.likelihood.lmm_dense_residual import Structure
from longsurv.likelihood.lmm_dense_sums import adjoint, forward


@dataclass(frozen=True, eq=False)
class Term:
    """Random effects of one grouping.

    Attributes
    ----------
    Z : ndarray, shape (n, q)
    group : ndarray of int, shape (n,)
    blocks : tuple of int
        Sizes of the blocks of correlated effects.
    """

    Z: np.ndarray
    group: np.ndarray
    blocks: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class DenseData:
    """Rows sorted by cluster and patient, and how they hang together.

    Attributes
    ----------
    order : ndarray of int, shape (n,)
        The rows' positions before sorting.
    W : ndarray, shape (n, p + 1)
        (Q, y - Q Q'y) with X = Q r.
    Z, Zo : ndarray, shapes (n, q) and (n, qo)
        Scaled columns of the patients' random effects, and of all outer groupings.
    indices : tuple of ndarray
        kind, rows, first_kind, slots, clusters, sizes, offsets of `lmm_dense_sums.forward`.
    groups : tuple of ndarray, each of shape (n,)
        Group of each sorted row in each term.
    blocks : tuple of tuple of int
        Blocks of each term, the patients' first (empty if they have no random effects).
    scales : tuple of ndarray
        Root mean squares of the columns of each term.
    structure : Structure
        Of the residuals.
    r : ndarray, shape (p, p)
    beta_ols : ndarray, shape (p,)
    """

    order: np.ndarray
    W: np.ndarray
    Z: np.ndarray
    Zo: np.ndarray
    indices: tuple[np.ndarray, ...]
    groups: tuple[np.ndarray, ...]
    blocks: tuple[tuple[int, ...], ...]
    scales: tuple[np.ndarray, ...]
    structure: Structure
    r: np.ndarray
    beta_ols: np.ndarray

    @property
    def nobs(self) -> int:
        """Number of observations."""
        return len(self.W)

    @property
    def p(self) -> int:
        """Number of fixed-effects coefficients."""
        return self.r.shape[0]

    @property
    def log_det_r(self) -> float:
        """log |det r|."""
        return float(np.log(np.abs(np.diag(self.r))).sum())


def prepare(
    X: np.ndarray,
    y: np.ndarray,
    patient: np.ndarray,
    terms: Sequence[Term],
    structure: Structure,
    order: np.ndarray,
    kind: np.ndarray,
) -> DenseData:
    """Sort the rows and index the groups.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Of full column rank.
    y : ndarray, shape (n,)
    patient : ndarray of int, shape (n,)
    terms : sequence of Term
        The patients' own first (with no columns if they have none), then the groupings they are nested
        in, the finest first.
    structure : Structure
    order, kind
        Rows sorted by patient, and the kind of each ordered pair of a patient's rows in that order.

    Returns
    -------
    DenseData
    """
    top = terms[-1].group
    # Patients in the order of their clusters; rows within a patient stay as in `order`.
    first = np.r_[True, np.diff(patient[order]) != 0]
    begin = np.flatnonzero(first)
    counts = np.diff(np.r_[begin, len(order)])
    sequence = (
        np.argsort(top[order[begin]], kind="stable") if len(terms) > 1 else np.arange(len(begin))
    )
    rows = np.concatenate([np.arange(begin[u], begin[u] + counts[u]) for u in sequence])
    pair_begin = np.cumsum(counts**2) - counts**2
    pairs = np.concatenate(
        [np.arange(pair_begin[u], pair_begin[u] + counts[u] ** 2) for u in sequence]
    )
    order, kind, counts = order[rows], kind[pairs], counts[sequence]
    starts = np.r_[0, np.cumsum(counts)]
    r = np.linalg.qr(X, mode="r")
    Q = solve_triangular(r, X.T, trans="T", lower=False).T
    fit = Q.T @ y
    fit += Q.T @ (y - Q @ fit)
    W = np.column_stack([Q, y - Q @ fit])[order]
    scaled, scales = [], []
    for term in terms:
        size = np.sqrt(np.mean(term.Z**2, axis=0))
        scales.append(np.where(size > 0.0, size, 1.0))
        scaled.append(np.ascontiguousarray((term.Z / scales[-1])[order]))
    units = order[starts[:-1]]
    slots, clusters, sizes = _effects(
        [(t.group[units], t.Z.shape[1]) for t in terms[1:]], len(units)
    )
    return DenseData(
        order=order,
        W=np.ascontiguousarray(W),
        Z=scaled[0],
        Zo=np.ascontiguousarray(np.hstack([np.empty((len(y), 0)), *scaled[1:]])),
        indices=(
            kind.astype(np.int64),
            starts,
            np.r_[0, np.cumsum(counts**2)],
            slots,
            clusters,
            sizes,
            np.r_[0, np.cumsum(sizes**2)],
        ),
        groups=tuple(t.group[order] for t in terms),
        blocks=tuple(t.blocks for t in terms),
        scales=tuple(scales),
        structure=structure,
        r=r,
        beta_ols=solve_triangular(r, fit, lower=False),
    )


def _effects(
    outer: Sequence[tuple[np.ndarray, int]], n_units: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slots of the outer effects in their clusters, the clusters' first patients and sizes.

    outer has the group of each patient, sorted by the last grouping, and the number of columns.
    """
    if not outer:
        # Each patient is a cluster of its own.
        none = np.zeros((n_units, 0), dtype=np.int64)
        return none, np.arange(n_units + 1), np.zeros(n_units, dtype=np.int64)
    top = outer[-1][0]
    clusters = np.r_[np.flatnonzero(np.r_[True, np.diff(top) != 0]), n_units]
    slots = np.empty((n_units, sum(q for _, q in outer)), dtype=np.int64)
    sizes = np.zeros(len(clusters) - 1, dtype=np.int64)
    for c, (start, end) in enumerate(zip(clusters[:-1], clusters[1:], strict=True)):
        column = 0
        for group, q in outer:
            _, index = np.unique(group[start:end], return_inverse=True)
            for a in range(q):
                slots[start:end, column + a] = sizes[c] + index * q + a
            sizes[c] += (index.max() + 1) * q
            column += q
    return slots, clusters, sizes


@dataclass(frozen=True)
class DenseProfile:
    """The likelihood at one point, with beta (and sigma) at its optimum.

    Attributes
    ----------
    log_det, quad, dof, gamma, spread
        As for `longsurv.likelihood.lmm.Profile`.
    own : ndarray, shape (q, q)
        Derivative of the deviance in D / sigma^2 of the patients.
    outer : ndarray, shape (qo, qo)
        The same for the outer groupings, in diagonal blocks.
    by_kind : ndarray, shape (K,)
        Derivative of the deviance in the residual covariance over sigma^2 of each kind of pair.
    """

    log_det: float
    quad: float
    dof: int
    gamma: np.ndarray
    spread: np.ndarray
    own: np.ndarray
    outer: np.ndarray
    by_kind: np.ndarray

    sigma2 = Profile.sigma2
    deviance = Profile.deviance


def profile(
    data: DenseData, factors: Sequence[np.ndarray], psi: np.ndarray, reml: bool
) -> DenseProfile:
    """Solve for beta at relative covariance factors of each term and residual parameters psi.

    Raises
    ------
    numpy.linalg.LinAlgError
        If V or X' V^-1 X is not positive definite.
    """
    p = data.p
    values = data.structure.values(psi)
    state = forward_state(data, values, factors)
    log_det, T = state.log_det, state.T
    try:
        chol = np.linalg.cholesky(T[:p, :p])
    except np.linalg.LinAlgError:
        raise np.linalg.LinAlgError("X' V^-1 X is not positive definite") from None
    spread = solve_triangular(chol, np.eye(p), lower=True).T
    half = spread.T @ T[:p, p]
    gamma = spread @ half
    quad = max(float(T[p, p] - half @ half), 1e-300)
    dof = data.nobs - (p if reml else 0)
    residual = np.append(-gamma, 1.0)[:, None] / np.sqrt(quad / dof)
    columns = [residual]
    if reml:
        log_det += 2.0 * (float(np.log(np.diag(chol)).sum()) + data.log_det_r)
        columns.append(np.vstack([spread, np.zeros((1, p))]))
    own, outer, by_kind = _adjoint(data, np.hstack(columns), len(values), state)
    return DenseProfile(log_det, quad, dof, gamma, spread, own, outer, by_kind)


@dataclass(frozen=True, eq=False)
class State:
    """What `lmm_dense_sums.forward` found: running totals, T, and the rest for `adjoint`."""

    running: np.ndarray
    T: np.ndarray
    rest: tuple[np.ndarray, ...]

    @property
    def log_det(self) -> float:
        """log |V / sigma^2|."""
        return float(self.running[-1, 0])


def forward_state(data: DenseData, values: np.ndarray, factors: Sequence[np.ndarray]) -> State:
    """Factor V / sigma^2 at values (K,) of the residual covariance and Lam of each term.

    Raises
    ------
    numpy.linalg.LinAlgError
        If it is not positive definite.
    """
    qo = data.Zo.shape[1]
    lam_outer, at = np.zeros((qo, qo)), 0
    for lam in factors[1:]:
        end = at + len(lam)
        lam_outer[at:end, at:end] = lam
        at = end
    definite, running, T, *rest = forward(
        values, np.ascontiguousarray(factors[0]), lam_outer, data.W, data.Z, data.Zo, *data.indices
    )
    if not definite:
        raise np.linalg.LinAlgError("V is not positive definite")
    return State(running, T, tuple(rest))


def _adjoint(
    data: DenseData, spread: np.ndarray, n_kinds: int, state: State
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return adjoint(np.ascontiguousarray(spread), n_kinds, data.Z, *data.indices, *state.rest)


@dataclass(frozen=True, eq=False)
class DenseKernel:
    """Likelihoods of vectors of free parameters (see `longsurv.likelihood.lmm_blocks.BlockKernel`).

    For the profiled criterion they are the free elements of each term's Lam, then psi. For `loglik` they
    are beta; log sigma; log SDs of each term; the scalars of psi; unconstrained correlations of each term,
    and of an unstructured residual.
    """

    data: DenseData

    @cached_property
    def elements(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows and columns of the free elements of each Lam."""
        return [free_elements(blocks) for blocks in self.data.blocks]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters of the criterion."""
        lams = tuple(
            f"Lam{t}[{a},{b}]"
            for t, (rows, columns) in enumerate(self.elements)
            for a, b in zip(rows, columns, strict=True)
        )
        return (*lams, *self.data.structure.names)

    @property
    def lower(self) -> np.ndarray:
        """Their lower bounds."""
        bounds = [np.where(r == c, 0.0, -np.inf) for r, c in self.elements]
        return np.concatenate([*bounds, self.data.structure.lower])

    @property
    def starts(self) -> list[np.ndarray]:
        """Points to start a climb from, one of which is near."""
        psi = self.data.structure.start
        correlated = (psi, np.zeros_like(psi)) if psi.any() else (psi,)
        identity = [(r == c).astype(float) for r, c in self.elements]
        sizes = (0.1, 0.3, 1.0, 3.0) if any(len(part) for part in identity) else (1.0,)
        return [
            np.concatenate([*(size * part for part in identity), start])
            for size in sizes
            for start in correlated
        ]

    def split(self, x: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Lam of each term, and psi."""
        factors, at = [], 0
        for (rows, columns), blocks in zip(self.elements, self.data.blocks, strict=True):
            lam = np.zeros((sum(blocks), sum(blocks)))
            lam[rows, columns] = x[at : at + len(rows)]
            factors.append(lam)
            at += len(rows)
        return factors, x[at:]

    def criterion(self, x: np.ndarray, reml: bool) -> tuple[float, np.ndarray]:
        """Profiled (restricted) log-likelihood and its gradient."""
        factors, psi = self.split(x)
        at = profile(self.data, factors, psi, reml)
        parts = [
            -(S @ lam)[where]
            for S, lam, where in zip(
                self._by_term(at.own, at.outer), factors, self.elements, strict=True
            )
        ]
        slope = -0.5 * self.data.structure.pullback(psi, at.by_kind)
        return -0.5 * at.deviance(at.sigma2), np.concatenate([*parts, slope])

    def _by_term(self, own: np.ndarray, outer: np.ndarray) -> list[np.ndarray]:
        out, at = [own], 0
        for blocks in self.data.blocks[1:]:
            end = at + sum(blocks)
            out.append(outer[at:end, at:end])
            at = end
        return out

    # ---- unprofiled, for Bayes ----

    @cached_property
    def n_scalars(self) -> int:
        """Number of residual parameters that are not partial correlations of an unstructured matrix."""
        s = self.data.structure
        return s.n_ratios if s.kind == "unstructured" else s.size

    def unpack(
        self, theta: np.ndarray
    ) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray], np.ndarray]:
        """beta, log SDs and all partial correlations of each term, and psi."""
        p, at = self.data.p, self.data.p + 1
        log_tau = []
        for blocks in self.data.blocks:
            log_tau.append(theta[at : at + sum(blocks)])
            at += sum(blocks)
        scalars = theta[at : at + self.n_scalars]
        at += self.n_scalars
        z = []
        for (rows, columns), tau in zip(self.elements, log_tau, strict=True):
            below = rows > columns
            full = np.zeros(len(tau) * (len(tau) - 1) // 2)
            full[packed(rows, columns)] = theta[at : at + below.sum()]
            z.append(full)
            at += below.sum()
        return theta[:p], log_tau, z, np.concatenate([scalars, theta[at:]])

    def factors(self, theta: np.ndarray) -> list[np.ndarray]:
        """Lam of each term, in scaled columns of Z."""
        _, log_tau, z, _ = self.unpack(theta)
        log_sigma = theta[self.data.p]
        return [
            (np.exp(tau - log_sigma) * scale)[:, None] * _cholesky(zt, len(tau))
            for tau, zt, scale in zip(log_tau, z, self.data.scales, strict=True)
        ]

    @property
    def residual_names(self) -> tuple[str, ...]:
        """Names of the residual's scalars, all on unconstrained scales."""
        return self.data.structure.names[: self.n_scalars]

    @property
    def correlated(self) -> tuple[int, ...]:
        """Sizes of the correlation matrices of theta."""
        s = self.data.structure
        residual = (s.n_visits,) if s.kind == "unstructured" else ()
        return (*(size for blocks in self.data.blocks for size in blocks), *residual)

    @property
    def z_scales(self) -> np.ndarray:
        """Root mean squares of the columns of Z, in the order of the SDs of theta."""
        return np.concatenate(self.data.scales)

    def interior(self, beta: np.ndarray, sigma: float, x: np.ndarray) -> np.ndarray:
        """A vector for `loglik` near the point x of the criterion, away from any boundary."""
        lams, psi = self.split(x)
        pairs = [
            interior(lam, sigma, scale, elements)
            for lam, scale, elements in zip(lams, self.data.scales, self.elements, strict=True)
        ]
        psi = np.clip(psi, -3.0, 3.0)
        return np.concatenate(
            [
                beta,
                [np.log(sigma)],
                *(tau for tau, _ in pairs),
                psi[: self.n_scalars],
                *(z for _, z in pairs),
                psi[self.n_scalars :],
            ]
        )

    def loglik(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Marginal log-likelihood and its gradient.

        Raises
        ------
        numpy.linalg.LinAlgError
            If V is not positive definite to working precision.
        """
        data, p = self.data, self.data.p
        beta, log_tau, z, psi = self.unpack(theta)
        log_sigma = theta[p]
        values, lams = data.structure.values(psi), self.factors(theta)
        state = forward_state(data, values, lams)
        T = state.T
        u = np.append(-data.r @ (beta - data.beta_ols), 1.0)
        precision = np.exp(-2.0 * log_sigma)
        quad = u @ T @ u
        value = -0.5 * (data.nobs * (LOG_2PI + 2.0 * log_sigma) + state.log_det + quad * precision)
        own, outer, by_kind = _adjoint(data, (u * np.exp(-log_sigma))[:, None], len(values), state)
        taus, zs, total = [], [], 0.0
        for S, lam, lt, zt, size, (rows, columns) in zip(
            self._by_term(own, outer), lams, log_tau, z, data.scales, self.elements, strict=True
        ):
            d = -np.tril(S @ lam)
            by_row = (d * lam).sum(axis=1)
            taus.append(by_row)
            total += by_row.sum()
            if len(zt):
                dK = d * (np.exp(lt - log_sigma) * size)[:, None]
                zs.append(correlation_pullback(zt, len(lt), dK)[packed(rows, columns)])
        slope = -0.5 * data.structure.pullback(psi, by_kind)
        gradient = np.concatenate(
            [
                (data.r.T @ (T @ u)[:p]) * precision,
                [-data.nobs + quad * precision - total],
                *taus,
                slope[: self.n_scalars],
                *zs,
                slope[self.n_scalars :],
            ]
        )
        return value, gradient


def _cholesky(z: np.ndarray, q: int) -> np.ndarray:
    return correlation_cholesky(np.ascontiguousarray(z), q) if q else np.empty((0, 0))
