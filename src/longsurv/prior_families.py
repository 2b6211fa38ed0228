"""The prior families: log density, gradient and PyMC twin. `longsurv.priors` is where to find
them."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numba import njit

from longsurv.arguments import checked, checked_last
from longsurv.errors import LongsurvError

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
MOSTLY_PRIOR = 0.5
"""Posterior over prior variance from which on an answer is called mostly its prior's."""


class Prior:
    """A distribution for one parameter. The families below are its only kinds."""

    code: ClassVar[int]
    positive: ClassVar[bool]

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if not (isinstance(value, int | float) and math.isfinite(value)):
                raise LongsurvError(f"{type(self).__name__}: {field.name} must be a finite number")
            if field.name != "mean" and value <= 0:
                raise LongsurvError(
                    f"{type(self).__name__}: {field.name} must be greater than 0, got {value}"
                )

    @property
    def constants(self) -> tuple[float, float, float]:
        """Parameters as the compiled log density takes them."""
        raise NotImplementedError

    def to_pymc(self, name: str) -> TensorVariable:
        """The same distribution as a PyMC variable of the model in context."""
        raise NotImplementedError

    def scaled(self, factor: float) -> Prior:
        """The distribution of factor times the parameter, factor > 0."""
        raise NotImplementedError

    def __str__(self) -> str:
        inside = ", ".join(f"{getattr(self, f.name):.4g}" for f in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({inside})"


@checked_last
@dataclass(frozen=True, repr=True)
class Normal(Prior):
    """Normal distribution with a mean and a standard deviation."""

    mean: float = 0.0
    sd: float = 1.0
    code: ClassVar[int] = 0
    positive: ClassVar[bool] = False
    __str__ = Prior.__str__

    @property
    def constants(self) -> tuple[float, float, float]:
        return (self.mean, self.sd, 0.0)

    def to_pymc(self, name: str) -> TensorVariable:
        import pymc as pm

        return pm.Normal(name, self.mean, self.sd)

    def scaled(self, factor: float) -> Normal:
        return Normal(self.mean * factor, self.sd * factor)


@checked_last
@dataclass(frozen=True)
class StudentT(Prior):
    """Student's t with `df` degrees of freedom, a mean and a scale."""

    df: float = 4.0
    mean: float = 0.0
    scale: float = 1.0
    code: ClassVar[int] = 1
    positive: ClassVar[bool] = False

    @property
    def constants(self) -> tuple[float, float, float]:
        return (self.mean, self.scale, self.df)

    def to_pymc(self, name: str) -> TensorVariable:
        import pymc as pm

        return pm.StudentT(name, nu=self.df, mu=self.mean, sigma=self.scale)

    def scaled(self, factor: float) -> StudentT:
        return StudentT(self.df, self.mean * factor, self.scale * factor)


@checked_last
@dataclass(frozen=True)
class HalfNormal(Prior):
    """Normal(0, sd) kept above zero."""

    sd: float = 1.0
    code: ClassVar[int] = 2
    positive: ClassVar[bool] = True

    @property
    def constants(self) -> tuple[float, float, float]:
        return (self.sd, 0.0, 0.0)

    def to_pymc(self, name: str) -> TensorVariable:
        import pymc as pm

        return pm.HalfNormal(name, sigma=self.sd)

    def scaled(self, factor: float) -> HalfNormal:
        return HalfNormal(self.sd * factor)


@checked_last
@dataclass(frozen=True)
class Exponential(Prior):
    """Exponential with the given scale (its mean)."""

    scale: float = 1.0
    code: ClassVar[int] = 3
    positive: ClassVar[bool] = True

    @property
    def constants(self) -> tuple[float, float, float]:
        return (self.scale, 0.0, 0.0)

    def to_pymc(self, name: str) -> TensorVariable:
        import pymc as pm

        return pm.Exponential(name, scale=self.scale)

    def scaled(self, factor: float) -> Exponential:
        return Exponential(self.scale * factor)


@checked_last
@dataclass(frozen=True)
class Gamma(Prior):
    """Gamma with a shape and a rate."""

    shape: float = 2.0
    rate: float = 1.0
    code: ClassVar[int] = 4
    positive: ClassVar[bool] = True

    @property
    def constants(self) -> tuple[float, float, float]:
        constant = self.shape * math.log(self.rate) - math.lgamma(self.shape)
        return (self.shape, self.rate, constant)

    def to_pymc(self, name: str) -> TensorVariable:
        import pymc as pm

        return pm.Gamma(name, alpha=self.shape, beta=self.rate)

    def scaled(self, factor: float) -> Gamma:
        return Gamma(self.shape, self.rate / factor)


@checked_last
@dataclass(frozen=True)
class LKJ(Prior):
    """LKJ distribution of a correlation matrix: density proportional to det(C)^(eta - 1).

    Lewandowski, Kurowicka & Joe (2009), J Multivar Anal 100:1989-2001.
    """

    eta: float = 2.0
    code: ClassVar[int] = 5
    positive: ClassVar[bool] = False

    @property
    def constants(self) -> tuple[float, float, float]:
        return (self.eta, 0.0, 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def scalar_log_density(code: int, a: float, b: float, c: float, x: float) -> tuple[float, float]:
    """Log density and derivative at x of one scalar prior."""
    if code == 0:
        u = (x - a) / b
        return -0.5 * u * u - math.log(b) - HALF_LOG_2PI, -u / b
    if code == 1:
        u = (x - a) / b
        constant = math.lgamma(0.5 * (c + 1.0)) - math.lgamma(0.5 * c) - 0.5 * math.log(c * math.pi)
        value = constant - math.log(b) - 0.5 * (c + 1.0) * math.log1p(u * u / c)
        return value, -(c + 1.0) * u / (c + u * u) / b
    if code == 2:
        return -0.5 * (x / a) ** 2 - math.log(a) - HALF_LOG_2PI + math.log(2.0), -x / (a * a)
    if code == 3:
        return -x / a - math.log(a), -1.0 / a
    return c + (a - 1.0) * math.log(x) - b * x, (a - 1.0) / x - b


@njit(cache=True, nogil=True, error_model="numpy")
def _each_flat(code: int, a: float, b: float, c: float, x: np.ndarray) -> np.ndarray:
    out = np.empty(x.shape[0])
    for i in range(x.shape[0]):
        out[i] = scalar_log_density(code, a, b, c, x[i])[0]
    return out


def log_densities(prior: Prior, x: np.ndarray) -> np.ndarray:
    """Log density of a scalar prior at each x, of any shape."""
    return _each_flat(prior.code, *prior.constants, np.ascontiguousarray(x).ravel()).reshape(
        x.shape
    )


def log_density(prior: Prior, x: float) -> tuple[float, float]:
    """Log density of a scalar prior at x, and its derivative."""
    value, slope = scalar_log_density(prior.code, *prior.constants, float(x))
    return float(value), float(slope)


def moments(prior: Prior) -> tuple[float, float]:
    """Mean and standard deviation of a prior (infinite where it has none)."""
    if isinstance(prior, Normal):
        return prior.mean, prior.sd
    if isinstance(prior, StudentT):
        return prior.mean, prior.scale * math.sqrt(
            prior.df / (prior.df - 2)
        ) if prior.df > 2 else math.inf
    if isinstance(prior, HalfNormal):
        return prior.sd * math.sqrt(2 / math.pi), prior.sd * math.sqrt(1 - 2 / math.pi)
    if isinstance(prior, Exponential):
        return prior.scale, prior.scale
    if isinstance(prior, Gamma):
        return prior.shape / prior.rate, math.sqrt(prior.shape) / prior.rate
    raise LongsurvError(f"{type(prior).__name__} has no scalar moments")


@checked
def distribution(prior: Prior, x: np.ndarray) -> np.ndarray:
    """Distribution function of a Normal or a StudentT prior.

    Parameters
    ----------
    prior : Normal or StudentT
    x : ndarray, any shape

    Returns
    -------
    ndarray
        Of the shape of `x`.

    Raises
    ------
    LongsurvError
        For a prior of another family.
    """
    from scipy.special import ndtr, stdtr

    if isinstance(prior, Normal):
        return ndtr((np.asarray(x) - prior.mean) / prior.sd)
    if isinstance(prior, StudentT):
        return stdtr(prior.df, (np.asarray(x) - prior.mean) / prior.scale)
    raise LongsurvError(f"a treatment effect takes a Normal or StudentT prior, not {prior}")


@checked
def quantiles(prior: Prior, p: np.ndarray) -> np.ndarray:
    """Quantiles of a Normal or a StudentT prior.

    Parameters
    ----------
    prior : Normal or StudentT
    p : ndarray, any shape
        Between 0 and 1.

    Returns
    -------
    ndarray
        Of the shape of `p`.

    Raises
    ------
    LongsurvError
        For a prior of another family.
    """
    from scipy.special import ndtri, stdtrit

    if isinstance(prior, Normal):
        return prior.mean + prior.sd * ndtri(p)
    if isinstance(prior, StudentT):
        return prior.mean + prior.scale * stdtrit(prior.df, p)
    raise LongsurvError(f"a treatment effect takes a Normal or StudentT prior, not {prior}")
