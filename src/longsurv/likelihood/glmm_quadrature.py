"""Adaptive Gauss-Hermite quadrature over the random effects of one patient after another.

With h(u) = sum_j log f(y_j | eta_j + v_j'u) - u'u / 2, its mode m, the curvature
H = I + sum_j w_j v_j v_j' there (w_j from the family) and H = L L', a patient contributes

    -log |L| + log sum_k omega_k exp(h(m + L'^-1 t_k) + t_k't_k / 2)

over the nodes t_k and weights omega_k of the standard normal (Pinheiro & Bates 1995, J Comput Graph
Stat 4:12; lme4's definition). One node is Laplace's approximation.
"""

from __future__ import annotations

import math
from collections import namedtuple

import numpy as np
from numba import njit

from longsurv.likelihood.covariance import lower_cholesky
from longsurv.likelihood.glmm_families import ORDINAL, constants, parameter_gradient, row

# Arrays of one patient, allocated once for all: mode u, slope of h there, J = -h'', the nodes'
# curvature H and its factor L, A = L'^-1, the nodes U and their posterior weights, and at each node
# and row the derivatives of the log density in eta and in the two family parameters.
Work = namedtuple("Work", "u slope step trial J H L A U weight l1 la lb")


@njit(cache=True, nogil=True, error_model="numpy")
def _work(q, M, n_max):
    return Work(
        np.zeros(q), np.zeros(q), np.zeros(q), np.zeros(q),
        np.zeros((q, q)), np.zeros((q, q)), np.zeros((q, q)), np.zeros((q, q)),
        np.zeros((M, q)), np.zeros(M),
        np.zeros((M, n_max)), np.zeros((M, n_max)), np.zeros((M, n_max)),
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _solve(L, b, out):
    """out = (L L')^-1 b."""
    q = L.shape[0]
    for a in range(q):
        s = b[a]
        for c in range(a):
            s -= L[a, c] * out[c]
        out[a] = s / L[a, a]
    for a in range(q - 1, -1, -1):
        s = out[a]
        for c in range(a + 1, q):
            s -= L[c, a] * out[c]
        out[a] = s / L[a, a]


@njit(cache=True, nogil=True, error_model="numpy")
def _predictor(eta, V, j, u):
    s = eta[j]
    for a in range(u.shape[0]):
        s += V[j, a] * u[a]
    return s


@njit(cache=True, nogil=True, error_model="numpy")
def _curve(u, code, y, kind, eta, V, par, slope, J, H):
    """h(u); writes its gradient, its negative Hessian J and the curvature H of the nodes."""
    q = u.shape[0]
    h = 0.0
    for a in range(q):
        h -= 0.5 * u[a] * u[a]
        slope[a] = -u[a]
        for b in range(q):
            J[a, b] = 1.0 if a == b else 0.0
            H[a, b] = J[a, b]
    for j in range(y.shape[0]):
        f = row(code, y[j], kind[j], _predictor(eta, V, j, u), par)
        h += f[0]
        for a in range(q):
            v = V[j, a]
            slope[a] += f[1] * v
            for b in range(a + 1):
                vv = v * V[j, b]
                J[a, b] -= f[2] * vv
                H[a, b] += f[3] * vv
    return h


@njit(cache=True, nogil=True, error_model="numpy")
def _find_mode(code, y, kind, eta, V, par, work):
    """Damped Newton from u = 0; False if the mode was not reached."""
    u, slope, step, trial, J, H, L = (
        work.u, work.slope, work.step, work.trial, work.J, work.H, work.L
    )  # fmt: skip
    q = u.shape[0]
    u[:] = 0.0
    h = _curve(u, code, y, kind, eta, V, par, slope, J, H)
    for _ in range(200):
        # The nodes' curvature is positive where the density is not concave.
        if not lower_cholesky(J, L) and not lower_cholesky(H, L):
            return False
        _solve(L, slope, step)
        decrement = 0.0
        for a in range(q):
            decrement += slope[a] * step[a]
        if not decrement < 1e300:
            return False
        if decrement < 1e-24:
            return True
        size = 1.0
        while True:
            for a in range(q):
                trial[a] = u[a] + size * step[a]
            new = _curve(trial, code, y, kind, eta, V, par, slope, J, H)
            # Close to the mode the gain drowns in rounding, and full steps are safe.
            if new >= h + 1e-4 * size * decrement or decrement < 1e-8 or size < 1e-10:
                break
            size *= 0.5
        h = new
        u[:] = trial
        # Newton's error is squared: after a step of this size it is below rounding.
        if decrement < 1e-12:
            return True
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _integrate(code, y, kind, eta, V, par, nodes, log_weights, work):
    """Log of the patient's integral; leaves the mode, the nodes and their posterior weights."""
    if not _find_mode(code, y, kind, eta, V, par, work) or not lower_cholesky(work.H, work.L):
        return -math.inf
    L, A, U, u, weight, at = work.L, work.A, work.U, work.u, work.weight, work.trial
    l1, la, lb = work.l1, work.la, work.lb
    q, M = u.shape[0], U.shape[0]
    log_det = 0.0
    for b in range(q):
        log_det += math.log(L[b, b])
        for a in range(q - 1, -1, -1):
            s = 1.0 if a == b else 0.0
            for k in range(a + 1, b + 1):
                s -= L[k, a] * A[k, b]
            A[a, b] = s / L[a, a] if a <= b else 0.0
    top = -math.inf
    for k in range(M):
        h = log_weights[k]
        for a in range(q):
            s = u[a]
            for b in range(a, q):
                s += A[a, b] * nodes[k, b]
            U[k, a] = s
            at[a] = s
            h -= 0.5 * s * s
        for j in range(y.shape[0]):
            f = row(code, y[j], kind[j], _predictor(eta, V, j, at), par)
            h += f[0]
            l1[k, j], la[k, j], lb[k, j] = f[1], f[5], f[8]
        weight[k] = h
        top = max(top, h)
    total = 0.0
    for k in range(M):
        weight[k] = math.exp(weight[k] - top)
        total += weight[k]
    for k in range(M):
        weight[k] /= total
    return top + math.log(total) - log_det


@njit(cache=True, nogil=True, error_model="numpy")
def _nodes_move(code, y, kind, eta, V, par, nodes, work, P, e):
    """How the value responds to the nodes' curvature and to the mode; False if it is not defined.

    A change dH of H adds -tr(P dH), the change of -log |L| included. The mode m moves with the
    parameters as J^-1 times the change of h's slope there, and e is J^-1 times the derivative of
    the value in m: that of the nodes at their weights, less P times the change of H along m.
    """
    q, M = work.u.shape[0], work.U.shape[0]
    A, t = work.A, work.trial
    N = np.zeros((q, q))
    c = np.zeros(q)
    for k in range(M):
        for a in range(q):
            s = -work.U[k, a]
            for j in range(y.shape[0]):
                s += work.l1[k, j] * V[j, a]
            t[a] = work.weight[k] * s
            c[a] += t[a]
        for a in range(q):
            s = 0.0
            for b in range(a + 1):
                s += A[b, a] * t[b]
            for b in range(a, q):
                N[a, b] += 0.5 * s * nodes[k, b]
    for a in range(q):
        for b in range(a):
            N[a, b] = N[b, a]
        N[a, a] += 0.5
    for a in range(q):
        for b in range(q):
            s = 0.0
            for k in range(a, q):
                for m in range(b, q):
                    s += A[a, k] * N[k, m] * A[b, m]
            P[a, b] = s
    for j in range(y.shape[0]):
        w1 = row(code, y[j], kind[j], _predictor(eta, V, j, work.u), par)[4]
        r = 0.0
        for a in range(q):
            for b in range(q):
                r += V[j, a] * P[a, b] * V[j, b]
        for a in range(q):
            c[a] -= w1 * r * V[j, a]
    if not lower_cholesky(work.J, work.L):
        return False
    _solve(work.L, c, e)
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _add_gradient(code, y, kind, eta, V, par, X, Z, work, P, e, d_beta, raw, d_Lam):
    """Add the patient's gradient in beta, the family parameters (see `constants`) and Lam."""
    q, M = work.u.shape[0], work.U.shape[0]
    t, sum_u = work.trial, work.step
    for j in range(y.shape[0]):
        f = row(code, y[j], kind[j], _predictor(eta, V, j, work.u), par)
        r, ve = 0.0, 0.0
        for a in range(q):
            ve += V[j, a] * e[a]
            t[a] = 0.0
            for b in range(q):
                t[a] += P[a, b] * V[j, b]
            r += V[j, a] * t[a]
            sum_u[a] = 0.0
        at_mode = f[2] * ve - f[4] * r
        mean_l1, mean_la, mean_lb = 0.0, 0.0, 0.0
        for k in range(M):
            weight = work.weight[k]
            g = weight * work.l1[k, j]
            mean_l1 += g
            mean_la += weight * work.la[k, j]
            mean_lb += weight * work.lb[k, j]
            for a in range(q):
                sum_u[a] += g * work.U[k, a]
        for b in range(X.shape[1]):
            d_beta[b] += (mean_l1 + at_mode) * X[j, b]
        for b in range(q):
            g = sum_u[b] + at_mode * work.u[b] + f[1] * e[b] - 2.0 * f[3] * t[b]
            for a in range(b, q):
                d_Lam[a, b] += Z[j, a] * g
        first, second = (int(y[j]) + 1, int(y[j])) if code == ORDINAL else (0, 1)
        raw[first] += mean_la - r * f[7] + ve * f[6]
        raw[second] += mean_lb - r * f[10] + ve * f[9]


@njit(cache=True, nogil=True, error_model="numpy")
def _patient(beta, Lam, X, Z, eta, V):
    """Linear predictor at u = 0 and V = Z Lam of a patient's rows."""
    q = Z.shape[1]
    for j in range(X.shape[0]):
        s = 0.0
        for b in range(X.shape[1]):
            s += X[j, b] * beta[b]
        eta[j] = s
        for a in range(q):
            s = 0.0
            for b in range(a, q):
                s += Lam[b, a] * Z[j, b]
            V[j, a] = s


@njit(cache=True, nogil=True, error_model="numpy")
def marginal(
    beta, phi, Lam, code, Y, kind, X, Z, first, levels, nodes, log_weights, values, want_gradient
):
    """Log-likelihood of each patient into `values`, and the gradient of their sum.

    Parameters
    ----------
    beta, phi, Lam : ndarray, shape (p,), (m,), (q, q)
        Coefficients, family parameters (see `constants`), lower factor of the random effects.
    code, Y, kind, X, Z, first, levels, nodes, log_weights
        See `longsurv.likelihood.glmm.GLMMData`.
    values : ndarray, shape (N,)
        Written; -inf where a mode cannot be found.
    want_gradient : bool
        Otherwise the gradients returned are zero.

    Returns
    -------
    Gradients in beta, phi and Lam (lower triangle).
    """
    q = Z.shape[1]
    n_max = np.diff(first).max()
    par = constants(code, phi, levels)
    raw = np.zeros(max(levels + 1, 2))
    d_beta, d_Lam = np.zeros(X.shape[1]), np.zeros((q, q))
    P, e = np.zeros((q, q)), np.zeros(q)
    eta_all, V_all = np.zeros(n_max), np.zeros((n_max, q))
    work = _work(q, nodes.shape[0], n_max)
    for i in range(first.shape[0] - 1):
        start, end = first[i], first[i + 1]
        eta, V, y, kinds = (
            eta_all[: end - start],
            V_all[: end - start],
            Y[start:end],
            kind[start:end],
        )
        _patient(beta, Lam, X[start:end], Z[start:end], eta, V)
        values[i] = _integrate(code, y, kinds, eta, V, par, nodes, log_weights, work)
        if not want_gradient or values[i] == -math.inf:
            continue
        if not _nodes_move(code, y, kinds, eta, V, par, nodes, work, P, e):
            values[i] = -math.inf
            continue
        _add_gradient(
            code, y, kinds, eta, V, par, X[start:end], Z[start:end], work, P, e, d_beta, raw, d_Lam
        )
    return d_beta, parameter_gradient(code, phi, levels, raw), d_Lam


@njit(cache=True, nogil=True, error_model="numpy")
def posterior_nodes(beta, phi, Lam, code, Y, kind, X, Z, first, levels, nodes, log_weights):
    """Nodes (N, M, q) of u and their weights (N, M) in each patient's conditional distribution."""
    q, M, N = Z.shape[1], nodes.shape[0], first.shape[0] - 1
    n_max = np.diff(first).max()
    par = constants(code, phi, levels)
    eta_all, V_all = np.zeros(n_max), np.zeros((n_max, q))
    work = _work(q, M, n_max)
    at, weight = np.empty((N, M, q)), np.empty((N, M))
    for i in range(N):
        start, end = first[i], first[i + 1]
        eta, V = eta_all[: end - start], V_all[: end - start]
        _patient(beta, Lam, X[start:end], Z[start:end], eta, V)
        _integrate(code, Y[start:end], kind[start:end], eta, V, par, nodes, log_weights, work)
        at[i] = work.U
        weight[i] = work.weight
    return at, weight
