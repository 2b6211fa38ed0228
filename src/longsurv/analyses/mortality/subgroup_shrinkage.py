"""Subgroups' log hazard ratios drawn towards their mean by as much as the data allow.

    theta_g = mu + sd z_g,   z_g ~ N(0, 1),   mu ~ N(0, 1),   sd ~ HalfNormal(0.5)

of the levels g of one column, on Cox's partial likelihood (`subgroup_split`), with the default
priors of the levels' own hazards and of what is adjusted for. Of several arms each of their
contrasts has a mean, and all have one sd: every log hazard ratio of two arms then has this prior,
whichever arm is the reference. It is drawn in the coordinates of `likelihood.panel.coordinates`, in
which no spread between levels bends it.

Jones, Ohlssen, Neuenschwander, Racine and Branson (2011), Clin Trials 8:129-143.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from longsurv import priors as pr
from longsurv.analyses.mortality.arms import Comparison
from longsurv.analyses.mortality.subgroup_split import LevelEffects
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
    effects : mapping of str to LevelEffects
        Of each level.
    comparisons : tuple of Comparison
        Which arms are compared.
    arms : tuple of hashable
        Those that some level has beside another.
    means : ndarray, shape (chains, draws, k - 1)
        Of the arms' contrasts (`arm_contrasts`) over the levels.
    spread : ndarray, shape (chains, draws)
        Standard deviation of the levels' log hazard ratios.
    draws : Draws
    """

    spec: CoxPH
    names: tuple[str, ...]
    coefficients: np.ndarray
    effects: Mapping[str, LevelEffects]
    comparisons: tuple[Comparison, ...]
    arms: tuple[Hashable, ...]
    means: np.ndarray
    spread: np.ndarray
    draws: Draws

    @property
    def data(self) -> CoxData:
        """The partial likelihood."""
        return self.spec.statistics

    def log_ratios(self, label: str, comparison: Comparison | None = None) -> np.ndarray:
        """Draws of a level's log hazard ratio of two arms, shape (chains, draws).

        Parameters
        ----------
        label : str
        comparison : Comparison, optional
            Of arms that the level has; by default the first.
        """
        found, one = self.effects[label], comparison or self.comparisons[0]
        places = [self.names.index(term) for term in found.terms]
        drawn: np.ndarray = self.coefficients[..., places] @ found.weights(one)
        return drawn

    def mean(self, comparison: Comparison | None = None) -> np.ndarray:
        """Draws of the mean of the levels' log hazard ratios of two arms, shape (chains, draws).

        Parameters
        ----------
        comparison : Comparison, optional
            Of `arms`; by default the first.
        """
        every, one = LevelEffects.of("", self.arms, self.arms), comparison or self.comparisons[0]
        drawn: np.ndarray = self.means @ every.weights(one)
        return drawn

    def has(self, comparison: Comparison) -> bool:
        """Whether there is a mean of a comparison.

        Parameters
        ----------
        comparison : Comparison
        """
        return comparison.group in self.arms and comparison.reference in self.arms

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """Log hazard ratios of the levels, their mean and their standard deviation, in the grammar
        of `Posterior.tidy`; of several comparisons each is named after the level.

        Parameters
        ----------
        level : float
            Of the equal-tailed intervals.
        """
        several, named = len(self.comparisons) > 1, {}
        for one in self.comparisons:
            more = f", {one.name}" if several else ""
            for label, found in self.effects.items():
                if found.has(one):
                    named[label + more] = self.log_ratios(label, one)
            if self.has(one):
                named[f"mean{more}"] = self.mean(one)
        return summarise({**named, "sd": self.spread}, level)

    def spread_rows(self, column: str, level: float, comparison: Comparison) -> list[Record]:
        """Posterior median and limits of the geometric mean of the levels' hazard ratios, and of
        the standard deviation of their logarithms.

        Parameters
        ----------
        column : str
            What to call them.
        level : float
            Of the intervals.
        comparison : Comparison
            Of the two arms.

        Returns
        -------
        list of mapping
            column, term ("mean", "sd"), estimate, conf_low, conf_high, note (the prior).
        """
        rows: list[Record] = []
        for term, values, note in (
            ("mean", np.exp(self.mean(comparison)), f"prior of its logarithm {MEAN}"),
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


VAGUE = 3.0
"""Standard deviation of coefficients in the estimates that coordinates are made of."""


@dataclass(frozen=True, eq=False)
class Shrinkage:
    """The posterior of one column's levels, of (means, log standard deviation, coefficients).

    Attributes
    ----------
    each : CoxPH
        With a coefficient for each level.
    data : CoxData
    effects : ndarray of int, shape (K,)
        Places of the levels' coefficients in the vector.
    shares : ndarray, shape (K, k - 1)
        The mean of each as a combination of the means (`Split.shares`).
    stack : PriorStack
        Of the means, the standard deviation and the other coefficients.
    places : ndarray of int
        What the stack is of.
    centred : CentredDesign
        The variables that the stack's default priors are of.
    """

    each: CoxPH
    data: CoxData
    effects: np.ndarray
    shares: np.ndarray
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
        own = spec.prior_stack(dict.fromkeys(overall, MEAN))
        others = len(overall) + 1
        named = {name: others + j for j, name in enumerate(each.design.fixed.names)}
        effects = np.array([named[term] for term in split.terms])
        named |= {name: j for j, name in enumerate(overall)}
        places = [*(named[name] for name in own.names), len(overall)]
        stack = replace(own, names=(*own.names, "sd"), priors=(*own.priors, SPREAD))
        return cls(
            each, each.statistics, effects, split.shares, stack, np.array(places), spec.centred
        )

    @property
    def sd(self) -> int:
        """The place of the log standard deviation, after the means and before coefficients."""
        return int(self.shares.shape[1])

    def density(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """The log posterior density up to a constant, and its gradient.

        Parameters
        ----------
        theta : ndarray, shape (k + p,)
            Of k arms and p coefficients.
        """
        others = self.sd + 1
        value, gradient = hierarchy_density(theta, self.effects, *self._contrasts)
        likelihood, slope = cox.value_and_gradient(self.data, theta[others:])
        prior, pull = self.stack.value_and_gradient(theta[self.places])
        gradient[others:] += slope
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
        own = self.effects - self.sd - 1
        error = np.sqrt(np.diag(np.linalg.inv(-top.hessian))[own])
        weight = self.shares**2 * error[:, None] ** -2.0
        means = [np.average(top.x[own], weights=column) for column in weight.T]
        theta = np.array([*means, np.log(SPREAD.typical), *top.x])
        return Recentred.of_effects(self.effects, error, theta, self._contrasts[2:])

    @cached_property
    def _contrasts(self) -> tuple[np.ndarray, ...]:
        """As `Layout.contrasts`: each effect is a coefficient, and all have one spread."""
        K = np.arange(len(self.effects))
        return K, np.ones(len(K)), self.shares, np.arange(self.sd), np.full(len(K), self.sd)

    @property
    def _is_effect(self) -> np.ndarray:
        return np.isin(np.arange(self.data.n_columns) + self.sd + 1, self.effects)

    @property
    def climbed_in(self) -> Affine | None:
        """Coordinates to climb in: coefficients become those of centred variables."""
        k, size = len(self.centred.to), self.sd + 1 + self.data.n_columns
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
    names, sd = shrinkage.each.design.fixed.names, shrinkage.sd
    coordinates = shrinkage.coordinates
    means = ["mean"] if sd == 1 else [f"mean {j}" for j in range(1, sd + 1)]
    mode, found = sample_posterior(
        coordinates.density(shrinkage.density), coordinates.start(),
        names=(*means, "log sd", *names), deviations={sd: SPREAD.typical},
        coordinates=shrinkage.climbed_in,
        draws=draws, tune=tune, chains=chains, seed=seed,
    )  # fmt: skip
    found = drawn(shrinkage.each.formula, (mode, found))
    found = outward(found, coordinates.outward, coordinates.log_jacobian)
    theta = found.theta
    return ShrunkenSubgroups(
        shrinkage.each, names, theta[..., sd + 1 :], split.effects, split.trial.comparisons,
        split.arms, theta[..., :sd], np.exp(theta[..., sd]), found,
    )  # fmt: skip
