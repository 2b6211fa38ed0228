"""Subgroups' log hazard ratios drawn towards their mean by as much as the data allow.

    theta_g = mu + sd z_g,   z_g ~ N(0, 1),   mu ~ N(0, 1),   sd ~ HalfNormal(0.5)

of the levels g of one column, on Cox's partial likelihood (`subgroup_split`), with the default
priors of the levels' own hazards and of what is adjusted for. It is drawn in the coordinates of
`likelihood.panel.coordinates`, in which no spread between levels bends it.

Jones, Ohlssen, Neuenschwander, Racine and Branson (2011), Clin Trials 8:129-143.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from longsurv import priors as pr
from longsurv.errors import EstimationError
from longsurv.inference import Affine, drawn, outward, sample_posterior
from longsurv.inference.scoring import ascend
from longsurv.likelihood import cox
from longsurv.likelihood.panel.coordinates import Recentred
from longsurv.likelihood.panel.loglik import hierarchy_density
from longsurv.records import Record
from longsurv.results.posterior import summarise
from longsurv.tables.notebook import Readable
from longsurv.words import plural

if TYPE_CHECKING:
    from longsurv.analyses.mortality.subgroup_split import Split
    from longsurv.design.centred import CentredDesign
    from longsurv.diagnostics import Verdict
    from longsurv.inference import Draws
    from longsurv.likelihood.cox import CoxData
    from longsurv.models import CoxPH

MEAN = pr.TREATMENT["weak"]
SPREAD = pr.HalfNormal(0.5)
"""Priors of the mean log hazard ratio and of the standard deviation between subgroups."""


@dataclass(frozen=True, eq=False, repr=False)
class ShrunkenSubgroups(Readable):
    """Posterior of the log hazard ratios of one column's levels.

    Attributes
    ----------
    spec : CoxPH
        With a coefficient for each level.
    names : tuple of str
        All its coefficients.
    coefficients : ndarray, shape (chains, draws, p)
    effects : mapping of str to str
        Coefficient of each level.
    mean, spread : ndarray, shape (chains, draws)
        Of the levels' log hazard ratios.
    draws : Draws
    """

    spec: CoxPH
    names: tuple[str, ...]
    coefficients: np.ndarray
    effects: Mapping[str, str]
    mean: np.ndarray
    spread: np.ndarray
    draws: Draws

    @property
    def data(self) -> CoxData:
        """The partial likelihood."""
        return self.spec.statistics

    def log_ratios(self, label: str) -> np.ndarray:
        """Draws of a level's log hazard ratio, shape (chains, draws).

        Parameters
        ----------
        label : str
        """
        return self.coefficients[..., self.names.index(self.effects[label])]

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """Log hazard ratios of the levels, their mean and their standard deviation, in the grammar
        of `Posterior.tidy`.

        Parameters
        ----------
        level : float
            Of the equal-tailed intervals.
        """
        named = {label: self.log_ratios(label) for label in self.effects}
        return summarise({**named, "mean": self.mean, "sd": self.spread}, level)

    def spread_rows(self, column: str, level: float) -> list[Record]:
        """Posterior median and limits of the geometric mean of the levels' hazard ratios, and of
        the standard deviation of their logarithms.

        Parameters
        ----------
        column : str
            What to call them.
        level : float
            Of the intervals.

        Returns
        -------
        list of mapping
            column, term ("mean", "sd"), estimate, conf_low, conf_high, note (the prior).
        """
        rows: list[Record] = []
        for term, values, note in (
            ("mean", np.exp(self.mean), f"prior of its logarithm {MEAN}"),
            ("sd", self.spread, f"prior {SPREAD}"),
        ):
            low, middle, high = map(float, np.quantile(values, tails(level)))
            rows.append({
                "column": column, "term": term, "estimate": middle, "conf_low": low,
                "conf_high": high, "note": note,
            })  # fmt: skip
        return rows

    def diagnose(self) -> Verdict:
        """Whether the chains can be trusted: a `longsurv.diagnostics.Verdict`."""
        from longsurv.diagnostics.convergence import of_posterior, told_again

        return of_posterior(self.tidy(), self.draws.stats, told_again(self.draws))


MU, SD, OTHERS = 0, 1, 2
"""Places in the vector that is drawn: mean, log standard deviation, and coefficients."""
VAGUE = 3.0
"""Standard deviation of coefficients in the estimates that coordinates are made of."""


@dataclass(frozen=True, eq=False)
class Shrinkage:
    """The posterior of one column's levels, of (mean, log standard deviation, coefficients).

    Attributes
    ----------
    each : CoxPH
        With a coefficient for each level.
    data : CoxData
    effects : ndarray of int, shape (G,)
        Places of the levels' coefficients in the vector.
    stack : PriorStack
        Of the mean, the standard deviation and the other coefficients.
    places : ndarray of int
        What the stack is of.
    centred : CentredDesign
        The variables that the stack's default priors are of.
    """

    each: CoxPH
    data: CoxData
    effects: np.ndarray
    stack: pr.PriorStack
    places: np.ndarray
    centred: CentredDesign

    @classmethod
    def of(cls, split: Split, cause: int) -> Self:
        """That of the hazard of one cause.

        Parameters
        ----------
        split : Split
        cause : int
        """
        each = split.separate[split.causes.index(cause)]
        spec, overall = split.common(cause)
        own = spec.prior_stack({overall: MEAN})
        named = {name: OTHERS + j for j, name in enumerate(each.design.fixed.names)}
        effects = np.array([named[term] for term in split.effects.values()])
        places = [MU if name == overall else named[name] for name in own.names]
        stack = replace(own, names=(*own.names, "sd"), priors=(*own.priors, SPREAD))
        return cls(each, each.statistics, effects, stack, np.array([*places, SD]), spec.centred)

    def density(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """The log posterior density up to a constant, and its gradient.

        Parameters
        ----------
        theta : ndarray, shape (2 + p,)
        """
        value, gradient = hierarchy_density(theta, self.effects, *self._contrasts)
        likelihood, slope = cox.value_and_gradient(self.data, theta[OTHERS:])
        prior, pull = self.stack.value_and_gradient(theta[self.places])
        gradient[OTHERS:] += slope
        gradient[self.places] += pull
        return value + likelihood + prior, gradient

    @cached_property
    def coordinates(self) -> Recentred:
        """Coordinates near a normal distribution whatever the standard deviation is."""
        size = np.where(self._is_effect, 1.0, self.data.scale)
        ridge = np.diag((size / VAGUE) ** 2)

        def penalised(beta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
            value, gradient, information = cox.value_gradient_information(self.data, beta)
            pulled = ridge @ beta
            return value - 0.5 * float(beta @ pulled), gradient - pulled, information + ridge

        top = ascend(penalised, np.zeros(len(ridge)), exact=True)
        error = np.sqrt(np.diag(np.linalg.inv(-top.hessian))[self._is_effect])
        mean = float(np.average(top.x[self._is_effect], weights=error**-2.0))
        theta = np.array([mean, np.log(SPREAD.typical), *top.x])
        return Recentred.of_effects(self.effects, error, theta)

    @cached_property
    def _contrasts(self) -> tuple[np.ndarray, ...]:
        """As `Layout.contrasts`: each effect is a coefficient, and all are of one family."""
        G = np.arange(len(self.effects))
        return G, np.ones(len(G)), np.zeros_like(G)

    @property
    def _is_effect(self) -> np.ndarray:
        return np.isin(np.arange(self.data.n_columns) + OTHERS, self.effects)

    @property
    def climbed_in(self) -> Affine | None:
        """Coordinates to climb in: coefficients become those of centred variables."""
        k, size = len(self.centred.to), OTHERS + self.data.n_columns
        if np.array_equal(self.centred.to, np.eye(k)):
            return None
        factor, at = np.eye(size), self.places[:k]
        factor[np.ix_(at, at)] = np.linalg.inv(self.centred.to)
        return Affine(np.zeros(size), factor)


def tails(level: float) -> list[float]:
    """Probabilities of the lower limit, the median and the upper limit.

    Parameters
    ----------
    level : float

    Returns
    -------
    list of float
    """
    return [0.5 - level / 2, 0.5, 0.5 + level / 2]


def shrink(
    split: Split, cause: int = 1, *, draws: int, tune: int = 300, chains: int = 4, seed: int
) -> ShrunkenSubgroups:
    """Draw the levels' log hazard ratios, each towards their mean.

    Parameters
    ----------
    split : Split
    cause : int
    draws, tune, chains, seed : int

    Returns
    -------
    ShrunkenSubgroups

    Raises
    ------
    EstimationError
        With fewer than two levels that have an effect.
    """
    if len(split.effects) < 2:
        raise EstimationError(
            f"{plural(len(split.effects), 'level')} of {split.column} can have an effect: there "
            "is no other to draw it towards"
        )
    shrinkage = Shrinkage.of(split, cause)
    names = shrinkage.each.design.fixed.names
    coordinates = shrinkage.coordinates
    mode, found = sample_posterior(
        coordinates.density(shrinkage.density), coordinates.start(),
        names=("mean", "log sd", *names), deviations={SD: SPREAD.typical},
        coordinates=shrinkage.climbed_in,
        draws=draws, tune=tune, chains=chains, seed=seed,
    )  # fmt: skip
    found = drawn(shrinkage.each.formula, (mode, found))
    found = outward(found, coordinates.outward, coordinates.log_jacobian)
    theta = found.theta
    return ShrunkenSubgroups(
        shrinkage.each, names, theta[..., OTHERS:], split.effects, theta[..., MU],
        np.exp(theta[..., SD]), found,
    )  # fmt: skip
