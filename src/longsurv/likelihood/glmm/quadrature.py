"""Adaptive Gauss-Hermite quadrature over the random effects of one patient after another.

With h(u) = sum_j log f(y_j | eta_j + v_j'u) - u'u / 2, its mode m, the curvature
H = I + sum_j w_j v_j v_j' there (w_j from the family) and H = L L', a patient contributes

    -log |L| + log sum_k omega_k exp(h(m + L'^-1 t_k) + t_k't_k / 2)

over the nodes t_k and weights omega_k of the standard normal (Pinheiro & Bates 1995, J Comput Graph
Stat 4:12; lme4's definition). One node is Laplace's approximation. Where it has no error, as of a
patient all of whose values were measured with normal noise, the integral is in closed form.
"""

from __future__ import annotations

import math
from collections import namedtuple

import numpy as np
from numba import njit

from longsurv.likelihood.arithmetic.covariance import lower_cholesky, solve_factor
from longsurv.likelihood.arithmetic.lent import kept, lent
from longsurv.likelihood.arithmetic.vector_exp import exp
from longsurv.likelihood.glmm.closed_form import closed_form
from longsurv.likelihood.glmm.families import (
    CENSORED,
    ORDINAL,
    at_nodes,
    constants,
    parameter_gradient,
    row,
)

# Arrays of one patient, allocated once for all: mode u, slope of h there, J = -h'', the nodes'
# curvature H and its factor L, A = L'^-1; the rows' numbers at the mode; the nodes U (q, M), their
# posterior weights, the predictors of a row there and, at each row and node, the derivatives of the
# log density in eta and in the two family parameters; the slope of the log weights T (q, M); the
# rows' predictors eta at u = 0 and V = Z Lam; P and e of `_nodes_move`.
Work = namedtuple("Work", "u slope step trial J H L A rows U weight at l1 la lb T eta V P e")
# The data, see `longsurv.likelihood.glmm.GLMMData`; a rule for one dimension or several, filled up
# to whole vectors, with room to work in; what `marginal` makes for itself.
Rows = namedtuple("Rows", "y extent offset X Z first")
Rule = namedtuple("Rule", "nodes log_weights work")
Own = namedtuple("Own", "par raw d_beta d_Lam rule")


@njit(cache=True, nogil=True, error_model="numpy")
def _work(q, M, n_max):
    return Work(
        np.zeros(q), np.zeros(q), np.zeros(q), np.zeros(q),
        np.zeros((q, q)), np.zeros((q, q)), np.zeros((q, q)), np.zeros((q, q)),
        np.zeros((n_max, 11)), np.zeros((q, M)), np.zeros(M), np.zeros(M),
        np.zeros((n_max, M)), np.zeros((n_max, M)), np.zeros((n_max, M)), np.zeros((q, M)),
        np.zeros(n_max), np.zeros((n_max, q)), np.zeros((q, q)), np.zeros(q),
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _longest(first):
    """Rows of the patient who has most."""
    most = 0
    for i in range(first.shape[0] - 1):
        most = max(most, first[i + 1] - first[i])
    return most


@njit(cache=True, nogil=True, error_model="numpy")
def _rule(nodes, log_weights, n_max):
    """Nodes (q, M) and their log weights, M filled up to whole vectors with nodes of no weight, and
    room for the rows of one patient."""
    M, q = nodes.shape
    M8 = -(-M // 8) * 8
    across, weights = np.zeros((q, M8)), np.full(M8, -math.inf)
    for k in range(M):
        weights[k] = log_weights[k]
        for a in range(q):
            across[a, k] = nodes[k, a]
    return Rule(across, weights, _work(q, M8, n_max))


@njit(
    cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"}, forceinline=True
)
def _dot(a, b):
    s = 0.0
    for k in range(a.shape[0]):
        s += a[k] * b[k]
    return s


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _curve(u, code, y, extent, eta, V, par, slope, J, H, rows):
    """h(u); writes its gradient, its negative Hessian J, the curvature H of the nodes, the rows."""
    q = u.shape[0]
    h = 0.0
    for a in range(q):
        h -= 0.5 * u[a] * u[a]
        slope[a] = -u[a]
        for b in range(q):
            J[a, b] = 1.0 if a == b else 0.0
            H[a, b] = J[a, b]
    for j in range(y.shape[0]):
        s = eta[j]
        for a in range(q):
            s += V[j, a] * u[a]
        f = row(code, y[j], extent[j], s, par)
        for c in range(11):
            rows[j, c] = f[c]
        h += f[0]
        for a in range(q):
            v = V[j, a]
            slope[a] += f[1] * v
            for b in range(a + 1):
                vv = v * V[j, b]
                J[a, b] -= f[2] * vv
                H[a, b] += f[3] * vv
    return h


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _find_mode(code, y, extent, eta, V, par, work):
    """Damped Newton from work.u; False if the mode was not reached."""
    u, slope, step, trial, J, H, L = (
        work.u, work.slope, work.step, work.trial, work.J, work.H, work.L
    )  # fmt: skip
    q = u.shape[0]
    h, size, decrement, steps, anew = -math.inf, 1.0, 0.0, 0, False
    for a in range(q):
        trial[a] = u[a]
    while True:
        # The one place where the rows are computed: they are inlined, and long to compile.
        new = _curve(trial, code, y, extent, eta, V, par, slope, J, H, work.rows)
        if steps == 0:
            if not new > -math.inf and not anew:  # so far away that it has no value
                trial[:] = 0.0
                anew = True
                continue
        # Close to the mode the gain drowns in rounding, and full steps are safe.
        elif not (new >= h + 1e-4 * size * decrement or decrement < 1e-8 or size < 1e-10):
            size *= 0.5
            for a in range(q):
                trial[a] = u[a] + size * step[a]
            continue
        h = new
        for a in range(q):
            u[a] = trial[a]
        # Newton's error is squared: after a step of this size it is below rounding.
        if steps > 0 and decrement < 1e-12:
            return True
        # The nodes' curvature is positive where the density is not concave.
        if steps == 200 or (not lower_cholesky(J, L) and not lower_cholesky(H, L)):
            return False
        solve_factor(L, slope, step)
        decrement = 0.0
        for a in range(q):
            decrement += slope[a] * step[a]
        if not decrement < 1e300:
            return False
        if decrement < 1e-24:
            return True
        steps, size = steps + 1, 1.0
        for a in range(q):
            trial[a] = u[a] + step[a]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"}, forceinline=True)
def _integrate(code, y, extent, eta, V, par, nodes, log_weights, work):
    """Log of the patient's integral, whose mode is looked for from work.u; leaves the mode, the
    nodes and their posterior weights."""
    if not _find_mode(code, y, extent, eta, V, par, work) or not lower_cholesky(work.H, work.L):
        return -math.inf
    L, A, U, u, h, at = work.L, work.A, work.U, work.u, work.weight, work.at
    q, M = U.shape
    log_det = 0.0
    for b in range(q):
        log_det += math.log(L[b, b])
        for a in range(q - 1, -1, -1):
            s = 1.0 if a == b else 0.0
            for k in range(a + 1, b + 1):
                s -= L[k, a] * A[k, b]
            A[a, b] = s / L[a, a] if a <= b else 0.0
    for k in range(M):
        h[k] = log_weights[k]
    for a in range(q):
        for k in range(M):
            U[a, k] = u[a]
        for b in range(a, q):
            for k in range(M):
                U[a, k] += A[a, b] * nodes[b, k]
        for k in range(M):
            h[k] -= 0.5 * U[a, k] * U[a, k]
    for j in range(y.shape[0]):
        for k in range(M):
            at[k] = eta[j]
        for a in range(q):
            for k in range(M):
                at[k] += V[j, a] * U[a, k]
        at_nodes(code, y[j], extent[j], at, par, h, work.l1[j], work.la[j], work.lb[j])
    top, total = -math.inf, 0.0
    for k in range(M):
        top = max(top, h[k])
    for k in range(M):
        h[k] = exp(h[k] - top)
    for k in range(M):
        total += h[k]
    for k in range(M):
        h[k] /= total
    return top + math.log(total) - log_det


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"}, forceinline=True)
def _nodes_move(y, V, nodes, work):
    """How the value responds to the nodes' curvature and to the mode; False if it is not defined.

    A change dH of H adds -tr(P dH), the change of -log |L| included. The mode m moves with the
    parameters as J^-1 times the change of h's slope there, and e is J^-1 times the derivative of
    the value in m: that of the nodes at their weights, less P times the change of H along m.
    """
    A, T, weight, c, N = work.A, work.T, work.weight, work.step, work.H
    P, e = work.P, work.e
    q, M = T.shape
    for a in range(q):
        for k in range(M):
            T[a, k] = -work.U[a, k]
        for j in range(y.shape[0]):
            for k in range(M):
                T[a, k] += work.l1[j, k] * V[j, a]
        for k in range(M):
            T[a, k] *= weight[k]
        c[a] = T[a].sum()
    for a in range(q):
        for b in range(a, q):
            s = 0.0
            for d in range(a + 1):
                s += A[d, a] * _dot(T[d], nodes[b])
            N[a, b] = N[b, a] = 0.5 * s
        N[a, a] += 0.5
    for a in range(q):
        for b in range(q):
            s = 0.0
            for k in range(a, q):
                for m in range(b, q):
                    s += A[a, k] * N[k, m] * A[b, m]
            P[a, b] = s
    for j in range(y.shape[0]):
        r = 0.0
        for a in range(q):
            for b in range(q):
                r += V[j, a] * P[a, b] * V[j, b]
        for a in range(q):
            c[a] -= work.rows[j, 4] * r * V[j, a]
    if not lower_cholesky(work.J, work.L):
        return False
    solve_factor(work.L, c, e)
    return True


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"}, forceinline=True)
def _add_gradient(code, y, V, X, Z, work, d_beta, raw, d_Lam):
    """Add the patient's gradient in beta, the family parameters (see `constants`) and Lam; leaves
    that in the predictor of each row in place of the predictors."""
    q = work.u.shape[0]
    t, weight, weighted, P, e = work.trial, work.weight, work.at, work.P, work.e
    for j in range(y.shape[0]):
        f, r, ve = work.rows[j], 0.0, 0.0
        for a in range(q):
            ve += V[j, a] * e[a]
            t[a] = 0.0
            for b in range(q):
                t[a] += P[a, b] * V[j, b]
            r += V[j, a] * t[a]
        at_mode = f[2] * ve - f[4] * r
        for k in range(weight.shape[0]):
            weighted[k] = weight[k] * work.l1[j, k]
        slope = weighted.sum() + at_mode
        work.eta[j] = slope
        for b in range(X.shape[1]):
            d_beta[b] += slope * X[j, b]
        for b in range(q):
            g = _dot(weighted, work.U[b]) + at_mode * work.u[b] + f[1] * e[b] - 2.0 * f[3] * t[b]
            for a in range(b, q):
                d_Lam[a, b] += Z[j, a] * g
        if raw.shape[0]:
            first, second = (int(y[j]) + 1, int(y[j])) if code == ORDINAL else (0, 1)
            raw[first] += _dot(weight, work.la[j]) - r * f[7] + ve * f[6]
            raw[second] += _dot(weight, work.lb[j]) - r * f[10] + ve * f[9]


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _patient(beta, Lam, offset, X, Z, eta, V):
    """Linear predictor at u = 0 and V = Z Lam of a patient's rows."""
    q = Z.shape[1]
    for j in range(X.shape[0]):
        s = offset[j]
        for b in range(X.shape[1]):
            s += X[j, b] * beta[b]
        eta[j] = s
        for a in range(q):
            s = 0.0
            for b in range(a, q):
                s += Lam[b, a] * Z[j, b]
            V[j, a] = s


# Inlined, as each caller would hold what was compiled of it and compile that once more.
@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def marginal(
    beta, phi, Lam, code, Y, extent, offset, X, Z, first, levels, nodes, log_weights, values,
    slopes, modes, want_gradient,
):  # fmt: skip
    """Log-likelihood of each patient into `values`, and the gradient of their sum.

    Parameters
    ----------
    beta, phi, Lam : ndarray, shape (p,), (m,), (q, q)
        Coefficients, family parameters (see `constants`), lower factor of the random effects.
    code, Y, extent, offset, X, Z, first, levels, nodes, log_weights
        See `longsurv.likelihood.glmm.GLMMData`.
    values : ndarray, shape (N,)
        Written; -inf where a mode cannot be found.
    slopes : ndarray, shape (n,) or (0,)
        Written, with the gradient in the offset of each row, if it has elements.
    modes : ndarray, shape (N, q) or (0, q)
        Where to look for each patient's mode first, and written where it is; at 0 without rows.
    want_gradient : bool
        Otherwise the gradients returned are zero.

    Returns
    -------
    Gradients in beta, phi and Lam (lower triangle).
    """
    q = Z.shape[1]
    n_max = _longest(first)
    par = constants(code, phi, levels)
    raw = np.zeros(max(levels + 1, 2) if phi.shape[0] else 0)
    d_beta, d_Lam = np.zeros(X.shape[1]), np.zeros((q, q))
    own = Own(par, raw, d_beta, d_Lam, _rule(nodes, log_weights, n_max))
    par, raw, d_beta, d_Lam, rule = lent(own)
    work = rule.work
    beta, Lam, values, slopes = lent(beta), lent(Lam), lent(values), lent(slopes)
    modes = lent(modes)
    Y, extent, offset, X, Z, first = lent(Rows(Y, extent, offset, X, Z, first))
    for i in range(first.shape[0] - 1):
        start, end = first[i], first[i + 1]
        y, extents, Xi, Zi = Y[start:end], extent[start:end], X[start:end], Z[start:end]
        eta, V = work.eta[: end - start], work.V[: end - start]
        _patient(beta, Lam, offset[start:end], Xi, Zi, eta, V)
        closed = code == CENSORED and not extents.any()
        if closed:
            values[i] = closed_form(y, eta, V, Xi, Zi, par, work, want_gradient, d_beta, raw, d_Lam)
        else:
            work.u[:] = 0.0
            if modes.shape[0]:
                for a in range(q):
                    work.u[a] = modes[i, a]
            values[i] = _integrate(
                code, y, extents, eta, V, par, rule.nodes, rule.log_weights, work
            )  # fmt: skip
        if modes.shape[0] and values[i] > -math.inf:
            for a in range(q):
                modes[i, a] = work.u[a]
        if not want_gradient or values[i] == -math.inf:
            continue
        if not closed:
            if not _nodes_move(y, V, rule.nodes, work):
                values[i] = -math.inf
                continue
            _add_gradient(code, y, V, Xi, Zi, work, d_beta, raw, d_Lam)
        if slopes.shape[0]:
            for j in range(start, end):
                slopes[j] = eta[j - start]
    kept(own)
    return own.d_beta, parameter_gradient(code, phi, levels, own.raw), own.d_Lam


@njit(cache=True, nogil=True, error_model="numpy")
def posterior_nodes(
    beta, phi, Lam, code, Y, extent, offset, X, Z, first, levels, nodes, log_weights
):
    """Nodes (N, M, q) of u and their weights (N, M) in each patient's conditional distribution."""
    q, M, N = Z.shape[1], nodes.shape[0], first.shape[0] - 1
    par = constants(code, phi, levels)
    rule = _rule(nodes, log_weights, _longest(first))
    at, weight = np.empty((N, M, q)), np.empty((N, M))
    across, log_weights, work = lent(rule)
    Y, extent, offset, X, Z, first = lent(Rows(Y, extent, offset, X, Z, first))
    for i in range(N):
        start, end = first[i], first[i + 1]
        eta, V = work.eta[: end - start], work.V[: end - start]
        _patient(beta, Lam, offset[start:end], X[start:end], Z[start:end], eta, V)
        work.u[:] = 0.0
        _integrate(code, Y[start:end], extent[start:end], eta, V, par, across, log_weights, work)
        for k in range(M):
            weight[i, k] = work.weight[k]
            for a in range(q):
                at[i, k, a] = work.U[a, k]
    kept(rule)
    return at, weight
