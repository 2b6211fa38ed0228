"""What the data of a generalised mixed model can tell, before it is fitted.

Whether the likelihood has a maximum is asked of recession directions, not of eigenvalues: along
such a direction it rises for ever while its curvature fades. Which variances are determined is
asked of the pairs of rows that random effects correlate, and which fixed effects a random effect
takes the ground from, of the spaces their columns span. None of these depends on where a climb
happened to end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longsurv.likelihood.glmm.coordinates import Coordinates
from longsurv.likelihood.glmm.data import GLMMData
from longsurv.likelihood.glmm.family import EXACT, INTERVAL, LEFT, RIGHT
from longsurv.likelihood.glmm.spaces import ROUNDING, null_space

SEPARATION_TOLERANCE = 1e-6
MOVES = 1e-5
"""A number that is left of terms this much larger is rounding."""
UNSEEN = 1e-12
"""The same of eigenvalues of sums of squares of products of two columns."""
LEAST_RESIDUAL = -14.0
"""Log of a residual spread, in units of that about the fixed effects, that is none at all."""
MOST_VISITS = 60
"""Of one patient whose pairs are looked at."""


def no_maximum(data: GLMMData, coordinates: Coordinates, names: Sequence[str]) -> str | None:
    """Why the likelihood has no finite maximum, in words, or None.

    `names` are those of beta and the thresholds, `coordinates` those of `data` for climbing.
    """
    family = data.family
    if family.measured and _reproduced(coordinates.data):
        between = " and pass through every interval" if INTERVAL in data.kind else ""
        return (
            f"the fixed effects reproduce every measured value exactly{between}, so no variance is "
            "left over"
        )
    if family.logit and np.ptp(data.y) == 0.0:
        return "the response is the same in every row"
    direction = separation(data, coordinates)
    if direction is not None:
        terms = ", ".join(n for n, d in zip(names, direction, strict=True) if d)
        return family.separated.format(terms=terms)
    # Then only a random intercept, of infinite variance, could explain what they do.
    patients = zip(data.first[:-1], data.first[1:], strict=True)
    if family.logit and all(np.ptp(data.y[a:b]) == 0.0 for a, b in patients):
        return "no patient's response ever changes, so their spread has no finite estimate"
    if family.logit and data.place is not None and _alike(data.y, data.place):
        return "no response changes within a site, so their spread has no finite estimate"
    return None


def _alike(y: np.ndarray, group: np.ndarray) -> bool:
    """Whether y (n,) is the same in all rows of each group."""
    order = np.argsort(group, kind="stable")
    same = np.diff(group[order]) == 0
    return bool((np.diff(y[order])[same] == 0.0).all())


def separation(data: GLMMData, coordinates: Coordinates) -> np.ndarray | None:
    """Direction of (beta, cuts) along which the likelihood never falls, or None.

    Returns
    -------
    ndarray, shape (p,) or (p + levels - 1,), or None
        Exactly zero where a parameter does not move. Then there is no finite maximum: some rows'
        predictors can go off to infinity without any other row's fit suffering (Albert & Anderson
        1984, Biometrika 71:1; a value beyond a detection limit is like an outcome of one kind, and
        a measured one holds its predictor). Whatever the random effects are, the same holds.
    """
    if not data.family.separated:
        return None
    X, outcome = coordinates.data.X, data.family.outcome(data.y, data.kind)
    _, unique = np.unique(np.column_stack([data.X, outcome]), axis=0, return_index=True)
    free, rising = data.family.rising(X[unique], outcome[unique], data.levels)
    found = _recession(rising @ free)
    if found is None:
        return None
    return _rounded(to_coefficients(data, coordinates), free @ found)


def to_coefficients(data: GLMMData, coordinates: Coordinates) -> np.ndarray:
    """Directions of (beta, cuts) from those in the columns of the climb."""
    p, cuts = data.p, max(data.levels - 1, 0)
    back = np.eye(p + cuts)
    back[:p, :p] = coordinates.T[:p, :p]
    if cuts:
        back[p:, :p] = coordinates.T[p, :p]
    return back


def _recession(rising: np.ndarray) -> np.ndarray | None:
    """x with rising @ x >= 0, not all zero, or None."""
    if rising.size == 0:
        return None
    from scipy.optimize import linprog

    found = linprog(
        -rising.sum(axis=0), A_ub=-rising, b_ub=np.zeros(len(rising)), bounds=(-1.0, 1.0)
    )
    if found.x is None or np.abs(rising @ found.x).max() < SEPARATION_TOLERANCE:
        return None
    return np.asarray(found.x)


def _rounded(back: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """back @ direction, exactly zero where it is what rounding leaves of larger terms."""
    direction = np.where(np.abs(direction) > 1e-7 * np.abs(direction).max(), direction, 0.0)
    value, size = back @ direction, np.abs(back) @ np.abs(direction)
    return np.where(np.abs(value) > MOVES * size, value, 0.0)


def exhausted(data: GLMMData, x: np.ndarray) -> bool:
    """Whether a climb in scaled columns has left a measurement no residual variance."""
    return data.family.measured and bool(x[data.p] < LEAST_RESIDUAL)


def _reproduced(data: GLMMData) -> bool:
    """Whether some beta gives all measured values, and none beyond a limit speaks against it."""
    kind = data.kind
    exact = kind == EXACT
    X, y = data.X[exact], data.y[exact]
    beta = np.linalg.lstsq(X, y, rcond=ROUNDING)[0]
    if np.abs(y - X @ beta).max(initial=0.0) > ROUNDING * np.abs(y).max(initial=0.0):
        return False
    if exact.all():
        return True
    free = null_space(X)
    below, above = kind == LEFT, (kind == RIGHT) | (kind == INTERVAL)
    upper = below | (kind == INTERVAL)
    sign = np.repeat([1.0, -1.0], [upper.sum(), above.sum()])
    bounded = np.concatenate([np.flatnonzero(upper), np.flatnonzero(above)])
    limit = np.concatenate([np.where(below, data.y, data.y + data.extent)[upper], data.y[above]])
    slack = sign * (limit - data.X[bounded] @ beta)
    if free.shape[1] == 0:
        return bool((slack >= 0.0).all())
    rising = sign[:, None] * (data.X[bounded] @ free)
    from scipy.optimize import linprog

    found = linprog(np.zeros(free.shape[1]), A_ub=rising, b_ub=slack, bounds=(None, None))
    return bool(found.status == 0)


@dataclass(frozen=True)
class Undeterminable:
    """What no data of this design could determine.

    Attributes
    ----------
    sd : ndarray of bool, shape (q,)
        Standard deviations of the formula's random effects.
    correlation : ndarray of bool
        Correlations, in the order of `GLMMData.entries`.
    family : bool
        sigma (and the degrees of freedom of a Student response).
    coefficients : ndarray, shape (p, k) or (p + levels - 1, k)
        Directions of beta and the thresholds.
    """

    sd: np.ndarray
    correlation: np.ndarray
    family: bool
    coefficients: np.ndarray

    def __bool__(self) -> bool:
        return bool(
            self.sd.any() or self.correlation.any() or self.family or self.coefficients.size
        )


def unseen_variances(data: GLMMData, coordinates: Coordinates) -> Undeterminable:
    """Variances that the pairs of rows of a patient do not determine.

    A covariance D of random effects shows in the covariances z_j' D z_k of a patient's rows j and
    k. A measurement's own variance is z_j' D z_j + sigma^2; that of a binary or ordinal response is
    not free, so only pairs of different rows count; that of a count is known from its mean, or has
    a parameter of its own as a measurement's. What no pair shows is not determined: one row a
    patient, a random slope with the same two visits for everybody, a random effect for each visit.
    (Student's t could tell it by the shape of its tails alone, which is no ground to stand on.)
    """
    inner = coordinates.data
    rows, columns = inner.entries
    null = _unseen_space(inner)
    # In the formula's random effects: D = back D_x back'.
    back = data.effects @ _basis(data, coordinates)
    moved = np.zeros((data.q, data.q), dtype=bool)
    for vector in null.T:
        D = np.zeros((data.q, data.q))
        D[rows, columns] = D[columns, rows] = vector[: len(rows)]
        size = np.abs(back) @ np.abs(D) @ np.abs(back).T
        moved |= np.abs(back @ D @ back.T) > MOVES * size
    sd = np.diag(moved).copy()
    below = rows > columns
    i, j = rows[below], columns[below]
    free = data.family.row_variance == "free"
    family = free and bool((np.abs(null[-1:]) > MOVES).any())
    nothing = np.empty((data.p + max(data.levels - 1, 0), 0))
    return Undeterminable(sd, moved[i, j] | sd[i] | sd[j], family, nothing)


def _basis(data: GLMMData, coordinates: Coordinates) -> np.ndarray:
    """V with Lam = V Lam_x, shape (q, q)."""
    rows, columns = data.entries
    at = data.p + data.n_family
    V = np.zeros((data.q, data.q))
    for k, (a, b) in enumerate(zip(rows, columns, strict=True)):
        # The column of Lam_x that is 1 at (b, b) alone is column b of V.
        source = int(np.flatnonzero((rows == b) & (columns == b))[0])
        V[a, b] = coordinates.T[at + k, at + source]
    return V


def _unseen_space(data: GLMMData) -> np.ndarray:
    """Null space of (D, sigma^2) as the pairs of rows show them, in columns."""
    if data.place is not None or (data.site is not None and (np.bincount(data.site) > 1).any()):
        # Rows of two patients show the variance between sites; what is left are the patients'.
        own = _unseen_space(data.given_sites(np.zeros(data.n_sites)))
        return np.insert(own, len(data.entries[0]) - 1, 0.0, axis=0)
    rows, columns = data.entries
    free = int(data.family.row_variance == "free")
    size = len(rows) + free
    gram = np.zeros((size, size))
    check = 4
    for g in range(len(data.first) - 1):
        Z, count = np.unique(data.Z[data.first[g] : data.first[g + 1]], axis=0, return_counts=True)
        if len(Z) > MOST_VISITS:
            chosen = np.linspace(0, len(Z) - 1, MOST_VISITS).astype(int)
            Z, count = Z[chosen], count[chosen]
        j, k = np.triu_indices(len(Z))
        shown = _products(Z[j], Z[k], rows, columns)
        # Different rows: those that differ, and repeats of one.
        parts = [np.pad(shown[(j < k) | (count[j] > 1)], ((0, 0), (0, free)))]
        if data.family.row_variance != "none":
            parts.append(np.pad(shown[j == k], ((0, 0), (0, free)), constant_values=1.0))
        for part in parts:
            gram += part.T @ part
        if g + 1 == check:
            check *= 4
            values = np.linalg.eigvalsh(gram)
            if values[0] > 1e-6 * values[-1]:
                return np.empty((size, 0))
    values, vectors = np.linalg.eigh(gram)
    return vectors[:, values <= UNSEEN * max(float(values[-1]), 1e-300)]


def _products(
    one: np.ndarray, other: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """z_j' D z_k as a linear function of the elements of D, one row a pair."""
    value = one[:, rows] * other[:, columns]
    twice = rows != columns
    value[:, twice] += one[:, columns[twice]] * other[:, rows[twice]]
    return value


def absorbed(data: GLMMData, coordinates: Coordinates) -> Undeterminable:
    """Random effects that the fixed effects reproduce patient by patient.

    With one patient (or centre) in each arm, nothing tells what differs between arms from what
    differs between patients: the spread between them is not determined, and neither is any
    coefficient that such differences could make. Maximum likelihood would call the spread zero and
    the coefficients exact.
    """
    inner, q = coordinates.data, data.q
    group = np.repeat(np.arange(len(inner.first) - 1), np.diff(inner.first))
    parts = [_absorbed(data, coordinates, slice(0, data.q_own), group)]
    if inner.shared:
        parts.append(_absorbed(data, coordinates, slice(data.q_own, q), inner.site_of_row))
    sd = np.concatenate([found for found, _ in parts])
    rows, columns = data.entries
    i, j = (index[rows > columns] for index in (rows, columns))
    return Undeterminable(sd, sd[i] | sd[j], False, np.hstack([taken for _, taken in parts]))


def _absorbed(
    data: GLMMData, coordinates: Coordinates, effects: slice, group: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which standard deviations of some effects, those of a grouping of the rows (n,), and which
    directions of beta and the thresholds."""
    inner, p = coordinates.data, data.p
    n, own = len(inner.y), inner.Z[:, effects]
    q, cuts = own.shape[1], max(data.levels - 1, 0)
    X = inner.X if not data.family.thresholds else np.column_stack([inner.X, np.ones(n)])
    none = np.zeros(q, bool), np.empty((p + cuts, 0))
    touched = np.unique(group[(own != 0.0).any(axis=1)])
    if len(touched) > X.shape[1]:
        return none
    M = own[:, :, None] * (group[:, None] == touched)[:, None, :]
    Q, r = np.linalg.qr(X)
    left = M - np.einsum("nk,kqg->nqg", Q, np.einsum("nk,nqg->kqg", Q, M))
    A = _null_of_sum(left.transpose(1, 0, 2).reshape(q, -1).T, float(np.sqrt(n)))
    if A.shape[1] == 0:
        return none
    taken = np.linalg.solve(r, np.einsum("nk,nqg,qa->kga", Q, M, A).reshape(X.shape[1], -1))
    # A predictor that is higher by a constant is a threshold that is lower.
    taken = np.vstack([taken[:p], np.repeat(-taken[p:], cuts, axis=0)])
    to_formula = (data.effects @ _basis(data, coordinates))[effects, effects]
    sd = np.abs(_rounded(to_formula, A)).max(axis=1) > 0.0
    return sd, _rounded(to_coefficients(data, coordinates), taken)


def _null_of_sum(A: np.ndarray, size: float) -> np.ndarray:
    """Basis of the x with A x = 0, for columns of A whose size would be about `size`."""
    values, vectors = np.linalg.eigh(A.T @ A)
    return vectors[:, values <= (1e-2 * MOVES * size) ** 2]
