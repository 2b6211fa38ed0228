"""The prior families: log density, gradient and PyMC twin. `longsurv.priors` is where to find
them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from numba import njit

from longsurv.arguments import checked, checked_last
from longsurv.errors import LongsurvError

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
LOG_2 = math.log(2.0)
MOSTLY_PRIOR = 0.5
"""Posterior over prior variance from which on an answer is called mostly its prior's."""


_NO_EFFECT = "a treatment effect takes a Normal or StudentT prior, or a Mixture of them, not {}"


class Component(NamedTuple):
    """One part of a scalar prior, as the compiled log density takes it."""

    log_weight: float
    code: int
    constants: tuple[float, float, float]


class Prior:
    """A distribution for one parameter. The families below are its only kinds."""

    code: ClassVar[int]
    positive: ClassVar[bool]

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if not (isinstance(value, int | float) and math.isfinite(value)):
                raise LongsurvError(f"{type(self).__name__}: {field.name} must be a finite number")
            if field.name not in ("mean", "location") and value <= 0:
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

    @property
    def components(self) -> tuple[Component, ...]:
        """What the compiled log density adds up: itself alone, unless it is a mixture."""
        return (Component(0.0, self.code, self.constants),)

    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation (infinite where there is none)."""
        raise LongsurvError(f"{type(self).__name__} has no scalar moments")

    @property
    def typical(self) -> float:
        """A size to scale by: the mean or, where that is infinite, the median."""
        return self.moments()[0]

    def distribution(self, x: np.ndarray) -> np.ndarray:
        """Distribution function at x."""
        raise LongsurvError(_NO_EFFECT.format(self))

    def quantiles(self, p: np.ndarray) -> np.ndarray:
        """Quantiles at p."""
        raise LongsurvError(_NO_EFFECT.format(self))

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

    def moments(self) -> tuple[float, float]:
        return self.mean, self.sd

    def distribution(self, x: np.ndarray) -> np.ndarray:
        from scipy.special import ndtr

        return ndtr((np.asarray(x) - self.mean) / self.sd)

    def quantiles(self, p: np.ndarray) -> np.ndarray:
        from scipy.special import ndtri

        return self.mean + self.sd * ndtri(p)


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

    def moments(self) -> tuple[float, float]:
        wide = self.df <= 2.0
        return self.mean, math.inf if wide else self.scale * math.sqrt(self.df / (self.df - 2))

    def distribution(self, x: np.ndarray) -> np.ndarray:
        from scipy.special import stdtr

        return stdtr(self.df, (np.asarray(x) - self.mean) / self.scale)

    def quantiles(self, p: np.ndarray) -> np.ndarray:
        from scipy.special import stdtrit

        return self.mean + self.scale * stdtrit(self.df, p)


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

    def moments(self) -> tuple[float, float]:
        return self.sd * math.sqrt(2 / math.pi), self.sd * math.sqrt(1 - 2 / math.pi)


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

    def moments(self) -> tuple[float, float]:
        return self.scale, self.scale


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

    def moments(self) -> tuple[float, float]:
        return self.shape / self.rate, math.sqrt(self.shape) / self.rate


@checked_last
@dataclass(frozen=True)
class Cauchy(Prior):
    """Cauchy with a location (its median) and a scale; it has no mean."""

    location: float = 0.0
    scale: float = 1.0
    code: ClassVar[int] = 6
    positive: ClassVar[bool] = False

    @property
    def constants(self) -> tuple[float, float, float]:
        return (self.location, self.scale, 0.0)

    def to_pymc(self, name: str) -> TensorVariable:
        import pymc as pm

        return pm.Cauchy(name, alpha=self.location, beta=self.scale)

    def scaled(self, factor: float) -> Cauchy:
        return Cauchy(self.location * factor, self.scale * factor)

    def moments(self) -> tuple[float, float]:
        return self.location, math.inf

    def distribution(self, x: np.ndarray) -> np.ndarray:
        return 0.5 + np.arctan((np.asarray(x) - self.location) / self.scale) / math.pi

    def quantiles(self, p: np.ndarray) -> np.ndarray:
        return self.location + self.scale * np.tan(math.pi * (np.asarray(p) - 0.5))


@checked_last
@dataclass(frozen=True)
class Laplace(Prior):
    """Laplace (double exponential) with a mean and a scale."""

    mean: float = 0.0
    scale: float = 1.0
    code: ClassVar[int] = 7
    positive: ClassVar[bool] = False

    @property
    def constants(self) -> tuple[float, float, float]:
        return (self.mean, self.scale, 0.0)

    def to_pymc(self, name: str) -> TensorVariable:
        import pymc as pm

        return pm.Laplace(name, mu=self.mean, b=self.scale)

    def scaled(self, factor: float) -> Laplace:
        return Laplace(self.mean * factor, self.scale * factor)

    def moments(self) -> tuple[float, float]:
        return self.mean, math.sqrt(2.0) * self.scale

    def distribution(self, x: np.ndarray) -> np.ndarray:
        u = (np.asarray(x) - self.mean) / self.scale
        tail = 0.5 * np.exp(-np.abs(u))
        return np.where(u < 0.0, tail, 1.0 - tail)

    def quantiles(self, p: np.ndarray) -> np.ndarray:
        away = np.asarray(p) - 0.5
        return self.mean - self.scale * np.sign(away) * np.log1p(-2.0 * np.abs(away))


@checked_last
@dataclass(frozen=True)
class HalfCauchy(Prior):
    """Cauchy around 0 kept above zero, with a scale (its median); it has no mean."""

    scale: float = 1.0
    code: ClassVar[int] = 8
    positive: ClassVar[bool] = True

    @property
    def constants(self) -> tuple[float, float, float]:
        return (self.scale, 0.0, 0.0)

    def to_pymc(self, name: str) -> TensorVariable:
        import pymc as pm

        return pm.HalfCauchy(name, beta=self.scale)

    def scaled(self, factor: float) -> HalfCauchy:
        return HalfCauchy(self.scale * factor)

    def moments(self) -> tuple[float, float]:
        return math.inf, math.inf

    @property
    def typical(self) -> float:
        return self.scale


@checked_last
@dataclass(frozen=True)
class InverseGamma(Prior):
    """Inverse gamma with a shape and a scale: 1 / x is Gamma(shape, rate=scale)."""

    shape: float = 3.0
    scale: float = 1.0
    code: ClassVar[int] = 9
    positive: ClassVar[bool] = True

    @property
    def constants(self) -> tuple[float, float, float]:
        constant = self.shape * math.log(self.scale) - math.lgamma(self.shape)
        return (self.shape, self.scale, constant)

    def to_pymc(self, name: str) -> TensorVariable:
        import pymc as pm

        return pm.InverseGamma(name, alpha=self.shape, beta=self.scale)

    def scaled(self, factor: float) -> InverseGamma:
        return InverseGamma(self.shape, self.scale * factor)

    def moments(self) -> tuple[float, float]:
        a, b = self.shape, self.scale
        mean = b / (a - 1.0) if a > 1.0 else math.inf
        return mean, mean / math.sqrt(a - 2.0) if a > 2.0 else math.inf

    @property
    def typical(self) -> float:
        from scipy.special import gammainccinv

        mean = self.moments()[0]
        return mean if math.isfinite(mean) else self.scale / float(gammainccinv(self.shape, 0.5))


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
    if code == 6 or code == 8:
        u = (x - a) / b if code == 6 else x / a
        size = b if code == 6 else a
        value = -math.log(math.pi * size) - math.log1p(u * u) + (0.0 if code == 6 else LOG_2)
        return value, -2.0 * u / (1.0 + u * u) / size
    if code == 7:
        u = (x - a) / b
        return -abs(u) - math.log(2.0 * b), -np.sign(u) / b
    if code == 9:
        return c - (a + 1.0) * math.log(x) - b / x, (b / x - (a + 1.0)) / x
    return c + (a - 1.0) * math.log(x) - b * x, (a - 1.0) / x - b


@njit(cache=True, nogil=True, error_model="numpy")
def mixed_log_density(
    first: int,
    last: int,
    log_weights: np.ndarray,
    codes: np.ndarray,
    constants: np.ndarray,
    x: float,
) -> tuple[float, float]:
    """Log density and derivative at x of the components from `first` up to `last`."""
    top, slope = scalar_log_density(
        codes[first], constants[first, 0], constants[first, 1], constants[first, 2], x
    )
    if last == first + 1:
        return top, slope
    # Relative to the largest so far, as densities far out underflow.
    top += log_weights[first]
    total, slopes = 1.0, slope
    for j in range(first + 1, last):
        value, slope = scalar_log_density(
            codes[j], constants[j, 0], constants[j, 1], constants[j, 2], x
        )
        value += log_weights[j]
        if value > top:
            shrunk = math.exp(top - value)
            total, slopes, top = total * shrunk + 1.0, slopes * shrunk + slope, value
        else:
            part = math.exp(value - top)
            total, slopes = total + part, slopes + part * slope
    return top + math.log(total), slopes / total


@njit(cache=True, nogil=True, error_model="numpy")
def _each_flat(
    log_weights: np.ndarray, codes: np.ndarray, constants: np.ndarray, x: np.ndarray
) -> np.ndarray:
    out = np.empty(x.shape[0])
    for i in range(x.shape[0]):
        out[i] = mixed_log_density(0, codes.shape[0], log_weights, codes, constants, x[i])[0]
    return out


class Packed(NamedTuple):
    """Components of several priors as arrays, those of prior j from `first[j]` to `first[j + 1]`.

    Attributes
    ----------
    first : ndarray of int, shape (m + 1,)
    log_weights : ndarray, shape (c,)
    codes : ndarray of int, shape (c,)
    constants : ndarray, shape (c, 3)
    """

    first: np.ndarray
    log_weights: np.ndarray
    codes: np.ndarray
    constants: np.ndarray


def packed(priors: Sequence[Prior]) -> Packed:
    """Scalar priors as the compiled log density takes them."""
    parts = [prior.components for prior in priors]
    every = [component for some in parts for component in some]
    return Packed(
        np.concatenate([[0], np.cumsum([len(some) for some in parts])]).astype(np.int64),
        np.array([component.log_weight for component in every], dtype=float),
        np.array([component.code for component in every], dtype=np.int64),
        np.array([component.constants for component in every], dtype=float).reshape(-1, 3),
    )


def log_densities(prior: Prior, x: np.ndarray) -> np.ndarray:
    """Log density of a scalar prior at each x, of any shape."""
    one, flat = packed((prior,)), np.ascontiguousarray(x, dtype=float).ravel()
    return _each_flat(one.log_weights, one.codes, one.constants, flat).reshape(x.shape)


def log_density(prior: Prior, x: float) -> tuple[float, float]:
    """Log density of a scalar prior at x, and its derivative."""
    one = packed((prior,))
    value, slope = mixed_log_density(
        0, len(one.codes), one.log_weights, one.codes, one.constants, float(x)
    )
    return float(value), float(slope)


def moments(prior: Prior) -> tuple[float, float]:
    """Mean and standard deviation of a prior (infinite where it has none)."""
    return prior.moments()


@checked
def distribution(prior: Prior, x: np.ndarray) -> np.ndarray:
    """Distribution function of a prior of an effect: Normal, StudentT or a Mixture of them.

    Parameters
    ----------
    prior : Prior
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
    return prior.distribution(x)


@checked
def quantiles(prior: Prior, p: np.ndarray) -> np.ndarray:
    """Quantiles of a prior of an effect: Normal, StudentT or a Mixture of them.

    Parameters
    ----------
    prior : Prior
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
    return prior.quantiles(p)
