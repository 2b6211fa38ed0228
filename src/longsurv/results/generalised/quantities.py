"""What the parameters of a generalised mixed model mean: functions of its vector theta.

theta is that of `longsurv.likelihood.glmm.loglik_factor`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from longsurv.design.quadrature import normal_grid
from longsurv.likelihood import glmm
from longsurv.likelihood.arithmetic.covariance import covariance
from longsurv.likelihood.glmm import crossed_given
from longsurv.likelihood.glmm.crossed_given import Points

STANDARD_NORMAL = np.arange(-60, 61) / 4.0
"""Where a response is averaged over patients: the trapezoid rule, whose error for a logit model
with random effects of SD s is about exp(-8 pi^2 / s), below 1e-8 for s up to 4; for the exponential
of a predictor it is that of ending 15 - s standard deviations from the middle."""
AT_ONCE = 500_000
"""Responses that are averaged at a time: so many stay in the processor's cache."""


class AskedRows(NamedTuple):
    """Rows to predict.

    Attributes
    ----------
    X : ndarray, shape (m, p)
    Z : ndarray, shape (m, q)
    group : ndarray of int, shape (m,)
        Patient, or -1 for one to be averaged over.
    offset : ndarray, shape (m,)
    site : ndarray of int, shape (m,), optional
        Site of a patient who is averaged over, or -1 for one of those too; where there are sites.
        Where patients cross the sites, that of every row.
    """

    X: np.ndarray
    Z: np.ndarray
    group: np.ndarray
    offset: np.ndarray
    site: np.ndarray | None = None


def natural_coefficients(data: glmm.GLMMData, theta: np.ndarray) -> np.ndarray:
    """beta, then the thresholds of an ordinal response."""
    beta, phi = theta[: data.p], theta[data.p : data.p + data.n_family]
    return np.concatenate([beta, data.family.coefficients(phi)])


def coefficient_jacobian(data: glmm.GLMMData, theta: np.ndarray) -> np.ndarray:
    """Derivatives of `natural_coefficients`, shape (p, d) or (p + levels - 1, d)."""
    p, m = data.p, data.n_family
    slopes = data.family.coefficient_slopes(theta[p : p + m])
    out = np.eye(p + len(slopes), len(theta))
    out[p:, p : p + m] = slopes
    return out


def variance_parameters(data: glmm.GLMMData, theta: np.ndarray) -> np.ndarray:
    """sigma and nu where there are any, standard deviations of the formula's random effects,
    correlations row by row."""
    own = data.family.natural(theta[data.p : data.p + data.n_family])
    Lam = factor(data, theta)
    tau = np.sqrt((Lam**2).sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = Lam / tau[:, None]
    below = [unit[i] @ unit[j] for i, j in zip(*data.entries, strict=True) if i > j]
    return np.concatenate([own, tau, np.clip(below, -1.0, 1.0)])


def natural_draws(data: glmm.GLMMData, thetas: np.ndarray) -> np.ndarray:
    """Natural coefficients and variances, side by side, at vectors (S, d) of `glmm.loglik`."""
    p, m, q = data.p, data.n_family, data.q
    own = data.family.natural_draws(thetas[:, p : p + m])
    tau = np.exp(thetas[:, p + m : p + m + q])
    rows, columns = data.entries
    below = rows > columns
    if not below.any():
        return np.hstack([thetas[:, :p], own, tau * np.abs(np.diag(data.effects))])
    z = np.zeros((len(thetas), q * (q - 1) // 2))
    z[:, data.free_unconstrained[p + m + q :] - (p + m + q)] = thetas[:, p + m + q :]
    D = np.array([covariance(t, row) for t, row in zip(tau, z, strict=True)])
    D = data.effects @ D @ data.effects.T
    sd = np.sqrt(np.diagonal(D, axis1=1, axis2=2))
    i, j = rows[below], columns[below]
    return np.hstack([thetas[:, :p], own, sd, D[:, i, j] / (sd[:, i] * sd[:, j])])


def conditional(data: glmm.GLMMData, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each patient's nodes of the formula's random effects and their weights, with enough nodes
    for a variance."""
    if len(data.nodes) < 5:
        data = with_rule(data, 5)
    nodes, weights = glmm.conditional(data, theta)
    return nodes @ data.effects.T, weights


def factor(data: glmm.GLMMData, theta: np.ndarray) -> np.ndarray:
    """A root of the covariance of the formula's random effects, D = root @ root.T."""
    return data.effects @ glmm.random_factor(data, theta)


def node_moments(nodes: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means (N, q) and covariances (N, q, q) over nodes (N, M, q)."""
    mean = np.einsum("nm,nmq->nq", weights, nodes)
    away = nodes - mean[:, None, :]
    return mean, np.einsum("nm,nmq,nmr->nqr", weights, away, away)


def effect_moments(data: glmm.GLMMData, theta: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Means and variances (G, q) given the data of the formula's random effects: of patients, and
    of their sites where there are any."""
    if data.place is not None:
        return moments_at(data, theta, points_given(data, theta))
    mean, cov = node_moments(*conditional(data, theta))
    variance = np.diagonal(cov, axis1=1, axis2=2)
    if data.site is None:
        return [(mean, variance)]
    b, probability = glmm.site_effects(data, theta)
    of_sites = node_moments(b[:, :, None], probability)
    q = data.q_own
    return [(mean[:, :q], variance[:, :q]), (of_sites[0], of_sites[1][:, 0])]


def points_given(data: glmm.GLMMData, theta: np.ndarray) -> Points:
    """Effects of sites that patients cross, given the data, with enough nodes for a variance."""
    fine = with_rule(data, 5) if len(data.nodes) < 5 else data
    return crossed_given.given_data(fine, theta)


def moments_at(
    data: glmm.GLMMData, theta: np.ndarray, points: Points
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The same where the effects of the sites are `points`, each with its probability."""
    count, q = len(data.first) - 1, data.q_own
    first, second = np.zeros((count, q)), np.zeros((count, q))
    for b, weight in points:
        mean, cov = node_moments(*conditional(data.given_sites(b), theta[:-1]))
        first += weight * mean
        second += weight * (np.diagonal(cov, axis1=1, axis2=2) + mean**2)
    (mean, variance), scale = points.moments(), float(data.effects[-1, -1])
    of_sites = scale * mean[:, None], scale**2 * variance[:, None]
    return [(first, np.maximum(second - first**2, 0.0)), of_sites]


def with_rule(data: glmm.GLMMData, nodes: int) -> glmm.GLMMData:
    """The same rows with another number of nodes a dimension."""
    grid = normal_grid(nodes, data.q_own)
    return replace(data, nodes=grid.nodes[grid.index], log_weights=grid.log_weight)


def mean_response(data: glmm.GLMMData, theta: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Mean response at predictors of any shape; an ordinal one adds a last axis of categories."""
    return data.family.mean(eta, natural_coefficients(data, theta)[data.p :])


def population_means(data: glmm.GLMMData, thetas: np.ndarray, rows: AskedRows) -> np.ndarray:
    """Mean response of each row over the random effects of the population, at many parameters.

    Parameters
    ----------
    data : GLMMData
    thetas : ndarray, shape (S, d)
    rows : AskedRows
        Whose patients are not looked at.

    Returns
    -------
    ndarray, shape (S, m), or (S, m, levels) for an ordinal response
    """
    X, Z, _, offset, _ = rows
    family, p, m = data.family, data.p, data.n_family
    own = np.array([family.coefficients(theta[p : p + m]) for theta in thetas])
    sd = np.array([np.sqrt(((Z @ factor(data, theta)) ** 2).sum(axis=1)) for theta in thetas])
    eta = offset + thetas[:, :p] @ X.T
    weight = _normal_weights()
    shape = (data.levels,) if data.levels else ()
    out = np.empty((*eta.shape, *shape))
    step = max(1, AT_ONCE // (eta[0].size * len(weight) * max(data.levels, 1) + 1))
    for start in range(0, len(thetas), step):
        part = slice(start, start + step)
        at = eta[part, :, None] + sd[part, :, None] * STANDARD_NORMAL
        value = family.mean(at, own[part, None, None, :])
        out[part] = np.einsum("k,smk...->sm...", weight, value)
    return out


def _normal_weights() -> np.ndarray:
    normal = np.exp(-0.5 * STANDARD_NORMAL**2)
    return normal / normal.sum()


def row_means(
    data: glmm.GLMMData, theta: np.ndarray, rows: AskedRows, link: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the random effects of the predictor or the response of each row, and its variance.

    A patient the model knows has the distribution given the data, another one that of the
    population. Shapes (m,), or (m, levels) for an ordinal response.
    """
    X, Z, group, offset, site = rows
    if data.place is not None and site is not None:
        return _crossed_means(data, theta, rows, link)
    eta = offset + X @ theta[: data.p]
    sd = np.sqrt(((Z @ factor(data, theta)) ** 2).sum(axis=1))
    normal = np.broadcast_to(_normal_weights(), (len(eta), len(STANDARD_NORMAL)))
    blocks = [(group < 0, sd[:, None] * STANDARD_NORMAL, normal)]
    if site is not None and ((group < 0) & (site >= 0)).any():
        blocks[0] = ((group < 0) & (site < 0), *blocks[0][1:])
        blocks.append(((group < 0) & (site >= 0), *_of_known_sites(data, theta, Z, site)))
    if (group >= 0).any():
        nodes, weights = conditional(data, theta)
        known = np.maximum(group, 0)
        blocks.append((group >= 0, np.einsum("mq,mkq->mk", Z, nodes[known]), weights[known]))
    shape = (len(eta),) if link or not data.levels else (len(eta), data.levels)
    mean, variance = np.empty(shape), np.empty(shape)
    for chosen, shift, weight in blocks:
        at = eta[chosen, None] + shift[chosen]
        value = at if link else mean_response(data, theta, at)
        mean[chosen] = np.einsum("mk,mk...->m...", weight[chosen], value)
        away = value - mean[chosen][:, None]
        variance[chosen] = np.einsum("mk,mk...->m...", weight[chosen], away**2)
    return mean, variance


def _crossed_means(
    data: glmm.GLMMData, theta: np.ndarray, rows: AskedRows, link: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The same where patients cross the sites: over the effects of these given the data, and over
    those of a patient given both."""
    X, Z, group, offset, site = rows
    assert site is not None
    eta, Lam = offset + X @ theta[: data.p], factor(data, theta)
    own = np.sqrt(((Z @ Lam)[:, :-1] ** 2).sum(axis=1))
    new_site = np.abs(Z[:, -1] * Lam[-1, -1])
    shape = (len(eta),) if link or not data.levels else (len(eta), data.levels)
    first, second = np.zeros(shape), np.zeros(shape)
    kinds = [(known, seen) for known in (True, False) for seen in (True, False)]
    for b, weight in points_given(data, theta):
        nodes, weights = conditional(data.given_sites(b), theta[:-1])
        for known, seen in kinds:
            at = np.flatnonzero(((group >= 0) == known) & ((site >= 0) == seen))
            if not len(at):
                continue
            shift = own[at, None] * STANDARD_NORMAL
            share = np.broadcast_to(_normal_weights(), shift.shape)
            if known:
                shift = np.einsum("mq,mkq->mk", Z[at, :-1], nodes[group[at]])
                share = weights[group[at]]
            if seen:
                shift = shift + (Z[at, -1] * b[site[at]] * data.effects[-1, -1])[:, None]
            else:
                wide = new_site[at, None, None] * STANDARD_NORMAL
                shift = (shift[:, :, None] + wide).reshape(len(at), -1)
                share = (share[:, :, None] * _normal_weights()).reshape(len(at), -1)
            place = eta[at, None] + shift
            value = place if link else mean_response(data, theta, place)
            first[at] += weight * np.einsum("mk,mk...->m...", share, value)
            second[at] += weight * np.einsum("mk,mk...->m...", share, value**2)
    return first, np.maximum(second - first**2, 0.0)


def _of_known_sites(
    data: glmm.GLMMData, theta: np.ndarray, Z: np.ndarray, site: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Random parts of the predictor and their weights, shape (m, K), of new patients of sites that
    the model knows."""
    b, probability = glmm.site_effects(data, theta)
    own = np.sqrt(((Z @ factor(data, theta))[:, :-1] ** 2).sum(axis=1))
    known = np.maximum(site, 0)
    both = own[:, None, None] * STANDARD_NORMAL + (Z[:, -1:] * b[known])[:, :, None]
    weight = probability[known][:, :, None] * _normal_weights()
    return both.reshape(len(Z), -1), weight.reshape(len(Z), -1)


def spread(
    f: Callable[[np.ndarray], np.ndarray], theta: np.ndarray, half: np.ndarray
) -> np.ndarray:
    """Standard error of f(theta) by the delta method; half @ half.T is the covariance of theta."""
    step = 1e-3
    total = np.zeros_like(f(theta))
    for direction in half.T:
        total += ((f(theta + step * direction) - f(theta - step * direction)) / (2 * step)) ** 2
    return np.sqrt(total)
