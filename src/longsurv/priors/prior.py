"""What every prior is asked: what compiled code needs of it, its moments, its PyMC twin."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from longsurv.arguments import checked
from longsurv.errors import LongsurvError

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

MOSTLY_PRIOR = 0.5
"""Posterior over prior variance from which on an answer is called mostly its prior's."""

_NO_EFFECT = (
    "a treatment effect takes a Normal or StudentT prior, or another of any number, or a Mixture of"
    " them, not {}"
)


class Component(NamedTuple):
    """One part of a scalar prior, as the compiled log density takes it."""

    log_weight: float
    code: int
    constants: tuple[float, float, float]


class Prior:
    """A distribution for one parameter. Its kinds are in `families`, and mixtures of them."""

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

    def drawn(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Values drawn from it, shape (count,)."""
        return self.quantiles(rng.random(count))

    def __str__(self) -> str:
        inside = ", ".join(f"{getattr(self, f.name):.4g}" for f in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({inside})"


def moments(prior: Prior) -> tuple[float, float]:
    """Mean and standard deviation of a prior (infinite where it has none)."""
    return prior.moments()


@checked
def distribution(prior: Prior, x: np.ndarray) -> np.ndarray:
    """Distribution function of a prior of an effect: a family of any number, or a Mixture.

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
    """Quantiles of a prior of an effect: a family of any number, or a Mixture.

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
        For a prior of another family, or what is no probability.
    """
    chances = np.asarray(p, dtype=float)
    if not ((chances >= 0.0) & (chances <= 1.0)).all():
        raise LongsurvError(f"p is of probabilities, from 0 to 1, not {chances}")
    return prior.quantiles(chances)
