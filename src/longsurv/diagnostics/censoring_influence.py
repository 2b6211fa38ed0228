"""What estimating the curve of censoring adds to the influence of each patient on Fine and Gray's.

The weights of who left by a competing event are made of that curve, so whoever was at risk of
being censored had a part in them (Fine & Gray 1999, J Am Stat Assoc 94:496-509, section 4.2).
"""

from __future__ import annotations

import numpy as np

from longsurv.design.subdistribution import Censoring, Subdistribution
from longsurv.diagnostics.cox_residuals import summed


def censoring_influence(
    made: Subdistribution, X: np.ndarray, beta: np.ndarray, stratum: np.ndarray,
    exit: np.ndarray, status: np.ndarray, weight: np.ndarray, entry: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Derivative of the score in each patient's part of the curve, shape (n, p).

    Parameters
    ----------
    made : Subdistribution
    X : ndarray, shape (n, p)
    beta : ndarray, shape (p,)
    stratum, exit, status, weight, entry : ndarray, shape (n,)
    """
    out = np.zeros_like(X)
    relative = np.exp((X - X.mean(axis=0)) @ beta)
    for curve in made.censoring:
        inside = np.zeros(len(X), dtype=bool)
        inside[curve.rows] = True
        mine = inside[made.source]
        out[curve.rows] = _of_stratum(made, mine, X, relative, curve, exit, status, weight, entry)
    return out


def _of_stratum(
    made: Subdistribution, mine: np.ndarray, X: np.ndarray, relative: np.ndarray,
    curve: Censoring, exit: np.ndarray, status: np.ndarray, weight: np.ndarray, entry: np.ndarray,
) -> np.ndarray:  # fmt: skip
    source, begin, end = made.source[mine], made.entry[mine], made.exit[mine]
    x, later = X[source], made.later[mine]
    omega = made.weight[mine] * relative[source]
    died = made.event[mine] == 1
    times = np.unique(end[died])
    deaths = np.bincount(np.searchsorted(times, end[died]), made.weight[mine][died], len(times))
    first, last = np.searchsorted(times, begin, "right"), np.searchsorted(times, end, "right")

    def at_risk(values: np.ndarray) -> np.ndarray:
        ahead = [np.bincount(place, values, len(times) + 1) for place in (last, first)]
        return np.cumsum((ahead[0] - ahead[1])[::-1])[::-1][1:]

    total = at_risk(omega)
    weighted = omega[:, None] * x
    ahead = summed(weighted, last, len(times) + 1) - summed(weighted, first, len(times) + 1)
    mean = np.cumsum(ahead[::-1], axis=0)[::-1][1:] / total[:, None]
    jump = deaths / total
    cumulated = np.concatenate([[0.0], np.cumsum(jump)])
    tilted = np.vstack([np.zeros(x.shape[1]), np.cumsum(mean * jump[:, None], axis=0)])
    x, first, last, omega = x[later], first[later], last[later], omega[later]
    moved = x * (cumulated[last] - cumulated[first])[:, None] - (tilted[last] - tilted[first])
    moved *= omega[:, None]
    # A stretch's weight has a factor for every censoring from the competing event to its start.
    c = len(curve.time)
    low = np.searchsorted(curve.time, exit[source[later]], "left")
    high = np.searchsorted(curve.time, begin[later], "right")
    steps = summed(moved, low, c + 1) - summed(moved, high, c + 1)
    q = np.cumsum(steps, axis=0)[:c]
    per = q / curve.at_risk[:, None]
    spent = np.vstack([np.zeros(x.shape[1]), np.cumsum(per * curve.hazard[:, None], axis=0)])
    rows = curve.rows
    censored = status[rows] == 0
    until = np.where(
        censored, np.searchsorted(curve.time, exit[rows], "right"),
        np.searchsorted(curve.time, exit[rows], "left"),
    )  # fmt: skip
    since = np.searchsorted(curve.time, entry[rows], "right")
    found = -(spent[until] - spent[np.minimum(since, until)])
    found[censored] += per[until[censored] - 1]
    return found * weight[rows][:, None]
