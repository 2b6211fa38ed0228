"""Mixtures of priors: what is believed with one weight, and what else with the rest."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np

from longsurv.arguments import checked_last
from longsurv.errors import LongsurvError
from longsurv.priors.density import log_densities
from longsurv.priors.families import LKJ, Cauchy, Laplace, Normal, StudentT
from longsurv.priors.prior import Component, Prior

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

_ROUNDING = 1e-9
_HALVINGS = 200


@checked_last
@dataclass(frozen=True)
class Mixture(Prior):
    """Mixture of priors of one parameter.

    With a vague part beside the one from evidence a prior is *robust*: where the data contradict
    the evidence, the posterior leaves it (Schmidli and others 2014, Biometrics 70:1023-1032).

    Parameters
    ----------
    parts : sequence of Prior
        Two or more, all of a positive parameter or all of one of either sign. A mixture among them
        is taken apart.
    weights : sequence of float
        Of each part: positive, together 1.

    Attributes
    ----------
    parts : tuple of Prior
        None of them a mixture.
    weights : tuple of float
    positive : bool
        Whether it is of a positive parameter.
    """

    parts: tuple[Prior, ...]
    weights: tuple[float, ...]
    positive: bool = field(init=False, repr=False)  # type: ignore[misc]

    def __post_init__(self) -> None:
        parts, weights = tuple(self.parts), tuple(self.weights)
        self._check(parts, weights)
        inside = [
            (weight * share, part)
            for weight, mixed in zip(weights, parts, strict=True)
            for share, part in (
                zip(mixed.weights, mixed.parts, strict=True)
                if isinstance(mixed, Mixture)
                else ((1.0, mixed),)
            )
        ]
        total = math.fsum(weight for weight, _ in inside)
        object.__setattr__(self, "weights", tuple(weight / total for weight, _ in inside))
        object.__setattr__(self, "parts", tuple(part for _, part in inside))
        object.__setattr__(self, "positive", parts[0].positive)

    def _check(self, parts: tuple[Prior, ...], weights: tuple[float, ...]) -> None:
        if len(parts) < 2 or len(parts) != len(weights):
            raise LongsurvError(
                "Mixture: expected two parts or more and a weight of each, got "
                f"{len(parts)} and {len(weights)}"
            )
        for part in parts:
            if not isinstance(part, Prior) or isinstance(part, LKJ):
                raise LongsurvError(f"Mixture: each part is a prior of one parameter, not {part!r}")
        if len({part.positive for part in parts}) > 1:
            raise LongsurvError(
                "Mixture: some parts are of a positive parameter and others of any real number"
            )
        for weight in weights:
            if not (isinstance(weight, int | float) and 0.0 < weight < 1.0):
                raise LongsurvError(f"Mixture: a weight is between 0 and 1, not {weight!r}")
        if abs(math.fsum(weights) - 1.0) > _ROUNDING:
            raise LongsurvError(f"Mixture: the weights add up to {math.fsum(weights):g}, not to 1")

    @property
    def components(self) -> tuple[Component, ...]:
        """Of all parts, with their weights."""
        return tuple(
            one._replace(log_weight=one.log_weight + math.log(weight))
            for weight, part in zip(self.weights, self.parts, strict=True)
            for one in part.components
        )

    def to_pymc(self, name: str) -> TensorVariable:
        """The same mixture as a PyMC variable of the model in context.

        Parameters
        ----------
        name : str
        """
        import pymc as pm

        with pm.Model(model=None):  # where the parts are variables, which they are not in context
            parts = [part.to_pymc(f"part {k}") for k, part in enumerate(self.parts)]
        return pm.Mixture(name, w=np.array(self.weights), comp_dists=parts)

    def scaled(self, factor: float) -> Self:
        """The distribution of factor times the parameter.

        Parameters
        ----------
        factor : float
            Above 0.
        """
        return type(self)(tuple(part.scaled(factor) for part in self.parts), self.weights)

    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation."""
        means, sds = np.array([part.moments() for part in self.parts]).T
        weights = np.array(self.weights)
        mean = float(weights @ means)
        if not math.isfinite(mean):
            return mean, math.inf
        return mean, math.sqrt(float(weights @ (sds**2 + (means - mean) ** 2)))

    @property
    def typical(self) -> float:
        """A size to scale by: of the parts' sizes the mean."""
        return sum(w * part.typical for w, part in zip(self.weights, self.parts, strict=True))

    def drawn(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Values drawn from it, shape (count,).

        Parameters
        ----------
        count : int
        rng : Generator
        """
        part = rng.choice(len(self.parts), count, p=self.weights)
        values = np.stack([one.drawn(count, rng) for one in self.parts])
        return np.asarray(values[part, np.arange(count)])

    def distribution(self, x: np.ndarray) -> np.ndarray:
        """Distribution function.

        Parameters
        ----------
        x : ndarray
        """
        parts = [part.distribution(x) for part in self.parts]
        return np.tensordot(np.array(self.weights), np.array(parts), axes=1)

    def quantiles(self, p: np.ndarray) -> np.ndarray:
        """Quantiles, by halving what lies between those of the parts.

        Parameters
        ----------
        p : ndarray
        """
        p = np.asarray(p, dtype=float)
        ends = np.array([part.quantiles(p) for part in self.parts])
        far = np.isinf(ends).any(axis=0)  # at 0 and 1: as far as any part
        low, high = (np.where(far, 0.0, end(axis=0)) for end in (ends.min, ends.max))
        for _ in range(_HALVINGS):
            middle = 0.5 * low + 0.5 * high
            below = self.distribution(middle) < p
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.where(far, ends.max(axis=0, where=np.isinf(ends), initial=-math.inf), high)

    def __str__(self) -> str:
        return " + ".join(
            f"{weight:.3g} {part}" for weight, part in zip(self.weights, self.parts, strict=True)
        )


def local_information(prior: Prior, x: np.ndarray) -> np.ndarray:
    """Minus the second derivative of a log prior density at x, of any shape.

    Parameters
    ----------
    prior : Normal, StudentT, Cauchy or Mixture of them
    x : ndarray
    """
    x = np.asarray(x, dtype=float)
    if isinstance(prior, Normal):
        return np.full(x.shape, prior.sd**-2)
    if isinstance(prior, Cauchy):
        return local_information(prior.student, x)
    if isinstance(prior, StudentT):
        spread, off = prior.df * prior.scale**2, (x - prior.mean) ** 2
        return (prior.df + 1.0) * (spread - off) / (spread + off) ** 2
    if isinstance(prior, Mixture):
        share, slopes = _shares(prior, x)
        inside = np.array([local_information(part, x) for part in prior.parts])
        mean = (share * slopes).sum(axis=0)
        return np.asarray((share * (inside - (slopes - mean) ** 2)).sum(axis=0))
    raise LongsurvError(f"the information of {prior} is not defined: it is no prior of an effect")


def score(prior: Prior, x: np.ndarray) -> np.ndarray:
    """Derivative of a log prior density at x, of any shape."""
    x = np.asarray(x, dtype=float)
    if isinstance(prior, Normal):
        return (prior.mean - x) / prior.sd**2
    if isinstance(prior, Cauchy):
        return score(prior.student, x)
    if isinstance(prior, StudentT):
        off = x - prior.mean
        return -(prior.df + 1.0) * off / (prior.df * prior.scale**2 + off**2)
    if isinstance(prior, Mixture):
        share, slopes = _shares(prior, x)
        return np.asarray((share * slopes).sum(axis=0))
    raise LongsurvError(f"the score of {prior} is not defined: it is no prior of an effect")


def _shares(prior: Mixture, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probability of each part given x, and its score, both of shape (parts, ...)."""
    logs = np.array([
        math.log(weight) + log_densities(part, x)
        for weight, part in zip(prior.weights, prior.parts, strict=True)
    ])  # fmt: skip
    share = np.exp(logs - logs.max(axis=0))
    return share / share.sum(axis=0), np.array([score(part, x) for part in prior.parts])


def moved(prior: Prior, weight: float) -> Prior | None:
    """The prior of `weight` times a parameter, of either sign; None where it is of no family."""
    if isinstance(prior, Normal):
        return Normal(weight * prior.mean, abs(weight) * prior.sd)
    if isinstance(prior, StudentT):
        return StudentT(prior.df, weight * prior.mean, abs(weight) * prior.scale)
    if isinstance(prior, Cauchy):
        return Cauchy(weight * prior.location, abs(weight) * prior.scale)
    if isinstance(prior, Laplace):
        return Laplace(weight * prior.mean, abs(weight) * prior.scale)
    if isinstance(prior, Mixture):
        parts = [moved(part, weight) for part in prior.parts]
        known = tuple(part for part in parts if part is not None)
        return Mixture(known, prior.weights) if len(known) == len(parts) else None
    return None


def as_normal(prior: Prior, draws: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of the normal prior that a prior is as good as.

    The variance of a mixture is that of its widest part, however little weight that has left. What
    counts is how it acts on the posterior: its information there, and its slope.

    Parameters
    ----------
    prior : Prior
        Of one parameter.
    draws : ndarray
        Of its posterior.

    Returns
    -------
    mean, sd : float
        `moments`, but of a mixture. An infinite standard deviation where a mixture holds nothing
        together, between two of its parts. Also of a mixture with a Laplace distribution, whose
        information is all at one point.
    """
    if not isinstance(prior, Mixture) or any(isinstance(part, Laplace) for part in prior.parts):
        return prior.moments()
    information = float(local_information(prior, draws).mean())
    if information <= 0.0:
        return math.nan, math.inf
    return float(draws.mean() + score(prior, draws).mean() / information), information**-0.5
