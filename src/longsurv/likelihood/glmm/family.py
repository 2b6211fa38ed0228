"""What a response family of the generalised mixed model has to say.

Its compiled functions stand in the same file, and `longsurv.likelihood.glmm.families` finds them by
the family's code. `row` gives the same eleven numbers of every row at a linear predictor eta:

    l                   log density
    l1, l2              its first and second derivative in eta
    w, w1               curvature that spaces the quadrature nodes, and its derivative in eta
    la, l1a, wa         derivatives of l, l1 and w in the row's first family parameter
    lb, l1b, wb         and in its second

For a log-concave family w = -l2. `at_nodes` has those that are needed at the quadrature nodes, in
loops over them that the compiler turns into vector instructions: it adds the log density to `h` and
writes its derivatives in eta (`l1`) and in the row's two family parameters (`la`, `lb`), arrays of
shape (M,); `at` are the linear predictors. Families without parameters leave `la` and `lb` as they
are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from longsurv.errors import LongsurvError

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

    from longsurv.priors.prior import Prior

EXACT, LEFT, RIGHT, INTERVAL = 0, 1, 2, 3


def kinds_of(extent: np.ndarray) -> np.ndarray:
    """EXACT, LEFT, RIGHT or INTERVAL of values known to lie between y and y + extent, (n,)."""
    beyond = np.where(extent < 0.0, LEFT, RIGHT)
    return np.where(extent == 0.0, EXACT, np.where(np.isinf(extent), beyond, INTERVAL))


def middle_of(y: np.ndarray, extent: np.ndarray) -> np.ndarray:
    """The value, its limit or the middle between two, (n,)."""
    return y + np.where(np.isinf(extent), 0.0, 0.5 * extent)


@dataclass(frozen=True)
class Family(ABC):
    """A distribution of the response around a linear predictor.

    phi are its parameters as the climb has them (see `glmm.loglik_factor`): of a measured response
    log sigma first.

    Attributes
    ----------
    name : str
        What `GLMM` calls it.
    code : int
        Under which the compiled functions are found.
    response : {"binary", "ordered", "number"}
        How a column is read.
    logit : bool
        Whether the predictor is a log odds, and so its mean a probability.
    log : bool
        Whether the predictor is the logarithm of the mean.
    wanted : str
        What a value is, where not every number is one.
    row_variance : {"none", "known", "free"}
        What one row by itself says of random effects: nothing; their variance, as the response's
        own is known; their variance and a parameter of the response together.
    measured : bool
        Whether the response is a measurement in some unit, with a residual spread.
    log_normal : bool
        Whether the exponential of a response has a mean: exp(eta + sigma^2 / 2).
    thresholds : bool
        Whether thresholds stand in place of the intercept.
    takes_censored, takes_df : bool
        Whether it has these options.
    wider : str
        The family that this one is the edge of, where its one parameter is 0; empty if none is.
    separated : str
        Why there is no maximum where covariates, the `{terms}`, separate the values; empty where
        they cannot.
    """

    name: ClassVar[str]
    code: ClassVar[int]
    response: ClassVar[Literal["binary", "ordered", "number"]] = "number"
    logit: ClassVar[bool] = False
    log: ClassVar[bool] = False
    wanted: ClassVar[str] = ""
    row_variance: ClassVar[Literal["none", "known", "free"]] = "none"
    measured: ClassVar[bool] = False
    log_normal: ClassVar[bool] = False
    thresholds: ClassVar[bool] = False
    takes_censored: ClassVar[bool] = False
    takes_df: ClassVar[bool] = False
    wider: ClassVar[str] = ""
    separated: ClassVar[str] = ""

    # ---- parameters ----

    def names(self, labels: Sequence[str], df: float | None) -> tuple[str, ...]:
        """Names of the parameters of a response with these categories, or these fixed degrees of
        freedom."""
        return ()

    def climbed_names(self, names: Sequence[str]) -> tuple[str, ...]:
        """Names of phi, from those of the parameters."""
        return tuple(names)

    def levels(self, y: np.ndarray) -> int:
        """Number of categories of a response with thresholds, else 0."""
        return 0

    def size(self, levels: int, kappa: float) -> int:
        """Number of parameters that are estimated."""
        return 0

    @abstractmethod
    def start(
        self, X: np.ndarray, y: np.ndarray, levels: int, size: int, offset: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """beta (p,) and phi (size,) to start a climb from, X being orthogonal columns of unit
        size, beside which the predictor has an offset (n,)."""

    def lower(self, size: int) -> np.ndarray:
        """Lower bounds of phi, shape (size,)."""
        return np.full(size, -np.inf)

    def unconstrained(self, phi: np.ndarray) -> np.ndarray:
        """The parameters as `glmm.loglik` has them."""
        return phi

    def natural(self, phi: np.ndarray) -> np.ndarray:
        """The parameters that are reported beside variances."""
        return np.empty(0)

    def natural_draws(self, own: np.ndarray) -> np.ndarray:
        """All parameters on their natural scale, shape (S, size), from draws of those of
        `glmm.loglik`."""
        return np.exp(own)

    def boundary(self, name: str, value: float) -> str | None:
        """What to say of a parameter whose estimate is on its boundary, or None where it is not."""
        return None

    def coefficients(self, phi: np.ndarray) -> np.ndarray:
        """The parameters that are reported beside coefficients, shape (k,)."""
        return np.empty(0)

    def coefficient_slopes(self, phi: np.ndarray) -> np.ndarray:
        """Derivatives of `coefficients` in phi, shape (k, size)."""
        return np.empty((0, len(phi)))

    # ---- responses ----

    def refused(self, y: np.ndarray) -> np.ndarray:
        """Which values cannot be, shape (n,)."""
        return np.zeros(len(y), dtype=bool)

    def level(self, y: np.ndarray, offset: np.ndarray) -> float:
        """About where the predictor is without its offset: the mean of the intercept's prior."""
        return 0.0

    def spread(self, y: np.ndarray, offset: np.ndarray) -> float:
        """A unit of the predictor, in which priors are wide or narrow."""
        return 1.0

    @abstractmethod
    def mean(self, eta: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """Mean response at predictors of any shape; of one with thresholds the probabilities of the
        categories, in a last axis."""

    @abstractmethod
    def variance_around(self, mean: float, phi: np.ndarray, kappa: float) -> float:
        """Variance of responses around the predictor, on its scale, where `mean` is a count's
        expected value; `phi` and `kappa` as for `replicate`."""

    @abstractmethod
    def cumulative(
        self, y: np.ndarray, eta: np.ndarray, phi: np.ndarray, kappa: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """P(Y <= y) and P(Y > y) at predictors, each (n,), exact in its own tail; `phi` and `kappa`
        as for `replicate`. A discrete response has y = -1 below its first value."""

    def replicate(
        self, eta: np.ndarray, phi: np.ndarray, kappa: float, rng: np.random.Generator
    ) -> np.ndarray:
        """Responses drawn at predictors (n,), shape (n,); `kappa` is 1 / df of a response whose
        degrees of freedom are given, else NaN.

        Raises
        ------
        LongsurvError
            Of a family that does not say how.
        """
        raise LongsurvError(f"values of the family {self.name!r} cannot be replicated yet")

    def outcome(self, y: np.ndarray, kind: np.ndarray) -> np.ndarray:
        """What of each row, of a kind as in `kinds_of`, says where its predictor may go, shape
        (n,)."""
        return y

    def rising(
        self, X: np.ndarray, outcome: np.ndarray, levels: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Directions (d, k) of (beta, thresholds) that are free, and rows (r, d) whose product with
        a direction along which the likelihood never falls is not negative."""
        d = X.shape[1]
        return np.eye(d), np.empty((0, d))

    # ---- priors and twin ----

    def default_priors(self, names: Sequence[str], spread: float) -> dict[str, Prior]:
        """Priors of the parameters; `spread` is the SD of a measured response, else 1."""
        return {}

    @abstractmethod
    def twin(
        self,
        mean: TensorVariable,
        own: Sequence[TensorVariable],
        y: np.ndarray,
        extent: np.ndarray,
        df: float | None,
    ) -> None:
        """State y in the PyMC model in context: `mean` is the predictor, `own` the parameters, each
        as it has a prior; a row lies between y and y + extent."""
