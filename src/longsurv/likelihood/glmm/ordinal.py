"""A response in ordered categories: P(y <= k) = F(cut_k - eta), the cumulative logit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numba import njit
from scipy.special import expit, logit

from longsurv.likelihood.arithmetic.logistic import logistic
from longsurv.likelihood.arithmetic.vector_exp import exp
from longsurv.likelihood.arithmetic.vector_log import log
from longsurv.likelihood.glmm.family import Family

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

    from longsurv.priors.prior import Prior

CODE = 1


@njit(cache=True, nogil=True, error_model="numpy")
def row(y, eta, par):
    """The eleven numbers of a row.

    With a and b the cuts above and below the category, less eta,
    F(a) - F(b) = F(a) F(-b) (1 - exp(b - a)): no difference of nearly equal numbers, and only the
    last factor is free of eta. Parameters of the row: the cut above, the cut below.
    """
    k = int(y)
    a, b = par[0, k + 1] - eta, par[0, k] - eta
    Fa, log_Fa, _ = logistic(a)
    Fb, _, log_Gb = logistic(b)
    fa, fb = Fa * (1.0 - Fa), Fb * (1.0 - Fb)
    da, db = fa * (1.0 - 2.0 * Fa), fb * (1.0 - 2.0 * Fb)
    gap = par[2, k]
    value = log_Fa + log_Gb + par[1, k]
    return (
        value, Fa - 1.0 + Fb, -fa - fb, fa + fb, -da - db,
        1.0 - Fa + gap, fa, da,
        -Fb - gap, fb, db,
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def at_nodes(y, at, par, h, l1, la, lb):
    """The row at every node; see `longsurv.likelihood.glmm.family`."""
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


@njit(cache=True, nogil=True, error_model="numpy")
def constants(phi, levels, par):
    """Write cuts from -inf to inf; log(1 - exp(-gap)) and 1 / (exp(gap) - 1) of each category."""
    par[0, 0] = -math.inf
    par[0, levels] = math.inf
    par[0, 1] = phi[0]
    for k in range(1, levels - 1):
        gap = math.exp(phi[k])
        par[0, k + 1] = par[0, k] + gap
        par[1, k] = math.log(-math.expm1(-gap))
        par[2, k] = 1.0 / math.expm1(gap)


@njit(cache=True, nogil=True, error_model="numpy")
def parameter_gradient(phi, levels, raw, out):
    """Write the gradient in phi from `raw`, that in the cuts."""
    tail = 0.0
    for k in range(levels - 2, -1, -1):
        tail += raw[k + 1]
        out[k] = tail * (math.exp(phi[k]) if k else 1.0)


@dataclass(frozen=True)
class Ordinal(Family):
    """Categories 0, 1, ... with thresholds between them.

    phi is the first threshold, then the logarithms of the gaps between them.
    """

    name: ClassVar[str] = "ordinal"
    code: ClassVar[int] = CODE
    response: ClassVar[Literal["binary", "ordered", "number"]] = "ordered"
    logit: ClassVar[bool] = True
    thresholds: ClassVar[bool] = True
    separated: ClassVar[str] = (
        "{terms} separate its values: for some combination of them only one outcome occurs"
    )

    def names(self, labels: Sequence[str], df: float | None) -> tuple[str, ...]:
        """The two categories that each threshold lies between."""
        return tuple(f"{a}|{b}" for a, b in pairwise(labels))

    def levels(self, y: np.ndarray) -> int:
        """Number of categories."""
        return int(y.max()) + 1

    def size(self, levels: int, kappa: float) -> int:
        """Number of thresholds."""
        return levels - 1

    def start(
        self, X: np.ndarray, y: np.ndarray, levels: int, size: int, offset: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """No effects, and the thresholds of the shares of the categories."""
        n, phi = len(y), np.zeros(size)
        below = np.cumsum(np.bincount(y.astype(int), minlength=levels))[:-1] / n
        cuts = logit(np.clip(below, 0.5 / n, 1.0 - 0.5 / n))
        phi[0] = cuts[0]
        phi[1:] = np.log(np.maximum(np.diff(cuts), 1e-3))
        return np.zeros(X.shape[1]), phi

    def natural_draws(self, own: np.ndarray) -> np.ndarray:
        """The thresholds, shape (S, size)."""
        cuts = np.exp(own)
        cuts[:, 0] = own[:, 0]
        return np.cumsum(cuts, axis=1)

    def coefficients(self, phi: np.ndarray) -> np.ndarray:
        """The thresholds."""
        return np.cumsum(np.append(phi[0], np.exp(phi[1:])))

    def coefficient_slopes(self, phi: np.ndarray) -> np.ndarray:
        """Derivatives of the thresholds in phi, shape (size, size)."""
        steps = np.append(1.0, np.exp(phi[1:]))
        return np.tril(np.broadcast_to(steps, (len(phi), len(phi))))

    def mean(self, eta: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """Probabilities of the categories, in a last axis."""
        below = expit(coefficients - eta[..., None])
        ends = (np.zeros_like(eta)[..., None], np.ones_like(eta)[..., None])
        return np.diff(np.concatenate([ends[0], below, ends[1]], axis=-1), axis=-1)

    def variance_around(self, mean: float, phi: np.ndarray, kappa: float) -> float:
        """Of a standard logistic variable."""
        return math.pi**2 / 3.0

    def cumulative(
        self, y: np.ndarray, eta: np.ndarray, phi: np.ndarray, kappa: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """P(Y <= y) and P(Y > y)."""
        cuts = np.concatenate([[-np.inf], self.coefficients(phi), [np.inf]])
        at = cuts[y.astype(np.int64) + 1] - eta
        return expit(at), expit(-at)

    def replicate(
        self, eta: np.ndarray, phi: np.ndarray, kappa: float, rng: np.random.Generator
    ) -> np.ndarray:
        """Categories at predictors (n,)."""
        at = eta + rng.logistic(size=len(eta))
        return (at[:, None] > self.coefficients(phi)).sum(axis=1).astype(float)

    def rising(
        self, X: np.ndarray, outcome: np.ndarray, levels: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The cut above a category rises from its predictor, that below it falls."""
        cuts = levels - 1
        each, k = np.eye(cuts), outcome.astype(int)
        top, bottom = k < cuts, k > 0
        above = np.hstack([-X[top], each[k[top]]])
        below = np.hstack([X[bottom], -each[k[bottom] - 1]])
        return np.eye(X.shape[1] + cuts), np.vstack([above, below])

    def default_priors(self, names: Sequence[str], spread: float) -> dict[str, Prior]:
        """Of the first threshold, and of the gap below each other one."""
        from longsurv.priors.families import Exponential, Normal

        gaps: dict[str, Prior] = {f"gap({name})": Exponential(2.0) for name in names[1:]}
        return {names[0]: Normal(0.0, 5.0)} | gaps

    def twin(
        self,
        mean: TensorVariable,
        own: Sequence[TensorVariable],
        y: np.ndarray,
        extent: np.ndarray,
        df: float | None,
    ) -> None:
        """State y in the PyMC model in context."""
        import pymc as pm

        cuts = pm.math.cumsum(pm.math.stack(own))
        pm.OrderedLogistic("y", mean, cuts, observed=y.astype(int), dims="row")
