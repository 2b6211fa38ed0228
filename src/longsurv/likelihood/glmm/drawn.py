"""Random effects drawn: of new patients, and of those of the data where sites share an effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from longsurv.likelihood.glmm.data import SPACING, GLMMData
from longsurv.likelihood.glmm.loglik import site_effects

FINER = 8
"""Steps of the distribution that effects of sites are drawn from, in one of the integral."""

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
    """Effects of the sites given the data, shape (J,)."""
    fine = replace(data, spacing=SPACING / FINER)
    out = []
    for b, probability in zip(*site_effects(fine, theta), strict=True):
        order = np.argsort(b, kind="stable")
        steps = probability[order]
        middle = np.cumsum(steps) - 0.5 * steps
        out.append(np.interp(rng.random(), middle, b[order]))
    return np.array(out)
