"""Subgroups' log hazard ratios drawn towards their mean by as much as the data allow.

    theta_g = mu + sd z_g,   z_g ~ N(0, 1),   mu ~ N(0, 1),   sd ~ HalfNormal(0.5)

of the levels g of one column, on Cox's partial likelihood (`subgroup_split`), with the default
priors of the levels' own hazards and of what is adjusted for. It is the posterior of site effects
(`models.cox_sites`) with the arm in each level in the place of the sites.

Jones, Ohlssen, Neuenschwander, Racine and Branson (2011), Clin Trials 8:129-143.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from longsurv import priors as pr
from longsurv.errors import EstimationError
from longsurv.likelihood.cox.frailty import SITE_EFFECTS, SiteData
from longsurv.models import cox_sites
from longsurv.models.cox_climb import statistics
from longsurv.records import Record
from longsurv.results.posterior import summarise
from longsurv.results.survival.cox_curves import check_times, drawn_hazards, people
from longsurv.tables.notebook import Readable
from longsurv.words import plural

if TYPE_CHECKING:
    from longsurv.analyses.mortality.subgroup_split import Split
    from longsurv.design import SurvivalDesign
    from longsurv.diagnostics import Verdict
    from longsurv.inference import Draws
    from longsurv.models import CoxPH
    from longsurv.results.survival.cox_posterior import SurvivalPosterior

FOR_RISKS = 500
"""Draws that risks are averaged over: more take time and add no digit."""
MEAN = pr.TREATMENT["weak"]
SPREAD = pr.HalfNormal(0.5)
"""Priors of the mean log hazard ratio and of the standard deviation between subgroups."""


@dataclass(frozen=True, eq=False)
class CoxDraws:
    """Some draws of a Cox model's coefficients, as many as its risks are averaged over.

    Attributes
    ----------
    spec : CoxPH
    names : tuple of str
    coefficients : ndarray, shape (draws, p)
    seed : int
        Of the baseline hazard's draws.
    """

    spec: CoxPH
    names: tuple[str, ...]
    coefficients: np.ndarray
    seed: int

    @classmethod
    def of(
        cls, posterior: ShrunkenSubgroups | SurvivalPosterior, most: int = FOR_RISKS
    ) -> CoxDraws:
        """At most so many draws of a posterior, evenly spaced.

        Parameters
        ----------
        posterior : ShrunkenSubgroups or SurvivalPosterior
        most : int
        """
        whole = posterior.coefficients.reshape(-1, len(posterior.names))
        chosen = np.linspace(0, len(whole) - 1, min(most, len(whole))).astype(int)
        return cls(
            cast("CoxPH", posterior.spec), posterior.names, whole[chosen], posterior.draws.seed
        )

    @property
    def design(self) -> SurvivalDesign:
        """The arrays of the model."""
        return self.spec.design

    def survival_draws(self, newdata: pd.DataFrame | None, times: Sequence[float]) -> np.ndarray:
        """Draws of survival, the baseline hazard drawn too; see `SurvivalPosterior`.

        Parameters
        ----------
        newdata : DataFrame, optional
        times : sequence of float

        Returns
        -------
        ndarray, shape (draws, rows, times)
        """
        rng, who = np.random.default_rng([self.seed, 1]), people(self, newdata)
        H = drawn_hazards(self.spec.statistics, self.coefficients, who, check_times(times), rng)
        return np.exp(-H)


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
    spec, overall = split.common(cause)
    each = split.separate[split.causes.index(cause)]
    names, terms = spec.design.fixed.names, list(split.effects.values())
    p = len(names)
    indicators = split.data[terms].to_numpy(float)[spec.design.rows]
    X = np.hstack([spec.design.fixed.X, indicators])
    design = replace(spec.design, fixed=replace(spec.design.fixed, X=X))
    data = statistics(spec.formula, design, spec.ties)
    level = np.abs(indicators).argmax(axis=1)[data.order]
    sites = SiteData(data, p, level, np.zeros(len(terms)))
    own = spec.prior_stack({overall: MEAN})
    stack = replace(own, names=(*own.names, "sd"), priors=(*own.priors, SPREAD))
    found = cox_sites.draw(
        spec.formula, sites, SITE_EFFECTS["gaussian"], stack, spec.centred,
        draws=draws, tune=tune, chains=chains, seed=seed,
    )  # fmt: skip
    theta = found.theta
    mean, spread = theta[..., names.index(overall)], np.exp(theta[..., p])
    known = {name: theta[..., j] for j, name in enumerate(names)}
    known |= {term: mean + spread * theta[..., p + 1 + k] for k, term in enumerate(terms)}
    chosen = each.design.fixed.names
    coefficients = np.stack([known[name] for name in chosen], axis=-1)
    return ShrunkenSubgroups(each, chosen, coefficients, split.effects, mean, spread, found)
