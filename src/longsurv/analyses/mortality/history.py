"""What individual patients of an earlier study say as a prior of the effect in the next.

Two ways to believe it less than one's own data:

- the *power prior* (Ibrahim & Chen 2000, Stat Sci 15:46-60) raises the earlier study's likelihood
  to a power between 0 and 1, as if that share of its patients had been seen;
- the *commensurate prior* (Hobbs, Carlin, Mandrekar & Sargent 2011, Biometrics 67:1047-1056) has
  the effect in the next study normal around the earlier one, with a spread that is not known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from longsurv.analyses.mortality.effect import coefficient, undetermined
from longsurv.arguments import checked
from longsurv.errors import EstimationError, LongsurvError
from longsurv.priors import HalfNormal, Normal, Prior, effective_events, mixture_of

if TYPE_CHECKING:
    from longsurv.models import CoxPH

_WEIGHT = "longsurv: power"
_DRAWS = 4000
_SPREAD = HalfNormal(0.5)
_INITIAL = Normal(0.0, 5.0)


@dataclass(frozen=True)
class HistoricalPrior:
    """A prior from an earlier study.

    Attributes
    ----------
    prior : Normal or Mixture
        Of the log hazard ratio in the next study.
    fit_error : float
        Largest difference between its distribution function and the one that it stands for.
    effective_events : float
        What it is worth (`longsurv.priors.effective_events`) with the groups of that study.
    """

    prior: Prior
    fit_error: float
    effective_events: float


@checked
def power_prior(
    history: CoxPH, treatment: str, power: float, *, initial: Prior = _INITIAL
) -> HistoricalPrior:
    """Prior of a log hazard ratio: an earlier study's likelihood to a power, times what was
    believed before it.

    Parameters
    ----------
    history : CoxPH
        Of the earlier study's patients; its covariates are integrated out under their default
        priors.
    treatment : str
        Column of the treatment, with one coefficient.
    power : float
        Above 0, up to 1: the share of its information that is kept.
    initial : Prior
        Of the log hazard ratio before that study.

    Returns
    -------
    HistoricalPrior

    Raises
    ------
    LongsurvError
        For another power, a treatment with several coefficients, or a model with case weights.
    EstimationError
        If the earlier study says nothing about the effect.
    """
    if not 0.0 < power <= 1.0:
        raise LongsurvError(f"power is above 0, up to 1, not {power:g}")
    term, drawn = _drawn(history, treatment, power, initial)
    return _made(history, term, drawn)


@checked
def commensurate_prior(
    history: CoxPH, treatment: str, *, spread: Prior = _SPREAD, initial: Prior = _INITIAL
) -> HistoricalPrior:
    """Prior of a log hazard ratio: normal around that of an earlier study, its spread not known.

    Parameters
    ----------
    history : CoxPH
        Of the earlier study's patients.
    treatment : str
        Column of the treatment, with one coefficient.
    spread : Prior
        Of the standard deviation of the effect in the next study around that in the earlier.
    initial : Prior
        Of the log hazard ratio before that study.

    Returns
    -------
    HistoricalPrior

    Raises
    ------
    LongsurvError
        For a prior that is not of a standard deviation, a treatment with several coefficients, or
        a model with case weights.
    EstimationError
        If the earlier study says nothing about the effect.
    """
    if not spread.positive:
        raise LongsurvError(f"spread is a prior of a standard deviation, not {spread}")
    term, drawn = _drawn(history, treatment, 1.0, initial)
    return _made(history, term, drawn, spread)


def _drawn(history: CoxPH, treatment: str, power: float, initial: Prior) -> tuple[str, np.ndarray]:
    if history.weights is not None:
        raise LongsurvError("a model with case weights cannot be discounted: leave out weights=")
    term = coefficient(history, treatment)
    nothing = undetermined(history, term)
    if nothing:
        raise EstimationError(f"the earlier study says nothing about {term}: {nothing}")
    # Every case weighted alike raises the partial likelihood to that power.
    weighted = replace(history, data=history.data.assign(**{_WEIGHT: power}), weights=_WEIGHT)
    post = (weighted if power < 1.0 else history).sample(
        draws=_DRAWS // 2, chains=2, priors={term: initial}
    )
    return term, np.sort(np.ravel(post.draw(term)))


def _made(
    history: CoxPH, term: str, drawn: np.ndarray, spread: Prior | None = None
) -> HistoricalPrior:
    prior, error = mixture_of(drawn, spread)
    column = history.design.fixed.X[:, history.design.fixed.names.index(term)]
    share = float(np.mean(column > column.min()))  # whatever numbers the groups are coded by
    known = share if 0.0 < share < 1.0 else 0.5
    return HistoricalPrior(prior, error, effective_events(prior, known))
