"""Random effects drawn: of new patients, and of those of the data where sites share an effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from longsurv.likelihood.glmm import crossed_given
from longsurv.likelihood.glmm.data import GLMMData
from longsurv.likelihood.glmm.loglik import site_effects

PLACES = 401
"""Of a distribution function that the effect of a site is drawn from."""

type Drawer = Callable[[GLMMData, np.ndarray, np.random.Generator], np.ndarray]
"""Draws random effects of the columns of Z, shape (N, q), at theta of `loglik_factor`."""


class DrawnEffects(NamedTuple):
    """Random effects of patients, and of their sites.

    Attributes
    ----------
    own : ndarray, shape (N, q_own)
    sites : ndarray, shape (J,)
    """

    own: np.ndarray
    sites: np.ndarray

    def of_patients(self, data: GLMMData) -> np.ndarray:
        """Of each patient those of its own, then that of the site it is nested in, shape (N, q).

        Parameters
        ----------
        data : GLMMData
            That they were drawn for.
        """
        if data.site is None:
            return self.own
        return np.column_stack([self.own, self.sites[data.site]])

    def of_rows(self, Z: np.ndarray, group: np.ndarray, site: np.ndarray | None) -> np.ndarray:
        """What they add to the predictors of rows, shape (m,).

        Parameters
        ----------
        Z : ndarray, shape (m, q)
            The site's column last, where there are sites.
        group : ndarray of int, shape (m,)
            Patients.
        site : ndarray of int, shape (m,), or None without sites
        """
        if site is None:
            return np.einsum("mq,mq->m", Z, self.own[group])
        b = np.column_stack([self.own[group], self.sites[site]])
        return np.einsum("mq,mq->m", Z, b)


def sites_of_rows(data: GLMMData) -> np.ndarray | None:
    """The site of each row of `data`, shape (n,), or None without sites."""
    return data.site_of_row if data.shared else None


def new_effects(data: GLMMData, rng: np.random.Generator) -> DrawnEffects:
    """Standard normal effects of as many new patients and sites."""
    u = rng.standard_normal((len(data.first) - 1, data.q))
    return DrawnEffects(u[:, : data.q_own], rng.standard_normal(data.n_sites))


def given_data(
    data: GLMMData,
    theta: np.ndarray,
    rng: np.random.Generator,
    draw: Drawer,
    sites: np.ndarray | None = None,
) -> DrawnEffects:
    """Effects of the patients given the data, by what draws them where patients are independent:
    with sites, once the effects of these are drawn, or known in units of their standard deviation
    (J,)."""
    if not data.shared:
        return DrawnEffects(draw(data, theta, rng), np.empty(0))
    b = drawn_sites(data, theta, rng) if sites is None else float(theta[-1]) * sites
    return DrawnEffects(draw(data.given_sites(b), theta[:-1], rng), b)


def drawn_sites(data: GLMMData, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Effects of the sites given the data, shape (J,): of sites that patients are nested in by
    their distribution functions, from a spline through the log densities at the values of the
    integral."""
    if data.place is not None:
        return crossed_given.one_drawn(data, theta, rng)
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
