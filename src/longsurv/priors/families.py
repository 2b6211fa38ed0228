"""The prior families. `longsurv.priors` is where to find them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from longsurv.arguments import checked_last
from longsurv.priors.prior import Prior

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


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

        p = np.asarray(p, dtype=float)
        below = np.where(p > 0.0, stdtrit(self.df, np.where(p > 0.0, p, 0.5)), -math.inf)
        return self.mean + self.scale * below


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

    def drawn(self, count: int, rng: np.random.Generator) -> np.ndarray:
        return self.sd * np.abs(rng.standard_normal(count))

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

    def drawn(self, count: int, rng: np.random.Generator) -> np.ndarray:
        return rng.exponential(self.scale, count)

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

    def drawn(self, count: int, rng: np.random.Generator) -> np.ndarray:
        return rng.gamma(self.shape, 1.0 / self.rate, count)

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
    def student(self) -> StudentT:
        """The same as Student's t with one degree of freedom."""
        return StudentT(1.0, self.location, self.scale)

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
        p = np.asarray(p, dtype=float)
        # From the nearer end: one half less than a small p is one half.
        side = np.minimum(p, 1.0 - p)
        with np.errstate(divide="ignore"):  # at 0 and 1 infinite
            away = np.where(
                side < 0.25, 1.0 / np.tan(math.pi * side), np.tan(math.pi * (0.5 - side))
            )
        return self.location + self.scale * np.where(p < 0.5, -away, away)


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
        p = np.asarray(p, dtype=float)
        with np.errstate(divide="ignore"):  # at 0 and 1 infinite
            away = -np.log(2.0 * np.minimum(p, 1.0 - p))
        return self.mean + self.scale * np.where(p < 0.5, -away, away)


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

    def drawn(self, count: int, rng: np.random.Generator) -> np.ndarray:
        return self.scale * np.abs(rng.standard_cauchy(count))

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

    def drawn(self, count: int, rng: np.random.Generator) -> np.ndarray:
        return self.scale / rng.gamma(self.shape, 1.0, count)

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
