"""Random effects drawn: of new patients, and of those of the data where sites share an effect."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from longsurv.likelihood.glmm.data import GLMMData
from longsurv.likelihood.glmm.loglik import site_effects

PLACES = 401
"""Of a distribution function that the effect of a site is drawn from."""

type Drawer = Callable[[GLMMData, np.ndarray, np.random.Generator], np.ndarray]
"""Draws random effects of the columns of Z, shape (N, q), at theta of `loglik_factor`."""


def new_effects(data: GLMMData, rng: np.random.Generator) -> np.ndarray:
    """Standard normal effects of as many new patients, shape (N, q), in as many new sites."""
    u = rng.standard_normal((len(data.first) - 1, data.q))
    if data.site is not None:
        u[:, -1] = rng.standard_normal(int(data.site.max()) + 1)[data.site]
    return u


def given_data(
    data: GLMMData, theta: np.ndarray, rng: np.random.Generator, draw: Drawer
) -> np.ndarray:
    """Effects of the patients given the data, shape (N, q), by what draws them where patients are
    independent: with sites, once the effects of these are drawn."""
    if data.site is None:
        return draw(data, theta, rng)
    b = drawn_sites(data, theta, rng)
    return np.column_stack([draw(data.given_sites(b), theta[:-1], rng), b[data.site]])


def drawn_sites(data: GLMMData, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Effects of the sites given the data, shape (J,): by their distribution functions, from a
    spline through the log densities at the values of the integral."""
    from scipy.interpolate import CubicSpline

    out = []
    for b, probability in zip(*site_effects(data, theta), strict=True):
        order = np.argsort(b[probability > 0.0])
        at, log = (v[probability > 0.0][order] for v in (b, np.log(np.maximum(probability, 1e-99))))
        if len(at) < 2 or not at[0] < at[-1]:
            out.append(at[0])
            continue
        fine = np.linspace(at[0], at[-1], PLACES)
        density = np.exp(CubicSpline(at, log)(fine))
        upto = np.append(0.0, np.cumsum(0.5 * (density[1:] + density[:-1])))
        out.append(np.interp(rng.random() * upto[-1], upto, fine))
    return np.array(out)
