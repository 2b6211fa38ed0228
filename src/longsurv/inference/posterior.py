"""From a log posterior to draws: mode, curvature, whitening, NUTS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from longsurv.errors import EstimationError
from longsurv.inference.coordinates import Affine
from longsurv.inference.curvature import Whitening, whiten
from longsurv.inference.density import LogDensity
from longsurv.inference.maximise import Optimum, maximise
from longsurv.inference.sample import Draws, check_run, sample_again
from longsurv.inference.warp import Warp


def sample_posterior(
    density: LogDensity,
    start: np.ndarray,
    *,
    names: Sequence[str] | None = None,
    deviations: Mapping[int, float] | None = None,
    coordinates: Affine | None = None,
    draws: int = 1000,
    tune: int = 300,
    chains: int = 4,
    seed: int = 1,
    target_accept: float = 0.8,
    cores: int | None = None,
) -> tuple[Optimum, Draws | None]:
    """Climb to the mode, whiten by the curvature there, and draw.

    Parameters
    ----------
    density : callable
        Returns (log density up to a constant, gradient) at theta, shape (d,).
    start : ndarray, shape (d,)
    names : sequence of str, optional
        Of the parameters, for messages.
    deviations : mapping of int to float, optional
        Positions of log standard deviations that may be near zero, and their prior means; they are
        sampled in the coordinates of `Warp`.
    coordinates : Affine, optional
        Unit-free ones to climb and draw in; of a deviation's log they may only move the origin.
    draws, tune, chains, seed, target_accept, cores
        See `sample_again`.

    Returns
    -------
    mode : Optimum
        Its x is as `density` takes it; the rest of the record is of the climb, in `coordinates`
        and with `deviations` in those of `Warp`, and so is the mode itself.
    drawn : Draws or None
        With theta as `density` takes it, and the mode; None if there is no finite mode to start
        from.
    """
    check_run(draws=draws, tune=tune, chains=chains, target_accept=target_accept)
    deviations = deviations or {}
    index = np.array(list(deviations), dtype=np.int64)
    log_means = np.log(np.array(list(deviations.values()), dtype=float))
    warp = Warp(index, log_means)
    warped, start = (warp.density(density) if deviations else density), warp.inward(start)
    # Warped is what is left when a deviation's origin has been moved back: a straight map.
    straight = None if coordinates is None else coordinates.without_shift(index)
    mode, whitening = climb(warped, start, names=names, coordinates=straight)
    if whitening is None:
        return mode, None
    drawn = sample_again(
        warped,
        whitening,
        draws=draws,
        tune=tune,
        chains=chains,
        seed=seed,
        target_accept=target_accept,
        cores=cores,
    )
    stats = drawn.stats | {"lp": drawn.stats["lp"] - warp.log_jacobian(drawn.theta)}
    theta = warp.outward(drawn.theta)
    mode = replace(mode, x=warp.outward(whitening.centre))
    return mode, replace(drawn, theta=theta, stats=stats, mode=mode)


def drawn(formula: str, found: tuple[Optimum, Draws | None]) -> Draws:
    """The draws of `sample_posterior`.

    Raises
    ------
    EstimationError
        If there are none: why, with the formula of the model.
    """
    mode, draws = found
    if draws is None:
        raise EstimationError(f"{formula!r} cannot be sampled: {mode.status}")
    return draws


def outward(
    draws: Draws,
    to: Callable[[np.ndarray], np.ndarray],
    log_jacobian: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Draws:
    """Draws, and the mode they started from, in other coordinates.

    Parameters
    ----------
    draws : Draws
    to : callable
        From vectors (..., d) to those of the other coordinates.
    log_jacobian : callable, optional
        Log of its determinant at vectors (..., d), by default a constant.
    """
    assert draws.mode is not None  # the climb before the draws
    mode, stats = replace(draws.mode, x=to(draws.mode.x)), draws.stats
    if log_jacobian is not None:
        stats = stats | {"lp": stats["lp"] - log_jacobian(draws.theta)}
    return replace(draws, theta=to(draws.theta), mode=mode, stats=stats)


def climb(
    density: LogDensity,
    start: np.ndarray,
    *,
    names: Sequence[str] | None = None,
    coordinates: Affine | None = None,
) -> tuple[Optimum, Whitening | None]:
    """Climb to the mode, and whiten by the curvature there.

    Parameters
    ----------
    density, start, names, coordinates
        See `sample_posterior`.

    Returns
    -------
    mode : Optimum
        In `coordinates`.
    whitening : Whitening or None
        Of theta as `density` takes it, around the mode; None if there is no finite mode.
    """
    if coordinates is None:
        mode = maximise(density, start, names=names)
    else:
        unitless = coordinates.density(density, coordinates.log_jacobian)
        mode = maximise(unitless, coordinates.inward(start), names=names)
    if not np.isfinite(mode.value):
        return mode, None
    whitening = whiten(mode.x, mode.hessian)
    if coordinates is not None:
        whitening = replace(
            whitening,
            centre=coordinates.outward(mode.x),
            factor=coordinates.factor @ whitening.factor,
        )
    return mode, whitening
