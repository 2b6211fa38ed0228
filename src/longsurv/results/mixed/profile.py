"""Profile-likelihood intervals of the parameters of a mixed model.

The interval of a parameter holds the values at which the deviance, minimised over all other
parameters, is within a chi-squared quantile of its minimum. It needs no standard error, does not
depend on the scale a parameter is written on, and may end on a boundary: a standard deviation's at
exactly 0, a correlation's at -1 or 1. The likelihood is the full one (ML), as in lme4's confint;
coefficients, standard deviations and correlations are held one at a time (Bates et al. 2015, J Stat
Softw 67(1), section 5.1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import cast

import numpy as np
import pandas as pd
from scipy.linalg import solve_triangular
from scipy.special import chdtri

from longsurv.errors import LongsurvError
from longsurv.likelihood import lmm
from longsurv.likelihood.lmm.blocks import BlockKernel
from longsurv.likelihood.lmm.crossed.kernel import CrossedKernel
from longsurv.likelihood.lmm.dense.kernel import DenseKernel
from longsurv.likelihood.lmm.sums import in_blocks
from longsurv.results.contrasts import ContrastLike, contrast_matrix
from longsurv.results.mixed.fitted import FittedLMM
from longsurv.results.profiled import Criterion, ProfilePath, limit_of


def profile_intervals(
    fit: FittedLMM, of: ContrastLike | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Profile-likelihood intervals.

    Parameters
    ----------
    fit : MixedEstimate
        By REML or ML; the profile is of the full likelihood either way.
    of : str, mapping, array or DataFrame, optional
        A coefficient or variance parameter by name, or linear combinations of coefficients as for
        `contrast`. By default all parameters; with several groupings or correlated residuals, all
        coefficients.
    level : float

    Returns
    -------
    DataFrame
        term, estimate (by ML), conf_low, conf_high. A correlation with a variance estimated as 0
        has NaN.

    Raises
    ------
    LongsurvError
        For a variance parameter of a model with several groupings or correlated residuals.
    EstimationError
        If the likelihood does not fall far enough to give a limit.
    """
    best = fit if fit.method == "ML" else fit.spec.fit("ML")
    paths: list[tuple[str, ProfilePath]] = []
    variances = best.variance.names
    if of is None or not (isinstance(of, str) and of in variances):
        L, labels = contrast_matrix(np.eye(len(fit.names)) if of is None else of, fit.names)
        paths += [(name, _coefficient(best, row)) for name, row in zip(labels, L, strict=True)]
    chosen = variances if of is None and not fit.design.structured else ()
    if isinstance(of, str) and of in variances:
        chosen = (of,)
    if chosen and fit.design.structured:
        raise LongsurvError(
            "with several groupings or correlated residuals only coefficients have a profile "
            f"interval; bootstrap() gives one for {of!r}"
        )
    paths += [(name, _variance(best, variances.index(name))) for name in chosen]
    cut = float(chdtri(1, 1.0 - level))
    rows = []
    for name, path in paths:
        low, high = (limit_of(path, -2.0 * best.llf, cut, side, name) for side in (-1, 1))
        rows.append((name, path.estimate, low, high))
    return pd.DataFrame(rows, columns=["term", "estimate", "conf_low", "conf_high"])


type _Held = tuple[Callable[[float], Criterion], np.ndarray, np.ndarray]
"""How a parameter is held, and the start and lower bounds of the others."""


def _coefficient(best: FittedLMM, weights: np.ndarray) -> ProfilePath:
    kernel = best.spec.kernel

    def hold(value: float) -> Criterion:
        return partial(_held(kernel, weights, value).criterion, reml=False)

    return ProfilePath(
        estimate=float(weights @ best.coefficients),
        scale=float(np.sqrt(weights @ best.reference.cov @ weights)),
        bounds=(-np.inf, np.inf),
        hold=hold,
        start=best.optimum.x,
        lower=kernel.lower,
    )


def _held(
    kernel: BlockKernel | DenseKernel | CrossedKernel, weights: np.ndarray, value: float
) -> BlockKernel | DenseKernel | CrossedKernel:
    """The kernel of a model in which weights' beta is held at a value.

    In orthonormal coordinates weights' beta = weights' beta_ols + h' gamma. The columns of Q are
    turned so that one lies along h; its part of the mean moves over to the response.
    """
    data = kernel.data
    h = solve_triangular(data.r, weights, trans="T")
    rotation, _ = np.linalg.qr(h[:, None], mode="complete")
    p = data.p
    turn = np.zeros((p + 1, p))
    turn[:p, :-1] = rotation[:, 1:]
    turn[:p, -1] = -(value - weights @ data.beta_ols) / (h @ h) * h
    turn[p, -1] = 1.0
    r, beta = np.eye(p - 1), np.zeros(p - 1)
    return kernel.turned(turn, r, beta)


def _variance(best: FittedLMM, index: int) -> ProfilePath:
    """The path of sigma, an SD or a correlation, by its place among the variance parameters."""
    data = cast(lmm.LMMData, best.data)  # only coefficients of others have a profile
    q = data.q
    estimate = float(best.variance.values[index])
    error = float(best.variance.std_error[index])
    effects: list[int] = []
    make: Callable[..., _Held] = _hold_sigma
    bounds = (0.0, np.inf)
    if 0 < index <= q:
        effects = [index - 1]
        make = partial(_hold_sd, float(np.linalg.norm(np.linalg.inv(data.z_basis)[index - 1])))
    elif index > q:
        i, j = best.design.random.pairs[index - 1 - q]
        effects, make, bounds = [j, i], _hold_correlation, (-1.0, 1.0)
    turn, sizes = _turn(best.design.random.blocks, data, effects)
    kernel = BlockKernel(_turned(data, turn), sizes)
    lam = _cholesky(turn @ best.lam @ best.lam.T @ turn.T)
    hold, start, lower = make(kernel, lam, best.sigma)
    if not np.isfinite(error) or error == 0.0:
        error = 0.3 if len(bounds) and bounds[1] == 1.0 else max(0.3 * estimate, 0.1 * best.sigma)
    return ProfilePath(estimate, error, bounds, hold, start, lower)


def _turn(
    sizes: tuple[int, ...], data: lmm.LMMData, effects: list[int]
) -> tuple[np.ndarray, tuple[int, ...]]:
    """Coordinates c = turn @ (the kernel's random effects) that begin with the user's `effects`.

    Of those, scaled, come first, then whatever completes their block orthogonally, then the other
    blocks; with the sizes of the blocks in this order.
    """
    block = np.repeat(np.arange(len(sizes)), sizes)
    if not effects:
        return np.eye(len(block)), sizes
    own = int(block[effects[0]])
    inside = np.flatnonzero(block == own)
    user = np.linalg.inv(data.z_basis)[effects][:, inside]
    user = user / np.linalg.norm(user, axis=1)[:, None]
    rest = np.linalg.qr(user.T, mode="complete")[0][:, len(effects) :].T
    turn = np.zeros((len(block), len(block)))
    turn[: len(inside), inside] = np.vstack([user, rest])
    others = np.flatnonzero(block != own)
    turn[len(inside) + np.arange(len(others)), others] = 1.0
    return turn, (sizes[own], *(size for k, size in enumerate(sizes) if k != own))


def _turned(data: lmm.LMMData, turn: np.ndarray) -> lmm.LMMData:
    """The same model of turn @ (the kernel's random effects)."""
    back = np.linalg.inv(turn)
    ztz, ztw = back.T @ data.ztz @ back, back.T @ data.ztw
    return replace(
        data,
        blocks=(in_blocks(ztz), in_blocks(ztw)),
        z_basis=turn @ data.z_basis,
        z_scale=np.ones(len(turn)),
    )


def _cholesky(D: np.ndarray) -> np.ndarray:
    """Lower triangle with non-negative diagonal and square D, which may be singular."""
    values, vectors = np.linalg.eigh(D)
    half = vectors * np.sqrt(np.maximum(values, 0.0))
    r = np.linalg.qr(half.T, mode="r")
    return (r * np.where(np.diag(r) < 0, -1.0, 1.0)[:, None]).T


def _slopes(
    data: lmm.LMMData, lam: np.ndarray, sigma: float | None
) -> tuple[float, np.ndarray, float]:
    """Deviance, and its derivatives in lam and log sigma; sigma is at its optimum if None."""
    at = lmm.profile(data, lam, False)
    sigma2 = at.sigma2 if sigma is None else sigma**2
    return at.deviance(sigma2), 2.0 * at.curvature(sigma2) @ lam, 2.0 * (at.dof - at.quad / sigma2)


def _hold_sigma(kernel: BlockKernel, lam: np.ndarray, sigma: float) -> _Held:
    def hold(value: float) -> Criterion:
        def criterion(x: np.ndarray) -> tuple[float, np.ndarray]:
            deviance, slope, _ = _slopes(kernel.data, kernel.factor(x), value)
            return -0.5 * deviance, -0.5 * slope[kernel.elements]

        return criterion

    return hold, lam[kernel.elements], kernel.lower


def _hold_sd(per: float, kernel: BlockKernel, lam: np.ndarray, sigma: float) -> _Held:
    """An SD of `per` sigma lam[0, 0]. log sigma takes the place of lam[0, 0]."""

    def hold(value: float) -> Criterion:
        def criterion(x: np.ndarray) -> tuple[float, np.ndarray]:
            sigma = float(np.exp(x[0]))
            first = value / (per * sigma)
            factor = kernel.factor(np.append(first, x[1:]))
            deviance, slope, in_log_sigma = _slopes(kernel.data, factor, sigma)
            gradient = slope[kernel.elements]
            gradient[0] = in_log_sigma - gradient[0] * first
            return -0.5 * deviance, -0.5 * gradient

        return criterion

    start = np.append(np.log(sigma), lam[kernel.elements][1:])
    return hold, start, np.append(-np.inf, kernel.lower[1:])


def _hold_correlation(kernel: BlockKernel, lam: np.ndarray, sigma: float) -> _Held:
    """The second row of lam is its length times (correlation, sqrt(1 - correlation^2))."""

    def hold(value: float) -> Criterion:
        direction = np.array([value, np.sqrt(max(1.0 - value**2, 0.0))])

        def criterion(x: np.ndarray) -> tuple[float, np.ndarray]:
            factor = kernel.factor(np.concatenate([x[:1], x[1] * direction, x[2:]]))
            deviance, slope, _ = _slopes(kernel.data, factor, None)
            gradient = slope[kernel.elements]
            inside = np.concatenate([gradient[:1], [gradient[1:3] @ direction], gradient[3:]])
            return -0.5 * deviance, -0.5 * inside

        return criterion

    elements = lam[kernel.elements]
    start = np.concatenate([elements[:1], [np.hypot(*elements[1:3])], elements[3:]])
    return hold, start, np.concatenate([kernel.lower[:1], [0.0], kernel.lower[3:]])
