"""Arguments of the hazards' and the censored values' functions, and the way back.

At every point g the argument is linear in the random effects of a patient, b = mean + T v:

    basis'gamma + risk + sum_k alpha_k f_k,    f_k = x_k'beta + z_k'b - centre_k

A point is a row of numbers: its weight, its basis, and centre, x and z of each of its links.
Points of one kind (a cause of an event; the censored values of a marker) have the same layout:

    n_base, at_base    length of the basis, and where its coefficients are in theta
    n_cov, at_cov, in_cov   the covariates', where they are in theta and among all covariates
    first, last        links
    link: at_x, n_x    where the coefficients of x are in theta, and how many
          at_z, n_z    which random effects z goes with
"""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def risks(kind, theta, covariates, risk):
    """risk (lanes,) = covariates' omega of one kind of points."""
    n_cov, at_cov, in_cov = kind[2], kind[3], kind[4]
    lanes = risk.shape[0]
    for n in range(lanes):
        risk[n] = 0.0
    for k in range(n_cov):
        s = theta[at_cov + k]
        for n in range(lanes):
            risk[n] += s * covariates[in_cov + k, n]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def predict(q, rows, low, high, kind, links, theta, alpha, T, mean, risk, e, a, c, f):
    """Arguments at v = 0 (e), their derivatives in v (a) and b (c), and the links (f)."""
    lanes = risk.shape[0]
    n_base, at_base, first, last = kind[0], kind[1], kind[5], kind[6]
    for g in range(low, high):
        row = rows[g]
        for n in range(lanes):
            e[g, n] = risk[n]
        for j in range(q):
            for n in range(lanes):
                c[g, j, n] = 0.0
        for k in range(n_base):
            s = theta[at_base + k]
            for n in range(lanes):
                e[g, n] += s * row[1 + k, n]
        at = 1 + n_base
        for k in range(first, last):
            at_x, n_x, at_z, n_z = links[k, 0], links[k, 1], links[k, 2], links[k, 3]
            value = f[g, k - first]
            for n in range(lanes):
                value[n] = -row[at, n]
            for j in range(n_x):
                s = theta[at_x + j]
                for n in range(lanes):
                    value[n] += s * row[at + 1 + j, n]
            at += 1 + n_x
            for j in range(n_z):
                for n in range(lanes):
                    value[n] += row[at + j, n] * mean[at_z + j, n]
                for n in range(lanes):
                    c[g, at_z + j, n] += alpha[k] * row[at + j, n]
            for n in range(lanes):
                e[g, n] += alpha[k] * value[n]
            at += n_z
        for j in range(q):
            for n in range(lanes):
                a[g, j, n] = 0.0
            for k in range(q):
                for n in range(lanes):
                    a[g, j, n] += T[k, j, n] * c[g, k, n]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def predict_pullback(
    q, rows, low, high, kind, links, alpha, T, c, f, e_bar, a_bar, Ta, bars, alpha_bar, mean_bar,
    T_bar, risk_bar,
):  # fmt: skip
    """Carry e_bar and a_bar back: adds to bars (theta) and to those of alpha, E[b], T and risk."""
    lanes = risk_bar.shape[0]
    n_base, at_base, first, last = kind[0], kind[1], kind[5], kind[6]
    for g in range(low, high):
        row = rows[g]
        for n in range(lanes):
            risk_bar[n] += e_bar[g, n]
        for j in range(q):
            for n in range(lanes):
                mean_bar[j, n] += e_bar[g, n] * c[g, j, n]
            for n in range(lanes):
                Ta[j, n] = 0.0
            for k in range(q):
                for n in range(lanes):
                    T_bar[j, k, n] += c[g, j, n] * a_bar[g, k, n]
                for n in range(lanes):
                    Ta[j, n] += T[j, k, n] * a_bar[g, k, n]
        for k in range(n_base):
            for n in range(lanes):
                bars[at_base + k, n] += e_bar[g, n] * row[1 + k, n]
        at = 1 + n_base
        for k in range(first, last):
            at_x, n_x, at_z, n_z = links[k, 0], links[k, 1], links[k, 2], links[k, 3]
            for n in range(lanes):
                alpha_bar[k, n] += e_bar[g, n] * f[g, k - first, n]
            for j in range(n_x):
                for n in range(lanes):
                    bars[at_x + j, n] += alpha[k] * e_bar[g, n] * row[at + 1 + j, n]
            at += 1 + n_x
            for j in range(n_z):
                for n in range(lanes):
                    alpha_bar[k, n] += row[at + j, n] * Ta[at_z + j, n]
            at += n_z
