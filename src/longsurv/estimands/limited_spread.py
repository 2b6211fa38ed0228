"""The standard deviation of values of which some are known to lie beyond a limit only.

Taken at their limits such values seem to differ less than they do. Of a normal distribution of mean
m and standard deviation s, with g = 1 / s and d = m / s (Olsen 1978, Econometrica 46:1211-1215),

    log L = n log g - sum (g y - d)^2 / 2 + sum log Phi(g L - d) + sum log Phi(d - g U)

over the n values measured, those below a limit L and those above a limit U, which is concave.
"""

from __future__ import annotations

import numpy as np

ITERATIONS, ENOUGH = 200, 1e-12


def limited_sd(y: np.ndarray, censored: np.ndarray) -> float:
    """Standard deviation of values of which some are known by limits only.

    By maximum likelihood, times sqrt(n / (n - 1)), so that without limits it is that of the values.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Values, or the limits.
    censored : ndarray of str, shape (n,)
        "none", "left" (below y) or "right" (above).

    Returns
    -------
    float
        NaN where fewer than two different values were measured.
    """
    from scipy.special import log_ndtr

    seen = censored == "none"
    if len(np.unique(y[seen])) < 2:
        return np.nan
    n, scale = len(y), float(y.std())
    z = (y - y.mean()) / scale
    side = np.where(censored == "left", 1.0, -1.0)[~seen]
    own, limit = z[seen], z[~seen]

    def parts(g: float, d: float) -> tuple[float, np.ndarray, np.ndarray]:
        """Log-likelihood, gradient and minus the Hessian."""
        rest, t = g * own - d, side * (g * limit - d)
        log = log_ndtr(t)
        mills = np.exp(-0.5 * t * t - 0.5 * np.log(2.0 * np.pi) - log)
        bend = mills * (mills + t)
        rows = np.concatenate([np.column_stack([own, -np.ones(len(own))]),
                               np.column_stack([limit, -np.ones(len(limit))])])  # fmt: skip
        slope = np.concatenate([-rest, side * mills]) @ rows + [len(own) / g, 0.0]
        weight = np.concatenate([np.ones(len(own)), bend])
        information = (rows.T * weight) @ rows + np.diag([len(own) / g**2, 0.0])
        return len(own) * np.log(g) - 0.5 * float(rest @ rest) + log.sum(), slope, information

    g, d = 1.0, 0.0
    value, slope, information = parts(g, d)
    for _ in range(ITERATIONS):
        step = np.linalg.solve(information, slope)
        if step @ slope < ENOUGH:
            break
        size = min(1.0, 0.9 * g / abs(step[0])) if step[0] < 0.0 else 1.0
        while (new := parts(g + size * step[0], d + size * step[1]))[0] < value:
            size *= 0.5
            if size < 1e-10:
                break
        g, d = g + size * step[0], d + size * step[1]
        value, slope, information = new
    return float(scale / g * np.sqrt(n / (n - 1)))
