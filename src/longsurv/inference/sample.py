"""No-U-turn sampling in whitened coordinates."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from longsurv.errors import LongsurvError
from longsurv.inference.curvature import Whitening
from longsurv.inference.density import LogDensity, guarded
from longsurv.inference.maximise import Optimum

if TYPE_CHECKING:
    from pyarrow import RecordBatch

# Seconds an evaluation has to take for chains at once to be faster than one after another: they
# all need Python's one lock at each evaluation. If it does, it is tried for so long; two threads
# may take at most so much longer than one that does half as much.
WORTH_A_THREAD, TRIAL, SHARED = 1e-4, 5e-3, 1.4

STATS = {
    "diverging": "diverging",
    "energy": "energy",
    "n_steps": "n_steps",
    "tree_depth": "depth",
    "step_size": "step_size",
    "lp": "logp",
    "acceptance_rate": "mean_tree_accept",
}
"""ArviZ's name of each statistic of a draw that is kept, and the sampler's own."""


class ArrowTrace(Protocol):
    """What nutpie has drawn, as it has it."""

    def get_arrow_trace(self) -> tuple[list[RecordBatch], list[RecordBatch]]:
        """A record batch of draws, and one of statistics, for each chain."""


@dataclass(frozen=True)
class Draws:
    """Posterior draws on the unconstrained scale.

    Attributes
    ----------
    theta : ndarray, shape (chains, draws, d)
    stats : dict of str to ndarray, shape (chains, draws)
        Sampler statistics under ArviZ's names: diverging, energy, n_steps, tree_depth, step_size,
        lp, acceptance_rate.
    seconds : float
        Sampling time, warm-up included.
    tune : int
        Warm-up iterations a chain (not kept).
    whitening : Whitening, optional
        None of independent draws, which need none.
    seed : int
    mode : Optimum, optional
        Where the climb ended that the chains start from, with x on the scale of theta; None of
        draws that no climb came before.
    quadrature_error : float, optional
        Of points of equal probability, not of a chain: how far the logarithm of the integral moves
        with every second point of its grid left out. None of other draws.
    target_accept : float, optional
        Mean acceptance probability that the step size was adapted to; None without chains.
    diverged_before : int
        Draws that diverged in a first run, at a lower acceptance, which these replace.
    effects : ndarray, shape (chains, draws, J), optional
        Effects of groups that were drawn beside theta, in units of their standard deviation, where
        answers need them.
    """

    theta: np.ndarray
    stats: dict[str, np.ndarray]
    seconds: float
    tune: int
    whitening: Whitening | None
    seed: int
    mode: Optimum | None = None
    quadrature_error: float | None = None
    target_accept: float | None = None
    diverged_before: int = 0
    effects: np.ndarray | None = None

    @property
    def way(self) -> str:
        """How they were made, for the name of a method."""
        return "NUTS" if self.quadrature_error is None else "quadrature"

    @property
    def flat(self) -> np.ndarray:
        """The vectors of all chains, one chain after another, shape (chains * draws, d)."""
        return self.theta.reshape(-1, self.theta.shape[-1])

    def spread(self, count: int) -> np.ndarray:
        """So many of those vectors, or all if there are no more, evenly spaced: shape (n, d)."""
        return self.flat[self._spaced(count)]

    def with_effects(self, count: int | None = None) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """Those vectors, by default all, with the effects that were drawn beside each."""
        at = np.arange(len(self.flat)) if count is None else self._spaced(count)
        if self.effects is None:
            return [(theta, None) for theta in self.flat[at]]
        effects = self.effects.reshape(len(self.flat), -1)
        return list(zip(self.flat[at], effects[at], strict=True))

    def _spaced(self, count: int) -> np.ndarray:
        total = self.theta.shape[0] * self.theta.shape[1]
        return np.linspace(0, total - 1, min(count, total)).astype(int)


def sample(
    density: LogDensity,
    whitening: Whitening,
    *,
    draws: int = 1000,
    tune: int = 300,
    chains: int = 4,
    seed: int = 1,
    target_accept: float = 0.8,
    cores: int | None = None,
) -> Draws:
    """Draw from a log density with nutpie's NUTS.

    Parameters
    ----------
    density : callable
        Returns (log density up to a constant, gradient) at theta, shape (d,). Called from several
        threads at once.
    whitening : Whitening
        Coordinates z with theta = centre + factor z in which the density is near a standard normal.
        Chains start at draws of z from a standard normal.
    draws, tune, chains : int
        Kept and warm-up iterations a chain, and the number of chains.
    seed : int
        One seed for all chains; the result is the same bit for bit on one machine.
    target_accept : float
        Mean acceptance probability that the step size is adapted to.
    cores : int, optional
        Chains run at once; by default all of them, or one if the density is evaluated so fast, or
        holds Python's lock so long, that they would wait for each other. The draws do not depend
        on it.

    Returns
    -------
    Draws
    """
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    check_run(draws=draws, tune=tune, chains=chains, target_accept=target_accept)
    centre, factor = whitening.centre, np.ascontiguousarray(whitening.factor)
    transposed = np.ascontiguousarray(factor.T)
    d = len(centre)
    safe = guarded(density)

    def logp(z: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = safe(centre + factor @ z)
        return value, transposed @ gradient

    def make_expand(
        _seed1: int, _seed2: int, _chain: int
    ) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
        return _Chain(tune + draws)

    def start(chain_seed: int) -> np.ndarray:
        return np.random.default_rng(chain_seed).standard_normal(d)

    model = from_pyfunc(
        d,
        lambda: logp,
        make_expand,
        [np.dtype("float64")],
        [(d,)],
        ["z"],
        make_initial_point_fn=start,
    )
    began = time.perf_counter()
    sampler = nutpie.sample(
        model,
        draws=draws,
        tune=tune,
        chains=chains,
        cores=cores if cores is not None else _cores(logp, d, chains),
        seed=seed,
        target_accept=target_accept,
        save_warmup=False,
        progress_bar=False,
        blocking=False,
        return_raw_trace=True,  # of which little is wanted: the containers cost more than the draws
    )
    try:
        trace = sampler.wait()
    except KeyboardInterrupt:  # nutpie's own blocking call would return what there is so far
        sampler.cancel()
        raise
    seconds = time.perf_counter() - began
    z, stats = _after_warm_up(trace)
    return Draws(
        theta=centre + z @ factor.T,
        stats=stats,
        seconds=seconds,
        tune=tune,
        whitening=whitening,
        seed=seed,
        target_accept=target_accept,
    )


def sample_again(
    density: LogDensity,
    whitening: Whitening,
    *,
    draws: int = 1000,
    tune: int = 300,
    chains: int = 4,
    seed: int = 1,
    target_accept: float = 0.8,
    cores: int | None = None,
) -> Draws:
    """The same, and once more where draws diverged, with half the chance of a step refused.

    Divergent draws leave out where the density bends most, and shorter steps follow it there
    (Betancourt & Girolami 2015). The second run stands, whatever it finds, and tells of the first.

    Parameters
    ----------
    density, whitening, draws, tune, chains, seed, target_accept, cores
        See `sample`.

    Returns
    -------
    Draws
    """

    def run(target: float) -> Draws:
        return sample(
            density, whitening, draws=draws, tune=tune, chains=chains, seed=seed,
            target_accept=target, cores=cores,
        )  # fmt: skip

    first = run(target_accept)
    diverged = int(first.stats["diverging"].sum())
    if not diverged:
        return first
    second = run(0.5 * (1.0 + target_accept))
    seconds = first.seconds + second.seconds
    return replace(second, seconds=seconds, diverged_before=diverged)


def _after_warm_up(trace: ArrowTrace) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The draws, shape (chains, draws, d), and their statistics, each of shape (chains, draws)."""
    import pyarrow

    draws, stats = [], []
    for values, told in zip(*trace.get_arrow_trace(), strict=True):
        kept = ~told.column("tuning").to_numpy()
        z = pyarrow.array(values.column("z")).flatten().to_numpy()
        draws.append(z.reshape(len(kept), -1)[kept])
        stats.append({name: told.column(source).to_numpy()[kept] for name, source in STATS.items()})
    return np.stack(draws), {name: np.stack([of[name] for of in stats]) for name in STATS}


def check_run(
    *, draws: int = 1, tune: int = 1, chains: int = 1, target_accept: float = 0.8
) -> None:
    """Refuse a run that no sampler could make.

    Raises
    ------
    LongsurvError
        For counts below 1, and an acceptance probability outside (0, 1).
    """
    counts = {"draws": draws, "tune": tune, "chains": chains}
    wrong = [
        f"{name} is a whole number of at least 1, not {value!r}"
        for name, value in counts.items()
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1
    ]
    if not 0.0 < target_accept < 1.0:
        wrong.append(
            "target_accept is a probability between 0 and 1, such as 0.8 (higher takes smaller "
            f"steps), not {target_accept!r}"
        )
    if wrong:
        raise LongsurvError("; ".join(wrong))


class _Chain:
    """Passes a chain's draws on, and keeps the state Python has of its thread meanwhile.

    Python makes a state for a thread it did not start at each call from there, and drops it when
    the call ends. That takes longer than a small density, so the thread counts as being inside
    Python from the first draw to the last.
    """

    def __init__(self, draws: int) -> None:
        self.left = draws
        self.held: tuple[int, int] | None = None  # the thread, and what it is let go with

    def __call__(self, z: np.ndarray) -> dict[str, np.ndarray]:
        self.left -= 1
        thread = threading.get_ident()
        if self.held is None and self.left > 0:
            self.held = thread, ctypes.pythonapi.PyGILState_Ensure()
        elif self.held is not None and self.left == 0 and self.held[0] == thread:
            ctypes.pythonapi.PyGILState_Release(self.held[1])
        return {"z": z}


def _cores(density: LogDensity, d: int, chains: int) -> int:
    """Chains to run at once: all, where two threads do more than one does."""
    origin = np.zeros(d)

    def evaluate(times: int) -> float:
        began = time.perf_counter()
        for _ in range(times):
            density(origin)
        return time.perf_counter() - began

    each = min(evaluate(1) for _ in range(5))
    if chains == 1 or each <= WORTH_A_THREAD:
        return 1
    times = max(2, int(TRIAL / each))
    # A density of many short kernels has Python's lock in between, and threads queue for it.
    alone = min(evaluate(times) for _ in range(2))
    return chains if min(_both(evaluate, times) for _ in range(2)) < SHARED * alone else 1


def _both(evaluate: Callable[[int], float], times: int) -> float:
    """Seconds until two threads have evaluated so many times each."""
    threads = [threading.Thread(target=evaluate, args=(times,)) for _ in range(2)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began
