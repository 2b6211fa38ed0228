"""One row's log density and first derivatives at all quadrature nodes at once.

The numbers of `families.py` that are needed at the nodes, in loops over them that the compiler
turns into vector instructions. Each function adds the log density to `h` and writes its derivatives
in eta (`l1`) and in the row's two family parameters (`la`, `lb`), arrays of shape (M,); `at` are
the linear predictors. Families without parameters leave `la` and `lb` as they are.
"""

from __future__ import annotations

from numba import njit

from longsurv.likelihood.arithmetic.vector_exp import exp
from longsurv.likelihood.arithmetic.vector_log import log
from longsurv.likelihood.glmm.families import (
    BERNOULLI,
    CENSORED,
    EXACT,
    HALF_LOG_2PI,
    LEFT,
    ORDINAL,
    log_normal_cdf,
)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _bernoulli(y, at, h, l1):
    sign = 1.0 if y > 0.5 else -1.0
    for k in range(at.shape[0]):
        x = sign * at[k]
        e = exp(-abs(x))
        d = 1.0 / (1.0 + e)
        h[k] += min(x, 0.0) - log(1.0 + e)
        l1[k] = sign * (e * d if x >= 0.0 else d)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _ordinal(y, at, par, h, l1, la, lb):
    category = int(y)
    above, below = par[0, category + 1], par[0, category]
    log_gap, gap = par[1, category], par[2, category]
    for k in range(at.shape[0]):
        a, b = above - at[k], at[k] - below
        ea, eb = exp(-abs(a)), exp(-abs(b))
        da, db = 1.0 / (1.0 + ea), 1.0 / (1.0 + eb)
        h[k] += min(a, 0.0) + min(b, 0.0) - log((1.0 + ea) * (1.0 + eb)) + log_gap
        # 1 - F(a) and F(below - eta).
        rest = ea * da if a >= 0.0 else da
        left = eb * db if b >= 0.0 else db
        l1[k] = left - rest
        la[k] = rest + gap
        lb[k] = -left - gap


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _censored(y, kind, at, par, h, l1, la):
    scale = par[1, 0]
    if kind == EXACT:
        for k in range(at.shape[0]):
            r = (y - at[k]) * scale
            h[k] += -0.5 * r * r - par[0, 1] - HALF_LOG_2PI
            l1[k] = r * scale
            la[k] = r * r - 1.0
        return
    d = -1.0 if kind == LEFT else 1.0
    for k in range(at.shape[0]):
        r = -d * (y - at[k]) * scale
        value, m, _, _ = log_normal_cdf(r)
        h[k] += value
        l1[k] = d * m * scale
        la[k] = -r * m


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _student(y, at, par, h, l1, la, lb):
    scale, kappa = par[1, 0], par[0, 2]
    k1, constant = 1.0 + kappa, par[0, 3] - par[0, 1]
    for k in range(at.shape[0]):
        r = (y - at[k]) * scale
        r2 = r * r
        x = kappa * r2
        u = 1.0 + x
        d = 1.0 / u
        # log(1 + x) / x: what rounding takes from 1 + x it takes from u - 1 too.
        log_ratio = log(u) / (u - 1.0) if u != 1.0 else 1.0
        # (log(1 + x) - x / (1 + x)) / x^2
        near = 1 / 2 - x * (
            2 / 3 - x * (3 / 4 - x * (4 / 5 - x * (5 / 6 - x * (6 / 7 - x * 7 / 8))))
        )
        rest = (log_ratio - d) / x if x > 0.01 else near
        h[k] += constant - 0.5 * k1 * r2 * log_ratio
        l1[k] = k1 * r * scale * d
        la[k] = k1 * r2 * d - 1.0
        lb[k] = par[0, 4] + 0.5 * r2 * r2 * rest - 0.5 * r2 * d


@njit(cache=True, nogil=True, error_model="numpy")
def at_nodes(code, y, kind, at, par, h, l1, la, lb):
    """The row at every node, by family; see `families.row` for `par`."""
    if code == BERNOULLI:
        _bernoulli(y, at, h, l1)
    elif code == ORDINAL:
        _ordinal(y, at, par, h, l1, la, lb)
    elif code == CENSORED:
        _censored(y, kind, at, par, h, l1, la)
    else:
        _student(y, at, par, h, l1, la, lb)
