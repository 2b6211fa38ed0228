"""The posterior of a normal linear model, drawn exactly.

With y ~ N(X beta, s^2 I) and independent normal priors of the coefficients, y given s alone is
normal with covariance s^2 I + X S^2 X', S the prior standard deviations: eigenvalues s^2 + l_j in
the columns of X and s^2 outside them. So the posterior of s is known on a line, where it is drawn
by inverting its distribution function, and that of beta given s is normal. Draws are independent;
there is nothing to converge.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_POINTS = 4000


def sample_linear(
    X: np.ndarray,
    y: np.ndarray,
    mean: np.ndarray,
    sd: np.ndarray,
    log_prior: Callable[[np.ndarray], np.ndarray],
    *,
    draws: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw coefficients and residual standard deviation.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Of full column rank, n > p.
    y : ndarray, shape (n,)
    mean, sd : ndarray, shape (p,)
        Of the normal priors of the coefficients.
    log_prior : callable
        Log density of the residual SD, shape (m,) to (m,).
    draws, seed : int

    Returns
    -------
    beta : ndarray, shape (draws, p)
    sigma : ndarray, shape (draws,)
    """
    n, p = X.shape
    Q, root, Ut = np.linalg.svd(X * sd, full_matrices=False)
    r = y - X @ mean
    c = Q.T @ r
    rest, spread = float(((r - Q @ c) ** 2).sum()), root**2

    def log_density(at: np.ndarray) -> np.ndarray:
        variance = np.exp(2.0 * at)
        inside = variance[:, None] + spread
        quadratic = rest / variance + (c**2 / inside).sum(axis=1)
        log_det = (n - p) * 2.0 * at + np.log(inside).sum(axis=1)
        return -0.5 * (log_det + quadratic) + log_prior(np.exp(at)) + at

    # First wide enough for any data, then where the mass is.
    centre = 0.5 * np.log(max(rest / (n - p), 1e-300))
    line = centre + np.linspace(-8.0, 8.0, _POINTS)
    value = log_density(line)
    near = line[value > value.max() - 40.0]
    line = np.linspace(near[0] - 0.01, near[-1] + 0.01, _POINTS)
    value = log_density(line)
    mass = np.exp(value - value.max())
    cumulative = np.concatenate([[0.0], np.cumsum((mass[1:] + mass[:-1]) / 2.0)])
    rng = np.random.default_rng(seed)
    sigma = np.exp(np.interp(rng.uniform(size=draws), cumulative / cumulative[-1], line))
    inside = sigma[:, None] ** 2 + spread
    scaled = root * c / inside + np.sqrt(sigma[:, None] ** 2 / inside) * rng.normal(size=(draws, p))
    return mean + scaled @ Ut * sd, sigma
