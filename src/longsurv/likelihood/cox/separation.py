"""Monotone partial likelihood, found before anything is fitted.

The partial likelihood has no finite maximum exactly when some direction d ranks every subject who
has an event at least as high as everybody in the risk set, d'(x_event - x_j) >= 0, not all of them
zero (Bryson and Johnson 1981, Technometrics 23:381): along d it rises for ever. That is a linear
programme with one constraint for each event and member of its risk set: far too many to write
down, but only a few matter, so they are generated: solve with some, look for the most violated in
one pass over the data, add those, repeat. Usually a few hundred random constraints already leave no
direction, and that settles it for all of them.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from longsurv.likelihood.cox.data import CoxData, Floats, Integers, RiskArrays
from longsurv.likelihood.cox.kernel import evaluate
from longsurv.likelihood.cox.risk_sets import linear_predictor

# Differences of covariates are scaled to a largest element of 1; the linear programme is solved
# to 1e-7, so less than TOLERANCE is zero. Covariates closer than NEGLIGIBLE standard deviations
# are equal: they differ by rounding.
TOLERANCE = 1e-6
NEGLIGIBLE = 1e-9
ADDED_PER_ROUND = 200


def separation(data: CoxData) -> Floats | None:
    """Direction along which the partial likelihood increases without bound, or None.

    Parameters
    ----------
    data : CoxData

    Returns
    -------
    ndarray, shape (p,), or None
        Coefficients d, largest absolute value 1: as beta moves along d the likelihood never
        falls and its supremum is not attained. A single column (plus or minus) where one alone
        separates, a combination where only that does. None if the maximum is finite; collinear
        columns do not count as separation.
    """
    plain = without_offset(data.arrays)
    basis = _informative_basis(plain)
    constraints = _normalised(_differences(plain, *_random_pairs(plain)) @ basis)
    while True:
        candidate = _candidate(constraints, basis.shape[1])
        if candidate is None:
            return None
        direction = basis @ candidate
        event_rows, rivals = _violations(plain, direction)
        if not len(event_rows):
            break
        known = len(constraints)
        added = _normalised(_differences(plain, event_rows, rivals) @ basis)
        constraints = np.unique(np.vstack([constraints, added]), axis=0)
        if len(constraints) == known:  # met already, up to the rounding of the solver
            break

    visible = np.linalg.norm(basis, axis=1) > TOLERANCE
    for j in np.flatnonzero(visible & (np.abs(direction) > TOLERANCE)):
        axis = np.zeros(data.n_columns)
        axis[j] = np.sign(direction[j])
        if not len(_violations(plain, axis)[0]):
            return axis
    direction[np.abs(direction) < TOLERANCE] = 0.0
    direction = direction / data.scale
    return direction / np.abs(direction).max()


def without_offset(a: RiskArrays) -> RiskArrays:
    """Offsets and weights change no ranking, and would only spoil the conditioning."""
    zeros, ones = np.zeros(len(a.offset)), np.ones(len(a.offset))
    deaths = a.deaths.astype(float)
    for array in (zeros, ones, deaths):
        array.flags.writeable = False
    return a._replace(offset=zeros, weight=ones, death_weight=deaths)


def _informative_basis(a: RiskArrays) -> Floats:
    """Orthonormal basis (p, r) of the directions in which some risk set varies."""
    p = a.X.shape[1]
    information = evaluate(a, np.zeros(p), 2)[2]
    values, vectors = np.linalg.eigh(information)
    return vectors[:, values > 1e-12 * a.deaths.sum()]  # columns have spread of about 1


def _random_pairs(a: RiskArrays, events: int = 400, rivals: int = 5) -> tuple[Integers, Integers]:
    """Rows with an event, each with random members of its risk set; the same at every call."""
    rng = np.random.default_rng(0)
    dead = np.flatnonzero(a.event)
    dead = np.repeat(rng.choice(dead, min(events, len(dead)), replace=False), rivals)
    own = a.last[dead] - 1
    closing = np.searchsorted(a.opening, a.opening[own], side="right")
    # rows are in order of `last`, so those not yet gone from the stratum are one block
    low = np.searchsorted(a.last, own, side="right")
    high = np.searchsorted(a.last, closing, side="right")
    rival = rng.integers(low, high)
    entered = a.first[rival] <= own
    return dead[entered], rival[entered]


def _differences(a: RiskArrays, event_rows: Integers, rivals: Integers) -> Floats:
    return a.X[event_rows] - a.X[rivals]


def _normalised(constraints: Floats) -> Floats:
    """Rows scaled to largest element 1, each once; zero rows say nothing."""
    size = np.abs(constraints).max(axis=1, initial=0.0)
    kept = size > NEGLIGIBLE
    return np.unique(constraints[kept] / size[kept, None], axis=0)


def _candidate(constraints: Floats, r: int) -> Floats | None:
    """A direction (r,) that satisfies the constraints and is not forced to zero by them."""
    if r == 0:
        return None
    if len(constraints):
        from scipy.optimize import linprog

        solution = linprog(
            -constraints.mean(axis=0),
            A_ub=-constraints,
            b_ub=np.zeros(len(constraints)),
            bounds=(-1, 1),
            method="highs",
        )
        if solution.status != 0:
            raise ValueError(f"the check for separation failed: {solution.message}")
        if (constraints @ solution.x).max() > TOLERANCE:
            return solution.x
        # feasible directions are now those orthogonal to every constraint so far
        _, sizes, vectors = np.linalg.svd(constraints)
        rank = int((sizes > TOLERANCE * sizes[0]).sum())
    else:
        rank, vectors = 0, np.eye(r)
    return vectors[rank] if rank < r else None


def _violations(a: RiskArrays, direction: Floats) -> tuple[Integers, Integers]:
    """Event rows that somebody at risk outranks, worst first, and who does."""
    score = linear_predictor(a, direction)
    highest = _highest_at_risk(a, score)
    dead = np.flatnonzero(a.event)
    rival = highest[a.last[dead] - 1]
    shortfall = score[rival] - score[dead]
    candidates = np.flatnonzero(shortfall > 0)
    size = np.abs(_differences(a, dead[candidates], rival[candidates])).max(axis=1, initial=0.0)
    relative = shortfall[candidates] / np.where(size > NEGLIGIBLE, size, np.inf)
    worst = candidates[np.argsort(-relative)[: min(ADDED_PER_ROUND, (relative > TOLERANCE).sum())]]
    return dead[worst], rival[worst]


@njit(cache=True, nogil=True)
def _highest_at_risk(a: RiskArrays, score: Floats) -> Integers:
    """Row of the largest score in the risk set of every event time, (K,)."""
    K = len(a.deaths)
    if not a.staggered:
        best = np.full(K, -1)
        for i in range(len(score)):
            _keep_higher(best, a.last[i] - 1, i, score)
        for k in range(K - 2, -1, -1):
            if a.opening[k + 1] == a.opening[k]:
                _keep_higher(best, k, best[k + 1], score)
        return best
    tree = np.full(2 * K, -1)
    for i in range(len(score)):
        low, high = a.first[i] + K, a.last[i] + K
        while low < high:
            if low & 1:
                _keep_higher(tree, low, i, score)
                low += 1
            if high & 1:
                high -= 1
                _keep_higher(tree, high, i, score)
            low >>= 1
            high >>= 1
    for node in range(2, 2 * K):
        _keep_higher(tree, node, tree[node >> 1], score)
    return tree[K:].copy()


@njit(cache=True, nogil=True)
def _keep_higher(best: Integers, place: int, row: int, score: Floats) -> None:
    if row >= 0 and (best[place] < 0 or score[row] > score[best[place]]):
        best[place] = row
